"""A provider of messages as a process: an HTTP endpoint that takes them after a while, or limits them as robots of groups do.

`python -m tests.bench._provider FILE ANSWER_MS` says its port, answers until its input ends, and then writes to FILE what it was handed. A
path decides how it answers: `/send` takes everything; `/cgi-bin/webhook/send` and `/robot/send` are robots of WeCom and DingTalk with
their limits.
"""

import asyncio
import contextlib
import pickle
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.services import ROOT

ROBOT_MOST, ROBOT_WITHIN_S, BLOCKED_S = 20, 60.0, 600.0
"""Section 5 of the field notes: 20 a minute; DingTalk then blocks for ten minutes."""
WECOM_LIMITED = {"errcode": 45009, "errmsg": "api freq out of limit"}
DINGTALK_LIMITED = {"errcode": 130101, "errmsg": "send too fast"}
TAKEN = {"errcode": 0, "errmsg": "ok", "code": "OK"}


@dataclass(frozen=True)
class Handed:
    """One message. `at_s`: when its answer left, in seconds of the monotonic clock; `taken`: whether that was a yes."""

    at_s: float
    path: str
    to: str
    key: str
    text: str
    taken: bool


class Provider:
    """What was handed over, and how much each robot may still take."""

    def __init__(self, answer_s: float) -> None:
        self._answer_s = answer_s
        self._times: dict[str, deque[float]] = defaultdict(deque)
        self._blocked_until_s: dict[str, float] = defaultdict(float)
        self.handed: list[Handed] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                path = head.split(" ", 2)[1]
                length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
                body = orjson.loads(await reader.readexactly(length))
                await asyncio.sleep(self._answer_s)
                answer = orjson.dumps(self._judged(path, body))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer))
        writer.close()

    def _judged(self, path: str, body: dict[str, object]) -> dict[str, object]:
        now_s = time.monotonic()
        limited = self._limited(path, now_s)
        text = body.get("text")
        content = text.get("content", "") if isinstance(text, dict) else text
        to, key = str(body.get("to") or _mentioned(body)), str(body.get("key", ""))
        self.handed.append(Handed(now_s, path, to, key, str(content), taken=limited is None))
        return limited or TAKEN

    def _limited(self, path: str, now_s: float) -> dict[str, object] | None:
        """A robot's address is its path with its key."""
        if path.startswith("/send"):
            return None
        dingtalk = path.startswith("/robot/")
        robot = path.partition("&timestamp")[0]
        times = self._times[robot]
        while times and times[0] <= now_s - ROBOT_WITHIN_S:
            times.popleft()
        if now_s < self._blocked_until_s[robot] or len(times) >= ROBOT_MOST:
            if dingtalk and now_s >= self._blocked_until_s[robot]:
                self._blocked_until_s[robot] = now_s + BLOCKED_S
            return DINGTALK_LIMITED if dingtalk else WECOM_LIMITED
        times.append(now_s)
        return None


def _mentioned(body: dict[str, object]) -> str:
    """Whom a robot's message calls by name."""
    wecom, dingtalk = body.get("text"), body.get("at")
    some = wecom.get("mentioned_mobile_list") if isinstance(wecom, dict) else None
    some = some or (dingtalk.get("atMobiles") if isinstance(dingtalk, dict) else None)
    return str(some[0]) if some else ""


@dataclass
class Running:
    """The process of a provider."""

    process: "subprocess.Popen[str]"
    port: int
    file: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def finish(self) -> list[Handed]:
        """Everything that it was handed, in order."""
        self.process.communicate("", timeout=60)
        assert self.process.returncode == 0
        found: list[Handed] = pickle.loads(self.file.read_bytes())
        return found


@contextlib.contextmanager
def provider(folder: Path, answer_ms: int) -> Iterator[Running]:
    words = [sys.executable, "-m", "tests.bench._provider", str(folder / "handed"), str(answer_ms)]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield Running(process, int(process.stdout.readline()), folder / "handed")
    finally:
        process.kill()
        process.wait()


async def _run(file: Path, answer_ms: int) -> None:
    ours = Provider(answer_ms / 1000)
    server = await asyncio.start_server(ours.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    file.write_bytes(pickle.dumps(ours.handed))


def main() -> None:
    asyncio.run(_run(Path(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    from tests.bench import _provider  # so that what is written knows its classes by the name of this module

    _provider.main()
