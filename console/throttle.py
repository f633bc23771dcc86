"""How long a name must wait after failed logins. Pure: counts and times in, seconds out.

Three counters watch each attempt. The pair of name and address is strict, for that is where a person mistypes and
a guesser guesses. One address may stand for a whole street desk, so it has more room. A name alone is guarded last
and gently: a stranger who hammers at an operator's name must not be able to lock the operator out in an emergency.
"""

from dataclasses import dataclass

FORGET_S = 3600.0
"""A counter starts afresh when nothing failed for so long."""


@dataclass(frozen=True, slots=True)
class Limit:
    """After `free` failures each further one doubles the wait, from `first_s` up to `most_s`."""

    free: int
    first_s: float
    most_s: float


PAIR = Limit(free=5, first_s=5.0, most_s=900.0)
ADDRESS = Limit(free=25, first_s=5.0, most_s=900.0)
NAME = Limit(free=100, first_s=2.0, most_s=30.0)


@dataclass(frozen=True, slots=True)
class Failures:
    """What is remembered of one key."""

    count: int = 0
    last_at_ms: int = 0


def counters(name: str, address: str) -> dict[str, Limit]:
    """The keys that an attempt counts for, each with its limit."""
    return {f"pair {address} {name}": PAIR, f"address {address}": ADDRESS, f"name {name}": NAME}


def failed(failures: Failures, now_ms: int) -> Failures:
    """One more failure."""
    fresh = now_ms - failures.last_at_ms > FORGET_S * 1000
    return Failures(1 if fresh else failures.count + 1, now_ms)


def wait_s(limit: Limit, failures: Failures, now_ms: int) -> float:
    """Seconds until the next attempt is looked at; 0 when it may be now."""
    if failures.count < limit.free:
        return 0.0
    doublings = min(failures.count - limit.free, 32)
    until_ms = failures.last_at_ms + min(limit.first_s * (1 << doublings), limit.most_s) * 1000
    return max(0.0, (until_ms - now_ms) / 1000)
