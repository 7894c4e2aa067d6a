"""The work of the rules grows with the capture and no faster, also where one association is read
again at the end of each other one. Calls are counted, which no busy machine changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom import Dataset

from dicomsniff.analysis.findings import Checker
from dicomsniff.analysis.journey import Journeys
from dicomsniff.analysis.links import Linker
from dicomsniff.model import Association, CaptureInfo
from tests.analysis.findings.building import (
    COMMITMENT,
    CT,
    MPPS,
    STUDY_MOVE,
    WORKLIST,
    Play,
    step_query,
)
from tests.hostile.bombs import calls

SERVER = ("192.0.2.2", "192.0.2.3")
FEW, MANY = 80, 320

Work = Callable[[int], Callable[[], object]]


def _check(associations: list[Association], live: Association | None = None) -> Callable[[], None]:
    info = CaptureInfo("", "")
    info.last = max(each.ended for each in associations)

    def run() -> None:
        checker = Checker(info)
        if live is not None:
            checker.began(live)
        for each in associations:
            checker.began(each)
            checker.association(each)
        checker.finish(info)

    return run


def _referenced(uid: str) -> list[Dataset]:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
    return [item]


def moves_beside_what_they_caused(number: int) -> Callable[[], object]:
    """One sub-association that stays open, and a C-MOVE on each of many others."""
    sub = Play(CT, requestor="MOZI", acceptor="STORAGE", addresses=SERVER)
    question = Dataset()
    question.QueryRetrieveLevel, question.StudyInstanceUID = "STUDY", "1.2"
    ended = []
    for each in range(number):
        sub.store(f"1.2.{each}")
        play = Play(STUDY_MOVE, number=2 + each)
        play.say("C-MOVE-RQ", question, more={0x0600: "STORAGE"})
        play.say("C-MOVE-RSP", sender="acceptor", status=0, more={0x1021: 10})
        ended.append(play.end())
    return _check(ended, sub.made)


def moves_on_one_association(number: int) -> Callable[[], object]:
    def run() -> None:
        play = Play(STUDY_MOVE, linker=Linker())
        question = Dataset()
        question.QueryRetrieveLevel, question.StudyInstanceUID = "STUDY", "1.2"
        for _ in range(number):
            play.say("C-MOVE-RQ", question, more={0x0600: "STORAGE"})
            play.say("C-MOVE-RSP", sender="acceptor", status=0, more={0x1021: 10})
        _check([play.end()])()

    return run


def reports_that_nobody_asked_for(number: int) -> Callable[[], object]:
    """Each looks for its request on an association that is still open."""
    stores = Play(CT)
    ended = []
    for each in range(number):
        stores.store(f"1.2.{each}")
        play = Play(COMMITMENT, number=2 + each)
        told = Dataset()
        told.TransactionUID, told.ReferencedSOPSequence = f"1.9.{each}", _referenced("1.2")
        play.say("N-EVENT-REPORT-RQ", told, uid="1.2.840.10008.1.20.1.1", more={0x1002: 1})
        play.say("N-EVENT-REPORT-RSP", sender="acceptor", status=0)
        ended.append(play.end())
    return _check(ended, stores.made)


def questions_without_answer(number: int) -> Callable[[], object]:
    play = Play(WORKLIST)
    for _ in range(number):
        play.say("C-FIND-RQ", step_query())
    play.event("A-ABORT")
    return _check([play.end("aborted")])


def questions_without_match(number: int) -> Callable[[], object]:
    """On a connection that was closed before the last of them was answered."""
    play = Play(WORKLIST)
    for _ in range(number):
        play.find(step_query())
    play.event("CONNECTION-LOST")
    return _check([play.end("lost")])


def commitments_beside_performed_steps(number: int) -> Callable[[], object]:
    """Of instances that no step lists."""
    ended = []
    for each in range(number):
        play = Play(MPPS, number=2 * each)
        step, series = Dataset(), Dataset()
        step.PerformedProcedureStepStatus = "IN PROGRESS"
        series.ReferencedImageSequence = _referenced(f"1.6.{each}")
        step.PerformedSeriesSequence = [series]
        play.say("N-CREATE-RQ", step, uid=f"1.7.{each}")
        play.say("N-CREATE-RSP", sender="acceptor", status=0, uid=f"1.7.{each}")
        ended.append(play.end())
        play = Play(COMMITMENT, number=2 * each + 1)
        asked = Dataset()
        asked.TransactionUID, asked.ReferencedSOPSequence = f"1.9.{each}", _referenced("1.8")
        play.say("N-ACTION-RQ", asked, uid="1.2.840.10008.1.20.1.1", more={0x1008: 1})
        play.say("N-ACTION-RSP", sender="acceptor", status=0)
        ended.append(play.end())

    def run() -> None:
        journeys = Journeys()
        for each in ended:
            journeys.association_ended(each)
        journeys.journeys()

    return run


@pytest.mark.parametrize(
    "work",
    [
        moves_beside_what_they_caused,
        moves_on_one_association,
        reports_that_nobody_asked_for,
        questions_without_answer,
        questions_without_match,
        commitments_beside_performed_steps,
    ],
)
def test_four_times_as_much_takes_four_times_the_work(work: Work) -> None:
    work(2)()  # what is loaded and cached once
    assert calls(work(MANY)) < 1.2 * MANY / FEW * calls(work(FEW))
