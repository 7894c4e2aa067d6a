"""What each command of the table does: a function a command, named ``do_`` and its name."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from dicomsniff.model import Association, Entry
from dicomsniff.tui import taking, themes
from dicomsniff.tui.bars import FilterLine
from dicomsniff.tui.difference import associations as association_difference
from dicomsniff.tui.difference import messages as message_difference
from dicomsniff.tui.ladder import Ladder
from dicomsniff.tui.screens import ColumnsScreen, DifferenceScreen, HelpScreen, PromptScreen
from dicomsniff.tui.search import Search
from dicomsniff.tui.summary import ae_titles
from dicomsniff.tui.table import LineList, VirtualTable
from dicomsniff.tui.timeline import TIME_MODES

if TYPE_CHECKING:
    from dicomsniff.tui.app import DicomsniffApp

PANES = {"pane-0": "open", "pane-1": "associations", "pane-3": "detail", "pane-4": "bytes"}


def run_command(app: DicomsniffApp, name: str) -> None:
    """Run a command by name: the pane's own meaning of it first."""
    pane = app.main.focused
    if isinstance(pane, LineList) and pane.command(name):
        app.show_status()
        return
    action = ACTIONS.get(name)
    if name == "pane-0" and not len(app.now.rows):
        app.say("no association is open")
    elif name in PANES:
        app.focus_on(PANES[name])
    elif action is not None:
        action(app)
    app.show_status()


# ------------------------------------------------------------- moving


def do_pane_2(app: DicomsniffApp) -> None:
    """Focus on the second pane."""
    app.focus_on(app.middle)


def do_next_pane(app: DicomsniffApp) -> None:
    """Focus on the next pane."""
    _focus(app, 1)


def do_previous_pane(app: DicomsniffApp) -> None:
    """Focus on the pane before."""
    _focus(app, -1)


def do_back(app: DicomsniffApp) -> None:
    """One step out: from the filter line to the rows, from the bytes to the associations."""
    line = app.query_one(FilterLine)
    pane = app.focused_pane
    if pane in ("detail", "bytes"):
        app.focus_on(app.middle)
    elif pane == "":
        if not line.input.value.strip():
            line.display = False
        app.focus_on("associations")
    elif app.maximised:
        do_maximise(app)
    elif pane in ("contexts", "findings", "statistics"):
        app.show_middle("timeline")
    else:
        app.focus_on("associations")


def do_pause(app: DicomsniffApp) -> None:
    """Hold the screen still, or go on."""
    app.now.pause()


def do_follow(app: DicomsniffApp) -> None:
    """Go to the end and stay there as rows come."""
    pane = app.pane(app.focused_pane or "timeline")
    panes = [pane]
    if pane.id == "associations":  # the newest association, and the end of it
        panes.append(app.pane("timeline"))
    for each in panes:
        each.look()
        each.move(each.count() - 1)
    for each in panes:
        each.follow = True


def do_goto(app: DicomsniffApp) -> None:
    """Ask for a frame number and go to the row that holds it."""

    def go(answer: str | None) -> None:
        if answer is None or not answer.strip():
            return
        if not answer.strip().isdecimal():
            app.say(f"{answer.strip()} is no frame number", "bad")
            return
        frame = int(answer)
        found = app.loader.rows.of_frame(frame)
        if found is None:
            app.say(f"No row holds frame {frame}", "warn")
        else:
            go_to(app, (found[0], found[1].number))

    app.push_screen(PromptScreen("Go to frame"), go)


def do_link(app: DicomsniffApp) -> None:
    """Go to the operation that the chosen entry's is linked with."""
    if app.entry is None:
        return
    association, entry = app.entry
    for operation in association.operations:
        if operation.request is entry or entry in operation.responses:
            for link in operation.linked:
                for other in app.loader.associations:
                    if other.id == link.association:
                        go_to(app, (other, link.operation))
                        app.say(link.why)
                        return
    app.say("Nothing is linked with this row", "warn")


