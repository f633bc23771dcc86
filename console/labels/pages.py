"""The pages of the labels: which devices have one, the sheet to print, and a new one where the old was stolen or copied."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from markupsafe import Markup
from starlette.exceptions import HTTPException

from console.labels.sheet import MOST, labelled, printed
from console.plant.frame import share, show
from console.script import found_in
from console.visit import LoggedIn, OurForm, Visit, elsewhere, needs
from messages.ids import DeviceId, SiteId
from messages.settings import Text
from rules import plant
from rules.assets.label import shown
from rules.assets.register import REASONS, LabelRefused
from rules.plant import Glimpse

ON_A_PAGE = 100
LOOKS = Markup(
    '<link rel="stylesheet" href="/static/labels.css"><script type="module" src="/static/plant.mjs"></script>'
)

router = APIRouter(dependencies=[needs("plant")])


@router.get("/labels")
def labels(
    visit: LoggedIn, site: str = "", grid: str = "", kind: str = "", q: str = "", page: int = 1, refused: str = ""
) -> Response:
    every = _glimpses(visit)
    asked = {"site": site, "grid": grid, "kind": kind, "q": q}
    chosen = _chosen(every, **asked)
    held = visit.parts.desk.labels()
    on_page, pages = share(chosen, page, ON_A_PAGE)
    return show(
        visit,
        "labels.html",
        complaint=visit.words(f"labels.{refused}") if refused in REASONS else "",
        devices=plant.devices(visit.parts.desk.database, visit.now_ms, only=[one.key for one in on_page]),
        labels=held,
        shown=shown,
        count=len(chosen),
        wanting=sum((one.site, one.device) not in held for one in chosen),
        most=MOST,
        pages=pages,
        page=page,
        asked=asked,
        sites=sorted({one.site for one in every}),
        grids=sorted({one.grid for one in every}),
        kinds=sorted({one.kind for one in every}),
        name_of_kind=lambda name: visit.words.of(kind_of(visit, name)),
    )


@router.post("/labels/make", dependencies=[OurForm])
def make(
    visit: LoggedIn,
    site: Annotated[str, Form()] = "",
    grid: Annotated[str, Form()] = "",
    kind: Annotated[str, Form()] = "",
    q: Annotated[str, Form()] = "",
) -> Response:
    asked = {"site": site, "grid": grid, "kind": kind, "q": q}
    chosen = _chosen(_glimpses(visit), **asked)
    visit.parts.desk.make_labels([(one.site, one.device) for one in chosen], actor=visit.user.name, at_ms=visit.now_ms)
    return elsewhere(f"/labels?{urlencode(asked)}")


@router.get("/labels/sheet")
def sheet(
    visit: LoggedIn, request: Request, site: str = "", grid: str = "", kind: str = "", q: str = "", page: int = 1
) -> Response:
    """To be printed on A4, so many at a time as a browser can draw."""
    asked = {"site": site, "grid": grid, "kind": kind, "q": q}
    labels = visit.parts.desk.labels()
    walk = [one for one in _chosen(_glimpses(visit), **asked) if (one.site, one.device) in labels]
    walk.sort(key=lambda one: (one.site, one.grid, one.building or "", one.text))
    part, pages = share(walk, page, MOST)
    on_page = plant.devices(visit.parts.desk.database, visit.now_ms, only=[one.key for one in part])
    kinds = {one.kind: kind_of(visit, one.kind) for one in on_page}
    page = min(max(page, 1), pages)
    return visit.page(
        "labels/sheet.html",
        labels=printed(labelled(on_page, labels), labels, address_of_pages(visit, request), kinds),
        looks=LOOKS,
        on_paper=False,
        count=len(walk),
        first=(page - 1) * MOST + 1,
        asked=asked,
        page=page,
        pages=pages,
    )


@router.post("/labels/{site}/{device}/replace", dependencies=[OurForm])
def replace(visit: LoggedIn, site: str, device: str, why: Annotated[str, Form()] = "") -> Response:
    found = next((one for one in _glimpses(visit) if (one.site, one.device) == (site, device)), None)
    if found is None:
        raise HTTPException(404)
    refused = {}
    try:
        visit.parts.desk.replace_label(
            SiteId(site), DeviceId(device), why=why, actor=visit.user.name, at_ms=visit.now_ms
        )
    except LabelRefused as refusal:
        refused = {"refused": refusal.reason}
    return elsewhere(f"/labels?{urlencode({'site': site, 'q': device} | refused)}")


def address_of_pages(visit: Visit, request: Request) -> str:
    """How people's phones reach the console: as the engine's settings say it, or the first of its names, or as it was reached now.

    A label lasts for years, and what leads to another house than ours is a trap: no address is taken from a form.
    """
    if visit.parts.plant.pages:
        return visit.parts.plant.pages.rstrip("/")
    names = [name for name in visit.parts.config.access.hosts if not name.startswith("*")]
    return f"https://{names[0]}" if names else str(request.base_url).rstrip("/")


def kind_of(visit: Visit, name: str) -> Text:
    kind = visit.parts.fragments.kind(name)
    return kind.name if kind else Text(zh=name, en=name)


def _glimpses(visit: Visit) -> list[Glimpse]:
    """Where the account keeps the plant; a device that two edges announce once."""
    if not visit.user.may("plant"):
        return []
    scope = visit.user.scope
    found = plant.glimpses(visit.parts.desk.database, visit.now_ms, sites=scope.sites, grids=scope.grids)
    mine = {(one.site, one.device): one for one in found}
    return sorted(mine.values(), key=lambda one: (one.site, one.grid, one.text))


def _chosen(devices: list[Glimpse], **asked: Any) -> list[Glimpse]:
    return [
        one
        for one in devices
        if asked["site"] in ("", one.site)
        and asked["grid"] in ("", one.grid)
        and asked["kind"] in ("", one.kind)
        and found_in(asked["q"], one.device, one.text)
    ]
