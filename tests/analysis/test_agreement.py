"""The comparison with tshark's dissector: what differs is found, and blamed on what causes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from dicomsniff.analysis.agreement import OUT_OF_ORDER, Told, _next_alike, compare
from dicomsniff.cli import main
from dicomsniff.output.agreement import lines
from tests import rewrite, wire
from tests.agreement.test_tshark import CT, FIND, IDENTIFIER, Session, associated
from tests.support import capture, require


def deflated() -> Session:
    session = associated((1, CT, wire.DEFLATED, 0))
    session.say("r", wire.command(1, 0x0001, dataset=True), wire.data(1, wire.deflate(IDENTIFIER)))
    return session.say("a", wire.command(1, 0x8001, status=0xA700))


def interleaved() -> Session:
    session = associated((1, FIND, wire.EXPLICIT, 0))
    session.say("r", wire.command(1, 0x0020, 7, dataset=True), wire.data(1, IDENTIFIER))
    half = len(IDENTIFIER) // 2
    session.say(
        "a",
        wire.command(1, 0x8020, 7, status=0xFF00, dataset=True),
        wire.data(1, IDENTIFIER[:half], last=False),
    )
    session.say("r", wire.command(1, 0x0FFF, 7))
    session.say("a", wire.data(1, IDENTIFIER[half:]))
    return session.say("a", wire.command(1, 0x8020, 7, status=0xFE00))


def empty_end() -> Session:
    """The request is not told by tshark, nor is the response behind its data set."""
    session = associated((1, FIND, wire.EXPLICIT, 0))
    asked = wire.command_set(0x0020, 7, dataset=True)
    values = wire.value(1, asked, 1), wire.value(1, b"", 3)
    session.say("r", wire.pdata(*values), wire.data(1, IDENTIFIER))
    return session.say("a", wire.command(1, 0x8020, 7, status=0))


def out_of_order() -> list[rewrite.Packet]:
    packets = rewrite.cut(rewrite.load(capture("worklist.pcapng")), 1, 190, Random(1))
    return rewrite.timed(rewrite.shuffled(packets, 6, Random(1)), packets[0].time)


def packets_of(session: Callable[[], Session]) -> Callable[[], list[rewrite.Packet]]:
    return lambda: session().packets


CASES: dict[str, tuple[Callable[[], list[rewrite.Packet]], str]] = {
    "deflated": (packets_of(deflated), "a response behind a deflated or encapsulated data set"),
    "an empty end": (packets_of(empty_end), "a command set whose last fragment is empty"),
    "out of order": (out_of_order, OUT_OF_ORDER),
}


@pytest.mark.parametrize("name", CASES)
def test_a_difference_has_its_reason(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require("tshark")
    make, why = CASES[name]
    path = tmp_path / "session.pcap"
    path.write_bytes(rewrite.pcap(rewrite.frames(make())))
    agreement = compare(str(path))
    assert agreement.differences
    assert {(each.why or "").startswith(why) for each in agreement.differences} == {True}
    assert main(["compare-tshark", str(path)]) == 0
    printed = capsys.readouterr().out
    assert f"why: {why}" in printed
    assert "1 capture, 1 with differences" in printed


def test_a_cancel_amid_an_answer(tmp_path: Path) -> None:
    require("tshark")
    path = tmp_path / "session.pcap"
    path.write_bytes(rewrite.pcap(rewrite.frames(interleaved().packets)))
    # Whether this tshark is led astray or not: ours are all there, and nothing is left unexplained.
    agreement = compare(str(path))
    assert agreement.ours == 6
    assert agreement.unexplained == 0


def test_what_has_no_reason_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    require("tshark")
    monkeypatch.setattr("dicomsniff.analysis.agreement.REASONS", ())
    path = tmp_path / "session.pcap"
    path.write_bytes(rewrite.pcap(rewrite.frames(deflated().packets)))
    assert main(["compare-tshark", str(path)]) == 1
    assert "no reason is known" in capsys.readouterr().out


def test_the_same_in_both(capsys: pytest.CaptureFixture[str]) -> None:
    require("tshark")
    path = capture("worklist.pcapng")
    assert main(["compare-tshark", str(path)]) == 0
    assert "14 PDUs and messages, the same in both" in capsys.readouterr().out
    assert list(lines("x", compare(str(path)))) == ["x: 14 PDUs and messages, the same in both"]


def test_without_tshark(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["compare-tshark", str(capture("worklist.pcapng"))]) == 2
    assert "tshark is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mine", "other", "skipped"),
    [
        ("abc", "abc", (0, 0)),
        ("abc", "bc", (1, 0)),
        ("bc", "abc", (0, 1)),
        ("axc", "ayc", (0, 0)),
        ("xc", "yc", (1, 1)),
        ("xyzc", "c", (3, 0)),
        ("ab", "", (2, 0)),
        ("", "ab", (0, 2)),
        ("a", "b", (1, 1)),
    ],
)
def test_where_both_go_on_alike(mine: str, other: str, skipped: tuple[int, int]) -> None:
    assert _next_alike([*map(Told, mine)], [*map(Told, other)]) == skipped
