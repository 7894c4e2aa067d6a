"""The command ``live``: interfaces on the screen, as lines of JSON, or into files.

In this order: the sockets are opened, privileges are given up, files are opened as the user who
called, and only then is the first packet looked at.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from dicomsniff.cli.running import filter_of_screen

if TYPE_CHECKING:
    from types import FrameType

    from dicomsniff.analysis.pipeline import Keeper
    from dicomsniff.model import Association, CaptureInfo, Entry, Source
    from dicomsniff.sources.decrypting import Decrypting
    from dicomsniff.sources.live import LiveCapture
    from dicomsniff.sources.writer import PcapngWriter, Rotation

    Chosen = Callable[[Association, Entry | None], bool]

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(s|min|h|d)?")
_SECONDS: Final = {None: 1, "s": 1, "min": 60, "h": 3600, "d": 86_400}


class LiveError(Exception):
    """What was asked for cannot be done. The text is one line for the user."""


# ---------------------------------------------------------------------------- arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``live``, without those it shares with other commands."""
    parser.add_argument(
        "interface",
        nargs="+",
        metavar="INTERFACE",
        help="one or more, or any; see: dicomsniff interfaces",
    )
    group = parser.add_argument_group("capturing")
    group.add_argument("--filter", metavar="BPF", help="capture filter in libpcap's words")
    group.add_argument(
        "--promiscuous",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also what is not addressed to this host (default: yes)",
    )
    group.add_argument(
        "--snaplen",
        type=count_argument,
        metavar="N",
        help="cut packets after N bytes (default: whole)",
    )
    group.add_argument(
        "--duration", type=_duration, metavar="TIME", help="end after 90s, 15min, 8h or 5d"
    )
    group.add_argument("--count", type=count_argument, metavar="N", help="end after N packets")
    group = parser.add_argument_group("decrypting")
    group.add_argument(
        "--keylog",
        metavar="FILE",
        help="TLS secrets in the SSLKEYLOGFILE format; the file may grow meanwhile",
    )
    tls_key_argument(group)
    group = parser.add_argument_group("on the screen")
    group.add_argument(
        "--keep",
        type=count_argument,
        metavar="N",
        help="the newest N associations; the older leave the memory (default: 1000)",
    )
    group = parser.add_argument_group("instead of the screen")
    group.add_argument(
        "--json", action="store_true", help="each association as a line, when it ends"
    )
    group.add_argument(
        "--events", action="store_true", help="each row of a timeline as a line, at once"
    )
    group = parser.add_argument_group("keeping packets")
    group.add_argument("--write", metavar="FILE", help="pcapng file to keep the packets in")
    group.add_argument(
        "--ring",
        type=_rotation,
        metavar="RING",
        help="10x100MB, 24x1h or 10x100MB,1h: begin new files, keep the last ones",
    )
    group.add_argument(
        "--dicom-only",
        action="store_true",
        help="keep only the connections that turn out to be DICOM",
    )


