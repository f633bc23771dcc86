"""The parts of a sentence: each has a type, a unit and a way to be computed; joining two checks that they fit.

Values are three-valued: None is "unknown" (a channel never heard, a division by zero, a window that isn't covered yet). Unknown
spreads through comparison and arithmetic; `and` and `or` are Kleene's: true if one side suffices, whatever the other is.

A term is read once, and writes its part of the sentence's function (rules.language.code), which is bound to settings and
computed at each reading. Binding folds what no channel has a part in, so `0.8 * depth` costs nothing later.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Self

from messages.language import NOTHING, Phrase, Unfit, phrase, why
from messages.reading import Value
from messages.settings import duration_s
from rules.language.code import (
    NONE,
    Bind,
    Compute,
    Draft,
    Kept,
    SettingValues,
    any_,
    either,
    is_,
    unless,
)
from rules.language.seen import NEVER

Write = Callable[[Draft], ast.expr]
"""What writes a term's part of the function."""
Type = Literal["number", "boolean", "text"]

_INFINITY = float("inf")
RATIO = "1"
"""The unit of a quotient of equal units, as SenML writes it."""
SECONDS = "s"


@dataclass(frozen=True, slots=True)
class Term:
    """`unit` is None for a boolean, a text, and a number that was written down (it fits every unit)."""

    type: Type
    unit: str | None
    write: Write
    names: tuple[str, ...] = ()
    """Channels and settings in it, in the order of their first mention."""
    fixed: bool = False
    """Made of numbers and settings alone: the same at every reading."""
    channel: str | None = None
    """It is the plain value of this channel."""
    silence: str | None = None
    """It is the silence of this channel: it grows while nothing comes."""
    literal: Value | None = None
    """What was written down."""
    floor: Write | None = None
    """What it is at least, while it is unknown: three openings within half a day are three within the whole of it."""
    ceiling: Write | None = None
    """What it is at most, while it is unknown."""


class Misfit(Unfit):
    """Two terms can't stand together, or a function takes something else; says why, and which of its arguments is meant, if it is one."""

    argument: int | str | None = None

    def of(self, argument: int | str) -> Self:
        self.argument = argument
        return self


TYPES: Mapping[Type, Phrase] = {
    "number": phrase("a number"),
    "boolean": phrase("a boolean"),
    "text": phrase("a text"),
}
"""As people call them."""
_NOUNS: Mapping[Type, Phrase] = {"number": phrase("number"), "boolean": phrase("boolean"), "text": phrase("text")}


def channel(name: str, kind: Type, unit: str | None) -> Term:
    return Term(kind, unit, lambda draft: draft.value_of(name), (name,), channel=name)


def given(known: Term, otherwise: Term) -> Term:
    """The channel, or `otherwise` while the device has never spoken of it; a bad value stays unknown. Raises Misfit."""
    if known.type != otherwise.type or not otherwise.fixed:
        words = phrase("`given` wants a fixed {type} for the case that nothing was ever heard", type=_NOUNS[known.type])
        raise Misfit(words).of(1)
    unit = _common_unit(known, otherwise, phrase("set beside"))
    name = known.names[0]

    def write(draft: Draft) -> ast.expr:
        return either(is_(draft.seen_of(name), None), _written(otherwise, draft), draft.value_of(name))

    return _made(known.type, unit, write, known, otherwise)


def setting(name: str, kind: Type, unit: str | None) -> Term:
    return Term(kind, unit, lambda draft: draft.setting(name), (name,), fixed=True)


def literal(value: Value) -> Term:
    kind: Type = "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
    return Term(kind, None, lambda _: ast.Constant(value), fixed=True, literal=value)


def asked(compute: Compute) -> Write:
    """What a function of ours answers."""
    return lambda draft: draft.called(compute)


@lru_cache(maxsize=8192)
def binding(write: Write) -> Bind:
    """What a term is under any settings. Made when it is first asked for: an engine has many rules, and few kinds of devices."""
    draft = Draft()
    return draft.bind([ast.Return(write(draft))])


