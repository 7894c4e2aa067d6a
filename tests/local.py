"""Shares of a capture, followed one after the other in this process."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator
from typing import Any, cast

from dicomsniff.analysis.crew import Crew
from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.analysis.shares import Share, Shared
from dicomsniff.model import Association, Entry, Frame, Stretch
from dicomsniff.output.timeline import row


class Local:
    """A crew that does its work here and now."""

    def __init__(self, count: int) -> None:
        self._bytes = b""
        self._answers: list[list[Any]] = []
        self.shares = [Share(cast(Crew, self), row, ()) for _ in range(count)]
        self.closed = False

    def __len__(self) -> int:
        return len(self.shares)

    def put(self, pieces: list[bytes]) -> tuple[int, bytes]:
        self._bytes = b"".join(pieces)
        return 0, b""

    def get(self, begin: int, end: int) -> bytes:
        return self._bytes[begin:end]

    def ask(self, questions: list[Any]) -> None:
        # What goes through a pipe is no more than it was.
        asked = marshal.loads(marshal.dumps(questions))
        answers = [
            share.answer(question) for share, question in zip(self.shares, asked, strict=True)
        ]
        self._answers.append(marshal.loads(marshal.dumps(answers)))

    def answers(self, take: Callable[[list[Any]], None], *, wait: bool = False) -> bool:
        del wait
        if not self._answers:
            return False
        take(self._answers.pop(0))
        return True

    def close(self) -> None:
        self.closed = True


class Rows(Listener):
    """The rows of a timeline."""

    def __init__(self, frames: list[Frame]) -> None:
        self.first = frames[0].time
        self.rows: list[str] = []

    def entry_added(self, association: Association, entry: Entry) -> None:
        self.rows.append(row(association, entry, self.first))


def stretches(frames: list[Frame], count: int) -> Iterator[Stretch]:
    """So many frames at once."""
    for begin in range(0, len(frames), count):
        data = b""
        places = []
        for number, time, link, captured, length in frames[begin : begin + count]:
            start = len(data)
            data += captured
            places.append((number, time, link, start, len(data), length))
        yield Stretch(data, places)


def told(pipeline: Pipeline, rows: list[str]) -> dict[str, object]:
    """All that a pipeline tells."""
    return {
        "rows": rows,
        "info": pipeline.info,
        "findings": pipeline.findings,
        "associations": pipeline.associations,
        "unread": pipeline.unread,
    }


def alone(frames: list[Frame]) -> dict[str, object]:
    listener = Rows(frames)
    pipeline = Pipeline(listener=listener, keep=False, checks=False)
    for stretch in stretches(frames, 100):
        pipeline.feed_many(stretch)
    pipeline.finish()
    return told(pipeline, listener.rows)


def shared(frames: list[Frame], count: int, at_once: int) -> dict[str, object]:
    rows: list[str] = []
    pipeline = Shared(cast(Crew, Local(count)), rows.append, always=True)
    for stretch in stretches(frames, at_once):
        pipeline.feed_many(stretch)
    pipeline.finish()
    return told(pipeline, rows)
