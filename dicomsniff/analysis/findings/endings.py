"""How a connection ended, as the rules about it see it. No rules here."""

from __future__ import annotations

from dicomsniff.analysis.findings.captured import negotiation_cut
from dicomsniff.analysis.findings.words import (
    OTHER,
    last_said,
    listed,
    operation,
    outstanding,
    seconds,
    spoken,
    who,
)
from dicomsniff.dicom.association import RELEASE_LENGTH
from dicomsniff.model import Association, Entry, Side

IDLE_NS = 5_000_000_000
"""Silence before a loss that is worth naming: no device takes as long for a thought of its own,
and few time-outs are shorter."""

AT_ONCE_NS = 1_000_000_000
"""Time within which a connection that nobody knows any more is answered by a reset."""

REPEATS = 3
"""Times that a segment has to be sent again in vain to be lost for good: TCP waits longer each
time, so that the third comes more than a second after the segment."""

_SIDES: tuple[Side, Side] = ("requestor", "acceptor")


def lost(association: Association) -> Entry | None:
    """What tells of the loss, None where there was none, or where TLS explains it."""
    if tls_alert(association) is not None:
        return None
    last = association.timeline[-1] if association.timeline else None
    return last if last is not None and last.kind == "CONNECTION-LOST" else None


def cut_sides(association: Association) -> list[Side]:
    """Sides whose last byte was not the end of a PDU. Not known where bytes are missing."""
    if association.partial or association.gaps:
        return []
    return [
        side
        for side in _SIDES
        if (transport := association.peer(side).transport) is not None and transport.unfinished
    ]


def closed_before(association: Association, entry: Entry) -> Side | None:
    """The side that had closed the connection in the middle of a PDU when an abort was sent."""
    for side in cut_sides(association):
        transport = association.peer(side).transport
        ended = transport.ended if transport is not None else None
        if side != entry.sender and ended is not None and ended <= entry.time:
            return side
    return None


def tls_alert(association: Association) -> Entry | None:
    """The acceptor's first words, where they are a TLS alert: it was not spoken to in TLS."""
    for entry in association.timeline:
        if entry.sender == "acceptor":
            return entry if entry.raw[:2] == b"\x15\x03" else None
    return None


def all_refused(association: Association) -> bool:
    """Whether every presentation context was refused."""
    contexts = association.contexts.values()
    if negotiation_cut(association):
        return False  # there may be others
    return bool(contexts) and all(context.result not in (None, 0) for context in contexts)


def idle(association: Association, end: Entry) -> int:
    times = [entry.time for entry in association.timeline if entry is not end]
    return max(0, end.time - max(times)) if times else 0


def circumstances(association: Association, end: Entry, *, heard: bool = True) -> str:
    """Who closed, after what, after how long, and what was left unanswered; not that where the
    last words of a side were not ``heard``."""
    how = "reset the connection (RST)" if "RST" in end.detail else "closed the connection (FIN)"
    text = f"{who(association, end.sender)} {how}"
    said = last_said(association, end)
    if said is not None:
        after = seconds(idle(association, end))
        part = "" if said.complete else " unfinished"
        text += f" {after} after the{part} {spoken(said)} of the {said.sender}"
    open_ = outstanding(association) if heard else []
    if open_:
        text += f". Unanswered: {listed(operation(each) for each in open_)}"
    return text + "."


def around(association: Association, end: Entry) -> list[Entry]:
    said = last_said(association, end)
    return [end] if said is None else [said, end]


def swallowed(association: Association) -> tuple[Side, Entry] | None:
    """The side that sent a segment again and again, which was never acknowledged, and what it said
    with it; None where all was heard."""
    if association.outcome in ("released", "rejected"):
        return None
    for side in _SIDES:
        transport = association.peer(side).transport
        if transport is None or transport.repeats < REPEATS or not _heard(association, side):
            continue
        end = lost(association)
        if end is not None and end.sender != side:
            continue  # the other side was there, and ended it
        # By time: what is not whole stands behind what came after it.
        said = max(
            (
                entry
                for entry in reversed(association.timeline)
                if entry.kind not in ("CONNECTION-LOST", "GAP")
            ),
            key=lambda entry: entry.time,
            default=None,
        )
        if said is not None and said.sender == side:
            return side, said
    return None


def _heard(association: Association, side: Side) -> bool:
    """Whether the capture would have held an acknowledgement by the other side."""
    peer = association.peer(OTHER[side])
    return peer.bytes > 0 or (peer.transport is not None and peer.transport.round_trip is not None)


def unheard(association: Association) -> Entry | None:
    """The bytes that are missing where a side's last words would be, an A-RELEASE, A-ASSOCIATE-RJ
    or A-ABORT perhaps. None where each side's last words are known, or cut off in the middle."""
    for side in _SIDES:
        own = [
            entry
            for entry in association.timeline
            if entry.sender == side and entry.kind != "CONNECTION-LOST"
        ]
        if not own or own[-1].kind != "GAP" or own[-1].length < RELEASE_LENGTH:
            continue
        if len(own) < 2 or own[-2].complete or own[-2].kind == "GAP":
            return own[-1]
    return None


def silence_before(association: Association, entry: Entry) -> int:
    """Silence in front of an entry (nanoseconds), 0 where it is the first."""
    times = [
        each.time for each in association.timeline if each is not entry and each.time <= entry.began
    ]
    return max(0, entry.began - max(times)) if times else 0


def hung_up(association: Association, end: Entry) -> tuple[int, Entry] | None:
    """When the side that is told to have ended a connection had closed it (FIN), where the other
    side still spoke after that; and what it said first."""
    transport = association.peer(end.sender).transport
    closed = transport.ended if transport is not None else None
    if closed is None or end.kind != "CONNECTION-LOST":
        return None
    for entry in association.timeline:
        if entry is not end and entry.sender != end.sender and entry.began > closed:
            return closed, entry
    return None


def not_waited_for(association: Association, end: Entry) -> tuple[Entry, int, Entry] | None:
    """What a side had said that closed the connection after a long silence, the time when it did,
    and the answer that came behind it."""
    early = hung_up(association, end)
    if early is None:
        return None
    closed, late = early
    said = max((e for e in association.timeline if e.time <= closed), key=lambda e: e.time)
    if closed - said.time < IDLE_NS or said.sender != end.sender:
        return None
    return said, closed, late


def woken(association: Association, end: Entry) -> tuple[Entry, int] | None:
    """What one side said after a long silence, where the other side's answer was to end the
    connection at once; and how long the silence was."""
    said = last_said(association, end)
    if said is None or said.sender == end.sender or end.time - said.time > AT_ONCE_NS:
        return None
    if hung_up(association, end) is not None:
        return None  # it had ended before
    silence = silence_before(association, said)
    return (said, silence) if silence >= IDLE_NS else None
