"""What a capture misses is no fault of those who spoke.

From every capture of ours one frame after the other is taken away, or the end of every frame, and
the findings are held against those of the whole capture: what is only told of the rest must be
true of the session.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import pytest

from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.model import Association, Finding, Frame
from tests import rewrite
from tests.hostile.loss import snapped
from tests.support import CAPTURES, capture

PATHS = [path for path in sorted(CAPTURES.glob("*.pcapng")) if path.stat().st_size < 1 << 17]

STILL_TRUE = {
    "capture-incomplete": "what it is",
    "status-failure": "the failed operation was told with its cause, which is missing now",
    "status-warning": "the same",
    "query-no-match": "the query after it, with other keys, is missing now",
    "delayed-acknowledgement": "a note where it was a warning: fewer are counted",
    "retransmissions": "told apart from the silence, whose beginning is missing now",
    "connection-timeout": "a warning: what was unanswered is missing",
    "move-no-sub-association": "it was captured, but is recognised after the C-MOVE alone",
    "tls-certificate-date": "told under the refusal, which is missing now",
    "context-refused": "told under the abort, which is missing now",
    "connection-lost": "how it ended is missing now, which must be said: see below",
    "association-aborted": "another severity: what was under way is missing",
    "commitment-not-reported": "a note that says so: see below",
    "mpps-not-completed": "a note that says so: see below",
    "store-one-association-each": "a note: others are counted",
    "only-compressed-offered": "a note: another context is missing",
}
"""Findings that may come where something was taken away, and why."""


SAID_OTHERWISE = {
    ("tls-refused.pcapng", 53): "a ClientHello that was answered by fifteen A-ABORTs in a row",
}
"""Frames without which what happened is told by another finding, as true."""


class _Ended(Listener):
    def __init__(self) -> None:
        self.associations: list[Association] = []

    def association_ended(self, association: Association) -> None:
        self.associations.append(association)


def told(frames: Iterable[Frame]) -> tuple[list[Association], list[Finding]]:
    """The associations of a capture, and all its findings."""
    ended = _Ended()
    pipeline = Pipeline(listener=ended)
    for frame in frames:
        pipeline.feed(frame)
    pipeline.finish()
    of_each = [finding for each in ended.associations for finding in each.findings]
    return ended.associations, [*pipeline.findings, *of_each]


@functools.cache
def frames_of(path: Path) -> tuple[Frame, ...]:
    return tuple(rewrite.raw_frames(path))


def numbered(frames: Iterable[Frame]) -> list[Frame]:
    return [frame._replace(number=number) for number, frame in enumerate(frames, 1)]


def without(path: Path, *numbers: int) -> list[Frame]:
    return numbered(frame for frame in frames_of(path) if frame.number not in numbers)


def accusations(path: Path, frames: Iterable[Frame]) -> list[Finding]:
    """What is told of a part of a capture, and not of all of it, and need not be true."""
    known = {(each.code, each.severity) for each in told(frames_of(path))[1]}
    return [
        each
        for each in told(frames)[1]
        if (each.code, each.severity) not in known
        and (each.code not in STILL_TRUE or (each.severity == "error" and _claims(each)))
    ]


def _claims(finding: Finding) -> bool:
    return finding.code in ("commitment-not-reported", "mpps-not-completed")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_one_frame_that_is_missing(path: Path) -> None:
    for frame in frames_of(path):
        if (path.name, frame.number) not in SAID_OTHERWISE:
            found = accusations(path, without(path, frame.number))
            assert found == [], f"without frame {frame.number}"


@pytest.mark.parametrize("length", [96, 200, 256, 350, 1000])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_a_snap_length(path: Path, length: int) -> None:
    found = accusations(path, snapped(frames_of(path), length))
    assert found == []


@pytest.mark.parametrize("name", ["query-cancelled", "worklist", "move", "mpps", "journey"])
def test_a_capture_that_begins_late_or_ends_early(name: str) -> None:
    path = capture(f"{name}.pcapng")
    whole = frames_of(path)
    for at in range(1, len(whole)):
        assert accusations(path, whole[:at]) == [], f"up to frame {at}"
        assert accusations(path, numbered(whole[at:])) == [], f"behind frame {at}"


# ---------------------------------------------------------------------------- how it ended


def carrying(path: Path, pdu: bytes) -> Frame:
    """The last frame that holds nothing but such a PDU of ten bytes."""
    head = pdu + b"\x00\x00\x00\x00\x04"
    return [each for each in frames_of(path) if each.data[-10:].startswith(head)][-1]


@pytest.mark.parametrize("name", ["async", "worklist", "two-associations-one-connection", "move"])
def test_a_release_whose_answer_is_missing(name: str) -> None:
    """Ten bytes are missing where the A-RELEASE-RP stands, and then both sides close."""
    path = capture(f"{name}.pcapng")
    whole = [each.outcome for each in told(frames_of(path))[0]]
    associations, findings = told(without(path, carrying(path, b"\x06").number))
    assert [each.outcome for each in associations] == whole
    assert {each.code for each in findings} >= {"capture-incomplete"}
    assert "connection-lost" not in {each.code for each in findings}
    assert any("answer was not captured" in each.outcome_detail for each in associations)


@pytest.mark.parametrize(
    ("name", "pdu"),
    [("store-refused", b"\x03"), ("move-aborted", b"\x07"), ("worklist-refused", b"\x03")],
)
def test_last_words_that_are_missing(name: str, pdu: bytes) -> None:
    """Nobody knows whether it was rejected or aborted, and nobody is blamed."""
    path = capture(f"{name}.pcapng")
    _, findings = told(without(path, carrying(path, pdu).number))
    (lost,) = (each for each in findings if each.code == "connection-lost")
    assert lost.severity == "note"
    assert "not in the capture" in lost.title
    assert "misses the last 10 bytes that " in lost.detail
    assert "Unanswered" not in lost.detail


@pytest.mark.parametrize("frame", [26, 53, 63])
def test_a_reset_tells_of_the_abort_in_front_of_it(frame: int) -> None:
    """Nobody acknowledges it any more; the reset counts its bytes."""
    path = capture("violations.pcapng")
    (gone,) = (each for each in frames_of(path) if each.number == frame)
    assert b"\x07\x00\x00\x00\x00\x04" in gone.data
    _, findings = told(without(path, frame))
    (lost,) = (each for each in findings if each.code == "connection-lost")
    assert lost.severity == "note"
    assert "misses the last 10 bytes" in lost.detail


def test_a_reset_after_a_conversation_is_no_refusal() -> None:
    """The SYN-ACK is missing; somebody listens all the same."""
    path = capture("silence-reset.pcapng")
    _, findings = told(without(path, 2))
    assert "connection-refused" not in {each.code for each in findings}


@pytest.mark.parametrize("name", ["silence-reset", "silence-swallowed"])
def test_an_acceptance_that_is_missing(name: str) -> None:
    """Its bytes are given up before what answers them, however quiet the connection is."""
    path = capture(f"{name}.pcapng")
    (association,), _ = told(without(path, 6))
    kinds = [entry.kind for entry in association.timeline]
    assert kinds[:3] == ["A-ASSOCIATE-RQ", "GAP", "C-ECHO-RQ"]
    assert association.timeline[1].length == 192


def test_a_request_comes_first_without_its_syn() -> None:
    """Three seconds of silence do not make the answer go before the question."""
    path = capture("worklist-slow.pcapng")
    (association,), _ = told(without(path, 1))
    assert association.id == 1
    assert [entry.kind for entry in association.timeline][:2] == [
        "A-ASSOCIATE-RQ",
        "A-ASSOCIATE-AC",
    ]


# ---------------------------------------------------------------------------- what never came


@pytest.mark.parametrize(
    ("name", "code"), [("mpps", "mpps-not-completed"), ("commitment", "commitment-not-reported")]
)
def test_what_may_be_among_what_is_missing(name: str, code: str) -> None:
    path = capture(f"{name}.pcapng")
    known = {(each.code, each.title, each.severity) for each in told(frames_of(path))[1]}
    seen = 0
    for frame in frames_of(path):
        for each in told(without(path, frame.number))[1]:
            if each.code == code and (each.code, each.title, each.severity) not in known:
                assert each.severity == "note"
                assert "The capture misses a part of association" in each.detail
                seen += 1
    assert seen


def test_what_comes_behind_an_abort_is_of_the_same_association() -> None:
    """The answer that nobody waits for any more has lost its first bytes."""
    path = capture("worklist-timeout.pcapng")
    associations, findings = told(without(path, 14))
    assert [each.outcome for each in associations] == ["aborted"]
    assert "GAP" in [entry.kind for entry in associations[0].timeline]
    assert "not-understood" not in {each.code for each in findings}
