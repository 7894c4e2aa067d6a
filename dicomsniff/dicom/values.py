"""Values of a data element: bytes to text and numbers, and whether they are what the VR allows
(PS3.5 table 6.2-1)."""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import Final

BYTES_KEPT: Final = 1024
"""A longer binary value is bulk: it stays where it is and is not copied into an element."""

CHARSET_VRS: Final = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
"""VRs that (0008,0005) applies to."""
SINGLE_VRS: Final = frozenset(("LT", "ST", "UR", "UT"))
"""Text in which a backslash is no delimiter."""
_STRIPPED: Final = frozenset(("AE", "DS", "IS", "UI"))
"""VRs in which spaces before the value mean nothing. (They do nowhere much, but a name that
begins with a space is worth seeing.)"""

_NUMBERS: Final = {
    "US": ("H", 2),
    "SS": ("h", 2),
    "UL": ("L", 4),
    "SL": ("l", 4),
    "FL": ("f", 4),
    "FD": ("d", 8),
    "SV": ("q", 8),
    "UV": ("Q", 8),
    "AT": ("H", 4),
}
"""Format and bytes of one value; AT is two halves."""
_UNITS: Final = {"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}
"""Bytes of a word of what is bulk for people."""

MAXIMUM: Final = {
    "AE": 16,
    "AS": 4,
    "CS": 16,
    "DA": 18,
    "DS": 16,
    "DT": 54,
    "IS": 12,
    "LO": 64,
    "LT": 10240,
    "PN": 194,
    "SH": 16,
    "ST": 1024,
    "TM": 29,
    "UI": 64,
}
"""Characters that one value may have; of dates and times as a range, of PN with three groups."""

_DATE: Final = r"\d{8}|\d{8}-(?:\d{8})?|-\d{8}|[\d*?]*[*?][\d*?]*"
_ONE_TIME: Final = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?"
_TIME: Final = rf"{_ONE_TIME}|{_ONE_TIME}-(?:{_ONE_TIME})?|-{_ONE_TIME}|[\d.*?]*[*?][\d.*?]*"
_ONE_STAMP: Final = r"\d{4}(?:\d\d){0,5}(?:\.\d{1,6})?(?:[+-]\d{4})?"
_STAMP: Final = (
    rf"{_ONE_STAMP}|{_ONE_STAMP} ?-(?: ?{_ONE_STAMP})?|- ?{_ONE_STAMP}|[\d.*?+-]*[*?][\d.*?+-]*"
)

FORMS: Final = {
    "AS": re.compile(r"(?:\d{3}[DWMY])?"),
    "CS": re.compile(r"[A-Z0-9_ *?]*"),
    "DA": re.compile(rf"(?:{_DATE})?"),
    "DS": re.compile(r"(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?)?"),
    "DT": re.compile(rf"(?:{_STAMP})?"),
    "IS": re.compile(r"(?:[+-]?\d+)?"),
    "TM": re.compile(rf"(?:{_TIME})?"),
    "UI": re.compile(r"(?:(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*)?"),
}
"""What one value must look like, what queries add (ranges, wildcards) included."""
_FORM_LIMIT: Final = 64
"""Longer values are not held against their form: they are too long anyway."""


def split(vr: str, text: str) -> tuple[str, ...]:
    """The single values of a decoded text, padding taken off."""
    if vr in SINGLE_VRS or "\\" not in text:
        one = text.rstrip(" \0")
        if vr in _STRIPPED:
            one = one.lstrip(" ")
        return (one,) if one else ()
    if vr in _STRIPPED:
        return tuple([part.strip(" \0") for part in text.split("\\")])
    return tuple([part.rstrip(" \0") for part in text.split("\\")])


def text_notes(vr: str, text: str, values: tuple[str, ...]) -> list[str]:
    """What is wrong with a text, without saying the text."""
    notes: list[str] = []
    form = FORMS.get(vr)
    if form is not None:
        for value in values:
            if len(value) <= _FORM_LIMIT and form.fullmatch(value) is None:
                notes.append(f"not what {vr} allows")
                break
    maximum = MAXIMUM.get(vr)
    if maximum is not None and len(text) > maximum:
        longest = max(map(len, values), default=0)
        if longest > maximum:
            notes.append(f"{longest} characters where {vr} allows {maximum}")
    if text.endswith("\0") and vr != "UI":
        notes.append("padded with NUL instead of a space")
    elif vr == "UI" and text.endswith(" "):
        notes.append("padded with a space instead of NUL")
    return notes


@lru_cache(maxsize=1024)
def _struct(count: int, code: str, little: bool) -> struct.Struct:
    return struct.Struct(f"{'<' if little else '>'}{count}{code}")


def numbers(vr: str, raw: bytes, little: bool) -> tuple[tuple[int | float, ...], str]:
    """The numbers of a binary VR, and what is wrong with its length. Whole values are read, what
    is left over is not."""
    code, size = _NUMBERS[vr]
    count, over = divmod(len(raw), size)
    fault = f"length {len(raw)} is no multiple of the {size} bytes of {vr}" if over else ""
    if not count:
        return (), fault
    if vr == "AT":
        halves = _struct(count * 2, code, little).unpack_from(raw)
        return tuple([halves[i] << 16 | halves[i + 1] for i in range(0, count * 2, 2)]), fault
    return _struct(count, code, little).unpack_from(raw), fault


def swapped(vr: str, raw: bytes) -> bytes:
    """The words of a binary value in the other byte order; what is no whole word stays."""
    size = _UNITS.get(vr, 1)
    whole = len(raw) - len(raw) % size
    words = bytearray(raw)
    for offset in range(size if size > 1 else 0):
        words[offset:whole:size] = raw[size - 1 - offset : whole : size]
    return bytes(words)


def unit_fault(vr: str, length: int) -> str:
    """What is wrong with the length of a binary value; empty where nothing is."""
    size = _UNITS.get(vr, 1)
    return f"length {length} is no multiple of the {size} bytes of {vr}" if length % size else ""


NUMBER_VRS: Final = frozenset(_NUMBERS)
