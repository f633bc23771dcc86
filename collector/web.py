"""The collector's own pages, for programs and whoever looks after it: /metrics, /healthz, /readyz, /presence, /ledger,
/quarantine.

No reading and no secret is in them; all the same, `address` should stay on loopback or a network for monitoring. What lies in quarantine
is shown and acted upon below /quarantine/ for whoever has the token (`collector.quarantine.web`).
"""

import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.quarantine.web import Hands, routes
from collector.stores.base import StoreError
from messages.language import Phrase
from messages.settings import ConfigError

STOP_WITHIN_S = 1
JSON = "application/json"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Windows:
    """What may be looked at."""

    metrics: Callable[[], bytes]
    troubles: Callable[[], Sequence[str]]
    """Why the collector can't do its work now; empty if it can."""
    remarks: Callable[[], Sequence[str]]
    """What somebody should mend, though the collector works."""
    presence: Callable[[], Sequence[Mapping[str, object]]]
    ledger: Callable[[], Sequence[Mapping[str, object]]]
    quarantine: Callable[[], Awaitable[Sequence[Mapping[str, object]]]]
    """Counts by reason and device. Raises StoreError."""
    hands: Hands | None = None
    """None: the quarantine can't be opened from here."""


def app(windows: Windows) -> Starlette:
    async def metrics(_: Request) -> Response:
        return Response(windows.metrics(), media_type=PROMETHEUS)

    async def healthz(_: Request) -> Response:
        return Response("alive\n", media_type="text/plain")

    async def readyz(_: Request) -> Response:
        troubles = windows.troubles()
        words = [*(troubles or ["ready"]), *windows.remarks()]
        return Response("\n".join(words) + "\n", 503 if troubles else 200, media_type="text/plain")

    async def presence(_: Request) -> Response:
        return Response(orjson.dumps(windows.presence()), media_type=JSON)

    async def ledger(_: Request) -> Response:
        return Response(orjson.dumps(windows.ledger()), media_type=JSON)

    async def quarantine(_: Request) -> Response:
        try:
            return Response(orjson.dumps(await windows.quarantine()), media_type=JSON)
        except StoreError as error:
            return Response(f"{error}\n", 503, media_type="text/plain")

    pages = (metrics, healthz, readyz, presence, ledger, quarantine)
    return Starlette(routes=[*(Route(f"/{page.__name__}", page) for page in pages), *routes(windows.hands)])


def bound(address: str, port: int) -> socket.socket:
    """The socket to serve on. Raises ConfigError when the address can't be had."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family)
    except OSError as error:
        why = Phrase(os.strerror(error.errno) if error.errno else str(error))
        raise ConfigError("web: {address}:{port}: {why}", address=address, port=port, why=why) from error


async def serve(windows: Windows, listening: socket.socket) -> None:
    """Until cancelled."""
    server = _Server(
        uvicorn.Config(
            app(windows),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_WITHIN_S,
        )
    )
    try:
        await server.serve([listening])
    finally:
        server.should_exit = True


class _Server(uvicorn.Server):
    """Leaves the signals to the program."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
