"""What the network does to packets does not change what was said.

The recorded session is the oracle: the same packets cut, shuffled, repeated, wrapped and
fragmented give the same timelines, entry by entry and byte by byte.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

import pytest

from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.model import Association, Entry, Frame
from tests import rewrite
from tests.rewrite import FIN, RST, SYN, Packet
from tests.support import CAPTURES, capture, public

NAMES = (
    "worklist",
    "worklist-timeout",
    "store-transfer-syntaxes",
    "store-small-pdu",
    "get",
    "move",
    "query-cancelled",
    "async",
    "two-associations-one-connection",
    "concurrent",
    "lost-reset",
    "lost-fin",
    "no-context",
    "store-aborted-by-scp",
    "store-refused",
    "commitment-same-association",
    "print",
    "negotiation",
    "veth",
    "echo-ipv6",
)
"""Captures that differ in what may go wrong; the others repeat their shapes."""

SEEDS = (1, 2, 3)


@cache
def packets(name: str) -> tuple[Packet, ...]:
    return tuple(rewrite.load(capture(f"{name}.pcapng")))


@cache
def original(name: str) -> dict[tuple[int, int, int], object]:
    story = rewrite.story(rewrite.rebuild(packets(name)))
    assert story
    return story


def through_pipeline(frames: list[Frame]) -> list[Association]:
    class Collect(Listener):
        def __init__(self) -> None:
            self.associations: list[Association] = []

        def association_ended(self, association: Association) -> None:
            self.associations.append(association)

    listener = Collect()
    pipeline = Pipeline(listener=listener)
    for frame in frames:
        pipeline.feed(frame)
    pipeline.finish()
    return sorted(listener.associations, key=lambda a: a.id)


def same(name: str, changed: list[Packet]) -> None:
    assert rewrite.story(rewrite.rebuild(changed)) == original(name)


# ---------------------------------------------------------------------------- segments


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_cut_into_small_segments(name: str, seed: int) -> None:
    same(name, rewrite.cut(packets(name), 1, 190, Random(seed)))


@pytest.mark.parametrize("name", NAMES)
def test_one_byte_at_a_time(name: str) -> None:
    # Long captures say nothing more about it than short ones.
    if sum(len(p.payload) for p in packets(name)) > 30_000:
        name = "echo"
    same(name, rewrite.cut(packets(name), 1, 1, Random(0)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_shuffled_in_windows_of_six(name: str, seed: int) -> None:
    random = Random(seed)
    small = rewrite.cut(packets(name), 1, 190, random)
    same(name, rewrite.timed(rewrite.shuffled(small, 6, random), small[0].time))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_tenth_sent_twice(name: str, seed: int) -> None:
    random = Random(seed)
    small = rewrite.cut(packets(name), 1, 190, random)
    twice = rewrite.repeated(small, 0.1, random)
    assert len(twice) > len(small)
    same(name, rewrite.timed(twice, small[0].time))


@pytest.mark.parametrize("last", [1, 2, 70, 190])
@pytest.mark.parametrize("name", NAMES)
def test_sequence_numbers_that_wrap(name: str, last: int) -> None:
    moved = rewrite.shifted(packets(name), last)
    assert any(p.seq > 0xFFFFF000 for p in moved)
    assert any(p.seq < 0x00010000 for p in moved)
    same(name, moved)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_everything_at_once(name: str, seed: int) -> None:
    random = Random(seed)
    changed = rewrite.cut(rewrite.shifted(packets(name), random.randint(0, 900)), 1, 190, random)
    changed = rewrite.shuffled(rewrite.repeated(changed, 0.1, random), 6, random)
    same(name, rewrite.timed(changed, packets(name)[0].time))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_large_segments_out_of_order(name: str, seed: int) -> None:
    """As recorded, many a request, its answer and the handshake fit into one window."""
    random = Random(seed)
    changed = rewrite.shuffled(rewrite.repeated(list(packets(name)), 0.1, random), 6, random)
    same(name, rewrite.timed(changed, packets(name)[0].time))


# ---------------------------------------------------------------------------- frames


ENCAPSULATIONS = {
    "ethernet": {"link_type": rewrite.ETHERNET},
    "vlan": {"link_type": rewrite.ETHERNET, "tags": ((0x8100, 42),)},
    "qinq": {"link_type": rewrite.ETHERNET, "tags": ((0x88A8, 7), (0x8100, 42))},
    "raw ip": {"link_type": rewrite.RAW},
    "cooked": {"link_type": rewrite.LINUX_SLL},
    "cooked v2": {"link_type": rewrite.LINUX_SLL2},
    "null": {"link_type": rewrite.NULL},
    "loop": {"link_type": rewrite.LOOP},
    "fragments": {"link_type": rewrite.ETHERNET, "fragment": 64},
    "fragments, cooked": {"link_type": rewrite.LINUX_SLL, "fragment": 1480},
}


@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("encapsulation", ENCAPSULATIONS)
@pytest.mark.parametrize("name", ["worklist", "store-transfer-syntaxes", "lost-reset"])
def test_in_other_frames(name: str, encapsulation: str, ipv6: bool) -> None:
    changed = list(packets(name))
    if ipv6:
        changed = rewrite.on_ipv6(changed)
    frames = rewrite.frames(changed, **ENCAPSULATIONS[encapsulation])  # type: ignore[arg-type]
    associations = through_pipeline(frames)
    assert rewrite.story(associations) == original(name)
    if ipv6:
        assert all(a.requestor.address.startswith("2001:db8::") for a in associations)


@pytest.mark.parametrize("name", ["worklist", "concurrent", "async"])
def test_small_shuffled_repeated_fragmented_in_qinq_over_ipv6(name: str) -> None:
    random = Random(11)
    changed = rewrite.on_ipv6(rewrite.cut(rewrite.shifted(packets(name), 300), 1, 190, random))
    changed = rewrite.shuffled(rewrite.repeated(changed, 0.1, random), 6, random)
    frames = rewrite.frames(
        rewrite.timed(changed, changed[0].time),
        tags=((0x88A8, 7), (0x8100, 42)),
        fragment=88,
    )
    assert rewrite.story(through_pipeline(frames)) == original(name)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_files_of_every_kind(tmp_path: Path, nanoseconds: bool, big_endian: bool) -> None:
    from dicomsniff.analysis.pipeline import read

    path = tmp_path / "rewritten.pcap"
    frames = [
        f._replace(time=f.time // 1000 * 1000 + (321 if nanoseconds else 0))
        for f in rewrite.frames(packets("worklist"))
    ]
    path.write_bytes(rewrite.pcap(frames, nanoseconds=nanoseconds, big_endian=big_endian))
    (association,) = read(str(path), reader="scapy")
    assert rewrite.story([association]) == original("worklist")
    assert association.timeline[0].time % 1000 == (321 if nanoseconds else 0)


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcapng")), ids=lambda p: p.stem)
def test_frames_and_segments_tell_the_same(path: Path) -> None:
    """The test's own way to segments against the package's: the same associations."""
    through_frames = through_pipeline(list(rewrite.raw_frames(path)))
    # The test's own way does not tell what TLS hides.
    through_frames = [each for each in through_frames if not each.opaque]
    assert rewrite.story(through_frames) == rewrite.story(rewrite.rebuild(rewrite.load(path)))


# ---------------------------------------------------------------------------- the beginning


@pytest.mark.parametrize("small", [False, True], ids=["as recorded", "cut"])
@pytest.mark.parametrize("name", NAMES)
def test_without_the_handshake(name: str, small: bool) -> None:
    changed = rewrite.without_handshake(packets(name))
    if small:
        changed = rewrite.cut(changed, 1, 190, Random(5))
    same(name, changed)


Said = tuple[object, ...]


def said(association: Association, entry: Entry) -> Said:
    """What an entry says, and from which port: from the middle, sides may have other names, and
    without the negotiation nothing is known of a context."""
    port = association.peer(entry.sender).port
    message = entry.message
    if message is None:
        return entry.kind, port, entry.raw
    return entry.kind, port, message.context_id, message.command_bytes, message.dataset


def whole_ones(associations: list[Association]) -> list[Said]:
    return [said(a, e) for a in associations for e in a.timeline if e.complete]


@pytest.mark.parametrize(
    "name", ["worklist", "get", "async", "query-cancelled", "store-small-pdu", "move", "print"]
)
def test_beginning_in_the_middle(name: str) -> None:
    """From each packet on: every message that lies whole behind the cut is decoded, nothing is
    invented, and what has lost its beginning is partial."""
    listed = packets(name)
    whole = rewrite.rebuild(listed)
    # Long captures: every third packet as the first.
    step = 1 if len(listed) < 40 else 3
    for first in range(1, len(listed), step):
        rest = rewrite.rebuild(listed[first:])
        expected = [
            said(a, e) for a in whole for e in a.timeline if e.frames[0] > first and e.complete
        ]
        found = whole_ones(rest)
        missing = [e for e in expected if e not in found]
        assert not missing, (first, missing)
        invented = [e for e in found if e not in whole_ones(whole)]
        assert not invented, (first, invented)
        for a in rest:
            assert a.partial == (a.timeline[0].kind != "A-ASSOCIATE-RQ")


@pytest.mark.parametrize("name", ["worklist", "get", "store-small-pdu", "async"])
def test_one_direction_alone(name: str) -> None:
    listed = packets(name)
    whole = rewrite.rebuild(listed)
    for side in ("requestor", "acceptor"):
        port = whole[0].peer(side).port  # type: ignore[arg-type]
        alone = rewrite.rebuild([p for p in listed if p.sport == port])
        assert whole_ones(alone) == [e for e in whole_ones(whole) if e[1] == port]
        assert [a.outcome for a in alone] == ["released"] * len(alone)


# ---------------------------------------------------------------------------- oddities of TCP


@pytest.mark.parametrize("name", NAMES)
def test_keep_alives_and_window_probes(name: str) -> None:
    changed: list[Packet] = []
    later: dict[tuple[bytes, int, bytes, int], Packet] = {}
    for packet in packets(name):
        before = later.get(packet.way)
        if before is not None and packet.payload and not packet.flags & (SYN | FIN | RST):
            changed.append(packet._replace(seq=(packet.seq - 1) & 0xFFFFFFFF, payload=b"\0"))
            changed.append(packet._replace(seq=(packet.seq - 1) & 0xFFFFFFFF, payload=b""))
            changed.append(packet._replace(payload=packet.payload[:1]))
            changed.append(packet._replace(payload=packet.payload[:1]))
        changed.append(packet)
        if packet.payload:
            later[packet.way] = packet
    same(name, changed)


@pytest.mark.parametrize("name", ["worklist", "store-small-pdu", "lost-fin"])
def test_a_fin_captured_before_the_last_data(name: str) -> None:
    changed = list(packets(name))
    for at, packet in reversed(list(enumerate(changed))):
        if packet.flags & FIN and at:
            changed[at - 1], changed[at] = changed[at], changed[at - 1]
    same(name, changed)


def test_a_reset_in_the_middle_loses_what_follows_and_nothing_else() -> None:
    listed = packets("worklist")
    whole = rewrite.rebuild(listed)
    request = next(at for at, p in enumerate(listed) if p.payload[:1] == b"\x04")
    reset = listed[request]._replace(
        seq=(listed[request].seq + len(listed[request].payload)) & 0xFFFFFFFF,
        payload=b"",
        flags=RST,
    )
    (association,) = rewrite.rebuild([*listed[: request + 1], reset])
    assert association.outcome == "lost"
    assert association.outcome_detail == "the requestor reset the connection (RST)"
    kinds = [e.kind for e in association.timeline]
    assert kinds[-1] == "CONNECTION-LOST"
    assert kinds[:2] == [e.kind for e in whole[0].timeline[:2]]


def test_two_sessions_on_the_same_ports() -> None:
    first = list(packets("worklist"))
    second = [
        p._replace(
            time=p.time + 60_000_000_000,
            seq=(p.seq + 1_234_567) & 0xFFFFFFFF,
            ack=(p.ack + 1_234_567) & 0xFFFFFFFF if p.flags & rewrite.ACK else 0,
        )
        for p in first
    ]
    told = original("worklist")
    ((requestor, acceptor, _),) = told
    for gap in (0, -58_000_000_000):  # long after the first, and two seconds after it
        moved = [p._replace(time=p.time + gap) for p in second]
        both = rewrite.story(rewrite.rebuild([*first, *moved]))
        (one,) = told.values()
        assert both == {(requestor, acceptor, 0): one, (requestor, acceptor, 1): one}


def test_the_same_ports_again_while_the_first_never_ended() -> None:
    first = [p for p in packets("worklist") if not p.flags & (FIN | RST)]
    again = [
        p._replace(
            seq=(p.seq + 99_999) & 0xFFFFFFFF,
            ack=(p.ack + 99_999) & 0xFFFFFFFF if p.flags & rewrite.ACK else 0,
        )
        for p in packets("worklist")
    ]
    both = rewrite.rebuild([*first, *again])
    assert [a.outcome for a in both] == ["released", "released"]
    assert rewrite.told(both[0]) == rewrite.told(both[1])


# ---------------------------------------------------------------------------- loss


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    "name", ["store-small-pdu", "worklist", "get", "two-associations-one-connection"]
)
def test_lost_segments_are_gaps_and_nothing_is_invented(name: str, count: int) -> None:
    """Any run of segments away: the bytes are counted, what is whole is decoded as before, what
    is not whole says so, and nothing new appears."""
    listed = rewrite.cut(packets(name), 400, 600, Random(3))
    whole = rewrite.rebuild(listed)
    real = {str(e) for e in whole_ones(whole)}
    sent = {side: sum(a.peer(side).bytes for a in whole) for side in ("requestor", "acceptor")}  # type: ignore[arg-type]
    data = [at for at, p in enumerate(listed) if p.payload]
    for turn in range(0, len(data), max(1, len(data) // 25)):
        lost = data[turn : turn + count]
        at = lost[0]
        rest = rewrite.rebuild([p for place, p in enumerate(listed) if place not in lost])
        for a in rest:
            for e in a.timeline:
                if e.complete and e.kind != "CONNECTION-LOST":
                    assert str(said(a, e)) in real, (at, e.kind)
                    assert not e.faults, (at, e.kind, e.faults)
        for side in ("requestor", "acceptor"):
            port = whole[0].peer(side).port  # type: ignore[arg-type]
            gaps = sum(g.length for a in rest for g in a.gaps if a.peer(g.sender).port == port)
            seen = sum(
                peer.bytes for a in rest for peer in (a.requestor, a.acceptor) if peer.port == port
            )
            away = sum(len(listed[n].payload) for n in lost if listed[n].sport == port)
            if all(not a.partial for a in rest):
                assert gaps == away, (at, side)
                assert seen + gaps == sent[side], (at, side)  # type: ignore[index]


# ---------------------------------------------------------------------------- public captures


@pytest.mark.parametrize(
    "name",
    [
        "profuzzbench/dicom_echo.pcap",
        "profuzzbench/dicom_find.pcap",
        "profuzzbench/dicom_get.pcap",
        "profuzzbench/dicom_store.pcap",
        "tapirx/dicom_arq_2_get_testclient.pcap",
        "ndpi/dicom.pcap",
    ],
)
def test_public_captures_rewritten(name: str) -> None:
    listed = rewrite.load(public(name))
    story = rewrite.story(rewrite.rebuild(listed))
    assert story
    random = Random(2)
    small = rewrite.cut(listed, 1, 190, random)
    mixed = rewrite.shuffled(rewrite.repeated(small, 0.1, random), 6, random)
    assert rewrite.story(rewrite.rebuild(rewrite.timed(mixed, small[0].time))) == story
