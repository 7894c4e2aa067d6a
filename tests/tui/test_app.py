"""The screen as a whole: hostile traffic, loading, closing, following, configuration, terminals."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomsniff import tui
from dicomsniff.cli import live, main
from dicomsniff.cli.arguments import parser
from dicomsniff.model import Frame, Source
from dicomsniff.sources import SourceError, open_capture
from dicomsniff.tui import config as configuration
from dicomsniff.tui.app import DicomsniffApp
from dicomsniff.tui.config import Config
from dicomsniff.tui.ladder import Ladder
from dicomsniff.tui.rows import Marks
from dicomsniff.tui.text import duration, fit, safe, size
from dicomsniff.tui.timeline import TimelineRows
from tests.analysis.findings.wire import Wire, rejected, requested
from tests.support import CAPTURES, capture, require
from tests.tui import fake
from tests.tui.screen import opened, settle, text_of, until

STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def drawn(app: DicomsniffApp) -> str:
    """Everything that goes to the terminal as text."""
    strips = app.screen._compositor.render_strips(app.screen.size)
    return "\n".join(strip.text for strip in strips)


async def give(app: DicomsniffApp, *associations: object) -> None:
    """Put made-up associations where the loader would."""
    for a in associations:
        app.loader.associations.append(a)  # type: ignore[arg-type]
        app.loader.rows.extend((a, entry) for entry in a.timeline)  # type: ignore[attr-defined,misc]
    app.look()


# ---------------------------------------------------------------------------- what is shown


@pytest.mark.parametrize("theme", ["textual-dark", "colours-16"])
async def test_nothing_from_the_wire_steers_the_terminal(theme: str) -> None:
    async with opened(fake.Waiting, (160, 45), wait=False) as (app, pilot):
        app.theme = theme
        await give(app, fake.hostile())
        await pilot.pause()
        screens = []
        for keys in (
            ("2",),
            ("3", "plus", "z"),
            ("z", "2", "down", "3", "plus"),
            ("2", "down", "3", "plus"),
            ("l",),
            ("c",),
            ("f",),
            ("S",),
            ("t", "2", "space", "up", "space", "d"),
            ("escape", "ctrl+f", *"EVIL", "enter"),
        ):
            await pilot.press(*keys)
            await pilot.pause()
            screens.append(drawn(app))
        for screen in screens:
            assert not STEERING.search(screen.replace("\n", ""))
        together = "\n".join(screens)
        assert "\\x1b]52" in together, "it is shown, made visible"
        assert "[red]x[/red]" in together, "markup is text"
        actions = [
            segment.style.meta
            for strip in app.screen._compositor.render_strips(app.screen.size)
            for segment in strip
            if segment.style is not None and "@click" in segment.style.meta
        ]
        assert all("quit" in str(meta) or "command" in str(meta) for meta in actions)
        await pilot.press("2", "home", "y", "Y")
        assert not STEERING.search(app.clipboard.replace("\n", "").replace("\t", ""))


async def test_passcodes_are_nowhere() -> None:
    async with opened("negotiation.pcapng", (160, 45)) as (app, pilot):
        await pilot.press("2", "home", "3", "plus", "z")
        await pilot.pause()
        outline, view = app.pane("detail"), app.pane("bytes")
        lines = ["".join(t for t, _ in outline.line(i, 400)) for i in range(outline.count())]
        assert any("identity" in line.lower() for line in lines)
        letters = "".join("".join(t for t, _ in view.line(i, 400)[2:]) for i in range(view.count()))
        everything = "\n".join(lines) + letters
        secrets = re.findall(r"secret|passw0rd|password1", everything)
        assert not secrets
        hidden = view.sections[0].hidden  # type: ignore[attr-defined]
        assert hidden, "the secondary field is hidden in the bytes"
        for start, end in hidden:
            shown = view.sections[0].data[start:end]  # type: ignore[attr-defined]
            text = shown.decode("latin-1")
            assert len(text) < 4 or text not in letters


def test_cells_are_as_wide_as_asked() -> None:
    assert fit("王小明", 4) == "王 …"
    from rich.cells import cell_len

    for text in ("王小明", "abc", "a王b小", "é", ""):
        for width in range(8):
            assert cell_len(fit(text, width)) == width
            assert cell_len(fit(text, width, right=True)) == width


def test_times_and_sizes_for_people() -> None:
    assert duration(None) == "–"
    assert duration(1_500) == "1 µs"
    assert duration(4_000_000) == "4.0 ms"
    assert duration(89_000_000) == "89 ms"
    assert duration(2_100_000_000) == "2.10 s"
    assert duration(200_000_000_000) == "3 m 20 s"
    assert size(1023) == "1023 B"
    assert size(1536) == "1.5 KiB"
    assert safe("a\x1bb") == "a\\x1bb"


# ---------------------------------------------------------------------------- rows


def everything(count: int) -> list[tuple[object, object]]:
    a = fake.association()
    for number in range(count):
        fake.add(a, "C-FIND-RSP", "acceptor", message=fake.message("C-FIND-RSP", status=0xFF00))
        if number % 10 == 9:
            fake.add(a, "A-ABORT")
    return [(a, entry) for entry in a.timeline]


def test_collapsed_rows_lose_none() -> None:
    rows = TimelineRows(everything(100), Marks())  # type: ignore[arg-type]
    total = len(rows)
    rows.collapse = True
    rows.rescan()
    assert len(rows) == 20
    assert sum(max(1, rows.run_at(i)) for i in range(len(rows))) == total
    assert rows.toggle_run(2)
    assert len(rows) == 29
    assert [rows.place(i) for i in range(2, 12)] == list(range(11, 21))
    assert rows.row_of_place(15) == 6
    assert rows.row_of_place(3) == 0
    assert rows.toggle_run(5)
    assert len(rows) == 20


def test_rows_that_come_later_join_the_run() -> None:
    source = everything(5)
    rows = TimelineRows(source[:2], Marks())  # type: ignore[arg-type]
    rows.collapse = True
    rows._everything = growing = list(source[:2])  # type: ignore[assignment]
    rows.rescan()
    assert len(rows) == 2
    growing += source[2:]
    assert rows.grow()
    assert len(rows) == 1
    assert rows.run_at(0) == 5


def test_a_filter_keeps_what_matches() -> None:
    class Aborts:
        def matches(self, _: object, entry: object = None) -> bool:
            return entry is not None and entry.kind == "A-ABORT"  # type: ignore[attr-defined]

    rows = TimelineRows(everything(100), Marks())  # type: ignore[arg-type]
    rows.filter = Aborts()
    rows.rescan()
    assert len(rows) == 10
    assert {rows[i][1].kind for i in range(10)} == {"A-ABORT"}


async def test_a_million_rows_are_one_window() -> None:
    """No row but the visible ones is ever asked for."""
    async with opened(fake.Waiting, (120, 40), wait=False) as (app, pilot):
        a = fake.association()
        entry = fake.add(a, "C-ECHO-RQ", message=fake.message("C-ECHO-RQ"))
        a.timeline *= 1_000_000
        app.loader.associations.append(a)
        app.loader.rows.append((a, entry))
        asked: list[int] = []
        cells = app.timeline_rows.cells
        app.timeline_rows.cells = lambda index: asked.append(index) or cells(index)  # type: ignore[method-assign,func-returns-value]
        app.look()
        await pilot.pause()
        await pilot.press("2", "end")
        await pilot.pause()
        table = app.pane("timeline")
        assert table.cursor == 999_999
        assert round(table.scroll_y) == 1_000_000 - table.page
        await pilot.press("pageup")
        await pilot.pause()
        assert table.cursor == 999_999 - table.page
        assert len(set(asked)) <= 4 * table.page
        a.timeline = a.timeline[:1]  # a summary of it all would take a while


# ---------------------------------------------------------------------------- ladder


async def test_linked_associations_share_a_ladder() -> None:
    async with opened(fake.Waiting, (160, 45), wait=False) as (app, pilot):
        await give(app, *fake.linked())
        await pilot.press("l", "2")
        await pilot.pause()
        ladder = app.main.query_one(Ladder)
        assert ladder.count() == 4
        assert [ladder.row(i)[0].id for i in range(4)] == [1, 2, 2, 1]
        header = text_of(app).splitlines()
        line = next(
            at
            for at in header
            if "WS2" in at and "PACS" in at and "ARCHIVE" in at and "since" in at
        )
        assert line.index("WS2") < line.index("PACS") < line.index("ARCHIVE")
        await pilot.press("home")
        await pilot.press("L")
        await pilot.pause()
        assert app.association is not None
        assert app.association.id == 2


async def test_a_move_is_joined_with_its_stores_on_a_real_capture() -> None:
    async with opened("move.pcapng", (160, 45)) as (app, pilot):
        await pilot.press("1", "home", "l", "2")
        await pilot.pause()
        header = next(line for line in text_of(app).splitlines() if "since" in line)
        assert header.split()[-3:] == ["FLC1270", "ARCHIVE", "STORAGE"]
        assert app.pane("ladder").count() == len(app.loader.rows)
        store = next(line for line in text_of(app).splitlines() if "C-STORE-RQ ID=1" in line)
        before, _, behind = store.partition("─C-STORE-RQ")
        assert "█" in before, "the think time of ARCHIVE stands at its lifeline"
        assert "█" not in behind


# ---------------------------------------------------------------------------- findings


async def test_findings_open_their_evidence() -> None:
    async with opened("store-failed.pcapng", (160, 45)) as (app, pilot):
        found = [f for a in app.loader.associations for f in a.findings]
        worst = found[0]
        assert worst.severity == "error"
        assert f"{len(found) + len(app.loader.findings)} findings" in text_of(app)
        await pilot.press("f", "2", "home")
        await pilot.pause()
        assert "✗ error" in text_of(app)
        assert worst.title[:40] in text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        assert app.middle == "timeline"
        assert app.entry is not None
        assert app.entry[1].number == worst.evidence[0]


async def test_findings_that_are_alike_have_one_row() -> None:
    wires = [
        Wire(client_port=40_000 + number, begin=number).open().say(0, requested(called="X"))
        for number in range(20)
    ]
    other = Wire(client_port=50_000, begin=30).open().say(0, requested(called="Y"))
    for wire in [*wires, other]:
        wire.say(1, rejected(1, 1, 7)).close()
    sent = sorted(packet for wire in [*wires, other] for packet in wire.sent)
    frames = [Frame(n, time, 1, data, len(data)) for n, (time, data) in enumerate(sent, 1)]
    source = fake.Halting(frames, len(frames))
    source.go.set()
    async with opened(lambda: source, (160, 45)) as (app, pilot):
        await pilot.press("f", "2", "home")
        await pilot.pause()
        assert "21 findings" in text_of(app)
        assert len(app.finding_rows) == 2
        assert app.finding_rows.cells(0)["title"][0].startswith("×20 ")
        assert not app.finding_rows.cells(1)["title"][0].startswith("×")
        assert "More like this 19, in associations 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 …" in (
            text_of(app)
        )
        await pilot.press("r")
        await pilot.pause()
        assert len(app.finding_rows) == 21
        assert "More like this" not in text_of(app)
        await pilot.press("down", "enter")
        await pilot.pause()
        assert app.association is app.loader.associations[1]
        await pilot.press("f", "r")
        await pilot.pause()
        assert len(app.finding_rows) == 2


# ---------------------------------------------------------------------------- loading


async def test_rows_can_be_used_while_it_loads() -> None:
    frames = list(open_capture(str(capture("worklist.pcapng")), reader="scapy"))
    source = fake.Halting(frames, 12)
    async with opened(lambda: source, wait=False) as (app, pilot):
        while not app.loader.rows:
            await asyncio.sleep(0.02)
        app.look()
        await pilot.pause()
        assert not app.loader.done
        assert "FLC1270" in text_of(app)
        assert "frames …" in text_of(app)
        await pilot.press("2", "3")
        assert app.focused_pane == "detail"
        source.go.set()
        await settle(pilot)
        assert len(app.timeline_rows) == 14


async def test_progress_in_percent() -> None:
    frames = list(open_capture(str(capture("worklist.pcapng")), reader="scapy"))

    class Half(fake.Halting):
        progress = 0.42

    async with opened(lambda: Half(frames, 12), wait=False) as (app, pilot):
        while not app.loader.rows:
            await asyncio.sleep(0.02)
        app.look()
        await pilot.pause()
        assert "42%" in text_of(app).splitlines()[0]


async def test_the_names_of_many_files_leave_room_for_the_rest() -> None:
    async with opened("echo.pcapng", (80, 24)) as (app, pilot):
        app.title_text = ", ".join(f"shift-{number}.pcapng" for number in range(40))
        await pilot.press("h")
        await pilot.pause()
        app._unsay()
        await pilot.pause()
        top = text_of(app).splitlines()[0]
        assert "shift-0.pc" not in top, "masked, as a name may be somebody's"
        assert "people masked" in top
        assert "…" in top
        assert "2 associations" in top


async def test_live_follows_until_the_cursor_moves() -> None:
    frames = list(open_capture(str(capture("worklist.pcapng")), reader="scapy"))
    async with opened(lambda: fake.Slow(frames, 0.03), wait=False, live=True) as (app, pilot):
        table = app.pane("timeline")
        while not app.loader.done:
            await asyncio.sleep(0.05)
        app.look()
        await pilot.pause()
        assert table.follow
        assert table.cursor == len(app.timeline_rows) - 1
        await pilot.press("2", "home")
        assert not table.follow
        assert "follow" not in text_of(app).splitlines()[0]


async def test_leaving_closes_an_idle_source_and_ends_its_thread() -> None:
    made: list[fake.Waiting] = []

    def factory() -> Source:
        made.append(fake.Waiting())
        return made[0]

    async with opened(factory, wait=False) as (app, pilot):
        while not made:
            await asyncio.sleep(0.01)
        assert "No DICOM association yet" in text_of(app)
        await pilot.press("q")
    assert made[0].ended.wait(20)
    assert not [t for t in threading.enumerate() if t.name == "dicomsniff-loader"]


async def test_an_answer_that_is_due_to_vanish_does_not_outlive_the_screen() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        app.say("a word")
        await pilot.press("q")
    app._unsay()
    app.show_status()
    assert app.word == ""


async def test_leaving_while_it_reads_ends_the_thread() -> None:
    frames = list(open_capture(str(capture("store.pcapng")), reader="scapy"))
    async with opened(lambda: fake.Slow(frames * 1000, 0.001), wait=False) as (_, pilot):
        await pilot.pause(0.2)
        await pilot.press("q")
    assert not [t for t in threading.enumerate() if t.name == "dicomsniff-loader"]


async def test_a_source_that_cannot_be_opened_is_told() -> None:
    def factory() -> Source:
        raise SourceError("nowhere.pcap: no such file; check the name")

    async with opened(factory) as (app, pilot):
        said = "nowhere.pcap: no such file; check the name"
        await until(pilot, lambda: text_of(app).count(said) == 2)
        assert app.fatal == "nowhere.pcap: no such file; check the name"


async def test_a_source_that_breaks_before_its_first_packet_is_told() -> None:
    class Breaks(fake.Slow):
        def __iter__(self) -> Iterator[Frame]:
            raise SourceError("notes.txt: not a packet capture")

    async with opened(lambda: Breaks([], 0)) as (app, pilot):
        await until(pilot, lambda: "notes.txt: not a packet capture" in text_of(app))
        assert app.fatal == "notes.txt: not a packet capture"


async def test_a_source_that_breaks_keeps_what_came_before() -> None:
    frames = list(open_capture(str(capture("worklist.pcapng")), reader="scapy"))

    class Breaks(fake.Slow):
        def __iter__(self) -> Iterator[Frame]:
            yield from frames[:16]
            raise OSError("the cable was pulled")

    async with opened(lambda: Breaks(frames, 0)) as (app, pilot):
        await until(pilot, lambda: "the cable was pulled" in text_of(app))
        assert len(app.loader.rows) >= 11
        assert app.fatal == "the cable was pulled"


async def test_packets_that_cannot_be_kept_any_more_are_told_behind_the_screen() -> None:
    class Full:
        def take(self, *_: object) -> None:
            raise SourceError("kept.pcapng: No space left on device; 0 packets were kept")

        skimmed = tick = take

    async with opened("worklist.pcapng", keeper=Full()) as (app, pilot):
        await until(pilot, lambda: "No space left on device" in text_of(app))
        assert app.fatal.startswith("kept.pcapng: No space left")


async def test_where_from_the_command_line() -> None:
    async with opened("move.pcapng", where="called = STORAGE") as (app, _):
        assert len(app.association_rows) == 1
        assert "called = STORAGE" in text_of(app)


@pytest.mark.parametrize("where", [None, "called = NOBODY or kind = A-ASSOCIATE-RQ"])
async def test_association_from_the_command_line(
    where: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def run(*_: object, where: str, **__: object) -> int:
        begun.append(where)
        return 0

    monkeypatch.setattr("dicomsniff.tui.run", run)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    chosen = ["--association", "2", *(["--where", where] if where else [])]
    assert main(["open", *chosen, str(capture("move.pcapng"))]) == 0
    assert live._screen(parser().parse_args(["live", "lo", *chosen]), fake.Waiting(), None) == 0
    assert begun[0] == begun[1]
    async with opened("move.pcapng", where=begun[0]) as (app, _):
        assert [each.id for each in app.association_rows] == [2]


# ---------------------------------------------------------------------------- configuration


def test_keys_can_be_remapped(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        'theme = "colours-16"\nmask_people = true\n[keys]\nfilter = ["ctrl+k", "f"]\nquit = "Q"\n'
    )
    config = configuration.load(file)
    assert config.problems == []
    assert config.theme == "colours-16"
    assert config.mask_people
    table = configuration.key_table(config)
    assert table["filter"] == ("ctrl+k", "f")
    assert table["findings"] == (), "its key was given away"
    assert table["quit"] == ("Q",)
    assert table["help"] == ("question_mark", "f1")


def test_key_names_as_people_write_them() -> None:
    for written, name in (
        ("/", "slash"),
        ("?", "question_mark"),
        ("^x", "ctrl+x"),
        ("Ctrl+X", "ctrl+x"),
        ("pgdn", "pagedown"),
        ("G", "G"),
        ("g", "g"),
        ("F5", "f5"),
        ("+", "plus"),
        ("ctrl+/", "ctrl+slash"),
    ):
        assert configuration.key_name(written) == name


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("theme = ", "Invalid"),
        ("[keys]\nfly = 'x'\n", "no command 'fly'"),
        ("[keys]\nfilter = 3\n", "needs a key"),
        ("colour = 'red'\n", "not a setting"),
        ("theme = 4\n", "not a setting"),
    ],
)
def test_a_wrong_configuration_is_told_and_left_out(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    config = configuration.load(file)
    assert problem in config.problems[0]


def test_no_configuration_is_none(tmp_path: Path) -> None:
    config = configuration.load(tmp_path / "none.toml")
    assert config == Config()


async def test_remapped_keys_work_and_show() -> None:
    config = Config(keys={"ladder": ("ctrl+l",), "quit": ("Q",)}, mask_people=True)
    async with opened("worklist.pcapng", config=config) as (app, pilot):
        assert "people masked" in text_of(app)
        await pilot.press("l")
        assert app.middle == "timeline"
        await pilot.press("ctrl+l")
        assert app.middle == "ladder"
        assert "^l ladder" in text_of(app).splitlines()[-1]
        await pilot.press("q")
        assert app.is_running
        await pilot.press("Q")
        await pilot.pause()
        assert not app.is_running


async def test_problems_of_the_configuration_are_on_the_screen() -> None:
    config = Config(theme="sunset", problems=[])
    async with opened("worklist.pcapng", config=config) as (app, _):
        assert "no theme 'sunset'" in text_of(app)


# ---------------------------------------------------------------------------- programs


def test_importing_the_package_imports_no_textual() -> None:
    code = "import sys, dicomsniff.tui; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_run_tells_what_could_not_be_opened(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(app: DicomsniffApp) -> None:
        app.fatal = "gone\x1b[2J: no such file"

    monkeypatch.setattr(DicomsniffApp, "run", run)
    assert tui.run(fake.Waiting) == 2
    assert capsys.readouterr().err == "dicomsniff: gone\\x1b[2J: no such file\n"


class Terminal:
    """The program in a terminal of tmux."""

    def __init__(self, tmux: str, home: Path, width: int, height: int) -> None:
        self.base = [tmux, "-L", f"dicomsniff-{os.getpid()}-{width}", "-f", "/dev/null"]
        self.env = os.environ | {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        self.env.pop("TMUX", None)
        size_ = ["-x", str(width), "-y", str(height)]
        self.do("new-session", "-d", "-s", "t", *size_, "/bin/sh")
        self.do("set-option", "-g", "remain-on-exit", "on")

    def do(self, *words: str) -> str:
        done = subprocess.run(
            [*self.base, *words], env=self.env, capture_output=True, text=True, check=True
        )
        return done.stdout

    def keys(self, *keys: str) -> None:
        self.do("send-keys", "-t", "t", *keys)

    def wait_for(self, *words: str, without: str = "\0", seconds: float = 30) -> str:
        end = time.monotonic() + seconds
        screen = ""
        while time.monotonic() < end:
            screen = self.do("capture-pane", "-p", "-t", "t")
            if all(word in screen for word in words) and without not in screen:
                return screen
            time.sleep(0.1)
        pytest.fail(f"{words} never came; the screen:\n{screen}")

    def close(self) -> None:
        subprocess.run([*self.base, "kill-server"], env=self.env, check=False, capture_output=True)


@pytest.mark.parametrize("width", [80, 160])
def test_the_program_in_a_real_terminal(tmp_path: Path, width: int) -> None:
    """What a person would do: open, look at a row, the ladder, filter, quit."""
    terminal = Terminal(require("tmux"), tmp_path, width, 24 if width == 80 else 45)
    try:
        program = shutil.which("dicomsniff", path=str(Path(sys.executable).parent))
        start = program or f"{sys.executable} -m dicomsniff"
        # A function, so that the line below fits on the screen wherever the program lies.
        terminal.keys(f'dicomsniff() {{ {start} "$@"; }}; cd {CAPTURES.parent}; clear', "Enter")
        terminal.keys("dicomsniff open captures/worklist.pcapng", "Enter")
        screen = terminal.wait_for("FLC1270→MOZI", "✓ released", "A-ASSOCIATE request FLC1270")
        assert "C-FIND×1" in screen
        terminal.keys("Enter")
        terminal.wait_for("━2 Timeline")
        terminal.keys("Down", "Down", "Down")
        terminal.wait_for("C-FIND-RSP, frame 14, 610 bytes")
        terminal.keys("3", "End")
        screen = terminal.wait_for("RequestedProcedurePriority")
        terminal.keys("z")
        screen = terminal.wait_for("PatientName", "=")
        assert re.search(r"PatientName.*[\u4e00-\u9fff]", screen), "the name in its own script"
        terminal.keys("z", "l")
        terminal.wait_for("A-ASSOCIATE-AC, 1 context accepted", "▶")
        terminal.do("set-option", "-s", "set-clipboard", "on")
        terminal.keys("2", "Home", "y")
        terminal.wait_for("Copied")
        assert "A-ASSOCIATE-RQ, 1 context proposed" in terminal.do("show-buffer")
        terminal.keys("t", "/")
        terminal.wait_for("2 Timeline", "\n /")
        terminal.keys("-l", "status = Pending")
        terminal.wait_for("✓ valid")
        terminal.keys("Enter")
        terminal.wait_for("8 of 14 rows")
        terminal.keys("q")
        terminal.wait_for("$" if os.geteuid() else "#", without="Timeline")
        terminal.keys("echo left with $?", "Enter")
        terminal.wait_for("left with 0")
    finally:
        terminal.close()
