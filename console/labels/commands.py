"""`gridcall console label …`: sheets of labels to print, and a new label where the old one was stolen."""

import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from markupsafe import Markup

from console.config import Config, load
from console.fragments import Fragments
from console.labels.sheet import labelled, printed
from console.words import LANGUAGES, load_words
from messages.ids import DeviceId, SiteId
from messages.kind import load_kinds
from messages.language import Language, phrase
from messages.language import why as why_
from messages.settings import ConfigError, Text
from rules import plant
from rules.assets.label import shown
from rules.assets.register import LabelRefused
from rules.desk import Desk
from rules.store.database import Database, DatabaseAway

app = typer.Typer(no_args_is_help=True, help="Labels with codes for assets, which a worker scans when he is there.")

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The console's settings, e.g. console.toml.")]

_REFUSED = {
    "no-label": phrase("has no label: the sheet of labels makes one (label sheet … --make)"),
    "no-reason": phrase("--why: a reason is wanted"),
}


@app.command()
def sheet(
    config: ConfigFile,
    output: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write: one page of HTML, to be printed on A4.")
    ],
    address: Annotated[str, typer.Option(help="The console's address as people's phones reach it, https://…")],
    site: Annotated[str | None, typer.Option(help="Only this site.")] = None,
    grid: Annotated[str | None, typer.Option(help="Only this grid.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only devices of this kind.")] = None,
    make: Annotated[bool, typer.Option(help="Make codes for those devices that have none yet.")] = False,
    language: Annotated[str, typer.Option(help="Of the words around the labels, which are in both.")] = "zh",
) -> None:
    """Write the labels that hold to a file to be printed."""
    settings = load(config)
    known: dict[str, Language] = {one: one for one in LANGUAGES}
    if language not in known:
        raise ConfigError("--language: zh or en is wanted, not {wanted!r}", wanted=language)
    if not address.startswith(("https://", "http://")):
        raise ConfigError("--address: an address such as https://… is wanted, not {address!r}", address=address)
    kinds = load_kinds(*settings.kinds)
    with _desk(settings) as desk:
        devices = [
            one
            for one in plant.devices(desk.database, _now_ms())
            if site in (None, one.site) and grid in (None, one.place.grid) and kind in (None, one.kind)
        ]
        if make:
            desk.make_labels([(one.site, one.device) for one in devices], actor=_actor(), at_ms=_now_ms())
        names = {name: found.name for name in {one.kind for one in devices} if (found := kinds.get(name))}
        held = desk.labels()
        labels = printed(labelled(devices, held), held, address.rstrip("/"), names)
    fragments = Fragments(load_words(settings.zone), kinds, Text(zh="", en=""))
    css = files("console").joinpath("static/labels.css").read_text(encoding="utf-8")
    looks = Markup(f"<style>{css}</style>")  # noqa: S704 - ours
    page = fragments.page("labels/sheet.html", known[language], _now_ms(), labels=labels, looks=looks, on_paper=True)
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError("{path}: can't be written: {why}", path=output, why=why_(error)) from error
    typer.echo(phrase("{n} labels in {path}", n=len(labels), path=output).said(known[language]))


@app.command()
def replace(
    config: ConfigFile,
    site: Annotated[str, typer.Argument(metavar="SITE", help="Where the device is.")],
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="The device's name.")],
    why: Annotated[str, typer.Option(help="Stolen, copied, worn …")],
) -> None:
    """End a device's label and make a new one, whose code is said."""
    with _desk(load(config)) as desk:
        try:
            made = desk.replace_label(SiteId(site), DeviceId(device), why=why, actor=_actor(), at_ms=_now_ms())
        except LabelRefused as refusal:
            raise ConfigError(
                "{site}/{device}: {why}", site=site, device=device, why=_REFUSED[refusal.reason]
            ) from refusal
    typer.echo(shown(made.code))


@contextmanager
def _desk(settings: Config) -> Iterator[Desk]:
    try:
        database = Database(settings.database)
    except DatabaseAway as error:
        raise ConfigError(why_(error)) from error
    try:
        yield Desk(database)
    except DatabaseAway as error:
        raise ConfigError(why_(error)) from error
    finally:
        database.close()


def _actor() -> str:
    """Who stands in the log for what is done on the server."""
    try:
        return f"{getpass.getuser()}@server"
    except (OSError, KeyError):
        return "somebody@server"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
