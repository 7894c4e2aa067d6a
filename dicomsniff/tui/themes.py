"""Themes: two for terminals with all colours, one for 16 colours, one without any."""

from __future__ import annotations

from rich.console import Console
from textual.theme import BUILTIN_THEMES, Theme

NAMES = ("textual-dark", "textual-light", "colours-16", "no-colour")
"""The themes that the key goes through; the palette knows more."""

PLAIN = "ansi_default"

COLOURS_16 = Theme(
    name="colours-16",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    accent="ansi_cyan",
    foreground=PLAIN,
    background=PLAIN,
    surface=PLAIN,
    panel=PLAIN,
    boost=PLAIN,
    variables=BUILTIN_THEMES["ansi-dark"].variables
    | {
        "text-muted": PLAIN,
        "text-primary": "ansi_bright_blue",
        "text-accent": "ansi_cyan",
        "text-success": "ansi_green",
        "text-warning": "ansi_yellow",
        "text-error": "ansi_bright_red",
        "border": "ansi_blue",
        "border-blurred": PLAIN,
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_white",
    },
)
"""Only the colours the terminal itself has, on its own background."""

NO_COLOUR = Theme(
    name="no-colour",
    ansi=True,
    primary=PLAIN,
    secondary=PLAIN,
    warning=PLAIN,
    error=PLAIN,
    success=PLAIN,
    accent=PLAIN,
    foreground=PLAIN,
    background=PLAIN,
    surface=PLAIN,
    panel=PLAIN,
    boost=PLAIN,
    variables=dict.fromkeys(
        [
            *BUILTIN_THEMES["ansi-dark"].variables,
            "text-muted",
            "text-primary",
            "text-accent",
            "text-success",
            "text-warning",
            "text-error",
            "border",
            "scrollbar",
            "scrollbar-background",
        ],
        PLAIN,
    )
    | {"input-cursor-text-style": "reverse"},
)
"""Bold, underlined and reversed text only; symbols say the rest."""

OWN = (COLOURS_16, NO_COLOUR)


def fitting(console: Console) -> str | None:
    """The theme for a terminal that has few colours or none, or whose user wants none
    (no-color.org); None where every theme will do."""
    if console.no_color or console.color_system is None:
        return NO_COLOUR.name
    return COLOURS_16.name if console.color_system == "standard" else None
