"""pcapng through scapy's raw reader.

scapy knows the sections, interfaces and options of the format and reads them here. Only the loop
over the packets is ours, for three reasons: scapy cuts packets at 65,535 bytes (offloading leaves
64 KiB of payload behind headers), it knows neither time stamp offsets nor the counters of lost
packets, and it takes 10 µs for a packet where 1 µs will do.

Block and option numbers: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, NamedTuple, cast

from scapy.error import Scapy_Exception
from scapy.utils import RawPcapNgReader

from dicomsniff.model import Frame, Stretch, one_by_one
from dicomsniff.sources.blocks import (
    ENHANCED_PACKET,
    INTERFACE_STATISTICS,
    PACKET,
    SECTION_HEADER,
    SIMPLE_PACKET,
)
from dicomsniff.sources.losses import counted_losses
from dicomsniff.sources.pcap import FRAME_LIMIT, SECOND, Damage, believed, link_type_of
from dicomsniff.sources.stream import BLOCK_LIMIT, Stream

SECRETS_LIMIT: Final = 16 << 20
"""Bytes of decryption secrets that are held: of some 50,000 TLS connections."""

# Option codes of pcapng.
_OPTION_TSOFFSET = 14
_OPTION_DROPCOUNT = 4

NUMBERED: Final = frozenset(
    (PACKET, SIMPLE_PACKET, 9, 0xBAD, 0x40000BAD, 0x204, 0x208, 0x216, 0x221)
)
"""Blocks besides enhanced packets that Wireshark gives a frame number: packets of older kinds,
systemd's journal, custom blocks, events of sysdig."""


def _said_by_us(record: logging.LogRecord) -> bool:
    """Whether scapy's words may pass: not those about the format, which come on stderr beside ours.
    Those say it so that it is of use, and where it matters."""
    return "PcapNg: " not in str(record.msg)


logging.getLogger("scapy.runtime").addFilter(_said_by_us)


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


class PcapNgReader(RawPcapNgReader):
    """scapy's pcapng reader, with a loop of our own over the packet blocks. Raises ``Damage`` where
    the stream ends within its first section header."""

    count = 0
    """Number of the last frame, once ``frames`` is done."""
    numbered = False
    """Whether the last of the rare blocks took a frame number."""

    def __init__(self, stream: Stream, magic: bytes) -> None:
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
        try:
            super().__init__("", cast("Any", stream), magic)
        except (Scapy_Exception, EOFError):
            raise Damage("ends within its header, or has one that cannot be read") from None

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
            offset = Struct(self.endian + "q").unpack(value)[0] * SECOND
        multiplier = SECOND // units if not SECOND % units else 0
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
                            length if captured < length <= FRAME_LIMIT else captured,
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
        captured = min(length, interface.snaplen or length)
        if captured > len(body) - 4:
            raise Damage(f"a simple packet block of {len(body) - 4} bytes for {captured}")
        return Frame(
            number, 0, interface.link_type, body[4 : 4 + captured], believed(length, captured)
        )

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
            believed(length, captured),
        )


def _nanoseconds(ticks: int, units: int) -> int:
    """A time stamp in nanoseconds, rounded down as Wireshark does."""
    return ticks * SECOND // units


def opened(stream: Stream, magic: bytes) -> PcapNgReader:
    """The reader for what follows the first four bytes of a stream. Raises ``Damage`` where it ends
    within its header."""
    # Past scapy's own opening, which wants to seek and to open by name.
    reader: PcapNgReader = object.__new__(PcapNgReader)
    PcapNgReader.__init__(reader, stream, magic)
    return reader
