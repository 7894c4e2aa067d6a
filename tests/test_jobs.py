"""``timeline --jobs``: several processes tell what one tells, and leave nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from dicomsniff.analysis import crew
from dicomsniff.cli.jobs import LEAST_SIZE
from tests import mixed, rewrite
from tests.benchmarks import traffic
from tests.benchmarks.cases import CASES

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")

Running = tuple[subprocess.Popen[str], list[int]]
"""A process, and those that it has begun."""

US = (sys.executable, "-m", "dicomsniff.cli")


def compare(reader: str, *files: Path) -> None:
    run = subprocess.run(
        (sys.executable, "-m", "tests.sharing", reader, *map(str, files)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def timeline(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = map(str, arguments)
    return subprocess.run((*US, "timeline", *words), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many small associations, in more bytes than it takes for sharing."""
    path = tmp_path_factory.mktemp("large") / "large.pcap"
    with path.open("wb") as stream:
        traffic.write(CASES["small"].make(0.1), stream)
    assert path.stat().st_size > LEAST_SIZE
    return path


# ---------------------------------------------------------------------------- the same


def test_recorded() -> None:
    compare("scapy", *sorted(mixed.CAPTURES.glob("*.pcapng")))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_recorded_through_tshark() -> None:
    names = ("worklist", "concurrent", "echo-ipv6", "tls", "retransmissions", "port-closed")
    compare("pyshark", *(mixed.CAPTURES / f"{name}.pcapng" for name in names))


@pytest.mark.parametrize("seed", [1, 2])
def test_side_by_side(tmp_path: Path, seed: int) -> None:
    files = []
    for name, frames in mixed.captures(Random(seed)):
        files.append(tmp_path / f"{name}.pcap")
        files[-1].write_bytes(rewrite.pcap(frames, nanoseconds=True))
    compare("scapy", *files)


def test_damaged(tmp_path: Path) -> None:
    whole = (mixed.CAPTURES / "concurrent.pcapng").read_bytes()
    cut = tmp_path / "cut.pcapng"
    cut.write_bytes(whole[:-50])
    nothing = tmp_path / "nothing.pcap"
    nothing.write_bytes(rewrite.pcap(mixed.framed(mixed.scans(Random(1), 1)))[:24])
    no_capture = tmp_path / "text.pcap"
    no_capture.write_bytes(b"no capture at all")
    compare("scapy", cut, nothing, no_capture, tmp_path / "missing.pcap", tmp_path)


def test_what_is_forgotten_of_closed_connections(tmp_path: Path) -> None:
    """Bytes that are sent again after the end are the middle of something new, or they are not: it
    depends on how much has ended since."""
    random = Random(3)
    packets = mixed.sessions(random)
    late = [
        packet._replace(time=packet.time + random.randrange(2, 12) * 1_000_000_000)
        for packet in packets
        if packet.payload and random.random() < 0.1
    ]
    packets = sorted(packets + late, key=lambda packet: packet.time)
    told = {}
    for kept in (16, 64, 100_000):
        script = f"""
from dicomsniff.tcp import flows
flows.TURNS_KEPT = {kept}
print(len(sharing.timeline("--reader", "scapy", sys.argv[1])[1]))
"""
        told[kept] = _anew(tmp_path, script, packets)
    rows = {kept: int(out.split()[0]) for kept, (out, _) in told.items()}
    assert rows[16] > rows[64] > rows[100_000]
    assert all((out.split()[1:], err) == (["0"], "") for out, err in told.values())


# ---------------------------------------------------------------------------- begun anew


