"""The command line as its users meet it: a process with arguments, streams and an exit status."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import jsonschema
import pydicom
import pytest

from dicomsniff import __version__
from dicomsniff.cli.arguments import parser
from tests import rewrite
from tests.benchmarks import traffic
from tests.support import CAPTURES, capture, require

ROOT = CAPTURES.parent

SCRIPT = Path(sys.executable).with_name("dicomsniff")
PROGRAM = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "dicomsniff"]

COMMANDS = (
    "open",
    "live",
    "timeline",
    "transcript",
    "extract",
    "dump",
    "check",
    "journey",
    "compare-tshark",
    "interfaces",
    "doctor",
    "schema",
)

READERS = ("scapy", "pyshark")


def dicomsniff(
    *arguments: str | Path,
    status: int = 0,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    prefix: Sequence[str] = (),
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, and hold its exit status against what is expected."""
    done = subprocess.run(
        [*prefix, *PROGRAM, *map(str, arguments)],
        stdin=stdin,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
        env=None if environment is None else {**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == status, (done.returncode, done.stderr)
    return done


def complaint(*arguments: str | Path, **options: object) -> str:
    """The one line that says why it was not done; of results there are none."""
    done = dicomsniff(*arguments, status=2, **options)  # type: ignore[arg-type]
    # A timeline's head may have been printed before a stream turned out to hold nothing.
    assert len(done.stdout.splitlines()) <= ("timeline" in arguments)
    assert done.stderr.startswith("dicomsniff"), done.stderr
    assert done.stderr.endswith("\n")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> str:
    """Each reader in turn."""
    name: str = request.param
    if name == "pyshark":
        require("tshark")
    return name


# ---------------------------------------------------------------------------- help


def test_version() -> None:
    assert dicomsniff("--version").stdout == f"dicomsniff {__version__}\n"


def test_help_lists_every_command() -> None:
    told = dicomsniff("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^    {command} +\w", told, re.MULTILINE), command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_that_works(command: str) -> None:
    told = dicomsniff(command, "--help", environment={"COLUMNS": "40"}).stdout
    *_, last = told.splitlines()
    (example,) = re.findall(r"^example: dicomsniff (.+)$", last)
    subprocess.run(["sh", "-n", "-c", example], check=True)  # copied into a shell, it is a command
    words = shlex.split(example)
    if ">" in words:
        words = words[: words.index(">")]
    assert parser().parse_args(words).command == command
    for word in words:
        if word.startswith("captures/"):
            assert (ROOT / word).exists()


# ---------------------------------------------------------------------------- one clear line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["draw"], "invalid choice: 'draw'"),
        (["timeline"], "required: FILE"),
        (["timeline", "--colour", "x"], "unrecognized arguments: --colour"),
        (["timeline", "--reader", "pcap", "x"], "invalid choice: 'pcap'"),
        (["timeline", "--port", "0", "x"], "'0' is no TCP port"),
        (["timeline", "--port", "DICOM", "x"], "'DICOM' is no TCP port"),
        (["timeline", "--association", "first", "x"], "'first' is no number of an association"),
        (["timeline", "--association", "9" * 5000, "x"], "is no number of an association"),
        (["extract", "x"], "required: -d/--directory"),
        (["extract", "-d", "", "x"], "'' is no folder"),
    ],
)
def test_bad_usage(arguments: list[str], said: str) -> None:
    told = complaint(*arguments)
    assert said in told
    assert re.search(r"; see dicomsniff[a-z ]* --help$", told)


COMMANDS_ON_FILES = ("timeline", "transcript", "dump", "extract")


def on_files(command: str, tmp_path: Path) -> list[str | Path]:
    """A command that reads captures, ready for their names."""
    return [command, "-d", tmp_path / "objects"] if command == "extract" else [command]


@pytest.mark.parametrize("command", COMMANDS_ON_FILES)
def test_a_file_that_is_not_there(command: str, tmp_path: Path) -> None:
    told = complaint(*on_files(command, tmp_path), "no-such.pcapng")
    assert told == "dicomsniff: no-such.pcapng: no such file\n"
    assert not (tmp_path / "objects").exists()


