"""What was asked with C-FIND and what came back, read once for all rules. No rules here.

An answer counts as evidence where all of it crossed the wire and its encoding was negotiated. Of
the others nothing is said.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import translate
from functools import lru_cache
from typing import Final, TypeVar

from dicomsniff.analysis.findings import Known, View
from dicomsniff.analysis.findings.keys import (
    NO_WILDCARD,
    QUERY_RETRIEVE_LEVEL,
    SPECIFIC_CHARACTER_SET,
    STEP_SEQUENCE,
    WORKLIST_FIND,
)
from dicomsniff.analysis.findings.telling import Path
from dicomsniff.analysis.operations import PENDING
from dicomsniff.dicom.elements import DataSet, Element, Item
from dicomsniff.model import Entry, Operation

ANSWERS_READ: Final = 2_000
"""Answers of one query that are read: a fault of the server is in the first of them, and a query
for everything may have a hundred thousand."""

KEYS_READ: Final = 512
"""Keys read of one identifier."""

K = TypeVar("K")
V = TypeVar("V")

_DATE = re.compile(r"(\d{8})?(-)?(\d{8})?")


@dataclass(slots=True)
class Answer:
    """A pending response."""

    entry: Entry
    keys: dict[Path, bool]
    """Every key that it holds, and whether with a value (a sequence: with an item)."""
    contradicts: tuple[Path, ...]
    """Keys that had to match, and whose value is another."""
    steps: int | None
    """Items of Scheduled Procedure Step Sequence, None where it is missing."""
    traits: frozenset[str]
    """What it is like, for comparing it with others."""
    charset: str = ""
    """Specific Character Set, as declared."""


@dataclass(slots=True)
class Asked:
    """A C-FIND with its identifier and its answers."""

    operation: Operation
    request: Entry
    identifier: DataSet
    wanted: dict[Path, tuple[str, ...]]
    """Every key of the identifier with its values as text; empty for universal matching."""
    vrs: dict[Path, str] = field(default_factory=dict)
    """Of those keys."""
    answers: list[Answer] = field(default_factory=list)
    pending: int = 0
    """Pending responses, those that were not read included."""

    @property
    def worklist(self) -> bool:
        """Whether it is a query of a modality worklist."""
        return self.operation.sop_class == WORKLIST_FIND

    @property
    def level(self) -> str:
        """Its Query/Retrieve Level, empty where it has none."""
        return (self.wanted.get((QUERY_RETRIEVE_LEVEL,)) or ("",))[0]

    def matches(self, paths: Iterable[Path]) -> bool:
        """Whether one of these keys would narrow it."""
        return any(value.strip(" *") for path in paths for value in self.wanted.get(path, ()))

    @property
    def matching(self) -> dict[Path, tuple[str, ...]]:
        """The keys that narrow it. An asterisk alone does so where it is no wildcard."""
        return {
            path: values
            for path, values in self.wanted.items()
            if any(value.strip(self._free(path)) for value in values)
            and path[-1] not in (SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL)
        }

    def _free(self, path: Path) -> str:
        return " " if self.vrs.get(path) in NO_WILDCARD else " *"


def whole(entry: Entry) -> bool:
    """Whether all of a message crossed the wire, in an encoding that is known."""
    message = entry.message
    if message is None or not entry.complete or message.transfer_syntax_guessed:
        return False
    data = message.dataset
    return data is None or (data.complete and data.missing_at is None)


_KNOWN: Known[tuple[DataSet, Answer]] = Known()
"""Answers to identifiers."""

ALIKE: Final = 64
"""Sets of keys, and of traits, of which one stands for all that are equal."""

_KEYS: OrderedDict[tuple[tuple[Path, bool], ...], dict[Path, bool]] = OrderedDict()
_TRAITS: OrderedDict[frozenset[str], frozenset[str]] = OrderedDict()


def _one(kept: OrderedDict[K, V], key: K, value: V) -> V:
    """The first of values that have the same key."""
    found = kept.setdefault(key, value)
    if len(kept) > ALIKE:
        kept.popitem(last=False)
    return found


def asked(view: View) -> list[Asked]:
    """The queries of an association, worked out at the first call."""
    known = view.shared.get("asked")
    if isinstance(known, list):
        return known
    made = list(_asked(view))
    view.shared["asked"] = made
    return made


def _asked(view: View) -> Iterator[Asked]:
    for operation in view.operations("C-FIND"):
        request = operation.request
        if request is None or request.message is None or not whole(request):
            continue
        identifier = view.dataset(request.message)
        if identifier is None or identifier.guessed:
            continue
        vrs = {tuple(path[::2]): element.vr for path, element in identifier.walk()}
        one = Asked(operation, request, identifier, wanted(identifier), vrs)
        for entry in operation.responses:
            message = entry.message
            if message is None or message.status not in PENDING:
                continue
            one.pending += 1
            if one.pending <= ANSWERS_READ and message.dataset is not None and whole(entry):
                answer = view.dataset(message)
                if answer is not None and not answer.guessed:
                    key = id(identifier)
                    same = _KNOWN.get(answer, key)
                    if same is not None and same[0] is identifier:
                        known = replace(same[1], entry=entry)
                    else:
                        known = _answer(entry, answer, one)
                        _KNOWN.put(answer, key, (identifier, known))
                    one.answers.append(known)
        yield one


def wanted(identifier: DataSet) -> dict[Path, tuple[str, ...]]:
    """The keys of an identifier with their values."""
    found: dict[Path, tuple[str, ...]] = {}
    for path, element in identifier.walk():
        if not element.tag & 0xFFFF:
            continue  # a group length
        found.setdefault(tuple(path[::2]), tuple(str(value) for value in element.values))
        if len(found) >= KEYS_READ:
            break
    return found


def _answer(
    entry: Entry,
    data: DataSet,
    one: Asked,
) -> Answer:
    keys: dict[Path, bool] = {}
    contradicts: list[Path] = []
    traits: set[str] = set()
    names = 0
    for numbered, element in data.walk():
        if not element.tag & 0xFFFF:
            traits.add("group length elements")
            continue
        path = tuple(numbered[::2])
        keys[path] = keys.get(path, False) or has_value(element)
        values = one.wanted.get(path)
        if values and not _fits(one.vrs.get(path, ""), values, element):
            contradicts.append(path)
        if element.vr == "PN":
            names = max(names, max((_groups(str(each)) for each in element.values), default=0))
        traits.update(_traits(element))
        if len(keys) >= KEYS_READ:
            break
    if names > 1:
        traits.add(f"names with {names} component groups")
    sets = "\\".join(data.character_sets)
    traits.add(f"Specific Character Set {sets}" if sets else "no Specific Character Set")
    traits.update(data.notes)
    steps = data.get(STEP_SEQUENCE)
    if steps is not None and len(steps.items) != 1:
        traits.add(f"{len(steps.items)} items in Scheduled Procedure Step Sequence")
    told = frozenset(traits)
    return Answer(
        entry,
        _one(_KEYS, tuple(keys.items()), keys),
        tuple(dict.fromkeys(contradicts)),
        len(steps.items) if steps is not None else None,
        _one(_TRAITS, told, told),
        sets,
    )


def _traits(element: Element) -> Iterator[str]:
    """What an element's encoding and values are like, without the values."""
    for note in element.notes:
        yield f"{element.name}: {note}"
    for fault in element.faults:
        yield f"{element.name}: {fault.text}"
    if element.vr == "SQ":
        yield (
            "sequences of undefined length"
            if element.length is None
            else ("sequences of defined length" if element.length else "an empty sequence")
        )
        for each in element.items:
            yield from _item_traits(each)
    elif any(isinstance(value, str) and not value.isascii() for value in element.values):
        yield f"{element.name} with characters outside of ASCII"


