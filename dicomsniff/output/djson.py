"""Data sets and command sets in the DICOM JSON Model (PS3.18 annex F).

``pydicom.Dataset.from_json`` loads what is written here, whatever crossed the wire:

- Binary values up to 1 KiB are ``InlineBinary``, their words little endian whatever the data set
  is (PS3.18 F.2.7). Anything longer, text too, and what was only
  measured has a ``BulkDataURI``: a prefix that names the message, the path of tags and item
  numbers (from 0), the length in bytes and, of an encapsulated value, the number of its items:
  ``bulk:entry/12/7FE00010?length=524288&fragments=3``.
- IS and DS are numbers. A value that is none (a query's wildcard, a mistake) cannot be written as
  one; such an attribute is written with the VR LO and its text.
- FL and FD without a finite value are ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
- Of a tag that stands twice the first is written. Group lengths are not (PS3.18 F.2.2), except
  that of a command set.
- Attributes are in the order of the wire.
"""

from __future__ import annotations

import base64
import math
import re
from typing import Final

from dicomsniff.dicom.elements import DataSet, Element
from dicomsniff.dicom.encoding import EXPLICIT_BIG_ENDIAN, VRS
from dicomsniff.dicom.values import swapped
from dicomsniff.model import Message
from dicomsniff.output.redact import Redactor

INLINE_LIMIT: Final = 1024
"""Bytes of a value that is written inline: what the transcript promises."""

_VRS: Final = frozenset(vr.decode("ascii") for vr in VRS)
_FLOATS: Final = frozenset(("FL", "FD"))
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?", re.ASCII)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_BULK: Final = re.compile(r"\?length=(\d{1,18})(?:&fragments=(\d{1,9}))?\Z", re.ASCII)
GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")


def dataset_json(
    dataset: DataSet, redactor: Redactor, bulk_prefix: str = "bulk:"
) -> dict[str, object]:
    """A data set, made safe by ``redactor``. ``bulk_prefix`` begins every ``BulkDataURI`` and
    should name the message, for instance ``bulk:entry/12/``."""
    big = dataset.transfer_syntax == EXPLICIT_BIG_ENDIAN
    return _elements(redactor.dataset(dataset).elements, bulk_prefix, big)


def command_json(message: Message, redactor: Redactor) -> dict[str, object]:
    """A command set, made safe by ``redactor``."""
    written: dict[str, object] = {}
    for tag, element in message.command.items():
        value = redactor.command_value(element)
        vr = element.vr if element.vr in _VRS else "UN"
        written[f"{tag:08X}"] = attribute(vr, _listed(vr, value))
    return written


def _listed(vr: str, value: object) -> tuple[object, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, tuple):
        return value
    if isinstance(value, str) and vr not in ("LT", "ST", "UT", "UR"):
        return tuple(value.split("\\"))
    return (value,)


def _elements(elements: list[Element], prefix: str, big: bool) -> dict[str, object]:
    written: dict[str, object] = {}
    for element in elements:
        tag = element.tag
        key = f"{tag:08X}"
        if tag & 0xFFFF == 0 or key in written:
            continue
        if element.vr == "SQ":
            sequence: dict[str, object] = {"vr": "SQ"}
            if element.items:
                sequence["Value"] = [
                    _elements(item.elements, f"{prefix}{key}/{number}/", big)
                    for number, item in enumerate(element.items)
                ]
            written[key] = sequence
            continue
        vr = element.vr if element.vr in _VRS else "UN"
        length = element.bulk_length
        if length is None:
            length = element.end - element.value_start
            if length <= INLINE_LIMIT:
                # What stands inside of UN is implicit, and little endian (PS3.5 6.2.2).
                written[key] = attribute(vr, element.values, swap=big and element.explicit)
                continue
        fragments = f"&fragments={element.fragments}" if element.fragments else ""
        uri = f"{prefix}{key}?length={length}{fragments}"
        written[key] = {"vr": vr, "BulkDataURI": uri}
    return written


def bulk_length(uri: str) -> tuple[int, int]:
    """Length in bytes and number of fragments that a ``BulkDataURI`` of ours tells; zeros where
    it tells none."""
    found = _BULK.search(uri)
    return (int(found[1]), int(found[2] or 0)) if found is not None else (0, 0)


def attribute(vr: str, values: tuple[object, ...], *, swap: bool = False) -> dict[str, object]:
    """One attribute with its values."""
    if not values:
        return {"vr": vr}
    first = values[0]
    if isinstance(first, bytes):
        if swap:
            first = swapped(vr, first)
        return {"vr": vr, "InlineBinary": base64.b64encode(first).decode("ascii")}
    if vr == "PN":
        return {"vr": vr, "Value": [_name(str(value)) for value in values]}
    if vr == "AT":
        return {"vr": vr, "Value": [f"{value:08X}" for value in values]}
    if vr in _FLOATS:
        return {"vr": vr, "Value": [_float(value) for value in values]}
    if vr in ("IS", "DS"):
        numbers = [_number(vr, str(value)) for value in values]
        if "" in numbers:
            return {"vr": "LO", "Value": [_text(str(value)) for value in values]}
        return {"vr": vr, "Value": numbers}
    return {
        "vr": vr,
        "Value": [_text(value) if isinstance(value, str) else value for value in values],
    }


def _text(value: str) -> str | None:
    """A text that is valid in any JSON; null for an empty one among others (PS3.18 F.2.5)."""
    if not value:
        return None
    return value if value.isascii() else valid(value)


def valid(text: str) -> str:
    """A text without halves of characters."""
    return _SURROGATES.sub("\ufffd", text)


def _name(value: str) -> dict[str, str] | None:
    groups = value.split("=", 2)
    name = {
        label: text
        for label, group in zip(GROUPS, groups, strict=False)
        if (text := _text(group)) is not None
    }
    return name or None


def _float(value: object) -> float | str | None:
    if not isinstance(value, int | float):
        return None
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _number(vr: str, value: str) -> int | float | str | None:
    """The number of an IS or DS, null where empty, an empty text where it is none."""
    value = value.strip(" ")
    if not value:
        return None
    if _INTEGER.fullmatch(value):
        return int(value)
    if vr == "IS" or _DECIMAL.fullmatch(value) is None:
        return ""
    number = float(value)
    return number if math.isfinite(number) else ""
