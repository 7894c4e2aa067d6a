"""Findings and contexts told in full beside their tables."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from dicomsniff.tui.about import wrapped
from dicomsniff.tui.outline import Outline
from dicomsniff.tui.text import join
from tests.tui.screen import opened, text_of


def told(outline: Outline) -> str:
    """The tree as it is shown, in one line."""
    return " ".join(join(tuple(outline.line(i, 400))).strip() for i in range(outline.count()))


def test_lines_are_broken_between_words_and_are_never_too_wide() -> None:
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("", 7) == []
    text = "王小明 的检查 1.2.840.10008.5.1.4.1.1.2.1234567890 ok " * 3
    for width in range(2, 40):
        lines = wrapped(text, width)
        assert all(cell_len(line) <= width for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_a_finding_is_told_in_full(size: tuple[int, int]) -> None:
    async with opened("store-failed.pcapng", size) as (app, pilot):
        await pilot.press("f", "2", "home")
        await pilot.pause()
        outline = app.main.query_one(Outline)
        found = min(
            (f for a in app.loader.associations for f in a.findings),
            key=lambda f: ("error", "warning", "note").index(f.severity),
        )
        text = told(outline)
        for words in (found.title, found.detail, found.advice, found.code):
            assert words in text
        assert "Rows" in text
        width = outline.size.width
        for i in range(outline.count()):
            line = join(tuple(outline.line(i, width)))
            if "╱" not in line and outline.branch_at(i).cells[0][1] == "":  # type: ignore[union-attr]
                assert cell_len(line) <= width
        await pilot.press("down")
        await pilot.pause()
        assert told(outline) != text
        await pilot.press("Y")
        assert "What to do" in app.clipboard
        await pilot.press("t")
        await pilot.pause()
        assert "What to do" not in told(outline), "the entry again"
        assert "A-ASSOCIATE-RQ" in text_of(app)


async def test_a_context_is_told_in_full() -> None:
    async with opened("no-context.pcapng") as (app, pilot):
        await pilot.press("c", "2", "home")
        await pilot.pause()
        outline = app.main.query_one(Outline)
        a = app.association
        assert a is not None
        context = next(iter(a.contexts.values()))
        text = told(outline)
        assert str(context.abstract_syntax) in text
        for uid in context.proposed_transfer_syntaxes:
            assert uid in text
        assert "✗ Refused" in text
        assert app.focused_pane == "contexts"


async def test_roles_stand_with_their_context() -> None:
    async with opened("get.pcapng") as (app, pilot):
        await pilot.press("c", "2", "home")
        outline = app.main.query_one(Outline)
        for _ in range(app.pane("contexts").count()):
            if "role selection" in told(outline):
                break
            await pilot.press("down")
        assert "Requestor's role selection SCU" in told(outline)
