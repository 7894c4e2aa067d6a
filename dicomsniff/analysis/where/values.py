"""Types of values: what a user may write behind an operator, and how it is held against a row's.

A type turns operator and text into a test of one value. It raises ``ValueError`` with what was
expected; the caller knows where it stands. No test takes longer than the value is long times the
pattern is long: there are no regular expressions of the user's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from dicomsniff.analysis.where.syntax import Operator

Test = Callable[[Any], bool]

MAX_PATTERN: Final = 256
"""Characters of a pattern with wildcards; DICOM's longest name has 64 a group."""

_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?"
)
_MEASURE: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([A-Za-zµ]*)")

EQUAL: Final[tuple[Operator, ...]] = ("=", "!=", "in")
TEXTUAL: Final[tuple[Operator, ...]] = ("~", "!~", "matches")
ORDER: Final[tuple[Operator, ...]] = ("<", "<=", ">", ">=", "between")


@lru_cache(maxsize=64)
def wildcards(pattern: str) -> Callable[[str], bool]:
    """A test whether a whole text fits a pattern in which ``*`` stands for any characters and
    ``?`` for one, as in a DICOM query (PS3.4 C.2.2.2.4); case does not matter."""
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern of at most {MAX_PATTERN} characters")
    first, *rest = [
        "".join("." if char == "?" else re.escape(char) for char in piece)
        for piece in re.split(r"\*+", pattern.casefold())
    ]
    # Atomic groups: what a piece has found is never given back, so time cannot explode.
    text = first + "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    if rest:
        text += f".*{rest[-1]}"
    compiled = re.compile(text, re.DOTALL)
    return lambda value: compiled.fullmatch(value.casefold()) is not None


class Type:
    """Text, compared as it stands; the base of the others."""

    name = "text"
    hint = "text"
    """What a value looks like, for messages and for the reference."""
    operators: tuple[Operator, ...] = (*EQUAL, *TEXTUAL)
    choices: tuple[str, ...] = ()
    """All the values there are, or those worth proposing."""

    def test(self, operator: Operator, values: Sequence[str]) -> Test:
        """The test of one value; of ``!=`` and ``!~`` the test without the negation."""
        if operator in ("~", "!~"):
            wanted = values[0].casefold()
            return lambda value: wanted in self.text(value).casefold()
        if operator == "matches":
            fits = wildcards(values[0])
            return lambda value: fits(self.text(value))
        if operator in ORDER:
            ends = [self.parse(value) for value in values]
            return self.order(operator, ends)
        tests = [self.equal(self.parse(value)) for value in values]
        if len(tests) == 1:
            return tests[0]
        return lambda value: any(test(value) for test in tests)

    def text(self, value: Any) -> str:
        """A row's value as text."""
        return str(value)

    def parse(self, text: str) -> Any:
        """The user's value. Raises ``ValueError`` with what was expected."""
        return text.strip()

    def equal(self, wanted: Any) -> Test:
        """A test whether a row's value is the user's."""
        return lambda value: bool(value == wanted)

    def order(self, operator: Operator, ends: Sequence[Any]) -> Test:
        """A test whether a row's value stands where the operator says."""
        first = ends[0]
        if operator == "between":
            second = ends[1]
            if second < first:
                raise ValueError("the smaller end of 'between' first")
            return lambda value: value is not None and first <= value <= second
        if operator == "<":
            return lambda value: value is not None and value < first
        if operator == "<=":
            return lambda value: value is not None and value <= first
        if operator == ">":
            return lambda value: value is not None and value > first
        return lambda value: value is not None and value >= first

    def undecided(self, value: Any) -> bool:  # noqa: ARG002
        """True for a value that says nothing yet, so that no negation may match it."""
        return False


class Choice(Type):
    """One of a few words; case does not matter."""

    name = "choice"

    def __init__(self, *choices: str, more: str = "") -> None:
        self.choices = choices
        self.hint = more or "one of " + ", ".join(choices)
        self._known = {choice.casefold(): choice for choice in choices}

    def parse(self, text: str) -> Any:
        found = self._known.get(text.strip().casefold())
        if found is None:
            raise ValueError(self.hint)
        return found


class Scale(Choice):
    """A choice whose words have an order, the least first."""

    name = "scale"

    operators = (*EQUAL, *ORDER)

    def order(self, operator: Operator, ends: Sequence[Any]) -> Test:
        rank = {choice: place for place, choice in enumerate(self.choices)}
        test = super().order(operator, [rank[end] for end in ends])
        return lambda value: test(rank.get(value))


class Flag(Type):
    """True or false; the bare word means true."""

    name = "yes or no"
    hint = "yes or no"
    operators = ("=", "!=")
    choices = ("yes", "no")

    def parse(self, text: str) -> Any:
        word = text.strip().casefold()
        if word not in ("yes", "true", "1", "no", "false", "0"):
            raise ValueError(self.hint)
        return word in ("yes", "true", "1")


