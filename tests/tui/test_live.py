"""A capture that goes on: what is open and waits, meters, pausing, and what leaves."""

from __future__ import annotations

import gc
import os
import pty
import queue
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from textual.pilot import Pilot

from dicomsniff.analysis import pipeline as pipelines
from dicomsniff.analysis.pipeline import Listener, Pipeline
from dicomsniff.model import Association, CaptureInfo, Frame
from dicomsniff.tui import live, livepart
from dicomsniff.tui.app import LOOKS_FOR_COUNTS, DicomsniffApp
from dicomsniff.tui.everything import Everything
from dicomsniff.tui.live import Meters, bits, meter_cells, often
from dicomsniff.tui.rows import Marks
from dicomsniff.tui.timeline import TimelineRows
from dicomsniff.tui.waiting import IDLE, UNANSWERED, UNDER_WAY, waiting
from tests import wire
from tests.benchmarks.traffic import Connection, Packet
from tests.support import capture
from tests.tui.screen import opened, text_of

SECOND = 1_000_000_000

FIND = "1.2.840.10008.5.1.4.31"
STORE = "1.2.840.10008.5.1.4.1.1.2"


def begin(connection: Connection) -> Iterator[Packet]:
    yield from connection.open()
    yield from connection.send(0, [wire.request([(1, wire.VERIFICATION, [wire.IMPLICIT])])])
    yield from connection.send(1, [wire.accept([(1, 0, wire.IMPLICIT)])])


def ask(connection: Connection, number: int = 1) -> Iterator[Packet]:
    yield from connection.send(0, [wire.command(1, 0x0030, number, sop_class=wire.VERIFICATION)])


def answer(connection: Connection, number: int = 1) -> Iterator[Packet]:
    yield from connection.send(1, [wire.command(1, 0x8030, number, status=0)])


def end(connection: Connection) -> Iterator[Packet]:
    yield from connection.send(0, [wire.release()])
    yield from connection.send(1, [wire.released()])
    yield from connection.close()


def whole(number: int) -> Iterator[Packet]:
    connection = Connection(client_port=30_000 + number)
    yield from begin(connection)
    yield from ask(connection)
    yield from answer(connection)
    yield from end(connection)


class Interface:
    """A source that gives what a test puts into it, as it comes."""

    reader = "live"
    name = "eth9"
    truncated = False

    def __init__(self, began: int | None = None) -> None:
        self.dropped: int | None = 0
        self.notices: list[str] = []
        self._frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._number = 0
        self._time = began or time.time_ns()
        self.taken = 0

    def put(self, packets: Iterator[Packet]) -> None:
        for headers, payload in packets:
            self._number += 1
            self._time += 1000
            data = headers + payload
            self._frames.put(Frame(self._number, self._time, 1, data, len(data)))

    def wait(self) -> None:
        """An hour goes by on the wire: what has closed has ended."""
        self._time += 2 * SECOND
        self._number += 1
        self._frames.put(Frame(self._number, self._time, 1, bytes(60), 60))

    def close(self) -> None:
        self._frames.put(None)

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._frames.get()) is not None:
            yield frame
            self.taken = frame.number

    @property
    def behind(self) -> bool:
        return self.taken < self._number


async def caught_up(app: DicomsniffApp, pilot: Pilot[None], source: Interface) -> None:
    """Until all is decoded and drawn."""
    for _ in range(200):
        if not source.behind:
            break
        await pilot.pause(0.05)
    assert not source.behind
    app.now._next = 0.0
    app._looks = LOOKS_FOR_COUNTS - 1
    app.look()
    await pilot.pause()
    await pilot.pause()


# ---------------------------------------------------------------------------- what is waited for


class Kept(Listener):
    def __init__(self) -> None:
        self.associations: list[Association] = []

    def association_began(self, association: Association) -> None:
        self.associations.append(association)


def under_way(*parts: list[Packet] | Iterator[Packet]) -> Association:
    """An association as far as these packets go."""
    kept = Kept()
    pipeline = Pipeline(listener=kept, endless=True)
    number = 0
    for part in parts:
        for headers, payload in part:
            number += 1
            data = headers + payload
            pipeline.feed(Frame(number, number * SECOND, 1, data, len(data)))
    return kept.associations[-1]


