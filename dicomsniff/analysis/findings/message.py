"""DIMSE: what was answered, with what status, how late, and what was not answered at all."""

from __future__ import annotations

from collections.abc import Iterator

from dicomsniff.analysis.findings import View, finding, rule
from dicomsniff.analysis.findings.endings import swallowed
from dicomsniff.analysis.findings.keys import WORKLIST_FIND
from dicomsniff.analysis.findings.words import (
    OTHER,
    count,
    listed,
    named,
    operation,
    outstanding,
    seconds,
    spoken,
    who,
)
from dicomsniff.dicom.names import status
from dicomsniff.model import Association, Entry, Finding, Message, Operation

SLOW_NS = 2_000_000_000
"""Time to a response from which on it is slow. C-ECHO, worklists and storage take milliseconds;
users notice a second, and time-outs begin at a few."""

UNTIL_NS = 10_000_000_000
"""Time after which a request counts as not answered though the association was still open when the
capture ended."""

ERROR_COMMENT = 0x0902
ERROR_ID = 0x0903
OFFENDING_ELEMENT = 0x0901
ATTRIBUTE_IDENTIFIERS = 0x1005


# ---------------------------------------------------------------------------- statuses


@rule(
    "status-failure",
    "error",
    "message",
    "A response with a failure status, with its meaning for the service at hand.",
    "PS3.7 C",
    last=True,
)
def failures(view: View) -> Iterator[Finding]:
    """One finding for each status of a service, however often it came."""
    yield from _statuses(view, "Failure", "status-failure")


@rule(
    "status-warning",
    "warning",
    "message",
    "A response with a warning status, with its meaning for the service at hand.",
    "PS3.7 C",
    last=True,
)
def warnings(view: View) -> Iterator[Finding]:
    """The same of warnings."""
    yield from _statuses(view, "Warning", "status-warning")


def _statuses(view: View, category: str, code: str) -> Iterator[Finding]:
    association = view.association
    groups: dict[tuple[str, str | None, int, str], list[Entry]] = {}
    requests = {
        response.number: each.request
        for each in association.operations
        if each.request is not None
        for response in each.responses[-1:]
    }
    for entry in association.timeline:
        message = entry.message
        if message is None or message.status is None or message.is_request:
            continue
        if entry.number in view.told:
            continue
        sop_class = message.sop_class or message.abstract_syntax
        if status(message.service, sop_class, message.status).category == category:
            key = (message.service, sop_class, message.status, entry.sender)
            groups.setdefault(key, []).append(entry)
    about = _about(view) if groups else {}
    for (service, sop_class, number, _), entries in groups.items():
        meaning = status(service, sop_class, number).meaning
        first = entries[0]
        often = "" if len(entries) == 1 else f", {len(entries)} times"
        asked = [each for entry in entries if (each := requests.get(entry.number)) is not None]
        wrong = list(dict.fromkeys(code for each in asked for code in about.get(each.number, ())))
        evidence = {each.number: each for each in (*asked, *entries)}
        yield finding(
            code,
            f"{service} {'failed' if category == 'Failure' else 'with a warning'}: "
            f"{meaning} ({number:04X}H){often}",
            f"{who(association, first.sender)} answered {number:04X}H to {service} of "
            f"{named(sop_class)}: {meaning}.{_particulars(entries)}",
            _mend(association, first, service, number, category, wrong),
            *(evidence[number] for number in sorted(evidence)),
            reference=_WORKLIST
            if sop_class == WORKLIST_FIND
            else _REFERENCES.get(service, "PS3.7 C"),
        )


def _about(view: View) -> dict[int, list[str]]:
    """Codes of what was found wrong, by the entries that show it."""
    found: dict[int, list[str]] = {}
    for each in view.found:
        if each.severity != "note":
            for number in each.evidence:
                found.setdefault(number, []).append(each.code)
    return found


_WORKLIST = "PS3.4 K.4.1.1.4"

_REFERENCES = {
    "C-STORE": "PS3.4 B.2.3",
    "C-FIND": "PS3.4 C.4.1.1.4",
    "C-MOVE": "PS3.4 C.4.2.1.5",
    "C-GET": "PS3.4 C.4.3.1.4",
}
"""Where the meaning of a service's statuses stands."""


