"""The console's parts, put together: wiring, answers to what went wrong, and the headers of every answer."""

import re
from collections.abc import Callable, MutableMapping
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from collector.stores.base import Store
from console import doors, routes
from console.access import keeping, own, people
from console.access.household import REASONS, masking
from console.access.rim import Rim, has_nul
from console.accounts import Accounts
from console.api import app as api
from console.api import problem
from console.api.caller import Works
from console.called import Called
from console.config import Config
from console.feed import Feed
from console.files import Files
from console.fragments import Fragments
from console.history import History
from console.operator import case
from console.operator import pages as operator_pages
from console.phone import acts, offline, pages, pictures
from console.phone import asked as questions
from console.phone.holder import LinkOver, NoSuchCase
from console.plant import pages as plant_pages
from console.plant.drill_pages import DrillWatch
from console.plant.parts import plant_of
from console.rosters import Rosters, wrong_files
from console.tokens import Tokens
from console.visit import (
    PASSWORD_PAGE,
    NotAllowed,
    NotLoggedIn,
    NotOurForm,
    Parts,
    PasswordTooOld,
    Visit,
    elsewhere,
    page_of,
    refuse,
    visit,
    visit_as,
    wants_json,
)
from console.words import load_words
from messages.kind import Kinds
from rules.cases.photos import MOST_BYTES
from rules.desk import Desk
from rules.store.database import DatabaseAway

BY_LINK = "/c/"
"""Who came by a link that opens nothing, in the journal."""
MOST_BODY_BYTES = 64 * 1024
MOST_SHEET_BYTES = 1024 * 1024
"""A whole roster, or the rules of a kind, in a form's field; Chinese letters are nine bytes there."""
_SHEETS = re.compile(r"/roster/[^/]+/sheet|/dry-runs")
_NUMBER = re.compile(rb"[0-9a-z]{1,40}")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "worker-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    # Not no-referrer: with it browsers send "Origin: null" with our own forms, and nothing could be checked.
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_OF_PAGES = {
    "permissions-policy": "camera=(self), microphone=(), geolocation=(self), payment=(), usb=(), serial=()",
}
"""What a browser heeds of a page alone. A phone's first load asks for some forty files, each with its headers."""


def build(
    config: Config,
    *,
    kinds: Kinds,
    desk: Desk,
    store: Store,
    accounts: Accounts,
    sites: Rosters,
    clock_ms: Callable[[], int],
) -> FastAPI:
    """The web application. `app.state.parts.feed.run()` must run beside it (see `console.server`)."""
    fragments = Fragments(load_words(config.zone), kinds, config.site_name)
    fragments.drills = DrillWatch(desk, clock_ms).now
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.parts = Parts(
        config=config,
        desk=desk,
        history=History(store),
        accounts=accounts,
        fragments=fragments,
        feed=Feed(desk, fragments, clock_ms),
        sites=sites,
        plant=plant_of(config, desk),
        clock_ms=clock_ms,
    )
    sites.look()
    fragments.offer(
        household=masking(sites), look_reasons=REASONS, called=Called(sites), wrong_files=partial(wrong_files, sites)
    )
    works = Works(
        desk=desk, tokens=Tokens(config.accounts), accounts=accounts, kinds=kinds, sites=sites, clock_ms=clock_ms
    )
    app.mount(api.PATH, api.build(works))
    app.mount("/static", Files(directory=Path(str(files("console"))) / "static"), name="static")
    app.router.routes.extend(_rooms())
    app.state.uploads = pictures.Uploads()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=config.access.known_hosts, www_redirect=False)
    app.add_middleware(_Guard)
    app.add_middleware(Rim, hsts=config.access.hsts)
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=config.access.trusted_proxies)
    app.add_exception_handler(NotLoggedIn, _to_login)
    app.add_exception_handler(PasswordTooOld, _to_password)
    app.add_exception_handler(NotAllowed, lambda request, _: _not_theirs(request, "right", "error.not_allowed"))
    app.add_exception_handler(NotOurForm, lambda request, _: _not_theirs(request, "form"))
    app.add_exception_handler(routes.NoSuchAlarm, _not_shown("alarm.not_found"))
    app.add_exception_handler(NoSuchCase, _not_shown("phone.no_case"))
    app.add_exception_handler(LinkOver, _link_over)
    app.add_exception_handler(case.NoSuchCase, _not_shown("refused.unknown"))
    app.add_exception_handler(RequestValidationError, lambda request, _: _sorry(request, 400))
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(DatabaseAway, lambda request, _: _sorry(request, 503))
    app.add_exception_handler(Exception, _failed)
    return app


@cache
def _rooms() -> tuple[BaseRoute, ...]:
    """The routes of all pages, once for a process: what each of them asks is worked out when a request first walks past it."""
    together = APIRouter()
    for router in (doors.router, routes.router, *operator_pages.ROUTERS, *plant_pages.ROUTERS):
        together.include_router(router)
    for room in (own, keeping, people, pages, acts, questions, pictures, offline):
        together.include_router(room.router)
    return tuple(together.routes)


