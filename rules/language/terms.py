"""The parts of a sentence: each has a type, a unit and a way to be computed; joining two checks that they fit.

Values are three-valued: None is "unknown" (a channel never heard, a division by zero, a window that isn't covered yet). Unknown
spreads through comparison and arithmetic; `and` and `or` are Kleene's: true if one side suffices, whatever the other is.

A term is read once, bound once for all devices that share their settings, and computed at each reading. Binding folds
what no channel has a part in, so `0.8 * depth` costs nothing later.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from messages.reading import Value
from messages.settings import duration_s
from rules.language.seen import NEVER, SeenByChannel, Then

Compute = Callable[[SeenByChannel, Then], Any]
"""A number, boolean or text, or None. Typed loosely: `Term.type` was checked when the sentence was read."""

SettingValues = Mapping[str, Value]
Bind = Callable[[SettingValues], Compute]
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
    bind: Bind
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
    floor: Bind | None = None
    """What it is at least, while it is unknown: three openings within half a day are three within the whole of it."""
    ceiling: Bind | None = None
    """What it is at most, while it is unknown."""


class Misfit(ValueError):
    """Two terms can't stand together; the message says why."""


def channel(name: str, kind: Type, unit: str | None) -> Term:
    def compute(seen: SeenByChannel, _: Then) -> Value | None:
        return None if (one := seen.get(name)) is None else one.value

    return Term(kind, unit, lambda _: compute, (name,), channel=name)


def given(known: Term, otherwise: Term) -> Term:
    """The channel, or `otherwise` while the device has never spoken of it; a bad value stays unknown. Raises Misfit."""
    if known.type != otherwise.type or not otherwise.fixed:
        raise Misfit(f"`given` wants a fixed {known.type} for the case that nothing was ever heard")
    unit = _common_unit(known, otherwise, "set beside")
    name = known.names[0]

    def bind(settings: SettingValues) -> Compute:
        instead = fixed_value(otherwise, settings)

        def compute(seen: SeenByChannel, _: Then) -> Value | None:
            return instead if (one := seen.get(name)) is None else one.value

        return compute

    return _made(known.type, unit, bind, known, otherwise)


def setting(name: str, kind: Type, unit: str | None) -> Term:
    return Term(kind, unit, lambda settings: constant(settings.get(name)), (name,), fixed=True)


def literal(value: Value) -> Term:
    kind: Type = "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
    return Term(kind, None, lambda _: constant(value), fixed=True, literal=value)


def constant(value: Any) -> Compute:
    return lambda _seen, _then: value


def fixed_value(term: Term, settings: SettingValues) -> Any:
    """What a fixed term is under these settings."""
    return term.bind(settings)({}, NEVER)


