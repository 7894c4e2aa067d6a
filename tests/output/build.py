"""Small associations made by hand, for what no real tool can be brought to say."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping
from pathlib import Path

from dicomsniff.analysis import pipeline as pipelines
from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.dicom.command import decode_command, make_message
from dicomsniff.dicom.conversation import Hears, Tap
from dicomsniff.dicom.names import COMMAND_ELEMENTS
from dicomsniff.model import (
    Association,
    DataSetBytes,
    Entry,
    Message,
    Operation,
    Peer,
    PresentationContext,
    Side,
)
from dicomsniff.output.redact import Redactor
from dicomsniff.output.transcript import TranscriptWriter
from dicomsniff.sources import open_capture

CT = "1.2.840.10008.5.1.4.1.1.2"
WORKLIST = "1.2.840.10008.5.1.4.31"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BEGAN = 1_767_600_900_123_456_789
"""2026-01-05T08:15:00.123456789Z"""

HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What commands a terminal, turns the order of text round, or cannot be written."""


def association(
    number: int = 1, *, syntax: str | None = EXPLICIT, sop_class: str = CT
) -> Association:
    """FLC1270 and MOZI with one accepted context, nothing said yet."""
    made = Association(
        number,
        Peer("192.0.2.1", 40000, "FLC1270"),
        Peer("192.0.2.2", 104, "MOZI"),
        BEGAN,
        BEGAN,
    )
    made.contexts[1] = PresentationContext(1, sop_class, (IMPLICIT, EXPLICIT), 0, syntax)
    return made


def command(values: Mapping[int, int | str]) -> bytes:
    """The bytes of a command set (implicit VR little endian) of element numbers and values."""
    data = b""
    for tag, value in sorted(values.items()):
        if isinstance(value, int):
            vr = COMMAND_ELEMENTS[tag][0]
            content = struct.pack("<L" if vr == "UL" else "<H", value)
        else:
            content = value.encode()
            content += b" " * (len(content) % 2)
        data += struct.pack("<HHL", 0, tag, len(content)) + content
    return struct.pack("<HHLL", 0, 0, 4, len(data)) + data


def message(values: Mapping[int, int | str], context: PresentationContext) -> Message:
    """A message of a command set, as the assembler makes it."""
    data = command(values)
    elements, faults = decode_command(data)
    assert not [fault for fault in faults if "Group Length" not in fault.text]
    return make_message(context.id, elements, data, context)


def store(
    of: Association, uid: str | None = "1.2.3.4", message_id: int = 1, sop_class: str = CT
) -> Message:
    """A C-STORE request."""
    values: dict[int, int | str] = {
        0x0002: sop_class,
        0x0100: 0x0001,
        0x0110: message_id,
        0x0700: 0,
        0x0800: 0x0102,
    }
    if uid is not None:
        values[0x1000] = uid
    return message(values, of.contexts[1])


def entry(
    of: Association,
    said: Mapping[int, int | str] | Message,
    sender: Side = "requestor",
    *,
    dataset: bytes | None = None,
) -> Entry:
    """Add a message to an association's timeline."""
    made = said if isinstance(said, Message) else message(said, of.contexts[1])
    made.fragment_count = 1
    if dataset is not None:
        made.dataset = DataSetBytes(len(dataset), dataset)
        made.fragment_count = 2
    number = len(of.timeline) + 1
    time = BEGAN + number * 1_000_001
    row = Entry(
        number, made.kind, sender, time, time - 1000, (number,), 1, number, len(made.command_bytes)
    )
    row.message = made
    of.timeline.append(row)
    of.ended = time
    return row


def operation(of: Association, request: Entry, *responses: Entry) -> Operation:
    """Add an operation to an association."""
    message = request.message
    assert message is not None
    made = Operation(
        message.service,
        message.message_id,
        message.context_id,
        message.sop_class,
        request.sender,
        request,
        list(responses),
    )
    if responses and responses[-1].message is not None:
        made.status = responses[-1].message.status
    of.operations.append(made)
    return made


def run(path: Path, *listeners: Hears, tap: Tap | None = None) -> Pipeline:
    """Send a capture through the pipeline to several listeners."""
    pipeline = Pipeline(listener=_All(listeners), tap=tap)
    pipelines.run(open_capture(str(path), reader="scapy"), pipeline)
    return pipeline


class Kept(Listener):
    """Keeps associations that ended."""

    def __init__(self) -> None:
        self.associations: list[Association] = []

    def association_ended(self, association: Association) -> None:
        self.associations.append(association)


class _All(Listener):
    def __init__(self, listeners: tuple[Hears, ...]) -> None:
        self.listeners = listeners

    def association_began(self, association: Association) -> None:
        for listener in self.listeners:
            listener.association_began(association)

    def entry_added(self, association: Association, entry: Entry) -> None:
        for listener in self.listeners:
            listener.entry_added(association, entry)

    def association_ended(self, association: Association) -> None:
        for listener in self.listeners:
            listener.association_ended(association)


def transcript(path: Path, *, ndjson: bool = False, redactor: Redactor | None = None) -> bytes:
    """The transcript of a capture."""
    stream = io.BytesIO()

    class Write(Listener):
        writer: TranscriptWriter

        def association_ended(self, association: Association) -> None:
            self.writer.association(association)

    listener = Write()
    pipeline = Pipeline(listener=listener)
    source = open_capture(str(path), reader="scapy")
    pipeline.info.source, pipeline.info.reader = source.name, source.reader
    listener.writer = TranscriptWriter(
        stream, redactor or Redactor(), info=pipeline.info, ndjson=ndjson
    )
    pipelines.run(source, pipeline)
    with listener.writer as writer:
        writer.finish(pipeline.info, pipeline.findings)
    return stream.getvalue()
