"""Text is found whatever its character set and case."""

from __future__ import annotations

import pydicom.charset
import pytest

from dicomsniff.model import Source
from dicomsniff.sources import open_captures
from dicomsniff.tui import find
from dicomsniff.tui.app import DicomsniffApp
from dicomsniff.tui.outline import Outline
from dicomsniff.tui.people import People
from tests.support import capture
from tests.tui import fake
from tests.tui.screen import opened, text_of, until


def hit(text: str, held: bytes) -> bool:
    a = fake.association()
    entry = fake.add(a, "C-FIND-RSP", message=fake.message("C-FIND-RSP", held=held))
    needle, raw = find.needles(text)
    return find.in_entry(entry, "a row", needle, raw, People())


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
        await until(pilot, lambda: "TEST-0004" in text_of(app))
        assert app.pane("timeline").cursor >= 3


def _session() -> Source:
    """Objects stored, and then a worklist asked for."""
    names = ("store.pcapng", "worklist.pcapng")
    return open_captures([str(capture(name)) for name in names], reader="scapy")


def _worklist(app: DicomsniffApp) -> int:
    return [a.acceptor.ae_title for a in app.loader.associations].index("MOZI")


@pytest.mark.parametrize("pane", ["1", "2", "3", "4"])
async def test_text_of_another_association_is_found_from_every_pane(pane: str) -> None:
    async with opened(_session) as (app, pilot):
        wanted = app.loader.associations[_worklist(app)]
        first = 0 if app.loader.associations[0] is not wanted else 1
        app.pane("associations").move(first)
        await pilot.pause()
        assert app.association is not wanted
        await pilot.press(pane, "ctrl+f", *"TEST-0004", "enter")
        await until(pilot, lambda: app.association is wanted)
        assert app.entry is not None
        assert "TEST-0004" in text_of(app)
        row = app.pane("timeline").cursor
        # There is one such row: looking on comes back to it, and never ends in "not found".
        await pilot.press("n")
        await until(pilot, lambda: app.pane("timeline").cursor == row)
        assert "not found" not in text_of(app)


async def test_looking_on_goes_through_all_associations_and_back() -> None:
    async with opened(_session) as (app, pilot):
        await pilot.press("2", "home", "ctrl+f", *"a-release request", "enter")
        seen: list[int] = []
        for _ in range(len(app.loader.associations)):
            await until(
                pilot,
                lambda: (
                    app.association is not None
                    and app.association.id not in seen
                    and app.entry is not None
                    and app.entry[1].kind == "A-RELEASE-RQ"
                ),
            )
            assert app.association is not None
            seen.append(app.association.id)
            await pilot.press("n")
        assert sorted(seen) == [a.id for a in app.loader.associations]
        await until(pilot, lambda: app.association is not None and app.association.id == seen[0])
        await pilot.press("N")
        await until(pilot, lambda: app.association is not None and app.association.id == seen[-1])


async def test_a_row_inside_a_collapsed_run_is_found_and_opened() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("r", "2", "home", "ctrl+f", *"TEST-0004", "enter")
        outline = app.main.query_one(Outline)

        def shown() -> object:
            branch = outline.branch_at(outline.cursor)
            return branch.value if branch is not None else None

        await until(pilot, lambda: shown() == "TEST-0004")
        assert len(app.timeline_rows) == 14


async def test_what_is_masked_is_not_found_and_that_is_told() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("h", "2", "ctrl+f", *"TEST-0004", "enter")
        await until(pilot, lambda: "people are masked: h shows them" in text_of(app))


async def test_what_was_found_is_not_said_to_be_followed() -> None:
    async with opened("concurrent.pcapng") as (app, pilot):
        await pilot.press("2", "G")
        await until(pilot, lambda: "follow" in text_of(app).splitlines()[0])
        await pilot.press("ctrl+f", *"A-ASSOCIATE", "enter")
        await until(pilot, lambda: app.entry is not None and "ASSOCIATE" in app.entry[1].kind)
        await until(pilot, lambda: "follow" not in text_of(app).splitlines()[0])
