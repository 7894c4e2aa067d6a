"""Both readers give the frames that tshark tells of, whatever the file is like."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from dicomsniff.model import Frame, Source
from dicomsniff.sources import open_capture
from tests.sources.files import FILES, PcapNg, frames, option, pcap, pcapng
from tests.support import CAPTURES, PUBLIC_CAPTURES, require

RECORDED = sorted([*CAPTURES.glob("*.pcapng"), *PUBLIC_CAPTURES.glob("*/*.pcap")])


@pytest.fixture(params=sorted(FILES))
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file made here."""
    path = tmp_path / request.param
    path.write_bytes(FILES[request.param])
    return path


def read(path: Path, reader: str) -> tuple[list[Frame], Source]:
    source = open_capture(str(path), reader=reader)
    return list(source), source


def through_stdin(path: Path, reader: str, chunk: int = 4096) -> tuple[list[Frame], bool]:
    """Read in a process of its own, whose standard input is a pipe."""
    program = (
        "import sys, pickle\n"
        "from dicomsniff.sources import open_capture\n"
        f"source = open_capture('-', reader={reader!r})\n"
        "frames = [tuple(f) for f in source]\n"
        "assert source.name == 'stdin'\n"
        "sys.stdout.buffer.write(pickle.dumps((frames, source.truncated)))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(CAPTURES.parent)},
    ) as process:
        assert process.stdin is not None
        data = path.read_bytes()
        for at in range(0, len(data), chunk):
            process.stdin.write(data[at : at + chunk])
        out, err = process.communicate()
    assert err == b""
    import pickle

    got, truncated = pickle.loads(out)
    return [Frame(*fields) for fields in got], truncated


