"""One direction of a TCP connection: from segments in any order to bytes in order.

A stream speaks in *offsets*: 0 is the first byte of the direction that was seen or announced by a
SYN. Sequence numbers are 32 bits wide and wrap; offsets do not. What arrives ahead of its turn is
held, what arrived before is dropped (the first bytes win), and a conflict between the two is
reported. A stream never decides that bytes are lost: :mod:`dicomsniff.tcp.flows` does, which sees
both directions.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from dicomsniff.tcp.timing import Timing

if TYPE_CHECKING:
    from dicomsniff.tcp.connection import Connection

MASK = 0xFFFFFFFF
HALF = 0x80000000

WINDOW_LIMIT = 65_535 << 14
"""Largest receive window there is (RFC 7323 2.3): no host sends, and none acknowledges, a byte
further ahead than this. What claims so belongs to something else."""

RECENT = 8
"""Delivered pieces remembered, to tell a faithful retransmission from one with other bytes.
A retransmission repeats what was sent within the last round trip."""

NOTHING: deque[tuple[int, bytes]] = deque(maxlen=0)
"""Stands for the delivered pieces of a stream that has none yet, or that nobody wants any more: a
deque takes 700 bytes, filled or not, and a busy capture has thousands of closed connections."""


def distance(seq: int, origin: int) -> int:
    """How far ``seq`` lies behind (negative) or ahead of ``origin``, across the wrap-around."""
    return ((seq - origin + HALF) & MASK) - HALF


class Piece(NamedTuple):
    """Bytes, or a hole of known size, waiting for their turn."""

    offset: int
    length: int
    data: bytes | None
    """None where a snap length cut the bytes away: they were sent, and will never be seen."""
    frame: int
    time: int
    ack: int | None
    """Sequence number of the other direction up to which the sender had received, None where not
    told. Not an offset: that direction may have none yet."""
    serial: int
    """Order of capture, which decides between pieces where nothing else does."""

    @property
    def end(self) -> int:
        return self.offset + self.length


class Stream:
    """One direction. ``ready`` once its first offset is known."""

    __slots__ = (
        "acked",
        "conflicts",
        "connection",
        "early",
        "fin",
        "finished",
        "heard",
        "held",
        "index",
        "key",
        "lowest_ack",
        "lowest_seq",
        "middle",
        "next_seq",
        "offset",
        "peer",
        "pending",
        "plain",
        "ready",
        "recent",
        "syn",
        "syn_seq",
        "timing",
    )

    def __init__(self, connection: Connection, index: int, key: bytes) -> None:
        self.connection = connection
        self.index = index
        """0: the side that opened the connection (or was seen first), 1: the other."""
        self.key = key
        self.peer: Stream = self
        self.ready = False
        self.heard = False
        """True once a segment of this direction was seen."""
        self.lowest_ack: int | None = None
        """Lowest acknowledgement of it, seen before its first offset is known."""
        self.lowest_seq: int | None = None
        """Lowest sequence number of its own, seen before its first offset is known: also of
        segments that carry nothing, which tell what is sent next."""
        self.middle = False
        """True where its first offset is only that of the first that was seen of it."""
        self.plain = False
        """Ready, and nothing about its next segment needs a second look."""
        self.timing = Timing()
        self.syn = False
        self.syn_seq = 0
        self.next_seq = 0
        """Sequence number of the byte at ``offset``."""
        self.offset = 0
        """Bytes in order so far, gaps included."""
        self.acked = 0
        """Highest offset that the other side has acknowledged."""
        self.pending: list[Piece] = []
        """Ascending by offset, then by order of capture."""
        self.held = 0
        """Bytes in ``pending``."""
        self.early: list[tuple[int, Piece]] = []
        """(sequence number, piece) of segments seen before the first offset is known."""
        self.fin: Piece | None = None
        """Once a FIN was seen: no bytes, at the offset behind the last one."""
        self.finished = False
        """True once the FIN was delivered."""
        self.recent = NOTHING
        """Delivered pieces and their offsets, once the first offset is known."""
        self.conflicts = 0

    def let_go(self) -> None:
        """Nothing more follows: refer to nothing that refers to this."""
        del self.connection, self.peer

    def begin(self, seq: int) -> None:
        """The first byte has this sequence number; whatever came early takes its place."""
        self.ready = self.plain = True
        self.recent = deque(maxlen=RECENT)
        self.next_seq = seq & MASK
        early, self.early = self.early, []
        for early_seq, piece in early:
            offset = self.offset_of(early_seq)
            if piece.length == 0:  # a FIN that came early
                self.fin = piece._replace(offset=offset)
            else:
                self.hold(piece._replace(offset=offset))

    def offset_of(self, seq: int) -> int:
        """The offset that a sequence number near the present one stands for."""
        # Behind a FIN, which counts as one, the next number is one further than the next offset.
        return self.offset + self.finished + distance(seq, self.next_seq)

    @property
    def sent(self) -> int:
        """Offset up to which bytes are known to have been sent. What is acknowledged behind a FIN
        is the FIN itself, which counts as one."""
        return self.fin.offset if self.fin is not None else self.acked

    @property
    def incomplete(self) -> bool:
        """Whether something of it is waited for, or waits for its turn."""
        fin = self.fin
        if fin is None:
            return self.acked > self.offset or bool(self.pending) or bool(self.early)
        return not self.finished or fin.offset > self.offset or bool(self.pending or self.early)

    def beyond(self, ack: int | None) -> int:
        """Bytes that an acknowledgement by the other side covers and that did not come yet."""
        if ack is None or not self.ready:
            return 0
        ahead = (ack - self.next_seq) & MASK
        return ahead if ahead <= WINDOW_LIMIT else 0

    def hold(self, piece: Piece) -> None:
        """Keep a piece until its turn comes."""
        pending = self.pending
        at = len(pending)
        # Nearly always it belongs at the end.
        while at and pending[at - 1].offset > piece.offset:
            at -= 1
        pending.insert(at, piece)
        self.held += piece.length

    def take(self, piece: Piece) -> tuple[bytes | None, int]:
        """The part of a piece that is new at ``offset``: (bytes or None for a hole, length).

        Moves ``offset`` behind it. Length 0: all of it was there before.
        """
        old = self.offset - piece.offset
        if old > 0:
            if piece.data is not None:
                self.compare(piece.offset, piece.data[:old])
            if old >= piece.length:
                return None, 0
            data = piece.data[old:] if piece.data is not None else None
            length = piece.length - old
        else:
            data = piece.data
            length = piece.length
        if data is not None:
            self.recent.append((self.offset, data))
        self.offset += length
        self.next_seq = (self.next_seq + length) & MASK
        return data, length

    def compare(self, offset: int, data: bytes) -> None:
        """Count a conflict where bytes seen again differ from those delivered."""
        end = offset + len(data)
        for start, delivered in self.recent:
            low = max(start, offset)
            high = min(start + len(delivered), end)
            if low >= high:
                continue
            if data[low - offset : high - offset] != delivered[low - start : high - start]:
                self.conflicts += 1
                return

    def skip(self, length: int) -> None:
        """Give up ``length`` bytes that never came."""
        self.offset += length
        self.next_seq = (self.next_seq + length) & MASK
