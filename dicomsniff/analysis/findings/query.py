"""Queries (C-FIND), worklists included: what was asked, what came back, and why nothing did."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from dicomsniff.analysis.findings import (
    QUERIES,
    Rule,
    View,
    finding,
    rule,
    watch,
)
from dicomsniff.analysis.findings.asked import Answer, Asked, asked
from dicomsniff.analysis.findings.data import FORM
from dicomsniff.analysis.findings.keys import (
    MODALITY,
    NO_WILDCARD,
    STATION_AE_TITLE,
    STEP,
    STEP_SEQUENCE,
    UNASKED,
    WORKLIST,
    optional,
)
from dicomsniff.analysis.findings.nesting import strays
from dicomsniff.analysis.findings.telling import Path, call, key, keys, of, places, title, upper
from dicomsniff.analysis.findings.titles import differs, nearest
from dicomsniff.analysis.findings.unfinished import unfinished
from dicomsniff.analysis.findings.words import OTHER, count, listed, seconds, spoken
from dicomsniff.dicom.elements import Element
from dicomsniff.model import Association, CaptureInfo, Entry, Finding, Operation, Side

QUESTIONS_KEPT: Final = 256
"""Questions remembered that had answers, to compare one without with."""

MANY_ANSWERS: Final = 50
"""Answers from which on their number may be what a device stops at: screens and tables of older
ones hold some dozens."""

SOON_NS: Final = 3_600_000_000_000
"""Time after a query without match in which another one of the same device is compared with it.
Later there may be other entries, and the date that is asked for is another one."""

TRAITS_TOLD: Final = 6
"""Peculiarities of one answer that are told."""

_MODALITY: Final = re.compile(r"[A-Z]{2,6}(?:\\[A-Z]{2,6})*")
"""A defined term of a modality (PS3.3 C.7.3.1.1.1), and nothing else that one might have typed."""

_CLOCK: Final = "is the clock of the device right?"

_ONE_DAY: Final = 1
"""Days that a date may differ from the capture's: its clock runs in UTC."""

# ---------------------------------------------------------------------------- no match

NO_MATCH = Rule(
    "query-no-match",
    "warning",
    "query",
    "A query had no match. The keys that narrowed it are told, what is suspicious in them, and "
    "in what it differs from one that was answered. A note where nothing is suspicious.",
    "PS3.4 C.2.2.2",
)

ANSWERED_OTHERWISE = Rule(
    "query-answered-otherwise",
    "note",
    "query",
    "A device whose query had no match asked with other keys within an hour, and was answered: "
    "the keys that differ are told.",
    "PS3.4 C.2.2.2",
)


@dataclass(slots=True)
class _Question:
    """A question, and how many answers it had."""

    association: int
    entry: int
    time: int
    frames: tuple[int, ...]
    answers: int
    matching: dict[Path, tuple[str, ...]]


def _question(association: Association, one: Asked) -> _Question:
    asks = one.request
    return _Question(association.id, asks.number, asks.time, asks.frames, one.pending, one.matching)


