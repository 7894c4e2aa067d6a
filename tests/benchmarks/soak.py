#!/usr/bin/env python3
"""Live for a while: a store of 300 images at 1 Gbit/s, and ten thousand associations.

    python -m tests.benchmarks.soak                    # both, a minute of images; needs root
    python -m tests.benchmarks.soak --seconds 10 --associations 1000

``dicomsniff live`` listens on one end of a veth pair, in a network namespace of its own; tcpreplay
plays a capture into the other. Told are packets sent, captured and dropped, associations that came
out complete, resident memory every few seconds (the kernel's ring, which is mapped, shown apart),
and processor time. Exit status 1 where anything was lost, incomplete, or memory grew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import cases, traffic
from tests.benchmarks.traffic import Connection, Packet
from tests.namespaces import Wire, wait_until, wire

ROOT = Path(__file__).resolve().parents[2]

SETTLED = 10.0
"""Seconds after which memory has to be flat."""

GROWTH = 12 << 20
"""Bytes that memory may differ by after that: what waits for one object, and its transcript."""

IMAGES = 300


class Sample(NamedTuple):
    """Memory at a moment."""

    seconds: float
    own: int
    """Bytes of its own (RssAnon)."""
    all: int
    """Resident bytes, the ring included."""


class Outcome(NamedTuple):
    """What a run gave."""

    packets: int
    dropped: int
    outcomes: Counter[str]
    complete: int
    """Associations with all their operations answered, and no gap."""
    said: str
    samples: list[Sample]
    cpu: float


class Live:
    """``dicomsniff live`` on the second host, watched."""

    def __init__(self, lan: Wire, operations: int, arguments: list[str]) -> None:
        self._operations = operations
        self.outcomes: Counter[str] = Counter()
        self.complete = 0
        self.samples: list[Sample] = []
        argv = [sys.executable, "-m", "dicomsniff", "live", "veth1", "--json", *arguments]
        self._process = lan.start(1, argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
        status = Path(f"/proc/{self._process.pid}/status")
        wait_until(lambda: "CapBnd:\t0000000000000000" in status.read_text())
        self._began = time.monotonic()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._read, self._watch)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        for line in stdout:
            told = json.loads(line)
            self.outcomes[told["outcome"]] += 1
            answered = [each for each in told["operations"] if each["status"] is not None]
            whole = len(answered) == len(told["operations"]) == self._operations
            self.complete += whole and not told["gaps"] and not told["partial"]

    def _watch(self) -> None:
        status = Path(f"/proc/{self._process.pid}/status")
        while not self._over.wait(1):
            try:
                text = status.read_text()
            except OSError:
                return
            sizes = dict(re.findall(r"(\w+):\s+(\d+) kB", text))
            own, together = (int(sizes.get(name, 0)) << 10 for name in ("RssAnon", "VmRSS"))
            self.samples.append(Sample(time.monotonic() - self._began, own, together))

    def end(self) -> Outcome:
        """Interrupt it when it has had time to finish."""
        time.sleep(4)  # connections that have closed linger for one or two
        ticks = (Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2]).split()
        cpu = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
        self._over.set()
        self._process.send_signal(signal.SIGINT)
        stderr = self._process.stderr
        assert stderr is not None
        said = stderr.read().decode()
        for thread in self._threads:
            thread.join()
        self._process.wait(timeout=30)
        found = re.search(r"([\d,]+) packets, .*?([\d,]+) packets dropped", said)
        packets, dropped = (int(n.replace(",", "")) for n in found.groups()) if found else (0, -1)
        return Outcome(packets, dropped, self.outcomes, self.complete, said, self.samples, cpu)


def many(count: int) -> Iterator[Packet]:
    """Associations with a C-ECHO each, one after another."""
    for number in range(count):
        connection = Connection(3, 4, client_port=1024 + number % 60_000)
        yield from cases._association(connection, cases._ECHO, cases._echo(connection))


def images() -> Iterator[Packet]:
    """An association that stores 300 images of 512x512 in 16 bits."""
    connection = Connection()
    stores = (cases._store(connection, number) for number in range(IMAGES))
    return cases._association(connection, cases._STORAGE, *stores)


def replay(lan: Wire, file: Path, *options: str, seconds: float) -> tuple[int, float]:
    """Play a capture; packets sent, and bits a second."""
    done = lan.run(
        0,
        "tcpreplay",
        "--intf1=veth0",
        "--preload-pcap",
        *options,
        str(file),
        timeout=seconds * 3 + 120,
    )
    text = done.stdout + done.stderr
    sent = re.search(r"Successful packets:\s+(\d+)", text)
    rate = re.search(r"Rated:.*?([\d.]+) Mbps", text)
    assert sent is not None, text
    return int(sent[1]), float(rate[1]) * 1e6 if rate else 0.0


def tell(name: str, sent: int, rate: float, outcome: Outcome, expected: int) -> bool:
    """Print what came out; True where all is well."""
    settled = [each for each in outcome.samples if each.seconds >= SETTLED] or outcome.samples[-1:]
    low, high = min(each.own for each in settled), max(each.own for each in settled)
    print(f"\n{name}")
    print(f"  sent      {sent:,} packets, {rate / 1e6:,.0f} Mbit/s")
    print(f"  captured  {outcome.packets:,}; dropped by the kernel {outcome.dropped:,}")
    print(
        f"  complete  {outcome.complete:,} of {expected:,} associations "
        f"({', '.join(f'{n} {c:,}' for n, c in outcome.outcomes.items())})"
    )
    load = os.getloadavg()[0]
    print(f"  processor {outcome.cpu:.1f} s; load of the machine {load:.1f}")
    step = max(1, len(outcome.samples) // 8)
    shown = [f"{s.seconds:.0f} s {s.own >> 20} MB" for s in outcome.samples[::step]]
    ring = max(s.all - s.own for s in outcome.samples) >> 20
    print(f"  memory    {', '.join(shown)}; with libraries and the ring {ring} MB more")
    print(f"            after {SETTLED:.0f} s: {low >> 20} to {high >> 20} MB")
    print("  " + outcome.said.strip().replace("\n", "\n  "))
    return (
        outcome.dropped == 0
        and outcome.packets >= sent
        and outcome.complete == expected
        and high - low <= GROWTH
    )


def main() -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="of images (default: 60)")
    parser.add_argument("--mbps", type=int, default=1000, help="megabits a second (default: 1000)")
    parser.add_argument("--associations", type=int, default=10_000)
    parser.add_argument("--pace", type=int, default=20_000, help="packets a second, of these")
    parser.add_argument("--write", action="store_true", help="keep the packets of DICOM as well")
    args = parser.parse_args()
    for tool in ("tcpreplay", "ip"):
        if shutil.which(tool) is None:
            print(f"{tool} is not installed", file=sys.stderr)
            return 2
    fine = True
    with tempfile.TemporaryDirectory(prefix="soak") as name, wire() as lan:
        folder = Path(name)
        keep = ["--write", str(folder / "kept.pcapng"), "--ring", "3x100MB", "--dicom-only"]
        # The hosts' own packets (address resolution, resets) are not what is measured.
        for host in (0, 1):
            lan.run(host, "ip", "addr", "flush", "dev", f"veth{host}")
            lan.run(host, "ip", "link", "set", "dev", f"veth{host}", "arp", "off")
        if args.seconds:
            file = folder / "images.pcap"
            with open(file, "wb") as stream:
                size = traffic.write(images(), stream)
            loops = max(1, round(args.seconds * args.mbps * 1e6 / 8 / size))
            live = Live(lan, IMAGES, keep if args.write else [])
            # Each time other addresses: the same ones would be retransmissions.
            sent, rate = replay(
                lan,
                file,
                f"--mbps={args.mbps}",
                f"--loop={loops}",
                "--unique-ip",
                seconds=args.seconds,
            )
            fine &= tell(f"{IMAGES} images, {loops} times", sent, rate, live.end(), loops)
        if args.associations:
            file = folder / "many.pcap"
            with open(file, "wb") as stream:
                traffic.write(many(args.associations), stream)
            live = Live(lan, 1, keep if args.write else [])
            sent, rate = replay(lan, file, f"--pps={args.pace}", seconds=60)
            name = f"{args.associations:,} associations, opened and closed"
            fine &= tell(name, sent, rate, live.end(), args.associations)
    print("\nall is well" if fine else "\nsomething was lost, incomplete, or grew")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
