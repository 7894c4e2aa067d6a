"""What the rules' texts have in common: who, how long, which operations. No rules here."""

from __future__ import annotations

from collections.abc import Iterable

from dicomsniff.dicom.names import is_uid, uid_name
from dicomsniff.model import Association, Entry, Operation, Side

NAMED = 6
"""Things a text lists before it says how many more there are."""

OTHER: dict[Side, Side] = {"requestor": "acceptor", "acceptor": "requestor"}


def who(association: Association, side: Side) -> str:
    """``MOZI (acceptor)``, or its address where no title is known."""
    peer = association.peer(side)
    return f"{peer.ae_title or peer.address} ({side})"


def seconds(nanoseconds: int) -> str:
    """``41 ms``, ``3.02 s``, ``300 s (5 min)``."""
    value = nanoseconds / 1e9
    if value < 0.0995:
        return f"{value * 1000:.3g} ms"
    if value < 99.5:
        return f"{value:.3g} s"
    if value < 3600:
        return f"{value:.0f} s ({value / 60:.3g} min)"
    return f"{value:.0f} s ({value / 3600:.3g} h)"


def share(part: int, whole: int) -> str:
    """``61 %``."""
    return f"{100 * part / whole:.0f} %" if whole > 0 else "all"


def count(number: int, thing: str, things: str | None = None) -> str:
    """``1 segment``, ``2 segments``; ``things`` where the plural takes more than an s."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {things or thing + 's'}"


def listed(things: Iterable[str]) -> str:
    """``a, b and c``; many of them are cut short and counted."""
    names = list(dict.fromkeys(things))
    if len(names) > NAMED:
        more = len(names) - NAMED
        return f"{', '.join(names[:NAMED])} and {more} more"
    if len(names) > 1:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return names[0] if names else "nothing"


def named(uid: str | None) -> str:
    """The name of a class or transfer syntax, or its UID where nobody knows it.

    What is no UID may be a name of somebody, and findings hold none.
    """
    if not uid:
        return "an unnamed one"
    return uid_name(uid) or (uid if is_uid(uid) else "one whose UID is none")


def operation(of: Operation) -> str:
    """``C-STORE, message ID 3``."""
    return f"{of.service}, message ID {of.message_id}" if of.message_id is not None else of.service


def spoken(entry: Entry) -> str:
    """An entry in a sentence: ``C-FIND-RSP (entry 7)``."""
    return f"{entry.kind} (entry {entry.number})"


def outstanding(association: Association, end: Entry | None = None) -> list[Operation]:
    """Operations whose request crossed the wire whole and that have no final response; none that
    came before ``end``, where that is given. Not those whose response may be among what the
    capture misses."""
    return [
        each
        for each in association.operations
        if each.request is not None
        and each.request.complete
        and (end is None or each.request.number < end.number)
        and not settled(each, end)
        and not _missed(association, each, each.request)
    ]


def _missed(association: Association, operation: Operation, request: Entry) -> bool:
    """Whether bytes of the side that answers are missing from the capture behind a request."""
    answers = OTHER[operation.invoked_by]
    return any(gap.sender == answers and gap.time >= request.time for gap in association.gaps)


def settled(operation: Operation, end: Entry | None = None) -> bool:
    """Whether there is a final response, before ``end`` where that is given: one that comes behind
    an abort comes too late."""
    return operation.status is not None and (
        end is None or operation.responses[-1].number < end.number
    )


def last_said(association: Association, before: Entry) -> Entry | None:
    """What crossed the wire last before an entry: a message under way then, if there was one.

    Entries stand in the order of their completion, so a message that was cut off stands behind
    what cut it off.
    """
    said = None
    passed = False
    for entry in association.timeline:
        if entry is before:
            passed = True
        elif entry.kind in ("GAP", "CONNECTION-LOST"):
            continue
        elif not passed or (not entry.complete and entry.message and entry.began <= before.time):
            said = entry
    return said


def unanswered(association: Association) -> Entry | None:
    """The A-ASSOCIATE-RQ, where the acceptor said nothing to it and would have been heard."""
    first = association.timeline[0] if association.timeline else None
    if first is None or first.kind != "A-ASSOCIATE-RQ" or association.gaps:
        return None
    transport = association.acceptor.transport
    if association.acceptor.bytes or transport is None or transport.round_trip is None:
        return None
    return first
