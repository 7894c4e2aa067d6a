"""Two directions: what is delivered when, what is lost, who is who, when it ends."""

from __future__ import annotations

import struct
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomsniff.model import Segment
from dicomsniff.tcp import flows
from dicomsniff.tcp.connection import Connection, peer_key
from dicomsniff.tcp.flows import Tracker

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

CLIENT = bytes((10, 0, 0, 1, 10, 0, 0, 2)) + struct.pack(">HH", 50000, 104)
SERVER = peer_key(CLIENT)
SECOND = 1_000_000_000

# Where each side's numbers begin; the client's wrap after 100 bytes.
C0, S0 = 2**32 - 101, 7000

Event = tuple[object, ...]


class Log:
    """A receiver that writes down what it hears, bytes in one piece as long as one side speaks."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.wanted = True
        self.recognised = True
        self.events: list[Event] = []
        self.frames: list[int] = []

    def data(self, side: int, data: bytes, frame: int, time: int) -> None:  # noqa: ARG002
        assert data
        self.frames.append(frame)
        if self.events and self.events[-1][:2] == ("data", side):
            data = self.events.pop()[2] + data  # type: ignore[operator]
        self.events.append(("data", side, data))

    def gap(self, side: int, length: int, frame: int, time: int) -> None:  # noqa: ARG002
        self.events.append(("gap", side, length))

    def fin(self, side: int, frame: int, time: int) -> None:  # noqa: ARG002
        self.events.append(("fin", side))

    def reset(self, side: int, frame: int, time: int) -> None:  # noqa: ARG002
        self.events.append(("reset", side))

    def conflict(self, side: int, frame: int, time: int) -> None:  # noqa: ARG002
        self.events.append(("conflict", side))

    def end(self, closed: bool) -> None:
        self.events.append(("end", closed))

    def said(self, side: int) -> bytes:
        return b"".join(e[2] for e in self.events if e[:2] == ("data", side))  # type: ignore[misc]


class Play:
    """A connection played segment by segment; offsets count from each side's first byte."""

    def __init__(self) -> None:
        self.logs: list[Log] = []
        self.refused: list[bytes] = []
        self.tracker = Tracker(self._accept, lambda key, _frame, _time: self.refused.append(key))
        self.time = 0
        self.frame = 0

    def _accept(self, connection: Connection) -> Log:
        self.logs.append(Log(connection))
        return self.logs[-1]

    def send(
        self,
        side: str,
        at: int,
        data: bytes = b"",
        ack: int | None = None,
        flags: int = 0,
        *,
        length: int | None = None,
        base: tuple[int, int] = (C0, S0),
        after: int = 1000,
    ) -> Play:
        """One segment: ``at`` and ``ack`` are offsets, -1 is the SYN."""
        self.time += after
        self.frame += 1
        mine, other = base if side == "c" else base[::-1]
        if ack is not None:
            flags |= ACK
        self.tracker.feed(
            Segment(
                self.frame,
                self.time,
                CLIENT if side == "c" else SERVER,
                (mine + 1 + at) % 2**32,
                (other + 1 + (ack or 0)) % 2**32 if ack is not None else 0,
                flags,
                data,
                len(data) if length is None else length,
            )
        )
        return self

    def handshake(self, base: tuple[int, int] = (C0, S0)) -> Play:
        self.send("c", -1, flags=SYN, base=base)
        self.send("s", -1, ack=0, flags=SYN, base=base)
        return self.send("c", 0, ack=0, base=base)

    def end(self) -> list[Event]:
        """The capture ends; what the only receiver heard."""
        self.tracker.finish()
        assert len(self.tracker) == 0
        assert len(self.logs) == 1
        return self.logs[0].events


def test_a_connection_in_order() -> None:
    play = Play().handshake()
    play.send("c", 0, b"ask", 0).send("s", 0, b"answer", 3).send("c", 3, b"more", 6)
    play.send("s", 6, ack=7, flags=FIN).send("c", 7, ack=7, flags=FIN).send("s", 7, ack=8)
    assert play.end() == [
        ("data", 0, b"ask"),
        ("data", 1, b"answer"),
        ("data", 0, b"more"),
        ("fin", 1),
        ("fin", 0),
        ("end", True),
    ]


def test_frames_keep_their_bytes_when_they_were_out_of_order() -> None:
    play = Play().handshake()
    play.send("c", 3, b"def", 0).send("c", 0, b"abc", 0)
    assert play.end()[0] == ("data", 0, b"abcdef")
    assert play.logs[0].frames == [5, 4]