def go_to(app: DicomsniffApp, target: object) -> None:
    """Show an entry of an association: ``(association, entry number or None, …)``."""
    if not isinstance(target, tuple) or not isinstance(target[0], Association):
        return
    association, number = target[:2]
    at = app.association_rows.index(association)
    if at is None:
        app.say(f"Association {association.id} is filtered out", "warn")
        return
    app.show_all = False
    app.pane("associations").move(at)
    app.choose_association(association)
    if app.timeline_rows.association is not association:
        app.timeline_rows.show(association)
        app.pane("timeline").reload(0)
    app.show_middle("ladder" if app.middle == "ladder" else "timeline")
    pane = app.pane(app.middle)
    pane.look()
    if number is not None:
        if isinstance(pane, Ladder):
            row = next(
                (
                    i
                    for i in range(pane.count())
                    if pane.row(i)[0] is association and pane.row(i)[1].number == number
                ),
                0,
            )
        else:
            place = next((i for i, e in enumerate(association.timeline) if e.number == number), 0)
            row = app.timeline_rows.row_of_place(place)
        pane.move(row)
    app.focus_on(pane.id or "")


# ------------------------------------------------------------- marks


def chosen_key(app: DicomsniffApp) -> tuple[int, int] | None:
    """(association id, entry number) under the cursor; entry 0 for an association."""
    if app.focused_pane == "associations":
        return (app.association.id, 0) if app.association is not None else None
    if app.entry is None:
        return None
    return app.entry[0].id, app.entry[1].number


def do_set_mark(app: DicomsniffApp) -> None:
    """Mark the row, or take its mark away."""
    key = chosen_key(app)
    if key is not None:
        app.marks.marked ^= {key}
        app.refresh_tables()


def do_jump_mark(app: DicomsniffApp) -> None:
    """Go to the next mark in the order of the capture."""
    marks = sorted(app.marks.marked)
    if not marks:
        app.say("No row is marked: m marks one", "warn")
        return
    here = chosen_key(app) or (0, 0)
    key = next((mark for mark in marks if mark > here), marks[0])
    found = next((a for a in app.loader.associations if a.id == key[0]), None)
    if found is not None and key[1]:
        go_to(app, (found, key[1]))
    elif found is not None:
        at = app.association_rows.index(found)
        if at is not None:
            app.pane("associations").move(at)
            app.focus_on("associations")


def do_select(app: DicomsniffApp) -> None:
    """Select the row, or take the selection away; then one line down."""
    key = chosen_key(app)
    if key is None:
        return
    selected = app.marks.selected
    if key in selected:
        selected.remove(key)
    else:
        selected.append(key)
    app.refresh_tables()
    pane = app.pane(app.focused_pane)
    pane.move(pane.cursor + 1)


def do_difference(app: DicomsniffApp) -> None:
    """Compare the two rows that were selected last."""
    selected = app.marks.selected
    if len(selected) < 2 or bool(selected[-1][1]) != bool(selected[-2][1]):
        app.say("Select two rows of a kind with space, then d shows the difference", "warn")
        return
    by_id = {a.id: a for a in app.loader.associations}
    pairs = [(by_id[key[0]], key[1]) for key in selected[-2:] if key[0] in by_id]
    if len(pairs) < 2:
        return
    if not pairs[0][1]:
        one, two = pairs[0][0], pairs[1][0]
        names = (f"#{one.id} {ae_titles(one)}", f"#{two.id} {ae_titles(two)}")
        app.push_screen(DifferenceScreen(names, association_difference(one, two)))
        return
    details = []
    titles = []
    for association, number in pairs:
        entry = next(e for e in association.timeline if e.number == number)
        details.append(detail_of(app, association, entry))
        titles.append(f"#{association.id} frame {entry.last_frame} {entry.kind}")
    lines = message_difference(details[0], details[1])
    app.push_screen(DifferenceScreen((titles[0], titles[1]), lines))


def detail_of(app: DicomsniffApp, association: Association, entry: Entry) -> Any:
    """The whole tree of an entry, its data set decoded."""
    from dicomsniff.tui.detail import build

    message = entry.message
    dataset = None
    if message is not None and message.dataset is not None:
        dataset = app.decode(message)
    return build(association, entry, dataset, app.people)


