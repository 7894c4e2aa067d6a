"""Operations, failures, response times and throughput by AE pair and service.

While a capture is read the table is made anew twice a second. So an association is counted once,
when it has ended; only those that are still open are counted each time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from math import log10

from dicomsniff.dicom import names
from dicomsniff.model import Association, Operation
from dicomsniff.tui.summary import ae_titles
from dicomsniff.tui.table import Column
from dicomsniff.tui.text import Cell, duration, safe, size

Row = dict[str, Cell]
Key = tuple[str, str]
"""``FLC1270→MOZI``, and the service."""

SPARKS = "▁▂▃▄▅▆▇█"


def statistics_columns() -> list[Column]:
    """Columns of the statistics view."""
    return [
        Column("ae", "Calling→Called", 12, 33),
        Column("service", "Service", 9, 14),
        Column("count", "Ops", 4, 9, right=True),
        Column("failed", "Failed", 6, 9, right=True),
        Column("p50", "p50", 8, 10, right=True),
        Column("p95", "p95", 8, 10, right=True),
        Column("max", "max", 8, 10, right=True),
        Column("bytes", "Bytes", 9, 11, right=True, hidden_below=90),
        Column("rate", "Bytes/s", 9, 13, right=True, hidden_below=100),
        Column("spread", "1 ms … response time … 100 s", 28, 28, hidden_below=100),
    ]


class Group:
    """The operations of one pair of AE titles and one service: five numbers for each."""

    __slots__ = ("began", "busy", "failed", "failures", "first", "octets", "times", "took")

    def __init__(self, first: tuple[Association, int | None]) -> None:
        self.first = first
        """Where the first of them is: association, and number of the request."""
        self.began = array("q")
        """When each was asked for."""
        self.times = array("q")
        """Nanoseconds until its first response, -1 where none came."""
        self.took = array("q")
        """Nanoseconds until its last response, 0 where none came."""
        self.octets = array("q")
        """Bytes of its messages."""
        self.failed = bytearray()
        """1 where it failed, or was not answered."""
        self.failures = 0
        self.busy = 0
        """Nanoseconds that they took, all together."""

    def add(self, operation: Operation) -> None:
        """Count an operation."""
        request, responses = operation.request, operation.responses
        asked = request or responses[0]
        octets = sum(response.length for response in responses)
        if request is not None:
            octets += request.length
        first = operation.first_response
        self.began.append(asked.began)
        self.times.append(-1 if first is None else first)
        took = operation.duration or 0
        self.took.append(took)
        self.octets.append(octets)
        wrong = failed(operation)
        self.failed.append(wrong)
        self.failures += wrong
        self.busy += took

    def merged(self, other: Group) -> Group:
        """This one and another."""
        both = Group(self.first)
        both.began = self.began + other.began
        both.times = self.times + other.times
        both.took = self.took + other.took
        both.octets = self.octets + other.octets
        both.failed = self.failed + other.failed
        both.failures = self.failures + other.failures
        both.busy = self.busy + other.busy
        return both

    def row(self, key: Key) -> Row:
        """What the table says."""
        times = sorted(time for time in self.times if time >= 0)
        total = sum(self.octets)
        values = {"p50": quantile(times, 0.5), "p95": quantile(times, 0.95)}
        values["max"] = times[-1] if times else None
        rate = total * 1_000_000_000 // self.busy if self.busy else None
        row: Row = {
            "": ("✗ " if self.failures else "  ", "bad"),
            "ae": (key[0], "strong"),
            "service": (key[1], "key"),
            "count": (str(len(self.began)), ""),
            "failed": (
                str(self.failures) if self.failures else "–",
                "bad" if self.failures else "dim",
            ),
            "bytes": (size(total), ""),
            "=bytes": (str(total), ""),
            "rate": (f"{size(rate)}/s" if rate is not None else "–", ""),
            "=rate": (str(rate or 0), ""),
            "spread": (sparkline(times), "good"),
        }
        for name, value in values.items():
            row[name] = (duration(value), "")
            row["=" + name] = (str(value or 0), "")
        return row


class Statistics:
    """Groups of operations, kept up to date."""

    def __init__(self) -> None:
        self._ended: dict[Key, Group] = {}
        self._rows: dict[Key, tuple[int, Row]] = {}
        """Rows made of ended associations alone, with the number of operations in them."""
        self._counted: set[Association] = set()

    def rows(self, associations: Sequence[Association]) -> tuple[list[Row], list[Group]]:
        """A row for each group of the associations that are shown, and the group itself."""
        shown = set(associations)
        if not self._counted <= shown:  # another filter
            self._ended, self._rows, self._counted = {}, {}, set()
        opened: dict[Key, Group] = {}
        for association in associations:
            if association in self._counted:
                continue
            if association.outcome == "open":
                _count(association, opened)
            else:
                _count(association, self._ended)
                self._counted.add(association)
        rows: list[Row] = []
        groups: list[Group] = []
        for key in dict.fromkeys((*self._ended, *opened)):
            ended, open_ = self._ended.get(key), opened.get(key)
            if ended is None or open_ is not None:
                group = ended.merged(open_) if ended is not None and open_ is not None else open_
                assert group is not None
                row = group.row(key)
            else:
                group = ended
                count, row = self._rows.get(key, (0, {}))
                if count != len(group.began):
                    row = group.row(key)
                    self._rows[key] = len(group.began), row
            rows.append(row)
            groups.append(group)
        return rows, groups


def _count(association: Association, groups: dict[Key, Group]) -> None:
    """Count the operations of an association."""
    titles = ae_titles(association)
    for operation in list(association.operations):
        key = (titles, safe(operation.service or "?"))
        group = groups.get(key)
        if group is None:
            request = operation.request
            group = groups[key] = Group((association, request.number if request else None))
        if operation.request is not None or operation.responses:
            group.add(operation)


def failed(operation: Operation) -> bool:
    """Whether an operation ended with a failure, or without an answer."""
    if operation.status is None:
        return not operation.responses
    category = names.status(operation.service, operation.sop_class, operation.status).category
    return str(category) == "Failure"


def quantile(ordered: Sequence[int], share: float) -> int | None:
    """The value below which a share of the values is: nearest rank, no value that never was."""
    if not ordered:
        return None
    rank = -(-len(ordered) * share // 1)
    return ordered[max(0, min(len(ordered) - 1, int(rank) - 1))]


def sparkline(times: Iterable[int], width: int = 28) -> str:
    """How often which response time was: a column each, 1 ms to 100 s, logarithmic."""
    counts = [0] * width
    most = 0
    for time in times:
        place = int((log10(max(time, 1) / 1e9) + 3) / 5 * width)
        place = max(0, min(width - 1, place))
        counts[place] += 1
        most = max(most, counts[place])
    if not most:
        return ""
    return "".join(
        SPARKS[(count * (len(SPARKS) - 1) + most - 1) // most] if count else " " for count in counts
    )
