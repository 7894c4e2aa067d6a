"""Which bytes are hidden while people are masked."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomsniff.dicom.dataset import decode
from dicomsniff.model import DataSetBytes
from dicomsniff.tui.people import People

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
