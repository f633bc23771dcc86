"""The connection below a request, for the live feed: a thousand pages hear the same bytes, and each way through the web server costs more than the write.

Only for answers in chunks, of which the server keeps no count. Whoever writes here leaves the head and the end of the answer to it.
"""

import asyncio

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

_WIRE = "gridcall.wire"


class Protocol(H11Protocol):
    """The web server's own, which lets a request know its connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, _WIRE: transport}


def wire_of(request: Request) -> asyncio.Transport | None:
    """None where answers have no chunks (HTTP/1.0), or another server serves."""
    wire: asyncio.Transport | None = request.scope.get("state", {}).get(_WIRE)
    return wire if request.scope["http_version"] == "1.1" else None
