"""Operations that belong together though they cross the wire on several associations.

A linker hears of each message as it is joined to its operation, and fills ``Operation.linked``:

- C-MOVE or C-GET, and the C-STOREs it caused: by Move Originator AE Title and Message ID
  (0000,1030), (0000,1031), else by AE titles, time and study;
- N-ACTION of storage commitment, and the N-EVENT-REPORT that answers it: by Transaction UID;
- N-CREATE of a performed procedure step, and all that is said of that step later: by its UID;
- the journey: worklist query, performed step, C-STOREs, commitment: by Study Instance UID,
  accession number and SOP Instance UIDs.

Associations are handed on as they end, and may have been written by then. So the later operation
always names the earlier; the earlier names the later only while its own association is still
open. Whoever keeps all associations can look from both ends.

What is remembered are short records, the latest ones, within the limits below. A reason (``why``)
holds no value that could be somebody's.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, TypeVar

from dicomsniff.analysis import about
from dicomsniff.model import Association, Entry, Link, Operation, Peer, Side

RETRIEVALS_REMEMBERED: Final = 256
"""C-MOVE and C-GET operations. A C-STORE looks through them, latest first."""
RECORDS_REMEMBERED: Final = 4_096
"""Transactions and performed steps: those of a day in a large hospital."""
STUDIES_REMEMBERED: Final = 16_384
"""Studies and accession numbers of worklist answers: devices ask for the same ones all day."""
INSTANCES_REMEMBERED: Final = 32_768
"""Stored instances, some 200 bytes each: what is to be committed was mostly stored just before."""
LINKS_KEPT: Final = 64
"""Links of one operation. A C-MOVE of a thousand images names its first C-STOREs, and one on every
further association."""
LATE_NS: Final = 3_600_000_000_000
"""An hour: how long after the end of a C-MOVE a C-STORE still counts as caused by it, where it says
so itself. Message IDs begin anew with every association."""

_T = TypeVar("_T")


class _Record:
    """An operation, as far as later ones need it."""

    __slots__ = ("association", "number", "operation", "time")

    def __init__(self, association: Association, operation: Operation, entry: Entry) -> None:
        self.association = association.id
        self.number = entry.number
        self.time = entry.time
        self.operation: Operation | None = operation
        """None once its association has ended."""


class _Retrieval(_Record):
    """A C-MOVE or C-GET."""

    __slots__ = (
        "acceptor",
        "address",
        "destination",
        "ended",
        "message_id",
        "originator",
        "performer",
        "service",
        "study",
    )

    def __init__(self, association: Association, operation: Operation, entry: Entry) -> None:
        super().__init__(association, operation, entry)
        self.service = operation.service
        self.performer: Side = "acceptor" if operation.invoked_by == "requestor" else "requestor"
        server = association.peer(self.performer)
        self.originator = association.peer(operation.invoked_by).ae_title
        self.acceptor = server.ae_title
        self.address = server.address
        self.message_id = operation.message_id
        self.destination: str | None = None
        self.study: str | None = None
        self.ended: int | None = None
        message = entry.message
        if message is not None:
            named = message.command.get(0x0600)
            if named is not None and isinstance(named.value, str):
                self.destination = named.value.strip()
            if message.dataset is not None:
                found = about.stored(message)
                self.study = found.get(about.STUDY)


class _Recent(OrderedDict[str, _T]):
    """A dictionary of the latest so many."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def remember(self, key: str, value: _T) -> None:
        """Put something in front; the oldest may go."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self.limit:
            self.popitem(last=False)


class Linker:
    """Fills ``Operation.linked`` of one capture."""

    def __init__(self) -> None:
        self._retrievals: deque[_Retrieval] = deque(maxlen=RETRIEVALS_REMEMBERED)
        self._transactions: _Recent[_Record] = _Recent(RECORDS_REMEMBERED)
        self._steps: _Recent[_Record] = _Recent(RECORDS_REMEMBERED)
        self._steps_by_study: _Recent[_Record] = _Recent(RECORDS_REMEMBERED)
        self._worklist: _Recent[_Record] = _Recent(STUDIES_REMEMBERED)
        self._instances: _Recent[_Record] = _Recent(INSTANCES_REMEMBERED)
        self._running: dict[int, _Retrieval] = {}
        """Retrievals without final response, by the identity of their operation."""
        self._open: dict[int, list[_Record]] = {}
        """Records of associations that are open, to let go of their operations in the end."""

    # ------------------------------------------------------------------ from the pipeline

    def add(self, association: Association, operation: Operation, entry: Entry) -> None:
        """A message was joined to an operation."""
        message = entry.message
        if message is None:
            return
        service = operation.service
        if entry is operation.request:
            if service == "C-STORE":
                self._store(association, operation, entry)
            elif service in ("C-MOVE", "C-GET"):
                made = _Retrieval(association, operation, entry)
                self._keep(association, made)
                self._running[id(operation)] = made
                self._retrievals.append(made)
            elif service == "N-ACTION" and message.sop_class == about.COMMITMENT:
                self._action(association, operation, entry)
            elif service == "N-EVENT-REPORT" and message.sop_class == about.COMMITMENT:
                self._event(association, operation, entry)
            elif message.sop_class in about.MPPS:
                self._step(association, operation, entry)
        elif service == "C-FIND":
            if operation.sop_class == about.WORKLIST and message.dataset is not None:
                self._answer(association, operation, entry)
        elif service in ("C-MOVE", "C-GET"):
            if operation.status is not None:
                asked = self._running.pop(id(operation), None)
                if asked is not None:
                    asked.ended = entry.time
        elif (
            service == "N-CREATE"
            and operation.request is not None
            and operation.sop_class in about.MPPS
            and message.sop_instance
            and message.sop_instance not in self._steps
        ):
            # The server may choose the UID (PS3.7 10.1.5.1.4).
            self._remember_step(association, operation, operation.request, message.sop_instance)

    def ended(self, association: Association) -> None:
        """An association has ended: nothing is added to its operations any more."""
        for record in self._open.pop(association.id, ()):
            self._let_go(record)

    def forget(self, association: Association, first: int) -> None:
        """Operations of an open association that began before entry ``first`` are given up."""
        left = []
        for record in self._open.get(association.id, ()):
            if record.number >= first:
                left.append(record)
            else:
                self._let_go(record)
        if left:
            self._open[association.id] = left
        else:
            self._open.pop(association.id, None)

    def _let_go(self, record: _Record) -> None:
        self._running.pop(id(record.operation), None)
        record.operation = None

    # ------------------------------------------------------------------ by service

    def _store(self, association: Association, operation: Operation, entry: Entry) -> None:
        message = entry.message
        if message is None:
            return
        record = self._keep(association, _Record(association, operation, entry))
        found: dict[int, str] = {}
        if self._retrievals or self._steps_by_study or self._worklist:
            found = about.stored(message)
        study, accession = found.get(about.STUDY), found.get(about.ACCESSION)
        cause, why = self._cause(association, operation, entry, study)
        if cause is not None:
            self._link(record, cause, why)
        elif study is not None or accession is not None:
            step = self._steps_by_study.get(f"s{study}")
            asked = self._worklist.get(f"s{study}")
            if step is not None:
                self._link(record, step, "same Study Instance UID as the performed procedure step")
            elif asked is not None:
                self._link(record, asked, "same Study Instance UID as an answer of the worklist")
            elif accession is not None:
                step = self._steps_by_study.get(f"a{accession}")
                asked = self._worklist.get(f"a{accession}")
                if step is not None:
                    why = "same Accession Number as the performed procedure step"
                    self._link(record, step, why)
                elif asked is not None:
                    self._link(record, asked, "same Accession Number as an answer of the worklist")
        uid = message.sop_instance
        if uid:
            self._instances.remember(uid, record)

    def _cause(
        self, association: Association, operation: Operation, entry: Entry, study: str | None
    ) -> tuple[_Retrieval | None, str]:
        """The C-MOVE or C-GET that a C-STORE is a sub-operation of, and how that is known."""
        message = entry.message
        if message is None or not self._retrievals:
            return None, ""
        for each in reversed(self._retrievals):
            if each.association == association.id and each.performer == operation.invoked_by:
                if each.ended is None and each.service == "C-GET":
                    return each, "sub-operation of the C-GET on the same association"
                break
        title = message.command.get(0x1030)
        number = message.command.get(0x1031)
        sender = association.peer(operation.invoked_by)
        receiver = association.other(operation.invoked_by)
        if title is not None and isinstance(title.value, str) and title.value.strip():
            said = title.value.strip()
            asked = number.value if number is not None else None
            fitting = [
                each
                for each in reversed(self._retrievals)
                if each.originator == said
                and each.destination is not None
                and (asked is None or each.message_id == asked)
                and each.time <= entry.time
                and (each.ended is None or entry.began - each.ended <= LATE_NS)
            ]
            # Message IDs begin at 1 again and again: prefer what else agrees, then the latest.
            fitting.sort(key=lambda each: -_agreement(each, sender, receiver, study))
            if fitting:
                what = "Move Originator AE Title (0000,1030)"
                if asked is not None:
                    what += " and Message ID (0000,1031)"
                return fitting[0], f"{what} name the C-MOVE" if asked is not None else (
                    f"{what} names the caller of the C-MOVE"
                )
            return None, ""
        running = [
            each
            for each in self._retrievals
            if each.destination is not None
            and each.destination == receiver.ae_title
            and (each.acceptor == sender.ae_title or each.address == sender.address)
            and each.time <= entry.time
            and each.ended is None
            and each.association != association.id
        ]
        if len(running) > 1:
            running = [each for each in running if each.study is not None and each.study == study]
        if len(running) != 1:
            return None, ""
        why = "sent to the Move Destination by the called AE while the C-MOVE was running"
        if study is not None and running[0].study == study:
            why += ", of the study it named"
        return running[0], why

    def _action(self, association: Association, operation: Operation, entry: Entry) -> None:
        if entry.message is None:
            return
        record = self._keep(association, _Record(association, operation, entry))
        told = about.commitment(entry.message)
        if told.transaction:
            self._transactions.remember(told.transaction, record)
        linked = 0
        for uid in told.instances:
            store = self._instances.get(uid)
            if store is not None:
                self._link(record, store, "asks for commitment of the instance stored")
                linked += 1
                if linked >= LINKS_KEPT:
                    break

    def _event(self, association: Association, operation: Operation, entry: Entry) -> None:
        if entry.message is None:
            return
        told = about.commitment(entry.message)
        asked = self._transactions.get(told.transaction) if told.transaction else None
        if asked is not None:
            record = self._keep(association, _Record(association, operation, entry))
            self._link(record, asked, "same Transaction UID (0008,1195)")

    def _step(self, association: Association, operation: Operation, entry: Entry) -> None:
        message = entry.message
        if message is None:
            return
        uid = message.sop_instance
        if operation.service == "N-CREATE":
            self._remember_step(association, operation, entry, uid)
        elif uid is not None:
            created = self._steps.get(uid)
            if created is not None:
                record = self._keep(association, _Record(association, operation, entry))
                self._link(record, created, "same performed procedure step, by SOP Instance UID")

    def _remember_step(
        self, association: Association, operation: Operation, entry: Entry, uid: str | None
    ) -> None:
        message = entry.message
        if message is None:
            return
        record = self._keep(association, _Record(association, operation, entry))
        if uid:
            self._steps.remember(uid, record)
        keys = about.performed(message).keys
        for study in keys.studies:
            asked = self._worklist.get(f"s{study}")
            if asked is not None:
                self._link(record, asked, "same Study Instance UID as an answer of the worklist")
            self._steps_by_study.remember(f"s{study}", record)
        for accession in keys.accessions:
            asked = self._worklist.get(f"a{accession}")
            if asked is not None and not operation.linked:
                self._link(record, asked, "same Accession Number as an answer of the worklist")
            self._steps_by_study.remember(f"a{accession}", record)

    def _answer(self, association: Association, operation: Operation, entry: Entry) -> None:
        message = entry.message
        if message is None or message.dataset is None or operation.request is None:
            return
        found = about.stored(message)
        mine = self._open.get(association.id)
        record = mine[-1] if mine and mine[-1].operation is operation else None
        if record is None:
            record = self._keep(association, _Record(association, operation, operation.request))
        if about.STUDY in found:
            self._worklist.remember(f"s{found[about.STUDY]}", record)
        if about.ACCESSION in found:
            self._worklist.remember(f"a{found[about.ACCESSION]}", record)

    # ------------------------------------------------------------------ inside

    def _keep(self, association: Association, record: _Record) -> _Record:
        self._open.setdefault(association.id, []).append(record)
        return record

    def _link(self, later: _Record, earlier: _Record, why: str) -> None:
        """Name the earlier operation in the later one, and where it may still change the other way
        round."""
        if later.operation is not None:
            _add(later.operation, Link(earlier.association, earlier.number, why))
        if earlier.operation is not None:
            _add(earlier.operation, Link(later.association, later.number, why))


def _agreement(move: _Retrieval, sender: Peer, receiver: Peer, study: str | None) -> int:
    """How much of a C-MOVE agrees with an association that may be its consequence."""
    return (
        4 * (move.destination == receiver.ae_title)
        + 2 * (move.ended is None)
        + (move.acceptor == sender.ae_title or move.address == sender.address)
        + (study is not None and move.study == study)
    )


def _add(operation: Operation, link: Link) -> None:
    linked = operation.linked
    if len(linked) >= LINKS_KEPT and any(each.association == link.association for each in linked):
        return
    if len(linked) < 2 * LINKS_KEPT and not any(each[:2] == link[:2] for each in linked):
        linked.append(link)