def tshark_says(path: Path) -> list[tuple[int, int, int, int]]:
    """Number, time, captured and original length of every frame."""
    fields = ["frame.number", "frame.time_epoch", "frame.cap_len", "frame.len"]
    out = subprocess.run(
        [require("tshark"), "-n", "-r", path, "-T", "fields"]
        + [word for field in fields for word in ("-e", field)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    rows = []
    for line in out.splitlines():
        number, moment, captured, length = line.split("\t")
        if not moment:
            continue  # a record that is no packet and has a number all the same
        seconds, fraction = moment.split(".")
        rows.append((int(number), int(seconds) * 10**9 + int(fraction), int(captured), int(length)))
    return rows


def summary(got: list[Frame]) -> list[tuple[int, int, int, int]]:
    return [(f.number, f.time, len(f.data), f.length) for f in got]


def test_made_files(made: Path) -> None:
    by_scapy, scapy = read(made, "scapy")
    assert (scapy.reader, scapy.name, scapy.truncated) == ("scapy", made.name, False)
    assert scapy.notices == []
    expected = tshark_says(made)
    assert summary(by_scapy) == expected
    by_tshark, pyshark = read(made, "pyshark")
    assert by_tshark == by_scapy
    assert (pyshark.reader, pyshark.name, pyshark.truncated) == ("pyshark", made.name, False)
    # Before 4.4 tshark cannot write what it reads from sections whose interfaces differ. It makes
    # one section of them, and what the first one says of losses is not looked for in front of
    # the last one's packets; a compressed file is read through.
    joined = made.name.startswith("odd") and not pyshark.notices
    assert len(pyshark.notices) == (made.name.startswith("odd") and not joined)
    assert pyshark.dropped == (3 if joined and made.suffix != ".gz" else scapy.dropped)
    assert all(type(f) is Frame for f in (*by_scapy, *by_tshark))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_recorded_files(path: Path) -> None:
    require("tshark")
    by_scapy, scapy = read(path, "scapy")
    by_tshark, pyshark = read(path, "pyshark")
    assert by_scapy == by_tshark
    assert summary(by_scapy) == tshark_says(path)
    assert scapy.dropped == pyshark.dropped
    assert not scapy.truncated
    assert not pyshark.truncated


def test_frames_are_what_was_written(tmp_path: Path) -> None:
    for name in ("micro.pcap", "nano-big-endian.pcap", "plain.pcapng", "binary.pcapng"):
        path = tmp_path / name
        path.write_bytes(FILES[name])
        got, _ = read(path, "scapy")
        assert [f.data for f in got] == frames()
        assert [f.number for f in got] == list(range(1, len(got) + 1))
        assert {f.link_type for f in got} == {1}
    assert max(len(f.data) for f in got) == 65_549


def test_links_of_several_interfaces_and_sections(tmp_path: Path) -> None:
    path = tmp_path / "odd.pcapng"
    path.write_bytes(FILES["odd.pcapng"])
    got, _ = read(path, "scapy")
    assert [f.link_type for f in got] == [1, 113, 101] * 4 + [1] + [276] * 3


@pytest.mark.parametrize("reader", ["scapy", "pyshark"])
@pytest.mark.parametrize(
    "name",
    ["micro.pcap", "nano.pcapng", "nano-big-endian.pcap.gz", "binary.pcapng", "offset.pcapng"],
)
def test_standard_input(name: str, reader: str, tmp_path: Path) -> None:
    require("tshark")
    path = tmp_path / name
    path.write_bytes(FILES[name])
    expected, _ = read(path, "scapy")
    assert through_stdin(path, reader, 999) == (expected, False)


# ---------------------------------------------------------------------------- damage

CUT = [
    (name, size)
    for name in ("micro.pcap", "nano.pcapng", "odd.pcapng")
    for size in (60, 200, 301, 302, 303, 350, 700, len(FILES[name]) - 1)
    if size < len(FILES[name])
]


@pytest.mark.parametrize(("name", "size"), CUT)
def test_a_tail_that_was_cut_off(name: str, size: int, tmp_path: Path) -> None:
    require("tshark")
    path = tmp_path / f"cut-{name}"
    path.write_bytes(FILES[name][:size])
    whole_path = tmp_path / name
    whole_path.write_bytes(FILES[name])
    whole, _ = read(whole_path, "scapy")
    by_scapy, scapy = read(path, "scapy")
    by_tshark, pyshark = read(path, "pyshark")
    assert by_scapy == by_tshark == whole[: len(by_scapy)]
    assert scapy.truncated == pyshark.truncated
    for source in (scapy, pyshark):
        assert len(source.notices) >= 1
        assert all(path.name in notice for notice in source.notices)
    assert scapy.truncated


def test_every_cut_gives_what_came_before(tmp_path: Path) -> None:
    for name, data in (
        ("a.pcap", pcap(frames((5, 6, 7)))),
        ("b.pcapng", PcapNg().section().interface().packet(frames((5,))[0], 7).data),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        whole, _ = read(path, "scapy")
        header = 24 if name == "a.pcap" else 28
        for size in range(header, len(data)):
            path.write_bytes(data[:size])
            got, source = read(path, "scapy")
            assert got == whole[: len(got)]
            ends_cleanly = source.notices == []
            assert source.truncated is not ends_cleanly


@pytest.mark.parametrize("name", ["micro.pcap.gz", "odd.pcapng.gz"])
def test_compressed_data_that_was_cut_off(name: str, tmp_path: Path) -> None:
    require("tshark")
    path = tmp_path / name
    path.write_bytes(FILES[name][:-300])
    by_scapy, scapy = read(path, "scapy")
    by_tshark, pyshark = read(path, "pyshark")
    assert by_scapy == by_tshark
    assert by_scapy
    assert scapy.truncated
    assert pyshark.truncated


def test_a_length_that_nobody_believes(tmp_path: Path) -> None:
    require("tshark")
    # Several good ones first: tshark takes an odd beginning for one of pcap's dialects.
    good = pcap(frames(range(20)))
    for name, data, count in (
        ("huge.pcap", good + b"\0" * 8 + b"\xff\xff\xff\x7f" * 2 + bytes(100), 20),
        ("huge.pcapng", pcapng()[:600] + b"\xff" * 400, None),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        by_scapy, scapy = read(path, "scapy")
        by_tshark, pyshark = read(path, "pyshark")
        assert by_scapy == by_tshark
        assert count is None or len(by_scapy) == count
        assert scapy.truncated
        assert pyshark.truncated


@pytest.mark.parametrize("snaplen", [0, 60, 65_535])
@pytest.mark.parametrize("claimed", [59, 60, 100, 65_536, 300_000, 0xFFFFFFFF])
def test_a_packet_without_time_that_claims_more_than_its_block_holds(
    snaplen: int, claimed: int, tmp_path: Path
) -> None:
    """How much of it is there follows from the snap length alone, so that is damage to tshark."""
    require("tshark")
    data = bytes(12) + b"\x88\xb5" + bytes(46)
    file = PcapNg().section().interface(snaplen=snaplen)
    for length in (60, claimed, 60):
        file.block(3, struct.pack("<I", length) + data[:length])
    path = tmp_path / "simple.pcapng"
    path.write_bytes(file.data)
    by_scapy, scapy = read(path, "scapy")
    by_tshark, pyshark = read(path, "pyshark")
    assert by_scapy == by_tshark
    assert scapy.truncated == pyshark.truncated
    assert sum(frame.length for frame in by_scapy) <= 2 * 60 + 262_144


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_a_length_on_the_wire_that_nobody_believes(form: str, tmp_path: Path) -> None:
    """With IP's own length left out, as offloading leaves it, it would be a hole of 4 GB."""
    require("tshark")
    data = frames((100,))[0]
    path = tmp_path / f"claims.{form}"
    if form == "pcap":
        path.write_bytes(pcap([data])[: -4 - len(data)] + struct.pack("<I", 0xFFFFFFFF) + data)
    else:
        path.write_bytes(PcapNg().section().interface().packet(data, 1, length=0xFFFFFFFF).data)
    for reader in ("scapy", "pyshark"):
        (frame,), _ = read(path, reader)
        assert (frame.length, frame.data) == (len(data), data)


def test_scapy_writes_nothing_on_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("odd.pcapng", "micro.pcap"):
        for size in (100, 301, 333):
            path = tmp_path / name
            path.write_bytes(FILES[name][:size])
            read(path, "scapy")
    assert capfd.readouterr() == ("", "")


def test_scapy_writes_nothing_while_packets_are_read(tmp_path: Path) -> None:
    """Nor does it where blocks behind the first are odd."""
    wrong = option("<", 9, b"\x06\x06") + struct.pack("<HH", 0, 8)
    file = PcapNg().section().block(1, struct.pack("<HHI", 1, 0, 0) + wrong)
    file.packet(frames((100,))[0], 1).packet(
        frames((100,))[0], 2, options=struct.pack("<HH", 0, 4) + bytes(4)
    )
    file.block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 9, 0, -1))
    path = tmp_path / "odd.pcapng"
    path.write_bytes(file.data)
    program = (
        "from dicomsniff.sources import open_capture\n"
        f"source = open_capture({str(path)!r}, reader='scapy')\n"
        "print(len(list(source)), source.truncated)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(CAPTURES.parent)},
    )
    assert (run.stdout.split(), run.stderr) == (["2", "True"], "")


# ---------------------------------------------------------------------------- losses


@pytest.mark.parametrize("reader", ["scapy", "pyshark"])
def test_what_the_capture_lost_is_told(reader: str, tmp_path: Path) -> None:
    require("tshark")
    path = tmp_path / "lost.pcapng"
    file = PcapNg().section().interface().interface().packet(frames((4,))[0], 10)
    file.statistics(0, 5, 2).statistics(1, 3).statistics(0, 6, 2)
    path.write_bytes(file.data)
    got, source = read(path, reader)
    assert len(got) == 1
    assert source.dropped == 11
