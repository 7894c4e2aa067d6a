"""Points in time: dates and times of day, absolute ones with a zone.

A time stands for all it covers: ``14:02`` is the minute, ``2026-01-05`` the day. So ``=`` means
within it, ``<`` before it, ``>`` after it, ``<=`` before its end, ``>=`` from its beginning.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, NamedTuple

from dicomsniff.analysis.where.syntax import Operator
from dicomsniff.analysis.where.values import EQUAL, ORDER, Test, Type

_SECOND: Final = 1_000_000_000
_DAY: Final = 86_400 * _SECOND
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK: Final = r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
_ONLY_CLOCK: Final = re.compile(_CLOCK)
_MOMENT: Final = re.compile(
    rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})(?:[T ]{_CLOCK})?(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?",
    re.IGNORECASE,
)


class Span(NamedTuple):
    """Nanoseconds from ``start`` up to, not including, ``end``; of the day where ``clock``."""

    start: int
    end: int
    clock: bool


def _clock(match: re.Match[str], at: int) -> tuple[int, int]:
    """Nanoseconds of the day, and how many the text leaves open."""
    hours, minutes, seconds, fraction = match.group(at, at + 1, at + 2, at + 3)
    if int(hours) > 23 or int(minutes) > 59 or int(seconds or 0) > 59:
        raise ValueError
    start = (int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0)) * _SECOND
    if fraction:
        return start + int(fraction.ljust(9, "0")), 10 ** (9 - len(fraction))
    return start, _SECOND if seconds else 60 * _SECOND


def of_day(nanoseconds: int) -> int:
    """The time of day where this computer is, in nanoseconds."""
    seconds, rest = divmod(nanoseconds, _SECOND)
    try:
        local = time.localtime(seconds)
    except (OverflowError, OSError, ValueError):
        return nanoseconds % _DAY
    return (local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec) * _SECOND + rest


class Moment(Type):
    """When something crossed the wire, in nanoseconds since the epoch."""

    name = "time"
    hint = "a time such as 14:02, 14:02:11.5, 2026-01-05, 2026-01-05T14:02 or 2026-01-05T14:02:11Z"
    operators = (*EQUAL, *ORDER)

    def parse(self, text: str) -> Any:
        text = text.strip()
        try:
            return self._span(text)
        except (ValueError, OverflowError, OSError):
            raise ValueError(self.hint) from None

    def _span(self, text: str) -> Span:
        match = _ONLY_CLOCK.fullmatch(text)
        if match is not None:
            start, length = _clock(match, 1)
            return Span(start, start + length, True)
        match = _MOMENT.fullmatch(text)
        if match is None:
            raise ValueError
        year, month, day = map(int, match.group(1, 2, 3))
        within, length = _clock(match, 4) if match[4] else (0, 0)
        moment = datetime(year, month, day)
        start = _since_epoch(moment, match[8]) + within
        if not length:
            return Span(start, _since_epoch(moment + timedelta(days=1), match[8]), False)
        if match[8] is None and within:
            # A clock that was put forward or back that day counts from the moment itself.
            moment += timedelta(seconds=within // _SECOND)
            start = _since_epoch(moment, None) + within % _SECOND
        return Span(start, start + length, False)

    def equal(self, wanted: Any) -> Test:
        start, end, clock = wanted
        if clock:
            return lambda value: bool(start <= of_day(value) < end)
        return lambda value: bool(start <= value < end)

    def order(self, operator: Operator, ends: Sequence[Any]) -> Test:
        first, last = ends[0], ends[-1]
        if first.clock != last.clock:
            raise ValueError("two times of day or two dates")
        test = _test(operator, first, last)
        if first.clock:
            return lambda value: test(of_day(value))
        return test


def _test(operator: Operator, first: Span, last: Span) -> Callable[[int], bool]:
    start, end = first.start, first.end
    if operator == "between":
        end = last.end
        if start < end:
            return lambda value: start <= value < end
        if not first.clock:
            raise ValueError("the earlier end of 'between' first")
        return lambda value: value >= start or value < end  # over midnight
    if operator == "<":
        return lambda value: value < start
    if operator == "<=":
        return lambda value: value < end
    if operator == ">":
        return lambda value: value >= end
    return lambda value: value >= start


def _since_epoch(moment: datetime, zone: str | None) -> int:
    """Nanoseconds since the epoch of a time in a zone (None: where this computer is)."""
    if zone is None:
        aware = moment.astimezone()
    elif zone in "Zz":
        aware = moment.replace(tzinfo=UTC)
    else:
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        shift = timedelta(minutes=-minutes if zone[0] == "-" else minutes)
        aware = moment.replace(tzinfo=timezone(shift))
    passed = aware - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * _SECOND
