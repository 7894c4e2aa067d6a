"""Rules of queries, in conversations made by hand."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from pydicom import Dataset

from dicomsniff.analysis.findings.asked import pattern
from dicomsniff.analysis.findings.endings import hung_up
from dicomsniff.dicom.dataset import decode
from dicomsniff.model import Association, Entry, ExtendedNegotiation, UserInformation
from tests.analysis.findings.building import (
    STUDY_FIND,
    STUDY_MOVE,
    WORKLIST,
    Play,
    checked,
    codes,
    only,
    step_answer,
    step_query,
)
from tests.analysis.findings.wire import element

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")


def study_query(level: str | None = "STUDY", **values: str) -> Dataset:
    question = Dataset()
    if level is not None:
        question.QueryRetrieveLevel = level
    question.StudyInstanceUID = ""
    question.PatientID = ""
    for keyword, value in values.items():
        setattr(question, keyword, value)
    return question


TODAY = "20260105"
"""The day of the associations made by hand."""


@pytest.mark.parametrize(
    ("keys", "severity", "told"),
    [
        ({"ScheduledProcedureStepStartDate": TODAY}, "note", "(one date)"),
        ({}, "note", "No key narrowed it"),
        ({"ScheduledStationAETitle": "FLC1270"}, "note", "= FLC1270"),
        ({"ScheduledStationAETitle": "flc1270"}, "warning", "own AE title in another case"),
        ({"ScheduledStationAETitle": "OTHER"}, "warning", "not the caller's own AE title"),
        ({"ScheduledStationAETitle": "FLC 1270"}, "warning", "AE title: only spaces differ"),
        ({"ScheduledStationAETitle": "FLC1271"}, "warning", "AE title: one letter differs"),
        ({"PatientName": "Wang^Xiaoming"}, "note", "(one name, in full)"),
        ({"ScheduledProcedureStepStartDate": "2026*"}, "warning", "a wildcard, which DA"),
        ({"ScheduledProcedureStepStartDate": "20251224"}, "warning", "12 days before the day"),
        ({"ScheduledProcedureStepStartDate": "20260101-20260110"}, "note", "(a range)"),
        ({"ScheduledProcedureStepStartDate": "20260110-20260101"}, "warning", "end comes first"),
        ({"Modality": "rf"}, "warning", "in lower case"),
        ({"PatientName": " Wang*"}, "warning", "begins with a space"),
        ({"PatientName": "Wang*"}, "note", "(with wildcards)"),
        ({"PatientID": "*"}, "note", "No key narrowed it"),
        ({"ScheduledProcedureStepStartDate": "*"}, "warning", "a wildcard, which DA"),
        ({"Modality": "R/F"}, "warning", "(0008,0060): not what CS allows"),
        ({"Modality": ["RF", "XA"]}, "warning", "(0008,0060): 2 values where one is allowed"),
        ({"Modality": "R*"}, "note", "(with wildcards)"),
    ],
)
def test_no_match_tells_what_narrowed_it(keys: dict[str, Any], severity: str, told: str) -> None:
    findings = checked(Play(WORKLIST).find(step_query(**keys)).end())
    found = only(findings, "query-no-match")
    assert found.severity == severity
    first = "On FLC1270: correct what is suspicious, and ask again. If there is still no match: on"
    assert found.advice.startswith(first if severity == "warning" else "On MOZI: does it hold")
    assert told in found.detail
    assert "Wang" not in found.title + found.detail + found.advice


def raw_query(step: bytes, *, delimited: bool = False) -> bytes:
    """A question for a worklist whose step has these bytes, in implicit VR little endian."""
    if delimited:
        ends = b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
        items = b"\xfe\xff\0\xe0\xff\xff\xff\xff" + step + b"".join(ends)
        return element(0x00100010, b"") + b"\x40\0\0\x01\xff\xff\xff\xff" + items
    items = b"\xfe\xff\0\xe0" + struct.pack("<I", len(step)) + step
    return element(0x00100010, b"") + element(0x00400100, items)


def test_a_title_that_ends_with_a_nul_is_suspicious() -> None:
    step = element(0x00080060, b"RF") + element(0x00400001, b"FLC1270\0")
    play = Play(WORKLIST)
    play.say("C-FIND-RQ", raw_query(step))
    play.say("C-FIND-RSP", sender="acceptor", status=0)
    found = only(checked(play.end()), "query-no-match")
    assert found.severity == "warning"
    assert "Scheduled Station AE Title (0040,0001) ends with a NUL" in found.detail


def test_no_match_names_sequences_without_a_length() -> None:
    step = element(0x00400001, b"FLC1270 ")
    for delimited in (False, True):
        play = Play(WORKLIST)
        play.say("C-FIND-RQ", raw_query(step, delimited=delimited))
        play.say("C-FIND-RSP", sender="acceptor", status=0)
        found = only(checked(play.end()), "query-no-match")
        assert found.severity == "note"
        assert ("no defined length" in found.detail) is delimited


def test_a_name_in_an_undeclared_character_set_is_suspicious() -> None:
    play = Play(WORKLIST)
    name = element(0x00100010, "王*".encode("gb18030") + b" ")
    play.say("C-FIND-RQ", name + raw_query(element(0x00080060, b"RF"))[8:])
    play.say("C-FIND-RSP", sender="acceptor", status=0)
    found = only(checked(play.end()), "query-no-match")
    assert "Name (0010,0010) is in a character set that the query does not" in found.detail


def test_no_match_where_the_step_is_not_asked_for() -> None:
    question = step_query(PatientID="TEST-0001")
    for items, told in (
        ([Dataset()], "(0040,0100) has no key in it"),
        ([], "(0040,0100) has no key in it"),
        (None, "(0040,0100) is missing, in which the keys of a step stand"),
        ([step_query().ScheduledProcedureStepSequence[0]] * 2, "(0040,0100) has 2 items"),
    ):
        if items is None:
            del question.ScheduledProcedureStepSequence
        else:
            question.ScheduledProcedureStepSequence = items
        found = only(checked(Play(WORKLIST).find(question).end()), "query-no-match")
        assert found.severity == "warning"
        assert told in found.detail


def test_no_match_where_the_keys_of_the_step_stand_on_top() -> None:
    question = step_query(PatientID="TEST-0001")
    del question.ScheduledProcedureStepSequence
    question.Modality = "RF"
    question.ScheduledStationAETitle = "FLC1270"
    found = only(checked(Play(WORKLIST).find(question).end()), "query-no-match")
    assert "Scheduled Station AE Title (0040,0001) stand at the wrong level" in found.detail
    assert "is missing" not in found.detail


def test_a_date_far_from_the_day_of_the_capture_asks_for_the_clock() -> None:
    for date in ("20130101", "20360101-20360102"):
        question = step_query(ScheduledProcedureStepStartDate=date)
        found = only(checked(Play(WORKLIST).find(question).end()), "query-no-match")
        assert "the day of the capture (is the clock of the device right?)" in found.detail


def test_no_match_is_compared_with_a_question_that_was_answered() -> None:
    first = Play(WORKLIST).find(step_query(Modality="RF"), step_answer()).end()
    asked = step_query(Modality="RF", PatientID="TEST-0009")
    second = Play(WORKLIST, number=2, start=5).find(asked).end()
    found = only(checked(first, second), "query-no-match")
    assert "1 answer came to a query in association 1 (entry 3)" in found.detail
    assert "differs in Patient ID (0010,0020) (free there)." in found.detail
    assert "Modality (0008,0060)." not in found.detail


def test_no_match_is_compared_with_a_later_question_of_the_same_association() -> None:
    play = Play(WORKLIST).find(step_query(Modality="XA")).find(step_query(), step_answer())
    found = only(checked(play.end()), "query-no-match")
    assert "differs in Modality (0008,0060) (free there)." in found.detail


def test_a_question_in_vain_is_compared_with_a_later_one_that_was_answered() -> None:
    """The device, or whoever sits at it, tried again: what differs is the answer."""
    vain = step_query(Modality="XA", ScheduledStationAETitle="ROOM7", PatientID="TEST-0009")
    first = Play(WORKLIST).find(vain).end()
    second = Play(WORKLIST, number=2, start=180).find(
        step_query(Modality="RF", ScheduledStationAETitle="FLC1270"), step_answer(), step_answer()
    )
    third = Play(WORKLIST, number=3, start=300).find(step_query(Modality="RF"), step_answer())
    found = checked(first, second.end(), third.end())
    assert codes(found).count("note query-answered-otherwise") == 1
    told = only(found, "query-answered-otherwise")
    assert told.severity == "note"
    assert told.title == "MOZI answers FLC1270 when it asks with other keys"
    assert "2 answers came to entry 3. 180 s (3 min) before, in association 1" in told.detail
    assert "Modality (0008,0060) (RF here, XA there)" in told.detail
    assert "Scheduled Station AE Title (0040,0001) (FLC1270 here, ROOM7 there)" in told.detail
    assert "Patient ID (0010,0020) (free here, another value there)" in told.detail
    assert "TEST-0009" not in told.detail
    assert set(told.ae_titles) == {"FLC1270", "ROOM7"}
    assert told.frames == (103, 203, 204)


@pytest.mark.parametrize(
    ("keys", "start", "requestor"),
    [
        ({"Modality": "XA"}, 180, "FLC1270"),  # the same: entries came in between
        ({"Modality": "RF"}, 3700, "FLC1270"),  # too late to compare
        ({"Modality": "RF"}, 180, "XA17"),  # somebody else
    ],
)
def test_a_later_answer_that_says_nothing_about_the_keys(
    keys: dict[str, str], start: int, requestor: str
) -> None:
    first = Play(WORKLIST).find(step_query(Modality="XA")).end()
    second = Play(WORKLIST, number=2, start=start, requestor=requestor)
    found = checked(first, second.find(step_query(**keys), step_answer()).end())
    assert "note query-answered-otherwise" not in codes(found)


def test_what_was_answered_elsewhere_is_not_suspicious() -> None:
    """A date long past is no mistake where another query with it had answers."""
    past = {"ScheduledProcedureStepStartDate": "20251224", "Modality": "RF"}
    answered = step_answer(ScheduledProcedureStepStartDate="20251224")
    first = Play(WORKLIST).find(step_query(**past), answered).end()
    second = Play(WORKLIST, number=2, start=5).find(step_query(**{**past, "Modality": "XA"})).end()
    found = only(checked(first, second), "query-no-match")
    assert found.severity == "note"
    assert "Suspicious" not in found.detail
    assert "differs in Modality (0008,0060) (RF there)." in found.detail
    assert "give Modality (0008,0060) what the query of association 1 has there" in found.advice


@pytest.mark.parametrize("status", [0xA700, 0xFE00, None])
def test_no_match_needs_success(status: int | None) -> None:
    findings = checked(Play(WORKLIST).find(step_query(), status=status).end())
    assert "query-no-match" not in str(codes(findings))


def test_given_up_without_an_answer_that_came_late() -> None:
    play = Play(WORKLIST)
    play.say("C-FIND-RQ", step_query())
    play.wait(10).event("A-ABORT")
    found = only(checked(play.end("aborted")), "query-given-up")
    assert "gave up 10 s after asking" in found.title
    assert "too late" not in found.detail


def test_given_up_before_all_of_the_answers() -> None:
    play = Play(WORKLIST)
    play.say("C-FIND-RQ", step_query())
    play.wait(10).event("A-ABORT")
    play.wait(5).say("C-FIND-RSP", step_answer(), sender="acceptor", status=0xFF00)
    play.say("C-FIND-RSP", sender="acceptor", status=0)
    found = only(checked(play.end("aborted")), "query-given-up")
    assert "The first answer came after 15 s, 5 s too late" in found.detail


def test_how_a_connection_ended_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each query: it takes a walk through all that was said."""
    looked: list[Entry] = []

    def counted(association: Association, end: Entry) -> tuple[int, Entry] | None:
        looked.append(end)
        return hung_up(association, end)

    monkeypatch.setattr("dicomsniff.analysis.findings.unfinished.hung_up", counted)
    play = Play(WORKLIST)
    for _ in range(20):
        play.find(step_query())
    play.event("CONNECTION-LOST")
    checked(play.end("lost"))
    assert len(looked) == 1


