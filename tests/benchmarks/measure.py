"""Running a program and measuring it: wall time, processor time, and memory with its children."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

_EVERY = 0.02
"""Seconds between two looks at the memory of a program and its children."""

_PROC = Path("/proc")

_SLOWS = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONDEVMODE", "PYTHONMALLOC")
"""Settings of the environment that make Python slower than users have it."""


class Run(NamedTuple):
    """What one run of a program took."""

    wall: float
    cpu: float
    """Seconds of processor time, of its children too."""
    own: int
    """Peak resident memory in bytes of the program itself."""
    largest: int
    """Of the largest process: the program, or one that it started."""
    together: int
    """The peaks of all of them added up, whether or not they came at once."""
    status: int
    """Exit status; None became -1 where the run was given up for taking too long."""


class _Watch(threading.Thread):
    """Looks at the peaks (VmHWM) of a process and its descendants until told to stop."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.peaks: dict[int, int] = {}
        self._root = root
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            self._look(self._root)
            self._over.wait(_EVERY)

    def stop(self) -> None:
        self._over.set()
        self.join()

    def _look(self, pid: int) -> None:
        try:
            for line in (_PROC / str(pid) / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self.peaks[pid] = int(line.split()[1]) * 1024
            for task in (_PROC / str(pid) / "task").iterdir():
                for child in (task / "children").read_text().split():
                    self._look(int(child))
        except (OSError, ValueError):
            pass  # it has just ended


def run(
    argv: Sequence[str],
    *,
    stdin: BinaryIO | int = subprocess.DEVNULL,
    timeout: float | None = None,
) -> Run:
    """Run ``argv`` with its output thrown away."""
    environment = {name: value for name, value in os.environ.items() if name not in _SLOWS}
    began = time.monotonic()
    process = subprocess.Popen(
        argv,
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    watch = _Watch(process.pid)
    watch.start()
    late = threading.Event()
    timer = threading.Timer(timeout or 0, lambda: (late.set(), process.kill()))
    timer.daemon = True
    if timeout is not None:
        timer.start()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    watch.stop()
    own = watch.peaks.get(process.pid, 0)
    largest = max(used.ru_maxrss * 1024, *watch.peaks.values(), 0)
    return Run(
        wall=wall,
        cpu=used.ru_utime + used.ru_stime,
        own=own or largest,
        largest=largest,
        together=max(largest, sum(watch.peaks.values())),
        status=-1 if late.is_set() else process.returncode,
    )


def first_line(argv: Sequence[str], skip: int) -> tuple[float, float]:
    """Seconds until ``argv`` has written a line behind the first ``skip`` ones, and until it ended
    because its reader had seen enough."""
    environment = {name: value for name, value in os.environ.items() if name not in _SLOWS}
    began = time.monotonic()
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    if process.stdout is None:  # pragma: no cover - it was asked for
        raise AssertionError
    with process.stdout as stream:
        for _ in range(skip + 1):
            stream.readline()
        first = time.monotonic() - began
    process.wait()
    return first, time.monotonic() - began
