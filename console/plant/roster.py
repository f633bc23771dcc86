"""Who is on duty: now, this week, and where nobody is; leave, stand-ins and extra duty; the sheet out and in.

Telephone numbers are shown to who sends people or keeps the roster. A change can be withdrawn, never rubbed out.
"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from console.plant.frame import show
from console.plant.moments import moment_ms, monday_of
from console.plant.week import on_duty, week
from console.visit import LoggedIn, OurForm, Visit, elsewhere, needs
from messages.ids import SiteId
from messages.language import why
from messages.settings import ConfigError
from rules import chronicle
from rules.duty import book
from rules.duty.book import WrongChange
from rules.duty.folder import put_sheet
from rules.duty.gaps import gaps
from rules.duty.roster import UNCHANGED, Absence, Changes, Extra
from rules.duty.sheets import COLUMNS, SheetError, sheet
from rules.duty.site import Site
from rules.store.database import Database

AHEAD_MS = 14 * 86_400_000
MOST_GAPS = 50
WRONG = {
    "nobody stands in for himself": "roster.wrong_self",
    "it ends before it begins": "roster.wrong_order",
    "it lies in the past": "roster.wrong_past",
    "longer than a year: change the roster itself": "roster.wrong_long",
}

router = APIRouter(dependencies=[needs("report")])


@router.get("/roster")
def roster(visit: LoggedIn, site: str = "", week_of: str = "", done: str = "") -> Response:
    return _page(visit, site, week_of, said=visit.words(f"roster.{done}") if f"roster.{done}" in _SAID else "")


_SAID = {"roster.entered", "roster.withdrawn", "roster.imported"}


@router.post("/roster/{site}/absence", dependencies=[needs("roster"), OurForm])
def absence(
    visit: LoggedIn,
    site: str,
    person: Annotated[str, Form()] = "",
    begins: Annotated[str, Form()] = "",
    ends: Annotated[str, Form()] = "",
    instead: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    here = _kept(visit, site)
    from_ms, until_ms = moment_ms(begins, here.clock()), moment_ms(ends, here.clock())
    if from_ms is None or until_ms is None:
        return _page(visit, site, status=400, complaint=visit.words("roster.wrong_time"))
    words = "".join(one for one in reason if one.isprintable())
    change = Absence(person=person, from_ms=from_ms, until_ms=until_ms, instead=instead or None, reason=words)
    return _enter(visit, site, here, change)


@router.post("/roster/{site}/extra", dependencies=[needs("roster"), OurForm])
def extra(
    visit: LoggedIn,
    site: str,
    person: Annotated[str, Form()] = "",
    post: Annotated[str, Form()] = "",
    begins: Annotated[str, Form()] = "",
    ends: Annotated[str, Form()] = "",
) -> Response:
    here = _kept(visit, site)
    from_ms, until_ms = moment_ms(begins, here.clock()), moment_ms(ends, here.clock())
    if from_ms is None or until_ms is None:
        return _page(visit, site, status=400, complaint=visit.words("roster.wrong_time"))
    return _enter(visit, site, here, Extra(person=person, post=post, from_ms=from_ms, until_ms=until_ms))


@router.post("/roster/{site}/withdraw", dependencies=[needs("roster"), OurForm])
def withdraw(visit: LoggedIn, site: str, entry: Annotated[str, Form()] = "") -> Response:
    _kept(visit, site)
    with visit.parts.desk.database.writing() as connection:
        entries = book.entries(connection, visit.now_ms, withdrawn=True)  # somebody else may just have done it
        known = [one.site for one in entries if one.id == entry]
        if known != [site]:
            raise HTTPException(404)
        book.withdraw(connection, entry, actor=visit.user.name, now_ms=visit.now_ms)
    return elsewhere(f"/roster?site={site}&done=withdrawn")


@router.get("/roster/{site}/sheet.csv", dependencies=[needs("roster")])
def export(visit: LoggedIn, site: str) -> Response:
    """With telephone numbers: that it was taken stands in the log."""
    here = _kept(visit, site)
    content = sheet(here, chinese=visit.language == "zh")
    chronicle.write(_database(visit), "roster.exported", visit.user.name, f"{site}: {len(here.people)}", visit.now_ms)
    headers = {"content-disposition": f'attachment; filename="{site}.people.csv"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/roster/{site}/sheet", dependencies=[needs("roster"), OurForm])
def import_(visit: LoggedIn, site: str, text: Annotated[str, Form()] = "") -> Response:
    """Whole, or not at all."""
    _kept(visit, site)
    folder = visit.parts.sites.folder
    assert folder is not None
    try:
        found = put_sheet(folder, SiteId(site), text.lstrip("\ufeff"))
    except SheetError as error:
        column = COLUMNS.get(error.column, error.column) if visit.language == "zh" else error.column
        words = visit.words(
            "roster.wrong_sheet", line=error.line, column=column or "—", why=error.why.said(visit.language)
        )
        return _page(visit, site, status=400, complaint=words, text=text)
    except (ConfigError, OSError) as error:
        said = error.phrase if isinstance(error, ConfigError) else why(error)
        complaint = visit.words("roster.not_written", why=said.said(visit.language))
        return _page(visit, site, status=400, complaint=complaint, text=text)
    words = f"{site}: {len(found.people)} people, {len(found.posts)} posts"
    chronicle.write(_database(visit), "roster.imported", visit.user.name, words, visit.now_ms)
    return elsewhere(f"/roster?site={site}&done=imported")


def _enter(visit: Visit, site: str, here: Site, change: Absence | Extra) -> Response:
    try:
        with _database(visit).writing() as connection:
            book.enter(connection, SiteId(site), here, change, actor=visit.user.name, now_ms=visit.now_ms)
    except WrongChange as error:
        why = WRONG.get(str(error))
        complaint = visit.words(why) if why else visit.words("roster.wrong", why=str(error))
        return _page(visit, site, status=400, complaint=complaint)
    return elsewhere(f"/roster?site={site}&done=entered")


def _kept(visit: Visit, site: str) -> Site:
    """The site whose roster the account keeps. Raises NotAllowed."""
    visit.need("roster", site)
    visit.parts.sites.look()
    if (found := visit.parts.sites.sites.get(SiteId(site))) is None:
        raise HTTPException(404)
    return found


def _page(
    visit: Visit,
    site: str,
    week_of: str = "",
    *,
    status: int = 200,
    complaint: str = "",
    said: str = "",
    text: str = "",
) -> Response:
    visit.parts.sites.look()
    sites = {name: one for name, one in visit.parts.sites.sites.items() if visit.user.may_at("report", name)}
    name = site if site in sites else next(iter(sites), "")
    if site and site not in sites:
        raise HTTPException(404)
    values: dict[str, object] = {
        "sites": sites,
        "name": name,
        "said": said,
        "folder_complaint": visit.parts.sites.complaint,
    }
    if not name:
        return show(visit, "roster.html", status, complaint=complaint, site=None, **values)
    here = sites[SiteId(name)]
    calendar = here.clock()
    with _database(visit).reading() as connection:
        entries = [one for one in book.entries(connection, visit.now_ms, withdrawn=True) if one.site == name]
    changes = _changes(visit, SiteId(name))
    monday = monday_of(week_of, calendar.local(visit.now_ms).date())
    holes = gaps(here, visit.parts.sites.routes, visit.now_ms, visit.now_ms + AHEAD_MS, changes)
    return show(
        visit,
        "roster.html",
        status,
        complaint=complaint,
        site=here,
        now=on_duty(here, changes, visit.now_ms),
        rows=week(here, changes, monday),
        days=[monday + timedelta(days=number) for number in range(7)],
        today=calendar.local(visit.now_ms).date(),
        monday=monday,
        before=monday - timedelta(days=7),
        after=monday + timedelta(days=7),
        holes=holes[:MOST_GAPS],
        more_holes=max(0, len(holes) - MOST_GAPS),
        entries=entries,
        keeps=visit.user.may_at("roster", name),
        numbers=visit.user.may_at("roster", name) or visit.user.may_at("dispatch", name),
        text=text,
        local=lambda at_ms: f"{calendar.local(at_ms):%m-%d %H:%M}",
        called=lambda person: here.people[person].name if person in here.people else person,
        is_absence=lambda change: isinstance(change, Absence),
        kind_name=lambda one: visit.words.of(kind.name) if (kind := visit.parts.fragments.kind(one)) else one,
        **values,
    )


def _changes(visit: Visit, site: SiteId) -> Changes:
    with _database(visit).reading() as connection:
        # from a week ago on: the table shows the days that are gone as they were
        return book.changes(connection, visit.now_ms - 35 * 86_400_000).get(site, UNCHANGED)


def _database(visit: Visit) -> Database:
    return visit.parts.desk.database
