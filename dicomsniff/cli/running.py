"""What commands share: opening captures, choosing, reading them, and where results go."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from dicomsniff.analysis.pipeline import Pipeline
    from dicomsniff.dicom.conversation import Hears, Tap
    from dicomsniff.model import Association, Entry, Source

    Chosen = Callable[[Association, Entry | None], bool]

PROGRESS_AFTER = 1.0
"""Seconds before a terminal is shown how far it is: what is quicker needs no comfort."""

PROGRESS_EVERY = 0.2


class UsageError(Exception):
    """What was asked for cannot be done. The text is one line for the user."""


def open_source(args: argparse.Namespace) -> Source:
    from dicomsniff.sources import open_captures

    source = open_captures(
        args.files or ["-"],
        reader=args.reader,
        display_filter=args.display_filter,
        keylog=args.keylog,
        tls_keys=args.tls_key,
    )
    _forget_makers()
    return source


def _forget_makers() -> None:
    """Let go of the makers of all network cards there are, which scapy reads when it is imported:
    14 MB that nothing here looks up."""
    makers = getattr(getattr(sys.modules.get("scapy.data"), "MANUFDB", None), "d", None)
    if isinstance(makers, dict):
        makers.clear()


def choice(args: argparse.Namespace) -> Chosen | None:
    """What --where and --association let pass, None where everything does."""
    number: int | None = args.association
    if args.where is None:
        if number is None:
            return None
        return lambda association, _entry: association.id == number
    from dicomsniff.analysis import where

    try:
        wanted = where.compile(args.where)
    except where.FilterError as error:
        raise UsageError(f"--where: {error}") from error

    def chosen(association: Association, entry: Entry | None) -> bool:
        if number is not None and association.id != number:
            return False
        return wanted.matches(association, entry)

    return chosen


def filter_of_screen(args: argparse.Namespace) -> str:
    """What --where and --association let pass, as the filter that the screen begins with."""
    where: str = args.where or ""
    if args.association is None:
        return where
    number = f"association = {args.association}"
    return f"({where}) and {number}" if where else number


class Progress:
    """How far a long run is, on a terminal's last line."""

    def __init__(self, source: Source, pipeline: Pipeline) -> None:
        self._source = source
        self._info = pipeline.info
        self._next = time.monotonic() + PROGRESS_AFTER
        self._shown = False
        self._wanted = sys.stderr.isatty()

    def step(self) -> None:
        """Called every few thousand frames."""
        if not self._wanted or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PROGRESS_EVERY
        self._shown = True
        share = getattr(self._source, "progress", None)
        part = f" ({share:.0%})" if isinstance(share, float) else ""
        sys.stderr.write(
            f"\r\x1b[K{self._info.packets:,} packets, {self._info.bytes / 1e6:,.0f} MB{part}"
        )
        sys.stderr.flush()

    def clear(self) -> None:
        """Leave no trace."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False


def run(
    args: argparse.Namespace,
    source: Source,
    listener: Hears,
    *,
    tap: Tap | None = None,
    begin: Callable[[Pipeline], None] | None = None,
    keep: bool = True,
    checks: bool = False,
    tell: bool = True,
    shared: Callable[[], Pipeline] | None = None,
) -> Pipeline:
    """Read the captures through a pipeline. An interruption ends the reading, and no more; so does
    a source that fails half-way, which is told, and makes the exit status 2.

    ``checks``: associations get their findings (with a filter they do in any case: it may speak of
    them). ``tell``: findings of the capture as a whole go to stderr. ``shared`` makes a pipeline
    that is used instead.
    """
    from dicomsniff.analysis.pipeline import Pipeline, run
    from dicomsniff.sources import SourceError

    if shared is not None:
        pipeline = shared()
    else:
        pipeline = Pipeline(
            ports=args.port,
            listener=listener,
            tap=tap,
            keep=keep,
            checks=checks or args.where is not None,
            stow=True,
        )
    pipeline.info.source, pipeline.info.reader = source.name, source.reader
    progress = Progress(source, pipeline)
    try:
        if begin is not None:
            begin(pipeline)
        run(source, pipeline, step=progress.step)
    except KeyboardInterrupt:
        progress.clear()
        say("interrupted; what was read until then follows")
    except SourceError as error:
        if not pipeline.info.packets:
            raise
        progress.clear()
        args.failed = True
        say(str(error))
    finally:
        progress.clear()
    for notice in source.notices:
        say(notice)
    # Of a source that failed, they would say the same in the words for a file that was cut off.
    for finding in pipeline.findings if tell and not getattr(args, "failed", False) else ():
        if finding.code == "capture-incomplete" and finding.severity == "note" and source.notices:
            continue  # where the file breaks off has just been told
        say(f"{finding.title}: {finding.detail}")
    for line in pipeline.unread:
        say(f"{pipeline.info.source}: {line}")
    if not pipeline.info.packets:
        passes = ""
        if args.display_filter is not None:
            passes = f" that the display filter {args.display_filter!r} lets pass"
        say(f"{pipeline.info.source}: no packets{passes}")
    elif not pipeline.associations:
        named = ", ".join(map(str, args.port))
        say(
            f"{pipeline.info.source}: no DICOM in {pipeline.info.packets:,} "
            f"packet{'s' * (pipeline.info.packets != 1)}; "
            + (
                f"nothing on port {named} could be read as DICOM either"
                if named
                else "if a port carries it all the same, name it with --port"
            )
        )
    elif args.association is not None and args.association > pipeline.associations:
        last = pipeline.associations
        held = "is association 1 alone" if last == 1 else f"are associations 1 to {last}"
        args.failed = True
        say(f"--association {args.association}: none has this number; there {held}")
    return pipeline


def say(text: str) -> None:
    from dicomsniff.output.info import escape  # a name of a file may hold anything

    sys.stderr.write(f"dicomsniff: {escape(text)}\n")


@contextmanager
def output(path: str | None, *, sparing: Iterable[str] = ()) -> Iterator[BinaryIO]:
    """stdout, or a file that appears whole or not at all. ``sparing``: files that are read, which
    nothing can bring back once they are replaced."""
    if path is None or path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if any(_same(path, each) for each in sparing):
        raise UsageError(f"{path}: is what is read; name another file with -o")
    try:
        # A device or a pipe (/dev/stdout) is written to, and what a link points to is replaced.
        replaced = os.path.isfile(path) or not os.path.exists(path)
        if replaced:
            path = os.path.realpath(path)
        partial = f"{path}.partial" if replaced else path
        stream = open(partial, "wb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    try:
        try:
            yield stream
            stream.close()
            if replaced:
                os.replace(partial, path)
        except BaseException:
            if replaced:
                with suppress(OSError):
                    os.unlink(partial)
            with suppress(OSError):  # what is still held back has no room either
                stream.close()
            raise
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error


def files_read(args: argparse.Namespace) -> list[str]:
    """The files that the options of every reading command name."""
    from dicomsniff.sources.files import expand

    keylog = [args.keylog] if args.keylog is not None else []
    return [*expand(args.files), *keylog, *args.tls_key]


def _same(path: str, other: str) -> bool:
    # A pipe or a terminal loses nothing when it is written to.
    return os.path.isfile(path) and os.path.isfile(other) and os.path.samefile(path, other)


def prepare_for_data_sets(source: Source) -> None:
    """Load the tables that data sets need while tshark gets ready, which takes longer.

    Where nobody gets ready meanwhile, they are loaded when the first data set needs them.
    """
    if source.reader == "pyshark":
        from dicomsniff.dicom.elements import entry
        from dicomsniff.output.allowed import code_meaning

        entry(0x00100010)
        code_meaning("DCM", "")
