"""Performed procedure steps (MPPS), over all associations they take."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dicomsniff.analysis import about
from dicomsniff.analysis.findings import Rule, View, finding, watch
from dicomsniff.analysis.findings.asked import has_value, whole
from dicomsniff.analysis.findings.missed import Missed, Pair, pair
from dicomsniff.analysis.findings.telling import call, keys, title
from dicomsniff.analysis.findings.words import OTHER, listed, seconds
from dicomsniff.dicom.elements import Element
from dicomsniff.dicom.names import status
from dicomsniff.model import Association, CaptureInfo, Entry, Finding, Operation

STEPS_KEPT: Final = 4_096
"""Performed steps remembered: those of a day in a large hospital."""
EVENTS_KEPT: Final = 16
"""Changes remembered of one performed step."""
AN_EXAMINATION_NS: Final = 3_600_000_000_000
"""An hour. A step that began later than this before the capture ended may just be under way."""

_FINAL: Final = ("COMPLETED", "DISCONTINUED")
_STATES: Final = ("IN PROGRESS", *_FINAL)

_CREATED: Final[tuple[int, ...]] = (
    0x00080060,  # Modality
    0x00400241,  # Performed Station AE Title
    0x00400244,  # Performed Procedure Step Start Date
    0x00400245,  # … Start Time
    0x00400252,  # … Status
    0x00400253,  # … ID
    0x00400270,  # Scheduled Step Attributes Sequence
)
"""Type 1 in N-CREATE (PS3.4 table F.7.2-1)."""
_ENDED: Final[tuple[int, ...]] = (
    0x00400250,  # Performed Procedure Step End Date
    0x00400251,  # … End Time
    0x00400340,  # Performed Series Sequence
)
"""Need a value in the final state (PS3.4 table F.7.2-1)."""
_SCHEDULED: Final = 0x00400270
_STUDY: Final = 0x0020000D
_ERROR_ID: Final = 0x0903
_IDENTIFIERS: Final = 0x1005
_REQUEST_AT_FAULT: Final = frozenset((0x0105, 0x0106, 0x0115, 0x0116, 0x0117, 0x0120, 0x0121))
"""Statuses of a request with an attribute that is unknown, invalid, without a value or missing, or
with an invalid UID (PS3.7 C.5)."""

ILLEGAL = Rule(
    "mpps-illegal-change",
    "error",
    "procedure",
    "A performed procedure step is created in another state than IN PROGRESS, changed after it was "
    "COMPLETED or DISCONTINUED, or gets a state that does not exist.",
    "PS3.4 F.7.2.1.2, F.7.2.2.2",
)
MISSING = Rule(
    "mpps-required-attribute",
    "error",
    "procedure",
    "A performed procedure step is created without an attribute that it needs, or ended without "
    "one (a warning).",
    "PS3.4 table F.7.2-1",
)
REFUSED = Rule(
    "mpps-refused",
    "error",
    "procedure",
    "The manager of performed procedure steps refused to create or change one.",
    "PS3.4 F.7.2.1.4, F.7.2.2.4",
)
NOT_ENDED = Rule(
    "mpps-not-completed",
    "warning",
    "procedure",
    "A performed procedure step was created and never COMPLETED or DISCONTINUED; a note where the "
    "examination may still have been under way when the capture ended, or where it misses a "
    "part of what the two said since.",
    "PS3.4 F.7.2.2.2",
)


@dataclass(slots=True)
class _Event:
    """A message about a performed step that was accepted."""

    time: int
    created: bool
    state: str
    association: int
    entry: int


@dataclass(slots=True)
class _Step:
    """What is known of a performed step."""

    events: list[_Event] = field(default_factory=list)
    held: set[int] = field(default_factory=set)
    """Tags that have a value by now."""
    modality: str = ""
    manager: str = ""
    machines: Pair = frozenset()
    frames: tuple[int, ...] = ()

    @property
    def created(self) -> _Event | None:
        return next((each for each in self.events if each.created), None)

    def ended(self, before: int | None = None) -> _Event | None:
        """The event that made it final, before a time."""
        for each in self.events:
            if each.state in _FINAL and (before is None or each.time < before):
                return each
        return None


@watch(ILLEGAL, MISSING, REFUSED, NOT_ENDED)
class PerformedSteps:
    """Each performed step through all associations that tell of it."""

    def __init__(self) -> None:
        self._steps: OrderedDict[str, _Step] = OrderedDict()
        self._latest: dict[str, int] = {}
        """Modality to the time when it last began a step."""
        self._missed = Missed()

    def association(self, view: View) -> Iterator[Finding]:
        """Take what an association says of performed steps."""
        self._missed.note(view.association)
        for operation in view.operations("N-CREATE", "N-SET"):
            request = operation.request
            if (
                request is None
                or request.message is None
                or not whole(request)
                or operation.sop_class not in about.MPPS
            ):
                continue
            uid = request.message.sop_instance
            if uid is None and operation.responses:
                answer = operation.responses[-1].message
                uid = answer.sop_instance if answer is not None else None
            data = view.dataset(request.message)
            if data is None or data.guessed:
                continue
            told = about.performed(request.message)
            step = self._steps.get(uid) if uid else None
            if operation.service == "N-CREATE":
                yield from _created(view.association, operation, request, data.elements, told)
            else:
                yield from _changed(view.association, operation, request, told, step)
            yield from _refused(view, operation, request, step)
            if uid and operation.status is not None and _taken(operation):
                step = self._remember(uid, view.association, operation, request, told)
                step.held.update(each.tag for each in data.elements if has_value(each))
                if told.state in _FINAL and operation.service == "N-SET":
                    yield from _ended(view.association, request, step, told)

    def finish(self, info: CaptureInfo) -> Iterator[Finding]:
        """Tell of steps that never ended."""
        for step in self._steps.values():
            created = step.created
            if created is None or step.ended() is not None:
                continue
            age = (info.last or created.time) - created.time
            later = self._latest.get(step.modality, 0) > created.time
            missed = self._missed.since(step.machines, created.time)
            sure = (later or age >= AN_EXAMINATION_NS) and not missed
            yield finding(
                "mpps-not-completed",
                f"{step.modality} began a procedure step and never ended it",
                f"N-CREATE in association {created.association} (entry {created.entry}), "
                f"{seconds(age)} before the end of the capture"
                + (f"; {step.modality} has begun another one since" if later else "")
                + f". No N-SET with COMPLETED or DISCONTINUED followed.{missed}",
                f"On {step.modality}: was the examination closed there? {step.manager} shows it as "
                "under way until then."
                + ("" if sure or missed else " It may also just have been going on."),
                severity="warning" if sure else "note",
                frames=step.frames,
                ae_titles=[step.modality, step.manager],
            )

    def _remember(
        self,
        uid: str,
        association: Association,
        operation: Operation,
        request: Entry,
        told: about.Step,
    ) -> _Step:
        step = self._steps.get(uid)
        if step is None:
            step = self._steps[uid] = _Step()
            if len(self._steps) > STEPS_KEPT:
                self._steps.popitem(last=False)
        if len(step.events) < EVENTS_KEPT:
            created = operation.service == "N-CREATE"
            step.events.append(
                _Event(request.time, created, told.state, association.id, request.number)
            )
            step.events.sort(key=lambda each: each.time)
            if created:
                step.modality = title(association, operation.invoked_by)
                step.manager = title(association, OTHER[operation.invoked_by])
                step.machines = pair(association)
                step.frames = request.frames[-1:]
                if len(self._latest) < STEPS_KEPT:
                    self._latest[step.modality] = max(
                        request.time, self._latest.get(step.modality, 0)
                    )
        return step


def _taken(operation: Operation) -> bool:
    """Whether a request was accepted."""
    code = operation.status if operation.status is not None else -1
    return status(operation.service, operation.sop_class, code).category in ("Success", "Warning")


def _created(
    association: Association,
    operation: Operation,
    request: Entry,
    elements: list[Element],
    told: about.Step,
) -> Iterator[Finding]:
    mine = call(association, operation.invoked_by)
    if told.state and told.state != "IN PROGRESS":
        yield finding(
            "mpps-illegal-change",
            f"{title(association, operation.invoked_by)} creates a procedure step in another state "
            "than IN PROGRESS",
            f"Performed Procedure Step Status (0040,0252) in entry {request.number} is "
            f"{told.state if told.state in _STATES else 'no defined term'}.",
            f"On {mine}: N-CREATE begins a step, N-SET ends it; there is no way to report one "
            "afterwards in one message.",
            request,
            *operation.responses[-1:],
        )
    held = {each.tag for each in elements if has_value(each)}
    missing: list[int | tuple[int, ...]] = [tag for tag in _CREATED if tag not in held]
    if _SCHEDULED in held and not told.keys.studies:
        missing.append((_SCHEDULED, _STUDY))
    if missing:
        yield finding(
            "mpps-required-attribute",
            f"{title(association, operation.invoked_by)} creates a procedure step without "
            f"{keys(missing)}",
            f"Entry {request.number}: {keys(missing)} has to have a value (type 1).",
            f"On {mine}: send it. Without it the worklist server cannot tell which order was "
            "carried out.",
            request,
            *operation.responses[-1:],
        )


def _changed(
    association: Association,
    operation: Operation,
    request: Entry,
    told: about.Step,
    step: _Step | None,
) -> Iterator[Finding]:
    if told.state and told.state not in _STATES:
        yield finding(
            "mpps-illegal-change",
            f"{title(association, operation.invoked_by)} sets a state that does not exist",
            f"Performed Procedure Step Status (0040,0252) in entry {request.number} is none of "
            f"{listed(_STATES)}.",
            f"On {call(association, operation.invoked_by)}: spelling counts (the one word is "
            "DISCONTINUED).",
            request,
        )
    ended = step.ended(request.time) if step is not None else None
    if ended is not None and _taken(operation):
        yield finding(
            "mpps-illegal-change",
            f"{title(association, operation.invoked_by)} changes a procedure step that was "
            f"{ended.state} before",
            f"Association {ended.association}, entry {ended.entry} made it {ended.state}; the "
            f"N-SET of entry {request.number} changes it, and "
            f"{title(association, OTHER[operation.invoked_by])} let it.",
            f"On {call(association, operation.invoked_by)}: what comes after needs a procedure "
            "step of its own.",
            request,
            *operation.responses[-1:],
            severity="warning",
        )


def _refused(
    view: View, operation: Operation, request: Entry, step: _Step | None
) -> Iterator[Finding]:
    association = view.association
    code = operation.status
    if code is None or not operation.responses or _taken(operation):
        return
    answer = operation.responses[-1]
    view.told.add(answer.number)
    command = answer.message.command if answer.message is not None else {}
    element = command.get(_ERROR_ID)
    error_id = element.value if element is not None and isinstance(element.value, int) else None
    ended = step.ended(request.time) if step is not None else None
    mine, manager = operation.invoked_by, OTHER[operation.invoked_by]
    meaning = status(operation.service, operation.sop_class, code).meaning
    known = f"{code:04X}H, {meaning}" + (f" (Error ID {error_id:04X}H)" if error_id else "")
    if operation.service == "N-SET" and code == 0x0110 and (ended or error_id == 0xA710):
        since = (
            f" It was {ended.state} in association {ended.association}, entry {ended.entry}."
            if ended is not None
            else ""
        )
        yield finding(
            "mpps-illegal-change",
            f"{title(association, mine)} changes a procedure step that has ended",
            f"The N-SET of entry {request.number} was refused: {known}.{since}",
            f"On {call(association, mine)}: after COMPLETED or DISCONTINUED a step cannot be "
            "changed any more; what comes after needs a procedure step of its own.",
            request,
            answer,
        )
        return
    if operation.service == "N-SET" and code == 0x0112:
        advice = (
            f"On {call(association, manager)}: why does it not know the step? It answered its "
            "N-CREATE with Success."
            if step is not None and step.created is not None
            else f"On {call(association, mine)}: was the N-CREATE sent, to this server, and "
            "accepted? It may have been before the capture began."
        )
    elif operation.service == "N-CREATE" and code == 0x0111:
        advice = (
            f"On {call(association, mine)}: this step was created before. Is its N-CREATE sent "
            "again after an answer that came late, or does it make the same UID twice?"
        )
    elif code in _REQUEST_AT_FAULT:
        advice = (
            f"On {call(association, mine)}: the request has what {title(association, manager)} "
            "does not take, or lacks what it needs"
            + (f": {keys(_offending(answer))}" if _offending(answer) else "; its log tells which")
            + "."
        )
    else:
        advice = (
            f"On {call(association, manager)}: its log tells why. On "
            f"{call(association, mine)}: the step stays without report until it is sent again."
        )
    yield finding(
        "mpps-refused",
        f"{title(association, manager)} refuses the {operation.service} of a procedure step",
        f"Entry {request.number} was answered with {known}.",
        advice,
        request,
        answer,
    )


def _offending(answer: Entry) -> list[int]:
    """Tags that a response lists: those that are wrong, and those that are missing."""
    element = answer.message.command.get(_IDENTIFIERS) if answer.message is not None else None
    value = element.value if element is not None else None
    tags = value if isinstance(value, tuple) else (value,)
    return [tag for tag in tags if isinstance(tag, int)]


def _ended(
    association: Association, request: Entry, step: _Step, told: about.Step
) -> Iterator[Finding]:
    needed = [tag for tag in _ENDED if tag not in step.held]
    if told.state == "DISCONTINUED":
        needed = [tag for tag in needed if tag != _ENDED[-1]]
    if step.created is None or not needed:
        return  # what an N-CREATE before the capture held is not known
    yield finding(
        "mpps-required-attribute",
        f"{step.modality} ends a procedure step without {keys(needed)}",
        f"Entry {request.number} makes it {told.state}; {keys(needed)} had no value in the "
        "N-CREATE, nor in any N-SET.",
        f"On {call(association, request.sender)}: send it with the last N-SET; the worklist server "
        "takes the images and the duration from it.",
        request,
        severity="warning",
    )
