"""Something between a browser and the console: a relay that answers in its stead, holds back what comes, or forgets a connection as a NAT does."""

import contextlib
import itertools
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

PATIENCE_S = 60
Instead = Callable[[str, str], bytes | None]
"""What is answered to a method and a path; None: what the console answers."""

WIFI = "<!doctype html><html><body><h1>Free Wi-Fi: please log in</h1></body></html>"


def answer(status: str, body: str = WIFI, sort: str = "text/html", more: str = "") -> bytes:
    content = body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {sort}\r\nContent-Length: {len(content)}\r\n{more}Connection: close\r\n\r\n"
    return head.encode() + content


@dataclass
class _Carried:
    """One connection; `dead`: it is open, and carries nothing any more."""

    near: socket.socket
    far: socket.socket
    dead: bool = False


class Between:
    """Each connection carries one request, to the ports `behind` in turn: to the next one where nobody listens. `delay_s` holds back all that
    comes in answer to the paths that are `slow`."""

    def __init__(self, *behind: int) -> None:
        self.instead: Instead = lambda _method, _path: None
        self.delay_s = 0.0
        self.slow: Callable[[str], bool] = lambda _path: True
        self.asked: list[tuple[str, str]] = []
        self._answers: dict[str, bytes] = {}
        self.served: list[tuple[int, str]] = []
        """By which port each path was answered."""
        self._turns = itertools.cycle(behind)
        self._behind = behind
        self._carried: list[_Carried] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def answer_to(self, path: str) -> bytes:
        """The last one. A browser may have all of it before we know that it was all."""
        until_s = time.monotonic() + PATIENCE_S
        while path not in self._answers:
            assert time.monotonic() < until_s, f"nothing came in answer to {path}"
            time.sleep(0.01)
        return self._answers[path]

    def forget(self) -> None:
        """The connections that are open stay open, and carry nothing any more."""
        for one in self._carried:
            one.dead = True

    def close(self) -> None:
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        """The connections that are open end."""
        for one in self._carried:
            for end in (one.near, one.far):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near:
            request = b""
            while b"\r\n\r\n" not in request:
                if not (piece := near.recv(65536)):
                    return
                request += piece
            head, _, body = request.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, path, _ = first.split(" ")
            self.asked.append((method, path))
            if (made := self.instead(method, path)) is not None:
                length = next(
                    (int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length")), 0
                )
                while len(body) < length:
                    body += near.recv(65536)
                near.sendall(made)
                near.shutdown(socket.SHUT_WR)
                return
            kept = [line for line in lines if not line.lower().startswith("connection:")]
            with self._connected(path) as far:
                far.sendall("\r\n".join([first, *kept, "Connection: close"]).encode("latin-1") + b"\r\n\r\n" + body)
                self._carry(_Carried(near, far), path)

    def _connected(self, path: str) -> socket.socket:
        for port in itertools.islice(self._turns, len(self._behind)):
            with contextlib.suppress(ConnectionRefusedError):
                made = socket.create_connection(("127.0.0.1", port))
                self.served.append((port, path))
                return made
        raise ConnectionRefusedError

    def _carry(self, one: _Carried, path: str) -> None:
        self._carried.append(one)
        coming: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(one, path, coming), daemon=True).start()
        threading.Thread(target=self._upwards, args=(one,), daemon=True).start()
        whole = b""
        while True:
            due_s, piece = coming.get()
            time.sleep(max(0.0, due_s - time.monotonic()))
            if one.dead:
                threading.Event().wait(300)
            if not piece:
                break
            whole += piece
            one.near.sendall(piece)
        self._answers[path] = whole
        one.near.shutdown(socket.SHUT_WR)

    def _read(self, one: _Carried, path: str, coming: "queue.SimpleQueue[tuple[float, bytes]]") -> None:
        def due_s() -> float:
            return time.monotonic() + (self.delay_s if self.slow(path) else 0)

        with contextlib.suppress(OSError):
            while piece := one.far.recv(65536):
                coming.put((due_s(), piece))
        coming.put((due_s(), b""))

    def _upwards(self, one: _Carried) -> None:
        with contextlib.suppress(OSError):
            while piece := one.near.recv(65536):
                one.far.sendall(piece)
            if not one.dead:
                one.far.shutdown(socket.SHUT_RDWR)
