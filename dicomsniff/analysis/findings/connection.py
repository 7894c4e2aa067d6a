"""The connection underneath: whether it came about, how it ended, what it cost in time."""

from __future__ import annotations

from collections.abc import Iterator

from dicomsniff.analysis.findings import Rule, View, finding, rule, watch
from dicomsniff.analysis.findings.captured import ends_unseen
from dicomsniff.analysis.findings.endings import (
    IDLE_NS,
    all_refused,
    around,
    circumstances,
    closed_before,
    cut_sides,
    idle,
    lost,
    not_waited_for,
    swallowed,
    tls_alert,
    unheard,
    woken,
)
from dicomsniff.analysis.findings.unfinished import broken_off
from dicomsniff.analysis.findings.words import (
    count,
    last_said,
    listed,
    outstanding,
    seconds,
    unanswered,
    who,
)
from dicomsniff.model import Association, Attempt, CaptureInfo, Finding, Side, Unreachable

TLS_PORT = 2762
"""Registered for DICOM over TLS (PS3.15 B.12, IANA dicom-tls)."""

SILENCE_NS = 3_000_000_000
"""Time after which a SYN counts as not answered though it was sent only once: it is repeated after
one second (RFC 6298 2.1), so a capture may also have missed the repetition."""

_SIDES: tuple[Side, Side] = ("requestor", "acceptor")

_CALLED = (
    "On the called side: is the DICOM service running, and on this port? On the calling side: are "
    "address and port those of the service?"
)

REFUSED = Rule(
    "connection-refused",
    "error",
    "connection",
    "A TCP connection to a DICOM port was answered by a reset: nothing listens there.",
    "PS3.8 9.1.2",
)
UNANSWERED = Rule(
    "connection-unanswered",
    "error",
    "connection",
    "A TCP connection to a DICOM port was asked for, and no answer came.",
    "PS3.8 9.1.2",
)
UNREACHABLE = Rule(
    "connection-unreachable",
    "error",
    "connection",
    "A TCP connection to a DICOM port was asked for, and an ICMP message said that the request "
    "could not be delivered: a firewall rejects it, or there is no way.",
    "RFC 1122 4.2.3.9",
)
TLS_ON_PLAIN = Rule(
    "tls-on-plain-port",
    "error",
    "connection",
    "TLS was spoken to a port that does not understand it.",
    "PS3.15 B.12",
)
ENCRYPTED = Rule(
    "tls-encrypted",
    "note",
    "connection",
    "A DICOM port speaks TLS: nothing inside can be read without its secrets.",
    "PS3.15 B.12",
)
INCOMPLETE = Rule(
    "capture-incomplete",
    "warning",
    "connection",
    "Packets were lost before they were captured, or the file is cut off.",
)


@watch(REFUSED, UNANSWERED, UNREACHABLE, TLS_ON_PLAIN, ENCRYPTED)
class Attempts:
    """Connections on which no DICOM was spoken."""

    def association(self, view: View) -> Iterator[Finding]:  # noqa: ARG002
        """Nothing to learn from those that came about."""
        yield from ()

    def finish(self, info: CaptureInfo) -> Iterator[Finding]:
        """They are known when the capture ends."""
        for attempt in info.attempts:
            yield from _attempt(attempt, info)


