"""A sentence as the ways in which it can be true: each a set of terms, and the stretch in which each of them has to be. Pure.

`abs(tilt - 0) >= 15 and not locked` has one way: the term `abs(tilt - 0)` from 15 up, the term `locked` at 0. Terms are taken
as they are written; what they amount to at most is computed from the ranges of the kind's channels. That is enough to prove that a sentence can
never be true, or that one implies another; where it is not enough, nothing is said.

Settings stand for the values in the rule file, though a device may announce others; those that are true or false stand for both, since
that is what they are for.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from messages.kind import Channel
from messages.language import Phrase, phrase
from messages.reading import Value
from messages.settings import duration_s
from rules.checking import span
from rules.checking.span import ANY, BOOLEAN, FALSE, POSITIVE, TRUE, Span
from rules.language import functions

MOST_WAYS = 64
"""A sentence with more is not looked at: nobody reads it either."""

_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_BOOLEAN_FUNCTIONS = ("changed", "time_between", "date_between", "holiday")
_OF_VALUE = ("avg", "min", "max", "usual")
"""What they amount to is a value that the channel can have."""

OPAQUE = (*functions.OVER_TIME, *functions.OF_CHANNEL, *functions.OF_CALENDAR, "hour", "before", "count_devices")
"""Functions that ask for more than last values."""

Way = Mapping[str, Span]


class TooMany(Exception):
    """The sentence has more ways than anybody would read."""


@dataclass(frozen=True, slots=True)
class Words:
    """What names mean."""

    channels: Mapping[str, Channel]
    settings: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Condition:
    ways: tuple[Way, ...]
    """Those that can be."""
    natural: Mapping[str, Span]
    """What each of its terms can be at all."""
    clash: Phrase | None
    """Why it can never be true; None if it can."""


def condition(source: str, words: Words) -> Condition | None:
    """Of a sentence that was read without a mistake. None if it is too much for us."""
    reader = _Reader(words)
    try:
        ways = reader.ways(tree(source), True)
    except TooMany:
        return None
    possible = [way for way in ways if not any(one.empty for one in way.values())]
    clash = None if possible or reader.switched_off else _clash(ways, reader)
    return Condition(tuple(possible), reader.natural, clash)


def tree(source: str) -> ast.expr:
    """As Python reads it, but for `given(channel, value)`, which is the channel here."""
    found = _Given().visit(ast.parse(f"(\n{source}\n)", mode="eval").body)
    assert isinstance(found, ast.expr)
    return found


class _Given(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        return node.args[0] if isinstance(node.func, ast.Name) and node.func.id == "given" else node


def written(way: Way, natural: Mapping[str, Span]) -> str:
    """A sentence that is true in this way alone."""
    parts = []
    for term, allowed in way.items():
        if allowed in (TRUE, FALSE) and natural[term] == BOOLEAN:
            parts.append(f"({term})" if allowed == TRUE else f"not ({term})")
            continue
        if allowed.low > -span.INFINITY:
            parts.append(f"{term} {'>' if allowed.open_low else '>='} {allowed.low!r}")
        if allowed.high < span.INFINITY:
            parts.append(f"{term} {'<' if allowed.open_high else '<='} {allowed.high!r}")
    return " and ".join(parts) or "true"


def variables(way: Way, words: Words) -> frozenset[str]:
    """The channels and calls in its terms."""
    found: set[str] = set()
    for term in way:
        _collect(ast.parse(term, mode="eval").body, found)
    return frozenset(found) - words.settings.keys()


def _collect(node: ast.AST, found: set[str]) -> None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in OPAQUE and not (node.func.id in ("min", "max") and not over_window(node)):
            found.add(ast.unparse(node))
            return
        for argument in node.args:
            _collect(argument, found)
        return
    if isinstance(node, ast.Name):
        found.add(node.id)
    for child in ast.iter_child_nodes(node):
        _collect(child, found)


def over_window(node: ast.Call) -> bool:
    return len(node.args) == 2 and isinstance(node.args[1], ast.Constant) and isinstance(node.args[1].value, str)


def implies(one: Condition, other: Condition) -> bool:
    """Whether the other is true whenever the one is. False may mean that it isn't known."""
    return all(any(_covers(general, special, one, other) for general in other.ways) for special in one.ways)


