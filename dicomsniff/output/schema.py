"""The shape of the transcript, version 1, and the JSON Schema made from it.

The types below are what ``transcript`` writes and ``reload`` reads; ``schema()`` walks these
very types, so the schema cannot tell of anything else. A key may be added in version 1; none is
taken away, and none changes its meaning.

Times are ISO 8601 in UTC with nine decimals and ``Z``, durations seconds as numbers. What is not
known is ``null``, never a guess; a guess is marked as one.
"""

from __future__ import annotations

import re
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

from dicomsniff.output.version import FORMAT, VERSION


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """JSON Schema keywords for an annotated type."""

    keywords: tuple[tuple[str, Any], ...]


def _rule(**keywords: Any) -> Rule:
    return Rule(tuple(keywords.items()))


Time = Annotated[
    str,
    # Years past 9999 are no joke: a damaged capture holds them, and a reader must not fail on it.
    _rule(pattern=r"^([0-9]{4}|[+-][0-9]{5,})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
          r"\.[0-9]{9}Z$"),
]  # fmt: skip
Count = Annotated[int, _rule(minimum=0)]
Side = Literal["requestor", "acceptor"]
Reader = Literal["pyshark", "scapy", "live"]
ContextResult = Literal[
    "acceptance",
    "user-rejection",
    "no-reason",
    "abstract-syntax-not-supported",
    "transfer-syntaxes-not-supported",
]
Status16 = Annotated[str, _rule(pattern="^0x[0-9A-F]{4}$")]
Digest = Annotated[str, _rule(pattern="^[0-9a-f]{64}$")]
HexBytes = Annotated[str, _rule(pattern="^([0-9a-f]{2})*$")]


class Uid(TypedDict):
    """A UID with the name PS3.6 gives it."""

    uid: str
    name: Annotated[str | None, "null where it is not registered in PS3.6"]


class Coded(TypedDict):
    """A number of the protocol with its text."""

    number: int
    text: str


class Status(TypedDict):
    """A DIMSE status (0000,0900) with the meaning it has for the service in question."""

    code: Status16
    category: Annotated[str | None, "Success, Pending, Warning, Failure, Cancel; null: unknown"]
    meaning: str | None


class Generator(TypedDict):
    """The program that wrote this."""

    name: Literal["dicomsniff"]
    version: str


class Attempt(TypedDict):
    """Connections from one host to one port of DICOM on which no DICOM was spoken."""

    client: Annotated[str, "address"]
    server: Annotated[str, "address"]
    port: Annotated[int, _rule(minimum=0, maximum=65535)]
    answer: Annotated[
        str,
        "reset, silence, unreachable; behind a TLS ClientHello: tls, tls-alert, tls-plain, "
        "tls-dicom, tls-closed",
    ]
    first: Time
    last: Time
    times: Annotated[Count, "connections"]
    frames: list[Count]
    unreachable_by: NotRequired[Annotated[str, "address of who said so (ICMP)"]]
    unreachable_code: NotRequired[Annotated[Count, "ICMP code of destination unreachable"]]


class Capture(TypedDict):
    """What is told of the capture as a whole."""

    source: Annotated[str, "file name without its folder, or the interface"]
    reader: Reader
    packets: Count
    bytes: Annotated[Count, "of all frames, as long as they were on the wire"]
    first: Annotated[Time | None, "of the first frame"]
    last: Annotated[Time | None, "of the last frame"]
    dropped: Annotated[Count | None, "frames lost before they were captured"]
    truncated: Annotated[bool, "the capture ends in a damaged or cut-off frame"]
    attempts: NotRequired[list[Attempt]]
    duplicates: NotRequired[Annotated[Count, "frames that hold a packet captured before"]]
    evicted: NotRequired[
        Annotated[dict[str, Count], "what was given up to stay within limits, by the limit's name"]
    ]


class LineCapture(TypedDict):
    """What is known of the capture while it is still being read."""

    source: Annotated[str, "file name without its folder, or the interface"]
    reader: Reader
    dropped: NotRequired[Annotated[Count, "live: frames lost so far before they were captured"]]
    evicted: NotRequired[Annotated[dict[str, Count], "live: what was given up so far"]]


