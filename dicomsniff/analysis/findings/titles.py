"""AE titles that read much the same. No rules here."""

from __future__ import annotations

NEAR = 2
"""Letters that may differ in a title that was misspelt; of short ones (up to four) one."""


def nearest(title: str, known: object) -> str | None:
    """The known title that a misspelt one was most likely meant to be, None where none is near."""
    best: tuple[int, str] | None = None
    for each in known if isinstance(known, (dict, set)) else ():
        if each == title:
            continue
        far = 0 if _plain(each) == _plain(title) else distance(each.upper(), title.upper())
        if far <= (NEAR if min(len(each), len(title)) > 4 else 1) and (
            best is None or (far, each) < best
        ):
            best = (far, each)
    return best[1] if best is not None else None


def _plain(title: str) -> str:
    return "".join(title.split()).replace("_", "").replace("-", "").upper()


def differs(title: str, other: str) -> str:
    """In what two titles differ."""
    if title.upper() == other.upper():
        return "only upper and lower case differ"
    if "".join(title.split()) == "".join(other.split()):
        return "only spaces differ"
    if _plain(title) == _plain(other):
        return "only case, spaces, hyphens or underscores differ"
    letters = distance(title.upper(), other.upper())
    return "one letter differs" if letters == 1 else f"{letters} letters differ"


def distance(one: str, other: str) -> int:
    """Letters to insert, delete or replace (Levenshtein)."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        before, row[0] = row[0], at
        for column, target in enumerate(other, 1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (letter != target)),
            )
    return row[-1]
