"""The objects that C-STOREs carried, as DICOM Part 10 files (PS3.10 7).

An object streams to disk as its presentation data values pass by. What is in front of it (preamble
and file meta information) comes from what was negotiated and from the command set; the data set
itself is there byte for byte as it crossed the wire, in its own transfer syntax, deflated where it
was.

A file carries ``.partial`` until its last byte is there. One that never gets it keeps that name:
where bytes are missing inside and their number is known, as many zeros stand in their place, so
that everything behind them stays where its lengths say it is. The index tells which. Where the
request announces a data set and not a byte of it came, the file is its header alone.

Without the request nothing tells what an object is called, nor for sure that it is one. What is
left out for that is counted: a data set without a command set, and a C-STORE that was answered but
whose request is missing.

Extracted objects are whole patients' images with names: nothing in here redacts. Files and folder
are for their owner only.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import dicomsniff
from dicomsniff.dicom import encoding, names
from dicomsniff.dicom.dimse import NO_DATA_SET
from dicomsniff.model import Association, Entry, Message, Side
from dicomsniff.output import OutputError, part10
from dicomsniff.output.part10 import UID_LENGTH
from dicomsniff.output.times import time_text

INDEX: Final = "index.json"
"""Name of the index in the folder."""

BUFFERED: Final = 1 << 18
"""Bytes of an object kept before they are written: segments of 1,448 bytes would cost a system
call each."""

PIECES: Final = 1024
"""The same in pieces, so that tiny ones are bounded too."""

OPEN_FILES: Final = 64
"""Objects whose file is open at one time. Many associations may stall in the middle of an object,
and a process may open 256 files on some systems."""

HOLE: Final = 1 << 28
"""Missing bytes that zeros stand for, at most. A length that a hostile peer made up shall not
become a file of that size."""

NAMES_TRIED: Final = 10_000
"""Numbers tried behind a name that is taken, before giving up."""

_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_UID: Final = re.compile(r"[0-9]{1,64}(?:\.[0-9]{1,64})*")
_MAYBE_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _MAYBE_NOFOLLOW


@dataclass(slots=True)
class Missing:
    """Bytes of a data set that the capture does not hold."""

    offset: int
    """Bytes of the data set before them."""
    length: int | None
    """None where it is not known how many."""
    filled: bool
    """Zeros stand for them in the file."""


@dataclass(slots=True, eq=False)
class Extracted:
    """An object that was pulled out, as the index has it."""

    association: int
    sender: Side
    context_id: int
    message_id: int | None
    sop_class: str | None
    sop_instance: str | None
    transfer_syntax: str
    transfer_syntax_guessed: bool
    source: str | None
    """AE title of who sent it."""
    destination: str | None
    file: str = ""
    complete: bool = False
    size: int = 0
    """Of the file."""
    dataset_length: int = 0
    """Of the data set, missing bytes of known number included."""
    sha256: str | None = None
    """Of the file, None of a partial one."""
    missing: list[Missing] = field(default_factory=list)
    entry: int | None = None
    time: int | None = None
    frames: tuple[int, ...] = ()
    frame_count: int = 0
    status: int | None = None
    outcome: str = "open"
    kept: bool = True
    """False where it was not asked for and is gone again."""

    def told(self) -> str:
        """One line for people: where it is, and what it lacks."""
        if self.complete:
            return f"{self.file}: {self.size} bytes"
        gaps = [
            f"everything from byte {gap.offset} on"
            if gap.length is None
            else f"{gap.length} bytes at byte {gap.offset}"
            for gap in self.missing
        ]
        return f"{self.file}: missing {', '.join(gaps)}"


class Extractor:
    """Writes the data sets of C-STORE requests into a folder.

    It is the pipeline's tap (``open``) and its listener: the tap brings the bytes, the timeline's
    entries the frames, and the end of an association the status that answered each object.
    Raises ``OutputError`` where the folder cannot be written.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        source: str = "",
        wanted: Callable[[Association, Entry | None], bool] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.source = source
        """Name of the capture, for the index."""
        self.objects: list[Extracted] = []
        self.nameless = 0
        """Data sets, or the rest of one, without a command set: left out."""
        self.unasked = 0
        """C-STOREs that were answered, and whose request is missing: left out."""
        self._wanted = wanted
        self._current: dict[int, _Sink] = {}
        """By identity of the message, which the sink keeps alive."""
        self._sinks: dict[int, list[_Sink]] = {}
        self._nameless: dict[int, list[Entry]] = {}
        """Rows of data sets without a command set, by association."""
        self._open: OrderedDict[_Sink, None] = OrderedDict()
        self._next: dict[str, int] = {}
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _failed(self.folder, error) from error

    # ------------------------------------------------------------------ tap

    def open(self, association: Association, sender: Side, message: Message) -> _Sink | None:
        """Begin an object where the message is a C-STORE request."""
        if message.kind != "C-STORE-RQ":
            return None
        syntax = message.transfer_syntax
        told = Extracted(
            association=association.id,
            sender=sender,
            context_id=message.context_id,
            message_id=message.message_id,
            sop_class=message.sop_class,
            sop_instance=message.sop_instance,
            transfer_syntax=syntax or "",
            transfer_syntax_guessed=syntax is None,
            source=association.peer(sender).ae_title,
            destination=association.other(sender).ae_title,
        )
        sink = _Sink(self, told, message, len(self.objects) + 1)
        self.objects.append(told)
        self._current[id(message)] = sink
        self._sinks.setdefault(association.id, []).append(sink)
        return sink

    # ------------------------------------------------------------------ listener

    def association_began(self, association: Association) -> None:
        """Nothing to do: an object begins with its command."""

    def entry_added(self, association: Association, entry: Entry) -> None:
        """Take the frames of an object from its row, which may be all that is known of it."""
        message = entry.message
        if message is None:
            return
        sink = self._current.pop(id(message), None)
        if sink is None and _announces(message):
            sink = self.open(association, entry.sender, message)
            if sink is not None:
                sink.close(False)
                del self._current[id(message)]
        elif sink is None and _nameless(message):
            self._nameless.setdefault(association.id, []).append(entry)
        if sink is not None:
            sink.entry = entry
            told = sink.told
            told.entry, told.time = entry.number, entry.time
            told.frames, told.frame_count = entry.frames, entry.frame_count

    def association_ended(self, association: Association) -> None:
        """Take the statuses that answered its objects, and drop what was not asked for."""
        statuses = {
            operation.request.number: operation.status
            for operation in association.operations
            if operation.service == "C-STORE" and operation.request is not None
        }
        for sink in self._sinks.pop(association.id, ()):
            self._current.pop(id(sink.message), None)
            sink.close(False)  # does nothing where it is closed already
            told = sink.told
            told.outcome = association.outcome
            if told.entry is not None:
                told.status = statuses.get(told.entry)
            if self._wanted is not None and not self._wanted(association, sink.entry):
                sink.discard()
                told.kept = False
        self.nameless += sum(
            self._wanted is None or self._wanted(association, entry)
            for entry in self._nameless.pop(association.id, ())
        )
        self.unasked += sum(
            self._wanted is None or self._wanted(association, operation.responses[0])
            for operation in association.operations
            if operation.service == "C-STORE" and operation.request is None and operation.responses
        )

    # ------------------------------------------------------------------ end

    def left_out(self) -> str:
        """One line for people: what may be objects, and is in no file. Empty: nothing."""
        parts = []
        if self.nameless:
            s = "s" * (self.nameless != 1)
            parts.append(f"{self.nameless} data set{s} (or the rest of one) without a command set")
        if self.unasked:
            s = "s" * (self.unasked != 1)
            parts.append(f"{self.unasked} C-STORE response{s} without a request")
        return f"left out: {', '.join(parts)}" if parts else ""

    def finish(self) -> Path:
        """Close what is open, write the index and return its path."""
        for sinks in self._sinks.values():
            for sink in sinks:
                sink.close(False)
        self.objects = [told for told in self.objects if told.kept]
        index = {
            "format": "dicomsniff.objects",
            "version": 1,
            "generator": {"name": "dicomsniff", "version": dicomsniff.__version__},
        }
        text = _lines(index, [self._row(told) for told in self.objects])
        try:
            path, handle = self.create("index", ".json")
            with os.fdopen(handle, "wb") as stream:
                stream.write(text)
        except OSError as error:
            raise _failed(self.folder / INDEX, error) from error
        return path

    def _row(self, told: Extracted) -> dict[str, Any]:
        status = None
        if told.status is not None:
            text = names.status("C-STORE", told.sop_class, told.status)
            status = {
                "code": f"0x{told.status:04X}",
                "category": text.category,
                "meaning": text.meaning,
            }
        return {
            "file": told.file,
            "complete": told.complete,
            "missing": [
                {"offset": gap.offset, "length": gap.length, "filled": gap.filled}
                for gap in told.missing
            ],
            "size": told.size,
            "sha256": told.sha256,
            "dataset_length": told.dataset_length,
            "sop_class": _uid(told.sop_class),
            "sop_instance": told.sop_instance,
            "transfer_syntax": _uid(told.transfer_syntax),
            "transfer_syntax_guessed": told.transfer_syntax_guessed,
            "capture": self.source or None,
            "association": told.association,
            "outcome": told.outcome,
            "sender": told.sender,
            "source": told.source,
            "destination": told.destination,
            "context_id": told.context_id,
            "message_id": told.message_id,
            "entry": told.entry,
            "time": None if told.time is None else time_text(told.time),
            "frames": list(told.frames),
            "frame_count": told.frame_count,
            "status": status,
        }

    # ------------------------------------------------------------------ files

    def create(self, stem: str, suffix: str) -> tuple[Path, int]:
        """Create a file that was not there: ``stem`` with ``suffix``, or with a number between."""
        name = stem + suffix
        for number in range(self._next.get(name, 1), NAMES_TRIED):
            path = self.folder / (name if number == 1 else f"{stem}-{number}{suffix}")
            try:
                handle = os.open(path, _CREATE, 0o600)
            except FileExistsError:
                continue
            self._next[name] = number + 1
            return path, handle
        raise FileExistsError(errno.EEXIST, f"{NAMES_TRIED} files of that name are there already")

    def rename(self, path: Path, stem: str, suffix: str) -> Path:
        """Give a file of ours a name that was not there, as :meth:`create` does; the new path."""
        name = stem + suffix
        for number in range(self._next.get(name, 1), NAMES_TRIED):
            final = self.folder / (name if number == 1 else f"{stem}-{number}{suffix}")
            try:
                # Unlike a renaming, this never puts it over something else.
                os.link(path, final)
            except FileExistsError:
                continue
            except OSError:
                break  # not every file system lets a file have two names
            os.unlink(path)
            self._next[name] = number + 1
            return final
        final, reserved = self.create(stem, suffix)
        os.close(reserved)
        os.replace(path, final)  # over the empty file that is our own
        return final

    def used(self, sink: _Sink) -> None:
        """Note that a sink's file is in use; the one unused for longest may have to close."""
        self._open[sink] = None
        self._open.move_to_end(sink)
        if len(self._open) > OPEN_FILES:
            unused, _ = self._open.popitem(last=False)
            unused.rest()

    def unused(self, sink: _Sink) -> None:
        """Note that a sink's file is closed."""
        self._open.pop(sink, None)


