"""Offsets on the wire and offsets in what was held, which differ where bulk was taken out."""

from __future__ import annotations

import bisect
from collections.abc import Iterable

from dicomsniff.model import DataSetBytes


def held_chunks(
    data: DataSetBytes, chunks: Iterable[tuple[int, int]]
) -> tuple[tuple[int, int], ...]:
    """Translate provenance: (offset on the wire, frame) of each fragment fed, ascending, to
    (offset in held, frame) as ``Message.chunks`` has it. Fragments that left nothing are dropped.

    Of an inflated data set only the first frame can be told.
    """
    found: list[tuple[int, int]] = []
    skips = data.skips
    index = skipped = 0
    for offset, frame in chunks:
        while index < len(skips) and offset >= skips[index].at + skipped + skips[index].length:
            skipped += skips[index].length
            index += 1
        at = offset - skipped
        if index < len(skips):
            at = min(at, skips[index].at)
        at = min(at, len(data.held))
        if found and found[-1][0] == at:
            found[-1] = (at, frame)
        else:
            found.append((at, frame))
        if data.inflated:
            break
    return tuple(found)


class Places:
    """Lengths on the wire, translated to offsets in what was held. Sequences of defined length
    may have bulk inside."""

    __slots__ = ("_ats", "_before", "_raws", "_skips", "by_offset", "end")

    def __init__(self, data: DataSetBytes) -> None:
        self.end = len(data.held)
        self._skips = data.skips
        self.by_offset = {skip.at: skip for skip in data.skips}
        self._ats = [skip.at for skip in data.skips]
        self._before = [0]
        for skip in data.skips:
            self._before.append(self._before[-1] + skip.length)
        self._raws = [at + gone for at, gone in zip(self._ats, self._before, strict=False)]

    def behind(self, start: int, length: int) -> int:
        """The offset in held behind the ``length`` bytes on the wire that begin at ``start``."""
        if not self._ats:
            return start + length
        raw = start + self._before[bisect.bisect_left(self._ats, start)] + length
        index = bisect.bisect_right(self._raws, raw) - 1
        if index < 0 or raw == self._raws[index]:
            return raw - self._before[max(index, 0)]
        if raw < self._raws[index] + self._skips[index].length:
            return self._ats[index]
        return raw - self._before[index + 1]
