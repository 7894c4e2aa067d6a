#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Record the captures in this folder: real tools, a real capture program, invented patients.

    python captures/record.py                  # everything, into this folder
    python captures/record.py worklist echo    # only these
    python captures/record.py --list           # what there is
    python captures/record.py -o /tmp/again    # leave the committed files alone
    python captures/record.py --readme         # write README.md from recorded.json, record nothing

What it needs, on Debian or Ubuntu::

    apt-get install dcmtk orthanc tshark iproute2 util-linux
    pip install pynetdicom

How a scenario is recorded: the script moves itself into a network namespace of its own, so that
nothing but the scenario is on the loopback interface, port 104 is free and no privilege is needed
(``unshare --map-root-user`` where it is not run as root). The peers are started first and waited
for until they listen, then dumpcap, then the scenario runs; dumpcap is stopped once its file has
stopped growing, and a single dropped packet is an error. Whatever was started is stopped again,
also on failure. Commands run in a temporary folder, so that the command lines in the README hold
no path of the machine they were recorded on.

Every scenario is one function under ``@scenario(...)`` in a chapter of ``recording``; their order
there is the order in the README. Patients, institutions and UIDs are invented, and fixed, so that
a new recording differs from the old one in times, ports and sequence numbers only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CHAPTERS = (
    "worklist",
    "storage",
    "retrieve",
    "workflow",
    "negotiation",
    "orthanc",
    "connections",
    "secure",
    "network",
)
"""In the order of the README."""

try:
    from recording.stage import OUTSIDE, SCENARIOS, RecordingError, Scenario, Stage, need, version

    for chapter in CHAPTERS:
        importlib.import_module(f"recording.{chapter}")
except ImportError as missing:
    sys.exit(f"record.py: {missing.name} is missing: pip install pynetdicom")


HERE = Path(__file__).resolve().parent


