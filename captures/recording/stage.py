# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scenario is, and the stage it is played on: peers, dumpcap, a folder."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pynetdicom
from pynetdicom import AE

# The host name given to dcmtk. A name would be looked up, over IPv6 first on some systems.
HOST = "127.0.0.1"
# Worklist goes over the port that DICOM was given long ago, the rest over the one it has now.
PORT_WELL_KNOWN = 104
PORT = 11112
# Second and third peers: move destinations, answers on an association of their own.
PORT_SECOND = 11113
PORT_THIRD = 11114
# DICOM over TLS, as registered.
PORT_TLS = 2762

# How long a server may take to listen, and a client to finish, before the scenario has failed.
START_SECONDS = 20.0
RUN_SECONDS = 60.0
# dumpcap's ring is read in blocks of 250 ms at the latest: a file that has not grown for longer
# than this holds everything.
QUIET_SECONDS = 1.0

# Holds the network namespace that the script was started in, once it runs in its own.
OUTSIDE = "DICOMSNIFF_RECORD_OUTSIDE"


class RecordingError(Exception):
    """A scenario could not be recorded; the text says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One capture: its name, what it shows, who speaks and what has to be installed."""

    name: str
    shows: str
    requestor: str
    acceptor: str
    ports: tuple[int, ...]
    tools: tuple[str, ...]
    play: Callable[[Stage], None]


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str,
    shows: str,
    *,
    requestor: str,
    acceptor: str,
    ports: tuple[int, ...] = (PORT,),
    tools: tuple[str, ...] = (),
) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Register a function as the scenario ``name``.

    ``requestor`` and ``acceptor`` name the tools on each side, ``ports`` are the TCP ports of the
    capture filter, and ``tools`` are programs needed beyond those two.
    """

    def register(play: Callable[[Stage], None]) -> Callable[[Stage], None]:
        programs = dict.fromkeys(
            [part for side in (requestor, acceptor) for part in side.split(" + ")] + list(tools)
        )
        SCENARIOS[name] = Scenario(name, shows, requestor, acceptor, ports, tuple(programs), play)
        return play

    return register


# Where a program of this name comes from, where that is not dcmtk; and sides that are none.
PACKAGES = {
    "Orthanc": "orthanc",
    "dumpcap": "tshark",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "unshare": "util-linux",
}
IN_PYTHON = ("pynetdicom", "sockets", "nobody")


def need(programs: Sequence[str]) -> None:
    """Raise RecordingError naming what is not installed and the packages that hold it."""
    absent = [p for p in programs if p not in IN_PYTHON and shutil.which(p) is None]
    if absent:
        packages = sorted({PACKAGES.get(program, "dcmtk") for program in absent})
        raise RecordingError(f"{', '.join(absent)} not found: apt-get install {' '.join(packages)}")


def version(program: str) -> str:
    """``program`` with the version it reports, e.g. ``findscu 3.6.7 (dcmtk)``."""
    if program == "pynetdicom":
        return f"pynetdicom {pynetdicom.__version__}"
    if program == "nobody":
        return program
    if program == "sockets":
        return f"sockets, PDUs encoded by pynetdicom {pynetdicom.__version__}"
    text = subprocess.run(
        [program, "-V" if program == "ip" else "--version"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = re.search(r"v?(\d+(?:\.\d+)+)", text)
    number = found[1] if found else "of unknown version"
    return f"{program} {number}" + (" (dcmtk)" if "dcmtk" in text else "")


def listening(port: int, process: int | str = "self") -> bool:
    """Whether something listens on TCP ``port`` in the network namespace of ``process``.

    The kernel is asked: to find out by connecting would be seen in the capture.
    """
    for table in (f"/proc/{process}/net/tcp", f"/proc/{process}/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                columns = line.split()
                if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == port:
                    return True
    return False


def wait_for(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Return as soon as ``condition`` holds; raise RecordingError after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RecordingError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.02)


@dataclass(slots=True)
class Stage:
    """What a scenario plays on: a temporary folder, the peers it started, and the capture.

    The scenario starts its servers, then runs everything that is to be recorded inside
    ``with stage.recording():``.
    """

    scene: Scenario
    folder: Path
    output: Path
    cleanup: contextlib.ExitStack
    commands: list[str] = field(default_factory=list)

    def note(self, command: str) -> None:
        """Add a line to the command lines in the README."""
        if command not in self.commands:
            self.commands.append(command)

    def serve(
        self, *argv: str | Path, port: int | None = None, prefix: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a server in the scenario's folder and wait until it listens on ``port``.

        ``prefix`` goes before the command and is not written down (nsenter).
        """
        words = [str(word) for word in argv]
        self.note(shlex.join(words) + " &")
        process = self._popen(words, prefix)
        if port is not None:

            def ready() -> bool:
                if process.poll() is not None:
                    raise RecordingError(f"{words[0]} ended at once:\n{self.log(words[0])}")
                return listening(port, process.pid)

            wait_for(ready, f"{words[0]} to listen on port {port}")
        return process

    def log(self, program: str) -> str:
        """The last lines that ``program`` wrote."""
        path = self.folder / f"{program}.log"
        return "\n".join(path.read_text("utf-8", "replace").splitlines()[-15:])

    def start(self, *argv: str | Path) -> subprocess.Popen[bytes]:
        """Start a client without waiting for it; hand it to ``finish``."""
        words = [str(word) for word in argv]
        self.note(shlex.join(words))
        return self._popen(words)

    def _popen(self, words: list[str], prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        with open(self.folder / f"{words[0]}.log", "ab") as log:
            process = subprocess.Popen(
                [*prefix, *words],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.cleanup.callback(stop, process)
        return process

    def finish(self, process: subprocess.Popen[bytes], *, fails: bool = False) -> None:
        """Wait for a client; its exit status has to be what the scenario is about."""
        program = str(process.args[0])  # type: ignore[index]
        try:
            status = process.wait(RUN_SECONDS)
        except subprocess.TimeoutExpired:
            raise RecordingError(f"{program} did not end:\n{self.log(program)}") from None
        if (status != 0) is not fails:
            raise RecordingError(f"{program} ended with {status}:\n{self.log(program)}")

    def run(self, *argv: str | Path, fails: bool = False) -> None:
        """Run a client to its end; ``fails`` says that it has to report failure."""
        self.finish(self.start(*argv), fails=fails)

    def prepare(self, *argv: str | Path) -> None:
        """Run a command that is part of the recipe but not of the traffic."""
        self.run(*argv)

    def host(
        self,
        ae: AE,
        port: int,
        handlers: list[Any],
        address: str = HOST,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Start a pynetdicom server in this process; it ends with the scenario."""
        server: Any = ae.start_server(
            (address, port), block=False, ssl_context=tls, evt_handlers=handlers
        )
        self.cleanup.callback(server.shutdown)

    @contextlib.contextmanager
    def recording(self, interface: str = "lo", *, also: str = "") -> Iterator[None]:
        """Record what happens inside, on ``interface``, into the scenario's pcapng file; ``also``:
        what besides TCP, as a capture filter."""
        target = self.output / f"{self.scene.name}.pcapng"
        fresh = self.folder / "recorded.pcapng"
        expression = "tcp and (" + " or ".join(f"port {p}" for p in self.scene.ports) + ")"
        if also:
            expression = f"({expression}) or {also}"
        with open(self.folder / "dumpcap.log", "wb") as log:
            dumpcap = subprocess.Popen(
                ["dumpcap", "-q", "-i", interface, "-s", "0", "-f", expression, "-w", str(fresh)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            # It names its file once the interface is open and the filter in place.
            wait_for(lambda: "File: " in self.log("dumpcap"), "dumpcap to capture")
            yield
            grown_at, size = time.monotonic(), -1
            while time.monotonic() - grown_at < QUIET_SECONDS:
                if fresh.stat().st_size != size:
                    grown_at, size = time.monotonic(), fresh.stat().st_size
                time.sleep(0.05)
            dumpcap.send_signal(signal.SIGINT)
            dumpcap.wait(RUN_SECONDS)
        finally:
            stop(dumpcap)
        counted = re.search(r"interface '.*': (\d+)/(\d+)", self.log("dumpcap"))
        if counted is None or counted[1] == "0" or counted[2] != "0":
            raise RecordingError(f"dumpcap lost packets or saw none:\n{self.log('dumpcap')}")
        shutil.copyfile(fresh, target)

    def keep(self, received: Path) -> None:
        """Keep the files that a store SCP received as ``objects/<scenario>/``."""
        target = self.output / "objects" / self.scene.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in sorted(received.iterdir()):
            shutil.copyfile(path, target / f"{path.name}.dcm")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and the children it forked, politely first."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
            if sign is signal.SIGTERM:
                continue
            return


def keys(*words: str) -> list[str]:
    """dcmtk's ``-k`` options."""
    return [part for word in words for part in ("-k", word)]
