"""An HTTP server of ours in a database's place: it remembers what it was asked, and answers as documentation has it."""

import contextlib
import gzip
import json
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: str


@dataclass
class Server:
    """Answers what it is told to, in this order: status, body, and headers where there are any; then 204s."""

    port: int
    asked: list[Asked] = field(default_factory=list)
    answers: list[tuple[int, str] | tuple[int, str, dict[str, str]]] = field(default_factory=list)

    @property
    def flux(self) -> str:
        return str(json.loads(self.asked[-1].body)["query"])


@contextlib.contextmanager
def documented() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            query = urllib.parse.parse_qs(parts.query)
            it.asked.append(Asked(self.command, parts.path, query, dict(self.headers), body.decode()))
            status, answer, *more = it.answers.pop(0) if it.answers else (204, "")
            self.send_response(status)
            kind = "application/json" if status != 200 or str(answer).startswith("{") else "text/csv"
            headers = {"Content-Type": kind, "Content-Length": str(len(str(answer).encode()))}
            for name, value in {**headers, **(more[0] if more else {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(str(answer).encode())

        do_GET = do_POST = do_PATCH = do_DELETE = _answer

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.block_on_close = False
    it = Server(http.server_address[1])
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield it
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
