"""The readers of the feed who may see the same: what they are shown, what they were told last, and in which languages.

A message is made for a language when the first reader of it wants it, and once for all readers of a scope; a row once for all scopes.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from console.board import Board
from console.rights import Scope
from messages.language import Language
from rules.records import Position

MOST_UNREAD_BYTES = 256 * 1024
"""What a page may leave unread beyond the kernel's own buffers before it is cut off."""


class Message:
    """One message in every language that somebody reads."""

    def __init__(self, make: Callable[[Language], bytes]) -> None:
        self._make = make
        self._made: dict[Language, bytes] = {}

    def of(self, language: Language) -> bytes:
        if language not in self._made:
            self._made[language] = self._make(language)
        return self._made[language]


class Reader:
    """One open page. What waits for it is written at once; who lets too much wait is ended.

    With a `wire`, the connection below an answer that goes out in chunks (RFC 9112, 7.1), messages are written there as soon as
    what came before them has gone through the web server, so that a thousand pages cost a thousand writes and nothing else.
    """

    def __init__(self, language: Language, owner: str, room: int, wire: asyncio.Transport | None = None) -> None:
        """`room`: messages that it may lag behind."""
        self.language = language
        self.owner = owner
        self._room = room
        self._wire = wire
        self._direct = False
        self._waiting: list[bytes] = []
        self._news = asyncio.Event()
        self._over = False

    def give(self, message: bytes, chunk: bytes) -> bool:
        """False when it lags too far behind. `chunk`: the same as it stands in the answer. Nothing more is for one that is over: it comes again."""
        if self._over:
            return True
        if self._direct and self._wire is not None:
            return self._write(self._wire, chunk)
        if len(self._waiting) >= self._room:
            return False
        self._waiting.append(message)
        self._news.set()
        return True

    def _write(self, wire: asyncio.Transport, chunk: bytes) -> bool:
        if wire.get_write_buffer_size() > MOST_UNREAD_BYTES:
            return False
        if not wire.is_closing():  # who has gone is taken from his audience by the end of his request
            wire.write(chunk)
        return True

    def cut(self) -> None:
        """It does not keep up: there is no use in telling it so."""
        self.end()
        if self._wire is not None:
            self._wire.abort()

    def end(self, words: bytes = b"") -> None:
        """It hears nothing but these words any more."""
        self._waiting = [words] if words else []
        self._over, self._direct = True, False
        self._news.set()

    def finish(self, words: bytes) -> None:
        """It hears what waits for it, and then these words."""
        self.end(b"".join((*self._waiting, words)))

    async def some(self) -> bytes:
        """All that waits, as soon as there is something; nothing: it is over. Whoever asks has written what he got before."""
        self._direct = self._wire is not None and not self._waiting and not self._over
        await self._news.wait()
        found, self._waiting = b"".join(self._waiting), []
        if not self._over:
            self._news.clear()
        return found


def chunk_of(message: bytes) -> bytes:
    """As it stands in an answer of which nobody knows how long it will be."""
    return b"%x\r\n%b\r\n" % (len(message), message)


class Audience:
    """All readers of one scope. It outlives them for a while: a browser that comes back hears what it missed."""

    def __init__(self, scope: Scope, board: Board, whole: Message, steps_kept: int) -> None:
        self.scope = scope
        self.board = board
        self.whole = whole
        self.readers: set[Reader] = set()
        self.left_at_s: float | None = None
        """When the last reader went; None while there are some."""
        self._steps: deque[tuple[int, Message]] = deque()
        self._steps_kept = steps_kept
        self._from_seq = board.position.seq

    def missed(self, after: Position | None) -> list[Message]:
        """What turns the page that has seen `after`, which lies in the log, into the page of now: some steps, or the whole list."""
        if after == self.board.position:
            return []
        if after and self._from_seq <= after.seq:
            return [message for upto, message in self._steps if upto > after.seq]
        return [self.whole]

    def note(self, upto: int, message: Message) -> None:
        """One more step, which reaches the log number `upto`."""
        self._steps.append((upto, message))
        if len(self._steps) > self._steps_kept:
            self._from_seq = self._steps.popleft()[0]

    def forget(self) -> None:
        """Another log, or an older copy: what was told before leads nowhere."""
        self._steps.clear()
        self._from_seq = self.board.position.seq
