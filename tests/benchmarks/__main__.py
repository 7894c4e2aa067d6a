"""Measures dicomsniff beside tshark: ``python -m tests.benchmarks``.

Makes its captures in a temporary folder, runs the programs in turn, several rounds, and prints
medians, ratios and peak memory. Beside our commands run tshark (rows, JSON, export of objects), a
bare read of the file as the limit, and pyshark's packet objects. Exit status 1 where a target is
missed.

The ratio is that of wall times in the same round, the median of the rounds. ``cpu`` is processor
time with that of child processes: on a machine that has other work it says more than wall time, so
its ratio is printed as well. ``own MB`` is the peak of our process, ``largest`` that of the largest
process, ``all MB`` that of all of them together (tshark replays for us).

With ``--growth`` the input is made 1, 2, 4 and 8 times as large, and the exponent of the growth of
the processor time is printed; with ``--profile`` where the time of a command goes.
"""

from __future__ import annotations

import argparse
import os
import pstats
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.benchmarks import growth, traffic
from tests.benchmarks.cases import CASES
from tests.benchmarks.measure import Run, first_line, run
from tests.benchmarks.packets import FRAMES as PACKETS

US = (sys.executable, "-m", "dicomsniff")
"""The program of this very checkout: the working directory comes first."""

MEMORY = 120 * 1000 * 1000
"""Bytes that our process may take, whatever the length of the capture."""

START_UP = 0.150
"""Seconds of processor time that --version and --help may take."""

FIRST_ROW = 0.5
"""Seconds until the first row of a capture of 1 GB is written."""

PATIENCE = 120.0
"""Seconds after which a peer is given up: tshark takes time that grows with the square of the
responses on one association."""

_READ = "import sys\nwith open(sys.argv[1], 'rb') as f:\n while f.read(1 << 20): pass"


class Command(NamedTuple):
    """A program to measure. ``{file}`` is the capture, ``{folder}`` an empty folder."""

    argv: tuple[str, ...]
    needs: str | None = None
    """A program that has to be installed."""


def _ours(command: str, reader: str, *more: str) -> Command:
    argv = (*US, command, "--reader", reader, *more, "{file}")
    return Command(argv, "tshark" if reader == "pyshark" else None)


COMMANDS = {
    "read": Command((sys.executable, "-c", _READ, "{file}")),
    "pyshark packets": Command(
        (sys.executable, "-m", "tests.benchmarks.packets", "{file}"), "tshark"
    ),
    "tshark rows": Command(("tshark", "-n", "-r", "{file}", "-Y", "dicom"), "tshark"),
    "timeline pyshark": _ours("timeline", "pyshark"),
    "timeline scapy": _ours("timeline", "scapy"),
    "timeline scapy 1 job": _ours("timeline", "scapy", "--jobs", "1"),
    "tshark json": Command(("tshark", "-n", "-r", "{file}", "-Y", "dicom", "-T", "json"), "tshark"),
    "transcript pyshark": _ours("transcript", "pyshark"),
    "transcript scapy": _ours("transcript", "scapy"),
    "tshark objects": Command(
        ("tshark", "-n", "-Q", "-r", "{file}", "--export-objects", "dicom,{folder}"), "tshark"
    ),
    "extract pyshark": _ours("extract", "pyshark", "-d", "{folder}"),
    "extract scapy": _ours("extract", "scapy", "-d", "{folder}"),
}


class Target(NamedTuple):
    """What a command may take of another's wall time on the same capture."""

    case: str
    command: str
    peer: str
    share: float


_ROWS_SHARE = {"store": 1 / 4, "offload": 1 / 4}
"""What ``timeline`` may take of the time of tshark's rows; of the other captures half."""

_FILES = tuple(name for name, case in CASES.items() if not case.stdin)

_READERS = ("pyshark", "scapy")

TARGETS = (
    *(
        Target(case, f"timeline {reader}", "tshark rows", _ROWS_SHARE.get(case, 1 / 2))
        for case in _FILES
        for reader in _READERS
    ),
    *(
        Target(case, f"transcript {reader}", "tshark json", 0.08)
        for case in _FILES
        for reader in _READERS
    ),
    *(Target("store", f"extract {reader}", "tshark objects", 1 / 4) for reader in _READERS),
    *(Target("store", f"timeline {reader}", "read", 6.0) for reader in _READERS),
)

