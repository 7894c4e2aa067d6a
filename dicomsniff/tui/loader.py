"""The thread that reads, and the lists that the screen looks at.

The thread appends, the screen reads: a list of Python is safe for that without a lock, as long as
nobody else changes it. No message is sent for a packet or a row; ten looks a second are enough for
an eye, and a million messages are too many for an event loop.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from dicomsniff.analysis.pipeline import PRESENT_NS, Listener, Pipeline, run
from dicomsniff.model import Association, Entry, Finding, Source
from dicomsniff.tui.everything import Everything

if TYPE_CHECKING:
    from dicomsniff.analysis.pipeline import Keeper
    from dicomsniff.output.reload import Reloaded

FREEZE_EVERY = 2_000
"""Entries between two calls of ``gc.freeze``. What was loaded stays until the program ends, and
looking through millions of such objects for cycles stops every thread for a second or more."""

GIVE_WAY = 0.02
"""Seconds that the reading thread rests when the screen looks at what is new. Python runs one
thread at a time and shares the time evenly: without this, drawing takes twice as long."""

GIVE_WAY_TO_USER = 0.1
"""Seconds that it rests after a key: until what the key asked for is on the screen."""

REST = 0.002
"""Seconds of one rest: short, so that reading goes on as soon as the screen is done."""

JOIN_TIMEOUT = 5.0
"""Seconds that closing waits for the thread; it is a daemon, so a source that hangs in a system
call does not keep the program alive."""


class _ClosedError(Exception):
    """The screen was closed while there was more to read."""


class Loader(Listener):
    """Runs a source through the pipeline in a thread of its own."""

    def __init__(
        self,
        source_factory: Callable[[], Source | Reloaded],
        ports: Iterable[int] = (),
        *,
        keeper: Keeper | None = None,
        endless: bool = False,
        may_be_live: bool = False,
    ) -> None:
        """``endless``: the source is an interface. ``may_be_live``: it is a pipe, of which its
        packets tell."""
        self.associations: list[Association] = []
        self.rows = Everything()
        """Every entry with its association, in the order of completion."""
        self.open: dict[Association, None] = {}
        """Those that have not ended."""
        self.found = 0
        """Associations so far, those included that have left since."""
        self.live = endless
        """It is happening now: an interface, or a pipe whose packets are of the present."""
        self.findings: list[Finding] = []
        """Of the capture as a whole, once it is read."""
        self.ended = 0
        """How many associations have ended, and so have their findings."""
        self.done = False
        self.error = ""
        """Why nothing or not everything could be read: one line, empty while all is well."""
        self.opened = False
        self.began = 0.0
        """When reading began, on the monotonic clock."""
        self.seconds = 0.0
        """How long reading took, once done."""
        self.pipeline: Pipeline | None = None
        self.source: Source | None = None
        self._factory = source_factory
        self._ports = tuple(ports)
        self._keeper = keeper
        self._endless = endless
        self._may_be_live = may_be_live
        self._changing = threading.Lock()
        """While associations leave none may come."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dicomsniff-loader", daemon=True)
        self._freeze_at = FREEZE_EVERY
        self._give_way_until = 0.0

    # ------------------------------------------------------------- the screen's side

    def start(self) -> None:
        """Begin to read; and import meanwhile what the first data set on the screen will need."""
        self._thread.start()
        threading.Thread(target=_warm_up, name="dicomsniff-warm-up", daemon=True).start()

    def close(self) -> None:
        """Stop reading, close the source, wait for the thread. Safe to call again."""
        self._stop.set()
        source = self.source
        if source is not None:
            source.close()
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT)
        gc.unfreeze()

    def give_way(self, seconds: float = GIVE_WAY) -> None:
        """Let the screen go first for a moment."""
        self._give_way_until = max(self._give_way_until, time.monotonic() + seconds)

    def forget(self, gone: set[Association]) -> None:
        """Let associations leave the memory, with their rows."""
        with self._changing:
            self.associations[:] = [each for each in self.associations if each not in gone]
            self.rows.forget(gone)
        # What was frozen is looked at again: it is what has left.
        gc.unfreeze()

    @property
    def frames(self) -> int:
        """Frames read so far."""
        return self.pipeline.info.packets if self.pipeline else 0

    @property
    def progress(self) -> float | None:
        """Share of the source that was read, 0 to 1, where the source can tell."""
        share = getattr(self.source, "progress", None)
        return float(share) if isinstance(share, (int, float)) else None

    @property
    def notices(self) -> list[str]:
        """What the source says of how it was read."""
        return list(self.source.notices) if self.source else []

    # ------------------------------------------------------------- the thread's side

    def association_began(self, association: Association) -> None:
        """An association was found."""
        if not self.found and self._may_be_live:
            self._see_whether_live(association.started)
        with self._changing:
            self.open[association] = None
            self.associations.append(association)
        self.found += 1

    def _see_whether_live(self, time_of_it: int) -> None:
        """A pipe: it may carry what is happening now, or what was saved long ago."""
        if abs(time.time_ns() - time_of_it) < PRESENT_NS and self.pipeline is not None:
            self.live = self.pipeline.endless = True

    def association_ended(self, association: Association) -> None:
        """An association is complete, and its findings with it."""
        self.open.pop(association, None)
        self.ended += 1

    def entry_added(self, association: Association, entry: Entry) -> None:
        """An entry is complete."""
        with self._changing:
            self.rows.append((association, entry))
        while time.monotonic() < self._give_way_until:
            time.sleep(REST)
        if not self.live and len(self.rows) >= self._freeze_at:
            self._freeze_at += FREEZE_EVERY
            gc.freeze()

    def _run(self) -> None:
        self.began = time.monotonic()
        try:
            self._read()
        except Exception as error:  # the screen must live to tell it, whatever it was
            if not self._stop.is_set():
                self.error = str(error) or type(error).__name__
        finally:
            self.seconds = time.monotonic() - self.began
            self.done = True
            if not self._stop.is_set():
                gc.freeze()

    def _read(self) -> None:
        opened = self._factory()
        pipeline = self.pipeline = Pipeline(
            ports=self._ports, listener=self, keeper=self._keeper, endless=self._endless
        )
        self.opened = True
        if hasattr(opened, "associations"):  # its class is dear to import, and rarely needed
            self._show(cast("Reloaded", opened), pipeline)
            return
        source = self.source = opened
        if self._stop.is_set():
            source.close()
            return
        run(source, pipeline, step=self._look)
        self.findings = pipeline.findings

    def _show(self, saved: Reloaded, pipeline: Pipeline) -> None:
        """A transcript saved before needs no packets."""
        pipeline.info = saved.info
        self.associations.extend(saved.associations)
        self.rows.extend(
            sorted(
                ((each, entry) for each in saved.associations for entry in each.timeline),
                key=lambda row: row[1].last_frame,
            )
        )
        self.ended = len(saved.associations)
        self.findings = saved.findings

    def _look(self) -> None:
        """Stop where the screen was closed; a source that is waiting is ended by its ``close``."""
        if self._stop.is_set():
            raise _ClosedError


def _warm_up() -> None:
    """Import the dictionaries, a quarter of a second that a key press should not wait for."""
    from dicomsniff.dicom import dataset, elements

    elements.entry(0x00100010)
    del dataset
