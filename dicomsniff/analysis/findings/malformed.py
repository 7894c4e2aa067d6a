"""What breaks the rules of PS3.7 and PS3.8 on the wire: order, lengths, numbers, leftovers."""

from __future__ import annotations

from collections.abc import Iterator

from dicomsniff.analysis.findings import (
    View,
    faulty,
    finding,
    rule,
)
from dicomsniff.analysis.findings.telling import upper
from dicomsniff.analysis.findings.words import OTHER, count, listed, operation, spoken, who
from dicomsniff.model import Association, Entry, Fault, Finding, Operation, Side

_EVENTS = (
    "A-ASSOCIATE-RQ from the ",
    "A-ASSOCIATE-AC from the ",
    "A-ASSOCIATE-RJ from the ",
    "P-DATA-TF from the ",
    "A-RELEASE-RQ from the ",
    "A-RELEASE-RP from the ",
    "A-ABORT from the ",
)
"""How a fault of the state machine begins (see ``dicom/association.py``)."""

_GROUP_LENGTH = "Command Group Length"
_CONTEXT = "presentation context "
_TWICE = " sends other bytes again "

_PROTOCOLS: tuple[tuple[bytes, str], ...] = (
    (b"HTTP/", "HTTP"),
    (b"<!DOCTYPE", "HTTP"),
    (b"<html", "HTTP"),
    (b"\x16\x03", "TLS"),
    (b"\x0bMSH|", "HL7 (MLLP)"),
    (b"SSH-", "SSH"),
    (b"220 ", "FTP or SMTP"),
    (b"RFB ", "VNC"),
)
"""How the first bytes of other protocols tell them."""


def _is_violation(fault: Fault) -> bool:
    return fault.text.startswith(_EVENTS)


def _faulty(view: View) -> Iterator[tuple[Entry, Fault]]:
    for entry in view.association.timeline:
        for fault in entry.faults:
            yield entry, fault


@rule(
    "protocol-violation",
    "error",
    "association",
    "A PDU came in a state of the association in which its sender may not send it.",
    "PS3.8 9.2.3",
    when=faulty,
)
def violations(view: View) -> Iterator[Finding]:
    """The state machine of the upper layer, as seen from the middle."""
    association = view.association
    found: dict[str, list[Entry]] = {}
    for entry, fault in _faulty(view):
        if entry.message is not None and not entry.complete:
            continue  # its place in the timeline is where it was given up, not where it was sent
        if _is_violation(fault):
            found.setdefault(fault.text, []).append(entry)
    for text, entries in found.items():
        sender = entries[0].sender
        often = "" if len(entries) == 1 else f", {len(entries)} times"
        yield finding(
            "protocol-violation",
            f"{text}{often}",
            f"{who(association, sender)} sent {spoken(entries[0])} where PS3.8 does not allow it. "
            "A strict peer aborts with reason 2, unexpected PDU.",
            f"On the side of {who(association, sender)}: its upper layer is out of step. A log of "
            "its state at this time helps its vendor.",
            *entries,
        )


@rule(
    "context-id-even",
    "error",
    "association",
    "A presentation context was proposed with an even ID.",
    "PS3.8 9.3.2.2",
)
def even(view: View) -> Iterator[Finding]:
    """They are the odd numbers from 1 to 255."""
    association = view.association
    entry = next((e for e in association.timeline if e.kind == "A-ASSOCIATE-RQ"), None)
    wrong = [str(number) for number in association.contexts if number % 2 == 0]
    if not wrong or entry is None:
        return
    yield finding(
        "context-id-even",
        f"{who(association, 'requestor')} proposes presentation contexts with even IDs",
        f"IDs {listed(wrong)}. Only odd ones are allowed; acceptors refuse others, or abort.",
        f"On the side of {who(association, 'requestor')}: number contexts 1, 3, 5…",
        entry,
    )


def _odd(view: View) -> bool:
    return any(odd for _, odd in view.carried.values())


@rule(
    "odd-length",
    "warning",
    "message",
    "A presentation data value has an odd length.",
    "PS3.8 E.1",
    when=_odd,
)
def odd(view: View) -> Iterator[Finding]:
    """Fragments of a message have an even number of bytes."""
    association = view.association
    for side in ("requestor", "acceptor"):
        entries = [
            entry
            for entry in association.timeline
            if entry.sender == side
            and entry.complete
            and entry.message is not None
            and any(each.pdv_length % 2 for each in entry.message.fragments)
        ]
        if entries:
            sender: Side = entries[0].sender
            yield finding(
                "odd-length",
                f"{who(association, sender)} sends presentation data values of odd length",
                f"{count(len(entries), 'message')}, the first {spoken(entries[0])}. Command and "
                "data set fragments have to have an even number of bytes.",
                f"On the side of {who(association, sender)}: pad values to even lengths, and cut "
                "messages at even places. Some receivers lose the last byte.",
                *entries,
            )