@lru_cache(maxsize=1024)
def those_holding(sentences: tuple[tuple[int, Write], ...]) -> Bind:
    """Which of some sentences are true, by their numbers, under any settings: in one function, as what they look at is often the same."""
    draft, found = Draft(), Kept("found")
    tests = [ast.If(is_(write(draft), True), [found.add(number)], []) for number, write in sentences]
    return draft.bind([found.begin(), *tests, ast.Return(found.value())])


def fixed_value(term: Term, settings: SettingValues) -> Any:
    """What a fixed term is under these settings."""
    return term.literal if term.literal is not None else binding(term.write)(settings)({}, NEVER)


_SIGNS: dict[str, type[ast.cmpop]] = {
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
    "==": ast.Eq,
    "!=": ast.NotEq,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def compared(sign: str, left: Term, right: Term) -> Term:
    left, right = _as_seconds(left, right), _as_seconds(right, left)
    if left.type != right.type:
        words = phrase("{left} can't be compared with {right}{mend}", **_each(left, right), mend=_mend(left, right))
        raise Misfit(words)
    if left.type != "number" and sign not in ("==", "!="):
        raise Misfit("`{sign}` is for numbers, not for {type}", sign=sign, type=TYPES[left.type])
    _common_unit(left, right, phrase("compared with"))
    if left.fixed and not right.fixed:
        left, right, sign = right, left, _MIRRORED[sign]
    bound = left.floor if sign in (">", ">=") else left.ceiling if sign in ("<", "<=") else None

    def write(draft: Draft) -> ast.expr:
        def holds(one: ast.expr) -> ast.expr:
            return ast.Compare(one, [_SIGNS[sign]()], [limit])

        no_limit, limit = draft.known(_written(right, draft))
        unknown, value = draft.known(_written(left, draft))
        if bound is None:
            return unless([*no_limit, *unknown], holds(value))
        unbounded, least = draft.known(bound(draft))
        decides = ast.BoolOp(ast.And(), [ast.UnaryOp(ast.Not(), any_(unbounded)), holds(least)])
        return unless(no_limit, either(any_(unknown), either(decides, ast.Constant(True), NONE), holds(value)))

    return _made("boolean", None, write, left, right)


def _each(left: Term, right: Term) -> Mapping[str, Phrase]:
    return {"left": TYPES[left.type], "right": TYPES[right.type]}


def _mend(left: Term, right: Term) -> Phrase:
    """What is often meant by two types side by side."""
    for one, other in ((left, right), (right, left)):
        if one.type == "boolean" and one.names and other.literal in (0, 1, "true", "false", "0", "1"):
            return phrase("; write `{name}` by itself, or `not {name}`", name=one.names[0])
        if one.type == "number" and isinstance(other.literal, str):
            return phrase("; names and numbers stand without quotes")
    return NOTHING


def _as_seconds(term: Term, other: Term) -> Term:
    """A duration that was written as text, beside a number of seconds."""
    if other.unit != SECONDS or not isinstance(term.literal, str):
        return term
    return duration(term)


def duration(term: Term) -> Term:
    """Seconds, from a text such as "12h". Raises Misfit."""
    if not isinstance(term.literal, str):
        raise Misfit('a duration is wanted, such as "12h"')
    try:
        seconds = duration_s(term.literal)
    except ValueError as error:
        raise Misfit(why(error)) from error
    return Term("number", SECONDS, lambda _: ast.Constant(seconds), fixed=True, literal=seconds)


def all_of(terms: Sequence[Term]) -> Term:
    return _joined("and", terms, decisive=False)


def any_of(terms: Sequence[Term]) -> Term:
    return _joined("or", terms, decisive=True)


def _joined(word: str, terms: Sequence[Term], *, decisive: bool) -> Term:
    for term in terms:
        _wanted(term, "boolean", word)

    def write(draft: Draft) -> ast.expr:
        parts = [draft.taken(_written(term, draft)) for term in terms]
        decided = any_([is_(first, decisive) for first, _ in parts])
        unknown = any_([is_(again, None) for _, again in parts])
        return either(decided, ast.Constant(decisive), either(unknown, NONE, ast.Constant(not decisive)))

    return _made("boolean", None, write, *terms)


def negated(term: Term) -> Term:
    _wanted(term, "boolean", "not")

    def write(draft: Draft) -> ast.expr:
        unknown, value = draft.known(_written(term, draft))
        return unless(unknown, ast.UnaryOp(ast.Not(), value))

    return _made("boolean", None, write, term)


_FUNCTIONS: dict[str, Callable[..., float]] = {"abs": abs, "min": min, "max": max}
FUNCTIONS = tuple(_FUNCTIONS)


def called(function: str, terms: Sequence[Term]) -> Term:
    """`abs(x)`, `min(a, b, …)`, `max(a, b, …)`."""
    if (len(terms) == 1) != (function == "abs") or not terms:
        most = phrase("one value") if function == "abs" else phrase("two values or more")
        raise Misfit("`{function}` takes {what}", function=function, what=most)
    unit = None
    for term in terms:
        _wanted(term, "number", function)
        unit = _common_unit(Term("number", unit, term.write), term, phrase("set beside"))
    act = _FUNCTIONS[function]

    def write(draft: Draft) -> ast.expr:
        return _applied(draft, act, terms)

    return _made("number", unit, write, *terms)


def reversed_sign(term: Term) -> Term:
    _wanted(term, "number", "-")

    def write(draft: Draft) -> ast.expr:
        unknown, value = draft.known(_written(term, draft))
        return unless(unknown, ast.UnaryOp(ast.USub(), value))

    return _made("number", term.unit, write, term)


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def calculated(sign: str, left: Term, right: Term) -> Term:
    """A sum or difference keeps the unit, a product or quotient makes one. No finite result is unknown."""
    for term in (left, right):
        _wanted(term, "number", sign)
    unit = _common_unit(left, right, phrase("added to")) if sign in "+-" else _made_unit(sign, left.unit, right.unit)
    act = _finite(_ARITHMETIC[sign])
    return _made("number", unit, lambda draft: _applied(draft, act, (left, right)), left, right)


def _finite(act: Callable[[float, float], float]) -> Callable[[float, float], float | None]:
    def acted(one: float, other: float) -> float | None:
        try:
            result = act(one, other)
        except (ZeroDivisionError, OverflowError):
            return None
        return result if -_INFINITY < result < _INFINITY else None  # False for NaN too

    return acted


def _applied(draft: Draft, act: Callable[..., float | None], terms: Sequence[Term]) -> ast.expr:
    """What `act` makes of the terms, if all are known."""
    parts = [draft.known(_written(term, draft)) for term in terms]
    return unless([one for unknown, _ in parts for one in unknown], draft.called(act, [value for _, value in parts]))


def _written(term: Term, draft: Draft) -> ast.expr:
    return draft.fixed(term.write(draft)) if term.fixed else term.write(draft)


def _made(kind: Type, unit: str | None, write: Write, *parts: Term) -> Term:
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    return Term(kind, unit, write, names, fixed=all(part.fixed for part in parts))


def _made_unit(sign: str, left: str | None, right: str | None) -> str | None:
    """Numbers that were written down and ratios change no unit; a rarer product is a unit of its own."""
    if right in (None, RATIO):
        return left if right is None or left else RATIO
    if sign == "*":
        return right if left in (None, RATIO) else ".".join(sorted((left, right)))
    return RATIO if left == right else f"{left or RATIO}/{right}"


def _common_unit(left: Term, right: Term, deed: Phrase) -> str | None:
    if left.unit and right.unit and left.unit != right.unit:
        per_s = (left.unit, right.unit) in ((f"{right.unit}/s", right.unit), (left.unit, f"{left.unit}/s"))
        mend = phrase("; `rate` is a change per second") if per_s else NOTHING
        words = phrase(
            "{one} can't be {deed} {other}: give both in one unit", one=left.unit, deed=deed, other=right.unit
        )
        raise Misfit("{what}{mend}", what=words, mend=mend)
    return left.unit or right.unit


def _wanted(term: Term, kind: Type, sign: str) -> None:
    if term.type != kind:
        raise Misfit("`{sign}` wants {wanted}, not {found}", sign=sign, wanted=TYPES[kind], found=TYPES[term.type])
