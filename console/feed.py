"""The live feed: one task looks at the database, and every open page hears of what its reader may see.

* Looking: about seven times a second one thread asks for the last log number, and when it has grown for the alarms that the new lines
  are about. Readers cost the database nothing.
* A message is either a `step` (rows that are new, changed or gone; its id is the position in the log that it
  reaches), a `list` (all rows, for a reader whose last position is too long ago or not of this log), or a `beat`
  each second. Steps and lists count all open alarms, also those for which there is no room.
* Which positions lie in the log is known from the lines that we have seen ourselves, each with its mark (decision 91): a page that slept while
  the database was set back to a copy knows numbers that mean other lines now.
* Readers of one scope and language get the same bytes, made once. Who may see nothing of a change hears nothing of it.
* A stream begins with the time of its beginning, by the clock of the beats: a page that knows when it asked for the stream knows how old a
  beat is at the most, whatever lies in between.
* A beat follows a look that succeeded or is known to have failed, in the same stream: whoever hears it has heard
  every step before it. A look that hangs makes no beat, and the pages say so by themselves.
* What waits for a reader is written at once, and is bounded. Who does not read loses the connection, and catches up on the next.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import structlog

from console.audience import Audience, Message, Reader, chunk_of
from console.board import Area, Board, Difference, Whole, advanced, board, difference, tallies, whole
from console.fragments import Fragments
from console.freshness import Vitals
from console.rights import EVERYWHERE, Scope
from messages.language import Language
from rules.desk import Desk
from rules.records import Alarm, Position
from rules.store.database import DatabaseAway

LOOK_EVERY_S = 0.15
BEAT_EVERY_S = 1.0
MOST_ROWS = 500
MOST_KNOWN = 20_000
"""Open alarms of all sites that are kept in mind; the gravest, where there are more. A city's share of one console."""
MOST_LINES = 500
"""Of the log, that are followed one by one; after more, everything is read anew."""
MOST_PASSED = 20_000
"""Positions from which a page may go on."""
MOST_READERS = 1500
MOST_OF_A_LOGIN = 30
"""Streams: more tabs than anybody looks at, and too few to take the room of all others."""
QUEUE = 64
"""Messages that a slow reader may lag behind: about a minute of beats."""
STEPS_KEPT = QUEUE // 2
"""Whoever missed more steps gets the whole list: it is shorter."""
READER_LIFE_S = 60.0
"""A stream ends after about this and the browser comes back at once: so a login that has ended is noticed."""
LIFE_SPREAD = (0.75, 1.25)
END = b"retry: 20\nevent: end\ndata: 0\n\n"
"""Of a stream in good order: the page opens the next one at once."""
AUDIENCE_KEPT_S = 2 * READER_LIFE_S

log = structlog.get_logger("feed")


class Full(Exception):
    """Too many pages are open, of all logins or of this one."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What is open, where something is different (None: anywhere), and the positions that led there. `anew`: the first look, another
    database, or one that was set back to a copy."""

    now: Whole
    touched: frozenset[Area] | None
    passed: tuple[Position, ...]
    anew: bool = False


