"""A TCP connection that may speak DICOM: recognised by what is said, whatever is said."""

from __future__ import annotations

import functools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomsniff.dicom.conversation import RECOGNITION_LIMIT, Conversation
from dicomsniff.model import Association, Endpoint, Entry
from dicomsniff.output.info import info
from tests import rewrite, wire
from tests.dicom.datasets import EXPLICIT
from tests.support import CAPTURES, PUBLIC_CAPTURES, capture, public

ECHO = wire.VERIFICATION
REQUEST = wire.request([(1, ECHO, [wire.IMPLICIT])])
ACCEPT = wire.accept([(1, 0, wire.IMPLICIT)])


class Heard:
    """A listener that holds conversations to their promises."""

    def __init__(self) -> None:
        self.associations: list[Association] = []
        self.ended: list[Association] = []

    def association_began(self, association: Association) -> None:
        self.associations.append(association)

    def entry_added(self, association: Association, entry: Entry) -> None:
        assert association in self.associations
        assert association not in self.ended
        assert association.timeline[-1] is entry
        assert entry.number == len(association.timeline)
        assert entry.frame_count >= len(entry.frames)
        assert entry.began <= entry.time

    def association_ended(self, association: Association) -> None:
        assert association not in self.ended
        self.ended.append(association)


Step = tuple[str, int, object]


def converse(
    *steps: tuple[int, bytes | int | str],
    from_start: bool = True,
    forced: bool = False,
    ports: tuple[int, int] = (50000, 104),
) -> Heard:
    """Steps: side, and bytes, or a number of lost ones, or ``fin`` or ``reset``; then the end."""
    heard = Heard()
    conversation = Conversation(
        (Endpoint("10.0.0.1", ports[0]), Endpoint("10.0.0.2", ports[1])),
        from_start=from_start,
        forced=forced,
        listener=heard,
        number=lambda: len(heard.associations) + 1,
    )
    closed = False
    for frame, (side, what) in enumerate(steps, 1):
        if not conversation.wanted:
            break
        if isinstance(what, bytes):
            conversation.data(side, what, frame, frame * 1000)
        elif isinstance(what, int):
            conversation.gap(side, what, frame, frame * 1000)
        elif what == "fin":
            closed = True
            conversation.fin(side, frame, frame * 1000)
        else:
            closed = True
            conversation.reset(side, frame, frame * 1000)
    conversation.end(closed)
    assert heard.ended == heard.associations
    return heard


def kinds(heard: Heard) -> list[list[str]]:
    return [[entry.kind for entry in a.timeline] for a in heard.associations]


# ---------------------------------------------------------------------------- recognition


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 75, 76, 1000])
def test_a_request_in_segments_of_any_size(size: int) -> None:
    parts = [REQUEST[at : at + size] for at in range(0, len(REQUEST), size)]
    heard = converse(*((0, part) for part in parts), (1, ACCEPT))
    assert kinds(heard) == [["A-ASSOCIATE-RQ", "A-ASSOCIATE-AC"]]
    association = heard.associations[0]
    assert association.timeline[0].frames == tuple(range(1, min(len(parts), 32) + 1))
    assert not association.partial


def test_the_side_that_asks_is_the_requestor_even_where_it_was_called() -> None:
    heard = converse((1, REQUEST), (0, ACCEPT))
    association = heard.associations[0]
    assert (association.requestor.port, association.acceptor.port) == (104, 50000)


def test_everything_before_the_accept_is_kept_and_told() -> None:
    heard = converse(
        (0, REQUEST + wire.command(1, 0x0030)),
        (0, wire.release()),
        (1, ACCEPT + wire.command(1, 0x8030, status=0) + wire.released()),
    )
    (association,) = heard.associations
    assert [e.kind for e in association.timeline] == [
        "A-ASSOCIATE-RQ",
        "C-ECHO-RQ",
        "A-RELEASE-RQ",
        "A-ASSOCIATE-AC",
        "C-ECHO-RSP",
        "A-RELEASE-RP",
    ]
    early = association.timeline[1]
    assert early.message is not None
    assert early.message.transfer_syntax == wire.IMPLICIT, "known once it was accepted"
    assert [f.text for f in early.faults] == [
        "P-DATA-TF from the requestor before the association was accepted"
    ]


