"""Storage commitment: what was asked for, what was reported, and what was never stored."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dicomsniff.analysis import about
from dicomsniff.analysis.findings import Rule, View, finding, watch
from dicomsniff.analysis.findings.asked import whole
from dicomsniff.analysis.findings.fresh import Fresh
from dicomsniff.analysis.findings.missed import Missed, Pair, pair
from dicomsniff.analysis.findings.telling import call, title
from dicomsniff.analysis.findings.words import OTHER, count, seconds
from dicomsniff.dicom.dataset import decode
from dicomsniff.dicom.names import status
from dicomsniff.model import Association, CaptureInfo, Entry, Finding, Operation

TRANSACTIONS_KEPT: Final = 4_096
"""Transactions remembered: those of a day in a large hospital."""
INSTANCES_KEPT: Final = 65_536
"""Stored instances remembered, to know which of those committed were stored."""
AN_HOUR_NS: Final = 3_600_000_000_000
"""What was asked for later than this before the capture ended may just not have been reported."""

_REASONS: Final = {
    0x0110: "Processing Failure",
    0x0112: "No Such Object Instance",
    0x0119: "Class/Instance Conflict",
    0x0122: "Referenced SOP Class Not Supported",
    0x0131: "Duplicate Transaction UID",
    0x0213: "Resource Limitation",
}
"""Failure Reason (0008,1197), PS3.3 C.14.1.1."""

FAILED = Rule(
    "commitment-failed",
    "error",
    "procedure",
    "Storage commitment was reported as failed for some instances, with the reasons given.",
    "PS3.4 J.3.3, PS3.3 C.14",
)
INCOMPLETE = Rule(
    "commitment-incomplete",
    "error",
    "procedure",
    "A report of storage commitment leaves out instances that were asked for, or names others.",
    "PS3.4 J.3.3",
)
UNREPORTED = Rule(
    "commitment-not-reported",
    "warning",
    "procedure",
    "Storage commitment was asked for and accepted, and never reported; a note where the capture "
    "may have ended too early, or misses a part of what the two said since.",
    "PS3.4 J.3.2, J.3.3",
)
UNSTORED = Rule(
    "commitment-not-stored",
    "warning",
    "procedure",
    "Commitment was asked for instances of which some were stored in this capture and others not.",
    "PS3.4 J.3.2",
)


@dataclass(slots=True)
class _Asked:
    """An N-ACTION that asks for commitment."""

    association: int
    entry: int
    time: int
    instances: frozenset[int]
    """Hashes of SOP Instance UIDs."""
    requestor: str
    server: str
    machines: Pair
    frames: tuple[int, ...]
    accepted: bool
    reported: bool = False


@watch(FAILED, INCOMPLETE, UNREPORTED, UNSTORED)
class Commitments:
    """N-ACTIONs beside the N-EVENT-REPORTs that answer them."""

    def __init__(self) -> None:
        self._live: dict[int, Fresh] = {}
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._stored: OrderedDict[int, None] = OrderedDict()
        self._early: OrderedDict[str, None] = OrderedDict()
        """Transactions that were reported before it was known that they were asked for: what the
        capture misses a part of may be told late."""
        self._missed = Missed()

    def began(self, association: Association) -> None:
        """A report may come while the association that asked is still open."""
        self._live[association.id] = Fresh(association)

    def association(self, view: View) -> Iterator[Finding]:
        """Take what was stored, asked for and reported."""
        association = view.association
        fresh = self._live.pop(association.id, None) or Fresh(association)
        self._learn(association, fresh.all())
        self._missed.note(association)
        for operation, request, told in _commitments(association.operations, "N-ACTION"):
            yield from self._unstored(association, operation, request, told)
        for operation, request, told in _commitments(association.operations, "N-EVENT-REPORT"):
            if told.transaction not in self._asked:
                for other in self._live.values():
                    done, rest = other.take()
                    self._learn(other.association, (*done, *rest))
            asked = self._asked.get(told.transaction)
            if asked is not None:
                asked.reported = True
            else:
                self._early[told.transaction] = None
                if len(self._early) > TRANSACTIONS_KEPT:
                    self._early.popitem(last=False)
            yield from self._reported(association, operation, request, told, asked)

    def finish(self, info: CaptureInfo) -> Iterator[Finding]:
        """Tell of what was never reported."""
        for asked in self._asked.values():
            if asked.reported or not asked.accepted:
                continue
            age = (info.last or asked.time) - asked.time
            missed = self._missed.since(asked.machines, asked.time)
            sure = age >= AN_HOUR_NS and not missed
            yield finding(
                "commitment-not-reported",
                f"{asked.server} never reported on a storage commitment",
                f"{asked.requestor} asked for {count(len(asked.instances), 'instance')} in "
                f"association {asked.association} (entry {asked.entry}), which was accepted "
                f"{seconds(age)} before the end of the capture; no N-EVENT-REPORT with its "
                f"Transaction UID came.{missed}",
                f"On {asked.server}: does it know address and port of {asked.requestor} for its "
                f"report, and may it connect there? On {asked.requestor}: does it listen, and "
                "accept the SCP role of the other side?"
                + ("" if sure or missed else " The report may also just have come later."),
                severity="warning" if sure else "note",
                frames=asked.frames,
                ae_titles=[asked.requestor, asked.server],
            )

    def _learn(self, association: Association, operations: Iterable[Operation]) -> None:
        """Remember stored instances and requests, also of an association that is still open."""
        operations = list(operations)
        for operation in operations:
            if operation.service != "C-STORE" or operation.request is None:
                continue
            message = operation.request.message
            if message is None or message.sop_instance is None or operation.status is None:
                continue
            if status("C-STORE", operation.sop_class, operation.status).category in (
                "Success",
                "Warning",
            ):
                self._stored[hash(message.sop_instance)] = None
                if len(self._stored) > INSTANCES_KEPT:
                    self._stored.popitem(last=False)
        for operation, request, told in _commitments(operations, "N-ACTION"):
            known = self._asked.get(told.transaction)
            if known is not None and known.association == association.id:
                known.accepted = operation.status == 0
                continue
            self._asked[told.transaction] = _Asked(
                association.id,
                request.number,
                request.time,
                frozenset(map(hash, told.instances)),
                title(association, operation.invoked_by),
                title(association, OTHER[operation.invoked_by]),
                pair(association),
                request.frames[-1:],
                operation.status == 0,
                told.transaction in self._early,
            )
            if len(self._asked) > TRANSACTIONS_KEPT:
                self._asked.popitem(last=False)

    def _unstored(
        self, association: Association, operation: Operation, request: Entry, told: about.Commitment
    ) -> Iterator[Finding]:
        unknown = [uid for uid in told.instances if hash(uid) not in self._stored]
        # Where none of them was stored in this capture, it began too late to tell.
        if not unknown or len(unknown) == len(told.instances):
            return
        for live in self._live.values():
            self._missed.note(live.association)
        if self._missed.before(pair(association), request.time):
            return  # nor where it does not hold all that they said
        yield finding(
            "commitment-not-stored",
            f"{title(association, operation.invoked_by)} asks for commitment of instances that it "
            "did not store",
            f"{len(unknown)} of the {len(told.instances)} instances of entry {request.number} were "
            "not stored successfully in this capture, the others were.",
            f"On {call(association, operation.invoked_by)}: were they sent, and where to? It asks "
            f"{title(association, OTHER[operation.invoked_by])}. They may also have been sent "
            "before the capture began.",
            request,
        )

    def _reported(
        self,
        association: Association,
        operation: Operation,
        request: Entry,
        told: about.Commitment,
        asked: _Asked | None,
    ) -> Iterator[Finding]:
        server = title(association, operation.invoked_by)
        if told.failed:
            reasons = Counter(code for _, code in told.failed)
            why = "; ".join(
                f"{count(times, 'time')} {_reason(code)}" for code, times in reasons.most_common()
            )
            never = [uid for uid, _ in told.failed if hash(uid) not in self._stored]
            detail = (
                f"The N-EVENT-REPORT of entry {request.number} names {len(told.instances)} "
                f"committed and {len(told.failed)} failed: {why}."
            )
            if asked is not None:
                detail += f" They were asked for in association {asked.association}, entry "
                detail += f"{asked.entry}."
            if never and self._stored:
                detail += f" {len(never)} of the failed were not stored in this capture."
            yield finding(
                "commitment-failed",
                f"{server} does not commit to {count(len(told.failed), 'instance')}",
                detail,
                f"On {title(association, OTHER[operation.invoked_by])}: do not delete them; send "
                f"them again, then ask again. On {call(association, operation.invoked_by)}: its "
                "log tells what became of them.",
                request,
                *operation.responses[-1:],
            )
        if asked is None:
            return
        named = frozenset(map(hash, told.instances)) | {hash(uid) for uid, _ in told.failed}
        missing, extra = len(asked.instances - named), len(named - asked.instances)
        if missing or extra:
            parts = []
            if missing:
                parts.append(f"{missing} of the {len(asked.instances)} asked for are not in it")
            if extra:
                parts.append(f"{extra} in it were not asked for")
            yield finding(
                "commitment-incomplete",
                f"{server} reports on other instances than were asked for",
                f"The N-EVENT-REPORT of entry {request.number} answers association "
                f"{asked.association}, entry {asked.entry}: {' and '.join(parts)}.",
                f"Call the vendor of {call(association, operation.invoked_by)}: every instance "
                "asked for is either committed or failed, in one report.",
                request,
            )


def _commitments(
    operations: Iterable[Operation], service: str
) -> Iterator[tuple[Operation, Entry, about.Commitment]]:
    """Messages of storage commitment that were captured whole."""
    for operation in operations:
        request = operation.request
        if (
            operation.service != service
            or operation.sop_class != about.COMMITMENT
            or request is None
            or request.message is None
            or request.message.dataset is None
            or not whole(request)
        ):
            continue
        if decode(request.message.dataset, request.message.transfer_syntax).guessed:
            continue
        told = about.commitment(request.message)
        if told.transaction:
            yield operation, request, told


def _reason(code: int | None) -> str:
    if code is None:
        return "without a reason"
    return f"{code:04X}H {_REASONS.get(code, 'of unknown meaning')}"
