"""What lies whole in one segment is read where it stands: held against the same in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from dicomsniff.dicom.conversation import Conversation
from dicomsniff.dicom.sieve import RAW_LIMIT
from dicomsniff.model import Endpoint, Entry
from tests import wire
from tests.dicom.datasets import DEFLATED, EXPLICIT, IMPLICIT, sieved
from tests.dicom.test_conversation import Heard, converse

SIZES = (0, 1, 8, 100, RAW_LIMIT - 1, RAW_LIMIT, RAW_LIMIT + 1, 3 * RAW_LIMIT)


def data_sets() -> Iterator[tuple[str, bytes]]:
    """Of every kind: empty, short, up to what is held unread and longer, deflated, noise."""
    chance = Random(3)
    whole = wire.element(0x0010, 0x0010, "PN", b"Wang^XiaoDong") * 2
    for size in SIZES:
        value = bytes(max(0, size - 12))
        yield EXPLICIT, wire.element(0x0040, 0xA160, "UT", value)[:size] if size else b""
        yield EXPLICIT, chance.randbytes(size)
        yield IMPLICIT, chance.randbytes(size)
        yield DEFLATED, wire.deflate(whole * (size // 40 + 1))
        yield DEFLATED, whole


@pytest.mark.parametrize("number", range(5 * len(SIZES)))
def test_a_message_at_hand_is_that_of_its_pieces(number: int) -> None:
    """What lies whole in one segment is read where it stands; cut anywhere it says the same."""
    syntax, data_set = list(data_sets())[number]
    asked = wire.command(1, 0x0020, 1, dataset=True, sop_class=wire.STUDY_ROOT_FIND)
    # As one P-DATA-TF with both, as two in one segment, and cut into pieces.
    both = wire.pdata(
        wire.value(1, wire.command_set(0x0020, 1, dataset=True, sop_class=wire.STUDY_ROOT_FIND), 3),
        wire.value(1, data_set, 2),
    )
    said = asked + wire.data(1, data_set)
    edge = len(asked)
    told = []
    for pieces in (
        [said],
        [both],
        [said[:edge], said[edge:]],
        [said[: edge + 3], b"", said[edge + 3 :]],
        [said[: edge + 9], said[edge + 9 :]],
        [said[at : at + 1] for at in range(len(said))] if len(said) < 2000 else [said],
        [said[at : at + 700] for at in range(0, len(said), 700)],
    ):
        heard = converse(
            (0, wire.request([(1, wire.STUDY_ROOT_FIND, [syntax])])),
            (1, wire.accept([(1, 0, syntax)])),
            *((0, piece) for piece in pieces),
        )
        (entry,) = heard.associations[0].timeline[2:3]
        message = entry.message
        assert message is not None
        assert message.dataset == sieved(data_set, syntax)
        told.append((entry.kind, entry.complete, message.command_bytes, message.message_id))
    assert len(set(told)) == 1


def rows(segments: list[bytes | int], syntax: str, step: int) -> list[Entry]:
    """What is told where each segment comes so many bytes at a time, of one frame; a number of
    bytes is lost."""
    heard = Heard()
    conversation = Conversation(
        (Endpoint("10.0.0.1", 50000), Endpoint("10.0.0.2", 104)),
        from_start=True,
        forced=False,
        listener=heard,
        number=lambda: 1,
    )
    conversation.data(0, wire.request([(1, wire.STUDY_ROOT_FIND, [syntax])]), 1, 10)
    conversation.data(1, wire.accept([(1, 0, syntax)]), 2, 20)
    for frame, segment in enumerate(segments, 3):
        if isinstance(segment, int):
            conversation.gap(0, segment, frame, 10 * frame)
            continue
        for at in range(0, len(segment), step):
            conversation.data(0, segment[at : at + step], frame, 10 * frame)
    conversation.end(True)
    (association,) = heard.associations
    return association.timeline


@pytest.mark.parametrize("number", range(5 * len(SIZES)))
def test_what_is_at_hand_came_from_the_same_frames(number: int) -> None:
    """Frames, times, fragments, and where each byte stood, as they are of single bytes."""
    syntax, data_set = list(data_sets())[number]
    command = wire.command_set(0x0020, 1, dataset=True, sop_class=wire.STUDY_ROOT_FIND)
    asked = wire.pdata(wire.value(1, command, 3))
    data = wire.data(1, data_set)
    half = len(data_set) // 2
    halves = wire.value(1, data_set[:half], 0), wire.value(1, data_set[half:], 2)
    lost = wire.value(1, bytes(10), 0)
    cases: list[list[bytes | int]] = [
        [asked + data],
        [asked, data],
        [wire.pdata(wire.value(1, command, 3), wire.value(1, data_set, 2))],
        [asked + wire.pdata(*halves)],
        [asked + wire.pdata(halves[0]), wire.pdata(halves[1])],
        [asked[:20], asked[20:] + data[:15], data[15:] + asked + data],
        [wire.pdata(wire.value(1, command, 3), lost)[: -len(lost)], len(lost), data],
    ]
    for segments in cases:
        assert rows(segments, syntax, len(asked + data) * 2) == rows(segments, syntax, 1)


def test_messages_without_data_came_from_the_same_frames() -> None:
    echo = wire.command_set(0x0030, 2)
    whole = wire.value(1, echo, 3)
    lost = wire.value(1, bytes(10), 0)
    headless = wire.value(1, echo[12:], 3)
    two = wire.pdata(whole, whole)
    cases: list[list[bytes | int]] = [
        [wire.pdata(whole), two + wire.release()],
        [two[:6], two[6:]],
        [two[:6], two[6 : 6 + len(whole)], two[6 + len(whole) :]],
        # Of which the beginning may have been lost.
        [wire.pdata(whole, lost)[: -len(lost)], len(lost), wire.pdata(headless), wire.pdata(whole)],
    ]
    for segments in cases:
        told = rows(segments, IMPLICIT, 1000)
        assert len(told) > 3
        assert told == rows(segments, IMPLICIT, 1)