def test_a_request_cut_off_in_its_first_bytes() -> None:
    heard = converse((0, REQUEST[:40]), (0, "fin"))
    assert kinds(heard) == [["A-ASSOCIATE-RQ", "CONNECTION-LOST"]]
    assert not heard.associations[0].timeline[0].complete


def test_a_conversation_under_way_is_found_by_its_next_message() -> None:
    heard = converse(
        (0, b"the end of some value" * 40),
        (0, wire.command(1, 0x0030, 4)),
        (1, wire.command(1, 0x8030, 4, status=0)),
        from_start=False,
    )
    assert kinds(heard) == [["C-ECHO-RQ", "C-ECHO-RSP"]]
    assert heard.associations[0].partial
    assert heard.associations[0].requestor.port == 50000


@pytest.mark.parametrize("ports", [(50000, 104), (104, 50000)])
def test_from_the_middle_the_one_that_responds_is_the_acceptor(ports: tuple[int, int]) -> None:
    heard = converse((0, wire.command(1, 0x8030, 4, status=0)), from_start=False, ports=ports)
    assert heard.associations[0].acceptor.port == ports[0]


def test_from_the_middle_a_store_says_nothing_about_who_asked() -> None:
    heard = converse(
        (0, wire.command(1, 0x0001, 4, dataset=True) + wire.data(1, bytes(20))),
        from_start=False,
        ports=(104, 50000),
    )
    assert heard.associations[0].acceptor.port == 104, "a C-GET's sub-operation"


def test_a_search_is_given_up_after_its_limit() -> None:
    heard = Heard()
    conversation = Conversation(
        (Endpoint("a", 1), Endpoint("b", 2)),
        from_start=False,
        forced=False,
        listener=heard,
        number=lambda: 1,
    )
    fed = 0
    while conversation.wanted:
        conversation.data(0, b"\x55" * 65536, 1, 1)
        fed += 65536
        assert fed < 2 * RECOGNITION_LIMIT
    assert fed >= RECOGNITION_LIMIT


def test_a_forced_port_is_searched_whatever_it_begins_with() -> None:
    steps = ((0, b"HELLO\r\n" * 20), (0, REQUEST), (1, ACCEPT))
    assert not converse(*steps).associations
    assert kinds(converse(*steps, forced=True))[0][-2:] == ["A-ASSOCIATE-RQ", "A-ASSOCIATE-AC"]


# ---------------------------------------------------------------------------- never taken for it


def _hl7() -> bytes:
    segments = b"MSH|^~\\&|RIS|HOSPITAL|PACS|HOSPITAL|20260105||ADT^A01|1|P|2.5\rPID|1||TEST-0001\r"
    return b"\x0b" + segments * 30 + b"\x1c\r"


def _http() -> bytes:
    body = bytes(range(256)) * 20
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _tls() -> bytes:
    random = Random(3)
    records = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.randbytes(505)]
    records += [b"\x17\x03\x03\x05\x00" + random.randbytes(1280) for _ in range(40)]
    return b"".join(records)


def _ssh() -> bytes:
    return b"SSH-2.0-OpenSSH_9.2\r\n" + Random(4).randbytes(9000)


def _smtp() -> bytes:
    return b"220 mail.example ESMTP\r\n250-SIZE 10240000\r\n" + b"From: someone\r\n" * 300


def _zeros() -> bytes:
    return bytes(60_000)


def _counting() -> bytes:
    return b"".join(n.to_bytes(2, "little") for n in range(30_000))


def _small_numbers() -> bytes:
    """16-bit pixels of an overlay or a mask: where imitations of headers come from."""
    random = Random(5)
    return b"".join(
        random.choice((0, 0, 1, 2, 3, 4, 5)).to_bytes(2, "little") for _ in range(60_000)
    )


FOREIGN = [_hl7, _http, _tls, _ssh, _smtp, _zeros, _counting, _small_numbers]


@pytest.mark.parametrize("protocol", FOREIGN, ids=lambda f: f.__name__)
@pytest.mark.parametrize("from_start", [True, False])
@pytest.mark.parametrize("size", [1, 100, 1460, 100_000])
def test_other_protocols_are_never_taken_for_it(
    protocol: object, from_start: bool, size: int
) -> None:
    stream: bytes = protocol()  # type: ignore[operator]
    if size == 1:
        stream = stream[:3000]
    steps = [(0, stream[at : at + size]) for at in range(0, len(stream), size)]
    assert not converse(*steps, from_start=from_start).associations
    if not from_start:
        assert not converse(*((0, part[1:] or b"x") for _, part in steps), from_start=False).ended


