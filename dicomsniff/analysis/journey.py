"""The journey of an examination through a capture: worklist answer, performed step begun, objects
stored, commitment asked for and reported, performed step ended, and what is missing on the way.

What belongs together is found by Study Instance UID; where that has no match, by accession number,
then by Scheduled Procedure Step ID; commitments by the SOP Instance UIDs they list, their reports
by Transaction UID. A device that makes up a Study Instance UID of its own is thereby found out:
its objects join by accession number, and their study is another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from dicomsniff.analysis import about
from dicomsniff.analysis.operations import PENDING
from dicomsniff.dicom.names import status, uid_name
from dicomsniff.model import Association, Entry, Operation, Side

JOURNEYS_KEPT: Final = 4_096
"""Examinations followed at a time, the latest; those of a week in a large department."""
STOPS_KEPT: Final = 256
"""Stops of one examination. Objects of one association are one stop."""
INSTANCES_KEPT: Final = 65_536
"""SOP Instance UIDs remembered, by which commitments find their examination."""

Kind = Literal["worklist", "begun", "stored", "retrieved", "asked", "reported", "changed", "ended"]

_ORIGINATOR: Final = 0x1030


@dataclass(slots=True)
class Stop:
    """Something that happened to an examination."""

    kind: Kind
    time: int
    association: int
    entries: list[int]
    """First and last entry."""
    sender: str
    """AE title or address of whoever told of it."""
    receiver: str
    until: int
    good: int = 0
    """Objects stored or committed, instances listed."""
    bad: int = 0
    bytes: int = 0
    classes: dict[str, None] = field(default_factory=dict)
    state: str = ""
    """Of the performed step."""
    refused: str = ""
    """Status, where a request was refused."""


@dataclass(slots=True)
class Journey:
    """What became of one examination."""

    number: int
    studies: dict[str, None] = field(default_factory=dict)
    accessions: dict[str, None] = field(default_factory=dict)
    steps: dict[str, None] = field(default_factory=dict)
    stops: list[Stop] = field(default_factory=list)
    scheduled: set[str] = field(default_factory=set)
    """Study Instance UIDs of worklist answers."""
    stored: set[int] = field(default_factory=set)
    """Hashes of SOP Instance UIDs."""
    listed: set[int] = field(default_factory=set)
    """Of those that the performed step lists."""
    places: set[str] = field(default_factory=set)
    """Where it is found."""
    made_up: bool = False
    """Objects or steps have another study than the worklist answer."""

    def has(self, *kinds: Kind) -> bool:
        """Whether it had such a stop, that was not refused."""
        return any(stop.kind in kinds and not stop.refused for stop in self.stops)

    def missing(self) -> list[str]:
        """What one would expect to see on the way and does not, in words."""
        told: list[str] = []
        begun, ended = self.has("begun"), self.has("ended")
        stored, asked = self.has("stored"), self.has("asked")
        followed = begun or ended or stored or asked
        if followed and not self.has("worklist"):
            told.append("no worklist answer with its keys")
        if self.made_up:
            told.append(
                "the Study Instance UID of the worklist was not taken over: objects or performed "
                "step have another"
            )
        if ended and not begun:
            told.append("the N-CREATE of the performed procedure step")
        elif stored and not begun and self.has("worklist"):
            told.append("no performed procedure step was begun (N-CREATE)")
        if begun and not ended:
            told.append("the performed procedure step was never COMPLETED or DISCONTINUED (N-SET)")
        if (begun or ended or asked) and not stored:
            told.append("no object was stored")
        lost = len(self.listed - self.stored)
        if lost and stored:
            told.append(
                f"{lost} of {len(self.listed)} objects that the performed step lists were not "
                "stored"
            )
        if stored and not asked:
            told.append("no storage commitment was asked for (N-ACTION)")
        if asked and not self.has("reported"):
            told.append("no report of the storage commitment (N-EVENT-REPORT)")
        failed = sum(stop.bad for stop in self.stops if stop.kind == "reported")
        if failed:
            told.append(f"commitment to {failed} object{'s' if failed > 1 else ''} failed")
        refused = sum(stop.bad for stop in self.stops if stop.kind == "stored")
        if refused:
            told.append(f"{refused} object{'s were' if refused > 1 else ' was'} refused")
        return told


class Journeys:
    """Collects journeys from associations that have ended; they need not come in order."""

    def __init__(self) -> None:
        self.forgotten = 0
        """Journeys let go, since there were too many."""
        self._journeys: OrderedDict[int, Journey] = OrderedDict()
        self._found: dict[str, int] = {}
        """Study, accession number, step ID, performed step or transaction to its journey."""
        self._instances: OrderedDict[int, int] = OrderedDict()
        """Stored instances to their journey, by hash."""
        self._listed: OrderedDict[int, int] = OrderedDict()
        """The same of those that a performed step lists."""
        self._count = 0
        self._late: list[tuple[Stop, tuple[int, ...], str]] = []
        """Commitments whose objects were not known yet: stop, instances, transaction."""

    def association_ended(self, association: Association) -> None:
        """Take what an association tells."""
        for operation in association.operations:
            service = operation.service
            if service == "C-FIND" and operation.sop_class == about.WORKLIST:
                self._worklist(association, operation)
            elif service == "C-STORE" and operation.request is not None:
                self._store(association, operation, operation.request)
            elif operation.sop_class in about.MPPS and operation.request is not None:
                if service in ("N-CREATE", "N-SET"):
                    self._performed(association, operation, operation.request)
            elif operation.sop_class == about.COMMITMENT and operation.request is not None:
                self._commitment(association, operation, operation.request)

    def journeys(self) -> list[Journey]:
        """All that were found, in the order of their first stop; stops in the order of time."""
        for stop, instances, transaction in self._late:
            self._commit(stop, instances, transaction, late=True)
        self._late.clear()
        for journey in self._journeys.values():
            journey.stops.sort(key=lambda stop: stop.time)
        return sorted(
            self._journeys.values(), key=lambda each: each.stops[0].time if each.stops else 0
        )

    # ------------------------------------------------------------------ finding

    def _look(self, places: Iterable[str]) -> Journey | None:
        for place in places:
            number = self._found.get(place)
            if number is not None and number in self._journeys:
                return self._journeys[number]
        return None

    def _journey(self, keys: about.Keys, *, uid: str = "", scheduled: bool = False) -> Journey:
        """The journey of something with these keys, a new one where there is none."""
        places = [
            *([f"performed {uid}"] if uid else []),
            *(f"study {study}" for study in keys.studies),
            *(f"accession {number}" for number in keys.accessions),
            *(f"step {number}" for number in keys.steps),
        ]
        own = [place for place in places if place[0] in "ps" and not place.startswith("step")]
        by_number = [place for place in places if place.startswith("accession")]
        by_step = [place for place in places if place.startswith("step")]
        found = self._look(own) or self._look(by_number)
        if found is None and not keys.studies and not keys.accessions:
            found = self._look(by_step)
        if found is None:
            self._count += 1
            found = self._journeys[self._count] = Journey(self._count)
            if len(self._journeys) > JOURNEYS_KEPT:
                self._forget()
        for place in places:
            self._found[place] = found.number
            found.places.add(place)
        if scheduled:
            found.scheduled.update(keys.studies)
        found.studies.update(dict.fromkeys(keys.studies))
        found.accessions.update(dict.fromkeys(keys.accessions))
        found.steps.update(dict.fromkeys(keys.steps))
        if found.scheduled and not found.scheduled.issuperset(found.studies):
            found.made_up = True
        return found

    def _forget(self) -> None:
        number, journey = self._journeys.popitem(last=False)
        self.forgotten += 1
        for place in journey.places:
            if self._found.get(place) == number:
                del self._found[place]

    # ------------------------------------------------------------------ by service

    def _worklist(self, association: Association, operation: Operation) -> None:
        for entry in operation.responses:
            message = entry.message
            if message is None or message.status not in PENDING or message.dataset is None:
                continue
            keys = about.worklist_item(message)
            if not any(keys):
                continue
            journey = self._journey(keys, scheduled=True)
            server: Side = "acceptor" if operation.invoked_by == "requestor" else "requestor"
            for stop in journey.stops:
                if stop.kind == "worklist" and stop.receiver == _name(
                    association, operation.invoked_by
                ):
                    # Devices ask again and again; the first answer counts.
                    stop.good += 1
                    stop.until = max(stop.until, entry.time)
                    break
            else:
                _add(journey, _stop("worklist", association, entry, server, good=1))

    def _store(self, association: Association, operation: Operation, request: Entry) -> None:
        message = request.message
        if message is None:
            return
        found = about.stored(message)
        uid = message.sop_instance or found.get(about.SOP_INSTANCE)
        keys = about.Keys(
            tuple(filter(None, (found.get(about.STUDY),))),
            tuple(filter(None, (found.get(about.ACCESSION),))),
        )
        if not keys.studies:
            return
        retrieved = operation.invoked_by == "acceptor" or _ORIGINATOR in message.command
        kind: Kind = "retrieved" if retrieved else "stored"
        journey = self._journey(keys)
        category = ""
        if operation.status is not None:
            category = status("C-STORE", operation.sop_class, operation.status).category
        good = category in ("Success", "Warning")
        for stop in journey.stops:
            if stop.kind == kind and stop.association == association.id:
                break
        else:
            stop = _stop(kind, association, request, operation.invoked_by)
            stop.time = request.began
            _add(journey, stop)
        stop.entries[1] = max(stop.entries[1], request.number)
        stop.until = max(stop.until, request.time, *(e.time for e in operation.responses[-1:]))
        stop.good += good
        stop.bad += category == "Failure"
        stop.bytes += message.dataset.length if message.dataset is not None else 0
        if operation.sop_class:
            stop.classes[uid_name(operation.sop_class) or operation.sop_class] = None
        if uid and good and not retrieved:
            journey.stored.add(hash(uid))
            self._instances[hash(uid)] = journey.number
            if len(self._instances) > INSTANCES_KEPT:
                self._instances.popitem(last=False)

    def _performed(self, association: Association, operation: Operation, request: Entry) -> None:
        message = request.message
        if message is None:
            return
        told = about.performed(message)
        uid = message.sop_instance or ""
        if not uid and operation.responses:
            answer = operation.responses[-1].message
            uid = (answer.sop_instance if answer is not None else None) or ""
        if not uid and not any(told.keys):
            return
        if not any(told.keys) and f"performed {uid}" not in self._found:
            # Its N-CREATE was not captured; the objects it lists may have been.
            for each in told.instances:
                number = self._instances.get(hash(each))
                if number is not None and number in self._journeys:
                    self._found[f"performed {uid}"] = number
                    break
        journey = self._journey(told.keys, uid=uid)
        kind: Kind = (
            "begun"
            if operation.service == "N-CREATE"
            else "ended"
            if told.state in ("COMPLETED", "DISCONTINUED")
            else "changed"
        )
        stop = _stop(kind, association, request, operation.invoked_by, good=len(told.instances))
        stop.state = told.state if told.state.replace(" ", "").isalpha() else ""
        stop.refused = _refused(operation)
        if not stop.refused:
            journey.listed.update(map(hash, told.instances))
            for listed in map(hash, told.instances):
                self._listed[listed] = journey.number
                if len(self._listed) > INSTANCES_KEPT:
                    self._listed.popitem(last=False)
        _add(journey, stop)

    def _commitment(self, association: Association, operation: Operation, request: Entry) -> None:
        message = request.message
        if message is None or operation.service not in ("N-ACTION", "N-EVENT-REPORT"):
            return
        told = about.commitment(message)
        asked = operation.service == "N-ACTION"
        stop = _stop(
            "asked" if asked else "reported",
            association,
            request,
            operation.invoked_by,
            good=len(told.instances),
        )
        stop.bad = len(told.failed)
        stop.refused = _refused(operation)
        instances = tuple(map(hash, (*told.instances, *(uid for uid, _ in told.failed))))
        self._commit(stop, instances, told.transaction)

    def _commit(
        self, stop: Stop, instances: tuple[int, ...], transaction: str, *, late: bool = False
    ) -> None:
        """Put a commitment where its objects are; it may cover several examinations."""
        place = f"transaction {transaction}"
        numbers = dict.fromkeys(
            number for each in instances if (number := self._instances.get(each)) is not None
        )
        if not numbers:
            listing = (self._listed.get(each) for each in instances)
            numbers.update(dict.fromkeys(each for each in listing if each is not None))
        known = self._look([place])
        if known is not None:
            numbers[known.number] = None
        journeys = [self._journeys[each] for each in numbers if each in self._journeys]
        if not journeys:
            if late:
                journeys = [self._journey(about.Keys())]
            else:
                if len(self._late) < JOURNEYS_KEPT:
                    self._late.append((stop, instances, transaction))
                return
        for journey in journeys:
            if transaction:
                self._found.setdefault(place, journey.number)
                journey.places.add(place)
            _add(journey, stop)


def _add(journey: Journey, stop: Stop) -> None:
    if len(journey.stops) < STOPS_KEPT:
        journey.stops.append(stop)


def _name(association: Association, side: Side) -> str:
    peer = association.peer(side)
    return peer.ae_title or peer.address


def _stop(
    kind: Kind, association: Association, entry: Entry, sender: Side, *, good: int = 0
) -> Stop:
    other: Side = "acceptor" if sender == "requestor" else "requestor"
    return Stop(
        kind,
        entry.time,
        association.id,
        [entry.number, entry.number],
        _name(association, sender),
        _name(association, other),
        entry.time,
        good,
    )


def _refused(operation: Operation) -> str:
    if operation.status is None:
        return ""
    said = status(operation.service, operation.sop_class, operation.status)
    if said.category != "Failure":
        return ""
    return f"{said.code:04X}H {said.meaning}"
