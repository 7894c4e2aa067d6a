"""What every part of dicomsniff speaks of: frames, segments, PDUs, messages, associations.

Nothing here decodes, reads or writes. Everything here is plain data, in the words of the
standard: *requestor* and *acceptor* are the two sides of an association (PS3.7 3.3), a
*presentation context* joins an abstract syntax with transfer syntaxes (PS3.8 7.1.1.13), a
*message* is a command set with or without a data set (PS3.7 6.2).

Times are whole nanoseconds since 1970-01-01T00:00:00 UTC, as the capture has them. Lengths
are bytes. Frame numbers are Wireshark's: the first frame of a capture is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from mmap import mmap

Side = Literal["requestor", "acceptor"]
"""Who sent something: the side that asked for the association, or the one that was asked."""

Outcome = Literal["released", "aborted", "rejected", "lost", "open"]
"""How an association ended.

``lost``: the connection ended (FIN, RST) without release or abort. ``open``: still up when the
capture ended.
"""

Severity = Literal["error", "warning", "note"]

FRAMES_KEPT = 32
"""Frame numbers kept for one timeline entry; past that only their count grows."""


# ---------------------------------------------------------------------------- capture


class Frame(NamedTuple):
    """One captured frame, as a source hands it over."""

    number: int
    """Wireshark's frame number, from 1."""
    time: int
    """Nanoseconds since the epoch."""
    link_type: int
    """LINKTYPE_… value of the interface it was captured on (1 is Ethernet)."""
    data: bytes
    """The captured bytes, from the link-layer header on."""
    length: int
    """Bytes it had on the wire; more than ``len(data)`` where a snap length cut it."""


class Stretch(NamedTuple):
    """Many frames as they stand in a piece of the capture, one behind the other."""

    buffer: bytes
    places: list[tuple[int, int, int, int, int, int]]
    """Of each frame: number, time and link type as in :class:`Frame`, where in ``buffer`` it
    begins and ends, and the bytes it had on the wire."""

    def frames(self) -> Iterator[Frame]:
        """Them one by one."""
        buffer = self.buffer
        for number, time, link_type, start, end, length in self.places:
            yield Frame(number, time, link_type, buffer[start:end], length)


def one_by_one(items: Iterable[Stretch | Frame]) -> Iterator[Frame]:
    """Every frame, those of stretches too."""
    for item in items:
        if isinstance(item, Stretch):
            yield from item.frames()
        else:
            yield item


class Plaintext(NamedTuple):
    """What records of TLS held, decrypted: the next bytes of one direction of a connection."""

    key: bytes
    """Of the direction, as in :class:`Segment`."""
    offset: int
    """Bytes of this direction decrypted before it, on this TCP connection."""
    data: bytes


class Revealed(NamedTuple):
    """What TLS 1.3 encrypts of a handshake, decrypted (RFC 8446 4.3.2, 4.4.2, 6)."""

    key: bytes
    """Of the direction, as in :class:`Segment`."""
    certificates: tuple[bytes, ...]
    """X.509 in DER, the sender's own first."""
    asks: bool
    """There is a CertificateRequest."""
    alerts: tuple[tuple[int, int], ...]
    """Level and description of each."""


class Decrypted(Frame):
    """A frame that completes records of TLS whose secrets are known."""

    plaintexts: tuple[Plaintext, ...] = ()
    """In the order of the records."""
    revealed: tuple[Revealed, ...] = ()


UNREACHABLE: Final = 256
"""In the place of a segment's flags: no segment, but an ICMP message which says that one could not
be delivered. Key and sequence number are those of that one, the payload is the address of who says
so, the window the ICMP code."""


class Segment(NamedTuple):
    """One TCP segment, taken out of a frame."""

    frame: int
    time: int
    key: bytes
    """Source address, destination address (4 or 16 bytes each), source port, destination port
    (2 bytes each, big endian): names one direction of one connection."""
    seq: int
    ack: int
    flags: int
    """FIN 1, SYN 2, RST 4, PSH 8, ACK 16; or :data:`UNREACHABLE`."""
    payload: bytes
    length: int
    """Bytes of payload on the wire; more than ``len(payload)`` where a snap length cut it."""
    window: int = 0xFFFF
    """Receive window as the header has it, not scaled. 0: the sender of this can take no more."""


