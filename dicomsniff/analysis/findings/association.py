"""Associations as a whole: rejected, unanswered, aborted, released."""

from __future__ import annotations

from collections.abc import Iterator

from dicomsniff.analysis.findings import Rule, View, finding, rule, watch
from dicomsniff.analysis.findings.endings import AT_ONCE_NS, IDLE_NS, closed_before, swallowed
from dicomsniff.analysis.findings.titles import differs, nearest
from dicomsniff.analysis.findings.words import (
    OTHER,
    count,
    last_said,
    listed,
    named,
    operation,
    outstanding,
    seconds,
    settled,
    spoken,
    unanswered,
    who,
)
from dicomsniff.dicom.names import abort_text, reject_text
from dicomsniff.model import (
    AbortPDU,
    Association,
    CaptureInfo,
    Endpoint,
    Entry,
    Finding,
    RejectPDU,
    Side,
)

TITLES_KEPT = 4096
"""AE titles remembered of a capture, and rejections that may have been misspelt ones."""

PATIENCE_NS = 3_000_000_000
"""Time after which a request counts as not answered though the capture ended: servers that look
something up before they accept take less."""

GAVE_UP_NS = 500_000_000
"""Silence before an abort that makes it somebody's time-out rather than an answer to something."""

REJECTED = Rule(
    "association-rejected",
    "error",
    "association",
    "The acceptor refused the association (A-ASSOCIATE-RJ); each result, source and reason is "
    "told, and an AE title that was accepted elsewhere and reads much the same.",
    "PS3.8 9.3.4",
)
SIMILAR = Rule(
    "ae-title-similar",
    "note",
    "association",
    "An AE title was rejected, and one that reads much the same was accepted later on.",
    "PS3.8 9.3.4",
)

_NOT_KNOWN = (
    "On the side of {acceptor}: enter {title} as a known calling AE title, often together with "
    "its address ({address}). Case and spaces count."
)
_REASONS: dict[tuple[int, int], str] = {
    (
        1,
        1,
    ): "The acceptor's log has to tell why: it gives no reason. Often it knows none of the SOP "
    "classes that were proposed (here {classes}), or takes nothing from this address ({address}).",
    (1, 2): "On the requestor's side: it asked for an application context other than DICOM's.",
    (1, 3): _NOT_KNOWN,
    (1, 7): "On the requestor's side: is {called} the AE title of the destination? Case and spaces "
    "count. If it is, then enter it on the acceptor's side.",
    (2, 1): "The acceptor's log has to tell why: its network layer gives no reason.",
    (2, 2): "The two sides do not speak the same version of the protocol.",
    (3, 1): "The acceptor is busy at the moment: have the requestor try again later. If it happens "
    "often, the acceptor needs more capacity.",
    (3, 2): "The acceptor allows no more associations at once: raise its limit, or have requestors "
    "release associations that they do not use.",
}


