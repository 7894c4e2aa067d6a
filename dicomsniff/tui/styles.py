"""Styles of pieces of text, with the colours that depend on what is behind them.

Textual's ``$text-muted`` is "the colour that contrasts, at 60 %". A style of a component that is
laid over another one knows no background, and would make it plain white, in a light theme too.
"""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget


def component_style(widget: Widget, *names: str) -> Style:
    """The style of a component of ``widget``, to be added to the widget's own."""
    style = widget.get_component_rich_style(*names, partial=True)
    styles = widget.get_component_styles(*names)
    colour = styles.color
    if not styles.has_rule("color") or colour.ansi is not None:
        return style
    if not styles.auto_color and colour.a == 1:
        return style
    background = widget.background_colors[1]
    if styles.has_rule("background") and styles.background.ansi is None:
        background += styles.background
    if styles.auto_color:
        colour = background.get_contrast_text(colour.a)
    return style + Style.from_color((background + colour).rich_color)
