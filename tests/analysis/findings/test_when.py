"""Rules that are not asked, because there is nothing they look at, would have been silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomsniff.analysis import findings
from dicomsniff.analysis.findings import View
from dicomsniff.analysis.pipeline import read
from tests.support import CAPTURES


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcapng")), ids=lambda path: path.stem)
def test_who_is_not_asked_has_nothing_to_say(path: Path) -> None:
    findings.rules()
    for association in read(str(path), reader="scapy", checks=False):
        for check, when in (*findings._CHECKS, *findings._LAST):
            if when is not None and not when(View(association)):
                assert list(check(View(association))) == []


def test_what_was_recorded_asks_most() -> None:
    """So that the test above is about something."""
    findings.rules()
    asked = set()
    for path in CAPTURES.glob("*.pcapng"):
        for association in read(str(path), reader="scapy", checks=False):
            view = View(association)
            asked |= {when for _, when in findings._CHECKS if when is not None and when(view)}
    assert len(asked) >= 8
