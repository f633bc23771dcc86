"""`gridcall rules roster`: who is on duty, where a roster has holes, and the sheet for the community's desk."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import SiteId
from messages.kind import load_kinds
from messages.language import NOTHING, Phrase, phrase, why
from messages.settings import ConfigError
from messages.suggestion import suggest
from messages.terminal import In, language_of
from rules.duty import last_good
from rules.duty.folder import SiteFolder, load_sites, put_sheet
from rules.duty.gaps import ANY_KIND, Gap, gaps, unasked
from rules.duty.roster import UNCHANGED, Changes
from rules.duty.routing import Situation, Step, shipped_routes, steps
from rules.duty.sheets import SheetError, sheet
from rules.duty.site import Site
from rules.store.database import Database, DatabaseAway

DAYS = (phrase("Mon"), phrase("Tue"), phrase("Wed"), phrase("Thu"), phrase("Fri"), phrase("Sat"), phrase("Sun"))
STEPS = {1: phrase("grid"), 2: phrase("street"), 3: phrase("department")}

app = typer.Typer(
    help="Who is on duty: the people of a site, their shifts, and the holes in them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Folder = Annotated[Path, typer.Argument(metavar="SITES", help="The folder with a TOML file for each site.")]


@app.command()
def check(
    folder: Folder,
    days: Annotated[int, typer.Option(help="How far to look ahead.", min=1, max=366)] = 14,
    wanted: In = "",
) -> None:
    """Read the sites and say where nobody would be called. Exit code 1 when there is such a hole."""
    now_ms, spoken = _now_ms(), language_of(wanted, os.environ)
    holes = 0
    for name, site in load_sites(folder).items():
        found = gaps(site, shipped_routes(), now_ms, now_ms + days * 86_400_000)
        what = phrase(
            "{site} {name}: {people} people, {posts} posts, {grids} grids; {holes} in {days} days",
            site=name,
            name=site.name.zh if spoken == "zh" else site.name.en,
            people=len(site.people),
            posts=len(site.posts),
            grids=len(site.grids),
            holes=phrase("{n} holes", n=len(found)) if found else phrase("no hole"),
            days=days,
        )
        print(what.said(spoken))
        for gap in found:
            print(f"  {_gap_line(site, gap).said(spoken)}")
        unreachable = [
            f"{one} {person.name}" for one, person in site.people.items() if not person.phone and not person.reach
        ]
        if unreachable:
            note = phrase("  note: neither telephone nor `reach`: {people}", people=Phrase(", ".join(unreachable)))
            print(note.said(spoken))
        for line in _unasked_lines(site):
            print(phrase("  note: {what}", what=line).said(spoken))
        holes += len(found)
    if holes:
        raise typer.Exit(1)


@app.command()
def who(
    folder: Folder,
    site: Annotated[str, typer.Argument(metavar="SITE")],
    kind: Annotated[
        str, typer.Option(help="The kind of device, e.g. gas_alarm; without it, what holds for kinds without a route.")
    ] = "",
    level: Annotated[str, typer.Option(help="red, orange, yellow or blue.")] = "red",
    grid: Annotated[str, typer.Option(help="Where it is.")] = "",
    building: Annotated[str, typer.Option(help="Where it is.")] = "",
    owner: Annotated[str, typer.Option(help="Whose it is.")] = "",
    at: Annotated[str, typer.Option(help="When, by the site's clock, e.g. 2026-10-01T23:00. Default: now.")] = "",
    wanted: In = "",
) -> None:
    """Say who would be called, step by step."""
    spoken, here = language_of(wanted, os.environ), _site(folder, site)
    at_ms = _now_ms() if not at else _at_ms(here, at)
    known_level = _level(level)
    if grid and grid not in here.grids:
        raise ConfigError("--grid: no grid `{grid}`{near}", grid=grid, near=suggest(grid, here.grids))
    place = Place(grid=grid or next(iter(here.grids)), building=building, text=building or grid)
    situation = Situation(kind=kind or ANY_KIND, level=known_level, place=place, owner=owner or None)
    own = sorted({kind for route in (*here.routes, *shipped_routes()) for kind in route.kinds})
    if not kind:
        routes = Phrase(", ".join(own))
        print(phrase("For a kind without a route of its own; --kind for one of: {kinds}", kinds=routes).said(spoken))
    elif kind not in {*own, *load_kinds()}:
        unknown = phrase("no shipped kind and no route is called `{kind}`{near}", kind=kind, near=suggest(kind, own))
        print(phrase("note: {what}", what=unknown).said(spoken), file=sys.stderr)
    found = steps(here, shipped_routes(), situation, at_ms)
    for step in found:
        print(step.number, STEPS[step.number].said(spoken))
        for called in step.people:
            reach = ", ".join(called.person.reach) or phrase("no channel").said(spoken)
            role = called.role or phrase("by name").said(spoken)
            print(f"    {called.person.name} ({called.id}), {role}, {called.person.phone or '-'}, {reach}")
        if not step.people:
            empty = phrase(
                "NOBODY on duty ({posts}): {instead}", posts=", ".join(step.wanted), instead=_instead(step, found)
            )
            mend = phrase("a post in {path}.toml with {posts}", path=folder / site, posts=_posts(step.wanted))
            print(f"    {empty.said(spoken)}\n    -> {mend.said(spoken)}")


def _instead(step: Step, found: Sequence[Step]) -> Phrase:
    """Where a call goes that finds a step empty."""
    up = next((later.number for later in found if later.number > step.number and later.people), None)
    return phrase("the call goes on to step {n} at once", n=up) if up else phrase("the call goes to the desk")


def _posts(wanted: Sequence[str]) -> Phrase:
    first, *others = map(_post, wanted)
    found = Phrase(first)
    for other in others:
        found = phrase("{some} or {other}", some=found, other=other)
    return found


def _post(wanted: str) -> str:
    """What a post says that holds the word of a route."""
    role, _, department = wanted.partition(":")
    return f'role = "{role}"' + (f', department = "{department}"' if department else "")


@app.command("export")
def export(
    folder: Folder,
    site: Annotated[str, typer.Argument(metavar="SITE")],
    to: Annotated[Path | None, typer.Option(help="A file; default: standard output.")] = None,
    english: Annotated[bool, typer.Option(help="English headings.")] = False,
) -> None:
    """Write the people of a site and their shifts as a sheet (CSV)."""
    text = sheet(_site(folder, site), chinese=not english)
    if to is None:
        sys.stdout.write(text)
    else:
        to.write_text(text, encoding="utf-8", newline="")


@app.command("import")
def import_(
    folder: Folder,
    site: Annotated[str, typer.Argument(metavar="SITE")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sheet as `export` writes it.")],
    wanted: In = "",
) -> None:
    """Take a sheet as the people of a site, or say what is wrong in it. The engine reads it within ten seconds."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
        found = put_sheet(folder, SiteId(site), text)
    except SheetError as error:
        raise ConfigError("{file}: {why}", file=file, why=error.phrase) from error
    except UnicodeDecodeError as error:
        raise ConfigError("{file}: not UTF-8; save it as CSV UTF-8", file=file) from error
    except OSError as error:
        raise ConfigError("{file}: {why}", file=file, why=why(error)) from error
    spoken = language_of(wanted, os.environ)
    taken = phrase(
        "{site}: {people} people, {posts} posts", site=site, people=len(found.people), posts=len(found.posts)
    )
    print(taken.said(spoken))
    now_ms = _now_ms()
    for gap in gaps(found, shipped_routes(), now_ms, now_ms + 14 * 86_400_000, UNCHANGED):
        print(phrase("  note: {what}", what=_gap_line(found, gap)).said(spoken))


