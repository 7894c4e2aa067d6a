"""What breaks around it: tshark, disks, mounts, signals, clocks.

Always the same: one clear line, what was gathered is written whole, exit status 2 where it was not
all, and nothing left behind.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests import rewrite
from tests.namespaces import SECOND, wait_until, wire
from tests.support import capture, missing, require, require_root
from tests.test_cli import PROGRAM, ROOT, complaint, dicomsniff
from tests.test_live_command import Live, echo, serve

STORE = "store.pcapng"
ROWS = 12
"""Rows of its timeline."""


@functools.cache
def entire() -> str:
    """Its timeline, when all goes well."""
    return dicomsniff("timeline", "--reader", "scapy", capture(STORE)).stdout


def rows(text: str) -> list[str]:
    """A timeline without its head."""
    return text.splitlines()[1:]


# ---------------------------------------------------------------------------- tshark

HALF = (
    'case "$*" in *--version*) exec {tshark} "$@";; esac\n{tshark} "$@" | head -c 30000\nkill -9 $$'
)
"""Ends in the middle of the frames."""

BROKEN = {
    "killed at once": ("kill -9 $$", "it was ended by SIGKILL"),
    "a library missing": (
        'echo "tshark: error while loading shared libraries: libwireshark.so.16" >&2; exit 127',
        "libwireshark.so.16",
    ),
    "too old": (
        "echo \"tshark: invalid option -- 'F'\" >&2; exit 1",
        "invalid option",
    ),
    "another program": ("echo hello", "what tshark wrote is no capture"),
    "silent": ("exit 3", "it ended with status 3"),
}


def stand_in(folder: Path, script: str) -> dict[str, str]:
    """An environment in which tshark is a script."""
    real = require("tshark")
    folder.mkdir(exist_ok=True)
    path = folder / "tshark"
    path.write_text("#!/bin/sh\n" + script.replace("{tshark}", real) + "\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize(("script", "said"), BROKEN.values(), ids=BROKEN)
def test_a_tshark_that_does_not_work(script: str, said: str, tmp_path: Path) -> None:
    environment = stand_in(tmp_path / "bin", script)
    told = complaint("timeline", capture(STORE), environment=environment)
    assert said in told
    assert "dicomsniff doctor" in told
    assert "--reader scapy" in told


def test_the_doctor_knows_an_old_tshark(tmp_path: Path) -> None:
    environment = stand_in(tmp_path / "bin", "echo 'TShark 1.12.1 (Git Rev Unknown)'")
    lines = dicomsniff("doctor", environment=environment).stdout.splitlines()
    (at,) = (n for n, line in enumerate(lines) if line.startswith("--  tshark"))
    assert "1.12.1" in lines[at]
    assert "too old" in lines[at]
    assert "--reader scapy" in lines[at + 1]


def test_what_is_no_program_is_told_in_one_line(tmp_path: Path) -> None:
    environment = stand_in(tmp_path / "bin", "")
    (tmp_path / "bin" / "tshark").write_bytes(b"\x7fELF")
    told = complaint("timeline", capture(STORE), environment=environment)
    assert "tshark cannot be run: Exec format error" in told


def test_a_tshark_killed_half_way_is_no_loss_where_scapy_can_read_on(tmp_path: Path) -> None:
    whole = entire()
    done = dicomsniff("timeline", capture(STORE), environment=stand_in(tmp_path / "bin", HALF))
    assert done.stdout == whole
    assert "read on with scapy" in done.stderr
    assert done.stderr.count("\n") == 1


def other_format(tmp_path: Path) -> Path:
    """The same capture in a form that tshark alone can read."""
    path = tmp_path / "store.snoop"
    subprocess.run([require("editcap"), "-F", "snoop", capture(STORE), path], check=True)
    return path


@pytest.mark.parametrize("command", ["timeline", "transcript", "dump"])
def test_a_tshark_killed_half_way_leaves_what_came_before(command: str, tmp_path: Path) -> None:
    path = other_format(tmp_path)
    done = dicomsniff(command, path, status=2, environment=stand_in(tmp_path / "bin", HALF))
    assert done.stderr.count("\n") == 1
    assert f"{path}: tshark ended too early, the frames before that are shown" in done.stderr
    if command == "timeline":
        assert 0 < len(rows(done.stdout)) < ROWS
    elif command == "transcript":
        told = json.loads(done.stdout)
        assert told["capture"]["truncated"] is True
        assert told["associations"][0]["timeline"]
    elif command == "dump":
        assert "A-ASSOCIATE" in done.stdout


def test_a_filtering_tshark_killed_half_way_is_told(tmp_path: Path) -> None:
    script = 'case "$*" in *-Y*) {tshark} "$@" | head -c 9; kill -9 $$;; esac\nexec {tshark} "$@"'
    done = dicomsniff(
        *("timeline", "--display-filter", "tcp", capture(STORE)),
        status=2,
        environment=stand_in(tmp_path / "bin", script),
    )
    assert "the tshark that filters ended too early" in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(rows(done.stdout)) < ROWS


def alive(process: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)


@pytest.mark.parametrize("which", SIGNALS, ids=lambda each: each.name)
def test_a_tshark_that_hangs_is_ended_with_us(which: signal.Signals, tmp_path: Path) -> None:
    """It has written part of a capture and does not go on; nobody is left of it, whatever ends
    us. (SIGKILL lets us end nothing, but closes what tshark writes to.)"""
    note = tmp_path / "pid"
    script = f'echo $$ > {note}\n{{tshark}} "$@" | head -c 30000\nwhile echo; do sleep 0.1; done'
    with (
        capture(STORE).open("rb") as stdin,
        subprocess.Popen(
            [*PROGRAM, "timeline", "--reader", "pyshark", "-"],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **stand_in(tmp_path / "bin", script)},
            preexec_fn=_deaf_to_nothing,
        ) as process,
    ):
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(3)]
        process.send_signal(which)
        rest, said = process.communicate(timeout=60)
    wait_until(lambda: not alive(int(note.read_text())))
    if which is signal.SIGKILL:
        return
    assert process.returncode == 0
    assert said == "dicomsniff: interrupted; what was read until then follows\n"
    whole = entire()
    lines = ("".join(first) + rest).splitlines()
    assert len(lines) >= 3
    # The last one may tell of a message that was cut off.
    assert lines[:-1] == whole.splitlines()[: len(lines) - 1]


def _deaf_to_nothing() -> None:
    """A background shell hands down ignored signals."""
    for each in SIGNALS[:3]:
        signal.signal(each, signal.SIG_DFL)


# ---------------------------------------------------------------------------- disks and mounts


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[Path]:
    """A file system that is gone with the test."""
    require_root()
    folder.mkdir()
    done = subprocess.run(
        [require("mount"), *arguments, str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        missing(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 KiB."""
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=32k", "tmpfs") as folder:
        yield folder


