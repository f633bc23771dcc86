"""Commands from the server: each carried out once, none after its expiry, each answered.

The broker's message is acknowledged when the command's id is in the book, and not before: a kill in between brings it again.
A command that can't be written down is refused, since nobody could keep it from being done twice.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import structlog

from edge.acting import order
from edge.acting.book import Book, Entry
from edge.acting.hand import Hand
from edge.sources.source import CannotAct
from messages import command as commands
from messages import topics
from messages.bus import Incoming
from messages.command import Command, CommandError, Outcome, Result
from messages.ids import DeviceId, EdgeId, SiteId

MOST_WAITING = 500
"""Commands that wait to be looked at, 2 MB at most. One more is dropped, and whoever gave it learns so by its expiry:
left unacknowledged it would hold up every receipt behind it."""

log = structlog.get_logger("acting")


class Orders:
    """`run` is one task; `take` gives it a message. `say` publishes, and returns when a broker has it."""

    def __init__(
        self,
        site: SiteId,
        edge: EdgeId,
        hand: Hand,
        book: Book,
        say: Callable[[str, bytes], Awaitable[None]],
        *,
        clock_ms: Callable[[], int],
        clock_trusted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._site, self._edge = site, edge
        self._hand = hand
        self._book = book
        self._say = say
        self._clock_ms = clock_ms
        self._clock_trusted = clock_trusted
        self._waiting: asyncio.Queue[Incoming] = asyncio.Queue(MOST_WAITING)
        self._some_unsent = asyncio.Event()

    def take(self, message: Incoming) -> None:
        """Never waits: receipts come by the same way."""
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            message.ack()
            log.error("too many commands at once; one is not carried out", topic=message.topic)

    async def run(self) -> None:
        """For ever. Results that no broker had when the edge stopped go first."""
        with suppress(sqlite3.Error, OSError):  # then every command is refused for want of a book
            await self._book.do(Book.fail_interrupted)
        self._some_unsent.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send())
            while True:
                message = await self._waiting.get()
                if accepted := await self._safely_accept(message):
                    tasks.create_task(self._carry_out(*accepted))
                message.ack()

    async def _safely_accept(self, message: Incoming) -> tuple[DeviceId, Command] | None:
        try:
            return await self._accept(message)
        except Exception:  # left with the broker, it would come again at every start, and end that too
            log.exception("a command fails by a mistake of ours, and is not carried out", topic=message.topic)
            return None

    async def _accept(self, message: Incoming) -> tuple[DeviceId, Command] | None:
        """The command, if its device is to be told now."""
        device = topics.told(message.topic)
        if device is None or not message.payload:
            return None
        try:
            command = commands.decode(message.payload)
        except CommandError as error:
            log.warning("not a command", device=device, why=str(error))
            return None
        try:
            return await self._judge(device, command)
        except (sqlite3.Error, OSError) as error:
            why = f"the edge can't write it down: {error}"
            log.error("command refused", device=device, command=command.command, why=why)
            await self._answer(device, self._word(command, Outcome.REFUSED, why))
            return None

    async def _judge(self, device: DeviceId, command: Command) -> tuple[DeviceId, Command] | None:
        if known := await self._book.do(Book.entry, command.id):
            await self._answer_again(known, device, command)
            return None
        if why := self._refusal(device, command):
            log.warning("command refused", device=device, command=command.command, actor=command.actor, why=why)
            await self._write(device, command, self._word(command, Outcome.REFUSED, why))
            return None
        log.info("command", device=device, command=command.command, value=command.value, actor=command.actor)
        await self._write(device, command, self._word(command, Outcome.ACCEPTED))
        return device, command

    async def _answer_again(self, known: Entry, device: DeviceId, command: Command) -> None:
        if (known.device, known.command.command, known.command.value) == (device, command.command, command.value):
            await self._answer(device, known.result)
            return
        log.warning("a command's id was another command's", device=device, id=command.id, actor=command.actor)
        await self._answer(device, self._word(command, Outcome.REFUSED, "this id was another command's"))

    def _refusal(self, device: DeviceId, command: Command) -> str | None:
        if (known := self._hand.devices.get(device)) is None:
            return f"no device {device} on this edge"
        if not self._clock_trusted():
            return "the edge does not know the time yet, and so not whether this has expired"
        return order.refusal(command, known.kind, known.model, self._clock_ms())

    async def _carry_out(self, device: DeviceId, command: Command) -> None:
        try:
            await self._hand.tell(device, command.command, command.value, partial(self._refusal, device, command))
        except CannotAct as error:
            log.error("command failed", device=device, command=command.command, why=str(error))
            word = self._word(command, Outcome.FAILED, str(error))
        else:
            word = self._word(command, Outcome.DONE)
        try:
            await self._write(device, command, word)
        except (sqlite3.Error, OSError):
            await self._answer(device, word)

    async def _write(self, device: DeviceId, command: Command, word: Result) -> None:
        await self._book.do(Book.write, device, command, word)
        self._some_unsent.set()

    async def _send(self) -> None:
        while True:
            await self._some_unsent.wait()
            self._some_unsent.clear()
            try:
                for entry in await self._book.do(Book.unsent):
                    await self._answer(entry.device, entry.result)
                    await self._book.do(Book.is_sent, entry.result)
            except (sqlite3.Error, OSError) as error:
                log.warning("results of commands wait for the disk", why=str(error))

    async def _answer(self, device: DeviceId, word: Result) -> None:
        await self._say(topics.result(self._site, self._edge, device), commands.encode_result(word))

    def _word(self, command: Command, outcome: Outcome, detail: str = "") -> Result:
        return Result(id=command.id, outcome=outcome, at_ms=self._clock_ms(), detail=detail[:300])
