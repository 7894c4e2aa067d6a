"""A data set in the layout of dcmdump: ``(0010,0010) PN [Doe^Jane]   #   8, 1 PatientName``.

In the order of the wire, with the lengths and delimiters that were there and what is wrong with
them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final
from unicodedata import east_asian_width

from dicomsniff.dicom import names
from dicomsniff.dicom.elements import DataSet, Element, tag_text
from dicomsniff.dicom.encoding import EXPLICIT_BIG_ENDIAN
from dicomsniff.model import DataSetBytes
from dicomsniff.output.info import escape
from dicomsniff.output.redact import Redactor

VALUE: Final = 40
"""Columns of a value before its length."""

SHOWN: Final = 70
"""Characters of a value that dcmdump shows unless it is told otherwise."""

_NUMBERS: Final = frozenset(("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"))
_WORDS: Final = {"OW": ("H", "04x"), "OL": ("I", "d"), "OV": ("Q", "d")}

_INDENT: Final = "  "


def dataset_lines(decoded: DataSet, held: DataSetBytes, redactor: Redactor) -> Iterator[str]:
    """A data set as lines of text without their ends."""
    decoded = redactor.dataset(decoded)
    uid = decoded.transfer_syntax
    name = None if uid is None else names.uid_name(uid)
    guessed = " (a guess)" if decoded.guessed else ""
    yield "# Dicom-Data-Set"
    yield f"# Used TransferSyntax: {escape(name or uid or 'unknown')}{guessed}"
    for note in decoded.notes:
        yield f"# {escape(note)}"
    yield from _elements(decoded.elements, "", decoded.transfer_syntax == EXPLICIT_BIG_ENDIAN)
    for fault in decoded.faults:
        yield f"W: {escape(fault.text)}"
    if not held.complete:
        yield "W: bytes of this data set are missing in the capture"


def _elements(elements: list[Element], indent: str, big: bool) -> Iterator[str]:
    for element in elements:
        yield _line(element, indent, big)
        if element.vr == "SQ":
            yield from _items(element, indent, big)
        elif element.fragments:
            yield _delimiter(
                indent, "fffe,e0dd", "SequenceDelimitationItem", None, element.delimited, "."
            )
        for text in (*(fault.text for fault in element.faults), *element.notes):
            yield f"{indent}W: {tag_text(element.tag).lower()} {escape(text)}"


def _items(element: Element, indent: str, big: bool) -> Iterator[str]:
    deeper = indent + _INDENT
    for item in element.items:
        length = "undefined" if item.length is None else "explicit"
        shown = f"(Item with {length} length #={len(item.elements)})"
        yield _row(deeper, "fffe,e000", "na", shown, item.length, 1, "Item")
        yield from _elements(item.elements, deeper + _INDENT, big)
        yield _delimiter(
            deeper, "fffe,e00d", "ItemDelimitationItem", item.length, item.delimited, "ing"
        )
        for fault in item.faults:
            yield f"{deeper}W: {escape(fault.text)}"
    yield _delimiter(
        indent, "fffe,e0dd", "SequenceDelimitationItem", element.length, element.delimited, "."
    )


def _delimiter(
    indent: str, tag: str, name: str, length: int | None, delimited: bool, end: str
) -> str:
    """What ends an item or a sequence; dcmdump shows one even where nothing was sent."""
    shown = f"({name})" if delimited else f"({name} missing)"
    if length is not None:
        shown = f"({name} for re-encod{end})"
    return _row(indent, tag, "na", shown, 0, 0, name)


def _line(element: Element, indent: str, big: bool) -> str:
    tag = f"{element.tag >> 16:04x},{element.tag & 0xFFFF:04x}"
    name = element.keyword or element.name
    count = len(element.values)
    if element.vr == "SQ":
        length = "undefined" if element.length is None else "explicit"
        shown, count = f"(Sequence with {length} length #={len(element.items)})", 1
    elif element.fragments:
        shown, count = f"(PixelSequence #={element.fragments})", 1
    elif element.bulk_length is not None:
        shown, count = f"({element.bulk_length} bytes, not kept)", 1
    elif count:
        shown = _value(element.vr, element.values, big and element.explicit)
    else:
        shown = "(no value available)"
    return _row(indent, tag, element.vr, shown, element.length, count, name)


def _row(
    indent: str, tag: str, vr: str, shown: str, length: int | None, count: int, name: str
) -> str:
    if len(shown) > SHOWN:
        shown = shown[: SHOWN - 3] + "..."
    size = "u/l" if length is None else str(length)
    gap = " " * (VALUE - _columns(shown))
    return f"{indent}({tag}) {vr} {shown}{gap} # {size:>3}, {count} {escape(name)}"


def _columns(text: str) -> int:
    """Columns on a terminal: Chinese, Japanese and Korean characters take two."""
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _value(vr: str, values: tuple[object, ...], big: bool) -> str:
    """A value as dcmdump writes it; ``big``: its bytes are big endian."""
    first = values[0]
    if isinstance(first, bytes):
        return _bytes(vr, first, ">" if big else "<")
    if vr == "AT":
        return "\\".join(tag_text(one).lower() for one in values if isinstance(one, int))
    if vr in _NUMBERS:
        return "\\".join(_number(vr, one) for one in values)
    if vr == "UI" and len(values) == 1:
        known = names.uid_name(str(first))
        if known is not None:
            # dcmtk's names are those of PS3.6 without spaces and signs.
            return "=" + "".join(char for char in known if char.isalnum())
    return f"[{escape(chr(92).join(map(str, values)))}]"


def _number(vr: str, value: object) -> str:
    if vr == "FL" and isinstance(value, int | float):
        # The shortest decimal that is the same 4-byte number.
        for digits in range(6, 10):
            text = f"{value:.{digits}g}"
            if struct.pack("<f", float(text)) == struct.pack("<f", value):
                return text
    if vr == "FD" and isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _bytes(vr: str, raw: bytes, order: str) -> str:
    form, width = _WORDS.get(vr, ("B", "02x"))
    whole = len(raw) - len(raw) % struct.calcsize(form)
    words = [f"{word:{width}}" for (word,) in struct.iter_unpack(order + form, raw[:whole])]
    shown = "\\".join(words)
    if len(shown) > SHOWN:
        # Whole words, as dcmdump has it.
        shown = shown[: shown.rindex("\\", 0, SHOWN - 2)] + "..."
    return shown