def _attempt(attempt: Attempt, info: CaptureInfo) -> Iterator[Finding]:
    server = f"{attempt.server.address} port {attempt.server.port}"
    times = "once" if attempt.times == 1 else f"{attempt.times} times"
    frames = attempt.frames
    if attempt.answer == "reset":
        yield finding(
            "connection-refused",
            f"Nothing listens on {server}",
            f"{attempt.client} asked for a TCP connection {times} and got a reset (RST).",
            f"{_CALLED} A firewall that rejects looks the same.",
            frames=frames,
        )
    elif attempt.answer == "silence":
        waited = (info.last or attempt.last) - attempt.first
        if attempt.last == attempt.first and waited < SILENCE_NS:
            return  # the capture may just have ended too early
        yield finding(
            "connection-unanswered",
            f"{server} does not answer",
            f"{attempt.client} asked for a TCP connection {times} ({count(len(frames), 'SYN')} "
            f"shown), and nothing came back within {seconds(waited)}.",
            "Between the two: a firewall that drops, a missing route, a wrong VLAN. On the calling "
            "side: is the address right? On the called side: is the machine up? (That a firewall "
            "rejects it is seen only where ICMP was captured.)",
            frames=frames,
        )
    elif attempt.answer == "unreachable" and attempt.unreachable is not None:
        yield _unreachable(attempt, attempt.unreachable, server, times)
    elif attempt.answer == "tls":
        odd = (
            "" if attempt.server.port == TLS_PORT else f" The port registered for it is {TLS_PORT}."
        )
        yield finding(
            "tls-encrypted",
            f"{server} speaks TLS",
            f"{attempt.client} connected {times}; what they said is encrypted.{odd}",
            "To look inside, have one side log its TLS secrets (SSLKEYLOGFILE format) and name "
            "that file with --keylog.",
            frames=frames,
        )
    else:
        how = {
            "tls-alert": "was answered by a TLS alert: the two have no version, cipher or "
            "certificate in common",
            "tls-plain": "was answered in plain: the port does not speak TLS",
            "tls-dicom": "was answered by DICOM in plain, which refuses it: the port does not "
            "speak TLS",
            "tls-closed": "was answered by closing the connection",
        }[attempt.answer]
        yield finding(
            "tls-on-plain-port",
            f"TLS to {server} fails",
            f"{attempt.client} connected {times} and began with a TLS ClientHello. It {how}.",
            "Either switch TLS off on the calling side, or call the port on which the called side "
            f"speaks TLS (registered: {TLS_PORT}), with a certificate that it trusts.",
            frames=frames,
        )


_PROHIBITED_4 = {
    3: "port unreachable",
    9: "network administratively prohibited",
    10: "host administratively prohibited",
    13: "communication administratively prohibited",
}
_PROHIBITED_6 = {
    1: "communication administratively prohibited",
    4: "port unreachable",
    5: "source address failed ingress/egress policy",
    6: "reject route to destination",
}
"""ICMP codes of who could deliver and will not. A closed port alone is answered by a reset."""

_NO_WAY_4 = {0: "net unreachable", 1: "host unreachable", 6: "network unknown", 7: "host unknown"}
_NO_WAY_6 = {0: "no route to destination", 3: "address unreachable"}
"""Of who cannot."""


def _unreachable(attempt: Attempt, said: Unreachable, server: str, times: str) -> Finding:
    """An ICMP message was the answer to a SYN."""
    old = ":" not in said.by
    will_not = (_PROHIBITED_4 if old else _PROHIBITED_6).get(said.code)
    can_not = (_NO_WAY_4 if old else _NO_WAY_6).get(said.code)
    what = will_not or can_not or f"code {said.code}"
    itself = said.by == attempt.server.address
    if will_not:
        title = f"A firewall rejects connections to {server}"
        advice = (
            f"On {said.by}, the called machine itself: its own firewall rejects this port "
            "(firewalld and iptables do so with REJECT); open it there for "
            f"{attempt.client}. If it is open, is the DICOM service on another port?"
            if itself
            else f"On {said.by}, a firewall or router on the way: let {attempt.client} through to "
            f"{server}."
        )
    else:
        title = f"There is no way to {server}"
        advice = (
            "On the calling side: is the address right, and the network mask? On the called side: "
            f"is the machine up, and in this network? On {said.by}, which says so: has it a route "
            "there?"
        )
    return finding(
        "connection-unreachable",
        title,
        f"{attempt.client} asked for a TCP connection {times}, and {said.by} answered by ICMP: "
        f"destination unreachable, {what}.",
        advice,
        frames=attempt.frames,
    )


BUSY = (
    "Capture less: with a capture filter (--filter 'tcp port 104'), or only keep the packets with "
    "tcpdump or dumpcap and read them afterwards. Or capture on a machine that has less to do."
)
"""What to do where the capturing machine did not keep up."""


