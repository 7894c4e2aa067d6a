"""`dicomsniff check`: text, JSON, exit status, the table of rules and its page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dicomsniff.analysis.findings import rules
from dicomsniff.cli import main
from dicomsniff.output.findings import FORMAT, WIDTH, Report, markdown, overview
from dicomsniff.output.redact import Redactor
from tests.analysis.findings.wire import Wire, rejected, requested, run
from tests.support import CAPTURES, capture

PAGE = CAPTURES.parent / "docs" / "findings.md"


def check(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    status = main(["check", "--reader", "scapy", *args])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_errors_come_first_and_give_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = check(capsys, str(capture("store-failed.pcapng")))
    assert status == 1
    heads = [line.split()[0] for line in out.splitlines() if line[:1].isupper()]
    assert heads == ["ERROR"] * 3 + ["WARNING", "NOTE"]
    assert "[store-failed]" in out
    assert "; PS3.4 B.2.3\n" in out
    assert "FLC1270 (127.0.0.1:" in out
    assert "\n  -> On " in out
    assert out.endswith("3 errors, 1 warning, 1 note in 1 association\n")
    assert all(len(line) <= WIDTH or line.startswith("  in ") for line in out.splitlines())
    assert err == ""


def test_warnings_alone_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = check(capsys, str(capture("get.pcapng")))
    assert status == 0
    assert out.endswith("1 warning in 1 association\n")


def test_nothing_found(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = check(capsys, str(capture("veth.pcapng")))
    assert (status, out) == (0, "nothing found in 1 association\n")


def test_the_capture_itself(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = check(capsys, str(capture("port-closed.pcapng")))
    assert status == 1
    assert out.startswith("ERROR  Nothing listens on 127.0.0.1 port 11112")
    assert "Nothing listens" not in err  # told once


def test_several_files(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("worklist-refused.pcapng", "worklist.pcapng")
    status, out, _ = check(capsys, *(str(capture(name)) for name in names))
    assert status == 1
    assert "[ae-title-similar]" in out
    assert "MOZI was accepted" in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = check(capsys, "--json", str(capture("lost-fin.pcapng")))
    assert status == 1
    told = json.loads(out)
    assert told["format"] == FORMAT
    assert told["counts"] == {"error": 1, "warning": 1, "note": 0}
    assert told["associations"] == 2
    assert [f["code"] for f in told["findings"]] == ["connection-cut", "connection-lost"]
    assert told["findings"][0]["association"]["requestor"]["ae_title"] == "FLC1270"
    assert told["findings"][0]["evidence"] == [3, 4]


def test_chosen_associations(capsys: pytest.CaptureFixture[str]) -> None:
    name = str(capture("lost-fin.pcapng"))
    status, out, _ = check(capsys, "--association", "1", name)
    assert status == 0
    assert "1 warning in 1 association" in out
    status, out, _ = check(capsys, "--where", "outcome = aborted", name)
    assert status == 1
    assert "connection-cut" in out
    assert "connection-lost" not in out


def test_comments_only_where_people_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    name = str(capture("store-failed.pcapng"))
    assert "disk full" not in check(capsys, name)[1]
    assert "Error Comment of entry 4: disk full" in check(capsys, "--keep-phi", name)[1]


def test_masks(capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(capture(n)) for n in ("worklist-refused.pcapng", "worklist.pcapng")]
    for form in ((), ("--json",)):
        _, out, _ = check(capsys, "--mask-ae", "--mask-addresses", *form, *names)
        for hidden in ("MOZI", "MOZZI", "FLC1270", "127.0.0.1"):
            assert hidden not in out


def test_what_devices_say_does_nothing_to_a_terminal() -> None:
    """AE titles come from the wire: ESC begins commands, U+202E turns text round."""
    wire = Wire().open().say(0, requested(called="A\x1b[2J\u0085", calling="\x07X"))
    report = Report(Redactor())
    for association in run(wire.say(1, rejected(1, 1, 7)).close()).associations:
        report.association(association)
    text = "\n".join(report.lines())
    assert "\\x1b[2J" in text
    assert text.replace("\n", "").isprintable()
    # JSON is plain ASCII.
    from dicomsniff.model import CaptureInfo

    assert report.json(CaptureInfo("x", "scapy")).replace("\n", "").isprintable()


def test_a_timeline_is_printed_without_any_rule() -> None:
    """What is not asked for is not even loaded."""
    code = (
        "import sys; from dicomsniff.cli import main; status = main(sys.argv[1:]);"
        "print(status, 'dicomsniff.analysis.findings' in sys.modules, file=sys.stderr)"
    )
    told = []
    for command in ("timeline", "check"):
        done = subprocess.run(
            [sys.executable, "-c", code, command, "--reader", "scapy", str(capture("veth.pcapng"))],
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(done.stderr.split())
    assert told == [["0", "False"], ["0", "True"]]


def test_long_evidence_is_cut_in_text_alone(capsys: pytest.CaptureFixture[str]) -> None:
    name = str(capture("get.pcapng"))
    _, text, _ = check(capsys, name)
    assert "frames 10, 14, 18, 22, 26, 30, 34, 38…" in text
    found = json.loads(check(capsys, "--json", name)[1])["findings"]
    assert [len(f["frames"]) for f in found if f["code"] == "delayed-acknowledgement"] == [10]


def test_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for args in ([], ["--markdown", "x"], [str(tmp_path / "missing.pcap")]):
        status, out, err = check(capsys, *args)
        assert status == 2
        assert out == ""
        assert len(err.splitlines()) == 1


def test_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--rules"]) == 0
    text = capsys.readouterr().out
    assert main(["check", "--rules", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert {row["code"] for row in table} == {each.code for each in rules()}
    for row in table:
        assert f"  {row['code']}  ({row['severity']}" in text


@pytest.mark.parametrize(
    ("more", "said"), [(["x.pcap"], "name no capture"), (["--json", "--markdown"], "not both")]
)
def test_rules_take_nothing_that_would_be_ignored(
    more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--rules", *more]) == 2
    assert said in capsys.readouterr().err


def test_the_page_is_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--rules", "--markdown"]) == 0
    assert capsys.readouterr().out == markdown()
    assert PAGE.read_text() == markdown(), (
        "write it again: dicomsniff check --rules --markdown > docs/findings.md"
    )


def test_the_readme_names_every_rule() -> None:
    """In the order of the table."""
    text = PAGE.parent.parent.joinpath("README.md").read_text()
    assert overview() in text, f"it should hold:\n{overview()}"


def test_every_rule_is_documented() -> None:
    for each in rules():
        assert each.code == each.code.lower()
        assert " " not in each.code
        assert each.what.endswith(".")
        assert each.subject
        assert "|" not in each.what  # it stands in a table


def test_what_is_alike_is_told_once_in_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Four modalities stall, and each of them is another device; one that does so ten times is
    told once, and JSON has all of them."""
    name = str(capture("concurrent.pcapng"))
    assert check(capsys, name)[1].count("[delayed-acknowledgement]") == 4
    wires = [
        Wire(client_port=40000 + number, begin=number).open().say(0, requested(called="X"))
        for number in range(12)
    ]
    report = Report(Redactor())
    for wire in wires:
        wire.say(1, rejected(1, 1, 3)).close()
    for association in run(*wires).associations:
        report.association(association)
    text = "\n".join(report.lines())
    assert text.count("[association-rejected]") == 1
    assert "\n  and 11 more like this: associations 2, 3, 4, 5, 6, 7, 8, 9…\n" in text
    assert text.endswith("12 errors in 12 associations")
    from dicomsniff.model import CaptureInfo

    told = json.loads(report.json(CaptureInfo("x", "scapy")))
    assert [each["association"]["id"] for each in told["findings"]] == list(range(1, 13))
    assert told["counts"]["error"] == 12
    assert told["left_out"] == 0


def test_a_day_of_the_same_finding_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with it."""
    monkeypatch.setattr("dicomsniff.output.findings.ALIKE_KEPT", 3)
    wires = [
        Wire(client_port=40000 + number, begin=number).open().say(0, requested(called="X"))
        for number in range(5)
    ]
    report = Report(Redactor())
    for wire in wires:
        wire.say(1, rejected(1, 1, 3)).close()
    for association in run(*wires).associations:
        report.association(association)
    from dicomsniff.model import CaptureInfo

    told = json.loads(report.json(CaptureInfo("x", "scapy")))
    assert len(told["findings"]) == 3
    assert told["counts"]["error"] == 5
    assert told["left_out"] == 2
