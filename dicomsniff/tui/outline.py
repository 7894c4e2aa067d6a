"""The tree of the detail pane: branches as lines, only the visible ones rendered."""

from __future__ import annotations

from collections.abc import Sequence

from dicomsniff.tui.detail import Branch, Detail
from dicomsniff.tui.table import LineList
from dicomsniff.tui.text import Cell

NARROW = 64
"""Columns below which a line leaves out what is optional (VR and length)."""

OPEN_AT_ONCE = 20_000
"""Branches that "unfold" opens: more nobody reads, and a hostile data set may have millions."""


class Outline(LineList):
    """Shows a :class:`Detail`. What is open stays open from one entry to the next."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.detail: Detail | None = None
        self.empty = "Nothing chosen"
        self._lines: list[tuple[int, Branch, str]] = []
        """(depth, branch, path) of every line."""
        self._opened: dict[str, bool] = {}
        """By path: what the user opened or closed."""

    def count(self) -> int:
        """Lines of what is open."""
        return len(self._lines)

    def show(self, detail: Detail | None) -> None:
        """Show another tree, with the same branches open and the cursor on the same path."""
        before = self._lines[self.cursor][2] if self.cursor < len(self._lines) else ""
        self.detail = detail
        self._flatten()
        cursor = 0
        if before:
            while before and not cursor:
                cursor = next((at for at, line in enumerate(self._lines) if line[2] == before), 0)
                before = before.rpartition("/")[0]
        self.reload(cursor)

    def _flatten(self) -> None:
        lines: list[tuple[int, Branch, str]] = []
        opened = self._opened

        def add(branches: list[Branch], depth: int, path: str) -> None:
            for branch in branches:
                own = f"{path}/{branch.key}"
                branch.open = opened.get(own, branch.open)
                lines.append((depth, branch, own))
                if branch.open and branch.has_below:
                    add(branch.below(), depth + 1, own)

        if self.detail is not None:
            add(self.detail.branches, 0, "")
        self._lines = lines

    def branch_at(self, index: int) -> Branch | None:
        """The branch on a line."""
        return self._lines[index][1] if 0 <= index < len(self._lines) else None

    def line(self, index: int, width: int) -> Sequence[Cell]:
        """A branch: indentation, a sign whether it opens, its cells."""
        depth, branch, _ = self._lines[index]
        sign = ("▾ " if branch.open else "▸ ") if branch.has_below else "  "
        cells = branch.cells
        if width < NARROW:
            cells = tuple(cell for cell in cells if cell[1] != "optional")
        return [("  " * depth + sign, "dim"), *cells]

    # ------------------------------------------------------------- opening and closing

    def set_open(self, index: int, open_: bool) -> None:
        """Open or close a branch; the cursor stays."""
        _, branch, path = self._lines[index]
        if not branch.has_below:
            return
        branch.open = open_
        self._opened[path] = open_
        self._flatten()
        self.reload()

    def fold(self, open_: bool) -> None:
        """Open or close everything."""
        if self.detail is None:
            return
        budget = OPEN_AT_ONCE
        for path, branch in self.detail.walk():
            if branch.has_below:
                key = "".join("/" + b.key for b in path) + "/" + branch.key
                branch.open = open_
                self._opened[key] = open_
            budget -= 1
            if not budget:
                break
        self._flatten()
        self.reload(0)

    def reveal(self, path: list[Branch], *, tell: bool = True) -> None:
        """Open a path and put the cursor on its end. ``tell``: see :meth:`LineList.reload`."""
        key = ""
        for branch in path[:-1]:
            key += "/" + branch.key
            branch.open = True
            self._opened[key] = True
        self._flatten()
        last = path[-1]
        at = next((i for i, line in enumerate(self._lines) if line[1] is last), 0)
        self.reload(at, tell=tell)

    def command(self, name: str) -> bool:
        """Commands of a tree before those of a list."""
        branch = self.branch_at(self.cursor)
        if branch is None:
            return super().command(name)
        match name:
            case "right" if branch.has_below and not branch.open:
                self.set_open(self.cursor, True)
            case "right" if branch.has_below:
                self.move(self.cursor + 1)
            case "left" if self._side:
                return super().command(name)
            case "left" if branch.has_below and branch.open:
                self.set_open(self.cursor, False)
            case "left":
                self.move(self._above(self.cursor))
            case "open" if branch.has_below:
                self.set_open(self.cursor, not branch.open)
            case "unfold":
                self.fold(True)
            case "fold":
                self.fold(False)
            case _:
                return super().command(name)
        return True

    def _above(self, index: int) -> int:
        depth = self._lines[index][0]
        while index and self._lines[index][0] >= depth:
            index -= 1
        return index

    def clicked(self, index: int, x: int, twice: bool) -> None:
        """A click on the sign opens and closes, a double click anywhere too."""
        depth, branch, _ = self._lines[index]
        self.move(index)
        if twice or 2 * depth <= x < 2 * depth + 2:
            self.set_open(index, not branch.open)
