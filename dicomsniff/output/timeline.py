"""The timeline as text, in Wireshark's columns, one row a message."""

from __future__ import annotations

from functools import lru_cache

from dicomsniff.model import Association, Entry
from dicomsniff.output.info import info

HEADER = f"{'No.':>7} {'Time':>12} {'Source':<15} {'Destination':<15} Protocol {'Length':>9} Info"


def row(association: Association, entry: Entry, first: int) -> str:
    """One row. ``first`` is the time of the capture's first frame, in nanoseconds.

    Length is that of the PDU or the whole message, where Wireshark shows its last frame's.
    """
    seconds, rest = divmod(entry.time - first, 1_000_000_000)
    source, destination = association.requestor.address, association.acceptor.address
    if entry.sender != "requestor":
        source, destination = destination, source
    # Not an f-string, which takes twice as long for numbers of a given width.
    return "%7d %5d.%06d %s %9d %s" % (  # noqa: UP031
        entry.last_frame,
        seconds,
        rest // 1000,
        _parties(source, destination, "TLS" if entry.kind == "TLS" else "DICOM"),
        entry.length,
        info(association, entry),
    )


@lru_cache(maxsize=1024)
def _parties(source: str, destination: str, protocol: str) -> str:
    """The columns that are the same in row after row."""
    return f"{source:<15} {destination:<15} {protocol:<8}"
