"""Looking for the next PDU that can be trusted, where a stream is out of step (PS3.8 9.3).

After a header was lost, or where capture began in the middle, nothing tells where a PDU begins.
Trusted is

- a P-DATA-TF whose first value begins with a command group length, which pixels never imitate, or
- a P-DATA-TF behind which another PDU header stands exactly where its length says, or that is as
  long as those before it, or that ends where a segment ends, or
- an A-ASSOCIATE with the fixed fields that the standard gives it, or
- an A-RELEASE, A-ABORT or A-ASSOCIATE-RJ that fills a segment of its own, behind which another PDU
  header stands, or with which everything ends.

Every byte is looked at once. What may be a PDU is remembered with the place whose bytes will tell,
and is looked at again when they have come: the work is bounded by the bytes, however small the
segments are that they come in.
"""

from __future__ import annotations

import re
from collections import deque
from heapq import heappop, heappush
from struct import Struct

from dicomsniff.dicom.track import Track

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)

PDU_LIMIT = 4 * 1024 * 1024
"""Longest A-ASSOCIATE that is collected. 128 contexts with every transfer syntax there is take
about 400 KB."""

ASSOCIATE_FIXED = 68
"""Length of the fixed fields of an A-ASSOCIATE behind its header (PS3.8 9.3.2)."""

_FIRST_ITEM = 6 + ASSOCIATE_FIXED
"""Offset of the first item of an A-ASSOCIATE."""

SEARCH_LIMIT = 1024 * 1024
"""Bytes kept while looking for the next PDU. Longer PDUs than this are found by what follows."""

STEP = 4096
"""Bytes of a segment that are searched at a time, so that a PDU found early in a segment of 64 KB
does not cost a copy of all of it."""

CANDIDATES_KEPT = 4096
"""Places waited for at once; past that the first one is given up. Pixels imitate a header whose
two lengths agree once in some ten thousand bytes."""

MARKS_KEPT = 16_384
"""Pieces remembered of the bytes kept; past that they count for the last one's frame. So many
segments are held back for a hole, too."""

_TAIL = 11
"""Bytes at the end that cannot be judged yet: the longest pattern takes 12."""

_SHORT = 10
"""Length of an A-RELEASE, an A-ABORT and an A-ASSOCIATE-RJ, header included."""

_FOLLOWING = 20
"""Bytes behind a P-DATA-TF that always suffice to tell whether a PDU follows it."""

_TWO_HEADERS = Struct(">BBIIBB")

_COMMAND_START = b"\x00\x00\x00\x00\x04\x00\x00\x00"
"""(0000,0000) with its length of four: how every command set begins (PS3.7 6.3.1)."""

_ODD = b"".join(b"\\x%02x" % n for n in range(1, 256, 2))
_CANDIDATE = re.compile(
    # A look-ahead, so that candidates that overlap are all seen.
    rb"(?=\x04[\x00-\xff]\x00[\x00-\xff]{3}\x00[\x00-\xff]{3}[" + _ODD + rb"][\x00-\x03]"
    rb"|[\x05\x06]\x00\x00\x00\x00\x04\x00\x00\x00\x00"
    rb"|\x07\x00\x00\x00\x00\x04\x00[\x00-\xff][\x00-\x02][\x00-\x06]"
    rb"|\x03\x00\x00\x00\x00\x04\x00[\x01\x02][\x01-\x03][\x00-\x0a]"
    rb"|[\x01\x02]\x00\x00[\x00-\x3f][\x00-\xff]{2}\x00[\x01-\xff]\x00\x00)"
)


