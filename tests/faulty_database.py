"""What stands between a collector and a real InfluxDB and spoils what it is told to: refuses, hangs, resets, answers amiss."""

import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.services import free_port

PASS, REFUSE, HANG, RESET, DEAF = "pass", "refuse", "hang", "reset", "deaf"
"""`DEAF`: the database has it and the answer never arrives."""
BEAT_S = 0.05


class FaultyDatabase:
    """On `port`, before the database on `behind`. `mode` is one of the above or an HTTP status; it counts from the next request on."""

    def __init__(self, behind: int, *, retry_after_s: int | None = None) -> None:
        self.port, self.behind = free_port(), behind
        self.retry_after_s = retry_after_s
        self.largest_bytes: int | None = None
        """A larger body is 413."""
        self.unprocessable: bytes | None = None
        """A body with this in it is 422."""
        self.asked = 0
        self._mode: str | int = PASS
        self._server: ThreadingHTTPServer | None = None
        self._open()

    @property
    def mode(self) -> str | int:
        return self._mode

    @mode.setter
    def mode(self, mode: str | int) -> None:
        self._mode = mode
        if mode == REFUSE:
            self.close()
        elif self._server is None:
            self._open()

    def _open(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), _requests_to(self))
        threading.Thread(target=self._server.serve_forever, args=(BEAT_S,), daemon=True).start()

    def close(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hangs up on us does so because we are what we are."""


@contextlib.contextmanager
def before(port: int, *, retry_after_s: int | None = None) -> Iterator[FaultyDatabase]:
    faulty = FaultyDatabase(port, retry_after_s=retry_after_s)
    try:
        yield faulty
    finally:
        faulty.mode = PASS
        faulty.close()


def _requests_to(faulty: FaultyDatabase) -> type[BaseHTTPRequestHandler]:
    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            faulty.asked += 1
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            mode = faulty.mode
            if mode == HANG:
                while faulty.mode == HANG:
                    threading.Event().wait(BEAT_S)
                self._hang_up()
            elif mode in (RESET, REFUSE):  # a connection that was open before it refused
                self._hang_up()
            elif isinstance(mode, int):
                self._answer(mode, b'{"error":"on purpose"}')
            elif faulty.largest_bytes is not None and len(body) > faulty.largest_bytes:
                self._answer(413, b'{"error":"Request Entity Too Large"}')
            elif faulty.unprocessable is not None and faulty.unprocessable in body:
                self._answer(422, b'{"error":"unprocessable entity"}')
            else:
                status, answer = self._forward(body)
                self._hang_up() if mode == DEAF else self._answer(status, answer)

        do_GET = do_POST

        def _forward(self, body: bytes) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", faulty.behind, timeout=60)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                return answer.status, answer.read()
            finally:
                connection.close()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            if status in (429, 503) and faulty.retry_after_s is not None:
                self.send_header("Retry-After", str(faulty.retry_after_s))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _hang_up(self) -> None:
            """With a reset, not a goodbye."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Request
