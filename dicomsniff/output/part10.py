"""What stands in front of a data set in a DICOM file: preamble and file meta information."""

from __future__ import annotations

import struct
from typing import Final

import dicomsniff

IMPLEMENTATION_CLASS_UID: Final = "2.25.295003847608060230935953912912274500992"
"""Ours (PS3.7 D.3.3.2), made from a random UUID as PS3.5 B.2 has it."""

UID_LENGTH: Final = 64
"""Bytes that a UID has at most (PS3.5 9.1)."""

_AE_LENGTH: Final = 16
"""Bytes that an AE title, and an implementation version name, has at most (PS3.5 6.2)."""


def header(
    sop_class: str | None,
    sop_instance: str | None,
    transfer_syntax: str,
    source: str | None,
    destination: str | None,
) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1).

    ``source`` and ``destination`` are the AE titles of who sent the object and to whom. What is
    longer than its element can be is cut: a file is wanted even of an object with a bad name.
    """
    version = f"DICOMSNIFF_{dicomsniff.__version__}"
    elements = [
        _element(0x0001, b"OB", b"\x00\x01"),
        _element(0x0002, b"UI", _text(sop_class, UID_LENGTH)),
        _element(0x0003, b"UI", _text(sop_instance, UID_LENGTH)),
        _element(0x0010, b"UI", _text(transfer_syntax, UID_LENGTH)),
        _element(0x0012, b"UI", _text(IMPLEMENTATION_CLASS_UID, UID_LENGTH)),
        _element(0x0013, b"SH", _text(version, _AE_LENGTH)),
    ]
    if source:
        elements.append(_element(0x0016, b"AE", _text(source, _AE_LENGTH)))
        elements.append(_element(0x0017, b"AE", _text(source, _AE_LENGTH)))
    if destination:
        elements.append(_element(0x0018, b"AE", _text(destination, _AE_LENGTH)))
    group = b"".join(elements)
    length = _element(0x0000, b"UL", struct.pack("<I", len(group)))
    return b"\x00" * 128 + b"DICM" + length + group


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    """An element of group 0002, always explicit VR little endian."""
    if len(value) % 2:
        value += b"\x00" if vr == b"UI" else b" "
    if vr == b"OB":
        return struct.pack("<HH2sHI", 0x0002, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 0x0002, number, vr, len(value)) + value


def _text(text: str | None, limit: int) -> bytes:
    """Text of a command or of the negotiation, as file meta information can hold it."""
    return (text or "").encode("ascii", "replace")[:limit]
