"""How a data set is encoded: VRs and their length fields, transfer syntaxes, what bytes look like.

A transfer syntax (PS3.5 clause 10, annex A) says three things that matter to whoever walks a
data set: whether VRs are written (explicit) or taken from the dictionary (implicit), the byte
order, and whether the whole is deflated. Devices send data sets that are none of what was
negotiated, so :func:`look` tells what the first bytes are.
"""

from __future__ import annotations

import zlib
from typing import Final, Literal, NamedTuple

IMPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
EXPLICIT_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = frozenset(
    {
        "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
        "1.2.840.10008.1.2.4.95",  # JPIP Referenced Deflate
        "1.2.840.10008.1.2.4.205",  # JPIP HTJ2K Referenced Deflate
    }
)
"""Transfer syntaxes that deflate the whole data set (PS3.5 A.5, A.7, A.13). Deflated Image Frame
Compression (1.2.840.10008.1.2.8.1) is not one: it encapsulates frames."""

PRIVATE_IMPLICIT: Final = frozenset({"1.2.840.113619.5.2"})
"""Private transfer syntaxes known to be implicit VR: GE's, with pixel data in big endian."""

_STANDARD: Final = "1.2.840.10008.1.2"

UNDEFINED: Final = 0xFFFFFFFF
"""Length field of a value of undefined length (PS3.5 7.1.1)."""

ITEM: Final = 0xFFFEE000
ITEM_DELIMITER: Final = 0xFFFEE00D
SEQUENCE_DELIMITER: Final = 0xFFFEE0DD
PIXEL_DATA: Final = 0x7FE00010

TEXT_VRS: Final = frozenset(
    [
        *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT"),
        *("PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"),
    ]
)
BULK_VRS: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))

LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Explicit VRs with two reserved bytes and a length of 4 bytes (PS3.5 table 7.1-1)."""
SHORT_VRS: Final = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
"""Explicit VRs with a length of 2 bytes (PS3.5 table 7.1-2)."""
VRS: Final = LONG_VRS | SHORT_VRS

_FIRST_GROUPS: Final = frozenset({0x02, 0x04, 0x08, 0x0C})
"""Groups that a data set is taken to begin with, where that is the evidence."""

_LAST_GROUP: Final = 0x7FE0
"""Groups behind pixel data hold nothing that a data set could begin with."""


class Encoding(NamedTuple):
    """How element headers are written."""

    explicit: bool
    little: bool

    @property
    def transfer_syntax(self) -> str:
        """The uncompressed transfer syntax of this encoding (there is none for implicit VR
        big endian; implicit VR little endian stands for it)."""
        if not self.explicit:
            return IMPLICIT_LITTLE_ENDIAN
        return EXPLICIT_LITTLE_ENDIAN if self.little else EXPLICIT_BIG_ENDIAN

    def __str__(self) -> str:
        vr = "explicit" if self.explicit else "implicit"
        return f"{vr} VR {'little' if self.little else 'big'} endian"


EXPLICIT: Final = Encoding(True, True)
IMPLICIT: Final = Encoding(False, True)
BIG_ENDIAN: Final = Encoding(True, False)


def negotiated(transfer_syntax: str | None) -> Encoding | None:
    """The encoding that ``transfer_syntax`` prescribes, None where it is private or unknown."""
    if transfer_syntax is None:
        return None
    if transfer_syntax == IMPLICIT_LITTLE_ENDIAN or transfer_syntax in PRIVATE_IMPLICIT:
        return IMPLICIT
    if transfer_syntax == EXPLICIT_BIG_ENDIAN:
        return BIG_ENDIAN
    if transfer_syntax.startswith(_STANDARD + "."):
        return EXPLICIT
    return None


def is_vr(vr: bytes) -> bool:
    """True for two bytes that can be a VR, also one of an edition to come: capital letters."""
    return len(vr) == 2 and 0x41 <= vr[0] <= 0x5A and 0x41 <= vr[1] <= 0x5A


def look(data: bytes | bytearray, at: int = 0) -> Encoding | None:
    """What the element that begins at ``at`` is encoded in; None where it cannot be told.

    A data set begins with a group below 0100H, which has a zero byte in the place that the byte
    order gives it; where there is none, little endian is taken. An implicit length whose low half
    reads as two capital letters is 16,705 bytes at least, which no data set begins with.
    """
    if len(data) < at + 8:
        return None
    little = bool(data[at]) or not data[at + 1]
    group = data[at] | data[at + 1] << 8 if little else data[at + 1]
    vr = bytes(data[at + 4 : at + 6])
    if is_vr(vr):
        return Encoding(True, little)
    length = int.from_bytes(data[at + 4 : at + 8], "little" if little else "big")
    if group <= _LAST_GROUP and (length == UNDEFINED or length < 0x1000000):
        return Encoding(False, little)
    return None


def choose(data: bytes | bytearray, at: int, transfer_syntax: str | None) -> tuple[Encoding, bool]:
    """The encoding to read ``data`` in, and whether it is a guess.

    The bytes have the last word about VRs: a data set that says one thing and was negotiated
    as another is read as what it is. A negotiated byte order is contradicted by an explicit
    VR only, since small implicit elements read plausibly in both.
    """
    said = negotiated(transfer_syntax)
    seen = look(data, at)
    if said is None:
        return seen or EXPLICIT, True
    if seen is None or not (seen.explicit or said.explicit):
        return said, False
    if said.explicit and seen.explicit and said.little != seen.little and _fits(data, at, said):
        # Group 2000H of a film session reads as group 0020H in the other byte order.
        return said, False
    if said.explicit and seen.explicit and data[at] and data[at + 1]:
        return said, False
    return seen, False


def _fits(data: bytes | bytearray, at: int, said: Encoding) -> bool:
    """Whether the first element ends, in the byte order ``said``, where another one begins or
    where the bytes end."""
    order: Literal["little", "big"] = "little" if said.little else "big"
    vr = bytes(data[at + 4 : at + 6])
    if vr in SHORT_VRS:
        end = at + 8 + int.from_bytes(data[at + 6 : at + 8], order)
    elif vr in LONG_VRS:
        end = at + 12 + int.from_bytes(data[at + 8 : at + 12], order)
    else:
        return False
    return end == len(data) or is_vr(bytes(data[end + 4 : end + 6]))


def zlib_wrapped(data: bytes | bytearray) -> bool:
    """True where a deflated data set has a zlib header (RFC 1950), which PS3.5 A.5 forbids."""
    if len(data) < 2 or data[0] & 0x0F != 8 or (data[0] << 8 | data[1]) % 31:
        return False
    # Without the header such bytes begin a stored block, whose length is written twice.
    return len(data) < 5 or (data[1] | data[2] << 8) ^ (data[3] | data[4] << 8) != 0xFFFF


def deflated(data: bytes | bytearray, transfer_syntax: str | None) -> bool:
    """True where ``data`` begins a deflated data set.

    A device may negotiate the deflated transfer syntax and send a plain data set; where
    nothing standard was negotiated, the bytes must inflate to the head of a data set.
    """
    asked = transfer_syntax in DEFLATED
    if not asked and negotiated(transfer_syntax) is not None:
        return False
    plain = look(data)
    plausible = plain is not None and data[0] | data[1] in _FIRST_GROUPS
    if asked:
        return not (plausible and plain is not None and plain.explicit)
    if plausible:
        return False
    try:
        head = zlib.decompressobj(15 if zlib_wrapped(data) else -15).decompress(bytes(data), 64)
    except zlib.error:
        return False
    seen = look(head)
    return seen is not None and seen.explicit and head[0] | head[1] in _FIRST_GROUPS
