"""The words of the filter, in one table: evaluation, completion and the reference live on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from dicomsniff.analysis.where import getters as g
from dicomsniff.analysis.where.dicom_values import StatusType, Uid
from dicomsniff.analysis.where.moments import Moment
from dicomsniff.analysis.where.row import Row
from dicomsniff.analysis.where.values import (
    DURATION,
    SIZE,
    Address,
    Choice,
    Flag,
    Frames,
    Number,
    Scale,
    Type,
)
from dicomsniff.analysis.where.vocabulary import KINDS, SERVICE_CLASSES, SERVICES, FindingType
from dicomsniff.model import Outcome, Side

Scope = Literal["association", "entry"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word that a filter may ask for."""

    name: str
    group: str
    """Heading in the reference."""
    type: Type
    scope: Scope
    """Whether it speaks of the association, and is the same in all its rows."""
    help: str
    get: g.Getter
    """The values of a row, empty where it has none. A flag always has one."""
    aliases: tuple[str, ...] = ()
    example: str = ""
    needs_dataset: bool = False
    needs_findings: bool = False
    has: Callable[[Row], bool] | None = None
    """Whether the row has it; None: where it has a value."""
    empty: Callable[[Row], bool] | None = None
    """Whether the row has it without a value; None: where all values are blank."""
    literal: bool = False
    """True where its values stand in the bytes of the data set as they are compared, as far as
    they are ASCII letters and digits: so a look at the bytes rules most rows out."""


FLAG: Final = Flag()
_TEXT: Final = Type()
_NUMBER: Final = Number()
_ADDRESS: Final = Address()
_STATUS: Final = StatusType()
_SOP_CLASS: Final = Uid("SOP Class", "Meta SOP Class")
_MOMENT: Final = Moment()
_SEVERITY: Final = Scale("note", "warning", "error")
_SERVICE: Final = Choice(
    *SERVICES,
    *SERVICE_CLASSES,
    more="a service such as C-FIND or N-CREATE, or a service class such as Modality Worklist",
)
_KIND: Final = Choice(*KINDS, more="a kind such as C-FIND-RQ, C-STORE-RSP, A-ABORT or GAP")


_FINDING: Final = FindingType()

_WHO: Final = "Who talks with whom"
_ASSOCIATION: Final = "The association"
_ROW: Final = "The row"
_MESSAGE: Final = "Message and operation"
_WRONG: Final = "What is wrong"

GROUPS: Final = (_WHO, _ASSOCIATION, _ROW, _MESSAGE, _WRONG)
"""Headings of the reference, in order."""

