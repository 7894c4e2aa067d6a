"""Findings as text for people, as JSON for programs, and the table of rules.

Everything that came from the wire is escaped. Texts of findings hold nothing of people; Error
Comments (0000,0902) may, so they are shown only where people are.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import dicomsniff
from dicomsniff.analysis.findings import Rule, rules
from dicomsniff.model import Association, CaptureInfo, Finding, Severity
from dicomsniff.output.info import escape
from dicomsniff.output.redact import Redactor
from dicomsniff.output.shapes import Shaper

FORMAT = "dicomsniff.findings"
VERSION = 1

WIDTH = 96
"""Columns of a finding's text: a mail or a ticket takes it as it is."""

NUMBERS_SHOWN = 8
"""Entries and frames that text names; JSON has them all."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""Worst first."""

_MEANING: dict[Severity, str] = {
    "error": "something failed, or somebody broke the standard in a way that makes things fail",
    "warning": "it works, but somebody should look: slow, careless, or about to fail",
    "note": "good to know, and no reason to act by itself",
}


ALIKE_KEPT = 1_000
"""Findings that are alike of which each is kept for JSON: what a thousand associations of the same
two devices suffer from, the next thousand do too. The others are counted."""

ALIKE_NAMED = 8
"""Associations that text names of those that are alike."""

_NUMBERS = re.compile(r"\d[\d.,]*(?: m?s\b)?")
"""Numbers, and times with their unit."""


@lru_cache(maxsize=4096)
def _wording(text: str) -> str:
    return _NUMBERS.sub("#", text)


def likeness(found: Finding, association: Association | None) -> tuple[object, ...]:
    """The same for findings of one rule that read the same but for numbers, between the same two
    devices; the port that a requestor happens to have is nobody's. A thousand associations of one
    device have the same fault."""
    devices: tuple[object, ...] = ()
    if association is not None:
        one, other = association.requestor, association.acceptor
        devices = (one.ae_title, one.address, other.ae_title, other.address, other.port)
    return found.severity, found.code, _wording(found.title), _wording(found.advice), devices


class _Held(NamedTuple):
    shape: dict[str, object]
    """As in a transcript."""
    association: dict[str, object] | None
    """The one it belongs to, None: the capture."""
    comments: list[str]


@dataclass(slots=True)
class _Alike:
    """Findings that are alike; see :func:`likeness`."""

    held: list[_Held] = field(default_factory=list)
    count: int = 0
    associations: dict[int, None] = field(default_factory=dict)
    """The first that have it."""


