"""A session is the same in every tunnel and on every link, through both readers, and once."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from dicomsniff.analysis.pipeline import Listener, Pipeline, run
from dicomsniff.model import Association, Frame
from dicomsniff.sources import open_captures
from tests import rewrite
from tests.support import capture, require

MACS = bytes.fromhex("020000000002020000000001")
START = 1_700_000_000_000_000_000


def u16(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}H", *numbers)


def ethernet(kind: int, data: bytes) -> bytes:
    return MACS + u16(kind) + data


def version(packet: bytes) -> int:
    return 0x0800 if packet[0] >> 4 == 4 else 0x86DD


def inner(packet: bytes) -> bytes:
    return ethernet(version(packet), packet)


def ipv4(protocol: int, data: bytes, number: int) -> bytes:
    return (
        struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), number & 0xFFFF, 0, 64, protocol, 0)
        + bytes((198, 51, 100, 1, 198, 51, 100, 2))
        + data
    )


def ipv6(protocol: int, data: bytes) -> bytes:
    ends = bytes.fromhex("20010db8") + bytes(11) + b"\1" + bytes.fromhex("20010db8") + bytes(12)
    return struct.pack(">IHBB", 0x60000000, len(data), protocol, 64) + ends[:32] + data


def gre(kind: int, data: bytes, number: int) -> bytes:
    return ethernet(0x0800, ipv4(47, u16(0, kind) + data, number))


def udp(port: int, data: bytes, number: int) -> bytes:
    return ethernet(0x0800, ipv4(17, u16(40_000, port, 8 + len(data), 0) + data, number))


Wrap = Callable[[bytes, int], bytes]
"""Puts an IP packet into a frame; the number counts frames."""

LABEL = struct.pack(">I", 16 << 12 | 64)
BOTTOM = struct.pack(">I", 17 << 12 | 1 << 8 | 64)
PSEUDOWIRE = struct.pack(">I", 18 << 12 | 1 << 8 | 64)

WRAPS: dict[str, Wrap] = {
    "VLAN": lambda p, _: ethernet(0x8100, u16(7, version(p)) + p),
    "QinQ": lambda p, _: ethernet(0x88A8, u16(7, 0x8100, 8, version(p)) + p),
    "MPLS": lambda p, _: ethernet(0x8847, LABEL + BOTTOM + p),
    "MPLS pseudowire": lambda p, n: ethernet(0x8847, PSEUDOWIRE + u16(0, n & 0xFFFF) + inner(p)),
    "PPPoE": lambda p, _: ethernet(
        0x8864, u16(0x1100, 5, 2 + len(p), 0x21 if p[0] >> 4 == 4 else 0x57) + p
    ),
    "GRE": lambda p, n: gre(version(p), p, n),
    "GRE with key and sequence": lambda p, n: ethernet(
        0x0800,
        ipv4(47, u16(0x3000, version(p)) + struct.pack(">II", 9, n) + p, n),
    ),
    "GRE Ethernet": lambda p, n: gre(0x6558, inner(p), n),
    "GRE MPLS": lambda p, n: gre(0x8847, BOTTOM + p, n),
    "ERSPAN I": lambda p, n: gre(0x88BE, inner(p), n),
    "ERSPAN II": lambda p, n: ethernet(
        0x0800,
        ipv4(47, u16(0x1000, 0x88BE) + struct.pack(">III", n, 0x10070001, 3) + inner(p), n),
    ),
    "ERSPAN III": lambda p, n: ethernet(
        0x0800,
        ipv4(
            47,
            u16(0x1000, 0x22EB) + struct.pack(">IIIHH", n, 0x20070001, n, 0, 0) + inner(p),
            n,
        ),
    ),
    "ERSPAN III with subheader": lambda p, n: ethernet(
        0x0800,
        ipv4(
            47,
            u16(0x1000, 0x22EB)
            + struct.pack(">IIIHHQ", n, 0x20070001, n, 0, 1, 3 << 58)
            + inner(p),
            n,
        ),
    ),
    "VXLAN": lambda p, n: udp(4789, struct.pack(">II", 8 << 24, 5 << 8) + inner(p), n),
    "VXLAN-GPE": lambda p, n: udp(
        4790, struct.pack(">II", 12 << 24 | (1 if p[0] >> 4 == 4 else 2), 5 << 8) + p, n
    ),
    "GENEVE": lambda p, n: udp(
        6081, u16(1 << 8, 0x6558) + struct.pack(">II", 5 << 8, 0x01020000) + inner(p), n
    ),
    "GTP-U": lambda p, n: udp(2152, struct.pack(">BBHI", 0x30, 0xFF, len(p), 77) + p, n),
    "GTP-U with extension": lambda p, n: udp(
        2152,
        struct.pack(">BBHIHBB", 0x34, 0xFF, len(p) + 8, 77, 0, 0, 0x85) + b"\1\0\1\0" + p,
        n,
    ),
    "IP in IP": lambda p, n: ethernet(0x0800, ipv4(4 if p[0] >> 4 == 4 else 41, p, n)),
    "IP in IPv6": lambda p, _: ethernet(0x86DD, ipv6(4 if p[0] >> 4 == 4 else 41, p)),
    "VXLAN in ERSPAN": lambda p, n: gre(
        0x88BE, udp(4789, struct.pack(">II", 8 << 24, 0) + inner(p), n), n
    ),
}


def teredo(packet: bytes, number: int) -> bytes:
    """IPv6 through UDP, the origin in front of it in every other packet (RFC 4380 5.1.1)."""
    origin = b"\0\0" + bytes(6) if number % 2 else b""
    return udp(3544, origin + packet, number)


def six_to_four(packet: bytes, number: int) -> bytes:
    """IPv6 in IPv4, with addresses made of IPv4's (RFC 3056)."""
    moved = packet[:8] + b"\x20\x02" + packet[10:24] + b"\x20\x02" + packet[26:]
    return ethernet(0x0800, ipv4(41, moved, number))


