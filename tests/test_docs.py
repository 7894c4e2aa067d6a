"""What the documentation shows is what the program does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomsniff.cli.arguments import parser
from tests.support import CAPTURES, require
from tests.test_cli import dicomsniff

ROOT = CAPTURES.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_COMMAND = re.compile(r"\bdicomsniff (?=[a-z]).*")


def blocks(page: Path) -> Iterator[list[str]]:
    """Blocks of code of a page: runs of lines that are indented by four."""
    block: list[str] = []
    for line in [*page.read_text().splitlines(), ""]:
        if line.startswith("    "):
            block.append(line[4:])
        elif block:
            yield block
            block = []


SHOWN = [
    pytest.param(block[0].removeprefix("$ dicomsniff "), block[1:], id=f"{page.name}: {block[0]}")
    for page in PAGES
    for block in blocks(page)
    if block[0].startswith("$ dicomsniff ")
]

COMMANDS = [
    pytest.param(found[0], id=f"{page.name}: {line}")
    for page in PAGES
    for block in blocks(page)
    for line in block
    if (found := _COMMAND.search(line))
]


@pytest.mark.parametrize(("command", "lines"), SHOWN)
def test_what_is_shown_is_what_comes(command: str, lines: list[str]) -> None:
    require("tshark")
    wanted = [line for line in lines if line.strip() != "…"]
    status = int(any(line.startswith("ERROR") for line in wanted))
    told = dicomsniff(*shlex.split(command), status=status).stdout.splitlines()
    assert wanted
    missing = [line for line in wanted if line.rstrip() not in told]
    assert not missing


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_to_be_typed_is_understood(command: str) -> None:
    words = shlex.split(re.split(r" [|>&] ?| && |  ", command)[0])[1:]
    parsed = parser().parse_args(words)
    assert parsed.command == words[0]


def test_there_is_something_to_try() -> None:
    assert len(SHOWN) >= 4
    assert len(COMMANDS) >= 15
