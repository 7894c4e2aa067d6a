"""What is wrong, and who has to mend it: rules over associations that have ended.

Each rule is a small function in its subject's file, and stands in one table with its
documentation. A rule looks at one association through a :class:`View`, or, where it has to see
several, is a class that is told of each and reports at the end of the capture (a *watch*). It is
silent where the evidence is missing: a false alarm costs more trust than a finding earns.

Findings may be printed where values of people may not: titles, details and advice hold tags, AE
titles, numbers and codes, never the value of an element that could be somebody's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from dicomsniff.model import (
    Association,
    Attempt,
    CaptureInfo,
    Entry,
    Finding,
    Loss,
    Message,
    Operation,
    Severity,
    Side,
    measure_fragments,
)

FINDINGS_KEPT = 200
"""Findings of one rule in one association; a fault that repeats ten thousand times is told by its
first occurrences and a count."""

FRAMES_SHOWN = 32
"""Frame numbers one finding names."""

DATA_SETS_KEPT = 64
"""Decoded data sets that a view remembers: rules look at an association one after the other, and a
decoded data set may take a hundred times its bytes."""

if TYPE_CHECKING:
    from dicomsniff.dicom.elements import DataSet

Waiting = Callable[[], Iterable[tuple[str, str]]]

_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as the documentation and ``dicomsniff check --rules`` show it."""

    code: str
    """Lower-case words with hyphens; stable, people grep for it."""
    severity: Severity
    """The worst it reports."""
    subject: str
    """``connection``, ``association``, ``message``, ``query``, ``retrieve``, ``storage``…"""
    what: str
    """One line: when it fires."""
    reference: str | None = None
    """Clause of the standard."""


KNOWN = 128
"""Data sets of which a rule remembers what it found, and their elements at most: some 5 MB."""
KNOWN_ELEMENTS = 64

T = TypeVar("T")

RULES: dict[str, Rule] = {}
"""Every rule by its code, in the order of the subjects' files."""

Check = Callable[["View"], Iterable[Finding]]

When = Callable[["View"], bool]
"""Whether there is anything in an association that some rules look at. One that several rules share
is asked once."""

_CHECKS: list[tuple[Check, When | None]] = []
_LAST: list[tuple[Check, When | None]] = []
_WATCHES: list[tuple[tuple[Rule, ...], Callable[[], Watch]]] = []


class Watch(Protocol):
    """A rule that reads across associations. It keeps what it needs, within a named limit.

    One with a method ``began(association)`` hears of associations as they begin, to know of those
    that are still under way when another ends.
    """

    def association(self, view: View) -> Iterable[Finding]:
        """An association has ended; findings that belong to it."""

    def finish(self, info: CaptureInfo) -> Iterable[Finding]:
        """The capture has ended; findings that belong to no single association."""


@dataclass(slots=True)
class View:
    """An association as the rules look at it: what several need is worked out once."""

    association: Association
    until: int | None = None
    """When the latest frame was captured: what was not answered may just not have been by then."""
    told: set[int] = field(default_factory=set)
    """Numbers of entries that a rule has told of in the words of its subject: responses, for their
    status or their lateness, and aborts. The general rules, which come last, leave those out."""
    found: list[Finding] = field(default_factory=list)
    """What was found so far, for the general rules."""
    attempts: Collection[Attempt] = ()
    """Connections that came to nothing so far."""
    losses: Collection[Loss] = ()
    """When packets were lost while capturing, so far."""
    waiting: Waiting = tuple
    """Connections of which something is held back, for what comes before it was not captured yet:
    the addresses of who called and of who was called."""
    shared: dict[str, object] = field(default_factory=dict)
    """What the rules of one subject have worked out together."""
    decoded: OrderedDict[int, DataSet] = field(default_factory=OrderedDict)
    _carried: dict[Side, tuple[int, bool]] | None = None
    _services: frozenset[str] | None = None

    def dataset(self, message: Message) -> DataSet | None:
        """The decoded data set of a message, None where it has none. The last ones are kept."""
        if message.dataset is None:
            return None
        key = id(message)
        known = self.decoded.get(key)
        if known is not None:
            self.decoded.move_to_end(key)
            return known
        from dicomsniff.dicom.dataset import decode

        known = self.decoded[key] = decode(message.dataset, message.transfer_syntax)
        if len(self.decoded) > DATA_SETS_KEPT:
            self.decoded.popitem(last=False)
        return known

    @property
    def carried(self) -> dict[Side, tuple[int, bool]]:
        """How long the longest P-DATA-TF was that one side sent, and whether one of its
        presentation data values had an odd length."""
        if self._carried is None:
            self._carried = {}
            for entry in self.association.timeline:
                if entry.message is not None:
                    longest, odd = measure_fragments(entry.message.packed_fragments)
                    most, ever = self._carried.get(entry.sender, (0, False))
                    self._carried[entry.sender] = max(longest, most), ever or odd
        return self._carried

    @property
    def services(self) -> frozenset[str]:
        """Those of the operations."""
        if self._services is None:
            self._services = frozenset([each.service for each in self.association.operations])
        return self._services

    def operations(self, *services: str) -> Iterator[Operation]:
        """Operations of these services, all where none is named."""
        for operation in self.association.operations:
            if not services or operation.service in services:
                yield operation


