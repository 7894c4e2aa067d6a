"""Operations of an association that is still open, without looking at the same ones twice.

A rule may have to know what an open association has said so far, each time another one ends. That
stays linear where each looks only at what is new. No rules here.
"""

from __future__ import annotations

from collections.abc import Iterator

from dicomsniff.model import Association, Operation


class Fresh:
    """What became of the operations of one association since it was asked last."""

    __slots__ = ("_seen", "association")

    def __init__(self, association: Association) -> None:
        self.association = association
        self._seen = 0
        """Entry number of the latest request of which, and before which, all is known."""

    def take(self) -> tuple[list[Operation], list[Operation]]:
        """Operations that are complete and were not handed out before; and those behind the first
        that is not, which are handed out again next time."""
        late: list[Operation] = []
        for operation in reversed(self.association.operations):
            if operation.request is None:
                continue
            if operation.request.number <= self._seen:
                break
            late.append(operation)
        late.reverse()
        done = 0
        while done < len(late) and late[done].status is not None:
            done += 1
        if done:
            self._seen = _number(late[done - 1])
        return late[:done], late[done:]

    def all(self) -> Iterator[Operation]:
        """Everything that was not handed out as complete: the association has ended."""
        done, rest = self.take()
        yield from done
        yield from rest


def _number(operation: Operation) -> int:
    return operation.request.number if operation.request is not None else 0
