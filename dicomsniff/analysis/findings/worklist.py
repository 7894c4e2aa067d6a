"""The modality worklist: whether what a device needs stands where it looks for it."""

from __future__ import annotations

from collections.abc import Iterator

from dicomsniff.analysis.findings import (
    QUERIES,
    View,
    finding,
    rule,
)
from dicomsniff.analysis.findings.asked import Answer, Asked, asked
from dicomsniff.analysis.findings.keys import EITHER, STEP, STEP_ONLY, STEP_SEQUENCE, WORKLIST
from dicomsniff.analysis.findings.nesting import Place, strays
from dicomsniff.analysis.findings.telling import Path, call, key, keys, of, places, title, upper
from dicomsniff.analysis.findings.words import NAMED, count, listed
from dicomsniff.model import Association, Entry, Finding

_TABLE = "PS3.4 K.6.1.2.2, table K.6-1"


@rule(
    "worklist-key-wrong-level",
    "error",
    "worklist",
    "Keys of the scheduled procedure step stand at the top level, or below another sequence, "
    "instead of inside an item of Scheduled Procedure Step Sequence (0040,0100); or keys of the "
    "patient or the order inside of it; in a question or in answers. A warning where they stand in "
    "both places.",
    _TABLE,
    when=QUERIES,
)
def wrong_level(view: View) -> Iterator[Finding]:
    """Keys outside of where a server or a device looks for them."""
    for one in asked(view):
        if not one.worklist:
            continue
        found = strays(view)[one.request.number]
        for place, tags in found.question.items():
            yield _asks_wrong(view.association, one, place, sorted(tags))
        asked_so = any(not place for place in found.question)
        for (place, astray), answers in found.answers.items():
            if place:
                yield _answers_elsewhere(view.association, one, place, list(astray), answers)
            else:
                yield _answers_on_top(view.association, one, list(astray), answers, asked_so)


def _asks_wrong(association: Association, one: Asked, place: Place, tags: list[int]) -> Finding:
    """A question whose keys a server does not look for where they stand."""
    mine = title(association, "requestor")
    them = "them" if len(tags) > 1 else "it"
    has = "have" if len(tags) > 1 else "has"
    ignored = (
        "then it answers with everybody's entries, or with none"
        if one.matches((*place, tag) for tag in tags)
        else f"then {mine} gets no value for {them}"
    )
    return finding(
        "worklist-key-wrong-level",
        f"{mine} asks for {_names(tags)} at the wrong level",
        f"The question (entry {one.request.number}) holds {keys(tags)} {_at(place)}. A worklist "
        f"server looks for {them} {_home(tags)} and may ignore {them} here: {ignored}.",
        f"Call the vendor of the device {call(association, 'requestor')}: in its C-FIND request "
        f"for Modality Worklist, {keys(tags)} {has} to move {_into(tags)} ({_TABLE}).",
        one.request,
    )


def _at(place: Place) -> str:
    """Where keys stand."""
    if not place:
        return "at the top level"
    return "inside " + " in ".join(key(tag) for tag in reversed(place))


def _home(tags: list[int]) -> str:
    """Where keys belong."""
    if tags[0] in STEP_ONLY:
        return f"inside the one item of {key(STEP_SEQUENCE)}"
    return "at the top level"


def _into(tags: list[int]) -> str:
    if tags[0] in STEP_ONLY:
        return f"into an item of {key(STEP_SEQUENCE)}"
    return "to the top level"


def _answers_elsewhere(
    association: Association, one: Asked, place: Place, tags: list[int], answers: list[Answer]
) -> Finding:
    """Answers with keys inside of a sequence that they do not belong into."""
    server, mine = title(association, "acceptor"), title(association, "requestor")
    steps = tags[0] in STEP_ONLY
    right = "inside Scheduled Procedure Step Sequence itself" if steps else "at the top level"
    them, they, belong = (
        ("them", "they", "they belong") if len(tags) > 1 else ("it", "it", "it belongs")
    )
    return finding(
        "worklist-key-wrong-level",
        f"{server} puts {_names(tags)} inside {_short(place)} instead of {right}",
        f"{upper(of(len(answers), len(one.answers), 'answer'))} to entry {one.request.number} "
        f"({places(answer.entry for answer in answers)}): {keys(tags)} {_at(place)}; {right}, "
        f"where {belong}, {they} {'are' if len(tags) > 1 else 'is'} missing or empty. {mine} looks "
        f"for {them} there and takes {them} for missing: its worklist stays empty, or the entries "
        "are dropped.",
        f"Call the vendor of the worklist server (RIS or broker) {call(association, 'acceptor')} "
        "and read to them: "
        f'"Your C-FIND responses for Modality Worklist hold {keys(tags)} {_at(place)}. Please move '
        f'{them} {_into(tags)}. The standard says so in {_TABLE}."',
        one.request,
        *(answer.entry for answer in answers),
    )


def _short(place: Place) -> str:
    return key(place[-1]).rsplit(" (", 1)[0]


