"""What leaves the screen: as files, and as text of the ``dump`` kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from dicomsniff.model import Association, CaptureInfo, Entry, Finding, Message, Side, Source

if TYPE_CHECKING:
    from dicomsniff.dicom.dimse import DataSetSink
    from dicomsniff.output.extract import Extractor
    from dicomsniff.tui.people import People
    from dicomsniff.tui.scopes import Scope

Step = Callable[[float | None], None]
"""Told now and then which share of the capture was read; what it raises ends the reading."""


def transcript(
    path: Path, associations: Sequence[Association], info: CaptureInfo, findings: Sequence[Finding]
) -> None:
    """Write the transcript of some associations, people masked. Raises ``OSError``.

    Refuses to replace a file: what is typed at two in the morning should not cost yesterday's.
    """
    from dicomsniff.output.redact import Redactor
    from dicomsniff.output.transcript import TranscriptWriter

    with path.open("xb") as stream:
        writer = TranscriptWriter(stream, Redactor(), info=replace(info))
        with writer:
            for association in associations:
                writer.association(association)
            writer.finish(replace(info), findings)


def packets(
    path: Path, scope: Scope, everything: Sequence[Association], source: Source, step: Step
) -> int:
    """Write the packets of a scope as pcapng; how many there were. See ``output.packets``."""
    from dicomsniff.output import packets as output

    if scope.rows:
        stretches = output.of_rows(scope.rows)
    else:
        stretches = output.of_associations(scope.associations, everything)
    return output.write(source, path, stretches, step=step)


class _Only:
    """Lets an extractor know of some associations alone, so that nothing of another is written,
    not even that it has nothing of an object."""

    def __init__(self, extractor: Extractor, numbers: frozenset[int]) -> None:
        self._extractor = extractor
        self._numbers = numbers

    def open(self, association: Association, sender: Side, message: Message) -> DataSetSink | None:
        """Begin an object."""
        if association.id not in self._numbers:
            return None
        return self._extractor.open(association, sender, message)

    def association_began(self, association: Association) -> None:
        """Nothing to do: an object begins with its command."""

    def entry_added(self, association: Association, entry: Entry) -> None:
        """Pass on a row."""
        if association.id in self._numbers:
            self._extractor.entry_added(association, entry)

    def association_ended(self, association: Association) -> None:
        """Pass on an end."""
        if association.id in self._numbers:
            self._extractor.association_ended(association)


def objects(
    folder: Path, scope: Scope, source: Source, ports: Iterable[int], step: Step
) -> tuple[int, int]:
    """Write the objects of a scope into a folder; how many are whole, and how many are not.

    The capture is read again as it was the first time, which numbers associations and rows alike.
    Raises ``output.OutputError`` and what the source raises.
    """
    from dicomsniff.analysis.pipeline import Pipeline, run
    from dicomsniff.output.extract import Extractor

    numbers = frozenset(a.id for a in scope.associations)
    rows = {(a.id, entry.number) for a, entry in scope.rows}

    def wanted(association: Association, entry: Entry | None) -> bool:
        return not rows or (entry is not None and (association.id, entry.number) in rows)

    extractor = Extractor(folder, source=source.name, wanted=wanted)
    only = _Only(extractor, numbers)
    pipeline = Pipeline(ports=ports, listener=only, tap=only, checks=False)
    run(source, pipeline, step=lambda: step(getattr(source, "progress", None)))
    extractor.finish()
    whole = sum(told.complete for told in extractor.objects)
    return whole, len(extractor.objects) - whole


def dump_lines(
    chosen: Iterable[tuple[Association, Entry | None]], people: People, most: int
) -> list[str]:
    """The lines that ``dump`` prints for associations and rows, at most so many of them.

    People are masked where they are on the screen.
    """
    from dicomsniff.output.dump import dump, dump_entry
    from dicomsniff.output.redact import Redactor

    redactor = people.redactor if people.on else Redactor(keep_phi=True)

    def lines() -> Iterator[str]:
        for association, entry in chosen:
            people.hear(association)
            if entry is None:
                yield from dump(association, redactor)
            else:
                yield from dump_entry(association, entry, redactor)
                yield ""

    return list(islice(lines(), most))
