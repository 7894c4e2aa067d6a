"""Pseudonyms that show what a debugger needs and nothing else.

A pseudonym is numbered by the order in which values first appear, so nothing of the value is in
it: there is no key to steal and no dictionary to try, and every reader of one capture gives the
same ones. The same value has the same pseudonym wherever it stands. What stays visible: length,
alphabet, case, leading zeros, and what structures a value (``^ = \\ * ?``, ranges).
"""

from __future__ import annotations

import datetime
import math
import re
import unicodedata
from array import array
from collections.abc import Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Final

DISTINCT_LIMIT: Final = 400_000
"""Distinct values told apart, some 6 MB. Past it values of one shape share a pseudonym, so
that a capture of millions of values does not fill the memory."""
_SHORT: Final = 32
"""Characters up to which a value is its own key; of longer ones a digest is kept."""
_ENOUGH: Final = 1 << 40
"""Combinations that a pseudonym's characters need to have to number everything."""
_STRIDE: Final = 2_654_435_761
"""Prime to every alphabet's size: neighbouring numbers give pseudonyms that look different."""

_FIRSTS: Final = frozenset("bB1")
"""The first characters of the alphabets of ASCII."""
_LATIN: Final = "bcdfghjklmnpqrstvwxz"
_ALPHABETS: Final = {
    "a": _LATIN,
    "9": "123456789",
    "e": "àáâäåçèéêëìíîïñòóôöùúûü",
    "ａ": "ｂｃｄｆｇｈｊｋｌｍｎｐｑｒｓｔｖｗｘｚ",
    "９": "１２３４５６７８９",
    "漢": "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥"
    "一二三四五六七八九十百千東西南北上下左右春夏秋冬",
    "あ": "かきくけこさしすせそたちつてとなにぬねの",
    "ア": "カキクケコサシスセソタチツテトナニヌネノ",
    "ｱ": "ｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉ",
    # Every initial consonant with six vowels, without a final one.
    "한": "".join(chr(0xAC00 + n * 588 + v * 28) for v in (0, 4, 8, 13, 18, 20) for n in range(19)),
    "я": "бвгджзклмнпрстфхцчшщ",
    "γ": "βγδζθκλμνξπρστφχψ",
    "א": "אבגדהוזחטיכלמנסעפצקרשת",
    "ب": "بتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "ก": "กขคงจฉชซดตถทนบปผฝพมยรลวสหอ",
    "\u0301": "\u0301",
    "\u0e34": "\u0e34",
    "\u064e": "\u064e",
    "¤": "¤",
}
"""Class of a character to the characters that stand for it. Without vowels where words might
come out of it."""

_RANGES: Final = (
    (0x0370, 0x03FF, "γ"),
    (0x0400, 0x052F, "я"),
    (0x0590, 0x05FF, "א"),
    (0x0600, 0x06FF, "ب"),
    (0x0E00, 0x0E7F, "ก"),
    (0x1100, 0x11FF, "한"),
    (0x3040, 0x309F, "あ"),
    (0x30A0, 0x30FF, "ア"),
    (0x3130, 0x318F, "한"),
    (0x3400, 0x9FFF, "漢"),
    (0xAC00, 0xD7AF, "한"),
    (0xF900, 0xFAFF, "漢"),
    (0xFF21, 0xFF5A, "ａ"),
    (0xFF66, 0xFF9F, "ｱ"),
    (0x20000, 0x3FFFF, "漢"),
)

_TEMPLATE: Final = str.maketrans(
    {chr(code): "a" for code in range(0x61, 0x7B)}
    | {chr(code): "A" for code in range(0x41, 0x5B)}
    | {chr(code): "9" for code in range(0x30, 0x3A)}
)
"""What an ASCII text is made of: letters, capitals, digits, anything else as it is."""
_PLANNED: Final = 1024
"""Templates of which it is remembered how they are written."""
_PERIOD: Final = 180
"""Ends of pseudonyms remembered of one template."""
_TOKENS: Final = 2048
"""Tokens beyond ASCII of which the pseudonym is remembered as it is written: names of many people
are the same, and their characters take long to look up."""

