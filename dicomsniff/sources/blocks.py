"""Blocks of pcapng, as they are numbered and written (draft-ietf-opsawg-pcapng 4)."""

from __future__ import annotations

from struct import Struct
from typing import Final

from dicomsniff.model import Frame

SECTION_HEADER: Final = 0x0A0D0D0A
INTERFACE_DESCRIPTION: Final = 1
PACKET: Final = 2
"""Obsolete."""
SIMPLE_PACKET: Final = 3
INTERFACE_STATISTICS: Final = 5
ENHANCED_PACKET: Final = 6
DECRYPTION_SECRETS: Final = 10
"""Block types."""

PACKETS: Final = (PACKET, SIMPLE_PACKET, ENHANCED_PACKET)

_BIG_ENDIAN: Final = b"\x1a\x2b\x3c\x4d"
_BYTE_ORDER: Final = 0x1A2B3C4D

HEAD: Final = Struct("<II")
"""Type and length, with which every block begins."""
_TAIL: Final = Struct("<I")
_SECTION: Final = Struct("<IHHq")
"""Byte order, version (major, minor), length of the section (-1: not told)."""
_INTERFACE: Final = Struct("<HHI")
"""Link type, reserved, snap length."""
_PACKET: Final = Struct("<IIIIIII")
"""Enhanced packet block: type, length, interface, time (high, low), captured, original length."""
_OPTION: Final = Struct("<HH")
_PADDING: Final = (b"", bytes(3), bytes(2), bytes(1))

_END_OF_OPTIONS: Final = 0
_NAME: Final = 2
_RESOLUTION: Final = 9
_PROGRAM: Final = 4


def endian_of(head: bytes) -> str:
    """The byte order of a section, as ``struct`` spells it, from its first twelve bytes."""
    return ">" if head[8:12] == _BIG_ENDIAN else "<"


def section(program: str | None = None) -> bytes:
    """A section header block; ``program`` wrote it."""
    body = _SECTION.pack(_BYTE_ORDER, 1, 0, -1)
    if program is not None:
        body += _option(_PROGRAM, program.encode()) + _option(_END_OF_OPTIONS)
    return block(SECTION_HEADER, body)


def interface(link_type: int, snaplen: int = 0, name: str | None = None) -> bytes:
    """An interface description block, with times in units of 10^-9 s (if_tsresol)."""
    options = b"" if name is None else _option(_NAME, name.encode())
    options += _option(_RESOLUTION, b"\x09") + _option(_END_OF_OPTIONS)
    return block(INTERFACE_DESCRIPTION, _INTERFACE.pack(link_type, 0, snaplen) + options)


def packet(frame: Frame, interface: int) -> tuple[int, tuple[bytes, bytes, bytes, bytes]]:
    """An enhanced packet block: its length, and its pieces."""
    _, when, _, data, wire = frame
    size = len(data)
    padding = _PADDING[size & 3]
    length = 32 + size + len(padding)
    head = _PACKET.pack(
        ENHANCED_PACKET,
        length,
        interface,
        when >> 32 & 0xFFFFFFFF,
        when & 0xFFFFFFFF,
        size,
        wire,
    )
    return length, (head, data, padding, _TAIL.pack(length))


def block(kind: int, body: bytes) -> bytes:
    """A block of any kind; the body is a multiple of four bytes long."""
    length = len(body) + 12
    return HEAD.pack(kind, length) + body + _TAIL.pack(length)


def _option(code: int, value: bytes = b"") -> bytes:
    return _OPTION.pack(code, len(value)) + value + bytes(-len(value) % 4)
