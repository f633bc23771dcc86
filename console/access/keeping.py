"""Keeping the accounts: who may log in as what and where, passwords for one login, and the journal. For who has the right."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated
from urllib.parse import quote

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Form
from fastapi.responses import Response

from console.access import passwords
from console.access.delegation import may_keep, within
from console.access.frame import program_in_words, show
from console.access.journal import EVENTS
from console.accounts import Account, AccountError
from console.doors import AT_ONCE
from console.rights import EVERYWHERE, ROLES, Role, Scope
from console.script import spellings
from console.visit import LoggedIn, NotAllowed, Number, OurForm, Visit, elsewhere, logged_in, needs
from messages.ids import is_identifier

router = APIRouter(dependencies=[Depends(logged_in)])

MOST_LINES = 100
GROUPS = ("login", "account", "password", "token", "refused", "person")
"""Of the journal's events."""

_ROLES: dict[str, Role] = {role: role for role in ROLES}
Names = Annotated[list[str], Form(default_factory=list)]


class Wrong(ValueError):
    """What stands in the form can't be meant so; the word says why."""


@router.get("/accounts", dependencies=[needs("accounts")])
def accounts(visit: LoggedIn, done: str = "") -> Response:
    return _list(visit, done=done if done in ("removed",) else "")


@router.post("/accounts", dependencies=[needs("accounts"), OurForm])
async def add(
    visit: LoggedIn,
    places: Names,
    name: Annotated[str, Form()] = "",
    role: Annotated[str, Form()] = "",
    where: Annotated[str, Form()] = "",
    person: Annotated[str, Form()] = "",
) -> Response:
    """A new account with a password for one login, which is shown once."""
    password = passwords.one_time()
    try:
        scope = _scope(visit, where, places)
        known = _role(role)
        if visit.parts.accounts.account(name) is not None:
            raise Wrong("exists")
        make = partial(
            visit.parts.accounts.add,
            name,
            password,
            known,
            scope,
            person.strip() or None,
            one_time=True,
            actor=visit.user.name,
            now_ms=visit.now_ms,
        )
        await run_sync(make, limiter=AT_ONCE)
    except (Wrong, AccountError) as error:
        why = error.why if isinstance(error, AccountError) else str(error)
        return _list(visit, 400, complaint=visit.words(f"accounts.wrong_{why}"), asked_name=name, asked_role=role)
    return show(visit, "given.html", here="accounts", name=name, password=password, is_new=True)


@router.get("/accounts/one", dependencies=[needs("accounts")])
def one(visit: LoggedIn, name: str = "", done: str = "") -> Response:
    return _one(visit, _kept(visit, name), done=done if done in ("changed", "ended", "freed", "off", "on") else "")


@router.post("/accounts/one/rights", dependencies=[needs("accounts"), OurForm])
def change(
    visit: LoggedIn,
    places: Names,
    name: Annotated[str, Form()] = "",
    role: Annotated[str, Form()] = "",
    where: Annotated[str, Form()] = "",
    person: Annotated[str, Form()] = "",
) -> Response:
    account = _kept(visit, name)
    try:
        scope, known = _scope(visit, where, places), _role(role)
    except Wrong as error:
        return _one(visit, account, 400, complaint=visit.words(f"accounts.wrong_{error}"))
    me = visit.user.name
    _drop(
        visit,
        visit.parts.accounts.change(name, known, scope, person.strip() or None, actor=me, now_ms=visit.now_ms),
    )
    return _back(name, "changed")


@router.post("/accounts/one/password", dependencies=[needs("accounts"), OurForm])
async def give_password(visit: LoggedIn, name: Annotated[str, Form()] = "") -> Response:
    _kept(visit, name)
    give = partial(visit.parts.accounts.give_password, name, actor=visit.user.name, now_ms=visit.now_ms)
    given = await run_sync(give, limiter=AT_ONCE)
    if given is None:
        raise NotAllowed
    password, ended = given
    _drop(visit, ended)
    return show(visit, "given.html", here="accounts", name=name, password=password, is_new=False)


@router.post("/accounts/one/enable", dependencies=[needs("accounts"), OurForm])
def enable(visit: LoggedIn, name: Annotated[str, Form()] = "", enabled: Annotated[bool, Form()] = False) -> Response:
    _kept(visit, name)
    _drop(visit, visit.parts.accounts.enable(name, enabled=enabled, actor=visit.user.name, now_ms=visit.now_ms))
    return _back(name, "on" if enabled else "off")


@router.post("/accounts/one/end", dependencies=[needs("accounts"), OurForm])
def end(visit: LoggedIn, name: Annotated[str, Form()] = "") -> Response:
    """All its logins."""
    _kept(visit, name)
    _drop(visit, visit.parts.accounts.end(name, actor=visit.user.name, now_ms=visit.now_ms))
    return _back(name, "ended")


@router.post("/accounts/one/free", dependencies=[needs("accounts"), OurForm])
def free(visit: LoggedIn, name: Annotated[str, Form()] = "") -> Response:
    """From waiting after failures."""
    _kept(visit, name)
    visit.parts.accounts.free(name, actor=visit.user.name, now_ms=visit.now_ms)
    return _back(name, "freed")