class Search:
    """Bytes searched and not given up yet. Places are offsets since the search began."""

    __slots__ = (
        "_base",
        "_due",
        "_first",
        "_head_cut",
        "_last",
        "_marks",
        "_places",
        "_scanned",
        "_usual",
        "_waiting",
        "_window",
    )

    def __init__(self, usual: int = 0) -> None:
        """``usual``: length of the longest P-DATA-TF so far; a sender fills all but its last."""
        self._usual = usual
        self._window = bytearray()
        self._base = 0
        """Place of the window's first byte."""
        self._scanned = 0
        """Place up to which every beginning of a PDU was looked at."""
        self._first = 0
        """Place before which bytes can be given up; where a PDU was found, its beginning."""
        self._marks: deque[tuple[int, int, int]] = deque()
        """(length, frame, time) of the bytes in the window."""
        self._head_cut = False
        """True where the window's first byte is not the first of a segment."""
        self._waiting: set[int] = set()
        """Places where a PDU may begin."""
        self._places: list[int] = []
        """The same as a heap; those no longer waited for included."""
        self._due: list[tuple[int, int]] = []
        """Heap of (place whose bytes will tell, place where a PDU may begin)."""
        self._last = False

    def __len__(self) -> int:
        """Bytes kept."""
        return len(self._window)

    def add(self, data: bytes, frame: int, time: int, begins: bool, ends: bool) -> bool:
        """Take the next bytes. True where a PDU was found: :meth:`rest` begins with it.

        ``begins``: they begin a segment; ``ends``: they end one.
        """
        self._window += data
        marks = self._marks
        if not marks:
            self._head_cut = not begins
        if marks and (not begins or len(marks) >= MARKS_KEPT):
            length, first_frame, first_time = marks[-1]
            marks[-1] = length + len(data), first_frame, first_time
        else:
            marks.append((len(data), frame, time))
        return self._look(ends)

    def finish(self, ended: bool) -> bool:
        """Nothing follows that could tell more; ``ended``: nothing follows at all. As add()."""
        self._last = True
        size = self._base + len(self._window)
        self._due = [(size, place) for place in sorted(self._waiting)]
        found = self._look(True, ended)
        if not found:
            self._first = size
        return found

    def given_up(self) -> tuple[bytes, Track]:
        """Take away the bytes before the first place where a PDU may begin, or does."""
        count = self._first - self._base
        track = Track()
        if not count:
            return b"", track
        data = bytes(self._window[:count])
        del self._window[:count]
        self._base += count
        marks = self._marks
        while count:
            length, frame, time = marks.popleft()
            take = min(length, count)
            track.add(take, frame, time)
            count -= take
            self._head_cut = take < length
            if self._head_cut:
                marks.appendleft((length - take, frame, time))
        return data, track

    def rest(self) -> list[tuple[bytes, int, int]]:
        """What is left: (bytes, frame, time) of each piece. The search is over."""
        window = bytes(self._window)
        out = []
        at = 0
        for length, frame, time in self._marks:
            out.append((window[at : at + length], frame, time))
            at += length
        return out

    # -------------------------------------------------------------- inside

    def _look(self, ends: bool, ended: bool = False) -> bool:
        base = self._base
        size = base + len(self._window)
        due = self._due
        waiting = self._waiting
        if due and due[0][0] <= size:
            ready = []
            while due and due[0][0] <= size:
                place = heappop(due)[1]
                if place in waiting:
                    ready.append(place)
            for place in sorted(ready):
                if self._judge(place, size, ends, ended):
                    self._first = place
                    return True
        search = _CANDIDATE.search
        at = self._scanned - base
        while match := search(self._window, at):
            at = match.start()
            place = base + at
            at += 1
            if place not in waiting and self._judge(place, size, ends, ended):
                self._first = place
                return True
        self._scanned = max(self._scanned, size - _TAIL)
        # Pixels imitate a header now and then: what takes too much memory is not waited for.
        places = self._places
        while places and (
            places[0] not in waiting
            or size - places[0] > SEARCH_LIMIT
            or len(waiting) > CANDIDATES_KEPT
        ):
            waiting.discard(heappop(places))
        self._first = min(places[0] if places else size, max(base, self._scanned))
        if len(due) > 2 * CANDIDATES_KEPT:
            due[:] = sorted(entry for entry in due if entry[1] in waiting)
        return False

    def _judge(self, place: int, size: int, ends: bool, ended: bool) -> bool:
        """Whether a PDU begins there for certain; where more bytes would tell, wait for them."""
        trusted = self._trust(place - self._base, ends, ended)
        if trusted is None and not self._last:
            if place not in self._waiting:
                self._waiting.add(place)
                heappush(self._places, place)
            heappush(self._due, (max(self._told_at(place), size + 1), place))
            return False
        self._waiting.discard(place)
        return bool(trusted)

    def _told_at(self, place: int) -> int:
        """The place of the next byte that may tell more about a PDU there."""
        window = self._window
        at = place - self._base
        kind = window[at]
        if kind in (ASSOCIATE_RQ, ASSOCIATE_AC):
            return place + _FIRST_ITEM + 2
        if kind != P_DATA:
            return place + _SHORT
        if window[at + 11] & 1:
            return place + 12 + len(_COMMAND_START)
        return place + 6 + int.from_bytes(window[at + 2 : at + 6], "big")

    def _alone(self, length: int) -> bool:
        """Whether the last bytes of the window, so many, begin a segment."""
        for mark in reversed(self._marks):
            length -= mark[0]
            if length <= 0:
                return not length and not (self._head_cut and mark is self._marks[0])
        return False

    def _trust(self, at: int, ends: bool, ended: bool) -> bool | None:
        """Whether a PDU begins here; None: more bytes would tell."""
        window = self._window
        size = len(window)
        kind = window[at]
        if kind in (ASSOCIATE_RQ, ASSOCIATE_AC):
            return starts_association(bytes(window[at : at + 80]))
        if kind != P_DATA:
            # Ten bytes, most of them zero: in the middle of zeros nothing special.
            end = at + _SHORT
            if end == size:
                return ended or (ends and self._alone(_SHORT)) or None
            if _CANDIDATE.match(window, end) is not None:
                return True
            return None if size - end <= _TAIL else False
        _, _, length, value_length, context_id, control = _TWO_HEADERS.unpack_from(window, at)
        if value_length < 2 or value_length + 4 > length:
            return False
        if control & 1:
            head = window[at + 12 : at + 20]
            if head == _COMMAND_START and value_length >= 10:
                return True
            return None if _COMMAND_START.startswith(head) else False
        # Data: one value that fills its PDU, as senders of long data sets have it. In small
        # numbers, which pixels are, two headers stand at the right distance now and then.
        if value_length + 4 != length:
            return False
        end = at + 6 + length
        if length == self._usual or (end == size and ends):
            return True
        if end > size:
            return None if length <= SEARCH_LIMIT else False
        match = _CANDIDATE.match(window, end)
        if match is None:
            return None if size - end < _FOLLOWING else False
        if window[end] != P_DATA:
            return bool(control == 2)
        _, _, length, value_length, following, behind = _TWO_HEADERS.unpack_from(window, end)
        if not 2 <= value_length <= length - 4:
            return False
        if behind & 1:
            return _COMMAND_START.startswith(window[end + 12 : end + 20])
        return bool(control == 0 and following == context_id)


def starts_association(data: bytes) -> bool | None:
    """Whether a stream that begins so begins with an A-ASSOCIATE-RQ or -AC; None: too short to say.

    Looks at what every implementation gets right: the type, a length that holds the fixed fields,
    and an item of a known type behind them (PS3.8 9.3.2). The protocol version and the reserved
    bytes are not asked: some get them wrong.
    """
    if not data:
        return None
    if data[0] not in (ASSOCIATE_RQ, ASSOCIATE_AC):
        return False
    if len(data) < 6:
        # A length of 4 MiB at most: its first byte is 0, as is nearly always the reserved one.
        return None if len(data) < 3 or data[2] == 0 else False
    length = int.from_bytes(data[2:6], "big")
    if not ASSOCIATE_FIXED <= length <= PDU_LIMIT:
        return False
    if length == ASSOCIATE_FIXED:
        return True if len(data) >= 8 and data[6] == 0 else (None if len(data) < 8 else False)
    if len(data) < _FIRST_ITEM + 2:
        return None
    return data[_FIRST_ITEM] in (0x10, 0x20, 0x21, 0x50)