_PEERS = {
    "timeline": "tshark rows",
    "transcript": "tshark json",
    "extract": "tshark objects",
}
"""Whom a command is compared with where there is no target."""


# ---------------------------------------------------------------------------- measuring


def _argv(command: Command, file: Path, folder: Path) -> list[str]:
    filled = (part.replace("{file}", str(file)) for part in command.argv)
    return [part.replace("{folder}", str(folder)) for part in filled]


def _by_one_process(command: Command) -> Command:
    """The same where all of the work is to be seen in one process."""
    if "timeline" not in command.argv or "--jobs" in command.argv:
        return command
    return command._replace(argv=(*command.argv, "--jobs", "1"))


def _measure(command: Command, file: Path, timeout: float | None) -> Run:
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        return run(_argv(command, file, Path(folder)), timeout=timeout)


def _through_stdin(name: str) -> Run:
    """Peak memory of a timeline of what another process makes meanwhile."""
    maker = subprocess.Popen(
        (sys.executable, "-m", "tests.benchmarks", "--make", name, "-"), stdout=subprocess.PIPE
    )
    if maker.stdout is None:  # pragma: no cover - it was asked for
        raise AssertionError
    with maker.stdout as stream:
        result = run((*US, "timeline", "-"), stdin=stream)
    maker.wait()
    return result._replace(status=result.status or maker.returncode)


def _make(name: str, folder: Path) -> Path:
    case = CASES[name]
    path = folder / f"{name}.pcap"
    if not path.exists():
        partial = path.with_suffix(".partial")
        with partial.open("wb") as stream:
            traffic.write(case.make(case.scale), stream)
        partial.rename(path)
    return path


# ---------------------------------------------------------------------------- telling


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f}"


