"""The upper layer's states seen from the middle, against the two state machines of PS3.8 9.2."""

from __future__ import annotations

import pytest

from dicomsniff.dicom.association import STATES, AssociationBuilder, Event, State, new_association
from dicomsniff.dicom.pdu import decode
from dicomsniff.model import Association, Entry, Gap, Message, Peer, Side
from tests import wire
from tests.dicom.test_conversation import converse

EVENTS: dict[Event, bytes] = {
    "A-ASSOCIATE-RQ": wire.request([(1, wire.CT, [wire.EXPLICIT])]),
    "A-ASSOCIATE-AC": wire.accept([(1, 0, wire.EXPLICIT)]),
    "A-ASSOCIATE-RJ": wire.reject(),
    "P-DATA-TF": b"",
    "A-RELEASE-RQ": wire.release(),
    "A-RELEASE-RP": wire.released(),
    "A-ABORT": wire.abort(),
}
SIDES: tuple[Side, Side] = ("requestor", "acceptor")

# PS3.8 tables 9-6 to 9-10, what a machine in a state may send ("!") and what it then is; and what
# it does with what it receives ("?"), where that is not an abort for an unexpected PDU (AA-8).
# An observer sees both machines at once; a PDU is legal if its sender's machine sends it.
REQUESTOR: dict[str, dict[str, str]] = {
    "Sta1": {"!A-ASSOCIATE-RQ": "Sta5"},
    "Sta5": {"?A-ASSOCIATE-AC": "Sta6", "?A-ASSOCIATE-RJ": "Sta1", "!A-ABORT": "Sta13"},
    "Sta6": {
        "!P-DATA-TF": "Sta6",
        "?P-DATA-TF": "Sta6",
        "!A-RELEASE-RQ": "Sta7",
        "?A-RELEASE-RQ": "Sta8",
        "!A-ABORT": "Sta13",
    },
    "Sta7": {
        "?P-DATA-TF": "Sta7",
        "?A-RELEASE-RQ": "Sta9",
        "?A-RELEASE-RP": "Sta1",
        "!A-ABORT": "Sta13",
    },
    "Sta8": {"!P-DATA-TF": "Sta8", "!A-RELEASE-RP": "Sta13", "!A-ABORT": "Sta13"},
    "Sta9": {"!A-RELEASE-RP": "Sta11", "!A-ABORT": "Sta13"},
    "Sta11": {"?A-RELEASE-RP": "Sta1", "!A-ABORT": "Sta13"},
    "Sta13": {},
}
ACCEPTOR: dict[str, dict[str, str]] = {
    "Sta2": {"?A-ASSOCIATE-RQ": "Sta3"},
    "Sta3": {"!A-ASSOCIATE-AC": "Sta6", "!A-ASSOCIATE-RJ": "Sta13", "!A-ABORT": "Sta13"},
    "Sta6": REQUESTOR["Sta6"],
    "Sta7": {
        "?P-DATA-TF": "Sta7",
        "?A-RELEASE-RQ": "Sta10",
        "?A-RELEASE-RP": "Sta1",
        "!A-ABORT": "Sta13",
    },
    "Sta8": REQUESTOR["Sta8"],
    "Sta10": {"?A-RELEASE-RP": "Sta12", "!A-ABORT": "Sta13"},
    "Sta12": {"!A-RELEASE-RP": "Sta13", "!A-ABORT": "Sta13"},
    "Sta13": {},
}
PAIRS: dict[State, tuple[str, str]] = {
    "idle": ("Sta1", "Sta2"),
    "requested": ("Sta5", "Sta3"),
    "established": ("Sta6", "Sta6"),
    "requestor-releasing": ("Sta7", "Sta8"),
    "acceptor-releasing": ("Sta8", "Sta7"),
    "collision": ("Sta9", "Sta10"),
    "acceptor-answers": ("Sta11", "Sta12"),
}
"""Our states, and the states of the two machines once everything sent has arrived."""


def send(builder: AssociationBuilder, sender: Side, event: Event, *, time: int = 1) -> Entry:
    """One PDU or message crosses the wire."""
    entry = Entry(0, event, sender, time, time, (1,), 1, 1, 10)
    if event == "P-DATA-TF":
        entry.message = Message("C-ECHO-RQ", "C-ECHO", True, 1, {}, b"", None, None, None)
        builder.message(entry, entry.message)
    else:
        entry.pdu = decode(EVENTS[event])
        builder.pdu(entry, entry.pdu)
    return entry


def fresh(*, partial: bool = False) -> AssociationBuilder:
    return new_association(1, Peer("a", 1), Peer("b", 2), 0, partial=partial)


