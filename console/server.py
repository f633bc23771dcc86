"""Serving the console for as long as the program lives: the web server, the feed beside it, and an end in good order.

A server with an open event stream would never stop by itself, so the streams are ended first.
"""

import asyncio
import gc
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from fastapi import FastAPI

from console.access.ending import watching as watch_logins
from console.access.forgetting import forgetting as forget_daily
from console.config import Listen
from console.wire import Protocol
from messages.language import Phrase
from messages.settings import ConfigError

STOP_WITHIN_S = 2
DEAF_MS = 10_000
"""Of what was sent to a page nothing arrives for so long: its connection ends, else what it doesn't read would be kept for hours."""

log = structlog.get_logger("console")


def bound(listen: Listen) -> socket.socket:
    """The socket to serve on. Raises ConfigError when the address can't be had."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        made = socket.create_server((listen.host, listen.port), family=family, backlog=2048)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # those that are accepted inherit it
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAF_MS)
        return made
    except OSError as error:
        why = Phrase(os.strerror(error.errno) if error.errno else str(error))
        raise ConfigError("listen: {host}:{port}: {why}", host=listen.host, port=listen.port, why=why) from error


async def serve(app: FastAPI, listening: socket.socket) -> None:
    """Until cancelled. An error of the feed ends the server too: pages without a feed would only look alive."""
    feed = app.state.parts.feed
    server = _Server(
        uvicorn.Config(
            app,
            http=Protocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # whom to believe is a setting, see console.access.settings
            server_header=False,
            timeout_graceful_shutdown=STOP_WITHIN_S,
        )
    )
    feeding = asyncio.create_task(feed.run(), name="feed")
    parts = app.state.parts
    days = parts.config.access.forget_after_days
    forgetting = asyncio.create_task(forget_daily(parts.desk, parts.accounts, days, parts.clock_ms), name="forgetting")
    watching = asyncio.create_task(watch_logins(feed, parts.accounts), name="logins")
    serving = asyncio.create_task(server.serve([listening]), name="server")
    gc.collect()
    gc.freeze()  # modules and templates stay: to look through them again and again would stop all pages for a third of a second
    log.info("the console is open", address="{}:{}".format(*listening.getsockname()[:2]))
    try:
        ended, _ = await asyncio.wait({feeding, serving}, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        feed.close()
        feeding.cancel()
        forgetting.cancel()
        watching.cancel()
        server.should_exit = True
        await asyncio.gather(serving, feeding, forgetting, watching, return_exceptions=True)
        app.state.parts.history.close()
        app.state.parts.plant.close()
        log.info("the console is closed")


class _Server(uvicorn.Server):
    """Leaves the signals to the program."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
