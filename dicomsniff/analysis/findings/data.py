"""Data sets as such: character sets, values, VRs, encoding, of queries, worklists and objects.

The decoder notes at each element what is not right with it. Here this is put together by who sent
it, so that one fault of one side is one finding. Of what was not captured whole, or whose encoding
is a guess, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from dicomsniff.analysis.findings import Known, View, finding, rule
from dicomsniff.analysis.findings.asked import whole
from dicomsniff.analysis.findings.keys import NO_WILDCARD, SPECIFIC_CHARACTER_SET, WORKLIST_FIND
from dicomsniff.analysis.findings.telling import Path, call, key, of, places, title, upper
from dicomsniff.analysis.findings.words import NAMED, OTHER, count, listed, named
from dicomsniff.dicom.elements import DataSet, Element
from dicomsniff.model import Association, Entry, Finding, Message, Severity, Side

OBJECTS_READ: Final = 32
"""Stored objects of one association that are decoded: they are alike, and there are thousands."""

SETS_READ: Final = 4_000
"""Other data sets of one association that are decoded."""

Kind = Literal["question", "answer", "object", "attributes"]
"""What a data set is: the identifier of a request or of a response, what is stored, what an N-
service carries."""

_THINGS: Final[dict[Kind, str]] = {
    "question": "request",
    "answer": "answer",
    "object": "object",
    "attributes": "data set",
}

_UNDECODABLE: Final = re.compile(
    r"not all bytes decode as|bytes that .+ has no characters for|an escape sequence |"
    r"no escape sequence before|bytes above 7F that nothing declares"
)
_UNKNOWN_SET: Final = "(0008,0005)"
FORM: Final = re.compile(r"not what (\w+) allows|characters where (\w+) allows|values where one is")
"""Notes of a value that its VR does not allow."""
_VR: Final = "the dictionary says "
_HAVE_ALL: Final = frozenset(("ISO_IR 192", "GB18030"))
"""Character sets that have every character."""
_LOST: Final = re.compile(r"[?\ufffd\x1a]{2,}")
"""What converters put in the place of what they cannot say."""


@dataclass(slots=True)
class Trouble:
    """One kind of fault in the data sets that one side sends."""

    whats: dict[tuple[Path, str], None] = field(default_factory=dict)
    """Element and what is wrong with it."""
    entries: dict[int, Entry] = field(default_factory=dict)
    labels: dict[str, None] = field(default_factory=dict)
    """Character sets that would decode it."""


@dataclass(slots=True)
class _Digest:
    """What was found in the data sets of one association."""

    troubles: dict[tuple[str, Side, Kind], Trouble] = field(default_factory=dict)
    read: dict[tuple[Side, Kind], int] = field(default_factory=dict)
    added: int = 0
    """How often something was found."""

    def add(
        self, code: str, at: tuple[Side, Kind, Entry], path: Path, what: str, label: str = ""
    ) -> None:
        side, kind, entry = at
        self.added += 1
        trouble = self.troubles.setdefault((code, side, kind), Trouble())
        trouble.whats[path, what] = None
        trouble.entries[entry.number] = entry
        if label:
            trouble.labels[label] = None


def _digest(view: View) -> _Digest:
    known = view.shared.get("data")
    if isinstance(known, _Digest):
        return known
    made = _Digest()
    view.shared["data"] = made
    if view.association.encrypted and view.association.partial:
        return made
    for entry in view.association.timeline:
        message = entry.message
        if message is None or message.dataset is None or not whole(entry):
            continue
        kind = _kind(message)
        place = (entry.sender, kind)
        if made.read.get(place, 0) >= (OBJECTS_READ if kind == "object" else SETS_READ):
            continue
        made.read[place] = made.read.get(place, 0) + 1
        data = view.dataset(message)
        if data is None or data.guessed:
            continue
        key = kind, message.abstract_syntax == WORKLIST_FIND
        if _FAULTLESS.get(data, key) is None:
            before = made.added
            _look(made, (entry.sender, kind, entry), data)
            if made.added == before:
                _FAULTLESS.put(data, key, True)
    return made


_FAULTLESS: Known[bool] = Known()
"""Data sets of which there is nothing to tell."""


def _kind(message: Message) -> Kind:
    if message.service == "C-STORE":
        return "object"
    if message.service.startswith("C-"):
        return "question" if message.is_request else "answer"
    return "attributes"


def _troubled(view: View) -> bool:
    return bool(_digest(view).troubles)


def _look(made: _Digest, at: tuple[Side, Kind, Entry], data: DataSet) -> None:
    """Sort what the decoder noted."""
    for note in data.notes:
        if note.startswith("negotiated as") or "Part 10" in note or "file meta" in note:
            made.add("data-not-as-negotiated", at, (), note)
    for fault in data.faults:
        made.add("data-encoding-fault", at, (), fault.text)
    message = at[2].message
    worklist = (
        at[1] == "answer" and message is not None and message.abstract_syntax == WORKLIST_FIND
    )
    for numbered, element in data.walk():
        path = tuple(numbered[::2])
        if element.charset is not None:
            made.add("charset-undeclared", at, path, "", element.charset)
        for fault in element.faults:
            made.add("data-encoding-fault", at, path, fault.text)
        for item in element.items:
            for fault in item.faults:
                made.add("data-encoding-fault", at, path, f"an item: {fault.text}")
        for note in element.notes:
            _note(made, at, path, note, element)
        if worklist and not element.faults:
            _encoding(made, at, path, element)
        if at[1] == "question" and element.vr in NO_WILDCARD:
            if any("*" in str(each) or "?" in str(each) for each in element.values):
                made.add("data-value", at, path, f"a wildcard, which {element.vr} does not have")
        elif element.vr == "DA":
            _date(made, at, path, element)
        elif element.vr == "PN" and element.values:
            _name(made, at, path, element)


def _note(
    made: _Digest, at: tuple[Side, Kind, Entry], path: Path, note: str, element: Element
) -> None:
    if note.startswith("bytes above 7F, and"):
        made.add("charset-undeclared", at, path, "")
    elif _UNDECODABLE.match(note) and element.charset is None:
        would = [each.split(" ", 1) for each in element.notes if each.endswith("would decode it")]
        label = element.notes[-1].removesuffix(" would decode it") if would else ""
        made.add("charset-contradicted", at, path, note, label)
    elif note.startswith("looks like "):
        made.add("charset-doubtful", at, path, "", note.removeprefix("looks like "))
    elif note.startswith(_UNKNOWN_SET):
        what = note.split(") ", 1)[1]
        what = what.replace("does not have the defined term", "is not spelt as the defined term")
        made.add("charset-unknown", at, path, what)
    elif note.startswith(_VR):
        made.add("data-vr", at, path, f"sent as {element.vr}, {note}")
    elif FORM.search(note) and element.tag != SPECIFIC_CHARACTER_SET:
        lower = element.vr == "CS" and any(
            isinstance(each, str) and each != each.upper() for each in element.values
        )
        made.add("data-value", at, path, "in lower case, which CS is not" if lower else note)
    elif note.startswith(("UN of", "explicit VR inside", "padded with")):
        made.add("data-unusual", at, path, note)


def _encoding(made: _Digest, at: tuple[Side, Kind, Entry], path: Path, element: Element) -> None:
    """What modalities with a parser of their own are known to stumble over in a worklist."""
    if not element.tag & 0xFFFF:
        made.add("data-unusual", at, path, "a group length, which is retired")
    if element.vr != "SQ":
        return
    if element.length is None:
        made.add("data-unusual", at, path, "a sequence of undefined length")
    for item in element.items:
        if item.length is None:
            made.add("data-unusual", at, path, "an item of undefined length")
        if not item.elements:
            made.add("data-unusual", at, path, "an empty item")


def _date(made: _Digest, at: tuple[Side, Kind, Entry], path: Path, element: Element) -> None:
    for value in element.values:
        if isinstance(value, str) and len(value) == 8 and value.isdigit():
            try:
                datetime.strptime(value, "%Y%m%d")
            except ValueError:
                made.add("data-value", at, path, "a day that no calendar has")


def _name(made: _Digest, at: tuple[Side, Kind, Entry], path: Path, element: Element) -> None:
    # What does not decode is replaced by the decoder, not by the sender.
    decoded = not any(map(_UNDECODABLE.match, element.notes))
    for value in element.values:
        if not isinstance(value, str) or not value.strip():
            continue
        groups = value.split("=")
        if decoded and at[1] != "question":
            # Some devices write all delimiters of a group, also where it is empty.
            padded = groups[0].endswith("^")
            bare = any(group and not group.strip("^ ") for group in groups[1:])
            if _LOST.search(value) or (bare and not padded):
                made.add("text-lost", at, path, "")
        if len(groups) > 3:
            made.add("name-groups", at, path, f"{len(groups)} component groups where 3 are allowed")
        elif not groups[0].strip("^ ") and len(groups) > 1:
            made.add("name-groups", at, path, "no alphabetic component group")
        elif len(groups) == 1 and not value.isascii() and _ideographic(value):
            made.add("name-groups", at, path, "ideographs stand in the first component group")


def _ideographic(text: str) -> bool:
    return any("\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7a3" for char in text)


# ---------------------------------------------------------------------------- telling


def _told(trouble: Trouble) -> str:
    """The elements, each with what is wrong with it."""
    by_what: dict[str, list[Path]] = {}
    for path, what in trouble.whats:
        by_what.setdefault(what, []).append(path)
    parts = []
    for what, paths in list(by_what.items())[:NAMED]:
        elements = listed(key(path) for path in paths if path)
        if not what:
            parts.append(elements)
        else:
            parts.append(f"{elements}: {what}" if any(paths) else what)
    more = len(by_what) - len(parts)
    return "; ".join(parts) + (f"; and {more} more" if more else "")


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of trouble, to be told."""

    association: Association
    side: Side
    kind: Kind
    trouble: Trouble

    @property
    def sender(self) -> str:
        """Whoever sends it."""
        return title(self.association, self.side)

    @property
    def receiver(self) -> str:
        """Whoever suffers from it."""
        return title(self.association, OTHER[self.side])

    @property
    def whom(self) -> str:
        """Whom to call."""
        return call(self.association, self.side)

    @property
    def thing(self) -> str:
        """What one of the data sets is called."""
        return _THINGS[self.kind]