# ------------------------------------------------------------- views


def do_timeline(app: DicomsniffApp) -> None:
    """The timeline of the chosen association."""
    if app.show_all:
        do_all(app)
    app.show_middle("timeline")


def do_all(app: DicomsniffApp) -> None:
    """One timeline of all associations, or of the one of the chosen row again."""
    entry = app.entry
    if app.show_all and entry is not None:
        focus = app.focused_pane
        go_to(app, (entry[0], entry[1].number))
        if focus:
            app.focus_on(focus)
        return
    app.show_all = not app.show_all
    app.timeline_rows.show(None if app.show_all else app.association)
    app.show_middle("timeline")
    app.pane("timeline").reload(row_of(app, *entry) if entry is not None else 0)


def row_of(app: DicomsniffApp, association: Association, entry: Entry) -> int:
    """The row of the timeline that shows an entry."""
    if app.show_all:
        places = enumerate(islice(app.loader.rows, app.timeline_rows.total))
        place = next((i for i, row in places if row[1] is entry), 0)
    else:
        place = next((i for i, e in enumerate(association.timeline) if e is entry), 0)
    return app.timeline_rows.row_of_place(place)


def do_ladder(app: DicomsniffApp) -> None:
    """The ladder, or the timeline again."""
    entry = app.entry
    app.show_middle("timeline" if app.middle == "ladder" else "ladder")
    if entry is not None and app.middle == "ladder":
        ladder = app.main.query_one(Ladder)
        rows = range(ladder.count())
        ladder.move(next((i for i in rows if ladder.row(i)[1] is entry[1]), 0))


def do_contexts(app: DicomsniffApp) -> None:
    """Presentation contexts, or the timeline again."""
    app.show_middle("timeline" if app.middle == "contexts" else "contexts")


def do_findings(app: DicomsniffApp) -> None:
    """Findings, or the timeline again."""
    app.show_middle("timeline" if app.middle == "findings" else "findings")


def do_statistics(app: DicomsniffApp) -> None:
    """Statistics, or the timeline again."""
    app.show_middle("timeline" if app.middle == "statistics" else "statistics")


def do_maximise(app: DicomsniffApp) -> None:
    """The pane with the focus alone, or all of them."""
    app.maximise("" if app.maximised else app.focused_pane or app.middle)


def do_time(app: DicomsniffApp) -> None:
    """The next kind of time in the time column."""
    rows = app.timeline_rows
    rows.time_mode = (rows.time_mode + 1) % len(TIME_MODES)
    app.pane("timeline").refresh()
    app.say(f"Time {TIME_MODES[rows.time_mode]}")


def do_collapse(app: DicomsniffApp) -> None:
    """Collapse runs, or show each row; so with findings that are alike."""
    if app.middle == "findings":
        app.findings_together = not app.findings_together
        app.fill_middle()
        app.pane("findings").reload(0)
        one = "Findings that are alike have one row" if app.findings_together else ""
        app.say(one or "Each finding has a row")
        return
    entry = app.entry
    rows = app.timeline_rows
    rows.collapse = not rows.collapse
    rows.rescan()
    row = row_of(app, *entry) if entry is not None else 0
    app.pane("timeline").reload(min(row, max(0, len(rows) - 1)))
    app.say("Runs are collapsed: enter opens one" if rows.collapse else "Each row is shown")


def do_sort(app: DicomsniffApp) -> None:
    """Sort by the next column."""
    table = _sortable(app)
    if table is None:
        app.say("This pane has one order: sort a table", "warn")
        return
    width = table.scrollable_content_region.width
    keys = [column.key for column in table.visible_columns(width)]
    now = table.rows.sort_key
    key = keys[(keys.index(now) + 1) % len(keys)] if now in keys else keys[0]
    _sort(app, table, key, table.rows.sort_reverse)


def do_sort_reverse(app: DicomsniffApp) -> None:
    """Turn the order round."""
    table = _sortable(app)
    if table is not None:
        _sort(app, table, table.rows.sort_key, not table.rows.sort_reverse)


