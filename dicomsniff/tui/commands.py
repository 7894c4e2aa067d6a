"""The one table of commands. Footer, help, palette and key bindings are made from it."""

from __future__ import annotations

from typing import NamedTuple

LISTS = ("associations", "timeline", "ladder", "contexts", "findings", "statistics")
"""Panes that show rows of associations and entries."""

ROWS = ("associations", "timeline", "ladder")
"""Panes whose rows are associations or entries, so that they can be marked and compared."""


class Command(NamedTuple):
    """One thing the user can ask for."""

    name: str
    """What a configuration file calls it."""
    keys: tuple[str, ...]
    """Textual's names of the keys that run it; a configuration file may put others in place."""
    label: str
    """One or two words, for the footer."""
    help: str
    """A sentence, for help and palette."""
    group: str
    panes: tuple[str, ...] = ()
    """Where it makes sense, by name of the pane that has the focus; empty: everywhere."""
    footer: int = 0
    """Place in the footer, 1 first; 0: not shown there."""
    live: bool = False
    """It makes sense only where the capture goes on."""


COMMANDS: tuple[Command, ...] = (
    # Moving
    Command("up", ("up", "k"), "up", "One line up", "Moving"),
    Command("down", ("down", "j"), "down", "One line down", "Moving"),
    Command("page-up", ("pageup", "ctrl+b"), "page up", "One page up", "Moving"),
    Command("page-down", ("pagedown",), "page down", "One page down", "Moving"),
    Command("top", ("home",), "top", "To the first line", "Moving"),
    Command("bottom", ("end",), "bottom", "To the last line", "Moving"),
    Command("left", ("left",), "left", "Scroll left, close a branch, one byte back", "Moving"),
    Command("right", ("right",), "right", "Scroll right, open a branch, one byte on", "Moving"),
    Command("open", ("enter",), "open", "Open what is chosen in the next pane", "Moving", (), 1),
    Command("back", ("escape",), "back", "Back to the pane before, close the filter", "Moving"),
    Command("next-pane", ("tab",), "next pane", "Focus on the next pane", "Moving", (), 12),
    Command("previous-pane", ("shift+tab",), "previous pane", "Focus on the pane before", "Moving"),
    Command("pane-1", ("1",), "associations", "Focus on the associations", "Moving"),
    Command("pane-2", ("2",), "timeline", "Focus on timeline, ladder or table", "Moving"),
    Command("pane-3", ("3",), "detail", "Focus on the detail tree", "Moving"),
    Command("pane-4", ("4",), "bytes", "Focus on the bytes", "Moving"),
    Command("next", ("n",), "next", "Next place where the text was found", "Moving"),
    Command("previous", ("N",), "previous", "Place before where the text was found", "Moving"),
    Command("goto", ("g",), "go to frame", "Go to a frame number", "Moving"),
    Command(
        "follow", ("G",), "follow", "Follow the end, as a live capture grows", "Moving", LISTS, 9
    ),
    Command(
        "pause",
        ("p",),
        "pause",
        "Hold the screen still, or go on; nothing is lost meanwhile",
        "Moving",
        footer=2,
        live=True,
    ),
    Command(
        "pane-0",
        ("0",),
        "open now",
        "Focus on the associations that are open now",
        "Moving",
        live=True,
    ),
    Command("set-mark", ("m",), "mark", "Mark this row, or take its mark away", "Moving", ROWS),
    Command("jump-mark", ("'",), "to mark", "Jump to the next mark", "Moving", ROWS),
    Command("link", ("L",), "linked", "Go to the operation that this one is linked with", "Moving"),
    # Views
    Command("timeline", ("t",), "timeline", "Timeline of the chosen association", "Views", (), 0),
    Command("all", ("a",), "all", "Timeline of all associations, or of the chosen one", "Views"),
    Command("ladder", ("l",), "ladder", "Ladder of the chosen association", "Views", (), 3),
    Command("contexts", ("c",), "contexts", "Presentation contexts: proposed, accepted", "Views"),
    Command("findings", ("f",), "findings", "Findings, the worst first", "Views", (), 4),
    Command("statistics", ("S",), "statistics", "Operations and times by AE pair", "Views"),
    Command("maximise", ("z",), "maximise", "This pane alone, or all of them", "Views", (), 11),
    Command("time", ("T",), "time", "Time: since start, of day, since the row before", "Views"),
    Command(
        "collapse",
        ("r",),
        "runs",
        "Collapse what is alike: responses, C-STOREs, findings",
        "Views",
    ),
    Command("sort", ("o",), "sort", "Sort by the next column", "Views"),
    Command("sort-reverse", ("O",), "reverse", "Turn the order round", "Views"),
    Command("columns", ("C",), "columns", "Choose columns", "Views", ("associations", "timeline")),
    Command("unfold", ("plus",), "unfold", "Open the whole tree", "Views", ("detail",)),
    Command("fold", ("minus",), "fold", "Close the whole tree", "Views", ("detail",)),
    Command(
        "theme", ("ctrl+t",), "theme", "Next theme; 16 colours and none are among them", "Views"
    ),
    Command("people", ("h",), "mask people", "Mask people on the screen", "Views", (), 9),
    # Finding
    Command("filter", ("slash",), "filter", "Filter, in the language of --where", "Finding", (), 2),
    Command("filter-off", ("F",), "filter off", "Switch the filter off for a moment", "Finding"),
    Command("find", ("ctrl+f",), "find", "Find text in rows, values and bytes", "Finding", (), 7),
    # Taking away
    Command("select", ("space",), "select", "Select for a difference or an export", "Taking", ROWS),
    Command("difference", ("d",), "difference", "Difference of the two selected", "Taking", (), 5),
    Command(
        "transcript", ("x",), "transcript", "Write the transcript, people masked", "Taking", (), 6
    ),
    Command(
        "packets",
        ("s",),
        "packets",
        "Write the packets as pcapng, from the capture",
        "Taking",
        (),
        6,
    ),
    Command("objects", ("e",), "objects", "Write the objects of C-STOREs as files", "Taking"),
    Command("copy", ("y",), "copy", "Copy this row, through ssh too (OSC 52)", "Taking", (), 10),
    Command("copy-value", ("Y",), "copy value", "Copy only the value, or the whole row", "Taking"),
    Command("copy-dump", ("D",), "copy dump", "Copy the text that dump prints of it", "Taking"),
    # The program
    Command("help", ("question_mark", "f1"), "keys", "All keys", "Program", (), 13),
    Command("palette", ("ctrl+p",), "palette", "All commands, by name", "Program"),
    Command("quit", ("q", "ctrl+c", "ctrl+q"), "quit", "Leave", "Program", (), 8),
)

BY_NAME: dict[str, Command] = {command.name: command for command in COMMANDS}

KEY_SYMBOLS = {
    "slash": "/",
    "question_mark": "?",
    "plus": "+",
    "minus": "-",
    "enter": "⏎",
    "escape": "esc",
    "space": "space",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "shift+tab": "⇧tab",
}


def key_text(key: str) -> str:
    """A key as a person would write it: ``/`` for ``slash``, ``^p`` for ``ctrl+p``."""
    if key.startswith("ctrl+"):
        return "^" + key_text(key[5:])
    return KEY_SYMBOLS.get(key, key)


def available(command: Command, pane: str, live: bool = False) -> bool:
    """Whether a command makes sense where the focus is, and on such a capture."""
    return (not command.panes or pane in command.panes) and (live or not command.live)
