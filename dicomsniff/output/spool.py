"""Bytes that wait to be copied out: in memory while they are few, then in a temporary file.

Not ``tempfile.SpooledTemporaryFile``, because what was written since a mark must be taken back
even where the disk is full, and a buffered file cannot forget what it failed to write.
"""

from __future__ import annotations

import io
import tempfile
from typing import BinaryIO

HELD = 4 << 20
"""Bytes kept in memory before a temporary file takes them: most transcripts are smaller, and need
no file at all."""


class Spool:
    """Takes bytes, gives them back in order. The file has no name and goes with the process."""

    def __init__(self, held: int | None = None) -> None:
        self._limit = HELD if held is None else held
        self._held = bytearray()
        self._file: io.FileIO | None = None
        self._spilled = 0
        """Bytes in the file."""

    def __len__(self) -> int:
        return self._spilled + len(self._held)

    def write(self, data: bytes) -> None:
        """Take bytes; ``OSError`` where there is no room for them."""
        self._held += data
        if len(self._held) > self._limit:
            self._spill()

    def cut(self, length: int) -> None:
        """Forget everything behind the first ``length`` bytes."""
        if length >= self._spilled:
            del self._held[length - self._spilled :]
        else:
            self._held.clear()
            self._spilled = length
        if self._file is not None:
            # Also what a write that failed has left behind.
            self._file.seek(self._spilled)
            self._file.truncate()

    def empty_into(self, stream: BinaryIO) -> None:
        """Copy everything out, and begin anew."""
        if self._file is not None:
            self._file.seek(0)
            while piece := self._file.read(1 << 18):
                _write(stream, piece)
        _write(stream, bytes(self._held))
        self.cut(0)

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._held.clear()
        self._spilled = 0

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by close
        view = memoryview(self._held)
        try:
            done = 0
            while done < len(view):
                done += self._file.write(view[done:])
        finally:
            view.release()
        self._spilled += done
        self._held.clear()


def _write(stream: BinaryIO, data: bytes) -> None:
    """All of it: without a buffer (PYTHONUNBUFFERED) a signal ends a write half-way."""
    view = memoryview(data)
    while view:
        written = stream.write(view)
        view = view[len(view) if written is None else written :]
