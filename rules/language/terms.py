"""The parts of a sentence: each has a type, a unit and a way to be computed; joining two checks that they fit.

Values are three-valued: None is "unknown" (a channel never heard, a division by zero). Unknown spreads through
comparison and arithmetic; `and` and `or` are Kleene's: true if one side suffices, whatever the other is.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from messages.reading import Value

Values = Mapping[str, Value | None]
"""What is known now, by channel and by setting. A name that is absent is unknown."""

Compute = Callable[[Values], Any]
"""A number, boolean or text, or None. Typed loosely: `Term.type` was checked when the sentence was read."""

_INFINITY = float("inf")
RATIO = "1"
"""The unit of a quotient of equal units, as SenML writes it."""


@dataclass(frozen=True, slots=True)
class Term:
    """`unit` is None for a boolean, a text, and a number that was written down (it fits every unit)."""

    type: Literal["number", "boolean", "text"]
    unit: str | None
    compute: Compute
    names: tuple[str, ...] = ()
    """Channels and settings in it, in the order of their first mention."""


class Misfit(ValueError):
    """Two terms can't stand together; the message says why."""


def named(name: str, kind: Literal["number", "boolean", "text"], unit: str | None) -> Term:
    return Term(kind, unit, lambda values: values.get(name), (name,))


def literal(value: Value) -> Term:
    kind: Literal["number", "boolean", "text"] = (
        "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
    )
    return Term(kind, None, lambda _: value)


_COMPARISONS: dict[str, Callable[[Any, Any], object]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def compared(sign: str, left: Term, right: Term) -> Term:
    if left.type != right.type:
        raise Misfit(f"a {left.type} can't be compared with a {right.type}")
    if left.type != "number" and sign not in ("==", "!="):
        raise Misfit(f"`{sign}` is for numbers, not for a {left.type}")
    _common_unit(left, right, "compared with")
    holds, one, other = _COMPARISONS[sign], left.compute, right.compute

    def compute(values: Values) -> bool | None:
        if (a := one(values)) is None or (b := other(values)) is None:
            return None
        return bool(holds(a, b))

    return Term("boolean", None, compute, _names(left, right))


def all_of(terms: Sequence[Term]) -> Term:
    return _joined("and", terms, decisive=False)


def any_of(terms: Sequence[Term]) -> Term:
    return _joined("or", terms, decisive=True)


def _joined(word: str, terms: Sequence[Term], *, decisive: bool) -> Term:
    for term in terms:
        _wanted(term, "boolean", f"`{word}`")
    parts = tuple(term.compute for term in terms)

    def compute(values: Values) -> bool | None:
        result: bool | None = not decisive
        for part in parts:
            value: bool | None = part(values)
            if value is decisive:
                return value
            if value is None:
                result = None
        return result

    return Term("boolean", None, compute, _names(*terms))


def negated(term: Term) -> Term:
    _wanted(term, "boolean", "`not`")
    inner = term.compute
    return Term("boolean", None, lambda values: None if (value := inner(values)) is None else not value, term.names)


_FUNCTIONS: dict[str, Callable[..., float]] = {"abs": abs, "min": min, "max": max}
FUNCTIONS = (*_FUNCTIONS, "before")


def called(function: str, terms: Sequence[Term]) -> Term:
    """`abs(x)`, `min(a, b, …)`, `max(a, b, …)`."""
    if (len(terms) == 1) != (function == "abs") or not terms:
        raise Misfit(f"`{function}` takes {'one value' if function == 'abs' else 'two values or more'}")
    unit = None
    for term in terms:
        _wanted(term, "number", f"`{function}`")
        unit = _common_unit(Term("number", unit, term.compute), term, "set beside")
    act, parts = _FUNCTIONS[function], tuple(term.compute for term in terms)

    def compute(values: Values) -> float | None:
        numbers = [part(values) for part in parts]
        return None if None in numbers else act(*numbers)

    return Term("number", unit, compute, _names(*terms))


def changed(channel: str) -> str:
    """Under which name the values say when a channel last changed, in milliseconds."""
    return f"changed@{channel}"


def before(first: str, then: str) -> Term:
    """`before(card, door_open)`: by how many seconds the last change of the first came before that of the other.

    Infinite if the first never changed, negative if it came after, unknown while no change of the other is known.
    """
    first_at, then_at = changed(first), changed(then)

    def compute(values: Values) -> float | None:
        if (at_ms := values.get(then_at)) is None:
            return None
        earlier_ms = values.get(first_at)
        return _INFINITY if earlier_ms is None else (float(at_ms) - float(earlier_ms)) / 1000

    return Term("number", "s", compute, (first, then))


def reversed_sign(term: Term) -> Term:
    _wanted(term, "number", "`-`")
    inner = term.compute
    return Term("number", term.unit, lambda values: None if (value := inner(values)) is None else -value, term.names)


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
    act, one, other = _ARITHMETIC[sign], left.compute, right.compute

    def compute(values: Values) -> float | None:
        if (a := one(values)) is None or (b := other(values)) is None:
            return None
        try:
            result = act(a, b)
        except (ZeroDivisionError, OverflowError):
            return None
        return result if -_INFINITY < result < _INFINITY else None  # False for NaN too

    return Term("number", unit, compute, _names(left, right))


def _made_unit(sign: str, left: str | None, right: str | None) -> str | None:
    """Numbers that were written down and ratios change no unit; a rarer product is a unit of its own."""
    if right in (None, RATIO):
        return left if right is None or left else RATIO
    if sign == "*":
        return right if left in (None, RATIO) else ".".join(sorted((left, right)))
    return RATIO if left == right else f"{left or RATIO}/{right}"


def _common_unit(left: Term, right: Term, deed: str) -> str | None:
    if left.unit and right.unit and left.unit != right.unit:
        raise Misfit(f"{left.unit} can't be {deed} {right.unit}")
    return left.unit or right.unit


def _wanted(term: Term, kind: str, where: str) -> None:
    if term.type != kind:
        raise Misfit(f"{where} wants a {kind}, not a {term.type}")


def _names(*terms: Term) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for term in terms for name in term.names))