class Source(Protocol):
    """Where frames come from: a saved capture or an interface."""

    @property
    def reader(self) -> str:
        """``pyshark``, ``scapy`` or ``live``: what the transcript calls ``capture.reader``."""

    @property
    def name(self) -> str:
        """File name without its folder, ``stdin``, or the interface."""

    @property
    def truncated(self) -> bool:
        """True once it is known that the capture ends in a damaged or cut-off frame."""

    @property
    def dropped(self) -> int | None:
        """Frames that the kernel or the file says were lost before they were captured."""

    @property
    def notices(self) -> list[str]:
        """One line each: what the user should know of how it was read."""

    def __iter__(self) -> Iterator[Frame]: ...

    # A source that has many frames at hand has ``stretches() -> Iterator[Stretch | Frame]`` beside
    # it, which gives the same frames quicker: see :func:`stretches`.

    def close(self) -> None:
        """End every process, thread and file it opened. May be called from another thread."""


Skim = Callable[["mmap | bytes", int, int, int, int, int], int]
"""Counts a packet where it lies in memory, where nothing else is needed of it: 1 where its
connection is of interest, 2 where it is not. 0: it has to be handed over. Memory, where its
Ethernet type stands, where it ends, its length on the wire, time and frame number."""


class Loss(NamedTuple):
    """Packets that came by and were lost before they were captured."""

    first: int
    """Not before this time,"""
    last: int
    """and not after this one."""
    packets: int


def stretches(source: Source) -> Iterator[Stretch | Frame]:
    """What a source has, as many frames at once as it can give."""
    many: Callable[[], Iterator[Stretch | Frame]] | None = getattr(source, "stretches", None)
    return iter(source) if many is None else many()


@dataclass(slots=True)
class CaptureInfo:
    """What is told of the capture as a whole."""

    source: str
    reader: str
    packets: int = 0
    bytes: int = 0
    """Bytes of all frames as they were on the wire."""
    first: int | None = None
    last: int | None = None
    dropped: int | None = None
    truncated: bool = False
    """The capture ends in a damaged frame, or frames were cut."""
    attempts: list[Attempt] = field(default_factory=list)
    """Connections to ports of DICOM on which no DICOM was spoken; known when the capture ends."""
    evicted: dict[str, int] = field(default_factory=dict)
    """What was given up to stay within limits, by the name of the limit: see
    :mod:`dicomsniff.tcp.flows` and :mod:`dicomsniff.analysis.pipeline`."""
    duplicates: int = 0
    """Frames that hold a packet which another frame holds as well: mirrored twice, captured on two
    interfaces, or inside and outside of a tunnel. They are counted in ``packets`` and not read."""
    cut: int = 0
    """Frames that a snap length has cut."""
    losses: list[Loss] = field(default_factory=list)
    """When packets of a live capture were lost, as far as that is known; ``dropped`` counts them
    all."""


class Endpoint(NamedTuple):
    """One end of a TCP connection."""

    address: str
    port: int


class Unreachable(NamedTuple):
    """Why the first segment of a connection could not be delivered, and who says so."""

    by: str
    """Address."""
    code: int
    """Of the ICMP message: RFC 792 and RFC 1812 5.2.7.1 where the address is IPv4 (destination
    unreachable, type 3), RFC 4443 3.1 where it is IPv6 (type 1)."""


Answer = Literal[
    "reset", "silence", "unreachable", "tls", "tls-alert", "tls-plain", "tls-dicom", "tls-closed"
]
"""What became of a connection on which no DICOM was spoken.

``reset``: the SYN was answered by RST. ``silence``: it was not answered. ``unreachable``: an ICMP
message said that it could not be delivered. The others began with a
TLS ClientHello: ``tls`` was answered in TLS, ``tls-alert`` by a TLS alert, ``tls-plain`` by bytes
that are no TLS, ``tls-dicom`` by an A-ABORT or A-ASSOCIATE-RJ in plain, whatever the port,
``tls-closed`` by FIN or RST.
"""


