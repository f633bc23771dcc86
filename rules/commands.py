"""`gridcall rules`: check rules, tell a device to do something. What runs is in rules.shell.commands."""

import asyncio
import os
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from messages import topics
from messages.bus import Bus
from messages.command import Command, Outcome
from messages.ids import EdgeId, SiteId, is_identifier
from messages.kind import Kinds, load_kinds
from messages.language import NOTHING, Language, Phrase, phrase, why
from messages.reading import Value
from messages.settings import ConfigError, duration_s, duration_words
from messages.terminal import In, language_of
from rules import gone, telling
from rules.backtest.commands import backtest, shadow
from rules.cases.practice import Practice
from rules.checking.report import Report, examine, with_line
from rules.config import Configuration, load
from rules.duty import book
from rules.duty import commands as roster
from rules.duty.roll import Roll
from rules.duty.roster import Changes
from rules.language.calendar import CHINA
from rules.language.library import SHIPPED, rule_files
from rules.language.rule import Rule
from rules.outside import commands as webhooks
from rules.quality.commands import audit, quality
from rules.rule_files import replaced
from rules.shell.commands import run
from rules.store import refusals
from rules.store.database import Database, DatabaseAway, is_there
from rules.telling import Told

WIDTH = 80

OUTCOMES = {
    Outcome.ACCEPTED: phrase("accepted"),
    Outcome.DONE: phrase("done"),
    Outcome.FAILED: phrase("failed"),
    Outcome.REFUSED: phrase("refused"),
}
NO_ANSWER = phrase(
    "no answer: the edge is away, or the device takes its time; it may still be done until the command expires"
)

app = typer.Typer(
    help="The rules engine: turns readings into alarms, and alarms into cases for people.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(backtest)
app.command()(shadow)
app.command()(quality)
app.command()(audit)
app.add_typer(roster.app, name="roster")
app.add_typer(webhooks.app, name="webhooks")


@app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATHS]...", help="Rule files, or folders of them, of your own.")
    ] = None,
    kinds: Annotated[list[Path] | None, typer.Option(help="A folder with further kinds; may be repeated.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="The engine's TOML file: its kinds, rules, calendar and retention.")
    ] = None,
    retention: Annotated[str | None, typer.Option(help="How long readings are kept, e.g. 365d.")] = None,
    wanted: In = "",
) -> None:
    """Read the shipped rules and yours and look for faults. Lists your PATHS by kind, each rule with when it raises and
    when it clears; without PATHS all that would be in force.

    Every mistake is named with its file, line, column and field, and what would mend it. A fault is a rule that can be read and
    can't be meant so: one that never raises or never clears, a clear that contradicts its raise, a window longer than
    readings are kept, two rules that ring for one thing.

    With `--config`, also spans of the next two weeks in which nobody would be called.

    Exit code 2: something can't be read, and an engine refuses it. 1: a fault that is an error. 0: none, or warnings only.
    """
    asked, spoken = list[Path](), language_of(wanted, os.environ)
    for path in paths or ():
        if not path.exists():
            raise ConfigError("{path}: no such file or folder", path=path)
        asked += rule_files(path) if path.is_dir() else (path,)
    own = asked
    known: Kinds = load_kinds(*(kinds or ()))
    calendar, kept_s, engine = CHINA, None, None
    if config is not None:
        engine = _loaded(config)
        known, calendar, kept_s = {**known, **engine.kinds}, engine.calendar, engine.retention_s
        own = [*engine.files.own(), *own]
    if retention is not None:
        try:
            kept_s = duration_s(retention)
        except ValueError as error:
            raise ConfigError("--retention: {why}", why=why(error)) from error
    year = calendar.local(_clock_ms()).year
    report = examine(own, known, calendar=calendar, retention_s=kept_s, year=year)
    for line in _listed(report, set(asked) if asked else None, spoken):
        print(line)
    for note in replaced(own) if not report.mistakes else ():
        print(phrase("note: {what}", what=note).said(spoken))
    for remark in report.remarks:
        words = Phrase(with_line(remark.mistake, spoken))
        grades = {"error": phrase("error: {what}", what=words), "warning": phrase("warning: {what}", what=words)}
        print(grades[remark.grade].said(spoken))
    for hole in _holes(engine, spoken) if engine is not None else ():
        print(phrase("warning: {what}", what=hole).said(spoken))
    if report.mistakes:
        raise ConfigError(Phrase("\n".join(with_line(mistake, spoken) for mistake in report.mistakes)))
    if any(remark.grade == "error" for remark in report.remarks):
        raise typer.Exit(1)