def test_every_order_of_a_whole_conversation_gives_the_same() -> None:
    script = [
        ("c", -1, b"", None, SYN),
        ("s", -1, b"", 0, SYN),
        ("c", 0, b"ask", 0, 0),
        ("s", 0, b"answer", 3, 0),
        ("c", 3, b"thanks", 6, 0),
        ("s", 6, b"", 9, FIN),
        ("c", 9, b"", 7, FIN),
    ]
    for order in permutations(script):
        if order[0][4] & FIN:
            continue  # a FIN of a connection not seen before is the end of something older
        play = Play()
        for side, at, data, ack, flags in order:
            play.send(side, at, data, ack, flags)
        play.tracker.finish()
        events = play.logs[0].events
        caller = 0 if play.logs[0].connection.streams[0].key == CLIENT else 1
        told = [(e[0], e[1] != caller if e[0] != "end" else e[1]) for e in events]
        assert told == [
            ("data", False),
            ("data", True),
            ("data", False),
            ("fin", True),
            ("fin", False),
            ("end", True),
        ], order


def test_an_answer_captured_before_the_handshake_waits_for_its_question() -> None:
    play = Play()
    play.send("s", -1, ack=0, flags=SYN).send("s", 0, b"answer", 3)
    play.send("c", -1, flags=SYN).send("c", 0, b"ask", 0)
    assert play.end()[:2] == [("data", 0, b"ask"), ("data", 1, b"answer")]


def test_without_a_handshake_acknowledgements_still_give_the_order() -> None:
    play = Play()
    play.send("c", 0, b"ask", 0).send("s", 0, b"answer", 3).send("c", 3, b"more", 6)
    play.send("s", 6, b"again", 7)
    assert [e[:2] for e in play.end()] == [
        ("data", 0),
        ("data", 1),
        ("data", 0),
        ("data", 1),
        ("end", False),
    ]


def test_a_retransmission_with_a_later_acknowledgement_does_not_hold_back_the_first() -> None:
    play = Play().handshake()
    # The client sends "ab"; later "bc" with b again, and with the answer acknowledged. The
    # capture shows the second first.
    play.send("c", 0, b"a", 0)
    play.send("c", 1, b"bc", 6)
    play.send("c", 1, b"b", 0)
    play.send("s", 0, b"answer", 2)
    assert play.end() == [
        ("data", 0, b"ab"),
        ("data", 1, b"answer"),
        ("data", 0, b"c"),
        ("end", False),
    ]


@pytest.mark.parametrize("share", [0, 1, 2, 5, 8])
def test_with_one_direction_alone_nothing_waits_for_the_other(share: int) -> None:
    play = Play()
    for at in range(20):
        play.send("c", at * 3, b"%03d" % at, share * at)
    whole = b"".join(b"%03d" % at for at in range(20))
    assert play.logs, "20 segments, and nothing was delivered"
    assert play.logs[0].said(0) == whole
    gaps = [e[2] for e in play.end() if e[0] == "gap"]
    assert gaps == [share] * 19 if share else not gaps, "what was acknowledged, where it was"


# ---------------------------------------------------------------------------- repetition


def test_retransmissions_overlaps_and_keep_alives_add_nothing() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abcdef", 0).send("c", 0, b"abcdef", 0).send("c", 3, b"defghi", 0)
    play.send("s", 0, ack=9)
    play.send("c", 8, b"", 0)  # a keep-alive without a byte
    play.send("c", 8, b"\0", 0)  # one with a byte, which means nothing
    play.send("c", 9, b"j", 0)
    assert play.end() == [("data", 0, b"abcdefghij"), ("end", False)]


def test_a_window_probe_is_the_next_byte_and_comes_once() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0).send("c", 3, b"d", 0).send("s", 0, ack=3)
    play.send("c", 3, b"d", 0).send("c", 3, b"defg", 0)
    assert play.end()[0] == ("data", 0, b"abcdefg")


def test_other_bytes_sent_again_are_told_and_the_first_count() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abcdef", 0).send("c", 0, b"abXdef", 0)
    assert play.end() == [("data", 0, b"abcdef"), ("conflict", 0), ("end", False)]


@pytest.mark.parametrize("again", [b"abcdef", b"def", b"f"])
def test_what_is_sent_again_behind_the_fin_is_held_against_its_own_place(again: bytes) -> None:
    play = Play().handshake()
    play.send("c", 0, b"abcdef", 0).send("c", 6, ack=0, flags=FIN)
    play.send("c", 6 - len(again), again, 0).send("c", 0, b"abXdef", 0)
    assert play.end() == [("data", 0, b"abcdef"), ("fin", 0), ("conflict", 0), ("end", True)]