class _Sink:
    """One object on its way to disk: what the tap writes to."""

    def __init__(
        self, extractor: Extractor, told: Extracted, message: Message, number: int
    ) -> None:
        self.told = told
        self.message = message
        self.entry: Entry | None = None
        self._extractor = extractor
        self._stem = _stem(told.sop_instance, number)
        self._held: list[bytes] = []
        """Bytes that wait to be written."""
        self._length = 0
        """How many."""
        self._hash: Any = hashlib.sha256()
        self._path: Path | None = None
        self._handle = -1
        self._identity = (0, 0, 0)
        self._closed = False

    # ------------------------------------------------------------------ what the tap calls

    def write(self, data: bytes) -> None:
        """Bytes of the data set, in order."""
        held = self._held
        held.append(data)
        self._length += len(data)
        if self._length >= BUFFERED or len(held) >= PIECES:
            self._flush()

    def lost(self, length: int | None) -> None:
        """Bytes that the capture does not hold here."""
        told = self.told
        filled = length is not None and length <= HOLE
        self._flush()
        told.missing.append(Missing(told.dataset_length, length, filled))
        if length is None:
            return
        told.dataset_length += length
        if filled:
            told.size += length

    def close(self, complete: bool) -> None:
        """The last byte came, or (not ``complete``) never will."""
        if self._closed:
            return
        self._closed = True
        self._flush()
        told = self.told
        if not complete and not told.missing:
            told.missing.append(Missing(told.dataset_length, None, False))
        assert self._path is not None
        try:
            os.truncate(self._file(), told.size)  # a hole at the end is only a position so far
            self.rest()
            if complete and not told.missing:
                self._path = self._extractor.rename(self._path, self._stem, ".dcm")
                told.complete = True
                told.sha256 = self._hash.hexdigest()
        except OSError as error:
            raise _failed(self._path, error) from error
        finally:
            self._extractor.unused(self)
            self._held.clear()
            self._length = 0
            self._hash = None
        told.file = self._path.name

    # ------------------------------------------------------------------ what the extractor calls

    def rest(self) -> None:
        """Close the file for now; the next bytes open it again."""
        if self._handle >= 0:
            self._identity = _identity(self._handle)
            os.close(self._handle)
            self._handle = -1

    def discard(self) -> None:
        """Take the file away again: it was not asked for."""
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                raise _failed(self._path, error) from error

    # ------------------------------------------------------------------ inside

    def _flush(self) -> None:
        data = b"".join(self._held)
        try:
            handle = self._file(data)
            if data:
                self._put(handle, data)
                self.told.dataset_length += len(data)
                self._held.clear()
                self._length = 0
        except OSError as error:
            raise _failed(self._path or self._extractor.folder, error) from error

    def _file(self, data: bytes = b"") -> int:
        """The file, created with its header at first, open at its end. ``data`` comes next."""
        extractor, told = self._extractor, self.told
        if self._path is None:
            self._path, self._handle = extractor.create(self._stem, ".dcm.partial")
            if not told.transfer_syntax:
                told.transfer_syntax = _guess(data)
            self._put(
                self._handle,
                part10.header(
                    told.sop_class,
                    told.sop_instance,
                    told.transfer_syntax,
                    told.source,
                    told.destination,
                ),
            )
        elif self._handle < 0:
            self._handle = os.open(self._path, os.O_WRONLY | _MAYBE_NOFOLLOW)
            if _identity(self._handle) != self._identity:
                raise OSError(errno.ESTALE, "something else has taken its place meanwhile")
        extractor.used(self)
        os.lseek(self._handle, told.size, os.SEEK_SET)
        return self._handle

    def _put(self, handle: int, data: bytes) -> None:
        if not self.told.missing:
            self._hash.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        self.told.size += len(data)


