"""PDUs and messages made by hand, for what no tool can be made to send."""

from __future__ import annotations

import struct
import zlib

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"

_LONG = ("OB", "OW", "UN", "SQ", "UT", "UV", "SV", "OV", "OD", "OF", "OL", "UC", "UR")


def item(kind: int, content: bytes) -> bytes:
    """An item of an A-ASSOCIATE-RQ or AC."""
    return struct.pack(">BBH", kind, 0, len(content)) + content


def pdu(kind: int, content: bytes) -> bytes:
    """A PDU of any type."""
    return struct.pack(">BBI", kind, 0, len(content)) + content


def _associate(kind: int, contexts: bytes) -> bytes:
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4")
    return pdu(
        kind,
        struct.pack(">HH", 1, 0)
        + b"STORAGE".ljust(16)
        + b"FLC1270".ljust(16)
        + bytes(32)
        + item(0x10, b"1.2.840.10008.3.1.1.1")
        + contexts
        + item(0x50, user),
    )


def request(contexts: list[tuple[int, str, list[str]]]) -> bytes:
    """A-ASSOCIATE-RQ from FLC1270 to STORAGE: (ID, abstract syntax, transfer syntaxes)."""
    return _associate(
        1,
        b"".join(
            item(
                0x20,
                struct.pack(">BBBB", number, 0, 0, 0)
                + item(0x30, abstract.encode())
                + b"".join(item(0x40, syntax.encode()) for syntax in syntaxes),
            )
            for number, abstract, syntaxes in contexts
        ),
    )


def accept(contexts: list[tuple[int, int, str]]) -> bytes:
    """A-ASSOCIATE-AC: (ID, result, transfer syntax)."""
    return _associate(
        2,
        b"".join(
            item(0x21, struct.pack(">BBBB", number, 0, result, 0) + item(0x40, syntax.encode()))
            for number, result, syntax in contexts
        ),
    )


def reject(result: int = 1, source: int = 1, reason: int = 7) -> bytes:
    """A-ASSOCIATE-RJ."""
    return pdu(3, bytes((0, result, source, reason)))


def release() -> bytes:
    """A-RELEASE-RQ."""
    return pdu(5, bytes(4))


def released() -> bytes:
    """A-RELEASE-RP."""
    return pdu(6, bytes(4))


def abort(source: int = 0, reason: int = 0) -> bytes:
    """A-ABORT."""
    return pdu(7, bytes((0, 0, source, reason)))


def element(group: int, number: int, vr: str, value: bytes) -> bytes:
    """A data element in explicit VR little endian."""
    head = struct.pack("<HH2s", group, number, vr.encode())
    if vr in _LONG:
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def deflate(data: bytes) -> bytes:
    """As Deflated Explicit VR Little Endian has it (PS3.5 A.5)."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(data) + packer.flush()
    return packed + bytes(len(packed) % 2)


def command_set(
    field: int,
    message_id: int = 1,
    *,
    dataset: bool = False,
    status: int | None = None,
    counts: tuple[int, int, int, int] | None = None,
    sop_class: str | None = None,
) -> bytes:
    """A command set; ``counts`` are remaining, completed, failed, warning sub-operations."""

    def one(number: int, value: bytes) -> bytes:
        return struct.pack("<HHI", 0, number, len(value)) + value

    parts = b""
    if sop_class is not None:
        uid = sop_class.encode()
        parts += one(0x0002, uid + bytes(len(uid) % 2))
    parts += one(0x0100, struct.pack("<H", field))
    being = 0x0120 if field & 0x8000 or field == 0x0FFF else 0x0110
    parts += one(being, struct.pack("<H", message_id))
    parts += one(0x0800, struct.pack("<H", 1 if dataset else 0x0101))
    if status is not None:
        parts += one(0x0900, struct.pack("<H", status))
    for number, count in zip((0x1020, 0x1021, 0x1022, 0x1023), counts or (), strict=False):
        parts += one(number, struct.pack("<H", count))
    return one(0, struct.pack("<I", len(parts))) + parts


def value(context_id: int, data: bytes, control: int) -> bytes:
    """A presentation data value item."""
    return struct.pack(">IBB", len(data) + 2, context_id, control) + data


def pdata(*values: bytes) -> bytes:
    """A P-DATA-TF."""
    return pdu(4, b"".join(values))


def command(context_id: int, field: int, message_id: int = 1, **more: object) -> bytes:
    """A whole command set in a P-DATA-TF of its own."""
    return pdata(value(context_id, command_set(field, message_id, **more), 3))  # type: ignore[arg-type]


def data(context_id: int, content: bytes, *, last: bool = True) -> bytes:
    """A fragment of a data set in a P-DATA-TF of its own."""
    return pdata(value(context_id, content, 2 if last else 0))
