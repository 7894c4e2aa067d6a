"""Screens on top of the main one: help, a line to type, a choice of columns, a difference."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, SelectionList, Static

from dicomsniff.tui.commands import COMMANDS, key_text
from dicomsniff.tui.rows import TableRows
from dicomsniff.tui.table import Column, VirtualTable
from dicomsniff.tui.text import Cell, fit

if TYPE_CHECKING:
    from dicomsniff.tui.app import DicomsniffApp

CLOSE: list[BindingType] = [
    Binding("escape,q", "close", "Close"),
    Binding("question_mark,f1", "close", "Close"),
]


class HelpScreen(ModalScreen[None]):
    """All keys, made from the table of commands."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 90; max-width: 100%; height: 90%;
        border: round $primary; background: $surface; padding: 0 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = CLOSE

    def compose(self) -> ComposeResult:
        """A paragraph for each group."""
        with VerticalScroll() as scroll:
            scroll.border_title = "Keys (esc closes)"
            yield Static(self.text())

    def text(self) -> Text:
        """Keys, name and meaning of every command."""
        app: DicomsniffApp = self.app  # type: ignore[assignment]
        text = Text()
        for group, commands in groupby(COMMANDS, key=lambda command: command.group):
            text.append(f"\n{group}\n", style="bold underline")
            for command in commands:
                keys = " ".join(key_text(key) for key in app.keys_of(command.name)) or "–"
                text.append(fit(keys, 14), style="bold")
                text.append(f" {command.help}")
                text.append(f"  {command.name}\n", style="dim")
        from dicomsniff.tui.config import path

        text.append("\nSigns\n", style="bold underline")
        text.append(
            "✓ released  ✗ failed, aborted, rejected  ! warning, lost  ▲ bytes missing\n"
            "… open  ◆ marked  • selected  ▸ closed or collapsed  ▾ open\n"
        )
        text.append("\nOther keys: ", style="bold")
        text.append(f'in {path()}, for instance\n  [keys]\n  filter = ["/", "ctrl+k"]\n')
        return text

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)


class PromptScreen(ModalScreen[str | None]):
    """A line to type."""

    DEFAULT_CSS = """
    PromptScreen { align: center bottom; background: $background 0%; }
    PromptScreen > Vertical {
        height: auto; border: round $primary; background: $surface; padding: 0 1;
    }
    PromptScreen Input { border: none; height: 1; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Close")]

    def __init__(self, question: str, value: str = "", *, hint: str = "") -> None:
        super().__init__()
        self.question = question
        self.value = value
        self.hint = hint

    def compose(self) -> ComposeResult:
        """The question around the line."""
        with Vertical() as box:
            box.border_title = Text(self.question).markup
            yield Input(self.value, select_on_focus=True, compact=True)
            if self.hint:
                yield Label(self.hint, markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter gives the answer."""
        self.dismiss(event.value)

    def action_close(self) -> None:
        """No answer."""
        self.dismiss(None)


class ColumnsScreen(ModalScreen[None]):
    """Which columns a table shows."""

    DEFAULT_CSS = """
    ColumnsScreen { align: center middle; }
    ColumnsScreen SelectionList { width: 44; height: auto; max-height: 90%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,C", "close", "Close")]

    def __init__(self, columns: list[Column]) -> None:
        super().__init__()
        self.columns = columns

    def compose(self) -> ComposeResult:
        """A line for each column."""
        choices: SelectionList[str] = SelectionList(
            *((column.title, column.key, column.shown) for column in self.columns)
        )
        choices.border_title = "Columns (space chooses, esc closes)"
        yield choices

    def on_selection_list_selected_changed(self, event: SelectionList.SelectedChanged[str]) -> None:
        """Show what is chosen at once."""
        chosen = set(event.selection_list.selected)
        for column in self.columns:
            if (column.key in chosen) != column.shown:
                column.shown = not column.shown
                if column.shown:
                    column.hidden_below = 0
        app: DicomsniffApp = self.app  # type: ignore[assignment]
        app.refresh_tables()

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)


class DifferenceScreen(ModalScreen[None]):
    """Two things side by side, line by line; only what differs, or all of it."""

    DEFAULT_CSS = """
    DifferenceScreen { align: center middle; }
    DifferenceScreen > Vertical {
        width: 100%; height: 100%; border: round $primary; background: $surface;
    }
    DifferenceScreen VirtualTable { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,d", "close", "Close"),
        Binding("a", "all", "All or only differences"),
        Binding("up,k", "move('up')", "Up"),
        Binding("down,j", "move('down')", "Down"),
        Binding("pageup", "move('page-up')", "Page up"),
        Binding("pagedown", "move('page-down')", "Page down"),
        Binding("home", "move('top')", "Top"),
        Binding("end", "move('bottom')", "Bottom"),
        Binding("left", "move('left')", "Left"),
        Binding("right", "move('right')", "Right"),
    ]

    def __init__(self, names: tuple[str, str], lines: Sequence[tuple[str, str, str]]) -> None:
        super().__init__()
        self.names = names
        self.lines = lines
        self.everything = False
        self.rows = TableRows(
            [
                Column("what", "What", 12, 60),
                Column("one", names[0], 12, 60),
                Column("two", names[1], 12, 400),
            ]
        )
        self.rows.sortable = self.rows.reserves = False

    def compose(self) -> ComposeResult:
        """One table."""
        with Vertical():
            yield VirtualTable(self.rows, id="difference", empty="No difference")

    def on_mount(self) -> None:
        """Only differences at first; each of the three columns gets its share of the screen."""
        for column, share in zip(self.rows.columns[:2], (0.4, 0.3), strict=True):
            column.most = max(column.least, min(60, int(self.size.width * share)))
        self._fill()
        self.query_one(VirtualTable).focus()

    def _fill(self) -> None:
        shown: list[dict[str, Cell]] = []
        different = 0
        for what, one, two in self.lines:
            same = one == two
            different += not same
            if same and not self.everything:
                continue
            sign = " " if same else "+" if not one else "-" if not two else "≠"
            shown.append(
                {
                    "": (sign, "bad" if not same else ""),
                    "what": (what, "key"),
                    "one": (one or "–", "" if same else "warn"),
                    "two": (two or "–", "" if same else "warn"),
                }
            )
        self.rows.set(shown)
        box = self.query_one(Vertical)
        word = "all" if self.everything else "differences only"
        box.border_title = (
            f"Difference: {different} of {len(self.lines)} lines, {word} (a changes, esc closes)"
        )
        self.query_one(VirtualTable).reload(0)

    def action_all(self) -> None:
        """All lines, or only those that differ."""
        self.everything = not self.everything
        self._fill()

    def action_move(self, name: str) -> None:
        """Move in the table."""
        self.query_one(VirtualTable).command(name)

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)