@watch(INCOMPLETE)
class Capture:
    """The capture itself."""

    def association(self, view: View) -> Iterator[Finding]:
        """Bytes that an association is missing, and packets that were dropped meanwhile."""
        association = view.association
        gaps = association.gaps
        # Times of packets are the kernel's, as those of its counter are.
        dropped = sum(
            loss.packets
            for loss in view.losses
            if loss.last >= association.started and loss.first <= association.ended
        )
        meanwhile = (
            f"The capturing machine dropped {count(dropped, 'packet')} while this association was "
            "open. "
        )
        if gaps:
            missing = sum(gap.length for gap in gaps)
            entries = [entry for entry in association.timeline if entry.kind == "GAP"]
            yield finding(
                "capture-incomplete",
                f"The capture misses {missing:,} bytes of this association",
                f"{meanwhile if dropped else ''}"
                f"{count(len(gaps), 'gap')}: bytes that were sent, as the numbers of other TCP "
                "segments tell, and that are not in the capture. What is told of messages around "
                "them may be incomplete.",
                BUSY
                if dropped
                else "Capture nearer to one of the two machines, with a larger buffer, without a "
                "display running, and with the whole frame (no snap length).",
                *entries,
            )
        elif dropped:
            partial = association.partial
            yield finding(
                "capture-incomplete",
                f"{count(dropped, 'packet')} dropped while this association was open",
                meanwhile
                + (
                    "Its beginning is not in the capture."
                    if partial
                    else "None of the bytes that the two sides acknowledged is missing here."
                ),
                BUSY,
                severity="warning" if partial else "note",
            )

    def finish(self, info: CaptureInfo) -> Iterator[Finding]:
        """What the file says of itself."""
        if info.dropped:
            yield finding(
                "capture-incomplete",
                f"{count(info.dropped, 'packet')} were dropped while capturing",
                f"Of {info.packets + info.dropped:,} packets that came by, the capture holds "
                f"{info.packets:,}.",
                BUSY
                if info.reader == "live"
                else "Give the capture program a larger buffer (dumpcap -B), or a capture filter.",
            )
        if info.cut:
            yield finding(
                "capture-incomplete",
                f"{count(info.cut, 'packet')} of {info.packets:,} were cut short while capturing",
                "A snap length kept their first bytes alone. Sizes and times are known, of "
                "messages only what stood in those bytes.",
                "Capture whole packets (tcpdump -s 0, dumpcap without -s).",
            )
        elif info.truncated:
            yield finding(
                "capture-incomplete",
                "The capture file ends in the middle of a packet",
                "It was cut off, or copied while it was being written. All whole packets were "
                "read.",
                "Copy the file again after the capture has stopped.",
                severity="note",
            )


# ---------------------------------------------------------------------------- how it ended


@rule(
    "connection-cut",
    "error",
    "connection",
    "The connection ended (RST, FIN) in the middle of a PDU.",
    "PS3.8 9.1.4",
)
def cut(view: View) -> Iterator[Finding]:
    """Somebody was still speaking."""
    association = view.association
    end = lost(association)
    sides = cut_sides(association)
    if end is None:
        yield from _cut_and_aborted(association)
        return
    if not sides or swallowed(association) or woken(association, end):
        return
    if all(_babble(association, side) for side in sides):
        return  # what is no PDU has no middle
    speaking = listed(who(association, side) for side in sides)
    if end.sender in sides:
        advice = (
            f"On the side of {who(association, end.sender)}: a program that crashed or was "
            "stopped while it sent, or a machine that went down. Look into its log at this time."
        )
    else:
        advice = (
            f"{who(association, end.sender)} gave up while it was being sent to, or crashed: look "
            "into its log (disk full, a limit, an object it cannot parse). If neither log knows of "
            "it, a device between the two cut them off."
        )
    yield finding(
        "connection-cut",
        f"The connection was cut while {speaking} was sending",
        f"{circumstances(association, end)} {speaking} was in the middle of a PDU.",
        advice,
        *around(association, end),
    )


def _babble(association: Association, side: Side) -> bool:
    """Whether the last that came from a side is no DICOM."""
    said = next((e for e in reversed(association.timeline) if e.sender == side and e.raw), None)
    return said is not None and said.kind == "UNDECODED" and said.message is None


