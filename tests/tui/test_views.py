"""Each view as text on committed captures, at two sizes: what a person would read there.

The pictures are in ``views/``; ``DICOMSNIFF_REDRAW=1`` draws them anew, to be looked at before
they are committed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.tui.screen import opened, text_of

VIEWS = Path(__file__).with_name("views")

SIZES = [(80, 24), (160, 45)]

CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "worklist": ("worklist.pcapng", ("2", "down", "down", "down")),
    "rejected": ("worklist-refused.pcapng", ("2", "down")),
    "tree": ("worklist.pcapng", ("2", "down", "down", "down", "3", "plus", "z")),
    "masked": ("worklist.pcapng", ("2", "down", "down", "down", "h", "3", "plus", "z")),
    "bytes": ("worklist.pcapng", ("2", "down", "down", "4", "down", "right", "right")),
    "ladder": ("move.pcapng", ("l", "2", "down", "down")),
    "contexts": ("store.pcapng", ("c", "2")),
    "refused-contexts": ("no-context.pcapng", ("c", "2")),
    "statistics": ("query-study.pcapng", ("S", "2")),
    "collapsed": ("query-cancelled.pcapng", ("r", "2")),
    "failed": ("store-failed.pcapng", ("2", "end")),
    "aborted": ("store-aborted-by-scp.pcapng", ("2", "end")),
    "concurrent": ("concurrent.pcapng", ("a", "2")),
    "difference": ("store-transfer-syntaxes.pcapng", ("1", "space", "space", "d")),
    "help": ("echo.pcapng", ("question_mark",)),
    "columns": ("echo.pcapng", ("C",)),
}


@pytest.fixture(autouse=True)
def _no_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another rule should not redraw every picture; findings have tests of their own."""
    from dicomsniff.analysis.findings import Checker

    monkeypatch.setattr(Checker, "association", lambda *_: None)
    monkeypatch.setattr(Checker, "finish", lambda *_: [])


def steady(text: str) -> str:
    """Without the version's own paths and what a terminal's width alone decides."""
    return re.sub(r"in \S*/dicomsniff/\S+", "in CONFIG", text)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", CASES)
async def test_view(name: str, size: tuple[int, int]) -> None:
    capture, keys = CASES[name]
    async with opened(capture, size) as (app, pilot):
        await pilot.press(*keys)
        await pilot.pause()
        app._unsay()
        await pilot.pause()
        drawn = steady(text_of(app))
    picture = VIEWS / f"{name}-{size[0]}x{size[1]}.txt"
    if os.environ.get("DICOMSNIFF_REDRAW") == "1":
        VIEWS.mkdir(exist_ok=True)
        picture.write_text(drawn + "\n", encoding="utf-8")
    assert drawn + "\n" == picture.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", [(80, 24), (300, 90), (40, 10)])
async def test_no_line_is_wider_than_the_screen(size: tuple[int, int]) -> None:
    from rich.cells import cell_len

    async with opened("worklist.pcapng", size) as (app, pilot):
        for keys in (
            ("2", "end"),
            ("l",),
            ("c",),
            ("f",),
            ("S",),
            ("t", "3", "plus"),
            ("4", "end"),
        ):
            await pilot.press(*keys)
            await pilot.pause()
            strips = app.screen._compositor.render_strips(app.screen.size)
            assert len(strips) == size[1]
            for strip in strips:
                assert cell_len(strip.text) == size[0], strip.text


async def test_chinese_names_keep_the_columns_straight() -> None:
    """Double-width characters take two columns: borders and bytes beside them do not move."""
    async with opened("worklist.pcapng", (160, 45)) as (app, pilot):
        await pilot.press("2", "down", "down", "down", "3", "end")
        await pilot.pause()
        strips = app.screen._compositor.render_strips(app.screen.size)
        wide = [strip for strip in strips if re.search(r"[\u4e00-\u9fff]", strip.text)]
        assert wide, "a Chinese name is on the screen"
        view = app.pane("bytes").region
        from rich.cells import cell_len

        for strip in wide:
            left = strip.crop(0, view.x + 1).text
            assert cell_len(left) == view.x + 1
