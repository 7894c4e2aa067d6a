"""One capture, followed by several processes.

    source ─▶ Shared ─▶ Splitter ═▶ Share, Share, …  ═▶ Shared ─▶ rows

:class:`Shared` stands where a pipeline stands. It reads and counts packets and hands each to the
process that follows its connection (see :mod:`dicomsniff.tcp.split`); :class:`Share` is the
pipeline there. What a share tells comes back with its moment, and is told in that order, so that
the outcome is that of one process, to the byte.

That holds for what keeps nothing of an association: a pipeline with ``keep=False``. Where shares
would not tell the same as one process (a limit that counts all connections is reached, or what one
share is asked is known in another one), :class:`BeginAnew` is raised: one process has to do it.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable
from operator import itemgetter
from time import monotonic
from typing import Any, Final

from dicomsniff.analysis.crew import SLOT, Crew, Lost, undisturbed
from dicomsniff.analysis.pipeline import ATTEMPTS_KEPT, DICOM_PORTS, Pipeline
from dicomsniff.dicom.conversation import Hears
from dicomsniff.model import (
    Answer,
    Association,
    Decrypted,
    Endpoint,
    Entry,
    Frame,
    Stretch,
    Unreachable,
)
from dicomsniff.sources import SourceError
from dicomsniff.tcp.connection import Connection
from dicomsniff.tcp.duplicates import Duplicates
from dicomsniff.tcp.flows import HELD_TOTAL, MAX_CONNECTIONS, MAX_HALF_OPEN
from dicomsniff.tcp.lane import Lane
from dicomsniff.tcp.split import PartTracker, Rejoined, Splitter

LOOK: Final = 1 << 19
"""Bytes of packets that are looked at before it is decided whether sharing is of use."""

MOST_OF_ONE: Final = 0.8
"""Where one share would have more than this of the packets, its process does not wait for others:
handing out packets costs more than is gained."""

LONG: Final = 700
"""Where packets have more bytes than this in the mean, sharing is of no use either: most of them
are the middle of images, and handing one out takes half as long as all that is done with it."""

BATCH: Final = 1 << 17
"""Bytes of packets after which a batch is handed out: where tshark is the slower one they come in
pieces of 4 KiB."""

BATCH_TIME: Final = 0.05
"""Seconds after which it is handed out as well."""

Tell = Callable[[Association, Entry, int], str]
"""Makes the text of an entry; with the time of the capture's first packet."""

_MOMENT: Final = itemgetter(0)

ATTEMPT, ACCEPTOR, TLS = range(3)
"""What shares tell besides rows: a connection without DICOM; the server of an association; a
connection that began with TLS, and whether its server is known for DICOM."""


class BeginAnew(Exception):
    """One process has to do it. The text says why, where that is of interest."""