def count_argument(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def tls_key_argument(group: argparse._ActionsContainer) -> None:
    """``--tls-key``, for saved captures as well."""
    group.add_argument(
        "--tls-key",
        action="append",
        default=[],
        metavar="FILE",
        help="the server's RSA private key (PEM), for TLS up to 1.2 with RSA key exchange; "
        "repeatable",
    )


def _duration(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r}: say 90s, 15min, 8h or 5d")
    return float(found[1]) * _SECONDS[found[2]]


def _rotation(text: str) -> Rotation:
    from dicomsniff.sources.writer import rotation

    try:
        return rotation(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


# ---------------------------------------------------------------------------- the command


def watch(args: argparse.Namespace, chosen: Chosen | None, notice: Callable[[str], None]) -> int:
    """Run it; the exit status. ``notice`` tells the user a line."""
    from dicomsniff.preload import prepare
    from dicomsniff.sources import decrypted, open_live, privileges
    from dicomsniff.sources.writer import PcapngWriter

    streams: bool = args.json or args.events
    if not streams and not args.write and not sys.stdout.isatty():
        raise LiveError("live: no terminal; --json or --events stream instead, --write keeps")
    if (args.ring or args.dicom_only) and not args.write:
        raise LiveError("live: --ring and --dicom-only go with --write FILE")
    if args.write == "-":
        raise LiveError("live: --write keeps packets in a file: name one")
    screen = not streams and sys.stdout.isatty()
    goes_on_as = privileges.calling_user()
    prepare(goes_on_as[0] if goes_on_as else privileges.this_user(), screen=screen)
    capture = open_live(
        *args.interface,
        capture_filter=args.filter,
        promiscuous=args.promiscuous,
        snaplen=args.snaplen,
        duration=args.duration,
        count=args.count,
    )
    if not screen:
        capture.hear = notice
    source: LiveCapture | Decrypting = capture
    writer = None
    # From here to the last word a signal ends the capture, and nothing else.
    with nullcontext() if screen else _ended_by_signals(lambda: source.stop()):
        try:
            told = privileges.drop()
            if told and not screen:
                notice(told)
            if args.keylog is not None or args.tls_key:
                source = decrypted(capture, keylog=args.keylog, tls_keys=args.tls_key)
            if args.write:
                writer = PcapngWriter(args.write, source.links, args.ring)
            keeper = None if writer is None else _keeper(source, writer, args.dicom_only)
            if screen:
                return _screen(args, source, keeper)
            _stream(args, source, keeper, chosen, notice)
        finally:
            source.close()
            if writer is not None:
                writer.close()
        if writer is not None:
            notice(writer.told())
    return 0


def _keeper(source: LiveCapture | Decrypting, writer: PcapngWriter, dicom_only: bool) -> Keeper:
    from dicomsniff.analysis.keeping import KeepAll, KeepDicom

    return KeepDicom(source, writer) if dicom_only else KeepAll(source, writer)


def _screen(
    args: argparse.Namespace, source: LiveCapture | Decrypting, keeper: Keeper | None
) -> int:
    from dicomsniff import tui

    return tui.run(
        lambda: source,
        ports=args.port,
        title=", ".join(args.interface),
        live=True,
        keep=args.keep,
        where=filter_of_screen(args),
        keeper=keeper,
        again=_again(args),
    )


def _again(args: argparse.Namespace) -> Callable[[bool], Source] | str:
    """How the screen reads the packets once more, or why it cannot."""
    if not args.write:
        return "Live packets are not kept: start with --write FILE"
    if args.ring or args.dicom_only:  # their frames have other numbers
        return f"The packets are in {args.write} already: open that to choose some of them"
    from dicomsniff.sources import open_capture

    return lambda _: open_capture(args.write, reader="scapy")


def _stream(
    args: argparse.Namespace,
    source: LiveCapture | Decrypting,
    keeper: Keeper | None,
    chosen: Chosen | None,
    notice: Callable[[str], None],
) -> None:
    """Lines of JSON to stdout until the source ends, or somebody ends it."""
    from dicomsniff.analysis.pipeline import Listener, Pipeline, run
    from dicomsniff.output.redact import Redactor
    from dicomsniff.output.stream import EventWriter
    from dicomsniff.output.transcript import TranscriptWriter
    from dicomsniff.sources import SourceError

    redactor = Redactor(
        keep_phi=args.keep_phi, mask_ae=args.mask_ae, mask_addresses=args.mask_addresses
    )
    out = sys.stdout.buffer

    class Streams(Listener):
        info: CaptureInfo
        events: EventWriter
        lines: TranscriptWriter

        def entry_added(self, association: Association, entry: Entry) -> None:
            if args.events and (chosen is None or chosen(association, entry)):
                self.info.dropped = source.dropped
                self.events.entry(association, entry)

        def association_ended(self, association: Association) -> None:
            if args.json and (chosen is None or chosen(association, None)):
                self.info.dropped = source.dropped
                self.lines.association(association)

    listener = Streams()
    pipeline = Pipeline(
        ports=args.port,
        listener=listener,
        # Events alone need nothing of what was: an association of any length takes no memory.
        keep=args.json or args.where is not None,
        checks=args.json or args.where is not None,
        endless=True,
        keeper=keeper,
    )
    info = listener.info = pipeline.info
    listener.events = EventWriter(out, redactor, info=info)
    failure: SourceError | None = None
    with TranscriptWriter(out, redactor, info=info, ndjson=True) as listener.lines:
        try:
            run(source, pipeline)
        except SourceError as error:
            failure = error  # told last, when all that was gathered is written
    for line in source.notices:
        notice(line)
    for finding in pipeline.findings:
        notice(f"{finding.title}: {finding.detail}")
    notice(summary(info, pipeline.associations))
    if failure is not None:
        raise failure


@contextmanager
def _ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGHUP ends the capture (``stop``), what is open is then
    finished; a second one ends that, too. A SIGHUP that is ignored (nohup) stays so."""

    def end(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        for each in before:
            signal.signal(each, signal.default_int_handler)
        stop()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if os.name == "posix" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def summary(info: CaptureInfo, associations: int) -> str:
    """What was captured, what was lost, and what was given up, on one line."""
    parts = [
        f"{info.source}: {info.packets:,} packets, {info.bytes:,} bytes",
        f"{associations:,} association{'s' * (associations != 1)}",
    ]
    if info.dropped is not None:
        parts.append(f"{info.dropped:,} packets dropped by the kernel")
    if info.evicted:
        given_up = ", ".join(f"{name} {count:,}" for name, count in sorted(info.evicted.items()))
        parts.append(f"given up to stay within limits: {given_up}")
    return "; ".join(parts)