Tell = Callable[[Case], tuple[str, str, str]]
"""Makes title, detail and advice of one kind of trouble."""


def _findings(view: View, code: str, tell: Tell) -> Iterator[Finding]:
    association = view.association
    digest = _digest(view)
    for (which, side, kind), trouble in digest.troubles.items():
        if which != code:
            continue
        entries = [trouble.entries[number] for number in sorted(trouble.entries)]
        where = of(len(entries), digest.read[side, kind], _THINGS[kind])
        text, detail, advice = tell(Case(association, side, kind, trouble))
        yield finding(
            code,
            text,
            f"{upper(where)} from {title(association, side)} ({places(entries)}). {detail}",
            advice,
            *entries,
            severity=_severity(code, kind),
        )


_MILDER: Final[dict[str, Severity]] = {
    "data-value": "note",
    "data-vr": "note",
    "text-lost": "note",
    "data-encoding-fault": "warning",
    "charset-undeclared": "warning",
}


def _severity(code: str, kind: Kind) -> Severity | None:
    """Objects were made long ago, often by somebody else, and are sent as they are: what is wrong
    inside of them weighs less."""
    return _MILDER.get(code) if kind == "object" else None


# ---------------------------------------------------------------------------- character sets


@rule(
    "charset-undeclared",
    "error",
    "data",
    "Bytes above 7FH without Specific Character Set (0008,0005), or outside of the one declared: "
    "it is told which set would decode them, and who has to declare it. A warning in stored "
    "objects.",
    "PS3.5 6.1.2.3, PS3.3 C.12.1.1.2",
    when=_troubled,
)
def charset_undeclared(view: View) -> Iterator[Finding]:
    """Nobody says what the bytes mean."""

    def tell(case: Case) -> tuple[str, str, str]:
        labels = list(case.trouble.labels)
        declared = f" = {labels[0]}" if labels else ""
        return (
            f"{case.sender} sends text without declaring its character set"
            + (f"; {labels[0]} would decode it" if labels else ""),
            f"Bytes above 7FH stand in {_told(case.trouble)}, and Specific Character Set "
            "(0008,0005) is missing or does not cover them. "
            + (
                f"As {labels[0]} they decode well."
                if labels
                else "No set that is known here decodes them all."
            ),
            f"On {case.whom}: it has to declare what it sends, Specific Character "
            f"Set (0008,0005){declared}, in every {case.thing}. A default set on "
            f"{case.receiver} would only hide it, and only there.",
        )

    yield from _findings(view, "charset-undeclared", tell)


