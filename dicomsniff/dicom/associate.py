"""A-ASSOCIATE-RQ and -AC: their fields and presentation contexts (PS3.8 9.3.2, 9.3.3)."""

from __future__ import annotations

from typing import Final, Literal

from dicomsniff.dicom.items import (
    ITEM_HEADER,
    ae_title,
    hidden,
    items,
    uid_field,
    unknown_item,
)
from dicomsniff.dicom.names.uids import uid_name
from dicomsniff.dicom.names.upper_layer import ITEM_TYPES, context_result
from dicomsniff.dicom.reader import Reader
from dicomsniff.dicom.user_information import UserItems
from dicomsniff.model import AssociatePDU, ContextItem, Fault

CONTEXTS_ALLOWED: Final = 128
"""Presentation contexts of one association: the odd numbers of one byte (PS3.8 9.3.2.2)."""
_HEADER: Final = 6
"""Bytes of the PDU header, where a fault stands that concerns the PDU as a whole."""


class Associate:
    """An A-ASSOCIATE PDU while it is being read."""

    def __init__(self, kind: int) -> None:
        self.request = kind == 1
        self.protocol_version = 0
        self.called = ""
        self.calling = ""
        self.application_context: str | None = None
        self.contexts: list[ContextItem] = []
        self.context_ids: set[int] = set()
        self.user = UserItems()
        self.unknown: list[tuple[int, bytes]] = []

    def read(self, reader: Reader) -> None:
        """Read everything behind the PDU header."""
        version = reader.u16("Protocol version")
        if version is not None:
            self.protocol_version = version
            if not version & 1:
                reader.fault(
                    f"Protocol version is {version:04X}H, without bit 0", _HEADER, _HEADER + 2
                )
        reader.skip(2)
        self.called = ae_title(reader, "Called AE title", tested=self.request)
        self.calling = ae_title(reader, "Calling AE title", tested=self.request)
        reader.skip(32)
        once = self.user.once
        for kind, start, item in items(reader):
            if kind in (0x20, 0x21):
                self._context(kind, start, item)
            elif kind == 0x10:
                uid = uid_field(item, item.limit - item.pos, "Application context name")
                if once(0x10, item, start):
                    self.application_context = uid
            elif kind == 0x50:
                once(0x50, item, start)
                self.user.read(item, reader)
                if self.user.spoilt:
                    hidden(reader, "Behind the user identity")
            else:
                unknown_item(self.unknown, kind, start, item)
        if not reader.cut:
            self._check_presence(reader)
        if reader.node is not None:
            reader.node.value = f"{self.calling} → {self.called}"

    def result(self, faults: tuple[Fault, ...]) -> AssociatePDU:
        """Return what was read."""
        name: Literal["A-ASSOCIATE-RQ", "A-ASSOCIATE-AC"] = (
            "A-ASSOCIATE-RQ" if self.request else "A-ASSOCIATE-AC"
        )
        return AssociatePDU(
            name,
            self.protocol_version,
            self.called,
            self.calling,
            self.application_context,
            tuple(self.contexts),
            self.user.result(),
            tuple(self.unknown),
            faults,
        )

    def _check_presence(self, reader: Reader) -> None:
        """Look for what has to be there (PS3.8 tables 9-11 and 9-17, PS3.7 D.3.3.2)."""
        seen = self.user.seen
        for kind in (0x10, 0x50):
            if kind not in seen:
                reader.fault(f"{ITEM_TYPES[kind]} item is missing", 0, _HEADER)
        if not self.contexts:
            reader.fault("There is no presentation context item", 0, _HEADER)
        if 0x50 in seen and not self.user.spoilt:
            for kind in (0x51, 0x52):
                if kind not in seen:
                    reader.fault(f"{ITEM_TYPES[kind]} sub-item is missing", 0, _HEADER)

    def _context(self, kind: int, start: int, item: Reader) -> None:
        """Presentation context of a request (20H) or an answer (21H), PS3.8 9.3.2.2, 9.3.3.2."""
        header_end = start + ITEM_HEADER
        context_id = item.u8("Presentation context ID")
        item.skip(1)
        result = None
        if kind == 0x21:
            result = item.u8("Result/Reason", context_result)
        else:
            item.skip(1)
        item.skip(1)
        abstract: str | None = None
        abstracts = 0
        transfer: list[str] = []
        transfers = 0
        for sub_type, sub_start, sub in items(item):
            if sub_type == 0x40:
                transfers += 1
                uid = uid_field(sub, sub.limit - sub.pos, "Transfer syntax name")
                if uid is not None:
                    transfer.append(uid)
            elif sub_type == 0x30 and kind == 0x20:
                abstracts += 1
                uid = uid_field(sub, sub.limit - sub.pos, "Abstract syntax name")
                if abstracts == 1:
                    abstract = uid
            else:
                unknown_item(self.unknown, sub_type, sub_start, sub)
        if context_id is None:
            return
        if item.node is not None:
            words = [f"ID {context_id}"]
            if result is not None:
                words.append(context_result(result))
            if abstract:
                words.append(uid_name(abstract) or abstract)
            item.node.value = ", ".join(words)
        what = f"Presentation context {context_id}"
        if not context_id & 1:
            item.fault(f"{what}: an ID is odd", header_end, header_end + 1)
        if context_id in self.context_ids:
            item.fault(f"{what}: the ID comes more than once", header_end, header_end + 1)
        self.context_ids.add(context_id)
        if (kind == 0x20) != (self.request):
            item.fault(
                f"{what}: item type {kind:02X}H does not belong in this PDU", start, start + 1
            )
        if len(self.contexts) == CONTEXTS_ALLOWED:
            item.fault(
                f"There are more than {CONTEXTS_ALLOWED} presentation contexts", start, item.end
            )
        self.contexts.append(ContextItem(context_id, result, abstract, tuple(transfer)))
        if item.cut:
            return
        if kind == 0x20:
            if abstracts != 1:
                wrong = "several abstract syntaxes" if abstracts else "no abstract syntax"
                item.fault(f"{what} has {wrong}", start, item.end)
            if not transfers:
                item.fault(f"{what} has no transfer syntax", start, item.end)
        elif result is not None:
            if result > 4:
                item.fault(
                    f"{what}: result {result} is not defined", header_end + 2, header_end + 3
                )
            # Of a refused context the transfer syntax means nothing, there or not.
            if transfers > 1 or (result == 0 and not transfers):
                wrong = "several transfer syntaxes" if transfers else "no transfer syntax"
                item.fault(f"{what} has {wrong}", start, item.end)
