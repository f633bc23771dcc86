"""`gridcall console …`: serve the pages, and keep the list of those who may log in."""

import asyncio
import getpass
import os
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import structlog
import typer

from collector.stores.choose import open_store
from console.access import forgetting, passwords
from console.access.known import doubts
from console.accounts import AccountError, Accounts
from console.api import commands as tokens
from console.app import build
from console.config import Config, load
from console.labels import commands as labels
from console.rights import ROLES, Role, Scope
from console.rosters import Rosters
from console.server import bound, serve
from messages.ids import is_identifier
from messages.kind import load_kinds
from messages.language import Language, Phrase, phrase, why
from messages.settings import ConfigError
from messages.terminal import In, language_of
from rules.cases.photos import PhotoFolder
from rules.cases.practice import PLAIN
from rules.config import practice_in
from rules.desk import Desk
from rules.duty.roll import Roll
from rules.store.database import Database, DatabaseAway

FIRST_WAIT_S, MOST_WAIT_S = 0.5, 30.0

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The web pages: live feed, alarms and the buttons of the cases. Make an account first: `user add`.",
)
user = typer.Typer(no_args_is_help=True, help="Who may log in.")
app.add_typer(user, name="user")
app.add_typer(tokens.app, name="token")
app.add_typer(labels.app, name="label")

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The console's settings, e.g. console.toml.")]
Name = Annotated[str, typer.Argument(help="The name to log in with; it stands in the log beside every action.")]

_SORTS = {
    "words": phrase("words"),
    "photos": phrase("photos"),
    "receivers": phrase("receivers"),
    "links": phrase("links"),
    "journal": phrase("journal"),
}
"""What is erased, by the fields that count it."""

log = structlog.get_logger("console")


@app.command()
def run(config: ConfigFile) -> None:
    """Serve the pages until stopped (Ctrl-C)."""
    settings = load(config)
    kinds = load_kinds(*settings.kinds)
    store = open_store(settings.store, base=config.resolve().parent)
    accounts = Accounts(settings.accounts)
    practice = practice_in(settings.rules) if settings.rules else PLAIN
    listening = bound(settings.listen)

    async def work() -> None:
        photos = PhotoFolder(settings.photos) if settings.photos else None
        database = await _opened(settings)
        sites = Rosters(settings.site_files, database=database, clock_ms=_now_ms)
        desk = Desk(database, replace(practice, owner=Roll(sites).owner), photos)
        web = build(settings, kinds=kinds, desk=desk, store=store, accounts=accounts, sites=sites, clock_ms=_now_ms)
        if not accounts.users():
            log.warning("nobody may log in yet: gridcall console user add", accounts=str(settings.accounts))
        await serve(web, listening)

    asyncio.run(work())


@app.command("forget")
def forget(
    config: ConfigFile,
    days: Annotated[
        int | None, typer.Option(min=1, help="After how many days, if not as `forget_after_days` in CONFIG says.")
    ] = None,
    wanted: In = "",
) -> None:
    """Erase what is personal in cases that were closed long ago, and in the journal. Figures remain.

    Free words, photos, names and numbers of who was told, links, at whom was looked and from where. While the console runs with
    `forget_after_days` it does so each day by itself.
    """
    settings = load(config)
    after_days = days or settings.access.forget_after_days
    if after_days is None:
        raise ConfigError("after how many days? --days, or forget_after_days under [access] in CONFIG")
    try:
        database = Database(settings.database)
    except DatabaseAway as error:
        raise ConfigError(why(error)) from error
    try:
        desk = Desk(database, photos=PhotoFolder(settings.photos) if settings.photos else None)
        erased = forgetting.forget(desk, Accounts(settings.accounts), after_days, _now_ms(), _actor())
    except (DatabaseAway, OSError, sqlite3.Error) as error:
        raise ConfigError(why(error)) from error
    finally:
        database.close()
    spoken = language_of(wanted, os.environ)
    typer.echo(", ".join(f"{_SORTS[sort].said(spoken)} {count}" for sort, count in erased.items()))