class Redaction(TypedDict):
    """What was replaced before this was written."""

    applied: Annotated[bool, "false: values of people are in here as they were sent"]
    ae_titles: Literal["kept", "pseudonyms"]
    addresses: Literal["kept", "pseudonyms"]
    secrets: Annotated[str, "passcodes, tickets, assertions, tokens"]
    rule: NotRequired[Annotated[str, "which rule decided what stays"]]
    bulk: NotRequired[str]
    replaced: NotRequired[Annotated[dict[str, int], "how many values of each sort so far"]]
    indistinct: NotRequired[
        Annotated[Count, "values that share a pseudonym, where there were too many to number"]
    ]


class Transport(TypedDict):
    """What TCP did with the bytes that one side sent, while the association lasted."""

    round_trip: Annotated[float | None, "seconds from the place of capture to it and back"]
    retransmitted: Annotated[Count, "segments sent again"]
    retransmission_time: Annotated[float, "seconds of silence in front of them"]
    stalls: Annotated[Count, "times that it waited for a delayed acknowledgement, data at hand"]
    stall_time: float
    closed: Annotated[Count, "times that its receive window was zero"]
    closed_time: float
    unfinished: Annotated[bool, "its last byte was not the end of a PDU"]
    frames: Annotated[dict[str, list[Count]], "the first ones, by the name of the count"]


class Peer(TypedDict):
    """One side of an association."""

    ae_title: str | None
    address: str
    port: Annotated[int, _rule(minimum=0, maximum=65535)]
    implementation_class_uid: Uid | None
    implementation_version_name: str | None
    maximum_length: Annotated[Count | None, "bytes of a P-DATA-TF it accepts, 0: no limit"]
    bytes: Annotated[Count, "of the upper layer protocol, as it sent them"]
    transport: NotRequired[Transport]


class PresentationContext(TypedDict):
    """A presentation context as it was proposed and answered (PS3.8 9.3.2.2, 9.3.3.2)."""

    id: int
    abstract_syntax: Uid | None
    proposed_transfer_syntaxes: list[Uid]
    result: Annotated[
        ContextResult | None,
        "null: not answered, or with a number that PS3.8 table 9-18 does not name",
    ]
    result_number: Annotated[int | None, "the number as it was sent"]
    transfer_syntax: Annotated[Uid | None, "the accepted one"]


class OperationsWindow(TypedDict):
    """Asynchronous operations window (53H), PS3.7 D.3.3.3; 0 is unlimited."""

    invoked: Count
    performed: Count


class RoleSelection(TypedDict):
    """SCP/SCU role selection (54H), PS3.7 D.3.3.4."""

    sop_class: Uid
    scu_role: int
    scp_role: int


class ExtendedNegotiation(TypedDict):
    """SOP class extended negotiation (56H), PS3.7 D.3.3.5."""

    sop_class: Uid
    length: Annotated[Count, "bytes of service class application information"]
    application_information: Annotated[
        HexBytes | None, "null where nothing says what the bytes mean and values are masked"
    ]
    fields: Annotated[
        dict[str, int], "the bytes by name, for storage (PS3.4 B.3.1) and query (PS3.4 C.5)"
    ]


class CommonExtendedNegotiation(TypedDict):
    """SOP class common extended negotiation (57H), PS3.7 D.3.3.6."""

    sop_class: Uid
    service_class: Uid
    related_general_sop_classes: list[Uid]


class UserIdentity(TypedDict):
    """User identity (58H), PS3.7 D.3.3.7. A passcode, ticket, assertion or token is never here."""

    type: Coded
    positive_response_requested: bool
    username: Annotated[str | None, "types 1 and 2 only; a pseudonym where values are masked"]
    primary_length: Count
    secondary_length: Count


class UnknownItem(TypedDict):
    """A sub-item that no standard names."""

    type: Annotated[str, _rule(pattern="^0x[0-9A-F]{2}$")]
    length: Count


class UserInformation(TypedDict):
    """User information (50H) of one side with its sub-items 51H to 59H (PS3.7 D.3.3)."""

    maximum_length: Annotated[Count | None, "51H"]
    implementation_class_uid: Annotated[Uid | None, "52H"]
    asynchronous_operations_window: Annotated[OperationsWindow | None, "53H"]
    role_selections: Annotated[list[RoleSelection], "54H"]
    implementation_version_name: Annotated[str | None, "55H"]
    extended_negotiations: Annotated[list[ExtendedNegotiation], "56H"]
    common_extended_negotiations: Annotated[list[CommonExtendedNegotiation], "57H"]
    user_identity: Annotated[UserIdentity | None, "58H"]
    user_identity_response_length: Annotated[Count | None, "59H: bytes of the server response"]
    unknown_items: list[UnknownItem]


