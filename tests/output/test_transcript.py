"""The transcript: what it promises, on every capture there is, whatever interrupts it."""

from __future__ import annotations

import io
import json
import math
import os
import re
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import jsonschema
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomsniff.analysis.findings import Checker
from dicomsniff.dicom import pdu
from dicomsniff.model import (
    AbortPDU,
    AssociatePDU,
    Association,
    Attempt,
    CaptureInfo,
    Endpoint,
    Entry,
    Fault,
    Finding,
    Gap,
    Link,
    PresentationContext,
    RejectPDU,
    SubOperations,
    Transport,
    Unreachable,
)
from dicomsniff.output import OutputError, lines, schema, spool
from dicomsniff.output.findings import Report
from dicomsniff.output.redact import Redactor
from dicomsniff.output.shapes import Shaper
from dicomsniff.output.times import time_text
from dicomsniff.output.transcript import TranscriptWriter
from tests.output import build
from tests.support import CAPTURES, PUBLIC_CAPTURES, capture

EVERY = sorted([*CAPTURES.glob("*.pcapng"), *PUBLIC_CAPTURES.glob("*/*.pcap*")])

SCHEMA = schema.schema(closed=True)
WHOLE = jsonschema.Draft202012Validator(SCHEMA)
LINE = jsonschema.Draft202012Validator(
    {"$schema": SCHEMA["$schema"], "$ref": "#/$defs/Line", "$defs": SCHEMA["$defs"]}
)


def written(
    *associations: Association,
    ndjson: bool = False,
    info: CaptureInfo | None = None,
    findings: tuple[Finding, ...] = (),
    **options: bool,
) -> bytes:
    stream = io.BytesIO()
    info = info or CaptureInfo("ct.pcapng", "pyshark")
    with TranscriptWriter(stream, Redactor(**options), info=info, ndjson=ndjson) as writer:
        for association in associations:
            writer.association(association)
        writer.finish(info, findings)
    return stream.getvalue()


def entries(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for association in whole["associations"]:
        yield from association["timeline"]


def loaded(element: dict[str, Any]) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's opinion of values is not what is tested
        return pydicom.Dataset.from_json(element, bulk_data_uri_handler=lambda *_: b"")


# ---------------------------------------------------------------------------- every capture


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    "options",
    [{}, {"keep_phi": True}, {"mask_ae": True, "mask_addresses": True}],
    ids=["default", "keep-phi", "mask"],
)
def test_every_capture_keeps_the_promise(path: Path, options: dict[str, bool]) -> None:
    text = build.transcript(path, redactor=Redactor(**options))
    whole = json.loads(text)
    WHOLE.validate(whole)
    assert list(whole) == [
        "format", "version", "generator", "capture", "redaction", "associations", "findings",
    ]  # fmt: skip
    assert whole["redaction"]["applied"] is not bool(options.get("keep_phi"))
    lines = build.transcript(path, ndjson=True, redactor=Redactor(**options)).splitlines()
    for line, association in zip(lines, whole["associations"], strict=True):
        one = json.loads(line)
        LINE.validate(one)
        assert {key: one[key] for key in association} == association
    for row in entries(whole):
        for key in ("command", "dataset"):
            if row.get(key) is not None:
                read = loaded(row[key])
                assert len(read) == len(row[key])
        if "command" in row:
            assert loaded(row["command"]).CommandField in range(0x10000)


def test_bulk_is_named_and_never_inlined() -> None:
    bulk = 0
    for name in ("store.pcapng", "store-transfer-syntaxes.pcapng", "get.pcapng"):
        whole = json.loads(build.transcript(capture(name), redactor=Redactor(keep_phi=True)))
        for row in entries(whole):
            for element in _elements(row.get("dataset") or {}):
                assert len(element.get("InlineBinary", "")) <= 1400
                if "BulkDataURI" in element:
                    bulk += 1
                    assert re.search(r"\?length=\d+", element["BulkDataURI"])
    assert bulk > 5