def test_the_server_that_aborts_has_not_given_up() -> None:
    play = Play(WORKLIST)
    play.say("C-FIND-RQ", step_query())
    play.wait(10).event("A-ABORT", "acceptor")
    assert checked(play.end("aborted")) == []


def test_abandoned_with_an_answer_like_the_others() -> None:
    play = Play(WORKLIST).find(step_query(), step_answer(), step_answer(), status=None)
    play.event("CONNECTION-LOST")
    found = only(checked(play.end("lost")), "query-abandoned")
    assert "made like the answer before it" in found.detail


@pytest.mark.parametrize("number", [3, 100])
def test_abandoned_after_very_many_answers(number: int) -> None:
    play = Play(WORKLIST).find(step_query(), *[step_answer()] * number, status=None)
    play.event("A-ABORT")
    found = only(checked(play.end("aborted")), "query-abandoned")
    assert ("it may take no more than these 100 answers" in found.advice) == (number == 100)


def test_abandoned_at_an_answer_in_another_character_set() -> None:
    answer = step_answer()
    answer.SpecificCharacterSet = "GB18030"
    for declared, said in ((None, "the query declares none"), ("ISO_IR 100", "in ISO_IR 100")):
        question = step_query()
        if declared:
            question.SpecificCharacterSet = declared
        play = Play(WORKLIST).find(question, answer, status=None)
        play.event("A-ABORT")
        found = only(checked(play.end("aborted")), "query-abandoned")
        assert "it is in the character set GB18030" in found.detail
        assert said in found.detail