@rule(
    "charset-contradicted",
    "error",
    "data",
    "Text does not decode in the character set that Specific Character Set (0008,0005) declares.",
    "PS3.5 6.1.2.3",
    when=_troubled,
)
def charset_contradicted(view: View) -> Iterator[Finding]:
    """The bytes are not what is declared."""

    def tell(case: Case) -> tuple[str, str, str]:
        labels = list(case.trouble.labels)
        return (
            f"{case.sender} declares one character set and sends another",
            f"{_told(case.trouble)}." + (f" {labels[0]} would decode it." if labels else ""),
            f"On {case.whom}: the text has to be converted to the set that is "
            "declared"
            + (f", or {labels[0]} has to be declared" if labels else "")
            + ". Reading it as something else on the other side breaks what is sent correctly.",
        )

    yield from _findings(view, "charset-contradicted", tell)


@rule(
    "charset-doubtful",
    "warning",
    "data",
    "A Latin character set is declared, which decodes every byte, and the bytes look like another.",
    "PS3.5 6.1.2.3",
    when=_troubled,
)
def charset_doubtful(view: View) -> Iterator[Finding]:
    """It decodes, to nonsense."""

    def tell(case: Case) -> tuple[str, str, str]:
        label = next(iter(case.trouble.labels), "another set")
        return (
            f"{case.sender} declares a Latin character set for what looks like {label}",
            f"{_told(case.trouble)}: as declared the text is nonsense, as {label} it reads.",
            f"On {case.whom}: declare {label} in Specific Character Set (0008,0005).",
        )

    yield from _findings(view, "charset-doubtful", tell)


