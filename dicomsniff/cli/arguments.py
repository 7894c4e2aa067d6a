"""The arguments of every command, and their help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from dicomsniff import __version__
from dicomsniff.cli import commands as run
from dicomsniff.cli.live import add_arguments as add_live_arguments
from dicomsniff.cli.live import count_argument, tls_key_argument
from dicomsniff.cli.opening import open_files

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

MOST_JOBS = 64
"""Processes that can be asked for; each takes some 40 MB."""


class _Help(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        # argparse measures commands without their indentation, and would break the longest ones'
        # lines in two.
        self._action_max_length = len("    compare-tshark")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        # An example is copied from the screen: broken in two, its second line would be a command.
        return text if text.startswith("example: ") else super()._fill_text(text, width, indent)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line instead of the whole usage."""
        sys.stderr.write(f"{self.prog}: {message}; see {self.prog} --help\n")
        raise SystemExit(2)

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Print help; argparse itself would keep quiet where that fails."""
        (file or sys.stderr).write(message)


def _within(most: int, what: str) -> Callable[[str], int]:
    """A number from 1 to ``most``."""

    def number(text: str) -> int:
        if not text.isdecimal() or not 0 < int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no {what} (1 to {most})")
        return int(text)

    return number


_MOST_DIGITS = 18
"""Digits of a number: nobody counts associations further, and Python refuses thousands of them."""


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of an association (1, 2, …)")
    return int(text)


def _folder(text: str) -> str:
    if not text:  # a script's variable that was never set: patients must not land just anywhere
        raise argparse.ArgumentTypeError("'' is no folder; the one at hand is .")
    return text


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; ``run`` of what it gives carries the command out."""
    whole = _Parser(
        prog="dicomsniff",
        formatter_class=_Help,
        description="Passive DICOM protocol analyzer: rebuilds associations from captures.",
        epilog="example: dicomsniff open captures/worklist.pcapng",
    )
    whole.add_argument("--version", action="version", version=f"dicomsniff {__version__}")
    commands = whole.add_subparsers(metavar="COMMAND", dest="command", required=True)

    def command(
        name: str, carry_out: Callable[[argparse.Namespace], int], summary: str, example: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"example: dicomsniff {example}",
            formatter_class=_Help,
        )
        sub.set_defaults(run=carry_out)
        return sub

    def port_of(group: argparse._ActionsContainer) -> None:
        group.add_argument(
            "--port",
            type=_within(65535, "TCP port"),
            action="append",
            default=[],
            metavar="N",
            help="TCP port N is DICOM even where nothing shows it; repeatable",
        )

    reading = _Parser(add_help=False)
    group = reading.add_argument_group("reading")
    group.add_argument(
        "--reader",
        choices=("auto", "pyshark", "scapy"),
        default="auto",
        help="pyshark replays through tshark; scapy reads pcap and pcapng without it "
        "(default: pyshark where tshark is installed)",
    )
    port_of(group)
    group.add_argument("--keylog", metavar="FILE", help="TLS secrets in the SSLKEYLOGFILE format")
    tls_key_argument(group)
    group.add_argument(
        "--display-filter", metavar="EXPR", help="frames that Wireshark's filter EXPR lets pass"
    )
    choosing = _Parser(add_help=False)
    group = choosing.add_argument_group("choosing")
    group.add_argument(
        "--where", metavar="EXPR", help="for instance: called = MOZI and outcome != released"
    )
    group.add_argument(
        "--association", type=_number, metavar="N", help="association number N alone"
    )

    def from_files(sub: argparse.ArgumentParser, nargs: str = "+") -> None:
        sub.add_argument(
            "files",
            nargs=nargs,
            metavar="FILE",
            help="capture, or a folder of captures; - for standard input",
        )
        for parent in (reading, choosing):
            for added in parent._action_groups[2:]:
                copy = sub.add_argument_group(added.title)
                for action in added._group_actions:
                    copy._add_action(action)

    def redacting(sub: argparse.ArgumentParser) -> None:
        group = sub.add_argument_group("what it tells")
        group.add_argument(
            "--keep-phi", action="store_true", help="leave the values of people as they are"
        )
        group.add_argument("--mask-ae", action="store_true", help="replace AE titles")
        group.add_argument("--mask-addresses", action="store_true", help="replace addresses")

    sub = command(
        "open", open_files, "show captures on the screen", "open captures/worklist.pcapng"
    )
    sub.set_defaults(jobs=None)  # where there is no screen, it prints the timeline
    from_files(sub, "*")
    sub.add_argument(
        "--keep",
        type=count_argument,
        metavar="N",
        help="of a pipe that carries what is happening now: the newest N associations",
    )
    sub = command(
        "live",
        run.live,
        "watch interfaces, on the screen or as lines of JSON",
        "live eth0 --events --write day.pcapng --ring 10x100MB --dicom-only",
    )
    add_live_arguments(sub)
    port_of(sub)
    added = sub.add_argument_group("choosing")
    for action in choosing._action_groups[2]._group_actions:
        added._add_action(action)
    redacting(sub)
    sub = command(
        "timeline", run.timeline, "print the timeline as text", "timeline captures/worklist.pcapng"
    )
    from_files(sub)
    sub.add_argument(
        "--jobs",
        type=_within(MOST_JOBS, "number of processes"),
        metavar="N",
        help="processes that share a saved file's connections (default: one for each processor, "
        "where that helps; 1: none)",
    )
    sub = command(
        "transcript",
        run.transcript,
        "write the JSON transcript, without people unless asked",
        "transcript captures/worklist.pcapng -o worklist.json",
    )
    from_files(sub)
    sub.add_argument("-o", "--output", metavar="OUT", help="file to write, instead of stdout")
    sub.add_argument("--ndjson", action="store_true", help="one association a line, as it ends")
    redacting(sub)
    sub = command(
        "dump",
        run.dump,
        "print associations in the layout of dcmtk's and pynetdicom's logs",
        "dump captures/worklist.pcapng",
    )
    from_files(sub)
    redacting(sub)
    sub = command(
        "check",
        run.check,
        "tell what is wrong, worst first, and who has to mend it",
        "check captures/worklist-refused.pcapng",
    )
    sub.description = f"{sub.description} Exit status 1: something is an error."
    from_files(sub, "*")
    sub.add_argument("--json", action="store_true", help="for programs")
    sub.add_argument("--rules", action="store_true", help="list what is looked for; reads nothing")
    sub.add_argument("--markdown", action="store_true", help="with --rules: as docs/findings.md")
    redacting(sub)
    sub = command(
        "journey",
        run.journey,
        "follow each examination from the worklist to the commitment",
        "journey captures/journey.pcapng",
    )
    from_files(sub)
    redacting(sub)
    sub = command(
        "extract",
        run.extract,
        "write every data set that a C-STORE carried as a DICOM file, patients and all",
        "extract captures/store.pcapng -d objects",
    )
    from_files(sub)
    sub.add_argument(
        "-d", "--directory", required=True, type=_folder, metavar="DIR", help="folder to write to"
    )
    sub = command(
        "compare-tshark",
        run.compare_tshark,
        "compare with tshark's DICOM dissector: what both tell differently, and why",
        "compare-tshark captures/",
    )
    sub.description = f"{sub.description} Exit status 1: something differs, no reason is known."
    sub.add_argument("files", nargs="+", metavar="FILE", help="capture, or a folder of captures")
    port_of(sub)
    sub = command("interfaces", run.interfaces, "list what can be captured on", "interfaces")
    sub = command(
        "doctor", run.doctor, "tell what is installed and permitted, and how to mend it", "doctor"
    )
    command("schema", run.schema, "print the JSON Schema of the transcript", "schema > schema.json")
    return whole
