"""Any bytes as a capture: read as far as they make sense, whole or in any split, and no further."""

from __future__ import annotations

import gzip

from hypothesis import given, settings
from hypothesis import strategies as st

from dicomsniff.model import Frame
from dicomsniff.sources.pcap import Damage
from dicomsniff.sources.pcapfile import read_frames
from dicomsniff.sources.stream import Gunzip, Stream
from tests import rewrite
from tests.hostile.bombs import calls
from tests.support import capture


class Pieces:
    """An input that comes in pieces of given sizes, over and over."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = data
        self._sizes = sizes
        self._at = 0
        self._turn = 0

    def read(self, size: int, /) -> bytes:
        if self._sizes:
            size = min(size, self._sizes[self._turn % len(self._sizes)])
            self._turn += 1
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def close(self) -> None:
        pass


def read(data: bytes, sizes: list[int] | None = None) -> tuple[list[Frame], str]:
    """The frames, and what is said of the damage behind them."""
    pieces = Pieces(data, sizes or [])
    stream = Stream(Gunzip(pieces)) if data[:2] == b"\x1f\x8b" else Stream(pieces)
    frames: list[Frame] = []
    try:
        frames.extend(read_frames(stream).frames())  # those in front of the damage stay
    except Damage as damage:
        return frames, str(damage)
    return frames, ""


def _made() -> list[bytes]:
    packets = rewrite.load(capture("echo.pcapng"))[:12]
    frames = rewrite.frames(packets)
    return [
        capture("echo.pcapng").read_bytes()[:6000],
        *(
            rewrite.pcap(frames, nanoseconds=nano, big_endian=big)
            for nano in (False, True)
            for big in (False, True)
        ),
        gzip.compress(rewrite.pcap(frames, nanoseconds=True), mtime=0),
    ]


MADE = _made()
SIZES = st.lists(st.sampled_from((1, 2, 3, 15, 16, 17, 1000)), max_size=4)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A capture with bytes changed, cut out, put in, and cut off."""
    data = bytearray(draw(st.sampled_from(MADE)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        put = draw(
            st.binary(max_size=8) | st.sampled_from((b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4)))
        )
        data[at : at + draw(st.sampled_from((0, 1, 4, len(put))))] = put
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@given(data=damaged() | st.binary(max_size=200), sizes=SIZES)
@settings(max_examples=250, deadline=None)
def test_any_bytes_in_any_split(data: bytes, sizes: list[int]) -> None:
    frames, damage = read(data)
    assert read(data, sizes) == (frames, damage)
    assert damage.isprintable()
    # Numbers may be missing where a block has one that holds no frame.
    numbers = [frame.number for frame in frames]
    assert numbers == sorted(set(numbers))
    if data[:2] != b"\x1f\x8b":
        assert sum(len(frame.data) for frame in frames) <= len(data), "bytes out of nothing"
    for frame in frames:
        assert len(frame.data) <= frame.length


@given(data=damaged())
@settings(max_examples=60, deadline=None)
def test_the_work_is_bounded_by_the_bytes(data: bytes) -> None:
    read(data)  # what is imported once is not counted
    assert calls(lambda: read(data)) <= 3000 + 4 * len(data)
