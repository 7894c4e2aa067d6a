"""What is told of sessions without some of their packets (each one in turn: see
``tests/hostile/test_accusations.py``)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import pytest

from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.model import Association, Frame
from tests import rewrite
from tests.hostile.loss import snapped
from tests.support import capture


class Kept(Listener):
    def __init__(self) -> None:
        self.associations: list[Association] = []

    def association_began(self, association: Association) -> None:
        self.associations.append(association)


def check(frames: Iterable[Frame]) -> tuple[list[Association], Pipeline]:
    listener = Kept()
    pipeline = Pipeline(listener=listener)
    for number, frame in enumerate(frames, 1):
        pipeline.feed(frame._replace(number=number))
    pipeline.finish()
    return listener.associations, pipeline


def codes(frames: Iterable[Frame]) -> set[str]:
    associations, pipeline = check(frames)
    found = {finding.code for finding in pipeline.findings}
    return found.union(*({f.code for f in each.findings} for each in associations))


@functools.cache
def whole(name: str) -> Sequence[Frame]:
    return list(rewrite.raw_frames(capture(f"{name}.pcapng")))


def without(name: str, *lost: int) -> list[Frame]:
    return [frame for frame in whole(name) if frame.number not in lost]


def test_a_connection_without_its_syn_ack_was_not_refused() -> None:
    assert "connection-refused" not in codes(without("silence-reset", 2))


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("silence-reset", (6,)),  # A-ASSOCIATE-AC
        ("silence-reset", (2, 6)),  # and SYN-ACK
        ("worklist-slow", (1,)),  # SYN
        ("worklist-slow", (1, 2)),
        ("worklist-slow", (2, 6)),
        ("silence-reset", (1, 2, 6)),
        ("echo-ipv6", (1, 2, 6)),
    ],
)
def test_an_acceptance_is_missing_in_its_place(name: str, lost: tuple[int, ...]) -> None:
    (association,), _ = check(without(name, *lost))
    assert not association.partial
    assert not any(entry.faults for entry in association.timeline)
    first, second, third = association.timeline[:3]
    assert first.kind == "A-ASSOCIATE-RQ"
    assert (second.sender, second.kind) == (
        "acceptor",
        "GAP" if 6 in lost else "A-ASSOCIATE-AC",
    )
    assert third.kind in ("C-ECHO-RQ", "C-FIND-RQ")


@pytest.mark.parametrize(
    ("name", "lost", "outcomes"),
    [
        ("echo", (17,), ["released", "released"]),  # A-RELEASE-RP
        ("echo", (16, 17), ["released", "released"]),  # and -RQ
        ("two-associations-one-connection", (11,), ["released", "released"]),
        ("store-aborted-by-scp", (12,), ["lost", "aborted"]),  # A-ABORT: how it ended is not known
    ],
)
def test_how_an_association_ended_though_its_last_words_were_lost(
    name: str, lost: tuple[int, ...], outcomes: list[str]
) -> None:
    associations, _ = check(without(name, *lost))
    assert [each.outcome for each in associations] == outcomes
    told = {
        f.severity for each in associations for f in each.findings if f.code == "connection-lost"
    }
    assert told == ({"note"} if "lost" in outcomes else set())
    assert any(each.gaps for each in associations)


def test_an_abort_that_was_lost_before_a_reset_is_missed() -> None:
    """The reset alone tells that there was one: by what it acknowledges."""
    associations, _ = check(without("violations", 26))
    assert [(gap.sender, gap.length) for gap in associations[1].gaps] == [("acceptor", 10)]
    told = [f.severity for f in associations[1].findings if f.code == "connection-lost"]
    assert told == ["note"]


def test_objects_of_a_move_are_not_counted_where_one_was_lost() -> None:
    for frame in (28, 31, 43, 45, 55, 57, 67, 69):
        assert "retrieve-counts-contradict" not in codes(without("move", frame))


@pytest.mark.parametrize("lost", [(14, 16, 17), (12, 14, 16, 17)])
def test_a_query_whose_answers_were_lost_is_not_given_up(lost: tuple[int, ...]) -> None:
    """How the association ended was lost too, and that is told."""
    assert codes(without("worklist", *lost)) == {"capture-incomplete", "connection-lost"}


def test_a_query_whose_last_answer_was_lost_in_part_is_not_abandoned() -> None:
    assert "query-abandoned" not in codes(without("worklist-gbk-as-latin", 14, 15, 16, 17))


def test_answers_that_crossed_an_abort_belong_to_it() -> None:
    (association,), _ = check(without("worklist-timeout", 14))
    assert [gap.length for gap in association.gaps] == [12]
    assert "not-understood" not in codes(without("worklist-timeout", 14))


@pytest.mark.parametrize("lost", [(12, 13), (10, 12), (10, 12, 13)])
def test_the_next_association_on_a_connection_without_its_beginning(lost: tuple[int, ...]) -> None:
    """Nothing of the one before is taken for its own: neither its contexts nor its end."""
    frames = without("two-associations-one-connection", *lost)
    (first, second), _ = check(frames)
    assert (first.outcome, second.outcome) == ("released", "released")
    assert second.partial
    assert {each.service for each in second.operations} == {"C-STORE"}
    assert not any(f.severity == "error" for each in (first, second) for f in each.findings)


def test_who_opened_the_connection_asked_for_the_association() -> None:
    associations, _ = check(without("tls-refused", 53))
    assert associations[-1].outcome_detail.startswith("by the acceptor")
    assert associations[-1].acceptor.port == 2762


def test_a_negotiation_that_was_cut_short_refuses_nothing() -> None:
    (association,), _ = check(snapped(whole("get"), 512))
    found = {finding.code for finding in association.findings}
    assert found.isdisjoint({"context-unanswered", "role-selection-missing"})
    assert any(context.result is None for context in association.contexts.values())
