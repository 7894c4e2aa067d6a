"""Capture files made byte by byte, for what recording tools do not write here."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable

START = 1_700_000_000_123_456_789
"""Nanoseconds; later than 2**32 microseconds, so the high half of time stamps counts."""

ETHERNET = bytes.fromhex("020000000002020000000001") + b"\x08\x00"


def ip(size: int, number: int = 0) -> bytes:
    """An IPv4 packet with TCP that carries ``size`` bytes."""
    total = 40 + size
    return (
        struct.pack("!BBHHHBBH", 0x45, 0, total if total < 65536 else 0, number, 0, 64, 6, 0)
        + bytes([192, 0, 2, 1, 192, 0, 2, 2])
        + struct.pack("!HHIIBBHHH", 50000, 104, 1 + number, 1, 0x50, 0x18, 500, 0, 0)
        + bytes((number + n) & 0xFF for n in range(size))
    )


def frames(sizes: Iterable[int] = (0, 1, 2, 3, 100, 1446, 65_495, 9)) -> list[bytes]:
    """Ethernet frames of every alignment, one with 64 KiB of payload (65,549 bytes)."""
    return [ETHERNET + ip(size, number) for number, size in enumerate(sizes)]


def pcap(
    packets: Iterable[bytes],
    *,
    endian: str = "<",
    nano: bool = False,
    link_type: int = 1,
    snaplen: int = 262_144,
) -> bytes:
    """A pcap file."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = [struct.pack(endian + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link_type)]
    for number, data in enumerate(packets):
        seconds, fraction = divmod(START + number * 1_001_001, 1_000_000_000)
        kept = data[:snaplen]
        fraction = fraction if nano else fraction // 1000
        out.append(struct.pack(endian + "IIII", seconds, fraction, len(kept), len(data)) + kept)
    return b"".join(out)


def option(endian: str, code: int, value: bytes) -> bytes:
    """An option of a pcapng block."""
    return struct.pack(endian + "HH", code, len(value)) + value + bytes(-len(value) & 3)


class PcapNg:
    """Writes pcapng blocks."""

    def __init__(self, endian: str = "<") -> None:
        self.endian = endian
        self.data = b""

    def block(self, kind: int, body: bytes) -> PcapNg:
        """Any block."""
        length = 12 + len(body) + (-len(body) & 3)
        self.data += struct.pack(self.endian + "II", kind, length)
        self.data += body + bytes(-len(body) & 3) + struct.pack(self.endian + "I", length)
        return self

    def section(self, endian: str | None = None, options: bytes = b"") -> PcapNg:
        """A section header block."""
        self.endian = endian or self.endian
        body = struct.pack(self.endian + "IHHq", 0x1A2B3C4D, 1, 0, -1)
        return self.block(0x0A0D0D0A, body + options)

    def interface(
        self,
        link_type: int = 1,
        snaplen: int = 0,
        resolution: int | None = None,
        offset: int | None = None,
    ) -> PcapNg:
        """An interface description block."""
        options = option(self.endian, 2, b"eth0")
        if resolution is not None:
            options += option(self.endian, 9, bytes([resolution]))
        if offset is not None:
            options += option(self.endian, 14, struct.pack(self.endian + "q", offset))
        options += option(self.endian, 0, b"")
        return self.block(1, struct.pack(self.endian + "HHI", link_type, 0, snaplen) + options)

    def packet(
        self,
        data: bytes,
        ticks: int,
        interface: int = 0,
        length: int | None = None,
        options: bytes = b"",
    ) -> PcapNg:
        """An enhanced packet block."""
        head = struct.pack(
            self.endian + "5I",
            interface,
            ticks >> 32,
            ticks & 0xFFFFFFFF,
            len(data),
            len(data) if length is None else length,
        )
        return self.block(6, head + data + bytes(-len(data) & 3) + options)

    def statistics(self, interface: int, dropped: int, by_system: int | None = None) -> PcapNg:
        """An interface statistics block."""
        body = struct.pack(self.endian + "III", interface, 0, 0)
        body += option(self.endian, 5, struct.pack(self.endian + "Q", dropped))
        if by_system is not None:
            body += option(self.endian, 7, struct.pack(self.endian + "Q", by_system))
        return self.block(5, body + option(self.endian, 0, b""))


def _ticks(number: int, units: int, offset: int = 0) -> int:
    return (START + number * 1_001_001 - offset * 1_000_000_000) * units // 1_000_000_000


def pcapng(endian: str = "<", resolution: int | None = None, offset: int = 0) -> bytes:
    """A pcapng file with one interface and every frame of ``frames``."""
    units = 10**6
    if resolution is not None:
        units = 2 ** (resolution & 127) if resolution & 128 else 10**resolution
    file = PcapNg(endian).section().interface(resolution=resolution, offset=offset or None)
    for number, data in enumerate(frames()):
        file.packet(data, _ticks(number, units, offset))
    return file.data


def odd_pcapng() -> bytes:
    """Sections of both byte orders, several interfaces and links, every kind of packet block,
    options, and blocks that are to be passed over."""
    file = PcapNg("<").section(options=option("<", 4, b"a writer"))
    file.interface(1, resolution=9).interface(113, resolution=3).interface(101)
    file.block(4, bytes(20)).block(0xBAD, b"\x01\x02\x03\x04" * 5)
    cooked = bytes(14) + b"\x08\x00" + ip(33, 4)
    for number, data in enumerate(frames((7, 8, 9, 10))):
        file.packet(data, _ticks(number, 10**9), 0, options=option("<", 1, b"a comment"))
        file.packet(cooked, _ticks(number, 1000), 1)
        file.packet(ip(5, number), _ticks(number, 10**6), 2, length=900)
    # Obsolete packet block, with a count of dropped packets.
    data = ETHERNET + ip(13, 9)
    ticks = _ticks(20, 10**9)
    head = struct.pack("<HHIIII", 0, 3, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    file.block(2, head + data)
    file.statistics(0, 4)
    file.section(">").interface(276, resolution=6)
    cooked2 = struct.pack("!HHIHBB8s", 0x800, 0, 1, 1, 0, 6, b"") + ip(21, 3)
    for number in range(3):
        file.packet(cooked2, _ticks(30 + number, 10**6), 0)
    return file.statistics(0, 0).data


FILES: dict[str, bytes] = {
    "micro.pcap": pcap(frames()),
    "micro-big-endian.pcap": pcap(frames(), endian=">"),
    "nano.pcap": pcap(frames(), nano=True),
    "nano-big-endian.pcap": pcap(frames(), endian=">", nano=True),
    "cut-frames.pcap": pcap(frames(), snaplen=96),
    "raw.pcap": pcap([ip(n, n) for n in range(9)], link_type=101),
    "raw-as-bsd-writes-it.pcap": pcap([ip(n, n) for n in range(9)], link_type=12),
    "loop.pcap": pcap([b"\0\0\0\x02" + ip(n, n) for n in range(9)], link_type=108),
    "none.pcap": pcap([]),
    "plain.pcapng": pcapng(),
    "big-endian.pcapng": pcapng(">", 9),
    "nano.pcapng": pcapng(resolution=9),
    "milli.pcapng": pcapng(resolution=3),
    "binary.pcapng": pcapng(resolution=0x80 | 20),
    "offset.pcapng": pcapng(resolution=6, offset=1_600_000_000),
    "odd.pcapng": odd_pcapng(),
}
FILES |= {
    f"{name}.gz": gzip.compress(FILES[name])
    for name in ("micro.pcap", "nano-big-endian.pcap", "odd.pcapng")
}
"""Every kind of file that both readers read."""
