"""A list of lines that renders only those that can be seen, and a table made of it.

Textual's own DataTable keeps a row object for each row: 100,000 rows take half a minute. Here a
pane asks its model for the rows between the top and the bottom of the window, and for nothing
else, so that a million rows cost what fifty cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from dicomsniff.tui.styles import component_style
from dicomsniff.tui.text import Cell, Role, fit

ROLES: tuple[Role, ...] = (
    "dim",
    "key",
    "name",
    "strong",
    "request",
    "response",
    "good",
    "warn",
    "bad",
    "mark",
    "match",
    "header",
    "optional",
)

WIDEST_LINE = 1000
"""Columns a line may have before it is cut: nobody scrolls further to the side, and a line that
an enormous value made is otherwise laid out anew at every repaint."""

SIDE_STEP = 8
"""Columns that ← and → scroll by."""


class LineList(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines with a cursor. Subclasses say how many there are and what one looks like."""

    DEFAULT_CSS = """
    LineList {
        background: $surface;
        color: $foreground;
        scrollbar-size: 1 1;
        overflow-x: hidden;
        overflow-y: auto;
        & > .list--cursor { background: $primary 25%; }
        & > .list--header { color: $text-muted; text-style: bold; background: $panel; }
        & > .list--dim { color: $text-muted; }
        & > .list--optional { color: $text-muted; }
        & > .list--key { color: $text-accent; }
        & > .list--name { text-style: bold; }
        & > .list--strong { text-style: bold; }
        & > .list--request { color: $text-primary; }
        & > .list--response { color: $foreground; }
        & > .list--good { color: $text-success; }
        & > .list--warn { color: $text-warning; }
        & > .list--bad { color: $text-error; text-style: bold; }
        & > .list--mark { color: $text-accent; text-style: bold; }
        & > .list--match { background: $warning; color: $background; text-style: bold; }
        &:focus > .list--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: bold;
        }
        &:ansi > .list--cursor { text-style: bold underline; background: ansi_default; }
        &:ansi > .list--dim { color: ansi_default; text-style: dim; }
        &:ansi > .list--optional { color: ansi_default; text-style: dim; }
        &:ansi > .list--header { color: ansi_default; text-style: bold underline; }
        &:ansi > .list--match { background: ansi_yellow; color: ansi_black; }
        &:ansi:focus > .list--cursor {
            background: ansi_default; color: ansi_default; text-style: bold reverse;
        }
    }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"list--cursor"} | {f"list--{role}" for role in ROLES}

    HEADER = 0
    """Lines above the first row that do not scroll."""
    CURSOR = True
    """Whether the row with the cursor looks so."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        self._styles: dict[str, Style] = {}
        super().__init__(id=id, classes=classes)
        self.cursor = 0
        self.follow = False
        self.needle = ""
        self.empty = ""
        """What an empty list says."""
        self.when_moved: Callable[[LineList, int], None] | None = None
        """Called with the row under the cursor, when that is another one than before.

        Not a message: keys that were typed ahead must find the panes as the keys before left them.
        """
        self.when_released: Callable[[], None] | None = None
        """Called when the user moves the cursor, which ends following."""
        self.when_opened: Callable[[LineList, int], None] | None = None
        """Called with the row that was opened."""
        self._known = 0
        self._side = 0
        self._base = Style()
        """Style and width of the pane while it is drawn: asking for them costs more than a line."""
        self._width = 0

    # ------------------------------------------------------------- what subclasses give

    def count(self) -> int:
        """How many rows there are now."""
        raise NotImplementedError

    def line(self, index: int, width: int) -> Sequence[Cell]:
        """The cells of a row; laid out already, they are joined as they are."""
        raise NotImplementedError

    def header(self, width: int) -> Sequence[Cell]:
        """The cells of the header line, where ``HEADER`` is 1."""
        del width
        return ()

    def moved(self, index: int) -> None:
        """The cursor is on another row: tell who wants to know."""
        if self.when_moved is not None:
            self.when_moved(self, index)

    def opened(self, index: int) -> None:
        """A row was opened: tell who wants to know."""
        if self.when_opened is not None:
            self.when_opened(self, index)

    # ------------------------------------------------------------- size and cursor

    @property
    def page(self) -> int:
        """Rows that can be seen at once."""
        return max(1, self.scrollable_content_region.height - self.HEADER)

    def look(self) -> bool:
        """See how many rows there are now; draw what changed. True where there are more.

        Rows only ever come at the end, unless :meth:`reload` is called.
        """
        count = self.count()
        if count == self._known:
            return False
        before, self._known = self._known, count
        self._resize(count)
        if self.follow and count:
            self.move(count - 1, keep_follow=True)
        elif before == 0 and count:
            self.cursor = min(self.cursor, count - 1)
            self.moved(self.cursor)
        top = round(self.scroll_y)
        if before <= top + self.page:
            self.refresh()
        return True

    def _resize(self, count: int) -> None:
        """Tell the scroll bar how many rows there are.

        Assigning ``virtual_size`` would lay out and draw the whole screen anew, ten times a
        second while rows come; the size of a list on the screen does not depend on its rows.
        """
        size = Size(self.virtual_size.width, count + self.HEADER)
        self.set_reactive(LineList.virtual_size, size)
        self._scroll_update(size)

    def reload(self, cursor: int | None = None, *, tell: bool = True) -> None:
        """Rows changed everywhere: draw all of it, with the cursor on row ``cursor``.

        ``tell``: call :attr:`when_moved`, since another line may be under the cursor.
        """
        self._known = count = self.count()
        self._resize(count)
        if cursor is not None:
            self.cursor = cursor
        self.cursor = max(0, min(self.cursor, count - 1))
        self.show_cursor()
        self.refresh()
        if count and tell:
            self.moved(self.cursor)

    def move(self, index: int, *, keep_follow: bool = False) -> None:
        """Put the cursor on a row, and the row on the screen."""
        count = self._known
        if not count:
            return
        index = max(0, min(index, count - 1))
        if not keep_follow:
            self.follow = False
            if self.when_released is not None:
                self.when_released()
        changed = index != self.cursor
        self.cursor = index
        self.show_cursor()
        self.refresh()
        if changed:
            self.moved(index)

    def show_cursor(self) -> None:
        """Scroll until the row with the cursor can be seen."""
        top = round(self.scroll_y)
        page = self.page
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + page:
            self.scroll_to(y=self.cursor - page + 1, animate=False)

    def command(self, name: str) -> bool:
        """Run a command that moves in the list; False where it is none of them."""
        match name:
            case "up":
                self.move(self.cursor - 1)
            case "down":
                self.move(self.cursor + 1)
            case "page-up":
                self.move(self.cursor - self.page)
            case "page-down":
                self.move(self.cursor + self.page)
            case "top":
                self.move(0)
            case "bottom":
                self.move(self._known - 1)
            case "left":
                self.side(-SIDE_STEP)
            case "right":
                self.side(SIDE_STEP)
            case "open":
                if self._known:
                    self.opened(self.cursor)
            case _:
                return False
        return True

    def side(self, columns: int) -> None:
        """Scroll to the side, header included."""
        self._side = max(0, min(self._side + columns, WIDEST_LINE))
        self.refresh()

    # ------------------------------------------------------------- drawing

    def style_of(self, role: Role, *more: str) -> Style:
        """The style of a role, by the style sheet."""
        names = [f"list--{role}"] if role else []
        names += [f"list--{name}" for name in more]
        if not names:
            return self._base
        key = " ".join(names)
        style = self._styles.get(key)
        if style is None:
            style = self._styles[key] = component_style(self, *names)
        return style

    def notify_style_update(self) -> None:
        """Another theme, or another state: styles are others."""
        self._styles.clear()
        super().notify_style_update()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Some lines of the window."""
        self._base = self.rich_style
        self._width = self.scrollable_content_region.width
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One line of the window."""
        width = self._width
        base = self._base
        if y < self.HEADER:
            style = base + self.style_of("header")
            return self._strip(self.header(width), width, style, plain=True)
        index = y - self.HEADER + round(self.scroll_y)
        if index >= self._known:
            if index == 0 and self.empty:
                return self._strip(((self.empty, "dim"),), width, base)
            return Strip.blank(width, base)
        if index == self.cursor and self.CURSOR:
            cursor = self.get_component_rich_style("list--cursor")
            return self._strip(self.line(index, width), width, cursor, self.has_focus)
        return self._strip(self.line(index, width), width, base)

    def _strip(self, cells: Sequence[Cell], width: int, base: Style, plain: bool = False) -> Strip:
        """Lay cells out on a line; ``plain`` leaves out their own colours."""
        needle = self.needle
        segments: list[Segment] = []
        for text, role in cells:
            style = base if not role or plain else base + self.style_of(role)
            if needle and needle in text.casefold():
                segments += self._matches(text, style)
            else:
                segments.append(Segment(text, style))
        strip = Strip(segments)
        side = self._side
        if side or strip.cell_length > width:
            strip = strip.crop(side, side + width)
        return strip.adjust_cell_length(width, base)

    def _matches(self, text: str, style: Style) -> list[Segment]:
        """The text with the places marked where the needle is."""
        folded = text.casefold()
        if len(folded) != len(text):  # ß becomes ss: places would not fit
            return [Segment(text, style + self.style_of("match"))]
        found = style + self.style_of("match")
        segments: list[Segment] = []
        at = 0
        while (place := folded.find(self.needle, at)) >= 0:
            if place > at:
                segments.append(Segment(text[at:place], style))
            at = place + len(self.needle)
            segments.append(Segment(text[place:at], found))
        if at < len(text):
            segments.append(Segment(text[at:], style))
        return segments

    # ------------------------------------------------------------- mouse and focus

    def on_click(self, event: events.Click) -> None:
        """A click chooses the line, a double click opens it."""
        offset = event.get_content_offset_capture(self)
        x = offset.x + self._side
        if offset.y < self.HEADER:
            self.header_clicked(x)
            return
        index = offset.y - self.HEADER + round(self.scroll_y)
        if 0 <= index < self._known:
            self.clicked(index, x, event.chain == 2)

    def clicked(self, index: int, x: int, twice: bool) -> None:
        """Column ``x`` of a row was clicked."""
        del x
        self.move(index)
        if twice:
            self.opened(index)

    def header_clicked(self, x: int) -> None:
        """The header was clicked at column ``x``."""

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()


