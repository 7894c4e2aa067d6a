"""How time grows with the input: the exponent is 1 where twice as much takes twice as long."""

from __future__ import annotations

import math
from collections.abc import Sequence

STEPS = (1, 2, 4, 8)
"""Sizes measured, as multiples of the first."""

BASE = 1 / 4
"""The first of them as a share of the case."""

MOST = 1.05
"""The exponent that is allowed: what grows with the square of the input has 2."""


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The slope of the line through the logarithms, by least squares."""
    xs, ys = [math.log(size) for size in sizes], [math.log(time) for time in times]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    above = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True))
    return above / sum((a - x) ** 2 for a in xs)