@rule(
    "group-length-wrong",
    "warning",
    "message",
    "Command Group Length (0000,0000) is missing, or not what follows.",
    "PS3.7 6.3.1",
    when=faulty,
)
def group_length(view: View) -> Iterator[Finding]:
    """The first element of every command set tells its length."""
    association = view.association
    found: dict[Side, list[tuple[Entry, str]]] = {}
    for entry, fault in _faulty(view):
        if _GROUP_LENGTH in fault.text and entry.complete:
            found.setdefault(entry.sender, []).append((entry, fault.text))
    for sender, faults in found.items():
        yield finding(
            "group-length-wrong",
            f"{who(association, sender)} sends command sets with a wrong group length",
            f"{count(len(faults), 'message')}, the first {spoken(faults[0][0])}: {faults[0][1]}.",
            f"On the side of {who(association, sender)}: (0000,0000) has to hold the number of "
            "bytes behind it in the command set. Receivers that trust it read the wrong number.",
            *[entry for entry, _ in faults],
        )


@rule(
    "pdu-malformed",
    "warning",
    "association",
    "A PDU holds what PS3.8 does not allow: lengths, items, numbers, characters.",
    "PS3.8 9.3",
)
def pdus(view: View) -> Iterator[Finding]:
    """Everything the decoder found, but for what has a rule of its own."""
    association = view.association
    for entry in association.timeline:
        if entry.pdu is None or not entry.complete:
            continue
        texts = [
            fault.text
            for fault in entry.faults
            if not _is_violation(fault) and "an ID is odd" not in fault.text
        ]
        if texts:
            yield finding(
                "pdu-malformed",
                f"{who(association, entry.sender)} sends a malformed {entry.kind}",
                f"{listed(texts)}.",
                f"On the side of {who(association, entry.sender)}: its vendor has to mend this. "
                "Whether it does harm depends on how strict the other side is.",
                entry,
            )


@rule(
    "message-malformed",
    "warning",
    "message",
    "A command set or its presentation data values are malformed.",
    "PS3.7 6.3.1",
    when=faulty,
)
def messages(view: View) -> Iterator[Finding]:
    """Everything the decoder found, but for what has a rule of its own."""
    association = view.association
    found: dict[tuple[Side, str], list[Entry]] = {}
    for entry, fault in _faulty(view):
        if entry.message is None or not entry.complete or _is_violation(fault):
            continue
        if _GROUP_LENGTH in fault.text or fault.text.startswith(_CONTEXT) or _TWICE in fault.text:
            continue
        found.setdefault((entry.sender, fault.text), []).append(entry)
    for (sender, text), entries in found.items():
        yield finding(
            "message-malformed",
            f"{who(association, sender)} sends a malformed {entries[0].kind}: {text}",
            f"{count(len(entries), 'message')}, the first {spoken(entries[0])}.",
            f"On the side of {who(association, sender)}: its vendor has to mend this.",
            *entries,
        )


@rule(
    "bytes-conflict",
    "warning",
    "connection",
    "TCP bytes were sent again and differed from those sent before.",
    "RFC 9293 3.4",
    when=faulty,
)
def conflicts(view: View) -> Iterator[Finding]:
    """Something on the way rewrites, or somebody injects."""
    found = [(entry, fault) for entry, fault in _faulty(view) if _TWICE in fault.text]
    if found:
        yield finding(
            "bytes-conflict",
            "TCP bytes were sent again and differed",
            f"{count(len(found), 'time')}: {found[0][1].text}.",
            "A device on the way rewrites segments, two captures were mixed, or somebody injects "
            "packets. A sender never does this.",
            *[entry for entry, _ in found],
        )