class Known(Generic[T]):
    """What was worked out of data sets. The same bytes are decoded to the same data set
    (:func:`dicomsniff.dicom.dataset.decode`): answers to a query that is repeated need not be
    looked into again."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, Hashable], tuple[DataSet, T]] = {}
        """By identity, of data sets that it keeps alive."""

    def get(self, data: DataSet, key: Hashable) -> T | None:
        """What is known of a data set, seen in the light of ``key``."""
        found = self._known.get((id(data), key))
        return None if found is None else found[1]

    def put(self, data: DataSet, key: Hashable, value: T) -> T:
        """Know it from now on. Data sets too large to be remembered are not."""
        if len(data.elements) <= KNOWN_ELEMENTS:
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[id(data), key] = data, value
        return value


def rule(
    code: str,
    severity: Severity,
    subject: str,
    what: str,
    reference: str | None = None,
    *,
    when: When | None = None,
    last: bool = False,
) -> Callable[[Check], Check]:
    """Register a function that checks one association. ``when``: it has nothing to say of those
    where this does not hold. ``last``: after all rules and watches, for a general rule that is
    silent where a particular one has spoken (see :attr:`View.told`)."""

    def register(check: Check) -> Check:
        _register(Rule(code, severity, subject, what, reference))
        (_LAST if last else _CHECKS).append((check, when))
        return check

    return register


def says(*services: str) -> When:
    """There is an operation of one of these services."""

    def when(view: View) -> bool:
        return not view.services.isdisjoint(services)

    return when


QUERIES: When = says("C-FIND")
RETRIEVALS: When = says("C-MOVE", "C-GET")
IDENTIFIERS: When = says("C-FIND", "C-MOVE", "C-GET")
STORES: When = says("C-STORE")
NORMALIZED: When = says("N-CREATE", "N-SET", "N-GET", "N-DELETE", "N-ACTION", "N-EVENT-REPORT")


def faulty(view: View) -> bool:
    """A PDU or a command set has a fault."""
    return any(entry.faults for entry in view.association.timeline)


def watch(*rules: Rule) -> Callable[[type], type]:
    """Register a class that checks across associations, under the codes it reports."""

    def register(made: type) -> type:
        _WATCHES.append((tuple(_register(each) for each in rules), made))
        return made

    return register


def _register(entry: Rule) -> Rule:
    if entry.code in RULES:
        raise ValueError(f"the rule {entry.code} stands twice in the table")
    RULES[entry.code] = entry
    return entry


def finding(
    code: str,
    title: str,
    detail: str,
    advice: str,
    *entries: Entry,
    severity: Severity | None = None,
    frames: Iterable[int] = (),
    reference: str | None = None,
    ae_titles: Iterable[str] = (),
) -> Finding:
    """A finding of a registered rule with its evidence: entries, whose frames it names, or
    ``frames`` of its own in front of those. ``ae_titles`` are those that the texts name and that
    are not the association's own; ``reference`` is more exact than the rule's."""
    known = RULES[code]
    shown = dict.fromkeys(frames)
    for entry in entries:
        if len(shown) >= FRAMES_SHOWN:
            break
        shown.update(dict.fromkeys((*entry.frames, entry.last_frame)))
    return Finding(
        code,
        severity or known.severity,
        title,
        detail,
        advice,
        tuple(entry.number for entry in entries[:FRAMES_SHOWN]),
        tuple(sorted(tuple(shown)[:FRAMES_SHOWN])),
        reference or known.reference,
        tuple(ae_titles),
    )


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, then warnings, then notes; within each in the order they were found."""
    return sorted(findings, key=lambda each: _ORDER[each.severity])


class Checker:
    """Runs every rule."""

    def __init__(
        self,
        info: CaptureInfo | None = None,
        attempts: Collection[Attempt] = (),
        waiting: Waiting = tuple,
    ) -> None:
        """``info`` is of the capture that is being read, ``attempts`` are the connections that came
        to nothing; both are kept up to date by its reader. ``waiting`` tells of connections that
        hold something back (:attr:`View.waiting`)."""
        _load()
        self._info = info
        self._attempts = attempts
        self._waiting = waiting
        self._watches: list[Watch] = [made() for _, made in _WATCHES]
        self._beginnings: list[Callable[[Association], None]] = [
            each.began for each in self._watches if hasattr(each, "began")
        ]

    def began(self, association: Association) -> None:
        """An association has begun; it grows from now on."""
        for hear in self._beginnings:
            hear(association)

    def association(self, association: Association) -> None:
        """Check an association that has ended; its ``findings`` are set, worst first."""
        until = self._info.last if self._info is not None else None
        losses = self._info.losses if self._info is not None else ()
        view = View(
            association, until, attempts=self._attempts, losses=losses, waiting=self._waiting
        )
        found = view.found
        found.extend(association.findings)
        known: dict[When, bool] = {}
        for check, when in _CHECKS:
            if when is not None:
                holds = known.get(when)
                if holds is None:
                    holds = known[when] = when(view)
                if not holds:
                    continue
            found.extend(_bounded(check(view)))
        for each in self._watches:
            found.extend(_bounded(each.association(view)))
        for check, when in _LAST:
            if when is None or when(view):
                found.extend(_bounded(check(view)))
        association.findings[:] = worst_first(found)

    def finish(self, info: CaptureInfo) -> list[Finding]:
        """What is to be said of the capture as a whole."""
        found: list[Finding] = []
        for each in self._watches:
            found.extend(each.finish(info))
        return worst_first(found)


def _bounded(findings: Iterable[Finding]) -> list[Finding]:
    rest = iter(findings)
    kept = list(islice(rest, FINDINGS_KEPT))
    if len(kept) == FINDINGS_KEPT:
        more = sum(1 for _ in rest)
        if more:
            kept[-1].detail += f" And {more} more like this."
    return kept


@cache
def _load() -> None:
    """Import the subjects' files, which fill the table."""
    import importlib
    import pkgutil

    for module in sorted(pkgutil.iter_modules(__path__), key=lambda each: each.name):
        importlib.import_module(f"{__name__}.{module.name}")


def rules() -> list[Rule]:
    """Every rule, for documentation."""
    _load()
    return list(RULES.values())
