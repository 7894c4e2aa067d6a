"""One direction: offsets, wrap-around, overlaps, conflicts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dicomsniff.tcp.connection import Connection
from dicomsniff.tcp.stream import Piece, Stream, distance


def stream(first: int = 1000) -> Stream:
    made = Connection(b"a" * 12, b"b" * 12).streams[0]
    made.begin(first)
    return made


def piece(offset: int, data: bytes | None, length: int = 0, serial: int = 0) -> Piece:
    return Piece(offset, len(data) if data is not None else length, data, 1, 0, None, serial)


def test_distance_counts_across_the_wrap_around() -> None:
    assert distance(5, 0xFFFFFFFB) == 10
    assert distance(0xFFFFFFFB, 5) == -10
    assert distance(7, 7) == 0


@given(origin=st.integers(0, 2**32 - 1), step=st.integers(-(2**31), 2**31 - 1))
def test_distance_is_the_signed_difference_modulo_2_to_the_32(origin: int, step: int) -> None:
    assert distance((origin + step) % 2**32, origin) == step


def test_offsets_go_on_where_sequence_numbers_wrap() -> None:
    s = stream(0xFFFFFFF0)
    assert s.take(piece(0, b"x" * 32)) == (b"x" * 32, 32)
    assert s.next_seq == 16
    assert s.offset_of(20) == 36
    assert s.offset_of(0xFFFFFFFF) == 15


def test_the_first_bytes_win_and_only_the_new_ones_are_taken() -> None:
    s = stream()
    s.take(piece(0, b"abcdef"))
    assert s.take(piece(3, b"defghi")) == (b"ghi", 3)
    assert s.conflicts == 0
    assert s.take(piece(0, b"abcdef")) == (None, 0)


def test_other_bytes_at_a_place_already_taken_are_a_conflict() -> None:
    s = stream()
    s.take(piece(0, b"abcdef"))
    assert s.take(piece(3, b"dXfghi")) == (b"ghi", 3)
    assert s.conflicts == 1


def test_bytes_that_were_sent_and_cut_away_are_a_hole_of_known_size() -> None:
    s = stream()
    s.take(piece(0, b"abc"))
    assert s.take(piece(2, None, 10)) == (None, 9)
    assert s.offset == 12


def test_what_comes_before_the_beginning_is_known_takes_its_place_afterwards() -> None:
    s = Connection(b"a" * 12, b"b" * 12).streams[0]
    s.early = [(1003, piece(0, b"def")), (1000, piece(0, b"abc")), (1006, piece(0, None, 0))]
    s.begin(1000)
    assert [p.data for p in s.pending] == [b"abc", b"def"]
    assert s.held == 6
    assert s.fin is not None
    assert s.fin.offset == 6


@given(
    data=st.binary(min_size=1, max_size=60),
    cuts=st.lists(st.tuples(st.integers(0, 59), st.integers(1, 60)), max_size=20),
)
def test_pieces_in_any_order_give_the_bytes_that_were_sent(
    data: bytes, cuts: list[tuple[int, int]]
) -> None:
    s = stream(0xFFFFFFFF)
    for serial, (start, length) in enumerate([*cuts, (0, len(data))]):
        part = data[start : start + length]
        if part:
            s.hold(piece(start, part, serial=serial))
    assert [p.offset for p in s.pending] == sorted(p.offset for p in s.pending)
    out = b""
    for p in s.pending:
        new, _ = s.take(p)
        out += new or b""
    assert out == data
    assert s.conflicts == 0


def test_beyond_is_what_an_acknowledgement_covers_and_nobody_saw() -> None:
    s = stream(0xFFFFFFFE)
    assert s.beyond(3) == 5
    assert s.beyond(0xFFFFFFF0) == 0
    assert s.beyond(None) == 0
