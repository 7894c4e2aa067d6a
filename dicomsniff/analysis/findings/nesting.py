"""At which level the keys of a worklist stand, and at which they belong. No rules here.

The keys of the scheduled procedure step belong inside the one item of Scheduled Procedure Step
Sequence (0040,0100), those of patient, visit, order and requested procedure at the top level
(PS3.4 table K.6-1). A key counts as astray where it stands elsewhere; below another sequence only
where its own place is empty, since other sequences may hold what they like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dicomsniff.analysis.findings import View
from dicomsniff.analysis.findings.asked import Answer, Asked, asked
from dicomsniff.analysis.findings.keys import STEP_ONLY, STEP_SEQUENCE, TOP_ONLY
from dicomsniff.analysis.findings.telling import Path

Place = tuple[int, ...]
"""The sequences that a key stands in, from the outermost inwards; empty at the top level."""


@dataclass(slots=True)
class Strays:
    """Keys of one query that stand at the wrong level."""

    question: dict[Place, list[int]] = field(default_factory=dict)
    """Place to the keys that stand there and do not belong there."""
    answers: dict[tuple[Place, tuple[int, ...]], list[Answer]] = field(default_factory=dict)
    """The same of answers, those that are alike together."""
    homes: set[Path] = field(default_factory=set)
    """Where the keys of the answers would belong: that they lack there is told by their level."""
    stand: set[Path] = field(default_factory=set)
    """Where they stand."""


def home(path: Path) -> Path | None:
    """Where a key belongs that stands elsewhere, None where it may stand as it does."""
    tag = path[-1]
    if tag in STEP_ONLY and path[:-1] != (STEP_SEQUENCE,):
        return (STEP_SEQUENCE, tag)
    if tag in TOP_ONLY and path[:-1] == (STEP_SEQUENCE,):
        return (tag,)
    return None


def strays(view: View) -> Mapping[int, Strays]:
    """By the number of the request's entry; worked out at the first call."""
    known = view.shared.get("strays")
    if isinstance(known, dict):
        return known
    made = {one.request.number: _strays(one) for one in asked(view) if one.worklist}
    view.shared["strays"] = made
    return made


def _strays(one: Asked) -> Strays:
    made = Strays()
    for path in _astray(one.wanted, one.wanted):
        made.question.setdefault(path[:-1], []).append(path[-1])
    for answer in one.answers:
        valued = [path for path, has in answer.keys.items() if has]
        places: dict[Place, list[int]] = {}
        for path in _astray(answer.keys, valued):
            right = home(path)
            # What nobody asked for where it belongs is merely a key too many.
            if len(path) > 1 and right not in one.wanted:
                continue
            places.setdefault(path[:-1], []).append(path[-1])
            made.stand.add(path)
            if right is not None:
                made.homes.add(right)
        for place, tags in places.items():
            made.answers.setdefault((place, tuple(sorted(tags))), []).append(answer)
    return made


def _astray(paths: Iterable[Path], at_home: Iterable[Path]) -> list[Path]:
    taken = set(at_home)
    found = []
    for path in paths:
        right = home(path)
        if right is not None and (len(path) == 1 or right not in taken):
            found.append(path)
    return found