@watch(NO_MATCH, ANSWERED_OTHERWISE)
class NoMatch:
    """Queries without match, beside those that had some."""

    def __init__(self) -> None:
        self._answered: OrderedDict[tuple[str, int, str | None], _Question] = OrderedDict()
        self._in_vain: OrderedDict[tuple[Any, ...], _Question] = OrderedDict()
        """Questions without match, by who asked whom and for what, until one is answered."""

    def association(self, view: View) -> Iterator[Finding]:
        """Speak of queries without match, remember the others."""
        association = view.association
        server = (association.acceptor.address, association.acceptor.port)
        device = (association.requestor.address, association.requestor.ae_title)
        # Where none was answered before, one of the same association that is asked later.
        first: dict[str | None, _Question] = {}
        for one in asked(view):
            if one.pending and one.operation.sop_class not in first:
                first[one.operation.sop_class] = _question(association, one)
        for one in asked(view):
            operation = one.operation
            place = (*server, operation.sop_class)
            if one.pending:
                self._answered[place] = _question(association, one)
                self._answered.move_to_end(place)
                if len(self._answered) > QUESTIONS_KEPT:
                    self._answered.popitem(last=False)
                vain = self._in_vain.pop((*device, *place), None)
                if vain is not None:
                    yield from self._otherwise(view, one, vain)
            elif operation.status == 0 and not association.gaps and not operation.cancelled:
                answered = self._answered.get(place) or first.get(operation.sop_class)
                yield self._no_match(view, one, answered)
                if answered is None:
                    self._in_vain[*device, *place] = _question(association, one)
                    if len(self._in_vain) > QUESTIONS_KEPT:
                        self._in_vain.popitem(last=False)

    def finish(self, info: CaptureInfo) -> Iterator[Finding]:  # noqa: ARG002
        """All is said."""
        yield from ()

    def _otherwise(self, view: View, one: Asked, vain: _Question) -> Iterator[Finding]:
        """Asked in vain, then otherwise: what made the difference."""
        association = view.association
        unlike = _unlike_keys(vain.matching, one.matching)
        if not unlike or vain.association == association.id:
            return  # the entries came in between; or it is told with the query without match
        if not 0 <= one.request.time - vain.time <= SOON_NS:
            return
        side = one.operation.invoked_by
        mine, server = title(association, side), title(association, OTHER[side])
        titles: list[str] = []
        differ = listed(
            f"{key(path[-1])} ({_worth(path, one.matching, titles) or 'another value'} here, "
            f"{_worth(path, vain.matching, titles) or 'another value'} there)"
            for path in unlike
        )
        yield finding(
            "query-answered-otherwise",
            f"{server} answers {mine} when it asks with other keys",
            f"{count(one.pending, 'answer')} came to entry {one.request.number}. "
            f"{seconds(one.request.time - vain.time)} before, in association {vain.association} "
            f"(entry {vain.entry}), {mine} asked the same server in vain. What differs: {differ}.",
            f"What differs kept the answers away. On {mine}: have it always ask as it did here. If "
            f"what it asked for before is right, on {server}: does it hold an entry with exactly "
            "those values?",
            one.request,
            *one.operation.responses[:1],
            frames=vain.frames,
            reference="PS3.4 K.6.1.2.2" if one.worklist else None,
            ae_titles=titles,
        )

    def _no_match(self, view: View, one: Asked, answered: _Question | None) -> Finding:
        association = view.association
        side = one.operation.invoked_by
        mine = association.peer(side)
        server = title(association, OTHER[side])
        told: list[str] = []
        titles: list[str] = []
        for path, values in one.matching.items():
            told.append(_narrowed(path, values, one, titles))
        # What was answered elsewhere with the same value is not what kept the answers away.
        good = answered.matching if answered is not None else {}
        odd = [*_suspicious(one, mine.ae_title, good), *_misplaced(view, one)]
        detail = (
            f"It was narrowed by {listed(told)}."
            if told
            else "No key narrowed it: it asked for everything."
        )
        if odd:
            detail += f" Suspicious: {'; '.join(odd)}."
        if any(_undefined(element) for element in one.identifier.elements):
            detail += " Its sequences have no defined length, which some servers cannot read."
        unlike: list[Path] = []
        if answered is not None:
            unlike = _unlike_keys(one.matching, answered.matching)
            if unlike:
                detail += (
                    f" {count(answered.answers, 'answer')} came to a query in association "
                    f"{answered.association} (entry {answered.entry}) that differs in "
                    f"{listed(_there(path, answered.matching, titles) for path in unlike)}."
                )
        if unlike and answered is not None:
            advice = (
                f"On {title(association, side)}: give {keys(path[-1] for path in unlike)} what "
                f"the query of association {answered.association} has there, one key after the "
                f"other, until answers come. If what is asked for is right, on {server}: does it "
                "hold an entry with exactly these values?"
            )
        elif told:
            advice = (
                f"On {server}: does it hold an entry with exactly these values? Then take the keys "
                f"away one by one on {title(association, side)}, the date first, then the station "
                "AE title, then the modality, until answers come."
            )
        else:
            advice = f"On {server}: does it hold anything that this caller may see?"
        if odd:
            advice = (
                f"On {title(association, side)}: correct what is suspicious, and ask again. If "
                f"there is still no match: {advice[0].lower()}{advice[1:]}"
            )
        return finding(
            "query-no-match",
            f"{server} has no match for what {title(association, side)} asks",
            detail,
            advice,
            one.request,
            *one.operation.responses[-1:],
            severity="warning" if odd else "note",
            reference="PS3.4 K.6.1.2.2" if one.worklist else None,
            ae_titles=titles,
        )


