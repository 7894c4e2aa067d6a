"""Bounded for ever: floods, scans and what never ends take a known amount; the good ones live."""

from __future__ import annotations

import gc
import struct
import tracemalloc
from collections.abc import Iterator

import pytest

from dicomsniff.analysis import pipeline as pipelines
from dicomsniff.analysis.keeping import KeepAll, KeepDicom
from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.model import Association, Entry, Frame
from dicomsniff.tcp import flows
from dicomsniff.tcp.frames import endpoints
from tests import wire
from tests.benchmarks.traffic import ACK, SYN, Connection, Packet, interleaved

SECOND = 1_000_000_000
BEGAN = 1_767_600_900 * SECOND

RST = 4

STATED = 64 << 20
"""Bytes that a flood may take: half-open connections of some 3.5 KB each, and room to spare."""


class Count(Listener):
    """What became of the associations."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.entries = 0
        self.associations: list[Association] = []

    def entry_added(self, association: Association, entry: Entry) -> None:  # noqa: ARG002
        self.entries += 1

    def association_ended(self, association: Association) -> None:
        self.outcomes.append(association.outcome)
        self.associations.append(association)


class Feed:
    """Packets, as frames with times and numbers."""

    def __init__(self, pipeline: Pipeline, step: int = 1000) -> None:
        self.pipeline = pipeline
        self.number = 0
        self.time = BEGAN
        self.step = step

    def __call__(self, packets: Iterator[Packet] | list[Packet]) -> None:
        for headers, payload in packets:
            self.number += 1
            self.time += self.step
            data = headers + payload
            self.pipeline.feed(Frame(self.number, self.time, 1, data, len(data)))


def begin(connection: Connection) -> Iterator[Packet]:
    contexts = [(1, wire.VERIFICATION, [wire.IMPLICIT])]
    yield from connection.open()
    yield from connection.send(0, [wire.request(contexts)])
    yield from connection.send(1, [wire.accept([(1, 0, wire.IMPLICIT)])])


def echo(connection: Connection, number: int = 1) -> Iterator[Packet]:
    yield from connection.send(0, [wire.command(1, 0x0030, number, sop_class=wire.VERIFICATION)])
    yield from connection.send(1, [wire.command(1, 0x8030, number, status=0)])


def end(connection: Connection) -> Iterator[Packet]:
    yield from connection.send(0, [wire.release()])
    yield from connection.send(1, [wire.released()])
    yield from connection.close()


def whole(connection: Connection) -> Iterator[Packet]:
    yield from begin(connection)
    yield from echo(connection)
    yield from end(connection)


def syns(count: int, first: int = 1000) -> Iterator[Packet]:
    """Each from a host of its own, to a host that does not answer."""
    for number in range(count):
        connection = Connection(first + number, 7, client_port=1024 + number % 60_000)
        yield connection._packet(0, SYN)


def test_fifty_thousand_half_open_connections_and_an_association_through_them() -> None:
    count = Count()
    pipeline = Pipeline(listener=count)
    feed = Feed(pipeline)
    feed(whole(Connection(1, 2, client_port=39_999)))  # imports and tables are not the flood's
    good = Connection(1, 2)
    tracemalloc.start()
    feed(begin(good))
    feed(syns(25_000))
    feed(echo(good))
    feed(syns(25_000, 50_000))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    feed(end(good))
    pipeline.finish()
    assert count.outcomes == ["released", "released"]
    assert count.entries == 12
    assert held < STATED
    assert pipeline.info.evicted == {"half-open": 50_000 - flows.MAX_HALF_OPEN}


def test_a_thousand_associations_at_once_in_a_flood() -> None:
    count = Count()
    pipeline = Pipeline(listener=count)
    feed = Feed(pipeline)
    good = [Connection(10 + n % 50, 2, client_port=20_000 + n) for n in range(1000)]
    feed(interleaved([begin(each) for each in good]))
    feed(syns(30_000))
    feed(interleaved([echo(each) for each in good]))
    feed(syns(30_000, 90_000))
    feed(interleaved([end(each) for each in good]))
    pipeline.finish()
    assert count.outcomes == ["released"] * 1000
    assert count.entries == 6000
    assert all(len(each.operations) == 1 for each in count.associations)
    assert not any(each.gaps or each.partial for each in count.associations)


def test_a_connection_whose_syn_was_given_up_loses_nothing() -> None:
    count = Count()
    pipeline = Pipeline(listener=count)
    feed = Feed(pipeline)
    good = Connection(1, 2)
    packets = whole(good)
    feed([next(packets)])
    feed(syns(flows.MAX_HALF_OPEN + 10))
    feed(packets)
    pipeline.finish()
    assert count.outcomes == ["released"]
    assert count.entries == 6
    assert not count.associations[0].partial


def test_a_port_scan_leaves_nothing_behind() -> None:
    pipeline = Pipeline()
    feed = Feed(pipeline)
    for port in range(1, 20_000):
        scan = Connection(3, 4, client_port=40_000, server_port=port)
        feed([scan._packet(0, SYN), scan._packet(1, RST | ACK)])
    pipeline.tick(feed.time + 2 * flows.SWEEP_NS)
    assert len(pipeline._tracker) == 0
    assert len(pipeline._attempts) <= pipelines.ATTEMPTS_KEPT


def test_what_is_not_dicom_is_given_up_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "MAX_CONNECTIONS", 64)
    count = Count()
    pipeline = Pipeline(listener=count)
    feed = Feed(pipeline)
    good = [Connection(1, 2, client_port=20_000 + n) for n in range(16)]
    for each in good:
        feed(begin(each))
    for number in range(1000):
        other = Connection(3, 4, client_port=2_000 + number, server_port=80)
        feed(other.open())
        feed(other.send(0, [b"GET / HTTP/1.1\r\n\r\n"]))
    for each in good:
        feed(echo(each))
        feed(end(each))
    pipeline.finish()
    assert count.outcomes == ["released"] * 16
    assert pipeline.info.evicted["connections"] > 900


def test_silent_connections_go_and_silent_associations_later() -> None:
    count = Count()
    pipeline = Pipeline(listener=count)
    feed = Feed(pipeline)
    feed(begin(Connection(1, 2)))
    web = Connection(3, 4, server_port=80)
    feed(web.open())
    feed(web.send(0, [b"GET / HTTP/1.1\r\n\r\n"]))
    undecided = Connection(5, 6)  # under way when capture began
    feed(undecided.send(0, [b"\4\0\0\0"]))
    pipeline.tick(feed.time + 2 * flows.IDLE_NS)
    assert len(pipeline._tracker) == 1
    assert pipeline.info.evicted == {"idle": 2}
    pipeline.tick(feed.time + flows.ASSOCIATION_IDLE_NS + flows.IDLE_NS)
    assert len(pipeline._tracker) == 0
    assert pipeline.info.evicted == {"idle": 2, "idle-associations": 1}
    assert count.outcomes == ["open"]


def test_an_association_that_was_given_up_goes_on_as_a_partial_one() -> None:
    count = Count()
    pipeline = Pipeline(listener=count)
    feed = Feed(pipeline)
    good = Connection(1, 2)
    feed(begin(good))
    feed.time += flows.ASSOCIATION_IDLE_NS + 1
    pipeline.tick(feed.time)
    pipeline.tick(feed.time + flows.IDLE_NS)
    feed(echo(good))
    feed(end(good))
    pipeline.finish()
    assert count.outcomes == ["open", "released"]
    assert count.associations[1].partial
    assert [each.service for each in count.associations[1].operations] == ["C-ECHO"]


def test_what_is_held_back_is_bounded_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "HELD_TOTAL", 4 << 20)
    count = Count()
    pipeline = Pipeline(listener=count)
    feed = Feed(pipeline)
    holes = [Connection(1, 2, client_port=20_000 + n) for n in range(20)]
    chunk = bytes(1400)
    data = wire.data(1, chunk * 200, last=False)
    for each in holes:
        feed(begin(each))
        packets = list(each.send(0, [data]))
        feed([packet for packet in packets[1:] if packet[1]])  # the first is lost; nobody answers
        feed.time += SECOND
        held = sum(s.held for s in pipeline._tracker.streams.values())
        assert held <= (4 << 20) + 2 * len(data)
    assert pipeline.info.evicted["held-back"] > 5
    pipeline.finish()
    assert count.outcomes == ["open"] * 20
    assert all(each.gaps for each in count.associations)


def test_an_association_that_never_ends_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "ENTRIES_KEPT", 100)
    count = Count()
    pipeline = Pipeline(listener=count, endless=True)
    feed = Feed(pipeline)
    long = Connection(1, 2)
    feed(begin(long))
    for number in range(1, 1001):
        feed(echo(long, number))
    feed(end(long))
    pipeline.finish()
    (told,) = count.associations
    assert told.outcome == "released"
    assert count.entries == 2004
    assert len(told.timeline) <= 101
    assert len(told.operations) <= 50
    numbers = [entry.number for entry in told.timeline]
    assert numbers[:2] == [1, 2]
    assert numbers[-1] == 2004
    assert pipeline.info.evicted == {"entries": 2004 - len(told.timeline)}
    kept = set(numbers)
    for operation in told.operations:
        assert operation.responses[-1].number in kept
    # What has an end is kept whole.
    whole_one = Count()
    pipeline = Pipeline(listener=whole_one)
    feed = Feed(pipeline)
    long = Connection(1, 2)
    feed(begin(long))
    for number in range(1, 201):
        feed(echo(long, number))
    pipeline.finish()
    assert len(whole_one.associations[0].timeline) == 402


def test_associations_that_have_ended_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The soak in tests/benchmarks opens and closes ten thousand."""
    # What is bounded by a number takes thousands until it is full: it is made short here, so that
    # what grows between the marks is what has no bound.
    monkeypatch.setattr(flows, "TURNS_KEPT", 256)

    class Counts(Listener):
        ended = 0

        def association_ended(self, association: Association) -> None:
            self.ended += association.outcome == "released"

    counts = Counts()
    pipeline = Pipeline(listener=counts, endless=True)
    feed = Feed(pipeline, step=1_000_000)
    tracemalloc.start()
    marks = []
    for number in range(2_000):
        feed(whole(Connection(1, 2, client_port=1024 + number)))
        if number in (999, 1_999):
            endpoints.cache_clear()
            marks.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert counts.ended == 2_000
    assert marks[1] - marks[0] < 64 << 10
    assert len(pipeline._tracker) < 200


