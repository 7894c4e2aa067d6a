"""Plots of the statistics view: response time of each operation, and bytes a second, over time.

Drawn with Braille characters, which have eight dots in a cell, and block characters. What failed
is a cross, so that colour says nothing alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import ceil, floor, log10

from dicomsniff.tui.statistics import Group
from dicomsniff.tui.table import LineList
from dicomsniff.tui.text import Cell, Role, clock, duration, fit, size

BESIDE = 100
"""Columns from which two plots stand beside each other."""

LABEL = 12
"""Columns of a label on the vertical axis."""

LEAST_NS = 50_000_000
"""Time that is plotted at least: a rate over less says more about a clock than about a network."""

BLOCKS = " ▁▂▃▄▅▆▇█"

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a Braille cell by row and column of the dot (Unicode, block U+2800)."""

Line = list[Cell]


def response_times(group: Group, width: int, height: int) -> list[Line]:
    """Response times over time, on a logarithmic scale: a dot for each operation."""
    points = [
        (began, time, wrong)
        for began, time, wrong in zip(group.began, group.times, group.failed, strict=True)
        if time >= 0
    ]
    columns, rows = width - LABEL - 1, height - 2
    title: Line = [(fit("Response time of each operation", width), "key")]
    if not points or columns < 4 or rows < 1:
        return [title, [("no response", "dim")]]
    logs = [log10(max(time, 1_000)) for _, time, _ in points]
    low, high = floor(min(logs)), ceil(max(logs))
    high = max(high, low + 1)
    first, span = _span(group)
    cells = [[0] * columns for _ in range(rows)]
    crosses: set[tuple[int, int]] = set()
    for (began, _, wrong), log in zip(points, logs, strict=True):
        x = min(columns * 2 - 1, (began - first) * (columns * 2) // span)
        y = rows * 4 - 1 - min(rows * 4 - 1, int((log - low) / (high - low) * rows * 4))
        cells[y // 4][x // 2] |= DOTS[y % 4][x % 2]
        if wrong:
            crosses.add((y // 4, x // 2))
    labels = {
        min(rows - 1, rows - 1 - round((power - low) / (high - low) * (rows - 1))): power
        for power in range(high, low - 1, -1)
    }
    lines = [title]
    for row, dots in enumerate(cells):
        power = labels.get(row)
        label = "" if power is None else duration(10**power)
        line: Line = [(fit(label, LABEL, right=True) + "┤", "dim")]
        drawn = "".join(chr(0x2800 + bits) if bits else " " for bits in dots)
        at = 0
        for column in sorted(column for y, column in crosses if y == row):
            line += [(drawn[at:column], "good"), ("✗", "bad")]
            at = column + 1
        lines.append([*line, (drawn[at:], "good")])
    return [*lines, _times(first, span, width)]


def throughput(group: Group, width: int, height: int) -> list[Line]:
    """Bytes a second over time. What an operation carried counts evenly for as long as it took."""
    columns, rows = width - LABEL - 1, height - 2
    title: Line = [(fit("Bytes a second", width), "key")]
    if not group.began or columns < 4 or rows < 1:
        return [title, [("no operation", "dim")]]
    first, span = _span(group)
    sums = _spread(group, first, span / columns, columns)
    most = max(sums) or 1
    rate = round(most * 1_000_000_000 * columns / span)
    lines = [title]
    for row in range(rows):
        label = f"{size(rate)}/s" if row == 0 else "0" if row == rows - 1 else ""
        level = (rows - 1 - row) * 8
        bars = "".join(
            BLOCKS[max(0, min(8, ceil(total * rows * 8 / most) - level))] for total in sums
        )
        role: Role = "request"
        lines.append([(fit(label, LABEL, right=True) + "┤", "dim"), (bars, role)])
    return [*lines, _times(first, span, width)]


def _spread(group: Group, first: int, step: float, columns: int) -> list[float]:
    """Bytes in each column of ``step`` nanoseconds."""
    parts = [0.0] * (columns + 1)
    # Of the columns that an operation fills from edge to edge: what each gets more than the one
    # before it. So one that spans them all takes no longer than one that spans none.
    rises = [0.0] * (columns + 1)
    for began, took, octets in zip(group.began, group.took, group.octets, strict=True):
        begin, end = (began - first) / step, (began - first + took) / step
        here, there = min(columns - 1, int(begin)), min(columns - 1, int(end))
        if here == there:
            parts[here] += octets
            continue
        each = octets / (end - begin)
        parts[here] += each * (here + 1 - begin)
        parts[there] += each * (end - there)
        rises[here + 1] += each
        rises[there] -= each
    return [part + whole for part, whole in zip(parts, accumulate(rises), strict=True)][:columns]


def _span(group: Group) -> tuple[int, int]:
    """When the first operation began, and nanoseconds until the last one was over."""
    first = min(group.began)
    over = max(began + took for began, took in zip(group.began, group.took, strict=True))
    return first, max(LEAST_NS, over - first)


def _times(first: int, span: int, width: int) -> Line:
    """The axis at the bottom."""
    begins = clock(first, digits=3)
    ends = clock(first + span, digits=3)
    room = max(0, width - LABEL - 1 - len(begins) - len(ends))
    return [(" " * (LABEL + 1) + begins + " " * room + ends, "dim")]


class Plots(LineList, can_focus=False):
    """Plots of the group that is chosen in the statistics."""

    CURSOR = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.group: Group | None = None
        self.empty = "No operation chosen"
        self._lines: list[Line] = []

    def show(self, group: Group | None) -> None:
        """Plot another group."""
        self.group = group
        self._draw()

    def on_resize(self) -> None:
        """Plots are as large as the pane."""
        self._draw()

    def _draw(self) -> None:
        width, height = self.size.width, self.size.height
        group = self.group
        if group is None or width < 1 or height < 1:
            self._lines = []
        elif width >= BESIDE:
            left = (width - 2) // 2
            one = response_times(group, left, height)
            two = throughput(group, width - 2 - left, height)
            self._lines = [
                [*_padded(a, left), ("  ", ""), *b] for a, b in zip(one, two, strict=False)
            ]
        elif height >= 16:
            half = height // 2
            self._lines = response_times(group, width, half)
            self._lines += throughput(group, width, height - half)
        else:
            self._lines = response_times(group, width, height)
        self.reload(0, tell=False)

    def count(self) -> int:
        """Lines."""
        return len(self._lines)

    def line(self, index: int, width: int) -> Sequence[Cell]:
        """A line of the plots."""
        del width
        return self._lines[index]


def _padded(line: Line, width: int) -> Line:
    used = sum(len(text) for text, _ in line)
    return [*line, (" " * max(0, width - used), "")]
