"""Text of a filter to tokens, and text of the user made fit to be shown in a message."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

MAX_TEXT: Final = 10_000
"""Characters of a filter. People write a line; what is longer was pasted by mistake."""

_SHOWN: Final = 40
"""Characters of the user's text that an error repeats."""

TAG: Final = r"\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)"

_SPACE: Final = re.compile(r"\s+")
_TAGS: Final = re.compile(rf"(?:(?:\*|\w+|{TAG})\.)*{TAG}(?:\.(?:\w+|{TAG}))*")
_SYMBOL: Final = re.compile(r"&&|\|\||!=|<>|!~|==|<=|>=|[=<>~!(),]")
_WORD: Final = re.compile(r"""[^\s"'(),=!<>~&|][^\s(),=!<>~&|"]*""")
_BARE: Final = re.compile(r"[^\W_][\w.:*?/+-]*")
_SYNONYMS: Final = {"==": "=", "<>": "!=", "&&": "and", "||": "or", "!": "not"}

Kind = Literal["word", "string", "tag", "symbol", "end"]


class FilterError(ValueError):
    """A filter that cannot be understood. Its text is one line, fit for a terminal."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message, position)
        self.message = message
        """What is wrong, and what was expected."""
        self.position = position
        """Where, in characters from 0; the length of the text where something is missing."""

    def __str__(self) -> str:
        return f"{self.message} (at character {self.position + 1})"


class Token(NamedTuple):
    """A piece of a filter."""

    kind: Kind
    text: str
    """Without quotes; of symbols the usual spelling."""
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these words of the grammar, in any case, not in quotes."""
        if self.kind == "symbol":
            return self.text in words
        return self.kind == "word" and self.text.casefold() in words


def tokenize(text: str) -> list[Token]:
    """The tokens of a filter, the last one of kind ``end``. Raises :class:`FilterError`."""
    if len(text) > MAX_TEXT:
        raise FilterError(f"a filter of at most {MAX_TEXT:,} characters was expected", MAX_TEXT)
    tokens: list[Token] = []
    pos, length = 0, len(text)
    while True:
        space = _SPACE.match(text, pos)
        if space is not None:
            pos = space.end()
        if pos >= length:
            break
        token = _token(text, pos, tokens)
        tokens.append(token)
        pos = token.end
    tokens.append(Token("end", "", length, length))
    return tokens


def _token(text: str, pos: int, before: list[Token]) -> Token:
    if text[pos] in "\"'":
        return _string(text, pos)
    # Behind `in`, what looks like a tag is a list of two numbers.
    if not (before and before[-1].is_word("in")):
        match = _TAGS.match(text, pos)
        if match is not None:
            return Token("tag", match.group(), pos, match.end())
    match = _SYMBOL.match(text, pos)
    if match is not None:
        symbol = match.group()
        return Token("symbol", _SYNONYMS.get(symbol, symbol), pos, match.end())
    match = _WORD.match(text, pos)
    if match is not None:
        return Token("word", match.group(), pos, match.end())
    twice = text[pos] * 2
    raise FilterError(f"{shown(text[pos])} alone means nothing; '{twice}' was expected", pos)


def _string(text: str, start: int) -> Token:
    quote = text[start]
    parts: list[str] = []
    pos = start + 1
    while pos < len(text):
        char = text[pos]
        if char == quote:
            return Token("string", "".join(parts), start, pos + 1)
        if char == "\\" and text[pos + 1 : pos + 2] in ("\\", quote):
            pos += 1
            char = text[pos]
        parts.append(char)
        pos += 1
    raise FilterError(f"a closing {quote} was expected for what is quoted here", start)


def shown(text: str) -> str:
    """The user's text in quotes, as it may stand in a message: short, and nothing invisible."""
    if len(text) > _SHOWN:
        text = text[: _SHOWN - 1] + "…"
    safe = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
    return f"'{safe}'"


RESERVED: Final = frozenset(
    ("and", "or", "not", "in", "between", "matches", "has", "exists", "empty", "any", "none")
)
"""Words of the grammar; as a value they need quotes where they could be taken for it."""


def quoted(value: str) -> str:
    """A value as a filter has it: in quotes where it needs them."""
    if _BARE.fullmatch(value) is not None and value.casefold() not in RESERVED:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
