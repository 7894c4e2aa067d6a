"""Makes the README's pictures from committed captures: ``python docs/pictures.py``."""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path
from typing import NamedTuple

HOME = Path(__file__).resolve().parent

_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Textual has pictures load their font from the network. The reader's own will do."""

PATIENCE = 10.0
"""Seconds until a small capture must be on the screen."""


class Picture(NamedTuple):
    """What is shown: a capture, and the keys that were pressed before the picture was taken."""

    name: str
    capture: str
    keys: tuple[str, ...]
    size: tuple[int, int] = (130, 38)


PICTURES = (
    Picture(
        "worklist",
        "worklist.pcapng",
        ("2", "down", "down", "down", "down", "enter", *["down"] * 13),
    ),
    Picture("ladder", "move.pcapng", ("l", "2", "down", "down")),
    Picture("findings", "store-failed.pcapng", ("f", "2")),
)


async def take(picture: Picture) -> str:
    """The screen as SVG."""
    from dicomsniff.sources import open_capture
    from dicomsniff.tui.app import DicomsniffApp
    from dicomsniff.tui.config import Config

    path = str(HOME.parent / "captures" / picture.capture)
    app = DicomsniffApp(
        lambda: open_capture(path, reader="scapy"), title=picture.capture, config=Config()
    )
    async with app.run_test(size=picture.size) as pilot:
        began = time.monotonic()
        while not app.loader.done or app.timeline_rows.behind:
            if time.monotonic() - began > PATIENCE:
                raise TimeoutError(f"{picture.capture} was not read in time")
            await pilot.pause(0.05)
        app.look()
        for key in picture.keys:
            await pilot.press(key)
            await pilot.pause()
        await pilot.pause(0.2)
        return _FONT_FACE.sub("", app.export_screenshot(title="dicomsniff"))


def main() -> None:
    """Make them all."""
    # Times of day are local ones; pictures shall not depend on where they were made.
    os.environ["TZ"] = "UTC"
    time.tzset()
    for picture in PICTURES:
        text = asyncio.run(take(picture))
        (HOME / "images" / f"{picture.name}.svg").write_text(text)


if __name__ == "__main__":
    main()
