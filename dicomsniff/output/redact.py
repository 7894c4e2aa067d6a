"""Hides people in what goes out, by an allow-list (:mod:`dicomsniff.output.allowed`).

What stays: structure, tags, VRs, lengths, statuses, numbers and defined terms of equipment and
protocol attributes, codes that PS3.16 knows, well-known UIDs and those of negotiated classes, AE
titles that take part in associations. Everything else becomes a pseudonym
(:mod:`dicomsniff.output.pseudonyms`): one Redactor gives one value one pseudonym, in query keys
and answers, command sets and data sets, on every association. Empty stays empty.

Passcodes, tickets and assertions never get here: the decoders do not keep them.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from typing import Final, NamedTuple

from dicomsniff.dicom import tables
from dicomsniff.dicom.elements import DataSet, Element, Item, entry, is_creator, known_creator
from dicomsniff.dicom.names import is_uid
from dicomsniff.model import CommandElement, Fault
from dicomsniff.output import allowed
from dicomsniff.output.pseudonyms import Pseudonyms

_PROSE: Final = frozenset(("LT", "ST", "UT", "UR"))
_INTEGER: Final = re.compile(r" *[+-]?\d{1,12} *", re.ASCII)
_DECIMAL: Final = re.compile(r" *[+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)? *", re.ASCII)
_LIMITS: Final = {
    "US": 0xFFFF,
    "SS": 0x7FFF,
    "UL": 0xFFFFFFFF,
    "SL": 0x7FFFFFFF,
    "UV": 0xFFFFFFFFFFFFFFFF,
    "SV": 0x7FFFFFFFFFFFFFFF,
    "AT": 0xFFFFFFFF,
    "FL": 1 << 24,
    "FD": 1 << 53,
}
"""The largest pseudonym of a number, by VR."""
_RECENT: Final = 4096
"""Pseudonyms kept written out, some 1 MB."""
_RECENT_LENGTH: Final = 64
"""Longer values are not worth keeping twice."""
_NUMERIC: Final = frozenset((*_LIMITS, "IS", "DS"))
_DATE_FORM: Final = re.compile(r"[\d.:/*?+ -]*", re.ASCII)
"""What dates and times are written with, wrongly too. Anything else is a text."""
_NUMBERS: Final = re.compile(r"\(([0-9A-F]{4}),([0-9A-F]{4})\)|\d[\d,]{8,}")
"""Tags and large numbers in the text of a fault."""
_FILE_PARTS: Final = re.compile(r"([-_.\s]+|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z]))")
_NAME_PART: Final = re.compile(r"([A-Za-z]+|OID\.[0-9a-f]+)=((?:\\.|[^\\,+])*)")
"""An attribute of a distinguished name (RFC 4514), and its value."""
_NAME_PARTS_OF_HOSTS: Final = frozenset(("CN", "C", "L", "ST", "O", "OU", "DC"))
_STANDARD: Final = re.compile(r"1\.2\.840\.10008(?:\.(?:0|[1-9]\d{0,2})){1,8}", re.ASCII)
CODE_VALUES: Final = frozenset((0x00080100, 0x00080119))
SCHEME: Final = 0x00080102
_SCHEME_VERSION: Final = 0x00080103
_MEANING: Final = 0x00080104
_CHARACTER_SET: Final = 0x00080005
CODED: Final = frozenset((*CODE_VALUES, SCHEME, _SCHEME_VERSION, _MEANING))

_COMMAND_AE: Final = frozenset((0x00000200, 0x00000300, 0x00000400, 0x00000600, 0x00001030))
_COMMAND_CLASSES: Final = frozenset((0x00000002, 0x00000003))


class KnownCode(NamedTuple):
    """A code that PS3.16 knows."""

    value: str
    meaning: str


class Redactor:
    """Makes decoded things safe to show; with ``keep_phi`` it shows them as they are.

    Args:
        keep_phi: values of people, file names and user names are shown.
        mask_ae: AE titles get pseudonyms too.
        mask_addresses: addresses get pseudonyms too.

    May be used by several threads.
    """

    def __init__(
        self, *, keep_phi: bool = False, mask_ae: bool = False, mask_addresses: bool = False
    ) -> None:
        self.keep_phi = keep_phi
        self.mask_ae = mask_ae
        self.mask_addresses = mask_addresses
        self._pseudonyms = Pseudonyms()
        self._titles: set[str] = set()
        """AE titles that take part in associations."""
        self._classes: set[str] = set()
        """UIDs of classes and transfer syntaxes that were negotiated."""
        self._recent: dict[tuple[str, str], tuple[str, str]] = {}
        """Pseudonyms made lately, by VR and value: answers to a query repeat most of theirs."""
        self._writers = self._by_vr()
        self._counts: Counter[str] = Counter()
        self.lock = threading.RLock()
        """Held while anything is shown."""

    def summary(self) -> dict[str, object]:
        """The ``redaction`` block of a transcript: what was done so far."""
        with self.lock:
            if self.keep_phi:
                kept: dict[str, object] = {"applied": False, "secrets": "never kept"}
                return kept | self._options()
            return {
                "applied": True,
                "rule": allowed.RULE,
                **self._options(),
                "secrets": "never kept",
                "bulk": "never shown",
                "replaced": dict(sorted(self._counts.items())),
                "indistinct": self._pseudonyms.overflowed,
            }

    @property
    def state(self) -> tuple[int, ...]:
        """Changes when a value that was shown before may be shown in another way from now on."""
        return len(self._titles), len(self._classes)

    @property
    def indistinct(self) -> int:
        """How often a value was shown that could not be told apart from others any more. What was
        shown while this grew has to be shown anew each time."""
        return self._pseudonyms.overflowed

    def counted(self) -> dict[str, int]:
        """How often each kind of value was replaced so far."""
        with self.lock:
            return dict(self._counts)

    def again(self, counts: Mapping[str, int]) -> None:
        """The same values as before were shown once more."""
        with self.lock:
            for kind, count in counts.items():
                self._counts[kind] += count

    def _options(self) -> dict[str, object]:
        return {
            "ae_titles": "pseudonyms" if self.mask_ae else "kept",
            "addresses": "pseudonyms" if self.mask_addresses else "kept",
        }

    # ------------------------------------------------------------------ around data sets

    def ae_title(self, title: str) -> str:
        """The AE title of a peer, of a move destination or originator. Data sets that hear of it
        later show it as well."""
        with self.lock:
            self._titles.add(title.strip(" \0"))
            if not self.mask_ae or not title:
                return title
            return self._count("ae_title", self._pseudonyms.text(title))

    def address(self, address: str) -> str:
        """The address of a peer."""
        with self.lock:
            if not self.mask_addresses or not address:
                return address
            return self._count("address", self._pseudonyms.address(address))

    def host_name(self, name: str) -> str:
        """A name in the certificate of an acceptor, which is a host: shown as its address is.
        What such a name may say of the people who look after it is theirs all the same."""
        if not self.keep_phi:
            name = _NAME_PART.sub(self._host_part, name)
            if "@" in name and "=" not in name:
                name = self.user_name(name)
        return self.address(name)

    def _host_part(self, found: re.Match[str]) -> str:
        kind, value = found[1], found[2]
        if kind in _NAME_PARTS_OF_HOSTS and "@" not in value:
            return found[0]
        return f"{kind}={self.user_name(value)}"

    def class_uid(self, uid: str) -> str:
        """A UID that was negotiated as abstract or transfer syntax: it names a class and stays.
        Data sets and commands that hear of it later show it as well. A text in its place may name
        anybody."""
        if not self.keep_phi and not is_uid(uid):
            return self.uid(uid)
        with self.lock:
            self._classes.add(uid)
        return uid

    def told_uid(self, uid: str) -> str:
        """A UID in the text of a finding: it stays where it names a class."""
        if self.keep_phi:
            return uid
        with self.lock:
            return self._class(uid)

    def uid(self, uid: str) -> str:
        """Any UID: a well-known one stays, the others get pseudonyms."""
        if self.keep_phi or not uid or _well_known(uid):
            return uid
        with self.lock:
            return self._count("uid", self._pseudonyms.uid(uid))

    def file_name(self, name: str) -> str:
        """The name of a file or an interface: words that say what sort of capture it is stay,
        anything else is a name of somebody."""
        if self.keep_phi or not name:
            return name
        parts = _FILE_PARTS.split(name)
        with self.lock:
            for index in range(0, len(parts), 2):
                part = parts[index]
                if part and not allowed.is_file_word(part):
                    parts[index] = self._count("file_name", self._pseudonyms.text(part))
        return "".join(parts)

    def user_name(self, name: str) -> str:
        """The primary field of a user identity that is a name (types 1 and 2)."""
        return self.text(name, "user_name")

    def text(self, text: str, kind: str = "text") -> str:
        """Any text that nothing is known of."""
        if self.keep_phi or not text:
            return text
        with self.lock:
            return self._count(kind, self._pseudonyms.text(text))

    def value(self, tag: int, vr: str, value: object) -> object:
        """A single value of an attribute, as ``Element.values`` holds it, shown alone: a finding
        that quotes a value, a row that shows a key."""
        if value is None or value == "" or (self.keep_phi and not (self.mask_ae and vr == "AE")):
            return value
        with self.lock:
            if not tag & 0x00010000 and self._stays(tag, vr, value):
                return value
            return self._masked(vr, value)

    # ------------------------------------------------------------------ command sets

    def command_value(self, element: CommandElement) -> int | str | tuple[int, ...] | bytes | None:
        """The value of a command element. Numbers and tags stay; texts do as far as they are
        AE titles or classes; an error comment may quote a patient and never does."""
        value = element.value
        if value is None or value == "" or isinstance(value, int | tuple):
            return value
        if isinstance(value, bytes):
            if self.keep_phi:
                return value
            with self.lock:
                self._counts["bytes"] += 1
                return self._pseudonyms.bytes(value)
        tag = element.tag
        if tag in _COMMAND_AE:
            return "\\".join([self.ae_title(part) for part in value.split("\\")])
        if self.keep_phi:
            return value
        with self.lock:
            if element.vr == "UI":
                parts = value.split("\\")
                if tag in _COMMAND_CLASSES:
                    return "\\".join([self._class(part) for part in parts])
                return "\\".join([self.uid(part) for part in parts])
            if tag == 0x00000902:
                return self._count("error_comment", self._pseudonyms.prose(value))
            return self._count("text", self._pseudonyms.text(value))

    # ------------------------------------------------------------------ data sets

    def dataset(self, dataset: DataSet) -> DataSet:
        """The data set with every value that may not stay replaced. Places, lengths, faults and
        notes are the same; the one given is left as it is."""
        if self.keep_phi and not self.mask_ae:
            return dataset
        with self.lock:
            if self.keep_phi:
                titles = self._titles_only(dataset.elements)
                return replace(dataset, elements=titles)
            return DataSet(
                self._elements(dataset.elements, False),
                dataset.transfer_syntax,
                dataset.guessed,
                tuple(
                    term if allowed.is_charset(term) else self._pseudonyms.text(term)
                    for term in dataset.character_sets
                ),
                _safe_faults(dataset.faults) + _noise(dataset.elements),
                dataset.notes,
            )

    def _titles_only(self, elements: Iterable[Element]) -> list[Element]:
        """The elements with nothing replaced but AE titles."""
        shown = []
        for element in elements:
            if element.vr == "AE" and element.values:
                values = tuple([value and self._masked("AE", value) for value in element.values])
                element = replace(element, values=values)
            elif element.items:
                items = [
                    replace(item, elements=self._titles_only(item.elements))
                    for item in element.items
                ]
                element = replace(element, items=items)
            shown.append(element)
        return shown

    def _elements(self, elements: Iterable[Element], strict: bool) -> list[Element]:
        known = None if strict else _known_code(elements)
        return [
            self._element(element, strict, known)
            for element in elements
            if not _is_noise(element.tag)
        ]

    def _element(self, element: Element, strict: bool, known: KnownCode | None) -> Element:
        tag, vr = element.tag, element.vr
        values = element.values
        items = element.items
        if items:
            inner = strict or allowed.is_strict(tag)
            items = [
                Item(
                    self._elements(item.elements, inner),
                    item.length,
                    item.start,
                    item.end,
                    item.delimited,
                    _safe_faults(item.faults) + _noise(item.elements),
                )
                for item in items
            ]
        if values:
            values, kind, count = self.shown(tag, vr, values, strict, known)
            if count:
                self._counts[kind] += count
        creator = element.private_creator
        if creator is not None and not known_creator(creator):
            creator = self._pseudonyms.text(creator)
        return Element(
            tag,
            vr,
            element.length,
            element.start,
            element.value_start,
            element.end,
            values,
            items,
            element.vr_guessed,
            element.explicit,
            element.bulk_length,
            element.fragments,
            element.delimited,
            creator,
            element.charset,
            _safe_faults(element.faults) if element.faults else element.faults,
            element.notes,
        )

    def shown(
        self, tag: int, vr: str, values: tuple[object, ...], strict: bool, known: KnownCode | None
    ) -> tuple[tuple[object, ...], str, int]:
        """Values of an element as they are shown, of what kind those are that were replaced, and
        how many; :meth:`again` counts them. ``strict``: inside of a sequence in which nothing
        stays; ``known``: the code that stands beside it. The lock must be held."""
        if self.keep_phi and not (self.mask_ae and vr == "AE"):
            return values, "", 0
        if len(values) == 1:
            value = values[0]
            if value == "" or self._is_kept(tag, vr, value, strict, known):
                return values, "", 0
            kind, pseudonym = self._hidden(vr, value)
            return (pseudonym,), kind, 1
        made: list[object] = []
        kind = ""
        count = 0
        for value in values:
            if value == "" or self._is_kept(tag, vr, value, strict, known):
                made.append(value)
            else:
                kind, pseudonym = self._hidden(vr, value)
                count += 1
                made.append(pseudonym)
        return tuple(made), kind, count

    def _is_kept(
        self, tag: int, vr: str, value: object, strict: bool, known: KnownCode | None
    ) -> bool:
        """True for a value that stays, where it stands."""
        if self.keep_phi:
            return False  # an AE title that is masked all the same
        if strict or tag & 0x00010000:
            # A private attribute, or one inside of a sequence that PS3.15 empties.
            if is_creator(tag) and vr == "LO" and known_creator(str(value)):
                return True
            return vr == "UI" and self._stays(tag, vr, value)
        if tag in CODED:
            # All of a code stays that PS3.16 knows, of others the scheme.
            text = str(value)
            if tag == SCHEME and allowed.is_scheme(text):
                return True
            if known is None:
                return False
            # Another code beside it, or the same element again, may be anything.
            if tag in CODE_VALUES:
                return text == known.value
            return tag == _MEANING and text.casefold() == known.meaning.casefold()
        return self._stays(tag, vr, value)

    def _stays(self, tag: int, vr: str, value: object) -> bool:
        """True for a value of a public attribute that need not be hidden."""
        if vr == "UI":
            text = str(value)
            return _well_known(text) or (tag in allowed.CLASS_UIDS and text in self._classes)
        if vr == "AE":
            return not self.mask_ae and str(value) in self._titles
        if not allowed.is_allowed(tag):
            return False
        # What came under another VR than its own is not what the attribute holds.
        if vr in _NUMERIC:
            if not allowed.is_numeric(tag):
                return False
            if not isinstance(value, str):
                return vr != "AT" or (isinstance(value, int) and entry(value) is not None)
            form = _INTEGER if vr == "IS" else _DECIMAL
            return form.fullmatch(value) is not None
        if not isinstance(value, str):
            return False
        if tag == _CHARACTER_SET:
            return allowed.is_charset(value)
        if vr == "CS":
            return allowed.is_term(value)
        if vr in ("SH", "LO"):
            return allowed.is_equipment(tag, value) or (
                tag in allowed.named() and allowed.is_term(value)
            )
        return False

    def _class(self, uid: str) -> str:
        return uid if uid in self._classes else self.uid(uid)

    # ------------------------------------------------------------------ pseudonyms by VR

    def _count(self, kind: str, pseudonym: str) -> str:
        self._counts[kind] += 1
        return pseudonym

    def _masked(self, vr: str, value: object) -> object:
        """The pseudonym of a value, in the form of its VR."""
        kind, pseudonym = self._hidden(vr, value)
        self._counts[kind] += 1
        return pseudonym

    def _hidden(self, vr: str, value: object) -> tuple[str, object]:
        """The same without counting it, and the kind it counts as."""
        if isinstance(value, str):
            key = (vr, value)
            known = self._recent.get(key)
            if known is None:
                kind, write = self._writers.get(vr) or self._writers[""]
                if kind in ("date", "time") and _DATE_FORM.fullmatch(value) is None:
                    write = self._pseudonyms.text
                known = kind, write(value)
                if len(value) <= _RECENT_LENGTH:
                    if len(self._recent) >= _RECENT:
                        self._recent.clear()
                    self._recent[key] = known
            return known
        if isinstance(value, bytes):
            return "bytes", self._pseudonyms.bytes(value)
        if isinstance(value, float):
            return "number", float(self._pseudonyms.integer(value, 1 << 24))
        if isinstance(value, int):
            return "number", self._pseudonyms.integer(value, _LIMITS.get(vr, 0xFFFF))
        return "number", None

    def _by_vr(self) -> dict[str, tuple[str, Callable[[str], str]]]:
        """What texts of a VR count as, and what writes their pseudonyms; of any other VR at ""."""
        names = self._pseudonyms
        prose = ("text", names.prose)
        number = ("number", self._number)
        return {
            "": ("text", names.text),
            "PN": ("person", names.text),
            "UI": ("uid", names.uid),
            "DA": ("date", names.date),
            "TM": ("time", names.time),
            "DT": ("date", names.stamp),
            "AE": ("ae_title", names.text),
            **dict.fromkeys(("IS", "DS", "AS"), number),
            **dict.fromkeys(_PROSE, prose),
        }

    def _number(self, text: str) -> str:
        if _DECIMAL.fullmatch(text) or re.fullmatch(r"\d{3}[DWMY]", text, re.ASCII):
            return self._pseudonyms.digits(text)
        return self._pseudonyms.text(text)


def _is_text(number: int) -> bool:
    """True for four bytes that could be four characters of a text."""
    return min(number.to_bytes(4, "big")) >= 0x20


@lru_cache(maxsize=8192)
def _is_noise(tag: int) -> bool:
    """True for a tag that nobody defines and that could be read as text: where a length was wrong,
    what is taken for a tag may be four bytes of somebody's name."""
    return _is_text(tag) and entry(tag) is None


