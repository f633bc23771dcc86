"""Stand-ins for what can't run here: providers of messages. They are real servers on loopback that write down what they are asked."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Answer:
    """What is said to a request. `after_s`: how long it takes."""

    content: Any = field(default_factory=lambda: {"errcode": 0})
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0


@dataclass
class Provider:
    """An HTTP interface that takes everything, or answers as the next of `answers` says."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    always: Answer = field(default_factory=Answer)
    news: threading.Event = field(default_factory=threading.Event)

    def wait(self, count: int, limit_s: float = 60) -> list[Asked]:
        """Until so many requests have come."""
        until = time.monotonic() + limit_s
        while len(self.asked) < count:
            assert self.news.wait(max(0.0, until - time.monotonic())), f"{len(self.asked)} of {count} requests came"
            self.news.clear()
        return self.asked


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # of five, as is usual there, a busy machine refuses callers


@contextlib.contextmanager
def provider(port: int = 0) -> Iterator[Provider]:
    """One that listens until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            ours.asked.append(Asked(self.command, self.path, headers, body))
            answer = ours.answers.pop(0) if ours.answers else ours.always
            ours.news.set()
            time.sleep(answer.after_s)
            content = answer.content if isinstance(answer.content, bytes) else orjson.dumps(answer.content)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # who asked waits no longer
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, *_: Any) -> None:
            pass

    with _Server(("127.0.0.1", port), Handler) as server:
        ours = Provider(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield ours
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Dripping:
    """A server that never comes to an end."""

    port: int
    drops: int = 0
    """Bytes that were taken from it."""
    cut: threading.Event = field(default_factory=threading.Event)
    """Somebody has had enough of it."""


@contextlib.contextmanager
def dripping(begins: bytes = b"", every_s: float = 0.05) -> Iterator[Dripping]:
    """Says `begins` at once and then a byte `every_s`, to whoever connects, whatever is asked, for ever."""
    over = threading.Event()

    class Session(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            sock: socket.socket = self.request
            try:
                sock.sendall(begins)
                while not over.wait(every_s):
                    sock.sendall(b"x")
                    ours.drops += 1
            except OSError:
                ours.cut.set()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        ours = Dripping(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield ours
        finally:
            over.set()
            server.shutdown()
            thread.join()


@dataclass
class Postbox:
    """A mail server that refuses the receivers in `refused` with the given reply."""

    port: int
    mails: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def postbox() -> Iterator[Postbox]:
    """As much of RFC 5321 as a client needs to hand a mail over."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 postbox")
            while line := self.rfile.readline():
                said = line.decode().strip()
                word = said[:4].upper()
                if word == "DATA":
                    self._say("354 go on")
                    lines = []
                    while (line := self.rfile.readline()) and line != b".\r\n":
                        lines.append(line.decode().rstrip("\r\n"))
                    if not line:  # the client has gone in the midst of it
                        return
                    ours.mails.append("\n".join(lines))
                    self._say("250 taken")
                elif word == "RCPT":
                    address = said.partition("<")[2].partition(">")[0]
                    self._say(ours.refused.get(address, "250 ok"))
                elif word == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 postbox")

        def _say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        ours = Postbox(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield ours
        finally:
            server.shutdown()
            thread.join()