@rule(
    "charset-unknown",
    "warning",
    "data",
    "Specific Character Set (0008,0005) holds what is no defined term.",
    "PS3.3 C.12.1.1.2",
    when=_troubled,
)
def charset_unknown(view: View) -> Iterator[Finding]:
    """Not a term of the standard."""

    def tell(case: Case) -> tuple[str, str, str]:
        return (
            f"{case.sender} declares a character set by a name that is no defined term",
            f"Specific Character Set (0008,0005) {listed(what for _, what in case.trouble.whats)}.",
            f"On {case.whom}: use a defined term, spelt exactly: ISO_IR 192 for UTF-8, or GB18030.",
        )

    yield from _findings(view, "charset-unknown", tell)


@rule(
    "text-lost",
    "warning",
    "data",
    "Names hold question marks or empty component groups where characters were: whoever sends "
    "them converted them to a character set that does not have them. A note in stored objects.",
    "PS3.5 6.2.1",
    when=_troubled,
)
def text_lost(view: View) -> Iterator[Finding]:
    """Characters that a conversion threw away."""

    def tell(case: Case) -> tuple[str, str, str]:
        sets = _sets(view, case.trouble)
        wide = bool(sets) and sets <= _HAVE_ALL
        why = (
            "has every character: they were lost before they got there"
            if wide
            else "seems not to have them"
        )
        return (
            f"{case.sender} loses characters of names",
            f"{_told(case.trouble)}: delimiters or question marks stand where characters should "
            f"be. Specific Character Set (0008,0005) is {listed(sorted(sets))}, which {why}.",
            f"On {case.whom}: where do the names come from? A database, a broker or an HL7 "
            "interface on the way there converts them to a set that lacks their characters."
            if wide
            else f"On {case.whom}: set its own (default) character set to one that has "
            "every character it stores, ISO_IR 192 or GB18030; and let it answer in the set that "
            "the request declares.",
        )

    yield from _findings(view, "text-lost", tell)


def _sets(view: View, trouble: Trouble) -> set[str]:
    """Character sets declared in what is concerned."""
    found: set[str] = set()
    for entry in list(trouble.entries.values())[:NAMED]:
        data = view.dataset(entry.message) if entry.message is not None else None
        if data is not None:
            found.add("\\".join(data.character_sets) or "not there")
    return found


