"""Reads a rule's sentence, such as `gas_concentration >= 10 or alarm_contact`, once; then it costs microseconds.

The grammar is a part of Python's: comparison (chained too), `and`, `or`, `not`, `+ - * /`, `abs`, `min`, `max`,
`before(one, other)`, numbers, texts, `true`, `false`, and the names of the kind's channels and of the rule's settings. Python's parser
reads it, a whitelist admits it, closures compute it: nothing is ever run that is not written in `terms.py`.
Types, units and names are checked here, so that a sentence that was read can't fail later.
"""

import ast
import keyword
import math
import re
import unicodedata
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from messages.kind import Channel
from messages.reading import Value
from messages.settings import suggest
from rules.language import terms
from rules.language.terms import Compute, Misfit, Term, Values

LONGEST = 500
"""Characters. A rule that needs more is two rules; Python's parser has no limit of its own."""

DEEPEST = 40
"""Nested parts: far more than a reader can follow, and well within Python's stack when it is computed."""


class SentenceError(ValueError):
    """The sentence can't be read; says where (both from 1) and why."""

    def __init__(self, line: int, column: int, why: str) -> None:
        super().__init__(f"line {line}, column {column}: {why}" if line > 1 else f"column {column}: {why}")
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Setting:
    """A name whose value a rule file gives and a device's announcement may change."""

    value: Value
    unit: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A sentence that is true, false or unknown."""

    source: str
    channels: tuple[str, ...]
    """The channels in it, in the order of their first mention."""
    compute: Compute
    bounds: Mapping[str, Compute]
    times: tuple[str, ...] = ()
    """The channels of which it asks when they last changed."""

    def evaluate(self, values: Values) -> bool | None:
        """Whether it holds, given the channels' values and the settings'; None: unknown."""
        holds: bool | None = self.compute(values)
        return holds

    def limits(self, settings: Values) -> dict[str, float]:
        """For each channel that is compared with a number: that number, as a line in the channel's chart."""
        lines = {channel: bound(settings) for channel, bound in self.bounds.items()}
        return {channel: line for channel, line in lines.items() if line is not None}


def parse(source: str, channels: Mapping[str, Channel], settings: Mapping[str, Setting]) -> Expression:
    """The sentence over a kind's `channels` and a rule's `settings`. Raises SentenceError."""
    if len(source) > LONGEST:
        raise SentenceError(1, LONGEST, f"longer than {LONGEST} characters")
    reader = _Reader(source, channels, settings)
    term = reader.read()
    if term.type != "boolean":
        raise SentenceError(1, 1, f"a sentence that is true or false is wanted, not a {term.type}")
    named = tuple(name for name in term.names if name in channels)
    return Expression(source, named, term.compute, reader.bounds, tuple(reader.times))