def _covers(general: Way, special: Way, of_special: Condition, of_general: Condition) -> bool:
    return all(
        special.get(term, of_special.natural.get(term) or of_general.natural[term]).within(allowed)
        for term, allowed in general.items()
    )


def _clash(ways: list[dict[str, Span]], reader: "_Reader") -> Phrase:
    """Of the ways that can't be, what is in the way of each."""
    words: list[Phrase] = []
    for way in ways:
        term = next(term for term, allowed in way.items() if allowed.empty)
        asked = reader.asked.get(term, [])
        natural = reader.natural[term]
        alone = [wanted for wanted in asked if wanted.meet(natural).empty]
        if alone and natural != ANY:
            words += [
                phrase(
                    "`{term}` can't be {value}: it is {natural}",
                    term=term,
                    value=_value(one, natural),
                    natural=_value(natural, natural),
                )
                for one in alone
            ]
        else:
            first, *others = dict.fromkeys(_value(one, natural) for one in asked)
            for other in others:
                first = phrase("{some} and {other}", some=first, other=other)
            words.append(phrase("`{term}` can't be {values} at once", term=term, values=first))
    if not words:
        return phrase("it is written so")
    clash, *more = dict.fromkeys(words)
    for other in more:
        clash = phrase("{some}; {other}", some=clash, other=other)
    return clash


def _value(one: Span, natural: Span) -> Phrase:
    if natural in (BOOLEAN, TRUE, FALSE) and one.low == one.high:
        return Phrase("true" if one.low else "false")
    return one.words