class Report:
    """Collects findings as associations end, and shows them worst first."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._shaper = Shaper(redactor)
        self._alike: dict[tuple[object, ...], _Alike] = {}
        self.associations = 0
        """Associations looked at."""

    def _hold(self, held: _Held, likeness: tuple[object, ...]) -> None:
        about = held.association
        alike = self._alike.setdefault(likeness, _Alike())
        alike.count += 1
        if len(alike.held) < ALIKE_KEPT:
            alike.held.append(held)
        number = about["id"] if about is not None else None
        if isinstance(number, int) and len(alike.associations) <= ALIKE_NAMED + 1:
            alike.associations[number] = None

    def association(self, association: Association) -> None:
        """Take the findings of an association that has ended; it is not needed afterwards."""
        self.associations += 1
        if not association.findings:
            return
        shaper = self._shaper
        about: dict[str, object] = {
            "id": association.id,
            "outcome": association.outcome,
            "started": shaper.time(association.started),
            "requestor": shaper.peer(association.requestor),
            "acceptor": shaper.peer(association.acceptor),
        }
        for found in association.findings:
            shape = dict(shaper.finding(found, association))
            held = _Held(shape, about, self._comments(association, found))
            self._hold(held, likeness(found, association))

    def capture(self, findings: Iterable[Finding]) -> None:
        """Take the findings of the capture as a whole."""
        for found in findings:
            held = _Held(dict(self._shaper.finding(found)), None, [])
            self._hold(held, likeness(found, None))

    def _comments(self, association: Association, found: Finding) -> list[str]:
        if not self._redactor.keep_phi:
            return []
        comments = []
        for number in found.evidence:
            message = association.timeline[number - 1].message
            comment = message.command.get(0x0902) if message is not None else None
            if comment is not None and isinstance(comment.value, str):
                comments.append(f"Error Comment of entry {number}: {comment.value}")
        return comments

    def _sorted(self) -> list[_Alike]:
        order = {severity: at for at, severity in enumerate(SEVERITIES)}
        return sorted(
            self._alike.values(),
            key=lambda alike: order[alike.held[0].shape["severity"]],  # type: ignore[index]
        )

    @property
    def counts(self) -> dict[Severity, int]:
        """How many there are of each severity."""
        counts: dict[Severity, int] = dict.fromkeys(SEVERITIES, 0)
        for alike in self._alike.values():
            counts[alike.held[0].shape["severity"]] += alike.count  # type: ignore[index]
        return counts

    def lines(self) -> Iterator[str]:
        """The findings as text. Of those that are alike the first is told, the others named."""
        for alike in self._sorted():
            yield from _lines(alike.held[0])
            yield from _more(alike)
            yield ""
        said = [
            f"{number} {severity}{'' if number == 1 else 's'}"
            for severity, number in self.counts.items()
            if number
        ]
        where = f"{self.associations} association{'' if self.associations == 1 else 's'}"
        yield f"{', '.join(said) if said else 'nothing found'} in {where}"

    def json(self, info: CaptureInfo) -> str:
        """The findings as one JSON object: each of them, also where they are alike."""
        kept = [held for alike in self._sorted() for held in alike.held]
        shape = {
            "format": FORMAT,
            "version": VERSION,
            "generator": {"name": "dicomsniff", "version": dicomsniff.__version__},
            "capture": self._shaper.capture(info),
            "redaction": self._redactor.summary(),
            "associations": self.associations,
            "counts": self.counts,
            "left_out": sum(self.counts.values()) - len(kept),
            "findings": [held.shape | {"association": held.association} for held in kept],
        }
        # ASCII, so that nothing in it acts on a terminal.
        return json.dumps(shape, indent=1)


def _lines(held: _Held) -> Iterator[str]:
    shape = held.shape
    yield f"{str(shape['severity']).upper()}  {escape(str(shape['title']))}  [{shape['code']}]"
    if held.association is not None:
        yield f"  in {escape(_about(held.association))}"
    for text in (str(shape["detail"]), *held.comments):
        yield from _wrapped(text)
    yield from _wrapped(str(shape["advice"]), "-> ")
    evidence = _evidence(shape)
    if evidence:
        yield from _wrapped(evidence)


def _more(alike: _Alike) -> Iterator[str]:
    """How many others there are, and where."""
    more = alike.count - 1
    if not more:
        return
    others = [str(each) for each in list(alike.associations)[1 : ALIKE_NAMED + 1]]
    where = ""
    if others:
        cut = more > len(others) and len(alike.associations) > ALIKE_NAMED + 1
        where = f": association{'s' if len(others) > 1 else ''} {', '.join(others)}"
        where += "…" if cut else ""
    yield from _wrapped(f"and {more:,} more like this{where}")


def _wrapped(text: str, first: str = "") -> list[str]:
    return textwrap.wrap(
        escape(text),
        WIDTH,
        initial_indent=f"  {first}",
        subsequent_indent=" " * (2 + len(first)),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _about(association: dict[str, object]) -> str:
    sides = []
    for name in ("requestor", "acceptor"):
        peer = association[name]
        assert isinstance(peer, dict)
        address = f"[{peer['address']}]" if ":" in peer["address"] else peer["address"]
        sides.append(f"{peer['ae_title'] or '?'} ({address}:{peer['port']})")
    began = str(association["started"])[:19].replace("T", " ")
    return (
        f"association {association['id']}, {began} UTC: {' --> '.join(sides)}, "
        f"{association['outcome']}"
    )


def _evidence(shape: dict[str, object]) -> str:
    parts = []
    for name, what in (("evidence", "entries"), ("frames", "frames")):
        numbers = shape[name]
        assert isinstance(numbers, list)
        if numbers:
            shown = ", ".join(str(number) for number in numbers[:NUMBERS_SHOWN])
            more = "…" if len(numbers) > NUMBERS_SHOWN else ""
            parts.append(f"{what} {shown}{more}")
    if shape["reference"]:
        parts.append(str(shape["reference"]))
    return "; ".join(parts)


# ---------------------------------------------------------------------------- the table of rules


def _by_subject() -> dict[str, list[Rule]]:
    subjects: dict[str, list[Rule]] = {}
    for each in rules():
        subjects.setdefault(each.subject, []).append(each)
    order = ("connection", "association", "message")
    ranks = {subject: at for at, subject in enumerate(order)}
    return dict(sorted(subjects.items(), key=lambda one: (ranks.get(one[0], len(order)), one[0])))


def rule_lines() -> Iterator[str]:
    """Every rule, for a terminal."""
    for subject, table in _by_subject().items():
        yield subject.upper()
        for each in table:
            where = f", {each.reference}" if each.reference else ""
            yield f"  {each.code}  ({each.severity}{where})"
            yield from textwrap.wrap(
                each.what, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
            )
        yield ""


def rule_json() -> str:
    """Every rule, for programs."""
    table = [
        {
            "code": each.code,
            "severity": each.severity,
            "subject": each.subject,
            "what": each.what,
            "reference": each.reference,
        }
        for each in rules()
    ]
    return json.dumps(table, indent=1)


def overview() -> str:
    """The codes of all rules by subject, as a table: what the README holds."""
    lines = ["| about | findings |", "|---|---|"]
    for subject, table in _by_subject().items():
        codes = ", ".join(f"`{each.code}`" for each in table)
        lines.append(f"| {subject} | {codes} |")
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """The documentation of every rule."""
    lines = [
        "# Findings",
        "",
        "What `dicomsniff check` looks for, by subject. The transcript and the screen carry the "
        "same findings. This page is written by `dicomsniff check --rules --markdown`.",
        "",
        "A finding has a code (stable: search for it), a severity, a title, what was seen, the "
        "entries and frames that show it, the clause of the standard, and advice that names the "
        "side to call. It holds no value of a person. The severity here is the worst a rule "
        "reports.",
        "",
    ]
    lines += [f"- **{severity}**: {_MEANING[severity]}." for severity in SEVERITIES]
    lines += [
        "",
        "Text tells once what several associations of the same two devices have in common, and "
        f"names the others. JSON has each of them; beyond {ALIKE_KEPT:,} that read alike they are "
        "counted in `left_out`.",
    ]
    for subject, table in _by_subject().items():
        lines += ["", f"## {subject.capitalize()}", ""]
        lines += ["| code | severity | when | reference |", "|---|---|---|---|"]
        lines += [
            f"| `{each.code}` | {each.severity} | {each.what} | {each.reference or ''} |"
            for each in table
        ]
    return "\n".join(lines) + "\n"