class _Guard:
    """Every answer carries the headers; no request carries more than a form needs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message, asked=_asked(scope), file=scope["path"].startswith("/static/"))
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif has_nul(scope):
            await Response(status_code=400)(scope, receive, with_headers)
        elif scope["path"].startswith(f"{api.PATH}/"):  # it looks after itself: its bodies are no forms
            await self._app(scope, receive, with_headers)
        elif _too_large(scope):
            await Response(status_code=413)(scope, receive, with_headers)
        elif not _is_form(scope):
            await Response(status_code=415)(scope, receive, with_headers)
        else:
            await self._app(scope, receive, with_headers)


def _add_headers(message: MutableMapping[str, Any], *, asked: bytes, file: bool) -> None:
    more = _HEADERS | ({"cache-control": "no-cache"} if file else {"cache-control": "no-store"} | _OF_PAGES)
    message["headers"] = [*message.get("headers", ()), *((k.encode(), v.encode()) for k, v in more.items())]
    if asked:
        message["headers"].append((b"x-asked", asked))


def _asked(scope: Scope) -> bytes:
    """The number that our modules give a question, sent back: so they know that it was we who answered, and not before it was asked."""
    number: bytes = dict(scope["headers"]).get(b"x-asked", b"")
    return number if _NUMBER.fullmatch(number) else b""


def _too_large(scope: Scope) -> bool:
    """Also of unknown length: no browser sends a form in chunks."""
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    sheet = _SHEETS.fullmatch(scope["path"]) is not None
    most = MOST_BYTES if _takes_photo(scope) else MOST_SHEET_BYTES if sheet else MOST_BODY_BYTES
    return b"transfer-encoding" in headers or not length.isdigit() or int(length) > most


def _is_form(scope: Scope) -> bool:
    """As our own pages send it, or nothing. A multipart body may hold files, which would be written to the disk."""
    content_type: bytes = dict(scope["headers"]).get(b"content-type", b"")
    sort = content_type.partition(b";")[0].strip().lower()
    return sort in ((b"application/x-www-form-urlencoded", b"") if not _takes_photo(scope) else pictures.SORTS)


def _takes_photo(scope: Scope) -> bool:
    return pictures.takes(scope["method"], scope["path"])


def _to_login(request: Request, _: Exception) -> Response:
    if "text/html" not in request.headers.get("accept", ""):
        return Response(status_code=401)
    path = page_of(request)
    return elsewhere("/login" if path == "/" else f"/login?to={quote(path, safe='/')}")


def _to_password(request: Request, _: Exception) -> Response:
    if "text/html" not in request.headers.get("accept", ""):
        return _sorry(request, 403, "error.password")
    return elsewhere(PASSWORD_PAGE)


def _not_theirs(request: Request, why: str, key: str | None = None) -> Response:
    """Refused, and written down if it is known who asked."""
    asked = visit(request)
    refuse(asked, request, f"{why}: {request.method} {request.url.path}")
    return _answer(asked, request, 403, key)


def _not_shown(key: str) -> Callable[[Request, Exception], Response]:
    """Nothing is there, as far as who asks may know; what lies outside of his places is written down."""

    def answer(request: Request, error: Exception) -> Response:
        if error.args == (True,):
            refuse(visit(request), request, f"place: {request.method} {request.url.path}")
        return _sorry(request, 404, key)

    return answer


def _link_over(request: Request, _: Exception) -> Response:
    asked = visit(request)
    refuse(
        asked, request, f"link: {request.method}", actor=BY_LINK
    )  # not which: a link in a journal would be one more copy
    if wants_json(request):
        return JSONResponse({"complaint": asked.words("phone.link_over")}, 410)
    return asked.page("phone/gone.html", 410, why="phone.link_over", link=True)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if request.url.path.startswith(f"{api.PATH}/"):  # a path with a line break, which leads to no mount
        return problem.of_status(request, error)
    return _sorry(request, error.status_code)


def _failed(request: Request, _: Exception) -> Response:
    """The web server logs it; this answer goes out above `_Guard`. It asks no database: that may be what failed."""
    if request.url.path.startswith(f"{api.PATH}/"):
        return problem.failed(request, _)
    response = _answer(visit_as(request, None, request.app.state.parts.clock_ms()), request, 500)
    response.headers.update(_HEADERS | _OF_PAGES | {"cache-control": "no-store"})
    return response


def _sorry(request: Request, status: int, key: str | None = None) -> Response:
    """What went wrong, in words."""
    return _answer(visit(request), request, status, key)


def _answer(asked: Visit, request: Request, status: int, key: str | None = None) -> Response:
    text_key = key or f"error.{status}"
    complaint = asked.words(text_key if text_key in asked.words else "error.400")
    if wants_json(request):
        return JSONResponse({"complaint": complaint}, status)
    return asked.page("error.html", status, complaint=complaint)
