"""What is legal when: the upper layer's states, as seen from the middle (PS3.8 9.2).

PS3.8 gives a state machine for each side. An observer sees neither, only what crosses the wire,
so the two are folded into one, whose events are the PDUs and who sent them:

- ``idle``: no association. Only an A-ASSOCIATE-RQ begins one.
- ``requested``: it was asked for (Sta5 of the requestor, Sta2 and Sta3 of the acceptor). The
  acceptor answers with an A-ASSOCIATE-AC or -RJ; either may abort.
- ``established``: data may flow both ways (Sta6 of both). Either side may ask for release.
- ``requestor-releasing``, ``acceptor-releasing``: one side asked for release (its Sta7). It sends
  nothing more; the other (Sta8) may send what it still has, and then answers.
- ``collision``: both asked (Sta9 to Sta12). The acceptor answers after the requestor did: PS3.8
  9.2.3, AR-8 and AR-9.
- ``acceptor-answers``: the requestor answered in a collision; the acceptor's answer is missing.
- ``requestor-aborted``, ``acceptor-aborted``: that side aborted (its Sta13). What the other sent
  before it heard of that may still cross the wire, and is ignored.
- ``ended``: released or rejected. Nothing may follow but the end of the connection.

An event that the table does not hold is a violation. It is told, and what can be known from it is
still used: what a device really sent counts more than what it should have sent.
"""

from __future__ import annotations

from typing import Final, Literal

from dicomsniff.dicom.names import abort_text, reject_text
from dicomsniff.model import (
    PDU,
    AbortPDU,
    AssociatePDU,
    Association,
    Entry,
    Fault,
    Gap,
    Message,
    Outcome,
    Peer,
    PresentationContext,
    RejectPDU,
    Side,
)

State = Literal[
    "idle",
    "requested",
    "established",
    "requestor-releasing",
    "acceptor-releasing",
    "collision",
    "acceptor-answers",
    "requestor-aborted",
    "acceptor-aborted",
    "ended",
]
Event = Literal[
    "A-ASSOCIATE-RQ",
    "A-ASSOCIATE-AC",
    "A-ASSOCIATE-RJ",
    "P-DATA-TF",
    "A-RELEASE-RQ",
    "A-RELEASE-RP",
    "A-ABORT",
]

STATES: Final[dict[State, dict[tuple[Side, Event], State]]] = {
    "idle": {
        ("requestor", "A-ASSOCIATE-RQ"): "requested",
    },
    "requested": {
        ("acceptor", "A-ASSOCIATE-AC"): "established",
        ("acceptor", "A-ASSOCIATE-RJ"): "ended",
        ("requestor", "A-ABORT"): "requestor-aborted",
        ("acceptor", "A-ABORT"): "acceptor-aborted",
    },
    "established": {
        ("requestor", "P-DATA-TF"): "established",
        ("acceptor", "P-DATA-TF"): "established",
        ("requestor", "A-RELEASE-RQ"): "requestor-releasing",
        ("acceptor", "A-RELEASE-RQ"): "acceptor-releasing",
        ("requestor", "A-ABORT"): "requestor-aborted",
        ("acceptor", "A-ABORT"): "acceptor-aborted",
    },
    "requestor-releasing": {
        ("acceptor", "P-DATA-TF"): "requestor-releasing",
        ("acceptor", "A-RELEASE-RP"): "ended",
        ("acceptor", "A-RELEASE-RQ"): "collision",
        ("requestor", "A-ABORT"): "requestor-aborted",
        ("acceptor", "A-ABORT"): "acceptor-aborted",
    },
    "acceptor-releasing": {
        ("requestor", "P-DATA-TF"): "acceptor-releasing",
        ("requestor", "A-RELEASE-RP"): "ended",
        ("requestor", "A-RELEASE-RQ"): "collision",
        ("requestor", "A-ABORT"): "requestor-aborted",
        ("acceptor", "A-ABORT"): "acceptor-aborted",
    },
    "collision": {
        ("requestor", "A-RELEASE-RP"): "acceptor-answers",
        ("requestor", "A-ABORT"): "requestor-aborted",
        ("acceptor", "A-ABORT"): "acceptor-aborted",
    },
    "acceptor-answers": {
        ("acceptor", "A-RELEASE-RP"): "ended",
        ("requestor", "A-ABORT"): "requestor-aborted",
        ("acceptor", "A-ABORT"): "acceptor-aborted",
    },
    "requestor-aborted": {
        ("acceptor", "A-ASSOCIATE-AC"): "requestor-aborted",
        ("acceptor", "A-ASSOCIATE-RJ"): "requestor-aborted",
        ("acceptor", "P-DATA-TF"): "requestor-aborted",
        ("acceptor", "A-RELEASE-RQ"): "requestor-aborted",
        ("acceptor", "A-RELEASE-RP"): "requestor-aborted",
        ("acceptor", "A-ABORT"): "ended",
    },
    "acceptor-aborted": {
        ("requestor", "P-DATA-TF"): "acceptor-aborted",
        ("requestor", "A-RELEASE-RQ"): "acceptor-aborted",
        ("requestor", "A-RELEASE-RP"): "acceptor-aborted",
        ("requestor", "A-ABORT"): "ended",
    },
    "ended": {},
}
"""For each state, what each side may send, and the state that follows."""

