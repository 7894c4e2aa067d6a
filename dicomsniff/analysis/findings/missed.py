"""Between which machines a capture misses something: what was never seen may have been there.

No rules here.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from dicomsniff.model import Association

PAIRS_KEPT: Final = 4_096
"""Pairs of machines remembered."""

Pair = frozenset[str]
"""Addresses of two machines."""


def pair(association: Association) -> Pair:
    """The two that an association is between."""
    return frozenset((association.requestor.address, association.acceptor.address))


class _Hole(NamedTuple):
    """What is missing between two machines."""

    first: int
    """Time of the first that is missing."""
    last: int
    """Time of the last."""
    association: int
    """Number of the association that misses the last."""


class Missed:
    """Associations that the capture does not hold whole."""

    __slots__ = ("_holes",)

    def __init__(self) -> None:
        self._holes: OrderedDict[Pair, _Hole] = OrderedDict()

    def note(self, association: Association) -> None:
        """Take one that has ended."""
        if not association.gaps and not association.partial:
            return
        # Of one that began before the capture did, what came before is missing.
        times = [gap.time for gap in association.gaps] + [association.started] * association.partial
        first, last, number = min(times), max(times), association.id
        key = pair(association)
        known = self._holes.get(key)
        if known is not None:
            first = min(first, known.first)
            if known.last > last:
                last, number = known.last, known.association
        self._holes[key] = _Hole(first, last, number)
        if len(self._holes) > PAIRS_KEPT:
            self._holes.popitem(last=False)

    def before(self, machines: Pair, time: int) -> bool:
        """Whether something of what these two said before that time is missing."""
        hole = self._holes.get(machines)
        return hole is not None and hole.first < time

    def since(self, machines: Pair, time: int) -> str:
        """A sentence where something of what these two said after that time is missing, else
        nothing."""
        hole = self._holes.get(machines)
        if hole is None or hole.last < time:
            return ""
        return (
            f" The capture misses a part of association {hole.association} between the two: it may "
            "have been there."
        )
