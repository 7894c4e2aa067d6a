"""The reference page of the filter, made from the table of words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dicomsniff.analysis.where import syntax
from dicomsniff.analysis.where.words import GROUPS, WORDS, Word

EXAMPLES: Final = (
    (
        "called = MOZI and service = C-FIND and status != Success",
        "queries to MOZI that did not end well",
    ),
    ("outcome in (aborted, rejected, lost)", "associations that were not released"),
    ("PatientID = 123", "messages about one patient"),
    ("PatientID = 123 and status = A7xx", "requests about this patient that ran out of resources"),
    ("service = C-FIND and took > 2s", "slow queries"),
    ("duration > 2s", "long associations"),
    ("frame = 630", "the row that Wireshark's frame 630 belongs to"),
    ("time between 14:02 and 14:05", "what was said in those minutes, 14:05:59 included"),
    ("ScheduledProcedureStepSequence.Modality = CT", "worklist queries and answers for CT"),
    ("*.Modality = CT", "the same attribute at any depth"),
    ("service = C-STORE and request and AccessionNumber empty", "objects without accession number"),
    ("service = C-STORE and request and not has AccessionNumber", "objects without even the tag"),
    ('PatientName matches "*wang*xiao*"', "names by pattern"),
    ("MoveDestination = STORAGE", "C-MOVEs to STORAGE"),
    ("NumberOfFailedSuboperations > 0", "retrieves that lost images"),
    ("any service = C-MOVE and none failed", "associations with a C-MOVE and without a failure"),
    ("requestor = 10.1.0.0/16 and has refused", "who in this network asked for what is not spoken"),
    ("unanswered and outcome != open", "requests that never got their answer"),
    ("(0009,1010) exists", "a private element"),
)
"""Filters with what they are for; a test compiles each."""

_HEAD: Final = """\
# The filter

`--where` of the commands and `/` on the screen take the same language. It speaks of associations
and of the rows of their timelines, in the words of DICOM.

```
called = MOZI and service = C-FIND and status != Success
```

| filter | finds |
|---|---|
"""

_SEMANTICS: Final = """\
## What matches

**A row** matches when the whole filter holds for it. What is said of the association (`called`,
`outcome`, `duration`…) is the same for all of its rows.

**An association** matches when any of its rows does: all parts of the filter have to hold for one
and the same row. `service = C-FIND and status = A700` does not match an association in which a
C-FIND succeeded and a C-STORE ran out of resources. A filter that speaks of the association alone
asks no row.

To ask about different rows at once, or about all of them, there are `any` and `none`: `any service
= C-MOVE and none failed` holds for an association in which some row is of a C-MOVE and no row has
failed. Both speak of the association, so in the timeline all of its rows match. `not failed` asks
something else: whether there is a row that has not failed.

**A request knows how its operation ended.** `status` (and `failed`, `warned`) of a request is
that of the final response, `took`, `latency`, `responses` and `cancelled` are those of the
operation for request and responses alike, and a response that leaves out its SOP class or
instance has that of its request. Everything else is a row's own. So `PatientID = 123 and status =
A700` finds the request whose data set names the patient and whose answer was A700; `service =
C-FIND and status != Success` finds the response that says so, and the request that got it. Until
the answer is there, a request has no status.

**What is not there does not match.** A row without status, an A-RELEASE for instance, matches
neither `status = Success` nor `status != Success`; the same holds for `!~`, `not in`, `not
between` and `not matches`. `not status = Success` matches it, since `not` turns round whatever
the rest says.

**Pending says nothing yet.** A pending response matches `status = Pending` or its code, and no
negation: `status != Success` does not find the eight pending answers of a query that succeeded.

**Several values.** A word may have several (`ae`, `port`, an attribute with more than one value,
one in several items): `=` and the like hold where one of them does, the negations where none does.

**Attributes.** A keyword or a tag alone stands for the outermost level of a data set or for the
command set; `Sequence.Attribute` for that of any of its items, `*.Attribute` for any depth. An
attribute that is there and empty has the empty value: `PatientID = ""`, `PatientID empty`, and
also `PatientID != 123`. `has PatientID` (or `PatientID exists`) asks whether it is there at all.
What was measured and not kept, such as pixel data, has no value, but is there. Data sets are
decoded only where the filter asks for an attribute.

## Comparing

- Words, keywords and the names of outcomes, services, kinds and categories may be written in any
  case. Other text is compared as it stands, without spaces around it: AE titles, IDs, names.
- `~` finds a part of the text, `matches` the whole text with `*` for any characters and `?` for
  one, as in a query (PS3.4 C.2.2.2.4). Neither minds case. There are no regular expressions.
- A value with spaces, or with any of `"'(),=!<>~&|`, needs quotes: `"CT Image Storage"`,
  `'O\\'Neil'`. So does `and`, `or` or `not` as a value. `\\"` and `\\\\` stand for themselves
  inside quotes.