@pytest.mark.parametrize("state", PAIRS)
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("sender", SIDES)
def test_every_state_and_event_as_the_standard_has_it(
    state: State, event: Event, sender: Side
) -> None:
    machines = (REQUESTOR, ACCEPTOR)
    ours = 0 if sender == "requestor" else 1
    sending = machines[ours][PAIRS[state][ours]].get(f"!{event}")
    if event == "A-RELEASE-RQ" and state == ("acceptor-releasing", "requestor-releasing")[ours]:
        # The other's request is under way: it is still in Sta6, sends its own, and then sees it.
        sending = machines[ours][machines[ours]["Sta6"][f"!{event}"]][f"?{event}"]
    receiving = machines[1 - ours][PAIRS[state][1 - ours]].get(f"?{event}")
    legal = sending is not None and (receiving is not None or event == "A-ABORT")
    following = STATES[state].get((sender, event))
    assert (following is not None) == legal
    if following is not None and following in PAIRS:
        pair = PAIRS[following]
        assert pair[ours] == sending
        assert pair[1 - ours] == receiving
    elif following is not None:
        assert following == ("ended" if event != "A-ABORT" else f"{sender}-aborted")


@pytest.mark.parametrize("aborted", SIDES)
def test_after_an_abort_the_other_may_say_what_it_had_not_heard_of(aborted: Side) -> None:
    """Sta13: AA-6 ignores what the other side sends, in whatever state it is, until AA-2 ends it;
    an A-ASSOCIATE-RQ alone is none of it (AA-7), nor anything of the side that aborted."""
    other = "acceptor" if aborted == "requestor" else "requestor"
    machine = ACCEPTOR if other == "acceptor" else REQUESTOR
    may = {
        what[1:]
        for state, events in machine.items()
        for what in events
        if what.startswith("!") and state not in ("Sta1", "Sta2")
    }
    table = STATES[f"{aborted}-aborted"]  # type: ignore[index]
    assert set(table) == {(other, event) for event in may}
    for (_, event), following in table.items():
        assert following == ("ended" if event == "A-ABORT" else f"{aborted}-aborted")
    assert STATES["ended"] == {}


def _reached() -> dict[State, list[tuple[Side, Event]]]:
    """The shortest way into every state, without data."""
    ways: dict[State, list[tuple[Side, Event]]] = {"idle": []}
    waiting: list[State] = ["idle"]
    while waiting:
        state = waiting.pop(0)
        for (sender, event), following in STATES[state].items():
            if event != "P-DATA-TF" and following not in ways:
                ways[following] = [*ways[state], (sender, event)]
                waiting.append(following)
    return ways


WAYS = _reached()


@pytest.mark.parametrize("state", STATES)
def test_the_connection_ends_in_every_state(state: State) -> None:
    """Evt17: whoever has neither released nor aborted has lost it."""
    steps = [(SIDES.index(sender), EVENTS[event]) for sender, event in WAYS[state]]
    for end in (((0, "reset"),), ((1, "reset"),), ((0, "fin"), (1, "fin"))):
        heard = converse(*steps, *end)
        outcomes = [association.outcome for association in heard.associations]
        if state == "idle":
            assert not outcomes
        elif state == "ended":
            assert outcomes in (["released"], ["rejected"], ["aborted"])
        else:
            assert outcomes == ["aborted" if state.endswith("aborted") else "lost"]


@pytest.mark.parametrize("state", [state for state in STATES if state != "idle"])
@pytest.mark.parametrize("sender", SIDES)
def test_an_unknown_pdu_changes_no_state(state: State, sender: Side) -> None:
    """Evt19. A machine would abort; from the middle it is told, and what follows is understood."""
    steps = [(SIDES.index(each), EVENTS[event]) for each, event in WAYS[state]]
    heard = converse(*steps, (SIDES.index(sender), wire.pdu(9, b"abc")))
    (association,) = heard.associations
    assert [entry.kind for entry in association.timeline] == [
        *(event for _, event in WAYS[state]),
        "UNKNOWN-PDU",
    ]
    builder = fresh()
    builder.state = state
    entry = Entry(0, "UNKNOWN-PDU", sender, 1, 1, (1,), 1, 1, 10)
    entry.pdu = decode(wire.pdu(9, b"abc"))
    builder.pdu(entry, entry.pdu)
    assert builder.state == state


def test_every_state_can_be_reached() -> None:
    assert set(WAYS) == set(STATES)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("sender", SIDES)
def test_what_is_not_legal_is_told_and_kept(state: State, event: Event, sender: Side) -> None:
    builder = fresh()
    builder.state = state
    entry = send(builder, sender, event)
    legal = (sender, event) in STATES[state]
    assert bool([f for f in entry.faults if f.text.startswith(event)]) != legal
    assert builder.association.timeline == [entry]
    assert builder.state in STATES