@router.post("/accounts/one/remove", dependencies=[needs("accounts"), OurForm])
def remove(visit: LoggedIn, name: Annotated[str, Form()] = "") -> Response:
    _kept(visit, name)
    _drop(visit, visit.parts.accounts.end(name, actor=visit.user.name, now_ms=visit.now_ms))
    visit.parts.accounts.remove(name, actor=visit.user.name, now_ms=visit.now_ms)
    return elsewhere("/accounts?done=removed")


@router.get("/accounts/journal", dependencies=[needs("audit")])
def journal(visit: LoggedIn, about: str = "", name: str = "", before: Number | None = None) -> Response:
    """Of an auditor whose account counts somewhere alone, the lines of accounts there, and those by them."""
    visit.need("audit")
    events = [event for event in EVENTS if event.partition(".")[0] == about] if about in GROUPS else []
    lines = visit.parts.accounts.journal(
        events=events,
        names=spellings(name.strip()) if name.strip() else (),
        before_seq=before,
        limit=MOST_LINES,
        among=_names_seen(visit),
    )
    return show(
        visit,
        "journal.html",
        here="journal",
        lines=lines,
        groups=GROUPS,
        about=about if about in GROUPS else "",
        name=name,
        older=lines[-1].seq if len(lines) == MOST_LINES else None,
    )


def _names_seen(visit: Visit) -> Sequence[str] | None:
    """Of which accounts the journal tells to who asks; None: of all."""
    mine = visit.user
    if mine.scope == EVERYWHERE:
        return None
    return [account.user.name for account in visit.parts.accounts.list() if within(account.user.scope, mine.scope)]


def _list(visit: Visit, status: int = 200, *, complaint: str = "", done: str = "", **asked: object) -> Response:
    listed = [one for one in visit.parts.accounts.list() if within(one.user.scope, visit.user.scope)]
    values = {"asked_name": "", "asked_role": "worker", **asked}
    return show(
        visit,
        "accounts.html",
        status,
        here="accounts",
        complaint=complaint,
        accounts=listed,
        done=done,
        **_choices(visit),
        **values,
    )


def _one(visit: Visit, account: Account, status: int = 200, *, complaint: str = "", done: str = "") -> Response:
    name = account.user.name
    return show(
        visit,
        "one.html",
        status,
        here="accounts",
        complaint=complaint,
        account=account,
        done=done,
        logins=visit.parts.accounts.sessions(name, visit.now_ms),
        lines=visit.parts.accounts.journal(names=[name], limit=20),
        program=program_in_words,
        **_choices(visit),
    )


def _choices(visit: Visit) -> dict[str, object]:
    """The roles, and the places that may be given away."""
    visit.parts.sites.look()
    scope = visit.user.scope
    places = [
        (
            site_id,
            site.name,
            [(f"{site_id}/{grid}", one.name) for grid, one in site.grids.items() if scope.covers(site_id, grid)],
        )
        for site_id, site in visit.parts.sites.sites.items()
        if scope.covers(site_id)
    ]
    return {"roles": tuple(ROLES), "places": places, "everywhere": scope == EVERYWHERE, "whole_sites": not scope.grids}


def _kept(visit: Visit, name: str) -> Account:
    """The account, if it is one that the visitor may keep. Raises NotAllowed, also for one that isn't there."""
    account = visit.parts.accounts.account(name)
    if account is None or not may_keep(visit.user, account.user):
        raise NotAllowed
    return account


def _role(text: str) -> Role:
    if text not in _ROLES:
        raise Wrong("role")
    return _ROLES[text]


def _scope(visit: Visit, where: str, places: Sequence[str]) -> Scope:
    """What is ticked. A grid alone brings its site; a site that is ticked beside its grids counts as those grids."""
    if where == "everywhere":
        scope = EVERYWHERE
    elif not places:
        raise Wrong("place")
    else:
        parts = [place.partition("/") for place in places]
        if not all(is_identifier(site) and (not slash or is_identifier(grid)) for site, slash, grid in parts):
            raise Wrong("place")
        scope = Scope(
            tuple(dict.fromkeys(site for site, _, _ in parts)),
            tuple(dict.fromkeys(place for place, (_, slash, _) in zip(places, parts, strict=True) if slash)),
        )
    if not within(scope, visit.user.scope):
        raise NotAllowed
    whole = {place for place in places if "/" not in place}
    if scope.grids and whole - {grid.partition("/")[0] for grid in scope.grids}:
        raise Wrong("mixed")  # one whole site and a part of another: the grids would shut the first one out
    return scope


def _drop(visit: Visit, sessions: Sequence[str]) -> None:
    """Open pages of these sessions learn at once that something is different."""
    for session in sessions:
        visit.parts.feed.drop(session)


def _back(name: str, done: str) -> Response:
    return elsewhere(f"/accounts/one?name={quote(name, safe='')}&done={done}")