@user.command("add")
def add(
    config: ConfigFile,
    name: Name,
    role: Annotated[
        str, typer.Option(help="worker (a phone, stays logged in), operator, supervisor, engineer or auditor")
    ] = ("operator"),
    site: Annotated[list[str] | None, typer.Option(help="Only this site; may be repeated.")] = None,
    grid: Annotated[list[str] | None, typer.Option(help="Only this grid; may be repeated.")] = None,
    person: Annotated[str | None, typer.Option(help="Who it is in the roster, if not called alike there.")] = None,
    one_time: Annotated[
        bool,
        typer.Option(help="Make up a password for one login within three days, and say it; it must be changed then."),
    ] = False,
    password_file: Annotated[
        Path | None, typer.Option(help="A file whose first line is the password. Without it you are asked.")
    ] = None,
    wanted: In = "",
) -> None:
    """Make an account, or give it a new password and role. Its logins end."""
    spoken, settings = language_of(wanted, os.environ), load(config)
    known: dict[str, Role] = {one: one for one in ROLES}
    if role not in known:
        raise ConfigError("--role: one of {roles} is wanted, not {role!r}", roles=", ".join(known), role=role)
    for name_of in (*(site or ()), *(part for one in grid or () for part in one.split("/"))):
        if not is_identifier(name_of):
            raise ConfigError("--site, --grid: {name!r} is no name of a site or grid", name=name_of)
    unsure = doubts(config, settings, sites=site or (), grids=grid or (), person=person)
    try:
        scope = Scope(tuple(site or ()), tuple(grid or ()))
        password = passwords.one_time() if one_time else _password(password_file, spoken)
        Accounts(settings.accounts).add(
            name, password, known[role], scope, person, one_time=one_time, actor=_actor(), now_ms=_now_ms()
        )
    except AccountError as error:
        raise ConfigError(error.phrase) from error
    for doubt in unsure:
        typer.echo(phrase("warning: {what}", what=doubt).said(spoken), err=True)
    if one_time:
        done = phrase("{name} may log in as {role}, once, with {password}", name=name, role=role, password=password)
    else:
        done = phrase("{name} may log in as {role}", name=name, role=role)
    typer.echo(done.said(spoken))


@user.command("list")
def list_users(config: ConfigFile, wanted: In = "") -> None:
    """Who may log in, one a line."""
    for account in Accounts(load(config).accounts).users():
        where = Phrase(" ".join((*account.scope.sites, *account.scope.grids))) or phrase("everywhere")
        typer.echo(f"{account.name}\t{account.role}\t{where.said(language_of(wanted, os.environ))}")


@user.command("remove")
def remove(config: ConfigFile, name: Name, wanted: In = "") -> None:
    """End an account and its logins."""
    if not Accounts(load(config).accounts).remove(name, actor=_actor(), now_ms=_now_ms()):
        raise ConfigError("no account {name!r}", name=name)
    typer.echo(phrase("{name} may not log in any more", name=name).said(language_of(wanted, os.environ)))


@user.command("free")
def free(config: ConfigFile, name: Name) -> None:
    """Let nobody wait who has mistyped under this name."""
    Accounts(load(config).accounts).free(name, actor=_actor(), now_ms=_now_ms())


def _actor() -> str:
    """Who stands in the journal for what is done on the server."""
    try:
        return f"{getpass.getuser()}@server"
    except (OSError, KeyError):
        return "somebody@server"


def _password(file: Path | None, spoken: Language) -> str:
    if file is None:
        asked = phrase("Password, {least} characters or more", least=passwords.LEAST).said(spoken)
        return str(typer.prompt(asked, hide_input=True, confirmation_prompt=phrase("The same again").said(spoken)))
    try:
        return file.read_text(encoding="utf-8").splitlines()[0].strip()
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise ConfigError("{file}: no password can be read: {why}", file=file, why=why(error)) from error


async def _opened(settings: Config) -> Database:
    """The rules' database, as soon as it is there."""
    wait_s, said = FIRST_WAIT_S, False
    while True:
        try:
            database = await asyncio.to_thread(Database, settings.database, follow=True)
        except DatabaseAway as error:
            if not said:
                log.warning("the rules' database is away; trying again", why=str(error))
            said = True
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, MOST_WAIT_S)
        else:
            if said:
                log.info("the rules' database is there")
            return database


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