class Table:
    """Rows as they come, and what was missed."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def head(self, title: str) -> None:
        print(f"\n{title}")
        print(
            f"{'':<20}{'wall s':>8}{'min':>8}{'cpu s':>8}"
            f"{'own MB':>8}{'largest':>8}{'all MB':>8}  ratio"
        )

    def row(self, name: str, runs: Sequence[Run], ratio: str) -> None:
        failed = [each.status for each in runs if each.status > 0 or each.status < -1]
        if failed:
            ratio += f"  exit status {failed[0]}"
            self.missed.append(f"{name}: exit status {failed[0]}")
        over = ">" if any(each.status == -1 for each in runs) else ""
        print(
            f"{name:<20}{over + format(median(each.wall for each in runs), '.2f'):>8}"
            f"{min(each.wall for each in runs):>8.2f}"
            f"{median(each.cpu for each in runs):>8.2f}"
            f"{_mb(max(each.own for each in runs)):>8}{_mb(max(each.largest for each in runs)):>8}"
            f"{_mb(max(each.together for each in runs)):>8}  {ratio}",
            flush=True,
        )

    def memory(self, name: str, runs: Sequence[Run]) -> None:
        peak = max(each.own for each in runs)
        if peak > MEMORY:
            self.missed.append(f"{name}: {_mb(peak)} MB of memory, {_mb(MEMORY)} are allowed")


def _ratio(case: str, name: str, results: dict[str, list[Run]], table: Table) -> str:
    """A command's wall time as a share of its peers', round by round, and whether that will do."""
    targets = [t for t in TARGETS if (t.case, t.command) == (case, name) and t.peer in results]
    peer = _PEERS.get(name.split()[0])
    if not targets and peer in results:
        targets = [Target(case, name, peer, 0.0)]
    texts = []
    for target in targets:
        pairs = list(zip(results[name], results[target.peer], strict=True))
        share = median(ours.wall / theirs.wall for ours, theirs in pairs)
        work = median(ours.cpu / max(theirs.cpu, 0.01) for ours, theirs in pairs)
        over = "<" if any(each.status == -1 for each in results[target.peer]) else ""
        text = f"{over}{share:.3f} (cpu {work:.3f}) of {target.peer}"
        if target.share:
            met = share <= target.share
            text += f", at most {target.share:.3f}: {'met' if met else 'MISSED'}"
            if not met:
                table.missed.append(f"{case}, {name}: {text}")
        texts.append(text)
    return "; ".join(texts)


def _case(name: str, folder: Path, commands: Sequence[str], rounds: int, table: Table) -> None:
    case = CASES[name]
    if case.stdin:
        table.head(f"{name}: {case.what}")
        runs = [_through_stdin(name)]
        table.row("timeline -", runs, "made while it is read: the memory counts")
        table.memory(f"{name}, timeline", runs)
        return
    file = _make(name, folder)
    table.head(f"{name}: {case.what}, {_mb(file.stat().st_size)} MB")
    # Once, so that the file is in memory for all of them.
    _measure(COMMANDS["read"], file, None)
    results: dict[str, list[Run]] = {each: [] for each in commands}
    for _ in range(rounds):
        for each, runs in results.items():
            if runs and runs[-1].status == -1:
                runs.append(runs[-1])  # it was given up once already
            else:
                runs.append(_measure(COMMANDS[each], file, PATIENCE))
    for each, runs in results.items():
        note = _ratio(name, each, results, table)
        if each == "pyshark packets":
            frames = _frames(file)
            whole = median(run.wall for run in runs) * frames / min(frames, PACKETS)
            note = f"the first {PACKETS:,} frames; for all {frames:,} that makes {whole:,.0f} s"
        table.row(each, runs, note)
        if COMMANDS[each].argv[:3] == US:
            table.memory(f"{name}, {each}", runs)


def _frames(file: Path) -> int:
    """How many frames a pcap file of ours has."""
    from dicomsniff.sources.pcapfile import CaptureFile

    return sum(1 for _ in CaptureFile(str(file)))


def _first_row(folder: Path, rounds: int, table: Table) -> None:
    """How long a user waits for the first row of a large capture."""
    file = _make("needle", folder)
    print(f"\nfirst row of {_mb(file.stat().st_size)} MB")
    for name in ("timeline pyshark", "timeline scapy"):
        command = COMMANDS[name]
        if command.needs is not None and shutil.which(command.needs) is None:
            continue
        argv = _argv(command, file, folder)
        first = median(first_line(argv, 1)[0] for _ in range(rounds))
        text = (
            f"{first:.2f} s, at most {FIRST_ROW:.2f}: {'met' if first <= FIRST_ROW else 'MISSED'}"
        )
        print(f"{name:<20}{text}", flush=True)
        if first > FIRST_ROW:
            table.missed.append(f"first row, {name}: {text}")


def _grow(name: str, folder: Path, commands: Sequence[str], rounds: int, table: Table) -> None:
    """How the time of our commands grows with a case."""
    case = CASES[name]
    print(f"\n{name}, {', '.join(f'{step}x' for step in growth.STEPS)}: processor time in seconds")
    files = []
    for step in growth.STEPS:
        path = folder / f"{name}-growth-{step}.pcap"
        if not path.exists():
            with path.open("wb") as stream:
                traffic.write(case.make(case.scale * growth.BASE * step), stream)
        files.append(path)
    sizes = [path.stat().st_size for path in files]
    # What a command takes before it reads anything does not grow, and would hide what does.
    nothing = folder / "nothing.pcap"
    with nothing.open("wb") as stream:
        traffic.write(CASES["small"].make(1 / 20_000), stream)
    for each in commands:
        command = COMMANDS[each]
        if command.argv[:3] != US:
            continue
        command = _by_one_process(command)
        runs = [
            [_measure(command, path, None) for _ in range(rounds)] for path in (nothing, *files)
        ]
        start, *times = [min(run.cpu for run in several) for several in runs]
        found = growth.exponent(sizes, [max(time - start, 0.01) for time in times])
        met = found <= growth.MOST
        text = (
            f"{' '.join(f'{time:8.2f}' for time in times)}  exponent {found:.2f}, "
            f"at most {growth.MOST:.2f}: {'met' if met else 'MISSED'}; own MB "
            f"{' '.join(_mb(max(run.own for run in several)) for several in runs[1:])}"
        )
        print(f"{each:<20}{text}", flush=True)
        if not met:
            table.missed.append(f"{name}, {each}: exponent {found:.2f}")
    for path in files:
        path.unlink()


def _start_up(rounds: int, table: Table) -> None:
    table.head("start-up")
    bare = [run((sys.executable, "-c", "pass")) for _ in range(rounds)]
    table.row("python -c pass", bare, "")
    for option in ("--version", "--help"):
        runs = [run((*US, option)) for _ in range(rounds)]
        spent = min(each.cpu for each in runs)
        met = spent <= START_UP
        note = f"{spent * 1000:.0f} ms of processor time, at most {START_UP * 1000:.0f}: "
        table.row(option, runs, note + ("met" if met else "MISSED"))
        if not met:
            table.missed.append(f"{option}: {note.rstrip(': ')}")


# ---------------------------------------------------------------------------- profile


def _profile(command: Command, file: Path, lines: int) -> None:
    """Print where the time of one of our commands goes."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        stats = Path(folder) / "stats"
        argv = _argv(_by_one_process(command), file, Path(folder))
        profiled = (sys.executable, "-m", "cProfile", "-o", str(stats), *argv[1:])
        subprocess.run(profiled, stdout=subprocess.DEVNULL, check=True)
        table = pstats.Stats(str(stats))
        table.strip_dirs().sort_stats("tottime").print_stats(lines)


