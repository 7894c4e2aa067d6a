"""The quick way gives what the other gives: held against it, frame by frame."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from pathlib import Path

import pytest

from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.model import Association, CaptureInfo, Entry, Frame, Stretch
from dicomsniff.output.timeline import row
from tests import rewrite
from tests.support import CAPTURES, capture

EVERY = sorted(CAPTURES.glob("*.pcapng"))


class Rows(Listener):
    """What is told of a capture, and after which frame."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.info: CaptureInfo | None = None

    def entry_added(self, association: Association, entry: Entry) -> None:
        self.told.append((row(association, entry, 0), entry.frames, entry.frame_count))

    def association_ended(self, association: Association) -> None:
        assert self.info is not None
        self.told.append((association.id, association.outcome, self.info.last))
        self.told.append((astuple(association.requestor), astuple(association.acceptor)))
        self.told.append(tuple(association.gaps))


def stretched(frames: Iterable[Frame], size: int) -> Iterator[Stretch]:
    """The frames in one buffer, ``size`` at a time, with something between them."""
    listed = list(frames)
    for at in range(0, len(listed), size):
        buffer = bytearray()
        places = []
        for frame in listed[at : at + size]:
            buffer += b"between them"
            start = len(buffer)
            buffer += frame.data
            places.append(
                (frame.number, frame.time, frame.link_type, start, len(buffer), frame.length)
            )
        yield Stretch(bytes(buffer), places)


def both(frames: Iterable[Frame], size: int = 7) -> tuple[list[object], CaptureInfo]:
    """What both ways tell, after holding one against the other."""
    listed = list(frames)
    ways = []
    for many in (False, True):
        rows = Rows()
        pipeline = Pipeline(listener=rows, checks=False)
        rows.info = pipeline.info
        if many:
            for stretch in stretched(listed, size):
                pipeline.feed_many(stretch)
        else:
            for frame in listed:
                pipeline.feed(frame)
        pipeline.finish()
        ways.append((rows.told, pipeline.info))
    assert ways[1] == ways[0]
    return ways[0]


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_every_capture(path: Path) -> None:
    told, info = both(rewrite.raw_frames(path))
    assert info.packets
    assert told or info.attempts or "healthy" not in path.stem


@pytest.mark.parametrize("size", [1, 1000])
def test_stretches_of_any_size(size: int) -> None:
    told, _ = both(rewrite.raw_frames(capture("store-transfer-syntaxes.pcapng")), size)
    assert told


def packets() -> list[rewrite.Packet]:
    return rewrite.load(capture("worklist.pcapng"))


def renumbered(frames: Iterable[Frame]) -> list[Frame]:
    return [frame._replace(number=number) for number, frame in enumerate(frames, 1)]


def test_disorder_and_repetition() -> None:
    chance = random.Random(9)
    cut = rewrite.cut(packets(), 1, 190, chance)
    told, _ = both(rewrite.frames(rewrite.repeated(rewrite.shuffled(cut, 6, chance), 0.1, chance)))
    assert told


def test_ipv6() -> None:
    told, _ = both(rewrite.frames(rewrite.on_ipv6(packets())))
    assert told


def test_copies_are_counted_alike() -> None:
    once = rewrite.raw_frames(capture("worklist.pcapng"))
    twice = [frame for frame in once for _ in range(2)]
    told, info = both(renumbered(twice))
    assert told
    assert info.duplicates == len(twice) // 2


@pytest.mark.parametrize("snap", [40, 54, 60, 66, 90, 200])
def test_a_snap_length_cuts_alike(snap: int) -> None:
    cut = [
        frame._replace(data=frame.data[:snap])
        for frame in rewrite.raw_frames(capture("store-transfer-syntaxes.pcapng"))
    ]
    _, info = both(cut)
    assert info.cut


def test_lengths_of_zero_and_padding() -> None:
    """Offloading leaves the IP header's length to the network card; short frames are padded."""
    odd = []
    for frame in rewrite.frames(packets()):
        data = frame.data + bytes(6)
        if len(frame.data) > 60:
            data = frame.data[:16] + b"\0\0" + frame.data[18:]
        odd.append(frame._replace(data=data, length=len(data)))
    told, _ = both(odd)
    assert told


def test_noise() -> None:
    chance = random.Random(4)
    noisy = []
    for frame in rewrite.frames(packets()):
        data = bytearray(frame.data)
        if chance.random() < 0.3:
            data[chance.randrange(min(54, len(data)))] ^= 1 << chance.randrange(8)
        noisy.append(frame._replace(data=bytes(data)))
    told, _ = both(noisy)
    assert told


def test_missing_frames_and_a_clock_set_back() -> None:
    chance = random.Random(2)
    kept = [frame for frame in rewrite.frames(packets()) if chance.random() < 0.9]
    jumped = [
        frame._replace(time=frame.time - 20_000_000_000 * (number > len(kept) // 2))
        for number, frame in enumerate(kept)
    ]
    told, _ = both(jumped)
    assert told