def test_what_an_association_waits_for() -> None:
    c = Connection()
    opening = list(begin(c))
    request = opening[:4]
    found = waiting(under_way(request))
    assert found[:2] == (UNANSWERED, "A-ASSOCIATE-RQ unanswered for")
    assert found.since == 4 * SECOND
    assert found.told(16 * SECOND + 1) == "A-ASSOCIATE-RQ unanswered for 12 s"
    assert found.role(16 * SECOND) == "warn"
    assert found.role(5 * SECOND) == ""
    assert found.told(0) == "A-ASSOCIATE-RQ unanswered for 0 s"

    found = waiting(under_way(opening))
    assert found.rank == IDLE
    assert found.role(10**12) == "dim"
    assert found.told(found.since + 7300 * SECOND) == "nothing asked for 2 h 1 min"

    asked = list(ask(c))
    assert waiting(under_way(opening, asked)).text == "C-ECHO-RQ unanswered for"
    answered = list(answer(c))
    assert waiting(under_way(opening, asked, answered)).rank == IDLE
    release = list(c.send(0, [wire.release()]))
    text = waiting(under_way(opening, asked, answered, release)).text
    assert text == "A-RELEASE-RQ unanswered for"


def test_responses_and_long_messages() -> None:
    c = Connection()
    opening = list(begin(c))
    query = [
        wire.command(1, 0x0020, 7, sop_class=FIND, dataset=0),
        wire.data(1, b"\x08\x00\x05\x00\x00\x00\x00\x00"),
    ]
    asked = list(c.send(0, query))
    assert waiting(under_way(opening, asked)).text == "C-FIND-RQ unanswered for"
    pending = [
        wire.command(1, 0x8020, 7, status=0xFF00, dataset=0),
        wire.data(1, b"\x08\x00\x05\x00\x00\x00\x00\x00"),
    ]
    first = list(c.send(1, pending))
    assert waiting(under_way(opening, asked, first)).text == "C-FIND-RQ 1 response, none for"

    c = Connection()
    opening = list(begin(c))
    store = [
        wire.command(1, 0x0001, 9, sop_class=STORE, dataset=0),
        wire.data(1, bytes(30_000), last=False),
    ]
    found = waiting(under_way(opening, list(c.send(0, store))))
    assert found.rank == UNDER_WAY
    assert "29.3 KiB" in found.text
    assert found.told(found.since + 9 * SECOND).endswith("last byte 9 s ago")
    assert found.role(found.since + 9 * SECOND) == "warn"


def test_what_has_ended_is_not_under_way() -> None:
    c = Connection(client_port=30_001)
    kept = Kept()
    pipeline = Pipeline(listener=kept, endless=True)
    for number, (headers, payload) in enumerate(begin(c), 1):
        data = headers + payload
        pipeline.feed(Frame(number, number, 1, data, len(data)))
    assert kept.associations[0].under_way is not None
    pipeline.finish()
    assert kept.associations[0].under_way is None


# ---------------------------------------------------------------------------- meters


