"""The ladder: a lifeline for each side, an arrow for each message, time running down.

A C-MOVE and a storage commitment go through another association. Where operations are linked,
the associations are joined in one picture, in the order of time, with a lifeline for each AE.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log10

from rich.cells import cell_len

from dicomsniff.model import Association, Entry, Operation, Peer
from dicomsniff.output.info import info
from dicomsniff.tui.rows import Marks, entry_role, entry_symbol
from dicomsniff.tui.table import LineList
from dicomsniff.tui.text import Cell, Role, duration, fit, safe, size

LIFELINES = 6
"""Lifelines in one picture: more do not fit on any screen with a legible arrow between them."""

ROWS_JOINED = 100_000
"""Entries up to which linked associations are joined and sorted by time."""

EXCHANGES = frozenset(
    (
        frozenset(("C-MOVE", "C-STORE")),
        frozenset(("C-GET", "C-STORE")),
        frozenset(("N-ACTION", "N-EVENT-REPORT")),
    )
)
"""Services that go through two associations: retrieval, and storage commitment."""

LOOKED_AT = 64
"""Operations at the beginning and at the end of each association that are looked at for what they
are linked with: one that is the other half of an exchange says so with its first ones."""

LEFT = 23
"""Column of the first lifeline: behind sign, time, gap and the bar of the side on the left."""

SLOW = 1_000_000_000
"""Nanoseconds of think time from which the bar is a warning: a person waits."""

WIDEST_GAP = 76
"""Columns between two lifelines: an eye follows no longer arrow across a wide screen."""

ROWS_BACK = 200
"""Rows looked back through for the last one of the same association, in a joined ladder."""

BARS = " ▏▎▍▌▋▊▉█"
"""A bar of one column in eighths."""

BAR_FULL = 10.0
"""Seconds of think time that fill the bar; a decade below takes a fifth of it less, so that a
millisecond can be told from a second at a glance."""


def bar(nanoseconds: int, width: int = 4) -> str:
    """A bar that grows with the logarithm of a time, from 1 ms on."""
    seconds = nanoseconds / 1e9
    if seconds < 0.001:
        return " " * width
    eighths = round(min(1.0, (log10(seconds / BAR_FULL) + 4) / 4) * width * 8)
    full, part = divmod(max(1, eighths), 8)
    return ("█" * full + (BARS[part] if part else "")).ljust(width)[:width]


class Ladder(LineList):
    """Lifelines and arrows of one association and those linked with it."""

    HEADER = 1

    def __init__(self, marks: Marks, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.association: Association | None = None
        self.empty = "No association chosen"
        self._marks = marks
        self._rows: list[tuple[Association, Entry]] | None = None
        """Joined rows; None where there is one association and its own timeline serves."""
        self._lines: list[str] = []
        """Names of the lifelines, from left to right."""
        self._line_of: dict[tuple[int, str], int] = {}
        self._everything: Sequence[Association] = ()
        self._drawn: tuple[tuple[object, ...], ...] = ()
        """What the lifelines were made from."""

    # ------------------------------------------------------------- what is shown

    def show(self, association: Association | None, everything: Sequence[Association] = ()) -> None:
        """Show an association, joined with those that its operations are linked with."""
        self.association = association
        self._everything = everything
        self._drawn = ()
        self.join()
        self.reload(0)

    def join(self) -> bool:
        """Make the lifelines, if there is more to make them from than the last time.

        Titles and links become known while the capture is read. True where something changed.
        """
        association = self.association
        if association is None:
            self._rows, self._lines, self._line_of = None, [], {}
            return False
        joined = self._joined(association, self._everything)
        drawn = tuple(
            (a.id, a.requestor.ae_title, a.acceptor.ae_title, len(a.timeline) * (len(joined) > 1))
            for a in joined
        )
        if drawn == self._drawn:
            return False
        self._drawn = drawn
        self._rows, self._lines, self._line_of = None, [], {}
        for a in joined:
            for side in ("requestor", "acceptor"):
                self._lifeline(a, side)
        if len(joined) > 1:
            rows = [(a, entry) for a in joined for entry in a.timeline]
            rows.sort(key=lambda row: (row[1].time, row[1].last_frame))
            self._rows = rows[:ROWS_JOINED]
        return True

    def look(self) -> bool:
        """See whether titles or arrows came."""
        a = self.association
        if (
            a is not None
            and self._drawn
            and (a.requestor.ae_title, a.acceptor.ae_title) != (self._drawn[0][1:3])
        ):
            self.join()
            self.refresh()
        return super().look()

    def _joined(
        self, association: Association, everything: Sequence[Association]
    ) -> list[Association]:
        """The association, and those that carry the other half of one of its exchanges.

        The earlier one may have ended before the later one began, and then only the later one
        names the other. Links of a patient's journey are no exchange: they join nothing.
        """
        by_id = {each.id: each for each in everything}
        found = {association.id}
        looked_at: set[tuple[int, int]] = set()
        for operation in association.operations:
            for link in operation.linked:
                key = link[:2]
                other = by_id.get(link.association)
                if other is None or link.association in found or key in looked_at:
                    continue
                looked_at.add(key)
                if _halves(operation, _operation(other, link.operation)):
                    found.add(other.id)
        for other in everything:
            if other.id in found:
                continue
            operations = other.operations
            for operation in (*operations[:LOOKED_AT], *operations[LOOKED_AT:][-LOOKED_AT:]):
                if any(
                    link.association == association.id
                    and _halves(operation, _operation(association, link.operation))
                    for link in operation.linked
                ):
                    found.add(other.id)
                    break
        return [association, *(a for a in everything if a.id in found and a is not association)]

    def _lifeline(self, a: Association, side: str) -> None:
        peer: Peer = a.requestor if side == "requestor" else a.acceptor
        name = safe(peer.ae_title or peer.address)
        other = self._line_of.get((id(a), "requestor"))
        if name in self._lines and self._lines.index(name) != other:
            self._line_of[id(a), side] = self._lines.index(name)
        elif len(self._lines) < LIFELINES:
            self._lines.append(name)
            self._line_of[id(a), side] = len(self._lines) - 1
        else:
            self._line_of[id(a), side] = LIFELINES - 1

    def count(self) -> int:
        """Arrows."""
        if self._rows is not None:
            return len(self._rows)
        return len(self.association.timeline) if self.association is not None else 0

    def row(self, index: int) -> tuple[Association, Entry]:
        """The entry on a line."""
        if self._rows is not None:
            return self._rows[index]
        assert self.association is not None
        return self.association, self.association.timeline[index]

    # ------------------------------------------------------------- drawing

    def _columns(self, width: int) -> list[int]:
        """Where the lifelines stand."""
        left = LEFT
        count = max(2, len(self._lines))
        right = min(max(left + 8 * (count - 1), width - 17), left + WIDEST_GAP * (count - 1))
        return [left + (right - left) * at // (count - 1) for at in range(count)]

    def header(self, width: int) -> Sequence[Cell]:
        """Names over their lifelines."""
        columns = self._columns(width)
        text = fit("     since     Δt", LEFT - 1)
        for at, name in zip(columns, self._lines, strict=False):
            room = max(1, (columns[1] - columns[0]) - 2)
            shown = fit(name, min(room, cell_len(name)))
            start = at - cell_len(shown) // 2
            start = max(cell_len(text) + 1, min(start, width - cell_len(shown)))
            text += " " * (start - cell_len(text)) + shown
        return ((text, ""),)

    def line(self, index: int, width: int) -> Sequence[Cell]:
        """Time, gap, and an arrow with what was said."""
        a, entry = self.row(index)
        first = self.row(0)[1].began
        before = self.row(index - 1)[1].time if index else entry.began
        gap = entry.time - before
        mark = self._marks.gutter(a.id, entry.number)
        symbol = entry_symbol(entry)
        role = entry_role(entry)
        thought = self._thought(index)
        turn = thought is not None
        cells: list[Cell] = [
            (mark if mark != "  " else symbol + " ", "mark" if mark != "  " else role),
            (fit(f"{(entry.time - first) / 1e9:.3f}", 8, right=True), "dim"),
            (fit(f"+{gap / 1e9:.3f}", 7, right=True), "strong" if turn else "dim"),
        ]
        columns = self._columns(width)
        think: Cell = (
            " " * 4 if thought is None else bar(thought),
            "warn" if thought is not None and thought >= SLOW else "dim",
        )
        start = self._line_of.get((id(a), entry.sender), 0)
        other = "acceptor" if entry.sender == "requestor" else "requestor"
        end = self._line_of.get((id(a), other), 1)
        blank: Cell = ("     ", "")
        cells += [blank if start else (" " + think[0], think[1])]
        last = len(columns) - 1
        cells += self._arrow(a, entry, columns, start, end, role, think)
        cells += [(" " + think[0], think[1]) if start == last else blank]
        cells.append((f"{size(entry.length):>10}", "dim"))
        return cells

    def _thought(self, index: int) -> int | None:
        """Nanoseconds since the other side of the same association spoke, None where it is not
        the other side that spoke last."""
        a, entry = self.row(index)
        for before in range(index - 1, max(-1, index - 1 - ROWS_BACK), -1):
            other, spoke = self.row(before)
            if other is a:
                return entry.time - spoke.time if spoke.sender != entry.sender else None
        return None

    def _arrow(
        self,
        a: Association,
        entry: Entry,
        columns: list[int],
        start: int,
        end: int,
        role: Role,
        think: Cell,
    ) -> list[Cell]:
        """The lifelines of a row, with the arrow between two of them.

        The bar of a side in the middle stands at its lifeline, where the arrow is not.
        """
        low, high = min(start, end), max(start, end)
        room = columns[high] - columns[low] - 1
        texts = list(self.arrow_texts(a, entry))
        text = next((each for each in texts if cell_len(each) <= room - 4), texts[-1])
        if entry.kind in ("GAP", "CONNECTION-LOST") or low == high:
            body = fit(f"╳ {text} ", max(0, room))
        elif start < end:
            label = fit(text, min(cell_len(text), max(0, room - 4)))
            body = f"─{label}" + "─" * max(0, room - cell_len(label) - 2) + "▶"
        else:
            label = fit(text, min(cell_len(text), max(0, room - 4)))
            body = f"◀─{label}" + "─" * max(0, room - cell_len(label) - 2)
        cells: list[Cell] = []
        at = LEFT - 1
        place = 0
        while place < len(columns):
            gap = columns[place] - at
            if 0 < place == start < end and gap > len(think[0]) + 1:
                cells += [(" " * (gap - len(think[0]) - 1), ""), think, (" │", "dim")]
            elif 0 < place - 1 == start and end < start and gap > len(think[0]) + 1:
                cells += [(" ", ""), think, (" " * (gap - len(think[0]) - 1) + "│", "dim")]
            else:
                cells.append((" " * gap + "│", "dim"))
            at = columns[place] + 1
            if place == low and low != high:
                cells.append((fit(body, room), role))
                at = columns[high]
                place = high
            else:
                place += 1
        return cells

    def arrow_texts(self, a: Association, entry: Entry) -> Iterator[str]:
        """What was said, each time in fewer words: the first one that fits is shown."""
        message = entry.message
        if entry.kind == "A-ASSOCIATE-RQ":
            proposed = len(a.contexts)
            yield f"A-ASSOCIATE-RQ, {_count(proposed, 'context')} proposed"
            yield f"A-ASSOCIATE-RQ {proposed} pc"
            yield f"RQ {proposed} pc"
        elif entry.kind == "A-ASSOCIATE-AC":
            accepted = sum(context.result == 0 for context in a.contexts.values())
            refused = len(a.contexts) - accepted
            more = f", {refused} refused" if refused else ""
            yield f"A-ASSOCIATE-AC, {_count(accepted, 'context')} accepted{more}"
            yield f"AC {accepted} ok{more.replace(',', '')}"
            yield f"AC {accepted}/{len(a.contexts)}"
        else:
            text = safe(info(a, entry)).removeprefix("P-DATA, ")
            calling, called = safe(a.requestor.ae_title or "?"), safe(a.acceptor.ae_title or "?")
            for arrow in ("-->", "<--"):
                text = text.replace(f" {calling} {arrow} {called}", "")
            yield text
            if message is not None and message.status is not None:
                code = f"{message.status:04X}"
                word = {0: "ok", 0xFF00: "pending", 0xFF01: "pending"}.get(message.status, code)
                number = "" if message.message_id is None else f" ID={message.message_id}"
                yield f"{entry.kind}{number} {word}"
                yield f"{entry.kind} {word}"
                yield f"RSP {word}"
            elif message is not None:
                if message.message_id is not None:
                    yield f"{entry.kind} ID={message.message_id}"
                yield entry.kind
                yield entry.kind.removeprefix("C-").removeprefix("N-")
            elif entry.pdu is not None:
                yield entry.kind
                yield entry.kind.removeprefix("A-")

    def think_time(self) -> str:
        """How long each side took until it spoke after the other, in all."""
        a = self.association
        if a is None:
            return ""
        total = {"requestor": 0, "acceptor": 0}
        timeline = a.timeline[:ROWS_JOINED]
        for before, entry in pairwise(timeline):
            if before.sender != entry.sender and entry.began > before.time:
                total[entry.sender] += entry.began - before.time
        names = (safe(a.requestor.ae_title or "requestor"), safe(a.acceptor.ae_title or "acceptor"))
        text = f"think time {names[0]} {duration(total['requestor'])}"
        return f"{text} · {names[1]} {duration(total['acceptor'])}"


def _operation(association: Association, number: int) -> Operation | None:
    """The operation that a link means."""
    for operation in association.operations:
        if operation.request is not None and operation.request.number == number:
            return operation
    return None


def _halves(one: Operation, two: Operation | None) -> bool:
    """Whether two operations are one exchange."""
    return two is not None and frozenset((one.service, two.service)) in EXCHANGES


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
