"""Journeys as text: what became of each examination, stop by stop, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from dicomsniff.analysis.journey import Journey, Stop
from dicomsniff.output.info import escape
from dicomsniff.output.redact import Redactor
from dicomsniff.output.times import time_text

WHAT: Final = {
    "worklist": "worklist answer",
    "begun": "step begun",
    "changed": "step changed",
    "ended": "step ended",
    "stored": "stored",
    "retrieved": "retrieved",
    "asked": "commitment asked",
    "reported": "commitment report",
}
_KEYS_SHOWN: Final = 4
"""Values of one kind in the head of a journey."""


def text(journeys: Sequence[Journey], redactor: Redactor, *, forgotten: int = 0) -> Iterator[str]:
    """The lines of all journeys. Those that are a worklist answer alone are counted."""
    alone = 0
    number = 0
    for journey in journeys:
        if all(stop.kind == "worklist" for stop in journey.stops):
            alone += 1
            continue
        number += 1
        if number > 1:
            yield ""
        yield from _journey(number, journey, redactor)
    if not number:
        yield "No examination was begun, stored or committed in this capture."
    if alone:
        yield ""
        yield (
            f"{alone:,} worklist {'entry' if alone == 1 else 'entries'} that nothing followed in "
            "this capture."
        )
    if forgotten:
        yield f"{forgotten:,} earlier examinations were let go: there were too many at a time."


def _journey(number: int, journey: Journey, redactor: Redactor) -> Iterator[str]:
    head = [f"Examination {number}"]
    for what, values in (
        ("study", [redactor.uid(each) for each in journey.studies]),
        ("accession number", [redactor.text(each) for each in journey.accessions]),
        ("step", [redactor.text(each) for each in journey.steps]),
    ):
        if values:
            more = f" and {len(values) - _KEYS_SHOWN} more" if len(values) > _KEYS_SHOWN else ""
            head.append(f"{what} {', '.join(map(escape, values[:_KEYS_SHOWN]))}{more}")
    yield "   ".join(head)
    rows = [_row(stop, redactor) for stop in journey.stops]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    day = ""
    for stop, row in zip(journey.stops, rows, strict=True):
        today = time_text(stop.time)[:10]
        if today != day:
            day = today
            yield f"  {day}"
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield f"  {'  '.join([*cells, row[4]])}".rstrip()
    missing = journey.missing()
    for line in missing:
        yield f"  missing: {line}"
    if not missing and journey.has("worklist") and journey.has("ended") and journey.has("reported"):
        yield "  nothing is missing"


def _row(stop: Stop, redactor: Redactor) -> tuple[str, str, str, str, str]:
    sender = escape(redactor.ae_title(stop.sender))
    receiver = escape(redactor.ae_title(stop.receiver))
    first, last = stop.entries
    where = f"association {stop.association}, entry {first}" + (
        f" to {last}" if last > first else ""
    )
    what = WHAT[stop.kind]
    if stop.kind == "ended" and stop.state:
        what = f"step {stop.state.lower()}"
    return time_text(stop.time)[11:23], what, f"{sender} -> {receiver}", where, _detail(stop)


def _detail(stop: Stop) -> str:
    if stop.refused:
        return f"refused: {stop.refused}"
    if stop.kind == "worklist":
        return f"answered {stop.good} times" if stop.good > 1 else ""
    if stop.kind in ("stored", "retrieved"):
        objects = stop.good + stop.bad
        parts = [f"{objects} object{'s' if objects != 1 else ''}"]
        if stop.bad:
            parts.append(f"{stop.bad} refused")
        parts.append(f"{_size(stop.bytes)} in {(stop.until - stop.time) / 1e9:,.2f} s")
        parts.append(", ".join(map(escape, list(stop.classes)[:3])))
        return ", ".join(filter(None, parts))
    if stop.kind == "asked":
        return f"for {stop.good} object{'s' if stop.good != 1 else ''}"
    if stop.kind == "reported":
        return f"{stop.good} committed" + (f", {stop.bad} failed" if stop.bad else "")
    if stop.kind in ("ended", "changed") and stop.good:
        return f"lists {stop.good} object{'s' if stop.good != 1 else ''}"
    return ""


def _size(number: int) -> str:
    """``4.1 kB``, ``12.5 MB``."""
    return f"{number / 1e6:,.1f} MB" if number >= 1_000_000 else f"{number / 1e3:,.1f} kB"