def test_abandoned_at_an_answer_that_was_not_captured_whole() -> None:
    play = Play(WORKLIST)
    play.say("C-FIND-RQ", step_query())
    play.say("C-FIND-RSP", step_answer(), sender="acceptor", status=0xFF00, complete=False)
    play.event("A-ABORT")
    found = only(checked(play.end("aborted")), "query-abandoned")
    assert "nothing can be said of it" in found.detail


def test_a_server_that_does_not_heed_a_cancel() -> None:
    play = Play(WORKLIST)
    play.say("C-FIND-RQ", step_query())
    play.say("C-FIND-RSP", step_answer(), sender="acceptor", status=0xFF00)
    play.say("C-CANCEL-RQ")
    for _ in range(3):
        play.say("C-FIND-RSP", step_answer(), sender="acceptor", status=0xFF00)
    play.say("C-FIND-RSP", sender="acceptor", status=0)
    found = only(checked(play.end()), "query-cancelled")
    assert found.severity == "warning"
    assert "3 more answers came" in found.detail


@pytest.mark.parametrize(
    ("keys", "answer", "ignored"),
    [
        ({"Modality": "RF"}, {"Modality": "CT"}, "warning"),
        ({"Modality": "R*"}, {"Modality": "RF"}, None),
        ({"Modality": "RF"}, {"Modality": ""}, None),
        ({"PatientID": "test-0001"}, {"PatientID": "TEST-0001"}, None),
        ({"PatientID": "TEST-000?"}, {"PatientID": "TEST-0001"}, None),
        ({"PatientID": "TEST-000?"}, {"PatientID": "TEST-00011"}, "warning"),
        ({"PatientName": "Somebody"}, {"PatientName": "Else"}, None),
        ({"StudyInstanceUID": "2.25.7\\2.25.8"}, {"StudyInstanceUID": "2.25.8"}, None),
        ({"StudyInstanceUID": "2.25.7"}, {"StudyInstanceUID": "2.25.8"}, "note"),
        ({"ScheduledProcedureStepStartDate": "20260104-20260106"}, {}, None),
        ({"ScheduledProcedureStepStartDate": "20260106-"}, {}, "warning"),
        ({"ScheduledProcedureStepStartDate": "-20260104"}, {}, "warning"),
        ({"ScheduledProcedureStepStartDate": TODAY}, {}, None),
    ],
)
def test_answers_that_do_not_match(
    keys: dict[str, str], answer: dict[str, str], ignored: str | None
) -> None:
    findings = checked(Play(WORKLIST).find(step_query(**keys), step_answer(**answer)).end())
    assert [f.severity for f in findings if f.code == "query-key-ignored"] == (
        [ignored] if ignored else []
    )


