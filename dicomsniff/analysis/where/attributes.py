"""DICOM attributes as words: by keyword, by tag, or by a path through sequences."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from dicomsniff.analysis.where.dicom_values import (
    DATE,
    DATETIME,
    TIME,
    PersonName,
    TagType,
    Uid,
)
from dicomsniff.analysis.where.row import Row
from dicomsniff.analysis.where.tokens import TAG, shown
from dicomsniff.analysis.where.values import Loose, Numeral, Type
from dicomsniff.analysis.where.words import Word
from dicomsniff.dicom import tables
from dicomsniff.dicom.elements import Element, entry, tag_text
from dicomsniff.dicom.names import COMMAND_ELEMENTS
from dicomsniff.model import DataSetBytes

MAX_STEPS: Final = 16
"""Attributes of a path; structured reports nest a dozen sequences."""

_STEP: Final = re.compile(rf"\*|\w+|{TAG}")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{8}")


class _Opaque(Type):
    """What has no value to compare: sequences, bulk."""

    operators = ()

    def __init__(self, name: str) -> None:
        self.name = self.hint = name


SEQUENCE: Final = _Opaque("sequence")
_BINARY: Final = _Opaque("binary value")
_TEXT: Final = Type()
_LOOSE: Final = Loose()
_NUMERAL: Final = Numeral()
TYPES: Final[dict[str, Type]] = {
    **dict.fromkeys(("IS", "DS", "US", "UL", "SS", "SL", "FL", "FD", "SV", "UV"), _NUMERAL),
    **dict.fromkeys(("US or SS", "US or SS or OW"), _NUMERAL),
    **dict.fromkeys(("OB", "OW", "OF", "OD", "OL", "OV", "OB or OW"), _BINARY),
    "DA": DATE,
    "TM": TIME,
    "DT": DATETIME,
    "UI": Uid(),
    "PN": PersonName(),
    "AT": TagType(),
    "SQ": SEQUENCE,
    "UN": _LOOSE,
}


@lru_cache(maxsize=256)
def resolve(text: str) -> Word | None:
    """The attribute that a word names, None where it names none.

    Raises ``ValueError`` for a path that leads nowhere.
    """
    names = _split(text)
    if names is None:
        return None
    anywhere = names[0] == "*"
    if anywhere:
        names = names[1:]
    tags = [_tag(name) for name in names]
    if not tags or None in tags:
        return None
    path = tuple([tag for tag in tags if tag is not None])
    if len(path) > MAX_STEPS:
        raise ValueError(f"a path of at most {MAX_STEPS} attributes")
    for tag, name in zip(path[:-1], names, strict=False):
        if _vr(tag) not in ("SQ", "UN"):
            raise ValueError(f"a sequence, which {shown(name)} is not,")
    last = path[-1]
    kind = TYPES.get(_vr(last), _TEXT)
    if last <= 0xFFFF:
        if len(path) > 1 or anywhere:
            raise ValueError(f"{shown(names[-1])} by itself, as it stands in a command set,")
        return _command_word(text, last, kind)
    return _data_set_word(text, path, kind, anywhere)


def _split(text: str) -> list[str] | None:
    names: list[str] = []
    pos = 0
    while True:
        match = _STEP.match(text, pos)
        if match is None or (match.group() == "*" and pos):
            return None
        names.append(match.group())
        pos = match.end()
        if pos == len(text):
            return names
        if text[pos] != ".":
            return None
        pos += 1


def _tag(name: str) -> int | None:
    if name.startswith("("):
        return int(name[1:5] + name[6:10], 16)
    found = _tags().get(name.casefold())
    if found is None and _HEX.fullmatch(name) is not None:
        return int(name, 16)
    return found


def _vr(tag: int) -> str:
    if tag <= 0xFFFF:
        known = COMMAND_ELEMENTS.get(tag)
        return known[0] if known is not None else "UN"
    found = entry(tag)
    return found.vr if found is not None else "UN"


@lru_cache(maxsize=1)
def _tags() -> dict[str, int]:
    """Tags by keyword, in lower case."""
    tags = {found[4].casefold(): tag for tag, found in tables.elements().items() if found[4]}
    tags.update({keyword.casefold(): tag for tag, (_, keyword, _) in COMMAND_ELEMENTS.items()})
    return tags


@lru_cache(maxsize=1)
def keywords() -> tuple[str, ...]:
    """Every keyword of PS3.6 and PS3.7, in alphabetical order."""
    return tuple(
        sorted(
            {found[4] for found in tables.elements().values() if found[4]}
            | {keyword for _, keyword, _ in COMMAND_ELEMENTS.values()}
        )
    )


def describe(keyword: str) -> str:
    """Tag, VR and name of a keyword, for completion."""
    tag = _tags().get(keyword.casefold())
    if tag is None:
        return ""
    if tag <= 0xFFFF:
        vr, _, name = COMMAND_ELEMENTS.get(tag, ("", "", keyword))
        return f"{tag_text(tag)} {vr} {name}"
    found = entry(tag)
    return f"{tag_text(tag)} {found.vr} {found.name}" if found is not None else tag_text(tag)


# ---------------------------------------------------------------------------- command sets


def _command_word(text: str, tag: int, kind: Type) -> Word:
    is_tag = kind.name == "tag"

    def get(row: Row) -> tuple[Any, ...]:
        message = row.message
        element = message.command.get(tag) if message is not None else None
        if element is None:
            return ()
        value = element.value
        if value is None:
            return ("",)
        values = value if isinstance(value, tuple) else (value,)
        if is_tag:
            return tuple([tag_text(v) if isinstance(v, int) else v for v in values])
        return tuple([v.strip(" \0") if isinstance(v, str) else v for v in values])

    return Word(text, "", kind, "entry", f"{tag_text(tag)} of the command set", get)


# ---------------------------------------------------------------------------- data sets


def _data_set_word(text: str, path: tuple[int, ...], kind: Type, anywhere: bool) -> Word:
    could = _could_hold(path)

    def find(row: Row) -> Iterable[Element]:
        message = row.message
        if message is None or message.dataset is None or not could(message.dataset):
            return ()
        decoded = row.data_set
        if decoded is None:
            return ()
        if not anywhere:
            return _down(decoded.elements, path)
        first, rest = path[0], path[1:]
        heads = [element for _, element in decoded.walk() if element.tag == first]
        return _below(heads, rest)

    def get(row: Row) -> tuple[Any, ...]:
        return tuple([value for element in find(row) for value in _values(element)])

    def has(row: Row) -> bool:
        return any(True for _ in find(row))

    def empty(row: Row) -> bool:
        found = list(find(row))
        return bool(found) and all(_values(element) == ("",) for element in found)

    return Word(
        text,
        "",
        kind,
        "entry",
        f"{tag_text(path[-1])} of the data set",
        get,
        needs_dataset=True,
        has=has,
        empty=empty,
        literal=type(kind) in (Type, PersonName),
    )


def _could_hold(path: tuple[int, ...]) -> Callable[[DataSetBytes], bool]:
    """A look at the bytes that tells most data sets without the attribute from those that must
    be decoded: its tags have to stand there, in one byte order or the other."""
    tags = [
        (struct.pack("<HH", tag >> 16, tag & 0xFFFF), struct.pack(">HH", tag >> 16, tag & 0xFFFF))
        for tag in path
    ]

    def could(data: DataSetBytes) -> bool:
        held = data.held
        return all(little in held or big in held for little, big in tags)

    return could


def _down(elements: Iterable[Element], path: tuple[int, ...]) -> Iterator[Element]:
    first = path[0]
    return _below((element for element in elements if element.tag == first), path[1:])


def _below(heads: Iterable[Element], path: tuple[int, ...]) -> Iterator[Element]:
    for head in heads:
        if not path:
            yield head
            continue
        for item in head.items:
            yield from _down(item.elements, path)


def _values(element: Element) -> tuple[Any, ...]:
    """Values to compare: an element that is there and empty has one, the empty text; one that
    was measured and not kept has none."""
    values = element.values
    if values:
        if element.vr == "AT":
            return tuple([tag_text(v) if isinstance(v, int) else v for v in values])
        return tuple([v.strip(" ") if isinstance(v, str) else v for v in values])
    if element.items or element.bulk_length or element.fragments:
        return ()
    return ("",)
