"""Keeps what describes an object and measures its bulk, while the data set streams by.

A data set of 2 GB is a few kilobytes of attributes and one value of pixel data. A sieve is fed
the bytes in fragments of any size. Small data sets are held as they are and cost nothing more.
Past :data:`RAW_LIMIT` the sieve walks from element to element: it keeps each header and each
value that people read, and puts a :class:`~dicomsniff.model.Skip` in the place of bulk. What it
keeps does not depend on how the bytes were split.

The walk is flat: nothing but headers one after the other, items and delimiters being headers of
8 bytes, so depth costs nothing. Only two things need memory of where they began: encapsulated
pixel data (PS3.5 A.4), and UN of undefined length, which is implicit VR inside (PS3.5 6.2.2).
Whether it all made sense is told when it is decoded, in :mod:`dicomsniff.dicom.dataset`.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from dicomsniff.dicom.encoding import (
    BULK_VRS,
    EXPLICIT_LITTLE_ENDIAN,
    PIXEL_DATA,
    SHORT_VRS,
    TEXT_VRS,
    UNDEFINED,
    VRS,
    choose,
    deflated,
    is_vr,
    look,
    zlib_wrapped,
)
from dicomsniff.model import DataSetBytes, Fault, Skip

RAW_LIMIT: Final = 8 * 1024
"""A data set up to this size is held as it came. Worklist answers and other identifiers stay
below it and are never walked; headers of images are about this size."""
HELD_LIMIT: Final = 1024 * 1024
"""Bytes kept of one data set. Past it the rest is only measured: the functional groups of a
thousand frames fit, a hostile endless header does not."""
TEXT_LIMIT: Final = 16 * 1024
"""A longer text value is bulk: reports stay readable, embedded files do not fill the memory."""
BINARY_LIMIT: Final = 1024
"""A longer binary or numeric value is bulk: what no transcript may inline is not worth keeping."""
INFLATED_LIMIT: Final = 256 * 1024 * 1024
"""Bytes a deflated data set may inflate to before inflating stops: deflate packs a thousandfold,
and a capture of small bombs must not cost minutes."""
_INFLATE_CHUNK: Final = 64 * 1024
"""Bytes inflated at a time, so that a bomb never stands in memory."""
_DEFLATED_CHUNK: Final = 16 * 1024
"""Deflated bytes taken at a time: so many are gone through one by one where one is bad."""
_ENDLESS: Final = 1 << 62
"""What ``skip`` says when everything that follows is only measured."""

_TEXT: Final = frozenset(vr.encode() for vr in TEXT_VRS)
_BULK: Final = frozenset(vr.encode() for vr in BULK_VRS)
_EXPLICIT_LIMITS: Final = {
    vr: TEXT_LIMIT if vr in _TEXT else BINARY_LIMIT for vr in VRS if vr != b"SQ"
}
_PREAMBLE: Final = 132
"""Bytes before the file meta information of a Part 10 file, which some devices send along."""

_HEADERS: Final = {True: struct.Struct("<HH2sH"), False: struct.Struct(">HH2sH")}
_LENGTHS: Final = {True: struct.Struct("<L"), False: struct.Struct(">L")}

_RAW, _WALK, _INFLATE, _MEASURE = range(4)

LOOKED_AT: Final = 4096
"""Bytes that tell whether a data set is deflated."""


def as_it_came(data: bytes, transfer_syntax: str | None) -> bool:
    """Whether a sieve would do nothing with a whole data set but hold it."""
    return len(data) <= RAW_LIMIT and not (data and deflated(data[:LOOKED_AT], transfer_syntax))


class Sieve:
    """Takes one data set, in order.

    Attributes:
        skip: bytes that may be counted instead of fed. The caller does
            ``sieve.skip -= n; sieve.length += n`` and copies nothing.
        length: bytes of the data set so far, lost ones of a known number included.
    """

    __slots__ = (
        "_complete",
        "_ended",
        "_faults",
        "_held",
        "_implicit_depth",
        "_inflated",
        "_inflated_length",
        "_inflater",
        "_keep",
        "_limit",
        "_meta",
        "_missing_at",
        "_mode",
        "_open",
        "_rest",
        "_skips",
        "_taken_twice",
        "_transfer_syntax",
        "explicit",
        "length",
        "little",
        "skip",
    )

    def __init__(self, transfer_syntax: str | None, *, held_limit: int = HELD_LIMIT) -> None:
        self.skip = 0
        self.length = 0
        self.explicit = True
        self.little = True
        self._transfer_syntax = transfer_syntax
        self._limit = held_limit
        self._mode = _RAW
        self._held = bytearray()
        self._rest = b""
        """The beginning of a header whose end has not come."""
        self._keep = 0
        """Bytes still to come of a value that is kept."""
        self._skips: list[Skip] = []
        self._open: tuple[int, int, int] | None = None
        """Where in held, at what offset and with how many fragments so far: a skip whose
        length shows when it ends."""
        self._implicit_depth = 0
        """Undefined lengths to be delimited before explicit VR goes on behind an UN."""
        self._meta = False
        self._faults: list[Fault] = []
        self._complete = True
        self._missing_at: int | None = None
        self._inflater: zlib._Decompress | None = None
        self._inflated: Sieve | None = None
        self._inflated_length = 0
        self._taken_twice = 0
        """Inflated bytes to drop, since they were taken before an error."""
        self._ended = False

    @property
    def held_length(self) -> int:
        """Bytes kept so far. Shrinks once: when the walk begins, bulk among what was held goes."""
        inner = self._inflated
        return len((inner or self)._held) + len((inner or self)._rest)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self.length += len(data)
        mode = self._mode
        if mode == _RAW:
            held = self._held
            held += data
            if len(held) > RAW_LIMIT:
                self._begin()
        elif mode == _WALK:
            self._walk(data)
        elif mode == _INFLATE:
            self._inflate(data)

    def lost(self, length: int | None) -> None:
        """``length`` bytes are missing from the capture here; None: nobody knows how many.

        Inside a value that is measured the walk goes on behind them. Anywhere else it is not
        known any more where an element begins, and the rest is only measured.
        """
        if length is not None and length <= 0:
            return
        self._complete = False
        if self._mode == _RAW:
            self._begin()
        if self._mode == _INFLATE:
            self._measure()
        if self._missing_at is None:
            cut = 0 if self._open is not None else len(self._rest)
            self._missing_at = len(self._held) + cut
        if length is None:
            if self._mode == _WALK:
                self._measure()
            return
        if self._mode == _WALK and length > self.skip:
            self._measure()
        self.length += length
        self.skip -= length

    def finish(self, complete: bool) -> DataSetBytes:
        """What was kept and measured. ``complete`` is False where the message's end is missing."""
        if self._mode == _RAW and self._wants_inflating():
            self._begin()
        complete = complete and self._complete
        inner = self._inflated
        if inner is not None:
            if complete and not (self._ended or self._faults):
                end = len(inner._held)
                self._faults.append(Fault("the deflated data set ends early", end, end))
            kept = inner.finish(complete)
            missing = len(kept.held) if not complete else None
            return DataSetBytes(
                self.length,
                kept.held,
                kept.skips,
                complete,
                missing,
                True,
                kept.faults + tuple(self._faults),
            )
        held = bytes(self._held) + self._rest
        skips = self._skips
        if self._open is not None:
            at, offset, fragments = self._open
            # A header that was cut inside an encapsulated value belongs to what is measured.
            held = bytes(self._held)
            if self.length > offset:
                skips.append(Skip(at, self.length - offset, fragments))
        elif 0 < self.skip < _ENDLESS:
            last = skips[-1]
            skips[-1] = last._replace(length=last.length - self.skip)
        missing = self._missing_at
        if not complete and missing is None:
            missing = len(held)
        return DataSetBytes(
            self.length, held, tuple(skips), complete, missing, False, tuple(self._faults)
        )

    # ------------------------------------------------------------------ beginning

    def _wants_inflating(self) -> bool:
        return bool(self._held) and deflated(self._held[:LOOKED_AT], self._transfer_syntax)

    def _begin(self) -> None:
        """Leave the raw mode: walk or inflate what was held so far."""
        data = bytes(self._held)
        self._held = bytearray()
        if data and deflated(data[:LOOKED_AT], self._transfer_syntax):
            self._mode = _INFLATE
            self._inflater = zlib.decompressobj(15 if zlib_wrapped(data) else -15)
            self._inflated = Sieve(EXPLICIT_LITTLE_ENDIAN, held_limit=self._limit)
            self._inflate(data)
            return
        self._mode = _WALK
        start = 0
        if data[128:_PREAMBLE] == b"DICM":
            self._held += data[:_PREAMBLE]
            start = _PREAMBLE
        encoding, _guessed = choose(data, start, self._transfer_syntax)
        self.explicit, self.little = encoding
        self._meta = data[start : start + 2] == b"\x02\x00"
        self._walk(data[start:] if start else data)

    def _measure(self) -> None:
        """Only count from here on."""
        if self._mode == _WALK:
            if 0 < self.skip < _ENDLESS and self._open is None:
                # The measured value's own skip grows to the end of everything.
                last = self._skips.pop()
                self._open = (last.at, self.length - (last.length - self.skip), last.fragments)
            elif self._open is None:
                self._held += self._rest
                self._open = (len(self._held), self.length, 0)
        self._rest = b""
        self._keep = 0
        self._mode = _MEASURE
        self.skip = _ENDLESS

    # ------------------------------------------------------------------ deflated data sets

    def _inflate(self, data: bytes) -> None:
        for start in range(0, len(data), _DEFLATED_CHUNK):
            if self._mode != _INFLATE:
                return
            inflater = self._inflater
            assert inflater is not None
            # At an error zlib drops what it inflated in that call: keep a state to go back to,
            # and take the bytes one by one up to the bad one.
            before = inflater.copy()
            length = self._inflated_length
            piece = data[start : start + _DEFLATED_CHUNK]
            try:
                self._pour(inflater, piece)
            except zlib.error:
                self._taken_twice = self._inflated_length - length
                try:
                    for at in range(len(piece)):
                        self._pour(before, piece[at : at + 1])
                except zlib.error:
                    self._give_up("the data set cannot be inflated from here")

    def _pour(self, inflater: zlib._Decompress, data: bytes) -> None:
        """Inflate ``data`` into the inner sieve, a bounded piece at a time."""
        inner = self._inflated
        assert inner is not None
        while True:
            out = inflater.decompress(data, _INFLATE_CHUNK)
            data = inflater.unconsumed_tail
            full = len(out) == _INFLATE_CHUNK
            if self._taken_twice:
                twice = min(self._taken_twice, len(out))
                self._taken_twice -= twice
                out = out[twice:]
            self._inflated_length += len(out)
            inner.feed(out)
            if inflater.eof:
                self._ended = True
                self._measure()
                return
            if self._inflated_length > INFLATED_LIMIT:
                self._give_up(f"inflated to {INFLATED_LIMIT:,} bytes; the rest is not inflated")
                return
            if not data and not full:
                return

    def _give_up(self, text: str) -> None:
        assert self._inflated is not None
        end = self._inflated.held_length
        self._faults.append(Fault(text, end, end))
        self._measure()

    # ------------------------------------------------------------------ walking

    def _walk(self, data: bytes) -> None:
        skip = self.skip
        if skip:
            if len(data) <= skip:
                self.skip = skip - len(data)
                return
            data = data[skip:]
            self.skip = 0
        if self._rest:
            data = self._rest + data
            self._rest = b""
        held = self._held
        end = len(data)
        run = 0  # where the bytes begin that are kept and not copied yet
        pos = self._keep
        if pos > end:
            held += data
            self._keep = pos - end
            return
        self._keep = 0
        little = self.little
        header = _HEADERS[little].unpack_from
        long = _LENGTHS[little].unpack_from
        while True:
            if self._open is not None:
                pos = run = self._encapsulated(data, pos)
                if self._open is not None:
                    break
            if end - pos < 8:
                break
            group, number, vr, length = header(data, pos)
            if group == 0xFFFE:
                if number == 0xE0DD and self._implicit_depth:
                    self._implicit_depth -= 1
                pos += 8
                continue
            if self._meta and group != 2:
                # File meta information is explicit VR little endian; what follows need not be.
                self._meta = False
                seen = look(data, pos)
                if seen is not None and seen != (self.explicit, little):
                    self.explicit, self.little = seen
                    little = seen.little
                    header, long = _HEADERS[little].unpack_from, _LENGTHS[little].unpack_from
                    continue
            if self.explicit and (not self._implicit_depth or vr in VRS):
                value = pos + 8
                if vr not in SHORT_VRS and (vr in VRS or (is_vr(vr) and length == 0)):
                    if end - pos < 12:
                        break
                    length = long(data, value)[0]
                    value += 4
                elif vr not in SHORT_VRS and not is_vr(vr):
                    vr, length = _implicit(group, number), long(data, pos + 4)[0]
            else:
                value = pos + 8
                length = long(data, pos + 4)[0]
                # The dictionary is asked only where the answer matters.
                vr = _implicit(group, number) if length > BINARY_LIMIT else b"UN"
            if value - run + len(held) > self._limit:
                held += data[run:pos]
                at = len(held)
                text = f"more than {self._limit:,} bytes of attributes; the rest is only measured"
                self._faults.append(Fault(text, at, at))
                self._open = (at, self.length - (end - pos), 0)
                self._mode = _MEASURE
                self.skip = _ENDLESS
                return
            if length == UNDEFINED:
                if vr in _BULK and (vr != b"UN" or group == 0x7FE0):
                    held += data[run:value]
                    run = value
                    self._open = (len(held), self.length - (end - value), 0)
                elif self.explicit and (self._implicit_depth or vr == b"UN"):
                    self._implicit_depth += 1
                pos = value
                continue
            if vr == b"SQ":
                pos = value
                continue
            pos = value + length
            if length > _EXPLICIT_LIMITS.get(vr, BINARY_LIMIT):
                held += data[run:value]
                self._skips.append(Skip(len(held), length, 0))
                run = pos
                if pos > end:
                    self.skip = pos - end
                    return
            elif pos > end:
                held += data[run:]
                self._keep = pos - end
                return
        held += data[run:pos]
        self._rest = data[pos:]

    def _encapsulated(self, data: bytes, pos: int) -> int:
        """Measure the items of an encapsulated value; the offset where walking goes on."""
        opened = self._open
        assert opened is not None
        at, offset, fragments = opened
        header = _HEADERS[self.little].unpack_from
        long = _LENGTHS[self.little].unpack_from
        end = len(data)
        while end - pos >= 8:
            group, number, _, _ = header(data, pos)
            length = long(data, pos + 4)[0]
            if group == 0xFFFE and number == 0xE000 and length != UNDEFINED:
                fragments += 1
                pos += 8 + length
                if pos > end:
                    self.skip = pos - end
                    pos = end
                    break
            elif group == 0xFFFE and number == 0xE0DD:
                pos += 8
                self._skips.append(Skip(at, self.length - (end - pos) - offset, fragments))
                self._open = None
                return pos
            else:
                text = "an encapsulated value holds something that is not an item"
                self._faults.append(Fault(text, at, at))
                self._open = (at, offset, fragments)
                self._mode = _MEASURE
                self.skip = _ENDLESS
                return end
        self._open = (at, offset, fragments)
        return pos


def _implicit(group: int, number: int) -> bytes:
    """The VR that the dictionary has for an element, as bytes; ``UN`` where it has none."""
    tag = group << 16 | number
    if tag == PIXEL_DATA:
        return b"OW"
    from dicomsniff.dicom.elements import entry

    found = entry(tag)
    return found.vr.encode("ascii")[:2] if found is not None else b"UN"
