"""Finding text in rows, values and bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dicomsniff.model import Entry
from dicomsniff.tui.people import People

SECONDS_AT_ONCE = 0.03
"""Processor time that looking for a text takes before the screen gets its turn again."""


CODECS = (
    "utf-8", "gb18030", "latin-1", "shift_jis", "euc_jp", "euc_kr", "iso8859_2", "iso8859_3",
    "iso8859_4", "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8", "iso8859_9", "iso8859_15",
    "tis_620",
)  # fmt: skip
"""How text may stand on the wire: the character sets of PS3.3 C.12.1.1.2 without the escape
sequences, by which Python's codecs would begin and end every text."""


def needles(text: str) -> tuple[str, tuple[re.Pattern[bytes], ...]]:
    """The text to look for in rows, folded, and the bytes it may be on the wire.

    Letters of ASCII are found in either case. ``0x0010`` and ``00 10 ff`` are looked for as bytes
    too.
    """
    found = []
    for codec in CODECS:
        try:
            found.append(text.encode(codec))
        except UnicodeEncodeError:
            continue
    for codec, ends in (("iso2022_jp_2", b"\x1b(B"), ("iso2022_jp", b"\x1b(B")):
        try:  # two bytes a character, seven bits each: what stands between the escape sequences
            escaped = text.encode(codec)
        except UnicodeEncodeError:
            continue
        if escaped.startswith(b"\x1b") and escaped.endswith(ends):
            found.append(re.sub(rb"^\x1b[$(][A-Z@(]?[A-Z@]?", b"", escaped)[: -len(ends)])
    flags = re.IGNORECASE if text.isascii() else re.NOFLAG
    patterns = [re.compile(re.escape(raw), flags) for raw in dict.fromkeys(found) if raw]
    bare = text.removeprefix("0x").replace(" ", "")
    if len(bare) >= 4 and len(bare) % 2 == 0:
        try:
            patterns.append(re.compile(re.escape(bytes.fromhex(bare))))
        except ValueError:
            pass
    return text.casefold(), tuple(patterns)


def in_entry(
    entry: Entry,
    row: str,
    needle: str,
    raw: tuple[re.Pattern[bytes], ...],
    people: People,
) -> bool:
    """Whether the text is in a row, in its values or in its bytes.

    Where people are masked only the row is looked at: a hit in hidden bytes would tell.
    """
    if needle in row.casefold():
        return True
    if people.on:
        return False
    stores = [entry.raw]
    if entry.message is not None:
        stores.append(entry.message.command_bytes)
        if entry.message.dataset is not None:
            stores.append(entry.message.dataset.held)
    return any(pattern.search(store) for store in stores if store for pattern in raw)


def order(start: int, count: int, backwards: bool) -> Iterator[int]:
    """Row numbers from behind ``start`` around to it."""
    step = -1 if backwards else 1
    for at in range(1, count + 1):
        yield (start + step * at) % count
