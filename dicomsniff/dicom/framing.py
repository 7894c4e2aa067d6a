"""One direction's ordered bytes, cut into PDUs and presentation data values (PS3.8 9.3).

P-DATA-TF is the only PDU that may be long, so it is never collected: its presentation data values
are handed on as they stream by. Every other PDU is collected whole and handed on as bytes.

Lost bytes have a known size. As long as they lie inside of a value or PDU whose length is known,
the framer stays in step. Where a header was lost it looks for the next PDU that can be trusted
(:mod:`dicomsniff.dicom.search`). The same search finds the beginning of a conversation that was
under way when capture began.
"""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import Protocol

from dicomsniff.dicom.search import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_FIXED,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    P_DATA,
    PDU_LIMIT,
    STEP,
    Search,
    starts_association,
)
from dicomsniff.dicom.track import Track

__all__ = [
    "PDU_LIMIT",
    "RAW_LIMIT",
    "UNKNOWN_LIMIT",
    "Framer",
    "Sink",
    "Track",
    "starts_association",
]

SHORT_PDU_LIMIT = 64 * 1024
"""Longest PDU collected of the types that have four bytes: past that it is not one of them."""

UNKNOWN_LIMIT = 16 * 1024 * 1024
"""Longest PDU of an unknown type that is skipped by its own length."""

RAW_LIMIT = 64 * 1024
"""Bytes of an undecoded stretch that are kept to be looked at."""

_HEADER = Struct(">BBI")
_VALUE_HEADER = Struct(">IBB")
_BOTH = Struct(">BxIIBB")
"""Header of a P-DATA-TF and of its first value: type, length; length, context, control."""


class Sink(Protocol):
    """What a framer hands things to, in the order of the stream."""

    def pdu(self, data: bytes, complete: bool, track: Track) -> None:
        """A whole PDU of any type but P-DATA-TF, header included; all that was seen of it."""

    def value(
        self, context_id: int, control: int, length: int, pdu_length: int | None, track: Track
    ) -> None:
        """A presentation data value begins; ``length`` bytes of it follow. ``pdu_length`` where
        it is the first of its P-DATA-TF; the track counts the header bytes."""

    def value_data(self, data: bytes, frame: int, time: int) -> None:
        """Bytes of the value."""

    def value_lost(self, length: int) -> None:
        """Bytes of the value that the capture does not hold."""

    def value_end(self, whole: bool) -> None:
        """The value is over; not ``whole`` where its PDU ended before it. A value that the end of
        the stream cuts off is never over."""

    def whole_value(
        self, context_id: int, control: int, data: bytes, pdu_length: int | None, track: Track
    ) -> None:
        """A presentation data value that was at hand whole: ``value``, ``value_data`` and
        ``value_end`` in one. The track counts ``data``, which its last frame holds, too."""

    def missing(self) -> None:
        """Nobody knows what stood here: values of any message may be among it."""

    def undecoded(self, data: bytes, reason: str, track: Track) -> None:
        """Bytes that are not understood; ``data`` holds at most the first ``RAW_LIMIT``."""


# What a framer expects next.
_SEARCH, _PDU_HEADER, _BODY, _VALUE, _DATA, _SKIP = range(6)


