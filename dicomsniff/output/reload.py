"""A transcript that was saved, as model objects again: ``dicomsniff open bug.json``.

Whoever gets a bug report needs no packets. A transcript comes from outside, so nothing in it is
believed: its shape is held against the types that write it, its values go through the same
decoders as bytes from the wire, words that a capture would have had from us are made safe to print,
and the first thing that does not fit is told in one line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn, cast, get_args

from dicomsniff.dicom import pdu
from dicomsniff.dicom.command import decode_command, make_message
from dicomsniff.dicom.dataset import decode
from dicomsniff.model import (
    FRAMES_KEPT,
    Answer,
    AssociatePDU,
    Association,
    Attempt,
    CaptureInfo,
    Certificate,
    DataSetBytes,
    Endpoint,
    Entry,
    Fault,
    Finding,
    Gap,
    Link,
    Message,
    Operation,
    Peer,
    PresentationContext,
    SubOperations,
    Tls,
    TlsAlert,
    Transport,
    UnknownPDU,
    Unreachable,
    UserInformation,
)
from dicomsniff.output import encode, schema
from dicomsniff.output.checked import check
from dicomsniff.output.info import escape
from dicomsniff.output.shapes import doubts
from dicomsniff.output.times import time_of
from dicomsniff.output.version import FORMAT, LINE_FORMAT, VERSION

SIZE: Final = 1 << 30
"""Bytes of a transcript that are read. It is read whole, and takes some ten times its size."""

_HEAD: Final = 200
"""Characters in which a line of ``--ndjson`` says what it is: it does so first of all."""

_PDU_KINDS: Final = frozenset(
    (
        "A-ASSOCIATE-RQ",
        "A-ASSOCIATE-AC",
        "A-ASSOCIATE-RJ",
        "A-RELEASE-RQ",
        "A-RELEASE-RP",
        "A-ABORT",
        "UNKNOWN-PDU",
    )
)


class ReloadError(Exception):
    """A file that is no transcript, or a damaged one: one line that says what, where, and what to
    do."""


@dataclass(slots=True)
class Reloaded:
    """What a transcript holds."""

    info: CaptureInfo
    associations: list[Association]
    findings: list[Finding]
    redacted: bool
    """True where values of people are pseudonyms."""
    generator: str
    """Version of the dicomsniff that wrote it."""


def is_transcript(head: bytes) -> bool:
    """Tell from its first bytes whether a file may be a transcript: no capture begins like that."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"


def load(path: str | os.PathLike[str]) -> Reloaded:
    """Read a transcript, or lines of associations as ``--ndjson`` writes them."""
    name = Path(path).name
    try:
        with open(path, "rb") as stream:
            return read(stream, name)
    except OSError as error:
        raise ReloadError(f"{path}: {error.strerror or error}") from error


def read(stream: BinaryIO, name: str = "stdin") -> Reloaded:
    """The same from a stream; ``name`` is what errors call it."""
    data = stream.read(SIZE + 1)
    if len(data) > SIZE:
        raise ReloadError(f"{name}: more than {SIZE >> 20} MiB; save fewer associations (--where)")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReloadError(f"{name}: not a transcript: byte {error.start} is not UTF-8") from None
    del data
    if f'"{LINE_FORMAT}"' in text[:_HEAD]:
        return _lines(text, name)
    return _transcript(_parse(text, name, None), name)


def _parse(text: str, name: str, line: int | None, *, quiet: bool = False) -> Any:
    def constant(what: str) -> NoReturn:
        raise ValueError(f"{what} is no JSON")

    where = name if line is None else f"{name}, line {line}"
    try:
        return json.loads(text, parse_constant=constant)
    except json.JSONDecodeError as error:
        if quiet:
            return None
        # Of strings it says "starting at" or "at", and where they begin even if the end is missing.
        what = error.msg.removesuffix(" at")
        at = f"{what} at line {error.lineno}, column {error.colno}"
        ends = error.pos >= len(text.rstrip()) or what.startswith("Unterminated string")
        cut_off = " (cut off?)" if ends else ""
        raise ReloadError(f"{where}: not a transcript: {at}{cut_off}") from None
    except (ValueError, RecursionError) as error:
        if quiet:
            return None
        what = "nested too deep" if isinstance(error, RecursionError) else str(error)[:80]
        raise ReloadError(f"{where}: not a transcript: {what}") from None


