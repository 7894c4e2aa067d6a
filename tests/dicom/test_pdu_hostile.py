"""Bytes that nobody should send: any at all, and a great many of them."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicomsniff.dicom.pdu import decode, layout
from dicomsniff.dicom.reader import FAULTS_KEPT
from tests.dicom.building import (
    APPLICATION,
    MAXIMUM,
    USER,
    associate,
    check,
    context,
    everything,
    item,
    pdu,
)


@settings(deadline=None)
@given(st.binary(max_size=300))
@example(b"")
@example(b"\x01")
@example(b"\x04\0\xff\xff\xff\xff" + b"\xff\xff\xff\xff" * 3)
def test_any_bytes(data: bytes) -> None:
    check(data)


@settings(deadline=None)
@given(st.integers(1, 7), st.binary(max_size=200))
def test_any_content(kind: int, content: bytes) -> None:
    check(pdu(kind, content))


@st.composite
def item_trees(draw: st.DrawFn) -> bytes:
    kinds = st.sampled_from([0x10, 0x20, 0x21, 0x30, 0x40, *range(0x50, 0x5B), 0x77])
    content = st.recursive(
        st.binary(max_size=24),
        lambda inner: st.lists(st.builds(item, kinds, inner), max_size=4).map(b"".join),
        max_leaves=12,
    )
    built = st.builds(item, kinds, content, st.none() | st.integers(0, 80))
    return associate(
        b"".join(draw(st.lists(built, max_size=6))), kind=draw(st.sampled_from([1, 2]))
    )


@settings(deadline=None)
@given(item_trees())
def test_any_items(data: bytes) -> None:
    check(data)


@settings(deadline=None)
@given(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=4))
def test_a_changed_request(at: int, new: bytes) -> None:
    data = bytearray(everything())
    at %= len(data)
    data[at : at + len(new)] = new
    check(bytes(data))


def work(data: bytes, call: Any) -> int:
    """Count the calls that decoding makes, C functions included: the same on every machine."""
    count = 0

    def counter(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        if event.endswith("call"):
            count += 1

    sys.setprofile(counter)
    try:
        call(data)
    finally:
        sys.setprofile(None)
    return count


def repeated(piece: bytes, size: int) -> bytes:
    return piece * (size // len(piece))


FLOODS = {
    "empty unknown items": lambda n: associate(repeated(item(0x77), n)),
    "empty contexts": lambda n: associate(repeated(item(0x20), n)),
    "the same context": lambda n: associate(repeated(context(), n)),
    "application contexts": lambda n: associate(repeated(APPLICATION, n)),
    "empty user informations": lambda n: associate(repeated(item(0x50), n)),
    "user informations with misfits": lambda n: associate(
        repeated(item(0x50, item(0x58, b"\2\0\0\xff")), n)
    ),
    "misfits that enclose well": lambda n: associate(
        item(0x50, repeated(item(0x58, b"\2\0\0\xff"), min(n, 1 << 15)))
        + repeated(item(0x50), max(0, n - (1 << 15)))
    ),
    "roles": lambda n: associate(repeated(item(0x50, repeated(item(0x54, b"\0\0\0\0"), 30000)), n)),
    "related classes without length": lambda n: associate(
        repeated(item(0x50, item(0x57, b"\0\0\0\0\x75\x30" + bytes(30000))), n)
    ),
    "values without data": lambda n: pdu(4, repeated(b"\0\0\0\2\1\0", n)),
    "values without anything": lambda n: pdu(4, repeated(bytes(4), n)),
    "one unknown PDU": lambda n: pdu(9, bytes(n)),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
@pytest.mark.parametrize("call", [decode, layout])
def test_work_grows_no_faster_than_the_input(flood: Any, call: Any) -> None:
    small, large = flood(1 << 15), flood(1 << 17)
    assert work(large, call) <= 1.1 * len(large) / len(small) * work(small, call) + 500


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_megabyte_of_nonsense(flood: Any) -> None:
    data = flood(1 << 20)
    got = decode(data)
    assert len(got.faults) <= FAULTS_KEPT + 1


@pytest.mark.parametrize("length", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("kind", range(9))
def test_lengths_that_lie(kind: int, length: int) -> None:
    check(pdu(kind, context() + USER, length))
    check(associate(item(0x20, b"", 0xFFFF) * 9 + item(0x50, MAXIMUM, 0xFFFF), length=length))


def test_lengths_that_lie_within_lengths_that_lie() -> None:
    nest = b""
    for kind in (0x52, 0x57, 0x50, 0x40, 0x30, 0x20, 0x10):
        nest = item(kind, nest, 0xFFFF)
    check(associate(nest))
