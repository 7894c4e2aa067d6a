"""Presentation data values to messages: fragments, interleaving, faults, loss."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_FIND_RSP, C_STORE_RQ, N_ACTION_RQ, N_EVENT_REPORT_RQ
from pynetdicom.dimse_primitives import C_FIND, C_STORE, N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import encode

from dicomsniff.dicom.command import decode_command
from dicomsniff.dicom.dimse import Assembler, DataSetSink
from dicomsniff.dicom.framing import Framer, Track
from dicomsniff.model import Fault, Message, PresentationContext
from tests import rewrite, wire
from tests.support import capture

IDENTIFIER = wire.element(0x0008, 0x0052, "CS", b"STUDY ") + wire.element(
    0x0010, 0x0020, "LO", b"TEST-0001 " * 6
)


class Owner:
    """A conversation that writes down what it is told."""

    def __init__(self) -> None:
        self.messages: list[tuple[Message, bool, Track, tuple[Fault, ...]]] = []
        self.undecoded: list[str] = []
        self.sinks: list[Sink] = []
        self.tap = False

    def context(self, context_id: int) -> PresentationContext | None:
        if context_id > 9:
            return None
        return PresentationContext(context_id, wire.CT, (wire.EXPLICIT,), 0, wire.EXPLICIT)

    def on_pdu(self, side: int, data: bytes, complete: bool, track: Track) -> None:
        pass

    def on_undecoded(self, side: int, data: bytes, reason: str, track: Track) -> None:  # noqa: ARG002
        self.undecoded.append(reason)

    def on_message(
        self,
        side: int,  # noqa: ARG002
        message: Message,
        complete: bool,
        track: Track,
        faults: tuple[Fault, ...],
    ) -> None:
        self.messages.append((message, complete, track, faults))

    def open_sink(self, side: int, message: Message) -> DataSetSink | None:  # noqa: ARG002
        if not self.tap:
            return None
        self.sinks.append(Sink())
        return self.sinks[-1]


class Sink:
    def __init__(self) -> None:
        self.parts: list[object] = []

    def write(self, data: bytes) -> None:
        self.parts.append(data)

    def lost(self, length: int | None) -> None:
        self.parts.append(("lost", length))

    def close(self, complete: bool) -> None:
        self.parts.append(("closed", complete))


def assembled(*pieces: bytes | int, owner: Owner | None = None, end: bool = True) -> Owner:
    """Bytes, and gaps as numbers, through a framer and an assembler; a frame a piece."""
    owner = owner or Owner()
    assembler = Assembler(0, owner)
    framer = Framer(assembler)
    for number, piece in enumerate(pieces, 1):
        if isinstance(piece, int):
            framer.gap(piece)
        else:
            framer.feed(piece, number, number * 1000)
    if end:
        framer.end()
        assembler.finish()
    return owner


def brief(owner: Owner) -> list[tuple[str, int | None, bool, bytes | None]]:
    return [
        (m.kind, m.message_id, complete, m.dataset.held if m.dataset is not None else None)
        for m, complete, *_ in owner.messages
    ]


def faults(owner: Owner, number: int = 0) -> list[str]:
    return [fault.text for fault in owner.messages[number][3]]


# ---------------------------------------------------------------------------- fragments


@given(
    cuts=st.lists(st.integers(0, 200), max_size=8),
    packed=st.booleans(),
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=5),
)
@settings(max_examples=150, deadline=None)
def test_a_message_in_any_fragments_is_the_same(
    cuts: list[int], packed: bool, sizes: list[int]
) -> None:
    """Empty values, odd ones, the end of the command and the data set in one PDU included."""
    command = wire.command_set(0x0020, 5, dataset=True)
    values = []
    for content, bit in ((command, 1), (IDENTIFIER, 0)):
        places = sorted({min(c, len(content)) for c in cuts} | {0, len(content)})
        pieces = [content[a:b] for a, b in pairwise(places)]
        pieces += [b""] * (len(cuts) % 2)
        values += [
            wire.value(3, piece, bit | (2 if at == len(pieces) - 1 else 0))
            for at, piece in enumerate(pieces)
        ]
    stream = wire.pdata(*values) if packed else b"".join(wire.pdata(v) for v in values)
    parts = []
    at = turn = 0
    while at < len(stream):
        parts.append(stream[at : at + sizes[turn % len(sizes)]])
        at += len(parts[-1])
        turn += 1
    owner = assembled(*parts)
    assert brief(owner) == [("C-FIND-RQ", 5, True, IDENTIFIER)]
    assert not faults(owner)
    message, _, track, _ = owner.messages[0]
    assert message.command_bytes == command
    assert message.fragment_count == len(values)
    assert track.length == len(stream)


def test_several_messages_in_one_pdu() -> None:
    owner = assembled(
        wire.pdata(
            wire.value(1, wire.command_set(0x8030, 1, status=0), 3),
            wire.value(1, wire.command_set(0x8030, 2, status=0), 3),
            wire.value(3, wire.command_set(0x8020, 3, status=0xFF00, dataset=True), 3),
            wire.value(3, IDENTIFIER, 2),
        )
    )
    assert brief(owner) == [
        ("C-ECHO-RSP", 1, True, None),
        ("C-ECHO-RSP", 2, True, None),
        ("C-FIND-RSP", 3, True, IDENTIFIER),
    ]


def test_a_cancel_between_the_fragments_of_an_identifier_on_the_same_context() -> None:
    owner = assembled(
        wire.command(1, 0x0020, 7, dataset=True),
        wire.data(1, IDENTIFIER[:20], last=False),
        wire.command(1, 0x0FFF, 7),
        wire.data(1, IDENTIFIER[20:]),
    )
    assert brief(owner) == [
        ("C-CANCEL-RQ", 7, True, None),
        ("C-FIND-RQ", 7, True, IDENTIFIER),
    ]


def test_operations_on_two_contexts_interleaved() -> None:
    owner = assembled(
        wire.command(1, 0x0001, 1, dataset=True),
        wire.data(1, IDENTIFIER[:20], last=False),
        wire.command(3, 0x0001, 2, dataset=True),
        wire.pdata(wire.value(3, IDENTIFIER[:30], 0), wire.value(1, IDENTIFIER[20:40], 0)),
        wire.data(3, IDENTIFIER[30:]),
        wire.data(1, IDENTIFIER[40:]),
    )
    assert brief(owner) == [
        ("C-STORE-RQ", 2, True, IDENTIFIER),
        ("C-STORE-RQ", 1, True, IDENTIFIER),
    ]
    assert owner.messages[0][2].frames == (3, 4, 5)
    assert owner.messages[1][2].frames == (1, 2, 4, 6)


def test_every_byte_of_a_data_set_knows_its_frame() -> None:
    owner = assembled(
        wire.command(1, 0x0001, 1, dataset=True),
        wire.data(1, IDENTIFIER[:20], last=False),
        wire.data(1, IDENTIFIER[20:]),
    )
    assert owner.messages[0][0].chunks == ((0, 2), (20, 3))


def test_a_tap_sees_every_byte_in_order() -> None:
    owner = Owner()
    owner.tap = True
    big = wire.element(0x7FE0, 0x0010, "OW", bytes(range(256)) * 200)
    stream = wire.command(1, 0x0001, 1, dataset=True) + wire.data(1, IDENTIFIER + big)
    assembled(*(stream[at : at + 1460] for at in range(0, len(stream), 1460)), owner=owner)
    (sink,) = owner.sinks
    assert sink.parts[-1] == ("closed", True)
    assert b"".join(sink.parts[:-1]) == IDENTIFIER + big  # type: ignore[arg-type]
    dataset = owner.messages[0][0].dataset
    assert dataset is not None
    assert dataset.length == len(IDENTIFIER + big)
    assert len(dataset.held) < 2000, "bulk is measured, not kept"


# ---------------------------------------------------------------------------- what should not be


def test_a_data_set_without_a_command_is_kept() -> None:
    owner = assembled(wire.data(1, IDENTIFIER))
    assert brief(owner) == [("UNDECODED", None, True, IDENTIFIER)]


def test_a_data_set_that_begins_before_its_command_ended() -> None:
    command = wire.command_set(0x0020, 5, dataset=True)
    owner = assembled(wire.pdata(wire.value(1, command, 1)), wire.data(1, IDENTIFIER))
    assert brief(owner) == [("C-FIND-RQ", 5, True, IDENTIFIER)]
    assert faults(owner) == ["the data set began before the command set ended"]


def test_a_command_that_comes_instead_of_the_rest_of_a_data_set() -> None:
    owner = assembled(
        wire.command(1, 0x0001, 1, dataset=True),
        wire.data(1, IDENTIFIER[:20], last=False),
        wire.command(1, 0x0001, 2, dataset=True),
        wire.data(1, IDENTIFIER),
    )
    assert brief(owner) == [
        ("C-STORE-RQ", 1, False, IDENTIFIER[:20]),
        ("C-STORE-RQ", 2, True, IDENTIFIER),
    ]


def test_unfinished_messages_are_handed_on_at_the_end() -> None:
    command = wire.command_set(0x0001, 9, dataset=True)
    owner = assembled(
        wire.command(1, 0x0001, 1, dataset=True),
        wire.data(1, IDENTIFIER[:20], last=False),
        wire.pdata(wire.value(3, command[:40], 1)),
    )
    assert [(kind, complete) for kind, _, complete, _ in brief(owner)] == [
        ("C-STORE-RQ", False),
        ("C-STORE-RQ", False),
    ]
    assert not faults(owner), "cut off by the capture: nobody's fault"


def test_reserved_bits_of_the_control_header_are_told() -> None:
    owner = assembled(wire.pdata(wire.value(1, wire.command_set(0x0030), 0xC3)))
    assert brief(owner) == [("C-ECHO-RQ", 1, True, None)]
    assert faults(owner) == ["message control header C3H"]


def test_a_value_longer_than_its_pdu_makes_its_message_incomplete() -> None:
    value = bytearray(wire.value(1, IDENTIFIER, 2))
    value[3] += 10
    owner = assembled(wire.command(1, 0x0020, 5, dataset=True), wire.pdata(bytes(value)))
    assert brief(owner) == [("C-FIND-RQ", 5, False, IDENTIFIER)]
    assert faults(owner) == ["a presentation data value is longer than its P-DATA-TF"]


def test_a_context_that_nobody_proposed_has_no_syntax() -> None:
    message = assembled(wire.command(99, 0x0030)).messages[0][0]
    assert (message.kind, message.abstract_syntax, message.transfer_syntax) == (
        "C-ECHO-RQ",
        None,
        None,
    )


def test_the_rest_of_a_value_whose_message_was_handed_on_is_still_counted() -> None:
    owner = Owner()
    assembler = Assembler(0, owner)
    framer = Framer(assembler)
    framer.feed(wire.command(1, 0x0001, 1, dataset=True), 1, 1)
    stream = wire.data(1, IDENTIFIER)
    framer.feed(stream[:30], 2, 2)
    assembler.finish()  # another association was asked for in the middle of it
    framer.feed(stream[30:], 3, 3)
    framer.end()
    assembler.finish()
    assert [(kind, complete) for kind, _, complete, _ in brief(owner)] == [
        ("C-STORE-RQ", False),
        ("UNDECODED", False),
    ]
    assert owner.messages[1][2].length == len(stream) - 30


# ---------------------------------------------------------------------------- loss


STORE = [
    wire.command(1, 0x0001, 1, dataset=True),
    wire.data(1, IDENTIFIER[:40], last=False),
    wire.data(1, IDENTIFIER[40:60], last=False),
    wire.data(1, IDENTIFIER[60:]),
    wire.command(1, 0x0030, 2),
]


def test_a_lost_fragment_makes_its_data_set_incomplete() -> None:
    owner = assembled(*STORE[:2], len(STORE[2]), *STORE[3:])
    assert [(k, i, c) for k, i, c, _ in brief(owner)] == [
        ("C-STORE-RQ", 1, False),
        ("C-ECHO-RQ", 2, True),
    ]
    dataset = owner.messages[0][0].dataset
    assert dataset is not None
    assert not dataset.complete
    assert dataset.held == IDENTIFIER[:40]
    assert dataset.missing_at == 40


def test_a_lost_end_does_not_glue_two_commands_together() -> None:
    first, second = wire.command(1, 0x0030, 1), wire.command(1, 0x0030, 2)
    owner = assembled(first[:40], len(first) - 40 + 12, second[12:], wire.command(1, 0x0030, 3))
    assert ("C-ECHO-RQ", 3, True, None) in brief(owner)
    assert not [m for m in brief(owner) if m[1] in (1, 2) and m[2]]


def test_a_tap_hears_of_loss() -> None:
    owner = Owner()
    owner.tap = True
    assembled(*STORE[:2], len(STORE[2]), *STORE[3:], owner=owner)
    assert ("lost", None) in owner.sinks[0].parts
    assert owner.sinks[0].parts[-1] == ("closed", False)


# ---------------------------------------------------------------------------- command sets


def _encoded(message: object, primitive: object) -> bytes:
    message.primitive_to_message(primitive)  # type: ignore[attr-defined]
    data = encode(message.command_set, True, True)  # type: ignore[attr-defined]
    assert data is not None
    return data


def test_command_sets_that_pynetdicom_encoded() -> None:
    store = C_STORE()
    store.MessageID = 7
    store.AffectedSOPClassUID = wire.CT
    store.AffectedSOPInstanceUID = "1.2.3"
    store.Priority = 2
    store.MoveOriginatorApplicationEntityTitle = "FLC1270"
    store.MoveOriginatorMessageID = 5
    elements, wrong = decode_command(_encoded(C_STORE_RQ(), store))
    assert not wrong
    assert {t: e.value for t, e in elements.items() if t != 0} == {
        0x0002: wire.CT,
        0x0100: 1,
        0x0110: 7,
        0x0700: 2,
        0x0800: 0x0101,
        0x1000: "1.2.3",
        0x1030: "FLC1270",
        0x1031: 5,
    }

    find = C_FIND()
    find.MessageIDBeingRespondedTo = 7
    find.AffectedSOPClassUID = wire.STUDY_ROOT_FIND
    find.Status = 0xA900
    find.ErrorComment = "Prüfung"
    find.OffendingElement = [0x00100010, 0x00100020]
    elements, wrong = decode_command(_encoded(C_FIND_RSP(), find))
    assert not wrong
    assert elements[0x0900].value == 0xA900
    assert elements[0x0901].value == (0x00100010, 0x00100020)

    action = N_ACTION()
    action.MessageID = 9
    action.RequestedSOPClassUID = "1.2.840.10008.1.20.1"
    action.RequestedSOPInstanceUID = "1.2.840.10008.1.20.1.1"
    action.ActionTypeID = 1
    elements, wrong = decode_command(_encoded(N_ACTION_RQ(), action))
    assert not wrong
    assert elements[0x1008].value == 1
    assert elements[0x1001].value == "1.2.840.10008.1.20.1.1"

    report = N_EVENT_REPORT()
    report.MessageID = 1
    report.AffectedSOPClassUID = "1.2.840.10008.1.20.1"
    report.AffectedSOPInstanceUID = "1.2.840.10008.1.20.1.1"
    report.EventTypeID = 2
    elements, _ = decode_command(_encoded(N_EVENT_REPORT_RQ(), report))
    assert elements[0x1002].value == 2


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (wire.command_set(0x0030)[:-1], "is 2 bytes long, 1 are left"),
        (wire.command_set(0x0030) + b"\0\0", "bytes behind the last element"),
        (wire.command_set(0x0030)[12:], "no Command Group Length"),
        (wire.command_set(0x0030) + struct.pack("<HHI", 0x10, 0x10, 0), "does not belong"),
        (wire.command_set(0x0030) * 2, "stands twice"),
        (
            wire.command_set(0x0030) + struct.pack("<HHIH", 0, 0x0110, 2, 1),
            "Command Group Length says",
        ),
        (struct.pack("<HHI", 0, 0x0110, 3) + b"abc", "is a number of 3 bytes"),
        (struct.pack("<HHI", 0, 0x1005, 6) + bytes(6), "is a list of tags of 6 bytes"),
        (struct.pack("<HHI", 0, 0x0002, 3) + b"1.2", "an odd number"),
    ],
)
def test_malformed_command_sets_are_told_at_their_place(data: bytes, told: str) -> None:
    _, wrong = decode_command(data)
    assert [f for f in wrong if told in f.text], [f.text for f in wrong]
    assert all(0 <= f.start <= f.end <= len(data) for f in wrong)


@given(st.binary(max_size=120))
def test_no_bytes_make_a_command_set_raise(data: bytes) -> None:
    elements, wrong = decode_command(data)
    for element in elements.values():
        assert 0 <= element.start < element.end <= len(data)
    for fault in wrong:
        assert 0 <= fault.start <= fault.end <= len(data)


def test_every_command_set_in_the_captures_is_whole() -> None:
    for name in ("worklist", "move", "get", "mpps", "commitment", "print", "orthanc-query"):
        for association in rewrite.rebuild(rewrite.load(capture(f"{name}.pcapng"))):
            for entry in association.timeline:
                if entry.message is not None:
                    elements, wrong = decode_command(entry.message.command_bytes)
                    assert elements
                    assert not wrong