@contextmanager
def dead(folder: Path, name: str, intact: int) -> Iterator[Path]:
    """A capture on a mount that has gone: so many bytes of it can be read, and then no more."""
    image = folder.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(2 << 20)
    make = ("mkfs.ext4", "-q", "-F", "-b", "1024", "-O", "^has_journal", str(image))
    subprocess.run([require(make[0]), *make[1:]], check=True)
    with mounted(folder.with_suffix(".filled"), "-o", "loop", str(image)) as filled:
        shutil.copy(capture(name), filled)
    begins = image.read_bytes().index(capture(name).read_bytes()[:1024])
    with mounted(folder, "-o", "loop", str(image)):
        assert (folder / name).stat().st_size
        with image.open("r+b") as file:
            file.truncate(begins + intact)
        Path("/proc/sys/vm/drop_caches").write_text("1")
        yield folder / name


@pytest.mark.parametrize("reader", ["scapy", "pyshark"])
def test_a_mount_that_fails_half_way(reader: str, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with dead(tmp_path / "dead", STORE, 30 * 1024) as path:
        done = dicomsniff("transcript", "--reader", reader, path, "-o", out, status=2)
    assert done.stderr.count("\n") == 1
    assert f"{path}: cannot be read on" in done.stderr
    assert os.strerror(errno.EIO) in done.stderr
    told = json.loads(out.read_text())
    assert told["capture"]["truncated"] is True
    kinds = [each["kind"] for each in told["associations"][0]["timeline"]]
    assert kinds[:2] == ["A-ASSOCIATE-RQ", "A-ASSOCIATE-AC"]


@pytest.mark.parametrize("reader", ["scapy", "pyshark"])
def test_a_mount_that_fails_at_once(reader: str, tmp_path: Path) -> None:
    with dead(tmp_path / "dead", STORE, 0) as path:
        told = complaint("timeline", "--reader", reader, path)
    assert str(path) in told
    assert os.strerror(errno.EIO) in told


@pytest.mark.parametrize("form", [(), ("--ndjson",)], ids=["json", "ndjson"])
def test_a_disk_without_room_for_a_transcript(form: tuple[str, ...], small: Path) -> None:
    path = small / "out.json"
    told = complaint("transcript", "--reader", "scapy", *form, capture(STORE), "-o", path)
    assert told == f"dicomsniff: {path}: {os.strerror(errno.ENOSPC)}\n"
    assert list(small.iterdir()) == []


def test_a_disk_without_room_for_what_is_written_in_one_go(small: Path) -> None:
    """Nothing is written before the file is closed."""
    with suppress(OSError), (small / "full").open("wb", buffering=0) as full:
        while full.write(bytes(4096)):
            pass
    path = small / "out.json"
    told = complaint("transcript", "--reader", "scapy", capture("no-answer.pcapng"), "-o", path)
    assert told == f"dicomsniff: {path}: {os.strerror(errno.ENOSPC)}\n"
    assert [each.name for each in small.iterdir()] == ["full"]


def test_a_disk_without_room_for_objects(small: Path) -> None:
    """The objects that had room are whole, and the one that had none says what it is."""
    path = capture("store-transfer-syntaxes.pcapng")
    done = dicomsniff("extract", "--reader", "scapy", path, "-d", small, status=2)
    assert done.stderr.count("\n") == 1
    assert f"{os.strerror(errno.ENOSPC)}; make room or choose another" in done.stderr
    whole = small.parent / "whole"
    dicomsniff("extract", "--reader", "scapy", path, "-d", whole)
    written = sorted(small.glob("*.dcm"))
    assert written
    assert len(written) < len(list(whole.glob("*.dcm")))
    for each in written:
        assert each.read_bytes() == (whole / each.name).read_bytes()


def test_no_room_for_temporary_files(small: Path) -> None:
    """A transcript waits in memory instead; what tshark has to read twice cannot."""
    (small / "fill").write_bytes(bytes(20_000))
    environment = {"TMPDIR": str(small)}
    arguments = ("transcript", "--reader", "scapy", "--keep-phi", capture(STORE))
    assert dicomsniff(*arguments, environment=environment).stdout == dicomsniff(*arguments).stdout
    require("tshark")
    with capture(STORE).open("rb") as stream:
        told = complaint(
            *("timeline", "--display-filter", "tcp", "-"), stdin=stream, environment=environment
        )
    assert f"{small}: {os.strerror(errno.ENOSPC)}" in told
    assert "TMPDIR" in told


# ---------------------------------------------------------------------------- the configuration


_COMMANDS = re.compile(r"\x1b\[[0-9;?<>=]*[a-zA-Z]")
"""What a terminal is told between the letters."""


@pytest.mark.parametrize("where", ["/dev/null", "folder"])
def test_a_configuration_folder_that_cannot_be_used(where: str, tmp_path: Path) -> None:
    """The screen comes up all the same, and begins a line with what could not be read."""
    if where == "folder":
        where = str(tmp_path)
        (tmp_path / "dicomsniff" / "config.toml").mkdir(parents=True)
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(ROOT)
        os.environ.update(XDG_CONFIG_HOME=where, HOME=where, TERM="xterm-256color")
        os.execv(PROGRAM[0], [*PROGRAM, "open", "--reader", "scapy", str(capture("echo.pcapng"))])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    shown = ""
    try:
        deadline = time.monotonic() + 60
        while "associations" not in shown or where[:9] not in shown:
            assert time.monotonic() < deadline, shown[-2000:]
            if select.select([terminal], [], [], 0.2)[0]:
                read = os.read(terminal, 65536).decode(errors="replace")
                shown += _COMMANDS.sub("", read)
        os.write(terminal, b"q")
        ended = 0
        while not ended:
            assert time.monotonic() < deadline
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    os.read(terminal, 65536)
                except OSError:
                    pass  # the other end is closed
            ended, status = os.waitpid(pid, os.WNOHANG)
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert "Traceback" not in shown


# ---------------------------------------------------------------------------- clocks


def durations(told: object) -> Iterator[float]:
    """Everything in a transcript that says how long something took. (When an entry came may well
    lie before the association began, by a clock that was set back.)"""
    if isinstance(told, dict):
        for key, value in told.items():
            if key in ("duration", "first_response") and value is not None:
                yield value
            yield from durations(value)
    elif isinstance(told, list):
        for each in told:
            yield from durations(each)


def jumped(name: str, back: int) -> list[rewrite.Packet]:
    """A capture whose clock is set back, in seconds, half-way."""
    packets = rewrite.load(capture(name))
    half = len(packets) // 2
    return packets[:half] + [
        each._replace(time=each.time - back * 1_000_000_000) for each in packets[half:]
    ]


@pytest.mark.parametrize("back", [1, 3600, 3 * 365 * 86_400])
@pytest.mark.parametrize("name", ["worklist.pcapng", "two-associations-one-connection.pcapng"])
def test_a_clock_set_back_changes_nothing_that_was_said(name: str, back: int) -> None:
    packets = rewrite.load(capture(name))
    told = rewrite.rebuild(jumped(name, back))
    assert rewrite.story(told) == rewrite.story(rewrite.rebuild(packets))
    for association in told:
        assert association.duration >= 0
        for operation in association.operations:
            for took in (operation.duration, operation.first_response):
                assert took is None or took >= 0


def test_a_clock_set_back_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "jumped.pcap"
    packets = jumped("worklist.pcapng", 3600)
    path.write_bytes(rewrite.pcap(rewrite.frames(packets), nanoseconds=True))
    for command in ("dump", "check", "journey"):
        assert not dicomsniff(command, "--reader", "scapy", path).stderr
    told = json.loads(dicomsniff("transcript", "--reader", "scapy", path).stdout)
    assert told["capture"]["packets"] == len(packets)
    took = list(durations(told))
    assert took
    assert all(each >= 0 for each in took)


# ---------------------------------------------------------------------------- while live


def test_an_interface_that_goes_away_while_live(tmp_path: Path) -> None:
    with wire() as lan:
        serve(lan, tmp_path / "received")
        kept = tmp_path / "kept.pcapng"
        live = Live(lan, "--json", "--write", str(kept))
        echo(lan)
        lan.run(1, "ip", "link", "set", "veth1", "down")
        time.sleep(3)
        assert live.process.poll() is None, "it may come back"
        lan.run(1, "ip", "link", "set", "veth1", "up")
        lan.run(0, "ip", "link", "del", "veth0")
        out, said = live.process.communicate(timeout=30)
    lines = said.decode().splitlines()
    assert live.process.returncode == 2, said
    assert lines[-1] == "dicomsniff: veth1: is gone; the capture ended there"
    assert "dicomsniff: veth1: went down; the capture goes on when it is up again" in lines
    outcomes = [json.loads(line)["outcome"] for line in out.splitlines()]
    assert outcomes[0] == "released"
    rows_kept = rows(dicomsniff("timeline", "--reader", "scapy", kept).stdout)
    assert len(rows_kept) >= 6


def test_a_disk_that_fills_up_while_live(small: Path) -> None:
    kept = small / "kept.pcapng"
    send = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"for _ in range(900): s.sendto(bytes(100), ('{SECOND}', 9))"
    )
    with wire() as lan:
        live = Live(lan, "--write", str(kept))
        lan.run(0, sys.executable, "-c", send)
        _, said = live.process.communicate(timeout=30)
    assert live.process.returncode == 2, said
    (line,) = said.decode().splitlines()[-1:]
    told = re.fullmatch(
        rf"dicomsniff: {kept}: {os.strerror(errno.ENOSPC)}; ([\d,]+) packets were kept", line
    )
    assert told, said
    # The file ends with a whole packet, and the number is right.
    done = subprocess.run(
        [require("tshark"), "-r", str(kept), "-T", "fields", "-e", "frame.number"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cut short" not in done.stderr
    assert len(done.stdout.split()) == int(told[1].replace(",", "")) > 100