_STRUCTURE: Final = re.compile(r"([\\^=*?]+)")
_UID: Final = re.compile(r"[\d.]+", re.ASCII)
_ZEROS: Final = re.compile(r"(0*)(\d+)\Z", re.ASCII)
_DIGITS: Final = re.compile(r"\d+", re.ASCII)
_STAMPS: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_FIRST_DAY: Final = datetime.date(1900, 1, 1).toordinal()
_DAYS: Final = 36_525
"""Pseudonymous dates lie in the century from 1900 on."""
_PLACEHOLDERS: Final = frozenset(("00000000", "99991231", "99999999"))
"""Dates that are nobody's."""
_DAY_ENDS: Final = re.compile(r"0+(?:\.0+)?|2359(?:59(?:\.9+)?)?", re.ASCII)
"""Times that mean the whole day, as queries have them."""


@lru_cache(maxsize=4096)
def _class(char: str) -> str:
    """The class of a lower case character, empty for what stays as it is."""
    if "a" <= char <= "z":
        return "a"
    if "0" <= char <= "9":
        return "9"
    if char < "\x80" or char == "\ufffd":
        return ""
    category = unicodedata.category(char)
    code = ord(char)
    if category[0] == "L":
        for low, high, name in _RANGES:
            if low <= code <= high:
                return name
        return "e" if code < 0x0250 else "¤"
    if category == "Nd":
        return "９" if 0xFF10 <= code <= 0xFF19 else "9"
    if category[0] == "M":
        if 0x0E00 <= code <= 0x0E7F:
            return "\u0e34"
        return "\u064e" if 0x0600 <= code <= 0x06FF else "\u0301"
    if category[0] in "NCS":
        # Letters in disguise: circled, private use, unassigned, signs and emoji.
        return "" if code in (0xA5, 0x203E) else "¤"
    return ""


def _fold(text: str) -> str:
    """Lower case, character by character, so that places stay the same."""
    if text.isascii():
        return text.lower()
    return "".join([low if len(low := char.lower()) == 1 else char for char in text])


