"""`gridcall rules backtest`: what rules would have raised over the stored history, beside what was raised."""

import gc
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import orjson
import typer

from collector.stores.base import StoreError
from messages.ids import SiteId
from messages.settings import ConfigError, duration_s
from messages.terminal import language_of
from rules.backtest import chart, past, report
from rules.backtest.courses import courses_of
from rules.backtest.page import head, page
from rules.backtest.past import Span
from rules.backtest.progress import Progress
from rules.backtest.report import Course
from rules.backtest.words import WORDS, Words
from rules.config import load
from rules.store.database import Database, DatabaseAway

GARBAGE = (100_000, 50, 100)
"""As in the engine: states are no garbage, and to walk through them takes long."""

Spoken = Annotated[str, typer.Option("--language", help="zh or en; without it as the terminal's locale says.")]


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
    language: Spoken = "",
) -> None:
    """Run the rules over the stored history, by the engine's own judgement; nobody is called and nothing is written.

    Beside it stands what was raised at the time. Every reading is taken as if it had come at once. Rules about the links of edges raise
    nothing here: whether an edge was there is not in the history. Ctrl-C ends it early and shows what was judged until then.
    """
    words = _words(language)
    configuration = load(config)
    now_ms = time.time_ns() // 1_000_000
    span = Span(now_ms - _ago_ms("--since", since), now_ms - _ago_ms("--until", until))
    if span.until_ms <= span.from_ms:
        raise ConfigError("--until: ends before --since begins")
    gc.set_threshold(*GARBAGE)
    progress = Progress(words, time.monotonic)
    try:
        with progress.shown():
            judged = courses_of(configuration, span, rule or [], frozenset(map(SiteId, site or ())), progress.told)
    except (DatabaseAway, StoreError) as error:
        raise ConfigError(str(error)) from error
    finally:
        configuration.store.close()
    courses, span = judged.courses, judged.span
    if as_json:
        content = report.as_json(courses, configuration.calendar, span.from_ms, span.until_ms)
        counts = {"readings": judged.readings, "not_judged": judged.unknown, "stopped": progress.stopped}
        sys.stdout.buffer.write(orjson.dumps({**content, **counts}) + b"\n")
    else:
        print(
            "\n".join(
                (
                    *head(judged, words, stopped=progress.stopped),
                    "",
                    *page(courses, span, configuration.calendar, words),
                )
            )
        )
    if svg is not None:
        days = report.days(configuration.calendar, span.from_ms, span.until_ms)
        named = [Course(words.course(one.name), one.episodes) for one in courses]
        svg.write_text(chart.svg(named, configuration.calendar, days, words.say("chart")), encoding="utf-8")


def shadow(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's TOML file.")],
    since: Annotated[str, typer.Option(help="How far back to begin, e.g. 30d.")] = "30d",
    site: Annotated[list[str] | None, typer.Option(help="Only this site; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
    language: Spoken = "",
) -> None:
    """What rules that say `shadow = true` would have raised while they ran beside the others, calling nobody."""
    words = _words(language)
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
        print("\n".join(page([found], span, configuration.calendar, words)))


def _words(language: str) -> Words:
    return WORDS[language_of(language, os.environ)]


def _ago_ms(option: str, text: str) -> int:
    try:
        return round(duration_s(text) * 1000)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from error