def test_a_server_need_not_match_by_optional_keys() -> None:
    question = step_query(Modality="RF")
    question.ScheduledProcedureStepSequence[0].ScheduledStationName = "ROOM1"
    answer = step_answer()
    answer.ScheduledProcedureStepSequence[0].ScheduledStationName = "ROOM2"
    found = only(checked(Play(WORKLIST).find(question, answer).end()), "query-key-ignored")
    assert (found.severity, found.reference) == ("note", "PS3.4 C.2.2.1.3")
    assert "A server may ignore it" in found.detail


@pytest.mark.parametrize(
    ("level", "keyword", "severity"),
    [
        ("STUDY", "AccessionNumber", "warning"),
        ("STUDY", "StudyDescription", "note"),
        ("SERIES", "StudyInstanceUID", "warning"),
        ("SERIES", "Modality", "warning"),
        ("SERIES", "SeriesDescription", "note"),
    ],
)
def test_keys_of_a_level_have_to_match(level: str, keyword: str, severity: str) -> None:
    values = {"StudyInstanceUID": "2.25.1", "SeriesInstanceUID": "2.25.2"}
    question = study_query(level, **{**values, keyword: "2.25.3"})
    answer = study_query(level, **{**values, keyword: "2.25.4"})
    found = only(checked(Play(STUDY_FIND).find(question, answer).end()), "query-key-ignored")
    assert found.severity == severity