def _holes(engine: Configuration, spoken: Language) -> Iterator[Phrase]:
    yield from roster.holes(engine.site_files, _leave(engine, spoken))
    if not engine.pages and any(site.households for site in engine.site_files.sites.values()):
        yield phrase("without `pages` who is asked how all is has no link to answer by: the worker goes all the same")


def _loaded(config: Path) -> Configuration:
    """An engine's file, whose rules may be what is to be checked. Raises ConfigError."""
    engine = load(config, rules_may_fail=True)
    if engine.site_files.complaint:
        raise ConfigError(engine.site_files.complaint)
    return engine


@app.command()
def tell(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's TOML file.")],
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="The device, e.g. valve-1 or junmen/valve-1.")],
    command: Annotated[str, typer.Argument(metavar="COMMAND", help="One of its kind's commands, e.g. close.")],
    value: Annotated[str | None, typer.Argument(metavar="[VALUE]", help="true, false or a number.")] = None,
    actor: Annotated[str, typer.Option(help="Who gives it: stands in the log.")] = "",
    expires: Annotated[str, typer.Option(help="After this the device does it no more.")] = "30s",
    wanted: In = "",
) -> None:
    """Tell a device to do something, and say what became of it.

    Exit code 0 when the device has confirmed it, else 1. One at a time: another `tell` of the same engine interrupts it.
    """
    spoken, configuration = language_of(wanted, os.environ), load(config)
    if not actor:
        raise ConfigError("--actor: who gives this command?")
    try:
        expires_s = duration_s(expires)
    except ValueError as error:
        raise ConfigError("--expires: {why}", why=why(error)) from error
    try:
        database = Database(configuration.database)
    except DatabaseAway as error:
        raise ConfigError(why(error)) from error
    try:
        told = telling.addressed(database, device)
        given = telling.command(told, configuration.kinds, command, _value(value), actor, _clock_ms(), expires_s)
        outcome = asyncio.run(_tell(configuration, database, told, given, spoken))
    except DatabaseAway as error:
        raise ConfigError(why(error)) from error
    finally:
        database.close()
    if outcome is not Outcome.DONE:
        raise typer.Exit(1)


async def _tell(
    configuration: Configuration, database: Database, told: Told, given: Command, spoken: Language
) -> Outcome | None:
    last = None
    hears = [topics.result(told.site, told.edge, told.device)]
    async with Bus(configuration.broker, f"{configuration.client_id}-tell", subscribe=hears) as bus:
        async for result in telling.tell(bus, database, told, given, _clock_ms):
            said = OUTCOMES[result.outcome].said(spoken)
            print(f"{said}{f': {result.detail}' if result.detail else ''}", flush=True)
            last = result.outcome
    if last is None or not last.final:
        print(NO_ANSWER.said(spoken))
    return last


@app.command()
def forget(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's TOML file.")],
    edge: Annotated[str, typer.Argument(metavar="SITE/EDGE", help="The edge, e.g. junmen/pi-1.")],
    actor: Annotated[str, typer.Option(help="Who says so: stands in the log.")],
    reason: Annotated[str, typer.Option(help="Why: stands in the log.")],
    wanted: In = "",
) -> None:
    """Say that an edge will never come back: its devices vanish, and what stands for it is ended.

    Its alarms are over, and its cases are struck out where they hold nothing else. A running engine follows within seconds. An edge that
    speaks again is there again.
    """
    spoken, engine = language_of(wanted, os.environ), _loaded(config)
    site, _, name = edge.partition("/")
    if not is_identifier(site) or not is_identifier(name):
        raise ConfigError("SITE/EDGE: an edge of a site is wanted, such as junmen/pi-1, not {edge!r}", edge=edge)
    if not actor.strip() or not reason.strip():
        raise ConfigError("--actor, --reason: who says so, and why?")
    practice = Practice(engine.policies, Roll(engine.site_files, desk=engine.desk).ladder, engine.calendar)
    try:
        database = Database(engine.database)
        with database.writing() as connection:
            ended = gone.forget(connection, SiteId(site), EdgeId(name), actor, reason, _clock_ms(), practice)
        database.close()
    except gone.NotGone as error:
        raise ConfigError(error.phrase) from error
    except DatabaseAway as error:
        raise ConfigError(why(error)) from error
    counts = {"devices": ended.devices, "alarms": ended.alarms, "cases": ended.cases}
    with_them = phrase(
        "{edge}: forgotten, with {devices} devices, {alarms} alarms and {cases} cases", edge=edge, **counts
    )
    print(with_them.said(spoken))
    for case in ended.left:
        goes_on = phrase("  case {case} goes on: it holds something else, or was {actor}'s own", case=case, actor=actor)
        print(goes_on.said(spoken))


