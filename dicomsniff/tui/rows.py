"""Models of the two main tables: associations, and the timeline of one or of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from dicomsniff.model import Association, Endpoint, Entry
from dicomsniff.tui.summary import WORST, Summaries, ae_titles
from dicomsniff.tui.table import Column
from dicomsniff.tui.text import (
    OUTCOME_ROLES,
    SYMBOLS,
    Cell,
    Role,
    clock,
    duration,
    endpoint,
    safe,
    size,
)


class Filter(Protocol):
    """What ``where.compile`` gives."""

    def matches(self, association: Association, entry: Entry | None = None) -> bool: ...


class Marks:
    """Rows that the user marked, and rows selected for a difference; by number, not by place."""

    def __init__(self) -> None:
        self.marked: set[tuple[int, int]] = set()
        """(association id, entry number); entry 0 stands for the association."""
        self.selected: list[tuple[int, int]] = []

    def gutter(self, association: int, entry: int = 0) -> str:
        """Two columns that show them without colour."""
        key = (association, entry)
        return ("•" if key in self.selected else " ") + ("◆" if key in self.marked else " ")


class AssociationRows:
    """The list of associations, filtered and in the order of a column."""

    sortable = True
    reserves = True

    def __init__(
        self,
        source: list[Association],
        summaries: Summaries,
        marks: Marks,
    ) -> None:
        self.columns = [
            Column("id", "#", 2, 7, right=True),
            Column("start", "Start", 12),
            Column("requestor", "Requestor", 9, 24, hidden_below=130),
            Column("acceptor", "Acceptor", 9, 24, hidden_below=130),
            Column("ae", "Calling→Called", 14, 33),
            Column("operations", "Operations", 10, 36),
            Column("messages", "Msgs", 4, 9, right=True),
            Column("bytes", "Bytes", 7, 10, right=True, hidden_below=110),
            Column("outcome", "Outcome", 10, 10),
            Column("duration", "Duration", 8, 10, right=True, hidden_below=76),
            Column("finding", "Finding", 4, 60, hidden_below=120),
        ]
        self.sort_key = "id"
        self.sort_reverse = False
        self.filter: Filter | None = None
        self._source = source
        self._summaries = summaries
        self._marks = marks
        self._rows: list[Association] = []
        self._scanned = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Association:
        return self._rows[index]

    def index(self, association: Association) -> int | None:
        """The row of an association, None where the filter hides it."""
        try:
            return self._rows.index(association)
        except ValueError:
            return None

    def grow(self) -> bool:
        """Take over new associations; True where rows moved (then the table has to reload)."""
        size_now = len(self._source)
        if size_now == self._scanned:
            return False
        new = self._source[self._scanned : size_now]
        self._scanned = size_now
        if self.filter is not None:
            new = [a for a in new if self.filter.matches(a)]
        self._rows += new
        if new and (self.sort_key != "id" or self.sort_reverse):
            self._order()
            return True
        return False

    def rescan(self) -> None:
        """Filter all of them again."""
        self._rows = []
        self._scanned = 0
        self.grow()
        self._order()

    def sort(self, key: str, reverse: bool) -> None:
        """Put the rows in the order of a column."""
        self.sort_key, self.sort_reverse = key, reverse
        self._order()

    def _order(self) -> None:
        self._rows.sort(key=self._sort_value(self.sort_key), reverse=self.sort_reverse)

    def _sort_value(self, key: str) -> Callable[[Association], Any]:
        summaries = self._summaries
        match key:
            case "start":
                return lambda a: a.started
            case "requestor":
                return lambda a: (a.requestor.address, a.requestor.port)
            case "acceptor":
                return lambda a: (a.acceptor.address, a.acceptor.port)
            case "ae":
                return lambda a: ae_titles(a).casefold()
            case "operations":
                return lambda a: summaries(a).operations
            case "messages":
                return lambda a: summaries(a).messages
            case "bytes":
                return lambda a: a.requestor.bytes + a.acceptor.bytes
            case "outcome":
                return lambda a: a.outcome
            case "duration":
                return lambda a: a.duration
            case "finding":
                return lambda a: WORST.get(summaries(a).worst or "note", 3)
            case _:
                return lambda a: a.id

    def cells(self, index: int) -> dict[str, Cell]:
        """One line about one association."""
        a = self._rows[index]
        summary = self._summaries(a)
        role = OUTCOME_ROLES[a.outcome]
        worst = summary.worst
        gutter = self._marks.gutter(a.id)
        if worst is not None and gutter[1] == " ":
            gutter = gutter[0] + SYMBOLS[worst]
        requestor, acceptor = a.requestor, a.acceptor
        return {
            "": (gutter, OUTCOME_ROLES[worst] if worst else "mark"),
            "id": (str(a.id), "dim"),
            "start": (clock(a.started, digits=3), ""),
            "requestor": (endpoint(Endpoint(requestor.address, requestor.port)), "dim"),
            "acceptor": (endpoint(Endpoint(acceptor.address, acceptor.port)), "dim"),
            "ae": (ae_titles(a), "strong"),
            "operations": (summary.operations_text, ""),
            "messages": (str(summary.messages), ""),
            "bytes": (size(requestor.bytes + acceptor.bytes), ""),
            "outcome": (f"{SYMBOLS[a.outcome]} {a.outcome}", role),
            "duration": (duration(a.duration), ""),
            "finding": self._finding(a),
        }

    def _finding(self, a: Association) -> Cell:
        if a.findings:
            worst = min(a.findings, key=lambda finding: WORST[finding.severity])
            more = f" (+{len(a.findings) - 1})" if len(a.findings) > 1 else ""
            title = safe(worst.title)
            return f"{SYMBOLS[worst.severity]} {title}{more}", OUTCOME_ROLES[worst.severity]
        return (safe(a.outcome_detail), "dim") if a.outcome_detail else ("", "")


def entry_role(entry: Entry) -> Role:
    """The role of a row, by its kind and outcome."""
    kind = entry.kind
    message = entry.message
    if message is not None:
        status = message.status
        if message.is_request or status is None:
            return "request"
        high = status >> 12
        if status == 0 or status in (0xFF00, 0xFF01):
            return "response"
        if status == 0xFE00 or status in (0x0001, 0x0107, 0x0116) or high == 0xB:
            return "warn"
        return "bad"
    if kind in ("A-ASSOCIATE-RQ", "A-ASSOCIATE-AC"):
        return "good"
    if kind in ("A-RELEASE-RQ", "A-RELEASE-RP"):
        return "dim"
    if kind == "GAP":
        return "warn"
    if kind == "TLS":
        return _tls_role(entry.detail)
    return "bad"


def _tls_role(told: str) -> Role:
    """The role of a handshake's row: nothing is wrong with one unless it is an alert that is."""
    if told.startswith("Alert: fatal"):
        return "bad"
    return "warn" if told.startswith("Alert:") and "close_notify" not in told else ""


