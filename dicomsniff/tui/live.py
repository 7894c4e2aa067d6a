"""What the screen has for captures that go on: meters, who waits for what, and what leaves.

A capture that runs for a week must not grow: the newest associations are kept, the older leave
the memory (:class:`Keeping`). Those that are open stand above all others, the longest unanswered
first (:class:`OpenRows`). A line of meters (:class:`Meters`) says what passes now, and what was
lost.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from dicomsniff.model import Association
from dicomsniff.tui.bars import StatusLine
from dicomsniff.tui.summary import Summaries, ae_titles
from dicomsniff.tui.table import Column
from dicomsniff.tui.text import Cell, clock, size
from dicomsniff.tui.waiting import Waiting, waiting

if TYPE_CHECKING:
    from dicomsniff.model import CaptureInfo
    from dicomsniff.tui.loader import Loader

KEEP: Final = 1000
"""Associations kept that have ended, where nobody says how many (``--keep``)."""

ROWS_KEPT: Final = 100_000
"""Rows of all of them: some 100 MB. Past that the oldest associations that have ended leave,
however few there are."""

SLACK: Final = 10
"""A tenth more is let come before any leave: the lists are gone through once for many."""

HELD_STILL: Final = 4 * ROWS_KEPT
"""Rows after which a screen that was paused goes on by itself: nothing leaves while it stands."""

OPEN_LOOKED_AT: Final = 2000
"""Open associations of which it is told what they wait for: a fraction of a second's work."""

OPEN_SHOWN: Final = 5
"""Lines of the pane that shows them; it scrolls. Two on a low screen."""

LOW: Final = 30
"""Lines below which a screen is low."""

RATE_OVER: Final = 3.0
"""Seconds that a rate is the mean of: shorter ones jump too much to be read."""

HISTORY: Final = 30
"""Columns of the sparkline, one a second."""

_BARS: Final = "▁▂▃▄▅▆▇█"


# ---------------------------------------------------------------------------- meters


class _Sample(NamedTuple):
    at: float
    packets: int
    octets: int
    associations: int
    dropped: int


class Rates(NamedTuple):
    """What passes now, each a second."""

    packets: float
    bits: float
    associations: float
    dropped: float


class Meters:
    """Rates out of counts that only grow."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()
        self.history: deque[float] = deque(maxlen=HISTORY)
        """Bits a second, a value for each second."""
        self._second: _Sample | None = None

    def add(self, at: float, info: CaptureInfo, associations: int) -> None:
        """Look at the counts, at a moment of the monotonic clock."""
        sample = _Sample(at, info.packets, info.bytes, associations, info.dropped or 0)
        samples = self._samples
        samples.append(sample)
        while len(samples) > 2 and samples[1].at <= at - RATE_OVER:
            samples.popleft()
        second = self._second
        if second is None:
            self._second = sample
        elif at - second.at >= 1:
            self.history.append((sample.octets - second.octets) * 8 / (at - second.at))
            self._second = sample

    @property
    def rates(self) -> Rates:
        """Means of the last seconds."""
        if len(self._samples) < 2:
            return Rates(0, 0, 0, 0)
        first, last = self._samples[0], self._samples[-1]
        span = max(last.at - first.at, 1e-9)
        return Rates(
            (last.packets - first.packets) / span,
            (last.octets - first.octets) * 8 / span,
            (last.associations - first.associations) / span,
            (last.dropped - first.dropped) / span,
        )

    def sparkline(self) -> str:
        """The last half minute, the highest column being the most there was in it."""
        most = max(self.history, default=0)
        if not most:
            return _BARS[0] * len(self.history)
        return "".join(_BARS[round(value / most * 7)] for value in self.history)


def bits(rate: float) -> str:
    """``12.3 Mbit/s``."""
    for unit, factor in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if rate >= factor:
            return f"{rate / factor:.1f} {unit}"
    return f"{rate:.0f} bit/s"


def often(rate: float) -> str:
    """A rate with as many digits as mean something."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


class LiveLine(StatusLine):
    """Meters, under the line on top."""

    DEFAULT_CSS = """
    LiveLine { dock: none; display: none; background: $surface; }
    """


