"""Saved captures and pipes through scapy's raw readers: pcap and pcapng, without tshark.

scapy knows the headers, sections, interfaces and options of both formats and reads them here.
Only the loop over the packets is ours, for three reasons: scapy cuts packets at 65,535 bytes
(offloading leaves 64 KiB of payload behind headers), it knows neither time stamp offsets nor the
counters of lost packets, and it takes 10 µs for a packet of pcapng where 1 µs will do.

Frame numbers, times and lengths are the ones tshark gives for the same file.

pcap: draft-ietf-opsawg-pcap; pcapng: draft-ietf-opsawg-pcapng (block and option numbers).
"""

from __future__ import annotations

import io
import logging
import os
import stat
from collections.abc import Callable, Iterator
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from scapy.error import Scapy_Exception
from scapy.utils import RawPcapNgReader, RawPcapReader

from dicomsniff.model import Frame, Stretch, one_by_one, stretches
from dicomsniff.sources import STDIN, SourceError, label, source_name
from dicomsniff.sources.blocks import (
    ENHANCED_PACKET,
    INTERFACE_STATISTICS,
    PACKET,
    SECTION_HEADER,
    SIMPLE_PACKET,
)
from dicomsniff.sources.losses import counted_losses
from dicomsniff.sources.stream import BLOCK_LIMIT, GZIP_MAGIC, Descriptor, Gunzip, Stream

if TYPE_CHECKING:
    from dicomsniff.model import Source
    from dicomsniff.sources.stream import Raw

FRAME_LIMIT: Final = 262_144
"""Longest frame that is believed, as in Wireshark: a longer one is a damaged length."""

SECRETS_LIMIT: Final = 16 << 20
"""Bytes of decryption secrets that are held: of some 50,000 TLS connections."""

PCAP_MAGICS: Final = (
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
)
PCAPNG_MAGIC: Final = b"\x0a\x0d\x0d\x0a"
READABLE: Final = (*PCAP_MAGICS, PCAPNG_MAGIC)
"""The first four bytes of what this module reads."""

DECOMPRESSORS: Final = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}
"""Programs by the first four bytes of what they compress. gzip is inflated here."""

RAW_IP: Final = 101
RAW_IP_ALIASES: Final = frozenset((12, 14))
"""What systems call raw IP in files; LINKTYPE_RAW is the number meant for files, and tshark's."""

# Option codes of pcapng.
_OPTION_TSOFFSET = 14
_OPTION_DROPCOUNT = 4

_SECOND = 1_000_000_000

NUMBERED: Final = frozenset(
    (PACKET, SIMPLE_PACKET, 9, 0xBAD, 0x40000BAD, 0x204, 0x208, 0x216, 0x221)
)
"""Blocks besides enhanced packets that Wireshark gives a frame number: packets of older kinds,
systemd's journal, custom blocks, events of sysdig."""


class Damage(Exception):
    """The capture cannot be read on from here. The text says what is wrong."""


class _Interface(NamedTuple):
    """What packet blocks need of an interface description."""

    link_type: int
    units: int
    """Time stamp units in a second (option if_tsresol)."""
    offset: int
    """Nanoseconds to add to each time stamp (option if_tsoffset)."""
    multiplier: int
    """Nanoseconds in a unit where that is a whole number, else 0."""
    snaplen: int


def link_type_of(number: int) -> int:
    """The LINKTYPE value for what a file says: without flags, one number for raw IP."""
    number &= 0xFFFF
    return RAW_IP if number in RAW_IP_ALIASES else number


