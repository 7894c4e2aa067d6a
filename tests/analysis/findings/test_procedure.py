"""Rules of performed steps, storage commitment and print, in conversations made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset

from dicomsniff.analysis.findings import Checker
from dicomsniff.model import Association, CaptureInfo, Finding
from tests.analysis.findings.building import (
    COMMITMENT,
    CT,
    FILM_BOX,
    MPPS,
    PRINTER,
    Play,
    checked,
    codes,
    mine,
    only,
)

STEP = "2.25.100"
HOUR = 3600


def created(state: str = "IN PROGRESS", without: str = "") -> Dataset:
    step = Dataset()
    step.Modality = "RF"
    step.PerformedStationAETitle = "FLC1270"
    step.PerformedProcedureStepStartDate = "20260105"
    step.PerformedProcedureStepStartTime = "0815"
    step.PerformedProcedureStepStatus = state
    step.PerformedProcedureStepID = "PPS1"
    step.PerformedProcedureStepEndDate = ""
    scheduled = Dataset()
    scheduled.StudyInstanceUID = "2.25.1"
    step.ScheduledStepAttributesSequence = [scheduled]
    if without:
        del (step if without in step else scheduled)[without]
    return step


def changed(state: str = "COMPLETED", without: str = "") -> Dataset:
    step = Dataset()
    step.PerformedProcedureStepStatus = state
    step.PerformedProcedureStepEndDate = "20260105"
    step.PerformedProcedureStepEndTime = "0830"
    step.PerformedSeriesSequence = [Dataset()]
    step.PerformedSeriesSequence[0].SeriesInstanceUID = "2.25.2"
    if without:
        del step[without]
    return step


def begin(number: int = 1, start: int = 0, uid: str = STEP, **options: Any) -> Association:
    play = Play(MPPS, number=number, start=start)
    play.say("N-CREATE-RQ", created(**options), uid=uid)
    play.say("N-CREATE-RSP", sender="acceptor", status=0, uid=uid)
    return play.end()


def change(
    number: int = 2,
    start: int = 60,
    status: int = 0,
    more: dict[int, int | str] | None = None,
    **options: Any,
) -> Association:
    play = Play(MPPS, number=number, start=start)
    play.say("N-SET-RQ", changed(**options), uid=STEP)
    play.say("N-SET-RSP", sender="acceptor", status=status, uid=STEP, more=more)
    return play.end()


def test_a_step_from_beginning_to_end() -> None:
    assert checked(begin(), change(), last=9 * HOUR) == []
    without = change(state="DISCONTINUED", without="PerformedSeriesSequence")
    assert checked(begin(), without, last=9 * HOUR) == []


def test_a_step_that_never_ends() -> None:
    assert codes(checked(begin(), last=60)) == ["note mpps-not-completed"]
    (found,) = checked(begin(), last=2 * HOUR)
    assert found.severity == "warning"
    assert {"FLC1270", "MOZI"} <= set(found.ae_titles)
    findings = checked(begin(), begin(2, 600, "2.25.101"), last=60)
    assert [each.severity for each in findings] == ["warning", "note"]
    assert "has begun another one since" in findings[0].detail


def test_a_step_that_was_refused_never_began() -> None:
    play = Play(MPPS)
    play.say("N-CREATE-RQ", created(), uid=STEP)
    play.say("N-CREATE-RSP", sender="acceptor", status=0x0110, uid=STEP)
    assert codes(checked(play.end(), last=9 * HOUR)) == ["error mpps-refused"]


@pytest.mark.parametrize(
    ("status", "more", "advice"),
    [
        (0x0110, {}, "On MOZI (acceptor, 192.0.2.2 port 104): its log tells why"),
        (0x0111, {}, "On FLC1270 (requestor, 192.0.2.1): this step was created before"),
        (0x0120, {}, "or lacks what it needs; its log tells which."),
        (0x0120, {0x1005: "\x40\0\x53\x02"}, "Performed Procedure Step ID (0040,0253)."),
    ],
)
def test_who_has_to_mend_a_refused_step(
    status: int, more: dict[int, int | str], advice: str
) -> None:
    play = Play(MPPS)
    play.say("N-CREATE-RQ", created(), uid=STEP)
    play.say("N-CREATE-RSP", sender="acceptor", status=status, uid=STEP, more=more)
    assert advice in only(checked(play.end()), "mpps-refused").advice


@pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED", "STARTED"])
def test_steps_begin_in_progress(state: str) -> None:
    assert "error mpps-illegal-change" in codes(checked(begin(state=state)))


def test_a_state_that_does_not_exist() -> None:
    findings = checked(begin(), change(state="CANCELLED"))
    found = only(findings, "mpps-illegal-change")
    assert "CANCELLED" not in found.title + found.detail + found.advice


@pytest.mark.parametrize(
    "without",
    ["Modality", "PerformedProcedureStepID", "StudyInstanceUID", "PerformedStationAETitle"],
)
def test_what_a_step_needs_to_begin(without: str) -> None:
    found = only(checked(begin(without=without)), "mpps-required-attribute")
    assert found.severity == "error"


@pytest.mark.parametrize("without", ["PerformedSeriesSequence", "PerformedProcedureStepEndTime"])
def test_what_a_step_needs_to_end(without: str) -> None:
    found = only(checked(begin(), change(without=without)), "mpps-required-attribute")
    assert found.severity == "warning"
    # It may have been set before the capture began.
    assert checked(change(without=without)) == []


def test_a_change_after_the_end() -> None:
    more: dict[int, int | str] = {0x0903: 0xA710}
    refused = change(3, 120, 0x0110, more)
    found = only(checked(begin(), change(), refused), "mpps-illegal-change")
    assert "It was COMPLETED in association 2, entry 3." in found.detail
    assert found.severity == "error"
    (alone,) = checked(change(3, 120, 0x0110, more))
    assert (alone.code, "It was" in alone.detail) == ("mpps-illegal-change", False)
    let = only(checked(begin(), change(), change(3, 120)), "mpps-illegal-change")
    assert let.severity == "warning"


@pytest.mark.parametrize("known", [True, False])
def test_a_step_that_the_server_does_not_know(known: bool) -> None:
    made = [begin()] if known else []
    found = only(checked(*made, change(status=0x0112)), "mpps-refused")
    assert ("answered its N-CREATE with Success" in found.advice) == known


# ---------------------------------------------------------------------------- commitment


def listing(*uids: str, failed: tuple[str, ...] = (), transaction: str = "2.25.900") -> Dataset:
    data = Dataset()
    data.TransactionUID = transaction
    for keyword, instances in (("ReferencedSOPSequence", uids), ("FailedSOPSequence", failed)):
        items = []
        for uid in instances:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
            if keyword[0] == "F":
                item.FailureReason = 0x0112
            items.append(item)
        if items:
            setattr(data, keyword, items)
    return data


def ask(*uids: str, number: int = 1, status: int = 0) -> Play:
    play = Play(COMMITMENT, number=number, acceptor="ARCHIVE")
    play.say("N-ACTION-RQ", listing(*uids), more={0x1008: 1})
    play.say("N-ACTION-RSP", sender="acceptor", status=status)
    return play


def report(*uids: str, number: int = 2, **options: Any) -> Association:
    play = Play(COMMITMENT, number=number, requestor="ARCHIVE", acceptor="FLC1270", start=5)
    play.say("N-EVENT-REPORT-RQ", listing(*uids, **options), more={0x1002: 1})
    play.say("N-EVENT-REPORT-RSP", sender="acceptor", status=0)
    return play.end()


def test_a_commitment_that_is_kept() -> None:
    assert checked(ask("2.25.1", "2.25.2").end(), report("2.25.1", "2.25.2"), last=9 * HOUR) == []


def test_a_report_that_comes_while_the_request_is_still_open() -> None:
    checker = Checker(CaptureInfo("", ""))
    asking, reporting = ask("2.25.1", "2.25.2"), report("2.25.1")
    checker.began(asking.made)
    checker.began(reporting)
    checker.association(reporting)
    checker.association(asking.end())
    assert codes(mine(reporting.findings)) == ["error commitment-incomplete"]
    assert mine(asking.made.findings) == []
    assert [each for each in checker.finish(CaptureInfo("", "")) if "commit" in each.code] == []


@pytest.mark.parametrize(
    ("reported", "words"),
    [
        (("2.25.1",), "1 of the 2 asked for are not in it"),
        (("2.25.1", "2.25.2", "2.25.3"), "1 in it were not asked for"),
    ],
)
def test_reports_on_other_instances(reported: tuple[str, ...], words: str) -> None:
    findings = checked(ask("2.25.1", "2.25.2").end(), report(*reported))
    assert words in only(findings, "commitment-incomplete").detail


def test_failed_commitments() -> None:
    findings = checked(ask("2.25.1", "2.25.2").end(), report("2.25.1", failed=("2.25.2",)))
    assert codes(findings) == ["error commitment-failed"]
    assert "1 time 0112H No Such Object Instance" in findings[0].detail
    assert "association 1, entry 3" in findings[0].detail


def test_commitments_that_are_never_reported() -> None:
    def said(last: int, status: int = 0) -> list[Finding]:
        return checked(ask("2.25.1", status=status).end(), last=last)

    assert codes(said(60)) == ["note commitment-not-reported"]
    assert codes(said(2 * HOUR)) == ["warning commitment-not-reported"]
    assert "commitment-not-reported" not in str(codes(said(2 * HOUR, 0x0110)))
    other = report("2.25.1", transaction="2.25.901")
    findings = checked(ask("2.25.1").end(), other, last=2 * HOUR)
    assert codes(findings) == ["warning commitment-not-reported"]


def test_commitment_of_what_was_not_stored() -> None:
    stored = Play(CT, number=3, acceptor="ARCHIVE").store("2.25.1").store("2.25.2", 0xA700).end()
    findings = checked(stored, ask("2.25.1", "2.25.2").end())
    assert "1 of the 2 instances" in only(findings, "commitment-not-stored").detail
    other = Play(CT, number=3, acceptor="ARCHIVE").store("2.25.7").end()
    assert "commitment-not-stored" not in str(codes(checked(other, ask("2.25.1").end())))


# ---------------------------------------------------------------------------- print


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (0xB604, "warning print-warning", "printed smaller"),
        (0xB603, "warning print-warning", "without images"),
        (0xC603, "error print-failed", "larger format"),
        (0xC602, "error print-failed", "queue is full"),
        (0x0110, "error print-failed", "log of PRINTER"),
        (0x0000, None, ""),
    ],
)
def test_print_statuses(status: int, code: str | None, words: str) -> None:
    play = Play(FILM_BOX, acceptor="PRINTER")
    play.say("N-ACTION-RQ", uid="2.25.1", more={0x1008: 1})
    play.say("N-ACTION-RSP", sender="acceptor", uid="2.25.1", status=status)
    findings = checked(play.end())
    assert codes(findings) == ([code] if code else [])
    assert all(words in each.advice for each in findings)


@pytest.mark.parametrize(
    ("state", "info", "said", "title"),
    [
        ("NORMAL", "NORMAL", [], ""),
        ("WARNING", "SUPPLY LOW", ["warning printer-status"], "says WARNING: SUPPLY LOW"),
        ("FAILURE", "FILM JAM", ["error printer-status"], "says FAILURE: FILM JAM"),
        ("FAILURE", "Dr. Wang", ["error printer-status", "warning data-value"], "says FAILURE"),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_what_the_printer_says(state: str, info: str, said: list[str], title: str) -> None:
    told = Dataset()
    told.PrinterStatus, told.PrinterStatusInfo = state, info
    play = Play(PRINTER, acceptor="PRINTER")
    for _ in range(2):
        play.say("N-GET-RQ", uid="1.2.840.10008.5.1.1.17")
        play.say("N-GET-RSP", told, sender="acceptor", status=0)
    findings = checked(play.end())
    assert codes(findings) == said
    if said:
        assert only(findings, "printer-status").title.endswith(title)
    assert not any("Wang" in each.title + each.detail for each in findings)