def _noise(elements: Iterable[Element]) -> list[Fault]:
    """What is said in the place of elements that are none."""
    return [
        Fault("what stands here is no element", element.start, element.end)
        for element in elements
        if _is_noise(element.tag)
    ]


def _safe_faults(faults: list[Fault]) -> list[Fault]:
    """Faults without tags and lengths that were no tags and lengths, but text."""
    return [fault._replace(text=_NUMBERS.sub(_safe_number, fault.text)) for fault in faults]


def _safe_number(found: re.Match[str]) -> str:
    if found[1]:
        return found[0] if not _is_noise(int(found[1] + found[2], 16)) else "(?)"
    number = int(found[0].replace(",", ""))
    return "?" if number < 1 << 32 and _is_text(number) else found[0]


def known_code(scheme: str, value: str) -> KnownCode | None:
    """A code, None where PS3.16 does not know it."""
    meaning = allowed.code_meaning(scheme, value) if value and scheme else None
    return None if meaning is None else KnownCode(value, meaning)


def _known_code(elements: Iterable[Element]) -> KnownCode | None:
    """The code that an item holds, None where it holds none that PS3.16 knows."""
    code = scheme = ""
    for element in elements:
        if element.tag in CODE_VALUES and len(element.values) == 1:
            code = str(element.values[0])
        elif element.tag == SCHEME and len(element.values) == 1:
            scheme = str(element.values[0])
    return known_code(scheme, code)


@cache
def _registry() -> frozenset[str]:
    return frozenset(tables.uids())


def _well_known(uid: str) -> bool:
    """True for a UID that the standard assigned, also one that the registry in use is too old to
    have: components below its root that are too short for a date or a number of anybody."""
    return _STANDARD.fullmatch(uid) is not None or uid in _registry()