def _anew(tmp_path: Path, script: str, frames: list[rewrite.Packet]) -> tuple[str, str]:
    """What several processes tell, where one has to do it, and what one tells."""
    path = tmp_path / "anew.pcap"
    path.write_bytes(rewrite.pcap(mixed.framed(frames), nanoseconds=True))
    told = subprocess.run(
        (
            sys.executable,
            "-c",
            "import sys\nfrom tests import sharing\n"
            f"{script}\n"
            "sharing.watch()\n"
            "args = ['--reader', 'scapy', sys.argv[1]]\n"
            "assert sharing.timeline('--jobs', '2', *args) == sharing.timeline(*args)\n"
            "print(len(sharing._anew))",
            str(path),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout, told.stderr


def test_limits_count_all_connections(tmp_path: Path) -> None:
    script = """
from dicomsniff.analysis import shares
from dicomsniff.tcp import flows
flows.MAX_HALF_OPEN = shares.MAX_HALF_OPEN = 60
"""
    packets = mixed.sessions(Random(1)) + mixed.scans(Random(2), 200)
    packets.sort(key=lambda packet: packet.time)
    assert _anew(tmp_path, script, packets) == ("1\n", "")


def test_tls_on_a_server_that_another_connection_made_known(tmp_path: Path) -> None:
    """It is told as DICOM's, on a port that is not registered."""
    plain = rewrite.load(mixed.CAPTURES / "echo.pcapng")
    hidden = rewrite.load(mixed.CAPTURES / "tls.pcapng")
    server, port = bytes((10, 1, 1, 1)), 4242
    packets = []
    began = 0
    for number, sessions in enumerate((plain, hidden, hidden, hidden, hidden)):
        session = [packet for packet in sessions if packet.flow == sessions[0].flow]
        asked = session[0].destination, session[0].dport
        for packet in session:
            packet = packet._replace(time=packet.time - session[0].time + began)
            if (packet.destination, packet.dport) == asked:
                packet = packet._replace(destination=server, dport=port, sport=5_000 + number)
            else:
                packet = packet._replace(source=server, sport=port, dport=5_000 + number)
            packets.append(packet)
        began = packets[-1].time + 3_000_000_000
    assert _anew(tmp_path, "", packets) == ("1\n", "")


@pytest.mark.parametrize("which", [0, 1])
def test_a_process_that_is_killed(large: Path, which: int) -> None:
    whole = timeline("--reader", "scapy", "--jobs", "1", large)
    process, children = _begin(large)
    os.kill(children[which], signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode == 0
    assert out == whole.stdout
    assert err == (
        "dicomsniff: large.pcap: a process that shared the work ended too early; "
        "one process begins anew\n"
    )
    assert _gone(children)


# ---------------------------------------------------------------------------- endings


def _begin(file: Path) -> Running:
    """Two processes at work, and the one that reads."""
    process = subprocess.Popen(
        (*US, "timeline", "--reader", "scapy", "--jobs", "2", str(file)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, _children(process, 2)


def _children(process: subprocess.Popen[str], count: int) -> list[int]:
    """The processes that it has begun, when there are so many."""
    if not Path("/proc").exists():
        pytest.skip("there is no /proc")
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = list(_below(process.pid))
        if len(found) >= count:
            return found
        time.sleep(0.005)
    raise AssertionError("no processes were begun")


def _below(process: int) -> Iterator[int]:
    """The processes that a process has begun, and those that they have begun."""
    try:
        told = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return
    for word in told.split():
        yield int(word)
        yield from _below(int(word))


def _gone(processes: list[int]) -> bool:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if not any(_alive(each) for each in processes):
            return True
        time.sleep(0.01)
    return False


def _alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


@pytest.fixture
def running(large: Path) -> Iterator[Running]:
    """Several processes at work, after the first rows were read."""
    process, children = _begin(large)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("    No.")
    assert "A-ASSOCIATE request" in process.stdout.readline()
    yield process, children
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(running: Running, large: Path, number: int) -> None:
    process, children = running
    os.kill(process.pid, number)
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    assert process.wait() == 0
    assert err == "dicomsniff: interrupted; what was read until then follows\n"
    whole = timeline("--reader", "scapy", "--jobs", "1", large).stdout.splitlines()[2:]
    told = out.splitlines()
    # Whatever was read is told in order, without a hole; what was open then is told to have ended.
    same = 0
    while same < min(len(told), len(whole)) and told[same] == whole[same]:
        same += 1
    assert same > 100
    assert len(told) - same < 50
    assert _gone(children)


def interrupted_while_nobody_reads(*command: str | Path) -> str:
    """What a command writes that is interrupted while it waits for a pipe that is full."""
    process = subprocess.Popen(
        [*US, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    # It waits when it neither runs nor writes.
    used, same = "", 0
    until = time.monotonic() + 30
    while same < 10 and time.monotonic() < until:
        time.sleep(0.05)
        before, used = used, " ".join(_stat(process.pid).split()[13:15])
        same = same + 1 if used == before and used > "0" else 0
    os.kill(process.pid, signal.SIGTERM)
    time.sleep(0.1)
    out, err = process.stdout.read(), process.stderr.read()
    assert process.wait() == 0
    assert err == "dicomsniff: interrupted; what was read until then follows\n"
    return out


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_interrupted_while_nobody_reads(large: Path, jobs: str) -> None:
    """What was to be written to a pipe that is full is not lost."""
    out = interrupted_while_nobody_reads("timeline", "--reader", "scapy", "--jobs", jobs, large)
    whole = timeline("--reader", "scapy", "--jobs", "1", large).stdout.splitlines()
    told = out.splitlines()
    alike = 0
    while alike < min(len(told), len(whole)) and told[alike] == whole[alike]:
        alike += 1
    assert alike > 500
    assert len(told) - alike < 50


def test_a_dump_interrupted_while_nobody_reads(large: Path) -> None:
    """It says where it leaves off."""
    told = interrupted_while_nobody_reads("dump", "--reader", "scapy", large).splitlines()
    done = subprocess.run(
        [*US, "dump", "--reader", "scapy", str(large)],
        capture_output=True,
        text=True,
        check=True,
    )
    whole = done.stdout.splitlines()
    left_off = [n for n, line in enumerate(told) if line.startswith("(interrupted")]
    alike = 0
    while alike < min(len(told), len(whole)) and told[alike] == whole[alike]:
        alike += 1
    assert alike > 500
    if " ASSOCIATION " not in whole[alike]:
        assert left_off == [alike]
    assert len(told) - alike < 500


def _stat(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text()
    except OSError:
        pytest.skip("there is no /proc")


def test_closed_pipe(running: Running) -> None:
    process, children = running
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait() == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert _gone(children)


def test_killed(running: Running) -> None:
    """Nothing can be done any more, and yet nothing is left behind."""
    process, children = running
    process.kill()
    process.wait()
    assert _gone(children)


def test_nobody_is_waited_for(large: Path) -> None:
    run = subprocess.run(
        (*US, "timeline", "--reader", "scapy", "--jobs", "2", str(large)),
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


# ---------------------------------------------------------------------------- how many


@pytest.mark.parametrize("count", ["0", "-1", "many", "65"])
def test_no_number(count: str) -> None:
    run = timeline("--jobs", count, mixed.CAPTURES / "echo.pcapng")
    assert run.returncode == 2
    assert run.stderr == (
        f"dicomsniff timeline: argument --jobs: '{count}' is no number of processes (1 to 64); "
        "see dicomsniff timeline --help\n"
    )


def _begun(script: str, *arguments: str | Path) -> str:
    """How many processes are begun."""
    run = subprocess.run(
        (
            sys.executable,
            "-c",
            "import sys\nfrom dicomsniff import cli\nfrom dicomsniff.analysis import crew, shares\n"
            "begun = []\nbegin = crew.Crew.__init__\n"
            "def init(self, count, prepare):\n"
            "    begin(self, count, prepare)\n    begun.extend([1] * count)\n"
            "crew.Crew.__init__ = init\n"
            f"{script}\n"
            "sys.stdout = open('/dev/null', 'w')\n"
            "cli.main(['timeline', '--reader', 'scapy', *sys.argv[1:]])\n"
            "sys.stderr.write(str(len(begun)))",
            *map(str, arguments),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stderr


def test_default(large: Path) -> None:
    echo = mixed.CAPTURES / "echo.pcapng"
    four = "crew.processors = lambda: 4"
    assert _begun(four, large) == "4"
    assert _begun("crew.processors = lambda: 100", large) == "8"
    assert _begun("crew.processors = lambda: 1", large) == "0"
    assert _begun(four, "--jobs", "1", large) == "0"
    assert _begun(four, "--jobs", "3", echo) == "3"
    # Too small, of several files, or whole associations are asked for.
    assert _begun(four, echo) == "0"
    assert _begun(four, large, echo) == "0"
    assert _begun(four, "--where", "outcome = released", large) == "0"
    assert _begun(four, "--association", "3", large) == "0"
    # What others do would not be noticed by a copy of this process.
    thread = (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    assert _begun(f"{four}\n{thread}", large) == "0"
    # Or no more processes are allowed.
    refused = "import errno, os\ndef fork(): raise OSError(errno.EAGAIN, '')\nos.fork = fork"
    assert _begun(f"{four}\n{refused}", large) == "0"


def test_one_connection_is_followed_by_one_process(tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    with path.open("wb") as stream:
        traffic.write(CASES["store"].make(0.04), stream)
    assert path.stat().st_size > LEAST_SIZE
    alone = "def no(*args): raise AssertionError\nshares.Shared._hand_out = no"
    assert _begun(f"crew.processors = lambda: 2\n{alone}", path) == "2"
    assert timeline("--reader", "scapy", path).stdout == (
        timeline("--reader", "scapy", "--jobs", "2", path).stdout
    )


def test_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 7}, raising=False)
    assert crew.processors() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert crew.processors() == 1
