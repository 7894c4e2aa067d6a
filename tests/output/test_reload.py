"""A transcript opened again shows what the capture showed; what is none is refused."""

from __future__ import annotations

import copy
import io
import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomsniff.dicom import dataset, pdu
from dicomsniff.model import AssociatePDU, Association, Attempt, CaptureInfo, Endpoint, Unreachable
from dicomsniff.output import reload, schema
from dicomsniff.output.checked import check
from dicomsniff.output.dump import dump
from dicomsniff.output.redact import Redactor
from dicomsniff.output.reload import Reloaded, ReloadError, load, read
from dicomsniff.output.timeline import row
from dicomsniff.output.transcript import TranscriptWriter
from tests.analysis.findings.wire import Wire, accepted, item, requested, run
from tests.output import build
from tests.output.test_transcript import EVERY, entries, full, written
from tests.support import capture


def again(loaded: Reloaded) -> dict[str, Any]:
    """The transcript of a transcript."""
    stream = io.BytesIO()
    with TranscriptWriter(stream, Redactor(keep_phi=True), info=loaded.info) as writer:
        for association in loaded.associations:
            writer.association(association)
        writer.finish(loaded.info, loaded.findings)
    whole: dict[str, Any] = json.loads(stream.getvalue())
    return whole


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
@pytest.mark.parametrize("keep_phi", [False, True])
def test_the_transcript_of_a_transcript_is_the_same(path: Path, keep_phi: bool) -> None:
    first = build.transcript(path, redactor=Redactor(keep_phi=keep_phi))
    loaded = read(io.BytesIO(first))
    assert loaded.redacted is not keep_phi
    whole, second = json.loads(first), again(loaded)
    for one in (whole, second):
        del one["redaction"]
        for told in entries(one):
            told.get("dataset_faults", []).sort()  # told of an element once, of the whole now
    assert second == whole


@pytest.mark.parametrize("name", ["worklist", "store", "negotiation", "move", "lost-reset"])
def test_the_same_rows_and_nearly_the_same_dump(name: str) -> None:
    path = capture(f"{name}.pcapng")
    kept = build.Kept()
    build.run(path, kept)
    loaded = read(io.BytesIO(build.transcript(path, redactor=Redactor(keep_phi=True))))
    assert len(loaded.associations) == len(kept.associations)
    for before, after in zip(kept.associations, loaded.associations, strict=True):
        assert _rows(after) == _rows(before)
        assert _values(after) == _values(before)


def _rows(association: Association) -> list[str]:
    return [row(association, entry, 0) for entry in association.timeline]


def _values(association: Association) -> list[str]:
    """A dump without lengths, and how sequences were encoded, which no transcript tells."""
    lines = dump(association, Redactor(keep_phi=True))
    return [
        line.partition(" # ")[0].rstrip()
        for line in lines
        if "(fffe,e0" not in line and " SQ (" not in line and not line.startswith("W: ")
    ]


def test_pdus_have_bytes_again_without_their_secrets() -> None:
    path = capture("negotiation.pcapng")
    loaded = read(io.BytesIO(build.transcript(path, redactor=Redactor(keep_phi=True))))
    kept = build.Kept()
    build.run(path, kept)
    before, after = kept.associations[0].timeline[0], loaded.associations[0].timeline[0]
    assert after.pdu == before.pdu
    assert len(after.raw) == len(before.raw)
    secrets = pdu.secret_spans(before.raw)
    assert secrets
    for start, end in pdu.secret_spans(after.raw):
        assert not any(after.raw[start:end])
    assert pdu.layout(after.raw).children


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        # A passcode that is announced to run over its item, and is not there.
        (item(0x58, struct.pack(">BBH", 2, 0, 40_000) + bytes(40_000) + b"\x9c\x40no"), b""),
        (b"", item(0x59, b"\xff\xffshort")),
        # What is no text takes three bytes in UTF-8.
        (item(0x55, b"\xff" * 30_000), b""),
        (item(0x58, b"\2\0\x20\0" + b"\xff" * 8192 + b"\0\0") + item(0x5F, bytes(9_000)), b""),
    ],
)
def test_fields_that_are_longer_than_items_may_be(asks: bytes, answers: bytes) -> None:
    wire = Wire().associate(requested(users=asks), accepted(users=answers)).release()
    ran = run(wire)
    for keep_phi in (False, True):
        stream = io.BytesIO()
        info = CaptureInfo("wire", "scapy")
        with TranscriptWriter(stream, Redactor(keep_phi=keep_phi), info=info) as writer:
            writer.association(ran.associations[0])
            writer.finish(info, [])
        (loaded,) = read(io.BytesIO(stream.getvalue())).associations
        assert [entry.kind for entry in loaded.timeline] == [
            entry.kind for entry in ran.associations[0].timeline
        ]
        assert isinstance(loaded.timeline[0].pdu, AssociatePDU)


