"""Courses of readings, and the ways in which they can come to an engine: each when it was measured, all in one turn, in packs of another order, with
kills in between. And what the engine has made of them, to be held against what it made of others.
"""

import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import strategies as st

from messages import pack, topics
from messages.ids import StreamId
from messages.kind import Channel
from messages.reading import Reading, Value
from rules.engine.intake import take
from rules.engine.work import Work
from rules.language.rule import LEVELS, Rules
from rules.store import facts
from tests.rules.course import ALL_RULES, KINDS, T0, reading
from tests.rules.room import EDGE, SITE, Room

GAPS_S = (0.001, 1.0, 3.0, 11.0, 29.0, 61.0, 301.0, 601.0, 3601.0)
JUDGED = sorted(kind for kind in KINDS if ALL_RULES.get(kind) and kind not in ("site", "edge_link"))
"""The engine itself speaks of the other two."""


def values(kind: str, name: str, channel: Channel) -> list[Value]:
    """Of a channel: where its rules turn, and beside it."""
    if channel.type == "boolean":
        return [True, False]
    if channel.type == "text":
        return ["a", "b"]
    low, high = channel.range or (-1e6, 1e6)
    sources = [
        one.source
        for rule in ALL_RULES[kind]
        for one in (rule.raise_when, rule.clear_when, *(when for _, when in rule.graver_when))
    ]
    numbers = {float(found) for source in sources for found in re.findall(r"\d+(?:\.\d+)?", source)}
    numbers |= {
        float(value) for rule in ALL_RULES[kind] for value in rule.settings.values() if isinstance(value, int | float)
    }
    near = {number + more for number in numbers for more in (-0.5, 0.0, 0.5)}
    return sorted({low, high, *(number for number in near if low <= number <= high)})


class Course(NamedTuple):
    """Readings of one or two devices of a kind, in order."""

    kind: str
    readings: list[Reading]


@st.composite
def courses(draw: st.DrawFn, most: int = 24, kinds: Sequence[str] = JUDGED, gaps_s: Sequence[float] = GAPS_S) -> Course:
    kind = draw(st.sampled_from(kinds))
    heard = {channel for rule in ALL_RULES[kind] for channel in rule.channels}
    possible = [(name, values(kind, name, KINDS[kind].channels[name])) for name in sorted(heard)]
    at_s, found = 0.0, []
    for _ in range(draw(st.integers(1, most))):
        at_s += draw(st.sampled_from(gaps_s))
        name, some = draw(st.sampled_from(possible))
        found.append(reading(at_s, name, draw(st.sampled_from(some)), device=draw(st.sampled_from(("it", "other")))))
    return Course(kind, found)


SHELF = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where a commit costs nothing: these tests are about what is decided."""


NO_SETTINGS: Mapping[str, Mapping[str, Value]] = {}


@lru_cache
def _fresh() -> bytes:
    """A database in which nothing has happened."""
    with TemporaryDirectory(dir=SHELF) as folder:
        Room(Path(folder)).database.close()
        return (Path(folder) / "rules.db").read_bytes()


@contextmanager
def room(
    kind: str, known: Rules = ALL_RULES, settings: Mapping[str, Mapping[str, Value]] = NO_SETTINGS, url: str = ""
) -> Iterator[Room]:
    """With two devices of a kind. `settings`: what they announce of themselves. `url`: of a database in which nothing has happened, if not SQLite's."""
    with TemporaryDirectory(dir=SHELF) as folder:
        (Path(folder) / "rules.db").write_bytes(_fresh())
        made = Room(Path(folder), url, known)
        for device in ("it", "other"):
            made.announce(device, kind, 0, EDGE, **settings.get(device, {}))
        try:
            yield made
        finally:
            made.database.close()


def forget(of: Room) -> None:
    """As a restart does: nothing survives but the database."""
    of.facts = facts.load(of.database, KINDS, of.known)


