"""Texts for numbers and UIDs: what the standard calls what crossed the wire.

One table for each kind of text, in one place: UIDs and the services they belong to (``uids``),
statuses by service (``statuses``), the upper layer's results, sources and reasons
(``upper_layer``), command sets (``commands``).

The tables are our own rather than pynetdicom's: importing that costs a quarter of a second and
brings a network stack along, which a tool that only listens has no use for. The tests hold every
table against pynetdicom's and pydicom's.
"""

from __future__ import annotations

from dicomsniff.dicom.names.commands import (
    COMMAND_ELEMENTS,
    COMMAND_FIELDS,
    PRIORITIES,
    service_of,
)
from dicomsniff.dicom.names.statuses import Status, status
from dicomsniff.dicom.names.uids import is_storage, is_uid, service_name, uid_name
from dicomsniff.dicom.names.upper_layer import (
    ITEM_TYPES,
    PDU_TYPES,
    USER_IDENTITY_TYPES,
    abort_text,
    context_result,
    extended_fields,
    reject_text,
)

__all__ = [
    "COMMAND_ELEMENTS",
    "COMMAND_FIELDS",
    "ITEM_TYPES",
    "PDU_TYPES",
    "PRIORITIES",
    "USER_IDENTITY_TYPES",
    "Status",
    "abort_text",
    "context_result",
    "extended_fields",
    "is_storage",
    "is_uid",
    "reject_text",
    "service_name",
    "service_of",
    "status",
    "uid_name",
]