def _cut_and_aborted(association: Association) -> Iterator[Finding]:
    """The other side noticed, and still sent an A-ABORT."""
    abort = next((e for e in association.timeline if e.kind == "A-ABORT"), None)
    side = closed_before(association, abort) if abort is not None else None
    if abort is None or side is None:
        return
    said = last_said(association, abort)
    yield finding(
        "connection-cut",
        f"{who(association, side)} closed the connection in the middle of a PDU",
        f"{who(association, abort.sender)} answered with A-ABORT (entry {abort.number}), which "
        "nobody hears any more.",
        f"On the side of {who(association, side)}: a program that crashed or was stopped while it "
        "sent. Look into its log at this time.",
        *([] if said is None else [said]),
        abort,
    )


@rule(
    "connection-lost",
    "error",
    "connection",
    "The connection ended without release or abort. A warning where nothing was left unanswered, "
    "a note where release had been asked for, where no presentation context was accepted, or where "
    "the capture misses the last that was said.",
    "PS3.8 9.1.4",
)
def ended(view: View) -> Iterator[Finding]:
    """No silence, no PDU cut in two."""
    association = view.association
    end = lost(association)
    if end is None or unanswered(association) or swallowed(association):
        return
    if ends_unseen(association):
        # A release or an abort may be what was not captured.
        gap = unheard(association)
        if gap is not None:
            yield finding(
                "connection-lost",
                "How the association ended is not in the capture",
                f"{circumstances(association, end, heard=False)} The capture misses the last "
                f"{gap.length:,} bytes that {who(association, gap.sender)} sent: an A-RELEASE, an "
                "A-ASSOCIATE-RJ or an A-ABORT may be among them.",
                "The log of one of the two tells how it ended; or capture it again.",
                gap,
                end,
                severity="note",
            )
        return
    if idle(association, end) >= IDLE_NS or woken(association, end):
        return
    if not_waited_for(association, end) is not None:
        return
    if cut_sides(association):
        return  # told by its own rule, or as what is no PDU
    if broken_off(view, end):
        return
    said = last_said(association, end)
    if said is not None and said.kind == "A-ASSOCIATE-AC" and all_refused(association):
        yield finding(
            "connection-lost",
            "The connection was closed without release: there was nothing to use it for",
            circumstances(association, end),
            "What matters is why no presentation context was accepted. Closing without A-RELEASE "
            "or A-ABORT is careless, and does no harm here.",
            *around(association, end),
            severity="note",
        )
        return
    if said is not None and said.kind == "A-RELEASE-RQ" and not outstanding(association):
        yield finding(
            "connection-lost",
            "The connection ended before the release was answered",
            circumstances(association, end),
            "Nothing is lost: all was said, and the association was to be released. The "
            "A-RELEASE-RP is missing, on the wire or in the capture.",
            *around(association, end),
            severity="note",
        )
        return
    yield finding(
        "connection-lost",
        "The connection ended without release or abort",
        circumstances(association, end),
        f"On the side of {who(association, end.sender)}: an association is ended by A-RELEASE, or "
        "by A-ABORT where something is wrong. A program that just closes was stopped, crashed, or "
        "is careless; its log at this time tells.",
        *around(association, end),
        severity="error" if outstanding(association) else "warning",
    )


@rule(
    "plain-on-tls-port",
    "error",
    "connection",
    "Plain DICOM was spoken to a port that expects TLS. A warning where port 2762 answers in "
    "plain.",
    "PS3.15 B.12",
)
def plain_on_tls_port(view: View) -> Iterator[Finding]:
    """A TLS alert as answer, or the port registered for TLS."""
    association = view.association
    if association.partial or association.encrypted:
        return
    entry = tls_alert(association)
    if entry is not None:
        yield finding(
            "plain-on-tls-port",
            f"Port {association.acceptor.port} of {association.acceptor.address} expects TLS",
            f"{who(association, 'requestor')} asked for an association in plain and was answered "
            "by a TLS alert.",
            "On the requestor's side: switch TLS on for this destination, or call the port on "
            "which the acceptor speaks plain DICOM.",
            association.timeline[0],
            entry,
        )
        return
    if association.acceptor.port == TLS_PORT:
        yield finding(
            "plain-on-tls-port",
            f"Plain DICOM on port {TLS_PORT}, which is registered for TLS",
            f"Nothing between {who(association, 'requestor')} and {who(association, 'acceptor')} "
            "is encrypted.",
            "If this traffic is meant to be protected it is not: switch TLS on on both sides. If "
            "not, another port would not promise it.",
            association.timeline[0],
            severity="warning",
        )
