"""Who asks, in which language, and whether the form they sent is ours: what every route wants to know first.

The login is a cookie with a random token that scripts can't read. A form is believed when three things agree: the
browser says that it was sent from our own page (Origin), its hidden token is bound to the cookie (`form_token`), and
the cookie is SameSite=Lax. Before the login the cookie of the visit takes the place of the session's.
"""

import hmac
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from console.access.journal import Line
from console.access.rim import FRESH, SESSION_COOKIE
from console.access.sessions import DAY_MS, Session
from console.accounts import Accounts, form_token
from console.config import Config
from console.feed import Feed
from console.fragments import Fragments
from console.history import History
from console.look import LETTERS_COOKIE, THEME_COOKIE, Look, look_of
from console.plant.parts import Plant
from console.rights import Right, User
from console.words import LANGUAGES, Words, preferred
from messages.language import Language
from rules.desk import Desk
from rules.duty.folder import SiteFolder

VISIT_COOKIE, LANGUAGE_COOKIE, BROWSER_COOKIE = "gridcall_visit", "gridcall_language", "gridcall_browser"
PASSWORD_PAGE = "/account/password"  # noqa: S105 - a path
YEAR_S = 365 * 24 * 3600
CHOICES = ("language", "theme", "letters")
"""Fields of an address that choose how any page is shown, and stay chosen."""


class NotLoggedIn(Exception):
    """The page needs a login. Answered with the way to it."""


class PasswordTooOld(Exception):
    """Whoever is logged in has to choose a password first. Answered with the way to it."""


class NotAllowed(Exception):
    """Whoever is logged in may not do this, or not there."""


class NotOurForm(Exception):
    """The form came from elsewhere, or from a page that is too old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the routes work with; `app.state.parts`."""

    config: Config
    desk: Desk
    history: History
    accounts: Accounts
    fragments: Fragments
    feed: Feed
    sites: SiteFolder
    """Places and people; `look()` before reading, it sees what has changed on disk."""
    plant: Plant
    clock_ms: Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request. `secret` is what its forms are bound to."""

    parts: Parts
    path: str
    back: str
    """The page that is read, to come back to it: path and query. Of the answer to a form: the page on which the form stood."""
    now_ms: int
    language: Language
    language_chosen: bool
    secure: bool
    secret: str
    session: Session | None
    look: Look
    look_chosen: bool

    @property
    def user(self) -> User:
        """Who is logged in; only behind `logged_in`."""
        assert self.session
        return self.session.user

    @property
    def actor(self) -> str:
        """The name under which the log of cases knows whoever is logged in: by link, by phone and at the desk the same."""
        return self.user.person_id

    def need(self, right: Right, site: str | None = None, grid: str | None = None) -> None:
        """Raises NotAllowed. Without a site: somewhere is enough."""
        if not (self.user.may(right) if site is None else self.user.may_at(right, site, grid)):
            raise NotAllowed

    @property
    def password_is_due(self) -> bool:
        """Whether another password must be chosen before anything else."""
        days = self.parts.config.access.password_days
        if self.session is None:
            return False
        old = days is not None and self.now_ms - self.session.password_at_ms > days * DAY_MS
        return self.session.one_time or old

    @property
    def words(self) -> Words:
        return self.parts.fragments.words(self.language)

    def page(self, template: str, status: int = 200, **values: object) -> HTMLResponse:
        """`template` as the answer, with what every page shows.

        `again` among the values: the fields of the form that it answers, if sending them once more shows the same page in another look or
        language."""
        content = self.parts.fragments.page(
            template,
            self.language,
            self.now_ms,
            path=self.path,
            back=self.back,
            user=self.session.user if self.session else None,
            form_token=form_token(self.secret),
            theme=self.look.theme,
            letters=self.look.letters,
            **{"again": None, **values},
        )
        response = HTMLResponse(content, status)
        if self.language_chosen:
            self.keep(response, LANGUAGE_COOKIE, self.language, YEAR_S)
        if self.look_chosen:
            self.keep(response, THEME_COOKIE, self.look.theme, YEAR_S)
            self.keep(response, LETTERS_COOKIE, self.look.letters, YEAR_S)
        if not self.session:
            self.keep(response, VISIT_COOKIE, self.secret)
        return response

    def keep(self, response: Response, cookie: str, value: str, max_age_s: int | None = None) -> None:
        response.set_cookie(cookie, value, max_age_s, httponly=True, samesite="lax", secure=self.secure)


def visit(request: Request) -> Visit:
    """The request of anybody."""
    parts: Parts = request.app.state.parts
    now_ms = parts.clock_ms()
    token = request.cookies.get(SESSION_COOKIE, "")
    session = parts.accounts.session(token, now_ms, address_of(request)) if token else None
    if session and session.fresh:
        request.scope[FRESH] = session
    return visit_as(request, session, now_ms)


def visit_as(request: Request, session: Session | None, now_ms: int) -> Visit:
    """The same when it is known who asks, or does not matter. Asks nobody."""
    parts: Parts = request.app.state.parts
    chosen, kept = language_of(request.query_params.get("language")), look_of(request.cookies)
    look = kept.changed(request.query_params)
    return Visit(
        parts=parts,
        path=request.url.path,
        back=page_of(request),
        now_ms=now_ms,
        language=chosen
        or language_of(request.cookies.get(LANGUAGE_COOKIE))
        or preferred(request.headers.get("accept-language", "")),
        language_chosen=chosen is not None,
        secure=request.url.scheme == "https",
        secret=session.form if session else request.cookies.get(VISIT_COOKIE) or secrets.token_urlsafe(32),
        session=session,
        look=look,
        look_chosen=look != kept,
    )


AnyVisit = Annotated[Visit, Depends(visit)]


async def logged_in(any_visit: AnyVisit) -> Visit:
    """`let_in` as a dependency of routes. No plain function: one that asks nobody needs no thread, whose turn it would have to wait for."""
    return let_in(any_visit)


def let_in(any_visit: Visit) -> Visit:
    """The request of somebody who is logged in. Raises NotLoggedIn, PasswordTooOld."""
    if any_visit.session is None:
        raise NotLoggedIn
    if any_visit.password_is_due and any_visit.path not in (PASSWORD_PAGE, "/logout"):
        raise PasswordTooOld
    return any_visit


LoggedIn = Annotated[Visit, Depends(logged_in)]
Number = Annotated[int, Query(ge=0, lt=2**53)]
"""In an address, of something that is counted: databases know no larger ones, and lists no negative ones."""


def our_form(any_visit: AnyVisit, request: Request, token: Annotated[str, Form()] = "") -> None:
    """Raises NotOurForm. For every route that changes something."""
    our_request(request)
    if not hmac.compare_digest(token.encode(), form_token(any_visit.secret).encode()):
        raise NotOurForm


def our_request(request: Request) -> None:
    """Raises NotOurForm for what the browser says comes from elsewhere."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):  # an origin has no path
        raise NotOurForm
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise NotOurForm


