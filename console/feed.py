"""The live feed: one task looks at the database, and every open page hears of it.

* Looking: about seven times a second one thread asks for the last log number, and for the open alarms when it has
  grown. Readers cost the database nothing.
* A message is either a `step` (rows that are new, changed or gone; its id is the position in the log that it
  reaches), a `list` (all rows, for a reader whose last position is too long ago or of another database), or a `beat`
  each second. Steps and lists count all open alarms, also those for which there is no room.
* A beat follows a look that succeeded or is known to have failed, in the same stream: whoever hears it has heard
  every step before it. A look that hangs makes no beat, and the pages say so by themselves.
* A reader has a bounded queue. Who does not read loses the connection, and catches up on the next.
"""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from console.board import Board, board, difference
from console.fragments import Fragments
from console.freshness import Vitals
from console.words import LANGUAGES, Language
from rules.desk import Desk
from rules.records import Alarm, Position
from rules.store.database import DatabaseAway

LOOK_EVERY_S = 0.15
BEAT_EVERY_S = 1.0
MOST_ROWS = 500
MOST_READERS = 500
QUEUE = 64
"""Messages that a slow reader may lag behind: about a minute of beats."""
STEPS_KEPT = QUEUE // 2
"""Whoever missed more steps gets the whole list: it is shorter."""
READER_LIFE_S = 60.0
"""A stream ends after this and the browser comes back at once: so a login that has ended is noticed."""

log = structlog.get_logger("feed")

_Message = Mapping[Language, bytes]


@dataclass(frozen=True, slots=True)
class _Step:
    after: int  # numbers of the database of the board
    upto: int
    message: _Message


