"""Shares of a capture together tell what one pipeline tells. Without processes: those have
``tests/test_jobs.py``."""

from __future__ import annotations

from random import Random
from typing import Any, cast

import pytest

from dicomsniff.analysis import shares
from dicomsniff.analysis.crew import Crew
from dicomsniff.analysis.shares import BeginAnew, Shared
from dicomsniff.model import CaptureInfo, Decrypted, Frame
from dicomsniff.tcp.split import Splitter
from tests import mixed
from tests.local import Local, Rows, alone, shared, stretches, told

NAMES = [name for name, _ in mixed.captures(Random(5))]


@pytest.fixture(scope="module")
def captures() -> dict[str, list[Frame]]:
    return dict(mixed.captures(Random(5)))


@pytest.mark.parametrize("name", NAMES)
def test_the_same(captures: dict[str, list[Frame]], name: str) -> None:
    frames = captures[name]
    whole = alone(frames)
    assert len(cast(list[str], whole["rows"])) > 500
    for count, at_once in ((2, 37), (3, 1000), (7, 400)):
        assert shared(frames, count, at_once) == whole


def test_what_icmp_says_comes_from_all_shares(captures: dict[str, list[Frame]]) -> None:
    info = cast(CaptureInfo, alone(captures["rejected"])["info"])
    assert any(each.answer == "unreachable" and each.unreachable for each in info.attempts)


def test_copies_are_found(captures: dict[str, list[Frame]]) -> None:
    """Some come too late to be known, which shares find out together."""
    info = cast(Any, alone(captures["copied-late"])["info"])
    copies = len(captures["copied-late"]) - len(captures["plain"])
    assert 0 < info.duplicates < copies


def test_pieces_longer_than_what_is_shared_at_once(
    captures: dict[str, list[Frame]], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = captures["plain"]
    monkeypatch.setattr(shares, "SLOT", 1 << 12)
    assert shared(frames, 2, 100) == alone(frames)


def test_frames_one_by_one(captures: dict[str, list[Frame]]) -> None:
    frames = captures["datagrams"]
    rows: list[str] = []
    pipeline = Shared(cast(Crew, Local(2)), rows.append, always=True)
    for frame in frames:
        pipeline.feed(frame)
    pipeline.finish()
    assert told(pipeline, rows) == alone(frames)


def test_both_directions_have_one_owner() -> None:
    splitter = Splitter(4)
    owners = set()
    for number in range(1000):
        client, server = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
        # Systems give the ports of clients out in steps of two.
        port = (30_000 + 2 * number).to_bytes(2, "big")
        key = client + server + port + b"\x2b\x67"
        back = server + client + b"\x2b\x67" + port
        assert splitter.owner(key) == splitter.owner(back)
        owners.add(splitter.owner(key))
    assert owners == {0, 1, 2, 3}


def _unasked(frames: list[Frame]) -> tuple[Local, Shared, list[str], Rows]:
    crew = Local(2)
    rows: list[str] = []
    listener = Rows(frames)
    pipeline = Shared(cast(Crew, crew), rows.append, listener=listener)
    for stretch in stretches(frames, 500):
        pipeline.feed_many(stretch)
    pipeline.finish()
    return crew, pipeline, rows, listener


def test_unasked_it_shares_many_connections(captures: dict[str, list[Frame]]) -> None:
    frames = captures["plain"]
    crew, pipeline, rows, listener = _unasked(frames)
    assert not crew.closed
    assert not listener.rows
    assert told(pipeline, rows) == alone(frames)


def test_unasked_it_does_one_connection_alone(captures: dict[str, list[Frame]]) -> None:
    size: dict[bytes, int] = {}
    for frame in captures["plain"]:
        ports = bytes(sorted(frame.data[26:38]))
        size[ports] = size.get(ports, 0) + len(frame.data)
    most = max(size, key=size.__getitem__)
    frames = [f for f in captures["plain"] if bytes(sorted(f.data[26:38])) == most]
    frames = [frame._replace(number=number) for number, frame in enumerate(frames, 1)]
    crew, pipeline, rows, listener = _unasked(frames)
    assert crew.closed
    assert not rows
    assert told(pipeline, listener.rows) == alone(frames)


def test_unasked_it_does_long_packets_alone(captures: dict[str, list[Frame]]) -> None:
    long = [frame for frame in captures["plain"] if len(frame.data) > shares.LONG]
    frames = [frame._replace(number=number) for number, frame in enumerate(long, 1)]
    assert sum(len(frame.data) for frame in frames) > shares.LOOK
    crew, pipeline, rows, listener = _unasked(frames)
    assert crew.closed
    assert not rows
    assert told(pipeline, listener.rows) == alone(frames)


def test_what_is_decrypted_goes_to_one_process(captures: dict[str, list[Frame]]) -> None:
    pipeline = Shared(cast(Crew, Local(2)), lambda _: None, always=True)
    with pytest.raises(BeginAnew):
        pipeline.feed(Decrypted(*captures["plain"][0]))
    pipeline.finish()
