"""The bytes an entry was read from, linked with the tree: a branch lights up its bytes here, and
the byte under the cursor finds its branch there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from dicomsniff.tui.detail import Section
from dicomsniff.tui.table import LineList
from dicomsniff.tui.text import Cell, size

WIDE = 16
NARROW = 8

HIDDEN = "··"
"""Stands for a byte of a secret, or of a person while people are masked."""


@dataclass(slots=True)
class _Row:
    """A line: either words, or the bytes from ``start`` to ``end`` of a section."""

    section: int
    start: int
    end: int
    words: str = ""


class HexView(LineList):
    """Offsets, bytes in hexadecimal, and the characters they are in ASCII."""

    COMPONENT_CLASSES = {"hex--chosen", "hex--byte"}  # noqa: RUF012 - Textual reads it so

    DEFAULT_CSS = """
    HexView {
        & > .hex--chosen { background: $primary 50%; text-style: bold; }
        & > .hex--byte { text-style: reverse; }
        &:ansi > .hex--chosen { background: ansi_default; text-style: bold underline; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty = "No bytes"
        self.sections: list[Section] = []
        self.span: tuple[int, int, int] | None = None
        """(section, start, end) that is lit up."""
        self.at: tuple[int, int] = (0, 0)
        """(section, offset) of the byte under the cursor."""
        self.when_byte_chosen: Callable[[int, int], None] | None = None
        """Called with section and offset of the byte that the user moved to."""
        self._rows: list[_Row] = []
        self._across = WIDE

    # ------------------------------------------------------------- what is shown

    def show(self, sections: list[Section]) -> None:
        """Show other bytes."""
        self.sections = sections
        self.span = None
        self.at = (0, 0)
        self._lay_out()
        self.reload(0)

    def on_resize(self) -> None:
        """As many bytes on a line as there is room for."""
        self.fit(self.scrollable_content_region.width)

    def fit(self, width: int) -> None:
        """Lay out for a width, which may be known before the pane is on the screen."""
        across = WIDE if width >= 6 + 3 * WIDE + 1 + WIDE else NARROW
        if across != self._across:
            self._across = across
            self._lay_out()
            self.reload(self._row_of(*self.at))

    def _lay_out(self) -> None:
        rows: list[_Row] = []
        across = self._across
        for number, section in enumerate(self.sections):
            total = len(section.data)
            words = f"{section.name}, {total} bytes"
            kept = sum(skip.length for skip in section.skips)
            if kept:
                words += f" kept, {size(kept)} only measured"
            rows.append(_Row(number, 0, 0, words))
            start = 0
            for skip in (*section.skips, None):
                stop = min(skip.at, total) if skip is not None else total
                rows += [
                    _Row(number, at, min(at + across, stop)) for at in range(start, stop, across)
                ]
                if skip is not None:
                    rows.append(_Row(number, stop, stop, f"… {skip.length} bytes not kept …"))
                start = stop
        self._rows = rows

    def count(self) -> int:
        """Lines."""
        return len(self._rows)

    def _row_of(self, section: int, offset: int) -> int:
        """The line that shows a byte."""
        rows = self._rows
        at = bisect_right(rows, (section, offset), key=lambda row: (row.section, row.start)) - 1
        while at > 0 and rows[at].words:
            at -= 1
        return max(0, at)

    def light_up(self, section: int, start: int, end: int) -> None:
        """Show which bytes a branch was read from."""
        self.span = (section, start, end)
        self.at = (section, start)
        self.cursor = self._row_of(section, start)
        last = self._row_of(section, max(start, end - 1))
        top = round(self.scroll_y)
        if self.cursor < top or last >= top + self.page:
            self.scroll_to(y=max(0, self.cursor - 1), animate=False)
        self.refresh()

    # ------------------------------------------------------------- moving

    def command(self, name: str) -> bool:
        """← and → go from byte to byte; ↑ and ↓ keep the column."""
        section, offset = self.at
        if name in ("left", "right") and self.sections:
            offset += 1 if name == "right" else -1
            if offset < 0 and section:
                section -= 1
                offset = max(0, len(self.sections[section].data) - 1)
            elif offset >= len(self.sections[section].data):
                if section + 1 < len(self.sections):
                    section, offset = section + 1, 0
                else:
                    offset -= 1
            self._to(section, max(0, offset))
            return True
        before = self.cursor
        done = super().command(name)
        if done and self._rows and name != "open":
            step = 1 if self.cursor >= before else -1
            while self._rows[self.cursor].words and 0 <= self.cursor + step < len(self._rows):
                self.cursor += step
            self.show_cursor()
            row = self._rows[self.cursor]
            column = offset - self._rows[before].start if not self._rows[before].words else 0
            at = min(row.start + max(0, column), max(row.start, row.end - 1))
            self._to(row.section, at)
        return done

    def _to(self, section: int, offset: int) -> None:
        """Put the cursor on a byte, and say so."""
        self.at = (section, offset)
        self.cursor = self._row_of(section, offset)
        self.show_cursor()
        self.refresh()
        if self.sections[section].data and self.when_byte_chosen is not None:
            self.when_byte_chosen(section, offset)

    def clicked(self, index: int, x: int, twice: bool) -> None:
        """A click chooses the byte, in either column."""
        del twice
        row = self._rows[index]
        if row.words:
            return
        across = self._across
        column = (x - 6) // 3
        if x >= 6 + 3 * across + 1:
            column = x - (6 + 3 * across + 1)
        if 0 <= column < row.end - row.start:
            self._to(row.section, row.start + column)

    # ------------------------------------------------------------- drawing

    def line(self, index: int, width: int) -> Sequence[Cell]:
        """A line as text, for copying and finding."""
        del width
        row = self._rows[index]
        if row.words:
            return ((f"{row.words}", "header"),)
        shown = self._shown(row)
        hexes = " ".join(text for text, _ in shown)
        letters = "".join(letter for _, letter in shown)
        across = self._across
        return ((f"{row.start:04x}  ", "dim"), (f"{hexes:<{3 * across}} ", ""), (letters, ""))

    def _shown(self, row: _Row) -> list[tuple[str, str]]:
        """Each byte as hexadecimal and as a character, hidden ones as dots."""
        section = self.sections[row.section]
        hidden = [span for span in section.hidden if span[0] < row.end and span[1] > row.start]
        shown = []
        for at in range(row.start, row.end):
            if any(start <= at < end for start, end in hidden):
                shown.append((HIDDEN, "·"))
            else:
                byte = section.data[at]
                shown.append((f"{byte:02x}", chr(byte) if 32 <= byte < 127 else "."))
        return shown

    def render_line(self, y: int) -> Strip:
        """A line with the chosen span and the byte under the cursor."""
        index = y + round(self.scroll_y)
        if index >= len(self._rows) or self._rows[index].words:
            return super().render_line(y)
        width = self._width
        row = self._rows[index]
        base = self._base
        chosen = self.get_component_rich_style("hex--chosen")
        under = Style(reverse=True)
        span = self.span
        low, high = (span[1], span[2]) if span is not None and span[0] == row.section else (0, 0)
        focus = self.has_focus
        hexes: list[Segment] = []
        letters: list[Segment] = []
        for place, (text, letter) in enumerate(self._shown(row), row.start):
            lit = low <= place < high
            style = chosen if lit else base
            if focus and self.at == (row.section, place):
                style = style + under
            gap = chosen if lit and place + 1 < min(high, row.end) else base
            hexes += [Segment(text, style), Segment(" ", gap)]
            letters.append(Segment(letter, style))
        pad = 3 * (self._across - (row.end - row.start)) + 1
        strip = Strip(
            [
                Segment(f"{row.start:04x}  ", base + self.style_of("dim")),
                *hexes,
                Segment(" " * pad, base),
                *letters,
            ]
        )
        return strip.crop(0, width).adjust_cell_length(width, base)
