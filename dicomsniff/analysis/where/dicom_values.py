"""Types of values that DICOM knows: statuses, UIDs, person names, dates, tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from dicomsniff.analysis.where.syntax import Operator
from dicomsniff.analysis.where.values import EQUAL, ORDER, TEXTUAL, Test, Type, wildcards
from dicomsniff.dicom import tables

_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_CODE: Final = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{1,4}|[0-9A-Fa-f]{1,3}[xX*?]{1,3})[hH]?")

CATEGORIES: Final = ("Success", "Pending", "Cancel", "Warning", "Failure")


class StatusType(Type):
    """A status: its category, its code, a range of codes, or its meaning."""

    name = "status"
    hint = "Success, Pending, Cancel, Warning, Failure, a code such as A700 or A7xx, or a meaning"
    operators = (*EQUAL, *TEXTUAL, *ORDER)
    choices = CATEGORIES

    def text(self, value: Any) -> str:
        return f"{value.category}: {value.meaning}, 0x{value.code:04X}"

    def parse(self, text: str) -> Any:
        text = text.strip()
        for category in CATEGORIES:
            if text.casefold() == category.casefold():
                return category
        match = _CODE.fullmatch(text)
        if match is None:
            if not text:
                raise ValueError(self.hint)
            return text.casefold(), None
        digits = re.sub("[xX*?]", "x", match[1])
        if "x" not in digits:
            code = int(digits, 16)
            return code, code
        if len(digits) != 4:
            raise ValueError("a code of four digits such as A7xx")
        return int(digits.replace("x", "0"), 16), int(digits.replace("x", "F"), 16)

    def equal(self, wanted: Any) -> Test:
        if isinstance(wanted, str):
            return lambda value: bool(value.category == wanted)
        first, last = wanted
        if last is None:
            return lambda value: bool(value.meaning.casefold() == first)
        return lambda value: bool(first <= value.code <= last)

    def order(self, operator: Operator, ends: Sequence[Any]) -> Test:
        if any(isinstance(end, str) or end[1] is None for end in ends):
            raise ValueError("a code such as A700 (only codes have an order)")
        # A range stands for all of its codes: below it, or above all of it.
        at = 1 if operator in ("<=", ">") else 0
        limits = [end[at] for end in ends]
        if operator == "between":
            limits = [ends[0][0], ends[1][1]]
        test = super().order(operator, limits)
        return lambda value: test(value.code)

    def undecided(self, value: Any) -> bool:
        return bool(value.category == "Pending")


class Uid(Type):
    """A UID: itself, or the name or keyword that PS3.6 gives to it."""

    name = "UID"
    hint = "a UID, or a name or keyword of PS3.6"

    def __init__(self, *types: str) -> None:
        self.types = types
        """Types of UID in PS3.6 whose keywords are proposed."""

    def text(self, value: Any) -> str:
        name, keyword = uid_names(str(value))
        return f"{value} {name} {keyword}"

    def test(self, operator: Operator, values: Sequence[str]) -> Test:
        if operator == "matches":
            fits = wildcards(values[0])
            return lambda value: any(map(fits, (str(value), *uid_names(str(value)))))
        return super().test(operator, values)

    def parse(self, text: str) -> Any:
        text = text.strip()
        if not text or _UID.fullmatch(text):
            return frozenset((text,))
        found = _uids_by_name().get(text.casefold())
        if found is None:
            raise ValueError(self.hint)
        return found

    def equal(self, wanted: Any) -> Test:
        return lambda value: str(value) in wanted


@lru_cache(maxsize=1024)
def uid_names(uid: str) -> tuple[str, str]:
    """Name and keyword of a UID, empty where PS3.6 has none."""
    found = tables.uids().get(uid)
    return (found[0], found[4]) if found is not None else ("", "")


@lru_cache(maxsize=1)
def _uids_by_name() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for uid, (name, _, _, _, keyword) in tables.uids().items():
        # "MR Image Storage" is the name people know; "(Retired)" never is part of it.
        for text in {name, name.removesuffix(" (Retired)"), keyword}:
            if text:
                found.setdefault(text.casefold(), set()).add(uid)
    return {text: frozenset(uids) for text, uids in found.items()}


@lru_cache(maxsize=8)
def uid_keywords(types: tuple[str, ...]) -> tuple[str, ...]:
    """Keywords of all UIDs of these types in PS3.6, of all where none is named."""
    return tuple(
        sorted({e[4] for e in tables.uids().values() if e[4] and (not types or e[1] in types)})
    )


class PersonName(Type):
    """A person name: all of it, or one of its component groups (PS3.5 6.2.1)."""

    name = "person name"
    hint = "a name such as Doe^Jane"

    def equal(self, wanted: Any) -> Test:
        return lambda value: str(value) == wanted or wanted in str(value).split("=")

    def test(self, operator: Operator, values: Sequence[str]) -> Test:
        if operator == "matches":
            fits = wildcards(values[0])
            return lambda value: any(map(fits, (str(value), *str(value).split("="))))
        return super().test(operator, values)


class Stamp(Type):
    """Dates and times of a data set (DA, TM, DT); a shorter one stands for all it covers."""

    name = "date or time"
    operators = (*EQUAL, *TEXTUAL, *ORDER)

    def __init__(self, hint: str, form: str) -> None:
        self.hint = hint
        self._form = re.compile(form)

    def parse(self, text: str) -> Any:
        text = text.strip()
        digits = re.sub(r"[-:T ]", "", text)
        return text, digits if self._form.fullmatch(digits) else None

    def equal(self, wanted: Any) -> Test:
        text, digits = wanted
        if digits is None:
            # What a query has instead of a date: a range, a wildcard, nothing.
            return lambda value: str(value) == text
        return lambda value: str(value) == text or _digits(value).startswith(digits)

    def order(self, operator: Operator, ends: Sequence[Any]) -> Test:
        limits = [end[1] for end in ends]
        if None in limits:
            raise ValueError(self.hint)
        first, last = limits[0], limits[-1]

        def before(value: str, limit: str) -> bool:
            return value[: len(limit)] < limit

        def behind(value: str, limit: str) -> bool:
            return value[: len(limit)] > limit

        tests: dict[str, Callable[[str], bool]] = {
            "<": lambda value: before(value, first),
            "<=": lambda value: not behind(value, first),
            ">": lambda value: behind(value, first),
            ">=": lambda value: not before(value, first),
            "between": lambda value: not before(value, first) and not behind(value, last),
        }
        test = tests[operator]
        return lambda value: bool(digits := _digits(value)) and test(digits)


def _digits(value: object) -> str:
    """A single date or time without the marks that old equipment writes; else empty."""
    text = str(value).strip()
    bare = re.sub(r"[:]|(?<=[0-9]{4})\.(?=[0-9]{2}\.)|(?<=[0-9]{4}\.[0-9]{2})\.", "", text)
    return bare if re.fullmatch(r"[0-9]{2,14}(?:\.[0-9]+)?(?:[+-][0-9]{4})?", bare) else ""


DATE: Final = Stamp(
    "a date such as 2026-01-05 or 20260105, or 2026-01", r"[0-9]{4}(?:[0-9]{2}){0,2}"
)
TIME: Final = Stamp("a time such as 08:15 or 081500", r"(?:[0-9]{2}){1,3}(?:\.[0-9]+)?")
DATETIME: Final = Stamp(
    "a date and time such as 20260105081500", r"[0-9]{4}(?:[0-9]{2}){0,5}(?:\.[0-9]+)?"
)


class TagType(Type):
    """A tag that is a value (AT)."""

    name = "tag"
    hint = "a tag such as (0010,0020)"

    def parse(self, text: str) -> Any:
        if not text.strip():
            return ""
        digits = re.sub(r"[(),\s]", "", text)
        if re.fullmatch(r"[0-9A-Fa-f]{8}", digits) is None:
            raise ValueError(self.hint)
        return f"({digits[:4]},{digits[4:]})".upper()