@app.command()
def forget(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's TOML file.")],
    site: Annotated[str, typer.Argument(metavar="SITE")],
    actor: Annotated[str, typer.Option(help="Who says so: stands in the log.")],
    wanted: In = "",
) -> None:
    """Say that a site is no more. Without this, an engine goes on by the last good file of a site whose file has gone."""
    from rules.config import load  # it reads this folder itself

    engine = load(config, rules_may_fail=True)
    if engine.site_files.folder is not None and (engine.site_files.folder / f"{site}.toml").exists():
        raise ConfigError("{path} is still there: move it away first", path=engine.site_files.folder / f"{site}.toml")
    try:
        database = Database(engine.database)
        with database.writing() as connection:
            known = last_good.forget(connection, SiteId(site), actor, _now_ms())
        database.close()
    except DatabaseAway as error:
        raise ConfigError(why(error)) from error
    if not known:
        raise ConfigError("no file of `{site}` is kept", site=site)
    gone = phrase("{site}: forgotten; the engine does so within ten seconds", site=site)
    print(gone.said(language_of(wanted, os.environ)))


def holes(folder: SiteFolder, changes: Mapping[SiteId, Changes], days: int = 14) -> Iterator[Phrase]:
    """What `rules check` says of a roster: a line for each span in which nobody would be called, leave included, and for each household of which
    nobody can be asked."""
    now_ms = _now_ms()
    for name, site in folder.sites.items():
        known = changes.get(name, UNCHANGED)
        for gap in gaps(site, folder.routes, now_ms, now_ms + days * 86_400_000, known):
            yield phrase("{site}: {what}", site=name, what=_gap_line(site, gap))
        for line in _unasked_lines(site):
            yield phrase("{site}: {what}", site=name, what=line)


def _unasked_lines(site: Site) -> Iterator[Phrase]:
    for name in unasked(site):
        yield phrase(
            "household {name}: neither a phone nor a contact: if it isn't seen, nobody is asked first and the worker goes at once",
            name=name,
        )


def _gap_line(site: Site, gap: Gap) -> Phrase:
    begins, ends = (_words(site, at_ms) for at_ms in (gap.from_ms, gap.until_ms))
    return phrase(
        "{grid}, step {step} {name}{kinds}: nobody from {begins} to {ends} ({wanted})",
        grid=gap.grid,
        step=gap.step,
        name=STEPS[gap.step],
        kinds=phrase(" for {kinds}", kinds=Phrase(", ".join(gap.kinds))) if gap.kinds else NOTHING,
        begins=begins,
        ends=ends,
        wanted=" / ".join(gap.wanted),
    )


def _words(site: Site, at_ms: int) -> Phrase:
    at = site.clock().local(at_ms)
    return phrase("{day} {time}", day=DAYS[at.weekday()], time=at.strftime("%Y-%m-%d %H:%M"))


def _site(folder: Path, name: str) -> Site:
    sites = load_sites(folder)
    if (found := sites.get(SiteId(name))) is None:
        raise ConfigError("{folder}: no site `{site}`{near}", folder=folder, site=name, near=suggest(name, sites))
    return found


def _level(text: str) -> Level:
    levels: Iterable[Level] = ("red", "orange", "yellow", "blue")
    for level in levels:
        if level == text:
            return level
    raise ConfigError("--level: red, orange, yellow or blue, not {text!r}", text=text)


def _at_ms(site: Site, text: str) -> int:
    try:
        return round(datetime.fromisoformat(text).replace(tzinfo=site.clock().zone).timestamp() * 1000)
    except ValueError as error:
        raise ConfigError("--at: a moment such as 2026-10-01T23:00 is wanted, not {text!r}", text=text) from error


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
