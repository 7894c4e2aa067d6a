"""Every key of the table, pressed on a real capture, and what it does to the screen."""

from __future__ import annotations

import pytest
from textual.command import CommandList, CommandPalette

from dicomsniff.dicom.names import uid_name
from dicomsniff.tui import actions, commands
from dicomsniff.tui.bars import FilterInput
from dicomsniff.tui.hexview import HexView
from dicomsniff.tui.ladder import Ladder
from dicomsniff.tui.outline import Outline
from dicomsniff.tui.screens import ColumnsScreen, DifferenceScreen, HelpScreen, PromptScreen
from dicomsniff.tui.text import seconds
from dicomsniff.tui.themes import NAMES
from dicomsniff.tui.timeline import NAMED_IN_RUN
from tests.tui.screen import opened, settle, text_of, until

PANE_COMMANDS = {
    "up", "down", "page-up", "page-down", "top", "bottom", "left", "right", "open",
    "unfold", "fold",
}  # fmt: skip


def test_every_command_does_something() -> None:
    known = set(actions.ACTIONS) | set(actions.PANES) | PANE_COMMANDS | {"palette"}
    assert {command.name for command in commands.COMMANDS} == known


def test_no_key_runs_two_commands() -> None:
    keys = [key for command in commands.COMMANDS for key in command.keys]
    assert len(keys) == len(set(keys))


async def test_arrows_and_pages_move_the_cursor() -> None:
    async with opened("worklist.pcapng", (80, 24)) as (app, pilot):
        await pilot.press("2")
        table = app.pane("timeline")
        assert table.cursor == 0
        await pilot.press("down", "j", "down")
        assert table.cursor == 3
        await pilot.press("up", "k")
        assert table.cursor == 1
        await pilot.press("pagedown")
        assert table.cursor == 1 + table.page
        await pilot.press("pageup")
        assert table.cursor == 1
        await pilot.press("end")
        assert table.cursor == 13
        assert "A-RELEASE response" in text_of(app)
        await pilot.press("home")
        assert table.cursor == 0
        await pilot.press("up", "pageup")
        assert table.cursor == 0


async def test_enter_goes_inwards_and_escape_outwards() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        assert app.focused_pane == "associations"
        await pilot.press("enter")
        assert app.focused_pane == "timeline"
        await pilot.press("enter")
        assert app.focused_pane == "detail"
        await pilot.press("escape")
        assert app.focused_pane == "timeline"
        await pilot.press("escape")
        assert app.focused_pane == "associations"


async def test_panes_by_number_and_tab() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        for key, pane in (
            ("2", "timeline"),
            ("3", "detail"),
            ("4", "bytes"),
            ("1", "associations"),
        ):
            await pilot.press(key)
            assert app.focused_pane == pane
        seen = []
        for _ in range(4):
            await pilot.press("tab")
            seen.append(app.focused_pane)
        assert seen == ["timeline", "detail", "bytes", "associations"]
        await pilot.press("shift+tab")
        assert app.focused_pane == "bytes"


async def test_side_scroll_shows_the_end_of_long_lines() -> None:
    async with opened("store.pcapng", (80, 24)) as (app, pilot):
        await pilot.press("c", "2")
        before = text_of(app)
        await pilot.press(*["right"] * 6)
        assert text_of(app) != before
        await pilot.press(*["left"] * 6)
        assert text_of(app) == before


async def test_tree_opens_and_closes() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("2", "down", "down", "down", "3", "home")
        assert "association began" not in text_of(app)
        await pilot.press("right")
        assert "Since association began" in text_of(app)
        await pilot.press("left")
        assert "Since association began" not in text_of(app)
        await pilot.press("enter")
        assert "Since association began" in text_of(app)
        outline = app.main.query_one(Outline)
        await pilot.press("minus")
        assert outline.count() == 4
        await pilot.press("plus")
        assert outline.count() > 45
        names = [branch.key for _, branch, _ in outline._lines]
        assert "00400009" in names, "an element inside the Scheduled Procedure Step Sequence"


async def test_what_is_open_stays_open_from_one_row_to_the_next() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("2", "down", "down", "down", "3", "home", "down", "right")
        assert "Abstract syntax" in text_of(app)
        await pilot.press("2", "down")
        assert "Abstract syntax" in text_of(app)


