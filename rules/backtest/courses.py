"""The past judged anew: by the rules in use, and by changed ones beside them, in one pass over what is stored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from messages.ids import SiteId
from messages.settings import ConfigError
from messages.suggestion import suggest
from rules.backtest import past
from rules.backtest.past import Span
from rules.backtest.replay import Episode, Replay
from rules.backtest.report import Course
from rules.config import Configuration
from rules.engine import own
from rules.engine.memory.facts import Facts
from rules.language.answering import with_answers
from rules.language.library import COMMON, beside, load_common, load_file, vocabulary
from rules.language.rule import Rule, Rules
from rules.store.database import Database

WAS, NOW, CHANGED = "was", "rules now", "changed"


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


def courses_of(
    configuration: Configuration,
    span: Span,
    files: Sequence[Path],
    sites: frozenset[SiteId],
    told: Callable[[float, int], bool] = lambda share, count: True,
) -> Judged:
    """Judge what is stored. `told` hears now and then which share of the span is done, after how many readings, and says whether to go on."""
    database = Database(configuration.database)
    try:
        known = past.devices(database)
        here = {one.site for one in known.values()}
        for missing in sites - here:
            raise ConfigError(f"--site: no device of `{missing}` is known{suggest(missing, here)}")
        known = {teller: one for teller, one in known.items() if not sites or one.site in sites}
        changed = dict[str, tuple[Rule, ...]]()
        for file in files:
            changed |= _changed(configuration, file)
        kinds = frozenset(changed) or frozenset(configuration.rules) - {own.LINK}
        was = past.alarms(database, sites, kinds, span)
    finally:
        database.close()
    runs = _runs(configuration, kinds, changed)
    replays = {name: Replay(Facts(configuration.kinds, rules, devices=dict(known))) for name, rules in runs.items()}
    episodes: dict[str, list[Episode]] = {name: [] for name in replays}
    count = 0
    for until_ms, some in past.portions(configuration.store, known, span):
        for name, one in replays.items():
            episodes[name] += one.judge(some)
        count += len(some)
        if not told((until_ms - span.from_ms) / (span.until_ms - span.from_ms), count):
            span = Span(span.from_ms, until_ms)
            break
    courses = [Course(WAS, [one for one in was if one.raised_at_ms < span.until_ms])]
    for name, one in replays.items():
        episodes[name] += one.finish(span.until_ms)
        courses.append(Course(name, sorted(episodes[name], key=lambda found: found.raised_at_ms)))
    first = replays[NOW]
    return Judged(courses, span, first.readings, first.unknown)


def _runs(
    configuration: Configuration, kinds: frozenset[str], changed: Mapping[str, tuple[Rule, ...]]
) -> dict[str, Rules]:
    """The rules of each course that is to be judged."""
    runs: dict[str, Rules] = {NOW: _only(configuration.rules, kinds)}
    if changed:
        beside_others = with_answers({**_plain(configuration.rules), **changed}, configuration.kinds)
        runs[CHANGED] = _only(beside_others, kinds)
    return runs


def _changed(configuration: Configuration, file: Path) -> Rules:
    """The rules of each kind whose rules the file would change."""
    if not file.exists():
        raise ConfigError(f"--rule: {file}: no such file")
    kinds, rules = configuration.kinds, _plain(configuration.rules)
    if file.parent.name == COMMON:
        return {
            name: beside(tuple(rule for rule in rules.get(name, ()) if rule.about != file.stem), more)
            for name, more in load_common(file, kinds).items()
        }
    common = (rule for rule in rules.get(file.stem, ()) if rule.about)
    return {file.stem: beside(load_file(file, kinds, vocabulary(kinds, [file])), common)}


def _plain(rules: Rules) -> Rules:
    """Without those that answer questions: they are made anew."""
    return {kind: tuple(rule for rule in some if rule.answers is None) for kind, some in rules.items()}


def _only(rules: Rules, kinds: frozenset[str]) -> Rules:
    """The rules of these kinds, and what answers their questions."""
    return {
        kind: tuple(rule for rule in some if kind in kinds or rule.answers is not None) for kind, some in rules.items()
    }
