"""Connections that fell silent, and what became of them: time-outs, on the way or at the ends."""

from __future__ import annotations

from collections.abc import Iterator

from dicomsniff.analysis.findings import View, finding, rule
from dicomsniff.analysis.findings.endings import (
    IDLE_NS,
    around,
    circumstances,
    cut_sides,
    idle,
    lost,
    not_waited_for,
    silence_before,
    swallowed,
    woken,
)
from dicomsniff.analysis.findings.unfinished import broken_off
from dicomsniff.analysis.findings.words import (
    OTHER,
    count,
    outstanding,
    seconds,
    spoken,
    unanswered,
    who,
)
from dicomsniff.model import Association, Entry, Finding

TIMERS = (10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200)
"""Seconds that people set time-outs to."""


def _timer(silence: int) -> tuple[str, str]:
    """The time-out that a silence tells of, and a sentence where it is a usual one."""
    for each in TIMERS:
        if abs(silence / 1e9 - each) <= max(0.5, 0.02 * each):
            return f"{each} s", f" It is close to {each} s, a usual time-out."
    return f"{round(silence / 1e9)} s", ""


def _at_most(silence: int) -> str:
    """The same where the time-out may have run out before the silence was over."""
    timer, usual = _timer(silence)
    return timer if usual else f"up to {timer}"


@rule(
    "connection-timeout",
    "error",
    "connection",
    "The connection ended after a silence of five seconds or more, or at the first word after it: "
    "somebody's time-out. A warning where nothing was left unanswered.",
    "PS3.8 9.1.4",
)
def timeout(view: View) -> Iterator[Finding]:
    """Silence, then the end."""
    association = view.association
    end = lost(association)
    if end is None or unanswered(association) or swallowed(association):
        return
    if broken_off(view, end):
        return
    late = woken(association, end)
    if late is not None:
        yield _too_late(association, end, *late)
        return
    early = not_waited_for(association, end)
    if early is not None:
        yield _given_up(association, end, *early)
        return
    silence = idle(association, end)
    if silence < IDLE_NS or cut_sides(association):
        return
    timer, usual = _timer(silence)
    yield finding(
        "connection-timeout",
        f"The connection ended after {round(silence / 1e9)} s without a word",
        circumstances(association, end) + usual,
        f"Look for a time-out of {timer}: on the side of "
        f"{who(association, end.sender)} (idle, DIMSE or ACSE time-out), or in a firewall or load "
        "balancer between the two, which often resets both sides. Raise it, or release the "
        "association when there is nothing to send.",
        *around(association, end),
        severity="error" if outstanding(association) else "warning",
    )


def _given_up(
    association: Association, end: Entry, said: Entry, closed: int, late: Entry
) -> Finding:
    """One side closed the connection, and the other still answered."""
    silence = closed - said.time
    timer, usual = _timer(silence)
    mine, other = who(association, end.sender), who(association, late.sender)
    return finding(
        "connection-timeout",
        f"{mine} closed the connection after {round(silence / 1e9)} s without an answer",
        f"{mine} closed it (FIN) {seconds(silence)} after {spoken(said)}; {spoken(late)} of the "
        f"{late.sender} came {seconds(late.began - closed)} too late.{usual}",
        f"Look for a time-out of {timer} on the side of {mine}, and raise it above "
        f"{seconds(late.began - said.time)}; or find out on the side of {other} what it did in "
        "that time.",
        said,
        late,
        end,
    )


def _too_late(association: Association, end: Entry, said: Entry, silence: int) -> Finding:
    """Somebody had given the connection up during the silence."""
    return finding(
        "connection-timeout",
        f"The connection was gone after {round(silence / 1e9)} s without a word",
        f"{who(association, said.sender)} sent {spoken(said)} after {seconds(silence)} of silence. "
        f"{circumstances(association, end)}{_timer(silence)[1]}",
        "Somebody had given the connection up in the meantime. Look for an idle time-out of "
        f"{_at_most(silence)}: in a firewall or load balancer between the two, or on the side of "
        f"{who(association, end.sender)}. Raise it; or, on the side of "
        f"{who(association, said.sender)}, release associations that are not used, or switch TCP "
        "keep-alive on with a shorter interval.",
        *around(association, end),
    )


@rule(
    "connection-swallowed",
    "error",
    "connection",
    "A segment was sent again and again and never acknowledged: something on the way drops what "
    "this connection carries, or the other machine is gone. Silence in front of it is named.",
    "RFC 9293 3.8.3",
)
def black_hole(view: View) -> Iterator[Finding]:
    """Said, and not heard."""
    association = view.association
    found = swallowed(association)
    if found is None:
        return
    side, said = found
    transport = association.peer(side).transport
    tries = count(transport.repeats + 1 if transport is not None else 0, "time")
    silence = silence_before(association, said)
    sender, receiver = who(association, side), who(association, OTHER[side])
    detail = ""
    if silence >= IDLE_NS:
        detail = f" It came after {seconds(silence)} of silence.{_timer(silence)[1]}"
        advice = (
            "A firewall or load balancer on the way that forgot the connection drops what comes "
            f"later without a word: look for an idle time-out of {_at_most(silence)}. Raise it; "
            f"or, on the side of {sender}, release associations that are not used, or switch TCP "
            "keep-alive on with a shorter interval."
        )
    else:
        advice = (
            "Between the two: a link that went down, a firewall that changed its mind, or a path "
            f"that drops large packets (MTU, a tunnel). On the side of {receiver}: did the machine "
            "or its network go down at this time?"
        )
    yield finding(
        "connection-swallowed",
        f"{sender} sent {said.kind} {tries}, and nobody acknowledged it",
        f"A segment of {spoken(said)} was sent {tries}, and nothing came back from "
        f"{receiver}.{detail}",
        advice,
        said,
        frames=transport.frames.get("retransmitted", ()) if transport is not None else (),
    )
