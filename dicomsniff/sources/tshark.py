"""Finding tshark, without the cost of importing pyshark or of running tshark."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Final

PLACES: Final = {
    "darwin": ("/Applications/Wireshark.app/Contents/MacOS",),
    "win32": (
        os.path.join(os.environ.get("PROGRAMFILES", r"C:\Program Files"), "Wireshark"),
        os.path.join(os.environ.get("PROGRAMFILES(X86)", r"C:\Program Files (x86)"), "Wireshark"),
    ),
}
"""Folders that hold Wireshark's programs without being on the search path."""

PATIENCE: Final = 10.0
"""Seconds until a tshark that was killed, or that closed its output, must have ended."""


def find_tshark(program: str = "tshark") -> str | None:
    """The path of tshark (or of another program of Wireshark), None where it is not installed."""
    found = shutil.which(program)
    if found is not None:
        return found
    for folder in PLACES.get(sys.platform, ()):
        found = shutil.which(program, path=folder)
        if found is not None:
            return found
    return None
