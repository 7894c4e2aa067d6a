"""Words from the wire do nothing to a terminal, a file system or a spreadsheet; they are read."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from dicomsniff.model import Association
from dicomsniff.sources import open_capture
from tests import rewrite
from tests.hostile.words import BIDI, ESC, FORMULA, MARKUP, UNSAFE, UP, session
from tests.support import capture
from tests.test_cli import dicomsniff
from tests.tui.screen import opened, text_of

STEERS = re.compile(UNSAFE)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of it."""
    made = tmp_path_factory.mktemp("words") / "words.pcap"
    made.write_bytes(rewrite.pcap(list(session())))
    return made


COMMANDS = [
    ("timeline",),
    ("dump",),
    ("dump", "--keep-phi"),
    ("check",),
    ("check", "--json"),
    ("journey", "--keep-phi"),
    ("transcript", "--keep-phi"),
    ("transcript", "--keep-phi", "--ndjson"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_output_steers_a_terminal(command: tuple[str, ...], path: Path) -> None:
    status = 1 if command[0] == "check" else 0
    done = dicomsniff(*command, "--reader", "scapy", path, status=status)
    for text in (done.stdout, done.stderr):
        assert not STEERS.search(text), STEERS.search(text)
    assert "\\x1b" in done.stdout or "\\u001b" in done.stdout, "shown, made visible"
    if command[-1] == "--ndjson" or "transcript" in command or "--json" in command:
        told = (
            [json.loads(line) for line in done.stdout.splitlines()]
            if "--ndjson" in command
            else [json.loads(done.stdout)]
        )
        for each in told:
            json.dumps(each).encode("ascii")
            assert "\ud800" not in str(each), "no half of a character"


def test_what_is_extracted_stays_in_its_folder(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c"
    done = dicomsniff("extract", "--reader", "scapy", path, "-d", folder)
    assert not STEERS.search(done.stdout + done.stderr)
    files = [each.relative_to(tmp_path) for each in tmp_path.rglob("*") if each.is_file()]
    assert len(files) == 3, "the object, stored twice, and the index"
    for each in files:
        assert each.parts[:3] == ("a", "b", "c")
        assert len(each.parts) == 4
        assert not each.name.startswith((".", "=", "-"))
        assert each.name.isascii()
        assert each.name.isprintable()
    index = json.loads((folder / "index.json").read_text())
    assert UP in json.dumps(index), "what the peer called it is told in the index"


def test_no_command_writes_a_table_that_a_spreadsheet_would_run(path: Path) -> None:
    """Text that begins a cell with ``=``, ``+``, ``-`` or ``@`` is a formula where it is pasted or
    opened. Rows of text begin with blanks and numbers, and JSON puts everything in quotes."""
    out = dicomsniff("timeline", "--reader", "scapy", path).stdout
    assert FORMULA[0] + "cmd" in out
    for line in out.splitlines():
        assert line[0] in " 0123456789"
        assert "\t" not in line, "nothing splits a row into cells"
    out = dicomsniff("dump", "--keep-phi", "--reader", "scapy", path).stdout
    assert FORMULA in out
    assert not [line for line in out.splitlines() if re.match(r"[=+@-]\w", line)]


def test_a_saved_transcript_is_as_hostile_as_a_wire(path: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    dicomsniff("transcript", "--keep-phi", "--reader", "scapy", path, "-o", saved)
    # Somebody may have written it with escapes that we would not write.
    told = json.loads(saved.read_text())
    for association in told["associations"]:
        association["requestor"]["ae_title"] = ESC + BIDI + MARKUP
        association["timeline"][0]["info"] = ESC + BIDI + "\ud800"
    saved.write_text(json.dumps(told))
    done = dicomsniff("open", saved)
    assert not STEERS.search(done.stdout + done.stderr)


async def test_nothing_steers_the_screen(path: Path) -> None:
    """Through every view, with every branch open."""
    shown = []
    async with opened(lambda: open_capture(str(path), reader="scapy"), (170, 50)) as (app, pilot):
        assert app.loader.associations
        for keys in (
            ("1",),
            ("2",),
            *[("2", "down", "3", "plus", "z", "z") for _ in range(4)],
            ("1", "l"),
            ("c",),
            ("f",),
            ("S",),
        ):
            await pilot.press(*keys)
            await pilot.pause()
            shown.append(text_of(app))
        await asyncio.sleep(0)
    together = "\n".join(shown)
    assert not STEERS.search(together)
    assert "\\x1b" in together
    assert "[red]x[/red]" in together, "markup is text"


def test_the_session_says_what_it_should(path: Path) -> None:
    """Else the tests above would see nothing."""
    from dicomsniff.analysis.pipeline import read

    (association,) = read(str(path), reader="scapy")
    assert isinstance(association, Association)
    kinds = [entry.kind for entry in association.timeline]
    assert kinds[:4] == ["A-ASSOCIATE-RQ", "A-ASSOCIATE-AC", "C-STORE-RQ", "C-STORE-RSP"]
    assert "UNKNOWN-PDU" in kinds
    assert "\x1b" in (association.acceptor.ae_title or "")
    assert capture("echo.pcapng").exists()
