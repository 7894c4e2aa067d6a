"""Bytes of a capture as they come: a window that readers look into without copying.

A capture file or a pipe is read in big pieces into one buffer. The hot loops of the capture
readers unpack headers from that buffer in place; scapy's readers, for everything that is rare,
call ``read`` as they would on a file. Both move the same position.

On a pipe a read returns what is there, so a frame is handed over when it arrives and not when a
buffer is full. A pipe can be given up from another thread with ``stop``.
"""

from __future__ import annotations

import os
import select
import stat
import threading
import zlib
from collections.abc import Callable
from typing import Final, Protocol

SILENCE: Final = 1.0
"""Seconds of silence on a pipe after which it is told, again and again."""

CHUNK: Final = 1 << 18
"""Bytes asked for at once: fits a second-level cache; bigger pieces read slower."""

BLOCK_LIMIT: Final = 16 << 20
"""Longest record that is buffered whole. Frames end at 256 KiB; what is longer than this is
name resolution or a damaged length, and is passed over piece by piece."""

PEEK: Final = 1 << 16
"""Bytes of a file looked at to know its interfaces, which are described at the beginning."""

GZIP_MAGIC: Final = b"\x1f\x8b"


class Raw(Protocol):
    """What a stream reads from: an unbuffered file, a pipe, a decompressor."""

    def read(self, size: int, /) -> bytes | None: ...

    def close(self) -> None: ...


class Descriptor:
    """Reads a file descriptor, which it owns. ``stop`` ends a read that waits on a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._stopped = False
        self._reading = False
        self._closed = False
        self.silent: Callable[[float], None] | None = None
        """Called while nothing comes through a pipe, in the thread that reads, with the seconds
        that this has lasted."""
        self._wake: tuple[int, int] | None = None
        self.taken = 0
        """Bytes read so far."""
        if os.name == "posix" and not stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._wake = os.pipe()

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, as many as are there; empty at the end or after ``stop``."""
        with self._lock:
            if self._stopped or self._closed:
                return b""
            self._reading = True
        try:
            if self._wake is not None:
                poll = select.poll()
                poll.register(self._descriptor, select.POLLIN)
                poll.register(self._wake[0], select.POLLIN)
                silence = 0.0
                while not poll.poll(SILENCE * 1000):
                    silence += SILENCE
                    if self.silent is not None:
                        self.silent(silence)
                if self._stopped:
                    return b""
            data = os.read(self._descriptor, size)
            self.taken += len(data)
            return data
        finally:
            with self._lock:
                self._reading = False
                if self._closed:
                    self._release()

    @property
    def stopped(self) -> bool:
        """True once somebody gave it up."""
        return self._stopped or self._closed

    def stop(self) -> None:
        """Make this and every later read return nothing. From any thread."""
        with self._lock:
            if self._stopped or self._closed:
                return
            self._stopped = True
            if self._wake is not None:
                os.write(self._wake[1], b"\0")

    def close(self) -> None:
        """Give the descriptor back, as soon as no thread reads it. From any thread."""
        self.stop()
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if not self._reading:
                self._release()

    def _release(self) -> None:
        descriptors = (self._descriptor, *(self._wake or ()))
        self._wake = None
        for descriptor in descriptors:
            try:
                os.close(descriptor)
            except OSError:
                pass


class Gunzip:
    """Inflates what it reads, as far as that is intact."""

    def __init__(self, raw: Raw, head: bytes = b"") -> None:
        self._raw = raw
        self._pending = head
        self._inflate = zlib.decompressobj(wbits=31)
        self._begun = False
        self.damaged = False
        """True once the compressed data turned out to be corrupt or cut off."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end, or where damage keeps more from being had."""
        while not self.damaged:
            pending = self._pending or self._raw.read(CHUNK) or b""
            self._pending = b""
            if not pending:
                data = self._inflate.decompress(b"", size) if self._begun else b""
                if not data:
                    # gzip ends with a checksum: input that stops before it was cut off.
                    self.damaged = self._begun
                return data
            before = self._inflate.copy()
            self._begun = True
            try:
                data = self._inflate.decompress(pending, size)
            except zlib.error:
                self.damaged = True
                return _salvage(before, pending)
            self._pending = self._inflate.unconsumed_tail
            if self._inflate.eof:
                # Files may be several gzip members one after the other; zeros pad them.
                self._pending = self._inflate.unused_data.lstrip(b"\0")
                self._inflate = zlib.decompressobj(wbits=31)
                self._begun = False
            if data:
                return data
        return b""

    def close(self) -> None:
        """Close what is inflated."""
        self._raw.close()


def _salvage(inflate: zlib._Decompress, data: bytes) -> bytes:
    """What comes out of ``data`` in front of the byte where inflating fails."""
    pieces = []
    for at in range(len(data)):
        try:
            pieces.append(inflate.decompress(data[at : at + 1]))
        except zlib.error:
            break
    return b"".join(pieces)


class Stream:
    """A window on a capture: ``buffer[at:]`` is what was read and not yet used."""

    def __init__(self, raw: Raw, head: bytes = b"") -> None:
        self._raw = raw
        self.buffer: bytes = head
        self.at = 0
        self.ended = False
        """True once there is nothing more to read."""
        self.error: OSError | None = None
        """Why reading failed, where that was why it ended: a disk or a mount that is gone."""

    def fill(self, need: int) -> bool:
        """Have at least ``need`` bytes behind ``at``; False where the capture ends before.

        Moves what is left to the front: positions in the old buffer are void afterwards.
        """
        buffer = self.buffer
        left = len(buffer) - self.at
        if left >= need:
            return True
        read = self._raw.read
        pieces = [buffer[self.at :]] if left else []
        while left < need and not self.ended:
            try:
                piece = read(max(CHUNK, min(need - left, BLOCK_LIMIT)))
            except OSError as error:
                # What was read before is still handed over; whoever reads asks for the cause.
                self.error = error
                piece = b""
            if not piece:
                self.ended = True
                break
            pieces.append(piece)
            left += len(piece)
        self.buffer = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.at = 0
        return left >= need

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes; fewer only at the end. What scapy's readers call."""
        if size < 0:
            size = BLOCK_LIMIT
        self.fill(size)
        data = self.buffer[self.at : self.at + size]
        self.at += len(data)
        return data

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes without using them up; fewer at the end."""
        self.fill(size)
        return self.buffer[self.at : self.at + size]

    def skip(self, size: int) -> bool:
        """Pass over ``size`` bytes without keeping them; False where the capture ends before."""
        while size:
            step = min(size, CHUNK)
            if not self.fill(step):
                self.at = len(self.buffer)
                return False
            self.at += step
            size -= step
        return True

    def close(self) -> None:
        """Close what is read from."""
        self._raw.close()
