"""Wireless frames in which nothing can be read, and any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomsniff.model import Frame
from dicomsniff.tcp.frames import Dissector
from dicomsniff.tcp.wlan import DOT11, LINKS, RADIOTAP, dot11, wlan

ADDRESSES = bytes(range(18))
PACKET = b"\xaa\xaa\x03\0\0\0\x08\x00" + bytes(40)


def frame(control: bytes) -> bytes:
    return control + bytes(2) + ADDRESSES + bytes(2) + PACKET


def test_a_data_frame() -> None:
    assert dot11(frame(b"\x08\x02"), 0) == (0x0800, 32)


@pytest.mark.parametrize(
    "control",
    [b"\x80\x00", b"\x48\x02", b"\x09\x02", b"\xd4\x00"],
    ids=["beacon", "empty", "another version", "acknowledgement"],
)
def test_nothing_to_read(control: bytes) -> None:
    assert dot11(frame(control), 0) is None


def test_encryption_is_told() -> None:
    dissector = Dissector()
    data = frame(b"\x08\x42")
    assert dissector.segment(Frame(1, 0, DOT11, data, len(data))) is None
    (line,) = dissector.notices
    assert line.startswith("1 wireless packets are encrypted")


def test_a_header_that_points_behind_the_end() -> None:
    assert wlan(RADIOTAP, b"\0\0\xff\xff" + frame(b"\x08\x02")) is None


@given(st.sampled_from(sorted(LINKS)), st.binary(max_size=120))
def test_no_bytes_raise(link_type: int, data: bytes) -> None:
    for each in (data, b"\0\0" + data, b"\0\0\x08\0" + data, b"\0\0\x08\0\x03\0\0\0" + data):
        inside = wlan(link_type, each)
        assert inside is None or inside[1] <= len(each)