@rule(
    "name-groups",
    "note",
    "data",
    "Names of people lack a component group, or have too many: a device that shows one group "
    "alone shows nothing.",
    "PS3.5 6.2.1.2",
    when=_troubled,
)
def name_groups(view: View) -> Iterator[Finding]:
    """Alphabetic, ideographic, phonetic."""

    def tell(case: Case) -> tuple[str, str, str]:
        return (
            f"{case.sender} sends names without all of their component groups",
            f"{_told(case.trouble)}.",
            "Where a device shows such names wrongly or not at all: on "
            f"{case.whom}, send the alphabetic group first, and ideographs in the "
            "second, behind =.",
        )

    yield from _findings(view, "name-groups", tell)


# ---------------------------------------------------------------------------- values and encoding


@rule(
    "data-value",
    "warning",
    "data",
    "Values are not what their VR allows: too long, lower case in a code string, impossible dates, "
    "several where one is allowed. A note in stored objects.",
    "PS3.5 6.2",
    when=_troubled,
)
def value(view: View) -> Iterator[Finding]:
    """Form and length of values."""

    def tell(case: Case) -> tuple[str, str, str]:
        number = len({path for path, _ in case.trouble.whats})
        return (
            f"{case.sender} sends values that their VR does not allow",
            f"{_told(case.trouble)}.",
            f"On {case.whom}: {count(number, 'element')} to mend. Strict devices "
            f"refuse the whole {case.thing}, others cut the value.",
        )

    yield from _findings(view, "data-value", tell)


@rule(
    "data-vr",
    "warning",
    "data",
    "Elements are sent with a VR other than the dictionary's. A note in stored objects.",
    "PS3.5 7.1.2, PS3.6",
    when=_troubled,
)
def wrong_vr(view: View) -> Iterator[Finding]:
    """Explicit VR against the dictionary."""

    def tell(case: Case) -> tuple[str, str, str]:
        return (
            f"{case.sender} sends elements in a wrong VR",
            f"{_told(case.trouble)}.",
            f"On {case.whom}: its data dictionary is wrong or old. Negotiating "
            "Implicit VR Little Endian, which sends no VRs, gets round it.",
        )

    yield from _findings(view, "data-vr", tell)


@rule(
    "data-encoding-fault",
    "error",
    "data",
    "Data sets are encoded wrongly: lengths, sequences and items, order of tags. A warning in "
    "stored objects.",
    "PS3.5 7",
    when=_troubled,
)
def encoding_fault(view: View) -> Iterator[Finding]:
    """What strict parsers give up at."""

    def tell(case: Case) -> tuple[str, str, str]:
        return (
            f"{case.sender} encodes data sets wrongly",
            f"{_told(case.trouble)}.",
            f"Call the vendor of {case.whom}. Devices choke on this: they abort, or "
            f"drop the {case.thing} without a word.",
        )

    yield from _findings(view, "data-encoding-fault", tell)


@rule(
    "data-unusual",
    "note",
    "data",
    "Data sets are encoded in a way that is legal, or nearly, and that some devices stumble over.",
    "PS3.5 6.2.2, 7.2, 7.5",
    when=_troubled,
)
def unusual(view: View) -> Iterator[Finding]:
    """Sequences as UN, padding."""

    def tell(case: Case) -> tuple[str, str, str]:
        return (
            f"{case.sender} encodes data sets in an unusual way",
            f"{_told(case.trouble)}.",
            f"Harmless to most. If {case.receiver} chokes on them, this is a place to look.",
        )

    yield from _findings(view, "data-unusual", tell)


@rule(
    "data-not-as-negotiated",
    "error",
    "data",
    "The bytes of a data set are not in the transfer syntax that was accepted for its context, or "
    "are a file with its head.",
    "PS3.8 7.1.1.13, PS3.5 10",
    when=_troubled,
)
def not_as_negotiated(view: View) -> Iterator[Finding]:
    """Another transfer syntax than the one agreed on."""

    def tell(case: Case) -> tuple[str, str, str]:
        syntaxes = {
            entry.message.transfer_syntax
            for entry in case.trouble.entries.values()
            if entry.message is not None
        }
        return (
            f"{case.sender} sends data sets in another encoding than was agreed",
            f"Accepted for the presentation context: {listed(sorted(map(named, syntaxes)))}. "
            f"{upper(listed(what for _, what in case.trouble.whats))}.",
            f"On {case.whom}: it has to convert to the accepted transfer syntax, or to "
            + ("propose" if case.side == "requestor" else "accept")
            + " the one it sends.",
        )

    yield from _findings(view, "data-not-as-negotiated", tell)
