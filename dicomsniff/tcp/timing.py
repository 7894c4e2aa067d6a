"""When the segments of a connection came: round trips, stalls, closed windows.

None of it decides about bytes. A connection tells its :class:`Clock` of what is out of the
ordinary (the handshake, silence, a closed window, bytes sent again), so that a transfer that runs
as it should costs one comparison a segment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomsniff.model import Segment, Transport

if TYPE_CHECKING:
    from dicomsniff.tcp.stream import Stream

SILENCE_NS = 20_000_000
"""Silence on a connection that is looked into: less than any delayed acknowledgement."""

DELAYED_NS = 30_000_000
"""Least time that a delayed acknowledgement takes beyond the round trip: Linux 40 ms, macOS and
BSD 100, Windows 200."""

DELAYED_MOST_NS = 500_000_000
"""The most that RFC 1122 4.2.3.2 allows it. What comes later comes for another reason."""

RESUMED_NS = 2_000_000
"""Time, beyond the round trip, in which a sender that only waited for an acknowledgement goes on:
it has its data at hand. One that had to think takes longer."""

DISORDER_NS = 3_000_000
"""Disorder on the way sets right within this, a retransmission takes longer (Wireshark draws the
line at the same place)."""

FRAMES_SHOWN = 8
"""Frames remembered of each count."""


class Timing:
    """One direction: what it counts, and what it waits for."""

    __slots__ = (
        "closed_since",
        "counts",
        "repeated",
        "repeats",
        "syn_frames",
        "syn_time",
        "syns",
    )

    def __init__(self) -> None:
        self.counts: Transport | None = None
        """None until something is out of the ordinary."""
        self.closed_since: int | None = None
        """When its receive window closed, while it is closed."""
        self.repeated = -1
        """Offset behind the segment that it sent again last, -1 once that was acknowledged."""
        self.repeats = 0
        """Times that it sent that one again."""
        self.syns = 0
        """SYNs it sent."""
        self.syn_time = 0
        """Of the first of them."""
        self.syn_frames: tuple[int, ...] = ()

    def syn(self, frame: int, time: int) -> None:
        """It sent a SYN."""
        if not self.syns:
            self.syn_time = time
        self.syns += 1
        if len(self.syn_frames) < FRAMES_SHOWN:
            self.syn_frames += (frame,)

    def count(self, what: str, frame: int) -> Transport:
        """Remember where something is counted; where to count it."""
        counts = self.counts
        if counts is None:
            counts = self.counts = Transport()
        frames = counts.frames.setdefault(what, [])
        if len(frames) < FRAMES_SHOWN:
            frames.append(frame)
        return counts

    def window(self, window: int, frame: int, time: int) -> None:
        """It tells its receive window."""
        if window:
            if self.closed_since is not None and self.counts is not None:
                self.counts.closed_time += max(0, time - self.closed_since)
                self.closed_since = None
        elif self.closed_since is None:
            self.closed_since = time
            self.count("closed", frame).closed += 1

    def repeat(self, end: int) -> None:
        """It sent the segment that ends at this offset again."""
        if end != self.repeated:
            self.repeated, self.repeats = end, 0
        self.repeats += 1

    def retransmitted(self, frame: int, silence: int) -> None:
        """It sent a segment again, after so much silence."""
        counts = self.count("retransmitted", frame)
        counts.retransmitted += 1
        counts.retransmission_time += silence


class Clock:
    """One connection: its handshake, and its silences."""

    __slots__ = ("_late", "_silence", "_silent_frame", "_synack_time", "round_trips")

    def __init__(self) -> None:
        self.round_trips: list[int | None] = [None, None]
        """Between the place of capture and each side, by the handshake (nanoseconds)."""
        self._synack_time: int | None = None
        self._silence = 0
        self._silent_frame = 0
        self._late: tuple[Stream, int, int] | None = None
        """While the latest segment is an acknowledgement without data that came late: who waited
        for it, for how long, and when it came."""

    def synack(self, first: Stream, time: int) -> None:
        """The called side answered; the acknowledgement of that is waited for."""
        timing = first.timing
        if self._synack_time is None and first.peer.timing.syns == 1:
            self._synack_time = time
            if timing.syns == 1 and time >= timing.syn_time:
                self.round_trips[1] = time - timing.syn_time
            first.plain = False
        else:
            self._synack_time = None  # which of them is answered cannot be known

    def second_look(self, stream: Stream, segment: Segment) -> None:
        """A segment (no SYN, FIN or RST) of a stream that is not plain, or with a closed window."""
        if self._synack_time is not None and stream.index == 0:
            if segment.time >= self._synack_time:
                self.round_trips[0] = segment.time - self._synack_time
            self._synack_time = None
        waiting = stream.peer.timing
        if waiting.repeated >= 0 and stream.peer.offset_of(segment.ack) >= waiting.repeated:
            waiting.repeated = -1
        stream.timing.window(segment.window, segment.frame, segment.time)
        stream.plain = segment.window != 0 and waiting.repeated < 0

    def silence(self, stream: Stream, segment: Segment, silence: int) -> int:
        """A segment came after a silence, or behind one that has to be explained by it. Returns
        the silence in front of the next one that is to be told: -1 where that one explains this.

        The stall it looks for: data, silence for as long as a delayed acknowledgement takes, the
        acknowledgement and nothing else, and at once more data from the side that had waited.
        """
        frame, time = segment.frame, segment.time
        late, self._late = self._late, None
        if late is not None:
            waited, stalled, since = late
            soon = RESUMED_NS + (self.round_trip or 0)
            if stream is waited and segment.length and time - since <= soon:
                counts = stream.timing.count("stalls", frame)
                counts.stalls += 1
                counts.stall_time += stalled
            if silence <= SILENCE_NS:
                return SILENCE_NS
        self._silence, self._silent_frame = silence, frame
        trip = self.round_trip
        if (
            trip is not None
            and not segment.length
            and not segment.flags & 7
            and segment.window
            and DELAYED_NS <= silence - trip <= DELAYED_MOST_NS
            and stream.peer.ready
            and segment.ack == stream.peer.next_seq
        ):
            self._late = (stream.peer, silence - trip, time)
            return -1
        return SILENCE_NS

    @property
    def round_trip(self) -> int | None:
        """From one side to the other and back."""
        first, second = self.round_trips
        return None if first is None or second is None else first + second

    def silence_before(self, frame: int) -> int:
        """The silence in front of the present segment, 0 where it was short."""
        return self._silence if frame == self._silent_frame else 0

    def transport(self, stream: Stream) -> Transport:
        """What was counted of one side until now."""
        round_trip = self.round_trips[stream.index]
        counts = stream.timing.counts
        if counts is None:
            return Transport(round_trip)
        frames = {what: list(shown) for what, shown in counts.frames.items()}
        waiting = stream.timing.repeated >= 0
        # Not ``replace``, which takes five times as long, of each association.
        return Transport(
            round_trip,
            counts.retransmitted,
            counts.retransmission_time,
            counts.stalls,
            counts.stall_time,
            counts.closed,
            counts.closed_time,
            counts.unfinished,
            frames,
            counts.ended,
            stream.timing.repeats if waiting else 0,
        )
