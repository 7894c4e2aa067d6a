"""The commands, a function each: what was asked for in, the exit status out.

Each imports what it uses when it runs. ``open`` and ``live`` have modules of their own.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from dicomsniff.cli.jobs import sharing
from dicomsniff.cli.running import (
    UsageError,
    choice,
    files_read,
    open_source,
    output,
    prepare_for_data_sets,
    run,
    say,
)

if TYPE_CHECKING:
    from dicomsniff.analysis.crew import Crew
    from dicomsniff.analysis.pipeline import Pipeline
    from dicomsniff.cli.running import Chosen
    from dicomsniff.model import Association, Entry, Source

WRITTEN_AT_ONCE = 64
"""Rows that wait to be written together, at most."""

SHOWN_EVERY = 0.2
"""Seconds for which rows may wait to be written together."""


def timeline(args: argparse.Namespace) -> int:
    """The rows of the timeline as text."""
    chosen = choice(args)
    lines = _Lines(at_once=args.files == ["-"])
    try:
        return _timeline(args, chosen, lines)
    finally:
        lines.show()


def _timeline(args: argparse.Namespace, chosen: Chosen | None, lines: _Lines) -> int:
    with sharing(args) as crew:
        if crew is not None:
            with closing(open_source(args)) as source:
                # Imported when tshark runs already, and gets ready meanwhile.
                from dicomsniff.analysis.shares import BeginAnew

                try:
                    _write_rows(args, source, chosen, lines, crew)
                    return 0
                except BeginAnew as error:
                    if str(error):
                        say(f"{source.name}: {error}; one process begins anew")
            lines.again()
    with closing(open_source(args)) as source:
        _write_rows(args, source, chosen, lines)
    return 0


class _Lines:
    """Lines on stdout, the first ones soon.

    They are written where no signal comes in between: one that ends a write to a pipe that is full
    would take with it what was to be written, and leave a hole in the middle.
    """

    def __init__(self, *, at_once: bool) -> None:
        from dicomsniff.analysis.crew import undisturbed

        self._undisturbed = undisturbed
        self._out = sys.stdout
        self._at_once = at_once or self._out.isatty()
        self._shown = 0.0
        self._written = 0
        self._skip = 0
        self._held: list[str] = []

    def write(self, line: str, *, wait: bool = False) -> None:
        """``wait``: it says nothing without the next one."""
        if self._skip:
            self._skip -= 1
            return
        self._written += 1
        self._held.append(line)
        # A pager wants the first rows of a large capture at once, too.
        if not wait and (self._at_once or time.monotonic() > self._shown):
            self.show()
        elif len(self._held) >= WRITTEN_AT_ONCE:
            self._put()

    def show(self) -> None:
        """Write what is held, so that it is seen."""
        with self._undisturbed():
            self._put()
            self._out.flush()
        self._shown = time.monotonic() + SHOWN_EVERY

    def _put(self) -> None:
        if not self._held:
            return
        with self._undisturbed():
            text = "\n".join(self._held) + "\n"
            write = self._out.write
            # Where threads run, one of them may take the signal, and the handler is called here
            # all the same, but only behind a call: what is not held any more is written.
            self._held = []
            write(text)

    def again(self) -> None:
        """What was written comes once more, and is left out."""
        self._skip = self._written


def _write_rows(
    args: argparse.Namespace,
    source: Source,
    chosen: Chosen | None,
    lines: _Lines,
    crew: Crew | None = None,
) -> None:
    # As late, for the same reason.
    from dicomsniff.analysis.pipeline import Listener
    from dicomsniff.output.timeline import HEADER, row

    class Rows(Listener):
        pipeline: Pipeline

        def __init__(self) -> None:
            self.held: list[tuple[int, int, str]] = []

        def begin(self, pipeline: Pipeline) -> None:
            self.pipeline = pipeline
            lines.write(HEADER, wait=True)

        def entry_added(self, association: Association, entry: Entry) -> None:
            if args.where is None and (chosen is None or chosen(association, entry)):
                lines.write(row(association, entry, self.pipeline.info.first or 0))

        def association_ended(self, association: Association) -> None:
            # A filter may speak of how an association ended, so its rows wait until then.
            if args.where is None or chosen is None:
                return
            first = self.pipeline.info.first or 0
            self.held.extend(
                (entry.last_frame, len(self.held), row(association, entry, first))
                for entry in association.timeline
                if chosen(association, entry)
            )

    rows = Rows()
    shared = None
    if crew is not None:
        from dicomsniff.analysis.shares import Shared

        always = args.jobs is not None
        shared = partial(Shared, crew, lines.write, ports=args.port, listener=rows, always=always)
    run(args, source, rows, begin=rows.begin, keep=args.where is not None, shared=shared)
    for _, _, text in sorted(rows.held):
        lines.write(text)


def transcript(args: argparse.Namespace) -> int:
    """The JSON transcript."""
    chosen = choice(args)
    spared = files_read(args)
    with closing(open_source(args)) as source, output(args.output, sparing=spared) as stream:
        prepare_for_data_sets(source)
        _write_transcript(args, source, stream, chosen)
    return 0


def _write_transcript(
    args: argparse.Namespace, source: Source, stream: BinaryIO, chosen: Chosen | None
) -> None:
    from dicomsniff.analysis.pipeline import Listener
    from dicomsniff.output.redact import Redactor
    from dicomsniff.output.transcript import TranscriptWriter

    redactor = Redactor(
        keep_phi=args.keep_phi, mask_ae=args.mask_ae, mask_addresses=args.mask_addresses
    )

    class Write(Listener):
        writer: TranscriptWriter

        def association_ended(self, association: Association) -> None:
            if chosen is None or chosen(association, None):
                self.writer.association(association)

    listener = Write()

    def begin(pipeline: Pipeline) -> None:
        listener.writer = TranscriptWriter(stream, redactor, info=pipeline.info, ndjson=args.ndjson)

    pipeline = run(args, source, listener, begin=begin, checks=True)
    with listener.writer as writer:
        writer.finish(pipeline.info, pipeline.findings)


def dump(args: argparse.Namespace) -> int:
    """Associations as text."""
    from dicomsniff.analysis.pipeline import Listener
    from dicomsniff.output.dump import dump as told
    from dicomsniff.output.redact import Redactor

    chosen = choice(args)
    redactor = Redactor(
        keep_phi=args.keep_phi, mask_ae=args.mask_ae, mask_addresses=args.mask_addresses
    )

    lines = _Lines(at_once=args.files == ["-"])

    class Dump(Listener):
        def association_ended(self, association: Association) -> None:
            if chosen is not None and not chosen(association, None):
                return
            try:
                for line in told(association, redactor):
                    lines.write(line)
            except KeyboardInterrupt:
                # It may have very many, and who interrupts does not want to see them.
                lines.write(f"(interrupted: the rest of association {association.id} is left out)")
                raise

    try:
        with closing(open_source(args)) as source:
            prepare_for_data_sets(source)
            run(args, source, Dump())
    finally:
        lines.show()
    return 0


def check(args: argparse.Namespace) -> int:
    """What is wrong, worst first."""
    from dicomsniff.output import findings

    if args.markdown and not args.rules:
        raise UsageError("check: --markdown goes with --rules")
    if args.rules:
        if args.files:
            raise UsageError("check: --rules lists what is looked for; name no capture with it")
        if args.markdown and args.json:
            raise UsageError("check: --rules as --json or as --markdown, not both")
        if args.markdown:
            sys.stdout.write(findings.markdown())
        elif args.json:
            sys.stdout.write(findings.rule_json() + "\n")
        else:
            for line in findings.rule_lines():
                sys.stdout.write(line + "\n")
        return 0
    if not args.files:
        raise UsageError("check: name a capture, or - for standard input")
    from dicomsniff.analysis.pipeline import Listener
    from dicomsniff.output.redact import Redactor

    chosen = choice(args)
    report = findings.Report(
        Redactor(keep_phi=args.keep_phi, mask_ae=args.mask_ae, mask_addresses=args.mask_addresses)
    )

    class Check(Listener):
        def association_ended(self, association: Association) -> None:
            if chosen is None or chosen(association, None):
                report.association(association)

    with closing(open_source(args)) as source:
        pipeline = run(args, source, Check(), checks=True, tell=False)
    if chosen is None:
        report.capture(pipeline.findings)
    if args.json:
        sys.stdout.write(report.json(pipeline.info) + "\n")
    else:
        for line in report.lines():
            sys.stdout.write(line + "\n")
    sys.stdout.flush()
    return 1 if report.counts["error"] else 0


def journey(args: argparse.Namespace) -> int:
    """Each examination on its way."""
    from dicomsniff.analysis.journey import Journeys
    from dicomsniff.analysis.pipeline import Listener
    from dicomsniff.output.journey import text
    from dicomsniff.output.redact import Redactor

    chosen = choice(args)
    collected = Journeys()
    redactor = Redactor(
        keep_phi=args.keep_phi, mask_ae=args.mask_ae, mask_addresses=args.mask_addresses
    )

    class Follow(Listener):
        def association_ended(self, association: Association) -> None:
            if chosen is None or chosen(association, None):
                collected.association_ended(association)

    with closing(open_source(args)) as source:
        run(args, source, Follow())
    for line in text(collected.journeys(), redactor, forgotten=collected.forgotten):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
    return 0


def extract(args: argparse.Namespace) -> int:
    """Objects as files, and their index."""
    from dicomsniff.output.extract import Extractor

    chosen = choice(args)
    with closing(open_source(args)) as source:
        extractor = Extractor(args.directory, source=source.name, wanted=chosen)
        run(args, source, extractor, tap=extractor)
    index = extractor.finish()
    for told in extractor.objects:
        sys.stdout.write(told.told() + "\n")
    count = len(extractor.objects)
    say(f"{count} object{'s' * (count != 1)}, index {index}")
    left_out = extractor.left_out()
    if left_out:
        say(left_out)
    return 0


def live(args: argparse.Namespace) -> int:
    """Interfaces, on the screen or as lines."""
    from dicomsniff.cli.live import watch

    return watch(args, choice(args), say)


def compare_tshark(args: argparse.Namespace) -> int:
    """Where tshark's dissector tells something else."""
    from dicomsniff.analysis.agreement import compare
    from dicomsniff.output.agreement import lines, summary
    from dicomsniff.sources import SourceError
    from dicomsniff.sources.files import expand

    found = []
    unread = 0
    for path in expand(args.files):
        try:
            agreement = compare(path, ports=args.port)
        except SourceError as error:
            say(str(error))
            unread += 1
            continue
        found.append(agreement)
        sys.stdout.writelines(f"{line}\n" for line in lines(path, agreement))
        sys.stdout.flush()
        for notice in agreement.notices:
            say(notice)
    if found:
        sys.stdout.write(summary(found) + "\n")
    if unread:
        return 2
    return 1 if any(each.unexplained for each in found) else 0


def interfaces(args: argparse.Namespace) -> int:  # noqa: ARG001
    """What can be captured on."""
    from dicomsniff.sources.live import list_interfaces

    for interface in list_interfaces():
        sys.stdout.write(f"{interface}\n")
    return 0


def doctor(args: argparse.Namespace) -> int:  # noqa: ARG001
    """What is installed and permitted."""
    from dicomsniff.sources.doctor import examine

    for check in examine():
        sys.stdout.write(f"{'ok' if check.ok else '--':<3} {check.name:<12} {check.detail}\n")
        if not check.ok and check.mend:
            sys.stdout.write(f"                 {check.mend}\n")
    return 0


def schema(args: argparse.Namespace) -> int:  # noqa: ARG001
    """The JSON Schema of the transcript."""
    import json

    from dicomsniff.output import schema as model

    sys.stdout.buffer.write(
        json.dumps(model.schema(), indent=2, ensure_ascii=False).encode() + b"\n"
    )
    return 0