async def test_tree_lights_up_bytes_and_a_byte_finds_its_branch() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("2", "down", "down", "down", "3")
        outline, view = app.main.query_one(Outline), app.main.query_one(HexView)
        wanted = next(i for i, line in enumerate(outline._lines) if line[1].key == "00100020")
        await pilot.press("home", *["down"] * wanted)
        branch = outline.branch_at(outline.cursor)
        assert branch is not None
        assert view.span == (1, branch.start, branch.end)
        data = view.sections[1].data[branch.start : branch.end]
        assert data[:4] == b"\x10\x00\x20\x00"
        assert b"TEST-0" in data

        await pilot.press("4", "home")
        assert view.at == (0, 0)
        await pilot.press(*["right"] * 13)
        assert view.at == (0, 13)
        branch = outline.branch_at(outline.cursor)
        assert branch is not None
        assert branch.key == "00000002", "the byte is one of Affected SOP Class UID"
        await pilot.press("end")
        assert view.at[0] == 1
        path = [line[1].key for line in outline._lines[: outline.cursor + 1]]
        assert path[-1] != "Data set"


async def test_next_and_previous_find_text_in_rows_values_and_bytes() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("2", "ctrl+f")
        assert isinstance(app.screen, PromptScreen)
        await pilot.press(*"success", "enter")
        table = app.pane("timeline")
        await until(pilot, lambda: table.cursor == 11)
        await pilot.press("ctrl+f", *"TEST-0004", "enter")
        outline = app.main.query_one(Outline)

        def shown() -> object:
            branch = outline.branch_at(outline.cursor)
            return branch.value if branch is not None else None

        await until(pilot, lambda: shown() == "TEST-0004")
        assert "TEST-0004" in text_of(app)
        assert 3 <= table.cursor <= 10
        await pilot.press("home", "ctrl+f", *"C-FIND-RSP", "enter")
        await until(pilot, lambda: table.cursor == 3)
        await pilot.press("n")
        await until(pilot, lambda: table.cursor == 4)
        await pilot.press("N")
        await until(pilot, lambda: table.cursor == 3)
        await pilot.press("ctrl+f", *"nowhere", "enter")
        told = "nowhere was not found in the rows, values and bytes of all associations"
        await until(pilot, lambda: told in text_of(app))


async def test_goto_frame() -> None:
    async with opened("move.pcapng") as (app, pilot):
        entry = app.loader.associations[1].timeline[4]
        await pilot.press("g", *str(entry.last_frame), "enter")
        await pilot.pause()
        assert app.entry is not None
        assert app.entry[1].last_frame == entry.last_frame
        await pilot.press("g", *"99999", "enter")
        await pilot.pause()
        assert "No row holds frame 99999" in text_of(app)
        await pilot.press("g", *"x1", "enter")
        await pilot.pause()
        assert "no frame number" in text_of(app)


async def test_follow_goes_to_the_end_until_the_cursor_moves() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("2", "G")
        table = app.pane("timeline")
        assert table.follow
        assert table.cursor == 13
        assert "follow" in text_of(app).splitlines()[0]
        await pilot.press("up")
        assert not table.follow


async def test_marks() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("'")
        assert "No row is marked" in text_of(app)
        await pilot.press("2", "down", "m", "end", "m", "home")
        assert text_of(app).count("◆") == 2
        table = app.pane("timeline")
        await pilot.press("'")
        await pilot.pause()
        assert table.cursor == 1
        await pilot.press("'")
        await pilot.pause()
        assert table.cursor == 13
        await pilot.press("'")
        await pilot.pause()
        assert table.cursor == 1
        await pilot.press("m")
        assert text_of(app).count("◆") == 1


async def test_timeline_of_all_associations() -> None:
    async with opened("move.pcapng") as (app, pilot):
        table = app.pane("timeline")
        one = table.count()
        await pilot.press("a")
        await pilot.pause()
        assert table.count() == len(app.loader.rows) > one
        assert "Timeline of all" in text_of(app)
        frames = [entry.last_frame for _, entry in app.loader.rows]
        await pilot.press("2", "end")
        assert str(frames[-1]) in text_of(app)
        last = app.loader.rows[-1]
        await pilot.press("a")
        await pilot.pause()
        assert app.association is last[0], "back to the association of the chosen row"
        assert table.count() == len(last[0].timeline)
        assert app.entry == last


async def test_views_in_the_second_pane() -> None:
    async with opened("move.pcapng") as (app, pilot):
        for key, view in (
            ("l", "ladder"),
            ("c", "contexts"),
            ("f", "findings"),
            ("S", "statistics"),
            ("t", "timeline"),
        ):
            await pilot.press(key)
            assert app.middle == view
            shown = [name for name in ("ladder", "contexts", "findings", "statistics", "timeline")
                     if app.pane(name).display]  # fmt: skip
            assert shown == [view]
            await pilot.press("2")
            assert app.focused_pane == view
        await pilot.press("c", "c")
        assert app.middle == "timeline"


