"""Journeys: what belongs to one examination, and what is missing on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from dicomsniff.analysis import journey as journeys
from dicomsniff.analysis.journey import Journey, Journeys
from dicomsniff.model import Association
from dicomsniff.output.journey import text
from dicomsniff.output.redact import Redactor
from tests.analysis.findings.building import (
    COMMITMENT,
    CT,
    MPPS,
    WORKLIST,
    Play,
    step_answer,
    step_query,
)
from tests.analysis.findings.test_procedure import created, listing
from tests.output.build import Kept, run
from tests.support import CAPTURES


def followed(*associations: Association) -> list[Journey]:
    collected = Journeys()
    for each in associations:
        collected.association_ended(each)
    return collected.journeys()


def of_capture(name: str) -> list[Journey]:
    kept = Kept()
    run(Path(CAPTURES / name), kept)
    return followed(*kept.associations)


def kinds(journey: Journey) -> list[str]:
    return [stop.kind for stop in journey.stops]


def worklist(*studies: str, number: int = 1) -> Association:
    answers = [
        step_answer(
            StudyInstanceUID=study,
            AccessionNumber=f"A{study[-1]}",
            ScheduledProcedureStepID=f"S{study[-1]}",
        )
        for study in studies
    ]
    return Play(WORKLIST, number=number).find(step_query(), *answers).end()


def begun(study: str, accession: str = "", step_id: str = "", *, number: int = 2) -> Association:
    step = created()
    (scheduled,) = step.ScheduledStepAttributesSequence
    scheduled.StudyInstanceUID, scheduled.AccessionNumber = study, accession
    scheduled.ScheduledProcedureStepID = step_id
    play = Play(MPPS, number=number, start=10)
    play.say("N-CREATE-RQ", step, uid="2.25.100")
    play.say("N-CREATE-RSP", sender="acceptor", status=0, uid="2.25.100")
    return play.end()


def ended(state: str = "COMPLETED", *instances: str, number: int = 6) -> Association:
    step = Dataset()
    step.PerformedProcedureStepStatus = state
    series = Dataset()
    series.ReferencedImageSequence = []
    for uid in instances:
        item = Dataset()
        item.ReferencedSOPInstanceUID = uid
        series.ReferencedImageSequence.append(item)
    step.PerformedSeriesSequence = [series]
    play = Play(MPPS, number=number, start=50)
    play.say("N-SET-RQ", step, uid="2.25.100")
    play.say("N-SET-RSP", sender="acceptor", status=0, uid="2.25.100")
    return play.end()


def stored(
    study: str, *instances: str, accession: str = "", number: int = 3, status: int = 0
) -> Association:
    play = Play(CT, number=number, acceptor="ARCHIVE", start=20)
    for uid in instances:
        data = Dataset()
        data.SOPInstanceUID, data.StudyInstanceUID = uid, study
        if accession:
            data.AccessionNumber = accession
        play.store(uid, status, dataset=data)
    return play.end()


def asked(*instances: str, number: int = 4) -> Association:
    play = Play(COMMITMENT, number=number, acceptor="ARCHIVE", start=30)
    play.say("N-ACTION-RQ", listing(*instances), more={0x1008: 1})
    play.say("N-ACTION-RSP", sender="acceptor", status=0)
    return play.end()


def reported(*instances: str, failed: tuple[str, ...] = (), number: int = 5) -> Association:
    play = Play(COMMITMENT, number=number, requestor="ARCHIVE", acceptor="FLC1270", start=40)
    play.say("N-EVENT-REPORT-RQ", listing(*instances, failed=failed), more={0x1002: 1})
    play.say("N-EVENT-REPORT-RSP", sender="acceptor", status=0)
    return play.end()


ALL = ["worklist", "begun", "stored", "asked", "reported", "ended"]


def test_a_recorded_examination() -> None:
    made = of_capture("journey.pcapng")
    (whole,) = [each for each in made if len(each.stops) > 1]
    assert kinds(whole) == ALL
    assert whole.missing() == []
    assert [stop.association for stop in whole.stops] == [1, 2, 3, 4, 5, 6]
    assert [stop.good for stop in whole.stops] == [1, 0, 3, 3, 3, 3]
    assert [kinds(each) for each in made if each is not whole] == [["worklist"]] * 7


@pytest.mark.parametrize("order", [1, -1])
def test_whatever_the_order_in_which_associations_end(order: int) -> None:
    made = [
        worklist("2.25.1"),
        begun("2.25.1", "A1"),
        stored("2.25.1", "2.25.11", "2.25.12", accession="A1"),
        asked("2.25.11", "2.25.12"),
        reported("2.25.11", "2.25.12"),
        ended("COMPLETED", "2.25.11", "2.25.12"),
    ]
    if order < 0:
        # What names a step by its UID alone cannot come before the step is known.
        made = [made[1], *made[:1:-1], made[0]]
    (journey,) = followed(*made)
    assert kinds(journey) == ALL
    assert journey.missing() == []


@pytest.mark.parametrize(
    ("left_out", "missing"),
    [
        (0, ["no worklist answer with its keys"]),
        (1, ["the N-CREATE of the performed procedure step"]),
        (2, ["no object was stored"]),
        (3, ["no storage commitment was asked for"]),
        (4, ["no report of the storage commitment"]),
        (5, ["never COMPLETED or DISCONTINUED"]),
    ],
)
def test_what_is_missing_on_the_way(left_out: int, missing: list[str]) -> None:
    made = [
        worklist("2.25.1"),
        begun("2.25.1"),
        stored("2.25.1", "2.25.11"),
        asked("2.25.11"),
        reported("2.25.11"),
        ended("COMPLETED", "2.25.11"),
    ]
    del made[left_out]
    told = followed(*made)[0].missing()
    assert len(told) == len(missing)
    assert all(words in line for words, line in zip(missing, told, strict=True))


def test_a_device_that_makes_up_its_own_study() -> None:
    (journey,) = followed(
        worklist("2.25.1"), begun("2.25.9", "A1"), stored("2.25.9", "2.25.11", accession="A1")
    )
    assert kinds(journey) == ["worklist", "begun", "stored"]
    assert any(
        "Study Instance UID of the worklist was not taken over" in m for m in journey.missing()
    )
    (taken,) = followed(worklist("2.25.1"), stored("2.25.1", "2.25.11", accession="A1"))
    assert not any("taken over" in line for line in taken.missing())


def test_a_device_that_only_stores() -> None:
    (journey,) = followed(worklist("2.25.1"), stored("2.25.1", "2.25.11"))
    assert any("no performed procedure step was begun" in line for line in journey.missing())


def test_steps_join_by_step_id_where_nothing_else_is_given() -> None:
    first, second = followed(worklist("2.25.1", "2.25.2"), begun("", "", "S2"))
    assert (kinds(first), kinds(second)) == (["worklist"], ["worklist", "begun"])


def test_lost_and_refused_objects() -> None:
    (journey,) = followed(
        begun("2.25.1"),
        stored("2.25.1", "2.25.11"),
        stored("2.25.1", "2.25.12", number=7, status=0xA700),
        ended("COMPLETED", "2.25.11", "2.25.12"),
        asked("2.25.11", "2.25.12"),
        reported("2.25.11", failed=("2.25.12",)),
    )
    told = "\n".join(journey.missing())
    assert "1 of 2 objects that the performed step lists were not stored" in told
    assert "1 object was refused" in told
    assert "commitment to 1 object failed" in told


def test_what_is_retrieved_was_not_stored_by_the_device() -> None:
    (journey,) = of_capture("move.pcapng")
    assert kinds(journey) == ["retrieved"]
    assert journey.stops[0].good == 5
    assert journey.missing() == []


def test_a_commitment_of_two_examinations_is_in_both() -> None:
    first, second = followed(
        stored("2.25.1", "2.25.11"),
        stored("2.25.2", "2.25.21", number=7),
        asked("2.25.11", "2.25.21"),
    )
    assert kinds(first) == kinds(second) == ["stored", "asked"]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journeys, "JOURNEYS_KEPT", 3)
    collected = Journeys()
    for number in range(9):
        collected.association_ended(worklist(f"2.25.{number}", number=number + 1))
    assert [list(each.studies) for each in collected.journeys()] == [
        ["2.25.6"],
        ["2.25.7"],
        ["2.25.8"],
    ]
    assert collected.forgotten == 6
    assert len(collected._found) == 9


# ---------------------------------------------------------------------------- as text


def test_the_text_of_a_recorded_examination() -> None:
    lines = list(text(of_capture("journey.pcapng"), Redactor(keep_phi=True)))
    assert lines[0].startswith("Examination 1   study 2.25.")
    assert lines[0].endswith("   accession number TEST-A0001   step SPS0001")
    assert [line[16:33].strip() for line in lines[2:8]] == [
        "worklist answer",
        "step begun",
        "stored",
        "commitment asked",
        "commitment report",
        "step completed",
    ]
    assert "FLC1270 -> ARCHIVE  association 3, entry 3 to 7  3 objects" in lines[4]
    assert lines[8] == "  nothing is missing"
    assert lines[-1] == "7 worklist entries that nothing followed in this capture."


def test_the_text_holds_nobody_unless_asked() -> None:
    told = "\n".join(text(of_capture("journey.pcapng"), Redactor(mask_ae=True)))
    for value in ("TEST-A0001", "SPS0001", "2.25.72032297667414955855831298991631646704"):
        assert value not in told
    for title in ("FLC1270", "MOZI", "ARCHIVE"):
        assert title not in told


def test_titles_from_the_wire_are_made_safe() -> None:
    made = stored("2.25.1", "2.25.11")
    made.requestor.ae_title = "\x1b[31mRED"
    told = "\n".join(text(followed(made), Redactor()))
    assert "\x1b" not in told
    assert "RED" in told


def test_a_capture_without_examinations() -> None:
    assert list(text(of_capture("echo.pcapng"), Redactor())) == [
        "No examination was begun, stored or committed in this capture."
    ]


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    from dicomsniff.cli import main

    path = str(CAPTURES / "journey.pcapng")
    assert main(["journey", "--reader", "scapy", path]) == 0
    told = capsys.readouterr().out
    assert "step completed" in told
    assert "TEST-A0001" not in told
    assert main(["journey", "--reader", "scapy", "--keep-phi", "--association", "1", path]) == 0
    assert "8 worklist entries" in capsys.readouterr().out