def _narrowed(path: Path, values: tuple[str, ...], one: Asked, titles: list[str]) -> str:
    """A key that narrows, with as much of its value as is nobody's."""
    tag = path[-1]
    value = "\\".join(values)
    if tag == MODALITY and _MODALITY.fullmatch(value):
        return f"{key(tag)} = {value}"
    if tag == STATION_AE_TITLE and value:
        titles.append(value)
        return f"{key(tag)} = {value}"
    element = one.identifier.get(tag) if len(path) == 1 else _inner(one, path)
    vr = element.vr if element is not None else ""
    if vr in NO_WILDCARD and ("*" in value or "?" in value):
        what = "with wildcards"
    elif vr in ("DA", "TM", "DT"):
        what = "a range" if "-" in value else f"one {'date' if vr != 'TM' else 'time'}"
    elif vr == "UI":
        what = count(len(values), "UID")
    elif "*" in value or "?" in value:
        what = "with wildcards" if value.strip("*?") else "wildcards alone"
    else:
        exact = "one name, in full" if vr == "PN" else "one value"
        what = exact if len(values) == 1 else f"{len(values)} values"
    return f"{key(tag)} ({what})"


def _inner(one: Asked, path: Path) -> Element | None:
    for numbered, element in one.identifier.walk():
        if tuple(numbered[::2]) == path:
            return element
    return None


