"""The middle of long values, counted where it lies.

Nearly all packets of a busy archive are the middle of pixel data: nothing is kept of them but their
number. A source that holds packets in memory shows each one to :meth:`Skimmer.skim`, where it
lies. What can only be counted is, and has passed; everything else is handed over as a frame, as
ever. That takes a quarter of the time, which decides whether Python keeps up with a wire.

A packet is counted here only where the tracker would have done nothing else with it: TCP in IPv4
or IPv6 without options, next in its order, on a connection on which nothing is missing or waited
for, acknowledging nothing that has not come, and all of it within what the receiver measures. The
counts stand beside the connection until any other packet of it comes, or a second is over; then
they are written down (:meth:`Skimmer.settle`), and the tracker finds what it would have left.

One thing is done with less care. Copies of a packet (see :mod:`dicomsniff.tcp.duplicates`) cannot
be told from bytes sent again where the first was not kept. So nothing is skimmed for a minute after
a copy was seen: where packets are captured twice, handshakes are as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, cast

from dicomsniff.tcp.connection import Connection, Receiver
from dicomsniff.tcp.flows import Tracker, Unanswered
from dicomsniff.tcp.frames import LEAST_IPV4, LEAST_IPV6, TCP_IPV4, TCP_IPV6
from dicomsniff.tcp.stream import HALF, MASK, Stream

if TYPE_CHECKING:
    from mmap import mmap

    from dicomsniff.model import CaptureInfo, Segment

LEAST: Final = 512
"""Bytes of a segment behind which it is asked whether the following ones can be counted: the
middle of long values comes in full segments."""

COPIES_NS: Final = 60_000_000_000
"""Time of the capture for which nothing is skimmed after a packet that was captured twice."""


class Measures(Receiver, Protocol):
    """A receiver that keeps nothing of some of its bytes."""

    def measured(self, side: int) -> int:
        """How many of the next bytes are only counted; 0: none."""

    def skip(self, side: int, length: int, frames: int, last: int, time: int) -> None:
        """So many of them came, each of ``frames`` frames with some: number and time of the
        last."""


class _Run:
    """Segments in one direction of which only their number is kept, and the acknowledgements in
    the other."""

    __slots__ = (
        "connection",
        "frame",
        "frame_time",
        "frames",
        "left",
        "length",
        "patience",
        "peer_seq",
        "receiver",
        "recent",
        "seq",
        "stream",
        "time",
    )

    def __init__(self, stream: Stream, receiver: Measures, left: int) -> None:
        connection = stream.connection
        self.stream = stream
        self.connection = connection
        self.receiver = receiver
        self.left = left
        """Bytes that may be counted yet."""
        self.seq = stream.next_seq
        self.peer_seq = stream.peer.next_seq
        self.time = connection.last
        """Of the last segment of either direction."""
        self.patience = connection.patience
        self.frames = 0
        self.length = 0
        self.frame = 0
        self.frame_time = 0
        self.recent: deque[tuple[int, bytes]] = stream.recent


class Skimmer(Tracker):
    """A tracker that may be shown packets where they lie."""

    def __init__(
        self,
        info: CaptureInfo,
        accept: Callable[[Connection], Receiver | None],
        refused: Callable[[bytes, int, int], None] | None = None,
        unanswered: Unanswered | None = None,
    ) -> None:
        """``info`` counts packets; the others are a tracker's."""
        super().__init__(accept, refused, unanswered)
        self.skimming = False
        """Whether there is a source that shows packets."""
        self._info = info
        self._senders: dict[bytes, _Run] = {}
        self._answerers: dict[bytes, _Run] = {}
        self._copies = 0
        self._copies_until = 0

    # -------------------------------------------------------------- packets where they lie

    def skim(
        self, memory: mmap | bytes, at: int, end: int, wire: int, time: int, number: int
    ) -> int:
        """Count the packet whose Ethernet type stands at ``at``, where it needs nothing else; see
        :data:`dicomsniff.model.Skim`."""
        if end - at < LEAST_IPV4:
            return 0
        kind, version, total, fragment, protocol, key, seq, ack, offset, flags, window = TCP_IPV4(
            memory, at
        )
        if kind == 0x0800:
            if version != 0x45 or protocol != 6 or fragment & 0x3FFF or not total:
                return 0
            last = at + 2 + total
            length = total - 20 - (offset >> 4 << 2)
        elif kind == 0x86DD and end - at >= LEAST_IPV6:
            kind, version, total, protocol, key, seq, ack, offset, flags, window = TCP_IPV6(
                memory, at
            )
            if version >> 4 != 6 or protocol != 6 or not total:
                return 0
            last = at + 42 + total
            length = total - (offset >> 4 << 2)
        else:
            return 0
        if flags & 7 or last > end or offset < 0x50 or length < 0 or time > self.next_sweep:
            return 0
        noted = 1
        run = self._senders.get(key)
        if run is not None:
            if (
                seq != run.seq
                or not 0 < length <= run.left
                or not window
                or not 0 <= time - run.time <= run.patience
                or (flags & 16 and 0 < (ack - run.peer_seq) & MASK < HALF)
            ):
                return 0
            run.seq = (seq + length) & MASK
            run.left -= length
            stream = run.stream
            run.recent.append((stream.offset + run.length, memory[last - length : last]))
            run.length += length
            run.frames += 1
            run.frame = number
            run.frame_time = run.time = time
        else:
            run = self._answerers.get(key)
            if run is not None:
                if (
                    length
                    or not flags & 16
                    or not window
                    or not 0 <= time - run.time <= run.patience
                    or 0 < (ack - run.seq) & MASK < HALF
                ):
                    return 0
                run.time = time
            else:
                known = self.streams.get(key)
                if known is None or known.connection.wanted or time < self._copies_until:
                    return 0
                known.connection.last = time
                noted = 1 if known.connection.recognised else 2
        info = self._info
        info.packets += 1
        info.bytes += wire
        info.last = time
        return noted

    # -------------------------------------------------------------- what was counted

    def feed(self, segment: Segment) -> None:
        """Take a segment that was not skimmed, behind those of its connection that were."""
        key = segment.key
        run = self._senders.get(key) or self._answerers.get(key)
        if run is not None:
            self._settle(run)
        super().feed(segment)
        if segment.length >= LEAST and self.skimming:
            self._ask(key, segment.time)

    def _ask(self, key: bytes, time: int) -> None:
        """See whether what follows a long segment can be counted."""
        info = self._info
        if info.duplicates != self._copies:
            self._copies = info.duplicates
            self._copies_until = time + COPIES_NS
        stream = self.streams.get(key)
        if stream is None or time < self._copies_until:
            return
        connection = stream.connection
        peer = stream.peer
        if (
            not connection.wanted
            or connection.waiting
            or connection.closing
            or not (stream.plain and peer.plain and stream.ready and peer.ready)
            or stream.fin is not None
            or peer.fin is not None
        ):
            return
        receiver = connection.receiver
        if receiver is None or not hasattr(receiver, "measured"):
            return
        left = receiver.measured(stream.index)
        if left >= LEAST:
            run = _Run(stream, cast("Measures", receiver), left)
            self._senders[key] = run
            self._answerers[peer.key] = run

    def _settle(self, run: _Run) -> None:
        """Write down what was counted."""
        stream = run.stream
        del self._senders[stream.key], self._answerers[stream.peer.key]
        run.connection.last = run.time
        length = run.length
        if length:
            stream.offset += length
            stream.next_seq = run.seq
            run.receiver.skip(stream.index, length, run.frames, run.frame, run.frame_time)

    def settle(self) -> None:
        """Write down what was counted on every connection."""
        for run in list(self._senders.values()):
            self._settle(run)

    # -------------------------------------------------------------- before anything looks

    def tick(self, time: int) -> None:
        """Let time pass."""
        self.settle()
        super().tick(time)

    def finish(self) -> None:
        """The capture ends."""
        self.settle()
        super().finish()

    def _sweep(self, time: int) -> None:
        self.settle()
        super()._sweep(time)

    def _evict(self) -> None:
        self.settle()
        super()._evict()