class Share(Pipeline):
    """The connections that one process follows."""

    def __init__(self, crew: Crew, tell: Tell, ports: Iterable[int]) -> None:
        super().__init__(ports=ports, keep=False, checks=False)
        tracker = PartTracker(self._accept, self._connection_refused, self._connection_unanswered)
        duplicates = Duplicates()
        self._crew = crew
        self._tell = tell
        self._tracker = self._parts = tracker
        self._rejoined = Rejoined(tracker, duplicates)
        self._lane = Lane(self._rejoined, duplicates, tracker)
        tracker.frame = self._lane.frame
        self._first = 0
        self._told: list[tuple[tuple[int, int, int], Any]] = []

    def _add(self, what: Any) -> None:
        self._told.append((self._parts.moment(), what))

    def answer(self, batch: Any) -> Any:
        """What is told of a batch; None: of the end."""
        told: list[tuple[tuple[int, int, int], Any]] = []
        self._told = told
        if batch is None:
            self._tracker.finish()
            counts = self.associations, self.info.duplicates, self._tracker.evicted
            return told, self._parts.counted(), counts
        self._first, begin, carried, pieces = batch
        for size, places, segments in pieces:
            if places:
                data = (
                    carried[begin : begin + size]
                    if carried
                    else self._crew.get(begin, begin + size)
                )
                self._rejoined.segments = iter(segments)
                self._lane.take(Stretch(data, places), self.info)
            begin += size
        return told, self._parts.counted(), None

    def association_began(self, association: Association) -> None:
        """An association was recognised."""
        acceptor = association.acceptor.address, association.acceptor.port
        if acceptor not in self._acceptors:
            self._add((ACCEPTOR, *acceptor))
        super().association_began(association)

    def entry_added(self, association: Association, entry: Entry) -> None:
        """A row of its timeline is complete."""
        self._add(self._tell(association, entry, self._first))
        association.timeline.clear()

    def _attempt(
        self,
        client: Endpoint,
        server: Endpoint,
        answer: Answer,
        frames: Iterable[int],
        first: int,
        last: int,
        said: Unreachable | None = None,
    ) -> None:
        told = None if said is None else tuple(said)
        self._add((ATTEMPT, tuple(client), tuple(server), answer, list(frames), first, last, told))

    def _begin_tls(
        self,
        connection: Connection,
        pair: tuple[Endpoint, Endpoint],
        side: int,
        pieces: list[tuple[bytes, int, int]],
    ) -> None:
        server = pair[1 - side]
        if server.port not in DICOM_PORTS | self._ports:
            self._add((TLS, *server, server in self._acceptors))
        super()._begin_tls(connection, pair, side, pieces)


