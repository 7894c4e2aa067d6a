"""The screen: associations first, then the timeline or ladder of one, then one entry, then bytes.

How it is put together::

    loader.Loader   a thread runs the pipeline over a source; associations and entries land in
         |          plain lists
         v
    app             looks at the lists ten times a second and tells its panes how many there are
         |
         v
    table.LineList  renders the lines that can be seen, and only those; every pane is one

Every key runs a command of the table in :mod:`dicomsniff.tui.commands`. Whatever came from the
wire passes :func:`dicomsniff.tui.text.safe` before it becomes a cell.

Nothing is imported here until :func:`run` is called: Textual costs a fifth of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicomsniff.analysis.pipeline import Keeper
    from dicomsniff.model import Source
    from dicomsniff.output.reload import Reloaded

__all__ = ["run"]


def run(
    source_factory: Callable[[], Source | Reloaded],
    *,
    ports: Iterable[int] = (),
    title: str = "",
    live: bool = False,
    may_be_live: bool = False,
    keep: int | None = None,
    where: str = "",
    keeper: Keeper | None = None,
    again: Callable[[bool], Source] | str = "The packets are not there any more",
) -> int:
    """Show what a source gives on the terminal until the user quits; return the exit status.

    ``source_factory`` gives frames, or a transcript that was saved. It is called in the loader's
    thread, so a slow opening does not delay the screen; what it raises is shown on the status
    line. ``ports`` are those whose traffic is DICOM even where nothing shows it. ``live`` follows
    the end from the start, keeps the newest ``keep`` associations, and shows what is open and what
    passes; ``may_be_live`` does so too if the packets turn out to be of the present. ``where`` is a
    filter to begin with. ``keeper`` hears of every frame, in the loader's thread. ``again`` opens
    the capture once more, to copy packets and objects from it: as before, or (True) every packet of
    it, without filters and decryption; text says why that cannot be.

    Returns 0, or 2 where the source could not be opened, or failed, or where packets could not be
    kept; the reason is then on stderr, since the screen that showed it is gone.
    """
    import sys

    from dicomsniff.output.info import escape  # a name of a file may hold anything
    from dicomsniff.tui.app import DicomsniffApp
    from dicomsniff.tui.live import KEEP

    app = DicomsniffApp(
        source_factory,
        ports=ports,
        title=title,
        live=live,
        may_be_live=may_be_live,
        keep=KEEP if keep is None else keep,
        where=where,
        keeper=keeper,
        again=again,
    )
    app.run()
    if app.fatal:
        sys.stderr.write(f"dicomsniff: {escape(app.fatal)}\n")
        return 2
    return 0
