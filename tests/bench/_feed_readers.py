"""Many open pages of the live feed in one process, which parses no more than it must. A part of `bench feed`.

`python -m tests.bench._feed_readers PORT READERS BREAK_EVERY_S FILE` with the cookies of each login, tabs between them, as the first line of its input. It says "open" when
all streams are open; after a second line no page breaks off any more, and when all are back it says "calm". When its input ends it writes to FILE what each page heard.
"""

import asyncio
import json
import pickle
import random
import sys
import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path

AWAY_S = (0.05, 2.0)
"""How long a page that breaks off is away."""
LIMIT_S = 60.0
LANGUAGES = ("zh", "en")
OPEN, BROKE, ASKS = -1, -2, -3
"""What a page's course holds beside the numbers of messages: its stream is open; it broke off by itself; it asks for a stream."""


@dataclass(frozen=True)
class Said:
    """A message as the server made it. `position` is where its reader is then."""

    event: str
    position: str
    size: int
    """Bytes."""
    now: tuple[tuple[str, bool], ...] = ()
    """Alarms that are new or changed, and whether each is back to normal."""
    gone: tuple[str, ...] = ()
    whole: bool = False


@dataclass
class Page:
    """What one open page heard."""

    language: str
    heard: "array[int]" = field(default_factory=lambda: array("i"))
    """Messages by their number in `Heard.said`; OPEN, BROKE, ASKS."""
    at_s: "array[float]" = field(default_factory=lambda: array("d"))

    def note(self, what: int, at_s: float) -> None:
        self.heard.append(what)
        self.at_s.append(at_s)


@dataclass
class Heard:
    """What all pages heard."""

    said: list[Said]
    pages: list[Page]
    breaks: int
    ends: int
    """Streams that the server ended, as it does each minute."""
    refused: int
    cpu_s: float


class Readers:
    """All pages, and the messages that they have in common."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.known: dict[bytes, int] = {}
        self.said: list[Said] = []
        self.breaks = self.ends = self.refused = 0
        self.open = 0
        self.calm = False

    def number(self, message: bytes) -> int:
        """Each different message is looked into once."""
        found = self.known.get(message)
        if found is None:
            found = self.known[message] = len(self.said)
            self.said.append(_said(message))
        return found


def _said(message: bytes) -> Said:
    lines = (line.partition(": ") for line in message.decode().splitlines())
    fields = {name: value for name, _, value in lines}
    event, position = fields.get("event", ""), fields.get("id", "")
    if event not in ("step", "list"):
        return Said(event, position, len(message))
    content = json.loads(fields["data"])
    entries = content["all"] if event == "list" else content["now"]
    now = tuple((one["id"], one["calls"] == 0) for one in entries)  # what calls no more since it is back says 0
    return Said(event, position, len(message), now, tuple(content.get("gone", ())), event == "list")


class Stream(asyncio.Protocol):
    """One connection: HTTP/1.1 chunks, and in them messages that end with an empty line."""

    def __init__(self, readers: Readers, page: Page, after: str, cookies: str) -> None:
        self.readers = readers
        self.page = page
        self.cookies = cookies
        self.after = after
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._raw = b""
        self._text = b""
        self._in_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        head = (
            f"GET /feed HTTP/1.1\r\nHost: 127.0.0.1:{self.readers.port}\r\nAccept: text/event-stream\r\n"
            f"Accept-Language: {self.page.language}\r\nCookie: {self.cookies}\r\n"
        )
        last = f"Last-Event-ID: {self.after}\r\n" if self.after else ""
        transport.write(f"{head}{last}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._raw += data
        if not self._in_body:
            head, end, rest = self._raw.partition(b"\r\n\r\n")
            if not end:
                return
            self._in_body, self._raw = True, rest
            if not self.opened.done():
                its_open = head.startswith(b"HTTP/1.1 200")
                if its_open:
                    self.page.note(OPEN, time.monotonic())
                self.opened.set_result(its_open)
        while True:
            size, end, rest = self._raw.partition(b"\r\n")
            if not end or len(rest) < (length := int(size, 16)) + 2:
                break
            self._text += rest[:length]
            self._raw = rest[length + 2 :]
            if length == 0:  # the answer is whole: a browser comes back, and doesn't wait until the server hangs up
                self.transport.close()
                self.connection_lost(None)
        *messages, self._text = self._text.split(b"\n\n")
        at_s = time.monotonic()
        for message in messages:
            if message.startswith(b"retry"):
                continue
            number = self.readers.number(message)
            self.page.note(number, at_s)
            self.after = self.readers.said[number].position or self.after

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_result(False)
        if not self.closed.done():
            self.closed.set_result(None)


async def _read(readers: Readers, page: Page, break_every_s: float, opened: asyncio.Event, cookies: str) -> None:
    """As a browser does: it comes back whenever the stream ends, and says how far it got."""
    loop, dice, after = asyncio.get_running_loop(), random.Random(), ""
    while True:
        page.note(ASKS, time.monotonic())
        stream = Stream(readers, page, after, cookies)
        await loop.create_connection(lambda stream=stream: stream, "127.0.0.1", readers.port)  # type: ignore[misc]
        if not await stream.opened:
            readers.refused += 1
            await asyncio.sleep(1.0)
            continue
        opened.set()
        readers.open += 1
        await asyncio.wait([stream.closed], timeout=dice.expovariate(1 / break_every_s) if break_every_s else None)
        if not stream.closed.done() and readers.calm:
            await stream.closed
        readers.open -= 1
        if stream.closed.done():
            readers.ends += 1
            away_s = 0.02
        else:
            readers.breaks += 1
            page.note(BROKE, time.monotonic())
            stream.transport.abort()
            away_s = dice.uniform(*AWAY_S)
        after = stream.after
        await asyncio.sleep(away_s)


async def _run(port: int, count: int, break_every_s: float, file: Path) -> None:
    readers, logins = Readers(port), sys.stdin.readline().strip().split("\t")
    pages = [Page(LANGUAGES[number % 2]) for number in range(count)]
    events = [asyncio.Event() for _ in pages]
    reading = []
    for number, (page, event) in enumerate(zip(pages, events, strict=True)):
        cookies = logins[number % len(logins)]
        reading.append(asyncio.create_task(_read(readers, page, break_every_s, event, cookies)))
        await asyncio.sleep(0.002)
    for event in events:
        await event.wait()
    print("open", flush=True)
    began_s = time.process_time()
    await asyncio.to_thread(sys.stdin.readline)
    readers.calm = True
    until_s = time.monotonic() + LIMIT_S
    while readers.open < count and time.monotonic() < until_s:
        await asyncio.sleep(0.05)
    print("calm", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    heard = Heard(readers.said, pages, readers.breaks, readers.ends, readers.refused, time.process_time() - began_s)
    file.write_bytes(pickle.dumps(heard))


def main() -> None:
    port, count, break_every_s, file = sys.argv[1:]
    asyncio.run(_run(int(port), int(count), float(break_every_s), Path(file)))


if __name__ == "__main__":
    from tests.bench import _feed_readers  # so that what is written knows its classes by the name of this module

    _feed_readers.main()
