"""Rules of data sets as such, in conversations made by hand."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from tests.analysis.findings.building import (
    CT,
    EXPLICIT,
    WORKLIST,
    Play,
    checked,
    codes,
    only,
    step_answer,
    step_query,
)
from tests.dicom.datasets import BIG, SEQUENCE_END, UNDEFINED, explicit, open_item, written

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def answer(*elements: tuple[int, str, bytes], charset: str | None = None) -> bytes:
    """An answer in explicit VR that holds the query's keys and these elements, by tag."""
    body = {0x00080050: ("SH", b""), 0x00100020: ("LO", b"X ")}
    if charset is not None:
        body[0x00080005] = ("CS", charset.encode() + b" " * (len(charset) % 2))
    for tag, vr, value in elements:
        body[tag] = (vr, value + b" " * (len(value) % 2))
    return b"".join(explicit(tag, vr, value) for tag, (vr, value) in sorted(body.items()))


def said(
    data: Dataset | bytes, *, question: Dataset | bytes | None = None, complete: bool = True
) -> list[str]:
    """What is said of an answer, by the rules of data sets."""
    return [each for each in codes(_findings(data, question, complete)) if _data(each)]


def _data(code: str) -> bool:
    return code.split(" ", 1)[1].startswith(("charset", "data", "text", "name"))


def _findings(  # type: ignore[no-untyped-def]  # noqa: ANN202
    data: Dataset | bytes, question: Dataset | bytes | None = None, complete: bool = True
):
    play = Play(WORKLIST, syntax=EXPLICIT)
    play.say("C-FIND-RQ", question if question is not None else answer())
    play.say("C-FIND-RSP", data, sender="acceptor", status=0xFF00, complete=complete)
    play.say("C-FIND-RSP", sender="acceptor", status=0)
    return checked(play.end())


NAME = "王^小明"


@pytest.mark.parametrize(
    ("charset", "raw", "expected"),
    [
        (None, b"Wang^Xiaoming", []),
        ("GB18030", b"Wang^Xiaoming=" + NAME.encode("gb18030"), []),
        ("ISO_IR 192", b"Wang^Xiaoming=" + NAME.encode(), []),
        (None, b"Wang=" + NAME.encode("gb18030"), ["error charset-undeclared"]),
        (None, b"Wang=" + NAME.encode(), ["error charset-undeclared"]),
        ("ISO_IR 192", b"Wang=" + NAME.encode("gb18030"), ["error charset-contradicted"]),
        ("ISO_IR 100", b"Wang=" + NAME.encode("gb18030"), ["warning charset-doubtful"]),
        ("ISO_IR 100", b"Wu=" + "吴^昊".encode("gb18030"), ["warning charset-doubtful"]),
        ("ISO_IR 100", b"Mueller^Ulf=M\xfcller^Ulf", []),
        ("ISO_IR 100", b"M\xfcller^J\xf6rg", []),
        ("UTF-8", b"Wang=" + NAME.encode(), ["warning charset-unknown"]),
        ("gb18030", b"Wang=" + NAME.encode("gb18030"), ["warning charset-unknown"]),
        ("KLINGON", b"Wang", ["warning charset-unknown"]),
        ("GB18030", NAME.encode("gb18030"), ["note name-groups"]),
        ("GB18030", b"=" + NAME.encode("gb18030"), ["note name-groups"]),
        ("ISO_IR 100", b"Wang=^", ["warning text-lost"]),
        ("ISO_IR 100", b"Wang=??^???", ["warning text-lost"]),
        ("ISO_IR 100", b"^^^^", []),
        ("ISO_IR 100", b"Wang^Xiao^^^=^^^^", []),
        (None, b"WHO?^MARY", []),
        ("ISO_IR 100", b"Wang^A=B=C=D", ["note name-groups"]),
    ],
)
def test_names_and_character_sets(charset: str | None, raw: bytes, expected: list[str]) -> None:
    assert said(answer((0x00100010, "PN", raw), charset=charset)) == expected


