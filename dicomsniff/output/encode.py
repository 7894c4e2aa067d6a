"""The transcript's values as bytes again: PDUs, command sets, data sets.

A transcript that is opened goes through the same decoders as a capture, so that nothing that shows
associations has to know where they came from. The bytes are ours, not the peers': sequences and
items have defined lengths, secrets are as many zeros, and what was bulk is a ``Skip`` of the length
it had.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from dicomsniff.dicom.elements import entry
from dicomsniff.dicom.encoding import (
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    SHORT_VRS,
    UNDEFINED,
    Encoding,
    negotiated,
)
from dicomsniff.dicom.values import CHARSET_VRS, swapped
from dicomsniff.model import DataSetBytes, Skip
from dicomsniff.output import djson, schema
from dicomsniff.output.checked import check

_NUMBERS: Final = {
    "US": ("H", 0, 0xFFFF),
    "SS": ("h", -0x8000, 0x7FFF),
    "UL": ("I", 0, 0xFFFFFFFF),
    "SL": ("i", -0x80000000, 0x7FFFFFFF),
    "UV": ("Q", 0, 0xFFFFFFFFFFFFFFFF),
    "SV": ("q", -0x8000000000000000, 0x7FFFFFFFFFFFFFFF),
}
_FLOATS: Final = {"FL": "f", "FD": "d"}
_CHARACTER_SET: Final = "00080005"
_TAG: Final = re.compile("[0-9A-Fa-f]{8}")
_LONGEST: Final = 0xFFFFFFFE
_SHORT: Final = 0xFFFF

MAX_DEPTH: Final = 64
"""Sequences in sequences: what the decoder reads back."""


class EncodeError(ValueError):
    """A value that cannot be what its VR says: one line."""


# ---------------------------------------------------------------------------- data sets

_Encode = Callable[[str], bytes]


def dataset(
    told: Mapping[str, schema.DicomElement],
    length: int,
    complete: bool,
    syntax: str | None,
    charset: str | None,
) -> DataSetBytes:
    """A data set of the DICOM JSON Model, in the encoding of a transfer syntax.

    ``length`` is what it had on the wire. ``charset`` is the character set that was guessed where
    none was declared.
    """
    encoding = negotiated(syntax) or EXPLICIT
    writer = _Writer(encoding)
    writer.elements(told, _plain if charset is None else _encoder([charset]), 0)
    held = bytes(writer.held)
    missing = None if complete else len(held)
    inflated = syntax in DEFLATED and encoding == EXPLICIT
    return DataSetBytes(length, held, tuple(writer.skips), complete, missing, inflated)


class _Writer:
    """Writes one data set. Sequences and items have defined lengths."""

    def __init__(self, encoding: Encoding) -> None:
        self.held = bytearray()
        self.skips: list[Skip] = []
        self.explicit = encoding.explicit
        order = "<" if encoding.little else ">"
        self.order = order
        self.tag = struct.Struct(f"{order}HH").pack
        self.short = struct.Struct(f"{order}H").pack
        self.long = struct.Struct(f"{order}I").pack

    def elements(
        self, told: Mapping[str, schema.DicomElement], encode: _Encode, depth: int
    ) -> None:
        """The elements of a data set or an item, in the order they have."""
        declared = told.get(_CHARACTER_SET)
        if declared is not None:
            encode = _encoder(declared.get("Value", []))
        for key, element in told.items():
            try:
                self.element(key, element, encode, depth)
            except (EncodeError, struct.error, OverflowError) as error:
                text = str(error)
                raise EncodeError(f".{key}{text if text[:1] in '.[:' else ': ' + text}") from None

    def element(self, key: str, element: schema.DicomElement, encode: _Encode, depth: int) -> None:
        """One element with its value, or a skip in the place of its bulk."""
        group, number = int(key[:4], 16), int(key[4:], 16)
        vr = _said(group << 16 | number, element["vr"])
        bulk = element.get("BulkDataURI")
        length, fragments = (0, 0) if bulk is None else djson.bulk_length(bulk)
        length = min(length, _LONGEST)
        held = self.held
        held += self.tag(group, number)
        if vr == "SQ":
            place = self.length(vr, 0)
            self.sequence(element, place, encode, depth)
            return
        value = b"" if length else self.value(vr, element, encode)
        self.length(vr, UNDEFINED if fragments else length or len(value))
        held += value
        if length:
            self.skips.append(Skip(len(held), length, fragments))

    def length(self, vr: str, length: int) -> int:
        """VR and length field; the place of the latter."""
        held, name = self.held, vr.encode()
        if self.explicit and name in SHORT_VRS and length <= _SHORT:
            held += name + self.short(length)
            return len(held) - 2
        if self.explicit:
            # Bulk text of an implicit data set: UN has room for it, and nothing to decode.
            held += (b"UN" if name in SHORT_VRS else name) + b"\0\0"
        held += self.long(length)
        return len(held) - 4

    def sequence(
        self, element: schema.DicomElement, place: int, encode: _Encode, depth: int
    ) -> None:
        """Items of a sequence whose length field stands at ``place``."""
        if depth >= MAX_DEPTH:
            raise EncodeError(f"nested deeper than {MAX_DEPTH} sequences")
        before = len(self.skips)
        for index, item in enumerate(element.get("Value", [])):
            problem = None if item is None else check(item, schema.DicomDataSet)
            if problem is not None:
                raise EncodeError(f".Value[{index}]{problem}")
            self.held += self.tag(0xFFFE, 0xE000) + b"\0\0\0\0"
            start, inside = len(self.held) - 4, len(self.skips)
            try:
                inner = cast("dict[str, schema.DicomElement]", item or {})
                self.elements(inner, encode, depth + 1)
            except EncodeError as error:
                raise EncodeError(f".Value[{index}]{error}") from None
            self.set_length(start, inside)
        self.set_length(place, before)

    def set_length(self, place: int, first: int) -> None:
        """Fill a length field in; lengths count what was measured, too."""
        measured = sum(skip.length for skip in self.skips[first:])
        length = len(self.held) - place - 4 + measured
        if length > _LONGEST:
            raise EncodeError("longer than a length field can say")
        self.held[place : place + 4] = self.long(length)

    def value(self, vr: str, element: schema.DicomElement, encode: _Encode) -> bytes:
        """A value's bytes, padded to an even length."""
        inline = element.get("InlineBinary")
        if inline is not None:
            try:
                value = base64.b64decode(inline, validate=True)
            except (binascii.Error, ValueError):
                raise EncodeError("InlineBinary is not base64") from None
            if self.order == ">":
                value = swapped(vr, value)
            return value + b"\0" * (len(value) % 2)
        values = element.get("Value", [])
        order = self.order
        if vr in _NUMBERS:
            form, lowest, highest = _NUMBERS[vr]
            return b"".join(
                struct.pack(order + form, _whole(one, lowest, highest)) for one in values
            )
        if vr in _FLOATS:
            return b"".join(struct.pack(order + _FLOATS[vr], _float(one)) for one in values)
        if vr == "AT":
            return b"".join(self.tag(*_tag(one)) for one in values)
        text = "\\".join(_text(vr, one) for one in values)
        data = encode(text) if vr in CHARSET_VRS else _plain(text)
        if len(data) % 2:
            data += b"\0" if vr in ("UI", "OB", "UN") else b" "
        return data