def test_rates_are_means_of_the_last_seconds() -> None:
    meters = Meters()
    info = CaptureInfo("eth9", "live")
    assert meters.rates == (0, 0, 0, 0)
    for second in range(40):
        info.packets += 1000 if second < 20 else 100
        info.bytes += 1_000_000 if second < 20 else 125_000
        info.dropped = max(0, second - 37)
        meters.add(second, info, second // 2)
    rates = meters.rates
    assert rates.packets == 100
    assert rates.bits == 1_000_000
    assert rates.associations == pytest.approx(0.5, abs=0.2)
    assert rates.dropped == pytest.approx(2 / 3)
    assert len(meters.sparkline()) == live.HISTORY
    assert meters.sparkline().startswith("█")
    assert meters.sparkline().endswith("▂")


def test_rates_in_words() -> None:
    assert [bits(n) for n in (0, 1200, 98_250_000, 1e9)] == [
        "0 bit/s",
        "1.2 kbit/s",
        "98.2 Mbit/s",
        "1.0 Gbit/s",
    ]
    assert [often(n) for n in (0, 0.25, 9.96, 83_000)] == ["0.0", "0.2", "10.0", "83,000"]


def test_drops_and_limits_are_on_the_line() -> None:
    info = CaptureInfo("eth9", "live", dropped=None)
    text = "".join(cell[0] for cell in meter_cells(Meters(), info, 0, False))
    assert "drops not known" in text
    info.dropped, info.evicted = 1234, {"half-open": 7}
    cells = meter_cells(Meters(), info, 3, False)
    assert ("▲ 1,234 dropped", "bad") in cells
    assert ("  given up: half-open 7", "warn") in cells
    assert meter_cells(Meters(), info, 3, True)[0][0] == "ended: "


# ---------------------------------------------------------------------------- on the screen


async def test_open_ones_stand_on_top_with_what_they_wait_for() -> None:
    source = Interface()
    async with opened(lambda: source, (160, 45), wait=False, live=True) as (app, pilot):
        first, second = Connection(client_port=31_000), Connection(client_port=31_001)
        source.put(begin(first))
        source.put(begin(second))
        source.put(ask(second))
        source.put(whole(1))
        await caught_up(app, pilot, source)
        lines = text_of(app).splitlines()
        assert "packets/s" in lines[1]
        assert "0 dropped" in lines[1]
        assert "2 open" in lines[1]
        assert "Open now" in lines[2]
        assert "C-ECHO-RQ unanswered for" in lines[4], "the unanswered one first"
        assert "nothing asked for" in lines[5]
        assert "Associations" in lines[6]
        await pilot.press("0")
        await pilot.pause()
        assert app.focused_pane == "open"
        await pilot.press("down", "enter")
        await pilot.pause()
        assert app.association is not None
        assert app.association.requestor.port == 31_000
        assert app.focused_pane == "timeline"
        # Answered and released, they are not open any more, and the pane is gone.
        source.dropped = 41
        source.put(answer(second))
        source.put(end(second))
        source.put(end(first))
        await caught_up(app, pilot, source)
        lines = text_of(app).splitlines()
        assert "▲ 41 dropped" in lines[1]
        assert "Associations" in lines[2]
        await pilot.press("0")
        await pilot.pause()
        assert "no association is open" in text_of(app).splitlines()[0]


async def test_a_pause_loses_nothing() -> None:
    source = Interface()
    async with opened(lambda: source, (160, 45), wait=False, live=True) as (app, pilot):
        source.put(whole(1))
        await caught_up(app, pilot, source)
        await pilot.press("p")
        for number in range(2, 6):
            source.put(whole(number))
        await caught_up(app, pilot, source)
        text = text_of(app)
        assert "‖ paused, 24 rows waiting" in text
        assert len(app.association_rows) == 1
        assert ":30002" not in text
        await pilot.press("p")
        await caught_up(app, pilot, source)
        text = text_of(app)
        assert "paused" not in text
        assert len(app.association_rows) == app.loader.found == 5
        assert all(f":3000{number}" in text for number in range(1, 6))


async def test_a_pause_that_keeps_too_much_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livepart, "HELD_STILL", 10)
    source = Interface()
    async with opened(lambda: source, (160, 45), wait=False, live=True) as (app, pilot):
        source.put(whole(1))
        await caught_up(app, pilot, source)
        await pilot.press("p")
        source.put(whole(2))
        source.put(whole(3))
        await caught_up(app, pilot, source)
        assert not app.now.paused
        assert "went on by itself" in text_of(app)


def living() -> list[Association]:
    """Every association that this process holds."""
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is Association]


async def test_the_newest_are_kept_and_the_older_leave_the_memory() -> None:
    others = {id(each): each for each in living()}  # of other tests
    source = Interface()
    async with opened(lambda: source, (160, 45), wait=False, live=True, keep=20) as (app, pilot):
        still_open = Connection(client_port=29_000)
        source.put(begin(still_open))
        for number in range(4):
            source.put(whole(number))
        await caught_up(app, pilot, source)
        await pilot.press("home", "down", "down", "m", "end", "G")  # number 3 is marked
        for block in range(10):
            for number in range(10):
                source.put(whole(100 + 10 * block + number))
            source.wait()
            await caught_up(app, pilot, source)
            assert len(app.loader.associations) <= 20 + 20 // live.SLACK + len(app.loader.open)
        ids = [each.id for each in app.loader.associations]
        assert app.loader.found == 105
        assert ids[:2] == [1, 3], "what is open stays, and what the user marked"
        assert ids[2:] == list(range(105 - len(ids) + 3, 106)), "and the newest"
        assert len(app.association_rows) == len(ids)
        assert {a.id for a, _ in app.loader.rows} == set(ids)
        assert app.association is app.loader.associations[-1], "it follows"
        assert "of 105 associations" in text_of(app)
        alive = [each for each in living() if id(each) not in others]
        assert len(alive) <= len(ids) + 25, "the linker remembers a few"


