"""Headers of tunnels: what they carry, and where it begins.

Each function takes the bytes and the place of a header, and gives the kind of what is inside with
its place: an Ethernet type, ``ETHERNET_FRAME``, or ``IP_PACKET`` where the packet's own version
has to tell. None: this is no such header, or it carries what holds no IP.

GRE RFC 2784, 2890 and 2637; ERSPAN draft-foschiano-erspan; MPLS RFC 3032 and 4385; PPP RFC 1661,
PPPoE RFC 2516; VXLAN RFC 7348, VXLAN-GPE draft-ietf-nvo3-vxlan-gpe; GENEVE RFC 8926; GTP-U
3GPP TS 29.281; Teredo RFC 4380; ERF as in Wireshark's and Endace's documents (EDM11-01).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ETHERNET_FRAME: Final = -1
IP_PACKET: Final = -2

LABELS_LIMIT: Final = 16
"""Labels of an MPLS stack; networks use up to six."""

EXTENSIONS_LIMIT: Final = 8
"""Extension headers of GTP-U; mobile networks use one."""

_TRANSPARENT_ETHERNET: Final = 0x6558
_PPP: Final = 0x880B
_MPLS: Final = frozenset((0x8847, 0x8848))
_PPPOE: Final = 0x8864
_ERSPAN_2: Final = 0x88BE
_ERSPAN_3: Final = 0x22EB

_PPP_KINDS: Final = {0x0021: 0x0800, 0x0057: 0x86DD, 0x0281: 0x8847, 0x0283: 0x8848}
"""Protocols of PPP as Ethernet types: IPv4, IPv6, MPLS unicast and multicast."""

_ERF_ETHERNET: Final = frozenset((2, 11, 16, 20))
"""Ethernet, and with colours and hashes of the card's filters."""
_ERF_IP: Final = frozenset((22, 23))

_UINT16: Final = Struct("!H").unpack_from

Inside = tuple[int, int]


def gre(data: bytes, at: int) -> Inside | None:
    """Generic routing encapsulation, with what it is used for: ERSPAN, PPTP, Ethernet."""
    if len(data) < at + 4:
        return None
    flags, kind = data[at], _UINT16(data, at + 2)[0]
    version = data[at + 1] & 7
    at += 4
    if version > 1 or flags & 0x40:  # source routing, which nobody uses (RFC 2784 2.3)
        return None
    if version == 0:
        at += 4 * bool(flags & 0x80)  # checksum
        at += 4 * bool(flags & 0x20)  # key
        at += 4 * bool(flags & 0x10)  # sequence number
    else:
        at += 4 + 4 * bool(flags & 0x10) + 4 * bool(data[at - 3] & 0x80)
    if kind == _ERSPAN_2:
        # Type I has no header of its own, and no sequence number either.
        return ETHERNET_FRAME, at + 8 * bool(flags & 0x10)
    if kind == _ERSPAN_3:
        if len(data) < at + 12:
            return None
        last = data[at + 11]
        frame_type = (data[at + 10] & 0x7C) >> 2
        at += 12 + 8 * (last & 1)  # platform specific part
        return (IP_PACKET if frame_type == 2 else ETHERNET_FRAME), at
    return by_type(kind, data, at) or (kind, at)


def by_type(kind: int, data: bytes, at: int) -> Inside | None:
    """Tunnels that an Ethernet type names."""
    if kind == _TRANSPARENT_ETHERNET:
        return ETHERNET_FRAME, at
    if kind in _MPLS:
        return mpls(data, at)
    if kind == _PPPOE:
        return ppp(data, at + 6) if len(data) > at + 6 and data[at + 1] == 0 else None
    if kind == _PPP:
        return ppp(data, at)
    return None


def mpls(data: bytes, at: int) -> Inside | None:
    """A stack of labels. What is below it is agreed on beforehand, and has to be guessed."""
    for _ in range(LABELS_LIMIT):
        if len(data) < at + 5:
            return None
        bottom = data[at + 2] & 1
        at += 4
        if bottom:
            break
    else:
        return None
    first = data[at] >> 4
    if first in (4, 6):
        return IP_PACKET, at
    if first == 0 and not any(data[at : at + 2]):
        return ETHERNET_FRAME, at + 4  # control word of a pseudowire
    return ETHERNET_FRAME, at


