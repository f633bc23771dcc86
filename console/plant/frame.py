"""The frame around every page of the plant: the freshness in its place, red alarms that call, and the way to the other pages."""

from typing import NamedTuple, TypeVar

from fastapi.responses import HTMLResponse

from console.rights import Right
from console.routes import calling_alarms
from console.visit import Visit

T = TypeVar("T")


class Page(NamedTuple):
    """One noun. Its words are `plant.<name>` and `plant.<name>_lead`."""

    name: str
    path: str
    right: Right


PAGES = (
    Page("devices", "/devices", "report"),
    Page("quarantine", "/quarantine", "plant"),
    Page("rules", "/rules", "report"),
    Page("roster", "/roster", "report"),
    Page("quality", "/quality", "report"),
    Page("drills", "/drills", "dispatch"),
    Page("labels", "/labels", "plant"),
    Page("audit", "/audit", "audit"),
)
_PLACES = (*((page.path, page.name) for page in PAGES), ("/dry-runs", "rules"))


def show(visit: Visit, template: str, status: int = 200, *, complaint: str = "", **values: object) -> HTMLResponse:
    """A template of `pages/plant` as the answer."""
    position = visit.parts.desk.position()  # before the alarms: what comes in between is told once more by the feed
    return visit.page(
        f"plant/{template}",
        status,
        seq=position,
        alarms=calling_alarms(visit),
        complaint=complaint,
        ways=[page for page in PAGES if visit.user.may(page.right)],
        here=next((name for path, name in _PLACES if visit.path.startswith(path)), ""),
        **values,
    )


def share(items: list[T], number: int, most: int) -> tuple[list[T], int]:
    """Page `number` of a list, from 1 on, and how many pages there are."""
    pages = max(1, -(-len(items) // most))
    at = min(max(number, 1), pages)
    return items[(at - 1) * most : at * most], pages
