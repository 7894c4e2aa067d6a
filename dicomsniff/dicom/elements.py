"""A decoded data set: elements with their place, their values and what is wrong with them.

Offsets are those of ``DataSetBytes.held``, the bytes that were kept. Texts of faults and notes
never hold a value: they may be shown where values may not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from dicomsniff.dicom import tables
from dicomsniff.model import Fault

_CACHED_ENTRIES: Final = 8192
"""Dictionary look-ups remembered: more than the tags of any conversation, and a bound where
hostile traffic makes tags up."""
_CREATOR_LIMIT: Final = 64
"""Characters of a private creator (VR LO); a longer one has no dictionary and is not remembered."""


class Entry(NamedTuple):
    """What the data dictionary (PS3.6, or a private one) says of a tag."""

    vr: str
    """One VR, or several as ``US or SS``."""
    keyword: str
    """Empty for private elements."""
    name: str
    multiplicity: str
    """``1``, ``1-n``, ``2-2n``…"""


@dataclass(slots=True)
class Element:
    """A data element (PS3.5 7.1)."""

    tag: int
    vr: str
    """As it was sent; where it was not (implicit VR) or cannot be right, what it must be."""
    length: int | None
    """Length field, None for undefined."""
    start: int
    """Offset of the tag."""
    value_start: int
    end: int
    """Offset behind the value, behind the sequence delimiter where there is one."""
    values: tuple[object, ...] = ()
    """Text (also IS, DS and dates, as they were sent, padding taken off), int for numbers and
    tags (AT), float, bytes (one, at most 1 KiB). Empty where empty, a sequence, or bulk."""
    items: list[Item] = field(default_factory=list)
    vr_guessed: bool = False
    """True where ``vr`` comes neither from the wire nor from the dictionary alone."""
    explicit: bool = True
    """True where the VR was sent."""
    bulk_length: int | None = None
    """Bytes of a value that was measured and is not in ``values``."""
    fragments: int = 0
    """Items of an encapsulated value, its offset table included."""
    delimited: bool = False
    """True where a sequence delimiter ended it."""
    private_creator: str | None = None
    charset: str | None = None
    """Character set that the value was decoded with though it was not declared: a guess."""
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def keyword(self) -> str:
        """Keyword of PS3.6, empty for what it does not know."""
        found = entry(self.tag)
        return found.keyword if found is not None else ""

    @property
    def name(self) -> str:
        """Name of PS3.6 or of the private dictionary; ``Private Creator``, ``Unknown``…"""
        return name(self.tag, self.private_creator)


@dataclass(slots=True)
class Item:
    """An item of a sequence (PS3.5 7.5)."""

    elements: list[Element]
    length: int | None
    """Length field, None for undefined."""
    start: int
    end: int
    delimited: bool = False
    """True where an item delimiter ended it."""
    faults: list[Fault] = field(default_factory=list)


@dataclass(slots=True)
class DataSet:
    """A data set and how it was read."""

    elements: list[Element]
    transfer_syntax: str | None = None
    """What it was read as: what was negotiated, or what the bytes are."""
    guessed: bool = False
    """True where the transfer syntax was not negotiated in a form that can be read."""
    character_sets: tuple[str, ...] = ()
    """Values of (0008,0005) of the outermost level; empty where there is none."""
    faults: list[Fault] = field(default_factory=list)
    """Of the whole; each element has its own."""
    notes: list[str] = field(default_factory=list)

    def get(self, tag: int) -> Element | None:
        """The first element of the outermost level that has this tag."""
        for element in self.elements:
            if element.tag == tag:
                return element
        return None

    def walk(self) -> Iterator[tuple[tuple[int, ...], Element]]:
        """Every element in order, nested ones behind their sequence. The path is tag, item
        number (from 0), tag, …, the element's own tag last."""
        stack: list[tuple[tuple[int, ...], Iterator[Element]]] = [((), iter(self.elements))]
        while stack:
            path, rest = stack[-1]
            for element in rest:
                own = (*path, element.tag)
                yield own, element
                if element.items:
                    stack.extend(
                        ((*own, number), iter(element.items[number].elements))
                        for number in range(len(element.items) - 1, -1, -1)
                    )
                    break
            else:
                stack.pop()


def tag_text(tag: int) -> str:
    """``(0010,0020)``."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


@lru_cache(maxsize=1)
def _repeating() -> tuple[tuple[int, int, tables.DictionaryEntry], ...]:
    """Of repeating groups: the digits that count, a mask of them, the entry."""
    return tuple(
        (
            int(text.replace("x", "0"), 16),
            int("".join("0" if digit == "x" else "F" for digit in text), 16),
            found,
        )
        for text, found in tables.repeating().items()
    )


@lru_cache(maxsize=_CACHED_ENTRIES)
def entry(tag: int) -> Entry | None:
    """The standard's dictionary entry for a tag, repeating groups (50xx, 60xx) included."""
    found = tables.elements().get(tag)
    if found is None:
        found = next((e for value, mask, e in _repeating() if tag & mask == value), None)
        if found is None:
            return None
    return Entry(found[0], found[4], found[2], found[1])


def private_entry(tag: int, creator: str) -> Entry | None:
    """The entry of a private element in the dictionary of its creator."""
    return _private_entry(tag, creator) if len(creator) <= _CREATOR_LIMIT else None


@lru_cache(maxsize=_CACHED_ENTRIES)
def _private_entry(tag: int, creator: str) -> Entry | None:
    known = tables.private().get(creator)
    if known is None:
        return None
    group, number = f"{tag >> 16:04X}", f"{tag & 0xFFFF:04X}"
    for key in (group + number, f"{group}xx{number[2:]}", f"{group[:2]}xxxx{number[2:]}"):
        found = known.get(key)
        if found is not None:
            return Entry(found[0], "", found[2], found[1])
    return None


def known_creator(creator: str) -> bool:
    """True for a private creator that has a public dictionary."""
    return creator in tables.private()


def is_private(tag: int) -> bool:
    """True for the odd groups (PS3.5 7.8)."""
    return bool(tag & 0x00010000)


def is_creator(tag: int) -> bool:
    """True for a private creator element, (gggg,0010) to (gggg,00FF)."""
    return bool(tag & 0x00010000) and 0x10 <= tag & 0xFFFF <= 0xFF


def name(tag: int, creator: str | None = None) -> str:
    """What people call a tag."""
    if tag & 0xFFFF == 0:
        return "Group Length"
    if is_private(tag):
        if is_creator(tag):
            return "Private Creator"
        found = private_entry(tag, creator) if creator is not None else None
        if found is not None and found.name:
            return found.name
        return f"Private ({creator})" if creator and known_creator(creator) else "Private"
    found = entry(tag)
    return (found.name or found.keyword or "Unknown") if found is not None else "Unknown"