@app.command("refusals")
def show_refusals(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's TOML file.")],
    seen: Annotated[bool, typer.Option("--seen", help="They have been looked at: the alarm of the site ends.")] = False,
    actor: Annotated[str, typer.Option(help="Who has looked: stands in the log.")] = "",
    wanted: In = "",
) -> None:
    """List what the database refused to take: findings, steps and calls that could not be written."""
    spoken = language_of(wanted, os.environ)
    if seen and not actor.strip():
        raise ConfigError("--actor: who has looked at them?")
    try:
        database = Database(load(config, rules_may_fail=True).database)
        with database.reading() as connection:
            found = refusals.waiting(connection)
        if not found:
            print(phrase("nothing was refused").said(spoken))
        for one in found:
            at = CHINA.local(one.at_ms).strftime("%Y-%m-%d %H:%M:%S")
            print(f"{at}  {one.site or '-'}  {one.what}  {one.name}\n  {one.why}")
        if seen:
            with database.writing() as connection:
                print(phrase("{n} seen", n=refusals.see(connection, actor, _clock_ms())).said(spoken))
        database.close()
    except DatabaseAway as error:
        raise ConfigError(why(error)) from error


def _leave(engine: Configuration, spoken: Language) -> dict[SiteId, Changes]:
    """What the database knows of leave and stand-ins; nothing where there is none yet."""
    if not engine.site_files.sites or not is_there(engine.database):
        return {}
    try:
        database = Database(engine.database)
        with database.reading() as connection:
            found = book.changes(connection, _clock_ms())
        database.close()
    except DatabaseAway as error:
        print(
            phrase("note: {what}", what=phrase("leave and stand-ins are not known: {why}", why=why(error))).said(spoken)
        )
        return {}
    return found


def _value(text: str | None) -> Value | None:
    """Raises ConfigError."""
    if text is None or text in ("true", "false"):
        return None if text is None else text == "true"
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError("VALUE: true, false or a number is wanted, not {text!r}", text=text) from error


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _listed(report: Report, asked: set[Path] | None, spoken: Language) -> Iterator[str]:
    """`asked`: the files to list; None: all. Not those of which no rule can be read."""
    shipped = phrase("shipped")
    for file, rules in report.rules.items():
        if not rules or (asked is not None and file not in asked):
            continue
        yield phrase("{kind}, {file}", kind=file.stem, file=shipped if file.parent == SHIPPED else file).said(spoken)
        for rule in rules:
            yield from _lines(rule, spoken)
    for file, of_kinds in report.common.items():
        if not any(of_kinds.values()) or (asked is not None and file not in asked):
            continue
        whose = shipped if file.parent.parent == SHIPPED else file
        yield phrase("every kind with `{channel}`, {file}", channel=file.stem, file=whose).said(spoken)
        for rule in next(iter(of_kinds.values()), ()):
            yield from _lines(rule, spoken)


def _lines(rule: Rule, spoken: Language) -> Iterator[str]:
    raises = phrase(
        "  {rule}, {level}{latched}: {sentence}{lasting}",
        rule=rule.id,
        level=Phrase(rule.level),
        latched=phrase(", latched") if rule.latch else NOTHING,
        sentence=_one_line(rule.raise_when.source),
        lasting=_lasting(rule.raise_delay_ms),
    )
    clears = phrase(
        "    clears: {sentence}{lasting}",
        sentence=_one_line(rule.clear_when.source),
        lasting=_lasting(rule.clear_delay_ms),
    )
    yield from _wrapped(raises.said(spoken))
    yield from _wrapped(clears.said(spoken))


def _one_line(sentence: str) -> Phrase:
    """The whole of it, however long: it was read, so nothing in it surprises a terminal but the ends of its lines."""
    return Phrase(" ".join(sentence.split()))


def _lasting(delay_ms: int) -> Phrase:
    return phrase(", for {duration}", duration=duration_words(delay_ms / 1000)) if delay_ms else NOTHING


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False)
