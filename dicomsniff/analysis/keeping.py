"""Which packets are kept: all of them, or those of connections that turned out to be DICOM.

What a connection says is known only once it has said something, and by then its SYN has passed. So
the frames of a connection wait until that is known, within the limits below; then they are written
or forgotten. In a file of DICOM alone they may therefore stand a little behind younger frames of
other connections.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from dicomsniff.model import Frame, Segment
from dicomsniff.tcp.connection import Connection, peer_key
from dicomsniff.tcp.flows import Tracker

UNDECIDED_BYTES = 64 * 1024 * 1024
"""Bytes of all frames that wait; past that those of the connection that has waited longest are
forgotten. One whose beginning was not captured may say a few MB before it is recognised, and the
room is for sixteen of them; one that began properly is known by its first bytes."""

OVERHEAD = 400
"""Bytes that a waiting frame takes beside its own."""

ENDED_KEPT = 4096
"""Connections remembered that were DICOM and have ended, to keep their last acknowledgements."""

LOOK_EVERY = 4096
"""Frames between two looks for waiting connections that have ended."""


class Writes(Protocol):
    """Where frames are kept."""

    def write(self, frame: Frame, link: int = 0) -> None:
        """Keep a frame that came from an interface."""

    def tick(self) -> None:
        """Time passes."""


class HasLink(Protocol):
    """A source that knows which interface a frame came from."""

    at: int


class KeepAll:
    """Keeps every frame."""

    def __init__(self, source: HasLink, writer: Writes) -> None:
        self._source = source
        self._writer = writer
        self._frames = 0

    def take(self, frame: Frame, segment: Segment | None, tracker: Tracker) -> None:  # noqa: ARG002
        """Keep a frame."""
        self._writer.write(frame, self._source.at)
        self._frames += 1
        if not self._frames & 0xFF:
            self._writer.tick()

    def skimmed(self, frame: Frame, wanted: bool) -> None:  # noqa: ARG002
        """Keep a frame that was only counted."""
        self._writer.write(frame, self._source.at)
        self._frames += 1
        if not self._frames & 0xFF:
            self._writer.tick()

    def tick(self) -> None:
        """Time passes."""
        self._writer.tick()


class _Waiting:
    """Frames of a connection of which is not known yet what it says."""

    __slots__ = ("bytes", "frames")

    def __init__(self) -> None:
        self.frames: list[tuple[Frame, int]] = []
        self.bytes = 0


class KeepDicom:
    """Keeps the frames of DICOM connections, from their SYN on.

    Frames that carry no TCP are not kept, nor fragments of IP datagrams but the last: what a
    segment came in is known when it is whole.
    """

    def __init__(self, source: HasLink, writer: Writes, *, limit: int = UNDECIDED_BYTES) -> None:
        self._source = source
        self._writer = writer
        self._limit = limit
        self._waiting: OrderedDict[Connection, _Waiting] = OrderedDict()
        """The longest waiting first."""
        self._bytes = 0
        self._frames = 0
        self._ended: OrderedDict[bytes, None] = OrderedDict()
        """Directions of connections that were kept and have ended."""

    def take(self, frame: Frame, segment: Segment | None, tracker: Tracker) -> None:
        """Keep a frame, forget it, or let it wait."""
        self._frames += 1
        if not self._frames % LOOK_EVERY:
            self.tick()
        if segment is None:
            return
        connection = tracker.connection(segment.key)
        if connection is None:
            if segment.key in self._ended:
                self._writer.write(frame, self._source.at)
            return
        kept = connection.kept
        if kept is None:
            kept = tracker.verdict(connection)
            if kept is None:
                self._wait(connection, frame, tracker)
                return
            self._decide(connection, kept)
        if kept:
            self._writer.write(frame, self._source.at)

    def skimmed(self, frame: Frame, wanted: bool) -> None:
        """Keep a frame that was only counted, where it is DICOM: that is known by then."""
        if wanted:
            self._frames += 1
            if not self._frames % LOOK_EVERY:
                self.tick()
            self._writer.write(frame, self._source.at)

    def tick(self) -> None:
        """Time passes."""
        self._writer.tick()
        for connection in [each for each in self._waiting if each.ended]:
            # It ended undecided, or in the same breath as it was recognised.
            self._decide(connection, connection.recognised)

    def _decide(self, connection: Connection, dicom: bool) -> None:
        connection.kept = dicom
        waited = self._waiting.pop(connection, None)
        if waited is not None:
            self._bytes -= waited.bytes
        if not dicom:
            return
        if waited is not None:
            for frame, link in waited.frames:
                self._writer.write(frame, link)
        key = connection.streams[0].key
        for each in (key, peer_key(key)):
            self._ended[each] = None
            self._ended.move_to_end(each)
        while len(self._ended) > 2 * ENDED_KEPT:
            self._ended.popitem(last=False)

    def _wait(self, connection: Connection, frame: Frame, tracker: Tracker) -> None:
        waiting = self._waiting.get(connection)
        if waiting is None:
            waiting = self._waiting[connection] = _Waiting()
        size = len(frame.data) + OVERHEAD
        waiting.frames.append((frame, self._source.at))
        waiting.bytes += size
        self._bytes += size
        while self._bytes > self._limit:
            # It may be recognised yet, and is then kept from there on.
            _, oldest = self._waiting.popitem(last=False)
            self._bytes -= oldest.bytes
            evicted = tracker.evicted
            evicted["frames"] = evicted.get("frames", 0) + len(oldest.frames)
