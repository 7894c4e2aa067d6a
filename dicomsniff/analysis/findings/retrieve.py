"""C-MOVE and C-GET: whether what was asked for came, and where it got stuck."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from dicomsniff.analysis.findings import (
    RETRIEVALS,
    Rule,
    View,
    finding,
    rule,
    says,
    watch,
)
from dicomsniff.analysis.findings.captured import negotiation_cut
from dicomsniff.analysis.findings.fresh import Fresh
from dicomsniff.analysis.findings.telling import call, title
from dicomsniff.analysis.findings.words import NAMED, count, listed, named
from dicomsniff.dicom.names import is_storage, reject_text, status
from dicomsniff.model import (
    Association,
    CaptureInfo,
    Entry,
    Finding,
    Operation,
    Peer,
    PresentationContext,
    RejectPDU,
    Side,
)

TITLES_KEPT: Final = 4_096
"""AE titles remembered that take part in associations."""
ENDED_KEPT: Final = 256
"""Associations remembered that may have been caused by a C-MOVE that is still under way."""
CAUSES_KEPT: Final = 64
"""C-MOVEs told apart in one of them."""
MARGIN_NS: Final = 1_000_000_000
"""Time by which a sub-association may begin before the request was whole: none, but for clocks of
merged captures."""

_DESTINATION: Final = 0x0600
_ORIGINATOR: Final = 0x1030
_ORIGINATOR_ID: Final = 0x1031

_Cause = tuple[str | None, int | None]
"""Move Originator AE Title and Message ID of a C-STORE."""


@dataclass(slots=True)
class _Counts:
    """C-STOREs by how they were answered."""

    success: int = 0
    warning: int = 0
    failed: Counter[tuple[int, str | None]] = field(default_factory=Counter)
    """By status and SOP class."""
    unanswered: int = 0

    @property
    def total(self) -> int:
        return self.success + self.warning + self.failed.total() + self.unanswered

    def add(self, operation: Operation) -> None:
        """Take one C-STORE."""
        code = operation.status
        if code is None:
            self.unanswered += 1
            return
        category = status("C-STORE", operation.sop_class, code).category
        if category == "Success":
            self.success += 1
        elif category == "Warning":
            self.warning += 1
        else:
            self.failed[code, operation.sop_class] += 1

    def join(self, other: _Counts) -> None:
        """Take those of another association."""
        self.success += other.success
        self.warning += other.warning
        self.failed += other.failed
        self.unanswered += other.unanswered


@dataclass(slots=True)
class _Sub:
    """An association that a C-MOVE may have caused."""

    id: int
    requestor: str | None
    address: str
    called: str
    """Address of the acceptor."""
    acceptor: str | None
    started: int
    ended: int | None
    outcome: str
    detail: str
    rejected: str
    """Result, source and reason."""
    accepted: int
    """Presentation contexts."""
    answered: bool
    """Whether the acceptor accepted the association, and the answer was captured whole."""
    proposed: tuple[str, ...]
    """Abstract syntaxes."""
    whole: bool
    """Nothing of it is missing."""
    stores: dict[_Cause, _Counts]
    frames: tuple[int, ...]


def _tally(stores: dict[_Cause, _Counts], operations: Iterable[Operation]) -> None:
    """Add C-STOREs by what caused them."""
    for operation in operations:
        if operation.service != "C-STORE" or operation.request is None:
            continue
        message = operation.request.message
        if message is None:
            continue
        said = message.command.get(_ORIGINATOR)
        number = message.command.get(_ORIGINATOR_ID)
        cause = (
            said.value.strip() if said is not None and isinstance(said.value, str) else None,
            number.value if number is not None and isinstance(number.value, int) else None,
        )
        if cause in stores or len(stores) < CAUSES_KEPT:
            stores.setdefault(cause, _Counts()).add(operation)


class _Live:
    """An association that is still open, and the C-STOREs counted of it so far."""

    __slots__ = ("_fresh", "_stores", "association")

    def __init__(self, association: Association) -> None:
        self.association = association
        self._fresh = Fresh(association)
        self._stores: dict[_Cause, _Counts] = {}

    def sub(self, *, ended: bool = False) -> _Sub:
        """What it looks like by now."""
        done, rest = self._fresh.take()
        _tally(self._stores, done)
        stores = self._stores
        if rest:
            stores = {}
            for cause, counts in self._stores.items():
                stores[cause] = _Counts()
                stores[cause].join(counts)
            _tally(stores, rest)
        return _sub(self.association, stores, ended)


def _sub(association: Association, stores: dict[_Cause, _Counts], ended: bool) -> _Sub:
    rejected = ""
    for entry in association.timeline[:4]:
        if isinstance(entry.pdu, RejectPDU):
            pdu = entry.pdu
            rejected = ", ".join(reject_text(pdu.result, pdu.source, pdu.reason))
    contexts = association.contexts.values()
    return _Sub(
        association.id,
        association.requestor.ae_title,
        association.requestor.address,
        association.acceptor.address,
        association.acceptor.ae_title,
        association.started,
        association.ended if ended else None,
        association.outcome,
        association.outcome_detail,
        rejected,
        sum(context.result == 0 for context in contexts),
        any(e.kind == "A-ASSOCIATE-AC" and e.complete for e in association.timeline[:4]),
        tuple(dict.fromkeys(c.abstract_syntax for c in contexts if c.abstract_syntax)),
        not association.gaps and not association.partial,
        stores,
        tuple(entry.last_frame for entry in association.timeline[:3]),
    )


UNKNOWN = Rule(
    "move-destination-unknown",
    "error",
    "retrieve",
    "A C-MOVE names a destination that the server does not know (A801H); AE titles that are known "
    "by their associations are told.",
    "PS3.4 C.4.2.1.5",
)
REJECTED = Rule(
    "move-sub-association-rejected",
    "error",
    "retrieve",
    "The destination of a C-MOVE rejected the server's association.",
    "PS3.4 C.4.2.3.1",
)
REFUSED = Rule(
    "move-sub-association-refused",
    "error",
    "retrieve",
    "The server could not connect to the destination of a C-MOVE: refused, or unanswered.",
    "PS3.4 C.4.2.3.1",
)
NO_CONTEXT = Rule(
    "move-sub-association-no-context",
    "error",
    "retrieve",
    "The destination of a C-MOVE accepted the association, and no presentation context in it.",
    "PS3.4 C.4.2.3.1",
)
BROKEN = Rule(
    "move-sub-association-broken",
    "error",
    "retrieve",
    "The sub-association of a C-MOVE was aborted or lost.",
    "PS3.4 C.4.2.3.1",
)
NONE_CAME = Rule(
    "move-no-sub-association",
    "warning",
    "retrieve",
    "Sub-operations of a C-MOVE failed, and no association to its destination was captured.",
    "PS3.4 C.4.2.3.1",
)
FAILED = Rule(
    "retrieve-sub-operations-failed",
    "error",
    "retrieve",
    "A C-MOVE or C-GET ended with failed sub-operations; where the C-STOREs were captured, how "
    "each was answered.",
    "PS3.4 C.4.2.1.5, C.4.3.1.4",
)
CONTRADICT = Rule(
    "retrieve-counts-contradict",
    "warning",
    "retrieve",
    "The numbers of sub-operations in the final response are not those of the C-STOREs that "
    "crossed the wire.",
    "PS3.4 C.4.2.1.6 to C.4.2.1.9",
)


@watch(UNKNOWN, REJECTED, REFUSED, NO_CONTEXT, BROKEN, NONE_CAME, FAILED, CONTRADICT)
class Retrievals:
    """C-MOVE and C-GET beside the associations they caused."""

    def __init__(self) -> None:
        self._live: dict[int, _Live] = {}
        self._ended: OrderedDict[int, _Sub] = OrderedDict()
        self._titles: OrderedDict[str, str] = OrderedDict()
        """AE titles that are known by their associations, and whether they were called."""

    def began(self, association: Association) -> None:
        """It may be a sub-association, and end after its C-MOVE."""
        self._live[association.id] = _Live(association)

    def association(self, view: View) -> Iterator[Finding]:
        """Speak of the retrievals of an association that has ended."""
        association = view.association
        live = self._live.pop(association.id, None) or _Live(association)
        mine = self._ended[association.id] = live.sub(ended=True)
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
        self._learn(association)
        around: list[_Sub] = []
        for operation in view.operations("C-MOVE", "C-GET"):
            if operation.request is None:
                continue
            if operation.service == "C-MOVE" and not around:
                around = self._around(view)
            yield from self._retrieval(view, operation, operation.request, mine, around)

    def finish(self, info: CaptureInfo) -> Iterator[Finding]:  # noqa: ARG002
        """All is said."""
        yield from ()

    def _around(self, view: View) -> list[_Sub]:
        """Associations that the C-MOVEs of one may have caused: those that ended of late, and the
        open ones with one of their destinations."""
        moves = [each for each in view.operations("C-MOVE") if each.request is not None]
        destinations = {_destination(each.request) for each in moves if each.request is not None}
        linked = {link.association for each in moves for link in each.linked}
        live = [
            each.sub()
            for number, each in self._live.items()
            if number in linked or each.association.acceptor.ae_title in destinations
        ]
        return [*self._ended.values(), *live]

    def _learn(self, association: Association) -> None:
        if not any(entry.kind == "A-ASSOCIATE-AC" for entry in association.timeline[:4]):
            return
        for peer, how in (
            (association.acceptor, "was called"),
            (association.requestor, "calls others"),
        ):
            if peer.ae_title and self._titles.get(peer.ae_title) != "was called":
                self._titles[peer.ae_title] = how
                if len(self._titles) > TITLES_KEPT:
                    self._titles.popitem(last=False)

    # ------------------------------------------------------------------ one retrieval

    def _retrieval(
        self,
        view: View,
        operation: Operation,
        request: Entry,
        mine: _Sub,
        around: list[_Sub],
    ) -> Iterator[Finding]:
        association = view.association
        final = operation.responses[-1] if operation.status is not None else None
        if operation.status == 0xA801 and final is not None:
            view.told.add(final.number)
            yield self._unknown(association, operation, request, final)
            return
        counts = operation.sub_operations
        failed = (counts.failed or 0) if counts is not None else 0
        code = operation.status
        category = status(operation.service, operation.sop_class, code or 0).category
        troubled = failed > 0 or code is None or category == "Failure"
        if operation.service == "C-GET":
            subs = [mine]
            seen = _store_counts(association, operation)
        else:
            subs = _subs(association, operation, request, around)
            seen = _Counts()
            for sub in subs:
                seen.join(_caused(sub, association, operation))
        whole = all(sub.whole for sub in subs) and not _held_back(view, subs)
        stuck: list[Finding] = []
        if troubled and operation.service == "C-MOVE":
            stuck.extend(self._stuck(view, operation, request, subs, failed))
            yield from stuck
        if final is not None and failed:
            view.told.add(final.number)
            found = _failed(association, operation, request, final, failed, seen, whole)
            if stuck:
                found.advice = f"Why is told under {listed(each.code for each in stuck)}."
            elif operation.service == "C-GET" and _storage_refused(association):
                found.advice = "Why is told under get-no-storage-context."
            elif any(each.code == "role-selection-missing" for each in view.found):
                found.advice = "Why is told under role-selection-missing."
            yield found
        if final is not None and whole and not association.gaps:
            yield from _contradiction(association, operation, request, final, seen)

    def _unknown(
        self, association: Association, operation: Operation, request: Entry, final: Entry
    ) -> Finding:
        server: Side = "acceptor" if operation.invoked_by == "requestor" else "requestor"
        destination = _destination(request) or ""
        known = [each for each in self._titles if each != association.acceptor.ae_title]
        known.sort(key=lambda each: self._titles[each] != "was called")
        near = [
            each
            for each in known
            if each != destination and each.casefold() == destination.casefold()
        ] or [
            each
            for each in get_close_matches(destination, known, n=1, cutoff=0.75)
            if each != destination
        ]
        if near:
            guess = f" {near[0]} reads much the same and takes part in associations."
        elif known:
            guess = f" AE titles known by their associations in this capture: {listed(known)}."
        else:
            guess = ""
        return finding(
            "move-destination-unknown",
            f"{title(association, server)} does not know the Move Destination {destination}",
            f"{title(association, operation.invoked_by)} asked for objects to be sent to "
            f"{destination or 'nobody'} (0000,0600) and got A801H.{guess}",
            f"On {call(association, server)}: enter {destination} with its address and port as a "
            f"destination. Or on {title(association, operation.invoked_by)}: correct the title; "
            "case and spaces count.",
            request,
            final,
            ae_titles=[destination, *near, *known[: NAMED + 1]],
        )

    def _stuck(
        self,
        view: View,
        operation: Operation,
        request: Entry,
        subs: list[_Sub],
        failed: int,
    ) -> Iterator[Finding]:
        """What became of the sub-association, where sub-operations failed."""
        association = view.association
        destination = _destination(request) or "the destination"
        side: Side = "acceptor" if operation.invoked_by == "requestor" else "requestor"
        server = association.peer(side)
        who, whom = server.ae_title or server.address, call(association, side)
        final = operation.responses[-1:]
        told = False
        for sub in subs:
            place = f"Association {sub.id}, from {who} to {destination}"
            if sub.rejected:
                code, text = "move-sub-association-rejected", f"was rejected: {sub.rejected}"
                advice = (
                    f"On {destination}: enter {who} ({server.address}) as a calling AE title. On "
                    f"{whom}: is {destination} entered with the right AE title, address and port?"
                )
                what = f"{destination} rejects {who}, so nothing arrives"
            elif sub.answered and not sub.accepted:
                code = "move-sub-association-no-context"
                text = (
                    f"was accepted without any presentation context; {who} proposed "
                    f"{listed(named(each) for each in sub.proposed)}"
                )
                advice = (
                    f"On {destination}: does it accept storage of these SOP classes, in one of the "
                    f"transfer syntaxes proposed? On {whom}: let it convert, or propose "
                    "uncompressed transfer syntaxes too."
                )
                what = f"{destination} accepts nothing that {who} has to send"
            elif sub.outcome in ("aborted", "lost"):
                code = "move-sub-association-broken"
                text = f"was {sub.outcome} ({sub.detail})"
                advice = f"The findings and the timeline of association {sub.id} tell more."
                what = f"The association from {who} to {destination} broke"
            else:
                told = True  # it went as it should; why C-STOREs failed is told by their count
                continue
            told = True
            yield finding(
                code,
                what,
                f"{place}, {text}. The C-MOVE (entry {request.number}) asked for it.",
                advice,
                request,
                *final,
                frames=sub.frames,
                ae_titles=[destination],
            )
        if told:
            return
        end = final[0].time if final and operation.status is not None else association.ended
        for attempt in view.attempts:
            if attempt.client == server.address and (
                request.time - MARGIN_NS <= attempt.last and attempt.first <= end
            ):
                how = (
                    "was answered by a reset: nothing listens there"
                    if attempt.answer == "reset"
                    else "was not answered"
                    if attempt.answer == "silence"
                    else "was rejected on the way, or had none (ICMP)"
                    if attempt.answer == "unreachable"
                    else "met TLS, or was met with it"
                )
                yield finding(
                    "move-sub-association-refused",
                    f"{who} cannot connect to {destination}",
                    f"While the C-MOVE (entry {request.number}) was under way, a connection from "
                    f"{attempt.client} to {attempt.server.address} port {attempt.server.port} "
                    f"{how}.",
                    f"On {destination}: is its storage service running, on this port? On {whom}: "
                    f"are address and port of {destination} right?",
                    request,
                    *final,
                    frames=attempt.frames,
                    ae_titles=[destination],
                )
                return
        if operation.status is None or (not failed and operation.status not in (0xA702, 0xB000)):
            return
        if any(caller == server.address for caller, _ in view.waiting()):
            return  # it may be one of those of which too little was captured so far
        yield finding(
            "move-no-sub-association",
            f"No association from {who} to {destination} was captured",
            f"The C-MOVE (entry {request.number}) ended with failed sub-operations, and while it "
            f"was under way nothing from {who} to {destination} is in this capture.",
            f"If the capture was made where it would have passed, then on {whom}: address, port "
            f"and routing of {destination}. If not, capture there.",
            request,
            *final,
            ae_titles=[destination],
        )


def _subs(
    association: Association, operation: Operation, request: Entry, around: list[_Sub]
) -> list[_Sub]:
    """Associations of the server with the destination while the C-MOVE was under way."""
    destination = _destination(request)
    server = association.other(operation.invoked_by)
    end = operation.responses[-1].time if operation.status is not None else association.ended
    linked = {link.association for link in operation.linked}
    return [
        sub
        for sub in around
        if sub.id != association.id
        and (
            sub.id in linked
            or (
                destination is not None
                and sub.acceptor == destination
                and _same(sub, server)
                and request.time - MARGIN_NS <= sub.started <= end
            )
        )
    ]


def _held_back(view: View, subs: Iterable[_Sub]) -> bool:
    """Whether there may be more of one of these than was delivered so far."""
    pairs = {(sub.address, sub.called) for sub in subs}
    return bool(pairs) and not pairs.isdisjoint(view.waiting())


def _destination(request: Entry) -> str | None:
    element = request.message.command.get(_DESTINATION) if request.message is not None else None
    if element is None or not isinstance(element.value, str):
        return None
    return element.value.strip() or None


def _same(sub: _Sub, server: Peer) -> bool:
    return sub.address == server.address or (
        server.ae_title is not None and sub.requestor == server.ae_title
    )


def _caused(sub: _Sub, association: Association, operation: Operation) -> _Counts:
    """C-STOREs of a sub-association that this C-MOVE caused."""
    originator = association.peer(operation.invoked_by).ae_title
    found = _Counts()
    for (said, number), counts in sub.stores.items():
        if said is None or (said == originator and number in (None, operation.message_id)):
            found.join(counts)
    return found


def _store_counts(association: Association, get: Operation) -> _Counts:
    """C-STOREs that a C-GET caused: those of the other side until it was answered for good."""
    found = _Counts()
    first = get.request.number if get.request is not None else 0
    last = get.responses[-1].number if get.status is not None else len(association.timeline)
    for operation in association.operations:
        if (
            operation.service == "C-STORE"
            and operation.invoked_by != get.invoked_by
            and operation.request is not None
            and first < operation.request.number <= last
        ):
            found.add(operation)
    return found


def _failures(counts: _Counts) -> str:
    """``3 times A700H Refused: Out of Resources (CT Image Storage)``."""
    told = []
    for (code, sop_class), times in counts.failed.most_common(NAMED):
        meaning = status("C-STORE", sop_class, code).meaning
        told.append(f"{code:04X}H {meaning} ({named(sop_class)}), {count(times, 'time')}")
    return "; ".join(told)


def _failed(
    association: Association,
    operation: Operation,
    request: Entry,
    final: Entry,
    failed: int,
    seen: _Counts,
    whole: bool,
) -> Finding:
    counts = operation.sub_operations
    completed = (counts.completed or 0) if counts is not None else 0
    asker, server = (
        (association.requestor, association.acceptor)
        if operation.invoked_by == "requestor"
        else (association.acceptor, association.requestor)
    )
    receiver = (
        asker.ae_title or asker.address
        if operation.service == "C-GET"
        else _destination(request) or "the destination"
    )
    sender = server.ae_title or server.address
    if seen.failed:
        detail = f" On the wire, C-STOREs were answered with {_failures(seen)}."
        advice = f"On {receiver}: why does it refuse these objects? The statuses say who is to act."
    elif seen.total and whole:
        detail = (
            f" {count(seen.total, 'C-STORE')} crossed the wire, and none of them was answered with "
            "a failure: the others were never sent."
        )
        advice = (
            f"On {sender}: its log tells which objects it could not send. Often no presentation "
            f"context for their SOP class or transfer syntax was accepted by {receiver}, or a file "
            "is missing."
        )
    else:
        detail = ""
        advice = f"On {sender}: its log tells which objects it could not send, and why."
    code = operation.status or 0
    return finding(
        "retrieve-sub-operations-failed",
        f"{failed} of {completed + failed} objects of a {operation.service} did not arrive",
        f"The final response (entry {final.number}, {code:04X}H) counts {completed} completed and "
        f"{failed} failed.{detail}",
        advice,
        request,
        final,
        ae_titles=[receiver],
    )


def _contradiction(
    association: Association,
    operation: Operation,
    request: Entry,
    final: Entry,
    seen: _Counts,
) -> Iterator[Finding]:
    counts = operation.sub_operations
    if (
        counts is None
        or counts.completed is None
        or not seen.total
        or seen.unanswered
        or operation.status not in (0x0000, 0xB000)
    ):
        return
    # A warning counts as completed with some servers, as a warning of its own with others.
    good = counts.completed + (counts.warning or 0)
    bad = counts.failed or 0
    if good == seen.success + seen.warning and bad >= seen.failed.total():
        return
    yield finding(
        "retrieve-counts-contradict",
        f"{operation.service} counts {good} objects where {seen.success + seen.warning} were "
        "stored",
        f"The final response (entry {final.number}) says {counts.completed} completed, "
        f"{counts.warning or 0} with warnings, {bad} failed. On the wire "
        f"{count(seen.success, 'C-STORE')} succeeded, {seen.warning} with a warning, "
        f"{seen.failed.total()} failed.",
        f"Call the vendor of {call(association, 'acceptor')}: a device that trusts these numbers "
        "shows a wrong progress, or takes an incomplete study for complete.",
        request,
        final,
    )


@rule(
    "retrieve-nothing",
    "note",
    "retrieve",
    "A C-MOVE or C-GET succeeded without a single object.",
    "PS3.4 C.4.2.1.5, C.4.3.1.4",
    when=RETRIEVALS,
)
def nothing(view: View) -> Iterator[Finding]:
    """Success, and no sub-operations."""
    association = view.association
    for operation in view.operations("C-MOVE", "C-GET"):
        counts = operation.sub_operations
        if operation.status != 0 or operation.request is None or association.gaps:
            continue
        done = () if counts is None else (counts.completed, counts.failed, counts.warning)
        if any(done) or operation.linked or len(operation.responses) > 1:
            continue
        server: Side = "acceptor" if operation.invoked_by == "requestor" else "requestor"
        yield finding(
            "retrieve-nothing",
            f"{operation.service} succeeded, and nothing was sent",
            f"{title(association, server)} answered entry {operation.request.number} with Success "
            "and no sub-operation.",
            f"Does {call(association, server)} hold what the identifier names? The UIDs have to be "
            "exactly those of its query answers.",
            operation.request,
            *operation.responses,
        )


def _storage(association: Association) -> list[PresentationContext]:
    return [
        each
        for each in association.contexts.values()
        if each.abstract_syntax and is_storage(each.abstract_syntax)
    ]


def _storage_refused(association: Association) -> bool:
    """Whether it is known that no storage SOP class was accepted."""
    contexts = association.contexts.values()
    if (
        association.partial
        or negotiation_cut(association)
        or not contexts
        or any(each.result is None for each in contexts)
    ):
        return False  # the answer was not captured
    return not any(each.result == 0 for each in _storage(association))


@rule(
    "get-no-storage-context",
    "error",
    "retrieve",
    "A C-GET on an association in which no storage SOP class was accepted: nothing can be sent.",
    "PS3.4 C.4.3.2, C.5.3",
    when=says("C-GET"),
)
def no_storage_context(view: View) -> Iterator[Finding]:
    """Sub-operations need contexts of their own on the same association."""
    association = view.association
    if not _storage_refused(association):
        return
    storage = _storage(association)
    for operation in view.operations("C-GET"):
        if operation.request is None:
            continue
        if storage:
            what = f"all {len(storage)} that were proposed for storage were refused"
            advice = (
                f"On {call(association, 'acceptor')}: let it accept storage SOP classes with the "
                "roles that C-GET needs."
            )
        else:
            what = "none was proposed for storage"
            advice = (
                f"On {call(association, 'requestor')}: it has to propose the storage SOP classes "
                "it wants, each with SCP role selection, on the association of the C-GET."
            )
        yield finding(
            "get-no-storage-context",
            "A C-GET that cannot bring anything: no presentation context for storage",
            f"Of {count(len(association.contexts), 'presentation context')}, {what}; a C-GET "
            f"(entry {operation.request.number}) stores on its own association.",
            advice,
            *(entry for entry in association.timeline[:2] if entry.kind.startswith("A-ASSOCIATE")),
            operation.request,
            *operation.responses[-1:],
        )
