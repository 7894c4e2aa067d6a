"""Text that was written before, kept to be written again.

Devices say the same all day: a modality asks for its worklist every minute and gets the same
answers, every response of a query has the same command set. What is made of the same bytes, with
the redactor in the same state, is the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final

from dicomsniff.output.shapes import Shaper

KEPT: Final = 512
"""Texts kept; past that all are forgotten. A worklist has some hundred entries."""

LONGEST: Final = 8 * 1024
"""Characters of the longest text kept: 4 MB at most. Those of a worklist entry are 2,000."""

BULK: Final = '"BulkDataURI"'
"""What stands in front of the place of a long value, which has the number of its row."""


class Remembered:
    """Texts by what they were made of."""

    def __init__(self, shaper: Shaper) -> None:
        self._shaper = shaper
        self._known: dict[Hashable, tuple[tuple[int, ...], str, Mapping[str, int]]] = {}

    def text(self, key: Hashable, make: Callable[[], str]) -> str:
        """The text for ``key``: as it was before, or ``make`` makes it. What the redactor counts
        is counted each time."""
        known = self.get(key)
        if known is not None:
            return known
        shaper = self._shaper
        state = shaper.state
        before = shaper.redactor.counted()
        indistinct = shaper.redactor.indistinct
        made = make()
        # Where making it changed how things are shown, it may not be the same the next time.
        if shaper.state == state and shaper.redactor.indistinct == indistinct:
            counts = {
                kind: count - before.get(kind, 0)
                for kind, count in shaper.redactor.counted().items()
                if count != before.get(kind, 0)
            }
            self.put(key, made, counts)
        return made

    def get(self, key: Hashable) -> str | None:
        """The text for ``key``, where there is one that holds."""
        known = self._known.get(key)
        if known is None or known[0] != self._shaper.state:
            return None
        if known[2]:
            self._shaper.redactor.again(known[2])
        return known[1]

    def put(self, key: Hashable, made: str, counts: Mapping[str, int]) -> None:
        """Keep the text for ``key`` and what was counted when it was made. One that names a row
        is of no other."""
        if len(made) <= LONGEST and BULK not in made:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[key] = self._shaper.state, made, counts
