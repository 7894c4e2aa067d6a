"""Segments out of frames: tshark says what is in them, scapy makes the unusual ones."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.contrib.mpls import MPLS
from scapy.layers.dot11 import Dot11, RadioTap
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, fragment
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    fragment6,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import (
    ARP,
    GRE,
    LLC,
    SNAP,
    CookedLinux,
    CookedLinuxV2,
    Dot1AD,
    Dot1Q,
    Dot3,
    Ether,
    Loopback,
)
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from dicomsniff.model import UNREACHABLE, Endpoint, Frame, Segment
from dicomsniff.sources import open_capture
from dicomsniff.tcp import fragments
from dicomsniff.tcp.frames import DEPTH_LIMIT, Dissector, endpoints
from tests.support import CAPTURES, PUBLIC_CAPTURES, require

PAYLOAD = bytes(range(256)) * 4
TCP_4 = TCP(sport=50123, dport=104, seq=0xFFFFFFF0, ack=7, flags="PA")
INNER_4 = IP(src="192.0.2.1", dst="192.0.2.2", id=77) / TCP_4 / Raw(PAYLOAD)
INNER_6 = IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP_4 / Raw(PAYLOAD)
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
OUTER = IP(src="198.51.100.1", dst="198.51.100.2")


def frame(packet: Packet | bytes, link_type: int = 1, number: int = 1, time: int = 1) -> Frame:
    data = bytes(packet)
    return Frame(number, time, link_type, data, len(data))


def check(segment: Segment | None, version: int = 4) -> None:
    """``segment`` is the one of ``INNER_4`` or ``INNER_6``."""
    assert segment is not None
    source, destination = endpoints(segment.key)
    if version == 4:
        assert (source, destination) == (Endpoint("192.0.2.1", 50123), Endpoint("192.0.2.2", 104))
    else:
        assert (source.address, destination.address) == ("2001:db8::1", "2001:db8::2")
    assert (segment.seq, segment.ack, segment.flags) == (0xFFFFFFF0, 7, 0x18)
    assert segment.payload == PAYLOAD
    assert segment.length == len(PAYLOAD)


# ---------------------------------------------------------------------------- recorded frames

RECORDED = sorted([*CAPTURES.glob("*.pcapng"), *PUBLIC_CAPTURES.glob("*/*.pcap")])


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_recorded_frames_hold_what_tshark_says(path: Path) -> None:
    fields = ["frame.number", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw"]
    fields += ["tcp.flags", "tcp.len", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.payload"]
    told = subprocess.run(
        [require("tshark"), "-n", "-r", path, "-Y", "tcp and not icmp", "-T", "fields"]
        + [word for field in fields for word in ("-e", field)],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.splitlines()
    expected = []
    for line in told:
        number, sport, dport, seq, ack, flags, length, s4, d4, s6, d6, payload = line.split("\t")
        expected.append(
            (
                int(number),
                (s4 or s6, int(sport)),
                (d4 or d6, int(dport)),
                (int(seq), int(ack), int(flags, 16) & 0x1F, int(length)),
                payload,
            )
        )
    dissector = Dissector()
    got = []
    for each in open_capture(str(path), reader="scapy"):
        segment = dissector.segment(each)
        if segment is not None and segment.flags == UNREACHABLE:
            assert path.name == "port-rejected.pcapng"
        elif segment is not None:
            source, destination = endpoints(segment.key)
            got.append(
                (
                    segment.frame,
                    tuple(source),
                    tuple(destination),
                    (segment.seq, segment.ack, segment.flags & 0x1F, segment.length),
                    segment.payload.hex(),
                )
            )
    assert got == expected
    assert got


# ---------------------------------------------------------------------------- wrappings

WRAPPED: dict[str, tuple[Packet, int]] = {
    "ethernet": (ETHER / INNER_4, 4),
    "ethernet, IPv6": (ETHER / INNER_6, 6),
    "VLAN": (ETHER / Dot1Q(vlan=5) / INNER_4, 4),
    "QinQ": (ETHER / Dot1AD(vlan=3) / Dot1Q(vlan=5) / INNER_6, 6),
    "old QinQ": (ETHER / Dot1Q(type=0x8100, vlan=3) / Dot1Q(vlan=5) / INNER_4, 4),
    "802.3 with SNAP": (
        Dot3(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        / LLC(dsap=0xAA, ssap=0xAA, ctrl=3)
        / SNAP(code=0x800)
        / INNER_4,
        4,
    ),
    "IP options": (
        ETHER
        / IP(src="192.0.2.1", dst="192.0.2.2", options=[IPOption_NOP()] * 8)
        / TCP_4
        / Raw(PAYLOAD),
        4,
    ),
    "TCP options": (
        ETHER
        / IP(src="192.0.2.1", dst="192.0.2.2")
        / TCP(
            sport=50123,
            dport=104,
            seq=0xFFFFFFF0,
            ack=7,
            flags="PA",
            options=[("NOP", None), ("NOP", None), ("Timestamp", (1, 2))],
        )
        / Raw(PAYLOAD),
        4,
    ),
    "extension headers": (
        ETHER
        / IPv6(src="2001:db8::1", dst="2001:db8::2")
        / IPv6ExtHdrHopByHop()
        / IPv6ExtHdrDestOpt()
        / IPv6ExtHdrRouting(type=4)
        / TCP_4
        / Raw(PAYLOAD),
        6,
    ),
    "atomic fragment": (
        ETHER
        / IPv6(src="2001:db8::1", dst="2001:db8::2")
        / IPv6ExtHdrFragment(id=9)
        / TCP_4
        / Raw(PAYLOAD),
        6,
    ),
    "AH": (
        ETHER
        / IP(src="192.0.2.1", dst="192.0.2.2", proto=51)
        / AH(nh=6, payloadlen=4, icv=b"1" * 12)
        / TCP_4
        / Raw(PAYLOAD),
        4,
    ),
    "IP in IP": (ETHER / OUTER / INNER_4, 4),
    "6in4": (ETHER / OUTER / INNER_6, 6),
    "4in6": (ETHER / IPv6() / INNER_4, 4),
    "GRE": (ETHER / OUTER / GRE() / INNER_4, 4),
    "GRE with key and sequence": (
        ETHER / OUTER / GRE(key_present=1, seqnum_present=1, key=5) / INNER_6,
        6,
    ),
    "GRE bridging": (ETHER / OUTER / GRE(proto=0x6558) / ETHER / INNER_4, 4),
    "ERSPAN I": (ETHER / OUTER / GRE(proto=0x88BE) / ETHER / INNER_4, 4),
    "ERSPAN II": (
        ETHER / OUTER / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II() / ETHER / INNER_4,
        4,
    ),
    "ERSPAN III": (
        ETHER
        / OUTER
        / GRE(proto=0x22EB, seqnum_present=1)
        / ERSPAN_III()
        / ETHER
        / Dot1Q(vlan=9)
        / INNER_4,
        4,
    ),
    "VXLAN": (ETHER / OUTER / UDP(sport=999, dport=4789) / VXLAN(vni=5) / ETHER / INNER_4, 4),
    "GENEVE": (ETHER / OUTER / UDP(sport=999, dport=6081) / GENEVE(vni=5) / ETHER / INNER_6, 6),
    "GTP-U": (
        ETHER / OUTER / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=5) / INNER_4,
        4,
    ),
    "MPLS": (ETHER / MPLS(label=5, s=0) / MPLS(label=6, s=1) / INNER_4, 4),
    "MPLS, IPv6": (ETHER / MPLS(label=6, s=1) / INNER_6, 6),
    "PPPoE": (ETHER / PPPoE(sessionid=5) / PPP(proto=0x21) / INNER_4, 4),
    "VXLAN in IPv6 with a VLAN inside": (
        ETHER / IPv6() / UDP(sport=999, dport=4789) / VXLAN(vni=5) / ETHER / Dot1Q() / INNER_6,
        6,
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_wrapped(name: str) -> None:
    packet, version = WRAPPED[name]
    check(Dissector().segment(frame(packet)), version)


@pytest.mark.parametrize("name", WRAPPED)
def test_padding_never_becomes_payload(name: str) -> None:
    packet, version = WRAPPED[name]
    check(Dissector().segment(frame(bytes(packet) + b"\xee" * 7)), version)


@pytest.mark.parametrize("name", WRAPPED)
def test_cut_by_a_snap_length(name: str) -> None:
    packet, _ = WRAPPED[name]
    data = bytes(packet)
    whole = Dissector().segment(frame(packet))
    assert whole is not None
    dissector = Dissector()
    seen = 0
    for size in range(0, len(data), 7):
        cut = dissector.segment(Frame(1, 1, 1, data[:size], len(data)))
        if cut is not None:
            seen += 1
            assert cut._replace(payload=whole.payload) == whole
            assert cut.payload == whole.payload[: max(0, len(PAYLOAD) - len(data) + size)]
    assert seen > len(PAYLOAD) // 7 - 1


LINKS: dict[str, tuple[int, Packet | bytes, int]] = {
    "NULL": (0, Loopback(type=2) / INNER_4, 4),
    "NULL, other byte order": (0, b"\0\0\0\x02" + bytes(INNER_4), 4),
    "LOOP": (108, b"\0\0\0\x1e" + bytes(INNER_6), 6),
    "raw": (101, INNER_4, 4),
    "raw of OpenBSD": (14, INNER_6, 6),
    "raw of others": (12, INNER_4, 4),
    "IPv4": (228, INNER_4, 4),
    "IPv6": (229, INNER_6, 6),
    "cooked": (113, CookedLinux(proto=0x800) / INNER_4, 4),
    "cooked with VLAN": (113, CookedLinux(proto=0x8100) / Dot1Q(vlan=6) / INNER_4, 4),
    "cooked 2": (276, CookedLinuxV2(proto=0x86DD) / INNER_6, 6),
    "802.11": (105, Dot11(type=2) / LLC() / SNAP(code=0x800) / INNER_4, 4),
    "radiotap": (127, RadioTap() / Dot11(type=2) / LLC() / SNAP(code=0x800) / INNER_4, 4),
    "PPP": (9, PPP(proto=0x21) / INNER_4, 4),
}


@pytest.mark.parametrize("name", LINKS)
def test_links(name: str) -> None:
    link_type, packet, version = LINKS[name]
    check(Dissector().segment(frame(packet, link_type)), version)


def test_a_link_nobody_knows_is_counted() -> None:
    dissector = Dissector()
    assert dissector.segment(frame(INNER_4, 65000)) is None
    assert dissector.segment(frame(INNER_4, 65000)) is None
    assert dissector.unread == {65000: 2}


@pytest.mark.parametrize(
    "packet",
    [
        ETHER / ARP(),
        ETHER / OUTER / ICMP(),
        ETHER / OUTER / UDP(sport=53, dport=53) / Raw(bytes(INNER_4)),
        ETHER / OUTER / UDP(sport=53, dport=4789) / Raw(b"no VXLAN"),
        Dot3(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / LLC() / Raw(bytes(60)),
        ETHER / IPv6(nh=59) / Raw(bytes(60)),
    ],
)
def test_frames_without_tcp(packet: Packet) -> None:
    assert Dissector().segment(frame(packet)) is None


# ---------------------------------------------------------------------------- lengths


def test_offloading_leaves_the_length_to_the_frame() -> None:
    data = bytes(range(256)) * 256
    for inner in (
        IP(src="192.0.2.1", dst="192.0.2.2", len=0) / TCP_4,
        IPv6(src="2001:db8::1", dst="2001:db8::2", plen=0) / TCP_4,
    ):
        for link_type, head in ((1, bytes(ETHER / inner)), (101, bytes(inner))):
            segment = Dissector().segment(frame(head + data, link_type))
            assert segment is not None
            assert segment.payload == data
            assert segment.length == 65536


def test_a_header_longer_than_the_segment_is_no_segment() -> None:
    data = bytearray(bytes(ETHER / INNER_4))
    for offset in range(16):
        data[46] = offset << 4
        segment = Dissector().segment(frame(bytes(data)))
        if offset < 5:
            assert segment is None
        else:
            assert segment is not None
            assert segment.payload == PAYLOAD[(offset - 5) * 4 :]
    short = bytearray(bytes(ETHER / IP() / TCP()) + bytes(40))
    short[46] = 0xF0
    assert Dissector().segment(frame(bytes(short))) is None


def test_nesting_has_an_end() -> None:
    packet: Packet = INNER_4
    for _ in range(DEPTH_LIMIT - 1):
        packet = OUTER / packet
    check(Dissector().segment(frame(ETHER / packet)))
    assert Dissector().segment(frame(ETHER / OUTER / packet)) is None


# ---------------------------------------------------------------------------- fragments


def _pieces(version: int, size: int) -> list[bytes]:
    if version == 4:
        return [bytes(ETHER / piece) for piece in fragment(INNER_4, size)]
    head = IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=5)
    return [bytes(ETHER / piece) for piece in fragment6(head / TCP_4 / Raw(PAYLOAD), size + 48)]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", [24, 200, 800])
def test_fragments_in_any_order(version: int, size: int) -> None:
    pieces = _pieces(version, size)
    assert len(pieces) > 1
    for order in (pieces, pieces[::-1], pieces[1::2] + pieces[::2], pieces[:-1] * 2 + pieces[-1:]):
        dissector = Dissector()
        found = [
            segment
            for number, piece in enumerate(order, 1)
            if (segment := dissector.segment(frame(piece, number=number))) is not None
        ]
        assert len(found) == 1
        check(found[0], version)
        assert found[0].frame == len(order)


def test_the_first_of_overlapping_fragments_wins() -> None:
    head = IP(src="192.0.2.1", dst="192.0.2.2", id=5, proto=6)
    data = bytes(TCP_4) + PAYLOAD
    parts = [
        IP(bytes(head.copy() / Raw(data[:104]))),
        IP(bytes(head.copy() / Raw(b"\xee" * 200))),
        IP(bytes(head.copy() / Raw(data[256:]))),
    ]
    middle = IP(bytes(head.copy() / Raw(data[96:160])))
    dissector = Dissector()
    results = []
    for part, start, more in (
        (parts[0], 0, 1),
        (middle, 96, 1),
        (parts[2], 256, 0),
        (IP(bytes(head.copy() / Raw(b"\xee" * 64 + data[160:256]))), 96, 1),
    ):
        part.frag, part.flags = start // 8, more
        del part.chksum
        results.append(dissector.segment(frame(ETHER / part)))
    assert results[:3] == [None] * 3
    check(results[3])


def test_a_fragment_cut_by_a_snap_length_keeps_the_length() -> None:
    pieces = _pieces(4, 400)
    dissector = Dissector()
    result = None
    for piece in pieces:
        result = dissector.segment(Frame(1, 1, 1, piece[:200], len(piece)))
    assert result is not None
    assert result.length == len(PAYLOAD)
    assert result.payload == PAYLOAD[: 200 - 34 - 20]


def test_fragments_are_bounded_and_do_not_outlive_their_time() -> None:
    dissector = Dissector()
    first, *_, last = _pieces(4, 800)
    assert dissector.segment(frame(first, time=0)) is None
    assert dissector.segment(frame(last, time=fragments.LIFETIME + 1)) is None
    lost = bytearray(first)
    for identification in range(3000):
        lost[18:20] = identification.to_bytes(2, "big")
        dissector.segment(frame(bytes(lost)))
    assert len(dissector.fragments._partial) <= fragments.DATAGRAMS
    assert dissector.fragments.dropped > 2000


# ---------------------------------------------------------------------------- anything

BYTES = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda name, at, noise, cut: (
            bytes(WRAPPED[name][0])[:at] + noise + bytes(WRAPPED[name][0])[at + len(noise) : cut]
        ),
        st.sampled_from(sorted(WRAPPED)),
        st.integers(0, 150),
        st.binary(min_size=1, max_size=6),
        st.integers(0, 1200),
    ),
)


@given(BYTES, st.sampled_from([0, 1, 9, 12, 101, 105, 108, 113, 127, 228, 276, 500]))
@example(b"", 1)
@settings(max_examples=400, deadline=None)
def test_no_bytes_raise(data: bytes, link_type: int) -> None:
    segment = Dissector().segment(Frame(1, 1, link_type, data, len(data)))
    if segment is not None:
        assert len(segment.payload) <= segment.length
        assert segment.payload in data
        assert len(segment.key) in (12, 36)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans()), max_size=30))
@settings(max_examples=200, deadline=None)
def test_fragments_put_bytes_where_they_belong(parts: list[tuple[int, int, bool]]) -> None:
    whole = bytes(range(200)) * 4
    kept = fragments.Fragments()
    for start, length, more in parts:
        size = length * 8 if more else length
        datagram: Any = kept.add(b"k", 1, start * 8, size, more, whole[start * 8 :][:size])
        if datagram is not None:
            assert datagram.data == whole[: datagram.length]
            return


def test_endpoints() -> None:
    assert endpoints(bytes([10, 0, 0, 1, 10, 0, 0, 2, 0, 104, 0x2B, 0xAD])) == (
        Endpoint("10.0.0.1", 104),
        Endpoint("10.0.0.2", 11181),
    )
    key = bytes(15) + b"\1" + b"\xfe\x80" + bytes(13) + b"\2" + b"\0\x68\0\x69"
    assert endpoints(key) == (Endpoint("::1", 104), Endpoint("fe80::2", 105))


# ---------------------------------------------------------------------------- what ICMP says


SYN_4 = IP(src="192.0.2.1", dst="192.0.2.2") / TCP(sport=50123, dport=104, seq=77, flags="S")
SYN_6 = IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=50123, dport=104, seq=77, flags="S")
BACK_4 = IP(src="198.51.100.9", dst="192.0.2.1")
BACK_6 = IPv6(src="2001:db8::9", dst="2001:db8::1")


@pytest.mark.parametrize(
    "packet",
    [
        BACK_4 / ICMP(type=3, code=13) / SYN_4,
        BACK_4 / ICMP(type=3, code=13) / Raw(bytes(SYN_4)[:28]),  # as much as RFC 792 asks for
        BACK_4
        / ICMP(type=3, code=13)
        / IP(
            bytes(IP(src="192.0.2.1", dst="192.0.2.2", options=[IPOption_NOP()] * 4) / SYN_4[TCP])
        ),
    ],
)
def test_what_icmp_says_of_a_segment(packet: Packet) -> None:
    for framed in (ETHER / packet, ETHER / Dot1Q(vlan=7) / packet, ETHER / OUTER / GRE() / packet):
        said = Dissector().segment(frame(framed))
        assert said is not None
        assert endpoints(said.key) == (Endpoint("192.0.2.1", 50123), Endpoint("192.0.2.2", 104))
        assert (said.flags, said.seq, said.window, said.length) == (UNREACHABLE, 77, 13, 4)
        assert said.payload == bytes((198, 51, 100, 9))


def test_what_icmp_for_ipv6_says_of_a_segment() -> None:
    said = Dissector().segment(frame(ETHER / BACK_6 / ICMPv6DestUnreach(code=1) / SYN_6))
    assert said is not None
    source, destination = endpoints(said.key)
    assert (source.address, destination.address) == ("2001:db8::1", "2001:db8::2")
    assert (said.flags, said.seq, said.window) == (UNREACHABLE, 77, 1)
    assert len(said.payload) == said.length == 16


@pytest.mark.parametrize(
    "packet",
    [
        BACK_4 / ICMP(type=8) / Raw(bytes(SYN_4)),
        BACK_4 / ICMP(type=11, code=0) / SYN_4,
        BACK_4 / ICMP(type=3, code=4) / SYN_4,  # too long, which its sender mends
        BACK_4 / ICMP(type=3, code=3) / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(dport=53),
        BACK_4 / ICMP(type=3, code=3) / IP(src="192.0.2.1", frag=5, proto=6) / Raw(bytes(40)),
        BACK_4 / ICMP(type=3, code=3) / Raw(bytes(SYN_4)[:27]),
        BACK_4 / ICMP(type=3, code=3) / SYN_6,
        BACK_6 / ICMPv6EchoRequest(data=bytes(SYN_6)),
        BACK_6 / ICMPv6DestUnreach(code=1) / Raw(bytes(SYN_6)[:47]),
        BACK_6 / ICMPv6DestUnreach(code=1) / SYN_4,
    ],
)
def test_what_icmp_says_of_anything_else(packet: Packet) -> None:
    assert Dissector().segment(frame(ETHER / packet)) is None
