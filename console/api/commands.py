"""`gridcall console token …`: which other systems may come in."""

import getpass
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from console.access.journal import Event, Line
from console.access.known import doubts
from console.accounts import Accounts
from console.config import load
from console.tokens import RIGHTS, TokenError, Tokens
from messages.language import Phrase, phrase, why
from messages.settings import ConfigError, duration_s
from messages.terminal import In, language_of

app = typer.Typer(no_args_is_help=True, help="Which other systems may use /api/v1.")

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The console's settings, e.g. console.toml.")]
Name = Annotated[str, typer.Argument(help="What the system is called; what it brings in is known by it.")]
Days = Annotated[int, typer.Option(help="For how long it holds.")]


@app.command()
def add(
    config: ConfigFile,
    name: Name,
    right: Annotated[list[str], typer.Option(help=f"Some of {', '.join(RIGHTS)}; may be repeated.")],
    site: Annotated[list[str] | None, typer.Option(help="Only this site; may be repeated. Without it, all.")] = None,
    days: Days = 365,
    person: Annotated[str | None, typer.Option(help="As whom of the roster it acts, e.g. a department's desk.")] = None,
    wanted: In = "",
) -> None:
    """Make a token. It is shown once: what is kept is its hash."""
    spoken, settings = language_of(wanted, os.environ), load(config)
    unsure = doubts(config, settings, sites=site or (), person=person)
    try:
        secret = Tokens(settings.accounts).add(name, right, _now_ms(), days=days, sites=site or (), person=person)
    except TokenError as error:
        raise ConfigError(error.phrase) from error
    for doubt in unsure:
        typer.echo(phrase("warning: {what}", what=doubt).said(spoken), err=True)
    _note(config, "token.added", name, f"{' '.join(right)} at {' '.join(site or ()) or 'every site'}")
    typer.echo(secret)


@app.command("list")
def list_tokens(config: ConfigFile, wanted: In = "") -> None:
    """Name, rights, sites, whom it acts as, until when it holds, and when it was last used; one a line."""
    spoken, now_ms = language_of(wanted, os.environ), _now_ms()
    for token in _tokens(config).all():
        if token.revoked_at_ms is not None:
            holds = phrase("revoked {day}", day=_day(token.revoked_at_ms))
        elif token.holds(now_ms):
            holds = phrase("until {day}", day=_day(token.expires_at_ms))
        else:
            holds = phrase("expired {day}", day=_day(token.expires_at_ms))
        used = phrase("used {day}", day=_day(token.used_at_ms)) if token.used_at_ms else phrase("never used")
        where = Phrase(" ".join(token.scope.sites)) or phrase("everywhere")
        said = (where.said(spoken), token.actor, holds.said(spoken), used.said(spoken))
        typer.echo("\t".join((token.name, " ".join(token.rights), *said)))


@app.command()
def rotate(
    config: ConfigFile,
    name: Name,
    days: Days = 365,
    keep_old: Annotated[str, typer.Option(help="For how long the old secret holds beside the new one, e.g. 1h.")] = (
        "0s"
    ),
) -> None:
    """A new secret for a token, shown once."""
    try:
        secret = _tokens(config).rotate(name, _now_ms(), days=days, keep_old_s=duration_s(keep_old))
    except ValueError as error:
        raise ConfigError(why(error)) from error
    _note(config, "token.rotated", name)
    typer.echo(secret)


@app.command()
def revoke(config: ConfigFile, name: Name, wanted: In = "") -> None:
    """End a token at once; its open streams too."""
    if not _tokens(config).revoke(name, _now_ms()):
        raise ConfigError("no token {name!r}, or it was revoked", name=name)
    _note(config, "token.revoked", name)
    typer.echo(phrase("{name} comes in no more", name=name).said(language_of(wanted, os.environ)))


def _tokens(config: Path) -> Tokens:
    return Tokens(load(config).accounts)


def _actor() -> str:
    """As the other commands of the console write it."""
    try:
        return f"{getpass.getuser()}@server"
    except (OSError, KeyError):
        return "somebody@server"


def _note(config: Path, event: Event, name: str, detail: str = "") -> None:
    """In the journal of access: whoever may write the file of accounts is known to the machine by name."""
    line = Line(at_ms=_now_ms(), event=event, actor=_actor(), subject=f"api:{name}", detail=detail)
    Accounts(load(config).accounts).note(line)


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