class Framer:
    """Cuts one direction into PDUs. ``feed`` and ``gap`` take the stream as it comes."""

    __slots__ = (
        "_backlog",
        "_body",
        "_body_left",
        "_buffer",
        "_junk",
        "_junk_reason",
        "_pdu_left",
        "_pdu_length",
        "_search",
        "_sink",
        "_state",
        "_track",
        "_usual",
        "_value_left",
        "_value_whole",
        "found",
        "searched",
    )

    def __init__(self, sink: Sink, *, searching: bool = False) -> None:
        """``searching``: the stream begins in the middle of something."""
        self._sink = sink
        self._state = _SEARCH if searching else _PDU_HEADER
        self._buffer = b""
        """Bytes of a header not yet whole."""
        self._search: Search | None = Search() if searching else None
        self._backlog: deque[tuple[bytes, int, int, bool, bool]] | None = None
        """Bytes that were searched and are to be cut: (bytes, frame, time, whether they begin a
        segment, whether they end one)."""
        self._track = Track()
        """Of the header bytes in the buffer, or of the PDU being collected."""
        self._body = bytearray()
        self._body_left = 0
        self._pdu_left = 0
        """Bytes of the P-DATA-TF behind what was read."""
        self._pdu_length: int | None = None
        """Of the P-DATA-TF whose first value has not begun."""
        self._value_left = 0
        self._value_whole = True
        """False where the value is longer than its P-DATA-TF."""
        self._usual = 0
        """Length of the longest P-DATA-TF so far: a sender fills all but its last."""
        self._junk = bytearray()
        self._junk_reason = ""
        self.searched = 0
        """Bytes given up in searching since the last PDU was found."""
        self.found = not searching
        """True once a PDU was found."""

    # -------------------------------------------------------------- bytes in

    def feed(self, data: bytes, frame: int, time: int) -> None:
        """Take the next bytes of the stream."""
        length = len(data)
        if self._state == _DATA and length < self._value_left:
            # The usual case by far: the middle of a long value.
            self._value_left -= length
            self._sink.value_data(data, frame, time)
            return
        at = 0
        if self._state == _PDU_HEADER and not self._buffer and data:
            # The next usual one: a PDU in a segment of its own.
            at = self._pdu_at_hand(data, 0, frame, time)
            if at == length:
                return
        self._cut(data, frame, time, at)
        if self._backlog:
            self._drain()

    def _drain(self) -> None:
        """Cut what a search kept, from the PDU on that it found."""
        backlog = self._backlog
        while backlog:
            data, frame, time, begins, ends = backlog.popleft()
            self._cut(data, frame, time, 0, begins, ends)

    def _cut(
        self, data: bytes, frame: int, time: int, at: int, begins: bool = True, ends: bool = True
    ) -> None:
        """Cut bytes from ``at`` on; whether they begin a segment, and whether they end one."""
        length = len(data)
        while at < length:
            state = self._state
            if state == _DATA:
                take = min(self._value_left, length - at)
                self._value_left -= take
                self._sink.value_data(data[at : at + take], frame, time)
                at += take
                if not self._value_left:
                    self._value_over()
            elif state in (_PDU_HEADER, _VALUE):
                if not self._buffer:
                    taken = (
                        self._pdu_at_hand(data, at, frame, time)
                        if state == _PDU_HEADER
                        else self._value_at_hand(data, at, frame, time)
                    )
                    if taken:
                        at += taken
                        continue
                take = min(6 - len(self._buffer), length - at)
                if state == _VALUE:
                    take = min(take, self._pdu_left)
                    self._pdu_left -= take
                self._buffer += data[at : at + take]
                self._track.add(take, frame, time)
                at += take
                if len(self._buffer) == 6:
                    if state == _PDU_HEADER:
                        self._pdu_header()
                    else:
                        self._value_header()
                elif state == _VALUE and not self._pdu_left:
                    self._short_value()
            elif state == _BODY:
                take = min(self._body_left, length - at)
                self._body += data[at : at + take]
                self._body_left -= take
                self._track.add(take, frame, time)
                at += take
                if not self._body_left:
                    self._pdu_over(True)
            elif state == _SKIP:
                take = min(self._pdu_left, length - at)
                self._keep_junk(data[at : at + take], frame, time)
                self._pdu_left -= take
                at += take
                if not self._pdu_left:
                    self._junk_over()
                    self._state = _PDU_HEADER
            else:
                search = self._search
                assert search is not None
                first = begins and not at
                piece = data[at : at + STEP]
                at += len(piece)
                over = ends and at == length
                if search.add(piece, frame, time, first, over):
                    self._resume(search, data[at:], frame, time, over, ends)
                    return
                self._give_up(search)

    @property
    def inside_value(self) -> int:
        """How many of the next bytes are of the present value, and not its last one."""
        return self._value_left - 1 if self._state == _DATA else 0

    def skip(self, length: int) -> None:
        """So many of them were counted instead of fed."""
        self._value_left -= length

    def gap(self, length: int) -> None:
        """The next ``length`` bytes were not captured."""
        state = self._state
        if state == _SEARCH:
            self._search_over(False)
            state = self._state
            if state == _SEARCH:
                self._sink.missing()
                return
        if state == _DATA:
            lost = min(length, self._value_left)
            self._sink.value_lost(lost)
            self._value_left -= lost
            length -= lost
            if not self._value_left:
                self._value_over()
            if not length:
                return
            state = self._state
        if state == _BODY:
            inside = length <= self._body_left
            left = self._body_left - length
            self._pdu_over(False)
            if not inside:
                self._lose_step()
            elif left:
                self._pdu_left = left
                self._junk_reason = "the rest of a PDU of which bytes are missing"
                self._state = _SKIP
            return
        if state in (_VALUE, _SKIP):
            self._drop_header()
            if state == _VALUE:
                self._sink.missing()
            if length < self._pdu_left:
                self._pdu_left -= length
                self._junk_reason = "values of a P-DATA-TF whose headers are missing"
                self._state = _SKIP
                return
            if length == self._pdu_left:
                self._junk_over()
                self._state = _PDU_HEADER
                return
        self._lose_step()

    def end(self) -> None:
        """Nothing more comes: hand on what is unfinished."""
        state = self._state
        if state == _PDU_HEADER and not self._buffer:
            return
        if state == _SEARCH:
            self._search_over(True)
            state = self._state
            if state == _SEARCH:
                return
        if state == _BODY:
            self._pdu_over(False)
        self._value_left = self._pdu_left = 0
        self._drop_header()
        self._junk_over()
        self._state = _PDU_HEADER

    @property
    def kept(self) -> int:
        """Bytes taken and not handed on yet."""
        return self._track.length + (len(self._search) if self._search is not None else 0)

    @property
    def searching(self) -> bool:
        """True where the next PDU is looked for."""
        return self._state == _SEARCH

    @property
    def inside(self) -> bool:
        """True in the middle of a PDU."""
        return self._state != _PDU_HEADER or bool(self._buffer)

    # -------------------------------------------------------------- what is at hand

    def _pdu_at_hand(self, data: bytes, at: int, frame: int, time: int) -> int:
        """Read the PDU that begins at ``at`` where it stands: of a P-DATA-TF both headers, and its
        first value where that is whole; any other PDU where it is whole. How many bytes that were;
        0: it has to be collected, byte by byte."""
        rest = len(data) - at
        length: int
        if data[at] != P_DATA:
            if rest < _HEADER.size:
                return 0
            kind, _, length = _HEADER.unpack_from(data, at)
            if (
                length > rest - 6
                or length > SHORT_PDU_LIMIT
                or not ASSOCIATE_RQ <= kind <= ABORT
                or (kind <= ASSOCIATE_AC and length < ASSOCIATE_FIXED)
            ):
                return 0
            length += 6
            self._sink.pdu(data[at : at + length], True, Track(length, frame, time))
            return length
        if rest < _BOTH.size:
            return 0
        _, pdu_length, value_length, context_id, control = _BOTH.unpack_from(data, at)
        if value_length < 2 or pdu_length < 6:
            return 0
        if pdu_length > self._usual:
            self._usual = pdu_length
        value_length -= 2
        left = pdu_length - 6
        if value_length <= left and value_length <= rest - 12:
            self._pdu_left = left - value_length
            length = 12 + value_length
            self._sink.whole_value(
                context_id,
                control,
                data[at + 12 : at + length],
                pdu_length,
                Track(length, frame, time),
            )
            if left != value_length:
                self._state = _VALUE
            return length
        self._pdu_left = left
        self._begin_value(context_id, control, value_length, pdu_length, Track(12, frame, time))
        return 12

    def _value_at_hand(self, data: bytes, at: int, frame: int, time: int) -> int:
        """The same for another value of a P-DATA-TF, where it is whole."""
        if len(data) - at < _VALUE_HEADER.size:
            return 0
        value_length, context_id, control = _VALUE_HEADER.unpack_from(data, at)
        length: int = 4 + value_length
        if value_length < 2 or length > self._pdu_left or length > len(data) - at:
            return 0
        self._pdu_left -= length
        pdu_length, self._pdu_length = self._pdu_length, None
        track = self._track
        if track.length:  # the header of the P-DATA-TF
            self._track = Track()
            track.add(length, frame, time)
        else:
            track = Track(length, frame, time)
        value = data[at + 6 : at + length]
        self._sink.whole_value(context_id, control, value, pdu_length, track)
        if not self._pdu_left:
            self._state = _PDU_HEADER
        return length

    # -------------------------------------------------------------- headers

    def _pdu_header(self) -> None:
        kind, _, length = _HEADER.unpack(self._buffer)
        if kind == P_DATA:
            self._buffer = b""
            self._pdu_left = length
            self._pdu_length = length
            if length > self._usual:
                self._usual = length
            if length:
                self._state = _VALUE
            else:
                self._short_value()
            return
        if kind in (ASSOCIATE_RQ, ASSOCIATE_AC):
            limit = PDU_LIMIT
        elif ASSOCIATE_RJ <= kind <= ABORT:
            limit = SHORT_PDU_LIMIT
        else:
            limit = UNKNOWN_LIMIT
        if length > limit or (kind in (ASSOCIATE_RQ, ASSOCIATE_AC) and length < ASSOCIATE_FIXED):
            # No such PDU: this stream is out of step, or was never in it.
            track, self._track = self._track, Track()
            data, self._buffer = self._buffer, b""
            self._search = Search(self._usual)
            self._search.add(data, track.last, track.time, False, False)
            self._state = _SEARCH
            self.searched = 0
            self._sink.missing()
            return
        if not ASSOCIATE_RQ <= kind <= ABORT and length > RAW_LIMIT:
            self._keep_junk_track(self._buffer)
            self._pdu_left = length
            self._junk_reason = f"a PDU of the unknown type {kind:02X}H"
            self._state = _SKIP
            return
        self._body = bytearray(self._buffer)
        self._buffer = b""
        self._body_left = length
        self._state = _BODY
        if not length:
            self._pdu_over(True)

    def _value_header(self) -> None:
        length, context_id, control = _VALUE_HEADER.unpack(self._buffer)
        self._buffer = b""
        track, self._track = self._track, Track()
        pdu_length, self._pdu_length = self._pdu_length, None
        if length < 2:
            # No room for context and control: the rest of the PDU cannot be cut into values.
            self._junk += _VALUE_HEADER.pack(length, context_id, control)
            self._junk_reason = f"a presentation data value with a length of {length}"
            self._track = track
            if self._pdu_left:
                self._state = _SKIP
            else:
                self._junk_over()
                self._state = _PDU_HEADER
            return
        self._begin_value(context_id, control, length - 2, pdu_length, track)

    def _begin_value(
        self, context_id: int, control: int, length: int, pdu_length: int | None, track: Track
    ) -> None:
        """The next ``length`` bytes are a value, as far as the P-DATA-TF goes."""
        self._sink.value(context_id, control, length, pdu_length, track)
        self._value_left = min(length, self._pdu_left)
        self._value_whole = self._value_left == length
        self._pdu_left -= self._value_left
        self._state = _DATA
        if not self._value_left:
            self._value_over()

    def _short_value(self) -> None:
        """A P-DATA-TF ended inside of a value's header, or was empty."""
        self._pdu_length = None
        self._state = _PDU_HEADER
        if self._track.length or self._buffer:
            track, self._track = self._track, Track()
            data, self._buffer = bytes(self._buffer), b""
            reason = (
                "a P-DATA-TF that ends inside of a value's header"
                if data
                else ("a P-DATA-TF without a presentation data value")
            )
            self._sink.undecoded(data, reason, track)

    def _value_over(self) -> None:
        self._sink.value_end(self._value_whole)
        self._state = _VALUE if self._pdu_left else _PDU_HEADER

    def _pdu_over(self, complete: bool) -> None:
        track, self._track = self._track, Track()
        data = bytes(self._body)
        self._body = bytearray()
        self._state = _PDU_HEADER
        self._sink.pdu(data, complete, track)

    # -------------------------------------------------------------- what is not understood

    def _keep_junk(self, data: bytes, frame: int, time: int) -> None:
        self._track.add(len(data), frame, time)
        room = RAW_LIMIT - len(self._junk)
        if room > 0:
            self._junk += data[:room]

    def _keep_junk_track(self, data: bytes) -> None:
        self._junk += data
        self._buffer = b""

    def _junk_over(self) -> None:
        if self._track.length:
            track, self._track = self._track, Track()
            data = bytes(self._junk)
            self._sink.undecoded(data, self._junk_reason or "bytes between PDUs", track)
        self._junk = bytearray()
        self._junk_reason = ""

    def _drop_header(self) -> None:
        """Bytes of a header that will not become whole."""
        if self._buffer:
            self._junk += self._buffer
            self._junk_reason = self._junk_reason or "a header that was cut off"
            self._buffer = b""

    def _lose_step(self) -> None:
        self._drop_header()
        self._junk_over()
        self._pdu_left = 0
        self._pdu_length = None
        self._search = Search(self._usual)
        self._state = _SEARCH
        self.searched = 0
        self._sink.missing()

    # -------------------------------------------------------------- search

    def _give_up(self, search: Search) -> None:
        """Count what the search has dismissed as not understood."""
        data, track = search.given_up()
        if not data:
            return
        self.searched += len(data)
        if self.found:
            self._track.join(track)
            self._junk += data[: max(0, RAW_LIMIT - len(self._junk))]
            self._junk_reason = "bytes before the next PDU"

    def _resume(
        self, search: Search, rest: bytes, frame: int, time: int, over: bool, ends: bool
    ) -> None:
        """The search found a PDU: go on from it. ``rest``: what it has not seen of a segment.

        ``over``: the last byte searched ends a segment; ``ends``: the last byte of the rest does.
        """
        self._give_up(search)
        self._junk_over()
        self.found = True
        self.searched = 0
        self._state = _PDU_HEADER
        self._search = None
        backlog = self._backlog
        if backlog is None:
            backlog = self._backlog = deque()
        if rest:
            backlog.appendleft((rest, frame, time, False, ends))
        pieces = search.rest()
        last = len(pieces) - 1
        for number in range(last, -1, -1):
            piece = *pieces[number], number > 0, over or number < last
            backlog.appendleft(piece)

    def _search_over(self, ended: bool) -> None:
        """No more bytes follow those searched; ``ended``: none at all in this direction."""
        while self._state == _SEARCH:
            search = self._search
            assert search is not None
            if not search.finish(ended):
                self._give_up(search)
                self._search = Search(self._usual)
                self._junk_over()
                return
            self._resume(search, b"", 0, 0, True, True)
            self._drain()
