"""A tree made into functions of a row, and the filter that runs them.

What speaks of the association alone is asked once an association and state of it. What speaks of
rows is asked row by row, and of an association as a whole by a search that goes on where it
stopped when the association has grown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from dicomsniff.analysis.where.attributes import SEQUENCE, keywords, resolve
from dicomsniff.analysis.where.getters import NOTHING, Getter, Values
from dicomsniff.analysis.where.row import DataSets, Joined, Row
from dicomsniff.analysis.where.syntax import Compare, Junction, Node, Not, Presence, Rows, parse
from dicomsniff.analysis.where.tokens import FilterError, shown
from dicomsniff.analysis.where.values import Flag, Type
from dicomsniff.analysis.where.words import BY_NAME, WORDS, Scope, Word
from dicomsniff.model import Association, Entry

ASSOCIATIONS_KEPT: Final = 4096
"""Associations whose state is remembered, at 4 bytes a row; a forgotten one is looked at anew."""

EARLY_ROWS: Final = 64
"""Rows between an answer and a request that is whole only after it: as many as there may be
operations under way at once, of which few peers have more than a dozen."""

Test = Callable[[Row], bool]
_Stamp = tuple[int, int, int, str]


class Filter:
    """A filter that was understood. Not for use by several threads at once."""

    def __init__(self, text: str, tree: Node) -> None:
        """Use :func:`dicomsniff.analysis.where.compile`. Raises :class:`FilterError`."""
        self.text = text
        """As the user wrote it."""
        self.tree = tree
        self.needs_dataset = False
        """True where data sets have to be decoded, which takes longer."""
        self.needs_findings = False
        """True where it speaks of findings, so that the checks have to be made."""
        self._data_sets = DataSets()
        self._states: OrderedDict[tuple[int, int, int], _State] = OrderedDict()
        self._searches: list[tuple[Test, bool]] = []
        """Of what is looked for among rows: the test, and whether it speaks of the association
        too; the rows the filter itself asks for first."""
        terms = tree.parts if isinstance(tree, Junction) and tree.operator == "and" else (tree,)
        # What needs no data set is asked first.
        terms = tuple(sorted(terms, key=_decodes))
        compiled = [(self._compile(term), _scope(term), term) for term in terms]
        of_association = [test for test, scope, _ in compiled if scope == "association"]
        of_entry = [test for test, scope, _ in compiled if scope == "entry"]
        self.scope: Scope = "entry" if of_entry else "association"
        """``entry`` where it speaks of rows, so that they differ in whether they match."""
        self._association = _all(of_association) if of_association else None
        self._entry = _all(of_entry) if of_entry else None
        self._main = -1
        if self._entry is not None:
            mixed = any(_mixed(term) for _, scope, term in compiled if scope == "entry")
            self._main = self._search_for(self._entry, mixed)

    def __str__(self) -> str:
        """The filter in its usual spelling; means the same as ``text``."""
        return str(self.tree)

    def __repr__(self) -> str:
        return f"Filter({self.text!r})"

    def matches(self, association: Association, entry: Entry | None = None) -> bool:
        """Whether a row of the association matches, or without ``entry`` whether any does.

        May be asked again as the association grows: only what is new is looked at.
        """
        state = self._state(association)
        if self._association is not None:
            stamp = state.stamp(association)
            if stamp is None or state.seen != stamp:
                row = Row(association, None, state.joined, self._data_sets)
                state.verdict = self._association(row)
                state.seen = stamp
            if not state.verdict:
                return False
        if self._entry is None:
            return True
        if entry is None:
            if not association.timeline:
                return self._entry(Row(association, None, state.joined, self._data_sets))
            return self._any(self._main, association)
        return self._entry(Row(association, entry, state.joined, self._data_sets))

    # ------------------------------------------------------------------ searching rows

    def _state(self, association: Association) -> _State:
        # An association is named, not kept: what has ended may leave the memory.
        key = (id(association), association.id, association.started)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = _State(len(self._searches))
            if len(self._states) > ASSOCIATIONS_KEPT:
                self._states.popitem(last=False)
        return state

    def _search_for(self, test: Test, mixed: bool) -> int:
        self._searches.append((test, mixed))
        return len(self._searches) - 1

    def _any(self, number: int, association: Association) -> bool:
        """Whether any row of the association passes a test."""
        state = self._state(association)
        search = state.searches[number]
        stamp = state.stamp(association)
        if stamp is not None and stamp == search.stamp:
            return search.found >= 0
        test, mixed = self._searches[number]
        if mixed or search.findings != len(association.findings):
            search = state.searches[number] = _Search()
            search.findings = len(association.findings)
        timeline = association.timeline
        joined, data_sets = state.joined, self._data_sets
        again, search.again = search.again, []
        if search.found >= 0:
            again.insert(0, search.found)
            search.found = -1
        for at, place in enumerate(again):
            row = Row(association, timeline[place], joined, data_sets)
            if test(row):
                search.found = place
                search.again += again[at + 1 :]
                break
            if not _settled(row):
                search.again.append(place)
        else:
            for place in range(search.place, len(timeline)):
                row = Row(association, timeline[place], joined, data_sets)
                search.place = place + 1
                if test(row):
                    search.found = place
                    break
                if not _settled(row):
                    search.again.append(place)
        search.stamp = stamp
        return search.found >= 0

    # ------------------------------------------------------------------ tree to functions

    def _compile(self, node: Node) -> Test:
        if isinstance(node, Compare):
            return self._compare(node)
        if isinstance(node, Presence):
            return self._presence(node)
        if isinstance(node, Not):
            part = self._compile(node.part)
            return lambda row: not part(row)
        if isinstance(node, Rows):
            number = self._search_for(self._compile(node.part), _mixed(node.part))
            wanted = node.quantity == "any"
            return lambda row: self._any(number, row.association) is wanted
        # What needs no data set is asked first.
        tests = sorted(
            ((self._compile(part), _decodes(part)) for part in node.parts), key=lambda each: each[1]
        )
        found = [test for test, _ in tests]
        return _all(found) if node.operator == "and" else _one_of(found)

    def _known(self, name: str, position: int) -> Word:
        word = _word(name, position)
        self.needs_dataset |= word.needs_dataset
        self.needs_findings |= word.needs_findings
        return word

    def _compare(self, node: Compare) -> Test:
        word = self._known(node.word, node.position)
        kind, operator = word.type, node.operator
        if operator not in kind.operators:
            raise FilterError(_refusal(word, operator), node.position)
        try:
            test = kind.test(operator, node.values)
        except ValueError as error:
            raise _blame(word, node, error) from None
        get = word.get
        if not (node.negated or operator in ("!=", "!~")):
            if word.literal and operator in ("=", "in"):
                get = _where_bytes_hold(node.values, get)

            def positive(row: Row) -> bool:
                for value in get(row):  # noqa: SIM110 (any() costs a generator a row)
                    if test(value):
                        return True
                return False

            return positive
        undecided = kind.undecided if type(kind).undecided is not Type.undecided else None

        def negative(row: Row) -> bool:
            values = get(row)
            if undecided is not None:
                values = tuple([value for value in values if not undecided(value)])
            if not values:
                return False
            for value in values:  # noqa: SIM110
                if test(value):
                    return False
            return True

        return negative

    def _presence(self, node: Presence) -> Test:
        word = self._known(node.word, node.position)
        get, has = word.get, word.has
        flag = isinstance(word.type, Flag)
        if node.test == "true":
            if not flag:
                at = node.position + len(node.word)
                raise FilterError(_wants_operator(word), at)
            return lambda row: bool(get(row)[0])
        if flag:
            raise FilterError(
                f"{shown(word.name)} is yes or no by itself; 'has' and 'empty' were not expected",
                node.position,
            )
        if node.test == "has":
            return has if has is not None else lambda row: bool(get(row))
        if word.empty is not None:
            return word.empty

        def empty(row: Row) -> bool:
            values = get(row)
            return bool(values) and all(not str(value).strip() for value in values)

        return empty


def _where_bytes_hold(values: tuple[str, ...], get: Getter) -> Getter:
    """Spare decoding the data sets in which none of the values can be."""
    texts = [value.strip() for value in values]
    if not all(text.isascii() and text.isalnum() for text in texts):
        return get
    needles = [text.encode() for text in texts]

    def guarded(row: Row) -> Values:
        data = row.message.dataset if row.message is not None else None
        if data is None or not any(needle in data.held for needle in needles):
            return NOTHING
        return get(row)

    return guarded


class _Search:
    """How far a search among an association's rows has come."""

    __slots__ = ("again", "findings", "found", "place", "stamp")

    def __init__(self) -> None:
        self.place = 0
        """Rows looked at."""
        self.again: list[int] = []
        """Rows that did not match and may yet, since their operation goes on."""
        self.found = -1
        """A row that matches."""
        self.findings = 0
        """Findings there were; they come late, and rows are evidence of them."""
        self.stamp: _Stamp | None = None


