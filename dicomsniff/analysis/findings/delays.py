"""What TCP cost an association in time: segments sent again, windows that closed, stalls."""

from __future__ import annotations

from collections.abc import Iterator

from dicomsniff.analysis.findings import View, finding, rule
from dicomsniff.analysis.findings.endings import swallowed
from dicomsniff.analysis.findings.words import count, listed, seconds, share, who
from dicomsniff.model import Association, Finding, Severity, Side

COSTLY = 0.2
"""Share of an association's time that a hindrance has to cost to be a warning."""

COSTLY_NS = 1_000_000_000
"""The same as time, for long associations."""

STALLS_NOTED = 3
"""Stalls in an association that are told: fewer may be something else, and cost nothing."""

STALLS_COSTLY = 10
"""Stalls from which on their share of the time counts: an echo or a query of a few messages is over
before anybody notices, however much of it was a stall."""

RETRANSMISSIONS_NOTED = 3

SEGMENT = 1448
"""Bytes of a full segment on Ethernet, to estimate how many were sent."""

LOSSY = 0.01
"""Share of segments sent again from which TCP slows down so much that it is a warning."""

LOSSY_LEAST = 10
"""The fewest of them that are a share of anything."""

CLOSED_NOTED_NS = 10_000_000
"""Time with a closed window that is told. Shorter ones are a full buffer being emptied."""

_SIDES: tuple[Side, Side] = ("requestor", "acceptor")


def _cost(time: int, association: Association) -> Severity:
    costly = time >= COSTLY_NS or time >= COSTLY * association.duration > 0
    return "warning" if costly else "note"


@rule(
    "retransmissions",
    "warning",
    "connection",
    "TCP segments had to be sent again. A warning where that cost a second or a fifth of the time, "
    "or where it was one of a hundred.",
    "RFC 9293 3.8.1",
)
def retransmissions(view: View) -> Iterator[Finding]:
    """Loss on the way."""
    association = view.association
    for side in _SIDES:
        transport = association.peer(side).transport
        if transport is None or transport.retransmitted < RETRANSMISSIONS_NOTED:
            continue
        if swallowed(association):
            continue
        waited = transport.retransmission_time
        sent = max(1, association.peer(side).bytes / SEGMENT + transport.retransmitted)
        lossy = transport.retransmitted >= LOSSY_LEAST and transport.retransmitted >= LOSSY * sent
        rate = f", about {share(transport.retransmitted, round(sent))} of all" if lossy else ""
        cost = f", after {seconds(waited)} of silence in all" if waited else ""
        yield finding(
            "retransmissions",
            f"{count(transport.retransmitted, 'TCP segment')} of {who(association, side)} were "
            "sent again",
            f"{count(transport.retransmitted, 'segment')} carried bytes that had been sent "
            f"before{rate}{cost}. The association lasted {seconds(association.duration)}.",
            "The network between the two loses packets: a half-duplex link or a bad cable, an "
            "overloaded switch port, a path with a smaller MTU. (A capture that sees every packet "
            "twice shows the same.)",
            frames=transport.frames.get("retransmitted", ()),
            severity="warning" if lossy else _cost(waited, association),
        )


@rule(
    "receiver-full",
    "warning",
    "connection",
    "A side closed its TCP receive window: it took data off more slowly than it came. A warning "
    "where that cost a second or a fifth of the time.",
    "RFC 9293 3.8.6",
)
def receiver_full(view: View) -> Iterator[Finding]:
    """Zero windows."""
    association = view.association
    for side in _SIDES:
        transport = association.peer(side).transport
        if transport is None or not transport.closed or transport.closed_time < CLOSED_NOTED_NS:
            continue
        time = transport.closed_time
        yield finding(
            "receiver-full",
            f"{who(association, side)} could take no more data for {seconds(time)}",
            f"Its receive window was zero {count(transport.closed, 'time')}, for {seconds(time)} "
            f"in all: {share(time, association.duration)} of the association.",
            f"Not the network: {who(association, side)} does not read fast enough. Look at its "
            "disk, its processor, and at what it does with each object before it reads on.",
            frames=transport.frames.get("closed", ()),
            severity=_cost(time, association),
        )


@rule(
    "delayed-acknowledgement",
    "warning",
    "connection",
    "A sender waited with data at hand for the receiver's delayed acknowledgement (Nagle's "
    "algorithm). A warning where that cost a second, or ten of them a fifth of the time.",
    "RFC 1122 4.2.3.4",
)
def delayed_acknowledgement(view: View) -> Iterator[Finding]:
    """The stall of 40 ms (Linux) or 200 ms (Windows) for each small write."""
    association = view.association
    stalled = [
        (side, transport)
        for side in _SIDES
        if (transport := association.peer(side).transport) is not None and transport.stalls
    ]
    number = sum(transport.stalls for _, transport in stalled)
    if number < STALLS_NOTED:
        return
    time = sum(transport.stall_time for _, transport in stalled)
    frames = sorted(frame for _, each in stalled for frame in each.frames.get("stalls", ()))
    sides = listed(who(association, side) for side, _ in stalled)
    each = listed(f"to {who(association, side)} {count(t.stalls, 'time')}" for side, t in stalled)
    yield finding(
        "delayed-acknowledgement",
        f"{number} stalls of {seconds(time // number)} cost {seconds(time)}, "
        f"{share(time, association.duration)} of the association",
        "A part of a message was sent, often only a header; the rest followed at the moment when "
        "the acknowledgement of that part came, which the other side delays. That happened "
        f"{each}, and took {seconds(time)} of {seconds(association.duration)}.",
        f"On the side of {sides}: switch Nagle's algorithm off (TCP_NODELAY), or write header and "
        "data at once. It repeats for every message, so it grows with the number of objects, not "
        "with their size.",
        frames=frames,
        severity=_cost(time, association)
        if number >= STALLS_COSTLY or time >= COSTLY_NS
        else "note",
    )
