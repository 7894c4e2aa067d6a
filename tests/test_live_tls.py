"""``dicomsniff live --keylog`` and pipes: TLS decrypted while the connection is open."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomsniff.analysis.pipeline import Listener, Pipeline, run
from dicomsniff.model import Association
from dicomsniff.sources import open_captures
from dicomsniff.sources.decrypting import Decrypting
from dicomsniff.sources.pcapfile import read_frames
from dicomsniff.sources.pcapng import PcapNgReader
from dicomsniff.sources.stream import Stream
from tests import rewrite
from tests.namespaces import SECOND, Wire, wire
from tests.support import capture, require
from tests.test_live_command import PROGRAM, ROOT, Live
from tests.tls import certificate

PEER = """
import ssl, sys, time
from pynetdicom import AE, build_context
address, port, keylog = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.keylog_filename = keylog
association = AE("FLC1270").associate(
    address, port, [build_context("1.2.840.10008.1.1")], tls_args=(context, None)
)
assert association.is_established
print(association.send_c_echo().Status, flush=True)
sys.stdin.readline()
association.release()
"""
"""An association that stays open until somebody says so."""


@pytest.fixture
def lan() -> Iterator[Wire]:
    with wire() as made:
        yield made


def test_rows_come_while_the_connection_is_open(lan: Wire, tmp_path: Path) -> None:
    require("tshark")
    pem, port = certificate(tmp_path), 10443
    keylog = tmp_path / "keys.txt"
    keylog.touch()
    options = ("+tls", str(pem), str(pem), "-ic")
    lan.start(
        1,
        [require("storescp"), *options, "-od", str(tmp_path), str(port)],
        stderr=subprocess.DEVNULL,
    )
    lan.wait_for_port(1, port)
    live = Live(lan, "--events", "--keylog", str(keylog))
    peer = lan.start(
        0,
        [sys.executable, "-c", PEER, SECOND, str(port), str(keylog)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert peer.stdout is not None
    assert peer.stdout.readline() == "0\n"
    kinds = [live.line()["entry"]["kind"] for _ in range(4)]
    assert kinds == ["A-ASSOCIATE-RQ", "A-ASSOCIATE-AC", "C-ECHO-RQ", "C-ECHO-RSP"]
    assert peer.poll() is None
    peer.communicate("\n", timeout=20)
    kinds = [live.line()["entry"]["kind"] for _ in range(2)]
    assert kinds == ["A-RELEASE-RQ", "A-RELEASE-RP"]
    left, said = live.end()
    assert left == []
    assert "1 association" in said
    assert "not decrypted" not in said


def test_a_key_log_that_is_not_there_is_said(lan: Wire) -> None:
    done = lan.run(
        1,
        *(*PROGRAM, "live", "veth1", "--events", "--keylog", "/no/such.keys"),
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "/no/such.keys" in done.stderr


# ---------------------------------------------------------------------------- pipes


class Kept(Listener):
    def __init__(self) -> None:
        self.associations: list[Association] = []
        self.rows = 0
        self.waited_for = -1
        self.seen = threading.Event()

    def entry_added(self, association: Association, entry: object) -> None:  # noqa: ARG002
        self.rows += 1
        if self.rows == self.waited_for:
            self.seen.set()

    def association_ended(self, association: Association) -> None:
        self.associations.append(association)


def told(path: Path, options: dict[str, object]) -> list[Association]:
    kept = Kept()
    run(open_captures([str(path)], **options), Pipeline(listener=kept))  # type: ignore[arg-type]
    return kept.associations


def cut_behind(data: bytes, frame: int) -> int:
    """Where a pcapng file's packet of that number ends."""
    at = number = 0
    while number < frame:
        kind, length = (int.from_bytes(data[at + n : at + n + 4], "little") for n in (0, 4))
        at += length
        number += kind == 6
    return at


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("secrets", ["key log", "embedded"])
def test_a_pipe_is_decrypted_as_it_comes(version: str, secrets: str, tmp_path: Path) -> None:
    path, keylog = capture(f"tls-{version}.pcapng"), capture(f"tls-{version}.keys")
    options: dict[str, object] = {"keylog": str(keylog)}
    if secrets == "embedded":
        options = {}
        both = tmp_path / "both.pcapng"
        words = [require("editcap"), "--inject-secrets", f"tls,{keylog}", path, both]
        subprocess.run(words, check=True, capture_output=True)
        path = both
    whole = told(path, options)
    data = path.read_bytes()
    kept = Kept()
    # Up to the first answer inside of TLS, which is an association accepted.
    rows = [(row, each.encrypted) for each in whole for row in each.timeline]
    first = next(row.last_frame for row, inside in rows if inside and row.kind == "A-ASSOCIATE-AC")
    kept.waited_for = sum(row.last_frame <= first for row, _ in rows)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDWR)
    source = open_captures([str(fifo)], **options)  # type: ignore[arg-type]
    reading = threading.Thread(target=run, args=(source, Pipeline(listener=kept)), daemon=True)
    reading.start()
    writer = os.open(fifo, os.O_WRONLY)
    os.close(descriptor)
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        end = cut_behind(data, first)
        pipe.write(data[:end])
        assert kept.seen.wait(30), "rows wait for what comes behind them"
        pipe.write(data[end:])
    reading.join(60)
    assert not reading.is_alive()
    assert rewrite.story(kept.associations) == rewrite.story(whole)
    assert source.notices == []


