"""One's own account: who one is here, where one is logged in, and the password."""

from functools import partial
from math import ceil
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from console.access.frame import program_in_words, show
from console.access.passwords import LEAST, MOST
from console.accounts import AccountError, TooSoon
from console.doors import AT_ONCE
from console.visit import LoggedIn, OurForm, Visit, address_of, elsewhere, logged_in

router = APIRouter(dependencies=[Depends(logged_in)])


@router.get("/account")
def account(visit: LoggedIn, done: str = "") -> Response:
    assert visit.session
    return show(
        visit,
        "own.html",
        here="own",
        logins=visit.parts.accounts.sessions(visit.user.name, visit.now_ms),
        own_id=visit.session.id,
        password_at_ms=visit.session.password_at_ms,
        password_days=visit.parts.config.access.password_days,
        program=program_in_words,
        done=done if done in ("password", "ended") else "",
    )


@router.post("/account/sessions/end", dependencies=[OurForm])
def end(visit: LoggedIn, session: Annotated[str, Form()] = "") -> Response:
    """One of one's own logins, or without a name all but this one."""
    assert visit.session
    own = visit.session
    only, but = (session, None) if session else (None, own.id)
    for ended in visit.parts.accounts.end(own.user.name, only=only, but=but, actor=own.user.name, now_ms=visit.now_ms):
        visit.parts.feed.drop(ended)
    return elsewhere("/account?done=ended")


@router.get("/account/password")
def password_page(visit: LoggedIn) -> Response:
    return _password_page(visit)


@router.post("/account/password", dependencies=[OurForm])
async def change_password(
    visit: LoggedIn,
    request: Request,
    old: Annotated[str, Form()] = "",
    new: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
) -> Response:
    assert visit.session
    if new != again:
        return _password_page(visit, "password.differ", 400)
    change = partial(visit.parts.accounts.change_password, visit.session, old, new, address_of(request), visit.now_ms)
    try:
        result = await run_sync(change, limiter=AT_ONCE)
    except AccountError as error:
        return _password_page(visit, f"password.{error.why}", 400)
    if isinstance(result, TooSoon):
        return _password_page(visit, "login.wait", 429, seconds=ceil(result.wait_s))
    if result is None:
        return _password_page(visit, "password.wrong", 403)
    for ended in result:
        visit.parts.feed.drop(ended)
    return elsewhere("/account?done=password")


def _password_page(visit: Visit, complaint: str = "", status: int = 200, **values: object) -> Response:
    """Outside of the shell: it also serves those who may go nowhere else yet."""
    said = visit.words(complaint, least=LEAST, most=MOST, **values) if complaint else ""
    assert visit.session
    return visit.page(
        "access/password.html",
        status,
        complaint=said,
        least=LEAST,
        most=MOST,
        due=visit.password_is_due,
        given=visit.session.one_time,
    )
