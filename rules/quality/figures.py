"""Alarm quality by ISA-18.2 and EEMUA 191, computed from the log and the alarms of a span. Pure.

A ring is what an operator had to notice: an alarm that was raised or rang again while nothing kept it quiet. Rates count rings; everything
else counts alarms or cases. The budgets are guidance: the norm of 2016 dropped the daily figure (section 4 of the field notes).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from messages.alarm import Level
from rules.alarms.overlays.oversight import STALE_MS
from rules.alarms.rebuild import LATE, Rebuilt, after
from rules.records import AlarmState, LogEntry

WINDOW_MS, BEGINS_ABOVE = 600_000, 10
"""EEMUA 191: what is more than so many in ten minutes is a flood. Those of the standard, whatever an engine's file says."""

DAY_MS = 86_400_000
PER_SLOT, PER_DAY = 1.0, 150.0
"""Rings that one operator can handle: one in ten minutes, about 150 a day (EEMUA 191, IEC 62682)."""
FLOODED_SLOTS = 0.01
"""Of all slots, at most this share with more than ten rings."""
STANDS = (AlarmState.UNACK, AlarmState.ACKED)
STANDING = 5
"""Stale alarms, fewer than these."""
PRIORITIES: Mapping[str, float] = {"high": 0.05, "medium": 0.15, "low": 0.80}
"""The mix of priorities; ours: red, orange, and yellow with blue."""
_PRIORITY: Mapping[Level, str] = {"red": "high", "orange": "medium", "yellow": "low", "blue": "low"}

MOST = 10
"""How long the lists of the worst are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An alarm, as far as the figures ask."""

    id: str
    site: str
    grid: str
    device: str
    kind: str
    model: str
    rule: str
    level: Level
    state: AlarmState
    late: bool
    since_ms: int
    occurrences: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A case that was opened in the span, and the models of the devices in it."""

    opened_at_ms: int
    accepted_at_ms: int | None
    closed_at_ms: int | None
    outcome: str | None
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that something took, over `count` of them; None where there was none."""

    count: int
    median_s: float | None
    p95_s: float | None


@dataclass(frozen=True, slots=True)
class Rate:
    """Rings, and per operator."""

    rings: int
    per_day: float
    per_slot: float
    """Mean of the ten-minute slots."""
    most_in_slot: float
    flooded: float
    """Share of the slots with more than ten."""


@dataclass(frozen=True, slots=True)
class Repeater:
    """An alarm that came and went."""

    device: str
    kind: str
    rule: str
    occurrences: int
    chattered: int
    """How often it was found chattering in the span."""


@dataclass(frozen=True, slots=True)
class Standing:
    alarm: str
    device: str
    kind: str
    rule: str
    level: Level
    hours: float


@dataclass(frozen=True, slots=True)
class Falsehood:
    """Of a model's closed cases, how many were false alarms."""

    model: str
    closed: int
    false: int

    @property
    def share(self) -> float:
        return self.false / self.closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The figures of one site. The span begins with the log, where that is younger than what was asked for."""

    site: str
    from_ms: int
    to_ms: int
    operators: int
    alarms: int
    """That were raised in the span, quiet ones too, late ones not."""
    quiet: int
    """Of them, those that called nobody when they were raised."""
    rate: Rate
    grids: Mapping[str, Rate]
    """By grid, for one worker each."""
    priorities: Mapping[str, float]
    repeaters: Sequence[Repeater]
    standing: Sequence[Standing]
    standing_count: int
    false: Sequence[Falsehood]
    acknowledge: Times
    accept: Times
    close: Times
    floods: int


def quality(
    site: str,
    subjects: Iterable[Subject],
    lines: Iterable[LogEntry],
    works: Sequence[Work],
    from_ms: int,
    to_ms: int,
    *,
    operators: int = 1,
) -> Quality:
    """`lines`: all of the subjects since they began, be it before the span, and the site's floods, in order."""
    known = {one.id: one for one in subjects if one.site == site}
    told = _told(lines, known, site, from_ms, to_ms)
    rings = [(at_ms, known[alarm]) for alarm, at_ms in told.rings]
    by_grid: dict[str, list[int]] = defaultdict(list)
    for at_ms, one in rings:
        by_grid[one.grid].append(at_ms)
    raised = [known[alarm] for alarm in told.raised]
    stood = ((one, *_stood(one, told, to_ms)) for one in known.values())
    stale = sorted(
        ((one, since_ms) for one, state, since_ms in stood if _is_standing(state, since_ms, to_ms)),
        key=lambda pair: (pair[1], pair[0].id),
    )
    return Quality(
        site=site,
        from_ms=from_ms,
        to_ms=to_ms,
        operators=operators,
        alarms=len(raised),
        quiet=len(told.quiet),
        rate=rate([at_ms for at_ms, _ in rings], from_ms, to_ms, operators),
        grids={grid: rate(its_ms, from_ms, to_ms, 1) for grid, its_ms in sorted(by_grid.items())},
        priorities=_priorities(raised),
        repeaters=_repeaters(told, known, to_ms),
        standing=[
            Standing(one.id, one.device, one.kind, one.rule, one.level, (to_ms - since_ms) / 3_600_000)
            for one, since_ms in stale[:MOST]
        ],
        standing_count=len(stale),
        false=falsehoods(works),
        acknowledge=times(told.acknowledged_ms),
        accept=times([one.accepted_at_ms - one.opened_at_ms for one in works if one.accepted_at_ms is not None]),
        close=times([one.closed_at_ms - one.opened_at_ms for one in works if one.closed_at_ms is not None]),
        floods=told.floods,
    )


