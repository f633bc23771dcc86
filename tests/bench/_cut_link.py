"""A TCP link that can be cut: between a program and its broker, on a port of its own."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

from tests.services import free_port

PIECE_BYTES = 65536


class CutLink:
    """Listens on `port` and passes everything to `behind`, until it is cut: then both ends are reset."""

    def __init__(self, behind: int) -> None:
        self.port = free_port()
        self.cuts = 0
        self._behind = behind
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """All links that are there now; new ones may be made at once."""
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.shutdown(socket.SHUT_RDWR)
            self.cuts += bool(self._open)

    def close(self) -> None:
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._behind))
            except ConnectionRefusedError:
                near.close()
                continue
            except OSError:
                return
            with self._lock:
                self._open |= {near, far}
            for one, other in ((near, far), (far, near)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(PIECE_BYTES):
                other.sendall(piece)
        for sock in (one, other):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {one, other}
        one.close()


@contextlib.contextmanager
def cuttable(behind: int) -> Iterator[CutLink]:
    link = CutLink(behind)
    try:
        yield link
    finally:
        link.close()
