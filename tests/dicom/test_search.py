"""The next PDU that can be trusted: every byte looked at once, whatever it comes in."""

from __future__ import annotations

import tracemalloc
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomsniff.dicom import search
from dicomsniff.dicom.search import CANDIDATES_KEPT, SEARCH_LIMIT, Search
from tests import wire
from tests.dicom.test_framing import cut
from tests.dicom.test_pdu_hostile import work

WAITED_FOR = b"\x04\x00\x00\x0f\xff\xff\x00\x0f\xff\xfb\x01\x00"
"""A P-DATA-TF of a megabyte, as far as its header tells."""


class Looks:
    """A pattern that counts the bytes it is asked to look at."""

    def __init__(self, pattern: Any) -> None:
        self._pattern = pattern
        self.bytes = 0

    def search(self, data: bytearray, at: int) -> Any:
        found = self._pattern.search(data, at)
        self.bytes += (found.start() + 1 if found else len(data)) - at
        return found

    def match(self, data: bytearray, at: int) -> Any:
        self.bytes += 12
        return self._pattern.match(data, at)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Count what is looked at."""
    counted = Looks(search._CANDIDATE)
    monkeypatch.setattr(search, "_CANDIDATE", counted)
    return counted


def fed(stream: bytes, size: int) -> Search:
    """A search that was given a stream in pieces of one size; where it found, it begins anew."""
    looking = Search()
    for at in range(0, len(stream), size):
        if looking.add(stream[at : at + size], at, at, True, True):
            looking = Search()
        looking.given_up()
    return looking


HELD = {
    "nothing but noise": Random(3).randbytes(20_000),
    "one candidate of a megabyte": WAITED_FOR + bytes([0x77]) * 20_000,
    "candidates without end": WAITED_FOR * 1700,
    "candidates that are told soon": (b"\x04\0\0\0\0\x20\0\0\0\x1c\x01\0" + b"\x77" * 2) * 1400,
    "requests": b"\x01\0\0\0\x44\x40\0\x01\0\0" * 2000,
    "releases": wire.release() * 2 + (wire.release() + b"\x77") * 1700,
    "command headers": b"\x04\0\0\0\0\x20\0\0\0\x1c\x01\x03\0\0\0\0\x04\0\0" * 1000,
}


@pytest.mark.parametrize("stream", HELD.values(), ids=HELD)
@pytest.mark.parametrize("size", [1, 7, 1460])
def test_the_work_does_not_depend_on_what_is_held(stream: bytes, size: int, looks: Looks) -> None:
    calls = work(stream, lambda data: fed(data, size))
    pieces = len(stream) / size
    assert looks.bytes <= 13 * len(stream) + 24 * pieces
    # A candidate is judged again for the next bytes behind it, never for all that follow.
    assert calls <= 40 * pieces + 15 * len(stream)


def test_work_per_byte_is_the_same_for_a_short_and_a_long_stream(looks: Looks) -> None:
    small = work(WAITED_FOR + b"\x77" * 5_000, lambda data: fed(data, 1))
    seen, looks.bytes = looks.bytes, 0
    large = work(WAITED_FOR + b"\x77" * 20_000, lambda data: fed(data, 1))
    assert large <= 4.1 * small
    assert looks.bytes <= 4.1 * seen


@pytest.mark.parametrize("stream", [WAITED_FOR + b"\x77" * 200_000, WAITED_FOR * 12_000])
def test_memory_is_bounded_in_pieces_of_one_byte(stream: bytes) -> None:
    tracemalloc.start()
    try:
        looking = fed(stream, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(looking) <= SEARCH_LIMIT
    assert len(looking._waiting) <= CANDIDATES_KEPT
    assert peak < 4 * 1024 * 1024


def test_a_megabyte_held_and_no_more() -> None:
    looking = fed(WAITED_FOR + b"\x77" * (2 * SEARCH_LIMIT), 1460)
    assert len(looking) <= 12


def test_a_megabyte_of_one_byte_segments_goes_through_a_framer() -> None:
    """What was waited for proves to be none: everything is counted, and the next PDU is found."""
    stream = b"\x77" * 20 + WAITED_FOR + b"\x77" * 300_000 + wire.command(1, 0x0030)
    log = cut(stream, [1], searching=True)
    assert [e[0] for e in log.events] == ["value", "data", "end"]


# ---------------------------------------------------------------------------- ten bytes, most zero


PIXELS = b"\x11\x00" * 100
SHORT = {"release": wire.release(), "abort": wire.abort(2, 1), "reject": wire.reject()}


@pytest.mark.parametrize("pdu", SHORT.values(), ids=SHORT)
def test_at_the_end_of_somebody_elses_segment_it_is_none(pdu: bytes) -> None:
    looking = Search()
    assert not looking.add(PIXELS + pdu, 1, 1, True, True)
    assert not looking.add(PIXELS, 2, 2, True, True)
    assert not looking.finish(True)


@pytest.mark.parametrize("pdu", SHORT.values(), ids=SHORT)
def test_in_a_segment_of_its_own_it_is_one(pdu: bytes) -> None:
    looking = Search()
    assert not looking.add(PIXELS, 1, 1, True, True)
    assert looking.add(pdu, 2, 2, True, True)
    assert looking.given_up()[0] == PIXELS
    assert looking.rest() == [(pdu, 2, 2)]


@pytest.mark.parametrize("pdu", SHORT.values(), ids=SHORT)
def test_in_segments_of_its_own_it_is_one(pdu: bytes) -> None:
    looking = Search()
    looking.add(PIXELS, 1, 1, True, True)
    found = [looking.add(pdu[n : n + 1], 2 + n, 2, True, True) for n in range(10)]
    assert found == [False] * 9 + [True]


@pytest.mark.parametrize("pdu", SHORT.values(), ids=SHORT)
@pytest.mark.parametrize("size", [1, 5, 100])
def test_with_a_header_behind_it_it_is_one(pdu: bytes, size: int) -> None:
    following = wire.request([(1, wire.CT, [wire.EXPLICIT])])[:size]
    looking = Search()
    assert looking.add(PIXELS + pdu + following, 1, 1, True, True) == (size == 100)
    if size < 100:
        assert looking.add(wire.request([])[size:], 2, 2, True, True)
    assert looking.given_up()[0] == PIXELS


@pytest.mark.parametrize("pdu", SHORT.values(), ids=SHORT)
def test_where_everything_ends_with_it_it_is_one(pdu: bytes) -> None:
    looking = Search()
    assert not looking.add(PIXELS + pdu, 1, 1, True, True)
    assert looking.finish(True)
    assert looking.given_up()[0] == PIXELS
    looking = Search()
    looking.add(PIXELS + pdu, 1, 1, True, True)
    assert not looking.finish(False), "bytes follow that were not captured"


def test_a_segment_whose_beginning_was_given_up_does_not_begin_there() -> None:
    looking = Search()
    looking.add(b"\x77" * 50 + wire.release()[:4], 1, 1, True, True)
    looking.given_up()
    assert not looking.add(wire.release()[4:], 2, 2, True, True)


# ---------------------------------------------------------------------------- nothing is left out


@given(
    pieces=st.lists(
        st.one_of(
            st.sampled_from([*SHORT.values(), WAITED_FOR, wire.data(1, b"abc"), b"\x04\0", PIXELS]),
            st.binary(min_size=1, max_size=40),
        ),
        max_size=12,
    ),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    step=st.integers(1, 40),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_in_any_pieces_are_counted(
    pieces: list[bytes], sizes: list[int], step: int
) -> None:
    stream = b"".join(pieces)
    before = search.STEP
    try:
        from dicomsniff.dicom import framing

        framing.STEP = step
        log = cut(b"\x09\xff" + b"\xff" * 4 + stream, sizes)
    finally:
        framing.STEP = before
    assert log.counted == len(stream) + 6
    order = [e for e in log.events if e[0] == "undecoded"]
    for event in order:
        assert event[1] in b"\x09\xff" + b"\xff" * 4 + stream
