"""``dicomsniff live`` on a wire of its own: dcmtk's peers speak, tcpdump listens beside us."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dicomsniff.output.schema import schema
from tests.namespaces import FIRST, SECOND, Wire, wait_until, wire
from tests.support import CAPTURES, require

PROGRAM = [sys.executable, "-m", "dicomsniff"]
ROOT = CAPTURES.parent
PORT = 11112


@pytest.fixture
def lan() -> Iterator[Wire]:
    """Two hosts."""
    with wire() as made:
        yield made


class Live:
    """``dicomsniff live veth1`` on the second host."""

    def __init__(
        self, lan: Wire, *arguments: str, interfaces: tuple[str, ...] = ("veth1",)
    ) -> None:
        self.process = lan.start(
            1,
            [*PROGRAM, "live", *interfaces, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        self._pid = self.process.pid
        # It listens once its sockets are open, and decodes once it has no rights left.
        wait_until(lambda: self.process.poll() is not None or self._has_dropped())

    def _has_dropped(self) -> bool:
        status = Path(f"/proc/{self._pid}/status").read_text()
        return "CapBnd:\t0000000000000000" in status

    def status(self) -> list[str]:
        """/proc's word on every thread."""
        tasks = Path(f"/proc/{self._pid}/task").iterdir()
        return [(task / "status").read_text() for task in tasks]

    def line(self) -> dict[str, Any]:
        """The next line, as soon as it comes."""
        stdout = self.process.stdout
        assert stdout is not None
        told: dict[str, Any] = json.loads(stdout.readline())
        return told

    def end(self, how: signal.Signals = signal.SIGINT) -> tuple[list[dict[str, Any]], str]:
        """Interrupt it: the lines that were left, and what it said."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        out, said = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, said
        assert b"Traceback" not in said
        return [json.loads(line) for line in out.splitlines()], said.decode()


def serve(lan: Wire, folder: Path) -> None:
    """dcmtk's storescp on the second host, its verification and storage SCP."""
    folder.mkdir()
    lan.start(1, [require("storescp"), "-od", str(folder), str(PORT)], stderr=subprocess.DEVNULL)
    lan.wait_for_port(1, PORT)


def echo(lan: Wire, *more: str) -> None:
    lan.run(0, require("echoscu"), *more, SECOND, str(PORT))