@dataclass(slots=True)
class Column:
    """A column of a table."""

    key: str
    title: str
    least: int
    """Columns it takes at least."""
    most: int = 40
    """Columns it takes at most, however long its values are; the last column takes the rest."""
    right: bool = False
    hidden_below: int = 0
    """Left out where the table is narrower than this."""
    shown: bool = True
    width: int = 0
    """What it takes now: grows with the values seen, so that nothing jumps back and forth."""


class Rows(Protocol):
    """What a table shows."""

    columns: list[Column]
    sort_key: str
    sort_reverse: bool
    sortable: bool
    reserves: bool
    """Whether columns are a little wider than their titles, for the arrow of the order."""

    def __len__(self) -> int: ...

    def cells(self, index: int) -> dict[str, Cell]:
        """Cells of a row by column; ``""`` is the gutter of two columns before the first."""

    def sort(self, key: str, reverse: bool) -> None:
        """Put the rows in order of a column."""


class VirtualTable(LineList):
    """Rows of a model, in columns, under a header."""

    HEADER = 1

    @dataclass
    class HeaderClicked(Message):
        """A column's header was clicked."""

        table: VirtualTable
        key: str

        @property
        def control(self) -> VirtualTable:
            return self.table

    def __init__(self, rows: Rows, *, id: str | None = None, empty: str = "") -> None:
        super().__init__(id=id)
        self.rows = rows
        self.empty = empty

    def count(self) -> int:
        """Rows of the model."""
        return len(self.rows)

    def visible_columns(self, width: int) -> list[Column]:
        """The columns there is room for."""
        return [c for c in self.rows.columns if c.shown and width >= c.hidden_below]

    def render_line(self, y: int) -> Strip:
        """One line; before the first one, widths are fitted to the rows of this window."""
        if y == 0:
            self._fit()
        return super().render_line(y)

    def _fit(self) -> None:
        """Widen columns for the rows that are about to be drawn."""
        columns = self.rows.columns
        top = round(self.scroll_y)
        for column in columns:
            if column.width < column.least:
                column.width = max(column.least, len(column.title) + self.rows.reserves)
        for index in range(top, min(top + self.page, self._known)):
            cells = self.rows.cells(index)
            for column in columns:
                if column.width < column.most and (cell := cells.get(column.key)):
                    size = cell_len(cell[0])
                    if size > column.width:
                        column.width = min(size, column.most)

    def line(self, index: int, width: int) -> Sequence[Cell]:
        """A row in columns."""
        cells = self.rows.cells(index)
        gutter = cells.get("", ("", ""))
        line: list[Cell] = [(fit(gutter[0], 2), gutter[1])]
        columns = self.visible_columns(width)
        for column in columns[:-1]:
            text, role = cells.get(column.key, ("", ""))
            line.append((fit(text, column.width, right=column.right) + " ", role))
        if columns:
            text, role = cells.get(columns[-1].key, ("", ""))
            line.append((text, role))
        return line

    def header(self, width: int) -> Sequence[Cell]:
        """Titles; an arrow on the one that gives the order."""
        line: list[Cell] = [("  ", "")]
        for column in self.visible_columns(width):
            title = column.title
            if column.key == self.rows.sort_key:
                title = title[: max(1, column.width - 1)]
                title += "▼" if self.rows.sort_reverse else "▲"
            line.append((fit(title, column.width, right=column.right) + " ", ""))
        return line

    def header_clicked(self, x: int) -> None:
        """Tell which column is under ``x``."""
        at = 2
        columns = self.visible_columns(self.scrollable_content_region.width)
        for column in columns:
            at += column.width + 1
            if x < at or column is columns[-1]:
                self.post_message(self.HeaderClicked(self, column.key))
                return
