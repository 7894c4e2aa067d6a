"""DICOM as dcmtk speaks it, made by hand: PDUs of 16 KiB, CT images, worklist answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
WORKLIST = "1.2.840.10008.5.1.4.31"
EXPLICIT = "1.2.840.10008.1.2.1"

MAXIMUM_LENGTH = 16_384
"""dcmtk's usual maximum length of a P-DATA-TF."""

_ROOM = MAXIMUM_LENGTH - 12
"""Bytes of a message in such a PDU: dcmtk counts the PDU header too."""

_PDU = Struct(">BBI")
_VALUE = Struct(">BBIIBB")
_ITEM = Struct(">BBH")
_EXPLICIT = Struct("<HH2sH")
_EXPLICIT_LONG = Struct("<HH2sHI")
_IMPLICIT = Struct("<HHI")
_LONG = frozenset(("OB", "OW", "SQ", "UN", "UT"))

NO_DATA_SET = 0x0101


class Context(NamedTuple):
    """A presentation context."""

    id: int
    abstract_syntax: str


def _item(kind: int, content: bytes) -> bytes:
    return _ITEM.pack(kind, 0, len(content)) + content


def _associate(kind: int, calling: str, called: str, contexts: Iterable[bytes]) -> bytes:
    user = _item(0x51, MAXIMUM_LENGTH.to_bytes(4, "big"))
    user += _item(0x52, b"1.2.276.0.7230010.3.0.3.6.7") + _item(0x55, b"OFFIS_DCMTK_367")
    body = b"\0\1\0\0" + called.ljust(16).encode() + calling.ljust(16).encode() + bytes(32)
    body += _item(0x10, b"1.2.840.10008.3.1.1.1") + b"".join(contexts) + _item(0x50, user)
    return _PDU.pack(kind, 0, len(body)) + body


