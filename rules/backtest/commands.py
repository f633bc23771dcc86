"""`gridcall rules backtest`: what rules would have raised over the stored history, beside what was raised."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import orjson
import typer

from collector.stores.base import StoreError
from messages.ids import SiteId
from messages.settings import ConfigError, duration_s, duration_words, suggest
from rules.backtest import chart, past, report
from rules.backtest.past import Span
from rules.backtest.replay import Episode, Past, Replay
from rules.backtest.report import Course, difference
from rules.config import Configuration, load
from rules.engine import own
from rules.engine.memory import Facts
from rules.language.answering import with_answers
from rules.language.calendar import Calendar
from rules.language.library import COMMON, beside, load_common, load_file, vocabulary
from rules.language.rule import Rule, Rules
from rules.store.database import Database, DatabaseAway

MOST_LISTED = 20
SAY_EVERY_S = 2.0

WAS, NOW, CHANGED = "was", "rules now", "changed"


def backtest(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's TOML file.")],
    since: Annotated[str, typer.Option(help="How far back to begin, e.g. 30d.")] = "30d",
    until: Annotated[str, typer.Option(help="How far back to end.")] = "0s",
    rule: Annotated[
        list[Path] | None,
        typer.Option(help="A changed rule file, named by its kind; beside the ones in use. May be repeated."),
    ] = None,
    site: Annotated[list[str] | None, typer.Option(help="Only this site; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
    svg: Annotated[Path | None, typer.Option("--chart", help="Write alarms by day as an SVG picture.")] = None,
) -> None:
    """Run the rules over the stored history, by the engine's own judgement; nobody is called and nothing is written.

    Beside it stands what was raised at the time. Every reading is taken as if it had come at once. Rules about the links of edges raise
    nothing here: whether an edge was there is not in the history.
    """
    configuration = load(config)
    now_ms = time.time_ns() // 1_000_000
    span = Span(now_ms - _ago_ms("--since", since), now_ms - _ago_ms("--until", until))
    if span.until_ms <= span.from_ms:
        raise ConfigError("--until: ends before --since begins")
    try:
        courses, judged, unknown = courses_of(configuration, span, rule or [], frozenset(map(SiteId, site or ())))
    except (DatabaseAway, StoreError) as error:
        raise ConfigError(str(error)) from error
    finally:
        configuration.store.close()
    if as_json:
        content = report.as_json(courses, configuration.calendar, span.from_ms, span.until_ms)
        sys.stdout.buffer.write(orjson.dumps({**content, "readings": judged, "not_judged": unknown}) + b"\n")
    else:
        said = f"{duration_words(round(span.days * 86_400))}, {judged} readings judged" + (
            f"; {unknown} not: of devices that nobody announces now, or not true for their kind" if unknown else ""
        )
        print("\n".join((said, "", *_page(courses, span, configuration.calendar))))
    if svg is not None:
        days = report.days(configuration.calendar, span.from_ms, span.until_ms)
        svg.write_text(chart.svg(courses, configuration.calendar, days, "Alarms by day"), encoding="utf-8")


def shadow(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's TOML file.")],
    since: Annotated[str, typer.Option(help="How far back to begin, e.g. 30d.")] = "30d",
    site: Annotated[list[str] | None, typer.Option(help="Only this site; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """What rules that say `shadow = true` would have raised while they ran beside the others, calling nobody."""
    configuration = load(config)
    configuration.store.close()
    now_ms = time.time_ns() // 1_000_000
    span = Span(now_ms - _ago_ms("--since", since), now_ms)
    try:
        database = Database(configuration.database)
        found = Course("shadow", past.shadows(database, frozenset(map(SiteId, site or ())), span))
        database.close()
    except DatabaseAway as error:
        raise ConfigError(str(error)) from error
    if as_json:
        content = report.as_json([found], configuration.calendar, span.from_ms, span.until_ms)
        sys.stdout.buffer.write(orjson.dumps(content) + b"\n")
    else:
        print("\n".join(_page([found], span, configuration.calendar)))


def courses_of(
    configuration: Configuration,
    span: Span,
    files: Sequence[Path],
    sites: frozenset[SiteId],
    told: Callable[[Iterator[Past], Span, str], Iterator[Past]] | None = None,
) -> tuple[list[Course], int, int]:
    """Those that were, those of the rules in use, and those of the changed files; how many readings were judged, and were not.
    `told`: passes the readings on and says how far they have come."""
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
        courses = [Course(WAS, past.alarms(database, sites, kinds, span))]
    finally:
        database.close()
    runs: dict[str, Rules] = {NOW: _only(configuration.rules, kinds)}
    if changed:
        runs[CHANGED] = with_answers({**_plain(configuration.rules), **changed}, configuration.kinds)
        runs[CHANGED] = _only(runs[CHANGED], kinds)
    replays = {name: Replay(Facts(configuration.kinds, rules, devices=dict(known))) for name, rules in runs.items()}
    for name, one in replays.items():
        readings = (told or _told)(past.readings(configuration.store, known, span), span, name)
        courses.append(Course(name, sorted(one.run(readings, span.until_ms), key=lambda found: found.raised_at_ms)))
    first = next(iter(replays.values()))
    return courses, first.readings, first.unknown


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


def _told(readings: Iterator[Past], span: Span, name: str) -> Iterator[Past]:
    """The readings; on a terminal it is said how far they have come."""
    said_s = time.monotonic()
    for count, one in enumerate(readings):
        if count % 10_000 == 0 and sys.stderr.isatty() and time.monotonic() - said_s > SAY_EVERY_S:
            said_s = time.monotonic()
            share = (one[2].at_ms - span.from_ms) / max(span.until_ms - span.from_ms, 1)
            print(f"\r{name}: {share:4.0%}, {count} readings", end="", file=sys.stderr, flush=True)
        yield one
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _page(courses: Sequence[Course], span: Span, calendar: Calendar) -> Iterator[str]:
    width = max((len(f"{kind}.{rule}") for course in courses for kind, rule in course.by_rule), default=4)
    yield f"{'rule':<{width}}" + "".join(f"{course.name:>11}" for course in courses)
    for key in sorted({key for course in courses for key in course.by_rule}):
        yield f"{'.'.join(key):<{width}}" + "".join(f"{course.by_rule.get(key, 0):>11}" for course in courses)
    yield f"{'all':<{width}}" + "".join(f"{len(course.episodes):>11}" for course in courses)
    yield ""
    yield from chart.bars(courses, calendar, report.days(calendar, span.from_ms, span.until_ms))
    yield ""
    yield from _by_grid(courses, calendar)
    for before, after in pairwise(courses):
        yield from _differences(before, after, calendar)
    for course in courses:
        yield from _troubles(course, span, calendar)


def _by_grid(courses: Sequence[Course], calendar: Calendar) -> Iterator[str]:
    tables = [course.by_grid_and_day(calendar) for course in courses]
    spots = sorted({spot for table in tables for spot in table})
    if not spots:
        return
    width = max(len("/".join(spot)) for spot in spots)
    yield f"{'grid':<{width}}" + "".join(f"{course.name:>11}{'a day':>8}" for course in courses)
    for spot in spots:
        cells = []
        for table in tables:
            counts = table.get(spot, Counter())
            total = sum(counts.values())
            cells.append(f"{total:>11}{max(counts.values(), default=0):>4} max")
        yield f"{'/'.join(spot):<{width}}" + "".join(cells)
    yield ""


def _differences(before: Course, after: Course, calendar: Calendar) -> Iterator[str]:
    found = difference(before.episodes, after.episodes)
    yield f"{before.name} -> {after.name}: {found.same} the same, {len(found.gone)} gone, {len(found.new)} new"
    for mark, some in (("-", found.gone), ("+", found.new)):
        for one in some[:MOST_LISTED]:
            yield f"  {mark} {_line(one, calendar)}"
        if len(some) > MOST_LISTED:
            yield f"  {mark} and {len(some) - MOST_LISTED} more"
    yield ""


def _troubles(course: Course, span: Span, calendar: Calendar) -> Iterator[str]:
    flapping, standing = course.flapping(), course.standing(span.until_ms)
    if flapping:
        yield f"{course.name}, flapping (the most within an hour):"
        yield from (f"  {count:>4}  {'/'.join(spot)}" for spot, count in list(flapping.items())[:MOST_LISTED])
    if standing:
        yield f"{course.name}, standing for more than a day:"
        yield from (f"  {_line(one, calendar)}" for one in standing[:MOST_LISTED])


def _line(one: Episode, calendar: Calendar) -> str:
    began = calendar.local(one.raised_at_ms).strftime("%m-%d %H:%M")
    lasted = (
        "stands" if one.cleared_at_ms is None else duration_words(round((one.cleared_at_ms - one.raised_at_ms) / 1000))
    )
    return f"{began}  {one.level:<6}  {one.site}/{one.device}  {one.kind}.{one.rule}  {lasted}"


def _ago_ms(option: str, text: str) -> int:
    try:
        return round(duration_s(text) * 1000)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from error