class _State:
    """What a filter remembers of an association."""

    __slots__ = ("joined", "searches", "seen", "verdict")

    def __init__(self, searches: int) -> None:
        self.joined = Joined()
        self.seen: _Stamp | None = None
        self.verdict = False
        self.searches = [_Search() for _ in range(searches)]

    def stamp(self, association: Association) -> _Stamp | None:
        """Changes whenever an answer may; None where the last row is not joined yet."""
        timeline = association.timeline
        rows = len(timeline)
        if rows and association.outcome == "open":
            last = timeline[-1]
            message = last.message
            if (
                message is not None
                and message.service
                and self.joined.operation(association, last) is None
            ):
                return None
        return (
            rows,
            len(association.operations),
            len(association.findings),
            association.outcome,
        )


def _settled(row: Row) -> bool:
    """Whether nothing that is still to come can change what a row says."""
    entry, message = row.entry, row.message
    if entry is None or entry.number >= len(row.association.timeline):
        return False
    if message is None:
        return True
    operation = row.operation
    if operation is not None:
        if operation.status is None:
            return False
        rows = len(row.association.timeline)
        if operation.request is None and rows - entry.number < EARLY_ROWS:
            return False
    if message.transfer_syntax is not None:
        return True
    context = row.association.contexts.get(message.context_id)
    return context is None or context.result is not None


