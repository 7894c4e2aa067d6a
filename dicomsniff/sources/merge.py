"""Several captures as one: frames in the order of their time, numbered as mergecap would.

A ring of files is read one after the other: a capture is opened when the others have come to the
time of its first frame, and closed when it is used up. A hundred files take no more than those
that overlap.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush, heapreplace
from typing import IO

from dicomsniff.model import Decrypted, Frame, Source
from dicomsniff.sources import SourceError, source_names
from dicomsniff.sources.tshark import find_tshark


class Merged:
    """A source made of others. Each of them is expected to be in the order of its own time."""

    def __init__(self, paths: Sequence[str], open_one: Callable[[str], Source]) -> None:
        """``open_one`` opens one of ``paths``."""
        self.name = source_names(paths)
        self._open = open_one
        begins = [(_first_time(path), place, path) for place, path in enumerate(paths)]
        self._waiting = sorted(begins, reverse=True)
        """Captures not opened yet, the first one last. Those whose beginning is not known have to
        be opened to learn it, and come first."""
        self._sources: list[Source] = []
        """Those that were opened."""
        self._sizes = {path: os.path.getsize(path) for path in paths}
        self._opened: list[tuple[int, Source]] = []
        """Bytes of each capture that was opened, and the capture."""
        self._closed = False
        self._next = self._begin()
        self.reader = self._sources[0].reader

    def _begin(self) -> tuple[int, Iterator[Frame]]:
        """Open the next capture; its place in the user's order, and its frames."""
        _, place, path = self._waiting.pop()
        source = self._open(path)
        self._sources.append(source)
        self._opened.append((self._sizes[path], source))
        return place, iter(source)

    @property
    def progress(self) -> float | None:
        """Share of all captures that was read, 0 to 1; None where one of them cannot tell."""
        read = 0.0
        for size, source in self._opened:
            share = getattr(source, "progress", None)
            if share is None:
                return None
            read += size * share
        return min(1.0, read / (sum(self._sizes.values()) or 1))

    def __iter__(self) -> Iterator[Frame]:
        """Every frame, numbered anew. Once."""
        number = 0
        heap: list[tuple[int, int, int, Frame, Iterator[Frame]]] = []
        opened: tuple[int, Iterator[Frame]] | None = self._next
        while not self._closed:
            if opened is not None:
                place, frames = opened
                opened = None
                first = next(frames, None)
                if first is not None:
                    heappush(heap, (first.time, _turn(first, place), place, first, frames))
            if self._waiting and (not heap or heap[0][0] >= self._waiting[-1][0]):
                opened = self._begin()
                continue
            if not heap:
                return
            _, _, place, frame, frames = heap[0]
            number += 1
            yield _numbered(frame, number)
            following = next(frames, None)
            if following is None:
                heappop(heap)
            else:
                turn = _turn(following, place)
                heapreplace(heap, (following.time, turn, place, following, frames))

    def close(self) -> None:
        """Close every capture."""
        self._closed = True
        for source in self._sources:
            source.close()

    @property
    def truncated(self) -> bool:
        """Whether any of them ends in a damaged frame."""
        return any(source.truncated for source in self._sources)

    @property
    def dropped(self) -> int | None:
        """Frames lost in all of them that tell, None where none does."""
        told = [source.dropped for source in self._sources if source.dropped is not None]
        return sum(told) if told else None

    @property
    def notices(self) -> list[str]:
        """Each notice once."""
        return list(dict.fromkeys(n for source in self._sources for n in source.notices))


def _turn(frame: Frame, place: int) -> int:
    """What decides between frames of one time. mergecap takes that of the last file; of those that
    have no time (simple packet blocks) that of the first."""
    return -place if frame.time else place


def _numbered(frame: Frame, number: int) -> Frame:
    """The frame under another number."""
    if not isinstance(frame, Decrypted):
        return frame._replace(number=number)
    made = Decrypted(number, *frame[1:])
    made.plaintexts = frame.plaintexts
    return made


def _first_time(path: str) -> int:
    """The time of a capture's first frame; -1 where only tshark could tell."""
    from dicomsniff.sources.pcapfile import CaptureFile

    try:
        file = CaptureFile(path)
        try:
            first = next(iter(file), None)
        finally:
            file.close()
    except SourceError:
        return -1
    return -1 if first is None else first.time


def merged_by_mergecap(paths: Sequence[str]) -> IO[bytes] | None:
    """The captures merged into a temporary file, None where mergecap is not installed.

    Raises ``SourceError`` with mergecap's words where it fails.
    """
    mergecap = find_tshark("mergecap")
    if mergecap is None:
        return None
    spool: IO[bytes] = tempfile.NamedTemporaryFile(prefix="dicomsniff-")  # noqa: SIM115
    run = subprocess.run(
        [mergecap, "-F", "pcapng", "-w", spool.name, "--", *paths],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if run.returncode:
        spool.close()
        words = [line for line in run.stderr.splitlines() if line.startswith("mergecap: ")]
        said = words[0].removeprefix("mergecap: ") if words else f"status {run.returncode}"
        raise SourceError(f"{source_names(paths)}: mergecap: {said}")
    return spool
