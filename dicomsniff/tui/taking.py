"""Taking things away: files of what is chosen, and copies to the clipboard.

A function a command, named ``do_`` and its name, as in :mod:`dicomsniff.tui.actions`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.worker import get_current_worker

from dicomsniff.model import Association, Entry, Source
from dicomsniff.tui import export
from dicomsniff.tui.outline import Outline
from dicomsniff.tui.scopes import Scope, TakeScreen, scopes
from dicomsniff.tui.table import LineList, VirtualTable
from dicomsniff.tui.text import join

if TYPE_CHECKING:
    from dicomsniff.tui.app import DicomsniffApp

TELL_EVERY = 0.3
"""Seconds between two words on how far reading a capture again has come."""

LONG_COPY = 74_994
"""Bytes from which some terminals ignore a copy: xterm takes no more than 100,000 characters of
base64 (OSC 52)."""

DUMP_LINES = 20_000
"""Lines of a dump that are copied: no clipboard is read further."""


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


class _StoppedError(Exception):
    """The screen was closed, or something else was asked for, while a capture was read again."""


# ------------------------------------------------------------- files


def do_transcript(app: DicomsniffApp) -> None:
    """Ask for a name and write the transcript there."""
    pipeline = app.loader.pipeline
    if pipeline is None or not (choices := scopes(app, rows=False)):
        app.say("Nothing to write yet", "warn")
        return

    def go(answer: tuple[str, Scope] | None) -> None:
        if answer is not None:
            path, scope = _path(answer[0]), answer[1]
            info, findings = pipeline.info, list(app.loader.findings)

            def write() -> str:
                export.transcript(path, scope.associations, info, findings)
                return f"Wrote {path}"

            _in_thread(app, path, write)

    app.push_screen(
        TakeScreen("Write the transcript to", choices, ".json", hint="people masked"), go
    )


def do_packets(app: DicomsniffApp) -> None:
    """Ask for a name and write the packets there, read again from the capture."""
    again = _again(app)
    choices = scopes(app)
    if again is None or not choices:
        return

    def go(answer: tuple[str, Scope] | None) -> None:
        if answer is None:
            return
        path, scope = _path(answer[0]), answer[1]
        everything = list(app.loader.associations)

        def write() -> str:
            count = export.packets(path, scope, everything, again(True), _teller(app))
            return f"Wrote {_counted(count, 'packet')} to {path}"

        _in_thread(app, path, write)

    hint = "as they were captured, people and all"
    app.push_screen(TakeScreen("Write the packets to", choices, ".pcapng", hint=hint), go)


def do_objects(app: DicomsniffApp) -> None:
    """Ask for a folder and write the objects of C-STOREs there, read again from the capture."""
    again = _again(app)
    choices = [scope for scope in scopes(app) if scope.stores]
    if again is None:
        return
    if not choices:
        app.say("No C-STORE request in what is chosen", "warn")
        return

    def go(answer: tuple[str, Scope] | None) -> None:
        if answer is None:
            return
        path, scope = _path(answer[0]), answer[1]

        def write() -> str:
            whole, partial = export.objects(path, scope, again(False), app.ports, _teller(app))
            lacking = f", {partial} of them with bytes missing" if partial else ""
            return f"Wrote {_counted(whole + partial, 'object')} to {path}{lacking}"

        _in_thread(app, path, write)

    hint = "whole objects, people and all"
    screen = TakeScreen("Write the objects to the folder", choices, "-objects", hint=hint)
    app.push_screen(screen, go)


def _path(answer: str) -> Path:
    return Path(answer.strip()).expanduser()


def _again(app: DicomsniffApp) -> Callable[[bool], Source] | None:
    """How to read the capture again; where that cannot be, say why."""
    if callable(app.again):
        return app.again
    app.say(app.again, "warn")
    return None


def _in_thread(app: DicomsniffApp, path: Path, write: Callable[[], str]) -> None:
    """Write something in a thread, and say how it went."""
    from dicomsniff.output import OutputError
    from dicomsniff.sources import SourceError

    def run() -> None:
        try:
            word, role = write(), ""
        except _StoppedError:
            return
        except FileExistsError:
            word, role = f"{path} exists: choose another name", "bad"
        except OSError as error:
            word, role = f"{path}: {error.strerror or error}", "bad"
        except (OutputError, SourceError) as error:
            word, role = str(error), "bad"
        if app.is_running:
            app.call_from_thread(app.say, word, role)

    app.run_worker(run, thread=True, group="take", exclusive=True)


def _teller(app: DicomsniffApp) -> Callable[[float | None], None]:
    """Says how far reading the capture again has come, and ends it where nobody waits for it."""
    told = time.monotonic()

    def step(share: float | None) -> None:
        nonlocal told
        if not app.is_running or get_current_worker().is_cancelled:
            raise _StoppedError
        now = time.monotonic()
        if now - told > TELL_EVERY:
            told = now
            part = f" {share:.0%}" if share is not None else ""
            app.call_from_thread(app.say, f"Reading the capture again …{part}")

    return step


# ------------------------------------------------------------- copies


def do_copy(app: DicomsniffApp) -> None:
    """Copy the row under the cursor; of the tree all of it below the branch."""
    copy_text(app, row_text(app))


def do_copy_value(app: DicomsniffApp) -> None:
    """Copy the value under the cursor, or the whole tree of a row."""
    outline = app.main.query_one(Outline)
    if app.focused_pane == "detail":
        branch = outline.branch_at(outline.cursor)
        copy_text(app, branch.value if branch is not None else "")
    elif outline.detail is not None:
        from dicomsniff.tui.detail import as_text

        copy_text(app, as_text(outline.detail))


def do_copy_dump(app: DicomsniffApp) -> None:
    """Copy the text that ``dump`` prints: of a row, of the selected rows, of an association."""
    chosen: list[tuple[Association, Entry | None]] = []
    selected = scopes(app)[0] if app.marks.selected else None
    if selected is not None:
        chosen += selected.rows or [(a, None) for a in selected.associations]
    elif app.focused_pane == "associations" and app.association is not None:
        chosen.append((app.association, None))
    elif app.entry is not None:
        chosen.append(app.entry)
    copy_text(app, "\n".join(export.dump_lines(chosen, app.people, DUMP_LINES)))


def copy_text(app: DicomsniffApp, text: str) -> None:
    """Hand text to the terminal's clipboard."""
    if not text:
        app.say("Nothing to copy here", "warn")
        return
    app.copy_to_clipboard(text)
    lines = text.count("\n") + 1
    word = f"Copied {lines:,} lines" if lines > 1 else "Copied"
    if len(text.encode()) > LONG_COPY:
        app.say(f"{word}; it is long, and some terminals take no more than 73 KiB", "warn")
    else:
        app.say(word)


def row_text(app: DicomsniffApp) -> str:
    """The row under the cursor, without what only aligns it."""
    pane: LineList = app.pane(app.focused_pane or "timeline")
    if not pane.count():
        return ""
    if isinstance(pane, VirtualTable):
        cells = pane.rows.cells(pane.cursor)
        shown = [cells[c.key][0] for c in pane.rows.columns if c.shown and c.key in cells]
        return "\t".join(shown)
    return join(tuple(pane.line(pane.cursor, 10_000))).strip()
