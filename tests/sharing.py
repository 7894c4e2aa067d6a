"""``python -m tests.sharing FILE…``: timelines made by one process and by several are compared.

In a process of its own: where threads run, and pytest's workers have some, nothing is shared. What
differs is told, and so is what was begun anew or not shared at all, which would hide a difference.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable

from dicomsniff import cli
from dicomsniff.analysis import crew, shares
from dicomsniff.analysis.shares import BeginAnew

_anew: list[str] = []
_begun: list[int] = []


def timeline(*arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of ``dicomsniff timeline``."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(["timeline", *arguments])
    return status, out.getvalue(), err.getvalue()


def differences(arguments: Iterable[str], jobs: Iterable[int] = (2, 3)) -> list[str]:
    """What several processes tell otherwise than one."""
    arguments = list(arguments)
    alone = timeline("--jobs", "1", *arguments)
    out = []
    for count in jobs:
        _anew.clear()
        _begun.clear()
        shared = timeline("--jobs", str(count), *arguments)
        if shared != alone:
            out.append(f"{arguments} --jobs {count}: {alone!r:.500} became {shared!r:.500}")
        if _anew:
            out.append(f"{arguments} --jobs {count}: began anew")
        # Several files are one session, merged by time, which one process reads.
        if not alone[0] and os.path.isfile(arguments[-1]) and _begun != [count]:
            out.append(f"{arguments} --jobs {count}: {_begun} processes were begun")
    return out


def watch() -> None:
    """From now on, what is begun, and begun anew, is remembered."""
    original = shares.Shared._anew
    begin = crew.Crew.__init__

    def init(self: crew.Crew, count: int, prepare: Callable[[], crew.Work]) -> None:
        _begun.append(count)
        begin(self, count, prepare)

    def anew(self: shares.Shared, why: str = "") -> BeginAnew:
        _anew.append(why)
        return original(self, why)

    shares.Shared._anew = anew  # type: ignore[method-assign]
    crew.Crew.__init__ = init  # type: ignore[method-assign]


def main(files: list[str]) -> int:
    """Compare; 1 where anything differs."""
    watch()
    reader = files.pop(0)
    found = [line for file in files for line in differences(["--reader", reader, file])]
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
