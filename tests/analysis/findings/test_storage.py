"""Rules of storage, in conversations made by hand."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from dicomsniff.model import Association
from tests.analysis.findings.building import (
    CT,
    EXPLICIT,
    SECOND,
    Play,
    checked,
    codes,
    only,
)
from tests.dicom.datasets import SEQUENCE_END, UNDEFINED, explicit, implicit

MR = "1.2.840.10008.5.1.4.1.1.4"
JPEG = "1.2.840.10008.1.2.4.50"


def one(number: int, *uids: str, start: int = 0, sop_class: str = CT) -> Association:
    """An association with these instances."""
    play = Play(sop_class, number=number, acceptor="STORAGE", start=start)
    for uid in uids:
        play.store(uid)
    return play.end()


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (0xA700, "error store-failed", "make room"),
        (0xA912, "error store-failed", "compare the object"),
        (0xC123, "error store-failed", "could not make sense"),
        (0x0111, "error store-failed", "has this instance already"),
        (0x0122, "error store-failed", "contradicts itself"),
        (0x0124, "error store-failed", "permitted AE titles"),
        (0x0110, "error store-failed", "log of STORAGE"),
        (0xB000, "warning store-coerced", "which elements it changes"),
        (0xB006, "warning store-coerced", "which elements it changes"),
        (0xB007, "warning store-coerced", "which elements it changes"),
    ],
)
def test_statuses(status: int, code: str, words: str) -> None:
    play = Play(CT, acceptor="STORAGE").store("2.25.1").store("2.25.2", status)
    findings = checked(play.end())
    assert codes(findings) == [code]
    assert words in findings[0].advice
    assert f"{status:04X}H" in findings[0].detail
    assert "1 of 2 objects" in findings[0].detail
    assert findings[0].evidence == (5, 6)


def test_the_same_refusal_is_told_once() -> None:
    play = Play(CT, acceptor="STORAGE")
    for number in range(50):
        play.store(f"2.25.{number}", 0xA700)
    assert codes(checked(play.end())) == ["error store-failed"]


def test_the_general_rule_leaves_out_what_was_told() -> None:
    from dicomsniff.analysis.findings import Checker

    association = Play(CT, acceptor="STORAGE").store("2.25.1", 0xA700).end()
    Checker().association(association)
    assert [each.code for each in association.findings if each.evidence == (3, 4)] == [
        "store-failed"
    ]


@pytest.mark.parametrize(
    ("sop_class", "uid", "words"),
    [(CT, "2.25.1", ""), (CT, "2.25.2", "SOP Instance UID"), (MR, "2.25.1", "SOP Class UID")],
)
def test_uids_of_command_and_data_set(sop_class: str, uid: str, words: str) -> None:
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = sop_class, uid
    findings = checked(Play(CT, acceptor="STORAGE").store("2.25.1", dataset=data).end())
    if not words:
        assert findings == []
    else:
        assert words in only(findings, "store-uid-contradicts").detail
        assert "2.25" not in only(findings, "store-uid-contradicts").detail


@pytest.mark.parametrize(
    ("syntax", "encapsulated", "wrong"),
    [(JPEG, True, False), (JPEG, False, True), (EXPLICIT, False, False), (EXPLICIT, True, True)],
)
def test_pixel_data_and_transfer_syntax(syntax: str, encapsulated: bool, wrong: bool) -> None:
    head = explicit(0x00080016, "UI", (CT + "\0" * (len(CT) % 2)).encode())
    head += explicit(0x00080018, "UI", b"2.25.1")
    fragment = implicit(0xFFFEE000) + implicit(0xFFFEE000, b"\xff\xd8\xff\xd9")
    pixels = (
        explicit(0x7FE00010, "OB", b"", UNDEFINED) + fragment + SEQUENCE_END
        if encapsulated
        else explicit(0x7FE00010, "OW", b"\0\1" * 100)
    )
    play = Play(CT, acceptor="STORAGE", syntax=syntax)
    play.say("C-STORE-RQ", head + pixels, uid="2.25.1")
    play.say("C-STORE-RSP", sender="acceptor", status=0, uid="2.25.1")
    findings = checked(play.end())
    assert codes(findings) == (["error store-pixel-data"] if wrong else [])


def test_instances_that_are_stored_twice() -> None:
    findings = checked(one(1, "2.25.1", "2.25.2"), one(2, "2.25.2", "2.25.3", start=9))
    found = only(findings, "store-duplicate")
    assert found.severity == "note"
    assert "in association 1." in found.detail


def test_a_second_try_after_a_failure_is_no_duplicate() -> None:
    first = Play(CT, acceptor="STORAGE").store("2.25.1", 0xA700).end()
    assert "store-duplicate" not in str(codes(checked(first, one(2, "2.25.1", start=9))))


def test_the_same_instance_to_another_place_is_no_duplicate() -> None:
    other = Play(CT, number=2, acceptor="ELSEWHERE").store("2.25.1").end()
    assert checked(one(1, "2.25.1"), other) == []


def series(count: int, **options: int) -> list[Association]:
    made = []
    for number in range(count):
        made.append(one(number + 1, f"2.25.{number}", start=10 * number))
        made[-1].ended += options.get("around", 0) * SECOND
    return made


def test_one_association_for_each_image() -> None:
    assert checked(*series(4)) == []
    assert codes(checked(*series(5))) == ["note store-one-association-each"]
    (found,) = checked(*series(12, around=2))
    assert found.severity == "warning"
    assert "12 associations in a row" in found.detail
    assert {"FLC1270", "STORAGE"} <= set(found.ae_titles)


@pytest.mark.parametrize("how", ["two images", "a pause", "another class"])
def test_what_is_no_run(how: str) -> None:
    made = series(8)
    if how == "two images":
        made[4] = one(5, "2.25.50", "2.25.51", start=40)
    elif how == "a pause":
        for each in made[4:]:
            each.started += 600 * SECOND
            each.ended += 600 * SECOND
    else:
        made[4] = one(5, "2.25.50", start=40, sop_class=MR)
    assert checked(*made) == []


def test_throughput_says_where_the_time_went() -> None:
    play = Play(CT, acceptor="STORAGE", syntax=EXPLICIT)
    for number in range(5):
        pixels = explicit(0x7FE00010, "OW", bytes(300_000))
        uid = f"2.25.{number}"
        play.say("C-STORE-RQ", explicit(0x00080018, "UI", uid.encode()) + pixels, uid=uid)
        play.wait(0.9).say("C-STORE-RSP", sender="acceptor", status=0, uid=uid)
    found = only(checked(play.end()), "store-throughput")
    assert found.title == "FLC1270 stored 1.5 MB at 0.33 MB/s"
    assert "100 % into waiting for STORAGE to answer" in found.detail