class _Reader:
    def __init__(self, words: Words) -> None:
        self.natural: dict[str, Span] = {}
        self.asked: dict[str, list[Span]] = {}
        self.switched_off = False
        """The settings in the file say that something is not wanted; a device's own may."""
        self._words = words

    def ways(self, node: ast.expr, wanted: bool) -> list[dict[str, Span]]:
        """The ways in which it is as wanted."""
        match node:
            case ast.BoolOp(op=op, values=parts):
                some = [self.ways(part, wanted) for part in parts]
                if isinstance(op, ast.And) == wanted:
                    return _all(some)
                return [way for one in some for way in one]
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.ways(operand, not wanted)
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [left, *others]
                pairs = [self._pair(sides[at], _SIGNS[type(op)], sides[at + 1], wanted) for at, op in enumerate(ops)]
                return _all(pairs) if wanted else [way for one in pairs for way in one]
        if (value := self._fixed(node)) is not None:
            return [{}] if bool(value) == wanted else []
        return [self._way(ast.unparse(node), TRUE if wanted else FALSE, FALSE if _is_no_span(node) else BOOLEAN)]

    def _pair(self, left: ast.expr, sign: str, right: ast.expr, wanted: bool) -> list[dict[str, Span]]:
        sign = sign if wanted else _OPPOSITE[sign]
        one, other = self._fixed(left), self._fixed(right)
        if one is not None and other is None:
            left, right, sign, one, other = right, left, _MIRRORED[sign], other, one
        if other is None:
            term, natural = f"{ast.unparse(left)} - {ast.unparse(right)}", ANY
            if self._is_number(left) and self._is_number(right):
                natural = span.added(self._span(left), span.mirrored(self._span(right)))
                return [self._way(term, allowed, natural) for allowed in span.where(sign, 0.0)]
            return [self._way(f"{ast.unparse(left)} == {ast.unparse(right)}", TRUE if sign == "==" else FALSE, BOOLEAN)]
        if one is not None:
            if self._names_setting(left) or self._names_setting(
                right
            ):  # such as `limit > 0`: devices have it otherwise
                self.switched_off |= not _holds(one, sign, other)
                return [self._way(f"{ast.unparse(left)} {sign} {ast.unparse(right)}", TRUE, BOOLEAN)]
            return [{}] if _holds(one, sign, other) else []
        if isinstance(other, str) and (seconds := _seconds(other)) is not None and self._is_number(left):
            other = seconds
        if isinstance(other, str):
            return [self._way(f"{ast.unparse(left)} == {other!r}", TRUE if sign == "==" else FALSE, BOOLEAN)]
        natural = self._span(left) if self._is_number(left) else BOOLEAN
        limits = span.where(sign, float(other))
        return [self._way(ast.unparse(left), allowed, natural) for allowed in limits]

    def _names_setting(self, node: ast.expr) -> bool:
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        return not names.isdisjoint(self._words.settings)

    def _way(self, term: str, allowed: Span, natural: Span) -> dict[str, Span]:
        self.natural[term] = natural
        self.asked.setdefault(term, []).append(allowed)
        return {term: allowed.meet(natural)}

    def _is_number(self, node: ast.expr) -> bool:
        match node:
            case ast.Name(id=name) if name in self._words.channels:
                return self._words.channels[name].type == "number"
            case ast.Call(func=ast.Name(id=name)):
                return name not in _BOOLEAN_FUNCTIONS
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return False
        return True

    def _fixed(self, node: ast.expr) -> Value | None:
        """What it is, if no channel has a part in it."""
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as value):
                return value
            case ast.Name(id="true" | "false" as word):
                return word == "true"
            case ast.Name(id=name) if not isinstance(self._words.settings.get(name, True), bool):
                return self._words.settings[name]
            case ast.Name() | ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return None
            case ast.Call(func=ast.Name(id=name)) if name in functions.NAMES and name not in ("min", "max"):
                return None
            case ast.Call(args=[_, ast.Constant(value=str())]):  # over a window
                return None
        found = self._span(node)
        return found.low if found.low == found.high else None

    def _span(self, node: ast.expr) -> Span:
        """What a number can amount to."""
        match node:
            case ast.Constant() | ast.Name() if isinstance(value := self._fixed(node), int | float):
                return Span(float(value), float(value))
            case ast.Name(id=name) if (channel := self._words.channels.get(name)) is not None:
                return _range(channel)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return span.mirrored(self._span(operand))
            case ast.BinOp(left=left, op=op, right=right):
                one, other = self._span(left), self._span(right)
                match op:
                    case ast.Add():
                        return span.added(one, other)
                    case ast.Sub():
                        return span.added(one, span.mirrored(other))
                    case ast.Mult():
                        return span.multiplied(one, other)
                    case _:
                        return span.divided(one, other)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._called(name, arguments)
        return ANY

    def _called(self, name: str, arguments: list[ast.expr]) -> Span:
        first = arguments[0] if arguments else None
        over_window = (
            len(arguments) == 2 and isinstance(arguments[1], ast.Constant) and isinstance(arguments[1].value, str)
        )
        if name in _OF_VALUE and (over_window or name == "usual") and isinstance(first, ast.Name):
            return _range(self._words.channels[first.id])
        match name:
            case "abs":
                return span.magnitude(self._span(arguments[0]))
            case "min" | "max":
                choose = min if name == "min" else max
                spans = [self._span(one) for one in arguments]
                return Span(choose(one.low for one in spans), choose(one.high for one in spans))
            case "weekday":
                return Span(1.0, 7.0)
            case "hour":
                return Span(0.0, 24.0, open_high=True)
            case "rate" | "before":
                return ANY
        return POSITIVE


def _is_no_span(node: ast.expr) -> bool:
    """A span of the day or the year that ends when it begins: the end is no part of it."""
    match node:
        case ast.Call(func=ast.Name(id="time_between" | "date_between"), args=[first, last]):
            return ast.dump(first) == ast.dump(last)
    return False


def _range(channel: Channel) -> Span:
    return Span(channel.range[0], channel.range[1]) if channel.range else ANY


def _seconds(text: str) -> float | None:
    try:
        return duration_s(text)
    except ValueError:
        return None


def _holds(one: Value, sign: str, other: Value) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return (one == other) == (sign == "==")
    return any(Span(float(one), float(one)).within(allowed) for allowed in span.where(sign, float(other)))


def _all(some: list[list[dict[str, Span]]]) -> list[dict[str, Span]]:
    """Every way of the first with every way of the second and so on."""
    found: list[dict[str, Span]] = [{}]
    for ways in some:
        if len(found) * len(ways) > MOST_WAYS:
            raise TooMany
        found = [_joined(one, other) for one in found for other in ways]
    return found


def _joined(one: dict[str, Span], other: dict[str, Span]) -> dict[str, Span]:
    return {**one, **{term: one[term].meet(allowed) if term in one else allowed for term, allowed in other.items()}}
