"""What the tests of the screen share: an application on a capture, and the screen as text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot

from dicomsniff.model import Source
from dicomsniff.sources import open_capture
from dicomsniff.tui.app import NOT_AGAIN, Again, DicomsniffApp
from dicomsniff.tui.config import Config
from tests.support import capture

PATIENCE = 200
"""Twentieths of a second that a test waits for a small capture on a busy machine."""


def text_of(app: DicomsniffApp) -> str:
    """The screen as lines of text, without colours and without spaces at the ends of lines."""
    strips = app.screen._compositor.render_strips(app.screen.size)
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Wait until a condition is true, however busy the machine is; fails where it never comes."""
    for _ in range(PATIENCE):
        if condition():
            break
        await pilot.pause(0.05)
    assert condition(), f"waited in vain; the screen:\n{text_of(pilot.app)}"  # type: ignore[arg-type]
    await pilot.pause()


async def settle(pilot: Pilot[None]) -> None:
    """Wait until everything is loaded and drawn."""
    app: DicomsniffApp = pilot.app  # type: ignore[assignment]
    for _ in range(PATIENCE):
        if app.loader.done and not app.timeline_rows.behind:
            break
        await pilot.pause(0.05)
    assert app.loader.done, "the capture was not read in time"
    app.look()
    await pilot.pause()
    await pilot.pause()


@asynccontextmanager
async def opened(
    name: str | Callable[[], Source],
    size: tuple[int, int] = (160, 45),
    *,
    config: Config | None = None,
    where: str = "",
    wait: bool = True,
    again: Again | str | None = None,
    **options: Any,
) -> AsyncIterator[tuple[DicomsniffApp, Pilot[None]]]:
    """The application on one of the committed captures, all of it loaded."""
    if isinstance(name, str):
        path = str(capture(name))
        title = name

        def factory() -> Source:
            return open_capture(path, reader="scapy")

        again = again or (lambda _: factory())
    else:
        factory, title = name, "test"
    app = DicomsniffApp(
        factory,
        title=title,
        config=config or Config(),
        where=where,
        again=again or NOT_AGAIN,
        **options,
    )
    async with app.run_test(size=size) as pilot:
        if wait:
            await settle(pilot)
        yield app, pilot