def entry_symbol(entry: Entry) -> str:
    """One character that says without colour what the colour says."""
    if not entry.complete:
        return "▲"
    if entry.faults:
        return "!"
    return {"bad": "✗", "warn": "!"}.get(entry_role(entry), " ")


class TableRows:
    """Rows made at once: contexts, findings, statistics, a difference."""

    sortable = True
    reserves = True

    def __init__(self, columns: list[Column]) -> None:
        self.columns = columns
        self.sort_key = ""
        self.sort_reverse = False
        self._rows: Sequence[dict[str, Cell]] = ()
        self._given: Sequence[dict[str, Cell]] = ()
        self.targets: Sequence[object] = ()
        """What each row is about, for a command that opens it."""
        self._order: list[int] = []

    def set(self, rows: Sequence[dict[str, Cell]], targets: Sequence[object] = ()) -> None:
        """Show other rows, in the order of the column chosen."""
        self._given = rows
        self.targets = targets
        self._order = list(range(len(rows)))
        if self.sort_key:
            self.sort(self.sort_key, self.sort_reverse)

    def __len__(self) -> int:
        return len(self._order)

    def cells(self, index: int) -> dict[str, Cell]:
        """The cells of a row."""
        return self._given[self._order[index]]

    def target(self, index: int) -> object:
        """What a row is about."""
        place = self._order[index]
        return self.targets[place] if place < len(self.targets) else None

    def sort(self, key: str, reverse: bool) -> None:
        """Order by the text of a column, numbers as numbers."""
        self.sort_key, self.sort_reverse = key, reverse
        given = self._given

        def value(place: int) -> tuple[int, float, str]:
            text = given[place].get("=" + key, given[place].get(key, ("", "")))[0]
            try:
                return 0, float(text), ""
            except ValueError:
                return 1, 0.0, text.casefold()

        self._order.sort(key=value, reverse=reverse)