SIX_IN_FOUR: dict[str, Wrap] = {
    "6in4": lambda p, n: ethernet(0x0800, ipv4(41, p, n)),
    "6to4": six_to_four,
    "Teredo": teredo,
}
"""Ways of IPv6 through IPv4."""


def snap(packet: bytes) -> bytes:
    return b"\xaa\xaa\x03\0\0\0" + u16(version(packet)) + packet


def wlan(packet: bytes, *, control: int = 0x0802, more: bytes = b"", fcs: bool = False) -> bytes:
    """An IEEE 802.11 data frame from an access point; ``more`` stands behind the addresses."""
    addresses = MACS + bytes.fromhex("020000000003")
    return u16(control) + bytes(2) + addresses + bytes(2) + more + snap(packet) + bytes(4 * fcs)


def radiotap(present: int, fields: bytes, frame: bytes) -> bytes:
    return struct.pack("<BBHI", 0, 0, 8 + len(fields), present) + fields + frame


PPP_KINDS = {0x0800: 0x0021, 0x86DD: 0x0057}

LINKS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "Ethernet": (1, inner),
    "IEEE 802.3 with SNAP": (1, lambda p: MACS + u16(8 + len(p)) + snap(p)),
    "NULL": (0, lambda p: struct.pack("<I", 2 if p[0] >> 4 == 4 else 30) + p),
    "NULL of a big-endian host": (0, lambda p: struct.pack(">I", 2 if p[0] >> 4 == 4 else 28) + p),
    "LOOP": (108, lambda p: struct.pack(">I", 2 if p[0] >> 4 == 4 else 24) + p),
    "raw IP": (101, lambda p: p),
    "cooked": (113, lambda p: u16(0, 1, 6) + MACS[:6] + u16(0, version(p)) + p),
    "cooked v2": (276, lambda p: u16(version(p), 0, 0, 2, 1, 6) + MACS[:6] + u16(0) + p),
    "cooked with a VLAN tag": (
        113,
        lambda p: u16(0, 1, 6) + MACS[:6] + u16(0, 0x8100, 7, version(p)) + p,
    ),
    "PPP": (9, lambda p: b"\xff\x03" + u16(PPP_KINDS[version(p)]) + p),
    "802.11": (105, wlan),
    "802.11 to the access point, sent again": (105, lambda p: wlan(p, control=0x0809)),
    "802.11 with quality of service": (105, lambda p: wlan(p, control=0x8802, more=bytes(2))),
    "802.11 between access points": (
        105,
        lambda p: wlan(p, control=0x0803, more=bytes.fromhex("020000000004")),
    ),
    "802.11, one packet of several": (
        105,
        lambda p: wlan(p, control=0x8802, more=b"\x80\0" + MACS + u16(8 + len(p))),
    ),
    "802.11 with high throughput": (105, lambda p: wlan(p, control=0x8882, more=bytes(6))),
    "radiotap": (127, lambda p: radiotap(0, b"", wlan(p))),
    "radiotap, with a checksum behind": (127, lambda p: radiotap(2, b"\x10", wlan(p, fcs=True))),
    "radiotap with a time": (127, lambda p: radiotap(3, bytes(8) + b"\x10", wlan(p, fcs=True))),
    "PPI": (192, lambda p: struct.pack("<BBHI", 0, 0, 8, 105) + wlan(p)),
    "AVS": (163, lambda p: struct.pack(">II", 0x80211001, 64) + bytes(56) + wlan(p)),
    "Prism": (119, lambda p: struct.pack("<II", 0x44, 144) + bytes(136) + wlan(p)),
    "radiotap, padded behind the addresses": (
        127,
        lambda p: radiotap(2, b"\x20", wlan(p, control=0x8802, more=bytes(4))),
    ),
}
"""Link types and what they put in front of an IP packet."""


