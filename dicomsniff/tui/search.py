"""Looking for a text: on in the focused pane, then through the other associations, then around."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import thread_time
from typing import TYPE_CHECKING

from dicomsniff.model import Association, Entry
from dicomsniff.output.info import info
from dicomsniff.tui import find
from dicomsniff.tui.outline import Outline
from dicomsniff.tui.table import LineList
from dicomsniff.tui.text import join, safe

if TYPE_CHECKING:
    from dicomsniff.tui.app import DicomsniffApp


LEAST_WIDTH = 200
"""Columns of a row that is looked at, also where the screen has fewer."""

Place = Callable[[], None] | None
"""A place that was looked at: what goes there, None where the text is not."""


class Search:
    """One look for a text, from where the cursor is."""

    def __init__(
        self, app: DicomsniffApp, text: str, backwards: bool, go: Callable[[Association, int], None]
    ) -> None:
        """``go`` shows an entry of an association by its number."""
        self._app = app
        self._text = text
        self._needle, self._raw = find.needles(text)
        self._backwards = backwards
        self._go = go

    async def run(self) -> None:
        """Look at a row after the other, with pauses for the keys; go to the first that has it, or
        tell where it was looked for."""
        app = self._app
        late = thread_time() + find.SECONDS_AT_ONCE
        for place in self._places():
            if place is not None:
                place()
                app.call_after_refresh(self._reveal)
                return
            if thread_time() > late:
                await asyncio.sleep(0.001)
                late = thread_time() + find.SECONDS_AT_ONCE
        passes = " that the filter lets pass" if app.timeline_rows.filter is not None else ""
        inside = "rows" if app.people.on else "rows, values and bytes"
        hint = "; people are masked: h shows them" if app.people.on else ""
        told = f"was not found in the {inside} of all associations{passes}{hint}"
        app.say(f"{self._text} {told}", "warn")

    def _places(self) -> Iterator[Place]:
        """Every place there is, in turn."""
        app = self._app
        pane = app.pane(app.focused_pane or "timeline")
        if pane.id not in ("associations", "timeline", "ladder", "detail"):
            pane = app.pane(app.middle)
        count = pane.count()
        rows = list(find.order(pane.cursor, count, self._backwards))
        ahead = len(rows)
        if pane.id in ("timeline", "ladder"):  # to the end of it, then to the next association
            ahead = max(0, pane.cursor if self._backwards else count - 1 - pane.cursor)
            look = self._in_entry_row
        else:
            look = self._in_row
        for index in rows[:ahead]:
            yield look(pane, index)
        if ahead == len(rows):
            yield from self._elsewhere(here=True)
        elif not app.show_all:
            yield from self._elsewhere(here=False)
        for index in rows[ahead:]:
            yield look(pane, index)

    def _in_row(self, pane: LineList, index: int) -> Place:
        """A row that is nothing but text."""
        if self._needle not in _text_of(pane, index).casefold():
            return None
        return lambda: pane.move(index)

    def _in_entry_row(self, pane: LineList, index: int) -> Place:
        """A row that stands for an entry, or for a collapsed run of them."""
        timeline = self._app.timeline_rows
        run: Sequence[int] = ()
        if pane.id == "timeline":
            run = timeline.run_members(index)
            a, entry = timeline[index]
        else:
            a, entry = pane.row(index)  # type: ignore[attr-defined]
        if self._in_entry(entry, _text_of(pane, index)):
            return lambda: pane.move(index)
        for nth, place in enumerate(run):
            a, entry = timeline.at(place)
            if self._in_entry(entry, safe(info(a, entry))):
                return partial(self._expand, pane, index, nth)
        return None

    def _expand(self, pane: LineList, index: int, nth: int) -> None:
        """Show a row of a collapsed run."""
        if self._app.timeline_rows.toggle_run(index):
            pane.reload()
            pane.move(index + nth)

    def _elsewhere(self, *, here: bool) -> Iterator[Place]:
        """The entries of the other associations, in the order of their table; ``here``: of this one
        first."""
        app = self._app
        rows = app.association_rows
        chosen = rows.index(app.association) if app.association is not None else None
        order = list(find.order(chosen or 0, len(rows), self._backwards))
        if here and order:
            order.insert(0, order.pop())
        elif chosen is not None:
            order.pop()
        keep = app.timeline_rows.filter
        for index in order:
            if index >= len(rows):
                return
            a = rows[index]
            for entry in reversed(a.timeline) if self._backwards else a.timeline:
                if keep is not None and not keep.matches(a, entry):
                    yield None
                elif self._in_entry(entry, safe(info(a, entry))):
                    yield partial(self._go, a, entry.number)
                else:
                    yield None

    def _in_entry(self, entry: Entry, row: str) -> bool:
        return find.in_entry(entry, row, self._needle, self._raw, self._app.people)

    def _reveal(self) -> None:
        """Open the tree at the value that holds the text."""
        outline = self._app.main.query_one(Outline)
        if outline.detail is None or self._app.focused_pane in ("associations", "detail"):
            return
        for path, branch in outline.detail.walk():
            if self._needle in join(branch.cells).casefold():
                outline.reveal([*path, branch])
                return


def _text_of(pane: LineList, index: int) -> str:
    return join(tuple(pane.line(index, max(LEAST_WIDTH, pane.size.width))))