def objects(tmp_path: Path) -> list[str]:
    """Data sets of our own captures, to be sent again."""
    folder = tmp_path / "objects"
    subprocess.run(
        [*PROGRAM, "extract", "--reader", "scapy", CAPTURES / "store.pcapng", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return sorted(map(str, folder.rglob("*.dcm")))


APART = 5_000_000
"""Nanoseconds between two programs' times of one packet: where a network card gives none, the
kernel looks at the clock once for each socket."""

_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\.(\d{9})Z")

_SPAN = re.compile(r"[\d.]+ (?:ms|s|µs)\b")


def nanoseconds(text: str) -> int | None:
    """A time of a transcript, None where it is no time."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    moment = datetime.fromisoformat(found[1] + "+00:00")
    return int(moment.timestamp()) * 10**9 + int(found[2])


def hold(ours: Any, theirs: Any, where: str) -> None:
    """Equal, but for the clock."""
    assert type(ours) is type(theirs) or isinstance(ours, int | float), where
    if isinstance(ours, dict):
        assert list(ours) == list(theirs), where
        for key, value in ours.items():
            hold(value, theirs[key], f"{where}.{key}")
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), where
        for index, value in enumerate(ours):
            hold(value, theirs[index], f"{where}[{index}]")
    elif isinstance(ours, float):
        assert abs(ours - theirs) * 10**9 < APART, where
    elif isinstance(ours, str) and (moment := nanoseconds(ours)) is not None:
        other = nanoseconds(theirs)
        assert other is not None, where
        assert abs(moment - other) < APART, where
    elif isinstance(ours, str):
        assert _SPAN.sub("", ours) == _SPAN.sub("", theirs), where
    else:
        assert ours == theirs, where


def without(told: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key not in keys}


def test_the_same_as_tcpdump_replayed(lan: Wire, tmp_path: Path) -> None:
    serve(lan, tmp_path / "received")
    files = objects(tmp_path)
    assert files
    beside = tmp_path / "tcpdump.pcap"
    tcpdump = lan.start(
        1,
        f"{require('tcpdump')} -i veth1 -U -Z root -B 32768 --time-stamp-precision=nano "
        f"-w {beside} tcp".split(),
        stderr=subprocess.PIPE,
    )
    assert tcpdump.stderr is not None
    tcpdump.stderr.readline()  # "listening on"
    # Pseudonyms are drawn anew by every run.
    live = Live(
        lan, "--json", "--keep-phi", "--filter", "tcp", "--write", str(tmp_path / "ours.pcapng")
    )
    echo(lan)
    echo(lan, "--abort")
    store = require("storescu")
    for file in files:
        lan.run(0, store, "-R", SECOND, str(PORT), file, check=False)
    echo(lan, "--repeat", "20")
    time.sleep(2.5)  # connections linger for a second
    lines, said = live.end()
    tcpdump.send_signal(signal.SIGINT)
    tcpdump.communicate(timeout=20)
    assert "0 packets dropped" in said
    done = subprocess.run(
        [*PROGRAM, "transcript", "--reader", "scapy", "--ndjson", "--keep-phi", beside],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    replayed = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(replayed) >= 3 + len(files)
    assert {line["outcome"] for line in lines} >= {"released", "aborted"}
    validator = jsonschema.Draft202012Validator(
        {"$ref": "#/$defs/Line", "$defs": schema()["$defs"]}
    )
    for ours, theirs in zip(lines, replayed, strict=True):
        validator.validate(ours)
        assert ours["capture"]["reader"] == "live"
        assert ours["capture"]["dropped"] == 0
        hold(without(ours, "capture"), without(theirs, "capture"), "")
    # And what we kept is what tcpdump kept.
    frames = [
        subprocess.run(
            f"{require('tshark')} -r {path} -T fields -e frame.time_epoch -e frame.len "
            "-e tcp.seq_raw -e tcp.flags".split(),
            capture_output=True,
            check=True,
        ).stdout
        for path in (beside, tmp_path / "ours.pcapng")
    ]
    rows = [[line.split("\t") for line in each.decode().splitlines()] for each in frames]
    assert len(rows[0]) > 100, said
    assert [row[1:] for row in rows[0]] == [row[1:] for row in rows[1]], said
    for theirs_row, ours_row in zip(*rows, strict=True):
        assert abs(Decimal(theirs_row[0]) - Decimal(ours_row[0])) < Decimal("0.005")


def test_events_come_one_by_one_and_without_people(lan: Wire, tmp_path: Path) -> None:
    serve(lan, tmp_path / "received")
    live = Live(lan, "--events")
    # A connection that stops in the middle: what was said is told before it goes on.
    with Client(lan) as client:
        client.send(request())
        first = live.line()
        assert first["entry"]["kind"] == "A-ASSOCIATE-RQ"
        second = live.line()
        assert second["entry"]["kind"] == "A-ASSOCIATE-AC"
        assert second["association"]["outcome"] == "open"
        assert second["association"]["requestor"]["address"] == FIRST
    for file in objects(tmp_path)[:1]:
        lan.run(0, require("storescu"), "-R", SECOND, str(PORT), file)
    wait = [live.line() for _ in range(7)]
    rest, _ = live.end()
    kinds = [each["entry"]["kind"] for each in wait + rest]
    kinds.remove("CONNECTION-LOST")  # in its own time: when the other side has closed, too
    assert kinds == [
        "A-ASSOCIATE-RQ",
        "A-ASSOCIATE-AC",
        "C-STORE-RQ",
        "C-STORE-RSP",
        "A-RELEASE-RQ",
        "A-RELEASE-RP",
    ]
    validator = jsonschema.Draft202012Validator(
        {"$ref": "#/$defs/Event", "$defs": schema()["$defs"]}
    )
    for each in [first, second, *wait]:
        validator.validate(each)
    stored = next(each["entry"] for each in wait if each["entry"]["kind"] == "C-STORE-RQ")
    assert wait[0]["redaction"]["applied"] is True
    name = stored["dataset"]["00100010"]["Value"][0]["Alphabetic"]
    with open(objects(tmp_path)[0], "rb") as sent:
        assert name.encode() not in sent.read()


class Client:
    """A plain TCP connection from the first host."""

    SCRIPT = (
        "import socket, sys, time\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "s.sendall(bytes.fromhex(sys.stdin.readline()))\n"
        "sys.stdin.read()\n"
    )

    def __init__(self, lan: Wire) -> None:
        self._process = lan.start(
            0,
            [sys.executable, "-c", self.SCRIPT, SECOND, str(PORT)],
            stdin=subprocess.PIPE,
        )

    def send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data.hex().encode() + b"\n")
        self._process.stdin.flush()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=20)


def request() -> bytes:
    from tests import wire as pdus

    return pdus.request([(1, pdus.VERIFICATION, [pdus.IMPLICIT])])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_what_is_open_is_told_as_open_when_it_is_ended(
    lan: Wire, tmp_path: Path, how: signal.Signals
) -> None:
    serve(lan, tmp_path / "received")
    live = Live(lan, "--json", "--events", "--write", str(tmp_path / "kept.pcapng"))
    with Client(lan) as client:
        client.send(request())
        assert live.line()["format"] == "dicomsniff.event"
        assert live.line()["entry"]["kind"] == "A-ASSOCIATE-AC"
        (told,), said = live.end(how)
    assert told["format"] == "dicomsniff.association"
    assert told["outcome"] == "open"
    assert [each["kind"] for each in told["timeline"]] == ["A-ASSOCIATE-RQ", "A-ASSOCIATE-AC"]
    assert "packets kept" in said


def say_half(lan: Wire) -> None:
    """Ask for an association, and reset the connection: nothing else is on the wire then."""
    lan.run(
        0,
        sys.executable,
        "-c",
        "import socket, struct, sys\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "s.sendall(bytes.fromhex(sys.argv[3]))\n"
        "s.recv(10000)\n"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n"
        "s.close()\n",
        SECOND,
        str(PORT),
        request().hex(),
    )


def test_an_association_is_told_while_the_network_is_silent(lan: Wire, tmp_path: Path) -> None:
    serve(lan, tmp_path / "received")
    live = Live(lan, "--json", "--filter", f"tcp port {PORT}")
    say_half(lan)
    began = time.monotonic()
    told = live.line()
    assert time.monotonic() - began < 5
    assert told["outcome"] == "lost"
    live.end()


def test_so_it_is_behind_a_pipe(lan: Wire, tmp_path: Path) -> None:
    serve(lan, tmp_path / "received")
    tcpdump = lan.start(
        1,
        [require("tcpdump"), *f"-i veth1 -U -Z root -w - tcp port {PORT}".split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert tcpdump.stderr is not None
    tcpdump.stderr.readline()  # "listening on"
    reads = subprocess.Popen(
        [*PROGRAM, "transcript", "--ndjson", "-"],
        stdin=tcpdump.stdout,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    lan.processes.append(reads)
    say_half(lan)
    assert reads.stdout is not None
    told = json.loads(reads.stdout.readline())
    assert tcpdump.poll() is None, "it goes on"
    assert told["outcome"] == "lost"
    tcpdump.send_signal(signal.SIGINT)
    assert reads.communicate(timeout=20)[0] == b""
    assert reads.returncode == 0


def test_only_dicom_is_kept_and_rights_are_given_up(lan: Wire, tmp_path: Path) -> None:
    serve(lan, tmp_path / "received")
    kept = tmp_path / "kept.pcapng"
    live = Live(lan, "--events", "--write", str(kept), "--dicom-only")
    for status in live.status():
        assert "CapEff:\t0000000000000000" in status
        assert "CapPrm:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
    lan.run(0, "ping", "-c", "1", SECOND, check=False)
    lan.run(0, sys.executable, "-c", f"import socket; socket.socket().connect_ex(('{SECOND}', 9))")
    echo(lan)
    for _ in range(6):
        live.line()
    time.sleep(0.5)
    _, said = live.end()
    assert "packets kept" in said
    rows = subprocess.run(
        f"{require('tshark')} -r {kept} -T fields -e tcp.port -e tcp.flags".split(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(rows) > 8
    assert all(str(PORT) in row for row in rows)
    assert rows[0].endswith("0x0002"), "from its SYN on"
    done = subprocess.run(
        [require("capinfos"), kept], capture_output=True, text=True, check=True, timeout=30
    )
    assert "pcapng" in done.stdout


def test_any_sees_what_crosses_every_interface(lan: Wire, tmp_path: Path) -> None:
    serve(lan, tmp_path / "received")
    kept = tmp_path / "any.pcapng"
    live = Live(lan, "--json", "--filter", f"tcp port {PORT}", "--write", str(kept),
                interfaces=("any",))  # fmt: skip
    echo(lan)
    lan.run(1, require("echoscu"), "127.0.0.1", str(PORT))
    time.sleep(2)
    lines, _ = live.end()
    assert [line["outcome"] for line in lines] == ["released", "released"]
    assert [line["requestor"]["address"] for line in lines] == [FIRST, "127.0.0.1"]
    assert not any(line["gaps"] for line in lines)
    rows = subprocess.run(
        [require("tshark"), "-r", kept, "-d", f"tcp.port=={PORT},dicom", "-Y", "dicom"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(rows) == 12


def test_two_interfaces_a_count_and_a_duration(lan: Wire, tmp_path: Path) -> None:
    serve(lan, tmp_path / "received")
    kept = tmp_path / "two.pcapng"
    live = Live(lan, "--json", "--count", "10", "--filter", "tcp", "--write", str(kept),
                interfaces=("lo", "veth1"))  # fmt: skip
    echo(lan)
    wait_until(lambda: live.process.poll() is not None)  # the count ends it, nobody else
    lines, said = live.end()
    assert "10 packets" in said
    assert [line["outcome"] for line in lines] == ["open"]
    names = subprocess.run(
        [require("tshark"), "-r", kept, "-T", "fields", "-e", "frame.interface_name"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert names == ["veth1"] * 10
    began = time.monotonic()
    done = lan.run(1, *PROGRAM, "live", "lo", "--json", "--duration", "1.5s", cwd=ROOT)
    assert 1.5 < time.monotonic() - began < 15
    assert done.returncode == 0


def test_a_snap_length_leaves_gaps_that_are_told(lan: Wire, tmp_path: Path) -> None:
    serve(lan, tmp_path / "received")
    live = Live(lan, "--json", "--snaplen", "200", "--filter", "tcp")
    echo(lan)
    time.sleep(2)
    (told,), _ = live.end()
    assert told["gaps"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ring", "10x100MB"], "--write"),
        (["--dicom-only"], "--write"),
        (["--json", "--write", "/no/such/folder/x.pcapng"], "/no/such/folder/x.pcapng"),
        (["--json", "--write", "-"], "name one"),
        (["--json", "--ring", "ten", "--write", "x"], "10x100MB"),
        (["--json", "--duration", "soon"], "15min"),
        (["--json", "--count", "0"], "above 0"),
        (["--json", "--filter", "tcp prt 1"], "tcp prt 1"),
    ],
)
def test_what_cannot_be_done_is_one_line(lan: Wire, arguments: list[str], said: str) -> None:
    done = lan.run(1, *PROGRAM, "live", "lo", *arguments, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_killed_one_leaves_a_readable_file(lan: Wire, tmp_path: Path) -> None:
    serve(lan, tmp_path / "received")
    kept = tmp_path / "kept.pcapng"
    live = Live(lan, "--events", "--write", str(kept), "--filter", "tcp")
    echo(lan)
    for _ in range(6):
        live.line()
    time.sleep(2.5)
    live.process.kill()
    live.process.communicate()
    done = subprocess.run(
        [*PROGRAM, "timeline", "--reader", "scapy", kept],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 7
    assert "cut" not in done.stderr


@pytest.mark.parametrize("interface", ["veth1", "any"])
def test_a_tag_that_the_kernel_took_out_is_put_back(
    lan: Wire, tmp_path: Path, interface: str
) -> None:
    packet = (
        b"\2\0\0\0\0\2\2\0\0\0\0\1\x81\0\0\5\x08\0"  # VLAN 5
        + struct.pack(">BBHIBBH4s4s", 0x45, 0, 128, 0, 64, 17, 0, b"\n\x62\0\1", b"\n\x62\0\2")
        + struct.pack(">HHHH", 7777, 7777, 108, 0)
        + b"x" * 100
    )
    kept = tmp_path / "tagged.pcapng"
    live = Live(lan, "--json", "--write", str(kept), interfaces=(interface,))
    send = "import socket, sys; s = socket.socket(17, 3); s.bind(('veth0', 0)); "
    send += "s.send(bytes.fromhex(sys.argv[1]))"
    lan.run(0, sys.executable, "-c", send, packet.hex())
    time.sleep(0.5)
    live.end()
    rows = subprocess.run(
        f"{require('tshark')} -r {kept} -Y udp.port==7777 -T fields -e vlan.id -e frame.len "
        "-e udp.length -e frame.protocols".split(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    tagged = [row.split("\t") for row in rows if row.startswith("5\t")]
    assert [row[1:3] for row in tagged] == [["146" if interface == "veth1" else "152", "108"]]


def outcomes(out: bytes) -> list[str]:
    return [json.loads(line)["outcome"] for line in out.splitlines()]


def test_an_interface_that_is_renamed_is_followed(lan: Wire, tmp_path: Path) -> None:
    """udev does that while a capture runs."""
    serve(lan, tmp_path / "received")
    live = Live(lan, "--json")
    echo(lan)
    live.line()
    for words in ("veth1 down", "veth1 name mirror7", "mirror7 up"):
        lan.run(1, *f"ip link set {words}".split())
        time.sleep(1.2)
    echo(lan)
    assert live.line()["outcome"] == "released"
    # Told when it happened, not at the end.
    assert live.process.stderr is not None
    told = [live.process.stderr.readline().decode() for _ in range(2)]
    assert told[0].endswith("veth1: went down; the capture goes on when it is up again\n")
    assert told[1].endswith("veth1, which is mirror7 now, is up again\n")
    left, _ = live.end()
    assert left == []


def test_an_interface_that_is_deleted_while_it_is_down(lan: Wire) -> None:
    """The kernel says nothing more of an interface that is down."""
    live = Live(lan, "--json")
    lan.run(1, "ip", "link", "set", "veth1", "down")
    time.sleep(1.5)
    assert live.process.poll() is None
    lan.run(1, "ip", "link", "del", "veth1")
    _, said = live.process.communicate(timeout=30)
    assert live.process.returncode == 2
    assert said.decode().splitlines()[-1] == "dicomsniff: veth1: is gone; the capture ended there"


def test_what_came_before_an_interface_is_deleted_is_told(lan: Wire, tmp_path: Path) -> None:
    """What was said last is still on its way to us when the interface goes."""
    serve(lan, tmp_path / "received")
    live = Live(lan, "--json")
    lan.run(0, "sh", "-c", f"echoscu -aet FLC1270 -aec MOZI {SECOND} {PORT}; ip link del veth0")
    out, said = live.process.communicate(timeout=30)
    assert live.process.returncode == 2, said
    assert outcomes(out) == ["released"]


def test_the_output_that_fails_is_not_the_interface(lan: Wire, tmp_path: Path) -> None:
    serve(lan, tmp_path / "received")
    with open("/dev/full", "wb") as full:
        process = lan.start(
            1,
            [*PROGRAM, "live", "veth1", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        status = Path(f"/proc/{process.pid}/status")
        wait_until(lambda: "CapBnd:\t0000000000000000" in status.read_text())
        echo(lan)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert b"No space left on device" in said
    assert b"veth1: No space" not in said
    assert b"Traceback" not in said


def test_a_terminal_that_is_closed_does_not_end_what_nohup_began(lan: Wire) -> None:
    process = lan.start(
        1,
        ["nohup", *PROGRAM, "live", "veth1", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    status = Path(f"/proc/{process.pid}/status")
    wait_until(lambda: "CapBnd:\t0000000000000000" in status.read_text())
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_an_interface_whose_name_is_no_text(lan: Wire) -> None:
    """The kernel allows any byte but a slash and white space; scapy fails where there is one."""
    name = b"mirror\xff"
    for words in (b"veth1 down", b"veth1 name " + name, name + b" up"):
        ip = [os.fsencode(word) for word in lan.inside(1, "ip", "link", "set")]
        subprocess.run([*ip, *words.split()], check=True)
    for words in (["interfaces"], ["live", "lo", "--json"], ["live", os.fsdecode(name), "--json"]):
        done = lan.run(1, *PROGRAM, *words, cwd=ROOT, check=False)
        assert done.returncode == 2
        assert "no UTF-8" in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