class Kept(Listener):
    def __init__(self) -> None:
        self.associations: list[Association] = []

    def association_ended(self, association: Association) -> None:
        self.associations.append(association)


def read(path: Path, reader: str) -> tuple[object, Pipeline]:
    kept = Kept()
    pipeline = Pipeline(listener=kept)
    run(open_captures([str(path)], reader=reader), pipeline)
    return rewrite.story(kept.associations), pipeline


def session(v6: bool) -> list[bytes]:
    """The worklist session's IP packets."""
    packets = rewrite.load(capture("worklist.pcapng"))
    return [rewrite.ip(p) for p in (rewrite.on_ipv6(packets) if v6 else packets)]


def write(path: Path, packets: list[bytes]) -> Path:
    frames = [Frame(n, START + n * 1_000_000, 1, p, len(p)) for n, p in enumerate(packets, 1)]
    path.write_bytes(rewrite.pcap(frames))
    return path


@pytest.mark.parametrize("v6", [False, True], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("name", WRAPS)
def test_the_same_in_every_wrapping(name: str, v6: bool, tmp_path: Path) -> None:
    clear, _ = read(write(tmp_path / "clear.pcap", [inner(p) for p in session(v6)]), "scapy")
    assert len(clear) == 1  # type: ignore[arg-type]
    wrap = WRAPS[name]
    path = write(tmp_path / "wrapped.pcap", [wrap(p, n) for n, p in enumerate(session(v6), 1)])
    found, _ = read(path, "scapy")
    assert found == clear


def pcapng(frames: list[Frame]) -> bytes:
    """Frames of any link types: an interface for each."""

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack("<I", len(body) + 12)
        return struct.pack("<I", kind) + size + body + size

    types = list(dict.fromkeys(frame.link_type for frame in frames))
    out = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    # Nanoseconds (if_tsresol).
    option = bytes.fromhex("0900010009000000") + bytes(4)
    out += [block(1, struct.pack("<HHI", kind, 0, 0) + option) for kind in types]
    for frame in frames:
        size = len(frame.data)
        place = types.index(frame.link_type), frame.time >> 32, frame.time & 0xFFFFFFFF
        out.append(block(6, struct.pack("<5I", *place, size, frame.length) + frame.data))
    return b"".join(out)


def every_wrapping(*, v6: bool) -> tuple[list[Frame], list[str]]:
    """The worklist session in each of them, one after the other, each from a port of its own."""
    # A cable's segments: some links have no room for more.
    packets = rewrite.cut(rewrite.load(capture("worklist.pcapng")), 900, 1400, Random(1))
    client = packets[0].sport
    wraps: dict[str, tuple[int, Wrap]] = {name: (1, wrap) for name, wrap in WRAPS.items()}
    if v6:
        wraps |= {name: (1, wrap) for name, wrap in SIX_IN_FOUR.items()}
    for name, (link_type, head) in LINKS.items():
        wraps[name] = link_type, lambda p, _, head=head: head(p)  # type: ignore[misc]
    frames: list[Frame] = []
    for place, (link_type, wrap) in enumerate(wraps.values()):
        moved = [
            p._replace(**{"sport" if p.sport == client else "dport": 20_000 + place})
            for p in packets
        ]
        for packet in rewrite.on_ipv6(moved) if v6 else moved:
            number = len(frames) + 1
            data = wrap(rewrite.ip(packet), number)
            frames.append(Frame(number, START + number * 1_000_000, link_type, data, len(data)))
    return frames, list(wraps)


@pytest.mark.parametrize("reader", ["scapy", "pyshark"])
@pytest.mark.parametrize("v6", [False, True], ids=["IPv4", "IPv6"])
def test_every_tunnel_and_link_through_both_readers(v6: bool, reader: str, tmp_path: Path) -> None:
    if reader == "pyshark":
        require("tshark")
    clear, _ = read(write(tmp_path / "clear.pcap", [inner(p) for p in session(v6)]), "scapy")
    (expected,) = clear.values()  # type: ignore[attr-defined]
    frames, names = every_wrapping(v6=v6)
    path = tmp_path / "every.pcapng"
    path.write_bytes(pcapng(frames))
    found, pipeline = read(path, reader)
    assert pipeline.info.packets == len(frames)
    told = {key[0]: value for key, value in found.items()}  # type: ignore[attr-defined]
    odd = [n for place, n in enumerate(names) if told.pop(20_000 + place, None) != expected]
    assert odd == []
    assert told == {}


def test_tshark_sees_the_same_inside(tmp_path: Path) -> None:
    """That these frames are what they are meant to be is for tshark to say."""
    tshark = require("tshark")
    for v6 in (False, True):
        frames, names = every_wrapping(v6=v6)
        path = tmp_path / "every.pcapng"
        path.write_bytes(pcapng(frames))
        # What a label stands for is agreed on by its users: tshark has to be told.
        options = ("-d", "mpls.label==18,pwethcw", "-T", "fields", "-E", "occurrence=l")
        seen = subprocess.run(
            [tshark, "-n", "-r", path, *options, "-e", "tcp.seq_raw"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        size = len(frames) // len(names)
        at = 14 + (44 if v6 else 24)
        first = names.index("Ethernet") * size
        expected = [
            str(struct.unpack_from(">I", frame.data, at)[0])
            for frame in frames[first : first + size]
        ]
        odd = [n for i, n in enumerate(names) if seen[i * size : (i + 1) * size] != expected]
        assert odd == []


# ---------------------------------------------------------------------------- twice


def numbered(packets: list[bytes]) -> list[bytes]:
    """With IP identifications, as hosts give them."""
    return [p[:4] + u16(n) + p[6:] for n, p in enumerate(packets, 1)]


COPIES: dict[str, Wrap] = {
    "as it is": lambda p, _: inner(p),
    "with a VLAN tag": WRAPS["VLAN"],
    "one hop on": lambda p, _: inner(p[:8] + bytes((p[8] - 1,)) + p[9:]),
    "inside a tunnel": WRAPS["VXLAN"],
    "at the end of ERSPAN": WRAPS["ERSPAN III"],
}


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("late", [1, 5])
def test_copies_count_once_and_are_told(name: str, late: int, tmp_path: Path) -> None:
    packets = numbered(session(v6=False))
    clear, _ = read(write(tmp_path / "clear.pcap", [inner(p) for p in packets]), "scapy")
    out: list[bytes] = []
    for at in range(len(packets) + late):
        if at < len(packets):
            out.append(inner(packets[at]))
        if at >= late:
            out.append(COPIES[name](packets[at - late], at))
    found, pipeline = read(write(tmp_path / "twice.pcap", out), "scapy")
    assert found == clear
    assert pipeline.info.duplicates == len(packets)
    assert "capture-duplicates" in [finding.code for finding in pipeline.findings]


def test_what_is_sent_again_is_no_copy(tmp_path: Path) -> None:
    """Sent again by the host: the same bytes in a packet with another identification."""
    packets = numbered(session(v6=False))
    out: list[bytes] = []
    for n, packet in enumerate(packets):
        out.append(inner(packet))
        if len(packet) > 200:
            out.append(inner(packet[:4] + u16(50_000 + n) + packet[6:]))
    _, pipeline = read(write(tmp_path / "again.pcap", out), "scapy")
    assert len(out) > len(packets)
    assert pipeline.info.duplicates == 0