class UserInformations(TypedDict):
    """User information of both sides, null where it was not captured."""

    requestor: UserInformation | None
    acceptor: UserInformation | None


class Fault(TypedDict):
    """Something malformed, at its place."""

    text: str
    start: Annotated[int, "offset of the first byte concerned in what was decoded"]
    end: Annotated[int, "offset behind the last byte concerned"]


class DicomElement(TypedDict):
    """An element of the DICOM JSON Model (PS3.18 F.2.2)."""

    vr: Annotated[str, _rule(pattern="^[A-Z]{2}$")]
    Value: NotRequired[list[DicomValue]]
    InlineBinary: NotRequired[Annotated[str, _rule(contentEncoding="base64")]]
    BulkDataURI: NotRequired[
        Annotated[str, "names a value that is not in here, with its length in bytes"]
    ]


DicomDataSet = Annotated[dict[str, DicomElement], _rule(propertyNames={"pattern": "^[0-9A-F]{8}$"})]
DicomValue = Annotated[
    str | int | float | DicomDataSet | dict[str, str] | None,
    "text, number, item of a sequence, or the component groups of a person name",
]


class Entry(TypedDict):
    """A row of the timeline: a PDU other than P-DATA-TF, a DIMSE message, or an event."""

    number: Annotated[Count, "from 1, in the order of completion"]
    kind: Annotated[
        str,
        "A-ASSOCIATE-RQ … A-ABORT, C-STORE-RQ … N-DELETE-RSP, C-CANCEL-RQ, UNKNOWN-PDU, "
        "UNDECODED, GAP, CONNECTION-LOST, TLS",
    ]
    time: Annotated[Time, "of the frame that completed it"]
    began: Annotated[Time, "of the frame that held its first byte"]
    elapsed: Annotated[float, "seconds since the association began"]
    sender: Side
    frames: Annotated[list[Count], "as Wireshark numbers them; the first 32 that carried a byte"]
    frame_count: Annotated[Count, "how many frames carried a byte of it"]
    last_frame: Annotated[Count, "the frame that completed it"]
    length: Annotated[Count, "bytes on the wire"]
    info: Annotated[str, "the line a person reads"]
    complete: Annotated[bool, "false where bytes are missing"]
    faults: list[Fault]
    detail: NotRequired[Annotated[str, "of an event: what happened, in words"]]

    # A-ASSOCIATE-RQ, A-ASSOCIATE-AC
    protocol_version: NotRequired[int]
    called_ae_title: NotRequired[str]
    calling_ae_title: NotRequired[str]
    application_context: NotRequired[Uid | None]
    presentation_contexts: NotRequired[list[ContextItem]]
    user_information: NotRequired[UserInformation]
    unknown_items: NotRequired[list[UnknownItem]]

    # A-ASSOCIATE-RJ, A-ABORT
    result: NotRequired[Coded]
    source: NotRequired[Coded]
    reason: NotRequired[Coded]

    # UNKNOWN-PDU
    pdu_type: NotRequired[Annotated[str, _rule(pattern="^0x[0-9A-F]{2}$")]]

    # DIMSE messages
    context_id: NotRequired[int]
    message_id: NotRequired[
        Annotated[int | None, "of a response and a C-CANCEL the one being responded to"]
    ]
    abstract_syntax: NotRequired[Uid | None]
    transfer_syntax: NotRequired[Uid | None]
    transfer_syntax_guessed: NotRequired[
        Annotated[bool, "true where its negotiation was not captured: what the bytes look like"]
    ]
    fragments: NotRequired[Annotated[Count, "presentation data values that carried it"]]
    command: NotRequired[Annotated[DicomDataSet, "DICOM JSON Model, PS3.18 Annex F"]]
    dataset: NotRequired[Annotated[DicomDataSet | None, "DICOM JSON Model, PS3.18 Annex F"]]
    dataset_length: NotRequired[Annotated[Count | None, "bytes as it crossed the wire"]]
    dataset_complete: NotRequired[bool]
    dataset_read_as: NotRequired[
        Annotated[Uid | None, "where the bytes are not, or not known to be, what was negotiated"]
    ]
    dataset_charset_guess: NotRequired[
        Annotated[str, "the character set that was used though (0008,0005) does not declare it"]
    ]
    dataset_faults: NotRequired[Annotated[list[str], "what is malformed in it, at which element"]]
    dataset_notes: NotRequired[Annotated[list[str], "what was read in another way than declared"]]
    status: NotRequired[Annotated[Status | None, "of a response"]]


