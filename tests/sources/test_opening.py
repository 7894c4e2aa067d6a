"""Opening and closing: which reader, what errors say, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import dicomsniff.sources as sources
from dicomsniff.sources import SourceError, open_capture
from dicomsniff.sources.doctor import examine
from tests.sources.files import FILES, frames, pcap
from tests.support import capture, require

PATIENCE = 10.0


def opened_and_read(path: str, **options: str | None) -> None:
    for _ in open_capture(path, **options):  # type: ignore[arg-type]
        pass


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A file far larger than all the pipes and buffers on the way."""
    path = tmp_path / "many.pcap"
    data = pcap(frames([1400] * 100))
    path.write_bytes(data + data[24:] * 99)
    return path


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Threads, descriptors and children are as before when the test is over."""
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    yield
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        now = (threading.active_count(), len(os.listdir("/proc/self/fd")), _children())
        if now[0] <= threads and now[1] <= descriptors and not now[2]:
            break
        time.sleep(0.02)
    # Fewer is no fault: a thread of the test before may have been ending when they were counted.
    assert now[0] <= threads
    assert now[1] <= descriptors
    assert not now[2]


def _children() -> set[str]:
    """tshark processes of ours, zombies included."""
    path = Path("/proc/self/task")
    found: set[str] = set()
    for task in path.iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            try:
                name = Path(f"/proc/{child}/comm").read_text().strip()
            except OSError:
                continue
            if "tshark" in name:
                found.add(child)
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")

# ---------------------------------------------------------------------------- which reader


def test_files_go_through_pyshark_where_tshark_is() -> None:
    require("tshark")
    source = open_capture(str(capture("echo.pcapng")))
    source.close()
    assert (source.reader, source.notices) == ("pyshark", [])


def test_without_tshark_scapy_reads_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    source = open_capture(str(capture("echo.pcapng")))
    assert source.reader == "scapy"
    assert len(source.notices) == 1
    assert "tshark" in source.notices[0]
    assert list(source)
    with pytest.raises(SourceError, match="display filter needs tshark, which is not installed"):
        open_capture(str(capture("echo.pcapng")), display_filter="tcp")
    with pytest.raises(SourceError, match="tshark is not installed"):
        open_capture(str(capture("echo.pcapng")), reader="pyshark")


def test_no_reader_is_imported_by_the_package() -> None:
    program = (
        "import sys, dicomsniff.sources, dicomsniff.tcp.frames\n"
        "assert not {'scapy', 'pyshark', 'asyncio', 'lxml'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# ---------------------------------------------------------------------------- errors


@pytest.mark.parametrize("reader", ["auto", "pyshark", "scapy"])
def test_what_cannot_be_read_is_said_in_one_line(reader: str, tmp_path: Path) -> None:
    require("tshark")
    (tmp_path / "empty.pcap").touch()
    (tmp_path / "notes.txt").write_text("Dear diary\n")
    (tmp_path / "noise.bin").write_bytes(b"\xfe\xdc\xba\x98" * 99)
    (tmp_path / "half.pcap").write_bytes(FILES["micro.pcap"][:10])
    for name, words in (
        ("missing.pcap", "no such file"),
        (".", "a folder"),
        ("empty.pcap", "empty"),
        ("notes.txt", "capture"),
        ("noise.bin", "capture"),
        ("half.pcap", "capture|cut short"),
        ("a\0b", "null"),
    ):
        path = f"{tmp_path}/{name}"
        with pytest.raises(SourceError, match=words) as caught:
            opened_and_read(path, reader=reader)
        text = str(caught.value)
        assert "\n" not in text
        assert text.startswith(path)


def test_scapy_names_tshark_for_other_formats(tmp_path: Path) -> None:
    path = tmp_path / "x.snoop"
    path.write_bytes(b"snoop\0\0\0\0\0\0\x02\0\0\0\x04")
    with pytest.raises(SourceError, match="install tshark"):
        opened_and_read(str(path), reader="scapy")


def test_other_formats_through_tshark(tmp_path: Path) -> None:
    path = tmp_path / "echo.snoop"
    editcap = require("editcap")
    subprocess.run([editcap, "-F", "snoop", capture("echo.pcapng"), path], check=True)
    got = list(open_capture(str(path)))
    expected = list(open_capture(str(capture("echo.pcapng")), reader="scapy"))
    assert [f.data for f in got] == [f.data for f in expected]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "secret.pcap"
    path.write_bytes(FILES["micro.pcap"])
    path.chmod(0)
    with pytest.raises(SourceError, match="permission"):
        open_capture(str(path))


def test_a_reader_nobody_wrote() -> None:
    with pytest.raises(SourceError, match="auto, pyshark, scapy"):
        open_capture("-", reader="wireshark")


def test_a_key_log_that_is_missing(tmp_path: Path) -> None:
    require("tshark")
    with pytest.raises(SourceError, match="key log cannot be read"):
        open_capture(str(capture("echo.pcapng")), keylog=str(tmp_path / "keys"))
    keys = tmp_path / "keys"
    keys.touch()
    assert list(open_capture(str(capture("echo.pcapng")), keylog=str(keys)))


# ---------------------------------------------------------------------------- display filter


@needs_proc
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("expression", ["dicom", "tcp.len > 100", "tcp.flags.fin == 1", "http"])
def test_a_display_filter_keeps_frame_numbers(expression: str) -> None:
    path = str(capture("worklist.pcapng"))
    told = subprocess.run(
        [require("tshark"), "-nr", path, "-Y", expression, "-Tfields", "-eframe.number"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split()
    every = {f.number: f for f in open_capture(path)}
    got = list(open_capture(path, display_filter=expression))
    assert [f.number for f in got] == [int(number) for number in told]
    assert all(every[f.number] == f for f in got)
    assert len(got) < len(every)


def test_a_display_filter_on_standard_input() -> None:
    require("tshark")
    path = capture("worklist.pcapng")
    program = (
        "from dicomsniff.sources import open_capture\n"
        "print([f.number for f in open_capture('-', display_filter='tcp.len > 100')])\n"
    )
    with path.open("rb") as file, subprocess.Popen(["cat"], stdin=file, stdout=-1) as cat:
        out = subprocess.run(
            [sys.executable, "-c", program], stdin=cat.stdout, capture_output=True, check=True
        )
    expected = [f.number for f in open_capture(str(path), display_filter="tcp.len > 100")]
    assert out.stdout.decode().strip() == str(expected)
    assert expected


@needs_proc
@pytest.mark.usefixtures("nothing_left")
def test_a_wrong_display_filter_gives_tsharks_words(many: Path) -> None:
    require("tshark")
    with pytest.raises(SourceError, match=r"tcp\.prot") as caught:
        opened_and_read(str(many), display_filter="tcp.prot == 104")
    assert "\n" not in str(caught.value)
    assert "display filter" in str(caught.value)


def test_a_display_filter_on_a_damaged_file(tmp_path: Path) -> None:
    require("tshark")
    path = tmp_path / "cut.pcap"
    path.write_bytes(FILES["micro.pcap"][:600])
    for expression, count in (("tcp", 5), ("udp", 0)):
        source = open_capture(str(path), display_filter=expression)
        assert len(list(source)) == count
        assert source.truncated


# ---------------------------------------------------------------------------- closing


@needs_proc
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("reader", ["pyshark", "scapy"])
@pytest.mark.parametrize("expression", [None, "tcp"])
def test_leaving_early_leaves_nothing_behind(
    reader: str, expression: str | None, many: Path
) -> None:
    require("tshark")
    if reader == "scapy" and expression:
        with pytest.raises(SourceError):
            open_capture(str(many), reader=reader, display_filter=expression)
        return
    # Read some.
    source = open_capture(str(many), reader=reader, display_filter=expression)
    iterator = iter(source)
    assert next(iterator).number == 1
    source.close()
    assert len(list(iterator)) < 9000
    assert source.notices == []
    # Read none.
    open_capture(str(many), reader=reader, display_filter=expression).close()
    # Leave the loop.
    source = open_capture(str(many), reader=reader, display_filter=expression)
    for frame in source:
        if frame.number == 3:
            break
    source.close()
    source.close()


@needs_proc
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("reader", ["pyshark", "scapy"])
def test_closing_from_another_thread(reader: str, many: Path) -> None:
    require("tshark")
    source = open_capture(str(many), reader=reader)
    timer = threading.Timer(0.3, source.close)
    count = 0
    for _ in source:
        count += 1
        if count == 1:
            timer.start()
        if count == 500:
            timer.join()
    assert 500 <= count < 10_000


@pytest.mark.parametrize("reader", ["pyshark", "scapy"])
def test_memory_does_not_grow_with_the_file(reader: str, many: Path) -> None:
    require("tshark")
    program = (
        "import resource, sys\n"
        "from dicomsniff.sources import open_capture\n"
        "count = sum(1 for _ in open_capture(sys.argv[1], reader=sys.argv[2]))\n"
        "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )

    def peak() -> tuple[int, int]:
        done = subprocess.run(
            [sys.executable, "-c", program, many, reader], capture_output=True, check=True
        )
        count, kibibytes = done.stdout.split()
        return int(count), int(kibibytes)

    count, before = peak()
    body = many.read_bytes()[24:]
    with many.open("ab") as file:
        for _ in range(5):
            file.write(body)
    many_times, after = peak()
    assert (count, many_times) == (10_000, 60_000)
    assert after - before < 8_000


def test_beside_a_running_event_loop() -> None:
    require("tshark")
    path = str(capture("echo.pcapng"))

    async def main() -> int:
        beside = asyncio.create_task(asyncio.sleep(0.01))
        count = len(list(open_capture(path, reader="pyshark")))
        inside = await asyncio.to_thread(lambda: len(list(open_capture(path, reader="pyshark"))))
        await beside
        assert inside == count
        return count

    assert asyncio.run(main()) > 0


# ---------------------------------------------------------------------------- pipes


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.parametrize("name", ["micro.pcap", "nano.pcapng", "nano-big-endian.pcap.gz"])
def test_frames_of_a_pipe_come_as_they_are_written(name: str, tmp_path: Path) -> None:
    """What ``tcpdump -U -w -`` writes is seen before the next packet is written."""
    if name.endswith("gz"):
        import zlib

        squeeze = zlib.compressobj(wbits=31)
        plain = FILES["nano-big-endian.pcap"]
    else:
        squeeze, plain = None, FILES[name]
    # The end of each of the first four frames.
    file = tmp_path / "whole"
    file.write_bytes(plain)
    whole = list(open_capture(str(file), reader="scapy"))
    ends = []
    for size in range(28, 1000):
        file.write_bytes(plain[:size])
        if len(list(open_capture(str(file), reader="scapy"))) > len(ends):
            ends.append(size)
        if len(ends) == 4:
            break
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # Opened for both so that neither side waits for the other.
    descriptor = os.open(fifo, os.O_RDWR)
    source = open_capture(str(fifo))
    iterator = iter(source)
    at = 0
    for number, end in enumerate(ends):
        piece = plain[at:end]
        if squeeze is not None:
            import zlib

            piece = squeeze.compress(piece) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        os.write(descriptor, piece)
        at = end
        assert next(iterator) == whole[number]
    # The reader waits for the fifth: closing ends that.
    timer = threading.Timer(0.2, source.close)
    timer.start()
    assert list(iterator) == []
    assert not source.truncated
    timer.join()
    os.close(descriptor)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_tshark_reads_pipes_of_other_formats(tmp_path: Path) -> None:
    editcap = require("editcap")
    path, fifo = tmp_path / "x.snoop", tmp_path / "fifo"
    subprocess.run([editcap, "-F", "snoop", capture("echo.pcapng"), path], check=True)
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(path.read_bytes()))
    writer.start()
    source = open_capture(str(fifo))
    got = [f.data for f in source]
    writer.join()
    assert source.reader == "pyshark"
    assert got == [f.data for f in open_capture(str(path))]
    assert got


# ---------------------------------------------------------------------------- doctor


def test_the_doctor_looks_at_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    tshark = require("tshark")
    found = {check.name: check for check in examine()}
    assert set(found) >= {"python", "scapy", "pyshark", "pydicom", "textual", "tshark", "libpcap"}
    told = subprocess.run([tshark, "--version"], capture_output=True, check=True).stdout.decode()
    version = found["tshark"].detail.split(",")[0]
    first = told.split("\n")[0].removesuffix(".")
    assert f"(Wireshark) {version} " in first + " "
    monkeypatch.setenv("PATH", "/nowhere")
    missing = {check.name: check for check in examine()}["tshark"]
    assert not missing.ok
    assert "install" in missing.mend


def test_names() -> None:
    assert sources.source_name("/a/b.pcap") == "b.pcap"
    assert sources.source_name("-") == "stdin"
    assert sources.source_name("/dev/fd/63") == "stdin"
