"""Whether several processes share the work of a command."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dicomsniff.analysis.crew import Crew, Work

LEAST_SIZE = 4 << 20
"""Bytes of a capture below which it is read sooner than other processes are begun."""

MOST = 8
"""Processes that are begun unasked: the one that hands out packets has no time for more."""


@contextmanager
def sharing(args: argparse.Namespace) -> Iterator[Crew | None]:
    """Processes among which packets can be shared, while they are of use; None: there are none.

    To be entered before anything is opened: see :mod:`dicomsniff.analysis.crew`.
    """
    count = _wanted(args)
    if count > 1:
        from dicomsniff.analysis.crew import Crew, possible

        if possible():
            try:
                crew = Crew(count, partial(_prepare, args.port))
            except OSError:
                pass  # no more processes are allowed
            else:
                with closing(crew):
                    yield crew
                return
    yield None


def _wanted(args: argparse.Namespace) -> int:
    """How many processes it takes. Connections are independent of each other where nothing is
    asked of whole associations, and packets come in any number from a saved file alone."""
    if args.jobs == 1 or args.where is not None or args.association is not None:
        return 1
    if args.keylog is not None or args.tls_key or args.display_filter is not None:
        return 1
    from dicomsniff.sources import STDIN, SourceError
    from dicomsniff.sources.files import expand

    try:
        files = expand(args.files)
    except SourceError:
        return 1  # told where it is opened
    if len(files) != 1 or files[0] == STDIN or not os.path.isfile(files[0]):
        return 1
    count: int | None = args.jobs
    if count is not None:
        return count
    from dicomsniff.analysis.crew import processors

    return min(processors(), MOST) if os.path.getsize(files[0]) >= LEAST_SIZE else 1


def _prepare(ports: list[int]) -> Work:
    """Have ready what each of them needs; what each of them does."""
    from dicomsniff.analysis.shares import Share
    from dicomsniff.output.timeline import row

    def follow(crew: Crew, ask: Callable[[], Any], tell: Callable[[Any], None]) -> None:
        share = Share(crew, row, ports)
        while True:
            batch = ask()
            tell(share.answer(batch))
            if batch is None:
                return

    return follow