async def test_ladder_chooses_entries() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("l", "2", "down", "down")
        ladder = app.main.query_one(Ladder)
        assert app.entry is not None
        assert app.entry[1] is ladder.row(2)[1]
        screen = text_of(app)
        assert "FLC1270" in screen
        assert "C-FIND-RQ ID=1" in screen
        assert "▶" in screen
        assert "◀" in screen


async def test_maximise() -> None:
    async with opened("worklist.pcapng", (80, 24)) as (app, pilot):
        for key, pane in (
            ("1", "associations"),
            ("2", "timeline"),
            ("3", "detail"),
            ("4", "bytes"),
        ):
            await pilot.press(key, "z")
            await pilot.pause()
            assert app.pane(pane).size.height > 18
            await pilot.press("z")
            await pilot.pause()
            assert app.pane(pane).size.height < 18


async def test_time_modes() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        a = app.loader.associations[0]
        assert app.loader.pipeline is not None
        since = seconds(a.timeline[2].time - (app.loader.pipeline.info.first or 0))
        assert since in text_of(app)
        await pilot.press("T")
        assert "time of day" in text_of(app)
        assert since not in text_of(app)
        await pilot.press("T")
        gap = seconds(a.timeline[2].time - a.timeline[1].time)
        assert gap in text_of(app)
        await pilot.press("T")
        assert since in text_of(app)


async def test_runs_collapse_and_expand() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        table = app.pane("timeline")
        await pilot.press("r")
        await pilot.pause()
        assert table.count() == 7
        assert "▸ 8 × P-DATA, C-FIND-RSP" in text_of(app)
        await pilot.press("2", "home", "down", "down", "down", "enter")
        await pilot.pause()
        assert table.count() == 14
        await pilot.press("down", "enter")
        await pilot.pause()
        assert table.count() == 7
        await pilot.press("r")
        await pilot.pause()
        assert table.count() == 14


async def test_stores_collapse_with_their_responses() -> None:
    async with opened("store.pcapng") as (app, pilot):
        entries = len(app.timeline_rows)
        stores = sum(
            e.message is not None and e.message.service == "C-STORE"
            for e in app.loader.associations[0].timeline
        )
        await pilot.press("r")
        await pilot.pause()
        assert len(app.timeline_rows) == entries - stores + 1
        # What is true of all of them, not what the first one is.
        assert "▸ 8 × P-DATA, C-STORE-RQ and C-STORE-RSP, 4 SOP classes" in text_of(app)


async def test_a_run_of_one_class_names_it() -> None:
    async with opened("move.pcapng") as (app, pilot):
        moved = next(a for a in app.loader.associations if a.acceptor.ae_title == "STORAGE")
        app.pane("associations").move(app.loader.associations.index(moved))
        await pilot.press("r")
        await until(pilot, lambda: " × P-DATA, C-STORE-RQ and C-STORE-RSP, " in text_of(app))
        stored = {e.message.sop_class for e in moved.timeline if e.message and e.message.is_request}
        (line,) = [line for line in text_of(app).splitlines() if "C-STORE-RQ and" in line]
        names = [uid_name(uid or "") or "" for uid in stored]
        assert all(name in line for name in names) == (len(names) <= NAMED_IN_RUN)


async def test_sort() -> None:
    async with opened("concurrent.pcapng") as (app, pilot):
        rows = app.association_rows
        assert rows.sort_key == "id"
        await pilot.press("O")
        ids = [rows[i].id for i in range(len(rows))]
        assert ids == sorted(ids, reverse=True)
        await pilot.press("O", "o")
        assert rows.sort_key == "start"
        chosen = app.association
        while rows.sort_key != "duration":
            await pilot.press("o")
        durations = [rows[i].duration for i in range(len(rows))]
        assert durations == sorted(durations)
        assert app.association is chosen, "the chosen one stays chosen"
        await pilot.press("3", "o")
        assert "sort a table" in text_of(app)


async def test_columns() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        assert "Operations" in text_of(app)
        await pilot.press("C")
        assert isinstance(app.screen, ColumnsScreen)
        await pilot.press(*["down"] * 5, "space", "escape")
        await pilot.pause()
        assert "Operations" not in text_of(app)