class ContextItem(TypedDict):
    """A presentation context item as this PDU has it (20H, 21H)."""

    id: int
    result: NotRequired[Annotated[Coded, "of an answer"]]
    abstract_syntax: NotRequired[Annotated[Uid | None, "of a request"]]
    transfer_syntaxes: Annotated[list[Uid], "all that are proposed; in an answer one"]


class SubOperations(TypedDict):
    """Counts of a C-MOVE's or C-GET's last response, (0000,1020) to (0000,1023)."""

    remaining: Count | None
    completed: Count | None
    failed: Count | None
    warning: Count | None


class Link(TypedDict):
    """A relation to an operation, of another association too."""

    association: Count
    operation: Annotated[Count, "number of its request's entry"]
    why: str


class Operation(TypedDict):
    """A request joined with everything that answered it."""

    service: str
    message_id: int | None
    context_id: int
    sop_class: Uid | None
    invoked_by: Side
    request: Annotated[Count | None, "entry number; null where only answers were captured"]
    responses: Annotated[list[Count], "entry numbers"]
    status: Annotated[Status | None, "of the final response; null while none came"]
    first_response: Annotated[float | None, "seconds from the request's last byte"]
    duration: Annotated[float | None, "seconds from the request's first byte to the last answer's"]
    cancelled: bool
    sub_operations: SubOperations | None
    linked: list[Link]


class Finding(TypedDict):
    """Something an engineer should know, with its evidence."""

    code: str
    severity: Literal["error", "warning", "note"]
    title: str
    detail: Annotated[str, "what was seen, with values"]
    evidence: Annotated[list[Count], "entry numbers"]
    frames: list[Count]
    reference: Annotated[str | None, "clause of the standard"]
    advice: Annotated[str, "what to do and which side has to do it"]


class Gap(TypedDict):
    """Bytes of one direction that the capture does not hold."""

    sender: Side
    offset: Annotated[int, "bytes of that direction before it, since the association began"]
    length: Count
    time: Annotated[Time, "when the stream went on behind it"]
    frame: Annotated[Count, "where the stream went on"]


class Certificate(TypedDict):
    """What an X.509 certificate says of itself. Nothing was verified."""

    subject: str
    issuer: str
    not_before: Time | None
    not_after: Time | None
    names: Annotated[list[str], "DNS names and addresses (subjectAltName)"]


class TlsAlert(TypedDict):
    """A TLS alert that was sent in clear."""

    sender: Side
    fatal: bool
    code: Count
    meaning: str
    time: Time
    frame: Count


class Tls(TypedDict):
    """What the handshake of the TLS connection around an association shows."""

    decrypted: Annotated[bool, "false: nothing inside is known, and the timeline holds TLS alone"]
    version: Annotated[str | None, "agreed on"]
    cipher: Annotated[str | None, "suite agreed on, by its registered name"]
    server_name: Annotated[str | None, "the host that the requestor asked for"]
    offered_versions: Annotated[list[str], "by the requestor, highest first"]
    offered_ciphers: Annotated[Count, "how many suites the requestor offered"]
    resumed: Annotated[bool | None, "an earlier session was taken up"]
    client_asked: Annotated[bool | None, "the acceptor asked the requestor for a certificate"]
    server_certificates: Annotated[list[Certificate], "in clear up to TLS 1.2"]
    client_certificates: list[Certificate]
    alerts: list[TlsAlert]
    bytes: Annotated[list[Count], "encrypted, of the requestor and of the acceptor"]


