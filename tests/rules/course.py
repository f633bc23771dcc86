"""A rule, a course of readings, and what `step` makes of it."""

from collections.abc import Iterable
from pathlib import Path

from messages.ids import DeviceId
from messages.kind import load_kinds
from messages.reading import Quality, Reading, Value
from rules.language.answering import with_answers
from rules.language.change import Change, Raised
from rules.language.evaluation import Timer, step
from rules.language.library import load_rules
from rules.language.rule import Rule
from rules.language.state import NEW, State, from_json, to_json

KINDS = load_kinds()
RULES = load_rules(KINDS)
ALL_RULES = with_answers(RULES, KINDS)
T0 = 1_760_000_000_000
"""A moment in 2025; the courses count seconds from it."""


def rule(kind: str, name: str) -> Rule:
    return next(rule for rule in RULES[kind] if rule.id == name)


def reading(at_s: float, channel: str, value: Value, *, device: str = "it", quality: Quality = Quality.GOOD) -> Reading:
    return Reading(device=DeviceId(device), channel=channel, at_ms=at(at_s), value=value, quality=quality)


def at(at_s: float) -> int:
    return T0 + round(at_s * 1000)


def course(channel: str, *points: tuple[float, Value], device: str = "it") -> list[Reading]:
    return [reading(at_s, channel, value, device=device) for at_s, value in points]


def tilt(*points: tuple[float, Value]) -> list[Reading]:
    """Of a manhole cover."""
    return course("tilt", *points)


def replay(rule: Rule, readings: Iterable[Reading], *, arrived_s: float | None = None) -> list[Change]:
    """The changes, each reading arriving when it was measured, or all of them at `arrived_s`. No timer fires."""
    return run(rule, readings, arrived_s=arrived_s)[1]


def run(
    rule: Rule, readings: Iterable[Reading], *, arrived_s: float | None = None, state: State = NEW
) -> tuple[State, list[Change]]:
    changes: list[Change] = []
    for one in readings:
        state, found, _ = step(rule, state, one, one.at_ms if arrived_s is None else at(arrived_s))
        changes += found
    return state, changes


def live(rule: Rule, readings: Iterable[Reading], until_s: float, *, restart: bool = False) -> list[Change]:
    """The changes with timers: each fires at its millisecond. With `restart`, the state goes through JSON each time."""
    state, wake_ms, changes = NEW, None, list[Change]()

    def fire(before_ms: int) -> None:
        nonlocal state, wake_ms
        while wake_ms is not None and wake_ms < before_ms:
            state, found, wake_ms = step(rule, state, Timer(), wake_ms)
            changes.extend(found)

    for one in readings:
        fire(one.at_ms)
        if restart:
            state = from_json(to_json(state))
        state, found, wake_ms = step(rule, state, one, one.at_ms)
        changes += found
    fire(at(until_s))
    return changes


def raised(at_s: float, changes: Iterable[Change], *, late: bool = False) -> bool:
    """Whether it was raised at `at_s`, and never otherwise."""
    found = [(change.at_ms, change.late) for change in changes if isinstance(change, Raised)]
    return found == [(at(at_s), late)]


def write_rules(folder: Path, kind: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{kind}.toml"
    path.write_text(text, encoding="utf-8")
    return path
