"""Times keep every nanosecond."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomsniff.output.times import time_of, time_text


def test_against_the_standard_library() -> None:
    for seconds in (0, 1, 951_782_400, 1_767_600_900, 253_402_300_799, -1, -86_401):
        moment = datetime.fromtimestamp(seconds, UTC)
        assert time_text(seconds * 10**9) == f"{moment:%Y-%m-%dT%H:%M:%S}.000000000Z"


def test_no_nanosecond_is_lost() -> None:
    assert time_text(1_767_600_900_123_456_789) == "2026-01-05T08:15:00.123456789Z"


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (253_402_300_800 * 10**9, "+10000-01-01T00:00:00.000000000Z"),
        ((1 << 64) * 10**9, "+584554051223-11-09T07:00:16.000000000Z"),
        (-62_167_219_201 * 10**9, "-00001-12-31T23:59:59.000000000Z"),
    ],
)
def test_a_damaged_clock_is_still_a_time(time: int, text: str) -> None:
    assert time_text(time) == text


@given(st.integers(min_value=-(1 << 80), max_value=1 << 90))
def test_there_and_back(time: int) -> None:
    assert time_of(time_text(time)) == time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-01-05T08:15:00Z",
        "2026-01-05 08:15:00.123456789Z",
        "2026-13-05T08:15:00.0Z",
        "2026-13-05T08:15:00.000000000Z",
        "2026-01-05T08:15:00.123456789",
        "2026-01-05T::::::::.123456789Z",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|format|data"):
        time_of(text)
