"""Times as text: ISO 8601 in UTC, nine decimals, and back. Whole nanoseconds all the way.

A float has lost the last three digits of a time of today, so none is used.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1)
_CYCLE_DAYS: Final = 146097
"""Days after which the Gregorian calendar repeats: 400 years."""
_DAY: Final = 86400
_TEXT: Final = re.compile(r"([+-]?[0-9]{4,12})-([0-9]{2}-[0-9]{2}T[0-9:]{8})\.([0-9]{9})Z")


def time_text(time: int) -> str:
    """``2026-01-05T08:15:00.123456789Z`` of nanoseconds since the epoch.

    A damaged capture's years outside 0001 to 9999 are written as ISO 8601's expanded years
    (``+12026-…``).
    """
    seconds, nanoseconds = divmod(time, 1_000_000_000)
    days, second = divmod(seconds, _DAY)
    cycles, day = divmod(days, _CYCLE_DAYS)
    moment = _EPOCH + timedelta(days=day, seconds=second)
    year = moment.year + 400 * cycles
    years = f"{year:04d}" if 0 < year < 10000 else f"{year:+06d}"
    return f"{years}{moment:-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def time_of(text: str) -> int:
    """Nanoseconds since the epoch of what ``time_text`` wrote; ``ValueError`` for anything else."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a time in UTC with nine decimals")
    cycles, year = divmod(int(match[1]) - 1970, 400)
    moment = datetime.strptime(f"{year + 1970}-{match[2]}", "%Y-%m-%dT%H:%M:%S")
    passed = moment - _EPOCH
    days = passed.days + cycles * _CYCLE_DAYS
    return (days * _DAY + passed.seconds) * 1_000_000_000 + int(match[3])