async def test_long_ones_leave_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ROWS_KEPT", 60)
    source = Interface()
    async with opened(lambda: source, (160, 45), wait=False, live=True) as (app, pilot):
        for number in range(30):
            source.put(whole(number))
        source.wait()
        await caught_up(app, pilot, source)
        assert 50 < len(app.loader.rows) <= 66
        await pilot.press("a")
        await pilot.pause()
        assert len(app.timeline_rows) == len(app.loader.rows)


@pytest.mark.parametrize(("ago", "is_live"), [(0, True), (86_400 * SECOND, False)])
async def test_a_pipe_is_live_where_it_carries_the_present(ago: int, is_live: bool) -> None:
    source = Interface(time.time_ns() - ago)
    async with opened(lambda: source, (160, 45), wait=False, may_be_live=True) as (app, pilot):
        connection = Connection()
        source.put(begin(connection))
        await caught_up(app, pilot, source)
        assert app.loader.live is is_live
        assert app.loader.pipeline is not None
        assert app.loader.pipeline.endless is is_live
        assert app.pane("associations").follow is is_live
        assert ("Open now" in text_of(app)) is is_live
        assert ("pause" in text_of(app)) is is_live
        await pilot.press("p")
        assert app.now.paused is is_live


async def test_a_saved_capture_has_none_of_it() -> None:
    async with opened("echo.pcapng", (160, 45)) as (app, pilot):
        assert "packets/s" not in text_of(app)
        assert "Open now" not in text_of(app)
        await pilot.press("p", "0")
        assert not app.now.paused


def test_rows_that_an_endless_association_gave_up_leave_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipelines, "ENTRIES_KEPT", 40)
    everything = Everything()
    kept: list[Association] = []

    class Rows(Listener):
        def association_began(self, association: Association) -> None:
            kept.append(association)

        def entry_added(self, association: Association, entry: object) -> None:
            everything.append((association, entry))  # type: ignore[arg-type]

    pipeline = Pipeline(listener=Rows(), endless=True)
    shown = TimelineRows(everything, Marks())
    connection = Connection()
    packets = list(begin(connection))
    for number in range(1, 60):
        packets += [*ask(connection, number), *answer(connection, number)]
    for number, (headers, payload) in enumerate(packets, 1):
        data = headers + payload
        pipeline.feed(Frame(number, number, 1, data, len(data)))
        if kept and shown.association is None:
            shown.show(kept[0])
        before = len(shown)
        if shown.grow():
            assert len(shown) <= 41
        elif before:
            shown.cells(before - 1)
            shown.at(before + 30)  # what the screen may ask for before it looks again
    timeline = kept[0].timeline
    assert len(everything) > 100
    everything.forget(())
    assert [entry for _, entry in everything] == timeline
    everything.forget(kept)
    assert len(everything) == 0


# ---------------------------------------------------------------------------- endings


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_signals_leave_the_screen_in_order(how: signal.Signals) -> None:
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dicomsniff", "open", str(capture("echo.pcapng"))],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=os.environ | {"TERM": "xterm-256color"},
    )
    os.close(inside)
    said = b""
    deadline = time.monotonic() + 30
    asked = False
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:
                break
            said += piece
        if not asked and b"A-ASSOCIATE" in said:
            asked = True
            process.send_signal(how)
        if process.poll() is not None and not select.select([terminal], [], [], 0)[0]:
            break
    os.close(terminal)
    assert process.wait(timeout=10) == 0
    assert b"Traceback" not in said
    assert b"\x1b[?1049l" in said, "the terminal shows what it showed before"