def test_lines_too_and_a_last_one_that_was_cut_off(tmp_path: Path) -> None:
    text = build.transcript(
        capture("concurrent.pcapng"), ndjson=True, redactor=Redactor(keep_phi=True)
    )
    path = tmp_path / "bug.ndjson"
    path.write_bytes(text)
    loaded = load(path)
    assert len(loaded.associations) == len(text.splitlines()) > 3
    assert loaded.info.source == "concurrent.pcapng"
    assert loaded.info.truncated is False
    path.write_bytes(text[:-100])
    cut = load(path)
    assert len(cut.associations) == len(loaded.associations) - 1
    assert cut.info.truncated is True
    path.write_bytes(text.replace(b'"timeline":[', b'"timeline":', 1))
    with pytest.raises(ReloadError, match=r"^bug\.ndjson, line 1: not a transcript: "):
        load(path)


def test_operations_findings_and_figures_come_back() -> None:
    attempt = Attempt("192.0.2.1", Endpoint("192.0.2.2", 104), "silence", 1, 2, 7, [5])
    info = CaptureInfo("ct.pcapng", "scapy", 9, 99, 1, 2, 3, True, [attempt])
    loaded = read(io.BytesIO(written(full(), info=info)))
    assert loaded.info == info
    attempt.answer, attempt.unreachable = "unreachable", Unreachable("192.0.2.9", 13)
    assert read(io.BytesIO(written(full(), info=info))).info == info
    (association,) = loaded.associations
    (operation,) = association.operations
    assert operation.request is association.timeline[0]
    assert operation.responses == [association.timeline[1]]
    assert operation.status == 0xA801
    assert operation.linked[0].why == "sub-operation"
    assert association.findings[0].reference == "PS3.8 9.3"
    assert association.gaps[0].length == 1448
    assert association.encrypted is True
    assert association.acceptor.transport == full().acceptor.transport
    assert association.timeline[1].frame_count == 1000


# ---------------------------------------------------------------------------- what is refused


WHOLE: dict[str, Any] = json.loads(written(full()))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"", "Expecting value at line 1, column 1"),
        (b"{", "(cut off?)"),
        (b'{"a": "b', "Unterminated string starting at line 1, column 7 (cut off?)"),
        (b'{"a": "\n"}', "Invalid control character at line 1, column 8"),
        (b"[]", "not a transcript of dicomsniff"),
        (b"null", "not a transcript of dicomsniff"),
        (b'{"format": "har"}', "not a transcript of dicomsniff"),
        (b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00M<+\x1a\xff", "not a transcript"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "not a transcript"),
        (b'{"format": "dicomsniff.transcript", "version": 2}', "version 2 of the transcript"),
        (b'{"format": "dicomsniff.transcript", "version": 1}', "generator is missing"),
    ],
)
def test_no_transcript_at_all(text: bytes, error: str) -> None:
    with pytest.raises(ReloadError) as caught:
        read(io.BytesIO(text), "bug.json")
    message = str(caught.value)
    assert error in message
    assert message.startswith("bug.json")
    assert "\n" not in message
    assert len(message) < 200


