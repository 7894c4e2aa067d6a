"""What a filter matches: rows and associations of real sessions, and each rule of the reference."""

from __future__ import annotations

import io
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

import dicomsniff
from dicomsniff.analysis import where
from dicomsniff.analysis.pipeline import Listener, Pipeline, run
from dicomsniff.analysis.where import row as row_module
from dicomsniff.analysis.where.reference import EXAMPLES
from dicomsniff.dicom.dataset import decode
from dicomsniff.model import (
    Association,
    Entry,
    Fault,
    Finding,
    Gap,
    Message,
    Operation,
    UserIdentity,
    UserInformation,
)
from dicomsniff.sources import open_capture
from tests.output import build
from tests.support import CAPTURES, capture, require

NAMES = sorted(
    path.stem
    for path in CAPTURES.glob("*.pcapng")
    if path.stem not in ("tls", "port-closed", "port-rejected")
)
FILTERS = [
    *(text for text, _ in EXAMPLES),
    *(word.example for word in where.WORDS if word.example),
    "not failed",
    "not (status = Success)",
    "none service = C-STORE",
    "any failed or kind = A-RELEASE-RP",
    "outcome = released or failed",
    "unanswered",
    "status = Success and request",
    "messages > 3 and kind = A-RELEASE-RQ",
    "none (service = C-FIND and messages > 3)",
]


@cache
def associations(name: str) -> tuple[Association, ...]:
    path = capture(f"{name}.pcapng")
    found = sorted(dicomsniff.read(str(path), reader="scapy"), key=lambda each: each.id)
    assert found
    return tuple(found)


def rows(text: str, association: Association) -> list[int]:
    """Numbers of the rows that match."""
    chosen = where.compile(text)
    return [each.number for each in association.timeline if chosen.matches(association, each)]


def kinds(text: str, name: str, which: int = 0) -> list[str]:
    """Kinds of the rows that match."""
    association = associations(name)[which]
    return [association.timeline[number - 1].kind for number in rows(text, association)]


