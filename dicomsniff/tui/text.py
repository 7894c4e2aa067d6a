"""Cells: text that is safe on a terminal, with the role that gives it its style."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from rich.cells import cell_len, set_cell_size

from dicomsniff.model import Endpoint
from dicomsniff.output.info import escape

Role = Literal[
    "",
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
]
"""What a piece of text is, never how it looks: the style sheet of the widget decides that.

``optional`` is ``dim`` that a narrow pane leaves out."""

Cell = tuple[str, Role]
"""Text without control characters, and its role."""

LONG_TEXT = 4096
"""Characters of one value that are looked at for a line on the screen: no screen is wider, and
escaping a megabyte for each repaint would be felt."""

SYMBOLS: dict[str, str] = {
    "released": "✓",
    "aborted": "✗",
    "rejected": "✗",
    "lost": "!",
    "open": "…",
    "error": "✗",
    "warning": "!",
    "note": "·",
}
"""Outcomes and severities without colour."""

OUTCOME_ROLES: dict[str, Role] = {
    "released": "good",
    "aborted": "bad",
    "rejected": "bad",
    "lost": "warn",
    "open": "dim",
    "error": "bad",
    "warning": "warn",
    "note": "dim",
}


def safe(text: object) -> str:
    """Wire text as one line that cannot steer a terminal.

    The only way from a decoded value into a cell.
    """
    string = text if isinstance(text, str) else str(text)
    if len(string) > LONG_TEXT:
        string = string[:LONG_TEXT] + "…"
    return escape(string)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Exactly ``width`` columns of ``text``, an ellipsis where it was cut.

    Counts columns, not characters: a CJK character takes two.
    """
    if width <= 0:
        return ""
    size = cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width)
    return " " * (width - size) + text if right else text + " " * (width - size)


def duration(nanoseconds: int | None) -> str:
    """A duration as short as it is precise: ``4 ms``, ``2.10 s``, ``3 m 20 s``."""
    if nanoseconds is None:
        return "–"
    if nanoseconds < 0:
        return "-" + duration(-nanoseconds)
    if nanoseconds < 1_000_000:
        return f"{nanoseconds // 1000} µs"
    if nanoseconds < 10_000_000:
        return f"{nanoseconds / 1e6:.1f} ms"
    if nanoseconds < 1_000_000_000:
        return f"{nanoseconds // 1_000_000} ms"
    if nanoseconds < 10_000_000_000:
        return f"{nanoseconds / 1e9:.2f} s"
    if nanoseconds < 60_000_000_000:
        return f"{nanoseconds / 1e9:.1f} s"
    minutes, seconds = divmod(nanoseconds // 1_000_000_000, 60)
    if minutes < 60:
        return f"{minutes} m {seconds:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} m"


def size(octets: int | None) -> str:
    """A number of bytes, in binary units: ``512 B``, ``1.5 KiB``."""
    if octets is None:
        return "–"
    if octets < 1024:
        return f"{octets} B"
    value = float(octets)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"
    return f"{value / 1024:.1f} TiB"


def clock(nanoseconds: int, *, digits: int = 6) -> str:
    """Time of day where this computer is, as Wireshark's "Time of Day" has it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds)
    except (OverflowError, OSError, ValueError):
        return f"{nanoseconds / 1e9:.{digits}f}"
    return f"{moment:%H:%M:%S}.{rest // 10 ** (9 - digits):0{digits}}"


def date(nanoseconds: int) -> str:
    """Date and time in UTC, to the nanosecond, for copying and for the detail pane."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, tz=UTC)
    except (OverflowError, OSError, ValueError):
        return f"{nanoseconds} ns"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def seconds(nanoseconds: int) -> str:
    """Seconds as Wireshark's time column has them: microseconds, cut and not rounded."""
    sign = "-" if nanoseconds < 0 else ""
    whole, rest = divmod(abs(nanoseconds), 1_000_000_000)
    return f"{sign}{whole}.{rest // 1000:06d}"


def endpoint(end: Endpoint) -> str:
    """``address:port``, with brackets around an IPv6 address."""
    address = f"[{end.address}]" if ":" in end.address else end.address
    return f"{address}:{end.port}"


def join(cells: list[Cell] | tuple[Cell, ...], separator: str = "") -> str:
    """The text of cells, for copying and searching."""
    return separator.join(text for text, _ in cells)