@given(data=st.lists(st.binary(min_size=1, max_size=300), max_size=20), start=st.booleans())
@settings(max_examples=200, deadline=None)
def test_noise_is_never_taken_for_it(data: list[bytes], start: bool) -> None:
    noise = [bytes(byte ^ 0x55 for byte in part) for part in data]
    heard = converse(*((n % 2, part) for n, part in enumerate(noise)), from_start=start)
    for association in heard.associations:
        assert noise[0][:1] in (b"\x01", b"\x02") or noise[1][:1] in (b"\x01", b"\x02"), association


@pytest.mark.parametrize("handshake", [True, False])
@pytest.mark.parametrize("name", ["tls.pcapng"])
def test_tls_without_keys(name: str, handshake: bool) -> None:
    packets = rewrite.load(capture(name))
    for first in (0,) if handshake else range(4, len(packets), 5):
        assert not rewrite.rebuild(packets[first:])


@pytest.mark.parametrize("handshake", [True, False])
def test_hl7_of_others(handshake: bool) -> None:
    packets = rewrite.load(public("tapirx/HL7-ADT.pcap"))
    for first in range(len(packets)):
        kept = packets[first:] if handshake else rewrite.without_handshake(packets[first:])
        assert not rewrite.rebuild(kept)


# ---------------------------------------------------------------------------- every byte


PATHS = sorted(CAPTURES.glob("*.pcapng")) + sorted(PUBLIC_CAPTURES.rglob("*.pcap"))


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.name)
def test_every_byte_of_a_capture_is_in_some_entry(path: object) -> None:
    packets = rewrite.load(path)  # type: ignore[arg-type]
    associations = rewrite.rebuild(packets)
    sent: dict[int, int] = {}
    highest: dict[tuple[bytes, int, bytes, int], int] = {}
    for p in packets:
        if not p.payload:
            continue
        end = p.seq + len(p.payload)
        new = min(len(p.payload), end - highest.get(p.way, p.seq))
        if new > 0:
            sent[p.sport] = sent.get(p.sport, 0) + new
        highest[p.way] = max(highest.get(p.way, 0), end)
    told: dict[int, int] = {}
    for a in associations:
        for e in a.timeline:
            if e.kind != "GAP":
                port = a.peer(e.sender).port
                told[port] = told.get(port, 0) + e.length
        assert not a.gaps
        for peer in (a.requestor, a.acceptor):
            assert peer.bytes == sum(
                e.length for e in a.timeline if a.peer(e.sender) is peer and e.kind != "GAP"
            )
    ports = {p.port for a in associations for p in (a.requestor, a.acceptor)}
    assert told == {port: n for port, n in sent.items() if port in ports}


@functools.cache
def session(name: str) -> tuple[tuple[int, bytes], ...]:
    packets = rewrite.load(capture(f"{name}.pcapng"))
    first = packets[0].way
    flow = packets[0].flow
    return tuple((int(p.way != first), p.payload) for p in packets if p.flow == flow and p.payload)


_change = st.tuples(
    st.integers(0, 60),
    st.integers(0, 3000),
    st.sampled_from(("flip", "cut", "insert", "lose", "drop", "repeat")),
    st.integers(0, 255),
)


