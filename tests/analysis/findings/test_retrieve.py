"""Rules of retrieval, in conversations made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset

from dicomsniff.analysis.findings import Checker
from dicomsniff.analysis.links import Linker
from dicomsniff.model import Association, RejectPDU
from tests.analysis.findings.building import (
    CT,
    STUDY_GET,
    STUDY_MOVE,
    Play,
    checked,
    codes,
    mine,
    only,
)

IDENTIFIER = Dataset()
IDENTIFIER.QueryRetrieveLevel = "STUDY"
IDENTIFIER.StudyInstanceUID = "2.25.1"


def counts(completed: int, failed: int, warning: int = 0) -> dict[int, int | str]:
    return {0x1021: completed, 0x1022: failed, 0x1023: warning}


def moving(destination: str = "STORAGE", **options: Any) -> Play:
    """A C-MOVE under way."""
    play = Play(STUDY_MOVE, acceptor="ARCHIVE", **options)
    play.say("C-MOVE-RQ", IDENTIFIER, more={0x0600: destination})
    return play


def answered(play: Play, status: int, completed: int, failed: int, warning: int = 0) -> Association:
    play.wait(10).say(
        "C-MOVE-RSP", sender="acceptor", status=status, more=counts(completed, failed, warning)
    )
    return play.end()


def storing(*statuses: int, number: int = 2, start: int = 2, **options: Any) -> Play:
    """The sub-association, with as many C-STOREs."""
    play = Play(
        CT,
        number=number,
        requestor="ARCHIVE",
        acceptor="STORAGE",
        start=start,
        addresses=("192.0.2.2", "192.0.2.3"),
        **options,
    )
    for place, status in enumerate(statuses):
        play.store(f"2.25.{place}", status, more={0x1030: "FLC1270", 0x1031: 1})
    return play


@pytest.mark.parametrize(
    ("known", "asked", "words"),
    [
        ("STORAGE", "STORAGF", "STORAGE reads much the same"),
        ("STORAGE", "storage", "STORAGE reads much the same"),
        ("WORKSTATION", "NOBODY", "in this capture: WORKSTATION"),
    ],
)
def test_an_unknown_destination_and_those_that_are_known(
    known: str, asked: str, words: str
) -> None:
    other = Play(CT, number=2, requestor="FLC1270", acceptor=known).end()
    play = moving(asked, start=5)
    found = only(checked(other, answered(play, 0xA801, 0, 0)), "move-destination-unknown")
    assert words in found.detail
    assert asked in found.ae_titles
    assert known in found.ae_titles


def test_a_retrieval_that_went_well() -> None:
    assert checked(storing(0, 0, 0).end(), answered(moving(), 0, 3, 0)) == []


def test_a_sub_association_that_ends_after_the_retrieval() -> None:
    checker = Checker()
    move, sub = moving(), storing(0, 0xA700)
    checker.began(move.made)
    checker.began(sub.made)
    first = answered(move, 0xB000, 1, 1)
    checker.association(first)
    found = only(mine(first.findings), "retrieve-sub-operations-failed")
    assert "A700H Refused: Out of Resources (CT Image Storage), 1 time" in found.detail


def test_how_failed_sub_operations_were_answered() -> None:
    findings = checked(storing(0, 0xC001, 0xC001).end(), answered(moving(), 0xB000, 1, 2))
    found = only(findings, "retrieve-sub-operations-failed")
    assert "2 of 3 objects" in found.title
    assert "C001H Cannot Understand (CT Image Storage), 2 times" in found.detail
    assert "On STORAGE" in found.advice


def test_sub_operations_that_were_never_sent() -> None:
    findings = checked(storing(0).end(), answered(moving(), 0xB000, 1, 4))
    found = only(findings, "retrieve-sub-operations-failed")
    assert "the others were never sent" in found.detail
    assert "On ARCHIVE" in found.advice


def test_failures_without_any_sub_association() -> None:
    findings = checked(answered(moving(), 0xA702, 0, 3))
    assert codes(findings) == [
        "error retrieve-sub-operations-failed",
        "warning move-no-sub-association",
    ]


def test_success_without_any_sub_association_was_captured_elsewhere() -> None:
    assert checked(answered(moving(), 0, 3, 0)) == []


def test_a_sub_association_that_broke() -> None:
    sub = storing(0)
    sub.made.outcome_detail = "by the acceptor"
    findings = checked(sub.end("aborted"), answered(moving(), 0xB000, 1, 2))
    assert "was aborted (by the acceptor)" in only(findings, "move-sub-association-broken").detail


def test_a_rejection_of_somebody_else_is_not_its_cause() -> None:
    """Another caller, another destination, another time."""
    for options in (
        {"requestor": "OTHER", "addresses": ("192.0.2.9", "192.0.2.3")},
        {"acceptor": "ELSEWHERE", "requestor": "ARCHIVE"},
        {"requestor": "ARCHIVE", "acceptor": "STORAGE", "start": -100},
    ):
        values: dict[str, Any] = {"acceptor": "STORAGE", "start": 2, **options}
        play = Play(CT, number=2, **values)
        play.made.timeline[1].pdu = RejectPDU(1, 1, 3)
        findings = checked(play.end("rejected"), answered(moving(), 0xA702, 0, 3))
        assert "error move-sub-association-rejected" not in codes(findings)
        assert "warning move-no-sub-association" in codes(findings)


@pytest.mark.parametrize(
    ("statuses", "completed", "failed", "warning", "said"),
    [
        ((0, 0, 0), 3, 0, 0, False),
        ((0, 0, 0), 2, 0, 0, True),
        ((0, 0), 3, 0, 0, True),
        ((0, 0xB000), 1, 0, 1, False),
        ((0, 0xB000), 2, 0, 0, False),
        ((0, 0xA700), 1, 1, 0, False),
        ((0, 0xA700), 2, 0, 0, True),
    ],
)
def test_counts_against_what_crossed_the_wire(
    statuses: tuple[int, ...], completed: int, failed: int, warning: int, said: bool
) -> None:
    findings = checked(
        storing(*statuses).end(),
        answered(moving(), 0xB000 if failed else 0, completed, failed, warning),
    )
    assert ("warning retrieve-counts-contradict" in codes(findings)) == said


def test_counts_are_not_compared_with_what_was_captured_in_part() -> None:
    sub = storing(0, 0)
    sub.made.partial = True
    assert checked(sub.end(), answered(moving(), 0, 3, 0)) == []
    unanswered = storing(0, 0)
    unanswered.store("2.25.9", None)
    assert checked(unanswered.end(), answered(moving(), 0, 3, 0)) == []


def test_c_stores_of_another_retrieval_are_not_counted() -> None:
    sub = storing(0, 0)
    sub.store("2.25.7", more={0x1030: "SOMEBODY", 0x1031: 1})
    sub.store("2.25.8", more={0x1030: "FLC1270", 0x1031: 9})
    assert checked(sub.end(), answered(moving(), 0, 2, 0)) == []


def test_a_get_counts_its_own_stores() -> None:
    for claimed, said in ((2, False), (3, True)):
        play = Play(STUDY_GET, CT, acceptor="ARCHIVE")
        play.say("C-GET-RQ", IDENTIFIER)
        for number in range(2):
            play.store(f"2.25.{number}", context=3, sender="acceptor")
        play.say("C-GET-RSP", sender="acceptor", status=0, more=counts(claimed, 0), message_id=1)
        assert ("warning retrieve-counts-contradict" in codes(checked(play.end()))) == said


def test_success_and_nothing_sent() -> None:
    assert codes(checked(answered(moving(), 0, 0, 0))) == ["note retrieve-nothing"]


def test_links_widen_what_a_retrieval_caused() -> None:
    """The title of the destination may be another than that called; the C-STOREs name it."""
    linker = Linker()
    move = moving(linker=linker)
    sub = Play(CT, number=2, requestor="ARCHIVE", acceptor="ALIAS", start=2, linker=linker)
    sub.store("2.25.1", 0xA700, more={0x1030: "FLC1270", 0x1031: 1})
    findings = checked(sub.end(), answered(move, 0xB000, 0, 1))
    assert "A700H" in only(findings, "retrieve-sub-operations-failed").detail
