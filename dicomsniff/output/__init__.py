"""What was rebuilt, written out: rows, transcripts, dumps, objects.

``shapes`` turns model objects into the transcript's JSON values and ``schema`` describes those;
``transcript`` writes them as they end, ``reload`` reads them back. ``info`` and ``timeline`` are
Wireshark's rows, ``dump`` the layout of dcmtk's and pynetdicom's logs, ``extract`` the objects
that C-STOREs carried. ``redact`` decides what of a person may be told, ``djson`` speaks the DICOM
JSON Model. Everything that prints or saves values goes through one ``Redactor``; only ``extract``
does not, because objects are what its user asks for.
"""

from __future__ import annotations

__all__ = ["OutputError"]


class OutputError(Exception):
    """Something could not be written: one line that says what, where, and what to do."""
