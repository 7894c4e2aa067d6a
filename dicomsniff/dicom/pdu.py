"""The seven PDUs of the upper layer (PS3.8 9.3), with all their items.

One walk over the bytes serves two purposes: `decode` gives the values, `layout` every field with
its place. A PDU cut short gives what was whole of it; half a UID or half a name is no value.

The secrets of a user identity (58H, 59H) are measured, never kept, and no node shows them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, Literal

from dicomsniff.dicom.associate import Associate
from dicomsniff.dicom.names.upper_layer import PDU_TYPES, abort_text, reject_text
from dicomsniff.dicom.reader import Reader
from dicomsniff.model import (
    PDU,
    AbortPDU,
    Fault,
    Node,
    RejectPDU,
    ReleasePDU,
    UnknownPDU,
)

HEADER: Final = 6
"""Bytes before a PDU's own fields: type, reserved, length (PS3.8 9.3.1)."""

REMEMBERED: Final = 128
"""Different PDUs whose decoded form is kept, past that all are forgotten: a network has some dozen
pairs of devices."""

KEPT: Final = 64 * 1024
"""Bytes kept of a PDU beside its decoded form."""

REMEMBERED_LENGTH: Final = 16 * 1024
"""Bytes of the longest PDU kept so, that of a device which proposes all it knows (128 contexts)."""

_LENGTH: Final = struct.Struct(">I").unpack_from


_known: Final[dict[bytes, PDU]] = {}
"""PDUs without secrets, by their bytes: a device asks for every association in the same ones."""


def decode(data: bytes) -> PDU:
    """Decode a whole PDU, header included; also one that is cut short. Never raises.

    A P-DATA-TF has no value of its own here, for its content streams by elsewhere: it comes back
    as an `UnknownPDU` of type 4 that carries its faults. `layout` shows what is in it.
    """
    return read(data)[0]


def read(data: bytes) -> tuple[PDU, bytes]:
    """A PDU as `decode` has it, and its first bytes (:data:`KEPT`), with those of passcodes,
    tickets and tokens replaced: nothing keeps them."""
    pdu = _known.get(data)
    if pdu is not None:
        return pdu, data
    pdu = _walk(data, None)
    # A tree of all that a hostile one of megabytes may hold would be a hundred times as large.
    data = data[:KEPT]
    spans = secret_spans(data)
    if spans:
        blanked = bytearray(data)
        for start, end in spans:
            blanked[start:end] = b"*" * (end - start)
        return pdu, bytes(blanked)
    if len(data) <= REMEMBERED_LENGTH:
        if len(_known) >= REMEMBERED:
            _known.clear()
        _known[data] = pdu
    return pdu, data


def _may_hold_secrets(data: bytes) -> bool:
    """Whether a user identity (58H, 59H) may be in it, found out without a walk."""
    if b"\x58" in data or b"\x59" in data:
        return True
    # Behind a PDU whose length is too small may be the rest of one.
    return len(data) >= HEADER and len(data) > HEADER + _LENGTH(data, 2)[0]


def layout(data: bytes) -> Node:
    """Return a PDU as a tree of every field with its place. Never raises.

    Values are as they decode: escape them before they reach a terminal. Secrets are not in them;
    their nodes are marked ``sensitive`` and hold a length only.
    """
    root = Node("", "", 0, len(data))
    _walk(data, root)
    return root


def secret_spans(data: bytes) -> list[tuple[int, int]]:
    """Return where the secrets of a PDU stand, ascending, for whoever shows or writes its bytes."""
    if data[:1] not in (b"\x01", b"\x02"):
        return []
    if not _may_hold_secrets(data):
        return []
    spans: list[tuple[int, int]] = []
    nodes = [layout(data)]
    while nodes:
        node = nodes.pop()
        if node.sensitive and node.start < node.end:
            spans.append((node.start, node.end))
        nodes.extend(node.children)
    return sorted(spans)


def _walk(data: bytes, root: Node | None) -> PDU:
    size = len(data)
    faults: list[Fault] = []
    kind = data[0] if size else 0
    name = PDU_TYPES.get(kind, "UNKNOWN-PDU")
    if size >= HEADER:
        length: int = _LENGTH(data, 2)[0]
        reader = Reader(data, 0, HEADER + length, faults, root)
        if HEADER + length > size:
            reader.fault(f"PDU length is {length}, {size - HEADER} bytes are here", 2, HEADER)
    else:
        length = 0
        # How long it was to be is not known: everything behind is cut off.
        reader = Reader(data, 0, max(HEADER, size + 1), faults, root)
        reader.fault(f"PDU header is cut short after {size} bytes", 0, size)
    if root is None:
        reader.pos = min(HEADER, size)
    else:
        root.name = name
        reader.u8("PDU type", lambda number: PDU_TYPES.get(number, "not defined"))
        reader.skip(1)
        reader.u32("PDU length")
    if name == "UNKNOWN-PDU":
        if size:
            reader.fault(f"PDU type {kind:02X}H is not defined", 0, 1)
        reader.skip(reader.remaining, "Content")
    result = _PDUS.get(kind, _unknown)(reader, kind)
    if size > HEADER + length and size >= HEADER:
        reader.fault(f"{size - HEADER - length} bytes behind the PDU", HEADER + length, size)
        if root is not None:
            behind = HEADER + length
            node = Node("Bytes behind the PDU", f"{size - behind} bytes, not shown", behind, size)
            # Where the length is too small, these may be the rest of a user identity.
            node.sensitive = kind in (1, 2)
            root.children.append(node)
    return result(tuple(faults))