@dataclass(slots=True)
class Attempt:
    """Connections from one host to one port that all ended the same way, without DICOM."""

    client: str
    """Address."""
    server: Endpoint
    answer: Answer
    first: int
    """Time of the first frame."""
    last: int
    times: int = 0
    """Connections."""
    frames: list[int] = field(default_factory=list)
    """The first ``FRAMES_KEPT``."""
    unreachable: Unreachable | None = None
    """What the first ICMP message said, where that was the answer."""


class Certificate(NamedTuple):
    """What an X.509 certificate says of itself (RFC 5280 4.1). Nothing is verified."""

    subject: str
    """Distinguished name, most particular part first: ``CN=pacs.example, O=Hospital``."""
    issuer: str
    not_before: int | None
    """Nanoseconds since the epoch, None where it cannot be read."""
    not_after: int | None
    names: tuple[str, ...] = ()
    """DNS names and addresses it is for (subjectAltName)."""


class TlsAlert(NamedTuple):
    """A TLS alert that was sent in clear, or decrypted (RFC 8446 6)."""

    side: int
    """0: the side that opened the connection, 1: the other."""
    fatal: bool
    code: int
    meaning: str
    """The standard's name: ``handshake_failure``."""
    frame: int
    time: int


@dataclass(slots=True)
class Tls:
    """What the handshake of a TLS connection shows without its secrets."""

    version: str | None = None
    """Agreed on: ``TLS 1.3``; None where no ServerHello was seen."""
    cipher: str | None = None
    """The suite agreed on, by its registered name, or ``0xC0FF`` where it has none here."""
    server_name: str | None = None
    """The host that the client asked for (SNI, RFC 6066 3)."""
    offered_versions: tuple[str, ...] = ()
    """By the client, highest first."""
    offered_ciphers: int = 0
    """How many cipher suites the client offered."""
    resumed: bool | None = None
    """An earlier session was taken up again; None where that cannot be told."""
    client_asked: bool | None = None
    """The server asked the client for a certificate. TLS 1.3 encrypts that: None unless it was
    decrypted."""
    server_certificates: tuple[Certificate, ...] = ()
    """The server's own first, then its chain. TLS 1.3 encrypts them: here where decrypted."""
    client_certificates: tuple[Certificate, ...] = ()
    alerts: list[TlsAlert] = field(default_factory=list)
    bytes: list[int] = field(default_factory=lambda: [0, 0])
    """Length of the encrypted application data records that the client and the server sent."""
    answered: int = 0
    """How much of that the server sent after the client's first."""
    decrypted: bool = False


# ---------------------------------------------------------------------------- decoding


class Fault(NamedTuple):
    """Something malformed, at its place. Malformed traffic is data, not an exception."""

    text: str
    """One line that a person understands."""
    start: int
    """Offset of the first byte concerned, in the bytes that were decoded."""
    end: int
    """Offset behind the last byte concerned."""


@dataclass(slots=True)
class Node:
    """A decoded field with its place: what a detail tree shows and links to the bytes."""

    name: str
    value: str
    """For people; empty where only the children matter."""
    start: int
    end: int
    children: list[Node] = field(default_factory=list)
    sensitive: bool = False
    """True for secrets (a passcode, a ticket): no output prints such a value, ever."""


