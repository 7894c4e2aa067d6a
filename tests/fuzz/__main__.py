"""Coverage-guided fuzzing with atheris: ``python -m tests.fuzz [TARGET…] --seconds N --jobs N``.

Each target runs in a process of its own, with seeds made from ``captures/`` and what broke it
before (``found/``); what it finds new is kept in ``--corpus``. A table tells executions, coverage
and processor time of each. Exit status 0: every target ran for its time and held; 1: one did not
hold, did not run, or ended early. An input that broke an invariant is written to the working
folder, and run again with ``--replay FILE``. It needs atheris: pip install -e '.[test,fuzz]'.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MEMORY = 1024
"""MiB that one target may take."""

LONGEST = 20
"""Seconds that one input may take."""

PATIENCE = 15
"""How many times as long where processor time is counted: others have the machine, too."""

SHORTEST = 30
"""Seconds of a further round: it reads the corpus first."""

LENGTHS = {"framing": 4_000, "pdu": 8_000, "filter": 400, "ways": 200}
"""Bytes of the longest input of targets that try each in many ways; of the others 40,000."""

_printing = threading.Lock()
_DONE = re.compile(r"#(\d+)\s+DONE\s+cov: (\d+) ft: (\d+) corp: (\d+)")
_NAMES = [
    *("pdu", "framing", "conversation", "command", "data-set", "frames"),
    *("tcp", "ways", "pcap", "capture", "transcript", "filter", "tls"),
]


def _child(target: str, seconds: int, corpus: Path, seeds: Path, longest: int) -> None:
    """Fuzz until the time is over; does not return."""
    import atheris  # type: ignore[import-not-found, unused-ignore]

    with atheris.instrument_imports(include=["dicomsniff"]):
        from tests.fuzz.targets import TARGETS

    run = TARGETS[target]
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={MEMORY}",
        f"-timeout={longest}",
        "-print_final_stats=1",
        "-verbosity=1",
        f"-max_len={LENGTHS.get(target, 40_000)}",
        f"-artifact_prefix={target}-",
        str(corpus),
        str(seeds),
    ]
    atheris.Setup(arguments, run)
    atheris.Fuzz()


def judge(log: str, status: int, *, asked: int, took: float) -> tuple[str, tuple[int, ...]]:
    """Why a fuzzer that has ended does not count, "" where it does; and its figures.

    Only one that ran for its time, and says what it did, has held.
    """
    done = _DONE.search(log)
    figures = tuple(map(int, done.groups())) if done is not None else ()
    if status:
        return f"exit status {status}", figures
    if not figures:
        return "it does not say what it did", figures
    if not figures[0]:
        return "nothing was executed", figures
    if took < asked:
        return f"it ended after {took:.0f} of {asked} s", figures
    return "", figures


def _round(
    target: str, seconds: int, corpus: Path, seeds: Path, *, processor: bool
) -> tuple[str, int, float, float]:
    """Fuzz in a process: what it printed, its exit status, seconds of wall and processor time."""
    command = [
        *(sys.executable, "-m", "tests.fuzz", target, "--child", str(seeds)),
        *("--seconds", str(seconds), "--corpus", str(corpus)),
        *(("--processor",) if processor else ()),
    ]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        log = process.stdout.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - began
    return log, process.returncode, took, usage.ru_utime + usage.ru_stime


def _run(target: str, seconds: int, corpus: Path, *, processor: bool) -> bool:
    """Run one target, and tell what came of it. ``processor``: go on until it had so many seconds
    of a processor, which on a busy machine takes several rounds."""
    from tests.fuzz.seeds import write

    folder = corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    left, used, runs = seconds, 0.0, 0
    with tempfile.TemporaryDirectory() as temporary:
        seeds = Path(temporary)
        count = write(target, seeds)
        while True:
            log, status, took, cpu = _round(target, left, corpus, seeds, processor=processor)
            problem, figures = judge(log, status, asked=left, took=took)
            used += cpu
            runs += figures[0] if figures else 0
            left = max(SHORTEST, round(seconds - used))
            if problem or not processor or used >= seconds:
                break
    if problem:
        told = f"{target:<13} FAILED: {problem}\n" + "\n".join(log.splitlines()[-40:])
    else:
        _, covered, features, kept = figures
        told = (
            f"{target:<13} {count:>6} {runs:>11,} {used:>9,.0f} {covered:>9,} {features:>9,} "
            f"{kept:>7,}"
        )
    with _printing:
        print(told, flush=True)
    return not problem


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(_NAMES))
    parser.add_argument("--seconds", type=int, default=60, help="time of each target (60)")
    parser.add_argument(
        "--processor", action="store_true", help="seconds are of processor time, not of the clock"
    )
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time (1)")
    parser.add_argument("--corpus", type=Path, help="folder to keep what was found (temporary)")
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="run one input, without atheris"
    )
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    wanted = arguments.targets or _NAMES
    unknown = sorted(set(wanted) - set(_NAMES))
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(_NAMES)}")
    if arguments.replay is not None:
        from tests.fuzz.targets import TARGETS

        TARGETS[wanted[0]](arguments.replay.read_bytes())
        return 0
    if arguments.child is not None:
        longest = LONGEST * PATIENCE if arguments.processor else LONGEST
        _child(wanted[0], arguments.seconds, arguments.corpus / wanted[0], arguments.child, longest)
    with tempfile.TemporaryDirectory() as temporary:
        corpus = arguments.corpus or Path(temporary)
        print(
            f"{'target':<13} {'seeds':>6} {'executions':>11} {'cpu s':>9} {'coverage':>9} "
            f"{'features':>9} {'corpus':>7}"
        )
        with ThreadPoolExecutor(max(1, arguments.jobs)) as pool:

            def run(target: str) -> bool:
                return _run(target, arguments.seconds, corpus, processor=arguments.processor)

            held = list(pool.map(run, wanted))
    return 0 if all(held) else 1


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    raise SystemExit(main())
