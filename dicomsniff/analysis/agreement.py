"""Our PDUs and messages against those of tshark's DICOM dissector, and why they differ.

Compared is what was sent, by whom and in what order: the kind of each PDU and message, and of
messages the presentation context, the message ID and the status. Both list that for each direction
of each connection; the lists are laid beside each other.

Why they differ is told where a fault of the dissector is known that shows under these very
circumstances (:data:`REASONS`). A difference without such a reason is worth a look at both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from dicomsniff.analysis.pipeline import Listener, Pipeline, run
from dicomsniff.dicom.encoding import DEFLATED
from dicomsniff.dicom.names import COMMAND_FIELDS
from dicomsniff.model import Association, CaptureInfo, Endpoint, Entry, Message
from dicomsniff.sources import open_capture
from dicomsniff.sources.dissector import IN_ORDER, Dissected, Shown, dissect

AHEAD: Final = 64
"""Entries looked ahead for the place where both go on alike. What a lost segment hides is rarely
more, and looking is quadratic."""

EMPTY: Final = 2
"""Item length of a presentation data value that carries nothing: context ID and control header."""

PDU_KINDS: Final = {
    0x01: "A-ASSOCIATE-RQ",
    0x02: "A-ASSOCIATE-AC",
    0x03: "A-ASSOCIATE-RJ",
    0x05: "A-RELEASE-RQ",
    0x06: "A-RELEASE-RP",
    0x07: "A-ABORT",
}
"""PDU types (PS3.8 9.3.1)."""

UNCOMPRESSED: Final = frozenset(("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"))
"""Transfer syntaxes whose data sets the dissector reads as they are."""

NOT_COMPARED: Final = frozenset(("GAP", "CONNECTION-LOST", "TLS"))
"""Rows of ours that are no PDU and no message."""

Ends = tuple[Endpoint, Endpoint]


class Told(NamedTuple):
    """A PDU or message that one of both tells."""

    kind: str
    context_id: int | None = None
    message_id: int | None = None
    status: int | None = None


class Place(NamedTuple):
    """Where ours was found."""

    association: Association
    entry: Entry


@dataclass(slots=True)
class Difference:
    """A PDU or message that both do not tell alike."""

    ends: Ends
    """Sender and receiver."""
    ours: Told | None
    theirs: Told | None
    frame: int
    """Where Wireshark shows it, or would."""
    place: Place | None
    why: str | None = None
    """None: no reason is known."""


@dataclass(slots=True)
class Agreement:
    """What comes of a comparison."""

    info: CaptureInfo
    ours: int = 0
    """PDUs and messages told."""
    theirs: int = 0
    differences: list[Difference] = field(default_factory=list)
    associations: list[Association] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    """What the source had to say."""

    @property
    def unexplained(self) -> int:
        """Differences without a known reason."""
        return sum(each.why is None for each in self.differences)


def compare(path: str, *, ports: Iterable[int] = ()) -> Agreement:
    """Compare both on a capture. ``ports`` are DICOM even where nothing shows it.

    Raises ``SourceError`` where the capture cannot be read or tshark is not installed.
    """

    class Kept(Listener):
        def association_ended(self, association: Association) -> None:
            associations.append(association)

    associations: list[Association] = []
    pipeline = Pipeline(ports=ports, listener=Kept(), checks=False)
    source = open_capture(path)
    run(source, pipeline)
    # tshark has to be told which ports speak DICOM; most often it is the acceptor's.
    spoken = {each.acceptor.port for each in associations if not each.opaque} | set(ports)
    agreement = laid(associations, dissect(path, spoken), pipeline.info)
    agreement.notices = source.notices
    if agreement.differences:
        # Whether disorder is to blame is for tshark to say.
        again = laid(associations, dissect(path, spoken, *IN_ORDER), pipeline.info)
        left = {(each.ends, each.ours, each.frame) for each in again.differences}
        for each in agreement.differences:
            if (each.ends, each.ours, each.frame) not in left:
                each.why = OUT_OF_ORDER
    return agreement


def laid(associations: list[Association], dissected: Dissected, info: CaptureInfo) -> Agreement:
    """Both beside each other, each difference with its reason where one is known."""
    ours, theirs = _ours(associations), _theirs(dissected.shown)
    agreement = Agreement(
        info,
        sum(map(len, ours.values())),
        sum(map(len, theirs.values())),
        _differences(ours, theirs),
        associations,
    )
    for each in agreement.differences:
        each.why = next((why for why, applies in REASONS if applies(each, agreement)), None)
    return agreement


# ---------------------------------------------------------------------------- both sides


def _ours(associations: Iterable[Association]) -> dict[Ends, list[tuple[Told, int, Place]]]:
    listed: dict[Ends, list[tuple[Told, int, Place]]] = {}
    for association in associations:
        for entry in association.timeline:
            if entry.kind in NOT_COMPARED:
                continue
            sender, receiver = association.peer(entry.sender), association.other(entry.sender)
            ends = (
                Endpoint(sender.address, sender.port),
                Endpoint(receiver.address, receiver.port),
            )
            message = entry.message
            told = (
                Told(entry.kind)
                if message is None
                else Told(entry.kind, message.context_id, message.message_id, message.status)
            )
            place = Place(association, entry)
            listed.setdefault(ends, []).append((told, entry.last_frame, place))
    return listed


def _theirs(shown: Iterable[Shown]) -> dict[Ends, list[tuple[Told, int]]]:
    listed: dict[Ends, list[tuple[Told, int]]] = {}
    for each in shown:
        if each.command is not None:
            kind = COMMAND_FIELDS.get(each.command, "UNDECODED")
            told = Told(kind, each.context_id, each.message_id, each.status)
        elif each.pdu in PDU_KINDS:
            told = Told(PDU_KINDS[each.pdu])
        else:
            continue
        listed.setdefault(each.ends, []).append((told, each.frame))
    return listed


def _differences(
    ours: dict[Ends, list[tuple[Told, int, Place]]], theirs: dict[Ends, list[tuple[Told, int]]]
) -> list[Difference]:
    found: list[Difference] = []
    for ends in dict.fromkeys((*ours, *theirs)):
        mine, other = ours.get(ends, []), theirs.get(ends, [])
        here = there = 0
        while here < len(mine) or there < len(other):
            if here < len(mine) and there < len(other) and mine[here][0] == other[there][0]:
                here += 1
                there += 1
                continue
            skip, skip_there = _next_alike(
                [each[0] for each in mine[here : here + AHEAD]],
                [each[0] for each in other[there : there + AHEAD]],
            )
            # What stands at the same place and is of one kind is one thing, told in two ways.
            for n in range(max(skip, skip_there)):
                one = mine[here + n] if n < skip else None
                two = other[there + n] if n < skip_there else None
                if one is not None and two is not None and one[0].kind == two[0].kind:
                    found.append(Difference(ends, one[0], two[0], one[1], one[2]))
                    continue
                if one is not None:
                    found.append(Difference(ends, one[0], None, one[1], one[2]))
                if two is not None:
                    found.append(Difference(ends, None, two[0], two[1], None))
            here += skip + 1
            there += skip_there + 1
    found.sort(key=lambda each: each.frame)
    return found


def _next_alike(mine: Sequence[Told], other: Sequence[Told]) -> tuple[int, int]:
    """How many of each stand in front of the next that both tell alike."""
    for total in range(len(mine) + len(other) - 1):
        for here in range(max(0, total - len(other) + 1), min(total, len(mine) - 1) + 1):
            if mine[here] == other[total - here]:
                return here, total - here
    return len(mine), len(other)


# ---------------------------------------------------------------------------- why


def _before(place: Place) -> Iterator[Entry]:
    """The entries in front of one, the nearest first."""
    timeline = place.association.timeline
    return (timeline[at] for at in range(min(place.entry.number - 1, len(timeline)) - 1, -1, -1))


def _data_before(difference: Difference) -> Message | None:
    """The message with a data set that a response stands behind, on its context."""
    if difference.place is None or difference.ours is None:
        return None
    if not difference.ours.kind.endswith("-RSP"):
        return None
    for each in _before(difference.place):
        message = each.message
        if message is None or message.dataset is None:
            continue
        other_way = each.sender != difference.place.entry.sender
        if other_way and message.context_id == difference.ours.context_id:
            return message
    return None


def _behind_compressed(difference: Difference, _: Agreement) -> bool:
    message = _data_before(difference)
    return message is not None and message.transfer_syntax not in UNCOMPRESSED


def _behind_another(difference: Difference, _: Agreement) -> bool:
    message = _data_before(difference)
    if message is None or message.dataset is None:
        return False
    from dicomsniff.dicom.dataset import decode

    return decode(message.dataset, message.transfer_syntax).transfer_syntax != (
        message.transfer_syntax
    )


def _interleaved(difference: Difference, _: Agreement) -> bool:
    """Whether something crossed, the other way on the same context, what it or ours is part of."""
    if difference.place is None or difference.ours is None:
        return False
    association, entry = difference.place
    at = entry.number - 1
    return any(
        each.message is not None
        and each.sender != entry.sender
        and each.message.context_id == difference.ours.context_id
        and each.frames[0] <= entry.last_frame
        and entry.frames[0] <= each.last_frame
        for each in association.timeline[max(0, at - AHEAD) : at + AHEAD]
    )


def _not_accepted(difference: Difference, _: Agreement) -> bool:
    if difference.place is None or difference.ours is None or difference.ours.context_id is None:
        return False
    context = difference.place.association.contexts.get(difference.ours.context_id)
    return context is not None and context.transfer_syntax is None and context.result is not None


def _command_in_pieces(place: Place) -> bool:
    message = place.entry.message
    return message is not None and sum(each.control & 1 for each in message.fragments) > 1


def _ends_empty(message: Message | None) -> bool:
    """Whether the last fragment of a command set holds nothing of it."""
    last = [each for each in message.fragments if each.control & 1][-1:] if message else []
    return bool(last) and last[0].pdv_length <= EMPTY


def _behind_empty_end(difference: Difference, _: Agreement) -> bool:
    """Whether it is a command set that ends so, or the response to one with a data set."""
    if difference.place is None or difference.ours is None:
        return False
    association, entry = difference.place
    if _ends_empty(entry.message):
        return True
    return difference.ours.kind.endswith("-RSP") and any(
        each.message is not None
        and each.sender != entry.sender
        and each.message.context_id == difference.ours.context_id
        and each.message.message_id == difference.ours.message_id
        and _ends_empty(each.message)
        for each in association.timeline[max(0, entry.number - 1 - AHEAD) : entry.number - 1]
    )


def _deflated(difference: Difference, _: Agreement) -> bool:
    if difference.place is None:
        return False
    message = difference.place.entry.message
    return message is not None and message.transfer_syntax in DEFLATED


def _of_ours(test: Callable[[Place], bool]) -> Callable[[Difference, Agreement], bool]:
    return lambda difference, _: difference.place is not None and test(difference.place)


def _captured_twice(difference: Difference, agreement: Agreement) -> bool:
    return difference.ours is None and agreement.info.duplicates > 0


def _opaque(difference: Difference, agreement: Agreement) -> bool:
    ends = {(each.address, each.port) for each in difference.ends}
    return difference.ours is None and any(
        association.opaque
        and ends
        == {(peer.address, peer.port) for peer in (association.requestor, association.acceptor)}
        for association in agreement.associations
    )


def _second_association(difference: Difference, agreement: Agreement) -> bool:
    """Whether the connection had an association before."""
    if difference.place is None:
        return False
    own = difference.place.association
    return any(
        each.id < own.id
        and each.ended <= own.started
        and (each.requestor.address, each.requestor.port, each.acceptor.port)
        == (own.requestor.address, own.requestor.port, own.acceptor.port)
        for each in agreement.associations
    )


OUT_OF_ORDER: Final = (
    "segments came out of order: with tcp.reassemble_out_of_order tshark tells it as well"
)

REASONS: Final[tuple[tuple[str, Callable[[Difference, Agreement], bool]], ...]] = (
    (
        "inside of TLS: tshark does not hand to its DICOM dissector what it decrypts",
        _of_ours(lambda place: place.association.encrypted),
    ),
    ("encrypted: what tshark takes for DICOM are records of TLS", _opaque),
    (
        "bytes that are no PDU: tshark hands them to the dissector of what they are",
        _of_ours(
            lambda place: (
                place.entry.kind == "UNDECODED"
                and not place.association.gaps
                and not place.association.partial
            )
        ),
    ),
    (
        "bytes are missing: where a segment was not captured, tshark drops what it was part of",
        _of_ours(lambda place: not place.entry.complete or bool(place.association.gaps)),
    ),
    (
        "a response behind a deflated or encapsulated data set: tshark reads its command with the "
        "data set's transfer syntax",
        _behind_compressed,
    ),
    (
        "a response behind a data set that is not in the transfer syntax agreed on: tshark loses "
        "its command",
        _behind_another,
    ),
    ("a deflated data set, which tshark does not inflate", _deflated),
    (
        "on a presentation context that was not accepted: tshark looks for it in vain",
        _not_accepted,
    ),
    (
        "a command set whose last fragment is empty: tshark does not see its end, and loses the "
        "response behind its data set as well",
        _behind_empty_end,
    ),
    (
        "a command set in several fragments: tshark does not put them together",
        _of_ours(_command_in_pieces),
    ),
    (
        "the capture begins in the middle of the association: tshark knows no presentation context",
        _of_ours(lambda place: place.association.partial),
    ),
    (
        "the second association on one connection: tshark goes on with the contexts of the first",
        _second_association,
    ),
    (
        "sent while the other side was sending on the same context: tshark keeps one state for "
        "both directions",
        _interleaved,
    ),
    (
        "a PDU of a type that PS3.8 does not define: tshark shows no row for it",
        _of_ours(lambda place: place.entry.kind in ("UNKNOWN-PDU", "UNDECODED")),
    ),
    ("captured twice: tshark tells each copy that it does not know for one", _captured_twice),
)
"""Why the dissector tells something else, and when that applies; the first one counts."""
