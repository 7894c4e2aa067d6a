"""The parts put together: frames in, associations out.

    source ─▶ Dissector ─▶ Tracker ─▶ Conversation ─▶ Association, Entry ─▶ Listener
                               └────▶ Encrypted ─▶ Conversation

A pipeline keeps nothing that has ended: whoever wants to keep associations does so in a listener.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from time import time_ns as now
from typing import TYPE_CHECKING, Protocol

from dicomsniff.analysis.encrypted import Encrypted
from dicomsniff.analysis.operations import OperationJoiner, last_entry
from dicomsniff.dicom.conversation import Conversation, Hears, Tap
from dicomsniff.model import (
    FRAMES_KEPT,
    Answer,
    Association,
    Attempt,
    CaptureInfo,
    Decrypted,
    Endpoint,
    Entry,
    Finding,
    Frame,
    Plaintext,
    Revealed,
    Segment,
    Skim,
    Source,
    Stretch,
    Unreachable,
    stretches,
)
from dicomsniff.tcp.connection import Connection, Receiver, peer_key
from dicomsniff.tcp.duplicates import Duplicates
from dicomsniff.tcp.flows import Tracker
from dicomsniff.tcp.frames import Dissector, endpoints
from dicomsniff.tcp.lane import Lane
from dicomsniff.tcp.skim import Skimmer

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicomsniff.analysis.findings import Checker
    from dicomsniff.analysis.links import Linker
    from dicomsniff.analysis.stow import Stow

DICOM_PORTS = frozenset((104, 2761, 2762, 11112))
"""Ports registered for DICOM (PS3.8 9.1.1, PS3.15 B.1). They decide nothing about what is decoded;
a connection to one of them that came to nothing is worth a word."""

ATTEMPTS_KEPT = 256
"""Pairs of hosts remembered whose connections came to nothing: a port scan has thousands."""


EARLY_KEPT = 4096
"""Decrypted records held for connections whose ClientHello waits its turn: tshark and we do not put
up with disorder in the same way, but never for longer than a window's worth of segments."""


ENTRIES_KEPT = 20_000
"""Entries of one association that is still open, where captures have no end: devices that never
release send objects over one association for weeks. Past that the older half is given up, the
negotiation excepted; some 100 MB of C-STOREs."""

STEP = 4096
"""Frames between two looks at what the source tells of itself."""

STOWED_FROM = 1024
"""Entries of an association from which on the data sets of the older ones may wait on disk."""

NEGOTIATION = 4
"""Entries at the beginning of a timeline that are kept whatever comes: request and answer."""


PRESENT_NS = 3_600_000_000_000
"""A pipe whose packets are from within this time of now carries the present: what is captured
elsewhere comes through it. What was saved long ago may pause, and no time passes in it."""

PIPE_DELAY = 2.0
"""Seconds that packets may be under way from where they are captured: tcpdump and ssh hold them
back for a moment."""


class Keeper(Protocol):
    """Who wants to know, frame by frame, which connection it belongs to."""

    def take(self, frame: Frame, segment: Segment | None, tracker: Tracker) -> None:
        """A frame was decoded."""

    def skimmed(self, frame: Frame, wanted: bool) -> None:
        """A frame was counted where it lay; ``wanted``: it belongs to a connection of interest."""

    def tick(self) -> None:
        """Time passes."""


class Listener:
    """Hears of associations as they are rebuilt. Override what is wanted."""

    def association_began(self, association: Association) -> None:
        """Its first PDU or message was seen; it grows from now on."""

    def entry_added(self, association: Association, entry: Entry) -> None:
        """A row was added to its timeline, and joined to an operation where it belongs to one."""

    def association_ended(self, association: Association) -> None:
        """Nothing more will be added to it."""