def turn(of: Room, packs: Iterable[Sequence[Reading]], now_ms: int) -> None:
    """What arrives in one turn of the engine."""
    work = Work(of.facts)
    for readings in packs:
        work.collect(SITE, EDGE, readings)
    work.settle(now_ms)
    of.write(work, (now_ms - T0) / 1000)


def live(of: Room, readings: Sequence[Reading], between: Callable[[], None] = lambda: None) -> None:
    """Each reading when it was measured, each timer at its millisecond."""
    for one in readings:
        of.pass_time((one.at_ms - T0 - 1) / 1000)
        between()
        turn(of, [[one]], one.at_ms)
        between()
    of.pass_time((readings[-1].at_ms - T0) / 1000 + 7200)


def alarms(of: Room) -> list[tuple[object, ...]]:
    found = of.desk.alarms(open_only=False, limit=1000)
    return sorted(
        (one.device, one.rule, one.raised_at_ms, one.level, one.state.value, one.late, one.case is not None)
        for one in found
    )


def raises(of: Room) -> list[tuple[object, ...]]:
    """The same, whether it is over or not: while a device says nothing no alarm of it clears, and it depends on the turns how much it
    had said when its silence began."""
    return [(*one[:4], *one[5:]) for one in alarms(of)]


def end_ms(course: Course) -> int:
    return course.readings[-1].at_ms + 1000


def pieces(readings: Sequence[Reading], cuts: Iterable[int]) -> list[list[Reading]]:
    edges = sorted({0, len(readings), *(cut % (len(readings) + 1) for cut in cuts)})
    return [list(readings[first:last]) for first, last in itertools.pairwise(edges)]


def cuts_of_the_link(readings: Sequence[Reading], cuts: Iterable[int]) -> list[list[tuple[int, Reading]]]:
    """The readings as packs with their numbers, each burst as long as it was under way together."""
    numbered = list(enumerate(readings, start=1))
    edges = sorted({1, len(readings), *(1 + cut % len(readings) for cut in cuts)})
    return [numbered[:1], *(numbered[first:last] for first, last in itertools.pairwise(edges))]


def bursts(of: Room, course: Course, cut: Iterable[Sequence[tuple[int, Reading]]], kills: Collection[int] = ()) -> None:
    """What was under way together comes at one moment, each pack in a turn of its own. `kills`: after these packs."""
    said = dict[int, Reading]()
    for burst in cut:
        now_ms = max(one.at_ms for _, one in burst)
        of.pass_time((now_ms - T0 - 1) / 1000)
        for number, one in burst:
            packed(of, number, one, now_ms)
            said[number] = one
            if number in kills:
                forget(of)
                recall(of, said, now_ms)
    of.pass_time((end_ms(course) - T0) / 1000 + 7200)


def recall(of: Room, said: Mapping[int, Reading], now_ms: int) -> None:
    """What the history has of what doesn't count as heard, as at a start."""
    work, stream = Work(of.facts), (SITE, EDGE, StreamId("s"))
    if unheard := [number for number in said if not work.is_heard(stream, number)]:
        work.catch_up(stream, unheard, [said[number] for number in unheard], now_ms, last=True)
        of.write(work, (now_ms - T0) / 1000)


def packed(of: Room, number: int, one: Reading, now_ms: int) -> None:
    work = Work(of.facts)
    assert take(work, topics.readings(SITE, EDGE), pack.encode(EDGE, StreamId("s"), number, [one]), now_ms) is None
    work.settle(now_ms)
    of.write(work, (now_ms - T0) / 1000)


def first_calls(of: Room, names: Collection[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """When each of these rules first called somebody about a device, and how grave that became."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for one in of.desk.alarms(open_only=False, limit=1000):
        if one.rule in names and not one.late:
            known_ms, grave = found.get((one.device, one.rule), (one.known_at_ms, len(LEVELS)))
            now = (min(known_ms, one.known_at_ms), min(grave, LEVELS.index(one.level)))
            found[one.device, one.rule] = now
    return found