@pytest.mark.parametrize(
    ("charset", "raw", "named"),
    [(None, NAME.encode("gb18030"), "GB18030"), (None, NAME.encode(), "ISO_IR 192")],
)
def test_the_set_that_would_decode_is_named(charset: str | None, raw: bytes, named: str) -> None:
    data = answer((0x00100010, "PN", b"Wang=" + raw), charset=charset)
    found = only(_findings(data), "charset-undeclared")
    assert f"{named} would decode it" in found.title
    assert "On MOZI (acceptor, 192.0.2.2 port 104)" in found.advice


def test_the_set_that_would_decode_is_named_where_another_is_declared() -> None:
    raw = b"Wang=" + "医院^小明".encode("gb18030")
    data = answer((0x00100010, "PN", raw), charset="ISO_IR 192")
    assert "GB18030 would decode it" in only(_findings(data), "charset-contradicted").detail


def test_a_set_that_is_misspelt_is_named_as_it_is_spelt() -> None:
    raw = b"Wang=" + NAME.encode("gb18030")
    found = only(_findings(answer((0x00100010, "PN", raw), charset="gb18030")), "charset-unknown")
    assert "(0008,0005) is not spelt as the defined term GB18030." in found.detail


def test_who_sends_it_has_to_mend_it() -> None:
    question = answer((0x00100010, "PN", NAME.encode("gb18030") + b"*"))
    found = only(_findings(answer(), question), "charset-undeclared")
    assert found.advice.startswith("On FLC1270 (requestor, 192.0.2.1)")
    assert found.evidence == (3,)


@pytest.mark.parametrize(
    ("tag", "vr", "value", "words"),
    [
        (0x00080050, "SH", b"12345678901234567", "17 characters where SH allows 16"),
        (0x00100020, "LO", b"x" * 65, "65 characters where LO allows 64"),
        (0x00100040, "CS", b"m", "in lower case"),
        (0x00100040, "CS", b"M-F", "not what CS allows"),
        (0x00100030, "DA", b"19710230", "a day that no calendar has"),
        (0x00100030, "DA", b"30.02.71", "not what DA allows"),
        (0x00100020, "LO", b"A\\B", "2 values where one is allowed"),
    ],
)
def test_values_that_their_vr_does_not_allow(tag: int, vr: str, value: bytes, words: str) -> None:
    findings = _findings(answer((tag, vr, value)))
    found = only(findings, "data-value")
    assert words in found.detail
    assert found.severity == "warning"
    assert found.evidence == (4,)


def test_ranges_are_allowed_in_questions() -> None:
    assert said(answer(), question=answer((0x00100030, "DA", b"19700101-19711231"))) == []


def test_wrong_vrs() -> None:
    found = only(_findings(answer((0x00100020, "SH", b"X "))), "data-vr")
    assert "Patient ID (0010,0020): sent as SH, the dictionary says LO" in found.detail


def test_encoding_faults() -> None:
    bare = answer() + explicit(0x00400100, "SQ", b"", UNDEFINED)
    item = open_item(explicit(0x00400009, "SH", b"A "))
    assert said(bare + item + SEQUENCE_END) == ["note data-unusual"]
    assert said(bare + item) == ["error data-encoding-fault"]
    assert said(bare + item, complete=False) == []
    assert said(answer() + answer()) == ["error data-encoding-fault"]


