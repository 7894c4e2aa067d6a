"""The filter's text: what is understood, what is refused and how, and that nothing else happens."""

from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomsniff.analysis import where
from dicomsniff.analysis.where import syntax, tokens
from dicomsniff.analysis.where.syntax import Compare, Junction, Not, Presence, Rows
from dicomsniff.analysis.where.values import wildcards

# ---------------------------------------------------------------------------- trees


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("called=MOZI", "called = MOZI"),
        ("Called == 'MOZI'", "Called = MOZI"),
        ('called = "A B"', 'called = "A B"'),
        ("called <> X && !(failed || pending)", "called != X and not (failed or pending)"),
        ("a=1 or b=2 and c=3", "a = 1 or b = 2 and c = 3"),
        ("(a=1 or b=2) and c=3", "(a = 1 or b = 2) and c = 3"),
        ("a=1 and (b=2 and c=3)", "a = 1 and b = 2 and c = 3"),
        ("not a=1 and b=2", "not a = 1 and b = 2"),
        ("NOT (a=1 AND b=2)", "not (a = 1 and b = 2)"),
        ("duration > 2 s", "duration > 2s"),
        ("id not in (1,2)", "id not in (1, 2)"),
        ("id in (1000,1001)", "id in (1000, 1001)"),
        ("id between 1 and 2 and failed", "id between 1 and 2 and failed"),
        ("PatientID exists", "has PatientID"),
        ("(0010,0020) = 1", "(0010,0020) = 1"),
        ("((0010,0020) = 1)", "(0010,0020) = 1"),
        ("has (0040,0100).(0008,0060)", "has (0040,0100).(0008,0060)"),
        ("PatientName = O'Neil", 'PatientName = "O\'Neil"'),
        ("called = 'and'", 'called = "and"'),
        (r"""called = 'it\'s \\ "x"'""", r'''called = "it's \\ \"x\""'''),
        ("any(failed) and none service = C-STORE", "any failed and none service = C-STORE"),
        ("time>=14:02", "time >= 14:02"),
        ("address = fe80::1", "address = fe80::1"),
    ],
)
def test_one_meaning_has_one_spelling(text: str, usual: str) -> None:
    assert str(where.parse(text)) == usual
    assert where.parse(usual) == where.parse(text)


_NAMES = st.sampled_from(
    [
        "called",
        "status",
        "PatientID",
        "(0010,0020)",
        "*.Modality",
        "requestor.port",
        "a.(0008,0060)",
    ]
)
_VALUES = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["and", "OR", "not", "A7xx", "C-FIND", "2s", "5 s", '"', "\\", "(0010,0020)"]),
)
_LEAVES = st.one_of(
    st.builds(
        Compare,
        _NAMES,
        st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~", "!~"]),
        st.tuples(_VALUES),
    ),
    st.builds(
        Compare,
        _NAMES,
        st.just("in"),
        st.lists(_VALUES, min_size=1, max_size=3).map(tuple),
        st.booleans(),
    ),
    st.builds(Compare, _NAMES, st.just("between"), st.tuples(_VALUES, _VALUES), st.booleans()),
    st.builds(Compare, _NAMES, st.just("matches"), st.tuples(_VALUES), st.booleans()),
    st.builds(Presence, _NAMES, st.sampled_from(["true", "has", "empty"])),
)


def _junction(operator: str, parts: list[syntax.Node]) -> syntax.Node:
    flat: list[syntax.Node] = []
    for part in parts:
        same = isinstance(part, Junction) and part.operator == operator
        flat += part.parts if isinstance(part, Junction) and same else (part,)
    return Junction(operator, tuple(flat))  # type: ignore[arg-type]


_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Rows, inner, st.sampled_from(["any", "none"])),
        st.builds(
            _junction, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)
        ),
    ),
    max_leaves=8,
)


@given(_TREES)
def test_a_tree_survives_its_text(tree: syntax.Node) -> None:
    assert where.parse(str(tree)) == tree


# ---------------------------------------------------------------------------- refusals

_SCRAPS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *("and", "or", "not", "any", "none", "has", "exists", "empty", "in", "between"),
                *("matches", "(", ")", ",", "=", "!=", "<", "~", "!~", "&&", "||", "!", '"', "'"),
                *("called", "status", "failed", "frame", "time", "PatientID", "PatientName"),
                *("sop", "kind", "duration", "bytes", "address", "severity", "PixelData"),
                *("ScheduledProcedureStepSequence.Modality", "*.Modality", "(0010,0020)", "*."),
                *("MOZI", "Success", "A7xx", "14:02", "2026-01-05", "2s", "10kB", "9" * 5000),
                *("::1/64", "1.2.840.10008.1.1", "note", "yes", "1e999", "-0", "0001-01-01", "²"),
                *("9999-12-31T23:59+00:00", "2026-01-05T00:00-99:99", "1/0"),
            ]
        ),
        st.text(max_size=4),
    ),
    max_size=14,
)