@watch(REJECTED, SIMILAR)
class Rejections:
    """Rejected associations, beside the AE titles that were accepted."""

    def __init__(self) -> None:
        self._called: dict[str, set[Endpoint]] = {}
        """Called titles that were accepted, and by whom."""
        self._calling: dict[Endpoint, set[str]] = {}
        """Calling titles accepted, by acceptor."""
        self._open: list[tuple[int, str, bool, Endpoint, tuple[int, ...]]] = []
        """Rejected, and no title like it known yet: association, title, whether it is the called
        one, acceptor, frames."""

    def association(self, view: View) -> Iterator[Finding]:
        """Learn from those accepted, speak of those rejected."""
        association = view.association
        server = Endpoint(association.acceptor.address, association.acceptor.port)
        for entry in association.timeline:
            if entry.kind == "A-ASSOCIATE-AC" and not association.partial:
                self._learn(association, server)
            elif isinstance(entry.pdu, RejectPDU):
                yield self._rejected(association, entry, entry.pdu, server)

    def _learn(self, association: Association, server: Endpoint) -> None:
        called, calling = association.acceptor.ae_title, association.requestor.ae_title
        if called and (called in self._called or len(self._called) < TITLES_KEPT):
            self._called.setdefault(called, set()).add(server)
        if calling and (server in self._calling or len(self._calling) < TITLES_KEPT):
            titles = self._calling.setdefault(server, set())
            if len(titles) < TITLES_KEPT:
                titles.add(calling)

    def _rejected(
        self, association: Association, entry: Entry, pdu: RejectPDU, server: Endpoint
    ) -> Finding:
        result, source, reason = reject_text(pdu.result, pdu.source, pdu.reason)
        called = association.acceptor.ae_title or ""
        calling = association.requestor.ae_title or ""
        detail = (
            f"{calling or association.requestor.address} called {called or 'nobody'} at "
            f"{server.address} port {server.port}. {result}, {source}: {reason}."
        )
        advice = _REASONS.get(
            (pdu.source, pdu.reason), "A reason that the standard does not know; see its log."
        ).format(
            acceptor=who(association, "acceptor"),
            title=calling,
            called=called,
            address=association.requestor.address,
            classes=listed(named(each.abstract_syntax) for each in association.contexts.values()),
        )
        information = association.requestor.user_information
        if pdu.source in (1, 2) and pdu.reason == 1 and information and information.user_identity:
            advice += " The request carried a user identity: name or passcode may be wrong."
        if (pdu.source, pdu.reason) == (1, 2):
            detail += f" The application context was {association.application_context}."
        if pdu.result == 2:
            advice += " The rejection is transient: another try may succeed."
        others: tuple[str, ...] = ()
        about_called = pdu.reason == 7
        if pdu.source == 1 and pdu.reason in (3, 7):
            title = called if about_called else calling
            told, others = self._hint(title, about_called, server)
            detail += told
            if not others and len(self._open) < TITLES_KEPT:
                frames = (*entry.frames,)
                self._open.append((association.id, title, about_called, server, frames))
        # A title that nobody knows names nobody.
        rejecting = (
            f"{server.address} port {server.port}" if about_called else who(association, "acceptor")
        )
        request = next((e for e in association.timeline if e.kind == "A-ASSOCIATE-RQ"), None)
        return finding(
            "association-rejected",
            f"{rejecting} rejected {calling or 'the requestor'}: {reason}",
            detail,
            advice,
            *([request] if request is not None else ()),
            entry,
            ae_titles=others,
        )

    def _hint(self, title: str, called: bool, server: Endpoint) -> tuple[str, tuple[str, ...]]:
        """What was accepted in place of a title, as a sentence, and the titles it names."""
        if called:
            near = nearest(title, self._called)
            here = sorted(each for each, where in self._called.items() if server in where)
        else:
            known = self._calling.get(server, set())
            near = nearest(title, known)
            here = []
        if near is not None:
            return f" {near} was accepted elsewhere in this capture: {differs(title, near)}.", (
                near,
            )
        if here and title not in here:
            titles = tuple(here[:3])
            return f" The same port accepted {listed(titles)} elsewhere in this capture.", titles
        return "", ()

    def finish(self, info: CaptureInfo) -> Iterator[Finding]:  # noqa: ARG002
        """Titles that were accepted only after the rejection."""
        for number, title, called, server, frames in self._open:
            told, others = self._hint(title, called, server)
            if others:
                yield finding(
                    "ae-title-similar",
                    f"{title} was rejected, {listed(others)} was accepted",
                    f"Association {number} was rejected by {server.address} port {server.port} "
                    f"because of the AE title {title}.{told}",
                    "On the requestor's side: compare the AE title with the one that works.",
                    frames=frames,
                    ae_titles=(title, *others),
                )


@rule(
    "association-unanswered",
    "error",
    "association",
    "The connection was made, an association was asked for, and the acceptor said nothing.",
    "PS3.8 9.2.2",
)
def not_answered(view: View) -> Iterator[Finding]:
    """Neither A-ASSOCIATE-AC nor -RJ nor -ABORT."""
    association = view.association
    request = unanswered(association)
    if request is None or swallowed(association):
        return
    end = association.timeline[-1]
    if end is request:
        waited = (view.until or request.time) - request.time
        how = "and the capture ended"
        if waited < PATIENCE_NS:
            return
    else:
        waited = end.time - request.time
        doing = "aborted" if end.kind == "A-ABORT" else "closed the connection"
        how = f"then {who(association, end.sender)} {doing}"
    at_once = end.sender == "acceptor" and end is not request and waited < AT_ONCE_NS
    yield finding(
        "association-unanswered",
        f"{who(association, 'acceptor')} did not answer the association request",
        f"The TCP connection was accepted; for {seconds(waited)} nothing came back, {how}.",
        "On the acceptor's side: a service that closes at once does not take this caller (its "
        f"address {association.requestor.address} may have to be entered there), expects TLS, or "
        "does not speak DICOM on this port; or it crashes at this request. Its log tells."
        if at_once
        else "Something listens on this port, but it does not speak DICOM, or it hangs: is it the "
        "right port? On the acceptor's side: is the service blocked (all its threads busy, a "
        "database or licence server that does not answer, a slow reverse name look-up)?",
        request,
        *([] if end is request else [end]),
    )