@dataclass(slots=True)
class _Told:
    """What the log says of the span."""

    rings: list[tuple[str, int]]
    raised: list[str]
    quiet: set[str]
    chattered: Counter[str]
    acknowledged_ms: list[int]
    floods: int
    times: Counter[str]
    """How often an alarm was raised, the first time and again."""
    states: dict[str, Rebuilt]
    """At the end of the span."""
    since_ms: dict[str, int]
    """When each was raised last."""


def _told(lines: Iterable[LogEntry], known: Mapping[str, Subject], site: str, from_ms: int, to_ms: int) -> _Told:
    states: dict[str, Rebuilt] = {}
    told = _Told([], [], set(), Counter(), [], 0, Counter(), states, {})
    rang: dict[str, int] = {}
    """When an alarm last rang that nobody has looked at since."""
    for line in lines:
        inside = from_ms <= line.at_ms < to_ms
        if line.event == "alarm.flood_started" and line.detail.startswith(f"{site}: "):
            told.floods += inside
        alarm = line.alarm
        if alarm is None or alarm not in known or not line.event.startswith("alarm.") or line.detail.startswith(LATE):
            continue
        before = states.get(alarm, Rebuilt())
        now = states[alarm] = after(before, line)
        first = line.event == "alarm.raised" and line.detail == ""
        if first and inside:
            told.raised.append(alarm)
        if line.event == "alarm.raised":
            told.times[alarm] += inside
            told.since_ms[alarm] = line.at_ms
        if line.event in ("alarm.raised", "alarm.realarmed") and now.overlays.annunciated:
            rang.setdefault(alarm, line.at_ms)
            if inside:
                told.rings.append((alarm, line.at_ms))
        elif not now.overlays.annunciated and before.overlays.annunciated and rang.get(alarm) == line.at_ms:
            del rang[alarm]  # it was quiet from its first moment on
            if told.rings and told.rings[-1] == (alarm, line.at_ms):
                told.rings.pop()
                told.quiet.add(alarm)
        elif line.event == "alarm.acknowledged" and (since_ms := rang.pop(alarm, None)) is not None and inside:
            told.acknowledged_ms.append(line.at_ms - since_ms)
        told.chattered[alarm] += line.event == "alarm.chattering" and inside
    return told


def rate(rings_ms: Sequence[int], from_ms: int, to_ms: int, operators: int) -> Rate:
    """Of an operator's share. Slots are counted from the beginning of the span; the last may be shorter."""
    slots = max(1, math.ceil((to_ms - from_ms) / WINDOW_MS))
    days = max(to_ms - from_ms, 1) / DAY_MS
    counts = Counter((at_ms - from_ms) // WINDOW_MS for at_ms in rings_ms)
    shares = [count / operators for count in counts.values()]
    return Rate(
        rings=len(rings_ms),
        per_day=len(rings_ms) / operators / days,
        per_slot=len(rings_ms) / operators / slots,
        most_in_slot=max(shares, default=0.0),
        flooded=sum(share > BEGINS_ABOVE for share in shares) / slots,
    )


def times(durations_ms: Sequence[int]) -> Times:
    if not durations_ms:
        return Times(0, None, None)
    ordered = sorted(durations_ms)
    return Times(len(ordered), _rank(ordered, 0.5) / 1000, _rank(ordered, 0.95) / 1000)


def _rank(ordered: Sequence[int], share: float) -> int:
    """The smallest value that is not exceeded by `share` of them."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def falsehoods(works: Iterable[Work]) -> list[Falsehood]:
    """By model, the worst first; models without a closed case are left out."""
    closed: Counter[str] = Counter()
    false: Counter[str] = Counter()
    for one in works:
        for model in set(one.models) if one.closed_at_ms is not None else ():
            closed[model] += 1
            false[model] += one.outcome == "false_alarm"
    found = [Falsehood(model, closed[model], false[model]) for model in closed]
    return sorted(found, key=lambda one: (-one.share, -one.false, one.model))


def _stood(one: Subject, told: _Told, to_ms: int) -> tuple[AlarmState, int]:
    """Its state at the end of the span, be that long ago, and since when. Without a line of the log it is as it is now."""
    if one.id not in told.states:
        return one.state, one.since_ms
    since_ms = one.since_ms if one.since_ms < to_ms else told.since_ms.get(one.id, one.since_ms)
    return told.states[one.id].state, since_ms


def _is_standing(state: AlarmState, since_ms: int, to_ms: int) -> bool:
    return state in STANDS and to_ms - since_ms >= STALE_MS


def _priorities(raised: Sequence[Subject]) -> dict[str, float]:
    counts = Counter(_PRIORITY[one.level] for one in raised)
    return {name: counts[name] / len(raised) for name in PRIORITIES} if raised else {}


def _repeaters(told: _Told, known: Mapping[str, Subject], to_ms: int) -> list[Repeater]:
    """By device and rule, those that began most often in the span. Of an alarm that lies in it wholly all occurrences are known, of another one
    those that the log has."""
    often: Counter[tuple[str, str, str]] = Counter()
    found: Counter[tuple[str, str, str]] = Counter()
    whole = {alarm for alarm in told.raised if known[alarm].since_ms < to_ms}
    for alarm in {*told.raised, *told.times}:
        one = known[alarm]
        often[one.device, one.kind, one.rule] += one.occurrences if alarm in whole else told.times[alarm]
    for alarm, count in told.chattered.items():
        found[known[alarm].device, known[alarm].kind, known[alarm].rule] += count
    again = [Repeater(*key, count, found[key]) for key, count in often.items() if count > 1]
    return sorted(again, key=lambda one: (-one.chattered, -one.occurrences, one.device, one.rule))[:MOST]
