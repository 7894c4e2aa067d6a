"""The grammar of the filter: tokens to a tree, and the tree back to text.

::

    filter     = or
    or         = and { ("or" | "||") and }
    and        = not { ("and" | "&&") not }
    not        = ("not" | "!") not | ("any" | "none") primary | primary
    primary    = "(" or ")" | "has" WORD | WORD [ test ]
    test       = ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~") VALUE
               | ["not"] "in" "(" VALUE { "," VALUE } ")"
               | ["not"] "between" VALUE "and" VALUE
               | ["not"] "matches" VALUE
               | "exists" | "empty"

The parser knows no words: what a word means, and which tests it takes, is in the table of words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from dicomsniff.analysis.where.tokens import FilterError, Token, quoted, shown, tokenize

MAX_DEPTH: Final = 40
"""Parentheses and negations in one another. Nobody nests ten; each costs stack in parser,
compiler and evaluation."""

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~", "!~", "in", "between", "matches"]
SYMBOLS: Final[tuple[Operator, ...]] = ("=", "!=", "<", "<=", ">", ">=", "~", "!~")
LISTS: Final[tuple[Operator, ...]] = ("in", "between", "matches")


@dataclass(frozen=True, slots=True)
class Compare:
    """``status != Success``, ``id not in (1, 2)``: a word, an operator, values."""

    word: str
    operator: Operator
    values: tuple[str, ...]
    negated: bool = False
    """``not in``, ``not between``, ``not matches``."""
    position: int = field(default=0, compare=False)
    """Of the word, in the text."""
    places: tuple[int, ...] = field(default=(), compare=False)
    """Of the values."""

    def __str__(self) -> str:
        name = f"{self.word} not" if self.negated else self.word
        values = [quoted(value) for value in self.values]
        if self.operator == "in":
            return f"{name} in ({', '.join(values)})"
        if self.operator == "between":
            return f"{name} between {values[0]} and {values[1]}"
        return f"{name} {self.operator} {values[0]}"


@dataclass(frozen=True, slots=True)
class Presence:
    """``failed``, ``has PatientID``, ``PatientID empty``: a word without a value."""

    word: str
    test: Literal["true", "has", "empty"]
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        if self.test == "has":
            return f"has {self.word}"
        return f"{self.word} empty" if self.test == "empty" else self.word


@dataclass(frozen=True, slots=True)
class Not:
    """What does not hold."""

    part: Node

    def __str__(self) -> str:
        part = str(self.part)
        return f"not ({part})" if isinstance(self.part, Junction) else f"not {part}"


@dataclass(frozen=True, slots=True)
class Rows:
    """``any (…)``, ``none (…)``: whether one of the association's rows matches."""

    part: Node
    quantity: Literal["any", "none"]

    def __str__(self) -> str:
        plain = isinstance(self.part, (Compare, Presence))
        return f"{self.quantity} {self.part}" if plain else f"{self.quantity} ({self.part})"


@dataclass(frozen=True, slots=True)
class Junction:
    """Several parts, all of which (``and``) or one of which (``or``) must hold."""

    operator: Literal["and", "or"]
    parts: tuple[Node, ...]

    def __str__(self) -> str:
        texts: list[str] = []
        for part in self.parts:
            looser = isinstance(part, Junction) and self.operator == "and"
            texts.append(f"({part})" if looser else str(part))
        return f" {self.operator} ".join(texts)


Node = Compare | Presence | Not | Rows | Junction


def parts(node: Node) -> Iterator[Node]:
    """A node and everything below it."""
    yield node
    if isinstance(node, Junction):
        for part in node.parts:
            yield from parts(part)
    elif isinstance(node, (Not, Rows)):
        yield from parts(node.part)


class Expecting(NamedTuple):
    """What may follow where the parser stands; completion lives on it."""

    what: Literal["word", "presence", "test", "operator", "value", "list", "more", "range", "next"]
    """``presence``: behind ``has``. ``test``: behind a word. ``operator``: behind a word and
    ``not``. ``list``: the parenthesis behind ``in``. ``more``: behind a value of the list.
    ``range``: the ``and`` of ``between``. ``next``: behind a whole term."""
    word: str = ""
    operator: str = ""


def parse(text: str) -> Node:
    """The tree of a filter. Raises :class:`FilterError`."""
    return Parser(tokenize(text)).parse()


