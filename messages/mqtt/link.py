"""What a connection to a broker is to the bus, whichever version of MQTT it speaks.

One TCP connection with one engine, from the dial to the end. Kept here: what is waited for, what is to be acknowledged and in
which order, and how it ends. An engine (v5.py, v311.py) turns it into bytes.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from messages.broker import Broker
from messages.mqtt.welcome import Welcome

SESSION_EXPIRY_S = 7 * 24 * 3600
RECEIVE_MAXIMUM = 8000
"""Messages that the broker may have sent us and that we haven't acknowledged. They are few in bytes: the window sees to that. A collector
acknowledges when a database has written, and a broker that waits for it meanwhile is what limits small messages."""
UNANSWERED = 1000
"""Messages of ours that the broker hasn't answered."""
PACKET_LIMIT_BYTES = 2 * 1024 * 1024
"""A broker must not send us a larger packet (MQTT 5); no message of ours comes near."""
PUBLISH_LIMIT_BYTES = 1_000_000
"""What we send at most. Brokers hang up on more than their limit, and trying it again would never end: the shipped
settings of Mosquitto and rumqttd allow 1 MiB."""
OVERHEAD_BYTES = 1000
"""What an empty message costs in memory beside its topic and payload, rounded up."""
ANSWER_LIMIT_S = 10.0
GOODBYE_LIMIT_S = 1.0
BEAT_S = 1.0
CLOSED = "the broker closed the connection"


class Disconnected(Exception):
    """This connection is over, so the message may or may not have reached the broker. Publish again after `up()`."""


class Refused(Exception):
    """The broker answered that it will not take this message: not allowed (its access rules), or too large for it.

    The link is up, and publishing the same again can't help until somebody changes the broker or the message.
    MQTT 5 only: with 3.1.1 a broker has no way to say so, and drops the message with a good PUBACK.
    """


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as `will` and `publish` take it; always QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


class Incoming(NamedTuple):
    """A message that the broker keeps until `ack()`. Call it from the event loop when its content is safe.

    In any order; but the broker hears of it only when all that came before is acknowledged too, so leave none out. `ack_all` is
    cheaper than one after the other.
    """

    topic: str
    payload: bytes
    retain: bool
    ack: Callable[[], None]


def ack_all(messages: Sequence[Incoming]) -> None:
    """Each of them, and the first one last: the others waited for that, and the broker hears of all at once."""
    for message in reversed(messages):
        message.ack()


@dataclass(slots=True, eq=False)
class _Delivery:
    """A message that the broker waits for, by the number that the next one may bear as soon as this is acknowledged."""

    mid: int
    link: "Link"
    done: bool = False

    def ack(self) -> None:
        self.done = True
        self.link.acknowledge_in_order()