class PcapReader(RawPcapReader):
    """scapy's pcap reader, with a loop of our own over the packets."""

    count = 0
    """Number of the last frame, once ``frames`` is done."""

    def frames(self) -> Iterator[Frame]:
        """Every frame of the file. Raises ``Damage`` where it is cut off or corrupt."""
        return one_by_one(self.stretches())

    def stretches(self) -> Iterator[Stretch]:
        """The same, as many at once as are at hand."""
        stream = cast(Stream, self.f)
        header = Struct(self.endian + "IIII")
        size = header.size
        unpack = header.unpack_from
        unit = 1 if self.nano else 1000
        link_type = link_type_of(self.linktype)
        number = 0
        try:
            while stream.fill(size):
                buffer, at, end = stream.buffer, stream.at, len(stream.buffer)
                places: list[tuple[int, int, int, int, int, int]] = []
                add = places.append
                captured = 0
                last = end - size
                while at <= last:
                    seconds, fraction, captured, length = unpack(buffer, at)
                    start = at + size
                    next_at = start + captured
                    if next_at > end:
                        break
                    number += 1
                    add(
                        (
                            number,
                            seconds * _SECOND + fraction * unit,
                            link_type,
                            start,
                            next_at,
                            length if length > captured else captured,
                        )
                    )
                    at = next_at
                stream.at = at
                if places:
                    yield Stretch(buffer, places)
                if at <= last:
                    if captured > FRAME_LIMIT:
                        raise Damage(
                            f"a packet of {captured} bytes, more than {FRAME_LIMIT}; where this is "
                            "a variant of pcap, tshark reads it: leave out --reader scapy"
                        )
                    if not stream.fill(size + captured):
                        raise Damage("cut off in the middle of a packet")
            if stream.at < len(stream.buffer):
                raise Damage("cut off in the header of a packet")
        finally:
            self.count = number


