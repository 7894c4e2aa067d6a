"""Which bytes are hidden while people are masked."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomsniff.dicom.dataset import decode
from dicomsniff.dicom.pdu import decode as decode_pdu
from dicomsniff.dicom.pdu import layout
from dicomsniff.model import DataSetBytes
from dicomsniff.tui.detail import build
from dicomsniff.tui.people import People
from dicomsniff.tui.text import join
from tests.tui import fake
from tests.wire import item, pdu

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"

MODALITY = b"\x08\0\x60\0CS\2\0CT"
NAME = b"\x10\0\x10\0PN\4\0A^B "
NONE = b"QUOILO\2\0N "
"""Where a length was wrong, four bytes of a name are taken for a tag."""


def shown_bytes(body: bytes, syntax: str | None = EXPLICIT) -> bytes:
    """The bytes, with full stops for those that are hidden."""
    people = People()
    people.on = True
    dataset = decode(DataSetBytes(len(body), body), syntax)
    shown = bytearray(body)
    for start, end in people.hidden(dataset, people.dataset(dataset), len(body)):
        shown[start:end] = b"." * (end - start)
    return bytes(shown)


@pytest.mark.parametrize("body", [MODALITY + NAME + NONE, NONE + MODALITY + NAME])
def test_what_is_no_element_is_hidden_with_its_header(body: bytes) -> None:
    hidden = {NAME: NAME[:8] + b"....", NONE: b"." * len(NONE)}
    expected = body
    for part, instead in hidden.items():
        expected = expected.replace(part, instead)
    assert shown_bytes(body) == expected


def test_what_is_no_element_inside_an_item() -> None:
    inner = MODALITY + NONE + NAME
    item = b"\xfe\xff\0\xe0" + len(inner).to_bytes(4, "little") + inner
    body = b"\x40\0\0\1SQ\0\0" + len(item).to_bytes(4, "little") + item
    shown = shown_bytes(body)
    assert b"QUOI" not in shown
    assert MODALITY in shown
    assert NAME[:8] in shown


@given(st.binary(max_size=400), st.sampled_from([EXPLICIT, IMPLICIT, None]))
@settings(max_examples=200, deadline=None)
def test_whatever_is_taken_for_a_data_set_can_be_hidden(body: bytes, syntax: str | None) -> None:
    assert len(shown_bytes(body, syntax)) == len(body)


# ---------------------------------------------------------------------------- PDUs


def shown_pdu(body: bytes) -> tuple[str, bytes]:
    """The tree as text, and the bytes with full stops for those that are hidden."""
    people = People()
    people.on = True
    root = layout(body)
    spans = people.hidden_fields(root.children, len(body))
    shown = bytearray(body)
    for start, end in spans:
        shown[start:end] = b"." * (end - start)
    told: list[str] = []
    waiting = list(root.children)
    while waiting:
        node = waiting.pop()
        told.append("" if people.hides(node) else node.value)
        waiting += node.children
    return "\n".join(told), bytes(shown)


def request(*items: bytes, reserved: bytes = bytes(32)) -> bytes:
    body = b"\0\1\0\0" + b"MOZI".ljust(16) + b"FLC1270".ljust(16) + reserved + b"".join(items)
    return pdu(1, body)


NAMED = b"YANG^HUI"


@pytest.mark.parametrize(
    "body",
    [
        request(item(0x10, NAMED)),
        request(item(0x20, b"\1\0\0\0" + item(0x30, NAMED) + item(0x40, NAMED))),
        request(item(0x77, NAMED)),
        request(item(0x50, item(0x58, b"\1\0\0\x08" + NAMED + b"\0\0"))),
        request(item(0x50, item(0x56, b"\0\3" + b"1.2" + NAMED))),
        request(reserved=NAMED.ljust(32)),
        request() + NAMED,
        pdu(5, NAMED),
        pdu(7, NAMED[:4]) + NAMED,
    ],
)
def test_what_stands_in_a_pdu_by_mistake_is_hidden(body: bytes) -> None:
    assert any(NAMED[at : at + 4] in body for at in range(5))
    told, shown = shown_pdu(body)
    for at in range(len(NAMED) - 3):
        part = NAMED[at : at + 4]
        assert part.decode() not in told
        assert part.hex(" ") not in told
        assert part not in shown


def test_what_a_pdu_is_there_for_is_not_hidden() -> None:
    verification, implicit = b"1.2.840.10008.1.1", b"1.2.840.10008.1.2"
    context = b"\1\0\0\0" + item(0x30, verification) + item(0x40, implicit)
    information = item(0x51, b"\0\0\x40\0") + item(0x52, b"1.2.3") + item(0x55, b"INVENTED_1")
    body = request(
        item(0x10, b"1.2.840.10008.3.1.1.1"), item(0x20, context), item(0x50, information)
    )
    told, shown = shown_pdu(body)
    assert shown == body
    for text in ("MOZI", "FLC1270", "Verification SOP Class", "16384", "INVENTED_1", "ID 1, "):
        assert text in told


@pytest.mark.parametrize("body", [pdu(9, NAMED), NAMED])
def test_of_what_is_no_pdu_of_the_standard_nothing_is_shown(body: bytes) -> None:
    entry = fake.add(fake.association(), "UNKNOWN-PDU")
    entry.pdu, entry.raw = decode_pdu(body), body
    people = People()
    people.on = True
    detail = build(fake.association(), entry, None, people)
    assert detail.sections[0].hidden == [(0, len(body))]
    text = "\n".join(join(branch.cells) for _, branch in detail.walk())
    assert "PDU length" not in text
    assert "YANG" not in text
