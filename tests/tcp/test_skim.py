"""Packets counted where they lie: nothing else comes out than when all of them are handed over."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from random import Random

import pytest

from dicomsniff.analysis.keeping import KeepAll, KeepDicom
from dicomsniff.analysis.pipeline import Listener, Pipeline, run
from dicomsniff.model import Association, Frame, Skim
from dicomsniff.output.redact import Redactor
from dicomsniff.output.transcript import TranscriptWriter
from dicomsniff.sources import open_capture
from tests.benchmarks import cases, traffic
from tests.benchmarks.traffic import Connection, Packet
from tests.support import CAPTURES

BEGAN = 1_767_600_900_000_000_000
STEP = 10_000

IMAGES = 6


class Shows:
    """A source that shows packets before it hands them over, as a ring does."""

    reader = "live"
    name = "test"
    at = 0
    truncated = False
    dropped = 0

    def __init__(self, frames: list[Frame], *, shows: bool) -> None:
        self.notices: list[str] = []
        self.handed_over = 0
        self._frames = frames
        if shows:
            self.skim: Skim | None = None
            self.keep: Callable[[Frame, bool], None] | None = None

    def close(self) -> None:
        """Nothing is open."""

    def __iter__(self) -> Iterator[Frame]:
        skim = getattr(self, "skim", None)
        for frame in self._frames:
            number, time, link_type, data, length = frame
            whole = link_type == 1 and len(data) == length
            if whole and skim is not None:
                # In the middle of something else, as in a ring.
                memory = b"\x5a" * 7 + data + b"\xa5" * 64
                noted = skim(memory, 7 + 12, 7 + length, length, time, number)
                if noted and self.keep is not None:
                    self.keep(frame, noted == 1)
                if noted:
                    continue
            self.handed_over += 1
            yield frame


class Told(Listener):
    """What was told of each association."""

    lines: TranscriptWriter

    def association_ended(self, association: Association) -> None:
        self.lines.association(association)


def told(frames: list[Frame], *, shows: bool) -> tuple[bytes, object, int]:
    """Transcript, counts, and how many frames were handed over."""
    listener = Told()
    pipeline = Pipeline(listener=listener, endless=True)
    source = Shows(frames, shows=shows)
    out = io.BytesIO()
    redactor = Redactor(keep_phi=True)
    info = pipeline.info
    with TranscriptWriter(out, redactor, info=info, ndjson=True) as listener.lines:
        run(source, pipeline)
    assert pipeline.info.packets == len(frames)
    return out.getvalue(), (pipeline.info, pipeline.findings), source.handed_over


def framed(packets: Iterator[Packet] | list[Packet], step: int = STEP) -> list[Frame]:
    frames = []
    for number, (headers, payload) in enumerate(packets, 1):
        data = headers + payload
        frames.append(Frame(number, BEGAN + number * step, 1, data, len(data)))
    return frames


def renumbered(frames: list[Frame]) -> list[Frame]:
    return [frame._replace(number=number) for number, frame in enumerate(frames, 1)]


def hold(frames: list[Frame], share: float | None = None) -> None:
    """The same comes out, and not more than ``share`` of the frames was handed over."""
    ours, counts, handed_over = told(frames, shows=True)
    theirs, expected, all_of_them = told(frames, shows=False)
    assert ours.splitlines() == theirs.splitlines()
    assert counts == expected
    assert all_of_them == len(frames)
    if share is not None:
        assert handed_over < share * len(frames)


def images(count: int = IMAGES) -> list[Frame]:
    """Stores of 512 KiB, one after another."""
    connection = Connection()
    stores = (cases._store(connection, number) for number in range(count))
    return framed(cases._association(connection, cases._STORAGE, *stores))


def test_most_of_an_image_is_not_handed_over() -> None:
    hold(images(), 0.25)


LARGE = sorted(each.name for each in CAPTURES.glob("*.pcap*") if each.stat().st_size > 16_000)
"""Those that hold enough of anything."""


@pytest.mark.parametrize("name", LARGE)
def test_recorded_sessions(name: str) -> None:
    source = open_capture(str(CAPTURES / name), reader="scapy")
    hold(list(source))


@pytest.mark.parametrize("seed", range(6))
def test_disorder_loss_and_what_is_sent_again(seed: int) -> None:
    random = Random(seed)
    frames = images(3)
    for _ in range(12):
        at = random.randrange(20, len(frames) - 20)
        match random.randrange(4):
            case 0:
                del frames[at : at + random.randrange(1, 4)]
            case 1:
                later = at + random.randrange(1, 12)
                frames.insert(later, frames.pop(at))
            case 2:  # sent again, later, as another packet: its TCP timestamp is another one
                data = bytearray(frames[at].data)
                data[18:20] = random.randbytes(2)
                data[58:62] = random.randbytes(4)
                if random.random() < 0.5 and len(data) > 200:
                    data[-60:] = random.randbytes(60)
                frames.insert(at + random.randrange(1, 12), frames[at]._replace(data=bytes(data)))
            case _:  # cut by a snap length
                frames[at] = frames[at]._replace(data=frames[at].data[:200])
    frames = [f._replace(time=BEGAN + n * STEP) for n, f in enumerate(frames)]
    hold(renumbered(frames))


def an_acknowledgement(frames: list[Frame], after: int) -> int:
    """Where one stands, in the middle of an image."""
    return next(n for n in range(after, len(frames)) if frames[n].length == 66)


def test_a_closed_window_is_seen() -> None:
    frames = images(2)
    at = an_acknowledgement(frames, len(frames) // 2)
    closed = bytearray(frames[at].data)
    closed[48:50] = b"\0\0"
    frames[at + 1 : at + 1] = [
        frames[at]._replace(data=bytes(closed)),
        frames[at]._replace(time=frames[at].time + 1_000),
    ]
    hold(renumbered(frames), 0.3)


def test_a_silence_is_seen_and_none_where_there_is_none() -> None:
    frames = images(2)
    at = an_acknowledgement(frames, len(frames) // 2)
    late = 260_000_000
    hold([f._replace(time=f.time + late * (n > at)) for n, f in enumerate(frames)], 0.3)
    hold([f._replace(time=f.time + late * (n >= at)) for n, f in enumerate(frames)], 0.3)
    hold([f._replace(time=BEGAN + n * 15_000_000) for n, f in enumerate(frames)], 0.3)


def test_a_reset_in_the_middle() -> None:
    frames = images(2)
    at = an_acknowledgement(frames, len(frames) // 2)
    reset = bytearray(frames[at].data)
    reset[47] = 0x14
    hold([*frames[: at + 1], frames[at]._replace(data=bytes(reset), number=at + 2)], 0.3)


def test_ipv6() -> None:
    frames = []
    for frame in images(2):
        data = frame.data
        tcp = data[34:]
        addresses = bytes(12) + data[26:30] + bytes(12) + data[30:34]
        ip = b"\x60\0\0\0" + len(tcp).to_bytes(2, "big") + b"\6\x40" + addresses
        whole = data[:12] + b"\x86\xdd" + ip + tcp
        frames.append(frame._replace(data=whole, length=len(whole)))
    hold(frames, 0.3)


def beside_others() -> Iterator[Packet]:
    """A store beside a download."""
    web = Connection(7, 8, client_port=50_000, server_port=80)

    def talk() -> Iterator[Packet]:
        yield from web.open()
        yield from web.send(0, [b"GET / HTTP/1.1\r\n\r\n"])
        yield from web.send(1, [b"HTTP/1.1 200 OK\r\n\r\n" + bytes(2_000_000)])
        yield from web.close()

    store = Connection()
    images = (cases._store(store, number) for number in range(2))
    return traffic.interleaved([talk(), cases._association(store, cases._STORAGE, *images)])


def test_connections_of_others_are_only_counted() -> None:
    hold(framed(beside_others()), 0.3)


def test_nothing_is_skimmed_while_packets_come_twice() -> None:
    frames = [each for frame in images(2) for each in (frame, frame)]
    frames = [f._replace(time=BEGAN + n * STEP) for n, f in enumerate(frames)]
    frames = renumbered(frames)
    hold(frames)
    _, _, handed_over = told(frames, shows=True)
    assert handed_over == len(frames)


class Keeps:
    """Where frames are kept."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.ticks = 0

    def write(self, frame: Frame, link: int = 0) -> None:
        assert link == 0
        self.frames.append(frame)

    def tick(self) -> None:
        self.ticks += 1


