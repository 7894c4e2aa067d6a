"""One direction cut into PDUs and values: any split gives the same, no byte is left out."""

from __future__ import annotations

import functools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomsniff.dicom.framing import (
    PDU_LIMIT,
    RAW_LIMIT,
    UNKNOWN_LIMIT,
    Framer,
    Track,
    starts_association,
)
from dicomsniff.model import FRAMES_KEPT
from tests import rewrite, wire
from tests.support import capture

Event = tuple[object, ...]


class Log:
    """A sink that writes down what it is handed, and counts every byte."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.counted = 0

    def pdu(self, data: bytes, complete: bool, track: Track) -> None:
        assert len(data) == track.length
        self.counted += track.length
        self.events.append(("pdu", data, complete))

    def value(
        self, context_id: int, control: int, length: int, pdu_length: int | None, track: Track
    ) -> None:
        self.counted += track.length
        self.events.append(("value", context_id, control, length, pdu_length, track.length))

    def value_data(self, data: bytes, frame: int, time: int) -> None:  # noqa: ARG002
        assert data
        self.counted += len(data)
        if self.events[-1][0] == "data":
            data = self.events.pop()[1] + data  # type: ignore[operator]
        self.events.append(("data", data))

    def value_lost(self, length: int) -> None:
        self.events.append(("lost", length))

    def value_end(self, whole: bool) -> None:
        self.events.append(("end", whole))

    def whole_value(
        self, context_id: int, control: int, data: bytes, pdu_length: int | None, track: Track
    ) -> None:
        track.length -= len(data)
        self.value(context_id, control, len(data), pdu_length, track)
        if data:
            self.value_data(data, track.last, track.time)
        self.value_end(True)

    def missing(self) -> None:
        self.events.append(("missing",))

    def undecoded(self, data: bytes, reason: str, track: Track) -> None:
        self.counted += track.length
        assert len(data) <= RAW_LIMIT + 12
        self.events.append(("undecoded", data, reason, track.length))


def cut(
    stream: bytes, sizes: list[int] | None = None, *, searching: bool = False, end: bool = True
) -> Log:
    """Feed a stream in pieces of these sizes, in turn."""
    log = Log()
    framer = Framer(log, searching=searching)
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)] if sizes else len(stream)
        framer.feed(stream[at : at + size], turn + 1, turn * 1000)
        at += size
        turn += 1
    if end:
        framer.end()
    return log


@functools.cache
def recorded(name: str, side: int) -> bytes:
    """What one side of the first connection of a capture sent."""
    packets = rewrite.load(capture(f"{name}.pcapng"))
    ways = list(dict.fromkeys(p.way for p in packets))
    return b"".join(p.payload for p in packets if p.way == ways[side])


STREAMS = [
    (name, side)
    for name in ("worklist", "store-small-pdu", "two-associations-one-connection", "async", "print")
    for side in (0, 1)
]


@pytest.mark.parametrize(("name", "side"), STREAMS)
def test_whole_byte_by_byte_and_with_bytes_behind_it(name: str, side: int) -> None:
    stream = recorded(name, side)
    whole = cut(stream)
    assert whole.events
    assert whole.counted == len(stream)
    assert not [e for e in whole.events if e[0] in ("undecoded", "missing", "lost")]
    assert cut(stream, [1]).events == whole.events
    behind = cut(stream + b"\x05\x00\x00")
    assert behind.events == [
        *whole.events,
        ("undecoded", b"\x05\x00\x00", "a header that was cut off", 3),
    ]


@given(
    which=st.sampled_from(STREAMS), sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=20)
)
@settings(max_examples=60, deadline=None)
def test_any_split_of_what_was_recorded(which: tuple[str, int], sizes: list[int]) -> None:
    assert cut(recorded(*which), sizes).events == cut(recorded(*which)).events


_pieces = st.one_of(
    st.builds(wire.pdu, st.integers(0, 255), st.binary(max_size=30)),
    st.builds(
        wire.value, st.integers(0, 255), st.binary(max_size=20), st.sampled_from((0, 1, 2, 3, 9))
    ).map(lambda value: wire.pdata(value)),
    st.just(wire.release()),
    st.just(wire.abort()),
    st.binary(max_size=20),
)


@given(
    stream=st.lists(_pieces, max_size=8).map(b"".join),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=10),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_in_any_split_are_told_and_counted_to_the_last(
    stream: bytes, sizes: list[int]
) -> None:
    whole, pieces = cut(stream), cut(stream, sizes)
    assert whole.counted == len(stream)
    assert pieces.counted == len(stream)
    if not any(e[0] in ("missing", "undecoded") for e in whole.events):
        # Out of step, what is trusted depends on what was there to look at.
        assert pieces.events == whole.events


@given(
    script=st.lists(st.one_of(st.binary(min_size=1, max_size=60), st.integers(1, 60)), max_size=20),
    start=st.booleans(),
    searching=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_and_gaps(script: list[bytes | int], start: bool, searching: bool) -> None:
    log = Log()
    framer = Framer(log, searching=searching)
    fed = 0
    if start:
        command = wire.command(1, 0x0030)
        framer.feed(command, 1, 0)
        fed += len(command)
    given_up = 0
    for number, each in enumerate(script):
        if isinstance(each, int):
            framer.gap(each)
        else:
            framer.feed(each, number + 2, number)
            fed += len(each)
        if not framer.found:
            given_up = fed
        assert framer.kept >= 0
    framer.end()
    if framer.found and not searching:
        assert log.counted == fed
    else:
        assert fed - given_up <= log.counted <= fed or not framer.found


# ---------------------------------------------------------------------------- P-DATA-TF


def test_values_of_every_size_in_one_pdu() -> None:
    log = cut(
        wire.pdata(wire.value(1, b"", 1), wire.value(3, b"abc", 0), wire.value(1, b"x" * 9, 3))
    )
    assert log.events == [
        ("value", 1, 1, 0, 30, 12),
        ("end", True),
        ("value", 3, 0, 3, None, 6),
        ("data", b"abc"),
        ("end", True),
        ("value", 1, 3, 9, None, 6),
        ("data", b"x" * 9),
        ("end", True),
    ]


@pytest.mark.parametrize("sizes", [None, [1], [7]])
def test_a_value_longer_than_its_pdu_is_not_whole(sizes: list[int] | None) -> None:
    value = bytearray(wire.value(1, b"abcdef", 2))
    value[3] = 100
    log = cut(wire.pdata(bytes(value)) + wire.release(), sizes)
    assert log.events == [
        ("value", 1, 2, 98, 12, 12),
        ("data", b"abcdef"),
        ("end", False),
        ("pdu", wire.release(), True),
    ]


@pytest.mark.parametrize("length", [0, 1])
def test_a_value_without_room_for_its_header_spoils_its_pdu_alone(length: int) -> None:
    value = bytearray(wire.value(1, b"abcdef", 2))
    value[3] = length
    stream = wire.pdata(bytes(value)) + wire.release()
    log = cut(stream)
    assert log.events == [
        (
            "undecoded",
            bytes(value),
            f"a presentation data value with a length of {length}",
            len(stream) - 10,
        ),
        ("pdu", wire.release(), True),
    ]


def test_an_empty_p_data_tf_and_one_that_ends_inside_of_a_header() -> None:
    log = cut(wire.pdata() + wire.pdata(b"\x00\x00\x00") + wire.release())
    assert [e[0] for e in log.events] == ["undecoded", "undecoded", "pdu"]
    assert log.events[0][3] == 6
    assert log.events[1][3] == 9


def test_a_value_that_the_end_of_the_stream_cuts_off_never_ends() -> None:
    log = cut(wire.data(1, b"abcdef")[:-2])
    assert log.events[-1] == ("data", b"abcd")


# ---------------------------------------------------------------------------- other PDUs


def test_unknown_types_are_taken_by_their_length() -> None:
    log = cut(wire.pdu(0x99, b"abc") + wire.pdu(0x00, b"") + wire.release())
    assert log.events == [
        ("pdu", wire.pdu(0x99, b"abc"), True),
        ("pdu", wire.pdu(0x00, b""), True),
        ("pdu", wire.release(), True),
    ]


def test_a_long_unknown_pdu_is_counted_and_not_collected() -> None:
    log = cut(wire.pdu(0x99, bytes(200_000)) + wire.release(), [1460])
    assert [(e[0], e[-1]) for e in log.events] == [("undecoded", 200_006), ("pdu", True)]


@pytest.mark.parametrize(
    ("kind", "length"),
    [(1, PDU_LIMIT + 1), (1, 4), (2, 9), (5, 0x20000), (0x47, UNKNOWN_LIMIT + 1)],
)
def test_a_length_that_no_such_pdu_has_means_out_of_step(kind: int, length: int) -> None:
    junk = bytes((kind, 0)) + length.to_bytes(4, "big") + b"junk" * 4
    log = cut(junk + wire.command(1, 0x0030) + wire.release(), [5])
    assert log.events[0] == ("missing",)
    assert log.events[1] == ("undecoded", junk, "bytes before the next PDU", len(junk))
    assert log.events[-1] == ("pdu", wire.release(), True)


# ---------------------------------------------------------------------------- gaps


def with_gap(stream: bytes, start: int, end: int) -> Log:
    log = Log()
    framer = Framer(log)
    framer.feed(stream[:start], 1, 0)
    framer.gap(end - start)
    framer.feed(stream[end:], 2, 1)
    framer.end()
    return log


def test_a_gap_inside_of_a_value_keeps_step() -> None:
    stream = wire.data(1, bytes(100)) + wire.release()
    log = with_gap(stream, 20, 60)
    assert log.events == [
        ("value", 1, 2, 100, 106, 12),
        ("data", bytes(8)),
        ("lost", 40),
        ("data", bytes(52)),
        ("end", True),
        ("pdu", wire.release(), True),
    ]


def test_a_gap_that_ends_with_the_value_keeps_step() -> None:
    stream = wire.data(1, bytes(100)) + wire.release()
    assert with_gap(stream, 20, 112).events[-3:] == [
        ("lost", 92),
        ("end", True),
        ("pdu", wire.release(), True),
    ]


def test_a_gap_over_a_header_loses_step_and_says_so() -> None:
    first, second = wire.data(1, bytes(100), last=False), wire.data(1, bytes(100), last=False)
    stream = first + second + wire.command(1, 0x0030) + wire.release()
    log = with_gap(stream, 110, 130)
    kinds = [e[0] for e in log.events]
    assert kinds[:5] == ["value", "data", "lost", "end", "missing"]
    assert kinds[5:] == ["undecoded", "value", "data", "end", "pdu"]
    assert log.counted == len(stream) - 20


def test_a_gap_exactly_over_a_header_is_not_taken_for_nothing() -> None:
    stream = wire.data(1, bytes(100), last=False) + wire.data(1, bytes(100)) + wire.release()
    log = with_gap(stream, 112, 124)
    assert ("missing",) in log.events
    assert log.events[-1] == ("pdu", wire.release(), True)


def test_a_gap_inside_of_a_collected_pdu() -> None:
    request = wire.request([(1, wire.CT, [wire.EXPLICIT])])
    log = with_gap(request + wire.command(1, 0x0030), 50, 90)
    assert log.events[0] == ("pdu", request[:50], False)
    assert log.events[1][:1] == ("undecoded",)
    assert log.events[1][3] == len(request) - 90
    assert [e[0] for e in log.events[2:]] == ["value", "data", "end"]


def test_every_gap_in_a_recorded_stream_is_survived_and_accounted_for() -> None:
    stream = recorded("store-small-pdu", 0)
    random = Random(4)
    whole = [e for e in cut(stream).events if e[0] == "pdu"]
    for _ in range(300):
        start = random.randrange(len(stream))
        length = random.choice((1, 5, 12, 100, 1460, 5000))
        end = min(start + length, len(stream))
        log = with_gap(stream, start, end)
        assert log.counted == len(stream) - (end - start), (start, end)
        assert all(e in whole for e in log.events if e[0] == "pdu" and e[2]), (start, end)


# ---------------------------------------------------------------------------- search


def test_a_stream_that_begins_in_the_middle_of_pixels() -> None:
    random = Random(1)
    pixels = b"".join(random.randrange(40).to_bytes(2, "little") for _ in range(20_000))
    stream = pixels + wire.command(1, 0x0001, 2, dataset=True) + wire.data(1, b"abc")
    for sizes in (None, [1460], [100]):
        log = cut(stream, sizes, searching=True)
        assert [e[0] for e in log.events] == ["value", "data", "end"] * 2, sizes


def test_a_run_of_p_data_without_a_command_is_found_by_what_follows() -> None:
    parts = [wire.data(1, bytes([n]) * 500, last=False) for n in range(5)]
    log = cut(b"\x77" * 300 + b"".join(parts), [200], searching=True)
    assert [e[0] for e in log.events] == ["value", "data", "end"] * 5


def test_a_header_imitated_by_pixels_does_not_hide_what_follows() -> None:
    imitation = b"\x04\x00\x00\x0f\xff\xff\x00\x0f\xff\xf0\x01\x00"  # a million bytes long
    stream = b"\x77" * 30 + imitation + b"\x77" * 300 + wire.command(1, 0x0030) + wire.release()
    log = cut(stream, [64], searching=True)
    assert [e[0] for e in log.events] == ["value", "data", "end", "pdu"]


def test_a_release_imitated_by_pixels_is_none() -> None:
    imitation = wire.release() + b"\x04\x00"
    stream = bytes(50) + imitation + bytes(300) + wire.command(1, 0x0030)
    log = cut(stream, searching=True)
    assert [e[0] for e in log.events] == ["value", "data", "end"]


def test_noise_is_never_taken_for_a_pdu_to_be_trusted() -> None:
    random = Random(7)
    for _ in range(30):
        log = cut(random.randbytes(50_000), [1460], searching=True)
        assert not log.events
    text = b"".join(b"line %d of some protocol or other\r\n" % n for n in range(3000))
    assert not cut(text, [1460], searching=True).events


# ---------------------------------------------------------------------------- recognition


@pytest.mark.parametrize("name", ["worklist", "get", "echo", "negotiation", "print-dcmtk"])
def test_a_request_is_recognised_by_its_first_bytes(name: str) -> None:
    stream = recorded(name, 0)
    verdicts = [starts_association(stream[:size]) for size in range(128)]
    assert verdicts[0] is None
    assert verdicts[-1] is True
    # Undecided, then sure: never no, and never unsure again.
    assert verdicts == sorted(verdicts, key=lambda v: v is True)
    assert False not in verdicts


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\x0bMSH|^~\\&|",
        b"SSH-2.0-OpenSSH_9.2",
        b"220 mail.example ESMTP",
        b"\x01\x00\xff\xff\xff\xff",
        b"\x01\x00\x00\x00\x00\x10" + bytes(100),
        b"\x01\x00\x00\x00\x01\x00" + bytes(100),
    ],
)
def test_what_begins_otherwise_is_none(data: bytes) -> None:
    assert starts_association(data) is False


# ---------------------------------------------------------------------------- tracks


def test_tracks_keep_the_first_frames_and_count_the_rest() -> None:
    track = Track()
    for frame in range(1, 101):
        track.add(10, frame, frame * 1000)
        track.add(5, frame, frame * 1000)
    assert track.frames == tuple(range(1, FRAMES_KEPT + 1))
    assert (track.count, track.last, track.length) == (100, 100, 1500)
    assert (track.began, track.time) == (1000, 100_000)


def test_joining_tracks_counts_a_shared_frame_once() -> None:
    first, second = Track(), Track()
    first.add(10, 1, 100)
    first.add(10, 2, 200)
    second.add(10, 2, 200)
    second.add(10, 3, 300)
    first.join(second)
    assert (first.frames, first.count, first.last, first.length) == ((1, 2, 3), 3, 3, 40)
    assert (first.began, first.time) == (100, 300)
