"""Queries that had no final response when whoever asked ended the association. No rules here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dicomsniff.analysis.findings import View
from dicomsniff.analysis.findings.asked import Asked, asked
from dicomsniff.analysis.findings.endings import IDLE_NS, hung_up, idle
from dicomsniff.analysis.findings.words import OTHER, settled
from dicomsniff.model import Association, Entry


class Ending(NamedTuple):
    """How an association came to its end, at the latest."""

    entry: Entry
    when: int
    """A connection that is reset may have been closed before."""
    sure: bool
    """False where somebody else than the side it comes from may have done it: what is on the way
    resets in the name of both when they have been silent for too long."""


def _endings(view: View) -> list[Ending]:
    """Those of an association, looked up once: it takes a walk through all that was said."""
    known = view.shared.get("endings")
    if isinstance(known, list):
        return known
    made = []
    association = view.association
    for entry in association.timeline:
        if entry.kind in ("A-ABORT", "CONNECTION-LOST"):
            early = hung_up(association, entry)
            when = entry.time if early is None else early[0]
            late = "RST" in entry.detail and idle(association, entry) >= IDLE_NS
            made.append(Ending(entry, when, early is not None or not late))
    view.shared["endings"] = made
    return made


def unfinished(view: View) -> Iterator[tuple[Asked, Ending]]:
    """Queries without final response until whoever asked ended the association, and how it did."""
    if view.association.outcome not in ("aborted", "lost"):
        return
    endings = _endings(view)
    for one in asked(view):
        for end in endings:
            entry, when, _ = end
            if entry.number > one.request.number and entry.sender == one.operation.invoked_by:
                if unseen(view.association, one, entry):
                    break  # the final response may be among what was not captured
                if one.request.time < when and (
                    not settled(one.operation, entry) or one.operation.responses[-1].began > when
                ):
                    yield one, end
                break


def unseen(association: Association, one: Asked, end: Entry) -> bool:
    """Whether something was not captured of who was asked, behind the last response that was, or
    from within it on."""
    if not association.gaps:
        return False
    last = one.operation.responses[-1] if one.operation.responses else one.request
    answers = OTHER[one.operation.invoked_by]
    return not last.complete or any(
        entry.kind == "GAP" and entry.sender == answers and last.number < entry.number < end.number
        for entry in association.timeline
    )


def broken_off(view: View, end: Entry) -> bool:
    """Whether the rules of queries tell of an end of the connection, as what a query came to."""
    return any(each.entry is end and each.sure for _, each in unfinished(view))
