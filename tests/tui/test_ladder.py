"""What the ladder says where there is little room for it."""

from __future__ import annotations

from rich.cells import cell_len

from dicomsniff.tui.ladder import Ladder
from dicomsniff.tui.rows import Marks
from dicomsniff.tui.text import join
from tests.tui import fake
from tests.tui.screen import opened, text_of


def test_a_failure_keeps_its_status_in_the_shortest_words() -> None:
    a = fake.association()
    entry = fake.add(a, "C-MOVE-RSP", "acceptor", message=fake.message("C-MOVE-RSP", status=0xA801))
    texts = list(Ladder(Marks()).arrow_texts(a, entry))
    assert "0xA801" in texts[0]
    assert texts[1:] == ["C-MOVE-RSP ID=1 A801", "C-MOVE-RSP A801", "RSP A801"]
    widths = [cell_len(text) for text in texts]
    assert widths == sorted(widths, reverse=True)


async def test_three_lifelines_fit_on_80_columns() -> None:
    for name in ("move.pcapng", "commitment.pcapng", "concurrent.pcapng"):
        async with opened(name, (80, 24)) as (app, pilot):
            await pilot.press("l", "2")
            await pilot.pause()
            ladder = app.main.query_one(Ladder)
            for index in range(ladder.count()):
                line = join(tuple(ladder.line(index, 80)))
                assert cell_len(line) <= 80
                assert "…" not in line, line
            screen = text_of(app)
            assert "▶" in screen
            assert "◀" in screen


async def test_a_commitment_is_answered_on_another_association_in_one_picture() -> None:
    async with opened("commitment.pcapng") as (app, pilot):
        await pilot.press("home", "l", "2")
        await pilot.pause()
        ladder = app.main.query_one(Ladder)
        assert ladder.count() == len(app.loader.rows)
        lines = [join(tuple(ladder.line(i, 160))) for i in range(ladder.count())]
        asked = next(line for line in lines if "N-ACTION-RQ" in line)
        told = next(line for line in lines if "N-EVENT-REPORT-RQ" in line)
        assert "▶" in asked
        assert "◀" in told, "from the archive back to who asked"
        header = next(line for line in text_of(app).splitlines() if "since" in line)
        assert header.split()[-2:] == ["FLC1270", "ARCHIVE"]


async def test_a_journey_is_no_exchange() -> None:
    """A worklist query, an examination and a commitment of one patient are separate pictures,
    apart from the commitment's two halves."""
    async with opened("journey.pcapng") as (app, _):
        everything = app.loader.associations
        ladder = app.main.query_one(Ladder)
        joined = {}
        for association in everything:
            ladder.show(association, everything)
            joined[association.id] = {ladder.row(i)[0].id for i in range(ladder.count())}
        halves = {
            a.id
            for a in everything
            for o in a.operations
            if o.service in ("N-ACTION", "N-EVENT-REPORT")
        }
        assert len(halves) == 2
        for number, others in joined.items():
            assert others == (halves if number in halves else {number})