class Parser:
    """Recursive descent over the tokens, with one of them looked at."""

    def __init__(self, tokens: list[Token]) -> None:
        self.expecting = Expecting("word")
        """What was expected where it stopped."""
        self.open = 0
        """Parentheses that are still open there."""
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def parse(self) -> Node:
        """The whole."""
        node = self._junction("or")
        token = self._token
        if token.kind != "end":
            if token.is_word(")"):
                raise FilterError("this ) closes nothing; 'and' or 'or' was expected", token.start)
            raise self._unexpected("'and' or 'or'")
        return node

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _unexpected(self, what: str) -> FilterError:
        token = self._token
        found = "the filter ends" if token.kind == "end" else f"{_quote(token)} stands"
        return FilterError(f"{what} was expected where {found}", token.start)

    def _accept(self, *words: str) -> Token | None:
        token = self._token
        if not token.is_word(*words):
            return None
        self._at += 1
        return token

    # ------------------------------------------------------------------ and, or, not

    def _junction(self, operator: Literal["and", "or"]) -> Node:
        inner = self._not if operator == "and" else self._and
        found = [inner()]
        while self._accept(operator):
            self.expecting = Expecting("word")
            found.append(inner())
        if len(found) == 1:
            return found[0]
        flat: list[Node] = []
        for node in found:
            # `a and (b and c)` is `a and b and c`: one text for one meaning.
            same = isinstance(node, Junction) and node.operator == operator
            flat += node.parts if isinstance(node, Junction) and same else (node,)
        return Junction(operator, tuple(flat))

    def _and(self) -> Node:
        return self._junction("and")

    def _not(self) -> Node:
        token = self._accept("not", "any", "none")
        if token is None:
            return self._primary()
        self.expecting = Expecting("word")
        self._deeper(token)
        word = token.text.casefold()
        node: Node
        if word == "not":
            node = Not(self._not())
        else:
            node = Rows(self._primary(), "any" if word == "any" else "none")
        self._depth -= 1
        return node

    def _deeper(self, token: Token) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError(f"nested deeper than {MAX_DEPTH} levels", token.start)

    def _primary(self) -> Node:
        token = self._accept("(")
        if token is not None:
            self.expecting = Expecting("word")
            self._deeper(token)
            self.open += 1
            node = self._junction("or")
            if not self._accept(")"):
                raise self._unexpected("'and', 'or' or )")
            self.open -= 1
            self._depth -= 1
            self.expecting = Expecting("next")
            return node
        if self._accept("has"):
            self.expecting = Expecting("presence")
            token = self._word("a word or an attribute behind 'has'")
            self.expecting = Expecting("next")
            return Presence(token.text, "has", token.start)
        token = self._word("a word such as called, service or PatientID, or (")
        self.expecting = Expecting("test", token.text)
        return self._test(token)

    def _word(self, what: str) -> Token:
        token = self._token
        words = ("and", "or", "in", "between", "matches", "exists", "empty", "not", "has")
        if token.kind not in ("word", "tag") or token.is_word(*words):
            raise self._unexpected(what)
        self._at += 1
        return token

    # ------------------------------------------------------------------ tests

    def _test(self, word: Token) -> Node:
        token = self._token
        if token.kind == "symbol" and token.text in SYMBOLS:
            self._at += 1
            operator: Operator = token.text
            return self._compare(word, operator, [self._value(word, operator)], False)
        negated = False
        if token.is_word("not"):
            negated = True
            self._at += 1
            self.expecting = Expecting("operator", word.text)
        if self._accept("matches"):
            return self._compare(word, "matches", [self._value(word, "matches")], negated)
        if self._accept("in"):
            return self._compare(word, "in", self._list(word), negated)
        if self._accept("between"):
            first = self._value(word, "between")
            self.expecting = Expecting("range", word.text, "between")
            if not self._accept("and"):
                raise self._unexpected("'and' and the other end of 'between'")
            return self._compare(word, "between", [first, self._value(word, "between")], negated)
        if negated:
            raise self._unexpected("'in', 'between' or 'matches' behind 'not'")
        if self._accept("exists"):
            self.expecting = Expecting("next")
            return Presence(word.text, "has", word.start)
        if self._accept("empty"):
            self.expecting = Expecting("next")
            return Presence(word.text, "empty", word.start)
        if token.kind in ("word", "string", "tag") and not token.is_word("and", "or"):
            raise self._unexpected(f"'and', 'or', or an operator such as = behind {_quote(word)},")
        return Presence(word.text, "true", word.start)

    def _compare(
        self, word: Token, operator: Operator, values: list[Token], negated: bool
    ) -> Compare:
        self.expecting = Expecting("next", word.text, operator)
        return Compare(
            word.text,
            operator,
            tuple([value.text for value in values]),
            negated,
            word.start,
            tuple([value.start for value in values]),
        )

    def _list(self, word: Token) -> list[Token]:
        self.expecting = Expecting("list", word.text, "in")
        if not self._accept("("):
            raise self._unexpected("a list in parentheses behind 'in'")
        self.open += 1
        values = [self._value(word, "in")]
        self.expecting = Expecting("more", word.text, "in")
        while self._accept(","):
            values.append(self._value(word, "in"))
            self.expecting = Expecting("more", word.text, "in")
        if not self._accept(")"):
            raise self._unexpected("a comma or )")
        self.open -= 1
        return values

    def _value(self, word: Token, operator: str) -> Token:
        self.expecting = Expecting("value", word.text, operator)
        token = self._token
        if token.kind not in ("word", "string", "tag") or token.is_word("and", "or", "not"):
            raise self._unexpected(f"a value behind {_quote(word)} {operator}")
        self._at += 1
        self.expecting = Expecting("next", word.text, operator)
        unit = self._token
        if token.kind == "word" and token.text[-1].isdigit() and unit.is_word(*UNITS):
            # `2 s` is `2s`.
            self._at += 1
            return Token("word", token.text + unit.text, token.start, unit.end)
        return token


UNITS: Final = (
    *("ns", "us", "µs", "ms", "s", "sec", "min", "h"),
    *("b", "kb", "mb", "gb", "kib", "mib", "gib"),
)
"""Words that belong to the number before them."""


def _quote(token: Token) -> str:
    return shown(token.text)
