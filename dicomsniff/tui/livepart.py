"""What the application does differently while a capture goes on.

All of it waits for :attr:`Loader.live`: a pipe shows by its packets whether it carries the present.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from dicomsniff.tui.live import (
    HELD_STILL,
    LOW,
    OPEN_SHOWN,
    Clock,
    Keeping,
    LiveLine,
    Meters,
    OpenRows,
    meter_cells,
)

if TYPE_CHECKING:
    from dicomsniff.tui.app import DicomsniffApp

EVERY: Final = 0.5
"""Seconds between two looks at meters and open associations: they are read, not watched."""


class LivePart:
    """Meters, the pane of open associations, pausing, and what leaves."""

    def __init__(self, app: DicomsniffApp, keep: int) -> None:
        self._app = app
        self.rows = OpenRows(app.summaries)
        self.paused = False
        self._paused_at = 0
        self._meters = Meters()
        self._clock = Clock()
        self._keeping = Keeping(app.loader, keep)
        self._next = 0.0
        self._shown = -1
        """Open associations there were, as far as the pane's height goes; -1: it is not shown."""
        self._begun = False
        self._told = False
        """True once the end was told."""

    # ------------------------------------------------------------- looking

    def look(self) -> bool:
        """See how the capture goes on. False: the screen stands still."""
        loader = self._app.loader
        if not loader.live:
            return True
        if not self._begun:
            self._begun = True
            self._follow()
        moment = time.monotonic()
        if moment >= self._next or (loader.done and not self._told):
            self._next = moment + EVERY
            self._told = loader.done
            self._measure(moment)
        if self.paused and len(loader.rows) > self._paused_at + HELD_STILL:
            self.pause()
            self._app.say("went on by itself: there was too much to keep", "warn")
        if self.paused:
            self._app.show_status()
            return loader.done
        self._let_leave()
        return True

    def _follow(self) -> None:
        """A pipe turned out to be live: follow its end, unless the user has moved already."""
        for name in ("associations", "timeline"):
            pane = self._app.pane(name)
            pane.follow = pane.follow or not pane.cursor

    def _measure(self, moment: float) -> None:
        app = self._app
        loader = app.loader
        pipeline = loader.pipeline
        if pipeline is None:
            return
        info = pipeline.info
        source = loader.source
        if source is not None:
            info.dropped = source.dropped
        self._meters.add(moment, info, loader.found)
        line = app.main.query_one(LiveLine)
        line.display = True
        line.show(meter_cells(self._meters, info, len(loader.open), loader.done), "")
        if self.paused:
            return
        chosen = self._under_cursor()
        self.rows.set([] if loader.done else list(loader.open), self._clock.now(info.last))
        pane = app.pane("open")
        # The cursor stays on its association, as far as that is open.
        places = (n for n in range(len(self.rows)) if self.rows[n] is chosen)
        pane.reload(next(places, 0), tell=False)
        shown = min(len(self.rows), OPEN_SHOWN)
        if shown != self._shown:
            self._shown = shown
            pane.border_title = "0 Open now"
            if not shown and app.focused_pane == "open":
                app.focus_on("associations")
            app.arrange()

    def _under_cursor(self) -> object:
        pane = self._app.pane("open")
        return self.rows[pane.cursor] if pane.cursor < len(self.rows) else None

    def arrange(self, alone: str) -> None:
        """Show the pane of open associations where there are any, as high as it has to be."""
        app = self._app
        pane = app.pane("open")
        most = OPEN_SHOWN if app.main.size.height >= LOW else 2
        pane.display = alone == "open" or (not alone and self._shown > 0)
        pane.styles.height = "1fr" if alone == "open" else min(max(self._shown, 0), most) + 2

    def chosen(self, index: int) -> None:
        """The cursor of the pane moved."""
        if index < len(self.rows):
            self._app.choose_association(self.rows[index])

    # ------------------------------------------------------------- pausing

    def pause(self) -> None:
        """Hold the screen still, or go on where the capture is by now."""
        app = self._app
        if not app.loader.live:
            app.say("only a capture that goes on can be paused")
            return
        self.paused = not self.paused
        self._paused_at = len(app.loader.rows)
        if not self.paused:
            app.look()

    @property
    def paused_text(self) -> str:
        """What the line on top says meanwhile."""
        waiting = len(self._app.loader.rows) - self._paused_at
        return f"  ‖ paused, {waiting:,} rows waiting" if waiting else "  ‖ paused"

    # ------------------------------------------------------------- what leaves

    def _let_leave(self) -> None:
        """Let the oldest associations leave the memory, where there are too many."""
        app = self._app
        protected = {key[0] for key in (*app.marks.marked, *app.marks.selected)}
        if app.association is not None:
            protected.add(app.association.id)
        gone = self._keeping.leaving(protected)
        if not gone:
            return
        loader = app.loader
        loader.forget(gone)
        app.summaries.forget(gone)
        if app.entry is not None and app.entry[0] in gone:
            app.entry = None
        rows = app.association_rows
        rows.rescan()
        at = rows.index(app.association) if app.association is not None else None
        pane = app.pane("associations")
        last = max(0, len(rows) - 1)
        pane.reload(last if pane.follow or at is None else at, tell=pane.follow)
        if app.show_all:
            app.timeline_rows.rescan()
            app.pane("timeline").reload(tell=False)