# ---------------------------------------------------------------------------- real sessions


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("worklist", "called = MOZI and service = C-FIND", ["C-FIND-RQ", *["C-FIND-RSP"] * 9]),
        ("worklist", "called = mozi", []),
        ("worklist", "called ~ mozi and number = 1", ["A-ASSOCIATE-RQ"]),
        ("worklist", "ae = FLC1270 and number = 1", ["A-ASSOCIATE-RQ"]),
        ("worklist", "ae != FLC1270", []),
        ("worklist", "called = MOZI and service = C-FIND and status != Success", []),
        ("worklist", "status = Success", ["C-FIND-RQ", "C-FIND-RSP"]),
        ("worklist", "pending", ["C-FIND-RSP"] * 8),
        ("worklist", "status = Pending", ["C-FIND-RSP"] * 8),
        ("worklist", "status = FF00", ["C-FIND-RSP"] * 8),
        ("worklist", "status != Pending", ["C-FIND-RQ", "C-FIND-RSP"]),
        ("worklist", "service = 'modality worklist' and request", ["C-FIND-RQ"]),
        ("worklist", "responses = 9 and request", ["C-FIND-RQ"]),
        ("worklist", "PatientName ~ 王", ["C-FIND-RSP"]),
        ("worklist", "PatientName matches '*=王*'", ["C-FIND-RSP"]),
        ("worklist", "ScheduledProcedureStepSequence.Modality exists and request", ["C-FIND-RQ"]),
        ("worklist", "has Modality", []),
        ("worklist", "*.Modality exists and request", ["C-FIND-RQ"]),
        ("worklist", "(0040,0100).(0008,0060) exists and request", ["C-FIND-RQ"]),
        ("worklist-refused", "outcome = rejected", ["A-ASSOCIATE-RQ", "A-ASSOCIATE-RJ"]),
        ("worklist-refused", "reason ~ 'called AE' and sender = acceptor", ["A-ASSOCIATE-RJ"]),
        ("store-failed", "status = A700", ["C-STORE-RQ", "C-STORE-RSP"]),
        ("store-failed", "status = a7xx and response", ["C-STORE-RSP"]),
        ("store-failed", "status between A700 and AFFF and response", ["C-STORE-RSP"] * 2),
        ("store-failed", "status = 'Refused: Out of Resources' and request", ["C-STORE-RQ"]),
        ("store-failed", "status ~ coercion and request", ["C-STORE-RQ"]),
        ("store-failed", "failed and request", ["C-STORE-RQ"] * 3),
        ("store-failed", "warned and request", ["C-STORE-RQ"]),
        ("store-failed", "has ErrorComment", ["C-STORE-RSP"] * 3),
        ("query-cancelled", "kind = C-CANCEL-RQ", ["C-CANCEL-RQ"]),
        ("query-cancelled", "cancelled and status = Cancel", ["C-FIND-RQ", "C-FIND-RSP"]),
        ("query-cancelled", "status = FE00 and response", ["C-FIND-RSP"]),
        ("move-unknown-destination", "status = A801", ["C-MOVE-RQ", "C-MOVE-RSP"]),
        ("move-unknown-destination", "MoveDestination exists", ["C-MOVE-RQ"]),
        ("store-aborted-by-scu", "kind = A-ABORT and sender = requestor", ["A-ABORT"]),
        ("get", "service = C-STORE and sender = acceptor and number < 5", ["C-STORE-RQ"]),
        ("echo-ipv6", "address = ::1 and number = 1", ["A-ASSOCIATE-RQ"]),
        ("echo-ipv6", "address = 0:0:0:0:0:0:0:1 and number = 1", ["A-ASSOCIATE-RQ"]),
        (
            "store-transfer-syntaxes",
            "transfer = ImplicitVRLittleEndian and request",
            ["C-STORE-RQ"],
        ),
        ("store", "sop = 'CT Image Storage'", ["C-STORE-RQ", "C-STORE-RSP"]),
        ("store", "sop ~ ultrasound and request", ["C-STORE-RQ"]),
        ("store", "SOPClassUID = CTImageStorage", ["C-STORE-RQ"]),
        ("store", "Rows > 0 and has PixelData", ["C-STORE-RQ"] * 3),
        ("store", "PixelData empty", []),
        ("no-context", "has refused and not has accepted and number = 1", ["A-ASSOCIATE-RQ"]),
        ("negotiation", "has user and number = 1", ["A-ASSOCIATE-RQ"]),
        ("lost-reset", "outcome = lost and kind = CONNECTION-LOST", ["CONNECTION-LOST"]),
        ("lost-reset", "unanswered and not incomplete", []),
        ("lost-reset", "unanswered", ["C-STORE-RQ"]),
    ],
)
def test_rows_of_real_sessions(name: str, text: str, expected: list[str]) -> None:
    assert kinds(text, name) == expected


@pytest.mark.parametrize("name", NAMES)
def test_an_association_matches_when_one_of_its_rows_does(name: str) -> None:
    for association in associations(name):
        for text in FILTERS:
            chosen = where.compile(text)
            single = [chosen.matches(association, entry) for entry in association.timeline]
            assert where.compile(text).matches(association) is any(single), text
            if chosen.scope == "association":
                assert len(set(single)) == 1, text


@pytest.mark.parametrize("name", ["query-cancelled", "get", "async", "lost-fin", "store-failed"])
def test_asking_while_it_grows_is_the_same_as_asking_anew(name: str) -> None:
    kept = {text: where.compile(text) for text in FILTERS}
    asked = 0

    class Asking(Listener):
        def entry_added(self, association: Association, entry: Entry) -> None:
            nonlocal asked
            for text, chosen in kept.items():
                anew = where.compile(text)
                assert chosen.matches(association) is anew.matches(association), text
                assert chosen.matches(association, entry) is anew.matches(association, entry)
                asked += 1

        def association_ended(self, association: Association) -> None:
            for text, chosen in kept.items():
                assert chosen.matches(association) is where.compile(text).matches(association)

    run(open_capture(str(capture(f"{name}.pcapng")), reader="scapy"), Pipeline(listener=Asking()))
    assert asked > len(FILTERS)