def _suspicious(
    one: Asked, own_title: str | None, good: dict[Path, tuple[str, ...]]
) -> Iterator[str]:
    """What in a question is likely not to be meant."""
    data = one.request.message.dataset if one.request.message is not None else None
    held = data.held if data is not None else b""
    day = datetime.fromtimestamp(one.request.time // 1_000_000_000, UTC).date()
    matching = one.matching
    for numbered, element in one.identifier.walk():
        path = tuple(numbered[::2])
        values = one.wanted.get(path, ())
        if path not in matching or good.get(path) == values:
            continue
        name = key(path[-1])
        odd = list(_odd_value(name, element, values, held))
        if path[-1] == STATION_AE_TITLE and own_title and len(values) == 1:
            value = values[0]
            if value != own_title and not ("*" in value or "?" in value):
                odd.append(f"{name} is {_unlike(value, own_title)}")
        if element.vr == "DA" and len(values) == 1 and not odd:
            odd.extend(_far(name, values[0], day))
        yield from odd or [f"{name}: {each}" for each in element.notes if FORM.search(each)]


def _odd_value(name: str, element: Element, values: tuple[str, ...], held: bytes) -> Iterator[str]:
    """What in the value of a key keeps servers from finding what was meant."""
    raw = held[element.value_start : element.end]
    if raw[:1] == b" ":
        yield f"{name} begins with a space"
    if raw[-1:] == b"\0" and element.vr != "UI":
        yield f"{name} ends with a NUL, which servers may take for a part of it"
    if element.vr in NO_WILDCARD and any("*" in each or "?" in each for each in values):
        yield f"{name} holds a wildcard, which {element.vr} does not have"
    if element.vr == "CS" and any(each != each.upper() for each in values):
        yield f"{name} is in lower case"
    if element.charset is not None:
        yield f"{name} is in a character set that the query does not declare"


def _undefined(element: Element) -> bool:
    """Whether a sequence or an item of it ends with a delimiter instead of having a length."""
    return element.vr == "SQ" and None in (element.length, *(each.length for each in element.items))


def _misplaced(view: View, one: Asked) -> Iterator[str]:
    """Where in a question for a worklist a server does not find the keys of the step."""
    if not one.worklist:
        return
    steps = one.identifier.get(STEP_SEQUENCE)
    astray = strays(view)[one.request.number].question
    for place, tags in astray.items():
        if one.matches((*place, tag) for tag in tags):
            yield f"{keys(tags)} {'stand' if len(tags) > 1 else 'stands'} at the wrong level"
    if astray:
        return
    if steps is None:
        yield f"{key(STEP_SEQUENCE)} is missing, in which the keys of a step stand"
    elif len(steps.items) != 1 or not steps.items[0].elements:
        what = count(len(steps.items), "item") if len(steps.items) > 1 else "no key in it"
        yield f"{key(STEP_SEQUENCE)} has {what}"


def _unlike(title: str, own: str) -> str:
    """In what a station AE title is not the caller's own."""
    if title.casefold() == own.casefold():
        return "the caller's own AE title in another case"
    if nearest(title, {own}) is not None:
        return f"nearly the caller's own AE title: {differs(title, own)}"
    return "not the caller's own AE title"


def _far(name: str, value: str, day: date) -> Iterator[str]:
    """A date that lies away from the day of the capture."""
    first, dash, last = value.strip().partition("-")
    try:
        begin = datetime.strptime(first, "%Y%m%d").date() if first else date.min
        end = datetime.strptime(last, "%Y%m%d").date() if last else (date.max if dash else begin)
    except ValueError:
        yield f"{name} is no date"
        return
    if begin > end:
        yield f"{name} is a range whose end comes first"
    elif (day - end).days > _ONE_DAY:
        far = count((day - end).days, "day")
        yield f"{name} lies {far} before the day of the capture ({_CLOCK})"
    elif (begin - day).days > _ONE_DAY:
        far = count((begin - day).days, "day")
        yield f"{name} lies {far} after the day of the capture ({_CLOCK})"


def _unlike_keys(
    mine: dict[Path, tuple[str, ...]], other: dict[Path, tuple[str, ...]]
) -> list[Path]:
    return [path for path in dict.fromkeys([*mine, *other]) if mine.get(path) != other.get(path)]


def _there(path: Path, other: dict[Path, tuple[str, ...]], titles: list[str]) -> str:
    """A key and what it is in the other query, where that is nobody's."""
    worth = _worth(path, other, titles)
    return f"{key(path[-1])} ({worth} there)" if worth else key(path[-1])


def _worth(path: Path, asked_for: dict[Path, tuple[str, ...]], titles: list[str]) -> str:
    """What a query has in a key, where that is nobody's; empty where it may be somebody's."""
    tag, value = path[-1], "\\".join(asked_for.get(path, ()))
    if not value.strip(" *"):
        return "free"
    if tag == MODALITY and _MODALITY.fullmatch(value):
        return value
    if tag == STATION_AE_TITLE:
        titles.append(value)
        return value
    return ""


# ---------------------------------------------------------------------------- given up


@rule(
    "query-given-up",
    "error",
    "query",
    "The requestor aborted, or closed the connection, before the first answer to its query came: "
    "its time-out is shorter than the server's thinking time.",
    "PS3.4 C.4.1",
    when=QUERIES,
)
def given_up(view: View) -> Iterator[Finding]:
    """No answer before the end."""
    association = view.association
    for one, (end, when, sure) in unfinished(view):
        before, after = _split(one.operation, end, when)
        if before or not sure:
            continue
        waited = when - one.request.time
        came = (
            f" The first answer came after {seconds(after[0].began - one.request.time)}, "
            f"{seconds(after[0].began - when)} too late."
            if after
            else ""
        )
        mine, server = title(association, end.sender), title(association, _other(end))
        yield finding(
            "query-given-up",
            f"{mine} gave up {seconds(waited)} after asking {server}",
            f"The C-FIND-RQ (entry {one.request.number}) was complete; {mine} ended the "
            f"association by {_ending(end)} {seconds(waited)} later, before any answer.{came}",
            f"On {mine}: raise the time-out of queries"
            + (f" above {seconds(after[0].began - one.request.time)}" if after else "")
            + f". On {call(association, _other(end))}: find out what it does in that time; a query "
            "that is not narrowed, or a database without an index, are the usual reasons.",
            one.request,
            end,
            *after[:1],
        )


@rule(
    "query-abandoned",
    "error",
    "query",
    "The requestor aborted, or closed the connection, after some of the answers to its query: it "
    "is told what was special in the last one it got.",
    "PS3.4 C.4.1",
    when=QUERIES,
)
def abandoned(view: View) -> Iterator[Finding]:
    """The end came after the k-th answer."""
    association = view.association
    for one, (end, when, _) in unfinished(view):
        before, after = _split(one.operation, end, when)
        if not before or one.operation.cancelled:
            continue
        last = next((each for each in one.answers if each.entry is before[-1]), None)
        earlier = [each for each in one.answers if each.entry.number < before[-1].number]
        special = _special(last, earlier, one) if last is not None else []
        mine, server = title(association, end.sender), title(association, _other(end))
        full = not special and len(before) >= MANY_ANSWERS
        if special:
            found = f"What sets it apart: {'; '.join(special[:TRAITS_TOLD])}."
        elif last is None:
            found = "Not all of it was captured, so nothing can be said of it."
        elif earlier:
            found = f"It is made like {of(len(earlier), len(earlier), 'answer')} before it."
        else:
            found = "Nothing is wrong with it as such."
        yield finding(
            "query-abandoned",
            f"{mine} broke off after answer {len(before)} from {server}",
            f"It ended the association by {_ending(end)} "
            f"{seconds(max(0, when - before[-1].time))} after answer {len(before)} "
            f"(entry {before[-1].number})"
            + (f"; {count(len(after), 'more answer')} crossed the wire." if after else ".")
            + f" {found}",
            f"On {call(association, end.sender)}: it may take no more than these "
            f"{len(before):,} answers. Narrow the query by date, station AE title and modality; if "
            "that does not help, its log tells what it did not like."
            if full
            else f"On {call(association, end.sender)}: its log tells what it did not like in that "
            f"answer. If it is what is told here, {call(association, _other(end))} has to send it "
            "otherwise.",
            one.request,
            before[-1],
            end,
        )


def _other(end: Entry) -> Side:
    return OTHER[end.sender]


def _ending(end: Entry) -> str:
    return spoken(end) if end.kind == "A-ABORT" else f"closing the connection (entry {end.number})"


def _split(operation: Operation, end: Entry, when: int) -> tuple[list[Entry], list[Entry]]:
    """The responses before the end, and those after it."""
    before = [
        each for each in operation.responses if each.number < end.number and each.began <= when
    ]
    return before, operation.responses[len(before) :]


def _special(last: Answer, earlier: list[Answer], one: Asked) -> list[str]:
    """What the last answer has that none before it had; of the first one what is odd as such."""
    if not earlier:
        plain = ("sequences of defined", "items of defined", "Specific Character Set", "names with")
        missing = [path for path in one.wanted if path not in last.keys]
        told = [each for each in sorted(last.traits) if not each.startswith(plain)]
        ours = "\\".join(one.identifier.character_sets)
        if last.charset and last.charset != ours:
            told.append(
                f"it is in the character set {last.charset}, the query "
                + (f"in {ours}" if ours else "declares none")
            )
        return told + ([f"it lacks {keys(missing)}"] if missing else [])
    usual = frozenset().union(*(each.traits for each in earlier))
    told = sorted(last.traits - usual)
    always = [path for path in earlier[0].keys if all(each.keys.get(path) for each in earlier)]
    empty = [path for path in always if not last.keys.get(path, False)]
    if empty:
        told.append(f"{keys(empty)} had a value in all before, and none here")
    new = [path for path in last.keys if not any(path in each.keys for each in earlier)]
    if new:
        told.append(f"{keys(new)} was in none before")
    length = last.entry.length
    if length > 2 * max(each.entry.length for each in earlier):
        told.append(f"its {length:,} bytes are more than twice those of any before")
    return told


@rule(
    "query-cancelled",
    "note",
    "query",
    "The requestor cancelled a query (C-CANCEL); a warning where the server did not heed it.",
    "PS3.4 C.4.1.3.1",
    when=QUERIES,
)
def cancelled(view: View) -> Iterator[Finding]:
    """A C-CANCEL, and what came behind it."""
    association = view.association
    cancels: dict[int | None, list[Entry]] = {}
    for entry in association.timeline:
        if entry.kind == "C-CANCEL-RQ" and entry.message is not None:
            cancels.setdefault(entry.message.message_id, []).append(entry)
    for one in asked(view):
        operation = one.operation
        if not operation.cancelled:
            continue
        behind = cancels.get(operation.message_id, [])
        at = bisect_right(behind, one.request.number, key=lambda each: each.number)
        if at == len(behind):
            continue
        cancel = behind[at]
        before = [each for each in operation.responses if each.number < cancel.number]
        after = len(operation.responses) - len(before)
        heeded = operation.status == 0xFE00
        if operation.status is None:
            how = "No final response came."
        elif heeded:
            how = f"The final response is FE00H, {seconds(_last(operation) - cancel.time)} later."
        else:
            how = f"The final response is {operation.status:04X}H, as if nothing had been said."
        many = not heeded and operation.status == 0 and after > 1
        yield finding(
            "query-cancelled",
            f"{title(association, cancel.sender)} cancelled its query after "
            f"{count(len(before), 'answer')}",
            f"{count(max(0, after - 1), 'more answer')} came after the C-CANCEL-RQ "
            f"(entry {cancel.number}). {how}",
            f"On {title(association, cancel.sender)}: it asks for more than it shows; narrow the "
            "query, or raise the number of answers it takes."
            if not many
            else f"On {call(association, _other(cancel))}: it does not look for C-CANCEL while it "
            "answers.",
            one.request,
            cancel,
            *operation.responses[-1:],
            severity="warning" if many else "note",
        )


def _last(operation: Operation) -> int:
    return operation.responses[-1].time


# ---------------------------------------------------------------------------- answers


def _grouped(
    found: Iterable[tuple[tuple[Path, ...], Answer]],
) -> Iterator[tuple[tuple[Path, ...], list[Answer]]]:
    groups: dict[tuple[Path, ...], list[Answer]] = {}
    for paths, answer in found:
        if paths:
            groups.setdefault(paths, []).append(answer)
    yield from groups.items()


@rule(
    "query-key-ignored",
    "warning",
    "query",
    "Answers do not match what was asked: a key that narrows the query has another value in them. "
    "A note where the key is optional, so that a server need not match by it.",
    "PS3.4 C.2.2.2",
    when=QUERIES,
)
def key_ignored(view: View) -> Iterator[Finding]:
    """Values that contradict the question."""
    association = view.association
    for one in asked(view):
        free = {path for path in one.matching if optional(one.operation.sop_class, one.level, path)}
        yield from _not_matched_by(association, one, free)
        for paths, answers in _grouped(
            (tuple(path for path in each.contradicts if path not in free), each)
            for each in one.answers
        ):
            server = association.acceptor
            yield finding(
                "query-key-ignored",
                f"{server.ae_title or server.address} answers with entries that were not asked for",
                f"{of(len(answers), len(one.answers), 'answer').capitalize()} "
                f"({places(each.entry for each in answers)}): {keys(paths)} has another value than "
                f"the question (entry {one.request.number}).",
                f"On {call(association, 'acceptor')}: it has to match this key, or the device "
                "shows entries that are not its own.",
                one.request,
                *(each.entry for each in answers),
            )


def _not_matched_by(association: Association, one: Asked, free: set[Path]) -> Iterator[Finding]:
    """Optional keys that a server does not match by, which it need not."""
    found: dict[Path, list[Answer]] = {}
    for answer in one.answers:
        for path in answer.contradicts:
            if path in free:
                found.setdefault(path, []).append(answer)
    if not found:
        return
    server, mine = title(association, "acceptor"), title(association, "requestor")
    answers = {each.entry.number: each.entry for some in found.values() for each in some}
    yield finding(
        "query-key-ignored",
        f"{server} does not match by {count(len(found), 'optional key')}",
        f"{upper(of(len(answers), len(one.answers), 'answer'))} "
        f"({places(answers[number] for number in sorted(answers))}): {keys(found)} has another "
        f"value than the question (entry {one.request.number}). A server may ignore "
        f"{'them' if len(found) > 1 else 'it'}.",
        f"On {mine}: pick out the answers that are meant, or narrow the query by keys that every "
        f"server matches. On {call(association, 'acceptor')}: its conformance statement tells by "
        "which keys it matches.",
        one.request,
        *(answers[number] for number in sorted(answers)),
        severity="note",
        reference="PS3.4 C.2.2.1.3",
    )


@rule(
    "query-key-not-answered",
    "note",
    "query",
    "Answers lack keys that were asked for: the server does not support them, or has no such "
    "attribute.",
    "PS3.4 C.2.2.1.3",
    when=QUERIES,
)
def not_answered(view: View) -> Iterator[Finding]:
    """Keys of the question that are in no answer."""
    association = view.association
    for one in asked(view):
        if not one.answers:
            continue
        alike = {id(each.keys): each.keys for each in one.answers}
        held = {path for keys_held in alike.values() for path in keys_held}
        inside = {path[:-1] for path in held}
        told = _told_elsewhere(view, one)
        missing = [
            path
            for path in one.wanted
            if path not in held
            and path not in told
            and path[-1] not in UNASKED
            and (len(path) == 1 or path[:-1] in inside)
        ]
        if missing:
            yield finding(
                "query-key-not-answered",
                f"{title(association, 'acceptor')} leaves out {count(len(missing), 'key')} that "
                "were asked for"
                if len(missing) > 1
                else f"{title(association, 'acceptor')} leaves out a key that was asked for",
                f"{of(len(one.answers), len(one.answers), 'answer').capitalize()} to entry "
                f"{one.request.number} {'lack' if len(one.answers) > 1 else 'lacks'} "
                f"{keys(missing)}.",
                f"If {title(association, 'requestor')} needs "
                f"{'them' if len(missing) > 1 else 'it'}: the conformance statement of "
                f"{call(association, 'acceptor')} tells which keys it supports.",
                one.request,
                *(each.entry for each in one.answers),
            )


@rule(
    "query-key-not-asked",
    "note",
    "query",
    "Answers hold keys that nobody asked for.",
    "PS3.4 C.4.1.1.3.2",
    when=QUERIES,
)
def not_asked(view: View) -> Iterator[Finding]:
    """Keys of answers that are not in the question."""
    association = view.association
    for one in asked(view):
        outer = {above for path in one.wanted for above in _above(path)}
        extra: dict[Path, list[Answer]] = {}
        stand = strays(view)[one.request.number].stand if one.worklist else set()
        # Keys of which none was told are not told of another answer that has the same ones.
        silent: set[int] = set()
        for answer in one.answers:
            if id(answer.keys) in silent:
                continue
            told = False
            for path in answer.keys:
                if (
                    path not in one.wanted
                    and path[-1] not in UNASKED
                    # What stands at the wrong level is told by a rule of its own.
                    and path not in stand
                    # Below a sequence of which everything was asked for, or told already.
                    and not any(
                        above in extra
                        or above in stand
                        or (above in one.wanted and above not in outer)
                        for above in _above(path)
                    )
                ):
                    extra.setdefault(path, []).append(answer)
                    told = True
            if not told:
                silent.add(id(answer.keys))
        if extra:
            answers = list({id(each): each for some in extra.values() for each in some}.values())
            yield finding(
                "query-key-not-asked",
                f"{title(association, 'acceptor')} answers with keys that nobody asked for",
                f"{of(len(answers), len(one.answers), 'answer').capitalize()} to entry "
                f"{one.request.number}: {keys(extra)}.",
                f"Harmless to most. If {title(association, 'requestor')} chokes on the answers, "
                f"have {call(association, 'acceptor')} leave them out.",
                one.request,
                *(each.entry for each in answers),
            )


def _above(path: Path) -> Iterator[Path]:
    """The sequences that a key stands in."""
    for length in range(1, len(path)):
        yield path[:length]


def _told_elsewhere(view: View, one: Asked) -> set[Path]:
    """Keys of a worklist that rules of their own speak of where they are missing."""
    if not one.worklist:
        return set()
    found = strays(view)[one.request.number]
    required: set[Path] = {(tag,) for tag, kind in WORKLIST.items() if kind in ("1", "2")}
    required |= {(STEP_SEQUENCE, tag) for tag, kind in STEP.items() if kind in ("1", "2")}
    asked_astray = {(*place, tag) for place, tags in found.question.items() for tag in tags}
    return required | asked_astray | found.homes
