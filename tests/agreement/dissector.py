"""What tshark's DICOM dissector makes of a capture: the oracle, told in our words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from dicomsniff.analysis.agreement import PDU_KINDS
from dicomsniff.dicom.names import COMMAND_FIELDS
from dicomsniff.sources.dissector import Dissected, dissect
from tests.support import require


class Told(NamedTuple):
    """A PDU or message: kind, ports of sender and receiver, and of a message its context, ID and
    status."""

    kind: str
    way: tuple[int, int]
    context_id: int | None = None
    message_id: int | None = None
    status: int | None = None


class Theirs(NamedTuple):
    told: list[Told]
    rows: list[str]
    """The Info column, a row a PDU."""
    dissected: Dissected


def oracle(path: Path, ports: Iterable[int], *options: str) -> Theirs:
    """tshark on a capture whose ``ports`` speak DICOM, with its default settings."""
    require("tshark")
    found = dissect(str(path), ports, *options)
    told = []
    for each in found.shown:
        way = each.ends[0].port, each.ends[1].port
        if each.command is not None:
            kind = COMMAND_FIELDS.get(each.command, "UNDECODED")
            told.append(Told(kind, way, each.context_id, each.message_id, each.status))
        elif each.pdu in PDU_KINDS:
            told.append(Told(PDU_KINDS[each.pdu], way))
    return Theirs(told, [row for rows in found.rows.values() for row in rows], found)
