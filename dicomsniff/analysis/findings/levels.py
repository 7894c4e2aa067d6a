"""Levels of query/retrieve and their keys (PS3.4 C.4 and C.6): C-FIND, C-MOVE and C-GET."""

from __future__ import annotations

from collections.abc import Iterator

from dicomsniff.analysis.findings import (
    IDENTIFIERS,
    QUERIES,
    View,
    finding,
    rule,
)
from dicomsniff.analysis.findings.asked import asked, wanted, whole
from dicomsniff.analysis.findings.captured import negotiation_cut
from dicomsniff.analysis.findings.keys import QUERY_RETRIEVE_LEVEL, UNIQUE, levels, required
from dicomsniff.analysis.findings.telling import Path, call, key, keys, of, places, title
from dicomsniff.analysis.findings.words import listed
from dicomsniff.model import Association, Entry, Finding, Operation


@rule(
    "query-level",
    "error",
    "query",
    "Query/Retrieve Level (0008,0052) is missing, or not one of the information model; or stands "
    "in a worklist query, which has none (a note).",
    "PS3.4 C.4.1.1.3.1",
    when=IDENTIFIERS,
)
def level(view: View) -> Iterator[Finding]:
    """The level of a query or retrieval."""
    association = view.association
    for one in asked(view):
        if one.worklist and (QUERY_RETRIEVE_LEVEL,) in one.wanted:
            yield finding(
                "query-level",
                "A worklist query holds a Query/Retrieve Level",
                f"Entry {one.request.number} holds {key(QUERY_RETRIEVE_LEVEL)}; a worklist has no "
                "levels.",
                f"On {call(association, 'requestor')}: leave it out. Most servers do not mind.",
                one.request,
                severity="note",
                reference="PS3.4 K.4.1.1.3.1",
            )
    for operation, request, values in _identifiers(view):
        known = levels(operation.sop_class)
        said = values.get((QUERY_RETRIEVE_LEVEL,))
        if said is not None and len(said) == 1 and said[0] in known:
            continue
        how = "without a level"
        if said is None:
            what = f"{key(QUERY_RETRIEVE_LEVEL)} is missing"
        elif not any(said):
            what = f"{key(QUERY_RETRIEVE_LEVEL)} is empty"
        else:
            how = "at a level that its information model does not have"
            what = f"{key(QUERY_RETRIEVE_LEVEL)} is none of {listed(known)}"
        yield finding(
            "query-level",
            f"{operation.service} {how}",
            f"In the identifier of entry {request.number} {what}.",
            f"On {call(association, operation.invoked_by)}: choose one of {listed(known)}, or "
            "another information model.",
            request,
        )


@rule(
    "query-unique-key-missing",
    "error",
    "query",
    "A query or retrieval below the top level does not name the unique keys of the levels above "
    "it, and relational queries were not negotiated; or a retrieval names nothing.",
    "PS3.4 C.4.1.2.1",
    when=IDENTIFIERS,
)
def unique_key(view: View) -> Iterator[Finding]:
    """The unique keys that a hierarchical identifier needs."""
    association = view.association
    for operation, request, values in _identifiers(view):
        known = levels(operation.sop_class)
        said = (values.get((QUERY_RETRIEVE_LEVEL,)) or ("",))[0]
        if said not in known or (
            operation.service == "C-FIND" and _relational(association, operation.sop_class)
        ):
            continue
        needed = [UNIQUE[each] for each in known[: known.index(said)]]
        if operation.service != "C-FIND":
            needed.append(UNIQUE[said])
            if _relational(association, operation.sop_class):
                needed = needed[-1:]
        missing = [tag for tag in needed if not any(values.get((tag,), ()))]
        wild = [
            tag
            for tag in needed
            if any("*" in each or "?" in each for each in values.get((tag,), ()))
        ]
        if not missing and not wild:
            continue
        what = []
        if missing:
            what.append(f"{keys(missing)} has no value")
        if wild:
            what.append(f"{keys(wild)} holds a wildcard")
        yield finding(
            "query-unique-key-missing",
            f"{operation.service} at level {said} without the unique keys it needs",
            f"In the identifier of entry {request.number} {' and '.join(what)}.",
            f"On {call(association, operation.invoked_by)}: "
            + (
                "a hierarchical query names one value of the unique key of every level above its "
                "own"
                if operation.service == "C-FIND"
                else "a retrieval names the unique keys of its own level and of every level above "
                "it"
            )
            + "; or both sides negotiate relational queries.",
            request,
        )


def _identifiers(view: View) -> Iterator[tuple[Operation, Entry, dict[Path, tuple[str, ...]]]]:
    """Identifiers of queries and retrievals by one of the information models."""
    for operation in view.operations("C-FIND", "C-MOVE", "C-GET"):
        request = operation.request
        if request is None or request.message is None or not levels(operation.sop_class):
            continue
        data = view.dataset(request.message) if whole(request) else None
        if data is not None and not data.guessed:
            yield operation, request, wanted(data)


def _relational(association: Association, sop_class: str | None) -> bool:
    """Whether relational queries may have been negotiated (PS3.4 C.5.1.1); the answer to it may
    not have been captured."""
    asked_for = association.requestor.user_information
    if asked_for is None or negotiation_cut(association):
        return True
    return any(
        each.sop_class_uid == sop_class and each.application_information[:1] == b"\x01"
        for each in asked_for.extended_negotiations
    )


@rule(
    "query-empty-required-key",
    "error",
    "query",
    "Answers of Patient or Study Root lack the unique key of their level (error) or a key that "
    "every server has to support and that was asked for (warning).",
    "PS3.4 C.6.1.1, C.6.2.1",
    when=QUERIES,
)
def required_key(view: View) -> Iterator[Finding]:
    """Unique and required keys of query/retrieve."""
    association = view.association
    for one in asked(view):
        said = one.level
        needed = required(one.operation.sop_class, said)
        if not needed or not one.answers:
            continue
        for number, tag in enumerate(needed):
            path = (tag,)
            if number == 0:
                bad = [each for each in one.answers if not each.keys.get(path, False)]
                what = "has no value"
            elif path in one.wanted:
                bad = [each for each in one.answers if path not in each.keys]
                what = "is missing, though it was asked for"
            else:
                continue
            if bad:
                yield finding(
                    "query-empty-required-key",
                    f"{title(association, 'acceptor')} answers without {key(tag)}",
                    f"In {of(len(bad), len(one.answers), 'answer')} to entry "
                    f"{one.request.number} ({places(each.entry for each in bad)}) {key(tag)} "
                    f"{what}. "
                    + (
                        f"It is the unique key of level {said}."
                        if number == 0
                        else f"Every server supports it at level {said}."
                    ),
                    f"On {call(association, 'acceptor')}: it has to return this key.",
                    one.request,
                    *(each.entry for each in bad),
                    severity="error" if number == 0 else "warning",
                )
