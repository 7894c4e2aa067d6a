"""Wireless LAN frames: what they carry, and where it begins.

As in :mod:`dicomsniff.tcp.encapsulation`, a function takes bytes and gives an Ethernet type and
the place of what is inside; None where nothing can be read: management, empty frames.

IEEE 802.11-2020 9.2.4 and 9.3.2; radiotap.org; linktypes 105, 119, 127, 163 and 192 of
tcpdump.org.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dicomsniff.tcp.encapsulation import Inside

DOT11: Final = 105
PRISM: Final = 119
RADIOTAP: Final = 127
AVS: Final = 163
PPI: Final = 192

LINKS: Final = frozenset((DOT11, PRISM, RADIOTAP, AVS, PPI))
"""Link types of wireless frames: bare, and behind headers of what the radio measured."""

ENCRYPTED: Final = (0, 0)
"""In place of what is inside: a data frame that is encrypted."""

PRESENCE_LIMIT: Final = 16
"""Words of a radiotap header that tell its fields: one for each antenna and namespace."""

_DATA: Final = 0x08
"""Type of data frames, with the protocol version 0."""
_NO_DATA: Final = 0x40
_QUALITY: Final = 0x80
"""Bits of the subtype: without a body; with a field for quality of service."""
_PROTECTED: Final = 0x40
_ORDER: Final = 0x80
_AGGREGATED: Final = 0x80
"""Of the quality of service field: several packets in one frame, each with a header of 14 bytes."""
_PADDED: Final = 0x20
"""Of radiotap's flags: what follows the header is aligned to four bytes."""
_AVS_MAGIC: Final = b"\x80\x21\x10"

_LITTLE16: Final = Struct("<H").unpack_from
_LITTLE32: Final = Struct("<I").unpack_from
_BIG32: Final = Struct(">I").unpack_from
_UINT16: Final = Struct("!H").unpack_from


def wlan(link_type: int, data: bytes) -> Inside | None:
    """The packet in a frame of one of the link types :data:`LINKS`."""
    at = 0
    padded = False
    if len(data) < 16:
        return None
    if link_type == RADIOTAP:
        at, padded = _LITTLE16(data, 2)[0], _is_padded(data)
    elif link_type == PPI:
        if _LITTLE32(data, 4)[0] != DOT11:
            return None
        at = _LITTLE16(data, 2)[0]
    elif link_type == AVS or (link_type == PRISM and data.startswith(_AVS_MAGIC)):
        at = _BIG32(data, 4)[0]
    elif link_type == PRISM:
        at = _LITTLE32(data, 4)[0]
    return dot11(data, at, padded=padded)


def dot11(data: bytes, at: int, *, padded: bool = False) -> Inside | None:
    """A frame of IEEE 802.11. ``padded``: its header takes a multiple of four bytes.

    Of several packets in one frame the first is given; of encryption :data:`ENCRYPTED`.
    """
    if len(data) < at + 32:
        return None
    kind, flags = data[at], data[at + 1]
    if kind & 0x0F != _DATA or kind & _NO_DATA:
        return None
    if flags & _PROTECTED:
        return ENCRYPTED
    size = 30 if flags & 3 == 3 else 24  # between access points there is a fourth address
    aggregated = 0
    if kind & _QUALITY:
        aggregated = data[at + size] & _AGGREGATED
        size += 6 if flags & _ORDER else 2  # high throughput control
    if padded:
        size += -size & 3
    at += size + 14 * bool(aggregated)
    # LLC and SNAP (RFC 1042).
    if len(data) < at + 8 or data[at : at + 6] != b"\xaa\xaa\x03\0\0\0":
        return None
    return _UINT16(data, at + 6)[0], at + 8


def _is_padded(data: bytes) -> bool:
    """Whether radiotap's flags, its second field, say so."""
    at = 4
    for _ in range(PRESENCE_LIMIT):
        if len(data) < at + 4:
            return False
        at += 4
        if not data[at - 1] & 0x80:
            break
    fields = data[4]
    if fields & 1:  # the time of the radio's clock
        at += (-at & 7) + 8
    return bool(fields & 2) and at < len(data) and bool(data[at] & _PADDED)