_COMPARISONS: dict[str, Callable[[Any, Any], object]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def compared(sign: str, left: Term, right: Term) -> Term:
    left, right = _as_seconds(left, right), _as_seconds(right, left)
    if left.type != right.type:
        raise Misfit(f"a {left.type} can't be compared with a {right.type}")
    if left.type != "number" and sign not in ("==", "!="):
        raise Misfit(f"`{sign}` is for numbers, not for a {left.type}")
    _common_unit(left, right, "compared with")
    if left.fixed and not right.fixed:
        left, right, sign = right, left, _MIRRORED[sign]
    return _made("boolean", None, lambda settings: _bind_comparison(sign, left, right, settings), left, right)


def _bind_comparison(sign: str, left: Term, right: Term, settings: SettingValues) -> Compute:
    holds = _COMPARISONS[sign]
    if left.channel is not None and right.fixed:
        return _channel_against(left.channel, holds, fixed_value(right, settings))
    one, other = left.bind(settings), right.bind(settings)
    bound_of = left.floor if sign in (">", ">=") else left.ceiling if sign in ("<", "<=") else None
    bound = bound_of(settings) if bound_of else None

    def compute(seen: SeenByChannel, then: Then) -> bool | None:
        if (b := other(seen, then)) is None:
            return None
        if (a := one(seen, then)) is not None:
            return bool(holds(a, b))
        if bound is not None and (a := bound(seen, then)) is not None and holds(a, b):
            return True
        return None

    return compute


def _channel_against(name: str, holds: Callable[[Any, Any], object], limit: Any) -> Compute:
    """The commonest sentence of all, so it takes the shortest way."""

    def compute(seen: SeenByChannel, _: Then) -> object:
        if (one := seen.get(name)) is None or (value := one[1]) is None:
            return None
        return holds(value, limit)

    return constant(None) if limit is None else compute


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
        raise Misfit(str(error)) from error
    return Term("number", SECONDS, lambda _: constant(seconds), fixed=True, literal=seconds)


def all_of(terms: Sequence[Term]) -> Term:
    return _joined("and", terms, decisive=False)


def any_of(terms: Sequence[Term]) -> Term:
    return _joined("or", terms, decisive=True)


def _joined(word: str, terms: Sequence[Term], *, decisive: bool) -> Term:
    for term in terms:
        _wanted(term, "boolean", f"`{word}`")

    def bind(settings: SettingValues) -> Compute:
        parts = tuple(term.bind(settings) for term in terms)

        def compute(seen: SeenByChannel, then: Then) -> bool | None:
            result: bool | None = not decisive
            for part in parts:
                value: bool | None = part(seen, then)
                if value is decisive:
                    return value
                if value is None:
                    result = None
            return result

        return compute

    return _made("boolean", None, bind, *terms)


def negated(term: Term) -> Term:
    _wanted(term, "boolean", "`not`")

    def bind(settings: SettingValues) -> Compute:
        inner = term.bind(settings)
        return lambda seen, then: None if (value := inner(seen, then)) is None else not value

    return _made("boolean", None, bind, term)


_FUNCTIONS: dict[str, Callable[..., float]] = {"abs": abs, "min": min, "max": max}
FUNCTIONS = tuple(_FUNCTIONS)


def called(function: str, terms: Sequence[Term]) -> Term:
    """`abs(x)`, `min(a, b, …)`, `max(a, b, …)`."""
    if (len(terms) == 1) != (function == "abs") or not terms:
        raise Misfit(f"`{function}` takes {'one value' if function == 'abs' else 'two values or more'}")
    unit = None
    for term in terms:
        _wanted(term, "number", f"`{function}`")
        unit = _common_unit(Term("number", unit, term.bind), term, "set beside")
    act = _FUNCTIONS[function]

    def bind(settings: SettingValues) -> Compute:
        parts = tuple(term.bind(settings) for term in terms)

        def compute(seen: SeenByChannel, then: Then) -> float | None:
            numbers = [part(seen, then) for part in parts]
            return None if None in numbers else act(*numbers)

        return compute

    return _made("number", unit, bind, *terms)


def reversed_sign(term: Term) -> Term:
    _wanted(term, "number", "`-`")

    def bind(settings: SettingValues) -> Compute:
        inner = term.bind(settings)
        return lambda seen, then: None if (value := inner(seen, then)) is None else -value

    return _made("number", term.unit, bind, term)


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def calculated(sign: str, left: Term, right: Term) -> Term:
    """A sum or difference keeps the unit, a product or quotient makes one. No finite result is unknown."""
    for term in (left, right):
        _wanted(term, "number", f"`{sign}`")
    unit = _common_unit(left, right, "added to") if sign in "+-" else _made_unit(sign, left.unit, right.unit)
    act = _ARITHMETIC[sign]

    def bind(settings: SettingValues) -> Compute:
        one, other = left.bind(settings), right.bind(settings)

        def compute(seen: SeenByChannel, then: Then) -> float | None:
            if (a := one(seen, then)) is None or (b := other(seen, then)) is None:
                return None
            try:
                result = act(a, b)
            except (ZeroDivisionError, OverflowError):
                return None
            return result if -_INFINITY < result < _INFINITY else None  # False for NaN too

        return compute

    return _made("number", unit, bind, left, right)


def _made(kind: Type, unit: str | None, bind: Bind, *parts: Term) -> Term:
    """A term of `parts`; one without a channel in it is computed when it is bound."""
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    if not all(part.fixed for part in parts):
        return Term(kind, unit, bind, names)
    return Term(kind, unit, lambda settings: constant(bind(settings)({}, NEVER)), names, fixed=True)


def _made_unit(sign: str, left: str | None, right: str | None) -> str | None:
    """Numbers that were written down and ratios change no unit; a rarer product is a unit of its own."""
    if right in (None, RATIO):
        return left if right is None or left else RATIO
    if sign == "*":
        return right if left in (None, RATIO) else ".".join(sorted((left, right)))
    return RATIO if left == right else f"{left or RATIO}/{right}"


def _common_unit(left: Term, right: Term, deed: str) -> str | None:
    if left.unit and right.unit and left.unit != right.unit:
        raise Misfit(f"{left.unit} can't be {deed} {right.unit}: give both in one unit")
    return left.unit or right.unit


def _wanted(term: Term, kind: str, where: str) -> None:
    if term.type != kind:
        raise Misfit(f"{where} wants a {kind}, not a {term.type}")
