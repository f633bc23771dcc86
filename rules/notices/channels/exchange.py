"""A limit on a whole exchange with a provider. A socket's own time-out begins anew with each byte: who drips his answer would hold a thread
for hours.

When the time is over the connection is cut, wherever the exchange stands: in the TLS handshake, while it sends, or in the midst of the answer.
What looks like an answer then is none: `cut` says so. Only the search for an address and the attempts to connect have limits of their own.
"""

import os
import socket
from contextvars import ContextVar
from threading import Lock, Timer
from types import TracebackType
from typing import Any, Self

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_current: ContextVar["Exchange | None"] = ContextVar("exchange", default=None)


class Exchange:
    """`with Exchange(5.0) as exchange:` around all that is asked and answered. The connections made within it are held to its limit."""

    def __init__(self, limit_s: float) -> None:
        self.cut = False
        """It took too long: what was read is not to be believed."""
        self._lock = Lock()
        self._held: list[socket.socket] | None = []
        """Handles of our own, since TLS takes a socket's handle away and a client closes its own early. None: it is over."""
        self._timer = Timer(limit_s, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._before = _current.set(self)
        self._timer.start()
        return self

    def __exit__(
        self, sort: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._before)
        self._timer.cancel()
        with self._lock:
            held, self._held = self._held or [], None
        for one in held:
            one.close()

    def hold(self, sock: socket.socket) -> None:
        """Cut this one, too, when the time is over."""
        handle = socket.socket(fileno=os.dup(sock.fileno()))
        with self._lock:
            if self._held is not None and not self.cut:
                self._held.append(handle)
                return
        _shut(handle)
        handle.close()

    def _cut(self) -> None:
        with self._lock:
            if self._held is not None:
                self.cut = True
                for one in self._held:
                    _shut(one)


def hold(sock: socket.socket) -> None:
    """Hold a connection to the limit of the exchange that runs in this thread, if one does."""
    if (exchange := _current.get()) is not None:
        exchange.hold(sock)


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other side was quicker


class _Held(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        hold(sock)
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # kept from an earlier exchange
            hold(self.sock)
        super().request(*args, **kwargs)


class _HeldTls(HTTPSConnection, _Held):
    """`HTTPSConnection` connects by way of `_Held`."""


class Pool(HTTPConnectionPool):
    """Connections that are held."""

    ConnectionCls = _Held


class TlsPool(HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls = _HeldTls


POOLS = {"http": Pool, "https": TlsPool}