@dataclass(frozen=True, slots=True)
class ContextItem:
    """A presentation context item of a request (20H) or an answer (21H), PS3.8 9.3.2.2, 9.3.3.2."""

    id: int
    result: int | None
    """Result/reason of an answer (0 to 4), None in a request."""
    abstract_syntax: str | None
    """None in an answer."""
    transfer_syntaxes: tuple[str, ...]
    """All that a request proposes; in an answer one (kept, and meaningless, when refused)."""


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """SCP/SCU role selection (54H), PS3.7 D.3.3.4."""

    sop_class_uid: str
    scu_role: int
    scp_role: int


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """SOP class extended negotiation (56H), PS3.7 D.3.3.5."""

    sop_class_uid: str
    application_information: bytes


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """SOP class common extended negotiation (57H), PS3.7 D.3.3.6."""

    sop_class_uid: str
    service_class_uid: str
    related_general_sop_class_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """User identity (58H), PS3.7 D.3.3.7. The secondary field (a passcode) is measured, not kept.

    The primary field is a user name only for types 1 and 2; for types 3 to 5 it is a secret
    (Kerberos ticket, SAML assertion, JSON web token) and only its length is kept.
    """

    type: int
    positive_response_requested: bool
    username: str | None
    primary_length: int
    secondary_length: int


@dataclass(frozen=True, slots=True)
class UserInformation:
    """User information item (50H) with its sub-items 51H to 59H, PS3.8 9.3.2.3, PS3.7 D.3.3."""

    maximum_length: int | None = None
    implementation_class_uid: str | None = None
    implementation_version_name: str | None = None
    asynchronous_operations_window: tuple[int, int] | None = None
    """Maximum number of operations invoked, performed (53H)."""
    role_selections: tuple[RoleSelection, ...] = ()
    extended_negotiations: tuple[ExtendedNegotiation, ...] = ()
    common_extended_negotiations: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    user_identity_response_length: int | None = None
    """Length of the server response (59H); what it holds may be a secret."""
    unknown_items: tuple[tuple[int, bytes], ...] = ()
    """Item type and content of every sub-item no standard names."""