def test_closing_ends_a_pipe_that_is_silent(tmp_path: Path) -> None:
    require("tshark")
    path, keylog = capture("tls-1.3.pcapng"), capture("tls-1.3.keys")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDWR)
    try:
        source = open_captures([str(fifo)], keylog=str(keylog))
        data = path.read_bytes()
        os.write(descriptor, data[: cut_behind(data, 40)])
        frames = iter(source)
        assert [next(frames).number for _ in range(40)] == list(range(1, 41))
        timer = threading.Timer(0.2, source.close)
        timer.start()
        assert list(frames) == []
        timer.join()
    finally:
        os.close(descriptor)


def test_secrets_are_kept_in_one_byte_order() -> None:
    """What a capture in big-endian order brings along, as tshark is handed it."""

    def block(kind: int, body: bytes) -> bytes:
        length = (len(body) + 12).to_bytes(4, "big")
        return kind.to_bytes(4, "big") + length + body + length

    secrets = b"CLIENT_RANDOM 00 11\n"
    section = bytes.fromhex("1a2b3c4d00010000") + bytes.fromhex("ff" * 8)
    body = b"TLSK" + len(secrets).to_bytes(4, "big") + secrets
    data = block(0x0A0D0D0A, section) + block(10, body)

    class Nothing:
        def read(self, size: int, /) -> bytes:  # noqa: ARG002
            return b""

        def close(self) -> None:
            pass

    reader = read_frames(Stream(Nothing(), data))
    assert isinstance(reader, PcapNgReader)
    assert list(reader.frames()) == []
    assert reader.secrets == [b"KSLT" + len(secrets).to_bytes(4, "little") + secrets]


def test_frames_go_on_where_tshark_ends(tmp_path: Path) -> None:
    require("tshark")
    data, keylog = capture("tls-1.3.pcapng").read_bytes(), capture("tls-1.3.keys")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDWR)
    source = open_captures([str(fifo)], keylog=str(keylog))
    assert isinstance(source, Decrypting)
    writer = os.open(fifo, os.O_WRONLY)
    os.close(descriptor)
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        frames = iter(source)
        end = cut_behind(data, 40)
        pipe.write(data[:end])
        numbers = [next(frames).number for _ in range(40)]
        for process in source._process._running_processes:
            process.kill()
        pipe.write(data[end:])
    numbers += [frame.number for frame in frames]
    assert numbers == list(range(1, len(list(rewrite.raw_frames(capture("tls-1.3.pcapng")))) + 1))
    (notice,) = source.notices
    assert "the tshark that decrypts ended too early" in notice
