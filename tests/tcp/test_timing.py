"""What TCP did to a transfer: counted where it happens, and silent where it cannot be known."""

from __future__ import annotations

import struct

import pytest

from dicomsniff.model import Frame, Segment, Transport, Unreachable
from dicomsniff.tcp.connection import Connection, Receiver
from dicomsniff.tcp.flows import Tracker
from dicomsniff.tcp.frames import Dissector

FIN, SYN, RST, ACK = 1, 2, 4, 16
CLIENT = bytes((192, 0, 2, 1, 192, 0, 2, 2)) + (40000).to_bytes(2, "big") + b"\x2b\x68"
SERVER = bytes((192, 0, 2, 2, 192, 0, 2, 1)) + b"\x2b\x68" + (40000).to_bytes(2, "big")
MS = 1_000_000


class Deaf(Receiver):
    wanted = True
    recognised = True

    def data(self, side: int, data: bytes, frame: int, time: int) -> None: ...

    def gap(self, side: int, length: int, frame: int, time: int) -> None: ...

    def fin(self, side: int, frame: int, time: int) -> None: ...

    def reset(self, side: int, frame: int, time: int) -> None: ...

    def conflict(self, side: int, frame: int, time: int) -> None: ...

    def end(self, closed: bool) -> None: ...


class Net:
    """A connection, segment by segment, at times in milliseconds."""

    def __init__(self) -> None:
        self.seen: list[Connection] = []
        self.unanswered: list[tuple[list[int], int, int]] = []
        self.tracker = Tracker(self.accept, None, self.silent)
        self.frame = 0

    def accept(self, connection: Connection) -> Receiver:
        self.seen.append(connection)
        return Deaf()

    def silent(
        self, key: bytes, frames: tuple[int, ...], first: int, last: int, said: Unreachable | None
    ) -> None:
        assert key == CLIENT
        assert said is None
        self.unanswered.append((list(frames), first // MS, last // MS))

    def __call__(
        self,
        ms: float,
        key: bytes,
        flags: int,
        seq: int,
        ack: int = 0,
        data: bytes = b"",
        window: int = 9000,
    ) -> None:
        self.frame += 1
        time = round(ms * MS)
        self.tracker.feed(Segment(self.frame, time, key, seq, ack, flags, data, len(data), window))

    def open(self, trip: float = 1.0) -> None:
        self(0, CLIENT, SYN, 99)
        self(trip, SERVER, SYN | ACK, 499, 100)
        self(trip + 0.25, CLIENT, ACK, 100, 500)

    def side(self, number: int) -> Transport:
        return self.seen[0].transport(number)


def test_round_trips() -> None:
    net = Net()
    net.open(3)
    net(10, CLIENT, ACK, 100, 500, b"x")
    assert net.side(1).round_trip == 3 * MS
    assert net.side(0).round_trip == MS // 4


@pytest.mark.parametrize("which", ["SYN", "SYN-ACK", "none", "late"])
def test_a_round_trip_that_cannot_be_known(which: str) -> None:
    net = Net()
    if which != "none":
        net(0, CLIENT, SYN, 99)
    if which == "SYN":
        net(1000, CLIENT, SYN, 99)  # which of the two is answered?
    net(1001, SERVER, SYN | ACK, 499, 100)
    if which == "SYN-ACK":
        net(2001, SERVER, SYN | ACK, 499, 100)
    net(2002, CLIENT, ACK, 100, 500)
    net(2003, CLIENT, ACK, 100, 500, b"x")
    net(2004, SERVER, ACK, 500, 101)
    net.tracker.finish()
    trips = (net.side(0).round_trip, net.side(1).round_trip)
    assert (None in trips) is (which != "late")


def test_windows_close_and_open() -> None:
    net = Net()
    net.open()
    net(10, CLIENT, ACK, 100, 500, b"abcd")
    net(11, SERVER, ACK, 500, 104, window=0)
    net(21, SERVER, ACK, 500, 104, window=0)
    net(31, SERVER, ACK, 500, 104)
    net(40, CLIENT, ACK, 104, 500, b"efgh")
    net(41, SERVER, ACK, 500, 108, window=0)
    net(45, SERVER, ACK, 500, 108)
    side = net.side(1)
    assert (side.closed, side.closed_time) == (2, 24 * MS)
    assert side.frames["closed"] == [5, 9]
    assert net.side(0).closed == 0


def test_a_stall_is_what_the_other_sides_acknowledgement_ends() -> None:
    net = Net()
    net.open()
    net(10, CLIENT, ACK, 100, 500, b"head")
    net(50, SERVER, ACK, 500, 104)
    net(50.1, CLIENT, ACK, 104, 500, b"body")
    side = net.side(0)
    assert side.stalls == 1
    assert side.stall_time == 40 * MS - round(1.25 * MS)  # without the way there and back
    assert side.frames["stalls"] == [6]


@pytest.mark.parametrize(
    ("after", "key", "data"),
    [
        (20, CLIENT, b"body"),  # it had to think
        (0.1, SERVER, b"response"),  # the other side speaks
        (0.1, CLIENT, b""),  # nothing was waiting
    ],
)
def test_what_is_no_stall(after: float, key: bytes, data: bytes) -> None:
    net = Net()
    net.open()
    net(10, CLIENT, ACK, 100, 500, b"head")
    net(50, SERVER, ACK, 500, 104)
    seq, ack = (104, 500) if key is CLIENT else (500, 104)
    net(50 + after, key, ACK, seq, ack, data)
    net(50.2 + after, CLIENT, ACK, 104 + len(data) * (key is CLIENT), 500, b"more")
    assert net.side(0).stalls == net.side(1).stalls == 0


def test_an_acknowledgement_of_a_part_is_no_delayed_one() -> None:
    """Nagle's algorithm waits until all is acknowledged."""
    net = Net()
    net.open()
    net(10, CLIENT, ACK, 100, 500, b"head")
    net(50, SERVER, ACK, 500, 102)
    net(50.1, CLIENT, ACK, 104, 500, b"body")
    assert net.side(0).stalls == 0


def test_retransmissions_and_the_silence_before_them() -> None:
    net = Net()
    net.open()
    net(10, CLIENT, ACK, 100, 500, b"head")
    net(310, CLIENT, ACK, 100, 500, b"head")
    net(311, SERVER, ACK, 500, 104)
    side = net.side(0)
    assert (side.retransmitted, side.retransmission_time) == (1, 300 * MS)
    assert side.frames["retransmitted"] == [5]


def test_what_one_association_counted_is_not_the_next_ones() -> None:
    net = Net()
    net.open()
    net(10, CLIENT, ACK, 100, 500, b"head")
    net(310, CLIENT, ACK, 100, 500, b"head")
    before = net.side(0)
    net(700, CLIENT, ACK, 100, 500, b"head")
    since = net.side(0).since(before)
    assert (since.retransmitted, since.retransmission_time) == (1, 390 * MS)
    assert since.frames["retransmitted"] == [6]


def test_unanswered() -> None:
    net = Net()
    for ms in (0, 1000, 3000):
        net(ms, CLIENT, SYN, 99)
    net.tracker.finish()
    assert net.unanswered == [([1, 2, 3], 0, 3000)]


@pytest.mark.parametrize("flags", [RST | ACK, SYN | ACK])
def test_answered(flags: int) -> None:
    net = Net()
    net(0, CLIENT, SYN, 99)
    net(1, SERVER, flags, 499, 100)
    net.tracker.finish()
    assert net.unanswered == []


def frame(link: int, head: bytes, window: int) -> Frame:
    tcp = struct.pack(">HHIIBBHHH", 1, 2, 3, 4, 0x50, ACK, window, 0, 0)
    ip = bytes((0x45, 0, 0, 20 + len(tcp))) + bytes(4) + b"\x40\x06" + bytes(10)
    data = head + ip + tcp
    return Frame(1, 1, link, data, len(data))


@pytest.mark.parametrize(
    ("link", "head"),
    [
        (1, bytes(12) + b"\x08\x00"),
        (1, bytes(12) + b"\x81\x00\x00\x07\x08\x00"),  # the way of the unusual
        (101, b""),
    ],
)
def test_the_window_is_read_from_every_header(link: int, head: bytes) -> None:
    for window in (0, 1, 65535):
        segment = Dissector().segment(frame(link, head, window))
        assert segment is not None
        assert segment.window == window