def test_closed_connections_that_linger_take_little() -> None:
    """For a second of capture each may still get late segments; a busy one closes thousands."""
    count = 500
    pipeline = Pipeline(endless=True)
    feed = Feed(pipeline)
    feed(whole(Connection(1, 2)))  # imports and tables
    tracemalloc.start()
    for number in range(count):
        feed(whole(Connection(1, 2, client_port=1024 + number)))
    assert len(pipeline._tracker) > count
    before = tracemalloc.get_traced_memory()[0]
    pipeline.tick(feed.time + 2 * flows.LINGER_NS)
    assert len(pipeline._tracker) == 0
    freed = before - tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert freed < count * 2500


def test_nothing_is_left_to_the_collector_of_cycles() -> None:
    """It comes by seldom in a process that holds much; until then the memory would be gone."""

    def other(number: int, payload: bytes) -> Iterator[Packet]:
        connection = Connection(3, 4, client_port=2_000 + number, server_port=80)
        yield from connection.open()
        yield from connection.send(0, [payload])
        yield from connection.close()

    def some(first: int) -> None:
        for number in range(first, first + 40):
            feed(whole(Connection(1, 2, client_port=1024 + number)))
            feed(other(number, b"GET / HTTP/1.1\r\n\r\n"))
            feed(other(100 + number, b"\x16\x03\x01\0\x2a\1\0\0\x26\3\3" + bytes(36)))
            unfinished = Connection(5, 6, client_port=1024 + number)
            feed(begin(unfinished))
            feed([unfinished._packet(1, RST | ACK)])
            middle = Connection(7, 8, client_port=1024 + number)
            feed(echo(middle))
            feed(end(middle))
        feed(syns(40, 1000 + first))
        pipeline.tick(feed.time + 2 * flows.IDLE_NS)
        feed.time += 2 * flows.IDLE_NS + flows.LINGER_NS

    pipeline = Pipeline(endless=True)
    feed = Feed(pipeline)
    some(0)  # imports and tables
    assert len(pipeline._tracker) == 0
    gc.collect()
    gc.disable()
    try:
        some(1000)
        assert len(pipeline._tracker) == 0
        assert gc.collect() == 0
    finally:
        gc.enable()