class Association(TypedDict):
    """An association, rebuilt from what crossed the wire."""

    id: Count
    outcome: Annotated[
        Literal["released", "aborted", "rejected", "lost", "open"],
        "lost: the connection ended without release or abort; open: still up at the end",
    ]
    outcome_detail: Annotated[str, "who aborted or rejected it and why, or how it was lost"]
    partial: Annotated[bool, "its beginning was not captured"]
    encrypted: NotRequired[Annotated[bool, "it was inside of TLS"]]
    tls: NotRequired[Tls | None]
    started: Time
    ended: Time
    duration: float
    requestor: Peer
    acceptor: Peer
    application_context: Uid | None
    presentation_contexts: list[PresentationContext]
    user_information: UserInformations
    timeline: list[Entry]
    operations: list[Operation]
    findings: list[Finding]
    gaps: list[Gap]


class Line(Association):
    """A line of ``--ndjson``: an association, and what is needed to read the line by itself."""

    format: Literal["dicomsniff.association"]
    version: Literal[1]
    generator: Generator
    capture: LineCapture
    redaction: Redaction


class Speaker(TypedDict):
    """One side of an association, in short."""

    ae_title: str | None
    address: str
    port: Annotated[int, _rule(minimum=0, maximum=65535)]


class EventAssociation(TypedDict):
    """The association that an event belongs to, as far as it was seen."""

    id: Count
    started: Time
    outcome: Annotated[str, "open while nothing has ended it"]
    partial: bool
    requestor: Speaker
    acceptor: Speaker


class Event(TypedDict):
    """A line of ``live --events``: a row of a timeline, the moment it was complete."""

    format: Literal["dicomsniff.event"]
    version: Literal[1]
    generator: Generator
    capture: LineCapture
    association: EventAssociation
    entry: Entry
    redaction: Redaction


class Transcript(TypedDict):
    """DICOM associations, rebuilt from a packet capture."""

    format: Literal["dicomsniff.transcript"]
    version: Literal[1]
    generator: Generator
    capture: Capture
    redaction: Redaction
    associations: list[Association]
    findings: Annotated[list[Finding], "of the capture as a whole"]


# ---------------------------------------------------------------------------- JSON Schema

_PLAIN: Final[dict[object, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
}


def schema(*, closed: bool = False) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a transcript; ``#/$defs/Line`` is a line of ``--ndjson``,
    ``#/$defs/Event`` one of ``--events``.

    ``closed`` refuses keys that are not described. A reader of transcripts should not: later
    programs may write more of them under the same version.
    """
    defs: dict[str, Any] = {}
    _describe(Transcript, defs, closed)
    _describe(Line, defs, closed)
    _describe(Event, defs, closed)
    root = defs.pop("Transcript")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{FORMAT.replace('.', ':')}:{VERSION}",
        "title": "dicomsniff transcript, version 1",
        **root,
        "$defs": dict(sorted(defs.items())),
    }


def _describe(of: Any, defs: dict[str, Any], closed: bool) -> dict[str, Any]:
    """The schema of a type; typed dictionaries go to ``defs`` and are referred to."""
    if of in _PLAIN:
        return dict(_PLAIN[of])
    if typing.is_typeddict(of):
        if of.__name__ not in defs:
            defs[of.__name__] = {}  # types refer to themselves
            defs[of.__name__] = _object(of, defs, closed)
        return {"$ref": f"#/$defs/{of.__name__}"}
    origin, arguments = typing.get_origin(of), typing.get_args(of)
    if origin is Annotated:
        described = _describe(arguments[0], defs, closed)
        for note in arguments[1:]:
            described |= dict(note.keywords) if isinstance(note, Rule) else {"description": note}
        return described
    if origin is Literal:
        return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _describe(arguments[0], defs, closed)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _describe(arguments[1], defs, closed)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_describe(argument, defs, closed) for argument in arguments]}
    raise TypeError(f"{of!r} has no place in JSON")


def _object(of: Any, defs: dict[str, Any], closed: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for key, hint in typing.get_type_hints(of, include_extras=True).items():
        # Not `__required_keys__`: with annotations kept as text it takes every key as required.
        if typing.get_origin(hint) is NotRequired:
            hint = typing.get_args(hint)[0]
        else:
            required.append(key)
        properties[key] = _describe(hint, defs, closed)
    described: dict[str, Any] = {
        "type": "object",
        "description": re.sub(r"\s+", " ", of.__doc__ or "").strip(),
        "properties": properties,
        "required": required,
    }
    if closed:
        described["additionalProperties"] = False
    return described