class PcapNgReader(RawPcapNgReader):
    """scapy's pcapng reader, with a loop of our own over the packet blocks."""

    count = 0
    """Number of the last frame, once ``frames`` is done."""
    numbered = False
    """Whether the last of the rare blocks took a frame number."""

    def __init__(self, *arguments: Any) -> None:
        self.secrets: list[bytes] = []
        """Bodies of decryption secrets blocks, in little-endian order. They are of no use here."""
        self.known: list[_Interface] = []
        """Interfaces of the section, by their number."""
        self.lost: dict[tuple[int, int], int] = {}
        """Packets lost, by section and interface, as the latest statistics block says."""
        self.lost_by_packet = 0
        """Packets lost, as the packets themselves say."""
        self.counts_losses = False
        self.section = 0
        super().__init__(*arguments)

    @property
    def dropped(self) -> int | None:
        """Packets that were lost before they were captured, None where nothing tells."""
        if self.lost:
            return sum(self.lost.values())
        return self.lost_by_packet if self.counts_losses else None

    # ------------------------------------------------------------ rare blocks, through scapy

    def _read_block_shb(self) -> None:
        # scapy keeps the interfaces of the section before; numbers begin anew in each section.
        super()._read_block_shb()
        self.section += 1
        self.known.clear()
        self.interfaces.clear()

    def _read_block_idb(self, block: bytes, _: int) -> None:
        super()._read_block_idb(block, _)
        link_type, snaplen, options = self.interfaces[-1]
        units = options["tsresol"]
        offset = 0
        value = self._read_options(block[8:]).get(_OPTION_TSOFFSET)
        if isinstance(value, bytes) and len(value) == 8:
            offset = Struct(self.endian + "q").unpack(value)[0] * _SECOND
        multiplier = _SECOND // units if not _SECOND % units else 0
        self.known.append(_Interface(link_type_of(link_type), units, offset, multiplier, snaplen))

    def _read_block_dsb(self, block: bytes, size: int) -> None:
        # Decryption secrets are tshark's business: scapy would load its TLS layer for them.
        del size
        if len(block) >= 8 and sum(map(len, self.secrets)) + len(block) <= SECRETS_LIMIT:
            kind, length = Struct(self.endian + "II").unpack_from(block)
            self.secrets.append(Struct("<II").pack(kind, length) + block[8:])

    def _read_block_pib(self, block: bytes, _: int) -> None:
        # Who owned the socket (macOS). Nothing here needs it.
        del block, _

    def _statistics(self, body: bytes) -> None:
        """Take the counters of an interface statistics block."""
        if len(body) < 12:
            return
        counted = counted_losses(body[12:], self.endian)
        if counted is not None:
            interface = Struct(self.endian + "I").unpack_from(body)[0]
            self.lost[self.section, interface] = counted

    def _packet_options(self, options: bytes) -> None:
        """Take the count of packets lost in front of a packet."""
        value = self._read_options(options).get(_OPTION_DROPCOUNT)
        if isinstance(value, bytes) and len(value) == 8:
            self.counts_losses = True
            self.lost_by_packet += Struct(self.endian + "Q").unpack(value)[0]

    # ------------------------------------------------------------ packets

    def frames(self) -> Iterator[Frame]:
        """Every frame of the file. Raises ``Damage`` where it is cut off or corrupt."""
        return one_by_one(self.stretches())

    def stretches(self) -> Iterator[Stretch | Frame]:
        """The same, as many at once as are at hand."""
        stream = cast(Stream, self.f)
        unpack = Struct(self.endian + "7I").unpack_from
        number = 0
        # The interface of the last packet, taken apart: most captures have one.
        current = -1
        link_type = units = offset = multiplier = 0
        try:
            while True:
                stream.fill(32)
                buffer, at, end = stream.buffer, stream.at, len(stream.buffer)
                if at == end:
                    return
                places: list[tuple[int, int, int, int, int, int]] = []
                add = places.append
                kind = block_length = 0
                last = end - 32
                damage = ""
                while at <= last:
                    kind, block_length, interface, high, low, captured, length = unpack(buffer, at)
                    if kind != ENHANCED_PACKET:
                        break
                    # Writers that forgot to pad exist; scapy and Wireshark round up.
                    next_at = at + block_length + (-block_length & 3)
                    if next_at > end:
                        break
                    start = at + 28
                    stop = start + captured
                    if stop > next_at - 4 or captured > FRAME_LIMIT:
                        damage = f"a packet of {captured} bytes in a block of {next_at - at}"
                        break
                    if buffer[next_at - 4 : next_at] != buffer[at + 4 : at + 8]:
                        damage = "a block whose two lengths differ"
                        break
                    if interface != current:
                        if interface >= len(self.known):
                            damage = f"a packet of interface {interface}, which is not described"
                            break
                        link_type, units, offset, multiplier, _ = self.known[interface]
                        current = interface
                    if next_at - stop > 7:
                        self._packet_options(buffer[stop + (-captured & 3) : next_at - 4])
                    number += 1
                    ticks = (high << 32) | low
                    add(
                        (
                            number,
                            offset
                            + (ticks * multiplier if multiplier else _nanoseconds(ticks, units)),
                            link_type,
                            start,
                            stop,
                            length if length > captured else captured,
                        )
                    )
                    at = next_at
                stream.at = at
                if places:
                    yield Stretch(buffer, places)
                if damage:
                    raise Damage(damage)
                if at > last and places:
                    continue
                if at <= last and kind == ENHANCED_PACKET:
                    self._whole_block(block_length)
                    continue
                frame = self._other_block(number + 1)
                number += self.numbered
                unpack = Struct(self.endian + "7I").unpack_from
                current = -1
                if frame is not None:
                    yield frame
        finally:
            self.count = number

    def _whole_block(self, length: int) -> int:
        """Have a block in the window, and return its length with its padding."""
        stream = cast(Stream, self.f)
        length += -length & 3
        if length < 12 or length > BLOCK_LIMIT:
            raise Damage(f"a block of {length} bytes")
        if not stream.fill(length):
            raise Damage("cut off in the middle of a block")
        return length

    def _other_block(self, number: int) -> Frame | None:
        """Read a block that is no enhanced packet block; a frame where it holds one.

        ``numbered`` is then whether it takes a frame number.
        """
        stream = cast(Stream, self.f)
        self.numbered = False
        if not stream.fill(12):
            raise Damage("cut off in the header of a block")
        head = stream.buffer[stream.at : stream.at + 8]
        kind, length = Struct(self.endian + "II").unpack(head)
        if kind == SECTION_HEADER:
            stream.at += 4
            try:
                self._read_block_shb()
            except (EOFError, Scapy_Exception):
                raise Damage("a section header that cannot be read") from None
            return None
        if length > BLOCK_LIMIT and kind not in self.blocktypes:
            if not stream.skip(length + (-length & 3)):
                raise Damage("cut off in the middle of a block")
            return None
        length = self._whole_block(length)
        at = stream.at
        body = stream.buffer[at + 8 : at + length - 4]
        if stream.buffer[at + length - 4 : at + length] != head[4:]:
            raise Damage("a block whose two lengths differ")
        stream.at = at + length
        self.numbered = kind in NUMBERED
        try:
            if kind == SIMPLE_PACKET:
                return self._simple_packet(body, number)
            if kind == PACKET:
                return self._old_packet(body, number)
            if kind == INTERFACE_STATISTICS:
                self._statistics(body)
            elif kind == ENHANCED_PACKET:
                raise Damage("a packet block without its header")
            elif kind in self.blocktypes:
                self.blocktypes[kind](body, 0)
        except EOFError:
            raise Damage("a block that cannot be read") from None
        return None

    def _simple_packet(self, body: bytes, number: int) -> Frame:
        """A frame without a time (block type 3), on the section's first interface."""
        if len(body) < 4 or not self.known:
            raise Damage("a simple packet block that cannot be read")
        interface = self.known[0]
        length = Struct(self.endian + "I").unpack_from(body)[0]
        captured = min(length, len(body) - 4, interface.snaplen or length)
        return Frame(number, 0, interface.link_type, body[4 : 4 + captured], length)

    def _old_packet(self, body: bytes, number: int) -> Frame:
        """A frame in the obsolete packet block (type 2)."""
        if len(body) < 20:
            raise Damage("a packet block that cannot be read")
        which, drops, high, low, captured, length = Struct(self.endian + "HH4I").unpack_from(body)
        if which >= len(self.known) or captured > min(len(body) - 20, FRAME_LIMIT):
            raise Damage("a packet block that cannot be read")
        interface = self.known[which]
        if drops != 0xFFFF:
            self.counts_losses = True
            self.lost_by_packet += drops
        return Frame(
            number,
            interface.offset + _nanoseconds((high << 32) | low, interface.units),
            interface.link_type,
            body[20 : 20 + captured],
            max(length, captured),
        )


