"""What an installer answers: typed at a terminal, or lines that were written down before.

At a terminal he sees what comes of an answer, and is asked again. Lines of a file or a pipe see nothing: one is for one device,
and whoever took a line for the next device's would sign what nobody said.
"""

import asyncio
import os
import select
from typing import Protocol

from edge.installer.keyboard import Keyboard, typed
from messages.settings import Text


class BrokenOff(Exception):
    """There will be no more answers, or none that can be trusted."""

    def __init__(self, why: Text) -> None:
        super().__init__(why.en)
        self.why = why


ENDED = Text(zh="输入已结束", en="the input has ended")


class Answers(Protocol):
    """Where answers come from."""

    by_hand: bool
    """Somebody sees the questions: he can be asked again, and for a note."""
    line: str
    """What is typed so far, and is shown to him."""

    async def next(self) -> str:
        """The next line. Raises BrokenOff."""
        ...

    def left_over(self) -> bool:
        """Whether there are lines that nobody asked for."""
        ...


class Typed:
    """At a keyboard."""

    by_hand = True

    def __init__(self, keyboard: Keyboard) -> None:
        self._keyboard = keyboard
        self.line = ""

    async def next(self) -> str:
        self.line = ""
        while True:
            try:
                self.line, rest = typed(self.line, await self._keyboard.keys())
            except EOFError as error:
                raise BrokenOff(ENDED) from error
            if rest is not None:
                self._keyboard.give_back(rest)
                return self.line.strip()

    def left_over(self) -> bool:
        return False


class Lines:
    """Of a pipe, a file, or a terminal whose screen is elsewhere; without a thread that Ctrl-C would have to wait for."""

    def __init__(self, descriptor: int, *, by_hand: bool) -> None:
        self.by_hand = by_hand
        self.line = ""
        self._descriptor = descriptor
        self._held = b""
        self._ended = False

    async def next(self) -> str:
        while b"\n" not in self._held and not self._ended:
            await self._readable()
            self._read()
        if not self._held:
            raise BrokenOff(ENDED)
        line, _, self._held = self._held.partition(b"\n")
        return line.decode(errors="replace").strip()

    def left_over(self) -> bool:
        if not self.by_hand and not self._held and select.select([self._descriptor], [], [], 0)[0]:
            self._read()
        return bool(self._held.strip())

    def _read(self) -> None:
        try:
            came = os.read(self._descriptor, 4096)
        except OSError:  # the terminal has gone
            came = b""
        self._ended = not came
        self._held += came

    async def _readable(self) -> None:
        ready = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except OSError:  # a file is always ready, and can't be waited for
            return
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._descriptor)
