"""The application: panes, what is chosen in them, and what each command does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import Event, Key, MouseEvent
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from dicomsniff.dicom.elements import DataSet
from dicomsniff.model import Association, Entry, Finding, Message, PresentationContext, Source
from dicomsniff.tui import about, actions, signals, themes
from dicomsniff.tui import config as configuration
from dicomsniff.tui.bars import FilterLine, KeyLine, StatusLine
from dicomsniff.tui.commands import BY_NAME, COMMANDS, available
from dicomsniff.tui.detail import DECODE_AT_ONCE, build
from dicomsniff.tui.filters import judge
from dicomsniff.tui.hexview import HexView
from dicomsniff.tui.ladder import Ladder
from dicomsniff.tui.live import KEEP, LiveLine
from dicomsniff.tui.livepart import LivePart
from dicomsniff.tui.loader import GIVE_WAY_TO_USER, Loader
from dicomsniff.tui.mainscreen import WIDE, MainScreen
from dicomsniff.tui.outline import Outline
from dicomsniff.tui.people import People
from dicomsniff.tui.plots import Plots
from dicomsniff.tui.rows import AssociationRows, Filter, Marks, TableRows
from dicomsniff.tui.statistics import Group, Statistics, statistics_columns
from dicomsniff.tui.status import Status
from dicomsniff.tui.summary import Summaries
from dicomsniff.tui.table import LineList, VirtualTable
from dicomsniff.tui.text import safe
from dicomsniff.tui.timeline import SORT_AT_ONCE, Ordered, TimelineRows
from dicomsniff.tui.views import (
    context_columns,
    context_rows,
    finding_columns,
    finding_rows,
)

if TYPE_CHECKING:
    from dicomsniff.analysis.pipeline import Keeper
    from dicomsniff.output.reload import Reloaded

Again = Callable[[bool], Source]
"""Opens the capture once more; True: every packet of it, without filters and decryption."""

NOT_AGAIN = "The packets are not there any more"
"""What is said where nobody says why."""

LOOKS_A_SECOND = 10
"""How often the screen looks at what was loaded: as often as an eye notices."""

LOOK_AGAIN = 0.02
"""Seconds until the next look where a filter has not looked at everything: time for a key."""

LOOKS_FOR_COUNTS = 5
"""Every so many looks, counts and titles are drawn anew while something is loading."""

WORD_LASTS = 6.0
"""Seconds that the answer to a command stays on the status line."""

NARROW = 100
"""Columns below which values would be cut if the bytes stood beside them all the time."""

MIDDLE = ("timeline", "ladder", "contexts", "findings", "statistics")
"""Views that share the second pane."""


class DicomsniffApp(App[None], inherit_bindings=False):
    """Associations, timeline or ladder, detail and bytes of what one source gives."""

    TITLE = "dicomsniff"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[Binding]] = [  # type: ignore[assignment]
        Binding(
            ",".join(command.keys),
            "command_palette" if command.name == "palette" else f"command('{command.name}')",
            command.label,
            show=bool(command.footer),
            id=command.name,
            system=True,
        )
        for command in COMMANDS
    ]

    def __init__(
        self,
        source_factory: Callable[[], Source | Reloaded],
        *,
        ports: Iterable[int] = (),
        title: str = "",
        live: bool = False,
        may_be_live: bool = False,
        keep: int = KEEP,
        where: str = "",
        config: configuration.Config | None = None,
        keeper: Keeper | None = None,
        again: Again | str = NOT_AGAIN,
    ) -> None:
        super().__init__()
        self.ports = tuple(ports)
        self.again = again
        """How to read the capture once more, or why that cannot be."""
        self.title_text = title
        self.live = live
        self.fatal = ""
        """Why the source could not be opened; for who called, once the screen is gone."""
        self.loader = Loader(
            source_factory, self.ports, keeper=keeper, endless=live, may_be_live=may_be_live
        )
        self.config = config if config is not None else configuration.load()
        self.key_table = configuration.key_table(self.config)
        self.people = People()
        self.people.on = self.config.mask_people
        self.marks = Marks()
        self.summaries = Summaries()
        self.association_rows = AssociationRows(
            self.loader.associations, self.summaries, self.marks
        )
        self.timeline_rows = TimelineRows(self.loader.rows, self.marks)
        self.timeline_rows.collapse = self.config.collapse
        self.context_rows = TableRows(context_columns())
        self.finding_rows = TableRows(finding_columns())
        self.findings_together = True
        """Findings that are alike have one row."""
        self.statistics_rows = TableRows(statistics_columns())
        self.statistics = Statistics()
        self.now = LivePart(self, keep)
        self.status = Status(self)
        self.association: Association | None = None
        """The chosen one."""
        self.entry: tuple[Association, Entry] | None = None
        """The chosen one, with its association."""
        self._about = False
        """True while the detail pane tells of a finding or a context rather than of the entry."""
        self._again_soon = False
        """True while another look is due before the regular one: a filter has more to look at."""
        self._sorting = False
        """True while a thread sorts the timeline."""
        self.show_all = False
        self.maximised = ""
        """The pane that has the screen for itself."""
        self.middle = "timeline"
        self.filter_text = where
        self.filter: Filter | None = None
        self.filter_off = False
        self.word = ""
        self.word_is: str = ""
        self._word_timer: Timer | None = None
        self._datasets: tuple[Message, DataSet | None] | None = None
        self._seen_ended = -1
        self._looks = 0
        self._settled = False
        """True once everything was loaded and looked at: an idle screen costs nothing."""
        self.needle = ""
        """The text that was looked for last."""

    # ------------------------------------------------------------- composition

    def get_default_screen(self) -> Screen[None]:
        """The main screen."""
        return MainScreen(id="_default")

    def compose(self) -> ComposeResult:
        """Panes from top to bottom."""
        yield StatusLine(id="status")
        yield LiveLine(id="live")
        yield FilterLine(id="filter")
        with Vertical(id="panes"):
            yield VirtualTable(self.now.rows, id="open")
            yield VirtualTable(
                self.association_rows, id="associations", empty="No DICOM association yet"
            )
            with Vertical(id="middle"):
                yield VirtualTable(self.timeline_rows, id="timeline", empty="No row")
                yield Ladder(self.marks, id="ladder")
                yield VirtualTable(
                    self.context_rows, id="contexts", empty="No presentation context was seen"
                )
                yield VirtualTable(self.finding_rows, id="findings", empty="No finding")
                yield VirtualTable(self.statistics_rows, id="statistics", empty="No operation")
            with Horizontal(id="below"):
                yield Plots(id="plots")
                yield Outline(id="detail")
                yield HexView(id="bytes")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Begin to load, and to look."""
        for theme in themes.OWN:
            self.register_theme(theme)
        if self.config.theme in self.available_themes:
            self.theme = self.config.theme
        elif not self.config.theme and not self.is_headless:
            self.theme = themes.fitting(self.console) or self.theme
        elif self.config.theme:
            self.config.problems.append(f"theme: there is no theme {self.config.theme!r}")
        self.set_keymap({name: ",".join(keys) or "none" for name, keys in self.key_table.items()})
        for lines in self.main.query(LineList):
            lines.when_moved = self.cursor_moved
            lines.when_opened = self.row_opened
            if lines.id in ("open", "associations", "timeline", "ladder"):
                lines.when_released = self.stop_following
        self.main.query_one(HexView).when_byte_chosen = self.byte_chosen
        self.show_middle("timeline")
        if self.filter_text:
            self.query_one(FilterLine).display = True
            self.query_one(FilterLine).input.value = self.filter_text
            self.use_filter(self.filter_text)
        table = self.pane("associations")
        self.focus_on("associations")
        if self.live:
            table.follow = True
            self.pane("timeline").follow = True
        if self.config.problems:
            self.say(self.config.problems[0], "warn")
        signals.leave_at_once(self.exit)
        self.loader.start()
        self.set_interval(1 / LOOKS_A_SECOND, self.look)

    async def on_event(self, event: Event) -> None:
        """A key or the mouse: who waits at the screen goes before what is still to be read."""
        if isinstance(event, Key | MouseEvent):
            self.loader.give_way(GIVE_WAY_TO_USER)
        await super().on_event(event)

    def on_unmount(self) -> None:
        """Close the source, and wait for its thread."""
        self.loader.close()

    def pane(self, name: str) -> LineList:
        """A pane by name."""
        return self.main.query_one(f"#{name}", LineList)

    def focus_on(self, name: str) -> None:
        """Give a pane the focus, at once: the next key may have been typed already.

        Where the screen is narrow, the bytes are beside the tree only while they have it.
        """
        if self.maximised:
            self.maximised = name
        self.arrange(name)
        self.main.set_focus(self.pane(name))

    def maximise(self, name: str) -> None:
        """Give one pane the screen for itself; none where ``name`` is empty."""
        self.maximised = name
        self.arrange()

    def arrange(self, focus: str = "") -> None:
        """Show the panes that belong on the screen.

        Their ``display`` is set rather than a class: a class takes effect a moment later, and a
        pane that is not displayed yet cannot have the focus for the next key.
        """
        alone = self.maximised
        focus = focus or self.focused_pane
        bytes_have_it = focus == "bytes"
        narrow = self.main.size.width < NARROW
        plots = self.middle == "statistics" and focus not in ("detail", "bytes")
        plots = plots and alone in ("", "statistics")
        self.pane("associations").display = alone in ("", "associations")
        self.now.arrange(alone)
        self.main.query_one("#middle").display = alone in ("", *MIDDLE)
        self.main.query_one("#below").display = plots or alone in ("", "detail", "bytes")
        self.pane("plots").display = plots
        self.pane("detail").display = alone != "bytes" and not plots
        view = self.main.query_one(HexView)
        told = self.middle in ("findings", "contexts")  # their detail is text, without bytes
        beside = bytes_have_it or not (narrow or told)
        view.display = alone == "bytes" or (beside and not (alone or plots))
        view.styles.width = "1fr" if alone == "bytes" else None
        columns = self.main.size.width
        view.fit(columns if alone == "bytes" else 76 if columns >= WIDE else 42)
        for name in MIDDLE:
            self.pane(name).display = name == self.middle

    @property
    def main(self) -> Screen[object]:
        """The screen with the panes, also while another one is on top of it."""
        return self.screen_stack[0]

    @property
    def focused_pane(self) -> str:
        """Name of the pane that has the focus."""
        focused: Widget | None = self.main.focused
        return focused.id or "" if isinstance(focused, LineList) else ""

    def keys_of(self, name: str) -> tuple[str, ...]:
        """The keys that run a command, those of the configuration file included."""
        return self.key_table[name]

    # ------------------------------------------------------------- looking at what was loaded

    def look(self) -> None:
        """See what came since the last time. Called ten times a second; costs what is visible."""
        if not self.is_running or not self.screen_stack:
            return
        loader = self.loader
        if self._settled and not (self.timeline_rows.behind or self.timeline_rows.unsorted):
            return
        if not self.now.look():
            return
        loader.give_way()
        self._looks += 1
        # Counts may be half a second old: drawing them is most of what a look costs.
        all_of_it = loader.done or self._looks % LOOKS_FOR_COUNTS == 0 or not self.status.shown
        self._settled = loader.done
        if loader.error:
            self.fatal = loader.error
        associations = self.pane("associations")
        if loader.error and not loader.associations and not self.filter:
            associations.empty = f"✗ {safe(loader.error)}"
            associations.refresh()
        elif loader.done and not loader.associations and not self.filter:
            associations.empty = f"No DICOM association in {loader.frames:,} frames"
        if self.association_rows.grow():
            self.reload_associations()
        elif not associations.look() and all_of_it:
            associations.refresh()
        if self.association is None and len(self.association_rows) and not associations.cursor:
            self.choose_association(self.association_rows[0])
        timeline = self.pane("timeline")
        if loader.pipeline is not None:
            self.timeline_rows.begins = loader.pipeline.info.first
        changed = self.timeline_rows.grow()
        if self.timeline_rows.unsorted:
            self.sort_timeline()
        elif changed:
            timeline.reload()
        else:
            timeline.look()
        if self.middle == "ladder":
            self.pane("ladder").look()
        if all_of_it and (loader.done or loader.ended != self._seen_ended):
            self._seen_ended = loader.ended
            self.fill_middle()
            associations.refresh()
        if all_of_it:
            self.show_status()
        if self.timeline_rows.behind and not self._again_soon:
            self._again_soon = True
            self.set_timer(LOOK_AGAIN, self._look_again)

    def _look_again(self) -> None:
        self._again_soon = False
        self.look()

    def show_status(self) -> None:
        """The line on top and the titles of the panes, as far as they changed."""
        if self.is_running and self.screen_stack:  # a timer may come when the screen is gone
            self.status.show()

    def say(self, word: str, role: str = "") -> None:
        """Answer a command on the status line."""
        self.word, self.word_is = safe(word), role
        if self._word_timer is not None:
            self._word_timer.stop()
        self._word_timer = self.set_timer(WORD_LASTS, self._unsay)
        self.show_status()

    def _unsay(self) -> None:
        self.word = ""
        self.show_status()

    # ------------------------------------------------------------- what is chosen

    def cursor_moved(self, lines: LineList, index: int) -> None:
        """The cursor of a pane moved."""
        name = lines.id
        if name == "associations":
            if index < len(self.association_rows):
                self.choose_association(self.association_rows[index])
        elif name == "open":
            self.now.chosen(index)
        elif name == "timeline":
            if index < len(self.timeline_rows) and self.middle == "timeline":
                self.choose_entry(*self.timeline_rows[index])
        elif name == "ladder":
            ladder = self.main.query_one(Ladder)
            if index < ladder.count() and self.middle == "ladder":
                self.choose_entry(*ladder.row(index))
        elif name == "detail":
            self._light_up(index)
        elif name == self.middle == "statistics":
            group = self.statistics_rows.target(index)
            self.main.query_one(Plots).show(group if isinstance(group, Group) else None)
        elif name == self.middle and index < self.pane(name).count():
            self.show_about(self.main.query_one(f"#{name}", VirtualTable).rows.target(index))  # type: ignore[attr-defined]

    def show_about(self, target: object) -> None:
        """Tell in the detail pane what a row of the findings or the contexts has no room for."""
        if not isinstance(target, tuple) or len(target) < 3:
            return
        outline = self.main.query_one(Outline)
        association, _, what = target[:3]
        if isinstance(what, Finding):
            told = about.finding(what, association, outline.size.width, target[3])
        elif isinstance(what, PresentationContext):
            told = about.context(association, what)
        else:
            return
        self._about = True
        self.status.title("bytes", "4 Bytes")
        self.main.query_one(HexView).show([])
        outline.show(told)

    def stop_following(self) -> None:
        """The user moved: the rows under the cursor stay, in every pane."""
        for name in ("associations", "timeline", "ladder"):
            self.pane(name).follow = False
        # Not every move is a key's: the text to find is typed on a screen of its own.
        self.show_status()

    def row_opened(self, lines: LineList, index: int) -> None:
        """A line was opened: go where more of it is."""
        name = lines.id or ""
        if name in ("associations", "open"):
            self.show_all = False
            self.show_middle("ladder" if self.middle == "ladder" else "timeline")
            self.focus_on(self.middle)
        elif name == "timeline" and self.timeline_rows.toggle_run(index):
            self.pane("timeline").reload()
        elif name in ("timeline", "ladder"):
            self.focus_on("detail")
        elif name in ("contexts", "findings", "statistics"):
            table = self.main.query_one(f"#{name}", VirtualTable)
            target = table.rows.target(index)  # type: ignore[attr-defined]
            actions.go_to(self, target.first if isinstance(target, Group) else target)

    def choose_association(self, association: Association) -> None:
        """Show another association in the second pane."""
        if association is self.association:
            return
        self.association = association
        self.people.hear(association)
        if not self.show_all:
            self.timeline_rows.show(association)
            self.pane("timeline").reload(0)
        self.fill_middle()
        if self.middle == "statistics" and association.timeline:
            self.choose_entry(association, association.timeline[0])

    def choose_entry(self, association: Association, entry: Entry) -> None:
        """Show another entry in detail and bytes."""
        if self.entry is not None and self.entry[1] is entry and not self._about:
            return
        self.entry = (association, entry)
        self.show_entry()

    def show_entry(self) -> None:
        """Show the chosen entry, decoding its data set first; a large one in a thread."""
        if self.entry is None:
            return
        self._about = False
        association, entry = self.entry
        message = entry.message
        dataset: DataSet | None = None
        if message is not None and message.dataset is not None:
            if self._datasets is not None and self._datasets[0] is message:
                dataset = self._datasets[1]
            elif len(message.dataset.held) <= DECODE_AT_ONCE:
                dataset = self.decode(message)
            else:
                self.decode_elsewhere(message)
        detail = build(association, entry, dataset, self.people)
        self.status.title("bytes", "4 Bytes")
        self.main.query_one(HexView).show(detail.sections)
        self.main.query_one(Outline).show(detail)

    def show_nothing(self) -> None:
        """No row is left to choose."""
        self.entry = None
        self.main.query_one(HexView).show([])
        self.main.query_one(Outline).show(None)
        self.main.query_one(Ladder).show(None)

    def decode(self, message: Message) -> DataSet:
        """Decode a data set, and remember the last one."""
        from dicomsniff.dicom.dataset import decode

        assert message.dataset is not None
        dataset = decode(message.dataset, message.transfer_syntax)
        self._datasets = (message, dataset)
        return dataset

    @work(thread=True, exclusive=True, group="decode")
    def decode_elsewhere(self, message: Message) -> None:
        """Decode a large data set without holding up the keys."""
        self.decode(message)
        self.call_from_thread(self._decoded, message)

    def _decoded(self, message: Message) -> None:
        if self.entry is not None and self.entry[1].message is message:
            self.show_entry()

    # ------------------------------------------------------------- tree and bytes

    def _light_up(self, index: int) -> None:
        """Show the bytes of the branch under the cursor."""
        branch = self.main.query_one(Outline).branch_at(index)
        if branch is None or branch.section is None:
            return
        view = self.main.query_one(HexView)
        if branch.section < len(view.sections):
            view.light_up(branch.section, branch.start, branch.end)
            self._bytes_title(branch.section, branch.start, branch.end)

    def byte_chosen(self, section: int, offset: int) -> None:
        """Show the branch that was read from the byte."""
        outline = self.main.query_one(Outline)
        if outline.detail is None:
            return
        path = outline.detail.find(section, offset)
        view = self.main.query_one(HexView)
        if path:
            outline.reveal(path, tell=False)
            last = path[-1]
            view.span = (section, last.start, last.end)
            view.refresh()
        self._bytes_title(section, offset, offset + 1)

    def _bytes_title(self, section: int, start: int, end: int) -> None:
        view = self.main.query_one(HexView)
        where = view.sections[section]
        frame = where.frame_at(start)
        origin = f"frame {frame}" if frame is not None else ""
        self.status.title("bytes", f"4 Bytes {where.name}", f"{start:#x}–{end:#x} {origin}")

    # ------------------------------------------------------------- the second pane

    def show_middle(self, name: str) -> None:
        """Show another view in the second pane."""
        had_focus = self.focused_pane in MIDDLE
        self.middle = name
        if self.maximised in MIDDLE:
            self.maximised = name
        self.arrange()
        self.fill_middle()
        pane = self.pane(name)
        if had_focus:
            self.focus_on(name)
        if name in ("timeline", "ladder"):
            pane.look()
            pane.moved(pane.cursor)

    def fill_middle(self) -> None:
        """Make the rows of a table that is made at once."""
        a = self.association
        if self.middle == "contexts":
            self.context_rows.set(*(context_rows(a) if a is not None else ([], [])))
        elif self.middle == "findings":
            shown = [self.association_rows[i] for i in range(len(self.association_rows))]
            told = finding_rows(shown, self.loader.findings, together=self.findings_together)
            self.finding_rows.set(*told)
        elif self.middle == "ladder":
            ladder = self.main.query_one(Ladder)
            if ladder.association is not a:
                ladder.show(a, self.loader.associations)
            elif ladder.join():
                ladder.reload()
            return
        elif self.middle == "statistics":
            shown = [self.association_rows[i] for i in range(len(self.association_rows))]
            self.statistics_rows.set(*self.statistics.rows(shown))
        else:
            return
        self.pane(self.middle).reload()

    def reload_associations(self) -> None:
        """Rows moved: keep the cursor on the chosen association."""
        table = self.pane("associations")
        at = self.association_rows.index(self.association) if self.association else None
        table.reload(at)

    def sort_timeline(self) -> None:
        """Put the rows of the timeline in the order of its column, many of them in a thread."""
        rows = self.timeline_rows
        if not rows.unsorted:
            self._show_sorted()
        elif len(rows) <= SORT_AT_ONCE:
            rows.order()
            self._show_sorted()
        elif self.loader.done and not self._sorting:
            self._sorting = True
            self.sort_elsewhere()

    @work(thread=True, group="sort")
    def sort_elsewhere(self) -> None:
        """Sort without holding up the keys."""
        ordered = self.timeline_rows.ordered()
        self.call_from_thread(self._sorted, ordered)

    def _sorted(self, ordered: Ordered) -> None:
        self._sorting = False
        self.timeline_rows.put(ordered)
        self._show_sorted()

    def _show_sorted(self) -> None:
        """Rows moved: keep the cursor on the chosen entry."""
        row = actions.row_of(self, *self.entry) if self.entry is not None else 0
        self.pane("timeline").reload(row)

    def refresh_tables(self) -> None:
        """Draw the tables again: other columns, marks or names."""
        for name in ("associations", *MIDDLE):
            self.pane(name).refresh()

    # ------------------------------------------------------------- filter

    def on_filter_line_changed(self, event: FilterLine.Changed) -> None:
        """Another filter was entered."""
        self.use_filter(event.text)

    def on_filter_line_left(self) -> None:
        """Back to the rows."""
        self.focus_on("associations")

    def use_filter(self, text: str) -> None:
        """Filter by another text; an empty one shows everything."""
        compiled, word, valid = judge(text)
        if valid is False:
            self.say(word, "bad")
            return
        self.filter_text, self.filter, self.filter_off = text, compiled, False
        self.query_one(FilterLine).say(word, valid)
        self.apply_filter()

    def apply_filter(self) -> None:
        """Filter both tables again."""
        active = None if self.filter_off else self.filter
        self.association_rows.filter = active
        self.timeline_rows.filter = active
        self.pane("associations").empty = (
            "No DICOM association yet" if active is None else "No association passes the filter"
        )
        self.association_rows.rescan()
        at = self.association_rows.index(self.association) if self.association else None
        if at is None:
            self.association = None
        self.pane("associations").reload(at or 0)
        if self.association is None and not self.show_all:
            self.timeline_rows.show(
                self.association_rows[0] if len(self.association_rows) else None
            )
            if len(self.association_rows):
                self.choose_association(self.association_rows[0])
            else:
                self.show_nothing()
        else:
            self.timeline_rows.rescan()
        self.pane("timeline").reload(0)
        self.fill_middle()
        self.show_status()

    # ------------------------------------------------------------- palette

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The commands of the table, and the themes."""
        del screen
        pane = self.focused_pane
        for command in COMMANDS:
            if (
                command.group != "Moving"
                and command.name != "palette"
                and available(command, pane, self.loader.live)
            ):
                label = command.label[0].upper() + command.label[1:]
                yield SystemCommand(label, command.help, self._runner(command.name))
        for name in self._theme_names():
            yield SystemCommand(f"Theme {name}", "Use this theme", self._theme_setter(name))

    def _runner(self, name: str) -> Callable[[], None]:
        return lambda: actions.run_command(self, name)

    def _theme_names(self) -> Iterator[str]:
        yield from self.available_themes

    def _theme_setter(self, name: str) -> Callable[[], None]:
        return lambda: setattr(self, "theme", name)

    # ------------------------------------------------------------- commands

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A command that makes no sense where the focus is leaves the key to others."""
        if action == "command" and parameters:
            command = BY_NAME.get(str(parameters[0]))
            live = self.loader.live
            if command is not None and not available(command, self.focused_pane, live):
                return False
        return True

    def on_virtual_table_header_clicked(self, event: VirtualTable.HeaderClicked) -> None:
        """Sort by the column that was clicked."""
        actions.sort_clicked(self, event.table, event.key)

    def action_command(self, name: str) -> None:
        """Run a command of the table."""
        actions.run_command(self, name)