class Pseudonyms:
    """The pseudonyms of one output. Not safe for several threads."""

    __slots__ = ("_numbers", "_shapes", "_tokens", "_values", "overflowed")

    def __init__(self) -> None:
        self._values = _Table()
        """Kind and value to its number."""
        self._shapes: dict[str | bytes, int] = {}
        """How many values of a shape were numbered."""
        self._numbers: dict[str, int] = {}
        """How many values of a kind were numbered."""
        self._tokens: dict[str, str] = {}
        """Tokens beyond ASCII to what is shown for them."""
        self.overflowed = 0
        """Values that came when there was no room any more to tell them apart."""

    @property
    def distinct(self) -> int:
        """Values that were given a number."""
        return self._values.used

    # ------------------------------------------------------------------ numbering

    def number(self, kind: str, value: str | bytes) -> int:
        """The number of a value among those of its kind, from 1; 0 where there is no room."""
        key = _hashed(kind, value)
        found = self._values.get(key)
        if found:
            return found
        if self._values.used >= DISTINCT_LIMIT:
            self.overflowed += 1
            return 0
        count = self._numbers.get(kind, 0) + 1
        self._numbers[kind] = count
        self._values.put(key, count)
        return count

    # ------------------------------------------------------------------ text

    def text(self, text: str) -> str:
        """A pseudonym part by part, wildcards and delimiters of components staying."""
        if text.isalnum():
            return self._token(text)
        parts = _STRUCTURE.split(text)
        for index in range(0, len(parts), 2):
            part = parts[index]
            if part:
                parts[index] = self._token(part)
        return "".join(parts)

    def prose(self, text: str) -> str:
        """A pseudonym of a whole text: neither words nor sentences can be made out, lines can."""
        flat = "".join(
            [
                char if char in "\r\n" or not char.isascii() or char.isalnum() else "x"
                for char in text
            ]
        )
        return self._shaped(flat)

    def _token(self, token: str) -> str:
        if token.isascii():
            return self._told(token)
        shown = self._tokens.get(token)
        if shown is None:
            overflowed = self.overflowed
            shown = self._told(token)
            # What there is no room for is counted each time.
            if len(token) <= _SHORT and self.overflowed == overflowed:
                if len(self._tokens) >= _TOKENS:
                    self._tokens.clear()
                self._tokens[token] = shown
        return shown

    def _told(self, token: str) -> str:
        if " " in token:
            if token.count(" ") > 1 and not token.isspace():
                lead = len(token) - len(token.lstrip(" "))
                tail = len(token.rstrip(" "))
                return " " * lead + self.prose(token[lead:tail]) + " " * (len(token) - tail)
            stripped = token.strip(" ")
            if not stripped:
                return token
            if len(stripped) != len(token):
                return token.replace(stripped, self._shaped(stripped))
        elif token[:1] == "0":
            zeros = _ZEROS.match(token)
            if zeros is not None:
                return zeros[1] + self._shaped(zeros[2])
        return self._shaped(token)

    def _shaped(self, token: str) -> str:
        if token.isascii():
            template = token.translate(_TEMPLATE)
            plan = _plan(template) if len(token) <= _SHORT else _planned(template)
            folded = token.lower()
            shape: str | bytes = plan.shape if plan is not None else ""
        else:
            folded = _fold(token)
            classes = [_class(char) for char in folded]
            pairs = zip(classes, folded, strict=True)
            shape = _key("".join([name or char for name, char in pairs]))
            plan = _Plan(token, classes, shape) if any(classes) else None
        if plan is None:
            return token
        key = _hashed("text", folded)
        values = self._values
        number = values.get(key)
        if number:
            return plan.render(number)
        if values.used >= DISTINCT_LIMIT:
            self.overflowed += 1
            return plan.render(0)
        count = self._shapes.get(shape, 0)
        # A pseudonym that happens to be the value itself would be none.
        for _ in range(3):
            count += 1
            shown = plan.render(count)
            if _fold(shown) != folded:
                break
        self._shapes[shape] = count
        values.put(key, count)
        return shown

    # ------------------------------------------------------------------ numbers

    def digits(self, text: str) -> str:
        """A number as text (IS, DS, AS): digits are replaced, sign, point and exponent stay."""
        return _DIGITS.sub(lambda found: self._token(found[0]), text)

    def integer(self, value: int | float, limit: int) -> int:
        """A small number for a number; ``limit`` is the largest that its VR can hold."""
        number = self.number("integer", str(value))
        return number % (limit + 1)

    # ------------------------------------------------------------------ dates and times

    def date(self, text: str) -> str:
        """Dates in ranges and with wildcards too; a date that is none stays none."""
        return _DIGITS.sub(lambda found: self._day(found[0]), text)

    def time(self, text: str) -> str:
        """Times in ranges and with wildcards too."""
        return _STAMPS.sub(lambda found: self._clock(found[0]), text)

    def stamp(self, text: str) -> str:
        """Dates with times (DT), with an offset from UTC, in ranges too."""
        return _STAMPS.sub(lambda found: self._moment(found[0]), text)

    def _moment(self, digits: str) -> str:
        if len(digits) >= 8:
            day, rest = self._day(digits[:8]), digits[8:]
            return day + (self._clock(rest) if rest else "")
        return self._token(digits)

    def _day(self, digits: str) -> str:
        if digits in _PLACEHOLDERS:
            return digits
        if len(digits) != 8 or not _is_date(digits):
            return self._token(digits)
        number = self.number("date", digits)
        for step in range(2):
            day = _FIRST_DAY + ((number * 2 + step) * _STRIDE) % _DAYS
            shown = datetime.date.fromordinal(day).strftime("%Y%m%d")
            if shown != digits:
                break
        return shown

    def _clock(self, digits: str) -> str:
        whole, point, fraction = digits.partition(".")
        if _DAY_ENDS.fullmatch(digits):
            return digits
        if len(whole) not in (2, 4, 6) or not _is_time(whole):
            return self._token(whole) + point + (self._token(fraction) if fraction else "")
        number = self.number("time", digits)
        seconds = number * _STRIDE % 86_400
        shown = f"{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}"[: len(whole)]
        if shown == whole:
            shown = f"{(int(shown[:2]) + 1) % 24:02}{shown[2:]}"
        return shown + point + str(number % 10 ** len(fraction)).zfill(len(fraction)) * bool(point)

    # ------------------------------------------------------------------ UIDs, bytes, addresses

    def uid(self, uid: str) -> str:
        """A UID of the same length below 2.25, the root of UIDs that nobody registers."""
        if len(uid) < 6 or _UID.fullmatch(uid) is None:
            return self.text(uid)
        number = self.number("uid", uid)
        room = len(uid) - 5
        arcs = []
        # A UUID has at most 39 digits: longer UIDs get an arc in between, and twelve digits at
        # least to be told apart by.
        while room > 37:
            arc = min(36, room - 13)
            arcs.append("1" * arc)
            room -= arc + 1
        arcs.append("1" + str(number).zfill(room - 1))
        return "2.25." + ".".join(arcs)

    def bytes(self, raw: bytes) -> bytes:
        """As many bytes, which say nothing but which value it was."""
        number = self.number("bytes", raw)
        return number.to_bytes(max(len(raw), 4), "big")[-len(raw) :] if raw else raw

    def address(self, address: str) -> str:
        """An address of the ranges kept for documentation (RFC 5737, RFC 3849), of the range
        for nothing (240.0.0.0/4) once those are used up."""
        number = self.number("address", address)
        if ":" in address:
            return f"2001:db8::{number:x}" if number < 0x10000 else f"2001:db8:1::{number:x}"[:39]
        block, last = divmod(number - 1, 254)
        if number and block < 3:
            return f"{('192.0.2', '198.51.100', '203.0.113')[block]}.{last + 1}"
        return f"240.{number >> 16 & 0xFF}.{number >> 8 & 0xFF}.{number & 0xFF}"


