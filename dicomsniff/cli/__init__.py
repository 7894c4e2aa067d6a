"""The command line: results to stdout, everything else to stderr, one clear line for an error.

Exit status: 0 done, 1 done and something was found wrong (``check``), 2 not carried out. Each
command imports what it uses when it runs, so that ``--help`` and ``--version`` cost nothing.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dicomsniff.cli.arguments import parser
from dicomsniff.cli.running import UsageError, say

if TYPE_CHECKING:
    from types import FrameType

COLLECT_AFTER = 10_000
"""Objects that come to be, over those that go, before cycles among them are looked for. Nothing of
a capture is left to the collector of cycles, and what is under way in a busy one is many objects:
looking at them after every 700 takes a tenth of the time."""


def _terminate(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt


def program() -> None:
    """Run a command as the program of its own that it is, and exit with its status."""
    gc.set_threshold(COLLECT_AFTER)
    status = main()
    # What is done is done: a signal while Python takes itself down would make another status of it.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    sys.exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    status = None
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _terminate)  # the connection to this terminal is gone
    _mend_streams()
    try:
        if sys.stdout is None:
            raise UsageError("stdout: closed; send it to a file or to /dev/null")
        try:
            args = parser().parse_args(argv)
            run: Callable[[argparse.Namespace], int] = args.run
            status = run(args)
            if getattr(args, "failed", False):
                status = 2
            return status
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else 2
        finally:
            # Here, and not when Python exits: what goes wrong is told, or known to be no error.
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough.
        _abandon_output()
        return 0
    except KeyboardInterrupt:
        if status is not None:
            return status  # it was done already
        # Not while a capture was read: that ends in running.run, and what was read is written.
        _abandon_output()
        say("interrupted before it was done")
        return 2
    except Exception as error:
        if not _expected(error):
            raise
        if isinstance(error, OSError):
            _abandon_output()
            where = f"{error.filename}: " if error.filename else "the output cannot be written: "
            say(where + (error.strerror or str(error)))
        else:
            say(str(error))
        return 2


def _mend_streams() -> None:
    """Make stdout and stderr take whatever has to be said."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # A terminal whose character set lacks a name's characters gets them as \\u….
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _abandon_output() -> None:
    """Give up what could not be written: Python would try once more when it exits."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _expected(error: Exception) -> bool:
    """Whether an error's text was made for the user."""
    if isinstance(error, UsageError | OSError):
        return True
    names = {cls.__name__ for cls in type(error).__mro__}
    return bool(names & {"SourceError", "OutputError", "FilterError", "LiveError", "ReloadError"})
