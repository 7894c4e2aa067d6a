"""Requests joined with what answered them."""

from __future__ import annotations

from dicomsniff.analysis.operations import OperationJoiner, sub_operations
from dicomsniff.dicom.command import decode_command, make_message
from dicomsniff.model import Association, Entry, Operation, Peer, Side
from tests import rewrite, wire
from tests.support import capture

STORE, STORED, FIND, FOUND, MOVE, MOVED = 0x0001, 0x8001, 0x0020, 0x8020, 0x0021, 0x8021


class Joined:
    """An association whose messages come one after the other, a millisecond each."""

    def __init__(self) -> None:
        self.association = Association(1, Peer("a", 1), Peer("b", 2), 0, 0)
        self.joiner = OperationJoiner(self.association)
        self.time = 0

    def say(
        self,
        sender: Side,
        field: int,
        message_id: int = 1,
        status: int | None = None,
        *,
        context_id: int = 1,
        counts: tuple[int, int, int, int] | None = None,
        began: int | None = None,
    ) -> Operation | None:
        data = wire.command_set(field, message_id, status=status, counts=counts)
        message = make_message(context_id, decode_command(data)[0], data, None)
        self.time += 1_000_000
        number = len(self.association.timeline) + 1
        start = self.time - 500_000 if began is None else began
        entry = Entry(
            number, message.kind, sender, self.time, start, (1,), 1, 1, 10, message=message
        )
        self.association.timeline.append(entry)
        return self.joiner.add(entry)

    def told(self) -> list[tuple[str, int | None, int | None, list[int], int | None]]:
        return [
            (
                o.service,
                o.message_id,
                o.request.number if o.request is not None else None,
                [r.number for r in o.responses],
                o.status,
            )
            for o in self.association.operations
        ]


def test_pending_responses_and_the_final_one() -> None:
    joined = Joined()
    joined.say("requestor", FIND)
    for status in (0xFF00, 0xFF01, 0x0000):
        joined.say("acceptor", FOUND, status=status)
    assert joined.told() == [("C-FIND", 1, 1, [2, 3, 4], 0)]
    (operation,) = joined.association.operations
    assert operation.first_response == 500_000
    assert operation.duration == 3_500_000


def test_message_id_1_for_everything() -> None:
    joined = Joined()
    for _ in range(3):
        joined.say("requestor", STORE)
        joined.say("acceptor", STORED, status=0)
    assert joined.told() == [
        ("C-STORE", 1, 1, [2], 0),
        ("C-STORE", 1, 3, [4], 0),
        ("C-STORE", 1, 5, [6], 0),
    ]


def test_message_id_1_for_everything_outstanding_at_once() -> None:
    joined = Joined()
    joined.say("requestor", FIND)
    joined.say("requestor", STORE)
    joined.say("requestor", STORE)
    joined.say("acceptor", STORED, status=0xA700)
    joined.say("acceptor", FOUND, status=0xFF00)
    joined.say("acceptor", STORED, status=0)
    joined.say("acceptor", FOUND, status=0)
    assert joined.told() == [
        ("C-FIND", 1, 1, [5, 7], 0),
        ("C-STORE", 1, 2, [4], 0xA700),
        ("C-STORE", 1, 3, [6], 0),
    ]


def test_both_directions_use_the_same_message_id() -> None:
    joined = Joined()
    joined.say("requestor", 0x0130)
    joined.say("acceptor", 0x0100)
    joined.say("requestor", 0x8100, status=0)
    joined.say("acceptor", 0x8130, status=0)
    assert joined.told() == [("N-ACTION", 1, 1, [4], 0), ("N-EVENT-REPORT", 1, 2, [3], 0)]
    assert [o.invoked_by for o in joined.association.operations] == ["requestor", "acceptor"]


def test_the_same_message_id_on_two_contexts() -> None:
    joined = Joined()
    joined.say("requestor", STORE, context_id=1)
    joined.say("requestor", STORE, context_id=3)
    joined.say("acceptor", STORED, status=1, context_id=3)
    joined.say("acceptor", STORED, status=0, context_id=1)
    assert joined.told() == [("C-STORE", 1, 1, [4], 0), ("C-STORE", 1, 2, [3], 1)]


