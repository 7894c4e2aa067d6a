"""The packets of associations, or of some of their rows, read once more and kept as pcapng.

Packets are not held in memory. A capture that is still there is read again, and those of the
connections asked for are copied as they were captured: handshake and acknowledgements included, so
that Wireshark follows the stream.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from dicomsniff.model import UNREACHABLE, Association, Endpoint, Entry, Frame, Segment, Source
from dicomsniff.output import OutputError
from dicomsniff.sources.live import Link
from dicomsniff.sources.writer import PcapngWriter
from dicomsniff.tcp.frames import Dissector, endpoints

LINGER: Final = 120_000_000_000
"""Nanoseconds after the last row in which a connection closes: twice the maximum segment lifetime
of most systems. Past that, and past the last frame, there is nothing more to copy."""

HANDSHAKE: Final = 8
"""Frames kept of a handshake, sent again ones included, until the association begins."""

PIECES: Final = 256
"""Frames without a TCP segment kept for the case that they are the first fragments of an IP
datagram that a later frame completes."""

SNAPLEN: Final = 262_144
"""What the file says of its interfaces: no frame is longer (Wireshark's own limit)."""

STEP: Final = 4096
"""Frames between two calls of ``step``."""

_SYN, _ACK = 2, 16

Pair = frozenset[Endpoint]


class Stretch(NamedTuple):
    """A part of a connection."""

    pair: Pair
    first: int
    """Frame numbers, both included."""
    last: int
    whole: bool
    """The handshake before it and the end of the connection behind it as well."""
    ended: int
    """Time of its last row."""
    before: int | None = None
    """Where ``whole``: the frame from which the connection belongs to another association."""


def _pair(association: Association) -> Pair:
    requestor, acceptor = association.requestor, association.acceptor
    return frozenset(
        (Endpoint(requestor.address, requestor.port), Endpoint(acceptor.address, acceptor.port))
    )


def _first_frame(entry: Entry) -> int:
    return entry.frames[0] if entry.frames else entry.last_frame


def of_associations(
    chosen: Iterable[Association], everything: Iterable[Association]
) -> list[Stretch]:
    """What belongs to associations. ``everything``: all of the capture, since connections may
    carry several of them one after the other."""
    chosen = [a for a in chosen if a.timeline]
    pairs = {_pair(a) for a in chosen}
    begins: dict[Pair, list[int]] = {}
    for a in everything:
        if a.timeline and (pair := _pair(a)) in pairs:
            begins.setdefault(pair, []).append(_first_frame(a.timeline[0]))
    stretches = []
    for a in chosen:
        first = _first_frame(a.timeline[0])
        last = max(entry.last_frame for entry in a.timeline)
        later = [frame for frame in begins.get(_pair(a), ()) if frame > last]
        stretches.append(Stretch(_pair(a), first, last, True, a.ended, min(later, default=None)))
    return stretches


def of_rows(rows: Iterable[tuple[Association, Entry]]) -> list[Stretch]:
    """What carried rows, with the acknowledgements between."""
    return [
        Stretch(_pair(a), _first_frame(entry), entry.last_frame, False, entry.time)
        for a, entry in rows
    ]


def write(
    source: Source,
    path: Path,
    stretches: Sequence[Stretch],
    *,
    step: Callable[[float | None], None] | None = None,
) -> int:
    """Copy the packets of ``stretches`` from ``source`` to a new file; how many there were.

    ``step`` is told now and then which share of the source was read, None where that is not
    known; what it raises ends the copying. The file appears whole or not at all. Raises
    ``FileExistsError`` where it is there already, ``OSError`` or ``SourceError`` where reading or
    writing fails, ``OutputError`` where none of the packets was found.
    """
    if path.exists():
        raise FileExistsError(path)
    partial = path.with_name(path.name + ".partial")
    copier = _Copier(str(partial), stretches)
    try:
        try:
            copier.run(source, step)
        finally:
            source.close()
            copier.close()
        if not copier.packets:
            raise OutputError("none of the packets is in the capture any more")
        _give_name(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return copier.packets


def _give_name(partial: Path, path: Path) -> None:
    """Rename without ever replacing a file that came meanwhile, where the file system can."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # no links there, as on FAT
        partial.rename(path)


class _Copier:
    """Looks at frames, one after the other."""

    def __init__(self, path: str, stretches: Sequence[Stretch]) -> None:
        self.packets = 0
        self._path = path
        self._writer: PcapngWriter | None = None
        self._links: dict[int, int] = {}
        self._stretches: dict[Pair, list[Stretch]] = {}
        for stretch in stretches:
            self._stretches.setdefault(stretch.pair, []).append(stretch)
        self._last = max((s.last for s in stretches), default=0)
        self._until = max((s.ended for s in stretches), default=0) + LINGER
        self._handshakes: dict[Pair, list[Frame]] = {}
        self._shaken: set[Pair] = set()
        """Those that are over: data came."""
        self._over: set[Stretch] = set()
        """Whole ones whose connection was used again."""
        self._pieces: deque[Frame] = deque(maxlen=PIECES)

    def run(self, source: Source, step: Callable[[float | None], None] | None) -> None:
        """Copy what belongs to the stretches."""
        dissector = Dissector()
        for number, frame in enumerate(source, 1):
            if step is not None and not number % STEP:
                step(getattr(source, "progress", None))
            if frame.number > self._last and frame.time > self._until:
                return
            segment = dissector.segment(frame)
            if segment is None or segment.flags == UNREACHABLE:
                self._pieces.append(frame)
                continue
            pair = frozenset(endpoints(segment.key))
            of_pair = self._stretches.get(pair)
            if of_pair is not None:
                self._consider(frame, segment, pair, of_pair)

    def close(self) -> None:
        """Write what waits."""
        if self._writer is not None:
            self._writer.close()

    def _consider(
        self, frame: Frame, segment: Segment, pair: Pair, of_pair: Sequence[Stretch]
    ) -> None:
        """A frame of one of the connections."""
        number = frame.number
        begins = segment.flags & (_SYN | _ACK) == _SYN
        wanted = False
        for stretch in of_pair:
            if number < stretch.first:
                continue
            if number > stretch.last:
                if begins or (stretch.before is not None and number >= stretch.before):
                    self._over.add(stretch)
                if not stretch.whole or stretch in self._over:
                    continue
            wanted = True
        if wanted:
            for waiting in self._handshakes.pop(pair, ()):
                self._put(waiting)
            if len(segment.payload) > len(frame.data):
                addresses = segment.key[:-4]
                for piece in [each for each in self._pieces if addresses in each.data]:
                    self._put(piece)
                    self._pieces.remove(piece)
            self._put(frame)
        elif any(stretch.whole and number < stretch.first for stretch in of_pair):
            if begins:
                self._handshakes[pair] = [frame]
                self._shaken.discard(pair)
            elif segment.length:
                self._shaken.add(pair)
            elif pair in self._handshakes and pair not in self._shaken:
                self._handshakes[pair].append(frame)
                if len(self._handshakes[pair]) == HANDSHAKE:
                    self._shaken.add(pair)

    def _put(self, frame: Frame) -> None:
        """Write a frame; each link type is an interface of its own."""
        link = self._links.get(frame.link_type)
        if link is None:
            link = self._links[frame.link_type] = len(self._links)
            described = Link(f"link type {frame.link_type}", frame.link_type, SNAPLEN)
            if self._writer is None:
                self._writer = PcapngWriter(self._path, [described])
            else:
                self._writer.describe(described)
        assert self._writer is not None
        self._writer.write(frame, link)
        self.packets += 1