class Pipeline:
    """Rebuilds the associations of one capture."""

    def __init__(
        self,
        *,
        ports: Iterable[int] = (),
        listener: Hears | None = None,
        tap: Tap | None = None,
        keep: bool = True,
        checks: bool = True,
        endless: bool = False,
        keeper: Keeper | None = None,
        stow: bool = False,
    ) -> None:
        """``ports``: TCP ports that are DICOM even where nothing shows it. ``tap``: who wants
        data sets byte for byte (see :mod:`dicomsniff.output.extract`). ``keep`` False: the
        listener hears of each entry once, and nothing is kept of it; no operations are joined or
        linked, and an association of any length takes no memory. ``checks``: associations that
        have ended get their findings, which costs as much as decoding every data set once.
        ``endless``: the capture has no end, so an association that has none is given up bit by
        bit (:data:`ENTRIES_KEPT`). ``keeper`` hears of every frame, after it was decoded.
        ``stow``: data sets of a long association are put on disk (:mod:`dicomsniff.analysis.stow`),
        for who lets go of it when it ends."""
        self.info = CaptureInfo("", "")
        self.findings: list[Finding] = []
        """Of the capture as a whole; complete after :meth:`finish`."""
        self._listener: Hears = listener or Listener()
        self._tap = tap
        self._keep = keep
        self._ports = frozenset(ports)
        self._dissector = Dissector()
        duplicates = Duplicates()
        self._seen_before = duplicates.seen
        hears = (self._accept, self._connection_refused, self._connection_unanswered)
        self._tracker = Skimmer(self.info, *hears) if endless else Tracker(*hears)
        self._lane = Lane(self._dissector, duplicates, self._tracker)
        self.info.evicted = self._tracker.evicted
        self.endless = endless
        self._keeper = keeper
        self.associations = 0
        """How many were found so far."""
        self._joiners: dict[Association, OperationJoiner] = {}
        self._stow = stow and keep
        self._stows: dict[Association, Stow] = {}
        self.look: Callable[[], None] | None = None
        """Has ``info`` told how much was dropped; called before an association is checked."""
        self._linker = _linker() if keep else None
        self._attempts: dict[tuple[str, Endpoint, Answer], Attempt] = {}
        self._checker = self._new_checker() if checks and keep else None
        self._acceptors: set[tuple[str, int]] = set()
        self._encrypted: dict[bytes, tuple[Encrypted, Connection, int]] = {}
        """TLS connections by the key of each direction, with its side."""
        self._early: dict[bytes, list[tuple[Plaintext | Revealed, Frame]]] = {}
        """Of connections not known to be TLS yet, by the lower key of the two directions."""

    # -------------------------------------------------------------- frames in

    def feed(self, frame: Frame) -> None:
        """Take the next frame."""
        info = self.info
        if not info.packets:
            info.first = frame.time
        info.packets += 1
        info.bytes += frame.length
        if len(frame.data) < frame.length:
            info.cut += 1
        info.last = frame.time
        if isinstance(frame, Decrypted):
            # Before the frame itself: what ends the connection comes behind what was said on it.
            self._decrypted(frame)
        segment = self._dissector.segment(frame)
        if segment is not None:
            if self._seen_before(frame, segment):
                info.duplicates += 1
                self._tracker.passed(segment.frame, segment.time, segment.flags)
            else:
                self._tracker.feed(segment)
        if self._keeper is not None:
            self._keeper.take(frame, segment, self._tracker)

    @property
    def unread(self) -> list[str]:
        """What packets could not be looked into, in words."""
        return self._dissector.notices

    def skim(self) -> Skim | None:
        """For a source that shows packets where they lie: who counts those that need no more.
        None where every packet is wanted."""
        tracker = self._tracker
        if not isinstance(tracker, Skimmer) or self._tap is not None:
            return None
        tracker.skimming = True
        return tracker.skim

    @property
    def keep(self) -> Callable[[Frame, bool], None] | None:
        """Who wants packets that were only counted, and whether they are of interest, as well."""
        return None if self._keeper is None else self._keeper.skimmed

    def feed_many(self, stretch: Stretch) -> None:
        """Take the next frames."""
        if self._keeper is not None:
            # It wants to be told of each frame.
            for frame in stretch.frames():
                self.feed(frame)
            return
        info = self.info
        if not info.packets:
            info.first = stretch.places[0][1]
        self._lane.take(stretch, info)

    def tick(self, time: int) -> None:
        """Let time pass on an idle interface (nanoseconds since the epoch)."""
        self._tracker.tick(time)
        if self._keeper is not None:
            self._keeper.tick()

    def silent(self, seconds: float) -> None:
        """Nothing came through a pipe for so long. Where it carries the present, time passes."""
        last = self.info.last
        if last is not None and abs(now() - last) < PRESENT_NS:
            self.tick(last + int(max(0.0, seconds - PIPE_DELAY) * 1e9))

    def finish(self) -> None:
        """The capture ends: hand on what is unfinished."""
        self._tracker.finish()
        if self._keeper is not None:
            self._keeper.tick()  # some are recognised only now
        ports = DICOM_PORTS | self._ports
        self.info.attempts = [
            attempt
            for attempt in self._attempts.values()
            if attempt.server.port in ports
            or attempt.server in self._acceptors
            or attempt.answer == "tls-dicom"
        ]
        if self._checker is None and self.info.attempts:
            # Nothing was checked, but where nothing could be connected to, that is the answer.
            self._checker = self._new_checker()
        if self._checker is not None:
            self.findings.extend(self._checker.finish(self.info))

    def _new_checker(self) -> Checker:
        # Late: the rules bring the decoder of data sets along.
        from dicomsniff.analysis.findings import Checker

        return Checker(self.info, self._attempts.values(), self._waiting)

    def _waiting(self) -> Iterator[tuple[str, str]]:
        """Addresses of both sides of the connections of which something is held back."""
        for key in self._tracker.waiting():
            caller, called = endpoints(key)
            yield caller.address, called.address

    # -------------------------------------------------------------- from the tracker

    def _accept(self, connection: Connection) -> Receiver:
        first, second = connection.streams
        pair = endpoints(first.key)

        def tls(side: int, pieces: list[tuple[bytes, int, int]]) -> None:
            self._begin_tls(connection, pair, side, pieces)

        return Conversation(
            pair,
            from_start=first.syn or second.syn,
            forced=self._is_forced(pair),
            listener=self,
            number=self._next_number,
            tap=self._tap,
            carrier=connection,
            tls_handler=tls,
        )

    def _is_forced(self, pair: tuple[Endpoint, Endpoint]) -> bool:
        return bool(self._ports) and not self._ports.isdisjoint((pair[0].port, pair[1].port))

    def _next_number(self) -> int:
        self.associations += 1
        return self.associations

    def _connection_refused(self, key: bytes, frame: int, time: int) -> None:
        self._attempt(*endpoints(key), "reset", (frame,), time, time)

    def _connection_unanswered(
        self,
        key: bytes,
        frames: tuple[int, ...],
        first: int,
        last: int,
        said: Unreachable | None,
    ) -> None:
        answer: Answer = "silence" if said is None else "unreachable"
        self._attempt(*endpoints(key), answer, frames, first, last, said)

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
        """A connection without DICOM. Which of them matter is known when the capture ends."""
        key = (client.address, server, answer)
        attempt = self._attempts.get(key)
        if attempt is None:
            if len(self._attempts) >= ATTEMPTS_KEPT:
                return
            attempt = Attempt(client.address, server, answer, first, last, unreachable=said)
            self._attempts[key] = attempt
        attempt.times += 1
        attempt.last = max(attempt.last, last)
        attempt.frames.extend(frames)
        del attempt.frames[FRAMES_KEPT:]

    # -------------------------------------------------------------- TLS

    def _begin_tls(
        self,
        connection: Connection,
        pair: tuple[Endpoint, Endpoint],
        side: int,
        pieces: list[tuple[bytes, int, int]],
    ) -> None:
        """A ClientHello was sent: from here on the connection's bytes are encrypted."""
        first, second = connection.streams
        server = pair[1 - side]
        plausible = server.port in DICOM_PORTS | self._ports or server in self._acceptors
        encrypted = Encrypted(first.key, pair, side, self, plausible=plausible)
        connection.receiver = encrypted
        self._encrypted[first.key] = encrypted, connection, 0
        self._encrypted[second.key] = encrypted, connection, 1
        for piece in pieces:
            encrypted.data(side, *piece)
        for plaintext, frame in self._early.pop(min(first.key, second.key), ()):
            self._deliver(plaintext, frame)

    def _decrypted(self, frame: Decrypted) -> None:
        """Hand on what was said inside of TLS."""
        found: list[Plaintext | Revealed] = [*frame.revealed, *frame.plaintexts]
        for each in found:
            if each.key in self._encrypted:
                self._deliver(each, frame)
                continue
            early = self._early.setdefault(min(each.key, peer_key(each.key)), [])
            early.append((each, frame))
            if sum(map(len, self._early.values())) > EARLY_KEPT:
                del self._early[next(iter(self._early))]

    def _deliver(self, what: Plaintext | Revealed, frame: Frame) -> None:
        known = self._encrypted.get(what.key)
        if known is None:
            return
        encrypted, _, side = known
        if isinstance(what, Revealed):
            encrypted.revealed(side, what, frame.number, frame.time)
        else:
            encrypted.plaintext(side, what.offset, what.data, frame.number, frame.time)

    def tls_inside(self, encrypted: Encrypted) -> Conversation:
        """A TLS connection was decrypted."""
        connection = self._encrypted[encrypted.key][1]
        return Conversation(
            encrypted.endpoints,
            from_start=encrypted.inside_from_start,
            forced=self._is_forced(encrypted.endpoints),
            listener=self,
            number=self._next_number,
            tap=self._tap,
            carrier=connection,
            tls=encrypted.tls,
        )

    def tls_outcome(
        self, encrypted: Encrypted, answer: Answer, frames: tuple[int, ...], time: int
    ) -> None:
        """A TLS connection could not be looked into, or did not come about."""
        self._attempt(encrypted.client, encrypted.server, answer, frames, time, time)

    def tls_over(self, encrypted: Encrypted) -> None:
        """A TLS connection has ended; on a port of DICOM it is told, whatever was seen of it."""
        connection = self._encrypted[encrypted.key][1]
        for stream in connection.streams:
            known = self._encrypted.get(stream.key)
            if known is not None and known[0] is encrypted:
                del self._encrypted[stream.key]
        if not encrypted.opaque:
            return
        rows = encrypted.rows()
        association = encrypted.association(self._next_number(), rows)
        self.association_began(association)
        for entry in rows:
            association.timeline.append(entry)
            self.entry_added(association, entry)
        self.association_ended(association)

    # -------------------------------------------------------------- from the conversations

    def association_began(self, association: Association) -> None:
        """An association was recognised."""
        if self._keep:
            self._joiners[association] = OperationJoiner(association)
        if len(self._acceptors) < ATTEMPTS_KEPT:
            self._acceptors.add((association.acceptor.address, association.acceptor.port))
        if self._checker is not None and not association.opaque:
            self._checker.began(association)
        self._listener.association_began(association)

    def entry_added(self, association: Association, entry: Entry) -> None:
        """A row of its timeline is complete."""
        if not self._keep:
            self._listener.entry_added(association, entry)
            association.timeline.clear()
            return
        if entry.message is not None:
            operation = self._joiners[association].add(entry)
            if operation is not None and self._linker is not None:
                self._linker.add(association, operation, entry)
        self._listener.entry_added(association, entry)
        if self._stow and len(association.timeline) > STOWED_FROM:
            self._stowed(association).take(association)
        if self.endless and len(association.timeline) > ENTRIES_KEPT:
            self._give_up_half(association)

    def _stowed(self, association: Association) -> Stow:
        stow = self._stows.get(association)
        if stow is None:
            stow = self._stows[association] = _stow()
        return stow

    def _give_up_half(self, association: Association) -> None:
        """Forget the older half of an association that does not end."""
        timeline = association.timeline
        half = len(timeline) // 2
        first = timeline[half].number
        evicted = self.info.evicted
        evicted["entries"] = evicted.get("entries", 0) + half - NEGOTIATION
        del timeline[NEGOTIATION:half]
        gaps = association.gaps
        gaps[:] = [gap for gap in gaps if gap.time >= timeline[NEGOTIATION].time]
        association.operations[:] = [
            operation for operation in association.operations if last_entry(operation) >= first
        ]
        self._joiners[association].forget(first)
        if self._linker is not None:
            self._linker.forget(association, first)

    def association_ended(self, association: Association) -> None:
        """It will not change any more."""
        self._joiners.pop(association, None)
        if self._linker is not None:
            self._linker.ended(association)
        if self.look is not None:
            self.look()
        if self._checker is not None:
            self._checker.association(association)
        self._listener.association_ended(association)
        self._stows.pop(association, None)


