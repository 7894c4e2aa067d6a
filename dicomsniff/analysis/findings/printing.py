"""Print management: what the printer warned of or refused, and how it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dicomsniff.analysis.findings import (
    NORMALIZED,
    View,
    finding,
    rule,
)
from dicomsniff.analysis.findings.asked import whole
from dicomsniff.analysis.findings.telling import call, title
from dicomsniff.analysis.findings.words import OTHER, named
from dicomsniff.dicom.names import service_name, status
from dicomsniff.model import Entry, Finding, Operation

_PRINTER: Final = "1.2.840.10008.5.1.1.16"
_PRINTER_STATUS: Final = 0x21100010
_PRINTER_STATUS_INFO: Final = 0x21100020
_TERM: Final = re.compile(r"[A-Z][A-Z ]{1,15}")
"""A defined term of PS3.3 C.13.9.1, and nothing that somebody could have typed."""

_ADVICE: Final = {
    0xB600: "Nothing is lost; the printer has no memory to reserve.",
    0xB602: "On {mine}: it printed a film session without images.",
    0xB603: "On {mine}: it printed a film box without images.",
    0xB604: "The image is printed smaller than asked for. Where size matters (measuring on film), "
    "on {mine}: choose a larger format, or ask for cropping.",
    0xB605: "On {mine}: ask for densities that the printer has.",
    0xB609: "Part of the image is cut off. On {mine}: choose a larger format.",
    0xB60A: "The image is printed with fewer points than it has. On {mine}: use a larger format.",
    0xC600: "On {mine}: a film session needs a film box before it is printed.",
    0xC601: "On {printer}: its queue is full; see whether it prints at all.",
    0xC602: "On {printer}: its queue is full; see whether it prints at all.",
    0xC603: "On {mine}: the image does not fit its image box; choose a larger format.",
    0xC605: "On {printer}: it has too little memory for this image.",
    0xC613: "On {mine}: the combined image does not fit; choose a larger format.",
    0xC616: "On {mine}: print the earlier film box before the next is created.",
}
_OTHERWISE: Final = "The log of {printer} tells more; see also what {mine} asks for."


@rule(
    "print-failed",
    "error",
    "print",
    "The printer refused a part of a print job.",
    "PS3.4 H.4",
    when=NORMALIZED,
)
def print_failed(view: View) -> Iterator[Finding]:
    """Failures of print management."""
    yield from _statuses(view, "Failure", "print-failed")


@rule(
    "print-warning",
    "warning",
    "print",
    "The printer carried out a request with a warning.",
    "PS3.4 H.4",
    when=NORMALIZED,
)
def print_warning(view: View) -> Iterator[Finding]:
    """Warnings of print management."""
    yield from _statuses(view, "Warning", "print-warning")


def _prints(operation: Operation) -> bool:
    return bool(operation.sop_class) and service_name(operation.sop_class or "") == "Print"


def _statuses(view: View, category: str, code: str) -> Iterator[Finding]:
    association = view.association
    groups: dict[tuple[str, int, str | None], list[Operation]] = {}
    for operation in view.operations():
        number = operation.status
        if number is None or not operation.service.startswith("N-") or not _prints(operation):
            continue
        if status(operation.service, operation.sop_class, number).category == category:
            place = (operation.service, number, operation.sop_class)
            groups.setdefault(place, []).append(operation)
    for (service, number, sop_class), operations in groups.items():
        answers = [operation.responses[-1] for operation in operations]
        requests = [each.request for each in operations if each.request is not None]
        view.told.update(entry.number for entry in answers)
        side = operations[0].invoked_by
        meaning = status(service, sop_class, number).meaning
        evidence = sorted((*requests, *answers), key=lambda entry: entry.number)
        yield finding(
            code,
            f"{title(association, OTHER[side])} "
            f"{'refuses' if category == 'Failure' else 'warns'}: {meaning}",
            f"{service} of {named(sop_class)} was answered with {number:04X}H, {meaning}"
            + (f", {len(operations)} times." if len(operations) > 1 else "."),
            _ADVICE.get(number, _OTHERWISE).format(
                mine=call(association, side), printer=call(association, OTHER[side])
            ),
            *evidence,
        )


@rule(
    "printer-status",
    "warning",
    "print",
    "The printer says that it needs attention: WARNING, or FAILURE (an error), with its reason.",
    "PS3.3 C.13.9",
    when=NORMALIZED,
)
def printer_status(view: View) -> Iterator[Finding]:
    """Printer Status (2110,0010) in answers to N-GET and in N-EVENT-REPORT."""
    association = view.association
    said: tuple[str, str] | None = None
    for operation in view.operations("N-GET", "N-EVENT-REPORT"):
        if operation.sop_class != _PRINTER:
            continue
        entries: list[Entry] = (
            operation.responses
            if operation.service == "N-GET"
            else [operation.request]
            if operation.request is not None
            else []
        )
        for entry in entries:
            message = entry.message
            if message is None or not whole(entry):
                continue
            data = view.dataset(message)
            if data is None or data.guessed:
                continue
            found = data.get(_PRINTER_STATUS)
            state = str(found.values[0]) if found is not None and found.values else ""
            more = data.get(_PRINTER_STATUS_INFO)
            info = str(more.values[0]) if more is not None and more.values else ""
            if state not in ("WARNING", "FAILURE") or (state, info) == said:
                continue
            said = (state, info)
            reason = info if _TERM.fullmatch(info) else ""
            yield finding(
                "printer-status",
                f"The printer {title(association, entry.sender)} says {state}"
                + (f": {reason}" if reason else ""),
                f"Printer Status (2110,0010) in entry {entry.number} is {state}"
                + (f", Printer Status Info (2110,0020) {reason}." if reason else "."),
                f"At the printer {call(association, entry.sender)}: see to it. Films may wait in "
                "its queue meanwhile.",
                entry,
                severity="error" if state == "FAILURE" else "warning",
            )