def changed(path: str, value: object) -> bytes:
    """The full transcript with one value replaced; ``path`` as the errors write it."""
    whole = copy.deepcopy(WHOLE)
    place: Any = whole
    keys = path.replace("[", ".[").split(".")
    for key in keys[:-1]:
        place = place[int(key[1:-1])] if key.startswith("[") else place[key]
    last = keys[-1]
    place[int(last[1:-1]) if last.startswith("[") else last] = value
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        ("associations[0].timeline[1].time", 5, "associations[0].timeline[1].time: 5 is not text"),
        ("associations[0].started", "now", "associations[0].started: 'now' is not in the form"),
        ("associations[0].started", "2026-02-31T00:00:00.000000000Z", "day "),
        ("associations[0].outcome", "fine", "'fine' is not released or aborted or"),
        ("associations[0].requestor.port", 70000, "70000 is not in its range"),
        ("associations[0].partial", 0, "0 is not true or false"),
        ("associations[0].operations[0].request", 99, "entry 99 is not there"),
        ("associations[0].timeline[0].command.00000110.Value[0]", "x", ".00000110: text is not"),
        (
            "associations[0].timeline[0].command.00000110.Value[0]",
            1 << 80,
            "in the range of its VR",
        ),
        ("associations[0].timeline[0].command", {"1": {"vr": "US"}}, "'1' is not a tag"),
        ("associations[0].timeline[2].result.number", 300, "timeline[2].result.number: 300"),
        ("capture.first", "2026-02-31T00:00:00.000000000Z", "capture: day "),
    ],
)
def test_one_line_about_the_first_thing_wrong(path: str, value: object, error: str) -> None:
    with pytest.raises(ReloadError) as caught:
        read(io.BytesIO(changed(path, value)), "bug.json")
    assert error in str(caught.value)
    assert str(caught.value).startswith("bug.json: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ReloadError, match="No such file"):
        load(tmp_path / "none.json")
    with pytest.raises(ReloadError, match="Is a directory"):
        load(tmp_path)


def test_too_large_is_told_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "SIZE", 1 << 20)
    with pytest.raises(ReloadError, match="more than 1 MiB"):
        read(io.BytesIO(b" " * (1 << 20) + b"{}"))


def test_what_a_capture_is_not() -> None:
    assert reload.is_transcript(b'{\n "format"')
    assert reload.is_transcript(b'\xef\xbb\xbf {"format"')
    assert not reload.is_transcript(b"\x0a\x0d\x0d\x0a\x1c")
    assert not reload.is_transcript(b"\xd4\xc3\xb2\xa1")
    assert not reload.is_transcript(b"\x1f\x8b\x08")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in members:
        if isinstance(member, dict | list):
            found += _places(member, (*path, key))
        else:
            found.append((*path, key))
    return found


@cache
def seed() -> dict[str, Any]:
    """A transcript with data sets of every sort of value."""
    whole: dict[str, Any] = json.loads(build.transcript(capture("mpps.pcapng")))
    return whole


def changed_at(place: tuple[Any, ...], value: object) -> dict[str, Any]:
    """The seed with something else at one place."""
    whole = copy.deepcopy(seed())
    parent: Any = whole
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    return whole


places = st.deferred(lambda: st.sampled_from(_places(seed())[1:]))


def test_an_address_that_is_none_is_shown_without_harm() -> None:
    whole = changed_at(("associations", 0, "acceptor", "address"), "\x1f\x1b[2J")
    loaded = read(io.BytesIO(json.dumps(whole).encode()))
    lines = "\n".join(dump(loaded.associations[0], Redactor()))
    assert "MOZI at \\x1f\\x1b[2J port" in lines


@settings(max_examples=300, deadline=None)
@given(place=places, value=json_values)
def test_any_change_is_read_or_refused(place: tuple[Any, ...], value: Any) -> None:
    whole = changed_at(place, value)
    try:
        loaded = read(io.BytesIO(json.dumps(whole).encode()))
    except ReloadError as error:
        told = str(error)
    else:
        told = ""
    assert "\n" not in told
    if told:
        return
    # What was let in can be shown.
    for association in loaded.associations:
        for line in dump(association, Redactor()):
            assert not build.HARMFUL.search(line)
        for entry in association.timeline:
            if entry.message is not None and entry.message.dataset is not None:
                dataset.decode(entry.message.dataset, entry.message.transfer_syntax)
    again(loaded)


def _holds_number(value: Any) -> bool:
    """Whether a number stands somewhere in a value."""
    if isinstance(value, dict):
        return any(map(_holds_number, value.values()))
    if isinstance(value, list):
        return any(map(_holds_number, value))
    return isinstance(value, float | int)


@settings(max_examples=300, deadline=None)
@given(place=places, value=json_values)
def test_our_check_and_jsonschema_agree(place: tuple[Any, ...], value: Any) -> None:
    whole = changed_at(place, value)
    theirs = jsonschema.Draft202012Validator(schema.schema()).is_valid(whole)
    ours = check(whole, schema.Transcript) is None
    if theirs != ours:
        # JSON Schema takes 1.0 for an integer and 0 for false's equal; nothing else may differ.
        assert _holds_number(value)
