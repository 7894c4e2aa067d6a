"""A TCP connection as seen from the middle, and who wants its bytes."""

from __future__ import annotations

from typing import Protocol

from dicomsniff.model import Transport, Unreachable
from dicomsniff.tcp.stream import Stream
from dicomsniff.tcp.timing import SILENCE_NS, Clock


class Receiver(Protocol):
    """Whoever wants the ordered bytes of a connection. ``side`` is the index of the stream."""

    wanted: bool
    """False once nothing more of this connection is of interest: its bytes are then dropped."""

    recognised: bool
    """True once it is known what is said: such a connection is given up last."""

    def data(self, side: int, data: bytes, frame: int, time: int) -> None:
        """Bytes in order."""

    def gap(self, side: int, length: int, frame: int, time: int) -> None:
        """Bytes that were sent and not captured; frame and time are of what comes next (frame 0:
        nothing does)."""

    def fin(self, side: int, frame: int, time: int) -> None:
        """This side will send nothing more."""

    def reset(self, side: int, frame: int, time: int) -> None:
        """This side reset the connection. What was captured late may still follow."""

    def conflict(self, side: int, frame: int, time: int) -> None:
        """A retransmission carried other bytes than the first ones, which were kept."""

    def end(self, closed: bool) -> None:
        """Nothing more follows: the connection was closed, or (False) the capture ends here."""


class Connection:
    """A TCP connection as seen from the middle."""

    __slots__ = (
        "blocked_at",
        "blocked_since",
        "clock",
        "closed",
        "closing",
        "ended",
        "frames",
        "gone",
        "half_open",
        "kept",
        "last",
        "opened",
        "patience",
        "receiver",
        "recognised",
        "reset",
        "settled",
        "streams",
        "unreachable",
        "waiting",
        "wanted",
    )

    def __init__(self, key: bytes, peer_key: bytes) -> None:
        first, second = Stream(self, 0, key), Stream(self, 1, peer_key)
        first.peer, second.peer = second, first
        self.streams = (first, second)
        self.receiver: Receiver | None = None
        self.wanted = True
        self.waiting = False
        """True while anything is held back: the fast path is closed."""
        self.frames = 0
        """Segments seen on the slow path."""
        self.settled = False
        """True once both sides have begun, or enough was seen to know that one will not."""
        self.blocked_at: int | None = None
        """Value of ``frames`` when waiting began without progress."""
        self.blocked_since = 0
        self.clock = Clock()
        self.patience = SILENCE_NS
        """Silence in front of a segment that the clock is told of."""
        self.closing = False
        self.half_open = False
        """True while nothing but SYNs was seen."""
        self.recognised = False
        """True where the receiver had recognised what was said before it wanted no more."""
        self.kept: object = None
        """For whoever keeps packets: what became of this connection's."""
        self.unreachable: tuple[Unreachable, int] | None = None
        """Why the SYN could not be delivered, and the frame that says so."""
        self.reset: tuple[int, int, int] | None = None
        """Side, frame and time of the first RST."""
        self.ended = False
        self.gone = False
        """True once it is no longer followed."""
        self.last = 0
        self.opened = self.closed = 0
        """For whoever follows a part of a capture: the frames with which it was opened, and with
        which it began to close."""

    @property
    def eventful(self) -> bool:
        """Whether anything out of the ordinary was counted of either side so far."""
        first, second = self.streams
        return first.timing.counts is not None or second.timing.counts is not None

    def transport(self, side: int) -> Transport:
        """What TCP did with the bytes of one side until now."""
        return self.clock.transport(self.streams[side])

    def from_the_middle(self, side: int) -> bool:
        """Whether a side may have sent bytes before the first that was captured."""
        return self.streams[side].middle

    def let_go(self) -> None:
        """Nothing more follows: undo what refers back to this connection. Its memory is then free
        at once, and not when the collector of cycles comes by, which may be late in a process
        that holds much. Only the keys of the streams are of use afterwards."""
        if self.gone:
            return
        self.gone = True
        self.recognised = self.recognised or recognised(self)
        self.receiver = None
        for stream in self.streams:
            stream.let_go()


def recognised(connection: Connection) -> bool:
    """Whether it is known what the connection says, and that it is of interest."""
    receiver = connection.receiver
    return receiver is not None and receiver.recognised


def peer_key(key: bytes) -> bytes:
    """The key of the other direction."""
    size = (len(key) - 4) // 2
    return key[size : 2 * size] + key[:size] + key[-2:] + key[-4:-2]
