"""What tshark's own DICOM dissector makes of a capture: PDUs and messages, for a comparison.

tshark is told which ports speak DICOM and otherwise runs with its default settings. What it shows
is read from its PDML, the one form that keeps the order of what is inside of a frame.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from html import unescape
from typing import IO, Final, NamedTuple

from dicomsniff.model import Endpoint
from dicomsniff.sources import SourceError
from dicomsniff.sources.tshark import find_tshark

LINE_LIMIT: Final = 1 << 16
"""Bytes of a line that are looked at: the longest ones hold pixel data in hexadecimal."""

ROWS_KEPT: Final = 4096
"""Rows of the Info column that are kept, for people to look at."""

IN_ORDER: Final = ("-o", "tcp.reassemble_out_of_order:TRUE")
"""The setting without which tshark's TCP reassembly puts up with no disorder."""

_COMMAND, _MESSAGE_IDS, _STATUS = "0100", ("0110", "0120"), "0900"
"""Elements of group 0000 (PS3.7 E.1): Command Field, Message ID and that of the request, Status."""

_LINE: Final = re.compile(
    r'name="num"[^>]* show="(?P<frame>\d+)"'
    r'|name="ipv?6?" showname="[^"]*Src: (?P<from>[^,"]+), Dst: (?P<to>[^,"]+)'
    r'|name="tcp" showname="[^"]*Src Port: (?P<source>\d+), Dst Port: (?P<destination>\d+)'
    r'|name="dicom" showname="DICOM, (?P<row>[^"]*)"'
    r'|name="dicom.pdu.type"[^>]* value="(?P<pdu>[0-9a-f]{2})"'
    r'|name="dicom.pdv.ctx"[^>]* value="(?P<context>[0-9a-f]{2})"'
    r'|show="\(0000,(?P<element>[0-9a-f]{4})\)[^"]*"[^>]* value="(?P<value>[0-9a-f]*)"'
)


class Shown(NamedTuple):
    """A PDU (``command`` is None) or a message, as tshark shows it."""

    frame: int
    ends: tuple[Endpoint, Endpoint]
    """Sender and receiver."""
    pdu: int
    command: int | None = None
    """Command field (0000,0100)."""
    context_id: int | None = None
    message_id: int | None = None
    """Message ID, or that of the request in a response."""
    status: int | None = None


class Dissected(NamedTuple):
    """What tshark shows of a capture."""

    shown: list[Shown]
    rows: dict[int, list[str]]
    """The Info column by frame, a row for each PDU."""


def dissect(path: str, ports: Iterable[int], *options: str) -> Dissected:
    """Run tshark's dissector on a capture whose ``ports`` speak DICOM.

    Raises ``SourceError`` where tshark is not installed or fails.
    """
    tshark = find_tshark()
    if tshark is None:
        raise SourceError(
            "tshark is not installed, so there is nothing to compare with: install Wireshark's "
            "command line (package tshark)"
        )
    words = [tshark, "-n", "-r", path, *options, "-Y", "dicom", "-T", "pdml", "-J", "dicom"]
    for port in sorted(set(ports)):
        words += ["-d", f"tcp.port=={port},dicom"]
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        found = _read(_lines(run.stdout))
        said = [line for line in run.stderr.read().splitlines() if line.startswith("tshark: ")]
    # Damage at the end of a capture is told by those who read it, too.
    if run.returncode and not found.shown:
        words_of = said[0].removeprefix("tshark: ") if said else f"status {run.returncode}"
        raise SourceError(f"{path}: tshark: {words_of}")
    return found


def _lines(output: IO[str]) -> Iterator[str]:
    """Lines, the rest of long ones left out."""
    whole = True
    while line := output.readline(LINE_LIMIT):
        if whole:
            yield line
        whole = line.endswith("\n")


def _read(lines: Iterable[str]) -> Dissected:
    shown: list[Shown] = []
    rows: dict[int, list[str]] = {}
    frame = context = pdu = 0
    addresses = ("", "")
    ends = (Endpoint("", 0), Endpoint("", 0))
    for line in lines:
        match = _LINE.search(line)
        if match is None:
            continue
        if match["frame"]:
            frame = int(match["frame"])
        elif match["from"]:
            addresses = match["from"], match["to"]
        elif match["source"]:
            ends = (
                Endpoint(addresses[0], int(match["source"])),
                Endpoint(addresses[1], int(match["destination"])),
            )
        elif match["row"] is not None:
            if len(rows) < ROWS_KEPT:
                rows.setdefault(frame, []).append(unescape(match["row"]))
        elif match["pdu"]:
            pdu = int(match["pdu"], 16)
            if pdu != 4:
                shown.append(Shown(frame, ends, pdu))
        elif match["context"]:
            context = int(match["context"], 16)
        elif match["element"]:
            _element(shown, Shown(frame, ends, pdu, 0, context), match["element"], match["value"])
    return Dissected(shown, rows)


def _element(shown: list[Shown], begun: Shown, element: str, content: str) -> None:
    """Take an element of a command set; the command field begins a message."""
    value = int.from_bytes(bytes.fromhex(content[16:]), "little") if len(content) % 2 == 0 else 0
    if element == _COMMAND:
        shown.append(begun._replace(command=value))
    elif not shown or shown[-1].command is None:
        return
    elif element in _MESSAGE_IDS and shown[-1].message_id is None:
        shown[-1] = shown[-1]._replace(message_id=value)
    elif element == _STATUS:
        shown[-1] = shown[-1]._replace(status=value)
