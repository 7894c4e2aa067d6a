"""The line on top and the titles of the panes: what is shown, and how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len

from dicomsniff.tui.bars import KeyLine, StatusLine
from dicomsniff.tui.hexview import HexView
from dicomsniff.tui.ladder import Ladder
from dicomsniff.tui.text import Cell, fit, join, safe
from dicomsniff.tui.timeline import TIME_MODES

if TYPE_CHECKING:
    from dicomsniff.tui.app import DicomsniffApp

TITLE_LEAST = 16
"""Columns that the name of what is shown keeps, whatever else has to be said."""


class Status:
    """Writes them, as far as they changed."""

    def __init__(self, app: DicomsniffApp) -> None:
        self._app = app
        self._state: tuple[object, ...] = ()

    @property
    def shown(self) -> bool:
        """Whether they were written at all."""
        return bool(self._state)

    def show(self) -> None:
        """The line on top and the titles of the panes, as far as they changed."""
        app = self._app
        loader = app.loader
        rows, associations = len(loader.rows), len(loader.associations)
        left: list[Cell] = [("dicomsniff ", "strong")]
        title = app.people.redactor.file_name(app.title_text) if app.people.on else app.title_text
        left.append((safe(title), ""))
        if app.people.on:
            left.append(("  people masked", "warn"))
        if app.now.paused:
            left.append((app.now.paused_text, "warn"))
        elif any(app.pane(name).follow for name in ("associations", "timeline")):
            left.append(("  ● follow", "strong"))
        if app.filter is not None and app.filter_off:
            left.append(("  filter off", "warn"))
        if app.word:
            left.append(("  " + app.word, "bad" if app.word_is == "bad" else "warn"))
        elif loader.error:
            left.append((f"  ✗ {safe(loader.error)}", "bad"))
        elif loader.done and loader.notices:
            left.append((f"  {safe(loader.notices[-1])}", "dim"))
        findings = sum(len(a.findings) for a in loader.associations) if loader.done else 0
        findings += len(loader.findings)
        shown = len(app.association_rows)
        count = f"{shown:,}/{associations:,}" if shown != associations else f"{associations:,}"
        right = f"{count} association{'' if count == '1' else 's'}  {rows:,} rows"
        if loader.found > associations:
            right = f"{right}, of {loader.found:,} associations"
        if findings:
            right += f"  {findings:,} finding{'' if findings == 1 else 's'}"
        if not loader.done:
            share = loader.progress
            right += f"  {share:.0%}" if share is not None else f"  {loader.frames:,} frames …"
        elif loader.pipeline is not None and loader.pipeline.info.truncated:
            right += "  ▲ truncated"
        room = app.main.size.width - 1
        # The names of many files are long, and what stands behind them matters more.
        over = cell_len(join(left)) + cell_len(right) + 2 - room
        if over > 0:
            text, role = left[1]
            left[1] = fit(text, max(min(cell_len(text), TITLE_LEAST), cell_len(text) - over)), role
        if app.word:  # an answer is read now, what else stands there can be read later
            if cell_len(join(left)) + cell_len(right) + 2 > room:
                right = ""
            if cell_len(join(left)) > room:
                left = [left[0], left[-1]]
        app.main.query_one(StatusLine).show(left, right)
        app.main.query_one(KeyLine).show(app.focused_pane)
        self._titles()

    def _titles(self) -> None:
        app = self._app
        rows = app.timeline_rows
        a = app.association
        number = f" #{a.id}" if a is not None else ""
        of = " of all" if app.show_all else number
        state = (
            a.id if a is not None else None,
            a.outcome if a is not None else None,
            app.show_all,
            rows.time_mode,
            rows.collapse,
            len(rows),
            rows.total,
            rows.behind,
            rows.unsorted,
            app.middle,
            len(a.timeline) if a is not None else 0,
        )
        if state == self._state:
            return
        self._state = state
        count = f"{len(rows):,}" if len(rows) == rows.total else f"{len(rows):,} of {rows.total:,}"
        collapse = ", runs collapsed" if rows.collapse else ""
        behind = ", filtering …" if rows.behind else ", sorting …" if rows.unsorted else ""
        self.title("associations", "1 Associations")
        mode = TIME_MODES[rows.time_mode]
        self.title("timeline", f"2 Timeline{of}", f"{count} rows, time {mode}{collapse}{behind}")
        ladder = app.main.query_one(Ladder)
        self.title("ladder", f"2 Ladder{number}", ladder.think_time())
        self.title("contexts", f"2 Contexts{number}")
        self.title("findings", "2 Findings")
        self.title("statistics", "2 Statistics", "time to first response")
        self.title("plots", "Plots")
        self.title("detail", "3 Detail")
        if not app.main.query_one(HexView).sections:
            self.title("bytes", "4 Bytes")

    def title(self, name: str, title: str, subtitle: str = "") -> None:
        """Set a pane's titles as text: brackets in an AE title are no markup."""
        from textual.content import Content

        pane = self._app.pane(name)
        text = f"{title} · {subtitle}" if subtitle else title
        pane.border_title = Content(text).markup
