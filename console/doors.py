"""The routes that need no login: the way in, and whether the console is well. And the way out."""

from functools import partial
from math import ceil
from typing import Annotated

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import PlainTextResponse, Response

from console.access.rim import SESSION_COOKIE
from console.access.sessions import LIFE_MS, Session
from console.accounts import BROWSER_MS, TooSoon
from console.look import LETTERS_COOKIE, THEME_COOKIE
from console.visit import (
    BROWSER_COOKIE,
    LANGUAGE_COOKIE,
    VISIT_COOKIE,
    YEAR_S,
    AnyVisit,
    LoggedIn,
    NotOurForm,
    OurForm,
    Visit,
    address_of,
    elsewhere,
    logged_in,
    our_form,
)

router = APIRouter()

AT_ONCE = CapacityLimiter(2)
"""Password hashes at a time: 19 MiB and 50 ms each. A flood of logins must not take the threads of the buttons."""


@router.get("/login")
def login_page(visit: AnyVisit, request: Request, to: str = "/") -> Response:
    if visit.session:
        return elsewhere(to)
    response = visit.page("login.html", to=to, name="", complaint="")
    if "x-asked" in request.headers:
        # a module of a page whose login is over: the browser shows its own answer, and its form would be bound to ours
        del response.headers["set-cookie"]
    return response


@router.post("/login")
async def log_in(
    visit: AnyVisit,
    request: Request,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    token: Annotated[str, Form()] = "",
    to: Annotated[str, Form()] = "/",
) -> Response:
    def again(complaint: str, status: int) -> Response:
        return visit.page("login.html", status, to=to, name=name, complaint=complaint)

    try:
        our_form(visit, request, token)
    except NotOurForm:
        return again(visit.words("login.expired"), 403)
    attempt = partial(
        visit.parts.accounts.log_in,
        name,
        password,
        address_of(request),
        visit.now_ms,
        browser=request.cookies.get(BROWSER_COOKIE, ""),
        program=request.headers.get("user-agent", ""),
    )
    result = await run_sync(attempt, limiter=AT_ONCE)
    if isinstance(result, TooSoon):
        seconds = ceil(result.wait_s)
        response = again(visit.words("login.wait", seconds=seconds), 429)
        response.headers["Retry-After"] = str(seconds)
        return response
    if result is None:
        return again(visit.words("login.wrong"), 401)
    return _admitted(visit, result, to)


@router.post("/logout", dependencies=[Depends(logged_in), OurForm])
def log_out(visit: LoggedIn) -> Response:
    assert visit.session
    for session_id in visit.parts.accounts.log_out(visit.session, visit.now_ms):
        visit.parts.feed.drop(session_id)
    response = elsewhere("/login")
    response.delete_cookie(SESSION_COOKIE)
    return response


@router.get("/look")
def look(visit: AnyVisit, back: str = "/") -> Response:
    """Light, dark or as the system is set, large type, and the language: kept in this browser. Back to the page as it was."""
    response = elsewhere(back)
    if visit.language_chosen:
        visit.keep(response, LANGUAGE_COOKIE, visit.language, YEAR_S)
    visit.keep(response, THEME_COOKIE, visit.look.theme, YEAR_S)
    visit.keep(response, LETTERS_COOKIE, visit.look.letters, YEAR_S)
    return response


@router.get("/healthz")
async def health(request: Request) -> PlainTextResponse:
    """For a supervisor: whether the console sees the rules' database."""
    alive = request.app.state.parts.feed.alive
    return PlainTextResponse("ok\n" if alive else "the rules' database is away\n", 200 if alive else 503)


def _admitted(visit: Visit, session: Session, to: str) -> Response:
    response = elsewhere("/w/" if to == "/" and session.user.role == "worker" else to)
    visit.keep(response, SESSION_COOKIE, session.token, LIFE_MS[session.user.role] // 1000)
    assert session.browser
    visit.keep(response, BROWSER_COOKIE, session.browser, BROWSER_MS // 1000)
    response.delete_cookie(VISIT_COOKIE)
    return response
