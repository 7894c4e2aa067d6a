"""Keeping packets: pcapng files (draft-ietf-opsawg-pcapng), one or a ring of them.

scapy's writer knows microseconds only, one description for all interfaces, and writes through a
buffer that a crash takes along; what has to be written is four kinds of blocks. Times are
nanoseconds. A block is handed to the system whole, many at a time, so that a file whose writer was
killed ends with a whole block or with a torn one, which every reader knows to leave out.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Sequence
from typing import BinaryIO, Final, NamedTuple

from dicomsniff import __version__
from dicomsniff.model import Frame
from dicomsniff.sources import SourceError
from dicomsniff.sources.blocks import ENHANCED_PACKET, HEAD, interface, packet, section
from dicomsniff.sources.live import Link

FLUSH_BYTES: Final = 1 << 20
"""Bytes gathered before they are written: one system call for about a thousand packets."""

FLUSH_EVERY: Final = 1.0
"""Seconds after which they are written in any case: what a crash may cost."""

FILES_MOST: Final = 100_000
"""Files of a ring: their numbers have five digits."""

_SIZES: Final = re.compile(r"(?i)(?:(\d+)x)?(\d+)([kmgt])(i?)b?")
_TIMES: Final = re.compile(r"(?i)(?:(\d+)x)?(\d+)(s|min|h|d)")
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


class Rotation(NamedTuple):
    """When a new file is begun, and how many are kept."""

    files: int | None
    """None: all."""
    size: int | None
    """Bytes of one file."""
    seconds: float | None


def rotation(text: str) -> Rotation:
    """Read ``10x100MB`` (ten files of 100 MB), ``24x1h``, or several joined by commas
    (``10x100MB,1h``: whatever comes first). Raises ``ValueError`` with a line for the user."""
    files: int | None = None
    size: int | None = None
    seconds: float | None = None
    for part in text.split(","):
        sizes, times = _SIZES.fullmatch(part.strip()), _TIMES.fullmatch(part.strip())
        found = sizes or times
        if found is None or not int(found[2]):
            raise ValueError(f"{text!r}: say 10x100MB, 24x1h or 10x100MB,1h")
        if sizes is not None:
            power = "kmgt".index(sizes[3].lower()) + 1
            size = int(sizes[2]) * (1024 if sizes[4] else 1000) ** power
        elif times is not None:
            seconds = int(times[2]) * _SECONDS[times[3].lower()]
        if found[1] is not None:
            files = int(found[1])
            if not 0 < files <= FILES_MOST:
                raise ValueError(f"{text!r}: 1 to {FILES_MOST} files")
    return Rotation(files, size, seconds)


class PcapngWriter:
    """Writes frames to a file, or to a ring of files.

    Without rotation the file has the name given. With it, files are called
    ``NAME_00001_20260105081500.pcapng``, as dumpcap does, and the oldest of those that this
    writer made is removed when there are too many. Raises ``SourceError`` where a file cannot be
    written.
    """

    def __init__(self, path: str, links: Sequence[Link], rotation: Rotation | None = None) -> None:
        """Open the first file; ``links`` are what frames come from."""
        self.path = path
        self.packets = 0
        self.files = 0
        """How many were begun."""
        self._rotation = rotation
        self._links = tuple(links)
        self._kept: deque[str] = deque()
        self._pending: list[bytes] = []
        self._waiting = 0
        self._written = 0
        self._empty = True
        """Whether the present file holds no packet yet."""
        self._room = FLUSH_BYTES
        """Bytes that may wait: no more than the present file has room for."""
        self._stream: BinaryIO | None = None
        self._flush_at = 0.0
        self._rotate_at = 0.0
        self._name = path
        self._begin()

    def write(self, frame: Frame, link: int = 0) -> None:
        """Keep a frame that came from ``links[link]``."""
        length, pieces = packet(frame, link)
        self._pending += pieces
        self._waiting += length
        self._empty = False
        self.packets += 1
        if self._waiting >= self._room:
            self.flush()

    def told(self) -> str:
        """One line for people: how many packets there were, and in which files they are."""
        first, last = self._kept[0], self._kept[-1]
        packets = f"{self.packets:,} packet{'s' * (self.packets != 1)}"
        if self.files == 1:
            return f"{last}: {packets} kept"
        names = last if first == last else f"{first} to {last}"
        gone = self.files - len(self._kept)
        of = f"; of {self.files:,} files the last {len(self._kept):,} are kept" if gone else ""
        return f"{names}: {packets} {'written' if gone else 'kept'}{of}"

    def describe(self, link: Link) -> None:
        """Add a link that frames come from; its number is how many there were before."""
        self._links = (*self._links, link)
        block = _described(link)
        self._pending.append(block)
        self._waiting += len(block)

    def tick(self) -> None:
        """Write what waits, and rotate, where it is time."""
        now = time.monotonic()
        if now >= self._flush_at and self._pending:
            self.flush()
        rotate = self._rotation
        if rotate is not None and rotate.seconds is not None and now >= self._rotate_at:
            self._rotate()

    def flush(self) -> None:
        """Hand everything to the system."""
        stream = self._stream
        if stream is None:
            return
        self._flush_at = time.monotonic() + FLUSH_EVERY
        data = b"".join(self._pending)
        self._pending.clear()
        self._waiting = 0
        view = memoryview(data)
        try:
            while view:
                view = view[stream.write(view) :]
        except OSError as error:
            self._stream = None
            self._end_whole(stream, data, len(data) - len(view))
            raise SourceError(
                f"{self._name}: {error.strerror or error}; {self.packets:,} packets were kept"
            ) from error
        self._written += len(data)
        rotate = self._rotation
        if rotate is not None and rotate.size is not None:
            # A file of which the descriptions alone are that long holds a packet all the same.
            if self._written >= rotate.size and not self._empty:
                self._rotate()
            else:
                self._room = min(FLUSH_BYTES, rotate.size - self._written)

    def close(self) -> None:
        """Write everything and close the file. Safe to call again."""
        self.flush()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _end_whole(self, stream: BinaryIO, data: bytes, written: int) -> None:
        """Nothing more can be written: let the file end with its last whole block, and count what
        is in it."""
        at = whole = 0
        while at < len(data):
            kind, length = HEAD.unpack_from(data, at)
            at += length
            if at <= written:
                whole = at
            elif kind == ENHANCED_PACKET:
                self.packets -= 1
        try:
            stream.truncate(self._written + whole)
            stream.close()
            if not self._written + whole:
                os.unlink(self._name)
        except OSError:
            pass  # a torn block at the end is left out by every reader

    # ------------------------------------------------------------------ files

    def _rotate(self) -> None:
        if self._pending:
            self.flush()  # which rotates in turn where the size is reached, too
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        self._begin()

    def _begin(self) -> None:
        """Begin a file: section header, then a description of each interface."""
        self.files += 1
        self._name = self.path if self._rotation is None else self._numbered()
        try:
            # Unbuffered: what is handed over in one piece is written in one piece.
            self._stream = open(self._name, "wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise SourceError(f"{self._name}: {error.strerror or error}") from error
        self._kept.append(self._name)
        rotate = self._rotation
        if rotate is not None:
            while rotate.files is not None and len(self._kept) > rotate.files:
                try:
                    os.unlink(self._kept.popleft())
                except OSError:
                    pass  # somebody else has removed or moved it
            self._rotate_at = time.monotonic() + (rotate.seconds or 0)
        self._written = 0
        self._empty = not self._pending
        described = map(_described, self._links)
        self._pending[:0] = [section(f"dicomsniff {__version__}"), *described]
        self.flush()

    def _numbered(self) -> str:
        root, extension = os.path.splitext(self.path)
        moment = time.strftime("%Y%m%d%H%M%S")
        return f"{root}_{self.files:05d}_{moment}{extension or '.pcapng'}"


def _described(link: Link) -> bytes:
    return interface(link.type, link.snaplen, link.name)
