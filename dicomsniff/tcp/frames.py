"""Frames to TCP segments: link, IP and TCP headers.

What most captures hold, TCP in IP over Ethernet, is taken apart by two precompiled structs. The
links and headers that the rest is made of (VLAN tags, Linux cooked captures, loopback, raw IP, IP
options and extension headers, fragments) are walked here too, and so are tunnels (see
:mod:`dicomsniff.tcp.encapsulation`). Whatever is unusual (other links) goes to scapy's dissectors,
which find the IP packet inside; that one is walked here again.

No bytes make this raise. A frame that holds no TCP, or whose TCP header was cut short, is None.

Ethernet II and IEEE 802.1Q, tcpdump.org/linktypes.html, RFC 791, RFC 8200, RFC 9293.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, cast

from dicomsniff.model import UNREACHABLE, Endpoint, Frame, Segment
from dicomsniff.tcp.encapsulation import (
    ETHERNET_FRAME,
    IP_PACKET,
    UDP_PORTS,
    Inside,
    by_type,
    erf,
    gre,
    mpls,
)
from dicomsniff.tcp.fragments import Fragments
from dicomsniff.tcp.wlan import ENCRYPTED, wlan
from dicomsniff.tcp.wlan import LINKS as WLAN_LINKS

if TYPE_CHECKING:
    from collections.abc import Callable

ETHERNET: Final = 1
NULL: Final = 0
LOOP: Final = 108
LINUX_COOKED: Final = 113
LINUX_COOKED_2: Final = 276
ERF: Final = 197
RAW_IP: Final = frozenset((101, 12, 14, 228, 229))
"""LINKTYPE_RAW, its two spellings in old files, LINKTYPE_IPV4 and LINKTYPE_IPV6."""

DEPTH_LIMIT: Final = 4
"""IP packets inside each other: a mirrored tunnel in a tunnel has three. More is an attack."""

TAG_LIMIT: Final = 8
"""VLAN tags in front of a packet; networks use one or two."""

EXTENSION_LIMIT: Final = 16
"""IPv6 extension headers of a packet: RFC 8200 4.1 knows six, each once or twice."""

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_VLAN_TAGS: Final = frozenset((0x8100, 0x88A8, 0x9100, 0x9200))
_LINK_TUNNELS: Final = frozenset((0x8847, 0x8848, 0x8864, 0x880B, 0x6558))
"""MPLS (two), PPPoE session, PPP, transparent Ethernet bridging."""
_SERVICE_HEADER: Final = 0x894F
"""Network service header (RFC 8300)."""
_ETHERTYPE_MINIMUM: Final = 0x0600
"""Below this the field is the length of an IEEE 802.3 frame."""

_ICMP: Final = 1
_IP_IN_IP: Final = 4
_TCP: Final = 6
_UDP: Final = 17
_IPV6_IN_IP: Final = 41
_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51
_ICMPV6: Final = 58
_GRE: Final = 47
_MPLS_IN_IP: Final = 137

_UNREACHABLE_4: Final = 3
_UNREACHABLE_6: Final = 1
"""ICMP types."""
_TOO_LONG: Final = 4
"""ICMP code of a packet that needs fragments: its sender mends that by itself."""
_MASK: Final = 0xFFFFFFFF

_EXTENSIONS: Final = frozenset((0, 43, 60, 135, 139, 140))
"""Hop-by-hop options, routing, destination options, mobility, HIP, shim6 (RFC 7045)."""

# From the Ethernet type on: the type; of an IP header without options version and header length,
# total length, fragment, protocol; addresses and ports, as ``Segment.key``; of the TCP header
# sequence, acknowledgement, data offset, flags, window.
_TYPE_IPV4: Final = Struct("!HBxH2xHxB2x12sIIBBH")
# The type; version, payload length, next header; the same of the rest.
_TYPE_IPV6: Final = Struct("!HB3xHBx36sIIBBH")
TCP_IPV4: Final = _TYPE_IPV4.unpack_from
TCP_IPV6: Final = _TYPE_IPV6.unpack_from
LEAST_IPV4: Final = _TYPE_IPV4.size
LEAST_IPV6: Final = _TYPE_IPV6.size
"""Bytes that they look at."""

_TCP_FIELDS: Final = Struct("!IIBBH").unpack_from
_IPV4_FIELDS: Final = Struct("!BxHHHxB").unpack_from
_IPV6_FIELDS: Final = Struct("!B3xHB").unpack_from
_UINT16: Final = Struct("!H").unpack_from

# Quicker than calling a named tuple's class.
_make = cast("Callable[[type[Segment], tuple[Any, ...]], Segment]", tuple.__new__)


class Dissector:
    """Takes TCP segments out of frames. Keeps incomplete IP datagrams, so one for a capture."""

    def __init__(self) -> None:
        self.fragments = Fragments()
        self.unread: dict[int, int] = {}
        """Frames that could not be looked into, by link type."""
        self.encrypted = 0
        """Wireless frames that are encrypted."""

    @property
    def notices(self) -> list[str]:
        """What could not be looked into and why, a line for each."""
        told = [
            f"{count:,} packets of link type {link_type} cannot be looked into; what Wireshark "
            "makes of them: capinfos -E"
            for link_type, count in self.unread.items()
        ]
        if self.encrypted:
            told.append(
                f"{self.encrypted:,} wireless packets are encrypted: capture behind the access "
                "point, or decrypt them first (airdecap-ng)"
            )
        return told

    def segment(self, frame: Frame) -> Segment | None:
        """The TCP segment that ``frame`` holds, or completes, or an ICMP message about one; None
        where there is none."""
        number, time, link_type, data, wire = frame
        if link_type == ETHERNET and len(data) >= 54:
            kind, version, total, fragment, protocol, key, seq, ack, offset, flags, window = (
                TCP_IPV4(data, 12)
            )
            size = 0
            if kind == _IPV4:
                if protocol == _TCP and version == 0x45 and not fragment & 0x3FFF:
                    size = 34
            elif kind == _IPV6 and len(data) >= 74:
                _, version, total, protocol, key, seq, ack, offset, flags, window = TCP_IPV6(
                    data, 12
                )
                if protocol == _TCP and version >> 4 == 6:
                    size = 54
            if size:
                head = size + (offset >> 4 << 2)
                # Not the end of the frame: short ones are padded. 0: the network card was to fill
                # it in (segmentation offloading).
                end = (14 if size == 34 else 54) + total if total else wire
                if size + 20 <= head <= end:
                    payload = data[head:end]
                    return _make(
                        Segment,
                        (number, time, key, seq, ack, flags, payload, end - head, window),
                    )
        return self._link(frame)

    # ------------------------------------------------------------ links

    def _link(self, frame: Frame) -> Segment | None:
        """Any frame, by its link type."""
        link_type, data, wire = frame.link_type, frame.data, frame.length
        if link_type == ETHERNET:
            return self._ether_type(frame, data, 12, wire, 0)
        if link_type == LINUX_COOKED:
            return self._ether_type(frame, data, 14, wire, 0)
        if link_type == LINUX_COOKED_2:
            if len(data) < 20:
                return None
            # The type stands in front of the other fields.
            return self._protocol(frame, _UINT16(data)[0], data, 20, wire, 0)
        if link_type in (NULL, LOOP):
            # Address families have other numbers on other systems; the version tells as well.
            return self._ip(frame, data, 4, wire, 0)
        if link_type in RAW_IP:
            return self._ip(frame, data, 0, wire, 0)
        if link_type == ERF:
            return self._carried(frame, erf(data, 0), data, wire, 0)
        if link_type in WLAN_LINKS:
            inside = wlan(link_type, data)
            if inside is ENCRYPTED:
                self.encrypted += 1
                return None
            return self._carried(frame, inside, data, wire, 0)
        return self._inside(frame, f"link {link_type}", data, 0, wire, 0)

    def _ether_type(
        self, frame: Frame, data: bytes, at: int, end: int, depth: int
    ) -> Segment | None:
        """What follows an Ethernet type at ``at``."""
        if len(data) < at + 2:
            return None
        return self._protocol(frame, _UINT16(data, at)[0], data, at + 2, end, depth)

    def _protocol(
        self, frame: Frame, kind: int, data: bytes, at: int, end: int, depth: int
    ) -> Segment | None:
        """The payload at ``at`` of Ethernet type ``kind``."""
        for _ in range(TAG_LIMIT):
            if kind not in _VLAN_TAGS or len(data) < at + 4:
                break
            kind = _UINT16(data, at + 2)[0]
            at += 4
        if kind in (_IPV4, _IPV6):
            return self._ip(frame, data, at, end, depth)
        if kind in _LINK_TUNNELS:
            return self._carried(frame, by_type(kind, data, at), data, end, depth)
        if kind == _SERVICE_HEADER:
            return self._inside(frame, f"type {kind}", data, at, end, depth)
        # IEEE 802.3 with LLC and SNAP (RFC 1042): the type comes behind them.
        if kind < _ETHERTYPE_MINIMUM and data[at : at + 6] == b"\xaa\xaa\x03\0\0\0":
            kind = _UINT16(data, at + 6)[0] if len(data) >= at + 8 else 0
            if kind in (_IPV4, _IPV6):
                return self._ip(frame, data, at + 8, end, depth)
        return None

    # ------------------------------------------------------------ IP

    def _ip(self, frame: Frame, data: bytes, at: int, end: int, depth: int) -> Segment | None:
        """The IP packet at ``at``; ``end`` is where it may end on the wire."""
        if depth >= DEPTH_LIMIT or len(data) < at + 20:
            return None
        version = data[at] >> 4
        if version == 4:
            return self._ipv4(frame, data, at, end, depth)
        if version == 6 and len(data) >= at + 40:
            return self._ipv6(frame, data, at, end, depth)
        return None

    def _ipv4(self, frame: Frame, data: bytes, at: int, end: int, depth: int) -> Segment | None:
        first, total, identification, fragment, protocol = _IPV4_FIELDS(data, at)
        header = (first & 15) * 4
        if header < 20:
            return None
        if total:
            end = at + total
        addresses = data[at + 12 : at + 20]
        at += header
        if at > end:
            return None
        if fragment & 0x3FFF:
            key = addresses + bytes((protocol,)) + identification.to_bytes(2, "big")
            datagram = self.fragments.add(
                key,
                frame.time,
                (fragment & 0x1FFF) * 8,
                end - at,
                bool(fragment & 0x2000),
                data[at:end],
            )
            if datagram is None:
                return None
            data, end = datagram
            at = 0
        return self._transport(frame, protocol, addresses, data, at, end, depth)

    def _ipv6(self, frame: Frame, data: bytes, at: int, end: int, depth: int) -> Segment | None:
        _, payload, protocol = _IPV6_FIELDS(data, at)
        addresses = data[at + 8 : at + 40]
        at += 40
        # 0: a jumbogram (RFC 2675), or offloading.
        if payload:
            end = at + payload
        for _ in range(EXTENSION_LIMIT):
            if protocol in _EXTENSIONS:
                if len(data) < at + 8:
                    return None
                protocol, length = data[at], (data[at + 1] + 1) * 8
                at += length
            elif protocol == _FRAGMENT:
                if len(data) < at + 8:
                    return None
                protocol = data[at]
                place = _UINT16(data, at + 2)[0]
                key = addresses + data[at + 4 : at + 8]
                at += 8
                if place & 0xFFF9 == 0:
                    continue  # an atomic fragment (RFC 6946): whole
                datagram = self.fragments.add(
                    key,
                    frame.time,
                    place & 0xFFF8,
                    max(end - at, 0),
                    bool(place & 1),
                    data[at : max(end, at)],
                )
                if datagram is None:
                    return None
                data, end = datagram
                at = 0
            else:
                break
        return self._transport(frame, protocol, addresses, data, at, end, depth)

    def _transport(
        self,
        frame: Frame,
        protocol: int,
        addresses: bytes,
        data: bytes,
        at: int,
        end: int,
        depth: int,
    ) -> Segment | None:
        """What an IP packet carries at ``at``."""
        if protocol == _AUTHENTICATION and len(data) >= at + 2:
            # Signed, not encrypted (RFC 4302): the payload follows in clear.
            protocol, at = data[at], at + (data[at + 1] + 2) * 4
        if protocol == _TCP:
            return _tcp(frame, addresses, data, at, end)
        if protocol in (_IP_IN_IP, _IPV6_IN_IP):
            return self._ip(frame, data, at, end, depth + 1)
        if protocol == _UDP and len(data) >= at + 8:
            source, destination = _UINT16(data, at)[0], _UINT16(data, at + 2)[0]
            header = UDP_PORTS.get(destination) or UDP_PORTS.get(source)
            if header is not None:
                return self._carried(frame, header(data, at + 8), data, end, depth)
        elif protocol == _GRE:
            return self._carried(frame, gre(data, at), data, end, depth)
        elif protocol == _MPLS_IN_IP:
            return self._carried(frame, mpls(data, at), data, end, depth)
        elif protocol == (_ICMP if len(addresses) == 8 else _ICMPV6):
            return _unreachable(frame, addresses, data, at)
        return None

    def _carried(
        self, frame: Frame, inside: Inside | None, data: bytes, end: int, depth: int
    ) -> Segment | None:
        """What a tunnel's header is followed by."""
        if inside is None or depth >= DEPTH_LIMIT:
            return None
        kind, at = inside
        if kind == IP_PACKET:
            return self._ip(frame, data, at, end, depth + 1)
        if kind == ETHERNET_FRAME:
            return self._ether_type(frame, data, at + 12, end, depth + 1)
        return self._protocol(frame, kind, data, at, end, depth + 1)

    # ------------------------------------------------------------ scapy

    def _inside(
        self, frame: Frame, layer: str, data: bytes, at: int, end: int, depth: int
    ) -> Segment | None:
        """The TCP segment in the IP packet that scapy finds behind the header at ``at``."""
        if depth >= DEPTH_LIMIT:
            return None
        # Only where a capture needs it: this imports scapy's layers.
        from dicomsniff.tcp.tunnels import find_ip

        found = find_ip(layer, data, at)
        if found is None:
            if layer.startswith("link "):
                self.unread[frame.link_type] = self.unread.get(frame.link_type, 0) + 1
            return None
        return self._ip(frame, data, found, end, depth)


