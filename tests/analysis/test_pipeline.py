"""The parts put together: frames in, associations out."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

import dicomsniff
from dicomsniff.analysis.pipeline import Listener, Pipeline, read, run
from dicomsniff.model import Association, Entry, Frame
from tests import rewrite
from tests.support import CAPTURES, capture


class Witness(Listener):
    """Writes down what it hears, and that it hears it in order."""

    def __init__(self) -> None:
        self.began: list[Association] = []
        self.ended: list[Association] = []
        self.entries = 0

    def association_began(self, association: Association) -> None:
        self.began.append(association)
        assert association.id == len(self.began)

    def entry_added(self, association: Association, entry: Entry) -> None:
        assert association in self.began
        assert association not in self.ended
        assert association.timeline[-1] is entry
        message = entry.message
        if message is not None and message.is_request and message.kind != "C-CANCEL-RQ":
            assert any(o.request is entry for o in association.operations), "joined already"
        self.entries += 1

    def association_ended(self, association: Association) -> None:
        assert association in self.began
        assert association not in self.ended
        self.ended.append(association)


class Frames:
    """A source of frames already here, which may fail in the middle."""

    reader = "scapy"

    def __init__(self, frames: list[Frame], fails: int | None = None) -> None:
        self.name = "frames"
        self.truncated = False
        self.dropped: int | None = 3
        self.notices: list[str] = []
        self.closed = False
        self._frames = frames
        self._fails = fails

    def __iter__(self) -> Iterator[Frame]:
        for number, frame in enumerate(self._frames):
            if number == self._fails:
                self.truncated = True
                raise OSError("the disk is gone")
            yield frame

    def close(self) -> None:
        self.closed = True


def frames(name: str) -> list[Frame]:
    return list(rewrite.raw_frames(capture(f"{name}.pcapng")))


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcapng")), ids=lambda p: p.stem)
def test_listeners_hear_everything_once_and_in_order(path: Path) -> None:
    witness = Witness()
    pipeline = Pipeline(listener=witness)
    listed = list(rewrite.raw_frames(path))
    for frame in listed:
        pipeline.feed(frame)
    pipeline.finish()
    assert set(witness.ended) == set(witness.began)
    assert pipeline.associations == len(witness.began)
    assert witness.entries == sum(len(a.timeline) for a in witness.began)
    info = pipeline.info
    assert (info.packets, info.bytes) == (len(listed), sum(f.length for f in listed))
    assert (info.first, info.last) == (listed[0].time, listed[-1].time)
    for association in witness.began:
        entries = [e for e in association.timeline if e.kind != "GAP"]
        assert association.started == min(e.began for e in entries)
        assert association.ended == max(e.time for e in entries)


def test_a_failing_source_loses_nothing_of_what_came_before_it() -> None:
    listed = frames("worklist")
    witness = Witness()
    pipeline = Pipeline(listener=witness)
    source = Frames(listed, fails=len(listed) // 2)
    with pytest.raises(OSError, match="the disk is gone"):
        run(source, pipeline)
    assert source.closed
    assert [a.outcome for a in witness.ended] == ["open"]
    assert (pipeline.info.truncated, pipeline.info.dropped) == (True, 3)
    assert (pipeline.info.source, pipeline.info.reader) == ("frames", "scapy")


def test_read_hands_over_an_association_as_soon_as_it_has_ended() -> None:
    seen = []
    iterator = read(str(capture("store-transfer-syntaxes.pcapng")), reader="scapy")
    for association in iterator:
        seen.append(association)
        if len(seen) == 2:
            break
    iterator.close()  # type: ignore[attr-defined]
    assert [a.id for a in seen] == [1, 2]
    assert [a.outcome for a in seen] == ["released", "released"]


def test_read_is_what_the_package_offers() -> None:
    (association,) = dicomsniff.read(str(capture("worklist.pcapng")), reader="scapy")
    assert association.requestor.ae_title == "FLC1270"
    assert association.acceptor.ae_title == "MOZI"
    (operation,) = association.operations
    assert (operation.service, len(operation.responses), operation.status) == ("C-FIND", 9, 0)


def test_nothing_that_has_ended_is_kept() -> None:
    gc.collect()
    before = [o for o in gc.get_objects() if isinstance(o, Association)]
    pipeline = Pipeline(checks=False)
    listed = frames("store-transfer-syntaxes")
    for frame in listed:
        pipeline.feed(frame)
    pipeline.tick(listed[-1].time + 10**12)
    gc.collect()
    after = [o for o in gc.get_objects() if isinstance(o, Association)]
    assert pipeline.associations == 6
    assert not [o for o in after if not any(o is old for old in before)]
    assert len(pipeline._tracker) == 0


def test_a_port_that_nothing_listens_on_is_a_finding() -> None:
    pipeline = Pipeline()
    for frame in frames("port-closed"):
        pipeline.feed(frame)
    pipeline.finish()
    assert pipeline.associations == 0
    assert [f.severity for f in pipeline.findings] == ["error"]
    assert "11112" in pipeline.findings[0].title + pipeline.findings[0].detail


def test_a_port_named_as_dicom_is_decoded_whatever_it_begins_with() -> None:
    packets = rewrite.load(capture("echo.pcapng"))
    flow = packets[0].flow
    packets = [p for p in packets if p.flow == flow]
    first = next(at for at, p in enumerate(packets) if p.payload)
    shift = 16
    greeting = packets[first]._replace(payload=b"PROXY TCP4 HELLO")
    moved = [
        p._replace(seq=(p.seq + shift) & 0xFFFFFFFF)
        if p.way == greeting.way
        else p._replace(ack=(p.ack + shift) & 0xFFFFFFFF)
        for p in packets[first:]
    ]
    listed = rewrite.frames([*packets[:first], greeting, *moved])
    counts = []
    for ports in ((), (11112,)):
        pipeline = Pipeline(ports=ports)
        for frame in listed:
            pipeline.feed(frame)
        pipeline.finish()
        counts.append(pipeline.associations)
    assert counts == [0, 1]


def test_keeping_nothing_tells_the_same_rows() -> None:
    from dicomsniff.output.info import info

    for name in ("worklist", "get", "store-transfer-syntaxes", "lost-reset"):
        rows: list[list[str]] = []
        for keep in (True, False):
            told: list[str] = []

            class Rows(Listener):
                def entry_added(
                    self, association: Association, entry: Entry, told: list[str] = told
                ) -> None:
                    told.append(f"{entry.number} {entry.sender} {info(association, entry)}")

            pipeline = Pipeline(listener=Rows(), keep=keep)
            for frame in frames(name):
                pipeline.feed(frame)
            pipeline.finish()
            rows.append(told)
        assert rows[0] == rows[1]
        assert rows[0]
