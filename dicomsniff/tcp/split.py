"""A capture split by connection, so that several processes can follow a part of it each.

:class:`Splitter` looks at the headers of every packet, where they lie, and knows by a checksum of
addresses and ports whose it is. What one connection comes to does not depend on the others, but for
the time that passes: connections that were closed are ended, and what is remembered of packets and
connections is forgotten, at a packet that may be of any connection. At such a packet every part
gets a mark, so that the same happens in all of them as it would happen in one.

Packets whose headers are not as usual (tags, tunnels, fragments) are taken apart here, and the
segment goes along with the frame.

:class:`Rejoined` takes the place of the dissector where a part is followed, and
:class:`PartTracker` that of the tracker: it knows when what it tells would be told among all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final
from zlib import crc32

from dicomsniff.model import Frame, Segment, Stretch
from dicomsniff.tcp.connection import Connection, Receiver, peer_key
from dicomsniff.tcp.duplicates import BYTES_KEPT, FRAMES_KEPT, Duplicates
from dicomsniff.tcp.flows import CLOSED, TIME, Passing, Tracker, Unanswered
from dicomsniff.tcp.frames import ETHERNET, TCP_IPV4, TCP_IPV6, Dissector
from dicomsniff.tcp.stream import Stream

MARK: Final = -1
"""A link type that no frame has: a mark."""
CARRIED: Final = -2
"""The same: a frame whose segment goes along."""

COPIES: Final = 4
"""What a mark says, in the place of a frame's length: what is due (:meth:`Passing.due`); and this:
packets that may have copies are forgotten."""

OWNERS_KEPT: Final = 1 << 16
"""Directions whose owner is remembered; it can be told anew for any of them."""

Place = tuple[int, int, int, int, int, int]
"""As in :class:`~dicomsniff.model.Stretch`."""

Part = tuple[list[Place], list[tuple[Any, ...]]]
"""What one process gets of a stretch: the places of its frames, and marks; segments."""


class Splitter(Passing):
    """Tells whose each packet is."""

    def __init__(self, shares: int) -> None:
        super().__init__()
        self.shares = shares
        self.dissector = Dissector()
        self._owners: dict[bytes, int] = {}
        # As in what recognises copies.
        self._bytes = 0
        self._last = FRAMES_KEPT

    def owner(self, key: bytes) -> int:
        """Who follows the connection; the same for both of its directions."""
        owner = crc32(min(key, peer_key(key))) % self.shares
        if len(self._owners) >= OWNERS_KEPT:
            self._owners.clear()
        self._owners[key] = owner
        return owner

    def split(self, stretch: Stretch) -> list[Part]:
        """The parts of a stretch, by their owners."""
        buffer = stretch.buffer
        parts: list[Part] = [([], []) for _ in range(self.shares)]
        adders = [places.append for places, _ in parts]
        known = self._owners.get
        next_sweep, set_back = self.next_sweep, self.set_back
        bytes_, last = self._bytes, self._last
        for place in stretch.places:
            number, time, link, start, end, wire = place
            captured = end - start
            # As in the lane, which has to come to the same conclusion.
            size = 0
            if link == ETHERNET and captured >= 54:
                kind, version, total, fragment, protocol, key, _, _, offset, flags, _ = TCP_IPV4(
                    buffer, start + 12
                )
                if kind == 0x0800:
                    if protocol == 6 and version == 0x45 and not fragment & 0x3FFF:
                        size = 34
                elif kind == 0x86DD and captured >= 74:
                    _, version, total, protocol, key, _, _, offset, flags, _ = TCP_IPV6(
                        buffer, start + 12
                    )
                    if protocol == 6 and version >> 4 == 6:
                        size = 54
            if size:
                head = size + (offset >> 4 << 2)
                total = total + (14 if size == 34 else 54) if total else wire
                if not size + 20 <= head <= total:
                    size = 0
            segment = None
            if not size:
                segment = self.dissector.segment(Frame(number, time, link, buffer[start:end], wire))
                if segment is None:
                    continue
                key, flags = segment.key, segment.flags
            if (
                flags & 7
                or time > next_sweep
                or time < set_back
                or number > last
                or bytes_ > BYTES_KEPT
            ):
                said = self.due(number, time, flags)
                if number > last or bytes_ > BYTES_KEPT:
                    said |= COPIES
                    bytes_, last = 0, number + FRAMES_KEPT
                if said:
                    mark = (number, time, MARK, 0, 0, said)
                    for add in adders:
                        add(mark)
                    next_sweep, set_back = self.next_sweep, self.set_back
            bytes_ += captured
            owner = known(key)
            if owner is None:
                owner = self.owner(key)
            if segment is None:
                adders[owner](place)
            else:
                adders[owner]((number, time, CARRIED, start, end, wire))
                parts[owner][1].append(tuple(segment))
        self._bytes, self._last = bytes_, last
        return parts


class Rejoined(Dissector):
    """A dissector for a part: what is no frame any more is known already."""

    def __init__(self, tracker: Tracker, duplicates: Duplicates) -> None:
        super().__init__()
        self._tracker = tracker
        self._duplicates = duplicates
        self.segments: Iterator[tuple[Any, ...]] = iter(())
        """Of the frames to come."""

    def segment(self, frame: Frame) -> Segment | None:
        """The segment that goes along; a mark does what it says."""
        link = frame.link_type
        if link == CARRIED:
            return Segment(*next(self.segments))
        if link != MARK:
            return super().segment(frame)
        said = frame.length
        if said & COPIES:
            self._duplicates.forget(frame.number)
        if said & TIME:
            self._tracker.passed(frame.number, frame.time, 0)
        if said & CLOSED:
            self._tracker.forgotten()
            self._tracker.forget_closed()
        return None


LAST: Final = 1 << 62
"""Instead of a frame number: behind all frames."""

ENDED, IDLE, FED = 0, 1, 2
"""What is told when a frame comes, in this order: of connections that ended some time ago, of those
that were silent too long, of its own."""

Moment = tuple[int, int, int]
"""The frame that came; which of these; of the first two, the frame with which the connection was
closed, or opened."""


class PartTracker(Tracker):
    """Follows some connections of a capture, and knows when all of them together would be told."""

    def __init__(
        self,
        accept: Callable[[Connection], Receiver | None],
        refused: Callable[[bytes, int, int], None],
        unanswered: Unanswered,
    ) -> None:
        super().__init__(accept, refused, unanswered)
        self.frame: Callable[[], int] = lambda: 0
        """Number of the frame that came."""
        self._part = FED
        self._of = 0
        self.most = [0, 0, 0]
        """What counts against limits, at most since it was asked: directions, connections of which
        nothing but SYNs was seen, bytes held back."""

    def moment(self) -> Moment:
        """When what is told now is told."""
        part = self._part
        if part == FED:
            return (self.frame(), FED, 0)
        return (LAST if part == LAST else self.frame(), part, self._of)

    def counted(self) -> list[int]:
        """What counts against limits; see ``most``."""
        most = self.most
        self.most = [len(self.streams), len(self._half_open), 0]
        return most

    def finish(self) -> None:
        """The capture ends."""
        self._part = LAST
        super().finish()

    def _open(self, key: bytes, seq: int, flags: int, length: int) -> Stream | None:
        stream = super()._open(key, seq, flags, length)
        if stream is not None:
            stream.connection.opened = self.frame()
            most = self.most
            most[0] = max(most[0], len(self.streams))
            most[1] = max(most[1], len(self._half_open))
        return stream

    def _closing_from(self, connection: Connection, time: int) -> None:
        if not connection.closing:
            connection.closed = self.frame()
        super()._closing_from(connection, time)

    def _sweep(self, time: int) -> None:
        if self._waiting:
            held = sum(stream.held for each in self._waiting for stream in each.streams)
            self.most[2] = max(self.most[2], held)
        self._part = ENDED
        super()._sweep(time)
        self._part = FED

    def _give_away(self, connection: Connection, limit: str) -> None:
        before = self._part
        if before == ENDED:
            self._part = IDLE
        super()._give_away(connection, limit)
        self._part = before

    def _end(self, connection: Connection) -> None:
        self._of = connection.closed if self._part == ENDED else connection.opened
        super()._end(connection)