def record(scene: Scenario, output: Path) -> dict[str, Any]:
    """Record one scenario; returns its entry for recorded.json."""
    need([*scene.tools, "dumpcap"])
    with (
        tempfile.TemporaryDirectory(prefix="dicomsniff-") as folder,
        contextlib.ExitStack() as cleanup,
    ):
        stage = Stage(scene, Path(folder), output, cleanup)
        scene.play(stage)
    data = (output / f"{scene.name}.pcapng").read_bytes()
    return {
        "requestor": [version(tool) for tool in scene.requestor.split(" + ")],
        "acceptor": [version(tool) for tool in scene.acceptor.split(" + ")],
        "ports": list(scene.ports),
        "recorder": version("dumpcap"),
        "commands": stage.commands,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


README_HEAD = """\
# Captures

Real sessions of real tools, recorded with `dumpcap` by [`record.py`](record.py), which says in its
first lines what it needs and how it goes about it. To record one again: `python
captures/record.py worklist`; without a name, all of them; `--list` tells what there is.

**Every patient, physician and hospital here is invented**, and so are the UIDs, which never
change: a new recording differs from the old one in times, ports and sequence numbers only.

The captures, the objects and the script are under the licence of the project,
GPL-2.0-or-later.

`recorded.json` holds what this page shows, with sizes and SHA-256 sums, for programs to read.
`objects/` holds, for two of the scenarios, the files that the storage SCP wrote as it received
them: what an extraction from the capture has to agree with. `NAME.keys` holds the TLS secrets of
`NAME.pcapng`. This page is written by `record.py --readme`.

Where a side is called *sockets*, no tool could be made to do it: the script writes PDUs that
pynetdicom encoded to a socket of its own.

| file | what it shows | requestor | acceptor | bytes |
|---|---|---|---|---|
"""


def write_readme(output: Path) -> None:
    """Write README.md from recorded.json."""
    entries = {
        name: entry
        for name, entry in json.loads((output / "recorded.json").read_text("utf-8")).items()
        if name in SCENARIOS
    }
    lines = [README_HEAD.rstrip("\n")]
    for name, entry in entries.items():
        lines.append(
            f"| [{name}.pcapng]({name}.pcapng) | {SCENARIOS[name].shows} | "
            f"{', '.join(entry['requestor'])} | {', '.join(entry['acceptor'])} | "
            f"{entry['bytes']:,} |"
        )
    recorders = sorted({entry["recorder"] for entry in entries.values()})
    total = sum(entry["bytes"] for entry in entries.values())
    lines += [
        "",
        f"{len(entries)} captures, {total:,} bytes, recorded with {', '.join(recorders)}.",
        "",
        "## Commands",
        "",
        "In the order in which they ran; `&` marks a server. `record.py` makes the files named.",
    ]
    for name, entry in entries.items():
        by_hand = [tool for tool in ("pynetdicom", "sockets") if tool in SCENARIOS[name].tools]
        lines += ["", f"### {name}"]
        if entry["commands"]:
            lines += ["", "```sh", *entry["commands"], "```"]
        if by_hand:
            play = SCENARIOS[name].play
            where = f"`{play.__name__}` in `{play.__module__.replace('.', '/')}.py`"
            lines += ["", f"The side of {' and '.join(by_hand)}: {where}."]
    (output / "README.md").write_text("\n".join(lines) + "\n", "utf-8")


def remember(output: Path, name: str, entry: dict[str, Any]) -> None:
    """Put ``entry`` into recorded.json, in the order of the table."""
    path = output / "recorded.json"
    entries = json.loads(path.read_text("utf-8")) if path.exists() else {}
    entries[name] = entry
    ordered = {known: entries[known] for known in SCENARIOS if known in entries}
    path.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", "utf-8")


def enter_namespace() -> None:
    """Run again in a network namespace of our own, with the loopback interface up."""
    here = os.readlink("/proc/self/ns/net")
    if os.environ.get(OUTSIDE, here) == here:
        need(["unshare", "ip"])
        owner = [] if os.geteuid() == 0 else ["--map-root-user"]
        words = ["unshare", "--net", *owner, sys.executable, *sys.argv]
        sys.stdout.flush()
        os.execvpe("unshare", words, {**os.environ, OUTSIDE: here})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def main() -> int:
    """Record what the command line names; 0 where everything was recorded."""
    parser = argparse.ArgumentParser(description="Record the captures of dicomsniff.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios (all of them)")
    parser.add_argument("--list", action="store_true", help="print the scenarios and stop")
    parser.add_argument("--readme", action="store_true", help="only write README.md")
    parser.add_argument("-o", "--output", type=Path, default=HERE, metavar="DIR")
    arguments = parser.parse_args()
    output: Path = arguments.output.resolve()
    if arguments.list:
        for scene in SCENARIOS.values():
            print(f"{scene.name:32} {scene.requestor} > {scene.acceptor}: {scene.shows}")
        return 0
    unknown = [name for name in arguments.names if name not in SCENARIOS]
    if unknown:
        print(f"record.py: no scenario {', '.join(unknown)}: see --list", file=sys.stderr)
        return 2
    failed = 0
    try:
        if not arguments.readme:
            enter_namespace()
            output.mkdir(parents=True, exist_ok=True)
            for name in arguments.names or SCENARIOS:
                print(f"{name} … ", end="", flush=True)
                try:
                    entry = record(SCENARIOS[name], output)
                except (RecordingError, OSError, subprocess.SubprocessError) as error:
                    failed += 1
                    print(f"not recorded\nrecord.py: {name}: {error}", file=sys.stderr)
                    continue
                remember(output, name, entry)
                print(f"{entry['bytes']:,} bytes")
        if arguments.readme or (output / "recorded.json").exists():
            write_readme(output)
    except (RecordingError, OSError, subprocess.SubprocessError) as error:
        print(f"record.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("record.py: interrupted", file=sys.stderr)
        return 130
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