def _particulars(entries: list[Entry]) -> str:
    """Offending elements and error IDs; of a comment only that there is one: it is free text."""
    tags: list[str] = []
    identifiers: list[str] = []
    comments: list[str] = []
    for entry in entries:
        message = entry.message
        if message is None:
            continue
        tags += _tags(message, OFFENDING_ELEMENT)
        tags += _tags(message, ATTRIBUTE_IDENTIFIERS)
        error = message.command.get(ERROR_ID)
        if error is not None and isinstance(error.value, int):
            identifiers.append(f"{error.value:04X}H")
        comment = message.command.get(ERROR_COMMENT)
        if comment is not None and comment.value:
            comments.append(str(entry.number))
    text = ""
    if tags:
        text += f" Offending element: {listed(tags)}."
    if identifiers:
        text += f" Error ID: {listed(identifiers)}."
    if comments:
        text += f" An Error Comment (0000,0902) says more: entry {listed(comments)}."
    return text


def _tags(message: Message, element: int) -> list[str]:
    """Tags that a response lists."""
    found = message.command.get(element)
    if found is None:
        return []
    value = found.value
    numbers = value if isinstance(value, tuple) else (value,)
    return [_tag(number) for number in numbers if isinstance(number, int)]


def _tag(number: int) -> str:
    from dicomsniff.dicom.elements import entry, tag_text

    known = entry(number)
    return tag_text(number) if known is None else f"{tag_text(number)} {known.name}"


def _mend(
    association: Association,
    entry: Entry,
    service: str,
    number: int,
    category: str,
    wrong: list[str],
) -> str:
    """Who has to look, and where. ``wrong``: codes of what was found in the requests."""
    answering = who(association, entry.sender)
    asking = who(association, OTHER[entry.sender])
    if number in (0x0122, 0x0112, 0x0118, 0x0119, 0x0105, 0x0106, 0x0114, 0x0115, 0x0117):
        return (
            f"{answering} does not know what {asking} names, or not in this form: compare the "
            "request with its conformance statement."
        )
    if number in (0x0120, 0x0121):
        return f"On the side of {asking}: its request lacks an attribute that has to be there."
    if number == 0x0111:
        return f"{asking} made the same instance before: its request was sent twice."
    if number == 0x0124:
        return f"On the side of {answering}: {asking} has to be allowed to do this."
    if number == 0x0213 or number >> 8 == 0xA7:
        return f"On the side of {answering}: disk, memory or database are short. See its log."
    if number >> 8 == 0xA9:
        offending = _tags(entry.message, OFFENDING_ELEMENT) if entry.message is not None else []
        return f"On the side of {asking}: what it sent is not what its SOP class demands. " + (
            f"Mend or leave out {listed(offending)}; other findings about the request may say what "
            "is wrong with it."
            if offending
            else f"Something of it is told under {listed(wrong)}."
            if wrong
            else f"The log of {answering} tells which element."
        )
    if number >> 12 == 0xC or number == 0x0110:
        return (
            f"The log of {answering} at this time tells why. The codes from C000H on are its own: "
            "its conformance statement explains them."
        )
    if category == "Warning" and service == "C-STORE":
        return (
            f"Stored, but {answering} changed or dropped elements. If that is not wanted, see its "
            "rules of coercion."
        )
    return f"The log of {answering} at this time tells more."


# ---------------------------------------------------------------------------- no answer


@rule(
    "response-missing",
    "error",
    "message",
    "A request got no final response, though the association went on or was released.",
    "PS3.7 8.1",
)
def missing(view: View) -> Iterator[Finding]:
    """Where the association was aborted or lost, that finding names what was left open."""
    association = view.association
    if association.outcome not in ("released", "open") or association.gaps:
        return
    if swallowed(association):
        return  # it was not heard
    refused = {
        context.id for context in association.contexts.values() if context.result not in (0, None)
    }
    for each in outstanding(association):
        request = each.request
        if request is None or each.context_id in refused:
            continue
        side = OTHER[each.invoked_by]
        if association.outcome == "open":
            last = each.responses[-1] if each.responses else request
            waited = (view.until or last.time) - last.time
            if waited < UNTIL_NS:
                continue
            then = f"{seconds(waited)} later, when the capture ended, there was still none"
        else:
            then = "the association was released without it"
        pending = count(len(each.responses), "pending response")
        before = f"After {pending} the final one is missing" if each.responses else "No response"
        yield finding(
            "response-missing",
            f"{who(association, side)} did not answer {operation(each)}",
            f"{before}; {then}.",
            f"The log of {who(association, side)} at this time tells what became of the request. "
            f"{who(association, each.invoked_by)} should wait for the answer, and abort rather "
            "than release where it gives up.",
            request,
            *each.responses[-1:],
        )