# ---------------------------------------------------------------------------- command line


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="cases: " + "; ".join(f"{name}: {case.what}" for name, case in CASES.items()),
    )
    parser.add_argument(
        "--case",
        action="append",
        choices=CASES,
        help="measure this one (repeatable; default: store and store-x10)",
    )
    parser.add_argument(
        "--all", action="store_true", help="measure every case, the first row and the growth"
    )
    parser.add_argument(
        "--growth", action="append", choices=_FILES, help="how time grows with this one; repeatable"
    )
    parser.add_argument(
        "--first-row", action="store_true", help="measure how long the first row of 1 GB takes"
    )
    parser.add_argument(
        "--command", action="append", choices=COMMANDS, help="run this one alone (repeatable)"
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--folder", type=Path, help="keep the captures there for the next time")
    parser.add_argument(
        "--profile",
        choices=[name for name, command in COMMANDS.items() if command.argv[:3] == US],
        help="show where this command spends its time on the first case, and measure nothing",
    )
    parser.add_argument("--lines", type=int, default=30, help="lines of a profile")
    parser.add_argument(
        "--make", nargs=2, metavar=("CASE", "FILE"), help="make a capture (- is stdout), no more"
    )
    return parser.parse_args()


def _write(name: str, path: str) -> None:
    case = CASES[name]
    packets = case.make(case.scale)
    try:
        if path == "-":
            traffic.write(packets, sys.stdout.buffer)
        else:
            with open(path, "wb") as stream:
                traffic.write(packets, stream)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def main() -> int:
    """Measure what was asked for."""
    args = _arguments()
    if args.make:
        _write(*args.make)
        return 0
    only = args.growth or args.first_row
    names = list(CASES) if args.all else args.case or ([] if only else ["store", "store-x10"])
    commands = [
        name
        for name in args.command or COMMANDS
        if COMMANDS[name].needs is None or shutil.which(COMMANDS[name].needs or "")
    ]
    with ExitStack() as stack:
        folder = args.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dicomsniff-")))
        folder.mkdir(parents=True, exist_ok=True)
        if args.profile:
            _profile(COMMANDS[args.profile], _make((names or ["store"])[0], folder), args.lines)
            return 0
        table = Table()
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        if not only:
            _start_up(max(5, args.rounds), table)
        for name in names:
            _case(name, folder, commands, args.rounds, table)
        if args.all or args.first_row:
            _first_row(folder, args.rounds, table)
        grown = args.growth or (["store", "small", "find"] if args.all else [])
        for name in grown:
            _grow(name, folder, commands, args.rounds, table)
    for line in table.missed:
        print(f"missed: {line}")
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
