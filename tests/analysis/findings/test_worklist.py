"""Rules of the modality worklist, in conversations made by hand."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from dicomsniff.analysis.findings.keys import STEP
from dicomsniff.analysis.findings.keys import WORKLIST as TABLE
from tests.analysis.findings.building import (
    WORKLIST,
    Play,
    checked,
    codes,
    only,
    step_answer,
    step_query,
)


def test_a_healthy_worklist_gives_nothing() -> None:
    assert checked(Play(WORKLIST).find(step_query(), step_answer(), step_answer()).end()) == []


def test_a_device_that_asks_at_the_wrong_level() -> None:
    question = Dataset()
    question.PatientName = ""
    question.Modality = "RF"
    question.ScheduledStationAETitle = "FLC1270"
    found = only(checked(Play(WORKLIST).find(question).end()), "worklist-key-wrong-level")
    assert found.title.startswith("FLC1270 asks for ")
    assert "FLC1270 (requestor, 192.0.2.1)" in found.advice


@pytest.mark.parametrize(
    ("steps", "words"),
    [("empty", "without any item"), ("missing", "is missing altogether"), ("bare", "not hold")],
)
def test_how_the_sequence_is_when_keys_stand_outside(steps: str, words: str) -> None:
    answer = step_answer()
    (step,) = answer.ScheduledProcedureStepSequence
    answer.Modality = step.Modality
    if steps == "empty":
        answer.ScheduledProcedureStepSequence = []
    elif steps == "missing":
        del answer.ScheduledProcedureStepSequence
    else:
        del step.Modality
    findings = checked(Play(WORKLIST).find(step_query(), answer).end())
    found = only(findings, "worklist-key-wrong-level")
    assert found.severity == "error"
    assert words in found.detail
    assert "error worklist-step-sequence" not in codes(findings)


def test_keys_in_both_places_are_a_warning() -> None:
    answer = step_answer()
    answer.Modality = "RF"
    found = only(
        checked(Play(WORKLIST).find(step_query(), answer).end()), "worklist-key-wrong-level"
    )
    assert found.severity == "warning"
    assert "inside of it as well" in found.detail


@pytest.mark.parametrize("how", ["empty", "missing"])
def test_answers_without_a_step(how: str) -> None:
    answer = step_answer()
    if how == "empty":
        answer.ScheduledProcedureStepSequence = []
    else:
        del answer.ScheduledProcedureStepSequence
    findings = checked(Play(WORKLIST).find(step_query(), step_answer(), answer).end())
    found = only(findings, "worklist-step-sequence")
    assert "1 of 2 answers" in found.detail
    assert ("has no item" if how == "empty" else "is missing") in found.detail
    assert found.evidence == (3, 5)


def test_a_device_that_does_not_ask_for_steps_is_not_told_they_lack() -> None:
    question, answer = Dataset(), Dataset()
    question.PatientID = ""
    answer.PatientID = "X"
    assert checked(Play(WORKLIST).find(question, answer).end()) == []


def test_a_question_with_two_items() -> None:
    question = step_query()
    question.ScheduledProcedureStepSequence.append(
        step_query(Modality="CT").ScheduledProcedureStepSequence[0]
    )
    findings = checked(Play(WORKLIST).find(question, step_answer()).end())
    assert "FLC1270 asks with 2 items" in only(findings, "worklist-step-sequence").title


@pytest.mark.parametrize(
    ("key", "there", "said"),
    [
        ("StudyInstanceUID", "", "error worklist-empty-required-key"),
        ("StudyInstanceUID", None, "error worklist-empty-required-key"),
        ("ScheduledProcedureStepID", "", "error worklist-empty-required-key"),
        ("ScheduledProcedureStepID", None, "error worklist-empty-required-key"),
        ("AccessionNumber", "", None),
        ("AccessionNumber", None, "warning worklist-empty-required-key"),
    ],
)
def test_return_key_types(key: str, there: str | None, said: str | None) -> None:
    answer = step_answer()
    for place in (answer, answer.ScheduledProcedureStepSequence[0]):
        if key in place:
            if there is None:
                delattr(place, key)
            else:
                setattr(place, key, there)
    findings = [
        each
        for each in codes(checked(Play(WORKLIST).find(step_query(), answer).end()))
        if each.endswith("required-key")
    ]
    assert findings == ([said] if said else [])


def test_required_keys_that_nobody_asked_for_may_be_missing() -> None:
    question, answer = step_query(), step_answer()
    for place in (question, answer):
        del place.StudyInstanceUID
    assert checked(Play(WORKLIST).find(question, answer).end()) == []


def test_the_tables_agree_with_the_dictionary() -> None:
    """Every tag stands there, is no repetition, and the keywords are those of the modules."""
    from pydicom.datadict import keyword_for_tag

    for table in (STEP, TABLE):
        assert all(keyword_for_tag(tag) for tag in table)
        assert set(table.values()) <= {"1", "1C", "2", "2C", "3"}
    assert not set(STEP) & set(TABLE)
    first = {keyword_for_tag(tag) for tag, kind in {**STEP, **TABLE}.items() if kind == "1"}
    assert first == {
        "ScheduledProcedureStepSequence",
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "Modality",
        "ScheduledProcedureStepID",
        "RequestedProcedureID",
        "StudyInstanceUID",
        "PatientName",
        "PatientID",
    }


PATIENT = ("PatientName", "PatientID", "StudyInstanceUID")


def moved(item: Dataset, *names: str) -> Dataset:
    """Keys of the patient put inside of the step."""
    (step,) = item.ScheduledProcedureStepSequence
    for keyword in names:
        step[keyword] = item[keyword]
        del item[keyword]
    return item


def test_keys_of_the_patient_inside_of_the_step() -> None:
    findings = checked(Play(WORKLIST).find(step_query(), moved(step_answer(), *PATIENT)).end())
    found = only(findings, "worklist-key-wrong-level")
    assert "inside Scheduled Procedure Step Sequence instead of at the top level" in found.title
    assert "Please move them to the top level" in found.advice
    # Said once: neither as keys without a value, nor as left out, nor as one too many.
    assert codes(findings) == ["error worklist-key-wrong-level"]


def test_a_copy_of_the_patient_inside_of_the_step_is_only_a_key_too_many() -> None:
    answer = step_answer()
    answer.ScheduledProcedureStepSequence[0].PatientID = "TEST-0001"
    assert codes(checked(Play(WORKLIST).find(step_query(), answer).end())) == [
        "note query-key-not-asked"
    ]


def test_a_device_that_asks_for_the_patient_inside_of_the_step() -> None:
    question = moved(step_query(Modality="RF"), *PATIENT)
    found = only(checked(Play(WORKLIST).find(question).end()), "worklist-key-wrong-level")
    assert "inside Scheduled Procedure Step Sequence (0040,0100)" in found.detail
    assert "gets no value for them" in found.detail
    assert "have to move to the top level" in found.advice


def test_keys_of_the_step_one_level_too_deep() -> None:
    answer = step_answer()
    (step,) = answer.ScheduledProcedureStepSequence
    code = Dataset()
    code.Modality = step.Modality
    del step.Modality
    step.ScheduledProtocolCodeSequence = [code]
    question = step_query()
    wanted = Dataset()
    question.ScheduledProcedureStepSequence[0].ScheduledProtocolCodeSequence = [wanted]
    findings = checked(Play(WORKLIST).find(question, answer).end())
    found = only(findings, "worklist-key-wrong-level")
    assert "puts Modality inside Scheduled Protocol Code Sequence" in found.title
    assert "Please move it into an item of Scheduled Procedure Step Sequence" in found.advice
    assert codes(findings) == ["error worklist-key-wrong-level"]


def test_one_key_is_spoken_of_as_one() -> None:
    answer = step_answer()
    (step,) = answer.ScheduledProcedureStepSequence
    answer.Modality = step.Modality
    del step.Modality
    found = only(
        checked(Play(WORKLIST).find(step_query(), answer).end()), "worklist-key-wrong-level"
    )
    assert "where it belongs, does not hold it" in found.detail


@pytest.mark.parametrize(
    ("description", "codes_asked", "found"),
    [("", True, True), ("BARIUM", True, False), ("", False, False)],
)
def test_a_description_or_a_code_has_to_come_back(
    description: str, codes_asked: bool, found: bool
) -> None:
    question, answer = step_query(), step_answer()
    question.RequestedProcedureDescription = ""
    if codes_asked:
        question.RequestedProcedureCodeSequence = []
    answer.RequestedProcedureDescription = description
    findings = checked(Play(WORKLIST).find(question, answer).end())
    told = [each for each in findings if each.code == "worklist-empty-required-key"]
    assert bool(told) == found
    if found:
        assert told[0].severity == "warning"
        assert "Requested Procedure Description nor Requested Procedure Code" in told[0].title
