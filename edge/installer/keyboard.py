"""A terminal's keyboard, key by key: nothing is echoed, so that what is typed moves no table that is shown.

Ctrl-C still is Ctrl-C. Whoever uses it shows what was typed.
"""

import asyncio
import contextlib
import os
import re
import termios
import tty
from codecs import getincrementaldecoder
from types import TracebackType
from typing import Self

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1bO[ -~]?|\x1b")
"""Arrows and their like, which a line of text has no use for (ECMA-48 section 5.4; \x1bO begins what some send for F1 to F4)."""
END_OF_INPUT = "\x04"


class Keyboard:
    """Of the terminal `descriptor`, while the context is open."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._keys = ""
        self._pressed = asyncio.Event()

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor, termios.TCSADRAIN)  # what was typed before counts
        asyncio.get_running_loop().add_reader(self._descriptor, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        with contextlib.suppress(termios.error):  # the terminal has gone
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    async def keys(self) -> str:
        """What was pressed since the last time, at least one key; END_OF_INPUT when the terminal has gone."""
        while not self._keys:
            self._pressed.clear()
            await self._pressed.wait()
        keys, self._keys = self._keys, ""
        return keys

    def give_back(self, keys: str) -> None:
        """Keys that came too early: they are the next to be heard."""
        self._keys = keys + self._keys

    def _hear(self) -> None:
        try:
            came = os.read(self._descriptor, 4096)
        except OSError:
            came = b""
        if not came:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._keys += self._decoder.decode(came) if came else END_OF_INPUT
        self._pressed.set()


def typed(line: str, keys: str) -> tuple[str, str | None]:
    """What stands on the line after `keys`; and, from an Enter on, what was pressed after it. None: the line goes on.

    Raises EOFError at an end of input on an empty line.
    """
    keys = _SEQUENCE.sub("", keys)
    for at, key in enumerate(keys):
        match key:
            case "\r" | "\n":
                return line, keys[at + 1 :]
            case "\x7f" | "\b":
                line = line[:-1]
            case "\x15":
                line = ""
            case _ if key == END_OF_INPUT and not line:
                raise EOFError
            case _ if key >= " ":
                line += key
    return line, None
