"""`gridcall rules backtest`: what rules would have raised over the stored history, beside what was raised."""

import gc
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import orjson
import typer

from collector.stores.base import StoreError
from messages.ids import SiteId
from messages.language import phrase, why
from messages.settings import ConfigError, duration_s
from messages.terminal import In, language_of
from rules.backtest import chart, past, report
from rules.backtest.courses import courses_of
from rules.backtest.page import Reader, head, page
from rules.backtest.past import Span
from rules.backtest.progress import Progress
from rules.backtest.report import Course
from rules.config import load
from rules.store.database import Database, DatabaseAway

GARBAGE = (100_000, 50, 100)
"""As in the engine: states are no garbage, and to walk through them takes long."""


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
    wanted: In = "",
) -> None:
    """Run the rules over the stored history, by the engine's own judgement; nobody is called and nothing is written.

    Beside it stands what was raised at the time. Every reading is taken as if it had come at once. Rules about the links of edges raise
    nothing here: whether an edge was there is not in the history. Ctrl-C ends it early and shows what was judged until then.
    """
    spoken = language_of(wanted, os.environ)
    configuration = load(config)
    now_ms = time.time_ns() // 1_000_000
    span = Span(now_ms - _ago_ms("--since", since), now_ms - _ago_ms("--until", until))
    if span.until_ms <= span.from_ms:
        raise ConfigError("--until: ends before --since begins")
    if svg is not None and not svg.absolute().parent.is_dir():
        raise ConfigError("--chart: {file}: no such folder", file=svg)
    gc.set_threshold(*GARBAGE)
    progress = Progress(spoken, time.monotonic)
    try:
        with progress.shown():
            judged = courses_of(configuration, span, rule or [], frozenset(map(SiteId, site or ())), progress.told)
    except (DatabaseAway, StoreError) as error:
        raise ConfigError(why(error)) from error
    finally:
        configuration.store.close()
    courses, asked, span, reader = judged.courses, span, judged.span, Reader(spoken, configuration.calendar)
    if as_json:
        content = report.as_json(courses, configuration.calendar, span.from_ms, span.until_ms, then=judged.then)
        counts = {
            "readings": judged.readings,
            "not_judged": judged.unknown,
            "stopped": progress.stopped,
            "broken": judged.broken,
        }
        sys.stdout.buffer.write(orjson.dumps({**content, **counts}) + b"\n")
    else:
        print(
            "\n".join(
                (
                    *head(judged, reader, kept_s=configuration.retention_s, asked=asked, stopped=progress.stopped),
                    "",
                    *page(courses, span, reader, judged),
                )
            )
        )
    if svg is not None:
        days = report.days(configuration.calendar, span.from_ms, span.until_ms)
        named = [replace(one, name=reader.course(one.name)) for one in courses]
        title = reader.say(phrase("Alarms by day"))
        star = reader.say(phrase("* a day off"))
        svg.write_text(chart.svg(named, configuration.calendar, days, title, star), encoding="utf-8")
    if judged.broken is not None:
        raise typer.Exit(1)


def shadow(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's TOML file.")],
    since: Annotated[str, typer.Option(help="How far back to begin, e.g. 30d.")] = "30d",
    site: Annotated[list[str] | None, typer.Option(help="Only this site; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
    wanted: In = "",
) -> None:
    """What rules that say `shadow = true` would have raised while they ran beside the others, calling nobody."""
    spoken = language_of(wanted, os.environ)
    configuration = load(config)
    configuration.store.close()
    now_ms = time.time_ns() // 1_000_000
    span = Span(now_ms - _ago_ms("--since", since), now_ms)
    try:
        database = Database(configuration.database)
        sites = frozenset(map(SiteId, site or ()))
        past.look_for(sites, past.devices(database))
        found = Course("shadow", past.shadows(database, sites, span))
        database.close()
    except DatabaseAway as error:
        raise ConfigError(why(error)) from error
    if as_json:
        content = report.as_json([found], configuration.calendar, span.from_ms, span.until_ms)
        sys.stdout.buffer.write(orjson.dumps(content) + b"\n")
    elif not found.episodes:
        print(phrase("no rule in shadow has raised anything").said(spoken))
    else:
        print("\n".join(page([found], span, Reader(spoken, configuration.calendar))))


def _ago_ms(option: str, text: str) -> int:
    try:
        return round(duration_s(text) * 1000)
    except ValueError as error:
        raise ConfigError("{option}: {why}", option=option, why=why(error)) from error
