"""Data sets of which there is nothing to tell, as text at once.

A transcript of many messages is mostly data sets without a fault, whose values are mostly those of
the data set before. Their elements are taken from the bytes one by one, and what became of the same
bytes before is written again. Where anything at all is out of the ordinary (a fault, a note, a
private element, a value that was not kept…) nothing is written here, and the data set goes the
long way: :func:`dicomsniff.dicom.dataset.decode`, :meth:`Redactor.dataset`, ``djson``. Both give
the same text.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from dicomsniff.dicom import values as v
from dicomsniff.dicom.charset import DEFAULT, CharacterSet, character_set
from dicomsniff.dicom.dataset import contradicted, text_values, values_in_set
from dicomsniff.dicom.elements import entry
from dicomsniff.dicom.encoding import (
    BULK_VRS,
    DEFLATED,
    LONG_VRS,
    SHORT_VRS,
    TEXT_VRS,
    UNDEFINED,
    choose,
    negotiated,
)
from dicomsniff.model import DataSetBytes, Skip
from dicomsniff.output import allowed, djson
from dicomsniff.output.lines import line, quoted, safe
from dicomsniff.output.redact import CODE_VALUES, CODED, SCHEME, KnownCode, Redactor, known_code

LONGEST: Final = 16 * 1024
"""Bytes of a data set that is looked at: longer ones are objects, and rare."""
DEEPEST: Final = 16
"""Sequences in sequences."""
SKIPS: Final = 4
"""Values of it that were not kept."""
KEPT: Final = 4096
"""Elements whose text is kept; past that all are forgotten. With their text 2 MB at most."""
KEPT_LENGTH: Final = 80
"""Bytes of the longest one."""


_TAG: Final = struct.Struct("<HH").unpack_from
_SHORT: Final = struct.Struct("<H").unpack_from
_LONG: Final = struct.Struct("<L").unpack_from
_ITEM: Final = b"\xfe\xff\x00\xe0"
_ITEM_END: Final = b"\xfe\xff\x0d\xe0\0\0\0\0"
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_CHARACTER_SET: Final = 0x00080005
_FIRST: Final = 0x00080001
"""Lower tags are those of command sets, file meta information and directories."""
_WORDS: Final = TEXT_VRS - {"PN", "IS", "DS"}
"""VRs whose values are JSON texts as they are."""


class _Unusual(Exception):
    """Something that has to go the long way."""


_SHORT_LENGTH, _LONG_LENGTH, _SEQUENCE = range(3)


class _Head(NamedTuple):
    """What the beginning of an element says."""

    tag: int
    vr: str
    form: int
    """``_SHORT_LENGTH``: the length is two bytes behind the VR."""
    begin: str
    """Of its text: tag and VR."""


_Told = tuple[str, str, int]
"""The text of an element; of what kind those of its values are that were replaced, how many."""


class Plain:
    """Writes data sets through one redactor. ``compact``: without spaces."""

    def __init__(self, redactor: Redactor, *, compact: bool = False) -> None:
        self.redactor = redactor
        self._compact = compact
        self.comma, self.colon = (",", ":") if compact else (", ", ": ")
        self.heads: dict[bytes, _Head] = {}
        """By tag and VR, of implicit VR by tag."""
        self._told: dict[tuple[bool, bool, tuple[str, ...]], dict[bytes, _Told]] = {}
        """By their bytes, for explicit VR or not, strictness and character set."""
        self._count = 0
        """Texts kept in all of them."""
        self._state: tuple[int, ...] = ()

    def text(
        self, data: DataSetBytes, transfer_syntax: str | None, prefix: str
    ) -> tuple[str, dict[str, int]] | None:
        """The members of a row that tell of a data set, and what was replaced in it, which is
        counted; None where it has to go the long way. ``prefix`` names it where values were not
        kept."""
        held = data.held
        if (
            len(data.skips) > SKIPS
            or data.faults
            or data.notes
            or data.inflated
            or not data.complete
            or data.missing_at is not None
            or not 8 <= len(held) <= LONGEST
            or held[128:132] == b"DICM"
            or transfer_syntax in DEFLATED
        ):
            return None
        said = negotiated(transfer_syntax)
        if said is None or not said.little or choose(held, 0, transfer_syntax) != (said, False):
            return None
        redactor = self.redactor
        with redactor.lock:
            state = redactor.state
            if state != self._state:
                # Titles and classes that were heard of meanwhile are shown from now on.
                self._state = state
                self._forget()
            walk = _Walk(self, held, said.explicit, data.skips, prefix)
            try:
                told, _ = walk.elements(0, len(held), DEFAULT, False, 0, False)
            except _Unusual:
                # What has a pseudonym by now has the same on the long way: the order is the same.
                return None
            redactor.again(walk.counts)
        colon, comma = self.colon, self.comma
        text = (
            f'"dataset"{colon}{told}{comma}"dataset_length"{colon}{data.length}{comma}'
            f'"dataset_complete"{colon}true{comma}"dataset_faults"{colon}[]{comma}'
            f'"dataset_notes"{colon}[]'
        )
        return text, walk.counts

    def _forget(self) -> None:
        self._told.clear()
        self._count = 0

    def known(self, explicit: bool, strict: bool, charset: CharacterSet) -> dict[bytes, _Told]:
        """What was told of elements by their bytes."""
        return self._told.setdefault((explicit, strict, charset.terms), {})

    def remember(self, known: dict[bytes, _Told], raw: bytes, told: _Told) -> None:
        """Keep the text of an element."""
        if self._count >= KEPT:
            for each in self._told.values():
                each.clear()
            self._count = 0
        self._count += 1
        known[raw] = told

    def head(self, raw: bytes) -> _Head:
        """What tag and VR say, or a tag alone."""
        head = self.heads.get(raw)
        if head is None:
            if len(self.heads) >= KEPT:
                self.heads.clear()
            head = self.heads[raw] = self._read(raw)
        return head

    def _read(self, raw: bytes) -> _Head:
        group, number = _TAG(raw)
        tag = group << 16 | number
        found = entry(tag)
        if tag < _FIRST or not number or group & 1 or group == 0xFFFE or found is None:
            raise _Unusual
        if len(raw) == 4:
            vr = found.vr
            if len(vr) != 2:
                # It depends on its length, or on another element.
                raise _Unusual
        else:
            sent = raw[4:6]
            if (sent not in SHORT_VRS and sent not in LONG_VRS) or sent == b"UN":
                raise _Unusual
            vr = sent.decode("ascii")
            if contradicted(tag, vr):
                raise _Unusual
        begin = f'"{tag:08X}"{self.colon}{{"vr"{self.colon}"{vr}"'
        short = len(raw) == 6 and raw[4:] in SHORT_VRS
        form = _SEQUENCE if vr == "SQ" else _SHORT_LENGTH if short else _LONG_LENGTH
        return _Head(tag, vr, form, begin)

    def make(
        self, head: _Head, raw: bytes, charset: CharacterSet, strict: bool, known: KnownCode | None
    ) -> _Told:
        """The text of an element whose value is ``raw``."""
        tag, vr = head.tag, head.vr
        values = self.values(tag, vr, raw, charset)
        if not values:
            return head.begin + "}", "", 0
        values, kind, count = self.redactor.shown(tag, vr, values, strict, known)
        comma, colon = self.comma, self.colon
        if vr in _WORDS and len(values) == 1:
            word = values[0]
            inner = quoted(_valid(word)) if word else "null"  # type: ignore[arg-type]
        elif vr in _WORDS:
            words = [quoted(_valid(word)) if word else "null" for word in values]  # type: ignore[arg-type]
            inner = comma.join(words)
        elif vr == "PN":
            inner = comma.join([self._name(str(value)) for value in values])
        else:
            attribute = djson.attribute(vr, values)
            return line({f"{tag:08X}": attribute}, self._compact)[1:-1], kind, count
        return safe(f'{head.begin}{comma}"Value"{colon}[{inner}]}}'), kind, count

    def _name(self, value: str) -> str:
        groups = value.split("=", 2) if "=" in value else [value]
        told = [
            f'"{label}"{self.colon}{quoted(_valid(group))}'
            for label, group in zip(djson.GROUPS, groups, strict=False)
            if group
        ]
        return f"{{{self.comma.join(told)}}}" if told else "null"

    def values(self, tag: int, vr: str, raw: bytes, charset: CharacterSet) -> tuple[object, ...]:
        """The values of an element, where there is nothing to say about them."""
        if not raw:
            return ()
        if len(raw) > djson.INLINE_LIMIT:
            raise _Unusual
        values: tuple[object, ...]
        if vr in TEXT_VRS:
            if b"\x1b" in raw:
                raise _Unusual
            if raw.isascii():
                values, notes = text_values(tag, vr, raw.decode("ascii"))
            elif charset.codec is not None:
                values, notes, problem = values_in_set(tag, vr, raw, charset.terms)
                if problem:
                    raise _Unusual
            else:
                # Which set the bytes are in is told by all of them together.
                raise _Unusual
            if notes:
                raise _Unusual
            return values
        if vr in v.NUMBER_VRS:
            values, fault = v.numbers(vr, raw, True)
            if fault:
                raise _Unusual
            return values
        if vr in BULK_VRS and v.unit_fault(vr, len(raw)):
            raise _Unusual
        return (raw,)


def _valid(text: str) -> str:
    return text if text.isascii() else djson.valid(text)


class _Walk:
    """A walk over one data set."""

    __slots__ = ("counts", "explicit", "held", "plain", "prefix", "skips")

    def __init__(
        self, plain: Plain, held: bytes, explicit: bool, skips: tuple[Skip, ...], prefix: str
    ) -> None:
        self.plain = plain
        self.held = held
        self.explicit = explicit
        self.skips = {skip.at: skip for skip in skips}
        """What was not kept, by its place."""
        self.prefix = prefix
        self.counts: dict[str, int] = {}

    def elements(
        self, pos: int, end: int, charset: CharacterSet, strict: bool, depth: int, undefined: bool
    ) -> tuple[str, int]:
        """The text of elements up to ``end``, or to a delimiter where the length is
        ``undefined``, and the offset behind them."""
        held, plain, explicit = self.held, self.plain, self.explicit
        heads = plain.heads
        told = plain.known(explicit, strict, charset)
        counts, skips = self.counts, self.skips
        texts: list[str] = []
        last = 0
        known: KnownCode | None = None
        size = 6 if explicit else 4
        while pos < end:
            head = heads.get(held[pos : pos + size])
            if head is None:
                if end - pos < 8:
                    raise _Unusual
                if undefined and held[pos : pos + 8] == _ITEM_END:
                    pos += 8
                    undefined = False
                    break
                head = plain.head(held[pos : pos + size])
            tag, _, form, _ = head
            if tag <= last:
                raise _Unusual
            # ---- where its value stands
            value = pos + 8
            if value > end:
                raise _Unusual
            if form == _SHORT_LENGTH:
                stop = value + held[pos + 6] + (held[pos + 7] << 8)
            elif explicit:
                value += 4
                if value > end:
                    raise _Unusual
                stop = value + _LONG(held, pos + 8)[0]
            else:
                stop = value + _LONG(held, pos + 4)[0]
            if form == _SEQUENCE:
                inner = strict or allowed.is_strict(tag)
                text, pos = self.sequence(head, value, stop - value, end, charset, inner, depth)
                texts.append(text)
                last = tag
                continue
            if skips and value in skips:
                if depth:
                    raise _Unusual
                texts.append(self.bulk(head, stop - value, skips[value]))
                last = tag
                pos = value
                continue
            raw = held[pos:stop]
            found = told.get(raw)
            if found is None:
                if stop > end or (stop - value) & 1:
                    raise _Unusual
                if tag in CODED and not strict:
                    if last < CODED_FIRST:
                        known = self.code(pos, end, charset)
                    found = plain.make(head, held[value:stop], charset, strict, known)
                else:
                    indistinct = plain.redactor.indistinct
                    found = plain.make(head, held[value:stop], charset, strict, None)
                    if stop - pos <= KEPT_LENGTH and plain.redactor.indistinct == indistinct:
                        plain.remember(told, raw, found)
            elif stop > end:
                raise _Unusual
            text, kind, count = found
            texts.append(text)
            if count:
                counts[kind] = counts.get(kind, 0) + count
            if tag == _CHARACTER_SET:
                charset = self.declared(held[value:stop], charset)
                told = plain.known(explicit, strict, charset)
            last = tag
            pos = stop
        if undefined:
            raise _Unusual
        return f"{{{plain.comma.join(texts)}}}", pos

    def bulk(self, head: _Head, length: int, skip: Skip) -> str:
        """The text of an element whose value was not kept."""
        if head.vr not in BULK_VRS or not length:
            raise _Unusual
        if length == UNDEFINED:
            fragments = f"&fragments={skip.fragments}" if skip.fragments else ""
        elif skip.length < length or length & 1 or skip.fragments:
            raise _Unusual
        else:
            fragments = ""
        plain = self.plain
        uri = f"{self.prefix}{head.tag:08X}?length={skip.length}{fragments}"
        return f'{head.begin}{plain.comma}"BulkDataURI"{plain.colon}"{uri}"}}'

    def declared(self, raw: bytes, charset: CharacterSet) -> CharacterSet:
        """The character set that (0008,0005) declares."""
        terms = self.plain.values(_CHARACTER_SET, "CS", raw, charset)
        if not terms:
            return charset
        texts = tuple(map(str, terms))
        made = character_set(texts)
        if made.notes or not all(map(allowed.is_charset, texts)):
            raise _Unusual
        return made

    def code(self, pos: int, end: int, charset: CharacterSet) -> KnownCode | None:
        """The code whose first element stands at ``pos``, None where PS3.16 does not know it."""
        held, plain, explicit = self.held, self.plain, self.explicit
        code = scheme = ""
        while end - pos >= 8 and held[pos : pos + 2] != b"\xfe\xff":
            head = plain.head(held[pos : pos + (6 if explicit else 4)])
            if head.tag > CODED_LAST:
                break
            value = pos + 8
            if head.form == _SHORT_LENGTH:
                (length,) = _SHORT(held, pos + 6)
            elif explicit:
                if end - pos < 12:
                    raise _Unusual
                (length,) = _LONG(held, value)
                value += 4
            else:
                (length,) = _LONG(held, pos + 4)
            pos = value + length
            if pos > end:
                raise _Unusual
            if head.tag in CODE_VALUES or head.tag == SCHEME:
                values = plain.values(head.tag, head.vr, held[value:pos], charset)
                if len(values) == 1:
                    if head.tag == SCHEME:
                        scheme = str(values[0])
                    else:
                        code = str(values[0])
        return known_code(scheme, code)

    def sequence(
        self,
        head: _Head,
        pos: int,
        length: int,
        end: int,
        charset: CharacterSet,
        strict: bool,
        depth: int,
    ) -> tuple[str, int]:
        """The text of the sequence whose value begins at ``pos``; and the offset behind it."""
        held, plain = self.held, self.plain
        undefined = length == UNDEFINED
        if self.skips and (undefined or pos + length > min(self.skips)):
            # Its length on the wire counts what was not kept.
            raise _Unusual
        if not undefined:
            if length & 1 or pos + length > end:
                raise _Unusual
            end = pos + length
        if depth >= DEEPEST:
            raise _Unusual
        items: list[str] = []
        while pos < end:
            if held[pos : pos + 4] != _ITEM or end - pos < 8:
                if undefined and held[pos : pos + 8] == _SEQUENCE_END and end - pos >= 8:
                    pos += 8
                    undefined = False
                    break
                raise _Unusual
            (size,) = _LONG(held, pos + 4)
            pos += 8
            delimited = size == UNDEFINED
            if not delimited and pos + size > end:
                raise _Unusual
            stop = end if delimited else pos + size
            text, pos = self.elements(pos, stop, charset, strict, depth + 1, delimited)
            items.append(text)
        if undefined:
            raise _Unusual
        if not items:
            return head.begin + "}", pos
        comma = plain.comma
        return f'{head.begin}{comma}"Value"{plain.colon}[{comma.join(items)}]}}', pos


CODED_FIRST: Final = min(CODED)
CODED_LAST: Final = max(CODED)