def _stow() -> Stow:
    # Late: few associations are so long.
    from dicomsniff.analysis.stow import Stow

    return Stow()


def _linker() -> Linker:
    # Late, for the same reason.
    from dicomsniff.analysis.links import Linker

    return Linker()


def run(source: Source, pipeline: Pipeline, *, step: Callable[[], None] | None = None) -> None:
    """Feed a whole source, then finish. ``step`` is called every few thousand frames.

    What the source raises passes through after what came before it was finished, so that nothing
    gathered is lost; the source is closed in any case.
    """
    info = pipeline.info
    info.source, info.reader = source.name, source.reader
    if hasattr(source, "silent"):
        source.silent = pipeline.silent
    if hasattr(source, "idle"):
        source.idle = pipeline.tick
    count_drops = getattr(source, "count_drops", None)
    if count_drops is not None:
        info.losses = source.losses  # type: ignore[attr-defined]

        def look() -> None:
            count_drops()
            info.dropped = source.dropped

        pipeline.look = look
    if hasattr(source, "skim"):
        source.skim = pipeline.skim()
        source.keep = pipeline.keep  # type: ignore[attr-defined]
    count = 0
    try:
        for item in stretches(source):
            if isinstance(item, Stretch):
                pipeline.feed_many(item)
                count += len(item.places)
            else:
                pipeline.feed(item)
                count += 1
            if count >= STEP:
                count = 0
                _take_over(source, info)
                if step is not None:
                    step()
    finally:
        source.close()
        _take_over(source, info)
        pipeline.finish()