def test_a_cancel_belongs_to_the_operation_that_it_ends() -> None:
    joined = Joined()
    joined.say("requestor", FIND, 7)
    joined.say("acceptor", FOUND, 7, 0xFF00)
    joined.say("requestor", 0x0FFF, 7)
    joined.say("acceptor", FOUND, 7, 0xFE00)
    assert joined.told() == [("C-FIND", 7, 1, [2, 4], 0xFE00)]
    assert joined.association.operations[0].cancelled


def test_a_cancel_of_nothing_is_no_operation() -> None:
    joined = Joined()
    assert joined.say("requestor", 0x0FFF, 7) is None
    assert not joined.association.operations


def test_responses_without_a_request_are_kept() -> None:
    joined = Joined()
    joined.say("acceptor", FOUND, 4, 0xFF00)
    joined.say("acceptor", FOUND, 4, 0)
    joined.say("acceptor", STORED, 5, 0)
    assert joined.told() == [("C-FIND", 4, None, [1, 2], 0), ("C-STORE", 5, None, [3], 0)]
    assert [o.invoked_by for o in joined.association.operations] == ["requestor", "requestor"]
    assert joined.association.operations[0].first_response is None


def test_an_answer_that_comes_before_the_request_is_whole_belongs_to_it() -> None:
    joined = Joined()
    joined.say("acceptor", STORED, 3, 0xA700, began=700_000)
    joined.say("requestor", STORE, 3, began=100_000)
    assert joined.told() == [("C-STORE", 3, 2, [1], 0xA700)]


def test_a_later_request_is_not_what_an_orphan_answered() -> None:
    joined = Joined()
    joined.say("acceptor", STORED, 1, 0)
    joined.say("requestor", STORE, 1)
    joined.say("acceptor", STORED, 1, 0xA700)
    assert joined.told() == [("C-STORE", 1, None, [1], 0), ("C-STORE", 1, 2, [3], 0xA700)]


def test_counts_of_sub_operations_are_the_last_ones() -> None:
    joined = Joined()
    joined.say("requestor", MOVE)
    joined.say("acceptor", MOVED, status=0xFF00, counts=(2, 1, 0, 0))
    joined.say("acceptor", MOVED, status=0xB000, counts=(0, 2, 1, 0))
    (operation,) = joined.association.operations
    assert operation.sub_operations == (0, 2, 1, 0)
    message = joined.association.timeline[0].message
    assert message is not None
    assert sub_operations(message) is None


def test_asynchronous_operations_of_a_real_session() -> None:
    (association,) = rewrite.rebuild(rewrite.load(capture("async.pcapng")))
    order = [o.message_id for o in association.operations]
    assert order == [1, 2, 3, 4, 5]
    answered = sorted(association.operations, key=lambda o: o.responses[0].number)
    assert [o.message_id for o in answered] == [3, 1, 2, 5, 4]
    for operation in association.operations:
        assert operation.request is not None
        assert operation.request.message is not None
        (response,) = operation.responses
        assert response.message is not None
        assert response.message.message_id == operation.message_id
        assert operation.request.message.message_id == operation.message_id
        assert operation.status == 0


def test_every_request_of_the_captures_finds_its_responses() -> None:
    unanswered = {
        *("worklist-timeout", "store-aborted-by-scp", "lost-reset", "lost-fin", "move-aborted"),
        *("silence-reset", "silence-swallowed", "syn-unanswered", "violations"),
    }
    for path in sorted(capture("worklist.pcapng").parent.glob("*.pcapng")):
        for association in rewrite.rebuild(rewrite.load(path)):
            for operation in association.operations:
                # One of the violations is an answer that nobody asked for.
                assert operation.request or path.stem == "violations", path.name
                assert operation.responses or path.stem in unanswered, path.name
                messages = [e.message for e in (operation.request, *operation.responses) if e]
                assert len({(m.context_id, m.message_id) for m in messages if m}) == 1
            joined = sum((o.request is not None) + len(o.responses) for o in association.operations)
            messages_seen = [e for e in association.timeline if e.message is not None]
            cancels = [e for e in messages_seen if e.kind == "C-CANCEL-RQ"]
            assert joined == len(messages_seen) - len(cancels), path.name
