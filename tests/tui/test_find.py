"""Text is found whatever its character set and case."""

from __future__ import annotations

import pydicom.charset
import pytest

from dicomsniff.tui import find
from dicomsniff.tui.people import People
from tests.tui import fake
from tests.tui.screen import opened, text_of


def hit(text: str, held: bytes) -> bool:
    a = fake.association()
    entry = fake.add(a, "C-FIND-RSP", message=fake.message("C-FIND-RSP", held=held))
    needle, raw = find.needles(text)
    return find.in_entry(a, entry, "a row", needle, raw, People())


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("山田^太郎", ["", "ISO 2022 IR 87"]),
        ("ﾔﾏﾀﾞ", ["ISO_IR 13"]),
        ("김희중", ["", "ISO 2022 IR 149"]),
        ("王小东", ["ISO_IR 192"]),
        ("王小东", ["GB18030"]),
        ("Люкceмбypг", ["ISO_IR 144"]),
        ("Διονυσιος", ["ISO_IR 126"]),
        ("Äneas^Rüdiger", ["ISO_IR 100"]),
        ("Jérôme", ["ISO_IR 100"]),
    ],
)
def test_text_in_the_character_sets_of_the_standard(text: str, terms: list[str]) -> None:
    encodings = pydicom.charset.convert_encodings(terms)
    parts = [pydicom.charset.encode_string(part, encodings) for part in text.split("^")]
    held = b"\x10\0\x10\0PN\x10\0 " + b"^".join(parts) + b" "
    for part in text.split("^"):
        assert hit(part, held), (part, held)
    assert not hit("nobody", held)


def test_case_and_bytes() -> None:
    assert hit("yang", b"Yang^Hui")
    assert hit("YANG^h", b"Yang^Hui")
    assert hit("0x1000", b"a\x10\x00b")
    assert hit("10 00 62", b"a\x10\x00b")
    assert not hit("10 01", b"a\x10\x00b")


async def test_a_value_is_found_in_small_letters() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("2", "ctrl+f", *"test-0004", "enter")
        await pilot.pause(0.2)
        assert "TEST-0004" in text_of(app)
        assert app.pane("timeline").cursor >= 3
