"""Text can be read in every theme."""

from __future__ import annotations

import pytest
from rich.console import Console
from textual.color import Color

from dicomsniff.tui import themes
from tests.tui.screen import opened


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light"])
async def test_every_piece_of_text_stands_out(theme: str) -> None:
    async with opened("store-failed.pcapng") as (app, pilot):
        app.theme = theme
        for keys in (("2", "down"), ("l",), ("f",), ("c",), ("S",)):
            await pilot.press(*keys)
            await pilot.pause()
            for strip in app.screen._compositor.render_strips(app.screen.size):
                for text, style, _ in strip:
                    if style is None or not any(letter.isalnum() for letter in text):
                        continue
                    assert style.color is not None
                    assert style.bgcolor is not None
                    front, back = (
                        Color.from_rich_color(colour) for colour in (style.color, style.bgcolor)
                    )
                    assert abs(front.brightness - back.brightness) > 0.15, (text, style)


@pytest.mark.parametrize(
    ("environment", "theme"),
    [
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, None),
        ({"TERM": "linux"}, "colours-16"),
        ({"TERM": "xterm-16color"}, "colours-16"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "no-colour"),
        ({"TERM": "dumb"}, "no-colour"),
    ],
)
def test_the_terminal_decides_on_the_theme(environment: dict[str, str], theme: str | None) -> None:
    console = Console(force_terminal=True, _environ=environment)
    assert themes.fitting(console) == theme