PATHS: list[tuple[str, list[tuple[Side, Event]]]] = [
    (
        "released",
        [
            ("requestor", "A-ASSOCIATE-RQ"),
            ("acceptor", "A-ASSOCIATE-AC"),
            ("requestor", "P-DATA-TF"),
            ("acceptor", "P-DATA-TF"),
            ("requestor", "A-RELEASE-RQ"),
            ("acceptor", "P-DATA-TF"),
            ("acceptor", "A-RELEASE-RP"),
        ],
    ),
    (
        "released",
        [
            ("requestor", "A-ASSOCIATE-RQ"),
            ("acceptor", "A-ASSOCIATE-AC"),
            ("acceptor", "A-RELEASE-RQ"),
            ("requestor", "P-DATA-TF"),
            ("requestor", "A-RELEASE-RP"),
        ],
    ),
    (
        "released",  # both at once: the requestor answers first (AR-8, AR-9)
        [
            ("requestor", "A-ASSOCIATE-RQ"),
            ("acceptor", "A-ASSOCIATE-AC"),
            ("requestor", "A-RELEASE-RQ"),
            ("acceptor", "A-RELEASE-RQ"),
            ("requestor", "A-RELEASE-RP"),
            ("acceptor", "A-RELEASE-RP"),
        ],
    ),
    ("rejected", [("requestor", "A-ASSOCIATE-RQ"), ("acceptor", "A-ASSOCIATE-RJ")]),
    (
        "aborted",
        [
            ("requestor", "A-ASSOCIATE-RQ"),
            ("requestor", "A-ABORT"),
            ("acceptor", "A-ASSOCIATE-AC"),  # under way when the abort was sent
        ],
    ),
    (
        "aborted",
        [
            ("requestor", "A-ASSOCIATE-RQ"),
            ("acceptor", "A-ASSOCIATE-AC"),
            ("requestor", "P-DATA-TF"),
            ("acceptor", "A-ABORT"),
            ("requestor", "P-DATA-TF"),
            ("requestor", "A-RELEASE-RQ"),
        ],
    ),
    (
        "open",
        [
            ("requestor", "A-ASSOCIATE-RQ"),
            ("acceptor", "A-ASSOCIATE-AC"),
            ("requestor", "A-RELEASE-RQ"),
            ("acceptor", "A-RELEASE-RQ"),
            ("requestor", "A-RELEASE-RP"),
        ],
    ),
]


@pytest.mark.parametrize(("outcome", "path"), PATHS)
def test_legal_paths(outcome: str, path: list[tuple[Side, Event]]) -> None:
    builder = fresh()
    for number, (sender, event) in enumerate(path, 1):
        entry = send(builder, sender, event, time=number)
        assert not entry.faults
        assert entry.number == number
    assert builder.association.outcome == outcome
    assert builder.association.ended == len(path)
    assert builder.over == (outcome != "open")


def test_the_first_end_counts() -> None:
    builder = fresh()
    for sender, event in PATHS[0][1]:
        send(builder, sender, event)
    entry = send(builder, "requestor", "A-ABORT")
    assert [f.text for f in entry.faults] == [
        "A-ABORT from the requestor after the association ended"
    ]
    assert builder.association.outcome == "released"


def established() -> AssociationBuilder:
    builder = fresh()
    send(builder, "requestor", "A-ASSOCIATE-RQ")
    send(builder, "acceptor", "A-ASSOCIATE-AC")
    return builder


def with_gap(builder: AssociationBuilder, sender: Side) -> AssociationBuilder:
    entry = Entry(0, "GAP", sender, 1, 1, (1,), 1, 1, 10, complete=False)
    builder.gap(entry, Gap(sender, 0, 10, 1, 1))
    return builder


def test_nobody_is_accused_of_what_the_capture_lost() -> None:
    builder = fresh()
    send(builder, "requestor", "A-ASSOCIATE-RQ")
    with_gap(builder, "acceptor")
    assert not send(builder, "requestor", "P-DATA-TF").faults
    assert not send(builder, "acceptor", "P-DATA-TF").faults
    assert not send(builder, "acceptor", "A-RELEASE-RP").faults
    assert builder.association.outcome == "released"


def test_an_answer_before_all_that_was_captured_of_the_acceptor_is_no_violation() -> None:
    association = fresh().association
    builder = AssociationBuilder(association, answer_unseen=True)
    send(builder, "requestor", "A-ASSOCIATE-RQ")
    assert not send(builder, "requestor", "P-DATA-TF").faults
    assert builder.state == "established"
    assert not send(builder, "requestor", "A-RELEASE-RQ").faults
    assert send(builder, "requestor", "P-DATA-TF").faults