@settings(max_examples=400, deadline=None)
@given(_SCRAPS, st.sampled_from(["", " "]))
def test_a_filter_is_understood_or_refused_at_a_place_in_it(scraps: list[str], glue: str) -> None:
    text = glue.join(scraps)
    refused: where.FilterError | None = None
    try:
        compiled = where.compile(text)
    except where.FilterError as error:
        refused = error
    if refused is None:
        assert str(where.compile(str(compiled))) == str(compiled)
        assert compiled.text == text
        return
    assert 0 <= refused.position <= len(text)
    line = str(refused)
    assert line.isprintable()
    assert "expected" in line or "nested" in line or "neither" in line
    assert len(line) < 400


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("", 0, "a word such as called"),
        ("called", 6, "an operator was expected behind 'called'"),
        ("called =", 8, "a value behind 'called' ="),
        ("called = and failed", 9, "a value behind 'called' ="),
        ("called MOZI", 7, "an operator such as ="),
        ("failed )", 7, "closes nothing"),
        ("(failed", 7, "'and', 'or' or )"),
        ("failed and", 10, "a word such as called"),
        ("colour = red", 0, "neither a word of the filter nor a DICOM keyword"),
        ("failed and PatientIDD = 1", 11, "did you mean PatientID?"),
        ("statsu = A700", 0, "did you mean status?"),
        ("outcome = aborted or rejected", 21, "outcome = rejected"),
        ("outcome = gone", 10, "one of released, aborted, rejected, lost, open"),
        ("outcome in (aborted, gone)", 21, "not 'gone'"),
        ("kind = C-FIND", 7, "C-FIND-RQ"),
        ("duration > 2m", 11, "2s, 150ms"),
        ("bytes > many", 8, "10kB"),
        ("frame = first", 8, "a frame number"),
        ("time = noon", 7, "14:02"),
        ("time = 25:00", 7, "14:02"),
        ("time between 14:02 and 2026-01-05", 13, "two times of day or two dates"),
        ("time between 2026-01-06 and 2026-01-05", 13, "the earlier end"),
        ("address = nowhere", 10, "an IP address"),
        ("sop = CTImageStorag", 6, "a UID, or a name or keyword"),
        ("status > Failure", 9, "a code such as A700"),
        ("id between 5 and 2", 11, "the smaller end"),
        ("called > A", 0, "called is a text: one of ="),
        ("failed = perhaps", 9, "yes or no"),
        ("has failed", 4, "yes or no by itself"),
        ("PixelData = 1", 0, "'has PixelData' was expected"),
        ("ScheduledProcedureStepSequence = 1", 0, "ScheduledProcedureStepSequence.Modality"),
        ("Modality.PatientID = 1", 0, "a sequence, which 'Modality' is not"),
        ("StudyDate > soon", 12, "2026-01-05"),
        ("OffendingElement = x", 19, "(0010,0020)"),
        ("called = 'MOZI", 9, "a closing '"),
        ("failed & pending", 7, "'&&' was expected"),
        ("called matches " + "x" * 300, 15, "at most 256 characters"),
    ],
)
def test_a_refusal_names_the_place_and_what_was_expected(text: str, at: int, says: str) -> None:
    with pytest.raises(where.FilterError) as caught:
        where.compile(text)
    assert says in caught.value.message
    assert caught.value.position == at
    assert isinstance(caught.value, ValueError)


def test_a_refusal_shows_nothing_that_acts_on_a_terminal() -> None:
    with pytest.raises(where.FilterError) as caught:
        where.compile("\x1b[31m\u202ered\x07" + "x" * 500 + " = 1")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_depth_is_bounded() -> None:
    for opening, closing in (("(", ")"), ("not ", ""), ("any ", "")):
        deep = opening * (syntax.MAX_DEPTH - 1)
        if opening != "any ":
            where.compile(f"{deep}failed{closing * (syntax.MAX_DEPTH - 1)}")
        with pytest.raises(where.FilterError):
            where.compile(opening * 3000 + "failed" + closing * 3000)


def test_length_is_bounded() -> None:
    where.compile("failed" + " " * (tokens.MAX_TEXT - 6))
    with pytest.raises(where.FilterError):
        where.compile("failed" + " " * tokens.MAX_TEXT)


def test_a_long_chain_needs_no_stack() -> None:
    assert where.compile(" or ".join(["failed"] * 900)).scope == "entry"


# ---------------------------------------------------------------------------- wildcards


@given(st.text("ab*?[", max_size=8), st.text("ab[\n", max_size=12))
def test_wildcards_agree_with_fnmatch(pattern: str, text: str) -> None:
    expected = fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))
    assert wildcards(pattern)(text) is expected


def test_no_pattern_takes_for_ever() -> None:
    began = time.perf_counter()
    for pattern in ("*a" * 100 + "*b", "*a?" * 60 + "b", "?*" * 120 + "b", "*" * 250 + "b"):
        assert not wildcards(pattern)("a" * 20_000)
    assert time.perf_counter() - began < 5