def test_a_wildcard_in_a_date_that_is_asked_for() -> None:
    question = answer((0x00100030, "DA", b"1970*"))
    found = only(_findings(answer(), question), "data-value")
    assert "Patient's Birth Date (0010,0030): a wildcard, which DA does not have" in found.detail
    assert said(answer(), question=answer((0x00100010, "PN", b"Wang*"))) == []


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (explicit(0x00400100, "SQ", b"", UNDEFINED) + SEQUENCE_END, ["a sequence of undefined"]),
        (
            explicit(0x00400100, "SQ", open_item(explicit(0x00400009, "SH", b"A "))),
            ["an item of undefined length"],
        ),
        (explicit(0x00400100, "SQ", bytes.fromhex("feff00e000000000")), ["an empty item"]),
        (explicit(0x00400000, "UL", bytes(4)), ["a group length, which is retired"]),
        (
            explicit(
                0x00400100,
                "SQ",
                bytes.fromhex("feff00e00a000000") + explicit(0x00400009, "SH", b"A "),
            ),
            [],
        ),
    ],
)
def test_encodings_that_a_worklist_is_better_without(step: bytes, words: list[str]) -> None:
    """All of them are legal, so that it is a note; a device that shows nothing may be one of
    those that stumble over them."""
    findings = _findings(answer() + step)
    told = [each.detail for each in findings if each.code == "data-unusual"]
    assert len(told) == len(words)
    assert all(word in detail for word, detail in zip(words, told, strict=True))
    assert "error" not in " ".join(codes(findings)).replace("error worklist", "")


def test_question_marks_in_a_set_that_has_every_character() -> None:
    found = only(_findings(answer((0x00100010, "PN", b"Wang=??"), charset="GB18030")), "text-lost")
    assert "they were lost before they got there" in found.detail
    assert "A database, a broker" in found.advice
    found = only(
        _findings(answer((0x00100010, "PN", b"Wang=??"), charset="ISO_IR 100")), "text-lost"
    )
    assert "set its own (default) character set" in found.advice


def test_unusual_encodings() -> None:
    assert said(answer((0x00100020, "LO", b"X "))) == []
    found = only(_findings(answer((0x00100020, "LO", b"X\0"))), "data-unusual")
    assert found.severity == "note"
    assert "Patient ID (0010,0020): padded with NUL instead of a space" in found.detail
    # UN of undefined length is implicit VR inside (PS3.5 6.2.2).
    step = bytes.fromhex("fe ff 00 e0 0a 00 00 00 40 00 09 00 02 00 00 00") + b"A "
    as_unknown = explicit(0x00400100, "UN", b"", UNDEFINED) + step + SEQUENCE_END
    assert "note data-unusual" in said(answer() + as_unknown)


def test_another_encoding_than_was_agreed_on() -> None:
    data = Dataset()
    data.AccessionNumber = "1"
    data.PatientID = "X"
    found = only(_findings(written(data, BIG)), "data-not-as-negotiated")
    assert "Explicit VR Little Endian" in found.detail
    assert "the bytes are explicit VR big endian" in found.detail
    assert "or to accept the one it sends" in found.advice  # an acceptor proposes nothing


@pytest.mark.parametrize(
    ("element", "said"),
    [
        (explicit(0x00100040, "CS", b"m "), "note data-value"),
        (explicit(0x00100040, "LO", b"M "), "note data-vr"),
        (explicit(0x00100010, "PN", b"Wang=^"), "note text-lost"),
        (explicit(0x00100010, "PN", "王小".encode()), "warning charset-undeclared"),
        (explicit(0x00080005, "CS"), "warning data-encoding-fault"),
    ],
)
def test_stored_objects_weigh_less(element: bytes, said: str) -> None:
    play = Play(CT, acceptor="STORAGE", syntax=EXPLICIT)
    body = explicit(0x00080016, "UI", CT.encode() + b"\0") + explicit(0x00080018, "UI", b"2.25.1")
    play.say("C-STORE-RQ", body + element, uid="2.25.1")
    play.say("C-STORE-RSP", sender="acceptor", status=0, uid="2.25.1")
    assert said in codes(checked(play.end()))


def test_one_fault_of_one_side_is_one_finding() -> None:
    bad = step_answer(PatientID="x" * 70)
    findings = checked(Play(WORKLIST).find(step_query(), *[bad] * 20).end())
    assert codes(findings) == ["warning data-value"]
    assert "All 20 answers from MOZI" in findings[0].detail
