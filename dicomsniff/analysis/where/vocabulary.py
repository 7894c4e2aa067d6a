"""What some words have as values: services, kinds of rows, findings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from dicomsniff.analysis.where.values import Type
from dicomsniff.dicom.names import COMMAND_FIELDS, PDU_TYPES, service_of

SERVICES: Final = tuple(dict.fromkeys(filter(None, map(service_of, COMMAND_FIELDS.values()))))
"""DIMSE services, C-CANCEL among them."""

SERVICE_CLASSES: Final = (
    *("Verification", "Storage", "Non-Patient Object Storage", "Query/Retrieve - Patient Root"),
    *("Query/Retrieve - Study Root", "Query/Retrieve - Patient/Study Only"),
    *("Query/Retrieve - Composite Instance Root",),
    *("Query/Retrieve - Composite Instance Without Bulk Data", "Repository Query"),
    *("Hanging Protocol Query/Retrieve", "Color Palette Query/Retrieve"),
    *("Implant Template Query/Retrieve", "Defined Procedure Protocol Query/Retrieve"),
    *("Protocol Approval Query/Retrieve", "Inventory Query/Retrieve", "Storage Management"),
    *("Modality Worklist", "MPPS", "Storage Commitment", "Print", "Media Creation"),
    *("Media Storage", "Display System", "Instance Availability Notification", "UPS"),
    *("RT Machine Verification", "Relevant Patient Information Query"),
    *("Substance Administration Query", "Application Event Logging", "Real-Time Communication"),
    *("Study Content Notification", "Patient Management", "Study Management"),
    *("Results Management", "General Purpose Worklist"),
)
"""What ``dicom.names.service_name`` gives."""

KINDS: Final = (
    *(kind for kind in PDU_TYPES.values() if kind != "P-DATA-TF"),
    *COMMAND_FIELDS.values(),
    *("UNKNOWN-PDU", "UNDECODED", "GAP", "CONNECTION-LOST"),
)
"""Kinds of rows (``Entry.kind``)."""


class FindingType(Type):
    """A finding, by its code, its severity or the words of its title."""

    name = "finding"
    hint = "a code such as worklist-empty-required-key, or error, warning, note"
    choices = ("error", "warning", "note")

    def text(self, value: Any) -> str:
        return f"{value.code} {value.severity} {value.title}"

    def parse(self, text: str) -> Any:
        return text.strip().casefold()

    def equal(self, wanted: Any) -> Callable[[Any], bool]:
        return lambda value: wanted in (value.code.casefold(), value.severity)