def _elements(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for element in told.values():
        yield element
        if element["vr"] == "SQ":
            for item in element.get("Value", []):
                yield from _elements(item)


def test_what_a_worklist_answers_is_there_in_chinese() -> None:
    whole = json.loads(
        build.transcript(capture("worklist.pcapng"), redactor=Redactor(keep_phi=True))
    )
    names = [
        str(loaded(row["dataset"]).PatientName)
        for row in entries(whole)
        if row["kind"] == "C-FIND-RSP" and row["dataset"]
    ]
    assert len(names) == 8
    assert all(re.search("[\u4e00-\u9fff]", name) for name in names)
    (association,) = whole["associations"]
    (operation,) = association["operations"]
    assert operation["service"] == "C-FIND"
    assert len(operation["responses"]) == 9
    assert operation["status"] == {"code": "0x0000", "category": "Success", "meaning": "Success"}
    assert 0 < operation["first_response"] <= operation["duration"]


def test_passcodes_and_tokens_are_nowhere() -> None:
    # What captures/record.py has the tools send.
    for name in ("negotiation.pcapng", "negotiation-answered.pcapng", "identity-token.pcapng"):
        path = capture(name)
        secrets = set()
        kept = build.Kept()
        build.run(path, kept)
        for association in kept.associations:
            for entry in association.timeline:
                for start, end in pdu.secret_spans(entry.raw):
                    if end - start > 3:
                        secrets.add(entry.raw[start:end])
        assert secrets
        text = build.transcript(path, redactor=Redactor(keep_phi=True))
        for secret in secrets:
            assert secret not in text
            assert secret.hex().encode() not in text


# ---------------------------------------------------------------------------- every field


def full() -> Association:
    """An association where nothing is empty."""
    made = build.association(3)
    made.contexts[3] = PresentationContext(3, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",), 3)
    made.contexts[5] = PresentationContext(5, "1.2.826.0.1.9", (), 9)
    made.contexts[7] = PresentationContext(7, None, ())
    request = build.entry(made, {0x0002: build.CT, 0x0100: 0x0021, 0x0110: 4, 0x0600: "STORAGE"})
    counts = {0x0100: 0x8021, 0x0120: 4, 0x0900: 0xA801, 0x1021: 2, 0x1022: 1}
    response = build.entry(made, counts, "acceptor")
    response.frames, response.frame_count = tuple(range(32)), 1000
    operation = build.operation(made, request, response)
    operation.sop_class = "1.2.840.10008.5.1.4.1.2.2.2"
    operation.sub_operations = SubOperations(None, 2, 1, 0)
    operation.linked.append(Link(4, 3, "sub-operation"))
    for number, said in ((8, RejectPDU(1, 1, 7)), (9, AbortPDU(2, 2))):
        made.timeline.append(
            Entry(number, said.kind, "acceptor", build.BEGAN, build.BEGAN, (9,), 1, 9, 10, pdu=said)
        )
    event = Entry(10, "GAP", "acceptor", build.BEGAN, build.BEGAN, (), 0, 9, 1448, False)
    event.detail = "1448 bytes are missing"
    event.faults = (Fault("odd", 1, 2),)
    made.timeline.append(event)
    made.gaps.append(Gap("acceptor", 77, 1448, build.BEGAN, 9))
    made.findings.append(
        Finding(
            "x",
            "error",
            "MOZI is wrong",
            "192.0.2.2 said no to ARCHIVE",
            "ask",
            (1,),
            (2,),
            "PS3.8 9.3",
            ("ARCHIVE",),
        )
    )
    made.outcome, made.outcome_detail = "aborted", "by the acceptor"
    made.encrypted = True
    made.acceptor.transport = Transport(
        123_456, 2, 400_000_000, 1, 40_000_000, 3, 1_500_000_000, True, {"retransmitted": [7, 8]}
    )
    return made


def test_every_field_of_an_association() -> None:
    attempt = Attempt("10.0.0.1", Endpoint("10.0.0.2", 104), "reset", 1, 2, 7, [5])
    info = CaptureInfo("ct.pcapng", "scapy", 9, 99, 1, 2, 3, True, [attempt])
    whole = json.loads(written(full(), info=info))
    WHOLE.validate(whole)
    assert whole["capture"] == {
        "source": "ct.pcapng",
        "reader": "scapy",
        "packets": 9,
        "bytes": 99,
        "first": "1970-01-01T00:00:00.000000001Z",
        "last": "1970-01-01T00:00:00.000000002Z",
        "dropped": 3,
        "truncated": True,
        "attempts": [
            {
                "client": "10.0.0.1",
                "server": "10.0.0.2",
                "port": 104,
                "answer": "reset",
                "first": "1970-01-01T00:00:00.000000001Z",
                "last": "1970-01-01T00:00:00.000000002Z",
                "times": 7,
                "frames": [5],
            }
        ],
    }
    assert "10.0.0" not in written(full(), info=info, mask_addresses=True).decode()
    attempt.answer, attempt.unreachable = "unreachable", Unreachable("10.0.0.9", 13)
    told = json.loads(written(full(), info=info))
    WHOLE.validate(told)
    (shape,) = told["capture"]["attempts"]
    assert shape["answer"] == "unreachable"
    assert (shape["unreachable_by"], shape["unreachable_code"]) == ("10.0.0.9", 13)
    assert "10.0.0" not in written(full(), info=info, mask_addresses=True).decode()
    (association,) = whole["associations"]
    assert association["started"] == "2026-01-05T08:15:00.123456789Z"
    assert association["requestor"]["ae_title"] == "FLC1270"
    assert association["acceptor"]["port"] == 104
    assert association["acceptor"]["transport"] == {
        "round_trip": 0.000123456,
        "retransmitted": 2,
        "retransmission_time": 0.4,
        "stalls": 1,
        "stall_time": 0.04,
        "closed": 3,
        "closed_time": 1.5,
        "unfinished": True,
        "frames": {"retransmitted": [7, 8]},
    }
    assert "transport" not in association["requestor"]
    assert association["encrypted"] is True
    assert [context["result"] for context in association["presentation_contexts"]] == [
        "acceptance", "abstract-syntax-not-supported", None, None,
    ]  # fmt: skip
    assert [context["result_number"] for context in association["presentation_contexts"]] == [
        0, 3, 9, None,
    ]  # fmt: skip
    assert association["presentation_contexts"][1]["abstract_syntax"] == {
        "uid": "1.2.840.10008.1.1",
        "name": "Verification SOP Class",
    }
    (operation,) = association["operations"]
    assert operation["status"]["code"] == "0xA801"
    assert operation["status"]["category"] == "Failure"
    assert "Move Destination" in operation["status"]["meaning"]
    assert operation["sub_operations"] == {
        "remaining": None, "completed": 2, "failed": 1, "warning": 0,
    }  # fmt: skip
    assert operation["linked"] == [{"association": 4, "operation": 3, "why": "sub-operation"}]
    assert operation["request"] == 1
    assert operation["responses"] == [2]
    assert math.isclose(operation["first_response"], 0.000999001, abs_tol=1e-12)
    request, response, reject, abort, gap = association["timeline"]
    assert request["command"]["00000600"] == {"vr": "AE", "Value": ["STORAGE"]}
    assert "status" not in request
    assert response["status"]["code"] == "0xA801"
    assert len(response["frames"]) == 32
    assert response["frame_count"] == 1000
    assert reject["result"] == {"number": 1, "text": "Reject Permanent"}
    assert reject["reason"] == {"number": 7, "text": "Called AE title not recognized"}
    assert abort["source"] == {"number": 2, "text": "Provider"}
    assert abort["reason"] == {"number": 2, "text": "Unexpected PDU"}
    assert gap["complete"] is False
    assert gap["detail"] == "1448 bytes are missing"
    assert gap["faults"] == [{"text": "odd", "start": 1, "end": 2}]
    assert association["gaps"][0]["offset"] == 77
    assert association["findings"][0]["reference"] == "PS3.8 9.3"


def test_a_mask_reaches_every_place() -> None:
    made = full()
    made.requestor.address, made.acceptor.address = "10.11.12.13", "10.11.12.14"
    text = written(made, mask_ae=True, mask_addresses=True).decode()
    for hidden in ("FLC1270", "MOZI", "STORAGE", "ARCHIVE", "10.11.12"):
        assert hidden in written(made).decode()
        assert hidden not in text


def test_addresses_in_findings_get_the_pseudonym_of_their_peer() -> None:
    made = full()
    made.acceptor.address = "10.1.2.3"
    made.requestor.address = "fd00::17"
    made.findings[0].detail = "fd00::17 asked 10.1.2.3; UID 1.2.840.10008.1.2 at 10:11:12"
    found = Finding("y", "note", "Nothing listens on 10.1.2.3 port 104", "", "")
    whole = json.loads(written(made, findings=(found,), mask_addresses=True))
    text = json.dumps(whole)
    assert "10.1.2.3" not in text
    assert "fd00::17" not in text
    (association,) = whole["associations"]
    requestor, acceptor = association["requestor"]["address"], association["acceptor"]["address"]
    assert association["findings"][0]["detail"] == (
        f"{requestor} asked {acceptor}; UID 1.2.840.10008.1.2 at 10:11:12"
    )
    assert whole["findings"][0]["title"] == f"Nothing listens on {acceptor} port 104"


def test_a_class_that_nobody_negotiated_is_no_way_out() -> None:
    made = build.association()
    build.entry(made, {0x0002: "1.2.3.7777777", 0x0100: 0x0001, 0x0110: 1})
    text = written(made).decode()
    assert "7777777" not in text
    assert "7777777" in written(made, keep_phi=True).decode()


def test_a_text_in_the_place_of_a_uid_is_no_way_out() -> None:
    """A UID has digits and dots. What a device wrote there instead may name anybody."""
    word = "Xyzzyplugh"
    made = build.association(sop_class=word, syntax=word)
    made.application_context = word
    made.requestor.implementation_class_uid = word
    made.contexts[3] = PresentationContext(3, word.upper(), (word,), 3, None)
    build.entry(made, {0x0002: word, 0x0100: 0x0001, 0x0110: 1})
    build.entry(made, {0x0002: word, 0x0100: 0x8001, 0x0120: 1, 0x0900: 0xA700})
    Checker().association(made)
    assert "status-failure" in [found.code for found in made.findings]
    text = written(made).decode()
    assert word.casefold() not in text.casefold()
    assert word in written(made, keep_phi=True).decode()


def test_a_uid_in_a_finding_is_that_of_its_entry() -> None:
    """One that names a class stays, whatever else is one is masked as it is elsewhere."""
    private, instance = "1.2.276.0.99.4711", "1.2.276.0.99.7777777"
    made = build.association(sop_class=private)
    build.entry(made, {0x0002: instance, 0x0100: 0x0001, 0x0110: 1})
    detail = f"{private} is not {instance}. 127.0.0.1 said {build.CT}, 1.2.3."
    made.findings.append(Finding("x", "note", f"About {instance}", detail, "Nothing"))
    whole = json.loads(written(made))
    masked = next(entries(whole))["command"]["00000002"]["Value"][0]
    assert masked != instance
    (found,) = whole["associations"][0]["findings"]
    assert found["title"] == f"About {masked}"
    assert found["detail"] == f"{private} is not {masked}. 127.0.0.1 said {build.CT}, 1.2.3."
    report = Report(Redactor())
    report.association(made)
    shown = report.json(CaptureInfo("ct.pcapng", "scapy"))
    assert private in shown
    assert "7777777" not in shown


def test_a_title_that_is_a_word_masks_the_title_alone() -> None:
    made = build.association()
    made.acceptor.ae_title = "STORE"
    detail = "FLC1270 sent C-STORE-RQ to STORE (acceptor), STORED nothing"
    made.findings.append(Finding("x", "note", "STORE: C-STORE failed", detail, "Call STORE."))
    whole = json.loads(written(made, mask_ae=True))["associations"][0]
    masked = whole["acceptor"]["ae_title"]
    calling = whole["requestor"]["ae_title"]
    assert whole["findings"][0]["title"] == f"{masked}: C-STORE failed"
    assert whole["findings"][0]["detail"] == (
        f"{calling} sent C-STORE-RQ to {masked} (acceptor), STORED nothing"
    )
    assert whole["findings"][0]["advice"] == f"Call {masked}."


def test_an_associate_request_tells_everything() -> None:
    whole = json.loads(build.transcript(capture("negotiation.pcapng")))
    asked = next(row for row in entries(whole) if row["kind"] == "A-ASSOCIATE-RQ")
    told = asked["user_information"]
    assert told["asynchronous_operations_window"] is not None
    assert told["role_selections"]
    assert told["extended_negotiations"]
    assert told["common_extended_negotiations"]
    assert told["user_identity"]["type"]["number"] in (1, 2)
    kept = build.Kept()
    build.run(capture("negotiation.pcapng"), kept)
    sent = kept.associations[0].timeline[0].pdu
    assert isinstance(sent, AssociatePDU)
    information = sent.user_information
    assert [item["length"] for item in told["extended_negotiations"]] == [
        len(item.application_information) for item in information.extended_negotiations
    ]
    assert [role["sop_class"]["uid"] for role in told["role_selections"]] == [
        role.sop_class_uid for role in information.role_selections
    ]


def test_extended_negotiation_is_decoded_where_the_standard_says_how() -> None:
    shaper = Shaper(Redactor())
    query = shaper.extended_negotiation("1.2.840.10008.5.1.4.1.2.2.1", b"\1\0\1")
    assert query["fields"] == {
        "relational_queries": 1,
        "combined_date_time_matching": 0,
        "fuzzy_semantic_matching_of_person_names": 1,
    }
    storage = shaper.extended_negotiation(build.CT, b"\2\0\1\0\1")
    assert storage["fields"] == {
        "level_of_support": 2,
        "level_of_digital_signature_support": 1,
        "element_coercion": 1,
    }
    private = shaper.extended_negotiation("1.2.3", b"Doe")
    assert private["application_information"] is None
    kept = Shaper(Redactor(keep_phi=True)).extended_negotiation("1.2.3", b"Doe")
    assert kept["application_information"] == b"Doe".hex()


# ---------------------------------------------------------------------------- text


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zl", "Zp"])))
def test_any_text_is_valid_and_harmless(value: str) -> None:
    line = lines.text({"a": value})
    shown = line.decode("utf-8", "strict")
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\u2066-\u2069]", shown)
    read = json.loads(shown)["a"]
    assert read == re.sub("[\ud800-\udfff]", "\ufffd", value)


def test_hostile_names_do_nothing_to_a_terminal() -> None:
    made = full()
    made.requestor.ae_title = "\x1b[2J\x9b1;31m\u202eIZOM\ud800\x7f\n"
    for ndjson in (False, True):
        shown = written(made, ndjson=ndjson).decode("utf-8", "strict")
        assert "\x1b" not in shown
        assert not re.search("[\x7f-\x9f\u202e]", shown)
        assert len(shown.splitlines()) == (1 if ndjson else shown.count("\n"))


@given(st.integers(min_value=0, max_value=1 << 62), st.integers(min_value=0, max_value=10**11))
def test_times_that_follow_one_another(first: int, step: int) -> None:
    shaper = Shaper(Redactor())
    for time_ in (first, first + 1, first + step, first):
        assert shaper.time(time_) == time_text(time_)


# ---------------------------------------------------------------------------- writing


def test_an_empty_capture() -> None:
    whole = json.loads(written())
    WHOLE.validate(whole)
    assert whole["associations"] == []
    assert written(ndjson=True) == b""


def test_a_row_is_a_line() -> None:
    text = written(full(), full()).decode()
    rows = [line for line in text.splitlines() if line.lstrip().startswith('{"number": ')]
    assert len(rows) == 10
    for row in rows:
        json.loads(row.rstrip(","))


def test_a_line_comes_the_moment_its_association_ends() -> None:
    stream = io.BytesIO()
    with TranscriptWriter(stream, Redactor(), info=CaptureInfo("eth0", "live"), ndjson=True) as out:
        for number in (1, 2, 3):
            out.association(full())
            assert len(stream.getvalue().splitlines()) == number
            line = json.loads(stream.getvalue().splitlines()[-1])
            assert line["capture"] == {"source": "eth0", "reader": "live"}


class _Interrupting(Association):
    """An association during whose writing SIGINT comes, once or ever again."""

    times = 1

    @property
    def duration(self) -> int:
        if self.times:
            self.times -= 1
            raise KeyboardInterrupt
        return 1


@pytest.mark.parametrize("ndjson", [False, True])
@pytest.mark.parametrize("times", [1, 2])
def test_an_interruption_loses_nothing_that_was_there(ndjson: bool, times: int) -> None:
    stream = io.BytesIO()
    info = CaptureInfo("ct.pcapng", "pyshark")
    made = full()
    late = _Interrupting(4, made.requestor, made.acceptor, made.started, made.ended)
    late.times = times
    with TranscriptWriter(stream, Redactor(), info=info, ndjson=ndjson) as writer:
        writer.association(made)
        with pytest.raises(KeyboardInterrupt):
            writer.association(late)
        writer.association(made)
        writer.finish(info)
    wanted = [3, 4, 3] if times == 1 else [3, 3]
    if ndjson:
        assert [json.loads(line)["id"] for line in stream.getvalue().splitlines()] == wanted
        return
    whole = json.loads(stream.getvalue())
    WHOLE.validate(whole)
    assert [association["id"] for association in whole["associations"]] == wanted


def test_an_interruption_while_a_reader_is_slow_writes_no_line_twice() -> None:
    """The line is longer than a pipe holds, so the interruption comes in the middle of writing."""
    data = capture("store.pcapng").read_bytes()
    command = [sys.executable, "-m", "dicomsniff.cli", "transcript", "--ndjson", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(data)
        process.stdin.flush()
        first = os.read(process.stdout.fileno(), 1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        rest, _ = process.communicate(timeout=30)
    (line,) = (first + rest).splitlines()
    assert json.loads(line)["outcome"] == "released"
    assert process.returncode == 0


def test_sigint_leaves_whole_lines(tmp_path: Path) -> None:
    script = tmp_path / "lines.py"
    script.write_text(
        "import signal, sys\n"
        # Whoever runs the tests in the background lets them ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from dicomsniff.model import CaptureInfo\n"
        "from dicomsniff.output.redact import Redactor\n"
        "from dicomsniff.output.transcript import TranscriptWriter\n"
        "from tests.output.test_transcript import full\n"
        "info = CaptureInfo('x', 'live')\n"
        "writer = TranscriptWriter(sys.stdout.buffer, Redactor(), info=info, ndjson=True)\n"
        "try:\n"
        "    for _ in range(20_000):\n"
        "        writer.association(full())\n"
        "    sys.exit(3)\n"
        "except KeyboardInterrupt:\n"
        "    sys.stdout.buffer.flush()\n"
    )
    root = Path(__file__).parents[2]
    for wait in (0.0, 0.07):
        with subprocess.Popen(
            [sys.executable, str(script)], stdout=subprocess.PIPE, cwd=root, env={"PYTHONPATH": "."}
        ) as process:
            assert process.stdout is not None
            head = process.stdout.readline()
            time.sleep(wait)
            process.send_signal(2)
            rest = process.stdout.read()
        assert process.returncode == 0
        assert (head + rest).endswith(b"\n")
        for line in (head + rest).splitlines():
            json.loads(line)


class _Null(io.RawIOBase):
    """Counts what is written."""

    def __init__(self) -> None:
        self.count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.count += len(data)
        return len(data)


@pytest.mark.parametrize("ndjson", [False, True])
def test_memory_stays_flat(ndjson: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 1 << 16)
    stream: BinaryIO = _Null()  # type: ignore[assignment]
    info = CaptureInfo("ct.pcapng", "pyshark")
    made = full()
    made.timeline *= 10
    with TranscriptWriter(stream, Redactor(), info=info, ndjson=ndjson) as writer:
        writer.association(made)
        tracemalloc.start()
        for _ in range(60):
            writer.association(made)
        _, peak = tracemalloc.get_traced_memory()
        writer.finish(info)
        _, all_in_all = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert stream.count > 1_500_000  # type: ignore[attr-defined]
    assert peak < 500_000
    assert all_in_all < 1_000_000


def test_no_room_for_what_waits_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 1)
    stream = io.BytesIO()
    info = CaptureInfo("ct.pcapng", "pyshark")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with TranscriptWriter(stream, Redactor(), info=info) as writer:
        writer.association(full())
        size = len(written(full()))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + size // 2, before[1]))
        try:
            with pytest.raises(OutputError, match=r"File too large; .* set TMPDIR"):
                writer.association(full())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        writer.finish(info)
    whole = json.loads(stream.getvalue())
    WHOLE.validate(whole)
    assert len(whole["associations"]) == 1
