"""What of an association the capture holds, for rules that would take the rest for silence. No
rules here."""

from __future__ import annotations

from dicomsniff.model import Association, Entry, Side

_NEGOTIATION = ("A-ASSOCIATE-RQ", "A-ASSOCIATE-AC")


def negotiation(association: Association) -> list[Entry]:
    """The A-ASSOCIATE-RQ and -AC, as far as they were captured."""
    return [entry for entry in association.timeline if entry.kind in _NEGOTIATION]


def negotiation_whole(association: Association) -> bool:
    """Whether request and acceptance were both captured, to the last byte: what is not in them was
    not said."""
    said = negotiation(association)
    return len(said) >= 2 and all(entry.complete for entry in said)


def negotiation_cut(association: Association) -> bool:
    """Whether one of them was captured in part: what it proposes or answers may be in the rest."""
    return any(not entry.complete for entry in negotiation(association))


def ends_unseen(association: Association, *sides: Side) -> bool:
    """Whether what one of the sides sent last was not captured: how it ended is not known then."""
    for gap in association.gaps:
        if gap.sender in sides or not sides:
            missing = sum(each.length for each in association.gaps if each.sender == gap.sender)
            if gap.offset + gap.length >= association.peer(gap.sender).bytes + missing:
                return True
    return False
