"""`gridcall rules quality` and `gridcall rules audit`."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer

from messages.ids import SiteId
from messages.language import phrase, why
from messages.settings import ConfigError, duration_s
from messages.terminal import In, language_of
from rules.config import Configuration, load
from rules.quality import gathering, report
from rules.store.database import Database, DatabaseAway

MOST_TOLD = 50

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's TOML file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")]


def quality(
    config: Config,
    since: Annotated[str, typer.Option(help="How far back to begin, e.g. 30d.")] = "30d",
    site: Annotated[list[str] | None, typer.Option(help="Only this site; may be repeated.")] = None,
    as_json: AsJson = False,
    wanted: In = "",
) -> None:
    """How good the alarms are, by ISA-18.2: rates, floods, what repeats, stands or was false, and how long people took.

    Read from the rules' database alone; nothing is written.
    """
    now_ms, spoken = time.time_ns() // 1_000_000, language_of(wanted, os.environ)
    try:
        from_ms = now_ms - round(duration_s(since) * 1000)
    except ValueError as error:
        raise ConfigError("--since: {why}", why=why(error)) from error
    with _opened(config) as (configuration, database):
        only = [SiteId(one) for one in site or ()]
        found = gathering.qualities(database, from_ms, now_ms, operators=configuration.operators, only=only)
    for missing in set(only) - {one.site for one in found}:
        raise ConfigError("--site: nothing is known of `{site}`", site=missing)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps({"sites": [report.as_json(one) for one in found]}) + b"\n")
    else:
        local = configuration.calendar.local
        lines = [
            line for one in found for line in report.page(one, from_ms, f"{local(one.from_ms):%Y-%m-%d %H:%M}")
        ] or [phrase("no site is known yet")]
        print("\n".join(line.said(spoken) for line in lines))


def audit(config: Config, as_json: AsJson = False, wanted: In = "") -> None:
    """Rebuild every alarm from the log alone, and compare with the tables. Exit code 1 when they differ."""
    spoken = language_of(wanted, os.environ)
    with _opened(config) as (_, database):
        lines, alarms, found = gathering.audited(database)
    if as_json:
        content = {"lines": lines, "alarms": alarms, "differences": list(map(str, found))}
        sys.stdout.buffer.write(orjson.dumps(content) + b"\n")
    else:
        for words in found[:MOST_TOLD]:
            print(words.said(spoken))
        if len(found) > MOST_TOLD:
            print(phrase("and {count} more", count=len(found) - MOST_TOLD).said(spoken))
        agreed = phrase("{n} differences", n=len(found)) if found else phrase("log and tables agree")
        print(
            phrase("{lines} lines, {alarms} alarms: {agreed}", lines=lines, alarms=alarms, agreed=agreed).said(spoken)
        )
    if found:
        raise typer.Exit(1)


@contextmanager
def _opened(config: Path) -> Iterator[tuple[Configuration, Database]]:
    """Raises ConfigError if the database is away."""
    configuration = load(config, rules_may_fail=True)
    try:
        database = Database(configuration.database)
        try:
            yield configuration, database
        finally:
            database.close()
    except DatabaseAway as error:
        raise ConfigError(why(error)) from error
    finally:
        configuration.store.close()
