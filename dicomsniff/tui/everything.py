"""Every entry of a capture with its association, in the order of completion.

A list of pairs would take 72 bytes a row for the pairs alone. Here a row is an entry and the
number of its association, and pairs are made for the rows that are looked at.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import overload

from dicomsniff.analysis.pipeline import NEGOTIATION
from dicomsniff.model import Association, Entry

Row = tuple[Association, Entry]


class Everything(Sequence[Row]):
    """Rows that only ever come at the end.

    One thread may append while others read: a row is there when all of it is.
    """

    def __init__(self) -> None:
        self._owners: array[int] = array("I")
        self._entries: list[Entry] = []
        self._associations: list[Association] = []
        self._number: dict[Association, int] = {}

    def append(self, row: Row) -> None:
        """Add a row."""
        association, entry = row
        number = self._number.get(association)
        if number is None:
            number = self._number[association] = len(self._associations)
            self._associations.append(association)
        self._owners.append(number)
        self._entries.append(entry)

    def extend(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        for row in rows:
            self.append(row)

    def forget(self, gone: Collection[Association]) -> None:
        """Leave out the rows of these associations, and those that others have forgotten. Nobody
        may append meanwhile."""
        owners, entries, associations = self._owners, self._entries, self._associations
        first = [0 if a in gone else _first_kept(a) for a in associations]
        kept = [
            (associations[owner], entry)
            for owner, entry in zip(owners, entries, strict=True)
            if first[owner] and not NEGOTIATION < entry.number < first[owner]
        ]
        self._owners, self._entries = array("I"), []
        self._associations, self._number = [], {}
        self.extend(kept)

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self._entries)
        entry = self._entries[index]
        return self._associations[self._owners[index]], entry

    def __iter__(self) -> Iterator[Row]:
        """The rows there are now; those that come meanwhile are left out."""
        for index in range(len(self._entries)):
            yield self[index]

    def of_frame(self, frame: int) -> Row | None:
        """The row that a frame completed, or carried a part of; else the first one that was under
        way when it came. None where there is none.
        """
        spanning: Row | None = None
        for index, entry in enumerate(self._entries):
            if entry.last_frame == frame or frame in entry.frames:
                return self[index]
            if entry.frames and entry.frames[0] <= frame <= entry.last_frame and spanning is None:
                spanning = self[index]
        return spanning


def _first_kept(association: Association) -> int:
    """Number of the first entry behind the negotiation that an association still has: one that
    does not end gives up the older half from time to time."""
    timeline = association.timeline
    return timeline[NEGOTIATION].number if len(timeline) > NEGOTIATION else NEGOTIATION + 1
