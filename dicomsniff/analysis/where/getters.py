"""How the words of the filter come by a row's values.

A getter returns all values that a word has in a row, and an empty tuple where it has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from dicomsniff.analysis.operations import PENDING
from dicomsniff.analysis.where.row import Row
from dicomsniff.dicom.names import service_name, status
from dicomsniff.dicom.names.statuses import Status
from dicomsniff.model import Association, Finding, Operation

Values = tuple[Any, ...]
Getter = Callable[[Row], Values]

NOTHING: Final[Values] = ()


def one(value: object) -> Values:
    return (value,) if value is not None else NOTHING


def some(*values: object) -> Values:
    return tuple([value for value in values if value is not None])


def trimmed(title: str | None) -> str | None:
    return title.strip(" \0") if title is not None else None


def of_association(get: Callable[[Association], object]) -> Getter:
    return lambda row: one(get(row.association))


def of_both(attribute: str) -> Getter:
    def get(row: Row) -> Values:
        a = row.association
        return some(getattr(a.requestor, attribute), getattr(a.acceptor, attribute))

    return get


def of_entry(get: Callable[[Any], object]) -> Getter:
    return lambda row: one(get(row.entry)) if row.entry is not None else NOTHING


def of_message(get: Callable[[Any], object]) -> Getter:
    return lambda row: one(get(row.message)) if row.message is not None else NOTHING


def of_operation(get: Callable[[Operation], object]) -> Getter:
    def value(row: Row) -> Values:
        operation = row.operation
        return one(get(operation)) if operation is not None else NOTHING

    return value


def titles(row: Row) -> Values:
    a = row.association
    return some(trimmed(a.requestor.ae_title), trimmed(a.acceptor.ae_title))


def user(association: Association) -> str | None:
    said = association.requestor.user_information
    identity = said.user_identity if said is not None else None
    return identity.username if identity is not None else None


def syntaxes(state: Literal["proposed", "accepted", "refused"]) -> Getter:
    def get(row: Row) -> Values:
        return tuple(
            [
                context.abstract_syntax
                for context in row.association.contexts.values()
                if context.abstract_syntax is not None
                and (
                    state == "proposed"
                    or (
                        context.result is not None
                        and (context.result == 0) == (state == "accepted")
                    )
                )
            ]
        )

    return get


def evidence(row: Row) -> tuple[Finding, ...]:
    entry = row.entry
    if entry is None:
        return ()
    return tuple([f for f in row.association.findings if entry.number in f.evidence])


def worst(association: Association) -> str | None:
    severities = {finding.severity for finding in association.findings}
    return next((each for each in ("error", "warning", "note") if each in severities), None)


def frames(row: Row) -> Values:
    entry = row.entry
    return ((entry.frames, entry.last_frame),) if entry is not None and entry.frames else NOTHING


def service(row: Row) -> Values:
    message = row.message
    if message is None or not message.service:
        return NOTHING
    uid = sop_class(row) or message.abstract_syntax
    name = service_name(uid) if uid else None
    return (message.service, name) if name else (message.service,)


def sop_class(row: Row) -> str | None:
    message = row.message
    if message is None:
        return None
    if message.sop_class is not None:
        return message.sop_class
    operation = row.operation
    return operation.sop_class if operation is not None else None


def instance(row: Row) -> Values:
    message = row.message
    if message is None or message.sop_instance is not None:
        return one(message.sop_instance) if message is not None else NOTHING
    operation = row.operation
    request = operation.request if operation is not None else None
    asked = request.message if request is not None else None
    return one(asked.sop_instance) if asked is not None else NOTHING


def status_of(row: Row) -> Status | None:
    """A response's status; a request's is the one its operation ended with."""
    message = row.message
    if message is None:
        return None
    code = message.status
    if code is None and message.is_request:
        operation = row.operation
        code = operation.status if operation is not None else None
    if code is None:
        return None
    return status(message.service, sop_class(row) or message.abstract_syntax, code)


def category(category: str) -> Getter:
    def get(row: Row) -> Values:
        found = status_of(row)
        return (found is not None and found.category == category,)

    return get


def pending(row: Row) -> Values:
    return (row.message is not None and row.message.status in PENDING,)


def unanswered(row: Row) -> Values:
    operation = row.operation
    return (operation is not None and operation.request is row.entry and operation.status is None,)


def cancelled(row: Row) -> Values:
    operation = row.operation
    return (operation is not None and operation.cancelled,)


def gap(row: Row) -> Values:
    entry, timeline = row.entry, row.association.timeline
    if entry is None or not 2 <= entry.number <= len(timeline):
        return NOTHING
    return (entry.time - timeline[entry.number - 2].time,)


def elapsed(row: Row) -> Values:
    return (row.entry.time - row.association.started,) if row.entry is not None else NOTHING


def side(which: Literal["source", "destination"]) -> Getter:
    def get(row: Row) -> Values:
        if row.entry is None:
            return NOTHING
        association, sender = row.association, row.entry.sender
        peer = association.peer(sender) if which == "source" else association.other(sender)
        return (peer.address,)

    return get


def faults(row: Row) -> Values:
    return tuple([f.text for f in row.entry.faults]) if row.entry is not None else NOTHING


def dataset_faults(row: Row) -> Values:
    found = row.data_set
    if found is None:
        return NOTHING
    texts = [fault.text for fault in found.faults]
    for _, element in found.walk():
        texts += [fault.text for fault in element.faults]
        for item in element.items:
            texts += [fault.text for fault in item.faults]
    return tuple(texts)


def entry_flag(get: Callable[[Any], bool]) -> Getter:
    return lambda row: (row.entry is not None and get(row.entry),)


def message_flag(get: Callable[[Any], bool]) -> Getter:
    return lambda row: (row.message is not None and get(row.message),)