@given(
    name=st.sampled_from(("worklist", "store-small-pdu", "get", "two-associations-one-connection")),
    changes=st.lists(_change, max_size=6),
    from_start=st.booleans(),
    close=st.sampled_from(("", "fin", "reset")),
)
@settings(max_examples=150, deadline=None)
def test_damaged_sessions_never_raise_and_lose_no_byte(
    name: str, changes: list[tuple[int, int, str, int]], from_start: bool, close: str
) -> None:
    steps: list[tuple[int, bytes | int | str]] = list(session(name))
    for at, place, how, byte in changes:
        at %= len(steps)
        side, data = steps[at]
        if not isinstance(data, bytes) or not data:
            continue
        place %= len(data)
        if how == "flip":
            steps[at] = side, data[:place] + bytes((data[place] ^ (byte or 1),)) + data[place + 1 :]
        elif how == "cut":
            steps[at] = side, data[:place] or b"\0"
        elif how == "insert":
            steps[at] = side, data[:place] + bytes((byte,)) * 7 + data[place:]
        elif how == "lose":
            steps[at : at + 1] = [
                s for s in ((side, data[:place]), (side, 40), (side, data[place + 40 :])) if s[1]
            ]
        elif how == "drop":
            del steps[at]
        else:
            steps.insert(at, steps[at])
        if not steps:
            return
    if close:
        steps.append((0, close))
    heard = converse(*steps, from_start=from_start)
    if not from_start or not heard.associations:
        return
    fed = sum(len(what) for _, what in steps if isinstance(what, bytes))
    lost = sum(what for _, what in steps if isinstance(what, int))
    told = sum(e.length for a in heard.associations for e in a.timeline if e.kind != "GAP")
    gaps = sum(g.length for a in heard.associations for g in a.gaps)
    if heard.associations[0].timeline[0].kind == "A-ASSOCIATE-RQ" and not lost:
        assert told == fed
    assert gaps <= lost
    assert told <= fed


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.one_of(
                st.binary(min_size=1, max_size=200),
                st.integers(1, 5000),
                st.just("fin"),
                st.just("reset"),
                st.sampled_from((REQUEST, ACCEPT, wire.release(), wire.released(), wire.abort())),
                st.just(wire.command(1, 0x0030)),
            ),
        ),
        max_size=15,
    ),
    from_start=st.booleans(),
    forced=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_no_steps_make_it_raise(
    steps: list[tuple[int, bytes | int | str]], from_start: bool, forced: bool
) -> None:
    converse(*steps, from_start=from_start, forced=forced)


# ---------------------------------------------------------------------------- endings and turns


def test_how_connections_are_lost() -> None:
    for last, told in (
        ((0, "fin"), "the requestor closed the connection (FIN) without release"),
        ((1, "fin"), "the acceptor closed the connection (FIN) without release"),
        ((1, "reset"), "the acceptor reset the connection (RST)"),
    ):
        heard = converse((0, REQUEST), (1, ACCEPT), last)
        (association,) = heard.associations
        assert (association.outcome, association.outcome_detail) == ("lost", told)
        assert association.timeline[-1].kind == "CONNECTION-LOST"


def test_up_when_the_capture_ended_is_open() -> None:
    (association,) = converse((0, REQUEST), (1, ACCEPT)).associations
    assert association.outcome == "open"


def test_what_one_side_has_begun_ends_with_its_fin() -> None:
    store = wire.command(1, 0x0001, 2, dataset=True) + wire.data(1, bytes(50), last=False)
    heard = converse((0, REQUEST), (1, ACCEPT), (0, store), (0, "fin"), (1, wire.abort()))
    assert kinds(heard) == [["A-ASSOCIATE-RQ", "A-ASSOCIATE-AC", "C-STORE-RQ", "A-ABORT"]]
    assert not heard.associations[0].timeline[2].complete


def test_another_request_on_the_same_connection_is_another_association() -> None:
    other = wire.request([(1, wire.CT, [wire.EXPLICIT])])
    steps = [(0, REQUEST), (1, ACCEPT), (0, wire.release()), (1, wire.released())]
    heard = converse(*steps, (0, other), (1, wire.accept([(1, 0, wire.EXPLICIT)])))
    first, second = heard.associations
    assert (first.outcome, second.outcome) == ("released", "open")
    assert first.contexts[1].abstract_syntax == ECHO
    assert second.contexts[1].abstract_syntax == wire.CT


def test_another_request_before_the_end_loses_the_first() -> None:
    heard = converse((0, REQUEST), (1, ACCEPT), (0, REQUEST), (1, ACCEPT))
    assert [a.outcome for a in heard.associations] == ["lost", "open"]