def request(calling: str, called: str, *contexts: Context) -> bytes:
    """A-ASSOCIATE-RQ that proposes Explicit VR Little Endian, then the two others."""
    syntaxes = b"".join(
        _item(0x40, uid.encode()) for uid in (EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2")
    )
    items = (
        _item(
            0x20, bytes((each.id, 0, 0, 0)) + _item(0x30, each.abstract_syntax.encode()) + syntaxes
        )
        for each in contexts
    )
    return _associate(1, calling, called, items)


def accept(calling: str, called: str, *contexts: Context) -> bytes:
    """A-ASSOCIATE-AC that takes Explicit VR Little Endian for every context."""
    syntax = _item(0x40, EXPLICIT.encode())
    items = (_item(0x21, bytes((each.id, 0, 0, 0)) + syntax) for each in contexts)
    return _associate(2, calling, called, items)


RELEASE_REQUEST = _PDU.pack(5, 0, 4) + bytes(4)
RELEASE_RESPONSE = _PDU.pack(6, 0, 4) + bytes(4)


def uid(value: str) -> bytes:
    """A UID's bytes, padded."""
    data = value.encode()
    return data + b"\0" if len(data) & 1 else data


def command(field: int, **elements: int | str) -> bytes:
    """A command set: group length, command field, then what is given by name."""
    values: dict[int, bytes] = {0x0100: field.to_bytes(2, "little")}
    for name, value in elements.items():
        values[_COMMAND[name]] = (
            uid(value) if isinstance(value, str) else value.to_bytes(2, "little")
        )
    body = b"".join(
        _IMPLICIT.pack(0, tag, len(value)) + value for tag, value in sorted(values.items())
    )
    return _IMPLICIT.pack(0, 0, 4) + len(body).to_bytes(4, "little") + body


_COMMAND = {
    "sop_class": 0x0002,
    "message_id": 0x0110,
    "responded": 0x0120,
    "priority": 0x0700,
    "dataset": 0x0800,
    "status": 0x0900,
    "sop_instance": 0x1000,
}


def pdus(context: int, control: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """P-DATA-TFs of one value each. ``control``: 1 command, 0 data set; the last is marked."""
    held = b""
    for piece in pieces:
        data = held + piece if held else piece
        last = len(data) - 1
        at = 0
        while last - at >= _ROOM:
            part = data[at : at + _ROOM]
            yield _VALUE.pack(4, 0, _ROOM + 6, _ROOM + 2, context, control) + part
            at += _ROOM
        held = data[at:]
    yield _VALUE.pack(4, 0, len(held) + 6, len(held) + 2, context, control | 2) + held


def element(tag: int, vr: str, value: bytes | str) -> bytes:
    """An element in Explicit VR Little Endian."""
    data = value.encode() if isinstance(value, str) else value
    if len(data) & 1:
        data += b"\0" if vr in ("UI", "OB") else b" "
    group, number = tag >> 16, tag & 0xFFFF
    if vr in _LONG:
        return _EXPLICIT_LONG.pack(group, number, vr.encode(), 0, len(data)) + data
    return _EXPLICIT.pack(group, number, vr.encode(), len(data)) + data


def _short(value: int) -> bytes:
    return value.to_bytes(2, "little")


def ct_header(instance: str, number: int, *, frames: int, length: int) -> bytes:
    """Everything of a CT image but its pixels, whose ``length`` the last header tells."""
    code = element(0x00080100, "SH", "T-D1100") + element(0x00080102, "SH", "SRT")
    code += element(0x00080104, "LO", "Head")
    item = Struct("<HHI").pack(0xFFFE, 0xE000, len(code)) + code
    elements = (
        (0x00080005, "CS", "ISO_IR 192"),
        (0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        (0x00080016, "UI", CT),
        (0x00080018, "UI", instance),
        (0x00080020, "DA", "20260105"),
        (0x00080021, "DA", "20260105"),
        (0x00080022, "DA", "20260105"),
        (0x00080030, "TM", "081500.000000"),
        (0x00080032, "TM", "081501.250000"),
        (0x00080050, "SH", "ACC0001270"),
        (0x00080060, "CS", "CT"),
        (0x00080070, "LO", "Invented Devices"),
        (0x00080080, "LO", "Hospital of Nowhere"),
        (0x00080090, "PN", "Nobody^Doctor"),
        (0x00081010, "SH", "FLC1270"),
        (0x00081030, "LO", "CT head without contrast"),
        (0x0008103E, "LO", "Axial 1 mm"),
        (0x00081090, "LO", "Invented 64"),
        (0x00082218, "SQ", item),
        (0x00100010, "PN", "Wang^XiaoDong=王^小东"),
        (0x00100020, "LO", "PAT0000042"),
        (0x00100030, "DA", "19800101"),
        (0x00100040, "CS", "F"),
        (0x00101010, "AS", "046Y"),
        (0x00180015, "CS", "HEAD"),
        (0x00180050, "DS", "1.0"),
        (0x00180060, "DS", "120"),
        (0x00180090, "DS", "512"),
        (0x00181030, "LO", "Head routine"),
        (0x00181151, "IS", "280"),
        (0x00181210, "SH", "H30s"),
        (0x00185100, "CS", "HFS"),
        (0x0020000D, "UI", "1.2.826.0.1.3680043.10.1270.1"),
        (0x0020000E, "UI", "1.2.826.0.1.3680043.10.1270.1.1"),
        (0x00200010, "SH", "1"),
        (0x00200011, "IS", "2"),
        (0x00200013, "IS", str(number)),
        (0x00200032, "DS", f"-125.0\\-125.0\\{number}.0"),
        (0x00200037, "DS", "1\\0\\0\\0\\1\\0"),
        (0x00200052, "UI", "1.2.826.0.1.3680043.10.1270.1.2"),
        (0x00201041, "DS", f"{number}.0"),
        (0x00280002, "US", _short(1)),
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00280008, "IS", str(frames)),
        (0x00280010, "US", _short(512)),
        (0x00280011, "US", _short(512)),
        (0x00280030, "DS", "0.488281\\0.488281"),
        (0x00280100, "US", _short(16)),
        (0x00280101, "US", _short(12)),
        (0x00280102, "US", _short(11)),
        (0x00280103, "US", _short(0)),
        (0x00281050, "DS", "40"),
        (0x00281051, "DS", "80"),
        (0x00281052, "DS", "-1024"),
        (0x00281053, "DS", "1"),
    )
    body = b"".join(element(*each) for each in elements)
    return body + _EXPLICIT_LONG.pack(0x7FE0, 0x0010, b"OW", 0, length)


def worklist_item(number: int) -> bytes:
    """An answer to a worklist query, with its step."""
    step = b"".join(
        (
            element(0x00080060, "CS", "CT"),
            element(0x00400001, "AE", "FLC1270"),
            element(0x00400002, "DA", "20260105"),
            element(0x00400003, "TM", "083000"),
            element(0x00400006, "PN", "Nobody^Doctor"),
            element(0x00400007, "LO", "CT head"),
            element(0x00400009, "SH", f"STEP{number:07d}"),
        )
    )
    item = Struct("<HHI").pack(0xFFFE, 0xE000, len(step)) + step
    return b"".join(
        (
            element(0x00080005, "CS", "ISO_IR 192"),
            element(0x00080050, "SH", f"ACC{number:07d}"),
            element(0x00080090, "PN", "Nobody^Referring"),
            element(0x00100010, "PN", f"Wang^Nr{number}=王^小东"),
            element(0x00100020, "LO", f"PAT{number:07d}"),
            element(0x00100030, "DA", "19800101"),
            element(0x00100040, "CS", "F"),
            element(0x0020000D, "UI", f"1.2.826.0.1.3680043.10.1270.{number + 1}"),
            element(0x00321060, "LO", "CT head without contrast"),
            element(0x00400100, "SQ", item),
            element(0x00401001, "SH", f"PROC{number:07d}"),
        )
    )


def worklist_query() -> bytes:
    """An identifier that asks for everything of one station."""
    step = element(0x00080060, "CS", "CT") + element(0x00400001, "AE", "FLC1270")
    item = Struct("<HHI").pack(0xFFFE, 0xE000, len(step)) + step
    keys = ((0x00080050, "SH"), (0x00100010, "PN"), (0x00100020, "LO"), (0x0020000D, "UI"))
    return b"".join(element(tag, vr, "") for tag, vr in keys) + element(0x00400100, "SQ", item)