WORDS: Final = (
    Word(
        "calling",
        _WHO,
        _TEXT,
        "association",
        "AE title of the requestor",
        g.of_association(lambda x: g.trimmed(x.requestor.ae_title)),
        example="calling = FLC1270",
    ),
    Word(
        "called",
        _WHO,
        _TEXT,
        "association",
        "AE title of the acceptor",
        g.of_association(lambda x: g.trimmed(x.acceptor.ae_title)),
        example="called = MOZI",
    ),
    Word("ae", _WHO, _TEXT, "association", "AE title of either side", g.titles, example="ae ~ ct"),
    Word(
        "requestor",
        _WHO,
        _ADDRESS,
        "association",
        "Address of the requestor",
        g.of_association(lambda x: x.requestor.address),
        aliases=("requestor.address",),
        example="requestor = 192.0.2.0/24",
    ),
    Word(
        "acceptor",
        _WHO,
        _ADDRESS,
        "association",
        "Address of the acceptor",
        g.of_association(lambda x: x.acceptor.address),
        aliases=("acceptor.address",),
        example="acceptor = ::1",
    ),
    Word(
        "address",
        _WHO,
        _ADDRESS,
        "association",
        "Address of either side",
        g.of_both("address"),
        aliases=("host", "ip"),
        example="address in (192.0.2.1, 192.0.2.7)",
    ),
    Word(
        "requestor.port",
        _WHO,
        _NUMBER,
        "association",
        "TCP port of the requestor",
        g.of_association(lambda x: x.requestor.port),
    ),
    Word(
        "acceptor.port",
        _WHO,
        _NUMBER,
        "association",
        "TCP port of the acceptor",
        g.of_association(lambda x: x.acceptor.port),
        example="acceptor.port = 104",
    ),
    Word(
        "port",
        _WHO,
        _NUMBER,
        "association",
        "TCP port of either side",
        g.of_both("port"),
        example="port = 11112",
    ),
    Word(
        "implementation",
        _WHO,
        Uid(),
        "association",
        "Implementation Class UID of either side",
        g.of_both("implementation_class_uid"),
        aliases=("implementation_class_uid",),
        example="implementation matches 1.2.276.0.7230010.3.*",
    ),
    Word(
        "version",
        _WHO,
        _TEXT,
        "association",
        "Implementation Version Name of either side",
        g.of_both("implementation_version_name"),
        aliases=("implementation_version_name",),
        example="version ~ dcmtk",
    ),
    Word(
        "maximum_length",
        _WHO,
        _NUMBER,
        "association",
        "Maximum PDU length that either side receives",
        g.of_both("maximum_length"),
        example="maximum_length < 16384",
    ),
    Word(
        "user",
        _WHO,
        _TEXT,
        "association",
        "User name of the user identity (never a passcode or token)",
        g.of_association(g.user),
        example="has user",
    ),
    Word(
        "association",
        _ASSOCIATION,
        _NUMBER,
        "association",
        "Number of the association",
        g.of_association(lambda x: x.id),
        example="association = 3",
    ),
    Word(
        "outcome",
        _ASSOCIATION,
        Choice(*get_args(Outcome)),
        "association",
        "How it ended: released, aborted, rejected, lost, or still open",
        g.of_association(lambda x: x.outcome),
        example="outcome = aborted",
    ),
    Word(
        "reason",
        _ASSOCIATION,
        _TEXT,
        "association",
        "Who aborted or rejected it and why, or how it was lost, in words",
        g.of_association(lambda x: x.outcome_detail or None),
        example='reason ~ "AE title"',
    ),
    Word(
        "started",
        _ASSOCIATION,
        _MOMENT,
        "association",
        "When its first byte was sent",
        g.of_association(lambda x: x.started),
        example="started > 14:02",
    ),
    Word(
        "ended",
        _ASSOCIATION,
        _MOMENT,
        "association",
        "When its last row was complete",
        g.of_association(lambda x: x.ended),
        example="ended between 14:02 and 14:05",
    ),
    Word(
        "duration",
        _ASSOCIATION,
        DURATION,
        "association",
        "From its first to its last byte; for an operation's see took",
        g.of_association(lambda x: x.duration),
        example="duration > 2s",
    ),
    Word(
        "messages",
        _ASSOCIATION,
        _NUMBER,
        "association",
        "DIMSE messages in it",
        lambda row: (row.messages,),
        example="messages > 1000",
    ),
    Word(
        "operations",
        _ASSOCIATION,
        _NUMBER,
        "association",
        "Operations in it",
        g.of_association(lambda x: len(x.operations)),
        example="operations = 0",
    ),
    Word(
        "bytes",
        _ASSOCIATION,
        SIZE,
        "association",
        "Bytes of both sides",
        g.of_association(lambda x: x.requestor.bytes + x.acceptor.bytes),
        example="bytes > 100MB",
    ),
    Word(
        "partial",
        _ASSOCIATION,
        FLAG,
        "association",
        "Its beginning was not captured",
        g.of_association(lambda x: x.partial),
        example="not partial",
    ),
    Word(
        "proposed",
        _ASSOCIATION,
        _SOP_CLASS,
        "association",
        "Abstract syntaxes of the presentation contexts proposed",
        g.syntaxes("proposed"),
        example="proposed = CTImageStorage",
    ),
    Word(
        "accepted",
        _ASSOCIATION,
        _SOP_CLASS,
        "association",
        "Abstract syntaxes of the contexts accepted",
        g.syntaxes("accepted"),
        example="not has accepted",
    ),
    Word(
        "refused",
        _ASSOCIATION,
        _SOP_CLASS,
        "association",
        "Abstract syntaxes of the contexts refused",
        g.syntaxes("refused"),
        example="has refused",
    ),
    Word(
        "number",
        _ROW,
        _NUMBER,
        "entry",
        "Number of the row in its association, from 1",
        g.of_entry(lambda x: x.number),
        example="number <= 4",
    ),
    Word(
        "frame",
        _ROW,
        Frames(),
        "entry",
        "Frames of the capture that carried a byte of it, as Wireshark numbers them",
        g.frames,
        example="frame = 630",
    ),
    Word(
        "frames",
        _ROW,
        _NUMBER,
        "entry",
        "How many frames carried it",
        g.of_entry(lambda x: x.frame_count),
        example="frames > 100",
    ),
    Word(
        "kind",
        _ROW,
        _KIND,
        "entry",
        "Kind of PDU, message or event",
        g.of_entry(lambda x: x.kind),
        example="kind in (A-ABORT, CONNECTION-LOST)",
    ),
    Word(
        "sender",
        _ROW,
        Choice(*get_args(Side)),
        "entry",
        "Side that sent it",
        g.of_entry(lambda x: x.sender),
        example="sender = acceptor and kind = A-ABORT",
    ),
    Word(
        "source",
        _ROW,
        _ADDRESS,
        "entry",
        "Address that it came from",
        g.side("source"),
        aliases=("src",),
        example="source = 192.0.2.1",
    ),
    Word(
        "destination",
        _ROW,
        _ADDRESS,
        "entry",
        "Address that it went to",
        g.side("destination"),
        aliases=("dst",),
    ),
    Word(
        "time",
        _ROW,
        _MOMENT,
        "entry",
        "When it was complete",
        g.of_entry(lambda x: x.time),
        example="time between 14:02 and 14:05",
    ),
    Word(
        "elapsed",
        _ROW,
        DURATION,
        "entry",
        "Time since the association began",
        g.elapsed,
        example="elapsed < 100ms",
    ),
    Word(
        "gap",
        _ROW,
        DURATION,
        "entry",
        "Time since the row before (for bytes that are missing: kind = GAP)",
        g.gap,
        example="gap >= 1s",
    ),
    Word(
        "length",
        _ROW,
        SIZE,
        "entry",
        "Bytes on the wire, PDU headers included",
        g.of_entry(lambda x: x.length),
        example="length > 10MB",
    ),
    Word(
        "service",
        _MESSAGE,
        _SERVICE,
        "entry",
        "DIMSE service, or service class",
        g.service,
        example='service = "Modality Worklist"',
    ),
    Word(
        "status",
        _MESSAGE,
        _STATUS,
        "entry",
        "Status of a response; of a request that of its operation",
        lambda row: g.one(g.status_of(row)),
        example="status = A7xx",
    ),
    Word(
        "id",
        _MESSAGE,
        _NUMBER,
        "entry",
        "Message ID, of responses the one responded to",
        g.of_message(lambda x: x.message_id),
        aliases=("message_id",),
        example="id = 7",
    ),
    Word(
        "context",
        _MESSAGE,
        _NUMBER,
        "entry",
        "Presentation context ID",
        g.of_message(lambda x: x.context_id),
        aliases=("context_id",),
        example="context = 1",
    ),
    Word(
        "sop",
        _MESSAGE,
        _SOP_CLASS,
        "entry",
        "SOP class, affected or requested; a response without has its request's",
        lambda row: g.one(g.sop_class(row)),
        aliases=("sop_class",),
        example="sop = CTImageStorage",
    ),
    Word(
        "instance",
        _MESSAGE,
        Uid("Well-known SOP Instance"),
        "entry",
        "SOP instance, affected or requested; a response without has its request's",
        g.instance,
        aliases=("sop_instance",),
        example="instance matches *.1",
    ),
    Word(
        "abstract",
        _MESSAGE,
        _SOP_CLASS,
        "entry",
        "Abstract syntax of the presentation context",
        g.of_message(lambda x: x.abstract_syntax),
        aliases=("abstract_syntax",),
    ),
    Word(
        "transfer",
        _MESSAGE,
        Uid("Transfer Syntax"),
        "entry",
        "Transfer syntax of the presentation context",
        g.of_message(lambda x: x.transfer_syntax),
        aliases=("transfer_syntax",),
        example="transfer ~ jpeg",
    ),
    Word(
        "request",
        _MESSAGE,
        FLAG,
        "entry",
        "A request",
        g.message_flag(lambda x: x.is_request),
        example="service = C-STORE and request",
    ),
    Word(
        "response",
        _MESSAGE,
        FLAG,
        "entry",
        "A response",
        g.message_flag(lambda x: bool(x.service) and not x.is_request),
    ),
    Word(
        "pending",
        _MESSAGE,
        FLAG,
        "entry",
        "A response behind which more follow (FF00, FF01)",
        g.pending,
        example="response and not pending",
    ),
    Word(
        "failed",
        _MESSAGE,
        FLAG,
        "entry",
        "Its status is a failure",
        g.category("Failure"),
        example="service = C-STORE and failed",
    ),
    Word("warned", _MESSAGE, FLAG, "entry", "Its status is a warning", g.category("Warning")),
    Word(
        "cancelled",
        _MESSAGE,
        FLAG,
        "entry",
        "Its operation was cancelled (C-CANCEL)",
        g.cancelled,
        aliases=("canceled",),
    ),
    Word(
        "unanswered",
        _MESSAGE,
        FLAG,
        "entry",
        "A request without final response",
        g.unanswered,
        example="outcome != open and unanswered",
    ),
    Word(
        "took",
        _MESSAGE,
        DURATION,
        "entry",
        "From the request's first byte to the last response's last, of its operation",
        g.of_operation(lambda x: x.duration),
        aliases=("operation.duration",),
        example="service = C-FIND and took > 2s",
    ),
    Word(
        "latency",
        _MESSAGE,
        DURATION,
        "entry",
        "From the request's last byte to the first response's first, of its operation",
        g.of_operation(lambda x: x.first_response),
        aliases=("first_response",),
        example="latency > 500ms",
    ),
    Word(
        "responses",
        _MESSAGE,
        _NUMBER,
        "entry",
        "Responses of its operation, so far",
        g.of_operation(lambda x: len(x.responses)),
        example="service = C-FIND and responses > 100",
    ),
    Word(
        "finding",
        _WRONG,
        _FINDING,
        "association",
        "Findings of the association, by code, severity or title",
        lambda row: tuple(row.association.findings),
        example="finding ~ worklist",
        needs_findings=True,
    ),
    Word(
        "severity",
        _WRONG,
        _SEVERITY,
        "association",
        "Severity of its worst finding",
        g.of_association(g.worst),
        example="severity >= warning",
        needs_findings=True,
    ),
    Word(
        "evidence",
        _WRONG,
        _FINDING,
        "entry",
        "Findings that this row is evidence of",
        g.evidence,
        example="evidence = error",
        needs_findings=True,
    ),
    Word(
        "fault",
        _WRONG,
        _TEXT,
        "entry",
        "What is malformed in a PDU or a command set, in words",
        g.faults,
        example="has fault",
    ),
    Word(
        "dataset.fault",
        _WRONG,
        _TEXT,
        "entry",
        "What is malformed in a data set, in words",
        g.dataset_faults,
        example='dataset.fault ~ "odd length"',
        needs_dataset=True,
    ),
    Word(
        "incomplete",
        _WRONG,
        FLAG,
        "entry",
        "Bytes of it are missing",
        g.entry_flag(lambda x: not x.complete),
        example="service = C-STORE and incomplete",
    ),
    Word(
        "missing",
        _WRONG,
        SIZE,
        "association",
        "Bytes of the association that were not captured",
        lambda row: (row.missing,),
        example="missing > 0",
    ),
)

BY_NAME: Final = {name: word for word in WORDS for name in (word.name, *word.aliases)}
"""Words by name and by alias."""
