"""A program's connection to its broker, kept up. The rules, whichever engine (messages/mqtt) is underneath:

* The session is ours for good: a stable client id, never a clean start, a long expiry. What the broker queued
  while we were away arrives after the connect; nothing is asked for twice.
* A message is acknowledged when the program says so (`Incoming.ack`), not when it arrives, and in the order of
  arrival, as MQTT 5 section 4.6 wants it: rumqttd forgets messages whose turn was missed. An acknowledgement for a
  connection that is gone does nothing: the broker repeats the message, and every reader of it is idempotent.
* The inbox is bounded in bytes by not reading the socket; brokers ignore Receive Maximum (Mosquitto 2.0.11) or
  never knew it (rumqttd). At no time does it hold more than `window_bytes` and one message, and a message has at
  most PACKET_LIMIT_BYTES (MQTT 5; with 3.1.1 the broker's own limit). What it holds outlives the connection.
* `publish` returns when the broker has answered, and fails when the link goes: nothing is queued behind the
  caller's back. A connection's leftovers die with it, since each connection has an engine of its own.

Everything runs on the event loop's thread.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import structlog

from messages.broker import Broker
from messages.mqtt.link import (
    OVERHEAD_BYTES,
    SESSION_EXPIRY_S,
    Disconnected,
    Incoming,
    Link,
    Outgoing,
    Refused,
    ack_all,
)
from messages.mqtt.v5 import V5Link
from messages.mqtt.welcome import Welcome
from messages.settings import ConfigError

if TYPE_CHECKING:
    from messages.mqtt.v311 import V311Link

__all__ = [
    "SESSION_EXPIRY_S",
    "Bus",
    "Disconnected",
    "Incoming",
    "Outgoing",
    "Refused",
    "Welcome",
    "ack_all",
    "backoff_s",
]

WINDOW_BYTES = 8 * 1024 * 1024
LOOKS, TURNS_OF_A_LOOK = 8, 3
"""How often at most the socket is looked at until it brings nothing more, and in how many turns of the loop what it brings is here."""
FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.2, 5.0

log = structlog.get_logger("bus")


class Bus:
    """One connection, kept up for as long as the context is open.

    Use: `async with Bus(...) as bus: async for message in bus.messages(): …; message.ack()`.
    Leaving it is a clean end: the broker keeps the will to itself.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        *,
        subscribe: Sequence[str] = (),
        wish: Sequence[str] = (),
        will: Outgoing | None = None,
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._subscribe = tuple(subscribe)
        self._wish = tuple(wish)
        """Topics that we can do without, should the broker not let us hear them."""
        self._will = will
        self._window_bytes = window_bytes
        self._inbox: deque[Incoming] = deque()
        self._inbox_bytes = 0
        self._arrived = asyncio.Event()
        self._link: Link | None = None
        self._up = False
        self._session = 0
        self._change = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._up and self._link is not None and not self._link.lost.is_set()

    @property
    def inbox_bytes(self) -> int:
        return self._inbox_bytes

    @property
    def welcome(self) -> Welcome | None:
        """What the broker said when it let us in; None without a connection."""
        return self._link.welcome if self._link and self.connected else None

    async def __aenter__(self) -> Self:
        self._broker.check()  # a ConfigError now, not a retry for ever
        self._task = asyncio.create_task(self._keep_up(), name=f"bus {self._client_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def renew(self, why: str) -> None:
        """Hang up and connect again, with password and certificates read anew. Politely: the broker keeps the will."""
        if self._link:
            self._link.leave(why)

    async def up(self, after: int = 0) -> int:
        """Wait for a connection newer than number `after`; its number. What is said at every connect belongs after it."""
        async with self._change:
            await self._change.wait_for(lambda: self.connected and self._session > after)
            return self._session

    async def down(self, session: int) -> None:
        """Wait until connection number `session` is over."""
        async with self._change:
            await self._change.wait_for(lambda: not self._up or self._session > session)

    async def messages(self) -> AsyncIterator[Incoming]:
        """Messages as they come, for ever. One reader at a time."""
        while True:
            for message in await self.some(1):
                yield message

    async def some(self, most: int, *, most_bytes: int | None = None) -> list[Incoming]:
        """At least one message and at most `most`: what has arrived so far, up to `most_bytes` of payload."""
        while not self._inbox:
            self._arrived.clear()
            await self._arrived.wait()
        inbox, taken = self._inbox, list[Incoming]()
        held_bytes = 0
        while inbox and len(taken) < most:
            message = inbox[0]
            held_bytes += len(message.payload)
            if most_bytes is not None and held_bytes > most_bytes and taken:
                break
            taken.append(inbox.popleft())
            self._inbox_bytes -= len(message.topic) + len(message.payload) + OVERHEAD_BYTES
        if self._link and self._inbox_bytes <= self._window_bytes // 2:
            self._link.resume()
        return taken

    async def unread(self) -> int | None:
        """How many messages have arrived and not been taken. What lies in the socket is read for this; None: there is no room for that."""
        for _ in range(LOOKS):
            if self._inbox_bytes > self._window_bytes // 2:
                return None
            held = len(self._inbox)
            for _ in range(TURNS_OF_A_LOOK):
                await asyncio.sleep(0)
            if len(self._inbox) == held:
                break
        return len(self._inbox)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand one message to the broker; returns with its PUBACK. False: the broker says that nobody listens (MQTT 5, and not every broker
        says it; a session that is kept for somebody who is away listens). Raises Disconnected or Refused.

        Not in the loop that reads `messages`: a full inbox stops the answers too, and who waits for one empties nothing.
        """
        if self._link is None or not self.connected:
            raise Disconnected(f"{self._broker.address}: no connection")
        return await self._link.publish(Outgoing(topic, payload, retain))

    def _receive(self, message: Incoming) -> None:
        self._inbox.append(message)
        self._inbox_bytes += len(message.topic) + len(message.payload) + OVERHEAD_BYTES
        self._arrived.set()

    def _full(self) -> bool:
        return self._inbox_bytes > self._window_bytes

    async def _keep_up(self) -> None:
        loop = asyncio.get_running_loop()
        who = {"broker": self._broker.address, "client": self._client_id}
        failures, said, wished_for = 0, "", ""
        while True:
            self._link = link = self._engine()(self._broker, self._receive, self._full)
            since = loop.time()
            try:
                refused = await link.open(self._client_id, self._subscribe, self._will, wished=self._wish)
                log.info("broker is there", **who)
                if refused and refused != wished_for:
                    log.warning("broker keeps some topics from us", why=refused, topics=self._wish, **who)
                said, wished_for = "", refused
                await self._hold(link)
                log.warning("link lost", why=link.why, **who)
            except (OSError, Disconnected, ConfigError) as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("broker is away", why=said, **who)
            except Exception:
                log.exception("link failed by a mistake of ours", **who)
            finally:
                self._link = None
                await link.close()
            # A link that does not last is a failure too: two programs of one name would throw each other out for ever.
            failures = failures + 1 if loop.time() - since < MOST_BACKOFF_S else 0
            await asyncio.sleep(backoff_s(failures - 1) * random.uniform(0.7, 1.3))

    def _engine(self) -> type[V5Link] | type["V311Link"]:
        if self._broker.protocol == "5":
            return V5Link
        from messages.mqtt.v311 import V311Link  # 3 MB, with what its client brings: a Pi that speaks MQTT 5 keeps them

        return V311Link

    async def _hold(self, link: Link) -> None:
        try:
            async with self._change:
                self._up, self._session = True, self._session + 1
                self._change.notify_all()
            await link.over.wait()
        finally:
            self._up = False
            async with self._change:
                self._change.notify_all()


def backoff_s(failures: int) -> float:
    """Seconds to wait after `failures` failed connects in a row, before jitter."""
    return float(min(FIRST_BACKOFF_S * 2 ** max(0, min(failures, 16)), MOST_BACKOFF_S))
