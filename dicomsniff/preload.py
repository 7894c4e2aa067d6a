"""Everything that may be needed later, brought in while its files may still be read.

A capture starts as root and goes on as somebody else, or as root without capabilities. Python's own
files, and ours, may then lie where that user may not look: under root's home, or in somebody's
virtual environment. Then what is imported late everywhere else is imported here at once, which
takes a second.
"""

from __future__ import annotations

import codecs
import encodings
import importlib
import importlib.util
import os
import pkgutil
import sys

import dicomsniff

SCREEN_MODULES = (
    "textual.app",
    "textual.command",
    "textual.content",
    "textual.drivers.linux_driver",
    "textual.pilot",
    "textual.widgets",
)
"""What Textual imports when it needs it."""

SCREEN_WIDGETS = (
    "Input",
    "Label",
    "Static",
    "OptionList",
    "LoadingIndicator",
    "Markdown",
    "Button",
)
"""Widgets that Textual imports when they are asked for."""


def prepare(user: int, *, screen: bool) -> None:
    """Have ready what ``user`` (a number) will need: all of it where it may not be read later,
    else what the first packet needs."""
    if not all(_may_look(path, user) for path in _places()):
        preload(screen=screen)
        return
    from dicomsniff.analysis.findings import rules
    from dicomsniff.dicom.elements import entry

    rules()
    entry(0x00100010)
    if screen:
        importlib.import_module("dicomsniff.tui.app")


def _places() -> set[str]:
    """Where modules come from."""
    found = {sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)}
    for name in ("dicomsniff", "scapy", "pydicom", "textual"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            found.add(os.path.dirname(spec.origin))
    return {os.path.realpath(path) for path in found}


def _may_look(path: str, user: int) -> bool:
    """Whether a user without capabilities may look into a folder, by the owner's and everybody's
    permissions alone: where groups or lists decide, it is taken for a no."""
    while True:
        try:
            found = os.stat(path)
        except OSError:
            return False
        if found.st_mode & (0o500 if found.st_uid == user else 0o005) not in (0o500, 0o005):
            return False
        above = os.path.dirname(path)
        if above == path:
            return True
        path = above


def preload(*, screen: bool) -> None:
    """Import all modules but those of the screen, with the tables and codecs that they open late;
    ``screen``: those, too."""
    for module in pkgutil.walk_packages(dicomsniff.__path__, "dicomsniff."):
        of_screen = module.name.startswith("dicomsniff.tui")
        if (screen or not of_screen) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    _tables()
    _codecs()
    if screen:
        for name in SCREEN_MODULES:
            importlib.import_module(name)
        widgets = importlib.import_module("textual.widgets")
        for name in SCREEN_WIDGETS:
            getattr(widgets, name)


def _tables() -> None:
    """Dictionaries that are read when something is first looked up in them."""
    from dicomsniff.analysis.findings import rules
    from dicomsniff.dicom import tables
    from dicomsniff.dicom.elements import entry
    from dicomsniff.output.allowed import code_meaning
    from dicomsniff.tcp.tunnels import find_ip

    rules()
    for table in (tables.elements, tables.private, tables.uids, tables.retired_snomed):
        table()
    entry(0x00100010)
    for scheme in ("DCM", "SCT", "SRT", "UCUM"):
        code_meaning(scheme, "")
    find_ip("link 105", bytes(64), 0)


def _codecs() -> None:
    """All of Python's codecs: a data set may declare any of them."""
    for module in pkgutil.iter_modules(encodings.__path__):
        try:
            codecs.lookup(module.name)
        except (LookupError, ImportError):
            pass  # of another system, or no codec