_Built = Callable[[tuple[Fault, ...]], PDU]
"""A PDU that waits for its faults, which are complete only at the end of the walk."""


def _unknown(_: Reader, kind: int) -> _Built:
    return lambda faults: UnknownPDU(kind, faults)


def _undefined(*texts: str) -> bool:
    return any(text.startswith(("Reserved", "Undefined")) for text in texts)


def _fixed(reader: Reader) -> None:
    """Check the length of a PDU that is always 4 bytes long."""
    length = reader.limit - HEADER
    if length != 4 and reader.end >= HEADER:
        reader.fault(f"PDU length is {length}, not 4", 2, HEADER)


def _reject(reader: Reader, _: int) -> _Built:
    """A-ASSOCIATE-RJ, PS3.8 9.3.4."""
    _fixed(reader)
    reader.skip(1)
    start = reader.pos
    result = reader.u8("Result", lambda n: reject_text(n, 0, 0)[0]) or 0
    source = reader.u8("Source", lambda n: reject_text(0, n, 0)[1]) or 0
    reason = reader.u8("Reason/Diag.", lambda n: reject_text(0, source, n)[2]) or 0
    reader.leftover()
    if reader.pos - start >= 3 and _undefined(*reject_text(result, source, reason)):
        reader.fault("Result, source or reason is not one the standard defines", start, start + 3)
    return lambda faults: RejectPDU(result, source, reason, faults)


def _release(reader: Reader, kind: int) -> _Built:
    """A-RELEASE-RQ and A-RELEASE-RP, PS3.8 9.3.6 and 9.3.7."""
    _fixed(reader)
    reader.skip(min(4, reader.limit - HEADER))
    reader.leftover()
    name: Literal["A-RELEASE-RQ", "A-RELEASE-RP"] = "A-RELEASE-RQ" if kind == 5 else "A-RELEASE-RP"
    return lambda faults: ReleasePDU(name, faults)


def _abort(reader: Reader, _: int) -> _Built:
    """A-ABORT, PS3.8 9.3.8."""
    _fixed(reader)
    reader.skip(1)
    reader.skip(1)
    start = reader.pos
    source = reader.u8("Source", lambda n: abort_text(n, 0)[0]) or 0
    reason = reader.u8("Reason/Diag.", lambda n: abort_text(source, n)[1]) or 0
    reader.leftover()
    if reader.pos - start >= 2 and _undefined(*abort_text(source, reason)):
        reader.fault("Source or reason is not one the standard defines", start, start + 2)
    return lambda faults: AbortPDU(source, reason, faults)


def _control(number: int) -> str:
    """Return a message control header in words (PS3.8 E.2)."""
    what = "command" if number & 1 else "data set"
    return f"{what}, {'last' if number & 2 else 'not last'} fragment"


def _associate(reader: Reader, kind: int) -> _Built:
    """A-ASSOCIATE-RQ and A-ASSOCIATE-AC, PS3.8 9.3.2 and 9.3.3."""
    state = Associate(kind)
    state.read(reader)
    return state.result


def _data(reader: Reader, kind: int) -> _Built:
    """P-DATA-TF, PS3.8 9.3.5: presentation data value items, for `layout` alone."""
    while reader.remaining > 0:
        start = reader.pos
        node = None
        if reader.node is not None:
            node = Node("Presentation data value item", "", start, start)
            reader.node.children.append(node)
        header = Reader(reader.data, start, reader.limit, reader.faults, node, reader.end)
        length = header.u32("Item length")
        reader.pos = header.pos
        if length is not None:
            reader.fits(length, "Presentation data value item")
            if length < 2:
                reader.fault(f"Item length is {length}, less than 2", start, start + 4)
            item = reader.sub(length, node)
            if item.remaining:
                context = item.u8("Presentation context ID")
                control = item.u8("Message control header", _control) if item.remaining else None
                if control is not None:
                    begin, item.pos = item.pos, item.end
                    item.record("Presentation data value", f"{item.end - begin} bytes", begin)
                    if node is not None:
                        node.value = f"context {context}, {_control(control)}"
        if node is not None:
            node.end = reader.pos
    return _unknown(reader, kind)


_PDUS: Final[dict[int, Callable[[Reader, int], _Built]]] = {
    0x01: _associate,
    0x02: _associate,
    0x03: _reject,
    0x04: _data,
    0x05: _release,
    0x06: _release,
    0x07: _abort,
}