@rule(
    "association-aborted",
    "error",
    "association",
    "One side aborted: who, after what, and what that suggests. A warning where nothing was left "
    "unanswered.",
    "PS3.8 9.3.8",
    last=True,
)
def aborted(view: View) -> Iterator[Finding]:
    """The first A-ABORT; a second one, from the other side, is only its echo."""
    association = view.association
    entry = next((e for e in association.timeline if isinstance(e.pdu, AbortPDU)), None)
    if entry is None or entry.number in view.told or not isinstance(entry.pdu, AbortPDU):
        return
    if unanswered(association) or closed_before(association, entry):
        return  # said by the rules of the connection
    if any(each.severity == "error" and entry.number in each.evidence for each in view.found):
        return  # somebody knew more of this abort
    source, reason = abort_text(entry.pdu.source, entry.pdu.reason)
    why = f"{source}: {reason}" if entry.pdu.source == 2 else f"source {source}"
    said = last_said(association, entry)
    detail = f"{who(association, entry.sender)} sent A-ABORT ({why})"
    waited = 0
    if said is not None:
        waited = max(0, entry.time - said.time)
        part = "" if said.complete else " unfinished"
        detail += f" {seconds(waited)} after the{part} {spoken(said)} of the {said.sender}"
    before = outstanding(association, entry)
    if before:
        detail += f". Unanswered: {listed(operation(each) for each in before)}"
    late = [each.responses[-1] for each in before if settled(each)]
    if late:
        after = seconds(max(0, late[0].began - entry.time))
        detail += f". {spoken(late[0])} came {after} too late"
    broken = [e for e in association.timeline if e.message is not None and not e.complete]
    told = "error" if before or broken or entry.pdu.source == 2 else "warning"
    # What is wrong with what it had just received, by the rules about that.
    answers = _answers(association, said, entry.sender)
    received = {each.number for each in answers}
    if said is not None and said.sender != entry.sender:
        received.add(said.number)
    wrong = [
        each.code
        for each in view.found
        if each.severity != "note" and not received.isdisjoint(each.evidence)
    ]
    if "no-common-context" in wrong:
        return  # nothing can be said on it, so it is ended
    yield finding(
        "association-aborted",
        f"{who(association, entry.sender)} aborted the association",
        detail + ".",
        f"{who(association, entry.sender)} stopped "
        + (f"after {count(len(answers), 'answer')} to its query" if answers else "")
        + (f"at {spoken(said)}" if not answers else "")
        + f". What is wrong with that, and who has to mend it, is told under {listed(wrong)}."
        if said is not None and wrong
        else _suggests(association, entry, entry.pdu, said, waited, bool(before), len(answers)),
        *([] if said is None else [said]),
        entry,
        severity="error" if told == "error" else "warning",
    )


def _answers(association: Association, said: Entry | None, side: Side) -> list[Entry]:
    """The answers that a side had just received to a query of its own, where the final response was
    the last that was said. A server that is quick has sent it before an answer is read."""
    for each in association.operations:
        if each.service == "C-FIND" and each.invoked_by == side and settled(each):
            *answers, final = each.responses
            if final is said:
                return answers
    return []