def test_every_word_speaks_of_every_row() -> None:
    seen: dict[str, int] = {}
    for name in NAMES:
        for association in associations(name):
            for word in where.WORDS:
                joined, data_sets = row_module.Joined(), row_module.DataSets()
                for entry in (None, *association.timeline):
                    values = word.get(row_module.Row(association, entry, joined, data_sets))
                    assert isinstance(values, tuple)
                    if values and values[0] is not False:
                        seen[word.name] = seen.get(word.name, 0) + 1
    never = {word.name for word in where.WORDS} - set(seen)
    # All captures begin at the beginning; findings and faults have tests of their own.
    assert never <= {"finding", "severity", "evidence", "partial", "fault"}


# ---------------------------------------------------------------------------- other tools


def _texts(data: Dataset) -> Iterator[tuple[str, str]]:
    for element in data:
        keyword = keyword_for_tag(element.tag)
        if element.VR in ("LO", "SH", "CS", "UI", "AE", "DA", "TM", "IS") and keyword:
            value = element.value
            for each in value if element.VM > 1 else [value]:
                yield keyword, str(each) if each is not None else ""


@pytest.mark.parametrize("name", ["worklist", "query-study", "mpps", "commitment", "print"])
def test_attributes_agree_with_pydicom(name: str) -> None:
    held: dict[tuple[str, str], list[tuple[int, int]]] = {}
    known = list(associations(name))
    for association in known:
        for entry in association.timeline:
            data = entry.message.dataset if entry.message is not None else None
            if data is None or data.skips:
                continue
            assert entry.message is not None
            syntax = entry.message.transfer_syntax
            decoded = read_dataset(
                io.BytesIO(data.held),
                syntax == "1.2.840.10008.1.2",
                syntax != "1.2.840.10008.1.2.2",
            )
            decoded.decode()
            for pair in set(_texts(decoded)):
                held.setdefault(pair, []).append((association.id, entry.number))
    assert held
    for (keyword, value), expected in held.items():
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        chosen = where.compile(f'{keyword} = "{quoted}"')
        assert chosen.needs_dataset
        matched = [
            (association.id, entry.number)
            for association in known
            for entry in association.timeline
            if chosen.matches(association, entry)
        ]
        assert matched == expected, (keyword, value)


