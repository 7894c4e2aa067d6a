"""Data sets, from the bytes that were kept to elements with their values and faults.

Decoding is late: only what somebody looks at is decoded. It reads what is there. A length that
runs past its parent is cut at the parent's end, a VR that is missing or wrong is replaced by what
the dictionary says, and each such thing is told at the element it concerns. No bytes raise.

The dictionaries and the tables of character sets are pydicom's; the walk is our own, since
pydicom keeps neither the places of values nor how sequences were encoded, and gives up where
devices err.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from dicomsniff.dicom import values as v
from dicomsniff.dicom.charset import DEFAULT, CharacterSet, character_set
from dicomsniff.dicom.elements import (
    DataSet,
    Element,
    Item,
    entry,
    is_creator,
    is_private,
    private_entry,
    tag_text,
)
from dicomsniff.dicom.encoding import (
    BULK_VRS,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    ITEM,
    ITEM_DELIMITER,
    LONG_VRS,
    SEQUENCE_DELIMITER,
    SHORT_VRS,
    TEXT_VRS,
    UNDEFINED,
    VRS,
    Encoding,
    choose,
    is_vr,
    look,
    negotiated,
)
from dicomsniff.dicom.places import Places
from dicomsniff.dicom.repertoire import read_undeclared, tell_doubts
from dicomsniff.model import DataSetBytes, Fault

__all__ = ["MAX_DEPTH", "MAX_ELEMENTS", "DataSet", "Element", "Item", "decode"]

MAX_DEPTH: Final = 64
"""Sequences in sequences. Structured reports nest a dozen; each level costs a call, and what is
nested a hundred thousand times was made to break something."""
MAX_ELEMENTS: Final = 65_536
"""Elements and items decoded of one data set: an enhanced object of a thousand frames stays
below, a megabyte of empty elements does not fill the memory."""
REMEMBERED: Final = 64
"""Decoded data sets kept."""
REMEMBERED_LENGTH: Final = 4 * 1024
"""Bytes of the longest one kept so: decoded they take twenty times as much, so 5 MB in all. Those
of worklist entries have 500 to 1,500."""
_TEXTS: Final = 4096
"""Values of texts that are remembered with what is noted of them, 2 MB at most: the answers to a
query have most of theirs in common."""
_TEXT_LENGTH: Final = 64
"""Bytes of the longest one."""
_CONTRADICTIONS: Final = 4096
"""Tags and VRs of which it is remembered what the dictionary says."""
_FAULTS_KEPT: Final = 100
"""Faults told of one data set as a whole; noise would give one every few bytes."""

_PREAMBLE: Final = 132
_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_PIXEL_REPRESENTATION: Final = 0x00280103
_HEADERS: Final = {True: struct.Struct("<HH2sH"), False: struct.Struct(">HH2sH")}
_LENGTHS: Final = {True: struct.Struct("<L"), False: struct.Struct(">L")}
_VR_TEXTS: Final = {vr: vr.decode("ascii") for vr in VRS}


def decode(data: DataSetBytes, transfer_syntax: str | None) -> DataSet:
    """Decode what was kept of a data set that was negotiated as ``transfer_syntax`` (None: not
    known). Never raises; what is wrong is told in faults and notes.

    The latest ones are remembered: rules and outputs look at one after another, and answers to a
    query that is repeated are the same. So nobody may change what is returned.
    """
    if len(data.held) > REMEMBERED_LENGTH:
        return _decode(data, transfer_syntax)
    return _remembered(data, transfer_syntax)


def _decode(data: DataSetBytes, transfer_syntax: str | None) -> DataSet:
    held = data.held
    start = _PREAMBLE if held[128:_PREAMBLE] == b"DICM" else 0
    asked = None if data.inflated and transfer_syntax not in DEFLATED else transfer_syntax
    encoding, guessed = choose(held, start, asked)
    said = negotiated(transfer_syntax)
    result = DataSet([], transfer_syntax, guessed, (), list(data.faults), list(data.notes))
    if data.inflated:
        if transfer_syntax not in DEFLATED:
            result.transfer_syntax = "1.2.840.10008.1.2.1.99"
    elif guessed or transfer_syntax in DEFLATED or encoding != said:
        result.transfer_syntax = encoding.transfer_syntax
    if not held:
        result.transfer_syntax = transfer_syntax
    elif transfer_syntax in DEFLATED and not data.inflated:
        result.notes.append(f"negotiated as deflated, the bytes are {encoding}, not deflated")
    elif said is not None and encoding != said and not data.inflated:
        result.notes.append(f"negotiated as {said}, the bytes are {encoding}")
    if start:
        result.notes.append("begins with the preamble of a Part 10 file, which no message has")
    decoder = _Decoder(data, result)
    decoder.run(start, encoding)
    if data.missing_at is not None:
        place = min(data.missing_at, len(held))
        result.faults.append(Fault("bytes are missing from the capture here", place, place))
    return result


_remembered = lru_cache(maxsize=REMEMBERED)(_decode)


@dataclass(slots=True)
class _Scope:
    """What holds for the elements of one data set or item."""

    encoding: Encoding
    charset: CharacterSet
    depth: int = 0
    creators: dict[int, str] = field(default_factory=dict)
    """Group and block of private elements (as ``group << 8 | block``) to their creator."""


class _Decoder:
    """Walks one data set."""

    __slots__ = (
        "by_offset",
        "complete",
        "count",
        "declared",
        "end",
        "ends_early",
        "held",
        "places",
        "result",
        "signed",
        "stopped",
        "undeclared",
    )

    def __init__(self, data: DataSetBytes, result: DataSet) -> None:
        self.held = data.held
        self.end = len(data.held)
        self.complete = data.complete
        self.ends_early = not data.complete or bool(data.faults)
        """The capture or the sieve, not the sender, is why something has no end."""
        self.places = Places(data)
        self.by_offset = self.places.by_offset
        self.result = result
        self.count = 0
        self.stopped = False
        self.signed: bool | None = None
        """What (0028,0103) Pixel Representation says of ``US or SS``."""
        self.undeclared: list[tuple[Element, bytes]] = []
        self.declared: list[tuple[Element, bytes, CharacterSet, bool]] = []
        """Values with bytes above 7FH, their character set and whether they decoded in it."""

    def run(self, start: int, encoding: Encoding) -> None:
        """Decode everything into the result."""
        result = self.result
        scope = _Scope(encoding, DEFAULT)
        pos, _ = self._elements(result.elements, start, self.end, scope, False, result.faults)
        if pos < self.end and not self.stopped:
            self._left_over(pos, self.end, result.faults)
        if self.undeclared:
            read_undeclared(result, self.undeclared)
        if self.declared:
            tell_doubts(result, self.declared)

    def _fault(self, faults: list[Fault], text: str, start: int, end: int) -> None:
        if len(faults) < _FAULTS_KEPT:
            faults.append(Fault(text, start, end))

    def _left_over(self, pos: int, end: int, faults: list[Fault]) -> None:
        count = end - pos
        what = "one byte is" if count == 1 else f"{count} bytes are"
        zero = " (zero)" if not any(self.held[pos:end]) else ""
        if pos in self.by_offset and not count:
            return
        self._fault(faults, f"{what} left over where an element should be{zero}", pos, end)

    # ------------------------------------------------------------------ elements

    def _elements(
        self,
        elements: list[Element],
        pos: int,
        end: int,
        scope: _Scope,
        undefined: bool,
        faults: list[Fault],
    ) -> tuple[int, bool]:
        """Decode elements up to ``end``, or to a delimiter where the parent's length is
        ``undefined``. Returns where it stopped, and whether an item delimiter was there."""
        held = self.held
        by_offset = self.by_offset
        explicit, little = scope.encoding
        header = _HEADERS[little].unpack_from
        long = _LENGTHS[little].unpack_from
        last = -1
        seen: set[int] = set()
        meta = held[pos : pos + 2] == b"\x02\x00" and not scope.depth
        if meta:
            self.result.notes.append("file meta information (group 0002) inside the data set")
        while end - pos >= 8 and not self.stopped:
            group, number, sent, length = header(held, pos)
            tag = group << 16 | number
            if group == 0xFFFE:
                if undefined and tag == ITEM_DELIMITER:
                    if long(held, pos + 4)[0]:
                        self._fault(faults, "an item delimiter whose length is not 0", pos, pos + 8)
                    return pos + 8, True
                if undefined and tag == SEQUENCE_DELIMITER:
                    return pos, False
                self._fault(faults, f"{tag_text(tag)} where an element should be", pos, pos + 8)
                pos += 8
                self.count += 1
                if self.count > MAX_ELEMENTS:
                    self._stop(faults, pos)
                continue
            if meta and group != 2:
                meta = False
                other = look(held, pos)
                if other is not None and other != scope.encoding:
                    scope.encoding = other
                    explicit, little = other
                    header, long = _HEADERS[little].unpack_from, _LENGTHS[little].unpack_from
                    continue
            self.count += 1
            if self.count > MAX_ELEMENTS:
                self._stop(faults, pos)
                break
            wrong = ""
            value = pos + 8
            guessed = False
            creator: str | None = None
            # ---- header
            if explicit:
                if sent in SHORT_VRS:
                    vr = _VR_TEXTS[sent]
                elif sent in LONG_VRS:
                    if end - pos < 12:
                        break
                    vr = _VR_TEXTS[sent]
                    length = long(held, value)[0]
                    value += 4
                elif is_vr(sent):
                    # PS3.5 7.1.2: a VR that this edition does not know has a long length.
                    wrong = f"unknown VR {sent.decode('ascii')}"
                    vr, guessed = "UN", True
                    if length == 0 and end - pos >= 12:
                        length = long(held, value)[0]
                        value += 4
                else:
                    length = long(held, pos + 4)[0]
                    if length != UNDEFINED and length > end - value and value not in by_offset:
                        break
                    wrong = "no VR; read as implicit VR"
                    vr, guessed = self._implied(tag, scope, length)
            else:
                length = long(held, pos + 4)[0]
                if (
                    sent in VRS
                    and length != UNDEFINED
                    and length > end - value
                    and value not in by_offset
                ):
                    # Explicit VR amid implicit, where nothing else makes sense of the length.
                    wrong = "explicit VR where the data set is implicit VR"
                    vr = _VR_TEXTS[sent]
                    length = header(held, pos)[3]
                    if sent in LONG_VRS and end - pos >= 12:
                        length = long(held, value)[0]
                        value += 4
                elif group & 1 or (found := entry(tag)) is None or len(found.vr) > 2:
                    vr, guessed = self._implied(tag, scope, length)
                else:
                    vr = found.vr
            if group & 1 and number > 0xFF:
                creator = scope.creators.get(group << 8 | number >> 8)
            element = Element(tag, vr, length, pos, value, value)
            if creator is not None:
                element.private_creator = creator
            if guessed:
                element.vr_guessed = True
            if not explicit:
                element.explicit = False
            elements.append(element)
            if wrong:
                self._fault(element.faults, wrong, pos, value)
            if tag in seen:
                text = f"{tag_text(tag)} stands here a second time"
                self._fault(element.faults, text, pos, value)
            elif tag < last:
                text = f"behind {tag_text(last)}; tags must ascend"
                self._fault(element.faults, text, pos, value)
            seen.add(tag)
            last = tag
            # ---- value
            if explicit and number:
                if vr == "UN":
                    self._compare(element, scope)
                    vr = element.vr
                elif not group & 1:
                    told = contradicted(tag, vr)
                    if told:
                        element.notes.append(told)
            if length == UNDEFINED:
                element.length = None
                pos = self._undefined(element, end, scope)
                continue
            skip = by_offset.get(value)
            if skip is not None and length:
                element.bulk_length = skip.length
                element.end = pos = value
                if skip.length < length:
                    text = f"{skip.length:,} of {length:,} bytes are there"
                    self._fault(element.faults, text, value, value)
                elif length & 1:
                    self._fault(element.faults, f"odd length {length:,}", element.start, value)
                continue
            stop = value + length if vr != "SQ" else self.places.behind(value, length)
            if stop > end:
                stop = end
                self._too_long(element, length, end)
            elif length & 1:
                self._fault(element.faults, f"odd length {length:,}", element.start, value)
            element.end = stop
            if vr == "SQ":
                inner = scope.encoding
                if sent == b"UN" and explicit:
                    inner = self._inside_un(value, element)
                self._sequence(element, stop, scope, inner)
                element.end = stop
            else:
                self._value(element, held[value:stop], scope)
            pos = stop
        return pos, False

    def _stop(self, faults: list[Fault], pos: int) -> None:
        self.stopped = True
        self._fault(
            faults, f"more than {MAX_ELEMENTS:,} elements; not decoded from here", pos, self.end
        )

    def _is_cut(self, pos: int) -> bool:
        """True where a missing end says nothing about the sender."""
        return self.stopped or (self.ends_early and self.end - pos < 8)

    def _too_long(self, element: Element, length: int, end: int) -> None:
        there = end - element.value_start
        if end == self.end and not self.complete:
            text = f"cut short: {there:,} of {length:,} bytes were captured"
        else:
            where = "data set" if end == self.end else "item"
            text = f"length {length:,} runs {length - there:,} bytes past the end of the {where}"
        self._fault(element.faults, text, element.start, end)

    def _implied(self, tag: int, scope: _Scope, length: int) -> tuple[str, bool]:
        """The VR of an element that came without, and whether that is a guess."""
        if tag & 0xFFFF == 0:
            return "UL", False
        if is_private(tag):
            if is_creator(tag):
                return "LO", False
            creator = scope.creators.get(tag >> 16 << 8 | (tag >> 8 & 0xFF))
            found = private_entry(tag, creator) if creator is not None else None
        else:
            found = entry(tag)
        if found is None:
            # PS3.5 6.2.2: an unknown element of undefined length can only be a sequence.
            return ("SQ", False) if length == UNDEFINED else ("UN", True)
        vr = found.vr
        if len(vr) == 2:
            return vr, False
        if "OB" in vr:
            # PS3.5 A.1: implicit VR has OW; what is encapsulated all the same is OB (A.4).
            return "OB" if length == UNDEFINED else "OW", False
        if "OW" in vr:
            return ("OW", False) if length > v.BYTES_KEPT else ("US", True)
        if self.signed is None:
            return "US", True
        return ("SS" if self.signed else "US"), False

    def _compare(self, element: Element, scope: _Scope) -> None:
        """UN of a length becomes what the dictionary says."""
        length = element.length or 0
        if length != UNDEFINED:
            vr = self._implied(element.tag, scope, length)[0]
            if vr != "UN":
                element.vr = vr
                element.vr_guessed = True
                element.notes.append(f"sent as UN, read as {vr}")

    # ------------------------------------------------------------------ values

    def _value(self, element: Element, raw: bytes, scope: _Scope) -> None:
        vr = element.vr
        if not raw:
            return
        if vr in TEXT_VRS:
            if raw.isascii() and b"\x1b" not in raw:
                # The same in every character set.
                element.values, notes = ascii_values(element.tag, vr, raw)
                if notes:
                    element.notes.extend(notes)
            elif scope.charset.declared or b"\x1b" in raw:
                terms = scope.charset.terms
                element.values, notes, problem = values_in_set(element.tag, vr, raw, terms)
                if problem:
                    element.notes.append(problem)
                element.notes.extend(notes)
                self.declared.append((element, raw, scope.charset, not problem))
            else:
                self.undeclared.append((element, raw))
                text = scope.charset.decode(raw).text
                element.values, notes = text_values(element.tag, vr, text)
                element.notes.extend(notes)
            if element.tag == _SPECIFIC_CHARACTER_SET:
                terms = tuple(str(value) for value in element.values)
                scope.charset = character_set(terms)
                element.notes.extend(scope.charset.notes)
                if not scope.depth:
                    self.result.character_sets = terms
            elif element.tag & 0x00010000 and is_creator(element.tag) and element.values:
                scope.creators[element.tag >> 16 << 8 | (element.tag & 0xFF)] = str(
                    element.values[0]
                )
        elif vr in v.NUMBER_VRS:
            # UN is little endian whatever the data set is (PS3.5 6.2.2).
            numbers, fault = v.numbers(vr, raw, scope.encoding.little)
            element.values = numbers
            if fault and not element.faults:
                element.faults.append(Fault(fault, element.start, element.end))
            if element.tag == _PIXEL_REPRESENTATION and numbers:
                self.signed = numbers[0] == 1
        elif len(raw) <= v.BYTES_KEPT:
            element.values = (raw,)
        else:
            element.bulk_length = len(raw)
        if vr in BULK_VRS and not element.faults:
            fault = v.unit_fault(vr, len(raw))
            if fault:
                element.faults.append(Fault(fault, element.start, element.end))

    # ------------------------------------------------------------------ sequences, encapsulation

    def _undefined(self, element: Element, end: int, scope: _Scope) -> int:
        """Decode a value of undefined length; the offset behind it."""
        value = element.value_start
        skip = self.by_offset.get(value)
        if element.vr in BULK_VRS and (element.vr != "UN" or skip is not None):
            if skip is not None:
                element.bulk_length, element.fragments = skip.length, skip.fragments
                element.delimited = value < self.end or self.complete
                element.end = value
                return value
            return self._encapsulated(element, end, scope)
        encoding = scope.encoding
        if element.vr == "UN":
            encoding = self._inside_un(value, element)
            element.vr, element.vr_guessed = "SQ", True
            element.notes.append("UN of undefined length, which is a sequence")
        elif element.vr != "SQ":
            text = f"undefined length, which {element.vr} must not have"
            self._fault(element.faults, text, element.start, value)
            element.vr, element.vr_guessed = "SQ", True
        self._sequence(element, end, scope, encoding)
        return element.end

    def _inside_un(self, value: int, element: Element) -> Encoding:
        """PS3.5 6.2.2: inside UN is implicit VR little endian. Some devices leave the VRs."""
        first = self.held[value + 8 : value + 16]
        if self.held[value : value + 4] == b"\xfe\xff\x00\xe0" and first[4:6] in VRS:
            element.notes.append("explicit VR inside UN")
            return EXPLICIT
        return IMPLICIT

    def _encapsulated(self, element: Element, end: int, scope: _Scope) -> int:
        """Measure the items of an encapsulated value (PS3.5 A.4)."""
        held = self.held
        header = _HEADERS[scope.encoding.little].unpack_from
        long = _LENGTHS[scope.encoding.little].unpack_from
        pos = element.value_start
        while end - pos >= 8:
            group, number, _, _ = header(held, pos)
            length = long(held, pos + 4)[0]
            tag = group << 16 | number
            if tag == SEQUENCE_DELIMITER:
                pos += 8
                element.delimited = True
                break
            if tag != ITEM or length == UNDEFINED:
                text = "an encapsulated value holds something that is not an item"
                self._fault(element.faults, text, pos, min(pos + 8, end))
                break
            element.fragments += 1
            pos += 8 + length
            if pos > end:
                text = f"the last item is {pos - end:,} bytes short"
                self._fault(element.faults, text, end, end)
                pos = end
        if not element.delimited and not element.faults and not self._is_cut(pos):
            self._fault(element.faults, "no sequence delimiter ends it", element.start, pos)
        element.bulk_length = pos - element.value_start
        element.end = pos
        return pos

    def _sequence(self, element: Element, end: int, outer: _Scope, encoding: Encoding) -> None:
        """Decode the items of a sequence (PS3.5 7.5) up to ``end`` or its delimiter."""
        held = self.held
        pos = element.value_start
        undefined = element.length is None
        element.end = end
        if outer.depth >= MAX_DEPTH:
            text = f"nested deeper than {MAX_DEPTH} sequences; not decoded"
            self._fault(element.faults, text, element.start, end)
            if undefined:
                self.stopped = True
            return
        header = _HEADERS[encoding.little].unpack_from
        long = _LENGTHS[encoding.little].unpack_from
        while end - pos >= 8 and not self.stopped:
            group, number, _, _ = header(held, pos)
            tag = group << 16 | number
            length = long(held, pos + 4)[0]
            if tag == SEQUENCE_DELIMITER:
                pos += 8
                element.delimited = True
                if length:
                    text = "a sequence delimiter whose length is not 0"
                    self._fault(element.faults, text, pos - 8, pos)
                if not undefined:
                    text = "a sequence delimiter inside a sequence of defined length"
                    self._fault(element.faults, text, pos - 8, pos)
                break
            if tag == ITEM_DELIMITER:
                text = "an item delimiter where an item should be"
                self._fault(element.faults, text, pos, pos + 8)
                pos += 8
                continue
            if tag != ITEM:
                text = f"{tag_text(tag)} where an item should be"
                self._fault(element.faults, text, pos, pos + 8)
                break
            self.count += 1
            if self.count > MAX_ELEMENTS:
                self._stop(element.faults, pos)
                break
            item = Item([], None if length == UNDEFINED else length, pos, end)
            element.items.append(item)
            scope = _Scope(encoding, outer.charset, outer.depth + 1)
            pos += 8
            if length == UNDEFINED:
                pos, item.delimited = self._elements(
                    item.elements, pos, end, scope, True, item.faults
                )
                if not item.delimited and not self._is_cut(pos):
                    self._fault(item.faults, "no item delimiter ends it", item.start, pos)
                    if pos < end and held[pos : pos + 2] not in (b"\xfe\xff", b"\xff\xfe"):
                        pos = end
            else:
                stop = self.places.behind(pos, length)
                if stop > end:
                    there = end - pos
                    text = f"length {length:,} where {there:,} bytes are there"
                    self._fault(item.faults, text, item.start, end)
                    stop = end
                pos, _ = self._elements(item.elements, pos, stop, scope, False, item.faults)
                if pos < stop and not self.stopped:
                    self._left_over(pos, stop, item.faults)
                pos = stop
            item.end = pos
        if undefined:
            if not element.delimited and not self._is_cut(pos):
                text = "no sequence delimiter ends it"
                self._fault(element.faults, text, element.start, pos)
            element.end = pos
        elif pos < end and not element.faults and not self.stopped:
            self._left_over(pos, end, element.faults)


@lru_cache(maxsize=_CONTRADICTIONS)
def contradicted(tag: int, vr: str) -> str:
    """What the dictionary says against an explicit VR; empty where nothing."""
    found = entry(tag)
    if found is None or found.vr == vr or vr in found.vr.split(" "):
        return ""
    return f"the dictionary says {found.vr}"


def text_values(tag: int, vr: str, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The values of a text, and the notes about its form."""
    values = v.split(vr, text)
    notes = v.text_notes(vr, text, values)
    if len(values) > 1:
        found = entry(tag) if not tag & 0x00010000 else None
        # A list of UIDs is a way of matching (PS3.4 C.2.2.2.2).
        if found is not None and found.multiplicity == "1" and vr != "UI":
            notes.append(f"{len(values)} values where one is allowed")
    return values, tuple(notes)


def ascii_values(tag: int, vr: str, raw: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The same of bytes that are ASCII, which every character set has."""
    return (_plain if len(raw) <= _TEXT_LENGTH else _ascii)(tag, vr, raw)


def _ascii(tag: int, vr: str, raw: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return text_values(tag, vr, raw.decode("ascii"))


_plain = lru_cache(maxsize=_TEXTS)(_ascii)


def values_in_set(
    tag: int, vr: str, raw: bytes, terms: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """The same of bytes in the character set that ``terms`` declare; and why they do not decode,
    empty where they do."""
    return (_covered if len(raw) <= _TEXT_LENGTH else _in_set)(tag, vr, raw, terms)


def _in_set(
    tag: int, vr: str, raw: bytes, terms: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    decoded = character_set(terms).decode(raw, vr == "PN")
    return *text_values(tag, vr, decoded.text), decoded.problem


_covered = lru_cache(maxsize=_TEXTS)(_in_set)