def _key(value: str | bytes) -> str | bytes:
    if len(value) <= _SHORT:
        return value
    raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return blake2b(raw, digest_size=16).digest()


def _hashed(kind: str, value: str | bytes) -> int:
    """What a value is found by. With its length, for "B0" and "あ" have the same bytes in Python's
    memory, and so the same hash."""
    return hash((kind, len(value), value)) or 1


class _Table:
    """Numbers by the hashes of what they are for: 12 bytes a place, of which two to four fifths
    are taken, where a dictionary takes 200 with the values. That two of a million values have the
    same hash of 64 bits is as likely as one in thirty million."""

    __slots__ = ("_keys", "_mask", "_numbers", "used")

    def __init__(self) -> None:
        self._room(1 << 10)

    def _room(self, size: int) -> None:
        self._mask = size - 1
        self._keys = array("q", bytes(8 * size))
        """0: nothing is here."""
        self._numbers = array("i", bytes(4 * size))
        self.used = 0

    def get(self, key: int) -> int:
        """The number of a hash that is not 0; 0 where it has none."""
        keys, mask = self._keys, self._mask
        at = key & mask
        while True:
            here = keys[at]
            if here == key:
                return self._numbers[at]
            if not here:
                return 0
            at = (at + 1) & mask

    def put(self, key: int, number: int) -> None:
        """Give a number to a hash that has none."""
        keys, mask = self._keys, self._mask
        at = key & mask
        while keys[at]:
            at = (at + 1) & mask
        keys[at] = key
        self._numbers[at] = number
        self.used += 1
        if self.used * 5 > mask * 4:
            numbers = self._numbers
            self._room((mask + 1) * 2)
            for each, told in zip(keys, numbers, strict=True):
                if each:
                    self.put(each, told)


