"""What may stand at the cursor: words, operators, values, keywords of the data dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

from dicomsniff.analysis.where.attributes import describe, keywords
from dicomsniff.analysis.where.dicom_values import Uid, uid_keywords, uid_names
from dicomsniff.analysis.where.evaluate import lookup
from dicomsniff.analysis.where.row import DataSets, Joined, Row
from dicomsniff.analysis.where.syntax import LISTS, Parser
from dicomsniff.analysis.where.tokens import FilterError, Token, quoted, tokenize
from dicomsniff.analysis.where.values import Flag
from dicomsniff.analysis.where.words import WORDS, Word
from dicomsniff.model import Association

COMPLETIONS_KEPT: Final = 50
"""More than anybody looks through."""
KEYWORD_PREFIX: Final = 2
"""Characters before DICOM keywords are proposed: there are five thousand."""
SEEN_LOOKED_AT: Final = 1000
"""Associations whose values are proposed; a list shorter than that holds every AE title of most
sites, and looking is done at every key press."""

_OPERATORS: Final = {
    "=": "is",
    "!=": "is not (and has a value)",
    "<": "is less than",
    "<=": "is at most",
    ">": "is more than",
    ">=": "is at least",
    "~": "contains, whatever the case",
    "!~": "does not contain (and has a value)",
    "in": "is one of: in (a, b)",
    "between": "is between two values, both included: between a and b",
    "matches": "fits a pattern with * and ?",
}
_GRAMMAR: Final = {
    "not": "what does not hold",
    "has": "has a value, or the attribute",
    "any": "any row of the association",
    "none": "no row of the association",
    "(": "several together",
}


class Completion(NamedTuple):
    """A proposal: ``text`` takes the place of the characters ``start`` to ``end``."""

    text: str
    start: int
    end: int
    kind: Literal["word", "attribute", "operator", "value", "grammar"]
    help: str


_Candidate = tuple[str, Literal["word", "attribute", "operator", "value", "grammar"], str]


def complete(text: str, cursor: int, seen: Iterable[Association] = ()) -> list[Completion]:
    """What may stand at the cursor, the likeliest first; empty where nothing is known.

    ``seen`` are associations whose AE titles, addresses and the like are proposed as values.
    Never raises.
    """
    cursor = min(max(cursor, 0), len(text))
    found = _partial(text, cursor)
    if found is None:
        return []
    before, start, prefix = found
    parser = Parser(before)
    try:
        parser.parse()
    except FilterError as error:
        if error.position < start:
            return []
    except RecursionError:
        return []
    candidates = _candidates(parser, prefix, seen)
    end = cursor
    while end < len(text) and (text[end].isalnum() or text[end] in "._-:*?/"):
        end += 1
    folded = prefix.casefold()
    first: dict[str, Completion] = {}
    second: dict[str, Completion] = {}
    for candidate, kind, help_ in candidates:
        bare = candidate.strip('"').casefold()
        if bare.startswith(folded):
            first.setdefault(candidate, Completion(candidate, start, end, kind, help_))
        elif folded in bare and kind != "operator":
            second.setdefault(candidate, Completion(candidate, start, end, kind, help_))
        if len(first) >= COMPLETIONS_KEPT:
            break
    return [*first.values(), *second.values()][:COMPLETIONS_KEPT]


def _partial(text: str, cursor: int) -> tuple[list[Token], int, str] | None:
    """The tokens before what is being written, where that begins, and what there is of it."""
    head = text[:cursor]
    try:
        tokens = tokenize(head)
    except FilterError as error:
        at = error.position
        if at < len(head) and head[at] in "\"'":
            try:
                return tokenize(head[:at]), at, head[at + 1 :]
            except FilterError:
                return None
        return None
    end = tokens.pop()
    if tokens and tokens[-1].end == cursor and tokens[-1].kind in ("word", "tag"):
        last = tokens.pop()
        return [*tokens, Token("end", "", last.start, last.start)], last.start, last.text
    if tokens and tokens[-1].end == cursor and tokens[-1].kind == "string":
        return None
    return [*tokens, end], cursor, ""


def _candidates(parser: Parser, prefix: str, seen: Iterable[Association]) -> Iterator[_Candidate]:
    expecting = parser.expecting
    what = expecting.what
    if what in ("word", "presence"):
        yield from _words(prefix, what == "presence")
        return
    if what == "list":
        yield "(", "grammar", "the values, with commas"
        return
    if what == "range":
        yield "and", "grammar", "the other end"
        return
    if what == "more":
        yield ",", "grammar", "another value"
        yield ")", "grammar", "the end of the list"
        return
    word = lookup(expecting.word) if expecting.word else None
    if what == "value":
        if word is not None:
            yield from _values(word, seen)
        return
    if what in ("test", "operator"):
        if word is None:
            return
        flag = isinstance(word.type, Flag)
        if what == "test" and not flag:
            yield from _tests(word)
            return
        if what == "operator":
            for operator in LISTS:
                if operator in word.type.operators:
                    yield operator, "operator", _OPERATORS[operator]
            return
    yield "and", "grammar", "both must hold"
    yield "or", "grammar", "one of them must hold"
    if parser.open:
        yield ")", "grammar", "closes what ( opened"


def _words(prefix: str, presence: bool) -> Iterator[_Candidate]:
    base, _, last = prefix.rpartition(".")
    for word in WORDS:
        if not (presence and isinstance(word.type, Flag)):
            yield word.name, "word", word.help
    if not presence:
        for grammar, help_ in _GRAMMAR.items():
            yield grammar, "grammar", help_
    if len(last) >= KEYWORD_PREFIX or base:
        start = f"{base}." if base else ""
        folded = last.casefold()
        fitting = [keyword for keyword in keywords() if folded in keyword.casefold()]
        # The short ones are the common ones: PatientID, PatientSex.
        for keyword in sorted(fitting, key=len):
            yield start + keyword, "attribute", describe(keyword)


def _tests(word: Word) -> Iterator[_Candidate]:
    for operator in word.type.operators:
        yield operator, "operator", _OPERATORS[operator]
    if "in" in word.type.operators:
        yield "not", "operator", "not in, not between, not matches"
    yield "exists", "operator", "has a value, or the attribute"
    yield "empty", "operator", "is there without a value"


def _values(word: Word, seen: Iterable[Association]) -> Iterator[_Candidate]:
    kind = word.type
    for choice in kind.choices:
        yield quoted(choice), "value", ""
    met: set[str] = set()
    if word.scope == "association" and not kind.choices:
        data_sets, joined = DataSets(), Joined()
        for count, association in enumerate(seen):
            if count >= SEEN_LOOKED_AT:
                break
            for value in word.get(Row(association, None, joined, data_sets)):
                if isinstance(value, (str, int)) and not isinstance(value, bool):
                    met.add(str(value))
    for text in sorted(met):
        help_ = uid_names(text)[0] if isinstance(kind, Uid) else ""
        yield quoted(text), "value", help_
    if isinstance(kind, Uid):
        for keyword in uid_keywords(kind.types):
            yield keyword, "value", ""