class Feed:
    """Use: `run()` in a task for as long as the console lives; `stream()` for each page; `close()` before the end."""

    def __init__(self, desk: Desk, fragments: Fragments, clock_ms: Callable[[], int]) -> None:
        self._desk = desk
        self._fragments = fragments
        self._clock_ms = clock_ms
        self._whole: Whole | None = None
        self._trail: dict[Position, None] = {}
        """Positions that we have passed and that lie in the log, the oldest first."""
        self._audiences: dict[Scope, Audience] = {}
        self._rows: dict[tuple[str, Language], tuple[Alarm, str]] = {}
        self._readers = 0
        self._of_login = Counter[str]()
        self._beats: dict[Scope, Message] = {}
        self._vitals: Vitals | None = None
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
        return self._readers

    async def stream(
        self,
        language: Language,
        owner: str,
        after: Position | None,
        scope: Scope = EVERYWHERE,
        wire: asyncio.Transport | None = None,
    ) -> AsyncIterator[bytes]:
        """What a page hears that has seen the log up to `after`; None: one that knows nothing. `wire`: as `Reader` has it. Raises Full."""
        if self._closed or self._readers >= MOST_READERS or self._of_login[owner] >= MOST_OF_A_LOGIN:
            raise Full
        if self._whole is None or (after and after not in self._trail and after.seq >= self._whole.position.seq):
            await self._look()  # the page was rendered after our last look
        reader = Reader(language, owner, QUEUE, wire)
        audience = self._audience(scope)
        for message in audience.missed(after if after in self._trail else None) if self._whole else ():
            _give(reader, message.of(language))  # without a board nothing is known, and the first one is told to all
        if (beat := self._beats.get(scope)) and self._heard_of(BEAT_EVERY_S + LOOK_EVERY_S):  # an older one looks fresh
            _give(reader, beat.of(language))
        audience.readers.add(reader)
        audience.left_at_s = None
        self._readers += 1
        self._of_login[owner] += 1
        return self._read(audience, reader)

    def owners(self) -> set[tuple[str, Scope]]:
        """Whose streams are open, and what they may see."""
        return {(reader.owner, scope) for scope, audience in self._audiences.items() for reader in audience.readers}

    def drop(self, owner: str) -> None:
        """End the streams of a login that has ended."""
        for audience in self._audiences.values():
            for reader in [reader for reader in audience.readers if reader.owner == owner]:
                self._end(audience, reader)

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        self._closed = True
        for audience in self._audiences.values():
            for reader in list(audience.readers):
                self._end(audience, reader)

    async def _read(self, audience: Audience, reader: Reader) -> AsyncIterator[bytes]:
        # not all at the same second for ever: after a restart of ours all pages came at once
        life_s = READER_LIFE_S * random.uniform(*LIFE_SPREAD)
        loop = asyncio.get_running_loop()
        end = loop.call_later(life_s, reader.finish, END)
        try:
            yield b"retry: 1000\n" + _encoded("begin", f"{loop.time() * 1000:.0f}")
            while some := await reader.some():
                yield some
        finally:
            end.cancel()
            self._leave(audience, reader)

    def _heard_of(self, within_s: float) -> bool:
        """Whether the last beat is no older than that."""
        return self._beat_at_s is not None and asyncio.get_running_loop().time() - self._beat_at_s < within_s

    def _audience(self, scope: Scope) -> Audience:
        if scope not in self._audiences:
            shown = board(self._whole, scope, MOST_ROWS) if self._whole else Board(Position("", 0), {}, {})
            self._audiences[scope] = Audience(scope, shown, self._list(shown), STEPS_KEPT)
        return self._audiences[scope]

    async def _look(self) -> None:
        async with self._looking:
            before = self._whole
            try:
                look = await asyncio.to_thread(self._read_whole, before)
            except DatabaseAway as error:
                if not self._away:
                    log.warning("the rules' database is away", why=str(error))
                self._away = True
                return
            if self._away:
                log.info("the rules' database is back")
            self._away = False
            if look is None:
                return
            self._whole = look.now
            if look.anew:
                self._trail.clear()
            for position in look.passed:
                self._trail[position] = None
            while len(self._trail) > MOST_PASSED:
                del self._trail[next(iter(self._trail))]
            self._rows = {key: row for key, row in self._rows.items() if key[0] in look.now.found}
            for audience in self._audiences.values():
                self._move(audience, look)

    def _read_whole(self, before: Whole | None) -> _Look | None:
        """What is open now; None: as before."""
        # The position first: what is committed in between is in the list, and comes once more with the next step.
        position = self._desk.position()
        if before is not None and position == before.position:
            return None
        lines = self._desk.lines_behind(before.position, MOST_LINES + 1) if before is not None else None
        if before is not None and lines and len(lines) <= MOST_LINES and len(before.found) < MOST_KNOWN:
            *_, position = passed = tuple(lines)
            now, touched = advanced(before, position, self._desk.alarms_in(list(lines.values())))
            return _Look(now, touched, passed)
        now = whole(position, self._desk.alarms(open_only=True, limit=MOST_KNOWN))
        return _Look(now, None, (position,), anew=lines is None)

    def _move(self, audience: Audience, look: _Look) -> None:
        """Tell an audience what has changed for it."""
        now, touched = look.now, look.touched
        if not look.anew and touched is not None and not any(audience.scope.covers(*area) for area in touched):
            audience.board = replace(audience.board, position=now.position)
            audience.whole = self._list(audience.board)
            return
        before, audience.board = audience.board, board(now, audience.scope, MOST_ROWS)
        audience.whole = self._list(audience.board)
        if look.anew:
            audience.forget()
            self._tell(audience, audience.whole)
        else:
            step = self._step(difference(before, audience.board), audience.board)
            audience.note(now.position.seq, step)
            self._tell(audience, step)

    async def _tell_beat(self) -> None:
        self._vitals = None if self._away else await asyncio.to_thread(self._read_vitals)
        now_ms, beat_at_s = self._clock_ms(), asyncio.get_running_loop().time()
        self._beat_at_s = beat_at_s
        self._part(beat_at_s)
        self._beats = {}
        alike: dict[tuple[str, ...], Message] = {}
        for scope, audience in self._audiences.items():
            flooded = [site for site in (self._vitals.floods if self._vitals else ()) if scope.covers(site)]
            key = scope.sites
            if flooded or key not in alike:
                message = Message(partial(self._beat, scope, tuple(flooded), now_ms, beat_at_s))
                if not flooded:
                    alike[key] = message
            else:
                message = alike[key]
            self._beats[scope] = message
            self._tell(audience, message, audience.board.position if self._whole else None)

    def _part(self, now_s: float) -> None:
        """From audiences that have been without readers for long."""
        for scope, audience in list(self._audiences.items()):
            if not audience.readers and audience.left_at_s is None:
                audience.left_at_s = now_s
            if audience.left_at_s is not None and now_s - audience.left_at_s > AUDIENCE_KEPT_S:
                del self._audiences[scope]

    def _read_vitals(self) -> Vitals | None:
        try:
            return Vitals(self._desk.pulse(), self._desk.edges(self._clock_ms()), self._desk.floods())
        except DatabaseAway:
            return None

    def _beat(self, scope: Scope, flooded: tuple[str, ...], now_ms: int, beat_at_s: float, language: Language) -> bytes:
        vitals = self._vitals.seen_from(scope) if self._vitals else None
        rest = tallies(self._whole, scope, flooded) if self._whole and flooded else ()
        content = self._fragments.beat(vitals, language, now_ms, rest)
        head = {"beat_ms": round(beat_at_s * 1000), "now_ms": now_ms}
        return _encoded("beat", json.dumps(head | content, ensure_ascii=False))

    def _step(self, change: Difference, after: Board) -> Message:
        def make(language: Language) -> bytes:
            gone, counts = json.dumps(change.gone), json.dumps(after.counts)
            now = self._entries(change.now, language)
            return _encoded("step", f'{{"gone": {gone}, "now": [{now}], "counts": {counts}}}', after.position)

        return Message(make)

    def _list(self, shown: Board) -> Message:
        """Made once for each board: after a restart every open page asks for it."""

        def make(language: Language) -> bytes:
            rows, counts = self._entries(shown.alarms.values(), language), json.dumps(shown.counts)
            return _encoded("list", f'{{"all": [{rows}], "counts": {counts}}}', shown.position)

        return Message(make)

    def _entries(self, alarms: Iterable[Alarm], language: Language) -> str:
        return ", ".join(self._row(alarm, language) for alarm in alarms)

    def _row(self, alarm: Alarm, language: Language) -> str:
        """One row as JSON, kept for as long as the alarm is as it is."""
        known = self._rows.get((alarm.id, language))
        if known is None or known[0] is not alarm:
            row = json.dumps(self._fragments.entry(alarm, language, self._clock_ms()), ensure_ascii=False)
            self._rows[alarm.id, language] = known = (alarm, row)
        return known[1]

    def _tell(self, audience: Audience, message: Message, at: Position | None = None) -> None:
        """`at`: where the reader is after it, if the message doesn't say so."""
        head = f"id: {at}\n".encode() if at else b""
        said: dict[Language, tuple[bytes, bytes]] = {}
        for reader in list(audience.readers):
            if reader.language not in said:
                words = head + message.of(reader.language)
                said[reader.language] = words, chunk_of(words)
            if not reader.give(*said[reader.language]):
                log.warning("a page does not keep up and is cut off", language=reader.language)
                self._leave(audience, reader)
                reader.cut()

    def _leave(self, audience: Audience, reader: Reader) -> None:
        if reader in audience.readers:
            audience.readers.discard(reader)
            self._readers -= 1
            self._of_login[reader.owner] -= 1
            if not self._of_login[reader.owner]:
                del self._of_login[reader.owner]

    def _end(self, audience: Audience, reader: Reader) -> None:
        self._leave(audience, reader)
        reader.end()


def _give(reader: Reader, message: bytes) -> None:
    reader.give(message, chunk_of(message))


def _encoded(event: str, content: str, position: Position | None = None) -> bytes:
    """One message as the HTML standard's section on server-sent events writes it; JSON holds no line break."""
    head = f"id: {position}\n" if position else ""
    return f"{head}event: {event}\ndata: {content}\n\n".encode()