def test_a_conflict_is_noticed_in_pieces_that_were_held() -> None:
    play = Play().handshake()
    play.send("c", 3, b"def", 0).send("c", 3, b"dXf", 0).send("c", 0, b"abc", 0)
    assert play.end() == [("data", 0, b"abcdef"), ("conflict", 0), ("end", False)]


# ---------------------------------------------------------------------------- loss


def test_acknowledged_bytes_that_never_came_are_a_gap_of_known_size() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0).send("c", 10, b"xyz", 0).send("s", 0, ack=13)
    for _ in range(flows.ACKED_PATIENCE + 1):
        play.send("c", 12, b"", 0)
    play.send("c", 13, b"!", 0)
    events = [("data", 0, b"abc"), ("gap", 0, 7), ("data", 0, b"xyz!")]
    assert play.logs[0].events == events, "patience ends before the capture does"
    assert play.end() == [*events, ("end", False)]


def test_patience_ends_by_the_clock_too() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0).send("c", 10, b"xyz", 0).send("s", 0, ack=13)
    play.send("c", 13, b"!", 0, after=flows.ACKED_PATIENCE_NS)
    assert play.logs[0].events[-1] == ("data", 0, b"xyz!")


def test_bytes_that_may_still_come_are_waited_for() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0).send("c", 6, b"ghi", 0, after=SECOND)
    for at in range(200):
        play.send("c", 9 + at, b"j", 0)
    play.send("c", 3, b"def", 0)
    assert play.end()[0] == ("data", 0, b"abcdefghi" + b"j" * 200)


def test_the_stream_that_goes_on_for_too_long_has_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "HELD_LIMIT", 100)
    play = Play().handshake()
    play.send("c", 0, b"abc", 0).send("c", 5, b"x" * 60, 0).send("c", 65, b"x" * 60, 0)
    assert play.logs[0].events == [("data", 0, b"abc"), ("gap", 0, 2), ("data", 0, b"x" * 120)]


def test_bytes_that_a_snap_length_cut_away_are_a_gap() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0, length=10).send("c", 10, b"def", 0)
    assert play.end() == [
        ("data", 0, b"abc"),
        ("gap", 0, 7),
        ("data", 0, b"def"),
        ("end", False),
    ]


def test_an_answer_to_something_lost_is_delivered_behind_the_gap() -> None:
    play = Play().handshake()
    play.send("c", 0, b"one", 0).send("s", 0, b"first", 3)
    play.send("s", 5, b"second", 9)  # what it answers was not captured
    play.send("c", 9, b"three", 11)
    assert play.end() == [
        ("data", 0, b"one"),
        ("data", 1, b"first"),
        ("gap", 0, 6),
        ("data", 1, b"second"),
        ("data", 0, b"three"),
        ("end", False),
    ]


def test_an_answer_that_was_lost_is_missing_before_what_is_said_upon_it() -> None:
    play = Play().handshake()
    play.send("c", 0, b"ask", 0).send("c", 3, b"", 6).send("c", 3, b"more", 6)
    play.send("s", 6, b"", 7).send("s", 6, b"again", 7)
    play.send("c", 7, b"late", 11, after=flows.ACKED_PATIENCE_NS)
    events = [
        ("data", 0, b"ask"),
        ("gap", 1, 6),
        ("data", 0, b"more"),
        ("data", 1, b"again"),
        ("data", 0, b"late"),
    ]
    assert play.logs[0].events == events, "patience ends before the capture does"
    assert play.end() == [*events, ("end", False)]


@pytest.mark.parametrize("lost", ["SYN", "SYN-ACK", "both"])
def test_a_pause_after_a_handshake_that_was_lost_changes_no_order(lost: str) -> None:
    play = Play()
    if lost == "SYN-ACK":
        play.send("c", -1, flags=SYN)
    elif lost == "SYN":
        play.send("s", -1, ack=0, flags=SYN)
    play.send("c", 0, ack=0).send("c", 0, b"ask", 0).send("s", 0, ack=3).send("s", 0, b"yes", 3)
    play.send("c", 3, ack=3).send("c", 3, b"more", 3, after=2 * flows.ACKED_PATIENCE_NS)
    play.send("s", 3, b"again", 7, after=2 * flows.ACKED_PATIENCE_NS)
    assert play.end() == [
        ("data", 0, b"ask"),
        ("data", 1, b"yes"),
        ("data", 0, b"more"),
        ("data", 1, b"again"),
        ("end", False),
    ]


