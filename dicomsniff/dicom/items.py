"""What the items of an A-ASSOCIATE PDU have in common: header, UIDs, AE titles (PS3.8 9.3.2)."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

from dicomsniff.dicom.names.uids import uid_name
from dicomsniff.dicom.names.upper_layer import ITEM_TYPES
from dicomsniff.dicom.reader import Reader, hexadecimal
from dicomsniff.model import Node

UID_LENGTH: Final = 64
"""Longest UID (PS3.5 9.1)."""
ITEM_HEADER: Final = 4
"""Bytes before an item's own fields: type, reserved, length."""

_ITEM: Final = struct.Struct(">BBH").unpack_from
_UID: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*").fullmatch
_ODD_AE: Final = re.compile(r"[^ -\[\]-~]").search
"""What no AE title may hold: control characters, backslash, bytes outside ASCII (PS3.5 6.2)."""


def items(
    reader: Reader, reserved: Callable[[int], str] = lambda _: "Reserved"
) -> Iterator[tuple[int, int, Reader]]:
    """Go through items: type, reserved byte, length, content (PS3.8 9.3.2.1).

    Yields type, offset of the item, and a reader of its content, which has a node of its own
    where nodes are recorded. ``reserved`` names the second byte, by type.
    """
    data = reader.data
    end = reader.end
    while (start := reader.pos) < end:
        if end - start < ITEM_HEADER:
            if not reader.cut:
                reader.fault(f"{end - start} bytes are too few for an item", start, end)
            reader.skip(end - start, "Incomplete item")
            return
        kind, spare, length = _ITEM(data, start)
        reader.pos = start + ITEM_HEADER
        node = None
        if reader.node is not None:
            name = ITEM_TYPES.get(kind)
            node = Node(f"{name} item" if name else f"Unknown item {kind:02X}H", "", start, start)
            node.children.append(Node("Item type", f"{kind:02X}H", start, start + 1))
            node.children.append(Node(reserved(kind), f"{spare:02x}", start + 1, start + 2))
            node.children.append(Node("Item length", str(length), start + 2, start + 4))
            reader.node.children.append(node)
        if start + ITEM_HEADER + length > reader.limit:
            reader.fault(
                f"{ITEM_TYPES.get(kind, 'Item')}: length {length} runs past the end of what "
                f"encloses it, {reader.limit - start - 4} bytes are left",
                start + 2,
                start + 4,
            )
        item = reader.sub(length, node)
        if node is not None:
            node.end = item.end
        yield kind, start, item
        if node is not None and not node.value and len(node.children) == 4:
            # An item of one field reads as that field.
            node.value = node.children[3].value


@lru_cache(maxsize=2048)
def _short_uid(raw: bytes) -> tuple[str, str]:
    """Return a UID of at most 66 bytes without its padding, and what is wrong with it.

    Kept, because the same few dozen UIDs come again and again; bounded by number and by length.
    """
    return _long_uid(raw)


def _long_uid(raw: bytes) -> tuple[str, str]:
    text = raw.decode("latin-1")
    uid = text.strip(" \0")
    if not uid:
        return "", "is empty"
    if len(uid) > UID_LENGTH:
        return uid, f"is {len(uid)} characters long, more than {UID_LENGTH}"
    if not _UID(uid):
        return uid, "is no valid UID"
    if uid != text:
        return uid, f"is padded with {'NUL' if chr(0) in text else 'spaces'}, which is not allowed"
    return uid, ""


def uid_field(reader: Reader, size: int, name: str) -> str | None:
    """Read a UID (PS3.8 annex F: not padded). None where it is empty or cut off."""
    start = reader.pos
    raw = reader.take(size, name)
    if start + size > reader.end and reader.cut:
        reader.record(name, f"{raw.decode('latin-1')}… (cut short)", start)
        return None
    uid, wrong = _short_uid(raw) if len(raw) <= UID_LENGTH + 2 else _long_uid(raw)
    if wrong:
        reader.fault(f"{name} {wrong}", start, start + len(raw))
    if reader.node is not None:
        known = uid_name(uid)
        reader.record(name, f"{uid} ({known})" if known else uid, start)
    return uid or None


def counted_uid(reader: Reader, name: str) -> str | None:
    """Read a UID behind its two-byte length."""
    size = reader.u16(f"{name} length")
    return None if size is None else uid_field(reader, size, name)


def ae_title(reader: Reader, name: str, *, tested: bool) -> str:
    """Read an AE title of 16 bytes; ``tested`` where it has a meaning, which is in a request."""
    start = reader.pos
    raw = reader.take(16, name)
    text = raw.decode("latin-1")
    title = text.strip(" \0")
    reader.record(name, title, start)
    if len(raw) < 16:
        return ""
    if tested:
        if not title:
            reader.fault(f"{name} is blank", start, start + 16)
        elif _ODD_AE(title):
            reader.fault(f"{name} holds characters that no AE title may have", start, start + 16)
        elif "\0" in text:
            reader.fault(f"{name} is padded with NUL, not spaces", start, start + 16)
    return title


def unknown_item(kept: list[tuple[int, bytes]], kind: int, start: int, item: Reader) -> None:
    """Keep an item that has no place here."""
    known = ITEM_TYPES.get(kind)
    what = f"{known} item is out of place" if known else f"Item type {kind:02X}H is not defined"
    item.fault(what, start, item.end)
    if kind in (0x58, 0x59):
        # A user identity holds secrets wherever it stands.
        kept.append((kind, b""))
        hidden(item, "Content")
        return
    begin = item.pos
    content = item.take(item.remaining, "Content")
    kept.append((kind, content))
    if content:
        item.record("Content", hexadecimal(content), begin)


def hidden(reader: Reader, name: str) -> None:
    """Pass over the rest of ``reader``, which may hold a secret: its length is all that is told."""
    begin = reader.pos
    size = reader.remaining
    if size > 0:
        reader.pos = reader.end
        reader.record(name, f"{size} bytes, not shown", begin, sensitive=True)


def aligned(reader: Reader, types: frozenset[int]) -> bool:
    """Tell whether what is left is a chain of items of these types that ends where it should.

    Where the bytes at hand end first, the chain is good as far as they go.
    """
    data, pos, end = reader.data, reader.pos, reader.end
    while pos + ITEM_HEADER <= end:
        kind, _, length = _ITEM(data, pos)
        if kind not in types:
            return False
        pos += ITEM_HEADER + length
    return pos <= reader.limit if reader.cut else pos == end