def test_from_the_middle_an_end_is_an_end() -> None:
    builder = fresh(partial=True)
    assert not send(builder, "requestor", "P-DATA-TF").faults
    assert not send(builder, "acceptor", "A-RELEASE-RP").faults
    assert builder.association.outcome == "released"


@pytest.mark.parametrize(("heard", "outcome"), [(0, "released"), (10, "open")])
def test_release_without_the_direction_that_answers_it(heard: int, outcome: str) -> None:
    builder = established()
    send(builder, "requestor", "A-RELEASE-RQ")
    builder.association.acceptor.bytes = heard
    assert builder.released_unseen() == (outcome == "released")
    assert builder.association.outcome == outcome


@pytest.mark.parametrize(
    ("asked", "missing", "outcome"),
    [
        (True, {"acceptor": (90, 10)}, "released"),
        (True, {"acceptor": (90, 300)}, "released"),
        (True, {"acceptor": (90, 9)}, "open"),  # too short for an answer
        (True, {"acceptor": (40, 10)}, "open"),  # it was not the last that was sent
        (True, {"requestor": (90, 10)}, "open"),
        (False, {"requestor": (90, 10), "acceptor": (90, 10)}, "released"),
        (False, {"requestor": (90, 10), "acceptor": (90, 11)}, "released"),  # with its FIN
        (False, {"requestor": (90, 10)}, "open"),
        (False, {"requestor": (90, 12), "acceptor": (90, 10)}, "open"),
    ],
)
def test_release_of_which_the_end_was_not_captured(
    asked: bool, missing: dict[Side, tuple[int, int]], outcome: str
) -> None:
    builder = established()
    if asked:
        send(builder, "requestor", "A-RELEASE-RQ")
    for side in ("requestor", "acceptor"):
        builder.association.peer(side).bytes = 90
    for side, (offset, length) in missing.items():
        entry = Entry(0, "GAP", side, 1, 1, (1,), 1, 1, length)
        builder.gap(entry, Gap(side, offset, length, 1, 1))
    assert builder.released_unseen() == (outcome == "released")
    assert builder.association.outcome == outcome


def test_contexts_as_they_were_proposed_and_answered() -> None:
    builder = fresh()
    request = decode(
        wire.request(
            [(1, wire.CT, [wire.IMPLICIT, wire.EXPLICIT]), (3, wire.VERIFICATION, ["1.2"])]
        )
    )
    answer = decode(wire.accept([(1, 0, wire.EXPLICIT), (3, 4, "1.2"), (9, 0, wire.IMPLICIT)]))
    for sender, pdu in (("requestor", request), ("acceptor", answer)):
        entry = Entry(0, pdu.kind, sender, 1, 1, (1,), 1, 1, 10)  # type: ignore[arg-type]
        builder.pdu(entry, pdu)
    contexts = builder.association.contexts
    assert (contexts[1].abstract_syntax, contexts[1].result, contexts[1].transfer_syntax) == (
        wire.CT,
        0,
        wire.EXPLICIT,
    )
    assert contexts[1].proposed_transfer_syntaxes == (wire.IMPLICIT, wire.EXPLICIT)
    assert (contexts[3].result, contexts[3].transfer_syntax) == (4, None)
    assert (contexts[9].abstract_syntax, contexts[9].transfer_syntax) == (None, wire.IMPLICIT)
    association: Association = builder.association
    assert (association.requestor.ae_title, association.acceptor.ae_title) == ("FLC1270", "STORAGE")
    assert association.acceptor.maximum_length == 16384


@pytest.mark.parametrize(
    ("context_id", "told"),
    [
        (1, []),
        (3, ["presentation context 3 was not accepted"]),
        (5, ["presentation context 5 was not proposed"]),
    ],
)
def test_data_on_a_context_that_was_not_negotiated(context_id: int, told: list[str]) -> None:
    builder = fresh()
    contexts = [(1, wire.CT, [wire.EXPLICIT]), (3, wire.VERIFICATION, [wire.IMPLICIT])]
    for sender, data in (
        ("requestor", wire.request(contexts)),
        ("acceptor", wire.accept([(1, 0, wire.EXPLICIT), (3, 3, wire.IMPLICIT)])),
    ):
        pdu = decode(data)
        builder.pdu(Entry(0, pdu.kind, sender, 1, 1, (1,), 1, 1, 10), pdu)  # type: ignore[arg-type]
    message = Message("C-ECHO-RQ", "C-ECHO", True, context_id, {}, b"", None, None, None)
    entry = Entry(0, "C-ECHO-RQ", "requestor", 1, 1, (1,), 1, 1, 10, message=message)
    builder.message(entry, message)
    assert [f.text for f in entry.faults] == told
