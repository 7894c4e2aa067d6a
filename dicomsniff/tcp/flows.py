"""Two directions of a TCP connection: who is who, what is in order, what is lost, when it ends.

The order in which frames were captured is not always the order in which things happened: mirror
ports and several receive queues swap neighbours. What a host says depends on what it has received,
and it tells so in the acknowledgement number. So a segment is delivered when

1. every byte before it in its own direction was delivered, and
2. every byte that it acknowledges was delivered in the other direction,

which puts a request before its response whatever the order of capture. Where bytes are missing,
either rule would wait for ever; patience is bounded by the limits below, and what did not come is
then a *gap* of known size. In a capture without loss or disorder neither rule ever holds anything
back, and a segment costs a dictionary look-up and a few comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dicomsniff.model import UNREACHABLE, Segment, Unreachable
from dicomsniff.tcp.connection import Connection, Receiver, peer_key, recognised
from dicomsniff.tcp.frames import address
from dicomsniff.tcp.stream import HALF, MASK, NOTHING, WINDOW_LIMIT, Piece, Stream, distance
from dicomsniff.tcp.timing import DISORDER_NS

FIN, SYN, RST, ACK = 1, 2, 4, 16

EARLY_SEGMENTS = 12
"""Segments of a connection without SYN that are looked at before the lowest sequence number is
taken for its beginning: capture may have begun between two swapped neighbours."""

ACKED_PATIENCE = 64
"""Segments of a connection to wait for bytes that the receiver has acknowledged. It has them, so
they will not be sent again, and only disorder in the capture can still bring them."""

ACKED_PATIENCE_NS = 2_000_000_000
"""The same as time of the capture, for connections on which little is said."""

HELD_LIMIT = 8 * 1024 * 1024
"""Bytes one direction may hold for a hole that was not acknowledged: more than a usual receive
window, so a sender must have had an acknowledgement that the capture does not show."""

HELD_PIECES = 16_384
"""The same, counted in segments, so that tiny ones are bounded too."""

LINGER_NS = 1_000_000_000
"""How long a closed connection is kept for segments captured late."""

TURNS_KEPT = 8192
"""SYNs, FINs and RSTs after which what was remembered of closed connections is forgotten, unless
it is from after as many before: some 2,000 connections. A host that did not hear of the end
repeats its last bytes for minutes; they are not the middle of something new."""

IDLE_NS = 300_000_000_000
"""Silence after which a connection that carries nothing of interest is forgotten."""

ASSOCIATION_IDLE_NS = 86_400_000_000_000
"""Silence after which one that does is given up: a day. Devices keep associations open for hours
between patients; one whose end was not captured would stay for ever."""

SWEEP_NS = 1_000_000_000
"""How often, in time of the capture, closed and idle connections are looked for."""

JUMP_NS = 5_000_000_000
"""How far the time of a frame lies behind that of the latest before the clock is known to have been
set back; disorder of a capture, and of several put together, is less."""

JUMP_EVERY = 1000
"""Frames between two such jumps that are believed: two interfaces whose clocks differ would make
every frame one."""

MAX_CONNECTIONS = 32_768
"""Connections followed at once; past that those that carry nothing of interest, then the longest
silent ones, are given up. Each takes about 3.5 KB beside what it holds back: 115 MB at most."""

MAX_HALF_OPEN = 8_192
"""Connections of which nothing but SYNs was seen; past that the oldest are given up. More than
that wait for their answer at once only where ports are scanned or a server is flooded. Of a
connection given up too early nothing is lost: its SYN-ACK begins it anew."""

HELD_TOTAL = 128 * 1024 * 1024
"""Bytes that all directions together may hold back for what is missing; past that the connections
that hold the most go on without it."""

HELD_SHARE = 64 * 1024
"""Bytes that a connection may hold back in any case: a usual receive window."""


Unanswered = Callable[[bytes, tuple[int, ...], int, int, Unreachable | None], None]
"""Hears of a connection that was not answered: key of the SYN, first frames, times of the first
and last, and what an ICMP message said, where there was one."""

TIME, CLOSED = 1, 2
"""What a segment makes due: connections that ended or were silent are looked for; what was
remembered of closed connections is forgotten."""


class Passing:
    """How time passes, by the segments of a capture. Nothing but this makes one connection's fate
    depend on the others', as long as no limit is reached."""

    def __init__(self) -> None:
        self.next_sweep = 0
        self.set_back = 0
        """A time before this one means that the clock was set back."""
        self._jumped = -JUMP_EVERY
        """Frame at which it was, the last time."""
        self._turns = 0
        """SYNs, FINs and RSTs since closed connections were forgotten."""

    def due(self, frame: int, time: int, flags: int) -> int:
        """A segment was captured, if only as a copy of another: what that makes due."""
        due = 0
        if time > self.next_sweep:
            due = TIME
        elif time < self.set_back and frame - self._jumped >= JUMP_EVERY:
            self._jumped = frame
            due = TIME
        if due:
            self.swept(time)
        if flags & (FIN | SYN | RST):
            if self._turns >= TURNS_KEPT:
                due |= CLOSED
                self.forgotten()
            self._turns += 1
        return due

    def swept(self, time: int) -> None:
        """Connections were looked for: that is not due again for a while."""
        self.next_sweep = time + SWEEP_NS
        self.set_back = time - JUMP_NS

    def forgotten(self) -> None:
        """Closed connections were forgotten: the same."""
        self._turns = 0