def _said(tag: int, vr: str) -> str:
    """The VR that was sent: an IS or DS that holds no number is told as LO."""
    if vr == "LO" and not tag & 0x00010000:
        known = entry(tag)
        if known is not None and known.vr in ("IS", "DS"):
            return known.vr
    return vr


def _whole(value: object, lowest: int, highest: int) -> int:
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            raise EncodeError("text is not a whole number") from None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None:
        return 0
    if not isinstance(value, int) or not lowest <= value <= highest:
        raise EncodeError("not a whole number in the range of its VR")
    return value


def _float(value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, str | int | float):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise EncodeError("not a number")


def _tag(value: object) -> tuple[int, int]:
    if not isinstance(value, str) or not _TAG.fullmatch(value):
        raise EncodeError("not a tag")
    return int(value[:4], 16), int(value[4:], 16)


def _text(vr: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        raise EncodeError(f"not a value of {vr}")
    if isinstance(value, int | float):
        return repr(value)
    if vr == "PN" and isinstance(value, dict):
        groups = [value.get(name, "") for name in ("Alphabetic", "Ideographic", "Phonetic")]
        if all(isinstance(group, str) for group in groups):
            return "=".join(map(str, groups)).rstrip("=")
    raise EncodeError(f"not a value of {vr}")


def _plain(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _encoder(terms: Sequence[object]) -> _Encode:
    """Text to bytes in a declared character set; what it cannot say becomes UTF-8, and the decoder
    tells that the bytes are not what was declared."""
    import warnings

    from pydicom.charset import convert_encodings, encode_string

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an unknown term is what was captured, no news
        try:
            codecs = convert_encodings([str(term or "") for term in terms] or [""])
        except (LookupError, ValueError):
            return _plain

    def encode(text: str) -> bytes:
        if text.isascii():
            return text.encode()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pydicom warns where it has to replace characters
            try:
                return b"\\".join(encode_string(part, codecs) for part in text.split("\\"))
            except (UserWarning, UnicodeError, LookupError, ValueError):
                return _plain(text)

    return encode


# ---------------------------------------------------------------------------- command sets


def command(told: Mapping[str, schema.DicomElement]) -> bytes:
    """A command set: group 0000 in implicit VR little endian (PS3.7 6.3.1)."""
    writer = _Writer(IMPLICIT)
    writer.elements(told, _plain, 0)
    return bytes(writer.held)


# ---------------------------------------------------------------------------- PDUs


def pdu(told: Mapping[str, Any]) -> bytes:
    """A PDU as its entry tells of it, header included; empty where there is none."""
    kind = told["kind"]
    if kind in ("A-ASSOCIATE-RQ", "A-ASSOCIATE-AC"):
        return _associate(told, 1 if kind == "A-ASSOCIATE-RQ" else 2)
    if kind == "A-ASSOCIATE-RJ":
        numbers = [_byte(told, name) for name in ("result", "source", "reason")]
        return _pdu(3, bytes((0, *numbers)))
    if kind == "A-RELEASE-RQ" or kind == "A-RELEASE-RP":
        return _pdu(5 if kind == "A-RELEASE-RQ" else 6, bytes(4))
    if kind == "A-ABORT":
        return _pdu(7, bytes((0, 0, _byte(told, "source"), _byte(told, "reason"))))
    if kind == "UNKNOWN-PDU":
        return _pdu(int(told.get("pdu_type", "0x00"), 16), b"")
    return b""


def _byte(told: Mapping[str, Any], name: str) -> int:
    number = told.get(name, {}).get("number", 0)
    if not 0 <= number <= 0xFF:
        raise EncodeError(f".{name}.number: {number} is no byte")
    return int(number)


def _pdu(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(content)) + content


# A peer may announce more than an item has room for (a user identity whose fields run over it), and
# what is no text takes more bytes in UTF-8 than it had. What is beyond a length field is left out.


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, min(len(content), _SHORT)) + content[:_SHORT]


def _counted(content: bytes) -> bytes:
    return struct.pack(">H", min(len(content), _SHORT)) + content[:_SHORT]


def _ascii(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _uid(told: Mapping[str, Any] | None) -> bytes:
    return b"" if told is None else _ascii(told["uid"])


def _associate(told: Mapping[str, Any], kind: int) -> bytes:
    called = told.get("called_ae_title", "").encode("latin-1", "replace")
    calling = told.get("calling_ae_title", "").encode("latin-1", "replace")
    version = told.get("protocol_version", 1)
    content = struct.pack(">HH16s16s32x", version & 0xFFFF, 0, called.ljust(16), calling.ljust(16))
    if told.get("application_context") is not None:
        content += _item(0x10, _uid(told["application_context"]))
    for context in told.get("presentation_contexts", ()):
        content += _context(context, kind)
    for item in told.get("unknown_items", ()):
        content += _item(int(item["type"], 16), bytes(min(item["length"], _SHORT)))
    if told.get("user_information") is not None:
        content += _item(0x50, _user_information(told["user_information"]))
    return _pdu(kind, content)


def _context(told: Mapping[str, Any], kind: int) -> bytes:
    result = _byte(told, "result") if "result" in told else 0
    head = bytes((told["id"] & 0xFF, 0, result, 0))
    items = b""
    if kind == 1:
        items += _item(0x30, _uid(told.get("abstract_syntax")))
    for uid in told["transfer_syntaxes"]:
        items += _item(0x40, _uid(uid))
    return _item(0x20 if kind == 1 else 0x21, head + items)


def _user_information(told: Mapping[str, Any]) -> bytes:
    items = b""
    if told["maximum_length"] is not None:
        items += _item(0x51, struct.pack(">I", min(told["maximum_length"], 0xFFFFFFFF)))
    if told["implementation_class_uid"] is not None:
        items += _item(0x52, _uid(told["implementation_class_uid"]))
    window = told["asynchronous_operations_window"]
    if window is not None:
        items += _item(
            0x53,
            struct.pack(">HH", min(window["invoked"], _SHORT), min(window["performed"], _SHORT)),
        )
    for role in told["role_selections"]:
        numbers = bytes((role["scu_role"] & 0xFF, role["scp_role"] & 0xFF))
        items += _item(0x54, _counted(_uid(role["sop_class"])) + numbers)
    if told["implementation_version_name"] is not None:
        items += _item(0x55, _ascii(told["implementation_version_name"]))
    for extended in told["extended_negotiations"]:
        said = extended["application_information"]
        content = bytes(min(extended["length"], _SHORT)) if said is None else bytes.fromhex(said)
        items += _item(0x56, _counted(_uid(extended["sop_class"])) + content)
    for common in told["common_extended_negotiations"]:
        related = b"".join(_counted(_uid(uid)) for uid in common["related_general_sop_classes"])
        items += _item(
            0x57,
            _counted(_uid(common["sop_class"]))
            + _counted(_uid(common["service_class"]))
            + _counted(related),
        )
    identity = told["user_identity"]
    if identity is not None:
        items += _item(0x58, _identity(identity))
    if told["user_identity_response_length"] is not None:
        items += _item(0x59, _counted(bytes(min(told["user_identity_response_length"], _SHORT))))
    for item in told["unknown_items"]:
        items += _item(int(item["type"], 16), bytes(min(item["length"], _SHORT)))
    return items


def _identity(told: Mapping[str, Any]) -> bytes:
    name = told["username"]
    primary = bytes(min(told["primary_length"], _SHORT)) if name is None else _ascii(name)
    secondary = bytes(min(told["secondary_length"], _SHORT))
    head = bytes((told["type"]["number"] & 0xFF, bool(told["positive_response_requested"])))
    return head + _counted(primary) + _counted(secondary)
