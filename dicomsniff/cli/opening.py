"""The command ``open``: captures or a saved transcript on the screen, or as text."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from dicomsniff.cli.commands import timeline
from dicomsniff.cli.running import UsageError, choice, filter_of_screen, open_source

if TYPE_CHECKING:
    from dicomsniff.model import Source
    from dicomsniff.output.reload import Reloaded

PIPED = "The packets came through a pipe and were not kept: use tee FILE"
SAVED = "A saved transcript holds no packets: open its capture"
"""Why the screen cannot write packets and objects."""


def open_files(args: argparse.Namespace) -> int:
    """On the screen, or as text where there is no terminal."""
    saved = _saved_transcript(args.files)
    if not sys.stdout.isatty():
        if not args.files:
            raise UsageError("open: name a capture; without a terminal it is printed as text")
        return timeline(args) if saved is None else _saved_rows(args, saved())
    from dicomsniff import tui

    if saved is not None:
        title = os.path.basename(args.files[0])
        return tui.run(saved, title=title, where=filter_of_screen(args), again=SAVED)
    pipe = not args.files or args.files == ["-"]
    if pipe:
        args.files = [_stdin_as_file()]
    from dicomsniff.sources import source_names

    title = source_names(args.files)
    return tui.run(
        lambda: open_source(args),
        ports=args.port,
        title=title,
        may_be_live=pipe,
        keep=args.keep,
        where=filter_of_screen(args),
        again=_again(args),
    )


def _again(args: argparse.Namespace) -> Callable[[bool], Source] | str:
    """How to read the captures once more, or why that cannot be: a pipe is read once."""
    if any(os.path.exists(path) and not _is_file_or_folder(path) for path in args.files):
        return PIPED

    def again(whole: bool) -> Source:
        if not whole:
            return open_source(args)
        from dicomsniff.sources import open_captures

        return open_captures(args.files, reader=args.reader)

    return again


def _is_file_or_folder(path: str) -> bool:
    return os.path.isfile(path) or os.path.isdir(path)


def _saved_transcript(files: list[str]) -> Callable[[], Reloaded] | None:
    """How to load a transcript saved before, None where the file is none."""
    if len(files) != 1 or not os.path.isfile(files[0]):
        return None
    try:
        with open(files[0], "rb") as stream:
            head = stream.read(64)
    except OSError:
        return None  # opening it as a capture says what is wrong
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
        return None  # no capture begins like that, and every transcript does

    def load() -> Reloaded:
        from dicomsniff.output import reload

        return reload.load(files[0])

    return load


def _saved_rows(args: argparse.Namespace, saved: Reloaded) -> int:
    """The timeline of a transcript, as text."""
    from dicomsniff.output.timeline import HEADER, row

    chosen = choice(args)
    rows = [
        (entry.last_frame, association, entry)
        for association in saved.associations
        for entry in association.timeline
        if chosen is None or chosen(association, entry)
    ]
    sys.stdout.write(HEADER + "\n")
    for _, association, entry in sorted(rows, key=lambda each: each[0]):
        sys.stdout.write(row(association, entry, saved.info.first or 0) + "\n")
    return 0


def _stdin_as_file() -> str:
    """Move a capture piped into stdin out of the way: the screen reads its keys there."""
    if sys.stdin.isatty():
        raise UsageError(
            "open: name a capture, or pipe one in: tcpdump -U -w - | dicomsniff open -"
        )
    moved = os.dup(0)
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        raise UsageError(f"open: no terminal to read keys from: {error.strerror}") from error
    os.dup2(terminal, 0)
    os.close(terminal)
    return f"/dev/fd/{moved}"