def test_every_file_is_looked_at_before_any_is_read() -> None:
    told = complaint("timeline", capture("echo.pcapng"), "no-such.pcapng")
    assert told == "dicomsniff: no-such.pcapng: no such file\n"


def test_a_folder_without_captures(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert str(tmp_path) in complaint("timeline", tmp_path)


def test_an_empty_file(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "empty.pcap"
    path.touch()
    assert f"{path}: empty" in complaint("timeline", "--reader", reader, path)


def test_a_file_that_is_no_capture(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Patients are called at eight.\n" * 9)
    assert str(path) in complaint("transcript", "--reader", reader, path)


def test_no_permission_to_read(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "secret.pcapng"
    shutil.copy(capture("echo.pcapng"), path)
    path.chmod(0)
    # Even root gets no further without these capabilities.
    as_root = os.geteuid() == 0
    prefix = (
        [require("setpriv"), "--bounding-set", "-dac_override,-dac_read_search"] if as_root else []
    )
    told = complaint("timeline", "--reader", reader, path, prefix=prefix)
    assert f"{path}: no permission" in told


def test_a_name_with_a_line_break_or_an_escape_stays_on_its_line() -> None:
    told = complaint("timeline", "no\nsuch\x1b[2Jfile")
    assert "\x1b" not in told


def test_a_filter_that_cannot_be_read() -> None:
    told = complaint("timeline", "--where", "called = ", capture("echo.pcapng"))
    assert told.startswith("dicomsniff: --where: ")
    assert "'called'" in told
    assert "character 10" in told


def test_a_display_filter_that_tshark_refuses() -> None:
    require("tshark")
    told = complaint("timeline", "--display-filter", "tcp.portt == 1", capture("echo.pcapng"))
    assert "tcp.portt" in told


def test_a_display_filter_without_tshark() -> None:
    arguments = ("--reader", "scapy", "--display-filter", "tcp", capture("echo.pcapng"))
    assert "needs tshark" in complaint("timeline", *arguments)


def test_a_key_log_that_is_not_there() -> None:
    require("tshark")
    told = complaint("timeline", "--keylog", "no-such.keys", capture("tls.pcapng"))
    assert "no-such.keys" in told


def test_standard_input_goes_with_nothing_else() -> None:
    assert "stdin: " in complaint("timeline", "-", "-")
    assert "stdin: " in complaint("timeline", capture("echo.pcapng"), "-")


def test_nothing_on_standard_input(reader: str) -> None:
    assert "stdin: empty" in complaint("timeline", "--reader", reader, "-")


def test_standard_input_closed() -> None:
    told = complaint("timeline", "-", prefix=["sh", "-c", 'exec "$@" <&-', "sh"])
    assert "stdin: closed" in told


def test_a_screen_needs_a_terminal_or_a_file() -> None:
    assert "name a capture" in complaint("open")
    assert "no terminal" in complaint("live", "lo")


# ---------------------------------------------------------------------------- where output goes

# scapy: where tshark is missing, the default reader has a word to say of that.
WRITING = (
    ["timeline", "--reader", "scapy", "captures/store.pcapng"],
    ["transcript", "--reader", "scapy", "captures/store.pcapng"],
    ["transcript", "--reader", "scapy", "--ndjson", "captures/store.pcapng"],
    ["dump", "--reader", "scapy", "captures/store.pcapng"],
    ["schema"],
    ["doctor"],
    ["--help"],
)
"""A command of each kind that writes to stdout."""


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such" / "folder.json"
    assert str(path) in complaint("transcript", capture("echo.pcapng"), "-o", path)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "objects"
    path.write_text("mine")
    assert str(path) in complaint("extract", capture("store.pcapng"), "-d", path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("arguments", WRITING, ids=" ".join)
def test_a_full_disk_is_told(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert os.strerror(errno.ENOSPC) in done.stderr


@pytest.mark.parametrize("arguments", WRITING, ids=" ".join)
def test_a_closed_pipe_is_no_error(arguments: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [*PROGRAM, *arguments], stdout=write_end, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_has_seen_enough() -> None:
    with subprocess.Popen(
        [*PROGRAM, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"{\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_standard_output_closed() -> None:
    done = dicomsniff(
        "timeline",
        capture("echo.pcapng"),
        status=2,
        prefix=["sh", "-c", 'exec "$@" >&-', "sh"],
    )
    assert done.stderr.count("\n") == 1, done.stderr


# ---------------------------------------------------------------------------- interrupted


def begun(*arguments: str, output: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """Run it on a pipe that holds a whole capture and does not end."""
    process = subprocess.Popen(
        [*PROGRAM, *arguments, "--reader", "scapy", "-"],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    process.stdin.write(capture("worklist.pcapng").read_bytes())
    process.stdin.flush()
    return process


def wait_until_read(stream: IO[bytes] | None) -> None:
    """Wait until the other end has taken everything out of a pipe, and had time to think."""
    assert stream is not None
    waiting = array("i", [1])
    deadline = time.monotonic() + 30
    while waiting[0]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        fcntl.ioctl(stream.fileno(), termios.FIONREAD, waiting)
    time.sleep(1.5)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_transcript_is_whole(which: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with begun("transcript", "-o", str(path)) as process:
        wait_until_read(process.stdin)
        process.send_signal(which)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert said == b"dicomsniff: interrupted; what was read until then follows\n"
    told = json.loads(path.read_text())
    assert [each["outcome"] for each in told["associations"]] == ["released"]
    assert told["findings"] == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("which", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_after_the_end_changes_nothing(which: str) -> None:
    """As when a capture ends by itself in the moment somebody presses ^C."""
    late = (
        "import atexit, os, signal, sys\n"
        f"atexit.register(lambda: os.kill(os.getpid(), signal.{which}))\n"
        "from dicomsniff.cli import program\n"
        "sys.argv = ['dicomsniff', '--version']\n"
        "program()"
    )
    done = subprocess.run([sys.executable, "-c", late], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("dicomsniff ")


def test_rows_of_a_pipe_come_at_once_and_an_interruption_ends_them() -> None:
    whole = dicomsniff("timeline", "--reader", "scapy", capture("worklist.pcapng")).stdout
    with begun("timeline") as process:
        assert process.stdout is not None
        rows = [process.stdout.readline().decode() for _ in whole.splitlines()]
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=20)
    assert "".join(rows) == whole
    assert rest == b""
    assert process.returncode == 0
    assert said.count(b"\n") == 1


def test_an_association_still_open_is_told_as_open_when_interrupted() -> None:
    data = capture("worklist.pcapng").read_bytes()
    with subprocess.Popen(
        [*PROGRAM, "transcript", "--ndjson", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(data[: len(data) // 2])
        process.stdin.flush()
        wait_until_read(process.stdin)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    (line,) = out.splitlines()
    told = json.loads(line)
    assert told["outcome"] == "open"
    assert told["timeline"]


def test_an_output_file_is_left_alone_when_reading_fails(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("before")
    notes = tmp_path / "notes.txt"
    notes.write_text("no capture at all, but long enough to look at")
    complaint("transcript", notes, "-o", path)
    assert path.read_text() == "before"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["notes.txt", "out.json"]


# ---------------------------------------------------------------------------- what they do


def test_timeline(reader: str) -> None:
    head, *rows = (
        dicomsniff("timeline", "--reader", reader, capture("worklist.pcapng"))
        .stdout[:-1]
        .split("\n")
    )
    assert head.split() == ["No.", "Time", "Source", "Destination", "Protocol", "Length", "Info"]
    told = [re.split(r" DICOM +\d+ ", row)[1] for row in rows]
    assert told == [
        "A-ASSOCIATE request FLC1270 --> MOZI",
        "A-ASSOCIATE accept  FLC1270 <-- MOZI",
        "P-DATA, C-FIND-RQ ID=1, Modality Worklist",
        *["P-DATA, C-FIND-RSP ID=1 (Pending)"] * 8,
        "P-DATA, C-FIND-RSP ID=1 (Success)",
        "A-RELEASE request",
        "A-RELEASE response",
    ]


def test_several_captures_are_one_session() -> None:
    paths = [capture("echo.pcapng"), capture("worklist.pcapng")]
    together = dicomsniff("timeline", *paths).stdout.splitlines()
    apart = [dicomsniff("timeline", path).stdout.splitlines() for path in paths]
    assert len(together) == sum(map(len, apart)) - 1


def test_a_folder_of_captures_is_one_session(tmp_path: Path) -> None:
    paths = [capture("echo.pcapng"), capture("worklist.pcapng")]
    for path in paths:
        shutil.copy(path, tmp_path)
    assert dicomsniff("timeline", tmp_path).stdout == dicomsniff("timeline", *paths).stdout


def test_one_association_of_several() -> None:
    path = capture("echo.pcapng")
    whole = dicomsniff("timeline", path).stdout.splitlines()
    head, *first = dicomsniff("timeline", "--association", "1", path).stdout.splitlines()
    _, *second = dicomsniff("timeline", "--association", "2", path).stdout.splitlines()
    assert [head, *first, *second] == whole
    assert first
    assert second


def test_an_association_that_is_not_there() -> None:
    told = complaint("timeline", "--reader", "scapy", "--association", "3", capture("echo.pcapng"))
    assert "--association 3: none has this number; there are associations 1 to 2" in told
    assert "'0' is no number" in complaint("check", "--association", "0", capture("echo.pcapng"))


@pytest.mark.parametrize(("expression", "rows"), [("kind = C-FIND-RSP", 9), ("called = NOBODY", 0)])
def test_where(expression: str, rows: int) -> None:
    told = dicomsniff("timeline", "--where", expression, capture("worklist.pcapng")).stdout
    assert len(told.splitlines()) == rows + 1


def test_a_display_filter_and_the_numbers_it_leaves() -> None:
    require("tshark")
    path = capture("worklist.pcapng")
    told = dicomsniff("timeline", "--display-filter", "tcp", path)
    assert told.stdout == dicomsniff("timeline", path).stdout


def test_both_readers_give_the_same_transcript_but_for_their_name() -> None:
    require("tshark")
    path = capture("move.pcapng")
    ours, theirs = (dicomsniff("transcript", "--reader", each, path).stdout for each in READERS)
    assert ours.replace('"reader": "scapy"', '"reader": "pyshark"') == theirs
    assert ours != theirs


def test_a_transcript_keeps_to_its_schema_and_names_nobody(reader: str) -> None:
    path = capture("worklist.pcapng")
    schema = json.loads(dicomsniff("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    masked = dicomsniff("transcript", "--reader", reader, path).stdout
    kept = dicomsniff("transcript", "--reader", reader, "--keep-phi", path).stdout
    for text, applied in ((masked, True), (kept, False)):
        told = json.loads(text)
        jsonschema.validate(told, schema)
        assert told["capture"]["reader"] == reader
        assert told["capture"]["source"] == "worklist.pcapng"
        assert told["redaction"]["applied"] is applied
    names = {
        each["dataset"]["00100010"]["Value"][0]["Ideographic"]
        for each in json.loads(kept)["associations"][0]["timeline"]
        if each["kind"] == "C-FIND-RSP" and each["dataset"]
    }
    assert len(names) == 8
    assert [name for name in names if name in masked] == []


def test_masks_for_titles_and_addresses() -> None:
    path = capture("worklist.pcapng")
    plain = dicomsniff("transcript", path).stdout
    masked = dicomsniff("transcript", "--mask-ae", "--mask-addresses", path).stdout
    for secret in ("FLC1270", "MOZI", "127.0.0.1"):
        assert secret in plain
        assert secret not in masked


def test_ndjson_is_an_association_a_line() -> None:
    path = capture("concurrent.pcapng")
    whole = json.loads(dicomsniff("transcript", path).stdout)
    lines = dicomsniff("transcript", "--ndjson", path).stdout.splitlines()
    assert len(lines) == len(whole["associations"]) > 1
    for line, association in zip(lines, whole["associations"], strict=True):
        assert json.loads(line)["timeline"] == association["timeline"]


def test_what_is_read_is_never_replaced_by_the_output(tmp_path: Path) -> None:
    kept = capture("worklist.pcapng").read_bytes()
    path = tmp_path / "a.pcapng"
    path.write_bytes(kept)
    link = tmp_path / "link.pcapng"
    link.symlink_to(path)
    keys = tmp_path / "tls.keys"
    keys.write_bytes(b"# none\n")
    for out in (path, link):
        told = complaint("transcript", path, "-o", out)
        assert str(out) in told
        assert "another file" in told
        assert str(out) in complaint("transcript", tmp_path, "-o", out)
    assert str(keys) in complaint("transcript", path, "--keylog", keys, "-o", keys)
    assert path.read_bytes() == kept
    assert keys.read_bytes() == b"# none\n"


def test_an_output_file_is_what_stdout_would_be(tmp_path: Path) -> None:
    path = tmp_path / "worklist.json"
    done = dicomsniff("transcript", capture("worklist.pcapng"), "-o", path)
    assert done.stdout == ""
    assert path.read_text() == dicomsniff("transcript", capture("worklist.pcapng")).stdout
    assert list(tmp_path.iterdir()) == [path]


def test_a_device_or_a_pipe_is_written_to_and_not_replaced() -> None:
    arguments = ("transcript", "--reader", "scapy", capture("echo.pcapng"))
    assert dicomsniff(*arguments, "-o", "/dev/stdout").stdout == dicomsniff(*arguments).stdout
    told = complaint(*arguments, "-o", "/dev/full")
    assert told == f"dicomsniff: /dev/full: {os.strerror(errno.ENOSPC)}\n"
    assert Path("/dev/full").is_char_device()


def test_a_link_stays_one(tmp_path: Path) -> None:
    link = tmp_path / "latest.json"
    link.symlink_to("worklist.json")
    dicomsniff("transcript", capture("worklist.pcapng"), "-o", link)
    assert link.is_symlink()
    assert json.loads((tmp_path / "worklist.json").read_text())["associations"]


def test_a_terminal_without_the_characters_of_a_name() -> None:
    path = capture("worklist.pcapng")
    told = dicomsniff("dump", "--keep-phi", path, environment={"PYTHONIOENCODING": "ascii"})
    whole = dicomsniff("dump", "--keep-phi", path).stdout
    assert told.stdout.isascii()
    assert told.stdout == whole.encode("ascii", "backslashreplace").decode()
    assert not whole.isascii()


def test_dump_looks_like_a_log_and_names_nobody() -> None:
    masked = dicomsniff("dump", capture("worklist.pcapng")).stdout
    kept = dicomsniff("dump", "--keep-phi", capture("worklist.pcapng")).stdout
    found = re.findall(
        r"^.*\(0010,0010\) PN \[(.+?)\] +# +\d+, ?1 PatientName$", kept, re.MULTILINE
    )
    assert len(found) == 8
    assert [name for name in found if name in masked] == []


def test_extract_writes_what_was_stored(tmp_path: Path) -> None:
    folder = tmp_path / "objects"
    done = dicomsniff("extract", capture("store.pcapng"), "-d", folder)
    objects = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    assert len(objects) == len(done.stdout.splitlines()) == 4
    assert {each.SOPClassUID.keyword for each in objects} == {
        "CTImageStorage",
        "MRImageStorage",
        "UltrasoundMultiFrameImageStorage",
        "BasicTextSRStorage",
    }
    assert "4 objects" in done.stderr


def test_extract_says_what_it_left_out(tmp_path: Path) -> None:
    lost = tmp_path / "lost.pcap"
    frames = list(rewrite.raw_frames(capture("store.pcapng")))
    lost.write_bytes(rewrite.pcap(frames[:9] + frames[10:]))
    done = dicomsniff("extract", lost, "-d", tmp_path / "objects")
    assert len(done.stdout.splitlines()) == 3
    first, second = done.stderr.splitlines()
    assert first.startswith("dicomsniff: 3 objects, index ")
    assert second == "dicomsniff: left out: 1 C-STORE response without a request"


def test_standard_input_is_as_good_as_a_file() -> None:
    path = capture("worklist.pcapng")
    with path.open("rb") as stream:
        piped = dicomsniff("timeline", "-", stdin=stream).stdout
    assert piped == dicomsniff("timeline", path).stdout


def test_without_a_terminal_open_prints_the_timeline() -> None:
    path = capture("echo.pcapng")
    assert dicomsniff("open", path).stdout == dicomsniff("timeline", path).stdout


def test_a_damaged_capture_gives_what_came_before(tmp_path: Path, reader: str) -> None:
    data = capture("worklist.pcapng").read_bytes()
    path = tmp_path / "cut.pcapng"
    path.write_bytes(data[: len(data) * 2 // 3])
    done = dicomsniff("transcript", "--reader", reader, path)
    told = json.loads(done.stdout)
    assert told["capture"]["truncated"] is True
    assert told["associations"][0]["outcome"] == "open"
    assert f"dicomsniff: {path}: " in done.stderr


def test_a_capture_without_dicom_is_told(tmp_path: Path) -> None:
    path = tmp_path / "video.pcap"
    with path.open("wb") as stream:
        traffic.write([traffic.datagram(1, 2, b"a picture")] * 3, stream)
    done = dicomsniff("timeline", path)
    assert len(done.stdout.splitlines()) == 1
    assert "no DICOM in 3 packets; if a port carries it all the same, name it with --port" in (
        done.stderr
    )
    done = dicomsniff("timeline", "--port", "4242", path)
    assert "no DICOM in 3 packets; nothing on port 4242 could be read as DICOM" in done.stderr
    assert "--port" not in done.stderr


def test_where_no_packet_came_no_port_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "silence.pcap"
    with path.open("wb") as stream:
        traffic.write([], stream)
    done = dicomsniff("timeline", "--reader", "scapy", path)
    assert done.stderr == "dicomsniff: silence.pcap: no packets\n"


def test_where_the_display_filter_lets_nothing_pass_it_is_named() -> None:
    require("tshark")
    done = dicomsniff("timeline", "--display-filter", "udp", capture("echo.pcapng"))
    assert done.stderr == (
        "dicomsniff: echo.pcapng: no packets that the display filter 'udp' lets pass\n"
    )


def test_where_tshark_is_missing_scapy_reads_and_says_so(tmp_path: Path) -> None:
    path = capture("worklist.pcapng")
    done = dicomsniff("timeline", path, environment={"PATH": str(tmp_path)})
    assert done.stdout == dicomsniff("timeline", "--reader", "scapy", path).stdout
    assert "tshark is not installed" in done.stderr
    assert done.stderr.count("\n") == 1


def test_doctor_knows_the_programs() -> None:
    version = subprocess.run(
        [require("tshark"), "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[2]
    told = dicomsniff("doctor").stdout
    (line,) = (line for line in told.splitlines() if line.split()[1] == "tshark")
    assert line.startswith("ok")
    assert version.rstrip(".") in line


def test_doctor_tells_how_to_mend_what_is_missing(tmp_path: Path) -> None:
    told = dicomsniff("doctor", environment={"PATH": str(tmp_path)}).stdout.splitlines()
    (at,) = (n for n, line in enumerate(told) if line.startswith("--  tshark"))
    assert "install" in told[at + 1]


def test_interfaces_lists_the_loopback() -> None:
    assert re.search(r"^lo\b", dicomsniff("interfaces").stdout, re.MULTILINE)
