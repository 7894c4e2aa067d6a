"""What a transcript calls itself. Apart from the schema, whose types take long to make."""

from __future__ import annotations

from typing import Final

FORMAT: Final = "dicomsniff.transcript"
"""``format`` of a transcript."""

LINE_FORMAT: Final = "dicomsniff.association"
"""``format`` of a line of ``--ndjson``."""

VERSION: Final = 1
"""``version`` of both: the first number of the promise, not of the program."""