class _Reader:
    def __init__(self, source: str, channels: Mapping[str, Channel], settings: Mapping[str, Setting]) -> None:
        self.bounds: dict[str, Compute] = {}
        self.times: dict[str, None] = {}
        self._source = source
        self._channels = channels
        self._settings = settings

    def read(self) -> Term:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Python only warns of `1or 2` and of "\d": no rule needs them
                tree = ast.parse(self._source, mode="eval")
        except SyntaxError as error:
            if habit := _habit(self._source):
                raise habit from error
            raise SentenceError(error.lineno or 1, error.offset or 1, error.msg) from error
        except (ValueError, RecursionError, MemoryError, Warning) as error:
            raise SentenceError(1, 1, f"can't be read: {str(error) or type(error).__name__}") from error
        return self._term(tree.body, 0)

    def _term(self, node: ast.expr, depth: int) -> Term:
        if depth > DEEPEST:
            raise self._error(node, f"nested more than {DEEPEST} deep")
        try:
            return self._admitted(node, depth + 1)
        except Misfit as misfit:
            raise self._error(node, str(misfit)) from misfit

    def _admitted(self, node: ast.expr, depth: int) -> Term:
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name():
                return self._name(node)
            case ast.Compare():
                return self._comparison(node, depth)
            case ast.BoolOp(op=word, values=parts):
                join = terms.all_of if isinstance(word, ast.And) else terms.any_of
                return join([self._term(part, depth) for part in parts])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return terms.negated(self._term(operand, depth))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return terms.reversed_sign(self._term(operand, depth))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return terms.calculated(_ARITHMETIC[type(op)], self._term(left, depth), self._term(right, depth))
            case ast.Call(func=ast.Name(id="before"), args=[ast.Name(id=first), ast.Name(id=then)], keywords=[]):
                return self._before(node, first, then)
            case ast.Call(func=ast.Name(id="before"), keywords=[]):
                raise self._error(node, "`before` takes two channels: before(card, door_open)")
            case ast.Call(func=ast.Name(id=function), args=values, keywords=[]):
                if function not in terms.FUNCTIONS:
                    raise self._error(node, f"no function `{function}`{suggest(function, terms.FUNCTIONS)}")
                return terms.called(function, [self._term(value, depth) for value in values])
        raise _habit(self._source) or self._error(node, f"`{_words(node)}` is no part of the language")

    def _before(self, node: ast.Call, first: str, then: str) -> Term:
        for name in (first, then):
            if name not in self._channels:
                raise self._error(node, f"no channel `{name}`{suggest(name, self._channels)}")
        self.times |= {first: None, then: None}
        return terms.before(first, then)

    def _constant(self, node: ast.Constant) -> Term:
        value = node.value
        if isinstance(value, bool | str):
            return terms.literal(value)
        if isinstance(value, int | float):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return terms.literal(number)
            raise self._error(node, "the number is too big")
        raise self._error(node, f"`{_words(node)}` is no part of the language")

    def _name(self, node: ast.Name) -> Term:
        if node.id in ("true", "false"):  # as TOML writes them, in the same file
            return terms.literal(node.id == "true")
        if (channel := self._channels.get(node.id)) is not None:
            return terms.named(node.id, channel.type, channel.unit)
        if (setting := self._settings.get(node.id)) is not None:
            return terms.named(node.id, terms.literal(setting.value).type, setting.unit)
        known = (*self._channels, *self._settings)
        raise self._error(node, f"no channel or setting `{node.id}`{suggest(node.id, known)}")

    def _comparison(self, node: ast.Compare, depth: int) -> Term:
        for op, right in zip(node.ops, node.comparators, strict=True):
            if type(op) not in _COMPARISONS:
                raise self._error(right, f"the comparison before `{_words(right)}` is no part of the language")
        sides = [node.left, *node.comparators]
        values = [self._term(side, depth) for side in sides]
        pairs = []
        for index, op in enumerate(node.ops):
            pairs.append(terms.compared(_COMPARISONS[type(op)], values[index], values[index + 1]))
            self._note_bound(sides[index], values[index + 1])
            self._note_bound(sides[index + 1], values[index])
        return pairs[0] if len(pairs) == 1 else terms.all_of(pairs)

    def _note_bound(self, node: ast.expr, other: Term) -> None:
        is_channel = isinstance(node, ast.Name) and node.id in self._channels
        if is_channel and other.type == "number" and not any(name in self._channels for name in other.names):
            assert isinstance(node, ast.Name)
            self.bounds.setdefault(node.id, other.compute)

    def _error(self, node: ast.expr, why: str) -> SentenceError:
        line = self._source.encode().splitlines()[node.lineno - 1]  # Python counts columns in bytes
        return SentenceError(node.lineno, len(line[: node.col_offset].decode()) + 1, why)


_ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


_TEXT = re.compile(r"""\"[^"]*\"|'[^']*'""")
_ELSEWHERE = re.compile(r"=>|=<|<>|&+|\|+|!(?!=)|(?<![<>=!])=(?!=)|[且或非]|\b(?:AND|OR|NOT)\b")
"""What other languages write for a comparison or a joint."""
_MEASURED = re.compile(
    r"(?<![\w.])(?>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([^\W\d]\w*|[°℃℉]\w*|%(?!\s*[\w(])|%\s*[^\W\d]\w*)"
)
"""A number with its unit."""
_ASCII = {
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "×": "*",
    "÷": "/",
    "−": "-",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "、": ",",
}


def _habit(source: str) -> SentenceError | None:
    """What people write by habit in a sentence that could not be read, with what to write instead."""
    bare = _TEXT.sub(lambda text: " " * len(text[0]), source)
    for at, character in enumerate(bare):
        plain = _ASCII.get(character) or unicodedata.normalize("NFKC", character)
        if plain != character and plain.isascii():
            return _at(source, at, f"write `{plain.strip() or 'a blank'}` for `{character}`")
    if found := _ELSEWHERE.search(bare):
        return _at(source, found.start(), "compare with >= <= > < == !=; join with and, or, not")
    for found in _MEASURED.finditer(bare):
        if not keyword.iskeyword(found[1]):
            return _at(source, found.start(), "write numbers without the unit")
    return None


def _at(source: str, offset: int, why: str) -> SentenceError:
    before = source[:offset]
    return SentenceError(before.count("\n") + 1, offset - before.rfind("\n"), why)


def _words(node: ast.expr) -> str:
    """What was written there, short enough for a message."""
    try:
        words = ast.unparse(node)
    except RecursionError:
        words = type(node).__name__
    return words if len(words) <= 40 else words[:39] + "…"