# ---------------------------------------------------------------------------- keeping packets


class Kept:
    """A writer, and the source that it asks for the interface."""

    at = 0

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def write(self, frame: Frame, link: int = 0) -> None:
        assert link == 0
        self.frames.append(frame)

    def tick(self) -> None:
        pass


def dicom_frames(packets: Iterator[Packet]) -> set[bytes]:
    return {headers + payload for headers, payload in packets}


def test_only_dicom_is_kept_from_its_syn_on() -> None:
    kept = Kept()
    pipeline = Pipeline(keeper=KeepDicom(kept, kept))
    feed = Feed(pipeline)
    web = Connection(3, 4, server_port=11112)
    unsaid = Connection(5, 6)

    def other() -> Iterator[Packet]:
        yield from web.open()
        yield from web.send(0, [b"GET / HTTP/1.1\r\n\r\n"])
        yield from web.send(1, [b"HTTP/1.1 200 OK\r\n\r\n"] * 90)
        yield from web.close()

    good = list(whole(Connection(1, 2)))
    feed(interleaved([iter(good), other(), unsaid.open(), syns(50)]))
    # The last acknowledgement comes late, when the connection is forgotten.
    feed.time += 3 * flows.LINGER_NS
    pipeline.tick(feed.time)
    feed([good[-1]])
    pipeline.finish()
    want = [headers + payload for headers, payload in [*good, good[-1]]]
    assert [frame.data for frame in kept.frames] == want


