"""Model objects as the transcript's JSON values, redacted on the way.

One method a shape, each returning the typed dictionary of ``schema`` that describes it. Nothing
here writes; ``transcript`` does. Everything that came from the wire passes the redactor, so that
no shape can forget to ask it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, cast

from dicomsniff.analysis.stow import StowedMessage
from dicomsniff.dicom import dataset as datasets
from dicomsniff.dicom import names
from dicomsniff.dicom.elements import DataSet, tag_text
from dicomsniff.model import (
    AbortPDU,
    AssociatePDU,
    Association,
    Attempt,
    CaptureInfo,
    Certificate,
    Entry,
    Fault,
    Finding,
    Gap,
    Message,
    Operation,
    Peer,
    RejectPDU,
    Tls,
    Transport,
    UnknownPDU,
)
from dicomsniff.output import djson
from dicomsniff.output.info import escape, info
from dicomsniff.output.negotiation import Negotiation
from dicomsniff.output.redact import Redactor
from dicomsniff.output.times import time_text

if TYPE_CHECKING:
    from dicomsniff.output import schema
    from dicomsniff.output.schema import Reader

DOUBTS_TOLD: Final = 100
"""Faults, and notes, told of one data set: noise would give one every few bytes."""

_ADDRESS: Final = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)|[0-9a-fA-F]*:[0-9a-fA-F:.]*[0-9a-fA-F:])"
)
_UID: Final = re.compile(r"(?<![\w.])\d(?:\.\d+){4,}")
"""A UID in the text of a finding: five components at least, for an address has four."""


def seconds(nanoseconds: int) -> float:
    """Seconds, for the nearest number that JSON can hold."""
    return nanoseconds / 1_000_000_000


def _reader(name: str) -> Reader:
    return "pyshark" if name == "pyshark" else "live" if name == "live" else "scapy"


def transport(told: Transport) -> schema.Transport:
    """What TCP did with the bytes of one side."""
    return {
        "round_trip": None if told.round_trip is None else seconds(told.round_trip),
        "retransmitted": told.retransmitted,
        "retransmission_time": seconds(told.retransmission_time),
        "stalls": told.stalls,
        "stall_time": seconds(told.stall_time),
        "closed": told.closed,
        "closed_time": seconds(told.closed_time),
        "unfinished": told.unfinished,
        "frames": {what: list(frames) for what, frames in told.frames.items()},
    }


class Shaper(Negotiation):
    """Makes the transcript's values, through one redactor."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__(redactor)
        self._minute = (0, "")

    # ------------------------------------------------------------------ small ones

    def time(self, time: int) -> str:
        """Like ``time_text``, and quick for times that follow one another."""
        minute, rest = divmod(time, 60_000_000_000)
        if self._minute[0] != minute or not self._minute[1]:
            self._minute = (minute, time_text(minute * 60_000_000_000)[:-13])
        second, nanoseconds = divmod(rest, 1_000_000_000)
        return f"{self._minute[1]}{second:02d}.{nanoseconds:09d}Z"

    @property
    def state(self) -> tuple[int, ...]:
        """What decides how values are shown, beside the values: as long as it is the same, so are
        they."""
        return (*self.redactor.state, len(self._classes))

    def status(self, service: str, sop_class: str | None, code: int | None) -> schema.Status | None:
        """A status with the meaning it has for the service."""
        if code is None:
            return None
        status = names.status(service, sop_class, code)
        return {
            "code": f"0x{code:04X}",
            "category": status.category or None,
            "meaning": status.meaning or None,
        }

    def faults(self, faults: tuple[Fault, ...]) -> list[schema.Fault]:
        """Faults with their places."""
        return [{"text": fault.text, "start": fault.start, "end": fault.end} for fault in faults]

    # ------------------------------------------------------------------ capture

    def capture(self, info: CaptureInfo) -> schema.Capture:
        """The capture as a whole."""
        shape: schema.Capture = {
            "source": self.redactor.file_name(info.source),
            "reader": _reader(info.reader),
            "packets": info.packets,
            "bytes": info.bytes,
            "first": None if info.first is None else self.time(info.first),
            "last": None if info.last is None else self.time(info.last),
            "dropped": info.dropped,
            "truncated": info.truncated,
            "attempts": [self.attempt(attempt) for attempt in info.attempts],
        }
        if info.duplicates:
            shape["duplicates"] = info.duplicates
        if info.evicted:
            shape["evicted"] = dict(info.evicted)
        return shape

    def attempt(self, attempt: Attempt) -> schema.Attempt:
        """Connections on which no DICOM was spoken."""
        shape: schema.Attempt = {
            "client": self.redactor.address(attempt.client),
            "server": self.redactor.address(attempt.server.address),
            "port": attempt.server.port,
            "answer": attempt.answer,
            "first": self.time(attempt.first),
            "last": self.time(attempt.last),
            "times": attempt.times,
            "frames": list(attempt.frames),
        }
        if attempt.unreachable is not None:
            shape["unreachable_by"] = self.redactor.address(attempt.unreachable.by)
            shape["unreachable_code"] = attempt.unreachable.code
        return shape

    def tls(self, tls: Tls) -> schema.Tls:
        """A TLS connection. Names of hosts are masked as their addresses are."""
        return {
            "decrypted": tls.decrypted,
            "version": tls.version,
            "cipher": tls.cipher,
            "server_name": None
            if tls.server_name is None
            else self.redactor.address(tls.server_name),
            "offered_versions": list(tls.offered_versions),
            "offered_ciphers": tls.offered_ciphers,
            "resumed": tls.resumed,
            "client_asked": tls.client_asked,
            "server_certificates": [self.certificate(each) for each in tls.server_certificates],
            "client_certificates": [
                self.certificate(each, somebody=True) for each in tls.client_certificates
            ],
            "alerts": [
                {
                    "sender": "acceptor" if alert.side else "requestor",
                    "fatal": alert.fatal,
                    "code": alert.code,
                    "meaning": alert.meaning,
                    "time": self.time(alert.time),
                    "frame": alert.frame,
                }
                for alert in tls.alerts
            ],
            "bytes": list(tls.bytes),
        }

    def certificate(
        self, certificate: Certificate, *, somebody: bool = False
    ) -> schema.Certificate:
        """A certificate. ``somebody``: it may be a person's, as a user's name is."""
        name = self.redactor.user_name if somebody else self.redactor.host_name
        before, after = certificate.not_before, certificate.not_after
        return {
            "subject": name(certificate.subject),
            "issuer": name(certificate.issuer),
            "not_before": None if before is None else self.time(before),
            "not_after": None if after is None else self.time(after),
            "names": [name(each) for each in certificate.names],
        }

    def line_capture(self, info: CaptureInfo) -> schema.LineCapture:
        """What is known of the capture while it is still being read."""
        shape: schema.LineCapture = {
            "source": self.redactor.file_name(info.source),
            "reader": _reader(info.reader),
        }
        if info.reader == "live" and info.dropped is not None:
            shape["dropped"] = info.dropped
        if info.reader == "live" and info.evicted:
            shape["evicted"] = dict(info.evicted)
        return shape

    def finding(self, finding: Finding, association: Association | None = None) -> schema.Finding:
        """A finding with its evidence."""
        titles: set[str | None] = set(finding.ae_titles)
        if association is not None:
            titles |= {association.requestor.ae_title, association.acceptor.ae_title}
            if _UID.search(finding.title) or _UID.search(finding.detail):
                self.classes(association)
        return {
            "code": finding.code,
            "severity": finding.severity,
            "title": self.told(finding.title, titles),
            "detail": self.told(finding.detail, titles),
            "evidence": list(finding.evidence),
            "frames": list(finding.frames),
            "reference": finding.reference,
            "advice": self.told(finding.advice, titles),
        }

    # ------------------------------------------------------------------ association

    def association(self, association: Association) -> schema.Association:
        """An association without its timeline, which is left empty here: entries are written
        one by one."""
        return {
            "id": association.id,
            "outcome": association.outcome,
            "outcome_detail": association.outcome_detail,
            "partial": association.partial,
            "encrypted": association.encrypted,
            "tls": None if association.tls is None else self.tls(association.tls),
            "started": self.time(association.started),
            "ended": self.time(association.ended),
            "duration": seconds(association.duration),
            "requestor": self.peer(association.requestor),
            "acceptor": self.peer(association.acceptor),
            "application_context": self.class_uid(association.application_context),
            "presentation_contexts": [
                self.presentation_context(context) for context in association.contexts.values()
            ],
            "user_information": {
                "requestor": self.user_information(association.requestor.user_information),
                "acceptor": self.user_information(association.acceptor.user_information),
            },
            "timeline": [],
            "operations": [self.operation(operation) for operation in association.operations],
            "findings": [self.finding(finding, association) for finding in association.findings],
            "gaps": [self.gap(gap) for gap in association.gaps],
        }

    def peer(self, peer: Peer) -> schema.Peer:
        """One side of an association."""
        shape: schema.Peer = {
            "ae_title": self.ae_title(peer.ae_title),
            "address": self.redactor.address(peer.address),
            "port": peer.port,
            "implementation_class_uid": self.implementation(peer.implementation_class_uid),
            "implementation_version_name": peer.implementation_version_name,
            "maximum_length": peer.maximum_length,
            "bytes": peer.bytes,
        }
        if peer.transport is not None:
            shape["transport"] = transport(peer.transport)
        return shape

    def speaker(self, peer: Peer) -> schema.Speaker:
        """One side of an association, in short."""
        return {
            "ae_title": self.ae_title(peer.ae_title),
            "address": self.redactor.address(peer.address),
            "port": peer.port,
        }

    def operation(self, operation: Operation) -> schema.Operation:
        """A request with everything that answered it."""
        first, duration, counts = (
            operation.first_response,
            operation.duration,
            operation.sub_operations,
        )
        return {
            "service": operation.service,
            "message_id": operation.message_id,
            "context_id": operation.context_id,
            "sop_class": self.sop_class(operation.sop_class),
            "invoked_by": operation.invoked_by,
            "request": None if operation.request is None else operation.request.number,
            "responses": [entry.number for entry in operation.responses],
            "status": self.status(operation.service, operation.sop_class, operation.status),
            "first_response": None if first is None else seconds(first),
            "duration": None if duration is None else seconds(duration),
            "cancelled": operation.cancelled,
            "sub_operations": None
            if counts is None
            else {
                "remaining": counts.remaining,
                "completed": counts.completed,
                "failed": counts.failed,
                "warning": counts.warning,
            },
            "linked": [
                {"association": link.association, "operation": link.operation, "why": link.why}
                for link in operation.linked
            ],
        }

    def gap(self, gap: Gap) -> schema.Gap:
        """Bytes that the capture does not hold."""
        return {
            "sender": gap.sender,
            "offset": gap.offset,
            "length": gap.length,
            "time": self.time(gap.time),
            "frame": gap.frame,
        }

    # ------------------------------------------------------------------ timeline

    def entry(self, association: Association, entry: Entry) -> schema.Entry:
        """A row of the timeline."""
        shape = self.row(association, entry, self.info(association, entry))
        message = entry.message
        if message is not None:
            self.message(shape, message)
            self.dataset(shape, association, entry, message)
        elif entry.pdu is not None:
            self.pdu(shape, entry)
        return shape

    def row(self, association: Association, entry: Entry, info: str) -> schema.Entry:
        """What every row has, ``info`` being its line for people."""
        shape: schema.Entry = {
            "number": entry.number,
            "kind": entry.kind,
            "time": self.time(entry.time),
            "began": self.time(entry.began),
            "elapsed": seconds(entry.time - association.started),
            "sender": entry.sender,
            "frames": list(entry.frames),
            "frame_count": entry.frame_count,
            "last_frame": entry.last_frame,
            "length": entry.length,
            "info": info,
            "complete": entry.complete,
            "faults": self.faults(entry.faults),
        }
        if entry.detail:
            shape["detail"] = entry.detail
        return shape

    def pdu(self, shape: schema.Entry, entry: Entry) -> None:
        """Add the fields of a PDU."""
        pdu = entry.pdu
        if isinstance(pdu, AssociatePDU):
            shape["protocol_version"] = pdu.protocol_version
            shape["called_ae_title"] = self.redactor.ae_title(pdu.called_ae_title)
            shape["calling_ae_title"] = self.redactor.ae_title(pdu.calling_ae_title)
            shape["application_context"] = self.class_uid(pdu.application_context)
            shape["presentation_contexts"] = [self.context_item(item) for item in pdu.contexts]
            told = self.user_information(pdu.user_information)
            if told is not None:
                shape["user_information"] = told
            shape["unknown_items"] = self.unknown_items(pdu.unknown_items)
        elif isinstance(pdu, RejectPDU):
            result, source, reason = names.reject_text(pdu.result, pdu.source, pdu.reason)
            shape["result"] = self.coded(pdu.result, result)
            shape["source"] = self.coded(pdu.source, source)
            shape["reason"] = self.coded(pdu.reason, reason)
        elif isinstance(pdu, AbortPDU):
            source, reason = names.abort_text(pdu.source, pdu.reason)
            shape["source"] = self.coded(pdu.source, source)
            shape["reason"] = self.coded(pdu.reason, reason)
        elif isinstance(pdu, UnknownPDU):
            shape["pdu_type"] = f"0x{pdu.type:02X}"

    def message(self, shape: schema.Entry, message: Message) -> None:
        """Add the command set of a message, and what it means."""
        shape["context_id"] = message.context_id
        shape["message_id"] = message.message_id
        shape["abstract_syntax"] = self.class_uid(message.abstract_syntax)
        shape["transfer_syntax"] = self.class_uid(message.transfer_syntax)
        shape["transfer_syntax_guessed"] = message.transfer_syntax_guessed
        shape["fragments"] = message.fragment_count
        if not message.is_request:
            shape["status"] = self.status(message.service, message.sop_class, message.status)
        shape["command"] = self.command(message)

    def dataset(
        self, shape: schema.Entry, association: Association, entry: Entry, message: Message
    ) -> None:
        """Add the data set of a message."""
        held = message.dataset
        if held is None:
            shape["dataset"] = None
            shape["dataset_length"] = None
            return
        decoded = datasets.decode(held, message.transfer_syntax)
        prefix = self.bulk(association, entry)
        shape["dataset"] = cast(
            "dict[str, schema.DicomElement]", djson.dataset_json(decoded, self.redactor, prefix)
        )
        shape["dataset_length"] = held.length
        shape["dataset_complete"] = held.complete
        if decoded.transfer_syntax != message.transfer_syntax:
            shape["dataset_read_as"] = self.class_uid(decoded.transfer_syntax)
        shape["dataset_faults"], shape["dataset_notes"], charset = doubts(decoded)
        if charset is not None:
            shape["dataset_charset_guess"] = charset

    def bulk(self, association: Association, entry: Entry) -> str:
        """What names the values of a row's data set that are not written."""
        return f"bulk:association/{association.id}/entry/{entry.number}/"

    def command(self, message: Message) -> dict[str, schema.DicomElement]:
        """A command set, redacted."""
        return cast("dict[str, schema.DicomElement]", djson.command_json(message, self.redactor))

    # ------------------------------------------------------------------ words

    def info(self, association: Association, entry: Entry) -> str:
        """The Info column, without what the redactor hides, safe to print."""
        message = entry.message
        if message is not None:
            shown = self.sop_class(message.sop_class)
            if shown is not None and shown["uid"] != message.sop_class:
                if isinstance(message, StowedMessage):
                    message = message.taken()
                entry = replace(entry, message=replace(message, sop_class=shown["uid"]))
            return escape(info(association, entry))
        if self.redactor.mask_ae and entry.pdu is not None:
            association = replace(
                association,
                requestor=self._masked(association.requestor),
                acceptor=self._masked(association.acceptor),
            )
        return escape(info(association, entry))

    def _masked(self, peer: Peer) -> Peer:
        return replace(peer, ae_title=self.ae_title(peer.ae_title))

    def told(self, text: str, titles: Iterable[str | None]) -> str:
        """A finding's text, without the UIDs, addresses and titles that the redactor hides."""
        text = _UID.sub(lambda found: self.redactor.told_uid(found[0]), text)
        if self.redactor.mask_addresses:
            text = _ADDRESS.sub(self._address, text)
        if self.redactor.mask_ae:
            # The longest first: one title may begin like another. A title may be a word of the
            # text, too: STORE is none in C-STORE.
            for title in sorted(filter(None, titles), key=len, reverse=True):
                parts = re.split(rf"(?<![\w-]){re.escape(title)}(?!\w)", text)
                text = self.redactor.ae_title(title).join(parts)
        return text

    def classes(self, association: Association) -> None:
        """Take over what an association negotiated: its UIDs are those of classes."""
        for peer in (association.requestor, association.acceptor):
            self.implementation(peer.implementation_class_uid)
        for context in association.contexts.values():
            self.class_uid(context.abstract_syntax)
            for uid in context.proposed_transfer_syntaxes:
                self.negotiated(uid)
            self.class_uid(context.transfer_syntax)

    def _address(self, found: re.Match[str]) -> str:
        try:
            return self.redactor.address(str(ip_address(found[0])))
        except ValueError:
            return found[0]


def doubts(decoded: DataSet) -> tuple[list[str], list[str], str | None]:
    """Faults and notes of a data set, each with the element it concerns; they hold no values. And
    the character set that values were decoded with though it was not declared."""
    faults = [fault.text for fault in decoded.faults]
    notes = list(decoded.notes)
    charset: str | None = None
    for path, element in decoded.walk():
        charset = charset or element.charset
        if element.faults or element.notes:
            place = _place(path)
            faults += [f"{place} {fault.text}" for fault in element.faults]
            notes += [f"{place} {note}" for note in element.notes]
        for number, item in enumerate(element.items):
            if item.faults:
                place = f"{_place(path)}[{number}]"
                faults += [f"{place} {fault.text}" for fault in item.faults]
    return faults[:DOUBTS_TOLD], notes[:DOUBTS_TOLD], charset


def _place(path: tuple[int, ...]) -> str:
    """``(0040,0100)[0](0010,0010)``."""
    return "".join(f"[{part}]" if index % 2 else tag_text(part) for index, part in enumerate(path))
