"""The line a person reads: Wireshark's words where it is right, better ones where it is not.

Differences from Wireshark 4.0 on purpose: the arrow of an A-ABORT points away from whoever sent
it; every response shows its message ID, its status and its counts; statuses have the meaning of
the service at hand; a message is one row, with its data set.
"""

from __future__ import annotations

import re
from functools import lru_cache

from dicomsniff.analysis.operations import sub_operations
from dicomsniff.dicom.names import (
    abort_text,
    is_storage,
    reject_text,
    service_name,
    status,
    uid_name,
)
from dicomsniff.model import AbortPDU, Association, Entry, Message, RejectPDU, UnknownPDU

REMEMBERED = 1024
"""Lines of messages kept."""
REMEMBERED_LENGTH = 256
"""Characters of their texts from the wire, of those kept: two UIDs have 128."""

_UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 and C1: ESC begins commands to the terminal
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"  # what turns or hides text
    "\u2028\u2029\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"  # lone surrogates cannot be written at all
    "\U000e0000-\U000e007f"
    "]"
)


def escape(text: str) -> str:
    """Make text from the wire safe to print: whatever acts on a terminal becomes visible."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def info(association: Association, entry: Entry, *, comments: bool = False) -> str:
    """What stands in the Info column.

    ``comments`` adds Error Comment (0000,0902), which is free text and may name a patient.
    """
    if entry.message is not None:
        text = _message(entry.message, comments)
    elif entry.kind in ("GAP", "CONNECTION-LOST"):
        text = f"[{escape(entry.detail)}]"
    elif entry.kind == "TLS":
        text = escape(entry.detail)
    elif entry.kind == "UNDECODED":
        text = f"[{entry.length} bytes not decoded: {escape(entry.detail)}]"
    else:
        text = _pdu(association, entry)
    if not entry.complete and entry.kind not in ("GAP", "UNDECODED"):
        text += " [incomplete]"
    return text


def _titles(association: Association, arrow: str) -> str:
    return _called(association.requestor.ae_title, arrow, association.acceptor.ae_title)


@lru_cache(maxsize=REMEMBERED)
def _called(calling: str | None, arrow: str, called: str | None) -> str:
    return f"{escape(calling or '?')} {arrow} {escape(called or '?')}"


def _pdu(association: Association, entry: Entry) -> str:
    pdu = entry.pdu
    if entry.kind == "A-ASSOCIATE-RQ":
        return f"A-ASSOCIATE request {_titles(association, '-->')}"
    if entry.kind == "A-ASSOCIATE-AC":
        return f"A-ASSOCIATE accept  {_titles(association, '<--')}"
    if isinstance(pdu, RejectPDU):
        reason = reject_text(pdu.result, pdu.source, pdu.reason)[2]
        return f"A-ASSOCIATE reject  {_titles(association, '<--')} ({reason})"
    if entry.kind == "A-RELEASE-RQ":
        return "A-RELEASE request"
    if entry.kind == "A-RELEASE-RP":
        return "A-RELEASE response"
    if isinstance(pdu, AbortPDU):
        arrow = "-->" if entry.sender == "requestor" else "<--"
        source, reason = abort_text(pdu.source, pdu.reason)
        why = f"{source}: {reason}" if pdu.source == 2 else source
        return f"ABORT {_titles(association, arrow)} ({why})"
    if isinstance(pdu, UnknownPDU):
        return f"PDU of unknown type {pdu.type:02X}H"
    return entry.kind


def _message(message: Message, comments: bool) -> str:
    if message.kind == "UNDECODED":
        what = "unknown command"
        if not message.command_bytes:
            begun = message.dataset is not None
            what = "a data set without a command" if begun else "a command that had just begun"
        return f"P-DATA, [{what} on context {message.context_id}]"
    service = message.service
    counts = comment = ""
    if service in ("C-MOVE", "C-GET"):
        counts = _counts(message)
    if comments and message.status is not None:
        comment = _comment(message)
    told = (
        message.kind,
        service,
        message.is_request,
        message.message_id,
        message.status,
        message.sop_class,
        message.abstract_syntax,
        counts,
        comment,
    )
    length = len(message.sop_class or "") + len(message.abstract_syntax or "") + len(comment)
    return _remembered(*told) if length <= REMEMBERED_LENGTH else _text(*told)


def _text(
    kind: str,
    service: str,
    is_request: bool,
    message_id: int | None,
    status: int | None,
    sop_class: str | None,
    abstract_syntax: str | None,
    counts: str,
    comment: str,
) -> str:
    """The line of a message; the same for each of a query's answers."""
    text = f"P-DATA, {kind}"
    if message_id is not None:
        text += f" ID={message_id}"
    text += counts
    if status is not None:
        return f"{text} ({_status(service, sop_class or abstract_syntax, status, comment)})"
    if is_request and sop_class is not None:
        named = _subject(service, sop_class)
        if named:
            text += f", {named}"
    return text


_remembered = lru_cache(maxsize=REMEMBERED)(_text)


def _counts(message: Message) -> str:
    """Sub-operations that a response tells of: completed, remaining, warnings, failed."""
    told = sub_operations(message)
    if told is None:
        return ""
    pairs = (
        ("C", told.completed),
        ("R", told.remaining),
        ("W", told.warning),
        ("F", told.failed),
    )
    return "".join([f" {letter}={count}" for letter, count in pairs if count])


def _comment(message: Message) -> str:
    element = message.command.get(0x0902)
    return element.value if element is not None and isinstance(element.value, str) else ""


def _status(service: str, sop_class: str | None, code: int, comment: str) -> str:
    known = status(service, sop_class, code)
    if known.category == "Success" and code == 0:
        return "Success"
    if known.category == "Pending":
        return "Pending" if code == 0xFF00 else f"Pending, 0x{code:04X}"
    text = f"{known.category}: {known.meaning}, 0x{code:04X}"
    return f"{text}, {escape(comment)}" if comment else text


def _subject(service: str, sop_class: str) -> str:
    """What a request is about: the object's class of a C-STORE, the service of a query."""
    if service == "C-ECHO":
        return ""
    if is_storage(sop_class) or service == "C-STORE":
        return uid_name(sop_class) or escape(sop_class)
    return service_name(sop_class) or uid_name(sop_class) or escape(sop_class)
