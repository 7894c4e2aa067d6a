"""What is left of root's rights once the sockets are open: nothing, in any thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dicomsniff.sources import privileges
from tests.support import require, require_root

ROOT = Path(__file__).resolve().parents[2]

NOBODY = 65_534

PROGRAM = """
import json, os, socket, sys, threading
from dicomsniff.sources import open_live, privileges

source = open_live("lo", capture_filter="udp port 9", duration=10, count=1)
told = privileges.drop()
seen = []

def capture():
    seen.extend(frame.length for frame in source)

def forbidden(what):
    try:
        what()
    except PermissionError:
        return True
    return False

thread = threading.Thread(target=capture)
thread.start()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.sendto(b"x" * 58, ("127.0.0.1", 9))
status = []
for task in os.listdir("/proc/self/task"):
    with open(f"/proc/self/task/{task}/status") as lines:
        parts = [line.partition(":") for line in lines]
        status.append({name: value.strip() for name, _, value in parts})
thread.join()
json.dump({
    "told": told,
    "seen": seen,
    "status": status,
    "no_socket": forbidden(
        lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))),
    "no_way_back": os.geteuid() == 0 or forbidden(lambda: os.setuid(0)),
    "home": os.environ.get("HOME"),
    # A new program does not get anything back either.
    "child": os.popen("grep CapEff /proc/self/status").read().split()[1],
}, sys.stdout)
"""


def run(environment: dict[str, str]) -> dict[str, object]:
    clean = {k: v for k, v in os.environ.items() if k not in ("SUDO_UID", "SUDO_GID")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=clean | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("sudo", [True, False], ids=["sudo", "root"])
def test_nothing_is_left_and_packets_still_come(sudo: bool) -> None:
    require_root()
    environment = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)} if sudo else {}
    told = run(environment)
    status = told["status"]
    assert isinstance(status, list)
    assert len(status) >= 2, "a thread was there to look at"
    for thread in status:
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(thread[name], 16) == 0, name
        assert thread["NoNewPrivs"] == "1"
        user = NOBODY if sudo else 0
        assert thread["Uid"].split() == [str(user)] * 4
        assert thread["Gid"].split() == [str(user)] * 4
        if sudo:
            assert set(thread["Groups"].split()) <= {str(NOBODY)}
    assert told["seen"] == [100]
    assert told["no_socket"] is True
    assert told["no_way_back"] is True
    assert int(str(told["child"]), 16) == 0
    assert bool(told["told"]) is sudo


def test_who_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getresuid", lambda: (0, 0, 0))
    monkeypatch.delenv("PKEXEC_UID", raising=False)
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "77")
    assert privileges.calling_user() == (1234, 77)
    # root by sudo of root, and what is no number, is nobody to become.
    for nobody in ("0", "", "-1", "1 2", "root"):
        monkeypatch.setenv("SUDO_UID", nobody)
        assert privileges.calling_user() is None
    # An ordinary user's environment means nothing.
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setattr(os, "getresuid", lambda: (5, 5, 5))
    assert privileges.calling_user() is None
    # A file that runs with its owner's rights: back to who called it.
    monkeypatch.setattr(os, "getresuid", lambda: (5, 6, 6))
    assert privileges.calling_user() == (5, os.getgid())


def test_without_rights_the_three_ways_are_told() -> None:
    require_root()
    setpriv = require("setpriv")
    argv = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    argv += ["--inh-caps=-all", "--bounding-set=-all"]
    able = [*argv, sys.executable, "-c", "import dicomsniff, pydicom, scapy"]
    if subprocess.run(able, cwd=ROOT, capture_output=True, timeout=60, check=False).returncode:
        pytest.skip("nobody may not read this checkout or its virtual environment")
    for command in (["live", "lo", "--json"], ["doctor"]):
        done = subprocess.run(
            [*argv, sys.executable, "-m", "dicomsniff", *command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stdout if command == ["doctor"] else done.stderr
        assert done.returncode == (0 if command == ["doctor"] else 2), done.stderr
        assert "root" in said
        assert "setcap cap_net_raw" in said
        assert "tcpdump -U -w - | dicomsniff open -" in said
        assert "ssh" in said
        assert "Traceback" not in done.stderr