def _suggests(
    association: Association,
    entry: Entry,
    pdu: AbortPDU,
    said: Entry | None,
    waited: int,
    unfinished: bool,
    answers: int,
) -> str:
    """What an abort means at this point. ``answers``: to a query, received just before."""
    side = who(association, entry.sender)
    other: Side = OTHER[entry.sender]
    if pdu.source == 2 and pdu.reason in (1, 2, 4, 5, 6):
        what = "an unexpected PDU" if pdu.reason == 2 else "a PDU that it does not understand"
        return (
            f"{side} says it received {what} from {who(association, other)}: look at the entry "
            "before the abort, and at findings about it; the sender of that one has to mend it, "
            "unless it is in order."
        )
    if said is not None and not said.complete:
        if said.sender == entry.sender:
            return (
                f"{side} stopped in the middle of what it was sending: its log at this time tells "
                "why (cancelled by the user, a file that could not be read)."
            )
        return (
            f"{side} gave up while it was being sent to: look into its log (disk full, an object "
            "it does not take, a limit of size or time)."
        )
    if said is not None and said.kind == "A-ASSOCIATE-AC":
        return (
            f"{side} did not like the answer to the negotiation: a presentation context or a role "
            "it needs was refused. See the presentation contexts."
        )
    if unfinished and waited >= GAVE_UP_NS and (said is None or said.sender == entry.sender):
        return (
            f"{side} waited {seconds(waited)} for an answer and gave up: its time-out. Raise it "
            f"there, or find out why {who(association, other)} takes longer."
        )
    if unfinished and said is not None and said.sender == other:
        return (
            f"{side} stopped after it had received {spoken(said)}: probably something in it that "
            "it cannot take. Its log at this time tells; look at that entry's data set."
        )
    if unfinished:
        return (
            f"{side} aborted instead of answering: its log at this time tells why. An internal "
            "error is likely."
        )
    if answers and waited < AT_ONCE_NS:
        return (
            f"{side} had just received {count(answers, 'answer')} to its query, to the last: "
            "either it always ends associations by A-ABORT, or it could not take one of the "
            "answers. Its log at this time tells; look at their data sets."
        )
    if waited >= IDLE_NS:
        return (
            f"Nothing was left unanswered: {side} ended the association after {seconds(waited)} "
            f"without a word, by its idle time-out. {who(association, other)} should release what "
            "it does not use; or raise the time-out."
        )
    return (
        f"Nothing was left unanswered: {side} ends associations by A-ABORT instead of A-RELEASE, "
        "or was told to stop. Peers log it as an error, and some then drop what they received."
    )


@rule(
    "release-collision",
    "note",
    "association",
    "Both sides asked for release at the same time.",
    "PS3.8 9.2.3 (AR-8)",
)
def collision(view: View) -> Iterator[Finding]:
    """A-RELEASE-RQ from both, before either was answered."""
    asked: dict[Side, Entry] = {}
    for entry in view.association.timeline:
        if entry.kind == "A-RELEASE-RP":
            return
        if entry.kind == "A-RELEASE-RQ":
            asked.setdefault(entry.sender, entry)
            if len(asked) == 2:
                yield finding(
                    "release-collision",
                    "Both sides asked for release at the same time",
                    "The requestor has to answer first, then the acceptor. Some implementations "
                    "wait for each other for ever.",
                    "Harmless where both sides handle it. Where associations hang at their end, "
                    "have one side (usually the acceptor) not ask for release.",
                    *asked.values(),
                )
                return


@rule(
    "association-replaced",
    "error",
    "association",
    "Another association was requested on the same connection before this one had ended.",
    "PS3.8 9.1.1, 9.2.3 (AA-8)",
)
def replaced(view: View) -> Iterator[Finding]:
    """A connection carries one association at a time."""
    association = view.association
    last = association.timeline[-1] if association.timeline else None
    if association.outcome != "lost" or last is None or last.kind == "CONNECTION-LOST":
        return
    if association.partial or association.gaps:
        return
    yield finding(
        "association-replaced",
        "Another association was requested on the same connection before this one ended",
        f"The last of this one was {spoken(last)} of the {last.sender}.",
        f"On the side of {who(association, 'requestor')}: release the association before another "
        "is requested, or open another connection for it.",
        last,
    )


@rule(
    "association-unused",
    "note",
    "association",
    "An association was accepted and released, and carried no message.",
    "PS3.8 7.1",
)
def unused(view: View) -> Iterator[Finding]:
    """Somebody only looked whether it can be done, or found nothing to do."""
    association = view.association
    if association.outcome != "released" or association.partial or association.gaps:
        return
    accepted = [each for each in association.contexts.values() if each.result == 0]
    if not accepted or any(entry.message is not None for entry in association.timeline):
        return
    yield finding(
        "association-unused",
        f"{who(association, 'requestor')} released the association without using it",
        f"{len(accepted)} of {count(len(association.contexts), 'presentation context')} "
        f"{'was' if len(accepted) == 1 else 'were'} accepted, none was used.",
        "Harmless where the requestor only tests the connection (a C-ECHO would say more)."
        + (
            " Otherwise the context it wanted may be among those that were refused."
            if len(accepted) < len(association.contexts)
            else " Otherwise its log tells why it went no further."
        ),
        *association.timeline[:2],
    )