@rule(
    "not-understood",
    "error",
    "association",
    "Bytes that are no PDU, or a PDU of a type that PS3.8 does not define.",
    "PS3.8 9.3.1",
)
def not_understood(view: View) -> Iterator[Finding]:
    """Whatever else is spoken on this connection."""
    association = view.association
    if association.gaps or association.partial:
        return
    for entry in association.timeline:
        if entry.kind not in ("UNKNOWN-PDU", "UNDECODED") or entry.message is not None:
            continue
        if entry.raw[:2] == b"\x15\x03":
            continue  # a TLS alert: told by the rules of the connection
        protocol = next((name for begin, name in _PROTOCOLS if entry.raw.startswith(begin)), None)
        yield finding(
            "not-understood",
            f"{who(association, entry.sender)} speaks {protocol}, not DICOM"
            if protocol
            else f"{who(association, entry.sender)} sends {entry.length:,} bytes that are no DICOM "
            "PDU",
            f"{upper(entry.detail or 'the PDU type is not defined')} (entry {entry.number})"
            + (f": they begin as {protocol} does." if protocol else "."),
            f"On the side of {who(association, OTHER[entry.sender])}: is "
            f"{association.acceptor.address} port {association.acceptor.port} the right one? "
            f"Something else than DICOM listens there."
            if protocol and entry.sender == "acceptor"
            else f"On the side of {who(association, entry.sender)}: it lost step with its own PDU "
            "lengths, or another protocol uses this port. What follows may not be decoded.",
            entry,
        )


@rule(
    "dataset-flag-wrong",
    "error",
    "message",
    "Command Data Set Type (0000,0800) and the data set contradict each other.",
    "PS3.7 E.1",
)
def flag(view: View) -> Iterator[Finding]:
    """A data set that was announced and did not come, or came and was not announced."""
    association = view.association
    if association.gaps or association.partial:
        return
    timeline = association.timeline
    latest: dict[tuple[str, int], tuple[int, int]] = {}
    """Of the messages of a side on a context, when the last one began, and its number."""
    for entry in timeline:
        if entry.message is not None:
            key = entry.sender, entry.message.context_id
            latest[key] = max((entry.began, entry.number), latest.get(key, (0, 0)))
    for at, entry in enumerate(timeline):
        message = entry.message
        if message is None:
            continue
        if message.command_bytes and message.dataset is None and not entry.complete:
            # What is not whole stands behind what came with it in one segment, before or after it.
            later = latest[entry.sender, message.context_id] > (entry.began, entry.number)
            if later and 0x0800 in message.command:
                yield finding(
                    "dataset-flag-wrong",
                    f"{who(association, entry.sender)} announces a data set that does not come",
                    f"{spoken(entry)} has a Command Data Set Type (0000,0800) other than 0101H, "
                    "and the next thing on its presentation context is another command set.",
                    f"On the side of {who(association, entry.sender)}: set (0000,0800) to 0101H "
                    "where there is no data set. The receiver waits for one, and times out.",
                    entry,
                )
        elif not message.command_bytes and message.dataset is not None:
            yield finding(
                "dataset-flag-wrong",
                f"{who(association, entry.sender)} sends a data set that was not announced",
                f"{message.dataset.length:,} bytes on presentation context {message.context_id} "
                "that no command set belongs to: the one before has 0101H, no data set, in "
                "(0000,0800).",
                f"On the side of {who(association, entry.sender)}: (0000,0800) has to be other "
                "than 0101H where a data set follows. Receivers abort, or take it for a command.",
                *timeline[max(0, at - 1) : at],
                entry,
            )


@rule(
    "message-id-repeated",
    "warning",
    "message",
    "A request has the message ID of one that is still outstanding.",
    "PS3.7 9.1.1.1.1",
)
def repeated(view: View) -> Iterator[Finding]:
    """Responses to the two cannot be told apart."""
    association = view.association
    if association.gaps:
        return
    for side in ("requestor", "acceptor"):
        pairs = list(_repeated(association, side))
        if not pairs:
            continue
        first, second = pairs[0]
        entries = [each.request for pair in pairs for each in pair if each.request is not None]
        sender: Side = first.invoked_by
        yield finding(
            "message-id-repeated",
            f"{who(association, sender)} uses a message ID again before it was answered",
            f"{count(len(pairs), 'time')}, first with {operation(second)}: {operation(first)} was "
            "not answered yet. Which of the two a response belongs to cannot be known.",
            f"On the side of {who(association, sender)}: message IDs have to differ among the "
            f"operations outstanding; {who(association, OTHER[sender])} may mix up the two.",
            *_unique(entries),
        )


def _unique(entries: list[Entry]) -> list[Entry]:
    return list({entry.number: entry for entry in entries}.values())


def _repeated(association: Association, side: str) -> Iterator[tuple[Operation, Operation]]:
    """Operations whose request came while another with its message ID was outstanding."""
    open_: dict[int, tuple[Operation, int | None]] = {}
    for each in association.operations:
        request = each.request
        if each.invoked_by != side or request is None or each.message_id is None:
            continue
        before = open_.get(each.message_id)
        if before is not None:
            other, ended = before
            if ended is None or ended > request.number:
                yield other, each
        final = each.responses[-1].number if each.status is not None and each.responses else None
        open_[each.message_id] = (each, final)
