"""The pages of the plant: what all of them share, and the way to each."""

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from console.labels import pages as labels
from console.plant import audit, devices, drill_pages, quality, quarantine, roster, rules_pages
from console.plant.frame import PAGES, show
from console.visit import LoggedIn, logged_in

router = APIRouter(dependencies=[Depends(logged_in)])


@router.get("/plant")
def plant(visit: LoggedIn) -> Response:
    """What the account may open."""
    return show(visit, "index.html", pages=[page for page in PAGES if visit.user.may(page.right)])


ROUTERS = (
    router,
    devices.router,
    quarantine.router,
    roster.router,
    quality.router,
    audit.router,
    rules_pages.router,
    drill_pages.router,
    labels.router,
)