- A status is a category (`Success`, `Pending`, `Cancel`, `Warning`, `Failure`), a code, always
  hexadecimal (`A700`, `0xA700`, `A700H`), a range of codes (`A7xx`) or a meaning in quotes. `<`
  and its like compare codes.
- A UID may be given by its name or its keyword. `~` and `matches` look at UID, name and keyword.
- A time or a date stands for all it covers: `time = 14:02` is that minute, `>` is after it, `<=`
  up to its end. Times are those of the place where this computer is, as the screen shows them,
  unless they have a zone (`2026-01-05T14:02:11Z`).
- A person name is equal to the whole value or to one of its groups (alphabetic, ideographic,
  phonetic).
- Numbers of a data set are compared as numbers, whether they are sent as text (IS, DS) or not.
"""


def reference() -> str:
    """The page, in Markdown."""
    return "".join(_lines())


def _lines() -> Iterator[str]:
    yield _HEAD
    for text, meaning in EXAMPLES:
        yield f"| `{text}` | {meaning} |\n"
    yield "\n"
    yield _SEMANTICS
    yield "\n## Words\n\nWhat is said of a **row** is marked; the rest speaks of the association.\n"
    for group in GROUPS:
        yield f"\n### {group}\n\n| word | | value | meaning | example |\n|---|---|---|---|---|\n"
        for word in WORDS:
            if word.group == group:
                yield _row(word)
    yield "\n### Attributes\n\n"
    yield (
        "Every attribute of PS3.6, and of command sets (PS3.7 annex E), by keyword (`PatientID`), "
        "tag (`(0010,0020)`,\n`00100020`) or path (`Sequence.Attribute`, `*.Attribute`). Where a "
        "keyword is a word of the table too\n(`Status`, `Time`), the word counts; the tag is the "
        "way to the attribute.\n"
    )
    yield "\n## Values and operators\n\n| value | is | operators |\n|---|---|---|\n"
    for name, (hint, operators) in sorted(_types().items()):
        yield f"| {name} | {hint} | {operators} |\n"
    yield (
        "\n`exists` and `empty` may stand behind every word that is not yes or no, `has` before "
        "it.\n\n## Grammar\n\n```\n"
    )
    yield _grammar()
    yield (
        f"```\n\n`not` binds closest, then `and`, then `or`. `==`, `<>`, `&&`, `||` and `!` are "
        f"understood too.\nParentheses and negations may be nested {syntax.MAX_DEPTH} deep.\n"
    )


def _row(word: Word) -> str:
    names = ", ".join(f"`{name}`" for name in (word.name, *word.aliases))
    example = f"`{word.example}`" if word.example else ""
    mark = "row" if word.scope == "entry" else ""
    return f"| {names} | {mark} | {word.type.name} | {word.help} | {example} |\n"


def _types() -> dict[str, tuple[str, str]]:
    """What a value of each type looks like, and the operators it takes."""
    from dicomsniff.analysis.where.attributes import TYPES

    hints: dict[str, list[str]] = {}
    operators: dict[str, str] = {}
    for kind in [word.type for word in WORDS] + list(TYPES.values()):
        if kind.name in ("choice", "scale"):
            hint = "one of the values that the word has"
        else:
            hint = kind.hint if kind.operators else "no value to compare"
        known = hints.setdefault(kind.name, [])
        if hint not in known:
            known.append(hint)
        operators[kind.name] = " ".join(f"`{operator}`" for operator in kind.operators)
    return {name: ("; ".join(known), operators[name]) for name, known in hints.items()}


def _grammar() -> str:
    lines = (syntax.__doc__ or "").split("::\n\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return "".join(line.removeprefix("    ") + "\n" for line in lines)