def _identity(handle: int) -> tuple[int, int, int]:
    """What tells a file from one that took its place; inodes alone are used again."""
    status = os.fstat(handle)
    return status.st_dev, status.st_ino, status.st_size


def _announces(message: Message) -> bool:
    """Whether a data set follows the command set of a C-STORE request."""
    if message.kind != "C-STORE-RQ":
        return False
    announced = message.command.get(0x0800)
    return announced is None or announced.value != NO_DATA_SET


def _nameless(message: Message) -> bool:
    """Whether it may be an object, of which only the data set is there."""
    syntax = message.abstract_syntax
    return (
        message.dataset is not None
        and not message.command_bytes
        and (syntax is None or names.is_storage(syntax))
    )


def _stem(uid: str | None, number: int) -> str:
    """A file name that says which object it is, whatever a peer calls it.

    Only a well-formed UID becomes one: digits and single dots cannot leave a folder, hide, or be
    taken for an option.
    """
    if uid is not None and len(uid) <= UID_LENGTH and _UID.fullmatch(uid):
        return uid
    return f"object-{number}"


def _guess(data: bytes) -> str:
    """The transfer syntax that a data set looks like, where its negotiation was not captured.

    What its pixel data is compressed with cannot be seen from here; the index marks it a guess.
    """
    if encoding.deflated(data, None):
        return _DEFLATED
    return encoding.choose(data, 0, None)[0].transfer_syntax


