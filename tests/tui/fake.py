"""Model objects made up: hostile words, many rows, links, where no capture has them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from dicomsniff.model import (
    AbortPDU,
    Association,
    CommandElement,
    DataSetBytes,
    Entry,
    Fault,
    Finding,
    Frame,
    Link,
    Message,
    Operation,
    Peer,
    PresentationContext,
)

SECOND = 1_000_000_000
BEGAN = 1_767_600_900 * SECOND

HOSTILE = (
    "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u202eEVIL\u2066[red]x[/red][@click=app.quit]y[/]\x9b31m\r\n"
)
"""Writes the clipboard, clears the screen, turns text round, is markup, and begins a new line."""


def association(number: int = 1, calling: str = "FLC1270", called: str = "MOZI") -> Association:
    """An association without a timeline."""
    a = Association(
        number,
        Peer("192.0.2.1", 40_000 + number, ae_title=calling),
        Peer("192.0.2.2", 104, ae_title=called),
        BEGAN + number * SECOND,
        BEGAN + number * SECOND,
    )
    a.contexts[1] = PresentationContext(
        1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",), 0, "1.2.840.10008.1.2"
    )
    return a


def add(
    a: Association,
    kind: str,
    sender: str = "requestor",
    *,
    after: int = 1_000_000,
    message: Message | None = None,
    **more: object,
) -> Entry:
    """Add an entry to the timeline."""
    number = len(a.timeline) + 1
    at = a.ended + after
    entry = Entry(
        number,
        kind,
        sender,
        at,
        at,
        (number,),
        1,
        number,
        100,
        message=message,
        **more,  # type: ignore[arg-type]
    )
    a.timeline.append(entry)
    a.ended = at
    return entry


def message(kind: str, *, held: bytes = b"", status: int | None = None, **more: object) -> Message:
    """A message with an error comment, and a data set where there are bytes."""
    service = kind.rsplit("-", 1)[0]
    command = {0x00000902: CommandElement(0x00000902, "LO", HOSTILE, 0, 8)}
    return Message(
        kind,
        service,
        kind.endswith("RQ"),
        1,
        command,
        bytes(40),
        DataSetBytes(len(held), held) if held else None,
        "1.2.840.10008.1.1",
        "1.2.840.10008.1.2.1",
        message_id=1,
        status=status,
        **more,  # type: ignore[arg-type]
    )


def hostile() -> Association:
    """An association that says HOSTILE wherever it can."""
    a = association(1, HOSTILE, HOSTILE)
    raw = HOSTILE.encode("utf-8", "replace")
    element = (
        b"\x10\x00\x10\x00PN"
        + (len(raw) + len(raw) % 2).to_bytes(2, "little")
        + raw.ljust(len(raw) + len(raw) % 2)
    )
    charset = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192"
    add(
        a,
        "C-FIND-RSP",
        "acceptor",
        message=message("C-FIND-RSP", held=charset + element, status=0xC001),
    )
    add(
        a,
        "A-ABORT",
        "acceptor",
        pdu=AbortPDU(2, 1),
        raw=b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x01",
    )
    add(a, "UNDECODED", raw=raw, detail=HOSTILE, faults=(Fault(HOSTILE, 0, 4),))
    a.outcome, a.outcome_detail = "aborted", HOSTILE
    a.findings.append(Finding("x" + HOSTILE, "error", HOSTILE, HOSTILE, HOSTILE, (1,)))
    return a


def linked() -> list[Association]:
    """A C-MOVE with its C-STORE sub-operations on another association."""
    one, two = association(1, "WS2", "PACS"), association(2, "PACS", "ARCHIVE")
    two.started = two.ended = one.started + SECOND // 2
    ask = add(one, "C-MOVE-RQ", message=message("C-MOVE-RQ"))
    store = add(two, "C-STORE-RQ", after=SECOND // 4, message=message("C-STORE-RQ"))
    stored = add(two, "C-STORE-RSP", "acceptor", message=message("C-STORE-RSP", status=0))
    answer = add(
        one, "C-MOVE-RSP", "acceptor", after=3 * SECOND, message=message("C-MOVE-RSP", status=0)
    )
    move = Operation("C-MOVE", 1, 1, None, "requestor", ask, [answer], 0)
    move.linked.append(Link(2, store.number, "sub-operation of the C-MOVE"))
    one.operations.append(move)
    two.operations.append(Operation("C-STORE", 1, 1, None, "requestor", store, [stored], 0))
    return [one, two]


class Waiting:
    """A source that gives nothing until it is closed, as an idle interface does."""

    reader = "live"
    name = "lo"
    truncated = False
    dropped: int | None = None

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.closed = threading.Event()
        self.ended = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        while not self.closed.wait(0.01):
            pass
        self.ended.set()
        yield from ()

    def close(self) -> None:
        self.closed.set()


class Halting:
    """A source that hands on the first frames of another one, and the others when it is let go."""

    reader = "live"
    truncated = False
    dropped: int | None = None

    def __init__(self, frames: list[Frame], first: int) -> None:
        self.name = "halting"
        self.notices: list[str] = []
        self.go = threading.Event()
        self._frames = frames
        self._first = first

    def __iter__(self) -> Iterator[Frame]:
        yield from self._frames[: self._first]
        self.go.wait()
        yield from self._frames[self._first :]

    def close(self) -> None:
        self.go.set()


class Slow:
    """A source that hands on another one's frames with pauses."""

    reader = "live"
    truncated = False
    dropped: int | None = None

    def __init__(self, frames: list[Frame], pause: float) -> None:
        self.name = "slow"
        self.notices: list[str] = []
        self._frames = frames
        self._pause = pause
        self._closed = False

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            if self._closed:
                return
            time.sleep(self._pause)
            yield frame

    def close(self) -> None:
        self._closed = True
