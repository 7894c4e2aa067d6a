"""Kept packets, held against tshark, capinfos and the crash of who wrote them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from dicomsniff.model import Frame
from dicomsniff.sources import SourceError, open_capture
from dicomsniff.sources.live import Link
from dicomsniff.sources.writer import PcapngWriter, Rotation, rotation
from tests.support import require

ROOT = Path(__file__).resolve().parents[2]

ETHERNET = Link("eth0", 1, 65_535)
COOKED = Link("any", 276, 262_144)

BEGAN = 1_767_600_900_123_456_789


def frames(count: int, size: int = 60, link_type: int = 1) -> list[Frame]:
    return [
        Frame(n + 1, BEGAN + n * 1_001, link_type, bytes([n & 255]) * (size + n % 4), size + n % 4)
        for n in range(count)
    ]


def read(path: Path) -> list[Frame]:
    return list(open_capture(str(path), reader="scapy"))


def told(path: Path, *fields: str) -> list[list[str]]:
    """What tshark reads."""
    argv = [require("tshark"), "-r", str(path), "-T", "fields"]
    for field in fields:
        argv += ["-e", field]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_every_length_of_padding_and_every_nanosecond(tmp_path: Path) -> None:
    path = tmp_path / "kept.pcapng"
    writer = PcapngWriter(str(path), [ETHERNET])
    for frame in frames(9):
        writer.write(frame)
    writer.close()
    assert read(path) == frames(9)
    rows = told(path, "frame.time_epoch", "frame.len", "frame.interface_name", "data.data")
    assert [row[0] for row in rows] == [
        f"{f.time // 10**9}.{f.time % 10**9:09d}" for f in frames(9)
    ]
    assert [int(row[1]) for row in rows] == [f.length for f in frames(9)]
    assert {row[2] for row in rows} == {"eth0"}


def test_packets_cut_by_a_snap_length_and_two_kinds_of_links(tmp_path: Path) -> None:
    path = tmp_path / "kept.pcapng"
    writer = PcapngWriter(str(path), [ETHERNET, COOKED])
    writer.write(Frame(1, BEGAN, 1, bytes(60), 1514), 0)
    writer.write(Frame(2, BEGAN + 1, 276, bytes(64), 64), 1)
    writer.close()
    rows = told(path, "frame.cap_len", "frame.len", "frame.interface_name", "frame.protocols")
    assert rows[0][:3] == ["60", "1514", "eth0"]
    assert rows[1][:3] == ["64", "64", "any"]
    assert "sll" in rows[1][3]
    assert [frame.link_type for frame in read(path)] == [1, 276]


def test_a_ring_keeps_the_last_files(tmp_path: Path) -> None:
    path = tmp_path / "day.pcapng"
    (tmp_path / "day_00000_20260101000000.pcapng").write_text("somebody else's")
    writer = PcapngWriter(str(path), [ETHERNET], Rotation(3, 3_000, None))
    sent = frames(400, 100)
    for frame in sent:
        writer.write(frame)
        writer.flush()
    writer.close()
    kept = sorted(tmp_path.glob("day_*.pcapng"))
    assert kept.pop(0).read_text() == "somebody else's"
    assert len(kept) == 3
    assert writer.files > 10
    assert writer.told() == (
        f"{kept[0]} to {kept[-1]}: 400 packets written; of {writer.files} files the last 3 are kept"
    )
    got = [frame for name in kept for frame in read(name)]
    assert [f.time for f in got] == [f.time for f in sent[-len(got) :]]
    assert all(name.stat().st_size < 3_500 for name in kept)
    for name in kept:
        done = subprocess.run([require("capinfos"), "-c", name], capture_output=True, check=True)
        assert b"Number of packets" in done.stdout


def test_files_of_a_ring_are_no_longer_than_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "r.pcapng"
    writer = PcapngWriter(str(path), [Link("eth0", 1, 2000)], rotation("20k"))
    for frame in frames(500):
        writer.write(frame)  # and nobody has time to tick
    writer.close()
    sizes = [each.stat().st_size for each in sorted(tmp_path.iterdir())]
    assert len(sizes) > 2
    assert all(20_000 <= size < 20_000 + 100 for size in sizes[:-1])


def test_files_that_are_shorter_than_their_own_beginning(tmp_path: Path) -> None:
    """Each holds a packet."""
    ring = Rotation(3, 100, None)
    with closing(PcapngWriter(str(tmp_path / "k.pcapng"), [ETHERNET, COOKED], ring)) as writer:
        for frame in frames(5):
            writer.write(frame)
    kept = sorted(tmp_path.glob("k_*.pcapng"))
    assert writer.packets == 5
    assert [frame.data[0] for path in kept for frame in read(path)] == [3, 4]


def test_what_was_kept_is_told(tmp_path: Path) -> None:
    path = tmp_path / "one.pcapng"
    with closing(PcapngWriter(str(path), [ETHERNET])) as writer:
        writer.write(frames(1, 100)[0])
    assert writer.told() == f"{path}: 1 packet kept"
    with closing(PcapngWriter(str(path), [ETHERNET], Rotation(3, 3_000, None))) as writer:
        for frame in frames(30, 100):
            writer.write(frame)
            writer.flush()
    first, *_, last = sorted(tmp_path.glob("one_*.pcapng"))
    assert writer.told() == f"{first} to {last}: 30 packets kept"


def test_a_ring_by_time(tmp_path: Path) -> None:
    writer = PcapngWriter(str(tmp_path / "t.pcapng"), [ETHERNET], Rotation(2, None, 0.05))
    for frame in frames(4):
        writer.write(frame)
        time.sleep(0.06)
        writer.tick()
    writer.close()
    assert writer.files == 5
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10x100MB", Rotation(10, 100_000_000, None)),
        ("100k", Rotation(None, 100_000, None)),
        ("24x1h", Rotation(24, None, 3600)),
        ("10x1GiB,15min", Rotation(10, 2**30, 900)),
    ],
)
def test_words_for_a_ring(text: str, meant: Rotation) -> None:
    assert rotation(text) == meant


@pytest.mark.parametrize("text", ["", "10", "x", "0x1MB", "10x0MB", "10x1MB,", "1000000x1k", "5x"])
def test_what_is_no_ring(text: str) -> None:
    with pytest.raises(ValueError, match=r"10x100MB|files"):
        rotation(text)


def test_a_folder_that_is_not_there_and_a_disk_that_is_full(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        PcapngWriter(str(tmp_path / "no" / "such.pcapng"), [ETHERNET])
    with pytest.raises(SourceError, match="/dev/full: No space left"):
        PcapngWriter("/dev/full", [ETHERNET])


def test_a_crash_leaves_a_file_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "crash.pcapng"
    program = (
        "import sys\n"
        "from tests.sources.test_writer import ETHERNET, frames\n"
        "from dicomsniff.sources.writer import PcapngWriter\n"
        "writer = PcapngWriter(sys.argv[1], [ETHERNET])\n"
        "print('begun', flush=True)\n"
        "while True:\n"
        "    for frame in frames(200, 1400):\n"
        "        writer.write(frame)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while path.stat().st_size < 3_000_000:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    size = path.stat().st_size
    got = read(path)
    assert len(got) * 1_440 > size - 1_600
    with open(path, "r+b") as torn:  # and so does one torn in the middle of a block
        torn.truncate(size - 700 if size > 2_000_000 else size)
    done = subprocess.run(
        [require("tshark"), "-r", path, "-T", "fields", "-e", "frame.number"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(done.stdout.splitlines()) >= len(got) - 2
    os.unlink(path)