OurForm = Depends(our_form)


def needs(right: Right) -> Any:
    """A dependency of routes: only who has the right comes in. Where the thing lies is asked with `Visit.need`."""

    async def check(visit: LoggedIn) -> None:
        visit.need(right)

    return Depends(check)


def address_of(request: Request) -> str:
    """From where it comes, as far as the proxies in between are trusted."""
    return request.client.host if request.client else ""


def refuse(visit: Visit, request: Request, words: str, actor: str | None = None) -> None:
    """Write down that somebody was refused, if it is known who asked. `actor`: by which name, if he isn't logged in."""
    who = visit.user.name if visit.session else actor
    if who is None:
        return
    line = Line(at_ms=visit.now_ms, event="refused", actor=who, address=address_of(request), detail=words)
    with suppress(sqlite3.OperationalError):
        visit.parts.accounts.note(line)


def wants_json(request: Request) -> bool:
    """Whether our own module asks, not a browser's address line."""
    return "application/json" in request.headers.get("accept", "")


def elsewhere(path: str) -> RedirectResponse:
    """On to another of our pages; what isn't a path of ours leads to the feed."""
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return RedirectResponse(path if ours else "/", 303)


def page_of(request: Request) -> str:
    """Where somebody is, to come back to: the page asked for, or the one from which a form was sent. A choice that its address made is
    not part of it."""
    if request.method in ("GET", "HEAD"):
        path, query = request.scope.get("raw_path", b"").decode("latin-1"), request.url.query
    else:
        came = urlsplit(request.headers.get("referer", ""))
        path, query = (came.path, came.query) if came.netloc == request.headers.get("host") else ("", "")
    kept = "&".join(field for field in query.split("&") if field.partition("=")[0] not in CHOICES)
    return (path or "/") + (f"?{kept}" if kept else "")


def language_of(text: str | None) -> Language | None:
    """None for one that we don't speak."""
    return next((language for language in LANGUAGES if language == text), None)