def _head(told: object, name: str, wanted: str) -> None:
    """Say what it is, where it is not what is wanted."""
    if not isinstance(told, dict) or told.get("format") != wanted:
        raise ReloadError(f"{name}: not a transcript of dicomsniff")
    version = told.get("version")
    if version != VERSION or isinstance(version, bool):
        shown = ascii(version)[:20]
        raise ReloadError(
            f"{name}: version {shown} of the transcript; this dicomsniff reads version "
            f"{VERSION}: install one that is as new as the transcript"
        )


def _fits(told: object, of: Any, name: str) -> None:
    try:
        problem = check(told, of)
    except RecursionError:
        problem = ": nested too deep"
    if problem is not None:
        raise ReloadError(f"{name}: not a transcript: {problem.lstrip('.').removeprefix(': ')}")


def _transcript(told: Any, name: str) -> Reloaded:
    _head(told, name, FORMAT)
    _fits(told, schema.Transcript, name)
    whole = cast(schema.Transcript, told)
    capture = whole["capture"]
    try:
        info = CaptureInfo(
            capture["source"],
            capture["reader"],
            capture["packets"],
            capture["bytes"],
            None if capture["first"] is None else time_of(capture["first"]),
            None if capture["last"] is None else time_of(capture["last"]),
            capture["dropped"],
            capture["truncated"],
            [_attempt(attempt) for attempt in capture.get("attempts", ())],
            duplicates=capture.get("duplicates", 0),
            evicted=dict(capture.get("evicted", {})),
        )
    except ValueError as error:
        raise ReloadError(f"{name}: not a transcript: capture: {error}") from None
    return Reloaded(
        info,
        [
            _association(one, f"{name}: associations[{index}]")
            for index, one in enumerate(whole["associations"])
        ],
        [_finding(finding) for finding in whole["findings"]],
        whole["redaction"]["applied"],
        whole["generator"]["version"],
    )