@dataclass(frozen=True, slots=True)
class AssociatePDU:
    """A-ASSOCIATE-RQ (01H) or A-ASSOCIATE-AC (02H), PS3.8 9.3.2 and 9.3.3."""

    kind: Literal["A-ASSOCIATE-RQ", "A-ASSOCIATE-AC"]
    protocol_version: int
    called_ae_title: str
    """Without the spaces around it; control characters and bytes outside ASCII as they decode
    (latin-1), so escape before printing."""
    calling_ae_title: str
    application_context: str | None
    contexts: tuple[ContextItem, ...]
    user_information: UserInformation
    unknown_items: tuple[tuple[int, bytes], ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class RejectPDU:
    """A-ASSOCIATE-RJ (03H), PS3.8 9.3.4."""

    result: int
    source: int
    reason: int
    faults: tuple[Fault, ...] = ()
    kind: Literal["A-ASSOCIATE-RJ"] = "A-ASSOCIATE-RJ"


@dataclass(frozen=True, slots=True)
class ReleasePDU:
    """A-RELEASE-RQ (05H) or A-RELEASE-RP (06H), PS3.8 9.3.6 and 9.3.7."""

    kind: Literal["A-RELEASE-RQ", "A-RELEASE-RP"]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class AbortPDU:
    """A-ABORT (07H), PS3.8 9.3.8. Source 0 is the service user (A-ABORT), 2 the provider
    (A-P-ABORT); the reason has a meaning only from the provider."""

    source: int
    reason: int
    faults: tuple[Fault, ...] = ()
    kind: Literal["A-ABORT"] = "A-ABORT"


@dataclass(frozen=True, slots=True)
class UnknownPDU:
    """A PDU of a type that PS3.8 does not define."""

    type: int
    faults: tuple[Fault, ...] = ()
    kind: Literal["UNKNOWN-PDU"] = "UNKNOWN-PDU"


PDU = AssociatePDU | RejectPDU | ReleasePDU | AbortPDU | UnknownPDU
"""Every PDU but P-DATA-TF, whose bytes become messages as they stream by."""


class Skip(NamedTuple):
    """Bytes of a data set that were measured and not kept."""

    at: int
    """Offset in ``DataSetBytes.held`` where they would stand."""
    length: int
    """How many there were; for an encapsulated value its items and delimiters included."""
    fragments: int
    """Items of an encapsulated value (the offset table included), 0 for a plain value."""


class DataSetBytes(NamedTuple):
    """A data set as it crossed the wire, without its bulk. Decoded late, by ``dicom.dataset``."""

    length: int
    """Bytes on the wire (deflated ones, where the transfer syntax deflates)."""
    held: bytes
    """The bytes kept: all of a small data set; of a large one every element header, and every
    value that is not bulk. Inflated already where ``inflated``."""
    skips: tuple[Skip, ...] = ()
    complete: bool = True
    """False where bytes are missing, at the end or in the middle."""
    missing_at: int | None = None
    """Offset in ``held`` behind which bytes were lost, None where nothing is missing."""
    inflated: bool = False
    faults: tuple[Fault, ...] = ()
    """Of keeping and inflating; spans are offsets in ``held``."""
    notes: tuple[str, ...] = ()
    """What is known of it that its bytes do not show any more: it comes from a saved transcript."""


class CommandElement(NamedTuple):
    """One element of a command set (group 0000, implicit VR little endian, PS3.7 6.3.1)."""

    tag: int
    vr: str
    value: int | str | tuple[int, ...] | bytes | None
    """Number (US, UL), text (UI, AE, LO), several tags (AT) or numbers, bytes where unknown,
    None where empty."""
    start: int
    """Offset of the tag in ``Message.command_bytes``."""
    end: int


class Fragment(NamedTuple):
    """A presentation data value (PS3.8 9.3.5.1) that carried a part of a message."""

    frame: int
    """Frame that held its header's last byte."""
    pdu_length: int | None
    """PDU length field of the P-DATA-TF where this is its first value, else None."""
    pdv_length: int
    """Item length field: 2 more than the bytes carried."""
    control: int
    """Message control header (PS3.8 E.2): bit 0 command, bit 1 last."""


def pack_fragment(frame: int, pdu_length: int | None, pdv_length: int, control: int) -> bytes:
    """A :class:`Fragment` as :attr:`Message.packed_fragments` has it."""
    return _FRAGMENT.pack(frame, pdu_length is not None, pdu_length or 0, pdv_length, control)


def measure_fragments(packed: bytes) -> tuple[int, bool]:
    """The longest PDU that began with one of them, and whether one has an odd length."""
    longest = 0
    odd = 0
    for _, _, pdu, pdv, _ in _FRAGMENT.iter_unpack(packed):
        odd |= pdv
        if pdu > longest:
            longest = pdu
    return longest, bool(odd & 1)


_FRAGMENT = Struct("<q?IQB")


@dataclass(slots=True)
class Message:
    """A DIMSE message: a command set, and a data set where the command says so (PS3.7 6.2)."""

    kind: str
    """``C-FIND-RQ`` … ``N-DELETE-RSP``, ``C-CANCEL-RQ``, or ``UNDECODED``."""
    service: str
    """``C-FIND``, ``N-SET``…; ``C-CANCEL``; empty where undecoded."""
    is_request: bool
    context_id: int
    command: Mapping[int, CommandElement]
    """By tag, in order of appearance. Read from ``command_bytes`` when it is asked for."""
    command_bytes: bytes
    dataset: DataSetBytes | None
    abstract_syntax: str | None
    """Of the presentation context, where its negotiation was seen."""
    transfer_syntax: str | None
    """Accepted for the context; where the negotiation was not seen, what the bytes look like."""
    transfer_syntax_guessed: bool = False
    message_id: int | None = None
    """(0000,0110), of a response and a C-CANCEL (0000,0120)."""
    status: int | None = None
    sop_class: str | None = None
    """Affected or Requested SOP Class UID (0000,0002), (0000,0003)."""
    sop_instance: str | None = None
    """Affected or Requested SOP Instance UID (0000,1000), (0000,1001)."""
    packed_fragments: bytes = b""
    """:attr:`fragments`, packed: a capture of millions of messages has as many, and they are rarely
    asked for."""
    fragment_count: int = 0
    chunks: tuple[tuple[int, int], ...] = ()
    """Provenance of ``dataset.held``: (offset in held, frame number), ascending."""

    @property
    def fragments(self) -> tuple[Fragment, ...]:
        """The presentation data values that carried it: the first ``FRAMES_KEPT`` of them."""
        return tuple(
            Fragment(frame, pdu if first else None, pdv, control)
            for frame, first, pdu, pdv, control in _FRAGMENT.iter_unpack(self.packed_fragments)
        )

    @property
    def alike(self) -> tuple[object, ...]:
        """Equal for messages that differ in nothing but their data sets and where they were."""
        return (
            self.command_bytes,
            self.context_id,
            self.abstract_syntax,
            self.transfer_syntax,
            self.transfer_syntax_guessed,
            self.fragment_count,
        )


class Gap(NamedTuple):
    """Bytes of one direction that the capture does not hold."""

    sender: Side
    offset: int
    """Bytes of that direction before it, since the association began."""
    length: int
    """How many are missing."""
    time: int
    """When the stream went on behind it."""
    frame: int
    """The frame where the stream went on."""


@dataclass(slots=True)
class Entry:
    """A row of the timeline: a PDU other than P-DATA-TF, a DIMSE message, or an event."""

    number: int
    """From 1, in the order of completion."""
    kind: str
    """The PDU's or message's kind, ``UNKNOWN-PDU``, ``UNDECODED``, ``GAP``, ``CONNECTION-LOST``;
    of a connection that could not be decrypted ``TLS``."""
    sender: Side
    time: int
    """Of the frame that completed it: Wireshark's row."""
    began: int
    """Of the frame that held its first byte."""
    frames: tuple[int, ...]
    """Frames that carried a byte of it, the first ``FRAMES_KEPT``."""
    frame_count: int
    last_frame: int
    """The frame that completed it: Wireshark's No."""
    length: int
    """Bytes on the wire, PDU and PDV headers included."""
    complete: bool = True
    pdu: PDU | None = None
    message: Message | None = None
    raw: bytes = b""
    """The PDU as it came, header included (bounded); undecoded bytes; empty for messages."""
    faults: tuple[Fault, ...] = ()
    """Of the PDU, or of the command set and its PDVs (offsets in ``command_bytes``)."""
    detail: str = ""
    """For events: what happened, in words (``RST from the acceptor``)."""


# ---------------------------------------------------------------------------- analysis


class SubOperations(NamedTuple):
    """Counts that C-MOVE and C-GET responses carry, (0000,1020) to (0000,1023)."""

    remaining: int | None
    completed: int | None
    failed: int | None
    warning: int | None


class Link(NamedTuple):
    """A relation between operations, across associations too."""

    association: int
    operation: int
    """Request entry number in that association."""
    why: str


@dataclass(slots=True)
class Operation:
    """A request joined with everything that answered it."""

    service: str
    message_id: int | None
    context_id: int
    sop_class: str | None
    invoked_by: Side
    request: Entry | None
    """None where only the answers were captured."""
    responses: list[Entry] = field(default_factory=list)
    status: int | None = None
    """Of the final response; None while none came."""
    cancelled: bool = False
    sub_operations: SubOperations | None = None
    linked: list[Link] = field(default_factory=list)

    @property
    def first_response(self) -> int | None:
        """Nanoseconds from the request's last byte to the first byte of the first response; None
        where there is none, or where the clock was set back in between."""
        if self.request is None or not self.responses:
            return None
        took = self.responses[0].began - self.request.time
        return took if took >= 0 else None

    @property
    def duration(self) -> int | None:
        """Nanoseconds from the request's first byte to the last response's last byte; None as for
        :attr:`first_response`."""
        if self.request is None or not self.responses:
            return None
        took = self.responses[-1].time - self.request.began
        return took if took >= 0 else None


@dataclass(slots=True)
class Finding:
    """Something an engineer should know, with its evidence."""

    code: str
    severity: Severity
    title: str
    detail: str
    advice: str
    evidence: tuple[int, ...] = ()
    """Entry numbers in the association it belongs to."""
    frames: tuple[int, ...] = ()
    reference: str | None = None
    """Clause of the standard."""
    ae_titles: tuple[str, ...] = ()
    """AE titles that the texts name beside those of its association."""


@dataclass(slots=True)
class Transport:
    """What TCP did with the bytes that one side sent, while an association lasted."""

    round_trip: int | None = None
    """Nanoseconds from the place of capture to this side and back, by the handshake; None where it
    was not captured, or not clearly."""
    retransmitted: int = 0
    """Segments sent again."""
    retransmission_time: int = 0
    """Nanoseconds of silence in front of them."""
    stalls: int = 0
    """Times that it waited with data at hand until the other side's delayed acknowledgement came
    (Nagle's algorithm, RFC 896, against RFC 1122 4.2.3.2)."""
    stall_time: int = 0
    closed: int = 0
    """Times that its receive window was zero: it could take no more."""
    closed_time: int = 0
    unfinished: bool = False
    """Its last byte was not the end of a PDU."""
    frames: dict[str, list[int]] = field(default_factory=dict)
    """First frames of what was counted, by the name of the count."""
    ended: int | None = None
    """When it sent FIN or RST, None: not while this was captured."""
    repeats: int = 0
    """Times that a segment was sent again in vain: nobody acknowledged it until the end."""

    def since(self, before: Transport) -> Transport:
        """What was counted after ``before``."""
        if not before.frames:
            return self  # nothing was counted before
        return Transport(
            self.round_trip,
            self.retransmitted - before.retransmitted,
            self.retransmission_time - before.retransmission_time,
            self.stalls - before.stalls,
            self.stall_time - before.stall_time,
            self.closed - before.closed,
            self.closed_time - before.closed_time,
            self.unfinished,
            {what: each[len(before.frames.get(what, ())) :] for what, each in self.frames.items()},
            self.ended,
            self.repeats,
        )


@dataclass(slots=True)
class Peer:
    """One side of an association."""

    address: str
    port: int
    ae_title: str | None = None
    implementation_class_uid: str | None = None
    implementation_version_name: str | None = None
    maximum_length: int | None = None
    user_information: UserInformation | None = None
    bytes: int = 0
    """Bytes of the upper layer protocol it sent, gaps not counted."""
    transport: Transport | None = None
    """Known once the association has ended."""


@dataclass(slots=True)
class PresentationContext:
    """A presentation context as it was proposed and answered."""

    id: int
    abstract_syntax: str | None
    proposed_transfer_syntaxes: tuple[str, ...]
    result: int | None = None
    """0 acceptance … 4 transfer-syntaxes-not-supported (PS3.8 table 9-18), None: no answer."""
    transfer_syntax: str | None = None
    """The accepted one; None where refused or unanswered."""


@dataclass(slots=True, eq=False)
class Association:
    """An association, rebuilt from what crossed the wire."""

    id: int
    requestor: Peer
    acceptor: Peer
    started: int
    ended: int
    """Of its last entry so far."""
    outcome: Outcome = "open"
    outcome_detail: str = ""
    """Who aborted or rejected it and why, or how it was lost, in words."""
    partial: bool = False
    """Its beginning was not captured."""
    encrypted: bool = False
    """It crossed the wire inside of TLS."""
    tls: Tls | None = None
    """The TLS connection it was inside of. Where that was not decrypted, nothing else is known."""
    application_context: str | None = None
    contexts: dict[int, PresentationContext] = field(default_factory=dict)
    timeline: list[Entry] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    under_way: Callable[[], tuple[int, int]] | None = field(default=None, repr=False)
    """While it is open: how many bytes have come of messages that are not whole yet, and when the
    latest byte came."""

    @property
    def duration(self) -> int:
        """Nanoseconds from its first to its last byte."""
        return self.ended - self.started

    @property
    def opaque(self) -> bool:
        """A TLS connection to a port of DICOM that could not be looked into."""
        return self.tls is not None and not self.tls.decrypted

    def peer(self, side: Side) -> Peer:
        """The peer on that side."""
        return self.requestor if side == "requestor" else self.acceptor

    def other(self, side: Side) -> Peer:
        """The peer that ``side`` talks to."""
        return self.acceptor if side == "requestor" else self.requestor
