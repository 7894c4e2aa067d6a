"""The timeline in the order of a column."""

from __future__ import annotations

import time

import pytest

from dicomsniff.tui import timeline
from tests.tui import fake
from tests.tui.screen import opened, settle, text_of, until


async def test_any_column_gives_the_order() -> None:
    async with opened("move.pcapng") as (app, pilot):
        rows, table = app.timeline_rows, app.pane("timeline")
        await pilot.press("a", "2", "home", "down", "down")
        chosen = app.entry
        natural = [rows[i][1].last_frame for i in range(len(rows))]
        for key in ("time", "source", "destination", "protocol", "length", "info"):
            await pilot.press("o")
            assert rows.sort_key == key
            assert app.entry == chosen, "the chosen row stays chosen"
            assert rows[table.cursor] == chosen
        texts = [rows.cells(i)["info"][0] for i in range(len(rows))]
        assert texts == sorted(texts)
        assert "Info▲" in text_of(app)
        while rows.sort_key != "length":
            await pilot.press("o")
        await pilot.press("O")
        lengths = [rows[i][1].length for i in range(len(rows))]
        assert lengths == sorted(lengths, reverse=True)
        assert "Length▼" in text_of(app) or "Lengt▼" in text_of(app)
        # A filter, runs and a frame number in this order.
        app.use_filter("service = C-STORE")
        await settle(pilot)
        lengths = [rows[i][1].length for i in range(len(rows))]
        assert lengths == sorted(lengths, reverse=True)
        assert len(lengths) == 10
        app.use_filter("")
        await settle(pilot)
        await pilot.press("r")
        assert len(rows) == len(natural), "runs lie apart in this order"
        await pilot.press("r", "O")
        while rows.sort_key != "number":
            await pilot.press("o")
        assert [rows[i][1].last_frame for i in range(len(rows))] == natural


async def test_a_click_on_a_title_sorts() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        header = next(line for line in text_of(app).splitlines() if "Length" in line)
        await pilot.click("#timeline", offset=(header.index("Length") + 2, 1))
        await pilot.pause()
        assert app.timeline_rows.sort_key == "length"
        rows = app.timeline_rows
        lengths = [rows[i][1].length for i in range(len(rows))]
        assert lengths == sorted(lengths)


async def test_rows_that_come_later_find_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(fake.Waiting, wait=False) as (app, pilot):
        a = fake.association()
        for length in (300, 100, 200):
            fake.add(a, "A-ABORT").length = length
        app.loader.associations.append(a)
        app.loader.rows.extend((a, entry) for entry in a.timeline)
        app.look()
        await pilot.press("2", "o", "o", "o", "o", "o")
        rows = app.timeline_rows
        assert rows.sort_key == "length"
        for sort_in in (200, 0):
            monkeypatch.setattr(timeline, "SORT_IN", sort_in)
            for length in (150, 50, 400):
                app.loader.rows.append((a, fake.add(a, "A-ABORT")))
                a.timeline[-1].length = length
            app.look()
            lengths = [rows[i][1].length for i in range(len(rows))]
            assert lengths == sorted(lengths)
        assert len(rows) == 9


async def test_many_rows_are_sorted_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomsniff.tui.app.SORT_AT_ONCE", 5)
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("2", "end", "o", "o", "o", "o", "o")
        await app.workers.wait_for_complete()
        await pilot.pause()
        rows = app.timeline_rows
        lengths = [rows[i][1].length for i in range(len(rows))]
        assert lengths == sorted(lengths)
        assert not rows.unsorted


async def test_times_count_from_the_first_frame_as_in_wireshark() -> None:
    async with opened("worklist.pcapng") as (app, _):
        assert app.loader.pipeline is not None
        first = app.loader.pipeline.info.first
        assert first is not None
        entry = app.timeline_rows[0][1]
        cell = app.timeline_rows.cells(0)["time"][0]
        assert cell == "0.000208", "as `timeline` prints it"
        assert (entry.time - first) // 1000 == 208


async def test_a_slow_filter_leaves_the_keys_their_time() -> None:
    """What takes a second for all rows is done in pieces of some hundredths."""

    class Slow:
        def matches(self, _: object, entry: object = None) -> bool:
            end = time.thread_time() + 0.0005
            while time.thread_time() < end:
                pass
            return entry is None or entry.kind == "A-ABORT"  # type: ignore[attr-defined]

    async with opened(fake.Waiting, wait=False) as (app, _):
        a = fake.association()
        for _ in range(1000):
            fake.add(a, "A-ABORT")
            fake.add(a, "A-RELEASE-RQ")
        app.loader.associations.append(a)
        app.loader.rows.extend((a, entry) for entry in a.timeline)
        app.look()
        rows = app.timeline_rows
        rows.filter = Slow()
        began = time.thread_time()
        rows.rescan()
        assert time.thread_time() - began < 0.1
        assert rows.behind
        pieces = 1
        while rows.behind:
            began = time.thread_time()
            rows.grow()
            assert time.thread_time() - began < 0.1
            pieces += 1
        assert pieces >= 10
        assert [rows.place(i) for i in range(len(rows))] == list(range(0, 2000, 2))


async def test_a_filter_goes_on_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "SCAN_AT_ONCE", 3)
    async with opened("worklist.pcapng", where="status = Pending") as (app, pilot):
        await settle(pilot)
        assert len(app.timeline_rows) == 8


async def test_of_a_tls_handshake_the_alerts_alone_are_marked_as_failures() -> None:
    async with opened("tls-refused.pcapng") as (app, pilot):
        await pilot.press("a", "2", "z")
        await until(pilot, lambda: "certificate_expired" in text_of(app))
        rows = [line for line in text_of(app).splitlines() if " TLS  " in line]
        assert len(rows) > 10
        for row in rows:
            assert row.startswith("✗") == ("Alert: fatal" in row), row