def _lines(head: dict[str, Any], objects: list[dict[str, Any]]) -> bytes:
    """The index as text, an object a line. Indenting it further is the business of who reads it:
    Python's encoder takes twenty times as long over that."""
    members = [f'"{key}": {json.dumps(value)}' for key, value in head.items()]
    rows = ",".join(f"\n  {json.dumps(each)}" for each in objects)
    members.append(f'"objects": [{rows}\n ]' if rows else '"objects": []')
    return ("{\n " + ",\n ".join(members) + "\n}\n").encode()


def _uid(uid: str | None) -> dict[str, str | None] | None:
    return None if uid is None else {"uid": uid, "name": names.uid_name(uid)}


def _failed(path: Path, error: OSError) -> OutputError:
    """One line: what, where, and what to do about it."""
    what = error.strerror or str(error)
    advice = {
        errno.ENOSPC: "; make room or choose another folder with -d",
        errno.EDQUOT: "; make room or choose another folder with -d",
        errno.EACCES: "; choose a folder that this user may write to with -d",
        errno.EPERM: "; choose a folder that this user may write to with -d",
        errno.EROFS: "; choose a folder that can be written to with -d",
        errno.ENOTDIR: "; -d must name a folder",
        errno.EEXIST: "; -d must name a folder, best an empty one",
    }.get(error.errno or 0, "")
    return OutputError(f"cannot write {path}: {what}{advice}")