def _lines(text: str, name: str) -> Reloaded:
    """Lines of associations. The last one may be cut off, where writing was interrupted."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    loaded = Reloaded(CaptureInfo("", "scapy"), [], [], True, "")
    for number, line in lines:
        told = _parse(line, name, number, quiet=number == lines[-1][0] and not text.endswith("\n"))
        if told is None:
            loaded.info.truncated = True
            break
        where = f"{name}, line {number}"
        _head(told, where, LINE_FORMAT)
        _fits(told, schema.Line, where)
        one = cast(schema.Line, told)
        loaded.info.source, loaded.info.reader = one["capture"]["source"], one["capture"]["reader"]
        loaded.redacted = loaded.redacted and one["redaction"]["applied"]
        loaded.generator = one["generator"]["version"]
        loaded.associations.append(_association(one, where))
    if loaded.associations:
        loaded.info.first = min(association.started for association in loaded.associations)
        loaded.info.last = max(association.ended for association in loaded.associations)
    return loaded


# ---------------------------------------------------------------------------- associations


def _association(told: schema.Association, where: str) -> Association:
    try:
        return _rebuild(told)
    except (ValueError, KeyError, OverflowError) as error:
        # An EncodeError says where; a KeyError is a reference to an entry that is not there.
        what = f" entry {error} is not there" if isinstance(error, KeyError) else str(error)
        raise ReloadError(f"{where}{what}") from None


def _rebuild(told: schema.Association) -> Association:
    association = Association(
        told["id"],
        _peer(told["requestor"]),
        _peer(told["acceptor"]),
        time_of(told["started"]),
        time_of(told["ended"]),
        told["outcome"],
        escape(told["outcome_detail"]),
        told["partial"],
        encrypted=told.get("encrypted", False),
        tls=_tls(told.get("tls")),
        application_context=_uid(told["application_context"]),
    )
    for context in told["presentation_contexts"]:
        association.contexts[context["id"]] = PresentationContext(
            context["id"],
            _uid(context["abstract_syntax"]),
            tuple(uid["uid"] for uid in context["proposed_transfer_syntaxes"]),
            context["result_number"],
            _uid(context["transfer_syntax"]),
        )
    by_number: dict[int, Entry] = {}
    for index, row in enumerate(told["timeline"]):
        try:
            entry = _entry(row, association)
        except ValueError as error:
            raise ValueError(f".timeline[{index}]{error}") from None
        association.timeline.append(entry)
        by_number[entry.number] = entry
    association.operations = [_operation(row, by_number) for row in told["operations"]]
    association.findings = [_finding(row) for row in told["findings"]]
    association.gaps = [
        Gap(gap["sender"], gap["offset"], gap["length"], time_of(gap["time"]), gap["frame"])
        for gap in told["gaps"]
    ]
    for side, peer in (("requestor", association.requestor), ("acceptor", association.acceptor)):
        peer.user_information = _user_information(association, side)
    return association


def _uid(told: schema.Uid | None) -> str | None:
    return None if told is None else told["uid"]


def _attempt(told: schema.Attempt) -> Attempt:
    if told["answer"] not in get_args(Answer):
        raise ValueError(f"{told['answer'][:20]!a} is no answer to a connection")
    return Attempt(
        escape(told["client"]),
        Endpoint(escape(told["server"]), told["port"]),
        cast(Answer, told["answer"]),
        time_of(told["first"]),
        time_of(told["last"]),
        told["times"],
        told["frames"],
        Unreachable(escape(told["unreachable_by"]), told.get("unreachable_code", 0))
        if "unreachable_by" in told
        else None,
    )


def _tls(told: schema.Tls | None) -> Tls | None:
    if told is None:
        return None
    return Tls(
        told["version"],
        told["cipher"],
        told["server_name"],
        tuple(told["offered_versions"]),
        told["offered_ciphers"],
        told["resumed"],
        told["client_asked"],
        tuple(_certificate(each) for each in told["server_certificates"]),
        tuple(_certificate(each) for each in told["client_certificates"]),
        [
            TlsAlert(
                int(alert["sender"] == "acceptor"),
                alert["fatal"],
                alert["code"],
                alert["meaning"],
                alert["frame"],
                time_of(alert["time"]),
            )
            for alert in told["alerts"]
        ],
        list(told["bytes"]),
        told["decrypted"],
    )


def _certificate(told: schema.Certificate) -> Certificate:
    before, after = told["not_before"], told["not_after"]
    return Certificate(
        told["subject"],
        told["issuer"],
        None if before is None else time_of(before),
        None if after is None else time_of(after),
        tuple(told["names"]),
    )


def _transport(told: schema.Transport) -> Transport:
    trip = told["round_trip"]
    return Transport(
        None if trip is None else _nanoseconds(trip),
        told["retransmitted"],
        _nanoseconds(told["retransmission_time"]),
        told["stalls"],
        _nanoseconds(told["stall_time"]),
        told["closed"],
        _nanoseconds(told["closed_time"]),
        told["unfinished"],
        {escape(what): frames for what, frames in told["frames"].items()},
    )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)


def _peer(told: schema.Peer) -> Peer:
    return Peer(
        escape(told["address"]),
        told["port"],
        told["ae_title"],
        _uid(told["implementation_class_uid"]),
        told["implementation_version_name"],
        told["maximum_length"],
        None,
        told["bytes"],
        _transport(told["transport"]) if "transport" in told else None,
    )


def _user_information(association: Association, side: str) -> UserInformation | None:
    """Of the request or of the answer, as their PDUs tell it."""
    kind = "A-ASSOCIATE-RQ" if side == "requestor" else "A-ASSOCIATE-AC"
    for entry in association.timeline:
        if entry.kind == kind and isinstance(entry.pdu, AssociatePDU):
            return entry.pdu.user_information
    return None


def _entry(told: schema.Entry, association: Association) -> Entry:
    entry = Entry(
        told["number"],
        escape(told["kind"]),
        told["sender"],
        time_of(told["time"]),
        time_of(told["began"]),
        tuple(told["frames"][:FRAMES_KEPT]),
        told["frame_count"],
        told["last_frame"],
        told["length"],
        told["complete"],
        detail=escape(told.get("detail", "")),
    )
    if "command" in told:
        entry.message = _message(told, association)
    elif entry.kind in _PDU_KINDS:
        entry.raw = encode.pdu(told)
        entry.pdu = _pdu(entry)
    entry.faults = tuple(
        Fault(escape(fault["text"]), fault["start"], fault["end"]) for fault in told["faults"]
    )
    return entry


def _pdu(entry: Entry) -> Any:
    """Decoded from bytes made a moment ago; what is wrong with those is not what was captured."""
    if entry.kind == "UNKNOWN-PDU":
        return UnknownPDU(entry.raw[0])
    return replace(cast(Any, pdu.decode(entry.raw)), faults=())


def _message(told: Mapping[str, Any], association: Association) -> Message:
    try:
        data = encode.command(told["command"])
    except encode.EncodeError as error:
        raise ValueError(f".command{error}") from None
    elements, _ = decode_command(data)
    context_id = told.get("context_id", 0)
    message = make_message(context_id, elements, data, association.contexts.get(context_id))
    message.abstract_syntax = _uid(told.get("abstract_syntax"))
    message.transfer_syntax = _uid(told.get("transfer_syntax"))
    message.transfer_syntax_guessed = told.get("transfer_syntax_guessed", False)
    message.fragment_count = told.get("fragments", 0)
    if told.get("dataset") is not None:
        try:
            message.dataset = _dataset(told, message)
        except encode.EncodeError as error:
            raise ValueError(f".dataset{error}") from None
    return message


def _dataset(told: Mapping[str, Any], message: Message) -> DataSetBytes:
    syntax = _uid(told["dataset_read_as"]) if "dataset_read_as" in told else message.transfer_syntax
    length, complete = told.get("dataset_length") or 0, told.get("dataset_complete", True)
    charset = told.get("dataset_charset_guess")
    made = encode.dataset(told["dataset"], length, complete, syntax, charset)
    faults, notes = told.get("dataset_faults", ()), told.get("dataset_notes", ())
    if faults or notes:
        # What was wrong with the bytes that were captured is not wrong with these.
        seen_faults, seen_notes, _ = doubts(decode(made, message.transfer_syntax))
        made = made._replace(
            faults=tuple(Fault(escape(text), 0, 0) for text in faults if text not in seen_faults),
            notes=tuple(escape(text) for text in notes if text not in seen_notes),
        )
    return made


def _operation(told: schema.Operation, entries: Mapping[int, Entry]) -> Operation:
    status, counts = told["status"], told["sub_operations"]
    return Operation(
        told["service"],
        told["message_id"],
        told["context_id"],
        _uid(told["sop_class"]),
        told["invoked_by"],
        None if told["request"] is None else entries[told["request"]],
        [entries[number] for number in told["responses"]],
        None if status is None else int(status["code"], 16),
        told["cancelled"],
        None
        if counts is None
        else SubOperations(
            counts["remaining"], counts["completed"], counts["failed"], counts["warning"]
        ),
        [
            Link(link["association"], link["operation"], escape(link["why"]))
            for link in told["linked"]
        ],
    )


def _finding(told: schema.Finding) -> Finding:
    return Finding(
        escape(told["code"]),
        told["severity"],
        escape(told["title"]),
        escape(told["detail"]),
        escape(told["advice"]),
        tuple(told["evidence"]),
        tuple(told["frames"]),
        None if told["reference"] is None else escape(told["reference"]),
    )
