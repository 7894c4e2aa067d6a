"""Data sets that wait on disk until their association ends."""

from __future__ import annotations

import copy
import errno
import gc
import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from dicomsniff.analysis import pipeline as pipelines
from dicomsniff.analysis import stow
from dicomsniff.analysis.pipeline import Listener, Pipeline, run
from dicomsniff.analysis.stow import Stow, StowedMessage
from dicomsniff.model import Association, DataSetBytes, Entry, Fault, Message, Skip
from dicomsniff.output.redact import Redactor
from dicomsniff.output.transcript import TranscriptWriter
from dicomsniff.sources import open_capture
from tests.output import build
from tests.support import CAPTURES


class Write(Listener):
    """Writes a transcript, and counts what was put away by then."""

    def __init__(self) -> None:
        self.writer: TranscriptWriter | None = None
        self.away = 0

    def association_ended(self, association: Association) -> None:
        for entry in association.timeline:
            self.away += isinstance(entry.message, StowedMessage)
        assert self.writer is not None
        self.writer.association(association)


def transcript(path: Path, **options: bool) -> tuple[bytes, int]:
    out = io.BytesIO()
    listener = Write()
    pipeline = Pipeline(listener=listener, **options)
    with TranscriptWriter(out, Redactor(mask_ae=True), info=pipeline.info) as listener.writer:
        run(open_capture(str(path), reader="scapy"), pipeline)
        listener.writer.finish(pipeline.info, pipeline.findings)
    return out.getvalue(), listener.away


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is put away at once."""
    monkeypatch.setattr(pipelines, "STOWED_FROM", 0)
    monkeypatch.setattr(stow, "KEPT", 0)
    monkeypatch.setattr(stow, "LEAST", 1)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("together", [1, 300, stow.TOGETHER])
def test_it_changes_nothing(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what is told of data sets nor what is found in them."""
    monkeypatch.setattr(stow, "TOGETHER", together)
    away = 0
    for path in sorted(CAPTURES.glob("*.pcapng")):
        told, count = transcript(path, stow=True)
        assert told == transcript(path)[0], path.name
        away += count
    assert away > 200


def answers(count: int, size: int = 100) -> Association:
    """An association with answers to a query, each with a data set of its own."""
    made = build.association(sop_class=build.WORKLIST)
    for number in range(count):
        values = {0x0002: build.WORKLIST, 0x0100: 0x8020, 0x0120: 1, 0x0800: 1, 0x0900: 0xFF00}
        entry = build.entry(made, values, "acceptor", dataset=bytes([number % 256]) * size)
        assert entry.message is not None
        entry.message.packed_fragments = bytes([number % 256]) * 42
    return made


def put_away(made: Association) -> Stow:
    kept = Stow()
    timeline, made.timeline = made.timeline, []
    for entry in timeline:
        made.timeline.append(entry)
        kept.take(made)
    return kept


def held(entry: Entry) -> tuple[Message, DataSetBytes]:
    assert entry.message is not None
    assert entry.message.dataset is not None
    return entry.message, entry.message.dataset


def test_the_latest_stay() -> None:
    made = answers(stow.KEPT + 10)
    put_away(made)
    away = [isinstance(entry.message, StowedMessage) for entry in made.timeline]
    assert away == [True] * 10 + [False] * stow.KEPT


def test_a_message_is_what_it_was() -> None:
    made, same = answers(stow.KEPT + 700), answers(stow.KEPT + 700)
    put_away(made)
    for before, entry in zip(same.timeline, made.timeline, strict=True):
        message, data = held(entry)
        expected, bytes_expected = held(before)
        for name in (*Message.__dataclass_fields__, "alike"):
            assert getattr(message, name) == getattr(expected, name), name
        assert data.held == bytes_expected.held
        assert data.length == bytes_expected.length
        assert hash(data) == hash(bytes_expected)
        assert (data.skips, data.complete, data.missing_at) == ((), True, None)
        assert (data.inflated, data.faults, data.notes) == (False, (), ())


@pytest.mark.usefixtures("soon")
def test_copies_are_whole() -> None:
    made = answers(3)
    put_away(made)
    message, data = held(made.timeline[0])
    assert isinstance(message, StowedMessage)
    for copied in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert copied == message.taken() == held(answers(1).timeline[0])[0]
    assert pickle.loads(pickle.dumps(data)) == data == held(answers(1).timeline[0])[1]


@pytest.mark.usefixtures("soon")
def test_no_room_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there stays there, and everything else in memory."""
    made = answers(2000)
    written = 0

    def write(file: int, data: bytearray) -> int:
        nonlocal written
        if written >= 90_000:
            # Some of it may be there all the same.
            os.pwrite(file, b"?" * 50, written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = os.pwrite(file, data[:30_000], written)
        written += done
        return done

    monkeypatch.setattr(stow.os, "write", write)
    put_away(made)
    assert 0 < sum(isinstance(entry.message, StowedMessage) for entry in made.timeline) < 2000
    for before, entry in zip(answers(2000).timeline, made.timeline, strict=True):
        assert held(entry)[1].held == held(before)[1].held
        assert held(entry)[0].packed_fragments == held(before)[0].packed_fragments


@pytest.mark.usefixtures("soon")
def test_what_may_still_change_is_not_put_away() -> None:
    made = answers(1)
    message, _ = held(made.timeline[0])
    message.transfer_syntax = None
    put_away(made)
    assert made.timeline[0].message is message


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "wrong",
    [
        {"length": 101},
        {"skips": (Skip(8, 4, 0),)},
        {"complete": False},
        {"missing_at": 0},
        {"inflated": True},
        {"faults": (Fault("something is wrong", 0, 8),)},
        {"notes": ("something is odd",)},
    ],
    ids=str,
)
def test_what_is_more_than_its_bytes_is_not_put_away(wrong: dict[str, Any]) -> None:
    made = answers(1)
    message, data = held(made.timeline[0])
    message.dataset = data._replace(**wrong)
    put_away(made)
    assert made.timeline[0].message is message


@pytest.mark.usefixtures("soon")
def test_looking_at_one_while_others_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stow, "TOGETHER", 1)
    made, same = answers(20), answers(20)
    kept = Stow()
    timeline, made.timeline = made.timeline, []
    for entry in timeline:
        made.timeline.append(entry)
        kept.take(made)
        at = len(made.timeline) // 2
        assert held(timeline[at])[1].held == held(same.timeline[at])[1].held
    for before, entry in zip(same.timeline, timeline, strict=True):
        assert held(entry)[1].held == held(before)[1].held


@pytest.mark.usefixtures("soon")
def test_the_file_goes_with_the_last_message() -> None:
    made = answers(2000)
    put_away(made)
    first = made.timeline[0]
    message = first.message
    assert isinstance(message, StowedMessage)
    file = message._stow._file
    assert file is not None
    del message, made
    assert held(first)[1].held == bytes(100)
    first.message = None
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)
