"""Stretches of numbers with open or closed ends, and their arithmetic: what a term can amount to. Pure."""

import math
from dataclasses import dataclass

from messages.language import Phrase, phrase

INFINITY = math.inf


@dataclass(frozen=True, slots=True)
class Span:
    """From `low` to `high`. An open end is not part of it. Booleans are 0 and 1."""

    low: float = -INFINITY
    high: float = INFINITY
    open_low: bool = False
    open_high: bool = False

    @property
    def empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and (self.open_low or self.open_high))

    def meet(self, other: "Span") -> "Span":
        """What is in both."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Span(
            low,
            high,
            any(one.open_low for one in (self, other) if one.low == low),
            any(one.open_high for one in (self, other) if one.high == high),
        )

    def within(self, other: "Span") -> bool:
        return self.empty or self.meet(other) == self

    @property
    def words(self) -> Phrase:
        if self.low == self.high:
            return Phrase(f"{self.low:g}")
        if self.high == INFINITY and self.low == -INFINITY:
            return phrase("any number")
        if self.high == INFINITY:
            least = phrase("more than {n:g}", n=self.low), phrase("at least {n:g}", n=self.low)
            return least[0] if self.open_low else least[1]
        if self.low == -INFINITY:
            most = phrase("less than {n:g}", n=self.high), phrase("at most {n:g}", n=self.high)
            return most[0] if self.open_high else most[1]
        return phrase("{low:g} to {high:g}", low=self.low, high=self.high)


ANY = Span()
POSITIVE = Span(0.0)
BOOLEAN = Span(0.0, 1.0)
TRUE, FALSE = Span(1.0, 1.0), Span(0.0, 0.0)


def where(sign: str, limit: float) -> tuple[Span, ...]:
    """The numbers that compare so with `limit`."""
    match sign:
        case "<":
            return (Span(high=limit, open_high=True),)
        case "<=":
            return (Span(high=limit),)
        case ">":
            return (Span(limit, open_low=True),)
        case ">=":
            return (Span(limit),)
        case "==":
            return (Span(limit, limit),)
    return (Span(high=limit, open_high=True), Span(limit, open_low=True))


def added(one: Span, other: Span) -> Span:
    return Span(_sum(one.low, other.low, -INFINITY), _sum(one.high, other.high, INFINITY))


def mirrored(one: Span) -> Span:
    return Span(-one.high, -one.low)


def multiplied(one: Span, other: Span) -> Span:
    ends = [_product(a, b) for a in (one.low, one.high) for b in (other.low, other.high)]
    return Span(min(ends), max(ends))


def divided(one: Span, other: Span) -> Span:
    if other.low <= 0 <= other.high:
        return ANY
    return multiplied(one, Span(min(1 / other.low, 1 / other.high), max(1 / other.low, 1 / other.high)))


def magnitude(one: Span) -> Span:
    """Of `abs`."""
    most = max(abs(one.low), abs(one.high))
    return Span(0.0 if one.low <= 0 <= one.high else min(abs(one.low), abs(one.high)), most)


def _sum(a: float, b: float, otherwise: float) -> float:
    total = a + b
    return otherwise if math.isnan(total) else total


def _product(a: float, b: float) -> float:
    return 0.0 if 0 in (a, b) else a * b
