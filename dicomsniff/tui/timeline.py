"""The timeline of one association, or of all of them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Sequence
from time import thread_time
from typing import Any

from dicomsniff.dicom.names import uid_name
from dicomsniff.model import Association, Entry
from dicomsniff.output.info import escape, info
from dicomsniff.tui.rows import Filter, Marks, entry_role, entry_symbol
from dicomsniff.tui.summary import ae_titles
from dicomsniff.tui.table import Column
from dicomsniff.tui.text import Cell, clock, safe, seconds

TIME_MODES = ("since start", "of day", "since row before")
"""What the time column may hold, in the order in which the key goes through them."""

SCAN_AT_ONCE = 20_000
"""Rows that a filter or the search for runs looks at before the screen gets its turn, at most."""

SCAN_SECONDS = 0.03
"""Processor time that it may take until then: a filter by a value decodes a data set a row, which
takes fifty times as long as one by a status, and a key should not have to wait for either."""

SCAN_LOOKS = 64
"""Rows between two looks at the clock."""

SORT_AT_ONCE = 50_000
"""Rows that are sorted between two looks, in a tenth of a second; more take a thread."""

SORT_IN = 200
"""New rows that are put in their places one by one; with more of them all are sorted anew."""

RUN_AT_LEAST = 3
"""Rows that make a run: collapsing two saves nothing worth the key press."""


def run_key(association: Association, entry: Entry) -> object:
    """What rows of one run have in common, None for a row that never is part of one.

    Runs are pending responses of one operation, and C-STOREs that succeeded: the rows of which
    the hundredth says what the first said.
    """
    message = entry.message
    if message is None or not entry.complete or entry.faults:
        return None
    if message.service == "C-STORE" and (message.is_request or message.status == 0):
        return association.id, "C-STORE"
    if message.status in (0xFF00, 0xFF01) and not message.is_request:
        return association.id, message.kind, message.context_id, message.message_id
    return None


NAMED_IN_RUN = 2
"""SOP classes that a collapsed run names; of more it tells how many."""


def run_what(entry: Entry) -> tuple[str, str | None]:
    """What a row of a run is: the message, and the object's class where it is a C-STORE's."""
    message = entry.message
    assert message is not None
    stores = message.service == "C-STORE" and message.is_request
    return message.kind, message.sop_class if stores else None


def run_text(first: Entry, whats: Collection[tuple[str, str | None]]) -> str:
    """What is true of all rows of a run, in the words of the info column."""
    message = first.message
    assert message is not None
    text = "P-DATA, " + " and ".join(sorted({kind for kind, _ in whats}))
    if message.service != "C-STORE":
        return f"{text} ID={message.message_id} (Pending)"
    names = sorted({uid_name(uid) or escape(uid) for _, uid in whats if uid is not None})
    if len(names) > NAMED_IN_RUN:
        return f"{text}, {len(names)} SOP classes"
    return ", ".join([text, *names])


Ordered = tuple["array[int]", "array[int]"]
"""Places as they were, and in the order of a column."""


class TimelineRows:
    """The timeline of one association, or of all; filtered, with runs collapsed.

    In the order of the capture, with neither filter nor runs, the rows are the entries and nothing
    is kept for a row. Otherwise an array of entry places is, which grows by as many entries as a
    look has time for. In the order of a column runs are not collapsed: their rows lie apart.
    """

    sortable = True
    reserves = False

    def __init__(self, everything: Sequence[tuple[Association, Entry]], marks: Marks) -> None:
        self.columns = [
            Column("number", "No.", 3, 9, right=True),
            Column("time", "Time", 8, 15, right=True),
            Column("source", "Source", 9, 39),
            Column("destination", "Destination", 9, 39),
            Column("protocol", "Protocol", 8, 8, hidden_below=90),
            Column("length", "Length", 6, 10, right=True, hidden_below=70),
            Column("ae", "Calling→Called", 8, 33, shown=False),
            Column("info", "Info", 10, 10),
        ]
        self.association: Association | None = None
        """The one shown, None for all."""
        self.begins: int | None = None
        """Time of the capture's first frame, from which times are counted."""
        self.sort_key = "number"
        self.sort_reverse = False
        self.time_mode = 0
        self.filter: Filter | None = None
        self.collapse = False
        self._everything = everything
        self._marks = marks
        self._places: array[int] | None = None
        self._scanned = 0
        self._most = 0
        """Rows there were at the last look; fewer: an association gave up its older half."""
        self._runs: dict[int, int] = {}
        """First place of a collapsed run: how many rows it holds."""
        self._whats: dict[int, set[tuple[str, str | None]]] = {}
        """First place of a run, collapsed or not: what its rows are."""
        self._open: set[int] = set()
        """First places of runs that were expanded."""
        self._last_key: object = None
        self._streak: list[int] = []
        self._in_order = 0
        """Rows at the beginning that are in the order of the column."""

    # ------------------------------------------------------------- what is shown

    def show(self, association: Association | None) -> None:
        """Show one association, or all."""
        self.association = association
        self.rescan()

    def rescan(self) -> None:
        """Filter and collapse from the beginning."""
        keeps = self.filter is not None or self.collapse or self.sorted
        self._places = array("q") if keeps else None
        self._in_order = 0
        self._scanned = 0
        self._most = self.total
        self._runs = {}
        self._whats = {}
        self._open = set()
        self._last_key = None
        self._streak = []
        self.grow()

    @property
    def sorted(self) -> bool:
        """Whether the rows are to be in another order than that of the capture."""
        return self.sort_key != "number" or self.sort_reverse

    @property
    def unsorted(self) -> bool:
        """True where all rows are there and not all are in the order of the column."""
        places = self._places
        return (
            places is not None and self.sorted and not self.behind and self._in_order < len(places)
        )

    @property
    def total(self) -> int:
        """Entries there are, shown or not."""
        a = self.association
        return len(self._everything) if a is None else len(a.timeline)

    @property
    def behind(self) -> bool:
        """True where entries have not been looked at yet."""
        return self._places is not None and self._scanned < self.total

    def grow(self) -> bool:
        """Look at some of the entries that came since; True where a row changed in place."""
        total = self.total
        if total < self._most:
            self.rescan()
            return True
        self._most = total
        places = self._places
        if places is None:
            return False
        start = self._scanned
        end = min(total, start + SCAN_AT_ONCE)
        late = thread_time() + SCAN_SECONDS
        changed = False
        keep = self.filter.matches if self.filter is not None else None
        collapse = self.collapse and not self.sorted
        at = self.at
        for place in range(start, end):
            if not place % SCAN_LOOKS and thread_time() > late:
                end = place
                break
            a, entry = at(place)
            if keep is not None and not keep(a, entry):
                continue
            places.append(place)
            if collapse:
                changed |= self._collapse(run_key(a, entry), entry, place, places)
        self._scanned = end
        return changed

    def _collapse(self, key: object, entry: Entry, place: int, places: array[int]) -> bool:
        """See whether the row just added belongs to a run, and fold it in where it does."""
        if key is None or key != self._last_key:
            streak = self._streak
            if streak and len(streak) < RUN_AT_LEAST:
                del self._whats[streak[0]]
            self._last_key = key
            self._streak = [place] if key is not None else []
            if key is not None:
                self._whats[place] = {run_what(entry)}
            return False
        streak = self._streak
        streak.append(place)
        self._whats[streak[0]].add(run_what(entry))
        if len(streak) < RUN_AT_LEAST or streak[0] in self._open:
            return False
        head = streak[0]
        fold = len(streak) - 1 if head not in self._runs else 1
        del places[len(places) - fold :]
        self._runs[head] = len(streak)
        return True

    def at(self, place: int) -> tuple[Association, Entry]:
        """The entry at a place, with its association."""
        a = self.association
        if a is None:
            return self._everything[place]
        try:
            return a, a.timeline[place]
        except IndexError:
            # One that does not end has just given up its older half; the next look sees it.
            return a, a.timeline[-1]

    def __len__(self) -> int:
        return self.total if self._places is None else len(self._places)

    def __getitem__(self, index: int) -> tuple[Association, Entry]:
        return self.at(self.place(index))

    def place(self, index: int) -> int:
        """Where the entry of a row stands among all entries."""
        return index if self._places is None else self._places[index]

    def row_of_place(self, place: int) -> int:
        """The row that shows an entry, or the next one after it."""
        if self._places is None:
            return place
        if self.sorted:
            return self._places.index(place) if place in self._places else 0
        row = bisect_left(self._places, place)
        if row and (row == len(self._places) or self._places[row] != place):
            head = self._places[row - 1]
            if place < head + self._runs.get(head, 0):
                return row - 1
        return row

    def run_at(self, index: int) -> int:
        """Rows in the run that a row stands for, 0 where it stands for itself."""
        return self._runs.get(self.place(index), 0)

    def run_members(self, index: int) -> Sequence[int]:
        """The places of all rows in the collapsed run that a row stands for."""
        head = self.place(index)
        size = self._runs.get(head)
        return self._members(head, size) if size else ()

    def toggle_run(self, index: int) -> bool:
        """Expand the run at a row, or collapse the one it belongs to; False where there is none."""
        places = self._places
        if places is None or not len(places) or self.sorted:
            return False
        head = places[index]
        if head in self._runs:
            members = self._members(head, self._runs.pop(head))
            self._open.add(head)
            places[index : index + 1] = array("q", members)
            return True
        for head in self._open:
            start = bisect_left(places, head)
            members = [p for p in self._members(head, None) if p <= places[-1]]
            if start <= index < start + len(members):
                del places[start + 1 : start + len(members)]
                self._runs[head] = len(members)
                self._open.discard(head)
                return True
        return False

    def _members(self, head: int, size: int | None) -> list[int]:
        """The places of a run, by its first one."""
        key = run_key(*self.at(head))
        keep = self.filter.matches if self.filter is not None else None
        members = []
        for place in range(head, self._scanned):
            a, entry = self.at(place)
            if keep is not None and not keep(a, entry):
                continue
            if run_key(a, entry) != key:
                break
            members.append(place)
            if size is not None and len(members) == size:
                break
        return members

    # ------------------------------------------------------------- cells

    def time_text(self, index: int, a: Association, entry: Entry) -> str:
        """The time column of a row, in the mode chosen."""
        if self.time_mode == 1:
            return clock(entry.time)
        if self.time_mode == 2:
            before = self[index - 1][1].time if index else entry.time
            return seconds(entry.time - before)
        first = self.begins if self.begins is not None else a.started
        return seconds(entry.time - min(first, a.started))

    def cells(self, index: int) -> dict[str, Cell]:
        """One row as Wireshark has it."""
        a, entry = self[index]
        sender, receiver = a.peer(entry.sender), a.other(entry.sender)
        role = entry_role(entry)
        mark = self._marks.gutter(a.id, entry.number)
        symbol = entry_symbol(entry)
        gutter = mark if mark != "  " else symbol + " "
        text = safe(info(a, entry))
        run = self.run_at(index)
        if run:
            text = f"▸ {run} × {safe(run_text(entry, self._whats[self.place(index)]))}"
        elif self.place(index) in self._open:
            text = f"▾ {text}"
        return {
            "": (gutter, "mark" if mark != "  " else role),
            "number": (str(entry.last_frame), "dim"),
            "time": (self.time_text(index, a, entry), ""),
            "source": (sender.address, ""),
            "destination": (receiver.address, ""),
            "protocol": ("TLS" if entry.kind == "TLS" else "DICOM", "dim"),
            "length": (str(entry.length), ""),
            "ae": (ae_titles(a), ""),
            "info": (text, role),
        }

    # ------------------------------------------------------------- order

    def sort(self, key: str, reverse: bool) -> None:
        """Put the rows in the order of a column; what that takes is done by the looks."""
        self.sort_key, self.sort_reverse = key, reverse
        self.rescan()

    def order(self) -> bool:
        """Sort what has come since; True where rows moved. Takes long where there are many."""
        places = self._places
        if places is None:
            return False
        count, new = len(places), len(places) - self._in_order
        value = self._sort_value()
        if 0 < new <= SORT_IN and self._in_order and not self.sort_reverse:
            fresh = places[self._in_order :]
            del places[self._in_order :]
            for place in fresh:
                insort(places, place, key=value)
            self._in_order = count
        elif new:
            self.put(self.ordered())
        return bool(new)

    def ordered(self) -> Ordered:
        """The places in the order of the column. May be called in another thread."""
        given = self._places
        assert given is not None
        count = len(given)
        ordered = sorted(given[:count], key=self._sort_value(), reverse=self.sort_reverse)
        return given, array("q", ordered)

    def put(self, ordered: Ordered) -> None:
        """Show rows in an order that :meth:`ordered` gave, unless they are others by now."""
        given, places = ordered
        if given is self._places:
            self._in_order = len(places)
            self._places = places + given[len(places) :]

    def _sort_value(self) -> Callable[[int], Any]:
        """What rows are compared by, place by place."""
        at = self.at
        values: dict[str, Callable[[Association, Entry], Any]] = {
            "time": lambda _, entry: entry.time,
            "source": lambda a, entry: a.peer(entry.sender).address,
            "destination": lambda a, entry: a.other(entry.sender).address,
            "protocol": lambda _, entry: entry.kind == "TLS",
            "length": lambda _, entry: entry.length,
            "ae": lambda a, _: ae_titles(a).casefold(),
            "info": lambda a, entry: info(a, entry),
        }

        def by_frame(_: Association, entry: Entry) -> int:
            return entry.last_frame

        value = values.get(self.sort_key, by_frame)
        return lambda place: value(*at(place))