def _all(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def every(row: Row) -> bool:
        for test in tests:  # noqa: SIM110
            if not test(row):
                return False
        return True

    return every


def _one_of(tests: list[Test]) -> Test:
    def some(row: Row) -> bool:
        for test in tests:  # noqa: SIM110
            if test(row):
                return True
        return False

    return some


# ---------------------------------------------------------------------------- scopes


def _leaves(node: Node, into_rows: bool) -> Iterable[Compare | Presence | Rows]:
    if isinstance(node, Junction):
        for part in node.parts:
            yield from _leaves(part, into_rows)
    elif isinstance(node, Not) or (isinstance(node, Rows) and into_rows):
        yield from _leaves(node.part, into_rows)
    else:
        yield node


def _leaf_scope(leaf: Compare | Presence | Rows) -> Scope:
    return "association" if isinstance(leaf, Rows) else _word(leaf.word, leaf.position).scope


def _scope(node: Node) -> Scope:
    scopes = {_leaf_scope(leaf) for leaf in _leaves(node, False)}
    return "entry" if "entry" in scopes else "association"


def _mixed(node: Node) -> bool:
    """Whether it speaks of the association too, which changes while rows stay."""
    return any(_leaf_scope(leaf) == "association" for leaf in _leaves(node, False))


def _decodes(node: Node) -> bool:
    return any(
        _word(leaf.word, leaf.position).needs_dataset
        for leaf in _leaves(node, True)
        if not isinstance(leaf, Rows)
    )


# ---------------------------------------------------------------------------- words and messages


def lookup(name: str) -> Word | None:
    """The word or attribute of a name, None where there is none."""
    word = BY_NAME.get(name.casefold())
    if word is not None:
        return word
    try:
        return resolve(name)
    except ValueError:
        return None


def _word(name: str, position: int) -> Word:
    word = BY_NAME.get(name.casefold())
    if word is not None:
        return word
    try:
        word = resolve(name)
    except ValueError as error:
        raise FilterError(f"{error} was expected in {shown(name)}", position) from None
    if word is not None:
        return word
    raise FilterError(_unknown(name), position)


def _unknown(name: str) -> str:
    text = f"{shown(name)} is neither a word of the filter nor a DICOM keyword"
    folded = name.casefold()
    for word in WORDS:
        for choice in word.type.choices:
            if choice.casefold() == folded and not isinstance(word.type, Flag):
                return f"{text}, but a value: {word.name} = {choice} was expected"
    import difflib

    near = difflib.get_close_matches(folded, BY_NAME, 1, 0.75)
    if not near:
        known = {keyword.casefold(): keyword for keyword in keywords()}
        near = [known[each] for each in difflib.get_close_matches(folded[:64], known, 1, 0.8)]
    return f"{text}; did you mean {near[0]}?" if near else text


def _refusal(word: Word, operator: str) -> str:
    if word.type is SEQUENCE:
        return (
            f"{word.name} is a sequence: an attribute of its items was expected, "
            f"as in {word.name}.Modality, or 'has {word.name}'"
        )
    if not word.type.operators:
        return f"{word.name} has no value to compare: 'has {word.name}' was expected"
    takes = ", ".join(word.type.operators)
    return f"{word.name} is a {word.type.name}: one of {takes} was expected, not {operator}"


def _wants_operator(word: Word) -> str:
    if not word.type.operators:
        return f"'has {word.name}' was expected, since it has no value to compare"
    takes = ", ".join(word.type.operators)
    return f"an operator was expected behind {shown(word.name)}: {takes}, exists or empty"


def _blame(word: Word, node: Compare, error: ValueError) -> FilterError:
    """Name the value that is wrong: the first that is not understood by itself."""
    for value, place in zip(node.values, node.places, strict=False):
        try:
            word.type.test("=" if "=" in word.type.operators else node.operator, (value,))
        except ValueError as own:
            return FilterError(
                f"{own} was expected behind {word.name} {node.operator}, not {shown(value)}", place
            )
    place = node.places[0] if node.places else node.position
    return FilterError(f"{error} was expected behind {word.name} {node.operator}", place)


def compile_filter(text: str) -> Filter:
    """See :func:`dicomsniff.analysis.where.compile`."""
    return Filter(text, parse(text))