async def test_themes_one_after_the_other() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        words = text_of(app).splitlines()[1:]
        seen = []
        for _ in NAMES:
            await pilot.press("ctrl+t")
            await pilot.pause()
            seen.append(app.theme)
            # Whatever the theme, the text is the same: colour never says anything alone.
            assert [line.strip("─━ ") for line in text_of(app).splitlines()[1:]] == [
                line.strip("─━ ") for line in words
            ]
        assert sorted(seen) == sorted(NAMES)


async def test_no_colour_means_none() -> None:
    async with opened("store-failed.pcapng") as (app, pilot):
        app.theme = "no-colour"
        await pilot.press("2", "down")
        await pilot.pause()
        for strip in app.screen._compositor.render_strips(app.screen.size):
            for segment in strip:
                if segment.style is not None:
                    for colour in (segment.style.color, segment.style.bgcolor):
                        assert colour is None or colour.is_default, segment
        reversed_ = [
            segment.text
            for strip in app.screen._compositor.render_strips(app.screen.size)
            for segment in strip
            if segment.style is not None and segment.style.reverse
        ]
        assert any("A-ASSOCIATE accept" in text for text in reversed_), "the cursor can be seen"


async def test_people_are_masked_in_tree_bytes_and_copies() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("2", "down", "down", "down", "3", "plus", "z")
        await pilot.pause()
        outline, view = app.main.query_one(Outline), app.main.query_one(HexView)

        def everything() -> str:
            width = 400
            lines = ["".join(t for t, _ in outline.line(i, width)) for i in range(outline.count())]
            lines += ["".join(t for t, _ in view.line(i, width)) for i in range(view.count())]
            return "\n".join(lines)

        shown = everything()
        name = next(v for v in shown.splitlines() if "PatientName" in v).split()[-1]
        assert "TEST-0" in shown
        await pilot.press("h")
        await pilot.pause()
        await pilot.press("plus")
        masked = everything()
        assert name not in masked
        assert "TEST-" not in masked
        assert "··" in masked
        assert "CommandField" in masked
        await pilot.press("escape", "Y")
        assert "TEST-" not in app.clipboard
        assert "PatientName" in app.clipboard
        await pilot.press("3", "h", "plus")
        await pilot.pause()
        assert "TEST-0" in everything()


async def test_filter_is_judged_while_it_is_typed() -> None:
    async with opened("concurrent.pcapng") as (app, pilot):
        every = len(app.association_rows)
        await pilot.press("slash", *"frame = ")
        assert "✗" in text_of(app).splitlines()[1]
        app.query_one("#filter-input").value = "association = 2"  # type: ignore[attr-defined]
        await pilot.pause()
        assert "valid" in text_of(app).splitlines()[1]
        await pilot.press("enter")
        await pilot.pause()
        await settle(pilot)
        assert len(app.association_rows) == 1
        assert f"1/{every} associations" in text_of(app)
        await pilot.press("F")
        await pilot.pause()
        assert len(app.association_rows) == every
        assert "filter off" in text_of(app).splitlines()[0]
        await pilot.press("F")
        await pilot.pause()
        assert len(app.association_rows) == 1


async def test_tab_completes_the_word_and_goes_through_what_fits() -> None:
    async with opened("concurrent.pcapng") as (app, pilot):
        await pilot.press("slash", *"cal")
        line = app.query_one(FilterInput)
        await pilot.press("tab")
        first = line.value
        assert first.startswith("cal")
        await pilot.press("tab")
        assert line.value.startswith("cal")
        assert {first, line.value} == {"called", "calling"}
        await pilot.press("shift+tab")
        assert line.value == first
        line.value = "called = "
        await pilot.press("end", *"STO", "tab")
        assert line.value == "called = STORAGE", "an AE title of the capture"
        await pilot.press("enter")
        await pilot.pause()
        titles = {
            app.association_rows[i].acceptor.ae_title for i in range(len(app.association_rows))
        }
        assert titles == {"STORAGE"}
        await pilot.press("slash", "end", *" and outc")
        # proposed before it is asked for
        await until(pilot, lambda: "outcome" in text_of(app).splitlines()[1])
        await pilot.press("right", *" = re", "tab")
        assert line.value == "called = STORAGE and outcome = released"


async def test_a_wrong_filter_changes_nothing() -> None:
    async with opened("concurrent.pcapng") as (app, pilot):
        every = len(app.association_rows)
        await pilot.press("slash", *"outcome = ", "enter")
        await pilot.pause()
        assert len(app.association_rows) == every
        await pilot.press("escape")
        assert app.focused_pane == "associations"


