"""Saved captures and pipes without tshark: pcap and pcapng, compressed with gzip or not.

What the two formats hold is read by :mod:`dicomsniff.sources.pcap` and, through scapy, by
:mod:`dicomsniff.sources.pcapng`. Frame numbers, times and lengths are the ones tshark gives for
the same file.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from dicomsniff.model import Frame, Stretch, one_by_one, stretches
from dicomsniff.sources import STDIN, SourceError, label, source_name
from dicomsniff.sources.pcap import MAGICS, Damage, PcapReader
from dicomsniff.sources.stream import GZIP_MAGIC, PEEK, Descriptor, Gunzip, Stream

if TYPE_CHECKING:
    from dicomsniff.model import Source
    from dicomsniff.sources.pcapng import PcapNgReader
    from dicomsniff.sources.stream import Raw

PCAPNG_MAGIC: Final = b"\x0a\x0d\x0d\x0a"
READABLE: Final = (*MAGICS, PCAPNG_MAGIC)
"""The first four bytes of what this module reads."""

DECOMPRESSORS: Final = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}
"""Programs by the first four bytes of what they compress. gzip is inflated here."""


def read_frames(stream: Stream) -> PcapReader | PcapNgReader:
    """The reader for what ``stream`` holds.

    Raises ``Damage`` where it is neither pcap nor pcapng, or ends within its header.
    """
    magic = stream.peek(4)
    if magic not in READABLE:
        raise Damage("neither pcap nor pcapng")
    stream.at += 4
    if magic in MAGICS:
        return PcapReader(stream, magic)
    # Only here: importing scapy takes longer than all that is done with a small capture.
    from dicomsniff.sources import pcapng

    return pcapng.opened(stream, magic)


class CaptureFile:
    """A pcap or pcapng file or stream, read with scapy. A ``model.Source``."""

    def __init__(
        self,
        path: str,
        *,
        otherwise: Callable[[Descriptor, bytes], Source] | None = None,
    ) -> None:
        """Open ``path`` (``-``: the standard input).

        ``otherwise`` makes the source that takes over where the bytes turn out to be neither pcap
        nor pcapng, from the descriptor and the bytes that were read of it.
        """
        self.reader = "scapy"
        self.name = source_name(path)
        self.truncated = False
        self.dropped: int | None = None
        self.notices: list[str] = []
        self.secrets: list[bytes] = []
        """TLS secrets that the capture brought along so far."""
        self.decrypted = False
        """Somebody makes use of them."""
        self._path = label(path)
        self._otherwise = otherwise
        self._taken_over: Source | None = None
        try:
            # A descriptor of our own: a screen may take descriptor 0 for the keyboard.
            descriptor = os.dup(0) if path == STDIN else os.open(path, os.O_RDONLY | _BINARY)
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror or error}") from None
        self._size = size_of(descriptor)
        self._descriptor = Descriptor(descriptor)

    @property
    def silent(self) -> Callable[[float], None] | None:
        """Who is called while nothing comes through a pipe, with the seconds that has lasted."""
        return self._descriptor.silent

    @silent.setter
    def silent(self, hear: Callable[[float], None] | None) -> None:
        self._descriptor.silent = hear

    @property
    def progress(self) -> float | None:
        """Share of the file that was read, 0 to 1; None of a stream, whose length nobody knows."""
        return min(1.0, self._descriptor.taken / self._size) if self._size else None

    def __iter__(self) -> Iterator[Frame]:
        """Every frame of the capture. Once: a stream has no beginning to go back to."""
        return one_by_one(self.stretches())

    def stretches(self) -> Iterator[Stretch | Frame]:
        """The same, as many at once as are at hand."""
        raw: Raw = self._descriptor
        try:
            head = _head(self._descriptor)
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror or error}") from None
        if self._otherwise is not None and head and not head.startswith((GZIP_MAGIC, *READABLE)):
            yield from self._take_over(self._otherwise(self._descriptor, head))
            return
        gunzip: Gunzip | None = None
        if head.startswith(GZIP_MAGIC):
            raw = gunzip = Gunzip(raw, head)
            head = b""
        stream = Stream(raw, head)
        try:
            reader = self._reader(stream)
            if reader is None:
                return
            self.secrets = reader.secrets
            try:
                yield from reader.stretches()
            except Damage as damage:
                if not (self._descriptor.stopped or stream.error):
                    self._cut(str(damage))
            finally:
                self.dropped = reader.dropped
                if reader.secrets and not self.decrypted:
                    self.notices.append(
                        f"{self._path}: it holds TLS secrets, which tshark alone can use: "
                        "install tshark, and leave out --reader scapy"
                    )
            if stream.error is not None:
                self.truncated = True
                raise SourceError(
                    f"{self._path}: cannot be read on: {stream.error.strerror or stream.error}; "
                    "the frames before that are shown"
                )
            damaged = gunzip is not None and gunzip.damaged
            if damaged and not (self.truncated or self._descriptor.stopped):
                self._cut("the compressed data is damaged or cut off")
        finally:
            stream.close()

    def _take_over(self, source: Source) -> Iterator[Stretch | Frame]:
        """Hand over what another source reads from the same stream, under its name."""
        self._taken_over = source
        self.reader = source.reader
        try:
            yield from stretches(source)
        finally:
            self.truncated = source.truncated
            self.dropped = source.dropped
            self.notices.extend(source.notices)

    def _reader(self, stream: Stream) -> PcapReader | PcapNgReader | None:
        """The reader for the stream; None where it was closed before anything came."""
        magic = stream.peek(4)
        if stream.error is not None and len(magic) < 4:
            raise SourceError(f"{self._path}: {stream.error.strerror or stream.error}")
        if not magic:
            if self._descriptor.stopped:
                return None
            raise SourceError(f"{self._path}: empty, not a capture")
        try:
            return read_frames(stream)
        except Damage as damage:
            if magic in READABLE:
                raise SourceError(f"{self._path}: not a capture: {damage}") from None
        program = DECOMPRESSORS.get(magic)
        if program is not None:
            name = "-" if self._path == "stdin" else self._path
            raise SourceError(
                f"{self._path}: compressed with {program}, which scapy does not read; with tshark "
                f"leave out --reader scapy, or: {program} -dc {name} | dicomsniff COMMAND -"
            )
        raise SourceError(
            f"{self._path}: neither pcap nor pcapng, which is all scapy reads; where this is a "
            "capture of another kind, install tshark and leave out --reader scapy"
        )

    def _cut(self, why: str) -> None:
        self.truncated = True
        self.notices.append(
            f"{self._path}: damaged or cut off, the frames before that are shown: {why}"
        )

    def close(self) -> None:
        """Close the file; an iteration that waits on a pipe ends. From any thread."""
        if self._taken_over is not None:
            self._taken_over.close()
        self._descriptor.close()


def size_of(descriptor: int) -> int | None:
    """Bytes of a regular file that is open, None of anything else."""
    information = os.fstat(descriptor)
    return information.st_size if stat.S_ISREG(information.st_mode) else None


def _head(descriptor: Descriptor) -> bytes:
    """The first four bytes of a stream, or all of it where it is shorter."""
    head = b""
    while len(head) < 4 and (data := descriptor.read(4 - len(head))):
        head += data
    return head


def is_plain_pcapng(head: bytes) -> bool | None:
    """Whether a file that begins with these bytes is pcapng, and tshark hands over the time stamps
    of all the interfaces described there as they are. It rounds those in powers of two, and from
    4.6 on adds an offset (if_tsoffset) twice. None where they are of several links besides, which
    go into pcapng alone."""
    if head.startswith(GZIP_MAGIC):
        head = Gunzip(io.BytesIO(head)).read(PEEK)
    if not head.startswith(PCAPNG_MAGIC):
        return False
    from dicomsniff.sources import pcapng

    try:
        reader = pcapng.opened(Stream(io.BytesIO(), head[len(PCAPNG_MAGIC) :]), PCAPNG_MAGIC)
        next(reader.frames(), None)
    except Damage:
        return True
    known = reader.known
    if not any(
        each.offset or (each.units > 1 and not each.units & (each.units - 1)) for each in known
    ):
        return True
    return None if len({each.link_type for each in known}) > 1 else False


_BINARY: Final = getattr(os, "O_BINARY", 0)
