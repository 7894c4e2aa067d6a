"""What is taken away: transcripts, packets, objects, copies."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from textual.pilot import Pilot

import dicomsniff
from dicomsniff.cli import main
from dicomsniff.cli.opening import PIPED
from dicomsniff.model import Frame, Source
from dicomsniff.sources import open_capture
from dicomsniff.tui import taking
from dicomsniff.tui.app import DicomsniffApp
from dicomsniff.tui.outline import Outline
from dicomsniff.tui.scopes import TakeScreen
from tests.support import capture
from tests.tui import fake
from tests.tui.screen import opened, text_of


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written where the program was started."""
    monkeypatch.chdir(tmp_path)


async def written(app: DicomsniffApp, pilot: Pilot[None]) -> str:
    """Wait until the file is there; what the screen says then."""
    await app.workers.wait_for_complete()
    await pilot.pause()
    return text_of(app).splitlines()[0]


def typed(name: str) -> list[str]:
    """Keys that replace the name that is proposed."""
    return ["end", *["backspace"] * 40, *name.replace("_", "|").split("|"), "enter"]


async def test_transcript_of_the_chosen_association(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened("move.pcapng") as (app, pilot):
        await pilot.press("2", "x")
        assert isinstance(app.screen, TakeScreen)
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "Wrote association-1.json" in text_of(app)
        written = json.loads((tmp_path / "association-1.json").read_text())
        assert written["format"] == "dicomsniff.transcript"
        assert written["redaction"]["applied"] is True
        assert [a["id"] for a in written["associations"]] == [1]
        await pilot.press("x", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "exists" in text_of(app)
        await pilot.press("1", "x", *["backspace"] * 40, *"all.json", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        written = json.loads((tmp_path / "all.json").read_text())
        assert [a["id"] for a in written["associations"]] == [1, 2]


async def test_copy() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("2", "down", "down", "y")
        assert "P-DATA, C-FIND-RQ ID=1" in app.clipboard
        assert app.clipboard.split("\t")[0] == str(app.entry[1].last_frame)  # type: ignore[index]
        await pilot.press("Y")
        assert "(0000,0100) CommandField" in app.clipboard
        outline = app.main.query_one(Outline)
        wanted = next(i for i, line in enumerate(outline._lines) if line[1].key == "00000110")
        await pilot.press("3", "home", *["down"] * wanted, "Y")
        assert app.clipboard == "1"
        await pilot.press("y")
        assert app.clipboard.startswith("(0000,0110) MessageID")
        await pilot.press("4", "home", "down", "y")
        assert app.clipboard.startswith("00")
        await pilot.press("1", "y")
        assert "FLC1270→MOZI" in app.clipboard


async def test_up_and_down_change_what_is_taken(tmp_path: Path) -> None:
    async with opened("move.pcapng") as (app, pilot):
        await pilot.press("1", "s")
        assert isinstance(app.screen, TakeScreen)
        assert "all 2 associations" in text_of(app)
        await pilot.press("down")
        await pilot.pause()
        assert "association 1, FLC1270→ARCHIVE" in text_of(app)
        assert "association-1.pcapng" in text_of(app)
        await pilot.press("up", "up", "down", "enter")
        assert "Wrote" in await written(app, pilot)
        assert [path.name for path in tmp_path.iterdir()] == ["dicomsniff.pcapng"]
        await pilot.press("s", "escape")
        assert not isinstance(app.screen, TakeScreen)


async def test_packets_of_the_chosen_association(tmp_path: Path) -> None:
    async with opened("move.pcapng") as (app, pilot):
        await pilot.press("1", "down", "2", "s", "enter")
        said = await written(app, pilot)
        file = tmp_path / "association-2.pcapng"
        frames = list(open_capture(str(file), reader="scapy"))
        assert f"Wrote {len(frames)} packets to association-2.pcapng" in said
        (again,) = dicomsniff.read(str(file), reader="scapy")
        chosen = app.association
        assert chosen is not None
        assert again.acceptor.ae_title == chosen.acceptor.ae_title
        assert [e.time for e in again.timeline] == [e.time for e in chosen.timeline]
        before = file.read_bytes()
        await pilot.press("s", "enter")
        assert "exists" in await written(app, pilot)
        assert file.read_bytes() == before


async def test_packets_of_selected_rows(tmp_path: Path) -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("2", "home", "down", "down", "space", "space", "s")
        assert "2 selected rows" in text_of(app)
        await pilot.press("enter")
        await written(app, pilot)
        timeline = app.loader.associations[0].timeline
        first, last = timeline[2].frames[0], timeline[3].last_frame
        frames = list(open_capture(str(tmp_path / "rows.pcapng"), reader="scapy"))
        assert frames[0].time == timeline[2].began
        assert frames[-1].time == timeline[3].time
        assert len(frames) <= last - first + 1


async def test_objects_of_the_chosen_association(tmp_path: Path) -> None:
    async with opened("store.pcapng") as (app, pilot):
        stores = [e for e in app.loader.associations[0].timeline if e.kind == "C-STORE-RQ"]
        await pilot.press("2", "e")
        assert "people and all" in text_of(app)
        await pilot.press("enter")
        said = await written(app, pilot)
        assert f"Wrote {len(stores)} objects to association-1-objects" in said
        files = sorted((tmp_path / "association-1-objects").glob("*.dcm"))
        names = {str(pydicom.dcmread(file).SOPInstanceUID) for file in files}
        assert names == {e.message.sop_instance for e in stores if e.message is not None}

        # One row of them alone, and the same bytes as the command line writes.
        place = app.loader.associations[0].timeline.index(stores[1])
        await pilot.press("home", *["down"] * place, "space", "e", "enter")
        assert "Wrote 1 object to rows-objects" in await written(app, pilot)
        (one,) = (tmp_path / "rows-objects").glob("*.dcm")
        name = str(capture("store.pcapng"))
        assert main(["extract", "--reader", "scapy", name, "-d", "all"]) == 0
        assert one.read_bytes() == (tmp_path / "all" / one.name).read_bytes()


async def test_objects_of_one_association_of_several(tmp_path: Path) -> None:
    async with opened("store-transfer-syntaxes.pcapng") as (app, pilot):
        assert len(app.loader.associations) == 6
        await pilot.press("1", "home", "down", "2", "e", "enter")
        said = await written(app, pilot)
        folder = tmp_path / "association-2-objects"
        assert f"Wrote 1 object to {folder.name}" in said
        assert "missing" not in said
        (file,) = folder.glob("*.dcm*")
        (row,) = json.loads((folder / "index.json").read_text())["objects"]
        assert (row["file"], row["association"], row["complete"]) == (file.name, 2, True)


async def test_no_objects_in_a_query() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("e")
        assert "No C-STORE request" in text_of(app)


@pytest.mark.parametrize("key", ["s", "e"])
async def test_what_came_through_a_pipe_is_told(key: str) -> None:
    async with opened("store.pcapng", (80, 24), again=PIPED) as (app, pilot):
        await pilot.press(key)
        assert PIPED in text_of(app).splitlines()[0]
        assert not isinstance(app.screen, TakeScreen)


async def test_a_capture_that_is_gone_is_told() -> None:
    def again(_: bool) -> Source:
        return open_capture("gone.pcapng", reader="scapy")

    async with opened("store.pcapng", again=again) as (app, pilot):
        for key in ("s", "e"):
            await pilot.press(key, "enter")
            assert "gone.pcapng: no such file" in await written(app, pilot)


async def test_reading_again_tells_how_far_it_is_and_ends_with_the_screen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(taking, "TELL_EVERY", 0)
    monkeypatch.setattr("dicomsniff.output.packets.STEP", 1)
    went = threading.Event()

    class Endless(fake.Waiting):
        progress = 0.42

        def __iter__(self) -> Iterator[Frame]:
            (frame, *_) = open_capture(str(capture("worklist.pcapng")), reader="scapy")
            while not self.closed.wait(0.01):
                yield frame._replace(number=1)
            went.set()

    async with opened("worklist.pcapng", again=lambda _: Endless()) as (app, pilot):
        await pilot.press("s", "enter")
        for _ in range(100):
            await pilot.pause(0.02)
            if "42%" in text_of(app):
                break
        assert "Reading the capture again … 42%" in text_of(app).splitlines()[0]
        await pilot.press("q")
    assert list(tmp_path.iterdir()) == []


async def test_copies_as_the_text_of_dump(capsys: pytest.CaptureFixture[str]) -> None:
    name = str(capture("worklist.pcapng"))
    assert main(["dump", "--reader", "scapy", "--keep-phi", name]) == 0
    dump = capsys.readouterr().out
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("1", "D")
        assert app.clipboard.strip() == dump.strip()
        await pilot.press("2", "home", "down", "down", "down", "D")
        assert app.clipboard.strip() in dump
        assert "C-FIND RSP" in app.clipboard
        assert "TEST-0" in app.clipboard
        one = app.clipboard
        await pilot.press("space", "space", "D")
        assert app.clipboard.startswith(one.strip())
        assert app.clipboard.count("END DIMSE MESSAGE") == 2
        await pilot.press("h", "D")
        assert "TEST-0" not in app.clipboard
        assert "C-FIND RSP" in app.clipboard


async def test_a_long_copy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "LONG_COPY", 20)
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("1", "D")
        assert "some terminals take no more" in text_of(app)


async def test_a_copy_goes_to_the_terminal_by_osc_52() -> None:
    """Which is what makes it work through ssh."""
    async with opened("worklist.pcapng") as (app, pilot):
        sent: list[str] = []
        app._driver.write = sent.append  # type: ignore[union-attr,method-assign]
        await pilot.press("2", "y")
        assert any(text.startswith("\x1b]52;c;") for text in sent)


@pytest.fixture
def again_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """How the command line has the screen read a capture again."""
    found: list[Any] = []

    def run(*_: Any, again: Any = None, **__: Any) -> int:
        found.append(again)
        return 0

    monkeypatch.setattr("dicomsniff.tui.run", run)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    def of(*words: str) -> Any:
        assert main(list(words)) == 0
        return found.pop()

    return of


def test_open_reads_files_again(again_of: Callable[..., Any], tmp_path: Path) -> None:
    name = str(capture("move.pcapng"))
    again = again_of("open", "--reader", "scapy", "--port", "104", name)
    assert len(list(again(True))) == len(list(again(False))) == 93
    pattern = str(capture("move.pcapng").with_name("mo*e.pcapng"))
    assert len(list(again_of("open", "--reader", "scapy", pattern)(True))) == 93
    saved = tmp_path / "saved.json"
    assert main(["transcript", "--reader", "scapy", name, "-o", str(saved)]) == 0
    assert "holds no packets" in again_of("open", str(saved))
    os.mkfifo(tmp_path / "fifo")
    assert "through a pipe" in again_of("open", str(tmp_path / "fifo"))
    assert "through a pipe" not in str(again_of("open", "nowhere.pcap")), "it is told when opened"


def test_live_packets_are_there_where_they_were_written(tmp_path: Path) -> None:
    from argparse import Namespace

    from dicomsniff.cli.live import _again

    assert "--write FILE" in str(_again(Namespace(write=None)))
    file = tmp_path / "live.pcapng"
    file.write_bytes(capture("echo.pcapng").read_bytes())
    args = Namespace(write=str(file), ring=None, dicom_only=True)
    assert f"are in {file} already" in str(_again(args))
    args.dicom_only = False
    again = _again(args)
    assert callable(again)
    assert next(iter(again(True))).number == 1