def test_a_gap_is_told_where_it_is() -> None:
    store = wire.command(1, 0x0001, 2, dataset=True) + wire.data(1, bytes(500))
    cut = len(store) - 300
    heard = converse((0, REQUEST), (1, ACCEPT), (0, store[:cut]), (0, 100), (0, store[cut + 100 :]))
    (association,) = heard.associations
    assert kinds(heard) == [["A-ASSOCIATE-RQ", "A-ASSOCIATE-AC", "GAP", "C-STORE-RQ"]]
    (gap,) = association.gaps
    assert (gap.sender, gap.offset, gap.length) == ("requestor", len(REQUEST) + cut, 100)
    assert association.requestor.bytes == len(REQUEST) + len(store) - 100


def test_a_gap_inside_of_the_request_is_told() -> None:
    heard = converse((0, REQUEST[:100]), (0, 30), (0, REQUEST[130:]), (1, ACCEPT))
    (association,) = heard.associations
    assert [e.kind for e in association.timeline[:2]] == ["A-ASSOCIATE-RQ", "GAP"]
    assert [(g.offset, g.length) for g in association.gaps] == [(100, 30)]


def test_the_request_of_the_next_association_lost() -> None:
    heard = converse(
        (0, REQUEST),
        (1, ACCEPT),
        (0, wire.release()),
        (1, wire.released()),
        (0, len(REQUEST)),
        (1, ACCEPT),
        (0, wire.command(1, 0x0030)),
    )
    assert [(a.outcome, a.partial) for a in heard.associations] == [
        ("released", False),
        ("open", True),
    ]
    assert kinds(heard)[1] == ["A-ASSOCIATE-AC", "C-ECHO-RQ"]
    assert not any(e.faults for e in heard.associations[1].timeline)


def test_unknown_pdus_and_undecoded_bytes_are_rows() -> None:
    heard = converse((0, REQUEST), (1, ACCEPT), (0, wire.pdu(0x42, b"what")), (0, wire.pdata()))
    association = heard.associations[0]
    assert kinds(heard)[0][2:] == ["UNKNOWN-PDU", "UNDECODED"]
    assert association.timeline[2].raw == wire.pdu(0x42, b"what")


CONTEXT = (
    (0, wire.request([(1, wire.CT, [EXPLICIT])])),
    (1, wire.accept([(1, 0, EXPLICIT)])),
)


@pytest.mark.parametrize("begun", [False, True])
def test_a_message_whose_end_was_lost_stands_before_its_answer(begun: bool) -> None:
    store = wire.command(1, 0x0001, 8, dataset=True, sop_class=wire.CT) + wire.data(1, bytes(2000))
    heard = converse(
        *CONTEXT,
        (0, wire.command(1, 0x0001, 7, dataset=True, sop_class=wire.CT)),
        *(((0, wire.data(1, bytes(2000), last=False)),) if begun else ()),
        (0, 5000),
        (1, wire.command(1, 0x8001, 7, status=0, sop_class=wire.CT)),
        (0, store),
        (1, wire.command(1, 0x8001, 8, status=0, sop_class=wire.CT)),
        (0, wire.release()),
        (1, wire.released()),
    )
    rows = heard.associations[0].timeline
    assert [row.kind for row in rows[2:]] == [
        *("GAP", "C-STORE-RQ", "C-STORE-RSP", "C-STORE-RQ", "C-STORE-RSP"),
        *("A-RELEASE-RQ", "A-RELEASE-RP"),
    ]
    assert [row.complete for row in rows[2:]] == [False, False, True, True, True, True, True]
    assert not any(row.faults for row in rows)


def test_what_a_side_had_begun_stands_before_its_release() -> None:
    """Its header came, and nothing else; or a data set without its end, which nobody answered."""
    said = wire.command(1, 0x0001, 7, dataset=True, sop_class=wire.CT)
    heard = converse(
        *CONTEXT,
        (0, said[:12]),
        (0, len(said) - 12 + 300),
        (0, wire.command(1, 0x0001, 8, dataset=True, sop_class=wire.CT)),
        (0, 700),
        (0, wire.release()),
        (1, wire.released()),
    )
    association = heard.associations[0]
    rows = association.timeline
    assert [row.kind for row in rows[2:]] == [
        *("GAP", "UNDECODED", "GAP", "C-STORE-RQ", "A-RELEASE-RQ", "A-RELEASE-RP"),
    ]
    assert not any(row.faults for row in rows)
    (begun,) = (row for row in rows if row.kind == "UNDECODED")
    assert info(association, begun) == "P-DATA, [a command that had just begun on context 1]"