async def test_what_is_wrong_with_a_filter_is_told_whole_on_a_narrow_screen() -> None:
    async with opened("move.pcapng", (80, 24)) as (app, pilot):
        await pilot.press("slash", *"servic = C-STORE")
        await until(pilot, lambda: "✗ 'servic'" in text_of(app))
        assert "did you mean" not in text_of(app)
        await pilot.press("enter")
        await until(pilot, lambda: "did you mean service?" in text_of(app))
        assert "1 Associations" in text_of(app)
        await pilot.press("backspace")
        await until(pilot, lambda: "did you mean" not in text_of(app))


async def test_filter_off_without_a_filter() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("F")
        assert "No filter is set" in text_of(app)


async def test_difference_of_two_messages() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("2", "down", "down", "down", "space", "space", "d")
        await pilot.pause()
        assert isinstance(app.screen, DifferenceScreen)
        screen = text_of(app)
        assert "≠" in screen
        assert "PatientID" in screen
        assert "CommandField" not in screen
        await pilot.press("a")
        await pilot.pause()
        assert "CommandField" in text_of(app)
        await pilot.press("down", "pagedown", "end", "home", "right", "left", "escape")
        assert not isinstance(app.screen, DifferenceScreen)


async def test_difference_of_two_associations() -> None:
    async with opened("store-transfer-syntaxes.pcapng") as (app, pilot):
        await pilot.press("space", "space", "d")
        await pilot.pause()
        screen = text_of(app)
        assert "Accepted:" in screen
        assert "Implicit VR Little Endian" in screen
        assert "Explicit VR Little Endian" in screen
        await pilot.press("escape", "space", "d")


async def test_difference_needs_two_of_a_kind() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("d")
        assert "Select two rows" in text_of(app)
        await pilot.press("1", "space", "2", "space", "d")
        assert "Select two rows" in text_of(app)


async def test_help_shows_every_command_and_key() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        text = str(app.screen.text())
        for command in commands.COMMANDS:
            assert command.name in text
            assert command.help in text
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)
        await pilot.press("f1")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("question_mark")
        assert not isinstance(app.screen, HelpScreen)


async def test_palette_runs_commands() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"contexts")
        proposed = app.screen.query_one(CommandList)
        await until(pilot, lambda: proposed.option_count == 1)
        await pilot.press("enter")
        await until(pilot, lambda: app.middle == "contexts")


async def test_link_without_one() -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press("2", "L")
        assert "Nothing is linked" in text_of(app)


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_quit(key: str) -> None:
    async with opened("worklist.pcapng") as (app, pilot):
        await pilot.press(key)
        await pilot.pause()
        assert not app.is_running


async def test_footer_follows_the_focus_and_can_be_clicked() -> None:
    async with opened("worklist.pcapng", (200, 45)) as (app, pilot):
        assert "difference" in text_of(app).splitlines()[-1]
        assert "G follow" in text_of(app).splitlines()[-1]
        await pilot.press("4")
        app.look()
        await pilot.pause()
        footer = text_of(app).splitlines()[-1]
        assert "G follow" not in footer
        await pilot.click("#keys", offset=(footer.index("ladder"), 0))
        await pilot.pause()
        assert app.middle == "ladder"


async def test_mouse_chooses_sorts_and_opens() -> None:
    async with opened("concurrent.pcapng") as (app, pilot):
        table = app.pane("associations")
        await pilot.click("#associations", offset=(10, 4))
        assert table.cursor == 2
        header = text_of(app).splitlines()[2]
        await pilot.click("#associations", offset=(header.index("Msgs") + 1, 1))
        assert app.association_rows.sort_key == "messages"
        await pilot.click("#timeline", offset=(10, 3), times=2)
        assert app.focused_pane == "detail"


async def test_any_key_may_be_pressed_in_any_pane() -> None:
    """Each key in one pane after the other: nothing breaks, and escape leads back."""
    panes = ("1", "2", "3", "4", "l", "c", "f", "S")
    async with opened("move.pcapng", (100, 30)) as (app, pilot):
        keys = [
            key
            for command in commands.COMMANDS
            for key in command.keys
            if command.name not in ("quit", "palette")
        ]
        for at, key in enumerate(keys):
            pane = panes[at % len(panes)]
            await pilot.press(pane, *(("2",) if pane.isalpha() else ()), key)
            while len(app.screen_stack) > 1:
                await pilot.press("escape")
            await pilot.press("escape")
            assert app.is_running
        assert app.loader.error == ""
