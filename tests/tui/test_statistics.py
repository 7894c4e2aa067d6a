"""Statistics: counted right, counted once, plotted."""

from __future__ import annotations

import pytest

import dicomsniff
from dicomsniff.model import Association, Operation
from dicomsniff.tui.plots import DOTS, Plots, _spread, response_times, throughput
from dicomsniff.tui.statistics import Group, Statistics, quantile, sparkline
from dicomsniff.tui.table import VirtualTable
from dicomsniff.tui.text import join, size
from tests.support import capture
from tests.tui import fake
from tests.tui.screen import opened, text_of

MS = 1_000_000


def echoes(times: list[int], *, failing: int = -1) -> Association:
    """An association of C-ECHOs that were answered after so many nanoseconds."""
    a = fake.association()
    for at, time in enumerate(times):
        status = 0x0110 if at == failing else 0
        ask = fake.add(a, "C-ECHO-RQ", after=10 * MS, message=fake.message("C-ECHO-RQ"))
        answer = fake.add(
            a,
            "C-ECHO-RSP",
            "acceptor",
            after=time,
            message=fake.message("C-ECHO-RSP", status=status),
        )
        a.operations.append(Operation("C-ECHO", at, 1, None, "requestor", ask, [answer], status))
    return a


def test_numbers_against_the_operations_themselves() -> None:
    found = list(dicomsniff.read(str(capture("store-failed.pcapng")), reader="scapy"))
    rows, groups = Statistics().rows(found)
    (row,) = [row for row in rows if row["service"][0] == "C-STORE"]
    (group,) = groups
    operations = found[0].operations
    assert row["count"][0] == str(len(operations))
    assert row["failed"][0] == str(sum(o.status in (0xA700, 0xA900, 0x0124) for o in operations))
    times = sorted(o.first_response for o in operations)  # type: ignore[type-var]
    assert row["=max"][0] == str(times[-1])
    assert row["=p50"][0] == str(times[(len(times) + 1) // 2 - 1])
    octets = sum(e.length for e in found[0].timeline if e.message is not None)
    assert row["=bytes"][0] == str(octets) == str(sum(group.octets))


def test_ended_associations_are_counted_once_and_open_ones_anew() -> None:
    statistics = Statistics()
    a = echoes([MS, 2 * MS])
    b = echoes([3 * MS])
    a.outcome = "released"
    rows, _ = statistics.rows([a, b])
    assert rows[0]["count"][0] == "3"
    b.operations += echoes([MS]).operations
    assert statistics.rows([a, b])[0][0]["count"][0] == "4"
    b.outcome = "aborted"
    for _ in range(3):
        assert statistics.rows([a, b])[0][0]["count"][0] == "4"
    assert statistics.rows([b])[0][0]["count"][0] == "2", "another filter"
    assert statistics.rows([])[0] == []


def test_quantiles_are_values_that_were_there() -> None:
    assert quantile([], 0.5) is None
    assert quantile([7], 0.95) == 7
    assert quantile(list(range(1, 101)), 0.5) == 50
    assert quantile(list(range(1, 101)), 0.95) == 95
    assert sparkline([]) == ""
    assert sparkline([MS] * 9 + [10**11 - 1]) == "█" + " " * 26 + "▂"


def group_of(a: Association) -> Group:
    return Statistics().rows([a])[1][0]


def test_each_response_is_a_dot_at_its_height() -> None:
    lines = response_times(group_of(echoes([MS, 10 * MS, 100 * MS, 1000 * MS])), 60, 14)
    texts = [join(tuple(line)) for line in lines]
    assert "Response time" in texts[0]
    dots = sum(
        (ord(letter) - 0x2800).bit_count()
        for text in texts
        for letter in text
        if 0x2800 <= ord(letter) < 0x2900
    )
    assert dots == 4
    rows = [at for at, text in enumerate(texts) if any(0x2800 < ord(c) < 0x2900 for c in text)]
    assert rows == sorted(rows)
    columns = [
        min(
            text.find(chr(0x2800 + bit)) for row in DOTS for bit in row if chr(0x2800 + bit) in text
        )
        for text in (texts[row] for row in rows)
    ]
    assert columns == sorted(columns, reverse=True), "the slowest came last, and is highest"
    labels = [text.split("┤")[0].strip() for text in texts[1:-1]]
    assert labels[0] == "1.00 s"
    assert labels[-1] == "1.0 ms"
    assert all(len(text) <= 60 for text in texts)


def test_what_failed_is_a_cross() -> None:
    lines = response_times(group_of(echoes([MS, 10 * MS, 100 * MS], failing=1)), 60, 14)
    crosses = [cell for line in lines for cell in line if cell[0] == "✗"]
    assert crosses == [("✗", "bad")]


def test_bytes_a_second() -> None:
    lines = throughput(group_of(echoes([MS] * 50)), 70, 10)
    texts = [join(tuple(line)) for line in lines]
    assert texts[0].startswith("Bytes a second")
    assert texts[1].split("┤")[0].strip().endswith("/s")
    assert any(letter in text for text in texts for letter in "▁▂▃▄▅▆▇█")


def per_second(group: Group) -> str:
    return join(tuple(throughput(group, 70, 10)[1])).split("┤")[0].strip()


def test_bytes_count_for_as_long_as_they_took() -> None:
    """One operation is no peak of an instant, and its rate is the one in the table."""
    one = group_of(echoes([1000 * MS]))
    total = sum(one.octets)
    assert per_second(one) == f"{size(total)}/s"
    bars = [join(tuple(line)).split("┤")[1] for line in throughput(one, 70, 10)[1:-1]]
    assert all(set(bar) == {"█"} for bar in bars), "evenly"
    # Two at once, of which one takes a quarter of the time.
    both = group_of(echoes([1000 * MS, 250 * MS]))
    both.began[1] = both.began[0]
    spread = _spread(both, both.began[0], 10 * MS, 100)
    assert sum(spread) == pytest.approx(sum(both.octets))
    assert spread[0] == pytest.approx(both.octets[0] / 100 + both.octets[1] / 25)
    assert spread[50] == pytest.approx(both.octets[0] / 100)
    # What takes no time at all.
    none = group_of(echoes([0]))
    assert per_second(none) == f"{size(round(sum(none.octets) * 57 / 0.05))}/s"


def test_there_may_be_no_room_and_no_time() -> None:
    one = group_of(echoes([0]))
    for width in range(0, 40, 3):
        for height in range(9):
            response_times(one, width, height)
            throughput(one, width, height)


async def test_plots_stand_below_the_statistics() -> None:
    for room in ((80, 24), (160, 45)):
        async with opened("query-study.pcapng", room) as (app, pilot):
            await pilot.press("S", "2")
            await pilot.pause()
            screen = text_of(app)
            assert "Response time of each operation" in screen
            assert ("Bytes a second" in screen) == (room[0] >= 100)
            assert not app.pane("detail").display
            plots = app.main.query_one(Plots)
            table = app.main.query_one("#statistics", VirtualTable)
            assert plots.group is table.rows.target(0)  # type: ignore[attr-defined]
            await pilot.press("3")
            await pilot.pause()
            assert app.pane("detail").display
            assert not plots.display
            await pilot.press("2", "z")
            await pilot.pause()
            assert plots.display
            await pilot.press("z", "enter")
            await pilot.pause()
            assert app.middle == "timeline"
            assert not plots.display