class Tracker(Passing):
    """Follows every connection of a capture and hands ordered bytes to receivers."""

    def __init__(
        self,
        accept: Callable[[Connection], Receiver | None],
        refused: Callable[[bytes, int, int], None] | None = None,
        unanswered: Unanswered | None = None,
    ) -> None:
        """``accept`` makes the receiver when a connection carries its first byte (None: not
        wanted). ``refused`` hears of connections answered by RST: key of the SYN, frame, time;
        ``unanswered`` of those not answered."""
        super().__init__()
        self._accept = accept
        self._refused = refused
        self._unanswered = unanswered
        self.streams: dict[bytes, Stream] = {}
        """By the keys of their segments."""
        self._closing: list[tuple[int, Connection]] = []
        self._closed: dict[bytes, int] = {}
        """Next sequence number of directions whose connection has ended,"""
        self._closed_before: dict[bytes, int] = {}
        """and of those that ended earlier."""
        self._idle_sweep = 0
        self._serial = 0
        self._half_open: dict[Connection, None] = {}
        """The oldest first."""
        self._waiting: set[Connection] = set()
        """Those that hold something back."""
        self.evicted: dict[str, int] = {}
        """Connections that a limit has ended, by its name; see :meth:`_give_away`. For
        ``held-back`` the connection goes on, with a gap."""

    def __len__(self) -> int:
        """Connections followed just now."""
        return len(self.streams) // 2

    # -------------------------------------------------------------- segments in

    def feed(self, segment: Segment) -> None:
        """Take the next segment of the capture."""
        frame, time, key, seq, ack, flags, payload, length, window = segment
        if flags & 7 or time > self.next_sweep or time < self.set_back:
            self.passed(frame, time, flags)
        stream = self.streams.get(key)
        if flags == UNREACHABLE:
            self._not_delivered(stream, segment)
            return
        if stream is None:
            stream = self._open(key, seq, flags, length)
            if stream is not None:
                stream.connection.last = time
                self._slow(stream, segment)
            return
        connection = stream.connection
        silence = time - connection.last
        connection.last = time
        if not connection.wanted and not flags & SYN:
            if flags & (FIN | RST):
                self._closing_from(connection, time)
            return
        if silence > connection.patience:
            connection.patience = connection.clock.silence(stream, segment, silence)
        if window and not flags & 7 and stream.plain and not connection.waiting:
            peer = stream.peer
            if flags & ACK and (
                0 < (ack - peer.next_seq) & MASK < HALF if peer.ready else not connection.settled
            ):
                self._slow(stream, segment)
                return
            if not length:
                return
            if seq == stream.next_seq and len(payload) == length and not stream.finished:
                stream.next_seq = (seq + length) & MASK
                stream.recent.append((stream.offset, payload))
                stream.offset += length
                receiver = connection.receiver
                if receiver is None:
                    receiver = self._receiver(connection)
                    if receiver is None:
                        return
                receiver.data(stream.index, payload, frame, time)
                if not receiver.wanted:
                    self.unwanted(connection)
                return
        self._slow(stream, segment)

    def passed(self, frame: int, time: int, flags: int) -> None:
        """A segment was captured, if only as a copy of another: time passes, and what ended long
        ago is forgotten."""
        due = self.due(frame, time, flags)
        if due & TIME:
            self._sweep(time)
        if due & CLOSED:
            self.forget_closed()

    def forget_closed(self) -> None:
        """Begin anew to remember what was closed."""
        self._closed_before = self._closed
        self._closed = {}

    def waiting(self) -> Iterator[bytes]:
        """Connections of which something is held back for what was not captured yet, and may never
        be: the key of who called."""
        for connection in self._waiting:
            if connection.wanted and connection.waiting:
                yield connection.streams[0].key

    def connection(self, key: bytes) -> Connection | None:
        """The connection that a direction belongs to, while it is followed."""
        stream = self.streams.get(key)
        return None if stream is None else stream.connection

    def verdict(self, connection: Connection) -> bool | None:
        """Whether a connection says what its receiver looks for, None while that is not known."""
        if connection.recognised or recognised(connection):
            return True
        if connection.ended or not connection.wanted:
            return False
        return None

    def tick(self, time: int) -> None:
        """Let time pass where no segment does it (an idle interface)."""
        if time > self.next_sweep or time < self.set_back:
            self.swept(time)
            self._sweep(time)

    def finish(self) -> None:
        """The capture ends: deliver what is held, end every connection."""
        connections = dict.fromkeys(stream.connection for stream in self.streams.values())
        for connection in connections:
            self._end(connection)
            connection.let_go()
        self.streams.clear()
        self._closing.clear()
        self._half_open.clear()
        self._waiting.clear()

    # -------------------------------------------------------------- slow path

    def _open(self, key: bytes, seq: int, flags: int, length: int) -> Stream | None:
        if flags & RST or (flags & FIN and not length):
            return None  # the end of something whose beginning was not seen
        if not flags & SYN:
            if not length:
                return None  # nothing was said yet
            last = self._closed.get(key, self._closed_before.get(key))
            if last is not None and abs(distance(seq, last)) <= HELD_LIMIT:
                return None  # sent again, to somebody who is gone
        if len(self.streams) >= 2 * MAX_CONNECTIONS:
            self._evict()
        other = peer_key(key)
        # A SYN-ACK whose SYN was not captured comes from the side that was called.
        if flags & (SYN | ACK) == SYN | ACK:
            connection = Connection(other, key)
            first, second = connection.streams[1], connection.streams[0]
        else:
            connection = Connection(key, other)
            first, second = connection.streams
            if flags & SYN:
                connection.half_open = True
                self._half_open[connection] = None
                if len(self._half_open) > MAX_HALF_OPEN:
                    self._give_away(next(iter(self._half_open)), "half-open")
        self.streams[key] = first
        self.streams[other] = second
        self._not_closed(key)
        self._not_closed(other)
        return first

    def _not_delivered(self, stream: Stream | None, segment: Segment) -> None:
        """An ICMP message says that a segment could not be delivered. That matters of a SYN; what
        is said later is sent again, and whether it came is seen by what is answered."""
        if stream is None:
            return
        connection = stream.connection
        if (
            connection.half_open
            and connection.unreachable is None
            and stream.syn
            and stream.syn_seq == segment.seq
        ):
            said = Unreachable(address(segment.payload), segment.window)
            connection.unreachable = said, segment.frame

    def _not_closed(self, key: bytes) -> None:
        self._closed.pop(key, None)
        self._closed_before.pop(key, None)

    def _slow(self, stream: Stream, segment: Segment) -> None:
        frame, time, _, seq, ack, flags, _, length, window = segment
        connection = stream.connection
        if flags & SYN:
            if connection.frames and self._is_new_connection(stream, seq, flags):
                self._end(connection)
                self._forget(connection)
                reopened = self._open(segment.key, seq, flags, length)
                if reopened is None:  # pragma: no cover - a SYN always opens
                    return
                stream = reopened
                connection = stream.connection
                connection.last = time
            if not connection.wanted:
                return
            if not stream.ready:
                stream.syn = True
                stream.syn_seq = seq
                stream.begin(seq + 1)
            stream.timing.syn(frame, time)
            if flags & ACK:
                connection.clock.synack(stream.peer, time)
                if not stream.peer.ready:
                    self._begin_at(stream.peer, ack)
            seq = (seq + 1) & MASK
        elif length and stream.ready and abs(distance(seq, stream.next_seq)) > WINDOW_LIMIT:
            # The ports were used again, and the SYN was not captured.
            self._end(connection)
            self._forget(connection)
            reopened = self._open(segment.key, seq, flags, length)
            if reopened is None:  # pragma: no cover - bytes so far away always open
                return
            stream = reopened
            connection = stream.connection
            connection.last = time
        elif stream.ready and not flags & (FIN | RST) and not (window and stream.plain):
            connection.clock.second_look(stream, segment)
        if not connection.wanted:
            return
        if connection.half_open and flags & (SYN | ACK) != SYN:
            connection.half_open = False
            del self._half_open[connection]
        connection.frames += 1
        stream.heard = True
        first, second = connection.streams
        if flags & RST:
            self._reset(stream, segment)
            return
        peer = stream.peer
        if not stream.ready and (stream.lowest_seq is None or distance(seq, stream.lowest_seq) < 0):
            stream.lowest_seq = seq
        acked: int | None = None
        if flags & ACK:
            acked = ack
            if peer.ready:
                reached = peer.offset + peer.beyond(ack)
                if reached > peer.acked:
                    peer.acked = reached
            elif peer.lowest_ack is None or distance(ack, peer.lowest_ack) < 0:
                peer.lowest_ack = ack
        self._serial += 1
        carries = length or flags & FIN
        if carries:
            self._keep(stream, segment, seq, acked)
        if not (first.ready and second.ready):
            if connection.frames >= EARLY_SEGMENTS:
                connection.settled = True
            if connection.settled:
                self._begin_in_the_middle(connection)
        else:
            connection.settled = True
        if carries or connection.waiting or (peer.acked > peer.offset and peer.fin is None):
            self._progress(connection, frame, time)

    def _keep(self, stream: Stream, segment: Segment, seq: int, acked: int | None) -> None:
        """Keep a segment's bytes, those that a snap length cut away, and its FIN, until their
        turn comes. The first byte has the number ``seq``: a SYN counts as one."""
        frame, time, _, _, _, flags, data, length, _ = segment
        connection = stream.connection
        size = len(data)
        serial = self._serial
        if not stream.ready:
            early = stream.early
            if size:
                early.append((seq, Piece(0, size, data, frame, time, acked, serial)))
            if length > size:
                hole = Piece(0, length - size, None, frame, time, acked, serial)
                early.append(((seq + size) & MASK, hole))
            if flags & FIN:
                end = Piece(0, 0, None, frame, time, acked, serial)
                early.append(((seq + length) & MASK, end))
            connection.waiting = True
            return
        offset = stream.offset_of(seq)
        end_offset = offset + length
        if length and end_offset <= stream.offset:
            # Seen before: a retransmission, or a keep-alive's byte, which means nothing.
            if not (length == 1 and end_offset == stream.offset):
                stream.timing.retransmitted(frame, connection.clock.silence_before(frame))
                stream.timing.repeat(end_offset)
                stream.peer.plain = False
                self._compare(stream, offset, data, frame, time)
        elif length and not stream.finished:
            pending = stream.pending
            if pending and offset < pending[0].offset and time - pending[0].time > DISORDER_NS:
                # It fills a hole, and too late for one that only took another way.
                stream.timing.retransmitted(frame, connection.clock.silence_before(frame))
            if size:
                stream.hold(Piece(offset, size, data, frame, time, acked, serial))
            if length > size:
                hole = Piece(offset + size, length - size, None, frame, time, acked, serial)
                stream.hold(hole)
        if flags & FIN and stream.fin is None and end_offset >= stream.offset:
            stream.fin = Piece(end_offset, 0, None, frame, time, acked, serial)

    def _is_new_connection(self, stream: Stream, seq: int, flags: int) -> bool:
        """Whether a SYN opens a connection anew on ports that were used before."""
        connection = stream.connection
        if stream.syn:
            return seq != stream.syn_seq
        if flags & ACK:
            return False
        if not connection.wanted:
            return True
        if not stream.ready:
            # Nothing of this side yet, or its first segments were captured before its SYN.
            return bool(stream.early) and not any(
                0 <= distance(early, seq) <= HELD_LIMIT for early, _ in stream.early
            )
        first = (stream.next_seq - stream.offset - stream.finished) & MASK
        return connection.closing or (seq + 1) & MASK != first

    def _begin_in_the_middle(self, connection: Connection) -> None:
        """Take the lowest sequence number seen for the beginning of a stream without SYN, and the
        lowest acknowledgement where a whole direction is missing from the capture, or the SYN-ACK
        alone: who called has as a rule heard nothing else when it acknowledges first."""
        for stream in connection.streams:
            if stream.ready:
                continue
            lowest = stream.lowest_seq
            if stream.early:
                origin = stream.early[0][0]
                first = origin + min(distance(seq, origin) for seq, _ in stream.early)
                # One before the first byte: a keep-alive, and nothing is missing.
                if lowest is None or not -HELD_LIMIT < distance(lowest, first) < -1:
                    lowest = first
            acked = stream.lowest_ack
            if acked is not None and (
                lowest is None or (stream.peer.syn and -HELD_LIMIT < distance(acked, lowest) < 0)
            ):
                lowest = acked
            if lowest is not None:
                stream.middle = lowest != acked or not stream.peer.syn
                stream.begin(lowest)

    def _begin_at(self, stream: Stream, ack: int) -> None:
        """Take what a SYN-ACK acknowledges for the beginning of a stream whose SYN was not
        captured, or was captured late."""
        stream.begin(ack + min([0, *(distance(seq, ack) for seq, _ in stream.early)]))

    def _compare(self, stream: Stream, offset: int, payload: bytes, frame: int, time: int) -> None:
        before = stream.conflicts
        stream.compare(offset, payload)
        receiver = stream.connection.receiver
        if stream.conflicts != before and receiver is not None:
            receiver.conflict(stream.index, frame, time)

    def _reset(self, stream: Stream, segment: Segment) -> None:
        frame, time, _, seq, ack, flags, _, _, _ = segment
        connection = stream.connection
        # Its numbers tell what was sent and received before. (Who resets in the name of another may
        # put any into it.)
        for each, number in ((stream, seq), (stream.peer, ack if flags & ACK else None)):
            ahead = each.beyond(number)
            if ahead <= HELD_SHARE:
                each.acked = max(each.acked, each.offset + ahead)
        if connection.reset is None:
            connection.reset = (stream.index, frame, time)
            caller, called = connection.streams
            # Had the caller said anything else, there would have been an answer before this one.
            if (
                stream is called
                and caller.syn
                and connection.frames == caller.timing.syns + 1
                and self._refused is not None
            ):
                self._refused(caller.key, frame, time)
        self._progress(connection, frame, time)
        self._closing_from(connection, time)

    # -------------------------------------------------------------- bytes out

    def _receiver(self, connection: Connection) -> Receiver | None:
        receiver = connection.receiver = self._accept(connection)
        if receiver is None:
            self.unwanted(connection)
        return receiver

    def _progress(self, connection: Connection, frame: int, time: int) -> None:
        """Deliver all that may be delivered, and give up what waited too long."""
        while connection.wanted:
            if self._release(connection):
                connection.blocked_at = None
            first, second = connection.streams
            waiting = connection.waiting = first.incomplete or second.incomplete
            if not waiting:
                connection.blocked_at = None
                self._waiting.discard(connection)
                break
            self._waiting.add(connection)
            if connection.blocked_at is None:
                connection.blocked_at = connection.frames
                connection.blocked_since = time
            if not self._give_up(connection, frame, time):
                break
        if not connection.closing and not (connection.wanted and connection.waiting):
            first, second = connection.streams
            if first.fin is not None and second.fin is not None:
                self._closing_from(connection, time)

    def _release(self, connection: Connection) -> bool:
        """Deliver every piece whose turn has come. True where anything was."""
        progress = False
        again = True
        while again and connection.wanted:
            again = False
            for stream in connection.streams:
                pending = stream.pending
                if not pending and (stream.finished or stream.fin is None):
                    continue
                peer = stream.peer
                seen = 0
                blocked: list[Piece] = []
                for piece in pending:
                    if piece.offset > stream.offset:
                        break
                    seen += 1
                    if (
                        peer.beyond(piece.ack)
                        if peer.ready
                        else piece.ack is not None and not connection.settled
                    ):
                        # What it answers was captured after it. Behind it may be the same bytes as
                        # they were sent at first, when less had been received.
                        blocked.append(piece)
                        continue
                    stream.held -= piece.length
                    before = stream.conflicts
                    data, length = stream.take(piece)
                    if not length and stream.conflicts == before:
                        continue
                    receiver = connection.receiver or self._receiver(connection)
                    if receiver is None:
                        return progress
                    if stream.conflicts != before:
                        receiver.conflict(stream.index, piece.frame, piece.time)
                    if length:
                        if data is not None:
                            receiver.data(stream.index, data, piece.frame, piece.time)
                        else:
                            receiver.gap(stream.index, length, piece.frame, piece.time)
                    if not receiver.wanted:
                        self.unwanted(connection)
                        return True
                if seen > len(blocked):
                    pending[:seen] = blocked
                    progress = True
                    again = peer.incomplete
                fin = stream.fin
                if (
                    fin is not None
                    and stream.offset == fin.offset
                    and not stream.finished
                    and not peer.beyond(fin.ack)
                ):
                    stream.finished = True
                    stream.next_seq = (stream.next_seq + 1) & MASK  # a FIN counts as one
                    stream.pending.clear()  # nothing comes behind it
                    stream.held = 0
                    self._nothing_missing(stream)
                    progress = True
                    again = peer.incomplete
                    receiver = connection.receiver
                    if receiver is not None:
                        receiver.fin(stream.index, fin.frame, fin.time)
                        if not receiver.wanted:
                            connection.ended = True
                            self.unwanted(connection)
                            return True
        return progress

    def _give_up(self, connection: Connection, frame: int, time: int) -> bool:
        """Declare a gap where patience has run out. True where one was declared."""
        waited = connection.frames - (connection.blocked_at or 0)
        patient = waited < ACKED_PATIENCE and time - connection.blocked_since < ACKED_PATIENCE_NS
        if not patient and not connection.settled:
            # What was seen so far is all that will be seen of the beginning.
            connection.settled = True
            self._begin_in_the_middle(connection)
            return True
        # A direction whose beginning is told by the other one may just be captured a little later.
        told = not patient or connection.frames >= EARLY_SEGMENTS
        for stream in connection.streams:
            if not stream.ready:
                continue
            if stream.held > HELD_LIMIT or len(stream.pending) > HELD_PIECES:
                if stream.pending[0].offset > stream.offset:
                    return self._gap(stream, stream.pending[0].offset, frame, time)
                # It waits for the other side's bytes, which it has received.
                peer = stream.peer
                wanted = peer.beyond(stream.pending[0].ack)
                if wanted:
                    return self._gap_up_to(peer, peer.offset + wanted, frame, time)
            if told and not stream.heard and stream.peer.pending:
                # There is nothing to wait for from a direction that was never heard.
                wanted = stream.beyond(stream.peer.pending[0].ack)
                if wanted:
                    return self._gap_up_to(stream, stream.offset + wanted, frame, time)
            if not patient and min(stream.acked, stream.sent) > stream.offset:
                peer, pending = stream.peer, stream.pending
                if (
                    pending
                    and pending[0].offset <= stream.offset
                    and (wanted := peer.beyond(pending[0].ack))
                    and not (peer.pending and peer.pending[0].offset <= peer.offset)
                ):
                    # It is there, and waits for bytes of the other side that are not.
                    return self._gap_up_to(peer, peer.offset + wanted, frame, time)
                return self._gap_up_to(stream, min(stream.acked, stream.sent), frame, time)
        return False

    def _gap_up_to(self, stream: Stream, offset: int, frame: int, time: int) -> bool:
        """Give up what is missing below ``offset``, and no more."""
        if stream.fin is not None:
            offset = min(offset, stream.fin.offset)
        if stream.pending and stream.offset < stream.pending[0].offset < offset:
            offset = stream.pending[0].offset
        if stream.pending and stream.pending[0].offset <= stream.offset:
            # Present, but it waits for the other side in turn: deliver without its acknowledgement.
            stream.pending[0] = stream.pending[0]._replace(ack=None)
            return True
        return self._gap(stream, offset, frame, time)

    def _gap(self, stream: Stream, offset: int, frame: int, time: int) -> bool:
        length = offset - stream.offset
        connection = stream.connection
        if length <= 0 or stream.finished:
            # Acknowledgements behind a FIN.
            self._nothing_missing(stream)
            return True
        if (
            length == 1
            and not stream.pending
            and stream.fin is None
            and (connection.reset is not None or connection.closing or stream.peer.fin is not None)
        ):
            # One byte acknowledged at the end, and nothing behind it: the FIN was not captured.
            self._nothing_missing(stream)
            return True
        stream.skip(length)
        receiver = connection.receiver
        if receiver is None and (stream.pending or stream.peer.pending):
            receiver = self._receiver(connection)
        if receiver is not None and connection.wanted:
            if stream.pending:
                frame, time = stream.pending[0].frame, stream.pending[0].time
            receiver.gap(stream.index, length, frame, time)
            if not receiver.wanted:
                self.unwanted(connection)
        return True

    def _nothing_missing(self, stream: Stream) -> None:
        """What is acknowledged beyond the stream's bytes is its FIN: wait for nothing more."""
        stream.acked = min(stream.acked, stream.offset)
        pending = stream.peer.pending
        for at, piece in enumerate(pending):
            if stream.beyond(piece.ack):
                pending[at] = piece._replace(ack=None)
        fin = stream.peer.fin
        if fin is not None and stream.beyond(fin.ack):
            stream.peer.fin = fin._replace(ack=None)

    # -------------------------------------------------------------- endings

    def _closing_from(self, connection: Connection, time: int) -> None:
        if connection.closing:
            return
        connection.closing = True
        self._closing.append((time + LINGER_NS, connection))

    def unwanted(self, connection: Connection) -> None:
        """Its receiver wants no more."""
        connection.recognised = recognised(connection)
        connection.wanted = False
        connection.receiver = None
        for stream in connection.streams:
            stream.pending.clear()
            stream.early.clear()
            stream.recent = NOTHING

    def _forget(self, connection: Connection) -> None:
        self._half_open.pop(connection, None)
        self._waiting.discard(connection)
        for stream in connection.streams:
            if self.streams.get(stream.key) is stream:
                del self.streams[stream.key]
                if connection.ended and stream.ready:
                    self._closed[stream.key] = stream.next_seq
        connection.let_go()

    def _end(self, connection: Connection) -> None:
        """Deliver what is held, in the order of capture, and end the connection."""
        if connection.ended or not connection.wanted:
            return
        connection.ended = connection.settled = True
        self._tell_unanswered(connection)
        self._begin_in_the_middle(connection)
        self._deliver_held(connection)
        if not connection.wanted:
            return
        for stream in connection.streams:
            if stream.ready and stream.sent > stream.offset:
                self._gap(stream, stream.sent, 0, connection.last)
            if not connection.wanted:
                return
        self._release(connection)
        receiver = connection.receiver
        if receiver is None or not connection.wanted:
            return
        if connection.reset is not None:
            receiver.reset(*connection.reset)
        closed = connection.reset is not None or any(s.fin is not None for s in connection.streams)
        receiver.end(closed)

    def _deliver_held(self, connection: Connection) -> None:
        """Deliver what is held, in the order of capture, with gaps for what is missing."""
        while connection.wanted:
            self._release(connection)
            if not connection.wanted:
                return
            blocked = [s for s in connection.streams if s.pending]
            if not blocked:
                break
            # Each turn fills a gap, frees a piece, or finds that nothing is missing behind a FIN.
            stream = min(blocked, key=lambda s: s.pending[0].serial)
            head = stream.pending[0]
            if head.offset > stream.offset:
                self._gap(stream, head.offset, head.frame, head.time)
            else:
                peer = stream.peer
                self._gap_up_to(peer, peer.offset + peer.beyond(head.ack), head.frame, head.time)

    def _tell_unanswered(self, connection: Connection) -> None:
        """Nothing but SYNs was seen: nobody answered, or the way back was not captured. In the
        latter case the caller would have gone on."""
        timing = connection.streams[0].timing
        if (
            self._unanswered is not None
            and 0 < timing.syns == connection.frames
            and connection.reset is None
        ):
            key = connection.streams[0].key
            frames, said = timing.syn_frames, None
            if connection.unreachable is not None:
                said, frame = connection.unreachable
                frames = *frames, frame
            self._unanswered(key, frames, timing.syn_time, connection.last, said)

    def _sweep(self, time: int) -> None:
        # What is due later than anything can be was closed before the clock was set back.
        latest = time + LINGER_NS + JUMP_NS
        due = [each for each in self._closing if not time < each[0] <= latest]
        if due:
            self._closing = [each for each in self._closing if time < each[0] <= latest]
        for _, connection in due:
            self._end(connection)
            self._forget(connection)
        if self._waiting:
            self._bound_held(time)
        if time > self._idle_sweep:
            self._idle_sweep = time + IDLE_NS // 4
            for stream in list(self.streams.values()):
                if stream.index:
                    continue
                connection = stream.connection
                silence = time - connection.last
                if silence < IDLE_NS:
                    continue
                if not recognised(connection):
                    self._give_away(connection, "idle")
                elif silence >= ASSOCIATION_IDLE_NS:
                    self._give_away(connection, "idle-associations")

    def _bound_held(self, time: int) -> None:
        """Where too much is held back altogether, go on without what is missing."""
        held = {c: sum(stream.held for stream in c.streams) for c in self._waiting}
        total = sum(held.values())
        if total <= HELD_TOTAL:
            return
        for connection in sorted(held, key=held.__getitem__, reverse=True):
            if total <= HELD_TOTAL // 2 or held[connection] <= HELD_SHARE:
                return
            total -= held[connection]
            self._count("held-back")
            self._deliver_held(connection)
            self._progress(connection, 0, time)

    def _evict(self) -> None:
        """Make room: what is not wanted or silent goes first, then what was silent longest."""

        connections = list(dict.fromkeys(s.connection for s in self.streams.values()))
        connections.sort(key=lambda c: (recognised(c), c.receiver is not None, c.last))
        for connection in connections[: max(1, len(connections) // 8)]:
            self._give_away(connection, "connections")

    def _give_away(self, connection: Connection, limit: str) -> None:
        """End a connection because of a limit: ``half-open`` (too many SYNs without answer),
        ``idle`` (silent, and not known to be DICOM), ``idle-associations`` (silent for a day),
        ``connections`` (too many altogether). What follows on it begins in the middle."""
        self._count(limit)
        self._end(connection)
        self._forget(connection)
        for stream in connection.streams:
            self._not_closed(stream.key)

    def _count(self, limit: str) -> None:
        self.evicted[limit] = self.evicted.get(limit, 0) + 1