_FORCED: Final[dict[Event, State]] = {
    "A-ASSOCIATE-AC": "established",
    "A-ASSOCIATE-RJ": "ended",
    "A-RELEASE-RP": "ended",
}
"""Where a PDU leads even if it was not legal: both sides act on it all the same. An A-ABORT
is legal in every state that something can be aborted in."""

RELEASE_LENGTH: Final = 10
"""Bytes of an A-RELEASE-RQ and of an A-RELEASE-RP (PS3.8 9.3.6, 9.3.7), and also of an
A-ASSOCIATE-RJ and an A-ABORT. One more is missing where the FIN behind it is missing too, which is
acknowledged as a byte."""

_OVER: Final[frozenset[State]] = frozenset(("requestor-aborted", "acceptor-aborted", "ended"))

_WHY: Final[dict[State, str]] = {
    "idle": "before any A-ASSOCIATE-RQ",
    "requested": "before the association was accepted",
    "established": "while the association is established",
    "requestor-releasing": "after the requestor asked for release",
    "acceptor-releasing": "after the acceptor asked for release",
    "collision": "while both sides ask for release",
    "acceptor-answers": "while the acceptor's A-RELEASE-RP is missing",
    "requestor-aborted": "after the requestor aborted the association",
    "acceptor-aborted": "after the acceptor aborted the association",
    "ended": "after the association ended",
}


