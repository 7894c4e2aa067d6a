"""The table of words, what is made from it (reference, completion), and that they stay one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary

from dicomsniff.analysis import where
from dicomsniff.analysis.where import attributes, completion, vocabulary
from dicomsniff.analysis.where.reference import EXAMPLES
from dicomsniff.analysis.where.tokens import RESERVED
from dicomsniff.analysis.where.values import Flag
from dicomsniff.analysis.where.words import BY_NAME, GROUPS
from dicomsniff.dicom.names import service_name
from tests.output import build

PAGE = Path(__file__).resolve().parents[2] / "docs" / "filter.md"


# ---------------------------------------------------------------------------- the table


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == where.reference(), (
        "write it again: python -m dicomsniff.analysis.where > docs/filter.md"
    )


def test_names_are_unique_and_hide_nothing() -> None:
    names = [name for word in where.WORDS for name in (word.name, *word.aliases)]
    assert len(names) == len(set(names))
    assert not RESERVED & set(names)
    assert all(name == name.casefold() for name in names)
    assert {word.group for word in where.WORDS} == set(GROUPS)
    # What hides an attribute is named in the reference.
    keywords = {keyword.casefold() for keyword in attributes.keywords()}
    assert set(names) & keywords == {"status", "time"}


@pytest.mark.parametrize("word", [w for w in where.WORDS if w.example], ids=lambda w: w.name)
def test_an_example_is_a_filter_about_its_word(word: where.Word) -> None:
    compiled = where.compile(word.example)
    assert re.search(rf"(?<![\w.]){re.escape(word.name)}(?![\w.])", word.example)
    assert compiled.needs_dataset is word.needs_dataset


@pytest.mark.parametrize("text", [text for text, _ in EXAMPLES])
def test_the_examples_of_the_page_are_filters(text: str) -> None:
    assert where.compile(text).text == text


def test_every_operator_of_every_word_takes_each_proposed_value() -> None:
    tried = 0
    for name, word in BY_NAME.items():
        for choice in word.type.choices:
            for operator in word.type.operators:
                if operator in ("between", "in") or (name == "status" and operator in "<=>="):
                    continue
                where.compile(f'{name} {operator} "{choice}"')
                tried += 1
    assert tried > 400


def test_service_classes_are_those_that_names_knows() -> None:
    known = {service_name(uid) for uid in UID_dictionary} - {None}
    assert known == set(vocabulary.SERVICE_CLASSES)


def test_every_keyword_of_the_dictionary_is_an_attribute() -> None:
    assert len(attributes.keywords()) > 5000
    for tag, (_, _, _, _, keyword) in DicomDictionary.items():
        if not keyword:
            continue
        word = attributes.resolve(keyword)
        assert word is not None
        assert f"({tag >> 16:04X},{tag & 0xFFFF:04X})" in word.help
        assert (tag > 0xFFFF) is word.needs_dataset


# ---------------------------------------------------------------------------- completion


def proposals(text: str) -> list[str]:
    """What is proposed where ``|`` stands."""
    cursor = text.index("|")
    return [each.text for each in where.complete(text.replace("|", "", 1), cursor)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("call|", ["calling", "called"]),
        ("failed and call|", ["calling", "called"]),
        ("not (out|", ["outcome"]),
        ("outcome |", ["=", "!=", "in"]),
        ("outcome = |", ["released", "aborted", "rejected", "lost", "open"]),
        ("outcome = a|", ["aborted"]),
        ("outcome = 'a|", ["aborted"]),
        ("outcome in |", ["("]),
        ("outcome in (|", ["released", "aborted", "rejected", "lost", "open"]),
        ("outcome in (lost |", [",", ")"]),
        ("outcome in (lost, re|", ["released", "rejected"]),
        ("outcome = lost |", ["and", "or"]),
        ("(outcome = lost |", ["and", "or", ")"]),
        ("service = c-f|", ["C-FIND"]),
        ("service = 'modality w|", ['"Modality Worklist"']),
        ("kind = C-FIND|", ["C-FIND-RQ", "C-FIND-RSP"]),
        ("status = |", ["Success", "Pending", "Cancel", "Warning", "Failure"]),
        ("failed |", ["and", "or"]),
        ("frame between 1 |", ["and"]),
        ("id not |", ["in", "between"]),
        ("sop = CTImage|", ["CTImageStorage"]),
        ("transfer = JPEG2000Loss|", ["JPEG2000Lossless"]),
        ("PatientI|", ["PatientID"]),
        ("has PatientI|", ["PatientID"]),
        ("ScheduledProcedureStepSequence.Modal|", ["ScheduledProcedureStepSequence.Modality"]),
        ("*.Modal|", ["*.Modality"]),
        ("SOPClassUID = CTImage|", ["CTImageStorage"]),
    ],
)
def test_what_may_stand_at_the_cursor_is_proposed(text: str, first: list[str]) -> None:
    found = proposals(text)
    assert found[: len(first)] == first


def test_nothing_is_proposed_behind_what_is_wrong() -> None:
    assert proposals("called called |") == []
    assert proposals("colour = |") == []
    assert proposals("called = 'MOZI'|") == []
    assert proposals("& |") == []


def test_yes_or_no_is_not_proposed_behind_has() -> None:
    assert "failed" in proposals("|")
    assert "failed" not in proposals("has |")


def test_a_proposal_takes_the_place_of_the_whole_word() -> None:
    text = "outcome = abo and failed"
    (chosen,) = where.complete(text, text.index("o and"))
    assert text[: chosen.start] + chosen.text + text[chosen.end :] == "outcome = aborted and failed"


def test_titles_and_addresses_that_were_seen_are_proposed() -> None:
    made = build.association()
    made.acceptor.ae_title = "OLD PACS"
    texts = {
        text: [each.text for each in where.complete(text, len(text), [made])]
        for text in ("called = ", "ae = ", "requestor = 19", "acceptor.port = ", "called = 'old")
    }
    assert texts["called = "] == ['"OLD PACS"']
    assert texts["ae = "] == ["FLC1270", '"OLD PACS"']
    assert texts["requestor = 19"] == ["192.0.2.1"]
    assert texts["acceptor.port = "] == ["104"]
    assert texts["called = 'old"] == ['"OLD PACS"']


def test_every_proposal_leads_on() -> None:
    """Whatever is proposed for a word and its operator is understood there."""
    for word in where.WORDS:
        if isinstance(word.type, Flag) or not word.type.choices:
            continue
        text = f"{word.name} = "
        found = where.complete(text, len(text))
        assert found
        for each in found:
            where.compile(text[: each.start] + each.text + text[each.end :])


@given(st.text("aeciloudstn =!<>()'\",.|&*\\0129\n", max_size=30), st.integers(-3, 40))
def test_completion_never_raises(text: str, cursor: int) -> None:
    found = where.complete(text, cursor)
    assert len(found) <= completion.COMPLETIONS_KEPT
    for each in found:
        assert 0 <= each.start <= each.end <= len(text)
        assert each.help.isprintable()