def test_an_answer_lost_together_with_the_syn_ack_is_missing_in_its_place() -> None:
    play = Play().send("c", -1, flags=SYN)
    play.send("c", 0, ack=0).send("c", 0, b"ask", 0).send("s", 0, ack=3)
    play.send("c", 3, b"", 6).send("c", 3, b"more", 6).send("s", 6, b"again", 7)
    assert play.end() == [
        ("data", 0, b"ask"),
        ("gap", 1, 6),
        ("data", 0, b"more"),
        ("data", 1, b"again"),
        ("end", False),
    ]


def test_an_acknowledgement_without_bytes_tells_what_is_sent_next() -> None:
    """No handshake, and the first answer lost: its place is known all the same."""
    play = Play().send("c", 0, b"ask", 0).send("s", 0, ack=3)
    play.send("c", 3, b"more", 6).send("s", 6, b"again", 7)
    assert play.end() == [
        ("data", 0, b"ask"),
        ("gap", 1, 6),
        ("data", 0, b"more"),
        ("data", 1, b"again"),
        ("end", False),
    ]
    # A keep-alive stands one before the next byte, and nothing is missing.
    play = Play().send("s", 5, ack=3).send("c", 3, b"more", 6).send("s", 6, b"again", 7)
    assert [event[0] for event in play.end()] == ["data", "data", "end"]


def test_the_last_bytes_lost_are_known_from_the_fin() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0).send("c", 10, ack=0, flags=FIN)
    assert play.end() == [
        ("data", 0, b"abc"),
        ("gap", 0, 7),
        ("fin", 0),
        ("end", True),
    ]


def test_a_fin_that_was_not_captured_is_no_missing_byte() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0).send("s", 0, ack=4, flags=FIN).send("c", 4, ack=1)
    assert play.end() == [("data", 0, b"abc"), ("fin", 1), ("end", True)]


def test_a_fin_before_the_last_data_waits_for_it() -> None:
    play = Play().handshake()
    play.send("c", 3, ack=0, flags=FIN).send("c", 0, b"abc", 0)
    assert play.end() == [("data", 0, b"abc"), ("fin", 0), ("end", True)]


def test_two_fins_come_in_the_order_they_acknowledge() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0)
    play.send("s", 0, ack=4, flags=FIN).send("c", 3, ack=0, flags=FIN).send("c", 4, ack=1)
    assert play.end() == [("data", 0, b"abc"), ("fin", 0), ("fin", 1), ("end", True)]


# ---------------------------------------------------------------------------- endings


def test_bytes_behind_a_fin_are_nothing_that_a_host_could_have_sent() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0).send("c", 3, ack=0, flags=FIN)
    play.send("c", 4, b"never", 0).send("c", 3, b"never", 0)
    assert play.end() == [("data", 0, b"abc"), ("fin", 0), ("end", True)]


def test_a_receiver_that_wants_nothing_more_hears_nothing_more() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0)
    log = play.logs[0]
    log.wanted = False
    play.send("c", 3, b"def", 0)  # it is asked after each delivery
    play.send("c", 6, b"ghi", 0).send("s", 0, b"jkl", 9)
    play.send("c", 9, flags=RST)
    play.tracker.finish()
    assert log.events == [("data", 0, b"abcdef")]


def test_a_reset_ends_the_connection_after_late_segments() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0).send("s", 0, ack=3, flags=RST).send("c", 3, b"late", 0)
    play.tracker.tick(play.time + flows.LINGER_NS + flows.SWEEP_NS + 1)
    assert play.logs[0].events == [("data", 0, b"abclate"), ("reset", 1), ("end", True)]


def test_what_is_sent_again_to_a_closed_connection_opens_none() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0).send("c", 3, b"defghi", 0).send("s", 0, flags=RST, ack=3)
    for wait in (1, 2, 4, 8, 16):
        play.send("c", 3, b"defghi", 0, after=wait * SECOND)
    for _ in range(20):
        play.send("c", 3, b"defghi", 0)
    assert play.end() == [("data", 0, b"abcdefghi"), ("reset", 1), ("end", True)]


