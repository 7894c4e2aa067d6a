"""The line on top, the line of keys at the bottom, and the line where a filter is typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.strip import Strip
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input, Label

from dicomsniff.model import Association
from dicomsniff.tui.commands import COMMANDS, available, key_text
from dicomsniff.tui.styles import component_style

if TYPE_CHECKING:
    from dicomsniff.tui.app import DicomsniffApp
    from dicomsniff.tui.text import Cell


TITLES_SEEN = 1000
"""Associations whose AE titles and addresses are proposed while a filter is typed."""


class StatusLine(Widget):
    """What is loaded, and how far; notices and answers to commands for a while."""

    DEFAULT_CSS = """
    StatusLine {
        height: 1; dock: top; background: $panel; color: $foreground;
        & > .status--title { text-style: bold; color: $text-primary; }
        & > .status--bad { text-style: bold; color: $text-error; }
        & > .status--warn { color: $text-warning; }
        & > .status--dim { color: $text-muted; }
        &:ansi > .status--title { color: ansi_default; text-style: bold reverse; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "status--title",
        "status--bad",
        "status--warn",
        "status--dim",
    }

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.left: Sequence[Cell] = ()
        self.right = ""

    def show(self, left: Sequence[Cell], right: str) -> None:
        """Show other words, if they are others."""
        if left != self.left or right != self.right:
            self.left, self.right = left, right
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line: the left part gives way."""
        del y
        base = self.rich_style
        names = {"strong": "title", "bad": "bad", "warn": "warn", "dim": "dim"}
        segments = [Segment(" ", base)]
        for text, role in self.left:
            style = base
            if role in names:
                style = base + component_style(self, f"status--{names[role]}")
            segments.append(Segment(text, style))
        width = self.size.width
        right = f" {self.right} " if self.right else ""
        left = Strip(segments).adjust_cell_length(max(0, width - cell_len(right)), base)
        return Strip([*left, Segment(right, base)]).adjust_cell_length(width, base)


class KeyLine(Widget):
    """Keys that make sense where the focus is, as many as there is room for; for the mouse too."""

    DEFAULT_CSS = """
    KeyLine {
        height: 1; dock: bottom; background: $panel; color: $foreground;
        & > .keys--key { color: $text-accent; text-style: bold; }
        &:ansi > .keys--key { color: ansi_default; text-style: bold reverse; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keys--key"}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.pane = ""

    def show(self, pane: str) -> None:
        """Show the keys of another pane."""
        if pane != self.pane:
            self.pane = pane
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line of keys."""
        del y
        app: DicomsniffApp = self.app  # type: ignore[assignment]
        base = self.rich_style
        key_style = base + component_style(self, "keys--key")
        width = self.size.width
        segments = [Segment(" ", base)]
        shown = [
            c
            for c in COMMANDS
            if c.footer and available(c, self.pane, app.loader.live) and app.keys_of(c.name)
        ]
        texts = {c.name: (key_text(app.keys_of(c.name)[0]), f" {c.label}  ") for c in shown}
        sizes = {name: cell_len(key) + cell_len(label) for name, (key, label) in texts.items()}
        left = width - 1 - sizes.get("help", 0)
        for command in sorted(shown, key=lambda c: c.footer):
            name = command.name
            if name != "help":  # which always has its place: it tells the others
                if sizes[name] > left:
                    continue
                left -= sizes[name]
            key, label = texts[name]
            click = Style.from_meta({"@click": f"app.command('{name}')"})
            segments += [Segment(key, key_style + click), Segment(label, base + click)]
        return Strip(segments).adjust_cell_length(width, base)


class FilterSuggester(Suggester):
    """Completes the word under the cursor, from the table of the filter language."""

    def __init__(self, seen: Callable[[], Iterable[Association]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._seen = seen

    async def get_suggestion(self, value: str) -> str | None:
        """The whole line with the word completed."""
        from dicomsniff.tui.filters import completion

        return completion(value, self._seen())


class FilterInput(Input):
    """The text of a filter. Tab takes the word that is proposed, again the next one that fits."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete(1)", "Complete", show=False),
        Binding("shift+tab", "complete(-1)", "Complete", show=False),
    ]

    def __init__(self, seen: Callable[[], Iterable[Association]], *, id: str) -> None:
        super().__init__(
            id=id, suggester=FilterSuggester(seen), select_on_focus=False, compact=True
        )
        self._seen = seen
        self._round: list[str] = []
        self._at = 0

    def action_complete(self, step: int) -> None:
        """Complete the last word."""
        from dicomsniff.tui.filters import completions

        if self._round and self.value == self._round[self._at]:
            self._at = (self._at + step) % len(self._round)
        else:
            self._round, self._at = completions(self.value, self._seen()), 0
        if self._round:
            self.value = self._round[self._at]
            self.cursor_position = len(self.value)


class FilterLine(Horizontal):
    """Where a filter is typed: says while one types whether it is valid, and what is wrong."""

    DEFAULT_CSS = """
    FilterLine {
        height: 1; display: none; background: $surface;
        & > #filter-sign { width: 3; color: $text-accent; text-style: bold; }
        & > Input { width: 1fr; border: none; height: 1; padding: 0; background: $surface; }
        & > Input.-valid-filter { color: $text-success; }
        & > Input.-wrong-filter { color: $text-error; }
        & > #filter-word { width: auto; max-width: 60%; padding: 0 1; }
        &.-told { height: auto; }
        &.-told > #filter-word { height: auto; }
        & > #filter-word.-wrong { color: $text-error; }
        & > #filter-word.-valid { color: $text-success; }
    }
    """

    class Changed(Message):
        """Another filter holds from now on, or none."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """The user is done with typing."""

    def compose(self) -> ComposeResult:
        """Sign, input, verdict."""
        yield Label(" / ", id="filter-sign")
        app: DicomsniffApp = self.app  # type: ignore[assignment]
        yield FilterInput(lambda: islice(app.loader.associations, TITLES_SEEN), id="filter-input")
        yield Label("", id="filter-word", markup=False)

    @property
    def input(self) -> Input:
        """Where it is typed."""
        return self.query_one(Input)

    def open(self) -> None:
        """Show the line and begin to type."""
        self.display = True
        self.screen.set_focus(self.input)

    def say(self, word: str, valid: bool | None) -> None:
        """Say whether the text is a filter: None while there is none."""
        label = self.query_one("#filter-word", Label)
        label.update(word)
        label.set_class(valid is False, "-wrong")
        label.set_class(valid is True, "-valid")
        self.input.set_class(valid is False, "-wrong-filter")
        self.input.set_class(valid is True, "-valid-filter")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Judge with every key."""
        from dicomsniff.tui.filters import judge

        event.stop()
        _, word, valid = judge(event.value)
        self.say(word, valid)
        self.remove_class("-told")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: use it."""
        from dicomsniff.tui.filters import judge

        event.stop()
        _, _, valid = judge(event.value)
        # One line of a narrow screen cuts off what is said last, which is what to write instead.
        self.set_class(valid is False, "-told")
        if valid is not False:
            self.post_message(self.Changed(event.value))
            self.post_message(self.Left())
        if not event.value.strip():
            self.display = False