class _Reader:
    """One open page. `None` in its queue ends it."""

    def __init__(self, language: Language, owner: str) -> None:
        self.language = language
        self.owner = owner
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE)

    def give(self, message: bytes) -> bool:
        """False when it lags too far behind."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            return False
        return True

    def end(self) -> None:
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


class Full(Exception):
    """Too many pages are open."""


class Feed:
    """Use: `run()` in a task for as long as the console lives; `stream()` for each page; `close()` before the end."""

    def __init__(self, desk: Desk, fragments: Fragments, clock_ms: Callable[[], int]) -> None:
        self._desk = desk
        self._fragments = fragments
        self._clock_ms = clock_ms
        self._life = secrets.token_hex(8)
        self._board: Board | None = None
        self._steps: deque[_Step] = deque(maxlen=STEPS_KEPT)
        self._whole: tuple[Board, _Message] | None = None
        self._readers: set[_Reader] = set()
        self._beat: _Message | None = None
        self._beat_at_s: float | None = None
        self._away = False
        self._looking = asyncio.Lock()
        self._closed = False

    async def run(self) -> None:
        """Look and tell until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = self._beat_at_s is None or loop.time() - self._beat_at_s >= BEAT_EVERY_S
            await self._look()
            if due:
                await self._tell_beat()
            await asyncio.sleep(LOOK_EVERY_S)

    @property
    def alive(self) -> bool:
        """Whether it has looked lately, and saw something."""
        return self._heard_of(3 * BEAT_EVERY_S) and not self._away

    @property
    def readers(self) -> int:
        return len(self._readers)

    async def stream(self, language: Language, owner: str, after: Position | None) -> AsyncIterator[bytes]:
        """What a page hears that has seen the log up to `after`; None: one that knows nothing. Raises Full."""
        if self._closed or len(self._readers) >= MOST_READERS:
            raise Full
        if self._board is None or (after and not _reaches(self._board.position, after)):
            await self._look()  # the page was rendered after our last look
        reader = _Reader(language, owner)
        for message in self._missed(after):
            reader.give(message[language])
        if self._beat and self._heard_of(BEAT_EVERY_S + LOOK_EVERY_S):  # an older one would be taken for fresh
            reader.give(self._beat[language])
        self._readers.add(reader)
        return self._read(reader)

    def drop(self, owner: str) -> None:
        """End the streams of a login that has ended."""
        for reader in [reader for reader in self._readers if reader.owner == owner]:
            self._end(reader)

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        self._closed = True
        for reader in list(self._readers):
            self._end(reader)

    async def _read(self, reader: _Reader) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + READER_LIFE_S
        try:
            yield b"retry: 1000\n\n"
            while (left_s := until_s - loop.time()) > 0:
                try:
                    message = await asyncio.wait_for(reader.queue.get(), left_s)
                except TimeoutError:
                    break
                if message is None:
                    return
                yield message
            yield b"retry: 20\n\n"
        finally:
            self._readers.discard(reader)

    def _heard_of(self, within_s: float) -> bool:
        """Whether the last beat is no older than that."""
        return self._beat_at_s is not None and asyncio.get_running_loop().time() - self._beat_at_s < within_s

    def _missed(self, after: Position | None) -> list[_Message]:
        """What turns the page that has seen `after` into the page of now: some steps, or the whole list."""
        if self._board is None or after == self._board.position:
            return []  # without a board nothing is known, and the first one is told to all
        if after and _reaches(self._board.position, after) and self._steps and self._steps[0].after <= after.seq:
            return [step.message for step in self._steps if step.upto > after.seq]
        return [self._list(self._board)]

    async def _look(self) -> None:
        async with self._looking:
            before = self._board
            try:
                now = await asyncio.to_thread(self._read_board, before)
            except DatabaseAway as error:
                if not self._away:
                    log.warning("the rules' database is away", why=str(error))
                self._away = True
                return
            if self._away:
                log.info("the rules' database is back")
            self._away = False
            self._board = now
            if before is None or not _reaches(now.position, before.position):  # another database, or an older copy
                self._steps.clear()
                self._tell(self._list(now))
            elif now is not before:
                step = _Step(before.position.seq, now.position.seq, self._step(before, now))
                self._steps.append(step)
                self._tell(step.message)

    def _read_board(self, before: Board | None) -> Board:
        # The position first: what is committed in between is in the list, and comes once more with the next step.
        position = self._desk.position()
        if before is not None and position == before.position:
            return before
        return board(position, self._desk.alarms(open_only=True, limit=MOST_ROWS), self._desk.counts())

    async def _tell_beat(self) -> None:
        vitals = None if self._away else await asyncio.to_thread(self._read_vitals)
        now_ms, beat_at_s = self._clock_ms(), asyncio.get_running_loop().time()
        self._beat_at_s = beat_at_s
        self._beat = {
            language: _encoded(
                "beat",
                {
                    "life": self._life,
                    "beat_ms": round(beat_at_s * 1000),
                    "now_ms": now_ms,
                    **self._fragments.beat(vitals, language, now_ms),
                },
            )
            for language in LANGUAGES
        }
        self._tell(self._beat)

    def _read_vitals(self) -> Vitals | None:
        try:
            return Vitals(self._desk.pulse(), self._desk.edges(self._clock_ms()))
        except DatabaseAway:
            return None

    def _step(self, before: Board, after: Board) -> _Message:
        change = difference(before, after)
        return {
            language: _encoded(
                "step",
                {"gone": change.gone, "now": self._entries(change.now, language), "counts": after.counts},
                after.position,
            )
            for language in LANGUAGES
        }

    def _list(self, whole: Board) -> _Message:
        """Made once for each board: after a restart every open page asks for it."""
        if self._whole is None or self._whole[0] is not whole:
            self._whole = (
                whole,
                {
                    language: _encoded(
                        "list",
                        {"all": self._entries(whole.alarms.values(), language), "counts": whole.counts},
                        whole.position,
                    )
                    for language in LANGUAGES
                },
            )
        return self._whole[1]

    def _entries(self, alarms: Iterable[Alarm], language: Language) -> list[dict[str, object]]:
        now_ms = self._clock_ms()
        return [self._fragments.entry(alarm, language, now_ms) for alarm in alarms]

    def _tell(self, message: _Message) -> None:
        for reader in list(self._readers):
            if not reader.give(message[reader.language]):
                log.warning("a page does not keep up and is cut off", language=reader.language)
                self._end(reader)

    def _end(self, reader: _Reader) -> None:
        self._readers.discard(reader)
        reader.end()


def _reaches(position: Position, other: Position) -> bool:
    """Whether `other` lies behind it, in the same log."""
    return position.life == other.life and position.seq >= other.seq


def _encoded(event: str, content: Mapping[str, object], position: Position | None = None) -> bytes:
    """One message as the HTML standard's section on server-sent events writes it; JSON holds no line break."""
    head = f"id: {position}\n" if position else ""
    return f"{head}event: {event}\ndata: {json.dumps(content, ensure_ascii=False)}\n\n".encode()