def sort_clicked(app: DicomsniffApp, table: VirtualTable, key: str) -> None:
    """Sort by the column that was clicked; again turns the order round."""
    rows = table.rows
    if rows.sortable:
        _sort(app, table, key, rows.sort_key == key and not rows.sort_reverse)


def do_columns(app: DicomsniffApp) -> None:
    """Choose columns."""
    table = app.pane(app.focused_pane)
    if isinstance(table, VirtualTable):
        app.push_screen(ColumnsScreen(table.rows.columns))


def do_theme(app: DicomsniffApp) -> None:
    """The next theme."""
    at = themes.NAMES.index(app.theme) if app.theme in themes.NAMES else -1
    app.theme = themes.NAMES[(at + 1) % len(themes.NAMES)]
    app.say(f"Theme {app.theme}")


def do_people(app: DicomsniffApp) -> None:
    """Mask people, or show them again."""
    app.people.on = not app.people.on
    app.show_entry()
    app.fill_middle()
    app.refresh_tables()
    app.say("People are masked on the screen" if app.people.on else "People are shown")


# ------------------------------------------------------------- finding


def do_filter(app: DicomsniffApp) -> None:
    """Type a filter."""
    app.query_one(FilterLine).open()


def do_filter_off(app: DicomsniffApp) -> None:
    """Switch the filter off, or on again."""
    if app.filter is None:
        app.say("No filter is set: / sets one", "warn")
        return
    app.filter_off = not app.filter_off
    app.apply_filter()


def do_find(app: DicomsniffApp) -> None:
    """Ask for a text and go to the next place where it is."""

    def go(answer: str | None) -> None:
        if answer is None:
            return
        app.needle = answer
        for name in ("associations", "timeline", "ladder", "detail", "bytes"):
            app.pane(name).needle = answer.casefold()
            app.pane(name).refresh()
        if answer:
            find_next(app, backwards=False)

    hint = "in rows, values and bytes; n next, N previous; empty: forget it"
    app.push_screen(PromptScreen("Find text", app.needle, hint=hint), go)


def do_next(app: DicomsniffApp) -> None:
    """Next place."""
    find_next(app, backwards=False)


def do_previous(app: DicomsniffApp) -> None:
    """Place before."""
    find_next(app, backwards=True)


def find_next(app: DicomsniffApp, *, backwards: bool) -> None:
    """Look on from the cursor of the focused pane."""
    text = app.needle
    if not text:
        app.say("Nothing to find: ^f asks for a text", "warn")
        return
    look = Search(app, text, backwards, lambda a, number: go_to(app, (a, number)))
    app.run_worker(look.run(), exclusive=True, group="find")


# ------------------------------------------------------------- the program


def do_help(app: DicomsniffApp) -> None:
    """All keys."""
    app.push_screen(HelpScreen())


def do_quit(app: DicomsniffApp) -> None:
    """Leave."""
    app.exit()


def _focus(app: DicomsniffApp, step: int) -> None:
    """Focus on the next pane."""
    names = ["associations", app.middle, "detail", "bytes"]
    here = names.index(app.focused_pane) if app.focused_pane in names else 0
    app.focus_on(names[(here + step) % len(names)])


def _sortable(app: DicomsniffApp) -> VirtualTable | None:
    pane = app.pane(app.focused_pane or "associations")
    return pane if isinstance(pane, VirtualTable) and pane.rows.sortable else None


def _sort(app: DicomsniffApp, table: VirtualTable, key: str, reverse: bool) -> None:
    table.rows.sort(key, reverse)
    if table.id == "associations":
        app.reload_associations()
    elif table.id == "timeline":
        app.sort_timeline()
    else:
        table.reload()


ACTIONS: dict[str, Callable[[DicomsniffApp], None]] = {
    name.removeprefix("do_").replace("_", "-"): function
    for name, function in [*globals().items(), *vars(taking).items()]
    if name.startswith("do_")
}
"""What runs a command that no pane has its own meaning for."""