def test_brackets_are_no_wildcards() -> None:
    assert pattern("ct[1]").match("ct[1]")
    assert not pattern("ct[1]").match("ct1")


def test_keys_left_out_and_keys_that_nobody_asked_for() -> None:
    question = study_query(StudyDescription="", ModalitiesInStudy="")
    question.StudyDate = question.StudyTime = question.AccessionNumber = question.StudyID = ""
    question.PatientName = ""
    answer = study_query(StudyInstanceUID="2.25.1", PatientID="X", InstitutionName="Y")
    answer.StudyDate = answer.StudyTime = answer.AccessionNumber = answer.StudyID = ""
    answer.PatientName = "A^B"
    answer.RetrieveAETitle = "ARCHIVE"
    answer.ModalitiesInStudy = "CT"
    findings = checked(Play(STUDY_FIND).find(question, answer, pending=0xFF01).end())
    assert codes(findings) == ["note query-key-not-answered", "note query-key-not-asked"]
    assert "lacks Study Description (0008,1030)." in only(findings, "query-key-not-answered").detail
    assert "Institution Name (0008,0080)." in only(findings, "query-key-not-asked").detail


@pytest.mark.parametrize("level", [None, "", "PATIENT", "study", "IMAGES"])
def test_levels_that_the_model_does_not_have(level: str | None) -> None:
    play = Play(STUDY_FIND).find(
        study_query(level), study_query("STUDY", StudyInstanceUID="2.25.1")
    )
    assert "error query-level" in codes(checked(play.end()))