@pytest.mark.parametrize("name", ["store-small-pdu", "query-study", "echo", "move"])
def test_frames_are_those_that_wireshark_names(name: str) -> None:
    told = subprocess.run(
        [
            *(require("tshark"), "-r", str(capture(f"{name}.pcapng")), "-Y", "dicom"),
            *("-T", "fields", "-e", "frame.number"),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert told
    for number in told:
        chosen = where.compile(f"frame = {number}")
        assert any(chosen.matches(association) for association in associations(name)), number


# ---------------------------------------------------------------------------- rules


def _session() -> Association:
    """Two C-STOREs, one refused for want of resources, and a C-STORE that nobody answered."""
    made = build.association(7)
    first = build.entry(made, build.store(made, "1.2.3", 1), dataset=_data("123"))
    done = build.entry(made, _response(1, 0x0000), "acceptor")
    second = build.entry(made, build.store(made, "1.2.4", 2), dataset=_data("456"))
    refused = build.entry(made, _response(2, 0xA700), "acceptor")
    third = build.entry(made, build.store(made, "1.2.5", 3), dataset=_data(""))
    for request, *answers in ((first, done), (second, refused), (third,)):
        build.operation(made, request, *answers)
    for entry in made.timeline:
        if entry.message is not None:
            entry.message.transfer_syntax = build.EXPLICIT
    return made


def _response(message_id: int, status: int) -> dict[int, int | str]:
    return {0x0100: 0x8001, 0x0120: message_id, 0x0800: 0x0101, 0x0900: status}


def _data(patient_id: str) -> bytes:
    """Explicit VR little endian."""
    value = patient_id.encode() + b" " * (len(patient_id) % 2)
    return (
        b"\x08\x00\x20\x00DA\x08\x0020260105"
        + b"\x08\x00\x30\x00TM\x0a\x00081500.5  "
        + b"\x10\x00\x10\x00PN\x14\x00Wang^Xiao=A^B=Yi^Er "
        + b"\x10\x00\x20\x00LO"
        + len(value).to_bytes(2, "little")
        + value
        + b"\x18\x00\x50\x00DS\x08\x001.50\\2.5"
        + b"\x28\x00\x10\x00US\x02\x00\x00\x02"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a request has the status of its operation, a response its own
        ("status = A700", [3, 4]),
        ("PatientID = 456 and status = A700", [3]),
        ("PatientID = 123 and status = A700", []),
        ("service = C-STORE and status != Success", [3, 4]),
        ("not status = Success", [3, 4, 5]),
        ("unanswered", [5]),
        ("has status", [1, 2, 3, 4]),
        ("not has status", [5]),
        ("status not in (Success, Pending)", [3, 4]),
        # a response without SOP class and instance has its request's
        ("sop = CTImageStorage", [1, 2, 3, 4, 5]),
        ("instance = 1.2.4", [3, 4]),
        # attributes
        ("PatientID = 123", [1]),
        ("PatientID in (123, 456)", [1, 3]),
        ("PatientID != 123", [3, 5]),
        ("PatientID empty", [5]),
        ('PatientID = ""', [5]),
        ("has PatientID", [1, 3, 5]),
        ("PatientID ~ 2", [1]),
        ("PatientID matches ?5*", [3]),
        ("PatientID = 0123", []),
        ("has AccessionNumber", []),
        ("AccessionNumber != 1", []),
        ("not has AccessionNumber and request", [1, 3, 5]),
        ("00100020 = 123", [1]),
        ("patientid = 123", [1]),
        ("StudyDate = 2026-01-05 and number = 1", [1]),
        ("StudyDate = 2026-01 and number = 1", [1]),
        ("StudyDate > 2026-01", []),
        ("StudyDate >= 2026-01 and number = 1", [1]),
        ("StudyDate between 20251231 and 2026-01-05 and number = 1", [1]),
        ("StudyTime = 08:15 and number = 1", [1]),
        ("StudyTime < 08:15:01 and number = 1", [1]),
        ("StudyTime > 08:15", []),
        ("PatientName = 'A^B' and number = 1", [1]),
        ("PatientName = 'Wang^Xiao=A^B=Yi^Er' and number = 1", [1]),
        ("PatientName = Wang", []),
        ("PatientName matches yi* and number = 1", [1]),
        ("SliceThickness = 1.5 and number = 1", [1]),
        ("SliceThickness > 2 and number = 1", [1]),
        ("SliceThickness != 2.5", []),
        ("Rows = 512 and number = 1", [1]),
        ('Rows = ""', []),
        # associations, any and none
        ("association = 7 and number = 1", [1]),
        ("any failed and number = 1", [1]),
        ("none failed", []),
        ("none service = C-FIND and number = 1", [1]),
        ("any (PatientID = 123 and status = A700)", []),
        ("any PatientID = 123 and any status = A700 and number = 1", [1]),
        # times and sizes
        ("elapsed between 1ms and 2.1ms", [1, 2]),
        ("gap < 1ms", []),
        ("gap = 1000001ns", [2, 3, 4, 5]),
        ("took > 1ms", [1, 2, 3, 4]),
        ("latency exists", [1, 2, 3, 4]),
        ("length < 1kB and number = 1", [1]),
        ("time = 2026-01-05T08:15:00Z and number = 1", [1]),
        ("time > 2026-01-05T08:15:00Z", []),
        ("frame >= 4", [4, 5]),
        ("frame between 2 and 3", [2, 3]),
        ("source = 192.0.2.2", [2, 4]),
        ("destination = 192.0.2.0/31", [2, 4]),
        ("requestor = 192.0.2.0/24 and acceptor.port = 104 and number = 1", [1]),
        ("port = 104 and port != 105 and number = 1", [1]),
        ("port != 104", []),
        ("proposed = 1.2.840.10008.5.1.4.1.1.2 and number = 1", [1]),
        ("kind in (c-store-rsp, a-abort)", [2, 4]),
        ("failed = no", [1, 2, 5]),
        ("duration exists and number = 1", [1]),
    ],
)
def test_each_rule(text: str, expected: list[int]) -> None:
    made = _session()
    assert rows(text, made) == expected
    assert where.compile(text).matches(made) is bool(expected)


def test_a_row_of_many_frames() -> None:
    made = _session()
    made.timeline[0] = replace(made.timeline[0], frames=(10, 12), last_frame=90, frame_count=50)
    for text, expected in (
        ("frame = 10", True),
        ("frame = 11", False),  # of the first ones every number is known
        ("frame = 50", True),  # of the later ones only that they lie between
        ("frame = 90", True),
        ("frame = 91", False),
        ("frame > 89", True),
        ("frame <= 10", True),
        ("frame < 10", False),
        ("frame between 91 and 99", False),
        ("frame != 12", False),
        ("frames = 50", True),
    ):
        assert where.compile(text).matches(made, made.timeline[0]) is expected, text


def test_findings_faults_and_gaps() -> None:
    made = _session()
    assert not where.compile("has finding").matches(made)
    chosen, evident = where.compile("severity >= warning"), where.compile("evidence = slow")
    assert not chosen.matches(made)
    assert not evident.matches(made)
    made.findings.append(Finding("slow", "warning", "The acceptor is slow", "", "", (4,)))
    assert chosen.matches(made)
    assert evident.matches(made)
    assert rows("evidence = warning", made) == [4]
    for text, expected in (
        ("finding = slow", True),
        ("finding = WARNING", True),
        ("finding = error", False),
        ("finding != error", True),
        ("finding ~ acceptor", True),
        ("severity = error", False),
        ("severity > note", True),
    ):
        assert where.compile(text).matches(made) is expected, text
    made.timeline[1].faults = (Fault("odd length 3", 0, 3),)
    assert rows("has fault", made) == [2]
    assert rows("fault ~ 'ODD LENGTH'", made) == [2]
    assert not where.compile("missing > 0").matches(made)
    made.gaps.append(Gap("requestor", 100, 2000, made.ended, 5))
    assert where.compile("missing = 2kB").matches(made)


def test_faults_of_a_data_set() -> None:
    made = _session()
    broken = _data("123")[:-3]
    request = made.timeline[0].message
    assert request is not None
    assert request.dataset is not None
    request.dataset = request.dataset._replace(held=broken, length=len(broken))
    chosen = where.compile("has dataset.fault")
    assert chosen.needs_dataset
    assert [e.number for e in made.timeline if chosen.matches(made, e)] == [1]


def test_ae_titles_are_compared_exactly_but_for_spaces_around_them() -> None:
    made = _session()
    made.acceptor.ae_title = " MOZI  "
    assert where.compile("called = MOZI").matches(made)
    assert where.compile("called = ' MOZI'").matches(made)
    assert not where.compile("called = Mozi").matches(made)
    made.acceptor.ae_title = "   "
    assert where.compile("called empty").matches(made)
    made.acceptor.ae_title = None
    assert not where.compile("called empty").matches(made)
    assert not where.compile("called != MOZI").matches(made)
    assert where.compile("not called = MOZI").matches(made)


def test_a_user_name_and_never_a_secret() -> None:
    made = _session()
    made.requestor.user_information = UserInformation(
        user_identity=UserIdentity(2, False, "radiographer", 12, 8)
    )
    assert where.compile("user = radiographer").matches(made)
    made.requestor.user_information = UserInformation(
        user_identity=UserIdentity(5, False, None, 120, 0)
    )
    assert not where.compile("has user").matches(made)


def test_time_of_day_is_that_of_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _session()  # 08:15:00 UTC
    try:
        monkeypatch.setenv("TZ", "CST-8")
        time.tzset()
        for text, expected in (
            ("started = 16:15", True),
            ("started = 08:15", False),
            ("started = 16:15:00.12", True),
            ("started = 2026-01-05T16:15", True),
            ("started = 2026-01-05T08:15Z", True),
            ("started = '2026-01-05 09:15+01:00'", True),
            ("started = 2026-01-05", True),
            ("started < 2026-01-05", False),
            ("started <= 2026-01-05", True),
            ("started > 16:15", False),
            ("started >= 16:15", True),
            ("started between 16:10 and 16:15", True),
            ("started between 23:00 and 01:00", False),
            ("started between 23:00 and 17:00", True),
            ("started not between 23:00 and 17:00", False),
        ):
            assert where.compile(text).matches(made) is expected, text
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_answer_may_come_before_its_request_is_whole() -> None:
    made = build.association()
    chosen, instance = where.compile("failed and request"), where.compile("instance = 1.2.4")
    for message_id in (1, 1, 2):  # the first is never adopted
        answer = build.entry(made, _response(message_id, 0xA700), "acceptor")
        made.operations.append(Operation("C-STORE", message_id, 1, None, "requestor", None))
        made.operations[-1].responses.append(answer)
        made.operations[-1].status = 0xA700
        assert not chosen.matches(made)
        assert not instance.matches(made)
    request = build.entry(made, build.store(made, "1.2.4", 1))
    made.operations[1].request = request
    assert chosen.matches(made)
    assert instance.matches(made)
    assert [e.number for e in made.timeline if instance.matches(made, e)] == [2, 4]
    request = build.entry(made, build.store(made, "1.2.5", 2))
    made.operations[2].request = request
    assert [e.number for e in made.timeline if chosen.matches(made, e)] == [4, 5]
    late = where.compile("failed and request")
    assert [e.number for e in made.timeline if late.matches(made, e)] == [4, 5]


def test_findings_are_asked_for_only_where_needed() -> None:
    assert where.compile("none severity >= warning").needs_findings
    assert where.compile("failed or evidence exists").needs_findings
    assert not where.compile("failed or has fault").needs_findings


def test_scope_tells_whether_rows_differ() -> None:
    for text, scope, needs in (
        ("called = MOZI and outcome = aborted", "association", False),
        ("called = MOZI or failed", "entry", False),
        ("called = MOZI and any failed", "association", False),
        ("none PatientID = 1", "association", True),
        ("PatientID = 1", "entry", True),
        ("MoveDestination = A", "entry", False),
    ):
        chosen = where.compile(text)
        assert (chosen.scope, chosen.needs_dataset) == (scope, needs), text


def test_an_association_of_which_nothing_was_heard_yet() -> None:
    made = build.association()
    assert where.compile("outcome = open").matches(made)
    assert where.compile("outcome = open or failed").matches(made)
    assert not where.compile("failed").matches(made)
    assert not where.compile("any (not failed)").matches(made)
    assert where.compile("none failed").matches(made)


# ---------------------------------------------------------------------------- cost


def test_data_sets_are_decoded_late_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []

    def counting(*args: Any) -> Any:
        decoded.append(1)
        return decode(*args)

    monkeypatch.setattr(row_module, "decode", counting)
    made = _session()
    for text, expected in (
        ("failed or kind = A-ABORT", 0),
        ("service = C-FIND and PatientID = 123", 0),
        ("PatientID = 123 and service = C-FIND", 0),
        ("called = NOBODY and PatientID = 123", 0),
        ("has AccessionNumber", 0),  # its tag is nowhere in the bytes
        ("PatientID = 123", 1),  # nor is the value in two of the three
        ("PatientID != 123 or StudyDate = 1999 or PatientName = x", 3),
        ("PatientID = 123 or PatientID ~ 9 or PatientID = 123", 3),
    ):
        decoded.clear()
        rows(text, made)
        assert len(decoded) == expected, text


def test_a_filter_keeps_neither_associations_nor_many_data_sets() -> None:
    import gc
    import weakref

    chosen = where.compile("PatientID ~ 2 and any failed")

    class Watched(Message):
        __slots__ = ("__weakref__",)

    watched = []
    for _ in range(row_module.DATA_SETS_KEPT * 3):
        made = _session()
        for entry in made.timeline:
            old = entry.message
            assert old is not None
            fields = {name: getattr(old, name) for name in Message.__slots__}
            entry.message = Watched(**fields)
            watched.append(weakref.ref(entry.message))
        chosen.matches(made)
        del made, entry, old, fields
    gc.collect()
    assert not any(each() for each in watched)


def test_looking_again_costs_only_what_is_new() -> None:
    made = _session()
    chosen = where.compile("kind = A-ABORT")
    looked: list[int] = []
    test, mixed = chosen._searches[0]

    def counting(row: row_module.Row) -> bool:
        assert row.entry is not None
        looked.append(row.entry.number)
        return test(row)

    chosen._searches[0] = (counting, mixed)
    made.outcome = "released"
    assert not chosen.matches(made)
    assert looked == [1, 2, 3, 4, 5]
    looked.clear()
    assert not chosen.matches(made)
    assert looked == []
    build.entry(made, _response(3, 0), "acceptor")
    made.operations[2].responses.append(made.timeline[5])
    made.operations[2].status = 0
    assert not chosen.matches(made)
    assert looked == [5, 6]  # the request that was unanswered, and the answer