class _Plan:
    """How pseudonyms for texts of one form are written."""

    __slots__ = ("_capacity", "_period", "_steps", "_tail", "_tails", "shape")

    def __init__(self, token: str, classes: list[str], shape: str | bytes) -> None:
        """``classes``: of each character, at least one has one."""
        self.shape = shape
        """What is numbered together."""
        capacity = 1
        for name in classes:
            if name:
                capacity *= len(_ALPHABETS[name])
                if capacity > _ENOUGH:
                    break
        self._capacity = capacity
        steps: list[tuple[Sequence[str], int]] = []
        tail: list[tuple[Sequence[str], int, int]] = []
        room = capacity
        period = 1
        for index, (char, name) in enumerate(zip(token, classes, strict=True)):
            alphabet = _capitals(name) if name and char.isupper() else _ALPHABETS.get(name, (char,))
            if room > 1:
                if name:
                    room //= len(alphabet)
                steps.append((alphabet, len(alphabet)))
            else:
                tail.append((alphabet, len(alphabet), index))
                period = math.lcm(period, len(alphabet))
        self._steps = _in_pairs(steps)
        """Characters to choose from by the number, and how many there are."""
        self._tail = tail
        """The same behind those that say it all, with their places."""
        self._period = period if period <= _PERIOD else 0
        """After so many numbers the tail is the same."""
        self._tails: dict[int, str] = {}

    def render(self, number: int) -> str:
        """Write ``number`` in the alphabets of the token's characters."""
        rest = (number * _STRIDE + 1) % self._capacity
        out: list[str] = []
        for alphabet, size in self._steps:
            if size == 1:
                out.append(alphabet[0])
            else:
                rest, digit = divmod(rest, size)
                out.append(alphabet[digit])
        if self._tail:
            out.append(self._behind(number))
        return "".join(out)

    def _behind(self, number: int) -> str:
        at = number % self._period if self._period else number
        told = self._tails.get(at)
        if told is None:
            told = "".join(
                [alphabet[(number + index * 7) % size] for alphabet, size, index in self._tail]
            )
            if self._period:
                self._tails[at] = told
        return told


def _in_pairs(steps: list[tuple[Sequence[str], int]]) -> tuple[tuple[Sequence[str], int], ...]:
    """Two characters at once where both are letters or digits of ASCII."""
    made: list[tuple[Sequence[str], int]] = []
    index = 0
    while index < len(steps):
        alphabet, size = steps[index]
        index += 1
        if index < len(steps) and alphabet[0] in _FIRSTS and steps[index][0][0] in _FIRSTS:
            alphabet = _pairs(tuple(alphabet), tuple(steps[index][0]))
            size = len(alphabet)
            index += 1
        made.append((alphabet, size))
    return tuple(made)


@cache
def _pairs(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([one + two for two in second for one in first])


def _planned(template: str) -> _Plan | None:
    """How ASCII texts of this template are written; None where they stay as they are."""
    classes = [_class(char) for char in template.lower()]
    return _Plan(template, classes, _key(template.lower())) if any(classes) else None


_plan = lru_cache(maxsize=_PLANNED)(_planned)


@cache
def _capitals(name: str) -> tuple[str, ...]:
    return tuple([char.upper() if len(char.upper()) == 1 else char for char in _ALPHABETS[name]])


def _is_date(digits: str) -> bool:
    try:
        datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return True


def _is_time(digits: str) -> bool:
    return digits[:2] < "24" and digits[2:4] < "60" and digits[4:6] <= "60"
