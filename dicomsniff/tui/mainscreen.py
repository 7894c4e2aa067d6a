"""The screen with the panes: how they lie, and what it tells the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.screen import Screen

if TYPE_CHECKING:
    from dicomsniff.tui.app import DicomsniffApp

WIDE = 140
"""Columns from which sixteen bytes a line leave the tree enough room."""


class MainScreen(Screen[None], inherit_bindings=False):
    """The one with the panes. Its keys are those of the table of commands, and no others."""

    DEFAULT_CSS = """
    MainScreen { layout: vertical; background: $surface; }
    MainScreen #panes { height: 1fr; }
    MainScreen LineList { border-top: solid $border-blurred; border-title-color: $text-muted; }
    MainScreen LineList:focus {
        border-top: heavy $primary; border-title-color: $text-primary;
        border-title-style: bold; border-subtitle-color: $text-muted;
    }
    MainScreen #associations { height: 3fr; }
    MainScreen #middle { height: 5fr; }
    MainScreen #middle LineList { height: 1fr; }
    MainScreen #below { height: 4fr; }
    MainScreen #detail, MainScreen #plots { width: 1fr; }
    MainScreen #bytes { width: 42; border-left: vkey $border-blurred; }
    MainScreen.-wide #bytes { width: 76; }
    """

    def on_resize(self) -> None:
        """Sixteen bytes a line where there is room for them beside the tree."""
        self.set_class(self.size.width >= WIDE, "-wide")
        app: DicomsniffApp = self.app  # type: ignore[assignment]
        app.arrange()

    def on_descendant_focus(self) -> None:
        """Another pane has the focus, by key or mouse: its keys are others."""
        app: DicomsniffApp = self.app  # type: ignore[assignment]
        app.show_status()
