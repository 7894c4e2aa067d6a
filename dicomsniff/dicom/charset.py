"""Specific Character Set (0008,0005): bytes to text, with code extensions.

PS3.5 6.1.2 knows two ways. A character set that stands alone (ISO_IR 192, GB18030, GBK) is
decoded as a whole. The others are ISO 2022: a code element in G0 for bytes below 80H, one in G1
for those above, exchanged by escape sequences and put back at every delimiter. Characters of two
bytes may hold a byte that looks like ``\\``, ``^`` or ``=``, so values are decoded first and split
afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

ALONE: Final = {
    "ISO_IR 192": "utf_8",
    "GB18030": "gb18030",
    "GBK": "gbk",
    "ISO 2022 GBK": "gbk",
    "ISO 2022 58": "gb2312",
}
"""Character sets without code extensions and their Python codecs (PS3.3 table C.12-5; the last
two are spellings of a correction proposal that are seen in the field)."""

JIS: Final = "shift_jis"
"""JIS X 0201: romaji below 80H, katakana above. Shift JIS is a superset, and what devices that
declare ISO_IR 13 really send."""

_SINGLE: Final = {
    "6": "ascii",
    "13": JIS,
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "126": "iso8859_7",
    "127": "iso8859_6",
    "138": "iso8859_8",
    "144": "iso8859_5",
    "148": "iso8859_9",
    "166": "iso8859_11",
    "203": "iso8859_15",
}
"""Registration number to the codec of G1 (PS3.3 tables C.12-2 and C.12-3)."""

_DOUBLE: Final = {"58": "gb2312", "87": "jis0208", "149": "euc_kr", "159": "jis0212"}
"""Registration number to the set of two bytes a character (PS3.3 table C.12-4)."""

_ESCAPES: Final = {
    b"(B": (0, "ascii"),
    b"(J": (0, "ascii"),
    b"$B": (0, "jis0208"),
    b"$@": (0, "jis0208"),
    b"$(D": (0, "jis0212"),
    b"$)A": (1, "gb2312"),
    b"$)C": (1, "euc_kr"),
    b")I": (1, JIS),
    b"-A": (1, "latin_1"),
    b"-B": (1, "iso8859_2"),
    b"-C": (1, "iso8859_3"),
    b"-D": (1, "iso8859_4"),
    b"-F": (1, "iso8859_7"),
    b"-G": (1, "iso8859_6"),
    b"-H": (1, "iso8859_8"),
    b"-L": (1, "iso8859_5"),
    b"-M": (1, "iso8859_9"),
    b"-T": (1, "iso8859_11"),
    b"-b": (1, "iso8859_15"),
}
"""What stands behind ESC, to the code element (0 is G0, 1 is G1) and what it then holds."""

_ALIASES: Final = {
    "UTF-8": "ISO_IR 192",
    "UTF8": "ISO_IR 192",
    "UTF_8": "ISO_IR 192",
    "GB2312": "GBK",
    "CP936": "GBK",
    "GB 18030": "GB18030",
    "GB-18030": "GB18030",
    "ASCII": "ISO_IR 6",
    "US-ASCII": "ISO_IR 6",
    "ISO-8859-1": "ISO_IR 100",
    "ISO8859-1": "ISO_IR 100",
    "LATIN1": "ISO_IR 100",
    "LATIN-1": "ISO_IR 100",
    "SHIFTJIS": "ISO_IR 13",
    "EUC-KR": "ISO 2022 IR 149",
}
"""Names that are no defined terms, but leave no doubt."""

_TERM: Final = re.compile(r"ISO[ _.-]*(2022)?[ _.-]*IR[ _.-]*(\d{1,3})$", re.IGNORECASE)
_PARTS: Final = re.compile(rb"\x1b(?:\$[()][A-Z]|\$[@-B]|[()*+,./-][0-9A-Za-z])|[\\\r\n\f\t]")
_PARTS_OF_NAME: Final = re.compile(
    rb"\x1b(?:\$[()][A-Z]|\$[@-B]|[()*+,./-][0-9A-Za-z])|[\\\r\n\f\t^=]"
)
ESCAPE: Final = 0x1B
TERMS_KEPT: Final = 20
"""Values of (0008,0005) that are looked at: there are 17 sets with code extensions, and each is
tried on every text that does not decode without."""


class Decoded(NamedTuple):
    """Text and what has to be said about it."""

    text: str
    """With U+FFFD for what does not decode."""
    problem: str
    """Empty where all is well."""


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """A value of (0008,0005), ready to decode with."""

    terms: tuple[str, ...]
    """As declared."""
    label: str
    """The defined terms it was understood as."""
    codec: str | None
    """Python codec of a set that stands alone, None for ISO 2022."""
    g1: str
    """What G1 holds where no escape sequence says otherwise."""
    extensions: tuple[str, ...]
    """Further sets of G1 that escape sequences may bring in."""
    double: bool
    """True where escape sequences may bring in G0 sets of two bytes."""
    declared: bool
    """False for the default repertoire, which has no byte above 7FH."""
    notes: tuple[str, ...]

    def decode(self, raw: bytes, is_name: bool = False) -> Decoded:
        """Decode a value that is not plain ASCII. ``is_name``: PN, ``^`` and ``=`` delimit too."""
        if self.codec is not None:
            return _whole(raw, self.codec, self.label)
        if ESCAPE not in raw:
            return self._run(raw, "ascii", self.g1)
        parts: list[str] = []
        problem = ""
        g0, g1 = "ascii", self.g1
        pos = 0
        pattern = _PARTS_OF_NAME if is_name else _PARTS
        while pos < len(raw):
            found = pattern.search(raw, pos)
            # In a set of two bytes the bytes of delimiters are halves of characters.
            while found is not None and g0 in ("jis0208", "jis0212") and found[0] in b"\\^=":
                found = pattern.search(raw, found.end())
            end = len(raw) if found is None else found.start()
            if end > pos:
                run = self._run(raw[pos:end], g0, g1)
                parts.append(run.text)
                problem = problem or run.problem
            if found is None:
                break
            token = found[0]
            if token[0] != ESCAPE:
                parts.append(token.decode("ascii"))
                g0, g1 = "ascii", self.g1
            else:
                change = _ESCAPES.get(token[1:])
                if change is None:
                    problem = problem or "an escape sequence that DICOM does not know"
                    parts.append(token.decode("latin_1"))
                else:
                    if change[0]:
                        # Writers take this to end a set of two bytes in G0 as well.
                        g0, g1 = "ascii", change[1]
                    else:
                        g0 = change[1]
                    if not self._allows(change[1]):
                        problem = problem or "an escape sequence of a set that is not declared"
            pos = found.end()
        return Decoded("".join(parts), problem)

    def _allows(self, what: str) -> bool:
        if what in ("jis0208", "jis0212"):
            return self.double
        return what == "ascii" or what == self.g1 or what in self.extensions

    def _run(self, raw: bytes, g0: str, g1: str) -> Decoded:
        """Decode bytes between two escape sequences or delimiters."""
        if g0 == "ascii":
            if raw.isascii():
                return Decoded(raw.decode("ascii"), "")
            if g1 != "ascii":
                return _whole(raw, g1, self.label)
            for extension in self.extensions:
                # Escape sequences that are missing: the commonest mistake with them.
                tried = _whole(raw, extension, self.label)
                if not tried.problem:
                    return Decoded(tried.text, "no escape sequence before bytes above 7F")
            return Decoded(raw.decode("ascii", "replace"), "bytes above 7F that nothing declares")
        return _double(raw, g0, g1, self.label)


def _whole(raw: bytes, codec: str, label: str) -> Decoded:
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError:
        return Decoded(raw.decode(codec, "replace"), f"not all bytes decode as {label}")
    if codec[:3] in ("iso", "lat") and any("\x80" <= char <= "\x9f" for char in text):
        return Decoded(text, f"bytes that {label} has no characters for")
    return Decoded(text, "")


def _double(raw: bytes, g0: str, g1: str, label: str) -> Decoded:
    """Decode a run whose G0 holds a set of 94 by 94 characters."""
    out: list[str] = []
    problem = ""
    pos = 0
    prefix = b"\x8f" if g0 == "jis0212" else b""
    while pos < len(raw):
        byte = raw[pos]
        if byte < 0x21:
            out.append(chr(byte))
            pos += 1
        elif byte < 0x80:
            pair = bytes(each | 0x80 for each in raw[pos : pos + 2])
            try:
                out.append((prefix + pair).decode("euc_jp"))
            except UnicodeDecodeError:
                out.append("\ufffd")
                problem = f"not all bytes decode as {label}"
            pos += 2
        else:
            end = pos
            while end < len(raw) and raw[end] > 0x7F:
                end += 1
            run = _whole(raw[pos:end], "ascii" if g1 == "ascii" else g1, label)
            out.append(run.text)
            problem = problem or run.problem
            pos = end
    return Decoded("".join(out), problem)


def _understand(term: str) -> tuple[str, str]:
    """The defined term meant by ``term``, and a note where it is not the defined term itself."""
    if not term:
        return "ISO_IR 6", ""
    if term in ALONE:
        return term, ""
    found = _TERM.match(term)
    if found is None:
        name = term.upper()
        alias = name if name in ALONE else _ALIASES.get(name)
        if alias is None:
            return "", "(0008,0005) names a character set that DICOM does not know"
        return alias, f"(0008,0005) does not have the defined term {alias}"
    number = found[2].lstrip("0")
    if number == "192":
        meant = "ISO_IR 192"
    elif number in _DOUBLE or found[1]:
        meant = f"ISO 2022 IR {number}"
    else:
        meant = f"ISO_IR {number}"
    if number not in _SINGLE and number not in _DOUBLE and number != "192":
        return "", "(0008,0005) names a character set that DICOM does not know"
    if meant != term:
        return meant, f"(0008,0005) does not have the defined term {meant}"
    return meant, ""


@lru_cache(maxsize=256)
def character_set(terms: tuple[str, ...]) -> CharacterSet:
    """What (0008,0005) with these values means; empty for the default repertoire."""
    notes: list[str] = []
    meant: list[str] = []
    if len(terms) > TERMS_KEPT:
        notes.append(f"(0008,0005) has more than {TERMS_KEPT} values")
    for term in terms[:TERMS_KEPT]:
        known, note = _understand(term.strip())
        if note and note not in notes:
            notes.append(note)
        if known:
            meant.append(known)
    first = meant[0] if meant else "ISO_IR 6"
    label = "\\".join(meant) or "the default repertoire"
    if first in ALONE:
        if len(meant) > 1:
            notes.append(f"{first} allows no code extensions")
        return CharacterSet(terms, first, ALONE[first], "", (), False, True, tuple(notes))
    g1 = "ascii"
    extensions: list[str] = []
    double = False
    for index, term in enumerate(meant):
        if term in ALONE:
            notes.append(f"{term} is no code extension")
            continue
        number = term.rsplit(" ", 1)[1]
        codec = _SINGLE.get(number) or _DOUBLE[number]
        if codec in ("jis0208", "jis0212"):
            double = True
        elif index == 0:
            g1 = codec
        elif codec != "ascii" and codec not in extensions:
            extensions.append(codec)
    declared = bool(meant) and label not in ("ISO_IR 6", "ISO 2022 IR 6")
    return CharacterSet(terms, label, None, g1, tuple(extensions), double, declared, tuple(notes))


DEFAULT: Final = character_set(())