def meter_cells(meters: Meters, info: CaptureInfo, open_now: int, done: bool) -> list[Cell]:
    """What the line of meters says, the most important first: narrow screens cut its end."""
    rates = meters.rates
    dropped = info.dropped
    if dropped:
        lost: Cell = (f"▲ {dropped:,} dropped", "bad")
        if rates.dropped and not done:
            lost = (f"▲ {dropped:,} dropped (+{often(rates.dropped)}/s)", "bad")
    else:
        lost = ("0 dropped" if dropped is not None else "drops not known", "dim")
    if done:
        cells: list[Cell] = [
            ("ended: ", "strong"),
            (f"{info.packets:,} packets  {size(info.bytes)}  ", ""),
            lost,
        ]
    else:
        cells = [
            (f"{often(rates.packets)} packets/s  ", ""),
            (f"{bits(rates.bits)}  ", ""),
            (f"{often(rates.associations)} associations/s  ", ""),
            lost,
            (f"  {open_now:,} open", ""),
        ]
    if info.evicted:
        given_up = ", ".join(f"{name} {count:,}" for name, count in sorted(info.evicted.items()))
        cells.append((f"  given up: {given_up}", "warn"))
    if not done:
        cells.append(("  " + meters.sparkline(), "dim"))
    return cells


# ---------------------------------------------------------------------------- open ones


class OpenRows:
    """The associations that are open, the longest unanswered first."""

    sortable = False
    reserves = False
    sort_key = ""
    sort_reverse = False

    def __init__(self, summaries: Summaries) -> None:
        self.columns = [
            Column("id", "#", 2, 7, right=True),
            Column("ae", "Calling→Called", 14, 33),
            Column("since", "Since", 8, 8),
            Column("messages", "Msgs", 4, 9, right=True, hidden_below=100),
            Column("bytes", "Bytes", 7, 10, right=True, hidden_below=110),
            Column("waits", "Waits for", 10, 10),
        ]
        self.now = 0
        self._summaries = summaries
        self._rows: list[tuple[Association, Waiting]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Association:
        return self._rows[index][0]

    def set(self, associations: list[Association], now: int) -> None:
        """Look at those that are open."""
        self.now = now
        rows = [(a, waiting(a)) for a in associations[:OPEN_LOOKED_AT] if a.outcome == "open"]
        rows.sort(key=lambda row: (row[1].rank, row[1].since))
        self._rows = rows

    def sort(self, key: str, reverse: bool) -> None:
        """They have their order."""

    def cells(self, index: int) -> dict[str, Cell]:
        """One line about one of them."""
        if index >= len(self._rows):
            return {}
        a, waits = self._rows[index]
        summary = self._summaries(a)
        return {
            "id": (str(a.id), "dim"),
            "ae": (ae_titles(a), "strong"),
            "since": (clock(waits.since, digits=1)[:8], "dim"),
            "messages": (str(summary.messages), ""),
            "bytes": (size(a.requestor.bytes + a.acceptor.bytes), ""),
            "waits": (waits.told(self.now), waits.role(self.now)),
        }


# ---------------------------------------------------------------------------- what leaves


class Keeping:
    """Lets the oldest associations leave."""

    def __init__(self, loader: Loader, keep: int) -> None:
        self._loader = loader
        self._keep = keep

    def leaving(self, protected: set[int]) -> set[Association]:
        """Those that are to leave now; not the open ones, and not those with ids ``protected``."""
        loader = self._loader
        everything, rows = len(loader.associations), len(loader.rows)
        count = everything - len(loader.open)
        keep = self._keep
        if count <= keep + keep // SLACK and rows <= ROWS_KEPT + ROWS_KEPT // SLACK:
            return set()
        too_many, too_long = count - keep, rows - ROWS_KEPT
        gone: set[Association] = set()
        for association in loader.associations[:everything]:
            if too_many <= 0 and too_long <= 0:
                break
            if association in loader.open or association.id in protected:
                continue
            gone.add(association)
            too_many -= 1
            too_long -= len(association.timeline)
        return gone


class Clock:
    """The time of the capture, which passes also where no packet comes."""

    def __init__(self) -> None:
        self._last = 0
        self._seen = 0.0

    def now(self, last: int | None) -> int:
        """Nanoseconds since the epoch; ``last`` is when the latest packet came."""
        moment = time.monotonic()
        if last is not None and last > self._last:
            self._last, self._seen = last, moment
        return self._last + int((moment - self._seen) * 1e9)
