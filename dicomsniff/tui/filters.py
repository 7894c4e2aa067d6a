"""The seam to the filter language of ``--where``."""

from __future__ import annotations

from collections.abc import Iterable

from dicomsniff.model import Association
from dicomsniff.tui.rows import Filter
from dicomsniff.tui.text import safe


def judge(text: str) -> tuple[Filter | None, str, bool | None]:
    """A filter, what to say of it, and whether it is valid (None: there is no text)."""
    if not text.strip():
        return None, "", None
    from dicomsniff.analysis import where

    try:
        compiled: Filter = where.compile(text)
    except where.FilterError as error:
        return None, f"✗ {safe(str(error))}", False
    return compiled, "✓ valid", True


def completions(text: str, seen: Iterable[Association]) -> list[str]:
    """The text with its last word completed, in every way that fits, the likeliest first.

    ``seen`` are associations whose AE titles and addresses are proposed.
    """
    from dicomsniff.analysis import where

    whole = [text[: c.start] + c.text for c in where.complete(text, len(text), seen)]
    return [line for line in dict.fromkeys(map(safe, whole)) if line != text]


def completion(text: str, seen: Iterable[Association]) -> str | None:
    """The likeliest that only adds to the text, None where nothing does."""
    return next((line for line in completions(text, seen) if line.startswith(text)), None)
