"""The JSON transcript, written while associations end.

Memory stays flat: an association is written when it ends and then forgotten. In a transcript the
capture's totals stand in front of the associations and are known only behind them, so the
associations' text waits in a temporary file (without a name, gone with the process) and is copied
out at the end. With ``ndjson`` there is no such wait: each association is one line, complete in
itself, the moment it ends.

A row of the timeline is a line of text, so that a transcript reads well in a pager and two of them
compare well line by line.
"""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import dicomsniff
from dicomsniff.analysis.stow import Stowed
from dicomsniff.model import Association, CaptureInfo, Entry, Finding, Message
from dicomsniff.output import OutputError, version
from dicomsniff.output.lines import line, quoted, safe, text
from dicomsniff.output.plain import Plain
from dicomsniff.output.redact import Redactor
from dicomsniff.output.remembered import Remembered
from dicomsniff.output.shapes import Shaper, seconds
from dicomsniff.output.spool import Spool

if TYPE_CHECKING:
    from dicomsniff.output import schema

_ROWS: Final = ("presentation_contexts", "timeline", "operations", "findings", "gaps")
"""Lists of an association that are written a line an item."""

_ROW: Final = (
    '{"number": %d, "kind": "%s", "time": "%s", "began": "%s", "elapsed": %r, "sender": "%s", '
    '"frames": [%s], "frame_count": %d, "last_frame": %d, "length": %d, "info": %s, '
    '"complete": %s, "faults": []'
)
"""What every row has, where there is neither a fault nor a detail."""

ROWS_TOGETHER: Final = 64
"""Rows written at once."""