class Shared(Pipeline):
    """Stands for all of them where a pipeline stands."""

    def __init__(
        self,
        crew: Crew,
        write: Callable[[str], None],
        *,
        ports: Iterable[int] = (),
        listener: Hears | None = None,
        always: bool = False,
    ) -> None:
        """``write`` takes the rows of the shares; ``listener`` hears of everything where it turns
        out that one process is as quick, which is not asked ``always``."""
        super().__init__(ports=ports, listener=listener, keep=False, checks=False)
        self._crew: Crew | None = crew
        self._write = write
        self._splitter = Splitter(len(crew))
        self._deciding = not always
        self._begun: list[Stretch] = []
        """What was looked at before it was decided."""
        self._pieces: list[bytes] = []
        self._questions: list[list[Any]] = []
        """What the next batch holds: bytes, and for each share what there is to say of them."""
        self._size = 0
        self._handed_out = 0.0
        self._told: deque[Any] = deque()
        """What came back and was not written yet, in order."""
        self._beginning_anew = False

    @property
    def unread(self) -> list[str]:
        """What packets could not be looked into, in words."""
        return super().unread if self._crew is None else self._splitter.dissector.notices

    def feed(self, frame: Frame) -> None:
        """Take the next frame."""
        if self._crew is None:
            super().feed(frame)
            return
        if isinstance(frame, Decrypted):
            raise self._anew()
        number, time, link, data, length = frame
        self.feed_many(Stretch(data, [(number, time, link, 0, len(data), length)]))

    def feed_many(self, stretch: Stretch) -> None:
        """Take the next frames."""
        crew = self._crew
        if crew is None:
            super().feed_many(stretch)
            return
        if self._deciding:
            self._begun.append(stretch)
            self._size += len(stretch.buffer)
            if self._size >= LOOK:
                self._decide()
            return
        info = self.info
        places = stretch.places
        if not info.packets:
            info.first = places[0][1]
        info.packets += len(places)
        info.last = places[-1][1]
        for _, _, _, start, end, wire in places:
            info.bytes += wire
            if end - start < wire:
                info.cut += 1
        self._split(crew, stretch)

    def _decide(self, *, ended: bool = False) -> None:
        """Share, or do it alone; ``ended``: there is no more than what was looked at."""
        self._deciding = False
        self._size = 0
        crew = self._crew
        begun, self._begun = self._begun, []
        # Another one: this one must see every packet once.
        splitter = Splitter(self._splitter.shares)
        packets = [0] * splitter.shares
        for stretch in begun:
            for share, (places, _) in enumerate(splitter.split(stretch)):
                packets[share] += len(places)
        long = sum(len(each.buffer) for each in begun) > LONG * sum(
            len(each.places) for each in begun
        )
        alone = ended or long or max(packets) >= MOST_OF_ONE * sum(packets)
        if crew is not None and alone:
            crew.close()
            self._crew = None
        for stretch in begun:
            self.feed_many(stretch)

    def _split(self, crew: Crew, stretch: Stretch) -> None:
        size = len(stretch.buffer)
        if self._size + size > SLOT:
            self._hand_out(crew)
        if not self._questions:
            self._questions = [[] for _ in range(len(crew))]
        self._pieces.append(stretch.buffer)
        self._size += size
        for pieces, part in zip(self._questions, self._splitter.split(stretch), strict=True):
            pieces.append((size, *part))
        if self._size >= BATCH or monotonic() > self._handed_out + BATCH_TIME:
            self._hand_out(crew)

    def _hand_out(self, crew: Crew) -> None:
        """Hand out what was collected, and write what came back."""
        if self._pieces:
            try:
                begin, carried = crew.put(self._pieces)
                first = self.info.first
                questions = [(first, begin, carried, pieces) for pieces in self._questions]
                # Before they are handed out: somebody may interrupt, and nothing is told twice.
                self._pieces = []
                self._questions = []
                self._size = 0
                crew.ask(questions)
            except Lost as lost:
                raise self._anew(str(lost)) from None
            self._handed_out = monotonic()
        self._take_back(crew)

    def _take_back(self, crew: Crew, *, wait: bool = False) -> None:
        """Tell what came back."""
        try:
            while crew.answers(self._join, wait=wait):
                # A row that was taken is told, whoever interrupts.
                with undisturbed():
                    self._tell()
        except Lost as lost:
            raise self._anew(str(lost)) from None

    def _join(self, answers: list[Any]) -> None:
        """Put together what the shares tell of a batch."""
        directions, half_open, held = map(sum, zip(*(each[1] for each in answers), strict=True))
        if directions > 2 * MAX_CONNECTIONS or half_open > MAX_HALF_OPEN or held > HELD_TOTAL:
            raise self._anew()
        told = [each for answer in answers for each in answer[0]]
        told.sort(key=_MOMENT)
        self._told.extend(each[1] for each in told)
        for _, _, counts in answers:
            if counts is not None:
                self.associations += counts[0]
                self.info.duplicates += counts[1]
                for limit, count in counts[2].items():
                    self.info.evicted[limit] = self.info.evicted.get(limit, 0) + count

    def _tell(self) -> None:
        """Write what can be written."""
        told, write = self._told, self._write
        while told:
            what = told.popleft()
            if isinstance(what, str):
                write(what)
            else:
                self._heard(*what)

    def _heard(self, kind: int, *what: Any) -> None:
        if kind == ATTEMPT:
            client, server, answer, frames, first, last, told = what
            said = None if told is None else Unreachable(*told)
            self._attempt(Endpoint(*client), Endpoint(*server), answer, frames, first, last, said)
        elif kind == ACCEPTOR:
            if len(self._acceptors) < ATTEMPTS_KEPT:
                self._acceptors.add((what[0], what[1]))
        elif ((what[0], what[1]) in self._acceptors) != what[2]:
            raise self._anew()

    def _anew(self, why: str = "") -> BeginAnew:
        self._beginning_anew = True
        return BeginAnew(why)

    def finish(self) -> None:
        """The capture ends: hand on what is unfinished."""
        # What made it end passes through afterwards, as where one process reads.
        cause = sys.exc_info()[1]
        crew = self._crew
        if crew is not None and self._deciding:
            self._decide(ended=True)
            crew = self._crew
        if crew is None:
            super().finish()
            return
        if self._beginning_anew or not isinstance(cause, KeyboardInterrupt | SourceError | None):
            return
        try:
            self._hand_out(crew)
            crew.ask([None] * len(crew))
            self._take_back(crew, wait=True)
        except (BeginAnew, Lost):
            if not isinstance(cause, KeyboardInterrupt):
                raise
            self._tell()
        super().finish()