def _take_over(source: Source, info: CaptureInfo) -> None:
    info.dropped = source.dropped
    info.truncated = source.truncated or info.cut > 0


class _Ended(Listener):
    """Collects associations that have ended."""

    def __init__(self) -> None:
        self.ended: list[Association] = []

    def association_ended(self, association: Association) -> None:
        self.ended.append(association)


def read(
    path: str,
    *,
    reader: str = "auto",
    ports: Iterable[int] = (),
    display_filter: str | None = None,
    keylog: str | None = None,
    tls_keys: Sequence[str] = (),
    checks: bool = True,
) -> Iterator[Association]:
    """The associations of a saved capture, each as soon as it has ended.

    ``path`` is a pcap or pcapng file, or ``-`` for a stream on the standard input. ``reader`` is
    ``auto``, ``pyshark`` or ``scapy``; ``ports`` are TCP ports that are DICOM even where nothing
    shows it; ``display_filter`` is Wireshark's and needs tshark, as do ``keylog``, a file of TLS
    secrets, and ``tls_keys``, files of servers' RSA private keys. ``checks`` False leaves
    ``findings`` empty, and is quicker. Raises :class:`dicomsniff.sources.SourceError` where the
    capture cannot be read.
    """
    from dicomsniff.sources import open_capture

    listener = _Ended()
    pipeline = Pipeline(ports=ports, listener=listener, checks=checks)
    source = open_capture(
        path, reader=reader, display_filter=display_filter, keylog=keylog, tls_keys=tls_keys
    )
    try:
        for item in stretches(source):
            if isinstance(item, Stretch):
                pipeline.feed_many(item)
            else:
                pipeline.feed(item)
            if listener.ended:
                yield from listener.ended
                listener.ended.clear()
    finally:
        source.close()
    pipeline.finish()
    yield from listener.ended