class TranscriptWriter:
    """Writes a transcript, or lines of associations, to a binary stream.

    ``association`` may raise whatever the stream raises; what was written before stays whole. A
    plain transcript appears on the stream only with ``finish``, which may be called at any time
    (after an interruption too) and makes it complete with what came until then.
    """

    def __init__(
        self, stream: BinaryIO, redactor: Redactor, *, info: CaptureInfo, ndjson: bool = False
    ) -> None:
        self._stream = stream
        self._shaper = Shaper(redactor)
        self._info = info
        self._ndjson = ndjson
        self._remembered = Remembered(self._shaper)
        self._plain = Plain(redactor, compact=ndjson)
        self._form = _ROW.replace(", ", ",").replace(": ", ":") if ndjson else _ROW
        self._no_dataset = line({"dataset": None, "dataset_length": None}, ndjson)[1:-1]
        self._spool = Spool()
        self._written = 0

    def __enter__(self) -> TranscriptWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spool.close()

    def association(self, association: Association) -> None:
        """Write an association that has ended; it is not needed afterwards.

        Interrupted (SIGINT) it writes the association whole before it passes the interruption on:
        it would be lost otherwise. A second interruption is obeyed at once.
        """
        before = self._written
        try:
            self._write(association)
        except KeyboardInterrupt:
            if self._written == before:
                self._write(association)
            raise

    def _write(self, association: Association) -> None:
        begin = len(self._spool)
        try:
            for piece in self._pieces(association):
                self._spool.write(piece)
        except BaseException as error:
            # A half association would spoil the whole file.
            self._spool.cut(begin)
            if isinstance(error, OSError):
                raise OutputError(
                    f"cannot write to {tempfile.gettempdir()}: {error.strerror or error}; "
                    "associations wait there until the end: set TMPDIR to a folder with more room, "
                    "or write lines (--ndjson)"
                ) from error
            raise
        self._written += 1
        if self._ndjson:
            with undisturbed():
                self._spool.empty_into(self._stream)
                self._stream.flush()

    def finish(self, info: CaptureInfo, findings: Iterable[Finding] = ()) -> None:
        """Write what is left. Nothing may be written afterwards.

        Lines of associations are complete already: with ``ndjson`` this writes nothing.
        """
        if self._ndjson:
            return
        write = self._stream.write
        rows = [self._shaper.finding(finding) for finding in findings]
        write(b"{\n")
        for key, value in self._head(version.FORMAT).items():
            write(_member(key, value))
            if key == "generator":
                write(_member("capture", self._shaper.capture(info)))
        if self._written:
            write(b' "associations": [\n')
            self._spool.empty_into(self._stream)
            write(b"\n ],\n")
        else:
            write(b' "associations": [],\n')
        write(b"".join(_rows("findings", map(line, rows), " ")))
        write(b"\n}\n")
        self._stream.flush()

    def _head(self, name: str) -> dict[str, object]:
        redactor = self._shaper.redactor
        return {
            "format": name,
            "version": version.VERSION,
            "generator": {"name": "dicomsniff", "version": dicomsniff.__version__},
            "redaction": redactor.summary(),
        }

    def _pieces(self, association: Association) -> Iterator[bytes]:
        # In the same order in both forms: pseudonyms are numbered by first appearance.
        capture = self._shaper.line_capture(self._info)
        shape = cast("dict[str, Any]", self._shaper.association(association))
        entries = (self._entry(association, entry) for entry in association.timeline)
        if self._ndjson:
            return self._line(capture, shape, entries)
        return self._block(shape, entries)

    def _entry(self, association: Association, entry: Entry) -> str:
        """A row of the timeline as text: :meth:`Shaper.entry`, with what was written before taken
        from there."""
        shaper, remembered, compact = self._shaper, self._remembered, self._ndjson
        between = "," if compact else ", "
        message = entry.message
        if message is None:
            head = self._row(association, entry, shaper.info(association, entry))
            pdu = entry.pdu
            if pdu is None:
                return head + "}"

            def tell_pdu() -> str:
                part = cast("schema.Entry", {})
                shaper.pdu(part, entry)
                return line(part, compact)[1:-1]

            # The same bytes give the same PDU (pdu.decode), which is quicker to compare.
            tail = remembered.text(_Same(pdu), tell_pdu)
            return f"{head}{between}{tail}}}" if tail else head + "}"

        def tell_message() -> str:
            part = cast("schema.Entry", {})
            shaper.message(part, message)
            return line(part, compact)[1:-1]

        def tell_both() -> str:
            # JSON has no line breaks.
            return f"{shaper.info(association, entry)}\n{tell_message()}"

        info, _, command = remembered.text((entry.complete, message.alike), tell_both).partition(
            "\n"
        )
        head = self._row(association, entry, info)
        dataset = self._dataset(association, entry, message)
        return f"{head}{between}{command}{between}{dataset}}}"

    def _row(self, association: Association, entry: Entry, info: str) -> str:
        """What every row has, without the bracket behind it."""
        shaper = self._shaper
        if entry.faults or entry.detail:
            return line(shaper.row(association, entry, info), self._ndjson)[:-1]
        time = shaper.time(entry.time)
        return self._form % (
            entry.number,
            entry.kind,
            time,
            time if entry.began == entry.time else shaper.time(entry.began),
            seconds(entry.time - association.started),
            entry.sender,
            (", ", ",")[self._ndjson].join(map(str, entry.frames)),
            entry.frame_count,
            entry.last_frame,
            entry.length,
            safe(quoted(info)),
            "true" if entry.complete else "false",
        )

    def _dataset(self, association: Association, entry: Entry, message: Message) -> str:
        """What a row tells of the data set."""
        shaper, remembered, held = self._shaper, self._remembered, message.dataset

        def tell() -> str:
            part = cast("schema.Entry", {})
            shaper.dataset(part, association, entry, message)
            return line(part, self._ndjson)[1:-1]

        if held is None:
            return self._no_dataset
        if isinstance(held, Stowed):
            held = held.taken()
        prefix = shaper.bulk(association, entry)
        if held.skips:
            # What was not kept is named by the place of the row.
            told = self._plain.text(held, message.transfer_syntax, prefix)
            return tell() if told is None else told[0]
        key = (held, message.transfer_syntax)
        known = remembered.get(key)
        if known is None:
            indistinct = shaper.redactor.indistinct
            plain = self._plain.text(held, message.transfer_syntax, prefix)
            if plain is None:
                return remembered.text(key, tell)
            known, counts = plain
            if shaper.redactor.indistinct == indistinct:
                remembered.put(key, known, counts)
        return known

    def _block(self, shape: dict[str, Any], entries: Iterator[str]) -> Iterator[bytes]:
        """An association over several lines."""
        yield b"  {\n" if not self._written else b",\n  {\n"
        last = next(reversed(shape))
        for key, value in shape.items():
            if key == "timeline":
                yield from _rows(key, entries, "   ")
            elif key in _ROWS:
                yield from _rows(key, map(line, value), "   ")
            else:
                yield b'   "%b": %b' % (key.encode(), text(value))
            yield b"\n" if key == last else b",\n"
        yield b"  }"

    def _line(
        self, capture: schema.LineCapture, shape: dict[str, Any], entries: Iterator[str]
    ) -> Iterator[bytes]:
        """The same on one line, with what is needed to read it alone."""
        head = self._head(version.LINE_FORMAT)
        head["capture"] = capture
        before: dict[str, object] = dict(head)
        after: dict[str, object] = {}
        side = before
        for key, value in shape.items():
            if key == "timeline":
                side = after
            else:
                side[key] = value
        yield text(before, compact=True)[:-1] + b',"timeline":['
        between = b""
        for entry in entries:
            yield between + entry.encode()
            between = b","
        yield b"]," + text(after, compact=True)[1:] + b"\n"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold an interruption back: half a line is none, and cannot be taken back from a pipe. A
    second one is obeyed at once.

    Handlers are replaced, for a mask would not do: with several threads the system hands a signal
    to one that has none, and Python still calls the handler in this one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    came: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        handler = handlers[signal.Signals(number)]
        if came and callable(handler):
            handler(number, frame)
        came.append(number)

    held = [number for number, handler in handlers.items() if callable(handler)]
    for number in held:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number in held:
            signal.signal(number, handlers[number])
    if came:
        handler = handlers[signal.Signals(came[0])]
        if callable(handler):
            handler(came[0], None)


def _member(key: str, value: object) -> bytes:
    return b' "%b": %b,\n' % (key.encode(), text(value))


def _rows(key: str, texts: Iterable[str], indent: str) -> Iterator[bytes]:
    """A list with an item a line."""
    between = f"\n{indent} "
    head = f'{indent}"{key}": ['
    group: list[str] = []
    empty = True
    for each in texts:
        group.append(each)
        if len(group) == ROWS_TOGETHER:
            yield f"{head if empty else ','}{between}{f',{between}'.join(group)}".encode()
            group.clear()
            empty = False
    if group:
        yield f"{head if empty else ','}{between}{f',{between}'.join(group)}".encode()
        empty = False
    yield f"{head}]".encode() if empty else f"\n{indent}]".encode()


class _Same:
    """A key that is equal to nothing but the same object, which it keeps."""

    __slots__ = ("_what",)

    def __init__(self, what: object) -> None:
        self._what = what

    def __hash__(self) -> int:
        return id(self._what)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other._what is self._what
