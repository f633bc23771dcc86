"""What every request passes before it is read, and every answer before it goes: patience with slow bodies, https for good, the new token of a login.

Sizes and sorts of bodies are `console.app`'s affair. Slow heads are the web server's, and a reverse proxy's.
"""

import asyncio
from http.cookies import SimpleCookie

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.access.sessions import LIFE_MS, Session

SESSION_COOKIE = "gridcall_session"
FRESH = "gridcall.fresh"
"""Where a request's scope carries the session whose token is to be replaced."""

PATIENCE_S = 15.0
SLOWEST_BYTES_S = 8_000
"""A body has so long, and a second more for each so many bytes: a photo over a weak network, but no drip."""
_HSTS = (b"strict-transport-security", b"max-age=31536000")


class Rim:
    """Put outside of everything that reads a request."""

    def __init__(self, app: ASGIApp, *, hsts: bool = False, patience_s: float = PATIENCE_S) -> None:
        self._app = app
        self._hsts = hsts
        self._patience_s = patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._patience_s + _length(scope) / SLOWEST_BYTES_S)

        async def outwards(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [_HSTS] if self._hsts and scope["scheme"] == "https" else []
                if body.too_slow:
                    message["status"] = 408
                    more.append((b"connection", b"close"))
                headers = list(message.get("headers", ()))
                session: Session | None = scope.get(FRESH)
                if session and session.fresh and not any(_is_session_cookie(header) for header in headers):
                    max_age_s = LIFE_MS[session.user.role] // 1000
                    cookie = session_cookie(session.fresh, max_age_s, secure=scope["scheme"] == "https")
                    more.append((b"set-cookie", cookie.encode()))
                message["headers"] = [*headers, *more]
            await send(message)

        await self._app(scope, body.receive, outwards)


class _Body:
    """A request's body, as long as it comes in time; after that, a client who is gone."""

    def __init__(self, receive: Receive, within_s: float) -> None:
        self._receive = receive
        self._until_s = asyncio.get_running_loop().time() + within_s
        self._whole = False
        self.too_slow = False

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until_s):
                message = await self._receive()
        except TimeoutError:
            self.too_slow = True
            return {"type": "http.disconnect"}
        self._whole = not message.get("more_body", False)
        return message


def session_cookie(token: str, max_age_s: int, *, secure: bool) -> str:
    """The header's text."""
    cookie = SimpleCookie({SESSION_COOKIE: token})
    cookie[SESSION_COOKIE] |= {"max-age": max_age_s, "path": "/", "httponly": True, "samesite": "lax", "secure": secure}
    return cookie.output(header="").strip()


def has_nul(scope: Scope) -> bool:
    """Whether the address holds the one character for which PostgreSQL has no room: nothing is there under such a name, and no page makes one."""
    return "\x00" in scope["path"] or b"%00" in scope["query_string"]


def _is_session_cookie(header: tuple[bytes, bytes]) -> bool:
    return header[0].lower() == b"set-cookie" and header[1].startswith(f"{SESSION_COOKIE}=".encode())


def _length(scope: Scope) -> int:
    value: bytes = dict(scope["headers"]).get(b"content-length", b"0")
    return min(int(value), 2**30) if value.isdigit() and len(value) < 12 else 0
