"""Bytes that were not captured: nothing readable is lost, and nothing is made up."""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from dicomsniff.analysis.pipeline import Listener, Pipeline, run
from dicomsniff.model import Association
from dicomsniff.sources import open_capture
from tests import rewrite
from tests.hostile.loss import lose, said, snapped, whole
from tests.rewrite import Packet
from tests.support import capture, require

NAMES = (
    "store",
    "worklist",
    "get",
    "store-small-pdu",
    "query-study",
    "move",
    "async",
    "print",
    "store-large-pdu",
    "two-associations-one-connection",
)


@functools.cache
def packets(name: str) -> tuple[Packet, ...]:
    """A recorded session in segments as small as they are on the way."""
    return tuple(rewrite.cut(rewrite.load(capture(f"{name}.pcapng")), 400, 1460, Random(1)))


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("name", NAMES)
def test_what_arrived_whole_is_decoded_and_each_hole_is_a_gap(name: str, share: float) -> None:
    """The segments that carried each message in the whole session say what must still be there."""
    listed = list(packets(name))
    everything = rewrite.rebuild(listed)
    known = said(everything)
    for seed in range(6):
        left = lose(listed, share, Random(seed))
        rebuilt = rewrite.rebuild(left)
        found = said(rebuilt)
        assert not whole(listed, left) - found, "whole, and not decoded"
        made_up = [key for key in found - known if key[1] != "CONNECTION-LOST"]
        assert not made_up
        if any(association.partial for association in rebuilt):
            continue
        for port in {packet.sport for packet in listed}:
            away = sum(
                len(packet.payload)
                for packet in (Counter(listed) - Counter(left)).elements()
                if packet.sport == port
            )
            gaps = sum(
                gap.length
                for association in rebuilt
                for gap in association.gaps
                if association.peer(gap.sender).port == port
            )
            assert gaps == away


class Kept(Listener):
    """Everything that was found."""

    def __init__(self) -> None:
        self.associations: list[Association] = []

    def association_began(self, association: Association) -> None:
        self.associations.append(association)


def read(path: Path, reader: str) -> tuple[list[Association], Pipeline]:
    listener = Kept()
    pipeline = Pipeline(listener=listener)
    run(open_capture(str(path), reader=reader), pipeline)
    return listener.associations, pipeline


@pytest.mark.parametrize("reader", ["scapy", "pyshark"])
@pytest.mark.parametrize("name", ["worklist", "store", "get", "echo", "worklist-refused"])
@pytest.mark.parametrize("length", [80, 96, 128, 200])
def test_a_snap_length_leaves_what_can_be_known(
    name: str, length: int, reader: str, tmp_path: Path
) -> None:
    if reader == "pyshark":
        require("tshark")
    frames = list(rewrite.raw_frames(capture(f"{name}.pcapng")))
    path = tmp_path / "short.pcap"
    path.write_bytes(rewrite.pcap(snapped(frames, length)))
    entire, _ = read(capture(f"{name}.pcapng"), "scapy")
    found, pipeline = read(path, reader)
    assert pipeline.info.truncated
    assert pipeline.info.cut == sum(len(frame.data) > length for frame in frames)
    assert any("were cut short" in finding.title for finding in pipeline.findings)
    assert len(found) == len(entire)
    for ours, theirs in zip(found, entire, strict=True):
        assert not ours.partial, "recognised by the first bytes of its request"
        assert ours.outcome == theirs.outcome
        if length >= 96:
            assert ours.acceptor.ae_title == theirs.acceptor.ae_title
        # Every byte of the wire is in a row: read, or missing.
        for side in ("requestor", "acceptor"):
            missing = sum(gap.length for gap in ours.gaps if gap.sender == side)
            assert ours.peer(side).bytes + missing == theirs.peer(side).bytes
        kinds = [entry.kind for entry in ours.timeline]
        for entry in theirs.timeline:
            if not entry.kind.startswith(("C-", "N-")):
                assert entry.kind in kinds
        if length == 200:
            asked = {e.message.service for e in theirs.timeline if e.message is not None}
            assert asked <= {e.message.service for e in ours.timeline if e.message is not None}


def test_a_hole_behind_something_else_is_no_request() -> None:
    """Only a hole that lies within the A-ASSOCIATE that the first bytes announce."""
    from dicomsniff.dicom.conversation import Conversation
    from dicomsniff.model import Endpoint

    good = b"\x01\x00\x00\x00\x00\xd0\x00\x01\x00\x00MOZI            "
    for start, hole, wanted in (
        (good, 100, True),
        (good, 188, True),
        (good, 189, False),
        (good[:7], 50, True),
        (good[:6], 50, False),
        (b"\x01\x00\x00\x00\x00\xd0\x00\x01\x00\x00\x01\x02\x03", 100, False),
        (b"\x09" + good[1:], 100, False),
        (b"GET / HTTP/1.1\r\n", 100, False),
    ):
        listener = Kept()
        conversation = Conversation(
            (Endpoint("a", 40000), Endpoint("b", 104)),
            from_start=True,
            forced=False,
            listener=listener,
            number=lambda: 1,
        )
        conversation.data(0, start, 1, 1)
        if conversation.wanted:
            conversation.gap(0, hole, 2, 2)
        assert conversation.recognised is wanted, (start, hole)
