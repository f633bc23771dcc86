"""Who calls: the token of a request, and what it may do where. A refusal is logged with the token's name."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from console.access.journal import Line
from console.accounts import Accounts
from console.api.problem import Problem
from console.tokens import Token, TokenRight, Tokens
from messages.ids import SiteId
from messages.kind import Kinds
from rules.desk import Desk
from rules.duty.folder import SiteFolder
from rules.duty.site import Site
from rules.outside.reading import Sites

log = structlog.get_logger("api")


@dataclass(frozen=True, slots=True, kw_only=True)
class Works:
    """What the routes work with; `app.state.works`."""

    desk: Desk
    tokens: Tokens
    kinds: Kinds
    sites: SiteFolder
    accounts: Accounts
    clock_ms: Callable[[], int]

    def site_of(self, site: str) -> Site | None:
        """A site's file as it lies there now."""
        self.sites.look()
        return self.sites.sites.get(SiteId(site))

    def note(self, actor: str, what: str, address: str, now_ms: int) -> None:
        """A refusal, for the journal of access. A full disk must not turn it into something else."""
        log.warning("refused", actor=actor, what=what)
        line = Line(at_ms=now_ms, event="refused", actor=actor, address=address, detail=what)
        with suppress(sqlite3.OperationalError):
            self.accounts.note(line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One request with a token that holds."""

    works: Works
    token: Token
    address: str
    now_ms: int

    @property
    def desk(self) -> Desk:
        return self.works.desk

    @property
    def sites(self) -> Sites:
        """None: every site."""
        return self.token.scope.sites or None

    @property
    def actor(self) -> str:
        return self.token.actor

    def refused(self, what: str) -> None:
        """Write down that the token went beyond what it may."""
        self.works.note(f"api:{self.token.name}", what, self.address, self.now_ms)

    def at(self, site: str, field: str) -> None:
        """Raises Problem where the token does not count."""
        if not self.token.scope.covers(site):
            self.refused(f"site {site}")
            raise Problem(403, "the token does not count at this site", fields=[(field, "not a site of this token")])


_BEARER = HTTPBearer(auto_error=False, scheme_name="token", description="`gridcall console token add` makes one.")


def works(request: Request) -> Works:
    found = request.app.state.works
    assert isinstance(found, Works)
    return found


def any_caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Caller:
    """Raises Problem 401."""
    ours = works(request)
    now_ms = ours.clock_ms()
    address = request.client.host if request.client else ""
    token = ours.tokens.find(credentials.credentials, now_ms) if credentials else None
    if token is None:
        if credentials:
            ours.note("api", f"a token that does not hold: {request.method} {request.url.path}", address, now_ms)
        detail = "a token is wanted: Authorization: Bearer gct_…"
        fields = [("header.authorization", "missing, unknown, revoked or expired")]
        raise Problem(401, detail, fields=fields, headers={"www-authenticate": "Bearer"})
    return Caller(works=ours, token=token, address=address, now_ms=now_ms)


AnyCaller = Annotated[Caller, Depends(any_caller)]


def _with(*rights: TokenRight) -> Any:
    """Any one of them is enough."""

    def check(caller: AnyCaller, request: Request) -> Caller:
        if not any(map(caller.token.may, rights)):
            words = " or ".join(rights)
            caller.refused(f"right {words}: {request.method} {request.url.path}")
            raise Problem(403, f"the token has no right to {words}", reason=f"right-{rights[0]}")
        return caller

    return Depends(check)


Reader = Annotated[Caller, _with("read")]
Reporter = Annotated[Caller, _with("report")]
Actor = Annotated[Caller, _with("act")]
Dispatcher = Annotated[Caller, _with("dispatch")]
Admin = Annotated[Caller, _with("admin")]
PhotoBringer = Annotated[Caller, _with("report", "act")]