class Link(ABC):
    """Open it once, close it once."""

    def __init__(self, broker: Broker, receive: Callable[[Incoming], None], full: Callable[[], bool]) -> None:
        self.lost = asyncio.Event()
        self.over = asyncio.Event()
        """Lost, or to be left."""
        self.why = ""
        self.welcome = Welcome(session_present=False)
        """What the broker said when it let us in."""
        self._broker = broker
        self._receive = receive
        self._full = full
        self._loop = asyncio.get_running_loop()
        self._turns = asyncio.Semaphore(0)
        self._most_bytes = PUBLISH_LIMIT_BYTES
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[bool]] = {}
        self._unacked: deque[_Delivery] = deque()
        self._beat: asyncio.TimerHandle | None = None

    async def open(
        self, client_id: str, topics: Sequence[str], will: Outgoing | None, *, wished: Sequence[str] = ()
    ) -> str:
        """Connect and subscribe. Of the `wished` topics the broker may refuse some: why it does. Raises OSError, Disconnected or ConfigError."""
        await self._dial(client_id, will)
        self._tick()
        await self._in_time(self._accepted, "CONNECT")
        if topics:
            await self._in_time(self._ask_for(topics), "SUBSCRIBE")
        granted = self.welcome
        try:
            if wished:
                await self._in_time(self._ask_for(wished), "SUBSCRIBE")
        except Disconnected as error:
            if self.lost.is_set():
                raise
            return str(error)
        finally:
            self.welcome = granted
        return ""

    async def publish(self, message: Outgoing) -> bool:
        """Whether anybody listens, as far as the broker says so."""
        if len(message.payload) + len(message.topic) > self._most_bytes:
            raise Refused(f"{message.topic}: {len(message.payload)} bytes, more than {self._most_bytes}")
        async with self._turns:
            if self.lost.is_set():
                raise Disconnected(f"{self._broker.address}: {self.why}")
            mid = self._say(message)
            try:
                return await self._answers[mid]
            except Refused as refused:
                raise Refused(f"{message.topic}: {refused}") from None
            finally:
                self._answers.pop(mid, None)

    def leave(self, why: str) -> None:
        if not self.over.is_set():
            self.why = why
            self.over.set()

    async def close(self) -> None:
        """Send what was acknowledged, say goodbye if there is somebody to hear it, and leave no descriptor."""
        try:
            if self._connected and not self.lost.is_set():
                async with asyncio.timeout(GOODBYE_LIMIT_S):
                    await self._say_goodbye()
        except TimeoutError:
            pass
        finally:
            self._fail("closed")
            self._drop()

    @abstractmethod
    def pause(self) -> None:
        """Read nothing more, until `resume`."""

    @abstractmethod
    def resume(self) -> None: ...

    @property
    @abstractmethod
    def _connected(self) -> bool:
        """Whether there is a socket."""

    @abstractmethod
    async def _dial(self, client_id: str, will: Outgoing | None) -> None:
        """Open the socket and say CONNECT. `_accepted` has the answer. Raises OSError or ConfigError."""

    @abstractmethod
    def _ask_for(self, topics: Sequence[str]) -> asyncio.Future[bool]:
        """SUBSCRIBE, and what will have the answer."""

    @abstractmethod
    def _say(self, message: Outgoing) -> int:
        """PUBLISH; the number under which `_answers` waits. Raises Disconnected."""

    def acknowledge_in_order(self) -> None:
        """What is done, as far as nothing before it isn't."""
        if self._unacked and self._unacked[0].done and not self.lost.is_set():
            mids = []
            while self._unacked and self._unacked[0].done:
                mids.append(self._unacked.popleft().mid)
            self._acknowledge(mids)

    @abstractmethod
    def _acknowledge(self, mids: Sequence[int]) -> None: ...

    @abstractmethod
    async def _say_goodbye(self) -> None:
        """Until the broker hangs up: it has then heard everything. Hanging up on unread messages would be rude to TCP,
        which may then forget what we said last."""

    @abstractmethod
    def _drop(self) -> None:
        """Close the socket, if there is one."""

    @abstractmethod
    def _tick(self) -> None:
        """The link's clock, once a beat: keepalive."""

    async def _in_time(self, answer: asyncio.Future[Any], question: str) -> None:
        while not answer.done():
            await asyncio.wait([answer], timeout=ANSWER_LIMIT_S)
            # While nothing is read because the program is full, an answer can't be seen.
            if not answer.done() and not self._is_shut:
                self._fail(f"no answer to {question} within {ANSWER_LIMIT_S:.0f} s")
        await answer

    @property
    @abstractmethod
    def _is_shut(self) -> bool:
        """Paused."""

    def _arrived(self, topic: str, payload: bytes, retain: bool, mid: int | None) -> None:
        """A PUBLISH came; `mid` is None at QoS 0."""
        if mid is None:
            self._receive(Incoming(topic, payload, retain, _nothing))
        else:
            delivery = _Delivery(mid, self)
            self._unacked.append(delivery)
            self._receive(Incoming(topic, payload, retain, delivery.ack))
        if self._full():
            self.pause()

    def _wait_for(self, mid: int) -> asyncio.Future[bool]:
        future = self._answers[mid] = self._loop.create_future()
        return future

    def _settle(self, mid: int, error: Exception | None, *, heard: bool = True) -> None:
        future = self._answers.get(mid)
        if future is None or future.done():
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result(heard)

    def _welcomed(self, welcome: Welcome) -> None:
        """We are in. More messages unanswered than it says, or larger ones, and it hangs up (MQTT 5 section 3.2.2.3)."""
        self.welcome = welcome
        self._turns = asyncio.Semaphore(min(UNANSWERED, welcome.receive_maximum))
        self._most_bytes = min(PUBLISH_LIMIT_BYTES, welcome.packet_bytes or PUBLISH_LIMIT_BYTES)

    def _granted(self, lowest_qos: int) -> None:
        self.welcome = replace(self.welcome, granted_qos=lowest_qos)

    def _refused_login(self, words: str, *, login: bool) -> None:
        who = f"user `{self._broker.username}`" if self._broker.username else "us without a username"
        self._fail(f"it refuses {who}: {words}{'; are username and password right?' if login else ''}")

    def _ended(self, why: str) -> None:
        """The other side ended it."""
        early = "" if self._accepted.done() else " before it let us in; are username, password and ca_file right?"
        self._fail(f"{why}{early}")

    def _fail(self, why: str) -> None:
        if self.lost.is_set():
            return
        self.why = why
        self.lost.set()
        self.over.set()
        if self._beat:
            self._beat.cancel()
        waited_for: list[asyncio.Future[Any]] = [self._accepted, *self._answers.values()]
        for future in waited_for:
            if not future.done():
                future.set_exception(Disconnected(f"{self._broker.address}: {why}"))
                future.exception()  # read, so that asyncio does not complain where nobody waits any more


def _nothing() -> None:
    """The acknowledgement of a message that wants none."""