def test_ports_used_again_are_another_connection() -> None:
    play = Play().handshake()
    play.send("c", 0, b"first", 0)
    play.send("c", 5, ack=0, flags=FIN).send("s", 0, ack=6, flags=FIN).send("c", 6, ack=1)
    again = (5, 99)
    play.handshake(again).send("c", 0, b"second", 0, base=again)
    play.tracker.finish()
    assert [log.events for log in play.logs] == [
        [("data", 0, b"first"), ("fin", 0), ("fin", 1), ("end", True)],
        [("data", 0, b"second"), ("end", False)],
    ]


def test_ports_used_again_without_an_end_are_another_connection() -> None:
    play = Play().handshake()
    play.send("c", 0, b"first", 0)
    again = (5, 99)
    play.handshake(again).send("c", 0, b"second", 0, base=again)
    play.tracker.finish()
    assert [log.events for log in play.logs] == [
        [("data", 0, b"first"), ("end", False)],
        [("data", 0, b"second"), ("end", False)],
    ]


def test_ports_used_again_without_a_syn_are_another_connection() -> None:
    play = Play().handshake()
    play.send("c", 0, b"first", 0).send("s", 0, b"answer", 5)
    far = ((C0 + 2**31 - 5000) % 2**32, (S0 + 2**31 - 9000) % 2**32)
    play.send("c", 0, b"second", 0, base=far).send("s", 0, b"another", 6, base=far)
    play.tracker.finish()
    assert [log.events for log in play.logs] == [
        [("data", 0, b"first"), ("data", 1, b"answer"), ("end", False)],
        [("data", 0, b"second"), ("data", 1, b"another"), ("end", False)],
    ]


def test_an_acknowledgement_beyond_every_window_invents_nothing() -> None:
    play = Play().handshake()
    play.send("c", 0, b"abc", 0).send("s", 0, ack=2**31 - 100)
    for _ in range(flows.ACKED_PATIENCE + 1):
        play.send("s", 0, ack=3)
    play.send("c", 3, b"def", 0)
    assert play.end() == [("data", 0, b"abcdef"), ("end", False)]


def test_a_syn_sent_again_is_the_same_connection() -> None:
    play = Play().send("c", -1, flags=SYN).send("c", -1, flags=SYN, after=SECOND)
    play.send("s", -1, ack=0, flags=SYN).send("s", -1, ack=0, flags=SYN)
    play.send("c", 0, b"abc", 0)
    assert play.end() == [("data", 0, b"abc"), ("end", False)]


def test_a_connection_that_was_refused_is_told() -> None:
    play = Play().send("c", -1, flags=SYN).send("s", 0, ack=0, flags=RST)
    play.tracker.finish()
    assert play.refused == [CLIENT]
    assert not play.logs


def test_a_connection_whose_syn_ack_was_lost_is_not_refused_when_it_is_reset() -> None:
    play = Play().send("c", -1, flags=SYN).send("c", 0, ack=0).send("s", 0, ack=0, flags=RST)
    play.tracker.finish()
    assert not play.refused
    play = Play().send("c", -1, flags=SYN).send("c", -1, flags=SYN, after=SECOND)
    play.send("s", 0, ack=0, flags=RST)
    play.tracker.finish()
    assert play.refused == [CLIENT]


def test_the_end_of_something_older_is_nothing() -> None:
    play = Play().send("c", 5, ack=9, flags=FIN).send("s", 9, flags=RST).send("c", 6, ack=10)
    play.tracker.finish()
    assert not play.logs
    assert not play.refused


def test_a_syn_ack_shows_who_was_called() -> None:
    play = Play().send("s", -1, ack=0, flags=SYN).send("c", 0, b"ask", 0)
    assert play.end()[0] == ("data", 0, b"ask")
    assert play.logs[0].connection.streams[0].key == CLIENT


def test_too_many_connections_give_up_the_silent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "MAX_CONNECTIONS", 16)
    tracker = Tracker(Log)
    for number in range(200):
        key = CLIENT[:8] + struct.pack(">HH", 1000 + number, 104)
        tracker.feed(Segment(number + 1, number, key, 1, 0, SYN, b"", 0))
    assert len(tracker) <= 16
    assert sum(tracker.evicted.values()) >= 184


def test_silent_connections_of_no_interest_are_forgotten() -> None:
    tracker = Tracker(lambda _connection: None)
    for number in range(50):
        key = CLIENT[:8] + struct.pack(">HH", 1000 + number, 80)
        tracker.feed(Segment(number + 1, number, key, 1, 0, ACK, b"GET /", 5))
    tracker.tick(2 * flows.IDLE_NS)
    assert len(tracker) == 0


# ---------------------------------------------------------------------------- any segments


