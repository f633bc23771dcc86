"""Who holds the phone: somebody who is logged in, or whom the link of a message has brought. Either acts on one case, under the name that
the roster knows him by.

A link opens its case and nothing else; that of somebody who was asked how she is (`console.phone.asked`) opens her question
alone. One that has ended shows nothing, and takes for a while what was done before its end (decision 63). Who is logged in may see the cases of his places,
and those that were given to him.
"""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request

from console.visit import AnyVisit, NotAllowed, Visit, let_in
from rules.duty.household import role_of
from rules.notices.links import Ended
from rules.records import Case

QUESTION = ("", "session", "safe", "help")
"""What lies below the link of somebody who was asked."""


class NoSuchCase(Exception):
    """Nothing is known by that id; or, with True, not to him, which is written down."""


class LinkOver(Exception):
    """The link has expired, was revoked, or never was one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One person before one case. `base`: the path under which its pages and acts lie."""

    visit: Visit
    case: Case
    actor: str
    base: str
    by_link: bool
    ended: Ended | None = None
    """The link has ended: only what it `takes` may still be done."""


def holder(visit: AnyVisit, request: Request) -> Holder:
    """Of a route below `/w/cases/{case_id}` or `/c/{link}`. Raises NotLoggedIn, NoSuchCase, LinkOver, NotAllowed."""
    if (link := request.path_params.get("link")) is not None:
        return _by_link(visit, request, link)
    case_id = str(request.path_params["case_id"])
    case = let_in(visit).parts.desk.case(case_id)
    if case is None or not sees(visit, case):
        raise NoSuchCase(case is not None)
    if request.method != "GET" and not visit.user.may("work"):
        raise NotAllowed
    base = f"/w/cases/{quote(case_id, safe='')}"
    return Holder(visit=visit, case=case, actor=visit.actor, base=base, by_link=False)


Held = Annotated[Holder, Depends(holder)]


def sees(visit: Visit, case: Case) -> bool:
    """Whether whoever is logged in may know of a case."""
    at_his_places = visit.user.may_at("see", case.site, case.place.grid)
    return at_his_places or (visit.user.may("work") and is_his(case, visit.actor))


def is_his(case: Case, person: str) -> bool:
    """Whether it was given to a person, or he has taken it."""
    return person in (case.accepted_by, case.dispatched_to, case.on_site_by)


def _by_link(visit: Visit, request: Request, link: str) -> Holder:
    desk = visit.parts.desk
    found, ended = desk.holder(link, visit.now_ms), None
    if found is None and (request.method == "POST" or request.url.path.endswith("/session")):
        ended = desk.ended_link(link, visit.now_ms)
        found = (ended.case, ended.person) if ended else None
    case = desk.case(found[0]) if found else None
    if found is None or case is None:
        raise LinkOver
    base = f"/c/{quote(link, safe='')}"
    if role_of(found[1]) and "/".join(request.url.path.split("/")[3:]) not in QUESTION:
        raise NotAllowed
    return Holder(visit=visit, case=case, actor=found[1], base=base, by_link=True, ended=ended)
