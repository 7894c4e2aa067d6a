"""Events: each row of a timeline as a line of JSON, the moment it is complete.

A line stands for itself: it says which association it belongs to and who speaks. It passes the
same redactor as a transcript does, and holds the same entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, cast

import dicomsniff
from dicomsniff.model import Association, CaptureInfo, Entry
from dicomsniff.output.lines import text
from dicomsniff.output.redact import Redactor
from dicomsniff.output.shapes import Shaper
from dicomsniff.output.transcript import undisturbed

if TYPE_CHECKING:
    from dicomsniff.output import schema


class EventWriter:
    """Writes events to a binary stream, each flushed."""

    def __init__(self, stream: BinaryIO, redactor: Redactor, *, info: CaptureInfo) -> None:
        self._stream = stream
        self._shaper = Shaper(redactor)
        self._info = info

    def entry(self, association: Association, entry: Entry) -> None:
        """Write a row that was added to an association's timeline."""
        line = text(self._event(association, entry), compact=True) + b"\n"
        with undisturbed():
            self._stream.write(line)
            self._stream.flush()

    def _event(self, association: Association, entry: Entry) -> schema.Event:
        shaper = self._shaper
        return {
            "format": "dicomsniff.event",
            "version": 1,
            "generator": {"name": "dicomsniff", "version": dicomsniff.__version__},
            "capture": shaper.line_capture(self._info),
            "association": {
                "id": association.id,
                "started": shaper.time(association.started),
                "outcome": association.outcome,
                "partial": association.partial,
                "requestor": shaper.speaker(association.requestor),
                "acceptor": shaper.speaker(association.acceptor),
            },
            "entry": shaper.entry(association, entry),
            "redaction": cast("schema.Redaction", shaper.redactor.summary()),
        }
