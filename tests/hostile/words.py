"""A session in which a peer puts hostile words wherever the protocol lets it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from dicomsniff.model import Frame
from tests import wire
from tests.hostile.bombs import ACK, CLIENT, SERVER, frame, handshake

ESC = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1b[31m"
"""Writes the clipboard, clears the screen, turns everything red."""

BIDI = "\u202eRIGHT\u2066TO\u2069LEFT\u200f\u2028"
"""Turns text round, and begins a line that is none."""

MARKUP = "[red]x[/red][@click=app.quit]y[/][link=file:///etc/passwd]z[/link]"
FORMULA = "=HYPERLINK(0)"
UP = "../../etc/passwd"

UNSAFE = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""What may never be printed: a pattern. (A tab and a line feed are the program's own.)"""


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def _request(called: str, calling: str, abstract: str, name: str) -> bytes:
    """An A-ASSOCIATE-RQ in which nothing is what it should be."""

    def text(value: str) -> bytes:
        return value.encode("utf-8", "surrogatepass")

    user = (
        _item(0x51, struct.pack(">I", 16384))
        + _item(0x52, text(UP))
        + _item(0x55, text(name)[:16])
        + _item(0x58, b"\x01\x01" + _field(text(ESC + name)) + _field(b"secret"))
    )
    good = _item(
        0x20, b"\x01\0\0\0" + _item(0x30, wire.CT.encode()) + _item(0x40, b"1.2.840.10008.1.2.1")
    )
    bad = _item(0x20, b"\x03\0\0\0" + _item(0x30, text(abstract)) + _item(0x40, text(ESC)))
    return wire.pdu(
        1,
        struct.pack(">HH", 1, 0)
        + text(called).ljust(16)[:16]
        + text(calling).ljust(16)[:16]
        + bytes(32)
        + _item(0x10, text("1.2" + ESC))
        + good
        + bad
        + _item(0x50, user),
    )


def _field(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _even(data: bytes, pad: bytes = b" ") -> bytes:
    return data + pad * (len(data) % 2)


def _said() -> tuple[list[bytes], list[bytes]]:
    """What the requestor and the acceptor say, in turns."""
    ask = _request("\x1b]0;own\x07\x1b[2J", "=cmd|'/c x'!A0", MARKUP, BIDI)
    names = "".join((ESC, BIDI, MARKUP, "\x00\ud800")).encode("utf-8", "surrogatepass")
    body = wire.element(8, 5, "CS", b"ISO_IR 192")
    body += wire.element(8, 0x16, "UI", _even(wire.CT.encode(), b"\0"))
    body += wire.element(8, 0x18, "UI", _even(UP.encode(), b"\0"))
    for group, number, vr in ((8, 0x50, "SH"), (8, 0x60, "CS"), (8, 0x80, "LO"), (8, 0x20, "DA")):
        body += wire.element(group, number, vr, _even(names))
    body += wire.element(0x10, 0x10, "PN", _even(names))
    body += wire.element(0x10, 0x20, "LO", _even(FORMULA.encode()))
    body += wire.element(0x11, 0x10, "LO", _even(names))
    body += wire.element(0x11, 0x1001, "UN", _even(names))
    body += wire.element(0x20, 0x0D, "UI", b"1.2.3.4\0")
    body += wire.element(0x20, 0x10, "SH", _even(names))
    uid = _even(UP.encode(), b"\0")

    def store(number: int) -> bytes:
        command = _command(
            (0x0002, _even(wire.CT.encode(), b"\0")),
            (0x0100, struct.pack("<H", 1)),
            (0x0110, struct.pack("<H", number)),
            (0x0800, struct.pack("<H", 1)),
            (0x1000, uid),
            (0x1030, _even(ESC.encode())),
        )
        return wire.pdata(wire.value(1, command, 3)) + wire.data(1, body)

    def answer(number: int, status: int) -> bytes:
        command = _command(
            (0x0002, _even((MARKUP + ESC).encode())),
            (0x0100, struct.pack("<H", 0x8001)),
            (0x0120, struct.pack("<H", number)),
            (0x0800, struct.pack("<H", 0x101)),
            (0x0900, struct.pack("<H", status)),
            (0x0902, _even(names)),
            (0x1000, uid),
        )
        return wire.pdata(wire.value(1, command, 3))

    unknown = wire.pdu(0x1B, names)
    accept = wire.accept([(1, 0, wire.EXPLICIT), (3, 0, ESC)])
    return (
        [ask, store(1), store(2), unknown],
        [accept, answer(1, 0xA700), answer(2, 0)],
    )


def _command(*elements: tuple[int, bytes]) -> bytes:
    parts = b"".join(struct.pack("<HHI", 0, number, len(v)) + v for number, v in elements)
    return struct.pack("<HHII", 0, 0, 4, len(parts)) + parts


def session() -> Iterator[Frame]:
    """The session, in frames."""
    yield from handshake(1, CLIENT, 40000)
    at = [1, 1]
    number = 3
    asked, answered = _said()
    for turn in range(max(len(asked), len(answered))):
        for side, said in enumerate((asked, answered)):
            if turn < len(said):
                ends = (CLIENT, SERVER) if side == 0 else (SERVER, CLIENT)
                ports = (40000, 104) if side == 0 else (104, 40000)
                yield frame(number, *ends, ports, at[side], at[1 - side], ACK, said[turn])
                at[side] += len(said[turn])
                number += 1