@pytest.mark.parametrize("kind", [KeepAll, KeepDicom])
def test_packets_are_kept_as_well(kind: type[KeepAll] | type[KeepDicom]) -> None:
    frames = framed(beside_others())
    kept = []
    for shows in (True, False):
        source = Shows(frames, shows=shows)
        keeps = Keeps()
        run(source, Pipeline(endless=True, keeper=kind(source, keeps)))
        assert (source.handed_over < 0.3 * len(frames)) is shows
        assert keeps.ticks or kind is KeepDicom
        kept.append(keeps.frames)
    assert kept[0] == kept[1]
    assert (len(kept[0]) == len(frames)) is (kind is KeepAll)
    assert len(kept[0]) > 1000


def test_a_tap_wants_every_packet() -> None:
    class Taps:
        def open(self, *_: object) -> None:
            return None

    assert Pipeline(endless=True).skim() is not None
    assert Pipeline(endless=True, tap=Taps()).skim() is None
    assert Pipeline().skim() is None


def test_what_is_no_packet_is_left_alone() -> None:
    skim = Pipeline(endless=True).skim()
    assert skim is not None
    random = Random(5)
    for length in range(120):
        data = random.randbytes(length)
        assert not skim(data, min(12, length), length, length, BEGAN, 1)
        typed = data[:12] + random.choice((b"\x08\x00E", b"\x86\xdd\x60")) + data[15:]
        assert not skim(typed, 12, len(typed), len(typed), BEGAN, 1)