def _item_traits(item: Item) -> Iterator[str]:
    yield "items of undefined length" if item.length is None else "items of defined length"
    if not item.elements:
        yield "an empty item"
    for fault in item.faults:
        yield f"an item: {fault.text}"


def _groups(name: str) -> int:
    return name.count("=") + 1


def has_value(element: Element) -> bool:
    """Whether an element has a value; a sequence: an item."""
    if element.vr == "SQ":
        return bool(element.items)
    return bool(element.bulk_length) or any(value != "" for value in element.values)


# ---------------------------------------------------------------------------- matching


def _fits(vr: str, values: tuple[str, ...], element: Element) -> bool:
    """Whether an answer's value is one that was asked for (PS3.4 C.2.2.2). True where that is the
    server's to judge: names, times, numbers, descriptions, and keys that it has no value for."""
    got = [str(value).strip() for value in element.values]
    if not any(got) or not any(value.strip() for value in values):
        return True
    if element.tag in (SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL):
        return True
    if vr == "UI":
        return any(value in values for value in got)
    if vr == "DA":
        return len(values) > 1 or any(_in_range(values[0], value) for value in got)
    if vr in ("AE", "CS", "SH", "LO") and len(values) == 1:
        wild = pattern(values[0].strip().casefold())
        return any(wild.match(value.casefold()) for value in got)
    return True


def _in_range(range_: str, date: str) -> bool:
    found = _DATE.fullmatch(range_.strip())
    if found is None or len(date) != 8 or not date.isdigit():
        return True
    first, dash, last = found.groups()
    if not dash:
        return first is None or first == date
    return (first or "") <= date <= (last or "99999999")


@lru_cache(maxsize=256)
def pattern(value: str) -> re.Pattern[str]:
    """The wildcards of PS3.4 C.2.2.2.4 as a regular expression: ``*`` and ``?`` alone."""
    return re.compile(translate(value.replace("[", "[[]")))
