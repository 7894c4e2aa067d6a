"""Pseudonyms: how they are numbered and how they are written."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from dicomsniff.output import pseudonyms
from dicomsniff.output.pseudonyms import Pseudonyms, _Plan, _Table


def test_a_table_is_a_dictionary() -> None:
    """Also where it has grown, and where hashes fall on one place."""
    rng = random.Random(1)
    table, same = _Table(), dict[int, int]()
    for _ in range(20_000):
        key = rng.choice((1, -1)) * (rng.randrange(1, 9000) << rng.choice((0, 10, 40)))
        assert table.get(key) == same.get(key, 0)
        if key not in same:
            same[key] = len(same) + 1
            table.put(key, same[key])
    assert table.used == len(same) > 10_000
    assert all(table.get(key) == number for key, number in same.items())


def test_texts_that_python_keeps_alike() -> None:
    """Both are the bytes 42H 30H in its memory."""
    assert hash("B0") == hash("\u3042")
    names = Pseudonyms()
    assert names.number("address", "B0") != names.number("address", "\u3042")


def naive(token: str, classes: list[str], number: int) -> str:
    """One character after the other, without any plan."""
    alphabets = [pseudonyms._ALPHABETS[name] if name else "" for name in classes]
    capacity = 1
    for alphabet in filter(None, alphabets):
        capacity *= len(alphabet)
        if capacity > pseudonyms._ENOUGH:
            break
    rest, room, out = (number * pseudonyms._STRIDE + 1) % capacity, capacity, ""
    for index, (char, alphabet) in enumerate(zip(token, alphabets, strict=True)):
        shown = char
        if alphabet and room > 1:
            rest, digit = divmod(rest, len(alphabet))
            room //= len(alphabet)
            shown = alphabet[digit]
        elif alphabet:
            shown = alphabet[(number + index * 7) % len(alphabet)]
        if alphabet and char.isupper() and len(shown.upper()) == 1:
            shown = shown.upper()
        out += shown
    return out


@given(
    st.text("aB9 -.éÉ漢あアｱ한я٣กא\u0301", min_size=1, max_size=40),
    st.lists(st.integers(0, 1 << 24), min_size=1, max_size=5),
)
def test_a_plan_writes_character_by_character(token: str, numbers: list[int]) -> None:
    classes = [pseudonyms._class(char) for char in pseudonyms._fold(token)]
    if any(classes):
        plan = _Plan(token, classes, "")
        for number in (*numbers, *numbers):
            assert plan.render(number) == naive(token, classes, number)