@rule(
    "response-unasked",
    "error",
    "message",
    "A response came for which there was no request, by its service, message ID and context.",
    "PS3.7 9.3",
)
def unasked(view: View) -> Iterator[Finding]:
    """Responses that belong to nothing."""
    association = view.association
    if association.partial or association.gaps:
        return
    for each in association.operations:
        if each.request is not None or not each.responses:
            continue
        first = each.responses[0]
        if first.message is None or not first.message.command:
            continue
        yield finding(
            "response-unasked",
            f"{who(association, first.sender)} answers what was not asked: {operation(each)}",
            f"There is no open {each.service} request with message ID {each.message_id} on "
            f"presentation context {each.context_id}: it never was sent, was answered before, or "
            "the response has the wrong ID in (0000,0120).",
            f"On the side of {who(association, first.sender)}: a response has to repeat the "
            "message ID and go out on the context of its request, once.",
            *each.responses,
        )


# ---------------------------------------------------------------------------- late answers


@rule(
    "response-slow",
    "warning",
    "message",
    "A response took two seconds or more, split into the time of the network and of both sides.",
    "PS3.7 8.1",
    last=True,
)
def slow(view: View) -> Iterator[Finding]:
    """The slowest operation of each service, and how many more there are."""
    association = view.association
    if association.gaps:
        return
    aborted = next((e.number for e in association.timeline if e.kind == "A-ABORT"), None)
    slowest: dict[tuple[str, str], list[tuple[int, Operation, Entry, Entry]]] = {}
    for each in association.operations:
        wait = _longest_wait(each) if not _sent_objects(each) else None
        if wait is None or wait[0] < SLOW_NS or wait[2].number in view.told:
            continue
        # What came after an abort was not waited for any more: the abort has its own finding.
        if aborted is None or wait[2].number < aborted:
            slowest.setdefault((each.service, each.invoked_by), []).append(
                (wait[0], each, *wait[1:])
            )
    for found in slowest.values():
        waited, each, before, response = max(found, key=lambda one: one[0])
        others = f" {count(len(found), 'operation')} of this kind were slow." if found[1:] else ""
        side = OTHER[each.invoked_by]
        again = _sent_again(association)
        if again >= waited // 2:
            others += (
                f" {seconds(min(again, waited))} of it were silence before TCP segments that were "
                "sent again."
            )
        yield finding(
            "response-slow",
            f"{who(association, side)} took {seconds(waited)} to answer {operation(each)}",
            f"{_split(association, each, before, response, waited)}{others}",
            "The network between the two loses packets, and the time went into waiting until they "
            "were sent again: see retransmissions."
            if again >= waited // 2
            else f"On the side of {who(association, side)}: see what it did in this time (a "
            "database query, a disk, a remote system it asks itself). A time-out on the other side "
            "has to be longer than this.",
            before,
            response,
        )


def _sent_objects(each: Operation) -> bool:
    """Whether the time of an operation went into sub-operations, which say for themselves how long
    they took."""
    if each.service not in ("C-MOVE", "C-GET"):
        return False
    counts = each.sub_operations
    done = () if counts is None else (counts.completed, counts.failed, counts.warning)
    return any(done) or bool(each.linked)


def _sent_again(association: Association) -> int:
    """Silence before segments that were sent again, of both sides (nanoseconds)."""
    sides = (association.requestor.transport, association.acceptor.transport)
    return sum(each.retransmission_time for each in sides if each is not None)


def _longest_wait(each: Operation) -> tuple[int, Entry, Entry] | None:
    """The longest silence of the answering side: before its first response, or between two."""
    if each.request is None or not each.responses:
        return None
    best: tuple[int, Entry, Entry] | None = None
    before = each.request
    for response in each.responses:
        wait = response.began - before.time
        if best is None or wait > best[0]:
            best = (wait, before, response)
        before = response
    return best


def _split(
    association: Association, each: Operation, before: Entry, response: Entry, waited: int
) -> str:
    """Where the time of an operation went."""
    side = OTHER[each.invoked_by]
    transport = association.peer(side).transport
    trip = transport.round_trip if transport is not None else None
    sending = max(0, before.time - before.began)
    answering = max(0, response.time - response.began)
    parts = [f"{who(association, before.sender)} took {seconds(sending)} to send {spoken(before)}"]
    if trip is not None and trip <= waited:
        parts.append(f"network there and back {seconds(trip)}")
        parts.append(f"{who(association, side)} took {seconds(waited - trip)} to begin its answer")
    else:
        parts.append(f"network and {who(association, side)} took {seconds(waited)}")
    parts.append(f"and {seconds(answering)} to send {spoken(response)}")
    return "; ".join(parts) + "."