class Number(Type):
    """Whole and decimal numbers."""

    name = "number"
    hint = "a number"
    operators = (*EQUAL, *ORDER)

    def parse(self, text: str) -> Any:
        found = number(text)
        if found is None:
            raise ValueError(self.hint)
        return found


def number(text: str) -> int | float | None:
    """A number, None for what is none."""
    text = text.strip()
    if _NUMBER.fullmatch(text) is None:
        return None
    return float(text) if any(char in ".eE" for char in text) else int(text)


class Numeral(Number):
    """A number that a data set may hold as text (IS, DS)."""

    name = "number of a data set"

    operators = (*EQUAL, *TEXTUAL, *ORDER)

    def parse(self, text: str) -> Any:
        # An element that is there and empty has the empty text for a value.
        return super().parse(text) if text.strip() else ""

    def equal(self, wanted: Any) -> Test:
        if wanted == "":
            return lambda value: bool(value == "")
        return lambda value: _of(value) == wanted

    def order(self, operator: Operator, ends: Sequence[Any]) -> Test:
        if "" in ends:
            raise ValueError(self.hint)
        test = super().order(operator, ends)
        return lambda value: test(_of(value))


def _of(value: Any) -> int | float | None:
    if isinstance(value, str):
        return number(value)
    return value if isinstance(value, (int, float)) else None


class Loose(Numeral):
    """A value of which nobody knows whether it is text or number: private attributes."""

    name = "text or number"
    hint = "text or a number"

    def parse(self, text: str) -> Any:
        return text.strip()

    def equal(self, wanted: Any) -> Test:
        counted = number(wanted)
        if counted is None:
            return lambda value: str(value) == wanted
        return lambda value: str(value) == wanted or _of(value) == counted

    def order(self, operator: Operator, ends: Sequence[Any]) -> Test:
        counted = [number(end) for end in ends]
        if None in counted:
            raise ValueError("a number (only numbers have an order)")
        return super().order(operator, counted)


class Measure(Number):
    """A number with a unit."""

    def __init__(self, name: str, hint: str, units: dict[str, int], usual: str) -> None:
        self.name = name
        self.hint = hint
        self._units = units
        self._usual = usual

    def parse(self, text: str) -> Any:
        match = _MEASURE.fullmatch(text.strip())
        factor = self._units.get((match[2] or self._usual).casefold()) if match else None
        if match is None or factor is None:
            raise ValueError(self.hint)
        return int(Decimal(match[1]) * factor)


DURATION: Final = Measure(
    "duration",
    "a time such as 2s, 150ms or 1.5min (h, min, s, ms, us, ns; seconds without a unit)",
    {
        "h": 3_600_000_000_000,
        "min": 60_000_000_000,
        "s": 1_000_000_000,
        "sec": 1_000_000_000,
        "ms": 1_000_000,
        "us": 1000,
        "\u00b5s": 1000,  # the micro sign
        "\u03bcs": 1000,  # the Greek letter
        "ns": 1,
    },
    "s",
)
SIZE: Final = Measure(
    "size",
    "a size such as 512, 10kB or 1.5MB (B, kB, MB, GB, KiB, MiB, GiB; bytes without a unit)",
    {
        "b": 1,
        "kb": 1000,
        "mb": 1_000_000,
        "gb": 1_000_000_000,
        "kib": 1 << 10,
        "mib": 1 << 20,
        "gib": 1 << 30,
    },
    "b",
)


class Address(Type):
    """An IP address; a network holds all of its addresses."""

    name = "address"
    hint = "an IP address or a network such as 192.0.2.0/24"

    def parse(self, text: str) -> Any:
        try:
            return ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            raise ValueError(self.hint) from None

    def equal(self, wanted: Any) -> Test:
        @lru_cache(maxsize=1024)
        def inside(value: str) -> bool:
            try:
                return ipaddress.ip_address(value) in wanted
            except ValueError:
                return False

        return inside


class Frames(Number):
    """The frames of a row: the first, the last, and those of them that are known by number."""

    name = "frame"
    hint = "a frame number"

    def equal(self, wanted: Any) -> Test:
        return lambda value: wanted in value[0] or value[0][-1] < wanted <= value[1]

    def order(self, operator: Operator, ends: Sequence[Any]) -> Test:
        first = ends[0]
        if operator == "between":
            if ends[1] < first:
                raise ValueError("the smaller end of 'between' first")
            return lambda value: bool(value[0][0] <= ends[1] and value[1] >= first)
        if operator == "<":
            return lambda value: bool(value[0][0] < first)
        if operator == "<=":
            return lambda value: bool(value[0][0] <= first)
        if operator == ">":
            return lambda value: bool(value[1] > first)
        return lambda value: bool(value[1] >= first)
