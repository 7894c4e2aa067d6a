"""Which files are meant: folders, wildcards, rings of files."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from typing import Final

from dicomsniff.sources import STDIN, SourceError

MAGICS: Final = (
    b"\x0a\x0d\x0d\x0a",  # pcapng
    b"\xd4\xc3\xb2\xa1",  # pcap, in its byte orders and resolutions
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x34\xcd\xb2\xa1",  # pcap as modified for Linux
    b"\xa1\xb2\xcd\x34",
    b"snoop\0\0\0",
    b"RTSS",  # Microsoft Network Monitor 1 and 2
    b"GMBU",
    b"XCP\0",  # NetXray, Sniffer
    b"TRSNIFF data",
)
"""How captures begin."""

COMPRESSED: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")
"""gzip, zstd, lz4: taken for a capture where the name says so too."""

ENDINGS: Final = ("pcap", "pcapng", "cap", "ntar", "snoop", "erf", "dmp")
"""Endings of names, with a number behind them (``ring.pcap0``) and a compression's ending."""


def expand(paths: Sequence[str]) -> list[str]:
    """The files that are meant, each once. Raises ``SourceError`` where there are none."""
    files: list[str] = []
    for path in paths:
        if path != STDIN and os.path.isdir(path):
            found = [each for each in _listed(path) if _is_capture(each)]
            if not found:
                raise SourceError(f"{path}: no captures in this folder")
            files += found
        elif glob.has_magic(path) and not os.path.exists(path):
            found = sorted(each for each in glob.glob(path) if os.path.isfile(each))
            if not found:
                raise SourceError(f"{path}: no file has such a name")
            files += found
        else:
            files.append(path)
    if files.count(STDIN) > 1:
        raise SourceError("stdin: can be read once")
    once: dict[str, str] = {}
    for path in files:
        once.setdefault(path if path == STDIN else os.path.realpath(path), path)
    return list(once.values())


def _listed(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror or error}") from None
    return [os.path.join(folder, name) for name in names if not name.startswith(".")]


def _is_capture(path: str) -> bool:
    """Whether a file in a folder is a capture, by its first bytes."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError:
        # Told when it is opened: somebody wants it read.
        return _is_named_so(path)
    if head.startswith(MAGICS):
        return True
    # ERF has no first bytes of its own.
    return bool(head) and (
        _is_named_so(path) if head.startswith(COMPRESSED) else path.lower().endswith(".erf")
    )


def _is_named_so(path: str) -> bool:
    parts = os.path.basename(path).lower().split(".")[1:]
    return any(part.rstrip("0123456789") in ENDINGS for part in parts)