def _tcp(frame: Frame, addresses: bytes, data: bytes, at: int, end: int) -> Segment | None:
    """The TCP segment at ``at``, which ends at ``end`` on the wire."""
    if len(data) < at + 20 or end < at + 20:
        return None
    seq, ack, offset, flags, window = _TCP_FIELDS(data, at + 4)
    start = at + (offset >> 4 << 2)
    if start < at + 20 or start > end:
        return None
    return Segment(
        frame.number,
        frame.time,
        addresses + data[at : at + 4],
        seq,
        ack,
        flags,
        data[start:end],
        end - start,
        window,
    )


def _unreachable(frame: Frame, addresses: bytes, data: bytes, at: int) -> Segment | None:
    """What an ICMP message at ``at`` says of a TCP segment; see :data:`UNREACHABLE`.

    It holds the head of the packet that could not be delivered, eight bytes of TCP at least (RFC
    792, RFC 4443 3.1).
    """
    size = len(addresses) // 2
    inside = at + 8
    if size == 4:
        if len(data) < inside + 20 or data[at] != _UNREACHABLE_4 or data[inside] >> 4 != 4:
            return None
        if data[at + 1] == _TOO_LONG or data[inside + 9] != _TCP:
            return None
        if _UINT16(data, inside + 6)[0] & 0x1FFF:
            return None  # not the first fragment
        ends = data[inside + 12 : inside + 20]
        inside += max(20, (data[inside] & 15) * 4)
    else:
        if len(data) < inside + 40 or data[at] != _UNREACHABLE_6 or data[inside] >> 4 != 6:
            return None
        if data[inside + 6] != _TCP:
            return None
        ends = data[inside + 8 : inside + 40]
        inside += 40
    head = data[inside : inside + 8]
    if len(head) < 8:
        return None
    seq = int.from_bytes(head[4:], "big")
    # No acknowledgement that the segment itself may have had: it is not a copy of that.
    return Segment(
        frame.number,
        frame.time,
        ends + head[:4],
        seq,
        _MASK,
        UNREACHABLE,
        addresses[:size],
        size,
        data[at + 1],
    )


@lru_cache(maxsize=4096)
def endpoints(key: bytes) -> tuple[Endpoint, Endpoint]:
    """Source and destination of a ``Segment.key``; IPv6 addresses in their short form."""
    size = 4 if len(key) == 12 else 16
    source, destination = _ports(key, 2 * size)
    return (
        Endpoint(address(key[:size]), source),
        Endpoint(address(key[size : 2 * size]), destination),
    )


_ports: Final = Struct("!HH").unpack_from


@lru_cache(maxsize=4096)
def address(data: bytes) -> str:
    """An IP address as text; IPv6 in its short form."""
    return str(IPv4Address(data) if len(data) == 4 else IPv6Address(data))