def test_a_connection_on_the_same_ports_is_another_one() -> None:
    kept = Kept()
    pipeline = Pipeline(keeper=KeepDicom(kept, kept))
    feed = Feed(pipeline, step=10_000_000)
    feed(whole(Connection(1, 2)))
    before = len(kept.frames)
    again = Connection(1, 2)
    again._seq = [900_000_000, 800_000_000]
    feed(again.open())
    feed(again.send(0, [b"SSH-2.0-nothing\r\n"]))
    pipeline.finish()
    assert len(kept.frames) == before


def test_waiting_frames_are_bounded_and_counted() -> None:
    kept = Kept()
    pipeline = Pipeline(keeper=KeepDicom(kept, kept, limit=100_000))
    feed = Feed(pipeline)
    for number in range(100):
        quiet = Connection(5, 6, client_port=3_000 + number)
        feed(quiet.open())
        feed(quiet.send(0, [b"\1"]))
    assert pipeline._keeper._bytes <= 100_000  # type: ignore[union-attr]
    assert pipeline.info.evicted["frames"] > 200
    feed(whole(Connection(1, 2)))
    whole_one = len(list(whole(Connection(1, 2))))
    assert len(kept.frames) == whole_one
    # Those that wait have said what an association request begins with: at the end they are told
    # as requests that were cut off, and what is told is kept.
    waiting = sum(len(each.frames) for each in pipeline._keeper._waiting.values())  # type: ignore[union-attr]
    pipeline.finish()
    assert len(kept.frames) == whole_one + waiting
    assert pipeline.associations == 101


def test_everything_is_kept_in_order() -> None:
    kept = Kept()
    pipeline = Pipeline(keeper=KeepAll(kept, kept))
    feed = Feed(pipeline)
    feed(syns(5))
    feed(whole(Connection(1, 2)))
    pipeline.feed(Frame(feed.number + 1, feed.time, 1, b"\0" * 20, 20))
    assert [frame.number for frame in kept.frames] == list(range(1, feed.number + 2))


def test_the_pace_of_a_flood() -> None:
    """Giving up is work in proportion: no scan of all connections for each new one."""
    looked = 0
    original = flows.Tracker._evict

    def counted(self: flows.Tracker) -> None:
        nonlocal looked
        looked += 1
        original(self)

    tracker = flows.Tracker(lambda _connection: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flows, "MAX_CONNECTIONS", 1000)
        patch.setattr(flows.Tracker, "_evict", counted)
        for number in range(20_000):
            key = struct.pack(">IIHH", number, 1, 1024, 80)
            from dicomsniff.model import Segment

            tracker.feed(Segment(number + 1, BEGAN + number, key, 1, 0, ACK, b"x", 1))
    assert len(tracker) <= 1000
    assert looked <= 20_000 / (1000 / 8)
