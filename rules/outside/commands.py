"""`gridcall rules webhooks …`: how the webhooks stand, and telling again."""

import getpass
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from messages.language import NOTHING, phrase, why
from messages.settings import ConfigError, duration_s
from messages.terminal import In, language_of
from rules.config import load
from rules.outside import deliveries
from rules.store.database import Database, DatabaseAway

app = typer.Typer(no_args_is_help=True, help="What other systems are told, by the tables webhooks.NAME of rules.toml.")

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's TOML file.")]
Name = Annotated[str, typer.Argument(help="The webhook, as rules.toml names it.")]
Actor = Annotated[str, typer.Option(help="Who does it: stands in the log.")]


@app.command("list")
def list_hooks(config: Config, wanted: In = "") -> None:
    """Each webhook: how many were taken, when the last was, how many wait, and why it fails; one a line."""
    spoken = language_of(wanted, os.environ)
    written = {hook.name for hook in load(config, rules_may_fail=True).hooks}
    with _database(config) as database, database.reading() as connection:
        known = deliveries.standings(connection)
    if not written and not known:
        print(phrase("no webhooks: {config} has no table [webhooks.NAME]", config=config).said(spoken))
    for name in sorted(written | known.keys()):
        if (one := known.get(name)) is None:
            print(f"{name}\t{phrase('not served yet').said(spoken)}")
            continue
        last = phrase(", last {at}", at=_moment(one.sent_at_ms)) if one.sent_at_ms else NOTHING
        state = phrase("served")
        if one.disabled_at_ms:
            state = phrase("disabled {at}", at=_moment(one.disabled_at_ms))
        if name not in written:
            state = phrase("not in the file any more")
        taken, waiting = phrase("{n} taken{last}", n=one.sent, last=last), phrase("{n} waiting", n=one.waiting)
        said = (part.said(spoken) for part in (state, taken, waiting))
        print("\t".join((name, *said, one.why)).rstrip())


@app.command()
def enable(config: Config, name: Name, actor: Actor = "", wanted: In = "") -> None:
    """Serve a disabled webhook again; what waits goes out at once."""
    spoken = language_of(wanted, os.environ)
    with _database(config) as database, database.writing() as connection:
        if not deliveries.enable(connection, name, actor or _actor(), _now_ms()):
            raise ConfigError("no webhook {name!r} was ever served", name=name)
    print(phrase("{name} is served", name=name).said(spoken))


@app.command()
def replay(
    config: Config,
    name: Name,
    since: Annotated[str, typer.Option(help="How far back to begin, e.g. 2h.")],
    actor: Actor = "",
    wanted: In = "",
) -> None:
    """Tell a webhook again all that happened since then; each under the name that it had, so that its receiver knows what it knows."""
    spoken = language_of(wanted, os.environ)
    try:
        since_ms = _now_ms() - round(duration_s(since) * 1000)
    except ValueError as error:
        raise ConfigError("--since: {why}", why=why(error)) from error
    with _database(config) as database, database.writing() as connection:
        lines = deliveries.replay(connection, name, since_ms, actor or _actor(), _now_ms())
    if lines is None:
        raise ConfigError("no webhook {name!r} was ever served", name=name)
    print(phrase("{name}: {lines} lines of the log are gone through again", name=name, lines=lines).said(spoken))


@contextmanager
def _database(config: Path) -> Iterator[Database]:
    try:
        database = Database(load(config, rules_may_fail=True).database)
    except DatabaseAway as error:
        raise ConfigError(why(error)) from error
    try:
        yield database
    except DatabaseAway as error:
        raise ConfigError(why(error)) from error
    finally:
        database.close()


def _actor() -> str:
    try:
        return f"{getpass.getuser()}@server"
    except (OSError, KeyError):
        return "somebody@server"


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
