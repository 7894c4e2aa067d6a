"""Requests joined with what answered them, by direction, context and message ID (PS3.7 9.1, 10.1).

A message ID need only be unique among the operations outstanding, and some peers use 1 for all of
them, so of several open operations with one ID the oldest of the same service is answered first.
"""

from __future__ import annotations

from collections import deque

from dicomsniff.model import Association, Entry, Message, Operation, Side, SubOperations

PENDING = frozenset((0xFF00, 0xFF01))
"""Statuses after which more responses follow (PS3.7 C.1.3; FF01H: with unsupported keys)."""

SUB_OPERATION_TAGS = (0x1020, 0x1021, 0x1022, 0x1023)
"""Number of Remaining, Completed, Failed, Warning Sub-operations (PS3.7 E.1)."""

_OTHER: dict[Side, Side] = {"requestor": "acceptor", "acceptor": "requestor"}

_Key = tuple[Side, int, int | None]


class OperationJoiner:
    """Joins the messages of one association, in the order of its timeline."""

    __slots__ = ("_association", "_early", "_open")

    def __init__(self, association: Association) -> None:
        self._association = association
        self._open: dict[_Key, deque[Operation]] = {}
        self._early: dict[_Key, Operation] = {}
        """Operations that were answered before a request for them was whole."""

    def add(self, entry: Entry) -> Operation | None:
        """Take the next entry; the operation it belongs to, None for what is no message."""
        message = entry.message
        if message is None or not message.service:
            return None
        if message.kind == "C-CANCEL-RQ":
            return self._cancel(entry, message)
        if message.is_request:
            key = (entry.sender, message.context_id, message.message_id)
            early = self._early.pop(key, None)
            if (
                early is not None
                and early.service == message.service
                and early.responses[0].began >= entry.began
            ):
                # An acceptor may answer before it has the whole data set, to refuse it.
                early.request = entry
                early.sop_class = message.sop_class or early.sop_class
                return early
            operation = Operation(
                message.service,
                message.message_id,
                message.context_id,
                message.sop_class,
                entry.sender,
                entry,
            )
            self._association.operations.append(operation)
            self._open.setdefault(key, deque()).append(operation)
            return operation
        return self._response(entry, message)

    def forget(self, first: int) -> None:
        """Let go of operations of which nothing is left from entry number ``first`` on."""
        for key, queue in list(self._open.items()):
            left = deque(each for each in queue if last_entry(each) >= first)
            if left:
                self._open[key] = left
            else:
                del self._open[key]
        for key, operation in list(self._early.items()):
            if last_entry(operation) < first:
                del self._early[key]

    def _response(self, entry: Entry, message: Message) -> Operation:
        invoker = _OTHER[entry.sender]
        key = (invoker, message.context_id, message.message_id)
        operation = self._find(key, message.service)
        if operation is None:
            operation = Operation(
                message.service,
                message.message_id,
                message.context_id,
                message.sop_class,
                invoker,
                None,
            )
            self._association.operations.append(operation)
            self._early[key] = operation
            if message.status in PENDING:
                self._open.setdefault(key, deque()).append(operation)
        operation.responses.append(entry)
        counts = sub_operations(message)
        if counts is not None:
            operation.sub_operations = counts
        if operation.sop_class is None:
            operation.sop_class = message.sop_class
        if message.status not in PENDING:
            operation.status = message.status
            self._close(key, operation)
        return operation

    def _cancel(self, entry: Entry, message: Message) -> Operation | None:
        key = (entry.sender, message.context_id, message.message_id)
        queue = self._open.get(key)
        if not queue:
            return None
        queue[0].cancelled = True
        return queue[0]

    def _find(self, key: _Key, service: str) -> Operation | None:
        for operation in self._open.get(key, ()):
            if operation.service == service:
                return operation
        return None

    def _close(self, key: _Key, operation: Operation) -> None:
        queue = self._open.get(key)
        if queue is None or operation not in queue:
            return
        queue.remove(operation)
        if not queue:
            del self._open[key]


def last_entry(operation: Operation) -> int:
    """Number of the latest entry that belongs to an operation."""
    latest = operation.responses[-1] if operation.responses else operation.request
    return 0 if latest is None else latest.number


def sub_operations(message: Message) -> SubOperations | None:
    """The counts of sub-operations a C-MOVE or C-GET response carries, None where it has none."""
    command = message.command
    counts: list[int | None] = []
    for tag in SUB_OPERATION_TAGS:
        element = command.get(tag)
        value = element.value if element is not None else None
        counts.append(value if isinstance(value, int) else None)
    if counts == [None, None, None, None]:
        return None
    return SubOperations(*counts)
