"""Data sets of a long association, on disk until it ends.

What an association was good for is known when it ends, and until then all of its messages are
kept. A query may have a hundred thousand answers on one association, a store for weeks as many
objects: of those that came a while ago the data sets are put into a temporary file, and read back
when somebody looks into them.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Hashable
from dataclasses import replace
from operator import attrgetter
from typing import Any, Final, cast

from dicomsniff.model import (
    Association,
    DataSetBytes,
    Entry,
    Fault,
    Fragment,
    Message,
    Skip,
)

KEPT: Final = 1024
"""Latest entries of an association whose data sets stay in memory: nearly all have fewer."""
LEAST: Final = 64
"""Bytes of a data set that is worth it: what stands for it takes as many."""
TOGETHER: Final = 1 << 16
"""Bytes written at once."""
LIKES: Final = 1024
"""Messages kept to stand for all that are the same but for their data sets. Requests have numbers
of their own, and then nothing is put away."""
LENGTHS: Final = 1024
"""Lengths of entries of which one number stands for all that are equal."""


class Stowed:
    """A data set that was put away, in the place of its :class:`DataSetBytes`: whole, without
    bulk, faults or notes."""

    __slots__ = ("_place", "_stow")

    def __init__(self, stow: Stow, place: int) -> None:
        self._stow = stow
        self._place = place

    skips: tuple[Skip, ...] = ()
    complete = True
    missing_at: int | None = None
    inflated = False
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def held(self) -> bytes:
        """Its bytes."""
        return self._stow.read(self._place >> _BITS, self._place & _LENGTH)

    @property
    def length(self) -> int:
        """How many they are."""
        return self._place & _LENGTH

    def taken(self) -> DataSetBytes:
        """It as it was."""
        held = self.held
        return DataSetBytes(len(held), held)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, or one for another process, is the data set itself.
        return DataSetBytes, tuple(self.taken())

    def __eq__(self, other: object) -> bool:
        return self.taken() == (other.taken() if isinstance(other, Stowed) else other)

    def __hash__(self) -> int:
        return hash(self.taken())


class StowedMessage:
    """A message whose data set was put away, in the place of its :class:`Message`. Of messages
    that are the same but for their data sets all else is kept once."""

    __slots__ = ("_like", "_place", "_stow")

    def __init__(self, like: Message, stow: Stow, place: int) -> None:
        self._like = like
        self._stow = stow
        self._place = place

    kind = property(attrgetter("_like.kind"))
    service = property(attrgetter("_like.service"))
    is_request = property(attrgetter("_like.is_request"))
    context_id = property(attrgetter("_like.context_id"))
    command = property(attrgetter("_like.command"))
    command_bytes = property(attrgetter("_like.command_bytes"))
    abstract_syntax = property(attrgetter("_like.abstract_syntax"))
    transfer_syntax = property(attrgetter("_like.transfer_syntax"))
    transfer_syntax_guessed = property(attrgetter("_like.transfer_syntax_guessed"))
    message_id = property(attrgetter("_like.message_id"))
    status = property(attrgetter("_like.status"))
    sop_class = property(attrgetter("_like.sop_class"))
    sop_instance = property(attrgetter("_like.sop_instance"))
    fragment_count = property(attrgetter("_like.fragment_count"))
    alike = property(attrgetter("_like.alike"))
    chunks: tuple[tuple[int, int], ...] = ()
    """Only a screen asks for them, and a screen keeps what it shows."""

    @property
    def dataset(self) -> Stowed:
        """Its data set."""
        return Stowed(self._stow, self._place)

    @property
    def packed_fragments(self) -> bytes:
        """As :class:`Message` has them."""
        behind = (self._place >> _BITS) + (self._place & _LENGTH)
        return self._stow.read(behind, len(self._like.packed_fragments))

    @property
    def fragments(self) -> tuple[Fragment, ...]:
        """As :class:`Message` has them."""
        return replace(self._like, packed_fragments=self.packed_fragments).fragments

    def taken(self) -> Message:
        """It as it was."""
        return replace(
            self._like, dataset=self.dataset.taken(), packed_fragments=self.packed_fragments
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return replace, (self.taken(),)


_LENGTH: Final = 0xFFFFF
_BITS: Final = 20


class Stow:
    """Takes the data sets of one association. The file has no name, and goes with the process."""

    def __init__(self) -> None:
        self._file: int | None = None
        """Its descriptor; closed when nothing stands in it any more that somebody holds."""
        self._written = 0
        """Bytes in the file."""
        self._waiting = bytearray()
        """Those that come behind them."""
        self._latest = ((0, 0), b"")
        """What was read last, and where it stands: it is asked for several times."""
        self._full = False
        """There is no room: everything else stays in memory."""
        self._likes: dict[Hashable, Message] = {}
        """Messages without data sets, by all that they have in common with others."""
        self._lengths: dict[int, int] = {}

    def take(self, association: Association) -> None:
        """Another entry was added to a timeline: put that away which came :data:`KEPT` before."""
        timeline = association.timeline
        if len(timeline) > KEPT and not self._full:
            self._put(timeline[-KEPT - 1])

    def _put(self, entry: Entry) -> None:
        message = entry.message
        if message is None or message.dataset is None or message.transfer_syntax is None:
            # What was negotiated for it may still be heard of.
            return
        data = message.dataset
        held = data.held
        size = len(held)
        if (
            not LEAST <= size == data.length <= _LENGTH
            or data.skips
            or not data.complete
            or data.missing_at is not None
            or data.inflated
            or data.faults
            or data.notes
        ):
            return
        key = (message.alike, len(message.packed_fragments))
        like = self._likes.get(key)
        if like is None:
            if len(self._likes) >= LIKES:
                return
            like = self._likes[key] = replace(message, dataset=None, chunks=())
        if len(self._waiting) >= TOGETHER and not self._write():
            return
        place = (self._written + len(self._waiting)) << _BITS | size
        self._waiting += held
        self._waiting += message.packed_fragments
        entry.message = cast("Message", StowedMessage(like, self, place))
        # Numbers that are equal are kept once.
        if len(self._lengths) < LENGTHS:
            entry.length = self._lengths.setdefault(entry.length, entry.length)
        else:
            entry.length = self._lengths.get(entry.length, entry.length)
        if entry.began == entry.time:
            entry.began = entry.time
        if entry.frames == (entry.last_frame,):
            entry.frames = (entry.last_frame,)

    def read(self, at: int, size: int) -> bytes:
        """What was put there."""
        if self._latest[0] != (at, size):
            self._latest = (at, size), self._read(at, size)
        return self._latest[1]

    def _read(self, at: int, size: int) -> bytes:
        pieces = []
        if self._file is not None and at < self._written:
            os.lseek(self._file, at, os.SEEK_SET)
            # A write that failed may have ended anywhere.
            left = min(size, self._written - at)
            while left > 0 and (piece := os.read(self._file, left)):
                pieces.append(piece)
                left -= len(piece)
                at += len(piece)
                size -= len(piece)
        if size:
            at -= self._written
            pieces.append(bytes(self._waiting[at : at + size]))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _write(self) -> bool:
        """Write what waits; False where there is no room, and then it goes on waiting."""
        try:
            if self._file is None:
                self._file = _unnamed()
                weakref.finalize(self, os.close, self._file)
            os.lseek(self._file, self._written, os.SEEK_SET)
            while self._waiting:
                done = os.write(self._file, self._waiting)
                self._written += done
                del self._waiting[:done]
        except OSError:
            self._full = True
        return not self._full


def _unnamed() -> int:
    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())