def _answers_on_top(
    association: Association, one: Asked, tags: list[int], answers: list[Answer], asked_so: bool
) -> Finding:
    """Answers with keys of the step at the top level."""
    both = [
        tag
        for tag in tags
        if all(answer.keys.get((STEP_SEQUENCE, tag), False) for answer in answers)
    ]
    server, mine = title(association, "acceptor"), title(association, "requestor")
    moved = [tag for tag in tags if tag not in both]
    many = len(tags) > 1
    them, they, belong = ("them", "they", "they belong") if many else ("it", "it", "it belongs")
    where = "inside of it as well" if not moved else _state(answers, them)
    there = f"{key(STEP_SEQUENCE)}, where {belong}, {where}"
    return finding(
        "worklist-key-wrong-level",
        f"{server} puts {_names(tags)} at the top level instead of inside Scheduled Procedure "
        "Step Sequence",
        f"{upper(of(len(answers), len(one.answers), 'answer'))} to entry {one.request.number} "
        f"({places(answer.entry for answer in answers)}): {keys(tags)} at the top level; "
        + (f"{they} {'stand' if many else 'stands'} in {there}. " if not moved else f"{there}. ")
        + (
            f"{mine} looks for {them} inside the sequence and takes {them} for missing: its "
            "worklist stays empty, or the entries are dropped."
            if moved
            else f"{mine} should find {them}; some devices stumble over the "
            f"{'copies' if many else 'copy'}."
        )
        + (f" {mine} also asks for keys at this level." if asked_so else ""),
        "Call the vendor of the worklist server (RIS or broker) "
        f"{call(association, 'acceptor')} and read to them: "
        '"Your C-FIND responses for Modality Worklist hold '
        f"{keys(tags)} directly in the data set. "
        f"{'Each of these belongs' if many else 'It belongs'} inside an item of "
        f"{key(STEP_SEQUENCE)}; please send that sequence with one item in every response, and "
        f'{_names(tags)} in it. The standard says so in {_TABLE}."',
        one.request,
        *(answer.entry for answer in answers),
        severity="error" if moved else "warning",
    )


def _names(tags: list[int]) -> str:
    return listed(key(tag).rsplit(" (", 1)[0] for tag in tags)


def _state(answers: list[Answer], them: str) -> str:
    """How the sequence is in these answers."""
    counts = {answer.steps for answer in answers}
    if counts == {0}:
        return "comes back empty: without any item"
    if counts == {None}:
        return "is missing altogether"
    if counts <= {0, None}:
        return "is missing, or without any item"
    return f"does not hold {them}"


@rule(
    "worklist-step-sequence",
    "error",
    "worklist",
    "Scheduled Procedure Step Sequence (0040,0100) is missing from answers or has no item; or has "
    "several where one is expected (a warning). In a question it has other than one item.",
    _TABLE,
    when=QUERIES,
)
def step_sequence(view: View) -> Iterator[Finding]:
    """The number of steps in questions and answers."""
    association = view.association
    for one in asked(view):
        if not one.worklist:
            continue
        sequence = one.identifier.get(STEP_SEQUENCE)
        if sequence is not None and len(sequence.items) > 1:
            yield finding(
                "worklist-step-sequence",
                f"{title(association, 'requestor')} asks with "
                f"{count(len(sequence.items), 'item')} in Scheduled Procedure Step Sequence",
                f"Entry {one.request.number}: sequence matching takes one item, and a server reads "
                "the first at best.",
                f"On {call(association, 'requestor')}: ask with one item, or ask several times.",
                one.request,
                reference="PS3.4 C.2.2.2.6",
            )
        if sequence is None:
            continue  # it was not asked for
        outside = any((tag,) in answer.keys for tag in STEP_ONLY for answer in one.answers)
        lacking = [answer for answer in one.answers if not answer.steps]
        if lacking and not outside:
            what = "is missing" if all(each.steps is None for each in lacking) else "has no item"
            yield finding(
                "worklist-step-sequence",
                f"{title(association, 'acceptor')} answers without a scheduled procedure step",
                f"In {of(len(lacking), len(one.answers), 'answer')} to entry {one.request.number} "
                f"({places(each.entry for each in lacking)}) {key(STEP_SEQUENCE)} {what}. Without "
                "it an entry has neither modality nor date, and devices drop it.",
                f"Call the vendor of the worklist server {call(association, 'acceptor')}: every "
                f"response needs {key(STEP_SEQUENCE)} with one item ({_TABLE}).",
                one.request,
                *(each.entry for each in lacking),
            )
        several = [answer for answer in one.answers if (answer.steps or 0) > 1]
        if several:
            most = max(answer.steps or 0 for answer in several)
            yield finding(
                "worklist-step-sequence",
                f"{title(association, 'acceptor')} puts several steps into one answer",
                f"In {of(len(several), len(one.answers), 'answer')} to entry {one.request.number} "
                f"({places(each.entry for each in several)}) {key(STEP_SEQUENCE)} has up to {most} "
                "items. An entry of the worklist is one step; most devices show the first item, "
                "and the others never turn up.",
                f"On {call(association, 'acceptor')}: one response for each scheduled procedure "
                "step.",
                one.request,
                *(each.entry for each in several),
                severity="warning",
            )


