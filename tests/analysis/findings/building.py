"""Associations made by hand for rules, and what the rules say of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydicom import Dataset

from dicomsniff.analysis.findings import Checker, rules
from dicomsniff.analysis.links import Linker
from dicomsniff.analysis.operations import OperationJoiner
from dicomsniff.model import (
    AssociatePDU,
    Association,
    CaptureInfo,
    Entry,
    Finding,
    Peer,
    PresentationContext,
    Side,
    UserInformation,
)
from tests.dicom.datasets import IMPLICIT, sieved, written
from tests.output.build import BEGAN, Kept, message, run
from tests.support import CAPTURES

CT = "1.2.840.10008.5.1.4.1.1.2"
WORKLIST = "1.2.840.10008.5.1.4.31"
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
MPPS = "1.2.840.10008.3.1.2.3.3"
COMMITMENT = "1.2.840.10008.1.20.1"
PRINTER = "1.2.840.10008.5.1.1.16"
FILM_BOX = "1.2.840.10008.5.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
SECOND = 1_000_000_000

MINE = frozenset(("query", "worklist", "data", "retrieve", "storage", "procedure", "print"))
"""Subjects of the rules that are tested here."""

_FIELDS = {
    "C-STORE-RQ": 0x0001,
    "C-FIND-RQ": 0x0020,
    "C-GET-RQ": 0x0010,
    "C-MOVE-RQ": 0x0021,
    "N-EVENT-REPORT-RQ": 0x0100,
    "N-GET-RQ": 0x0110,
    "N-SET-RQ": 0x0120,
    "N-ACTION-RQ": 0x0130,
    "N-CREATE-RQ": 0x0140,
    "C-CANCEL-RQ": 0x0FFF,
}
_REQUESTED = ("N-GET", "N-SET", "N-ACTION")
"""Services whose requests name the Requested SOP Class and Instance."""


class Play:
    """An association as it goes on, second by second."""

    def __init__(
        self,
        *sop_classes: str,
        number: int = 1,
        requestor: str = "FLC1270",
        acceptor: str = "MOZI",
        syntax: str | None = IMPLICIT,
        start: int = 0,
        addresses: tuple[str, str] = ("192.0.2.1", "192.0.2.2"),
        linker: Linker | None = None,
    ) -> None:
        self.now = BEGAN + start * SECOND
        self.made = Association(
            number,
            Peer(addresses[0], 40000, requestor, user_information=UserInformation()),
            Peer(addresses[1], 104, acceptor),
            self.now,
            self.now,
        )
        for place, sop_class in enumerate(sop_classes):
            self.made.contexts[2 * place + 1] = PresentationContext(
                2 * place + 1, sop_class, (IMPLICIT, EXPLICIT), 0, syntax
            )
        self.joiner = OperationJoiner(self.made)
        self.linker = linker
        self.ids = 0
        self.event("A-ASSOCIATE-RQ", pdu=True)
        self.event("A-ASSOCIATE-AC", "acceptor", pdu=True)

    def wait(self, seconds: float) -> Play:
        """Let time pass."""
        self.now += int(seconds * SECOND)
        return self

    def event(
        self, kind: str, sender: Side = "requestor", *, pdu: bool = False, detail: str = ""
    ) -> Entry:
        """Something other than a message."""
        self.now += 1_000_000
        number = len(self.made.timeline) + 1
        frame = 100 * self.made.id + number
        row = Entry(number, kind, sender, self.now, self.now, (frame,), 1, frame, 10, detail=detail)
        if pdu:
            row.pdu = AssociatePDU(
                kind,
                1,
                "MOZI",
                "FLC1270",
                None,
                (),
                UserInformation(),  # type: ignore[arg-type]
            )
        self.made.timeline.append(row)
        self.made.ended = self.now
        return row

    def say(
        self,
        kind: str,
        dataset: Dataset | bytes | None = None,
        *,
        sender: Side = "requestor",
        status: int | None = None,
        uid: str | None = None,
        more: Mapping[int, int | str] | None = None,
        context: int = 1,
        message_id: int | None = None,
        complete: bool = True,
    ) -> Entry:
        """A message, a millisecond after what was said before."""
        service = kind.rsplit("-", 1)[0]
        is_request = kind.endswith("-RQ")
        field = _FIELDS[f"{service}-RQ"] | (0 if is_request else 0x8000)
        if is_request and kind != "C-CANCEL-RQ":
            self.ids += 1
        number = message_id if message_id is not None else self.ids
        spoken = self.made.contexts[context]
        values: dict[int, int | str] = {0x0100: field, 0x0800: 0x0101 if dataset is None else 0}
        if kind == "C-CANCEL-RQ":
            values[0x0120] = number
        else:
            values[0x0110 if is_request else 0x0120] = number
            requested = is_request and service in _REQUESTED
            values[0x0003 if requested else 0x0002] = spoken.abstract_syntax or ""
            if uid is not None:
                values[0x1001 if requested else 0x1000] = uid
        if status is not None:
            values[0x0900] = status
        values.update(more or {})
        made = message(values, spoken)
        row = self.event(kind, sender)
        row.message = made
        row.complete = complete
        if dataset is not None:
            syntax = spoken.transfer_syntax
            if not isinstance(dataset, bytes):
                dataset = written(dataset, syntax or IMPLICIT)
            made.dataset = sieved(dataset, syntax, complete=complete)
            row.length = len(dataset)
        operation = self.joiner.add(row)
        if self.linker is not None and operation is not None:
            self.linker.add(self.made, operation, row)
        return row

    def find(
        self, question: Dataset, *answers: Dataset, status: int | None = 0, pending: int = 0xFF00
    ) -> Play:
        """A whole C-FIND."""
        self.say("C-FIND-RQ", question)
        for answer in answers:
            self.say("C-FIND-RSP", answer, sender="acceptor", status=pending)
        if status is not None:
            self.say("C-FIND-RSP", sender="acceptor", status=status)
        return self

    def store(
        self,
        uid: str,
        status: int | None = 0,
        *,
        dataset: Dataset | None = None,
        more: Mapping[int, int | str] | None = None,
        context: int = 1,
        sender: Side = "requestor",
    ) -> Play:
        """A whole C-STORE."""
        if dataset is None:
            dataset = Dataset()
            dataset.SOPClassUID = self.made.contexts[context].abstract_syntax
            dataset.SOPInstanceUID = uid
        self.say("C-STORE-RQ", dataset, uid=uid, more=more, context=context, sender=sender)
        if status is not None:
            other: Side = "acceptor" if sender == "requestor" else "requestor"
            self.say("C-STORE-RSP", uid=uid, status=status, context=context, sender=other)
        return self

    def end(self, outcome: str = "released") -> Association:
        """Nothing more is said."""
        if outcome == "released":
            self.event("A-RELEASE-RQ")
            self.event("A-RELEASE-RP", "acceptor")
        self.made.outcome = outcome  # type: ignore[assignment]
        if self.linker is not None:
            self.linker.ended(self.made)
        return self.made


def checked(*associations: Association, last: int | None = None) -> list[Finding]:
    """What the rules of these subjects say of associations that end in this order, and of the
    capture. ``last``: seconds between the end of the latest and that of the capture."""
    info = CaptureInfo("", "")
    info.last = max(each.ended for each in associations) + (last or 0) * SECOND
    checker = Checker(info)
    for each in associations:
        checker.began(each)
    found: list[Finding] = []
    for each in associations:
        checker.association(each)
        found.extend(each.findings)
    found.extend(checker.finish(info))
    return mine(found)


def mine(findings: list[Finding]) -> list[Finding]:
    """Findings of the rules that are tested here."""
    subjects = {rule.code: rule.subject for rule in rules()}
    return [each for each in findings if subjects[each.code] in MINE]


def codes(findings: list[Finding]) -> list[str]:
    """Severity and code of each, sorted."""
    return sorted(f"{each.severity} {each.code}" for each in findings)


def only(findings: list[Finding], code: str) -> Finding:
    """The one finding with this code."""
    (found,) = [each for each in findings if each.code == code]
    return found


def of_capture(name: str) -> tuple[list[Association], list[Finding]]:
    """The associations of a capture, and all that the rules under test say of it."""
    kept = Kept()
    pipeline = run(Path(CAPTURES / name), kept)
    found = [each for association in kept.associations for each in association.findings]
    return kept.associations, mine([*found, *pipeline.findings])


def step_query(**values: str) -> Dataset:
    """A worklist question with some keys; ``values`` go where they belong."""
    question = Dataset()
    question.PatientName = ""
    question.PatientID = ""
    question.AccessionNumber = ""
    question.StudyInstanceUID = ""
    step = Dataset()
    step.Modality = ""
    step.ScheduledStationAETitle = ""
    step.ScheduledProcedureStepStartDate = ""
    step.ScheduledProcedureStepID = ""
    for keyword, value in values.items():
        setattr(step if keyword in step else question, keyword, value)
    question.ScheduledProcedureStepSequence = [step]
    return question


def step_answer(**values: str) -> Dataset:
    """An answer to it that has all it needs."""
    return step_query(
        **{
            "PatientName": "Ceshi^Jia",
            "PatientID": "TEST-0001",
            "AccessionNumber": "TEST-A0001",
            "StudyInstanceUID": "2.25.1",
            "Modality": "RF",
            "ScheduledStationAETitle": "FLC1270",
            "ScheduledProcedureStepStartDate": "20260105",
            "ScheduledProcedureStepID": "SPS0001",
            **values,
        }
    )
