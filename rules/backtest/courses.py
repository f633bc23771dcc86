"""The past judged anew: by the rules in use, and by changed ones beside them, in one pass over what is stored."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.stores.base import StoreError
from messages.ids import SiteId
from messages.settings import ConfigError
from rules import chronicle
from rules.backtest import past
from rules.backtest.changes import Change, changes
from rules.backtest.past import Span
from rules.backtest.reasons import Then
from rules.backtest.replay import Episode, Replay
from rules.backtest.report import CHANGED, NOW, WAS, Course
from rules.config import Configuration
from rules.engine import own
from rules.engine.memory.facts import Facts
from rules.engine.memory.plant import Device, TellerKey
from rules.language.answering import with_answers
from rules.language.keeps import HOLDS, WindowKeep
from rules.language.library import COMMON, beside, load_common, load_file, vocabulary
from rules.language.rule import Rule, Rules
from rules.store.database import Database


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of the past."""

    courses: list[Course]
    """That which was, that of the rules in use, and that of the changed files."""
    span: Span
    """How far it was judged."""
    readings: int
    unknown: int
    """Readings that were not judged."""
    then: Then
    changes: tuple[Change, ...] = ()
    """What the changed files change."""
    first_ms: int | None = None
    """When the first reading of all was taken; None: there was none."""
    broken: str | None = None
    """Why the history could not be read to the end."""


def courses_of(
    configuration: Configuration,
    span: Span,
    files: Sequence[Path],
    sites: frozenset[SiteId],
    told: Callable[[float, int], bool] = lambda share, count: True,
    only: frozenset[str] = frozenset(),
) -> Judged:
    """Judge what is stored, by the rules of all kinds, of those that `files` change, or of `only` these. `told` hears now and then which share of the span is done, after how many readings, and says whether to go on.
    Where the history can't be read to the end, what was judged until then is the answer. Raises ConfigError, DatabaseAway, StoreError."""
    database = Database(configuration.database)
    try:
        known = past.devices(database)
        past.look_for(sites, known)
        known = {teller: one for teller, one in known.items() if not sites or one.site in sites}
        changed = _changed(configuration, files)
        kinds = frozenset(changed) or only or frozenset(configuration.rules) - {own.LINK}
        was = past.alarms(database, sites, kinds, span)
        then = _then(database, configuration, known, span)
    finally:
        database.close()
    runs = _runs(configuration, kinds, changed)
    judged = _listening(known, runs.values())
    passed_over = known.keys() - judged.keys()
    replays = {name: Replay(Facts(configuration.kinds, rules, devices=dict(judged))) for name, rules in runs.items()}
    episodes: dict[str, list[Episode]] = {name: [] for name in replays}
    whole, count = Span(span.from_ms - lead_ms(runs.values(), span), span.until_ms), 0
    first_ms, reached_ms, broken = None, whole.from_ms, None
    try:
        for reached_ms, some in past.portions(configuration.store, judged, whole):
            count += len(some)
            first_ms = some[0][2].at_ms if first_ms is None and some else first_ms
            heard = some
            if passed_over:
                heard = [one for one in some if (one[0], one[1], one[2].device) not in passed_over]
            for name, one in replays.items():
                episodes[name] += one.judge(heard)
            if not told((reached_ms - whole.from_ms) / (whole.until_ms - whole.from_ms), count):
                break
    except StoreError as error:
        if not count:
            raise
        broken = str(error)
    if reached_ms < span.until_ms:
        span = Span(span.from_ms, max(reached_ms, span.from_ms + 1))
    courses = [Course.within(WAS, was, span.from_ms, span.until_ms)]
    for name, one in replays.items():
        episodes[name] += one.finish(span.until_ms)
        courses.append(Course.within(name, episodes[name], span.from_ms, span.until_ms))
    first = replays[NOW]
    differ = tuple(changes(runs[NOW], runs[CHANGED])) if CHANGED in runs else ()
    return Judged(courses, span, first.readings, first.unknown, then, differ, first_ms, broken)


def lead_ms(runs: Iterable[Rules], span: Span) -> int:
    """How long before the span to begin, so that what the rules look back on is there when it does: at most as long as the span itself."""
    lengths = [0]
    for rules in runs:
        for rule in (rule for some in rules.values() for rule in some):
            lengths += (rule.raise_delay_ms, rule.clear_delay_ms, *(limit_ms for _, limit_ms in rule.silences))
            lengths += (keep.length_ms for keep in rule.keeps if isinstance(keep, WindowKeep))
            lengths += (round(rule.known[channel].interval_s * HOLDS * 1000) for channel in rule.channels)
    return min(max(lengths), span.until_ms - span.from_ms)


def _then(database: Database, configuration: Configuration, known: Mapping[TellerKey, Device], span: Span) -> Then:
    return Then(
        devices={(one.site, one.id) for one in known.values()},
        rules={(rule.kind, rule.id): rule for some in configuration.rules.values() for rule in some},
        away=past.absences(database, span),
        began_ms=chronicle.began_ms(database) or 0,
    )


def _listening(known: Mapping[TellerKey, Device], runs: Iterable[Rules]) -> dict[TellerKey, Device]:
    """The devices that any rule is about: what others say changes nothing."""
    kinds = {kind for rules in runs for kind, some in rules.items() if some}
    return {teller: one for teller, one in known.items() if one.kind in kinds}


def _runs(
    configuration: Configuration, kinds: frozenset[str], changed: Mapping[str, tuple[Rule, ...]]
) -> dict[str, Rules]:
    """The rules of each course that is to be judged."""
    runs: dict[str, Rules] = {NOW: _only(configuration.rules, kinds)}
    if changed:
        beside_others = with_answers({**_plain(configuration.rules), **changed}, configuration.kinds)
        runs[CHANGED] = _only(beside_others, kinds)
    return runs


def _changed(configuration: Configuration, files: Sequence[Path]) -> Rules:
    """The rules of each kind whose rules the files would change, all of them together."""
    kinds, calendar, rules = configuration.kinds, configuration.calendar, dict(_plain(configuration.rules))
    for file in files:
        if not file.exists():
            raise ConfigError("--rule: {file}: no such file", file=file)
    words = vocabulary(kinds, [*configuration.files.own(), *files]) if files else {}
    found = set[str]()
    for file in files:
        if file.parent.name == COMMON:
            for name, more in load_common(file, kinds, calendar=calendar).items():
                others = tuple(rule for rule in rules.get(name, ()) if rule.about != file.stem)
                rules[name] = beside(others, more)
                found.add(name)
        else:
            common = tuple(rule for rule in rules.get(file.stem, ()) if rule.about)
            rules[file.stem] = beside(load_file(file, kinds, words, calendar=calendar), common)
            found.add(file.stem)
    return {name: rules[name] for name in found}


def _plain(rules: Rules) -> Rules:
    """Without those that answer questions: they are made anew."""
    return {kind: tuple(rule for rule in some if rule.answers is None) for kind, some in rules.items()}


def _only(rules: Rules, kinds: frozenset[str]) -> Rules:
    """The rules of these kinds, and what answers their questions."""
    asked = {question.key for kind in kinds for rule in rules.get(kind, ()) for question in rule.questions}
    return {
        kind: tuple(rule for rule in some if (kind in kinds and rule.answers is None) or rule.answers in asked)
        for kind, some in rules.items()
    }