def _nanoseconds(ticks: int, units: int) -> int:
    """A time stamp in nanoseconds, rounded down as Wireshark does."""
    return ticks * _SECOND // units


def read_frames(stream: Stream) -> PcapReader | PcapNgReader:
    """The reader for what ``stream`` holds.

    Raises ``Damage`` where it is neither pcap nor pcapng, or ends within its header.
    """
    magic = stream.peek(4)
    if magic not in READABLE:
        raise Damage("neither pcap nor pcapng")
    stream.at += 4
    logger = logging.getLogger("scapy")
    level = logger.level
    # scapy says on stderr what is said here in words of the user's.
    logger.setLevel(logging.CRITICAL)
    kind: Any = PcapNgReader if magic == PCAPNG_MAGIC else PcapReader
    try:
        # Past scapy's own opening, which wants to seek and to open by name.
        reader: PcapReader | PcapNgReader = object.__new__(kind)
        kind.__init__(reader, "", stream, magic)
    except (Scapy_Exception, EOFError):
        raise Damage("ends within its header, or has one that cannot be read") from None
    finally:
        logger.setLevel(level)
    return reader


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
            if isinstance(reader, PcapNgReader):
                self.secrets = reader.secrets
            try:
                yield from reader.stretches()
            except Damage as damage:
                if not (self._descriptor.stopped or stream.error):
                    self._cut(str(damage))
            finally:
                if isinstance(reader, PcapNgReader):
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


def is_plain_pcapng(path: str, size: int) -> bool:
    """Whether a file is pcapng, and none of the interfaces described in its first ``size`` bytes
    counts time in powers of two."""
    try:
        with open(path, "rb") as file:
            head = file.read(size)
    except OSError:
        return False
    if head.startswith(GZIP_MAGIC):
        head = Gunzip(io.BytesIO(head)).read(size)
    if not head.startswith(PCAPNG_MAGIC):
        return False
    try:
        reader = read_frames(Stream(io.BytesIO(), head))
        if isinstance(reader, PcapNgReader):
            next(reader.frames(), None)
            return not any(
                each.units > 1 and not each.units & (each.units - 1) for each in reader.known
            )
    except Damage:
        pass
    return True


_BINARY: Final = getattr(os, "O_BINARY", 0)
