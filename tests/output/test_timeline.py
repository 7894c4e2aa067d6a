"""The timeline as text, in Wireshark's columns."""

from __future__ import annotations

import re
import subprocess
import sys

from dicomsniff.output.timeline import HEADER, row
from tests import rewrite
from tests.support import capture, require

COLUMNS = re.compile(r" *(\d+) +(\d+\.\d{6}) (\S+) +(\S+) +DICOM +(\d+) (.+)")


def test_a_row_has_the_columns_of_its_header() -> None:
    packets = rewrite.load(capture("worklist.pcapng"))
    (association,) = rewrite.rebuild(packets)
    first = packets[0].time
    for entry in association.timeline:
        match = COLUMNS.fullmatch(row(association, entry, first))
        assert match is not None
        number, time, _source, _destination, length, _ = match.groups()
        assert int(number) == entry.last_frame
        assert abs(float(time) - (entry.time - first) / 1e9) < 1e-6
        assert int(length) == entry.length
    line = row(association, association.timeline[0], first)
    for word in ("Protocol", "Info"):
        assert line[HEADER.index(word) :].startswith("DICOM" if word == "Protocol" else "A-ASSOC")


def test_times_agree_with_tsharks() -> None:
    path = capture("worklist.pcapng")
    fields = ("-eframe.number", "-eframe.time_relative")
    run = subprocess.run(
        [require("tshark"), "-n", "-r", path, "-Ydicom", "-Tfields", *fields],
        capture_output=True,
        check=True,
        text=True,
    )
    theirs = {int(a): float(b) for a, b in (line.split() for line in run.stdout.splitlines())}
    packets = rewrite.load(path)
    (association,) = rewrite.rebuild(packets)
    rows = [COLUMNS.fullmatch(row(association, e, packets[0].time)) for e in association.timeline]
    ours = {int(m[1]): float(m[2]) for m in rows if m is not None}
    assert set(ours) == set(theirs)
    assert all(abs(ours[number] - theirs[number]) < 2e-6 for number in ours)


def test_one_row_a_message_on_the_command_line() -> None:
    path = capture("worklist.pcapng")
    run = subprocess.run(
        [sys.executable, "-m", "dicomsniff", "timeline", "--reader", "scapy", path],
        capture_output=True,
        check=True,
        text=True,
    )
    lines = run.stdout.splitlines()
    assert lines[0] == HEADER
    assert len(lines) == 15
    assert sum("C-FIND-RSP ID=1 (Pending)" in line for line in lines) == 8
    assert all("127.0.0.1" in line for line in lines[1:])