def test_a_worklist_has_no_level() -> None:
    question = step_query()
    question.QueryRetrieveLevel = "STUDY"
    found = only(checked(Play(WORKLIST).find(question, step_answer()).end()), "query-level")
    assert found.severity == "note"


@pytest.mark.parametrize(
    ("level", "values", "missing"),
    [
        ("STUDY", {}, ""),
        ("SERIES", {"StudyInstanceUID": "2.25.1"}, ""),
        ("SERIES", {}, "Study Instance UID (0020,000D) has no value"),
        ("IMAGE", {"StudyInstanceUID": "2.25.1"}, "Series Instance UID (0020,000E) has no value"),
    ],
)
def test_unique_keys_of_the_levels_above(level: str, values: dict[str, str], missing: str) -> None:
    play = Play(STUDY_FIND).find(study_query(level, **values))
    findings = checked(play.end())
    assert ("error query-unique-key-missing" in codes(findings)) == bool(missing)
    if missing:
        assert missing in only(findings, "query-unique-key-missing").detail


def test_relational_queries_need_no_unique_keys() -> None:
    play = Play(STUDY_FIND).find(study_query("SERIES"))
    play.made.requestor.user_information = UserInformation(
        extended_negotiations=(ExtendedNegotiation(STUDY_FIND, b"\x01"),)
    )
    assert "error query-unique-key-missing" not in codes(checked(play.end()))


def test_a_retrieval_names_what_it_wants() -> None:
    play = Play(STUDY_MOVE)
    play.say("C-MOVE-RQ", study_query("STUDY"), more={0x0600: "STORAGE"})
    play.say("C-MOVE-RSP", sender="acceptor", status=0xA900)
    found = only(checked(play.end()), "query-unique-key-missing")
    assert "Study Instance UID (0020,000D) has no value" in found.detail


def test_required_keys_of_query_retrieve() -> None:
    question = study_query(StudyDate="", PatientName="")
    answer = study_query(StudyInstanceUID="", PatientName="A^B")
    findings = checked(Play(STUDY_FIND).find(question, answer).end())
    assert codes(findings).count("error query-empty-required-key") == 1
    missing = [each for each in findings if each.severity == "warning"]
    assert ["Study Date (0008,0020)" in each.detail for each in missing] == [True]


def test_nothing_is_said_of_what_was_not_captured_whole() -> None:
    """Each of these would give findings if it were whole."""
    bad = step_answer(StudyInstanceUID="", Modality="CT")
    play = Play(WORKLIST)
    play.say("C-FIND-RQ", step_query(Modality="RF"))
    play.say("C-FIND-RSP", bad, sender="acceptor", status=0xFF00, complete=False)
    play.say("C-FIND-RSP", sender="acceptor", status=0)
    assert checked(play.end()) == []
    guessed = Play(WORKLIST).find(step_query(Modality="RF"), bad)
    for entry in guessed.made.timeline:
        if entry.message is not None:
            entry.message.transfer_syntax_guessed = True
    assert checked(guessed.end()) == []
    unasked = Play(WORKLIST)
    unasked.say("C-FIND-RSP", bad, sender="acceptor", status=0xFF00)
    unasked.say("C-FIND-RSP", sender="acceptor", status=0)
    assert checked(unasked.end()) == []
    whole = Play(WORKLIST).find(step_query(Modality="RF"), bad)
    assert len(checked(whole.end())) == 2


def test_the_builder_says_what_it_is_told() -> None:
    play = Play(WORKLIST).find(step_query(Modality="RF"), step_answer())
    message = play.made.operations[0].responses[0].message
    assert message is not None
    assert message.dataset is not None
    assert decode(message.dataset, message.transfer_syntax).get(0x00400100) is not None