@rule(
    "worklist-empty-required-key",
    "error",
    "worklist",
    "A device asked for a key that has to come back with a value (return key type 1), and it came "
    "back empty or not at all; or one that has to come back at all (type 2) is missing (a "
    "warning), or a description and its code are both without a value (type 1C, a warning).",
    _TABLE,
    when=QUERIES,
)
def empty_required_key(view: View) -> Iterator[Finding]:
    """Return keys of types 1 and 2."""
    association = view.association
    for one in asked(view):
        if not one.worklist or not one.answers:
            continue
        empty: dict[Path, list[Answer]] = {}
        absent: dict[Path, list[Answer]] = {}
        astray = strays(view)[one.request.number].homes
        for answer in one.answers:
            first, second = _lacking(one, answer, astray)
            for path in first:
                empty.setdefault(path, []).append(answer)
            for path in second:
                absent.setdefault(path, []).append(answer)
        server, mine = title(association, "acceptor"), title(association, "requestor")
        yield from _neither(association, one)
        if empty:
            yield finding(
                "worklist-empty-required-key",
                f"{server} leaves required keys without a value: {_names([p[-1] for p in empty])}",
                f"{_told(one, empty)} {mine} asked for {'them' if len(empty) > 1 else 'it'}, and "
                "return key type 1 means that there is a value.",
                f"Call the vendor of the worklist server {call(association, 'acceptor')}: "
                f"{keys(empty)} must have a value in every response ({_TABLE}). Where the order "
                "has none, whoever enters it there (RIS, order entry) has to.",
                one.request,
                *_entries(empty),
            )
        if absent:
            yield finding(
                "worklist-empty-required-key",
                f"{server} leaves out {_names([path[-1] for path in absent])}",
                f"{_told(one, absent)} {mine} asked for {'them' if len(absent) > 1 else 'it'}. "
                "Return key type 2 may be empty, but has to be there.",
                f"On {call(association, 'acceptor')}: send what is not known with length zero.",
                one.request,
                *_entries(absent),
                severity="warning",
            )


def _neither(association: Association, one: Asked) -> Iterator[Finding]:
    """Descriptions and codes of type 1C where both were asked for and none has a value."""
    for pair in EITHER:
        if any(path not in one.wanted for path in pair):
            continue
        bare = [
            answer
            for answer in one.answers
            if not any(answer.keys.get(path, False) for path in pair)
            and (len(pair[0]) == 1 or answer.steps)
        ]
        if bare:
            yield finding(
                "worklist-empty-required-key",
                f"{title(association, 'acceptor')} does not say what is to be done: neither "
                f"{' nor '.join(_names([path[-1]]) for path in pair)}",
                f"In {of(len(bare), len(one.answers), 'answer')} to entry {one.request.number} "
                f"({places(answer.entry for answer in bare)}) {keys(pair)} are without a value. "
                f"{title(association, 'requestor')} asked for both, and one has to have a value "
                "(return key type 1C).",
                f"Call the vendor of the worklist server {call(association, 'acceptor')}: one of "
                f"the two has to be in every response ({_TABLE}).",
                one.request,
                *(answer.entry for answer in bare),
                severity="warning",
            )


def _told(one: Asked, found: dict[Path, list[Answer]]) -> str:
    """The keys with the answers to entry so and so that are without, those alike together."""
    alike: dict[tuple[tuple[int, ...], bool], list[Path]] = {}
    for path, answers in found.items():
        missing = all(path not in answer.keys for answer in answers)
        numbers = tuple(answer.entry.number for answer in answers)
        alike.setdefault((numbers, missing), []).append(path)
    told = []
    for (numbers, missing), paths in list(alike.items())[:NAMED]:
        answers = found[paths[0]]
        where = of(len(numbers), len(one.answers), "answer")
        some = "" if len(numbers) == len(one.answers) else f" ({places(a.entry for a in answers)})"
        what = "missing" if missing else "empty"
        told.append(f"{keys(paths)} {'are' if len(paths) > 1 else 'is'} {what} in {where}{some}")
    more = len(alike) - len(told)
    return f"Entry {one.request.number}: {'; '.join(told)}{f'; and {more} more' if more else ''}."


def _entries(found: dict[Path, list[Answer]]) -> list[Entry]:
    by_number = {each.entry.number: each.entry for some in found.values() for each in some}
    return [by_number[number] for number in sorted(by_number)]


def _lacking(
    one: Asked, answer: Answer, astray: set[Path]
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Keys of type 1 without a value, and of type 2 that are missing, of those asked for. Those
    that went astray are told by their level."""
    empty: list[Path] = []
    absent: list[Path] = []
    for path in one.wanted:
        if path in astray and not answer.keys.get(path, False):
            continue
        if len(path) == 1:
            kind = WORKLIST.get(path[0]) if path[0] != STEP_SEQUENCE else None
        elif len(path) == 2 and path[0] == STEP_SEQUENCE and answer.steps:
            kind = STEP.get(path[1])
        else:
            continue
        if kind == "1" and not answer.keys.get(path, False):
            empty.append(path)
        elif kind == "2" and path not in answer.keys:
            absent.append(path)
    return tuple(empty), tuple(absent)