def ppp(data: bytes, at: int) -> Inside | None:
    """The point-to-point protocol, with or without its address field, compressed or not."""
    if data[at : at + 2] == b"\xff\x03":
        at += 2
    if len(data) < at + 2:
        return None
    if data[at] & 1:
        number, at = data[at], at + 1
    else:
        number, at = _UINT16(data, at)[0], at + 2
    kind = _PPP_KINDS.get(number)
    if kind in _MPLS:
        return mpls(data, at)
    return None if kind is None else (kind, at)


def vxlan(data: bytes, at: int) -> Inside | None:
    """Virtual extensible LAN: Ethernet behind eight bytes."""
    if len(data) < at + 8 or not data[at] & 0x08:
        return None
    return ETHERNET_FRAME, at + 8


def vxlan_gpe(data: bytes, at: int) -> Inside | None:
    """The generic form of VXLAN, which names what is inside."""
    if len(data) < at + 8 or not data[at] & 0x08:
        return None
    if not data[at] & 0x04 or data[at + 3] == 3:
        return ETHERNET_FRAME, at + 8
    if data[at + 3] == 5:
        return mpls(data, at + 8)
    return (IP_PACKET, at + 8) if data[at + 3] in (1, 2) else None


def geneve(data: bytes, at: int) -> Inside | None:
    """Generic network virtualization encapsulation."""
    if len(data) < at + 8 or data[at] >> 6:
        return None
    kind = _UINT16(data, at + 2)[0]
    at += 8 + 4 * (data[at] & 63)
    return by_type(kind, data, at) or (kind, at)


def gtp(data: bytes, at: int) -> Inside | None:
    """The user plane of mobile networks: IP packets of type G-PDU."""
    if len(data) < at + 8 or data[at] & 0xF0 != 0x30 or data[at + 1] != 0xFF:
        return None
    flags = data[at]
    at += 8
    if flags & 7:
        if len(data) < at + 4:
            return None
        following = data[at + 3] if flags & 4 else 0
        at += 4
        for _ in range(EXTENSIONS_LIMIT):
            if not following:
                break
            if len(data) <= at or not data[at] or len(data) < at + 4 * data[at]:
                return None
            at += 4 * data[at]
            following = data[at - 1]
    return IP_PACKET, at


def erf(data: bytes, at: int) -> Inside | None:
    """A record of Endace's cards (ERF): their header stands in front of the frame."""
    if len(data) < at + 18:
        return None
    kind = data[at + 8]
    more, kind = kind & 0x80, kind & 0x7F
    at += 16
    for _ in range(EXTENSIONS_LIMIT):
        if not more:
            break
        more = data[at] & 0x80 if len(data) > at else 0
        at += 8
    if kind in _ERF_ETHERNET:
        return ETHERNET_FRAME, at + 2  # offset and a byte of padding
    return (IP_PACKET, at) if kind in _ERF_IP else None


def teredo(data: bytes, at: int) -> Inside | None:
    """IPv6 through UDP, behind an authentication and an origin indication where there are any."""
    if data[at : at + 2] == b"\0\1" and len(data) >= at + 4:
        at += 13 + data[at + 2] + data[at + 3]
    if data[at : at + 2] == b"\0\0":
        at += 8
    return (IP_PACKET, at) if len(data) > at and data[at] >> 4 == 6 else None


UDP_PORTS: Final[dict[int, Callable[[bytes, int], Inside | None]]] = {
    4789: vxlan,
    8472: vxlan,  # Linux's number before there was a registered one
    4790: vxlan_gpe,
    6081: geneve,
    2152: gtp,
    3544: teredo,
    6635: mpls,  # MPLS in UDP (RFC 7510)
}
"""Tunnels in UDP, by their destination port."""
