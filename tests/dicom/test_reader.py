"""The cursor: what is missing gives a fault inside the input, never an exception."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dicomsniff.dicom.reader import BYTES_SHOWN, FAULTS_KEPT, Reader, hexadecimal
from dicomsniff.model import Fault, Node


def reader(data: bytes, limit: int | None = None, node: Node | None = None) -> Reader:
    return Reader(data, 0, len(data) if limit is None else limit, [], node)


def test_numbers_are_big_endian() -> None:
    r = reader(b"\x01\x02\x03\x04\x05\x06\x07")
    assert (r.u8("a"), r.u16("b"), r.u32("c")) == (0x01, 0x0203, 0x04050607)
    assert r.remaining == 0
    assert r.faults == []


def test_a_number_that_is_not_there_is_a_fault() -> None:
    for data in (b"", b"\x01", b"\x01\x02\x03"):
        r = reader(data)
        assert r.u32("Length") is None
        assert r.faults == [Fault("Length is missing", 0, len(data))]
        assert r.remaining == 0
    assert reader(b"").u8("x") is None
    assert reader(b"\x01").u16("x") is None


def test_what_a_cut_took_away_is_no_fault_of_its_own() -> None:
    r = reader(b"\x01", limit=8)
    assert r.cut
    assert r.u32("Length") is None
    assert r.take(4, "Name") == b""
    assert r.faults == []


def test_take_gives_what_there_is() -> None:
    r = reader(b"abc")
    assert r.take(5, "Name") == b"abc"
    assert r.faults == [Fault("Name has a length of 5, 3 bytes are left", 0, 3)]


def test_a_sub_reader_keeps_offsets_and_stays_in_its_parent() -> None:
    r = reader(b"abcdef")
    r.take(1, "x")
    inner = r.sub(3)
    assert (inner.pos, inner.end, inner.limit) == (1, 4, 4)
    assert inner.take(3, "y") == b"bcd"
    assert r.take(2, "z") == b"ef"
    outer = reader(b"abcdef", limit=4)
    assert outer.sub(9).limit == 4
    cut = reader(b"abc", limit=10).sub(5)
    assert (cut.end, cut.limit, cut.cut) == (3, 5, True)


def test_a_sub_reader_shares_the_faults() -> None:
    r = reader(b"ab")
    r.sub(1).u16("Inner")
    assert r.faults == [Fault("Inner is missing", 0, 1)]


def test_nodes_are_left_only_when_asked_for() -> None:
    root = Node("root", "", 0, 9)
    r = reader(b"\x01\x00\x02ab\xff\xff", node=root)
    r.u8("kind", lambda n: f"kind {n}")
    r.u16("size")
    start = r.pos
    r.take(2, "name")
    r.record("name", "ab", start)
    r.skip(1)
    r.leftover()
    assert [(n.name, n.value, n.start, n.end) for n in root.children] == [
        ("kind", "1 (kind 1)", 0, 1),
        ("size", "2", 1, 3),
        ("name", "ab", 3, 5),
        ("Reserved", "ff", 5, 6),
        ("Unexpected bytes", "ff", 6, 7),
    ]
    assert [f.text for f in r.faults] == ["1 bytes behind the last field"]


def test_leftover_of_a_secret_is_not_shown() -> None:
    root = Node("root", "", 0, 6)
    reader(b"secret", node=root).leftover(sensitive=True)
    assert root.children == [Node("Unexpected bytes", "6 bytes, not shown", 0, 6, sensitive=True)]


def test_faults_are_bounded_and_say_so() -> None:
    r = reader(b"x")
    for n in range(10 * FAULTS_KEPT):
        r.fault(str(n), 0, 1)
    assert len(r.faults) == FAULTS_KEPT + 1
    assert r.faults[-1].text == "Further faults are left out"


def test_hexadecimal_fits_a_line() -> None:
    assert hexadecimal(b"\x00\xff") == "00 ff"
    assert hexadecimal(bytes(BYTES_SHOWN)).endswith("00")
    assert hexadecimal(bytes(1 << 20)).endswith("00…")


OPERATIONS = st.sampled_from(["u8", "u16", "u32", "take", "skip", "sub", "leftover"])


@settings(deadline=None)
@given(
    st.binary(max_size=40),
    st.integers(0, 60),
    st.lists(st.tuples(OPERATIONS, st.integers(0, 1 << 32)), max_size=12),
)
def test_any_reads_stay_inside(data: bytes, limit: int, steps: list[tuple[str, int]]) -> None:
    r = reader(data, limit, Node("", "", 0, len(data)))
    current = r
    for name, size in steps:
        if name in ("u8", "u16", "u32"):
            value = getattr(current, name)("x")
            assert value is None or 0 <= value < 1 << (int(name[1:]))
        elif name == "leftover":
            current.leftover()
        elif name == "sub":
            before = current.pos
            inner = current.sub(size, current.node)
            assert before <= inner.end == current.pos <= current.end
            current = inner
        else:
            taken = getattr(current, name)(size, "x")
            assert taken is None or len(taken) <= size
        assert 0 <= current.pos <= max(current.end, 0) <= len(data)
    for fault in r.faults:
        assert 0 <= fault.start <= fault.end <= len(data)
