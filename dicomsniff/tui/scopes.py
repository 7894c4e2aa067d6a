"""What may be taken away at one time, and the line that asks for a name and for which of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from dicomsniff.model import Association, Entry
from dicomsniff.tui.summary import ae_titles

if TYPE_CHECKING:
    from dicomsniff.tui.app import DicomsniffApp


@dataclass(slots=True)
class Scope:
    """Associations, or rows of them."""

    words: str
    """What it is, for people."""
    stem: str
    """How a file of it is called, without its ending."""
    associations: list[Association]
    rows: list[tuple[Association, Entry]] = field(default_factory=list)
    """Where it is rows; empty: the associations as a whole."""

    @property
    def stores(self) -> bool:
        """Whether there is a C-STORE request in it."""
        if not self.rows:
            return any(op.service == "C-STORE" for a in self.associations for op in a.operations)
        return any(entry.kind == "C-STORE-RQ" for _, entry in self.rows)


def scopes(app: DicomsniffApp, *, rows: bool = True) -> list[Scope]:
    """What may be meant, the likeliest first: what is selected, else the chosen association, or
    all that are shown where all of them are in front of the user. ``rows``: rows may be taken
    without their association."""
    found: list[Scope] = []
    shown_rows = app.association_rows
    shown = [shown_rows[i] for i in range(len(shown_rows))]
    selected = set(app.marks.selected)
    if selected:
        by_id = {a.id: a for a in app.loader.associations}
        associations = [a for number, a in by_id.items() if number in {key[0] for key in selected}]
        picked = [
            (a, entry)
            for a in associations
            for entry in a.timeline
            if (a.id, entry.number) in selected
        ]
        if picked and rows:
            found.append(Scope(_count(len(picked), "selected row"), "rows", associations, picked))
        if any(not number for _, number in selected) or not rows:
            words = _count(len(associations), "selected association")
            found.append(Scope(words, _stem(associations), associations))
    one = app.association
    if one is not None:
        found.append(Scope(f"association {one.id}, {ae_titles(one)}", _stem([one]), [one]))
    if len(shown) > 1 or one is None:
        every = len(shown) == len(app.loader.associations)
        words = f"all {len(shown):,} associations" + ("" if every else " that are shown")
        scope = Scope(words, "dicomsniff" if every else "shown", shown)
        in_front = app.focused_pane == "associations" or app.show_all or one is None
        found.insert(0 if in_front and not selected else len(found), scope)
    if rows and app.entry is not None and app.focused_pane != "associations":
        a, entry = app.entry
        words = f"the row of frame {entry.last_frame}, {entry.kind}"
        found.append(Scope(words, f"frame-{entry.last_frame}", [a], [app.entry]))
    return [scope for scope in found if scope.associations]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _stem(associations: list[Association]) -> str:
    if len(associations) == 1:
        return f"association-{associations[0].id}"
    return "associations"


class TakeScreen(ModalScreen[tuple[str, Scope] | None]):
    """A name to type, and what is to be taken."""

    DEFAULT_CSS = """
    TakeScreen { align: center bottom; background: $background 0%; }
    TakeScreen > Vertical {
        height: auto; border: round $primary; background: $surface; padding: 0 1;
    }
    TakeScreen Input { border: none; height: 1; padding: 0; }
    TakeScreen #what { text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close"),
        Binding("down", "other(1)", "Other choice", priority=True),
        Binding("up", "other(-1)", "Other choice", priority=True),
    ]

    def __init__(self, question: str, choices: list[Scope], ending: str, *, hint: str) -> None:
        super().__init__()
        self.question = question
        self.choices = choices
        self.ending = ending
        self.hint = hint
        self.at = 0

    def compose(self) -> ComposeResult:
        """The question around the line, what is taken below it."""
        with Vertical() as box:
            box.border_title = Content(self.question).markup
            yield Input(self.file_name(), select_on_focus=True, compact=True)
            yield Label("", id="what", markup=False)

    def on_mount(self) -> None:
        """Say what is taken."""
        self._say()

    def file_name(self) -> str:
        return self.choices[self.at].stem + self.ending

    def _say(self) -> None:
        more = f"  (↑ ↓ {self.at + 1} of {len(self.choices)})" if len(self.choices) > 1 else ""
        words = f"{self.choices[self.at].words}{more}: {self.hint}"
        self.query_one("#what", Label).update(words)

    def action_other(self, step: int) -> None:
        """Take something else; the name changes with it, unless it was typed."""
        line = self.query_one(Input)
        untouched = line.value == self.file_name()
        self.at = (self.at + step) % len(self.choices)
        if untouched:
            line.value = self.file_name()
            line.action_select_all()
        self._say()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter gives the answer."""
        name = event.value.strip()
        self.dismiss((name, self.choices[self.at]) if name else None)

    def action_close(self) -> None:
        """No answer."""
        self.dismiss(None)