class AssociationBuilder:
    """Rebuilds one association from its PDUs and messages."""

    __slots__ = ("_answer_unseen", "_lost", "association", "entries", "state")

    def __init__(self, association: Association, *, answer_unseen: bool = False) -> None:
        """``answer_unseen``: what the acceptor said first may have come before the capture holds
        anything of it."""
        self.association = association
        self._answer_unseen = answer_unseen
        self.state: State = "established" if association.partial else "idle"
        self.entries = 0
        """Entries so far: a listener may take them off the timeline."""
        self._lost: dict[Side, int] = {}
        """Bytes of each side that the capture does not hold."""

    @property
    def over(self) -> bool:
        """Released, rejected or aborted."""
        return self.state in _OVER

    def bytes_seen(self, side: Side) -> int:
        """Stream bytes of a side since the association began, gaps included."""
        return self.association.peer(side).bytes + self._lost.get(side, 0)

    # -------------------------------------------------------------- what crosses the wire

    def pdu(self, entry: Entry, pdu: PDU) -> None:
        """A PDU other than P-DATA-TF."""
        entry.pdu = pdu
        fault: Fault | None = None
        if pdu.kind != "UNKNOWN-PDU":
            fault = self._step(entry.sender, pdu.kind)
        if isinstance(pdu, AssociatePDU):
            self._associate(entry.sender, pdu)
        elif isinstance(pdu, RejectPDU):
            result, source, reason = reject_text(pdu.result, pdu.source, pdu.reason)
            self._end("rejected", f"{result}, {source}: {reason}")
        elif isinstance(pdu, AbortPDU):
            source, reason = abort_text(pdu.source, pdu.reason)
            self._end("aborted", f"by the {entry.sender}, {source}: {reason}")
        elif pdu.kind == "A-RELEASE-RP" and self.state == "ended":
            self._end("released", "")
        entry.faults = pdu.faults if fault is None else (*pdu.faults, fault)
        self._add(entry)

    def message(self, entry: Entry, message: Message) -> None:
        """A DIMSE message."""
        entry.message = message
        fault = self._step(entry.sender, "P-DATA-TF")
        if fault:
            entry.faults = (*entry.faults, fault)
        context = self.association.contexts.get(message.context_id)
        if context is None:
            # Where the negotiation was not captured, nothing is known of the contexts.
            if self.association.contexts:
                text = f"presentation context {message.context_id} was not proposed"
                entry.faults = (*entry.faults, Fault(text, 0, 0))
        elif context.result not in (0, None):
            text = f"presentation context {message.context_id} was not accepted"
            entry.faults = (*entry.faults, Fault(text, 0, 0))
        self._add(entry)

    def other(self, entry: Entry) -> None:
        """Bytes that are not understood, or an event."""
        self._add(entry)

    def gap(self, entry: Entry, gap: Gap) -> None:
        """Bytes that the capture does not hold."""
        self.association.gaps.append(gap)
        self._lost[gap.sender] = self._lost.get(gap.sender, 0) + gap.length
        self._add(entry)

    def released_unseen(self) -> bool:
        """Whether a connection that closes here was released, though the capture does not hold all
        of it: release was asked for, and what the other side sent last is missing, or all that it
        sent; or what each sent last is missing, and is as long as release and its answer. Ends it
        so."""
        waiting: dict[State, Side] = {
            "requestor-releasing": "acceptor",
            "acceptor-releasing": "requestor",
        }
        answers = waiting.get(self.state)
        if answers is not None and not self.association.peer(answers).bytes:
            self._end("released", f"the {answers}'s direction was not captured")
        elif answers is not None and self._missing_last(answers) >= RELEASE_LENGTH:
            self._end("released", f"the {answers}'s answer was not captured")
        elif (
            self.state == "established"
            and self._missing_last("requestor") in (RELEASE_LENGTH, RELEASE_LENGTH + 1)
            and self._missing_last("acceptor") in (RELEASE_LENGTH, RELEASE_LENGTH + 1)
        ):
            self._end("released", "by its length: what both sent last was not captured")
        else:
            return False
        return True

    def _missing_last(self, side: Side) -> int:
        """How many bytes are missing at the very end of what a side sent."""
        for gap in reversed(self.association.gaps):
            if gap.sender == side:
                ends = gap.offset + gap.length == self.bytes_seen(side)
                return gap.length if ends else 0
        return 0

    def lost(self, entry: Entry) -> None:
        """The connection ended without release or abort."""
        self._end("lost", entry.detail)
        self._add(entry)

    # -------------------------------------------------------------- inside

    def _step(self, sender: Side, event: Event) -> Fault | None:
        state = self.state
        following = STATES[state].get((sender, event))
        if following is not None:
            self.state = following
            return None
        if state not in _OVER:
            if event in _FORCED:
                self.state = _FORCED[event]
            elif event == "A-ABORT":
                self.state = "ended"
            elif event == "A-RELEASE-RQ" and state in ("requested", "established"):
                self.state = (
                    "requestor-releasing" if sender == "requestor" else "acceptor-releasing"
                )
            if self.association.gaps or (self._answer_unseen and state == "requested"):
                # What made it legal may be among what was not captured.
                if state == "requested" and event == "P-DATA-TF":
                    self.state = "established"
                return None
            if self.association.partial and state == "established" and event.startswith("A-"):
                return None  # what came before was not captured
        return Fault(f"{event} from the {sender} {_WHY[state]}", 0, 0)

    def _associate(self, sender: Side, pdu: AssociatePDU) -> None:
        association = self.association
        peer = association.peer(sender)
        information = pdu.user_information
        peer.implementation_class_uid = information.implementation_class_uid
        peer.implementation_version_name = information.implementation_version_name
        peer.maximum_length = information.maximum_length
        peer.user_information = information
        contexts = association.contexts
        if pdu.kind == "A-ASSOCIATE-RQ":
            association.requestor.ae_title = pdu.calling_ae_title
            association.acceptor.ae_title = pdu.called_ae_title
            association.application_context = pdu.application_context
            for item in pdu.contexts:
                # Of an ID proposed twice the first counts; the PDU's faults tell of the second.
                contexts.setdefault(
                    item.id,
                    PresentationContext(item.id, item.abstract_syntax, item.transfer_syntaxes),
                )
            return
        # The titles of an answer repeat the request's and mean nothing (PS3.8 9.3.3).
        if association.requestor.ae_title is None:
            association.requestor.ae_title = pdu.calling_ae_title or None
            association.acceptor.ae_title = pdu.called_ae_title or None
        if association.application_context is None:
            association.application_context = pdu.application_context
        news = False
        for item in pdu.contexts:
            context = contexts.get(item.id)
            if context is None:
                context = contexts[item.id] = PresentationContext(item.id, None, ())
            if context.result is not None:
                continue
            news = True
            context.result = item.result
            if item.result == 0 and item.transfer_syntaxes:
                context.transfer_syntax = item.transfer_syntaxes[0]
        # Data may cross the wire before the answer does. An answer that says nothing new, however
        # often it comes, is no reason to go through all rows again.
        for entry in association.timeline if news else ():
            message = entry.message
            if message is not None and message.transfer_syntax is None:
                context = contexts.get(message.context_id)
                if context is not None:
                    message.transfer_syntax = context.transfer_syntax
                    message.abstract_syntax = context.abstract_syntax

    def _end(self, outcome: Outcome, detail: str) -> None:
        association = self.association
        if association.outcome == "open":  # the first end counts
            association.outcome = outcome
            association.outcome_detail = detail

    def _add(self, entry: Entry) -> None:
        association = self.association
        self.entries += 1
        entry.number = self.entries
        association.timeline.append(entry)
        if entry.time > association.ended:
            association.ended = entry.time


def new_association(
    number: int,
    requestor: Peer,
    acceptor: Peer,
    time: int,
    *,
    partial: bool,
    answer_unseen: bool = False,
) -> AssociationBuilder:
    """Begin an association at ``time``."""
    association = Association(number, requestor, acceptor, time, time, partial=partial)
    return AssociationBuilder(association, answer_unseen=answer_unseen)