_segment = st.tuples(
    st.sampled_from("cs"),
    st.integers(-2, 40),
    st.binary(max_size=12),
    st.one_of(st.none(), st.integers(-3, 45)),
    st.sampled_from((0, 0, 0, 0, FIN, SYN, RST, FIN | RST, SYN | FIN)),
    st.integers(0, 3),
    st.sampled_from((1, 1000, SECOND, 3 * SECOND)),
)


@given(script=st.lists(_segment, max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_segments_make_it_raise_or_forget_an_end(
    script: list[tuple[str, int, bytes, int | None, int, int, int]],
) -> None:
    play = Play()
    for side, at, data, ack, flags, cut, after in script:
        play.send(side, at, data, ack, flags, length=len(data) + cut, after=after)
    play.tracker.finish()
    for log in play.logs:
        assert [e[0] for e in log.events].count("end") == 1
        assert log.events[-1][0] == "end"
        for stream in log.connection.streams:
            assert not stream.pending
            assert stream.held == 0


@given(
    sizes=st.lists(st.tuples(st.sampled_from("cs"), st.integers(1, 9)), min_size=1, max_size=25),
    seed=st.randoms(use_true_random=False),
    syn=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_any_disorder_in_small_windows_gives_the_same(
    sizes: list[tuple[str, int]], seed: object, syn: bool
) -> None:
    at = {"c": 0, "s": 0}
    spoken = []
    for number, (side, size) in enumerate(sizes):
        other = "s" if side == "c" else "c"
        data = bytes([65 + number]) * size
        spoken.append((side, at[side], data, at[other], 0))
        at[side] += size
    script = [("c", -1, b"", None, SYN), ("s", -1, b"", 0, SYN)] if syn else []
    script += spoken
    straight, mixed = Play(), Play()
    for each in script:
        straight.send(*each)
    straight.tracker.finish()
    for start in range(0, len(script), 6):
        window = script[start : start + 6]
        seed.shuffle(window)  # type: ignore[attr-defined]
        for each in window:
            mixed.send(*each)
    mixed.tracker.finish()
    for log in (straight.logs[0], mixed.logs[0]):
        caller = 0 if log.connection.streams[0].key == CLIENT else 1
        assert log.said(caller) == b"".join(e[2] for e in spoken if e[0] == "c")
        assert log.said(1 - caller) == b"".join(e[2] for e in spoken if e[0] == "s")
        # Each side speaks in turn here, so there is one order only.
        order = [bytes(sorted(set(e[2]))) for e in log.events if e[0] == "data"]  # type: ignore[call-overload]
        assert b"".join(order) == bytes(65 + n for n in range(len(spoken)))


# ---------------------------------------------------------------------------- the clock


def closed(play: Play, base: tuple[int, int] = (C0, S0)) -> None:
    play.handshake(base).send("c", 0, b"ask", 0, base=base)
    play.send("c", 3, ack=0, flags=FIN, base=base).send("s", 0, ack=4, flags=FIN, base=base)


@pytest.mark.parametrize("by", ["segments", "silence"])
def test_a_clock_set_back_keeps_no_ended_connection_waiting(by: str) -> None:
    play = Play()
    play.time = 3600 * SECOND
    closed(play)
    play.time -= 3599 * SECOND
    if by == "segments":
        key = CLIENT[:8] + struct.pack(">HH", 50001, 104)
        play.tracker.feed(Segment(99, play.time, key, 1, 0, SYN, b"", 0))
    else:
        play.tracker.tick(play.time)
    assert play.logs[0].events[-1] == ("end", True)
    # And the next one ends in its own time.
    closed(play, (9, 9))
    play.tracker.tick(play.time + flows.LINGER_NS + flows.SWEEP_NS)
    assert play.logs[1].events[-1] == ("end", True)


def test_two_clocks_that_differ_cost_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each frame of the one would be a jump for the other."""
    sweeps = 0
    sweep = Tracker._sweep

    def counted(self: Tracker, time: int) -> None:
        nonlocal sweeps
        sweeps += 1
        sweep(self, time)

    monkeypatch.setattr(Tracker, "_sweep", counted)
    tracker = Tracker(Log)
    for number in range(20_000):
        key = CLIENT[:8] + struct.pack(">HH", 1000 + number % 50, 104)
        time = number * 1000 + (3600 * SECOND if number & 1 else 0)
        tracker.feed(Segment(number + 1, time, key, number, 0, ACK, b"x", 1))
    assert sweeps <= 2 * 20_000 / flows.JUMP_EVERY + 3
