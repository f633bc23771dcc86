"""The one file that knows an MQTT client: paho-mqtt's protocol engine on our event loop.

paho, because it alone can acknowledge by hand and stop reading (docs/decisions/0002-mqtt-engine.md). The rules:

* The session is ours for good: a stable client id, never a clean start, a long expiry. What the broker queued
  while we were away arrives after the connect; nothing is asked for twice.
* A message is acknowledged when the program says so (`Incoming.ack`), not when it arrives. An acknowledgement
  for a connection that is gone does nothing: the broker repeats the message, and every reader of it is idempotent.
* The inbox is bounded in bytes by not reading the socket; brokers ignore Receive Maximum (Mosquitto 2.0.11) or
  never knew it (rumqttd).
* `publish` returns when the broker has answered, and fails when the link goes: nothing is queued behind the
  caller's back. A connection's leftovers die with it, since each connection has an engine of its own.
"""

import asyncio
import random
import socket
import ssl
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from pydantic import Field, model_validator

from messages.settings import ConfigError, Folder, Seconds, Settings, duration_s

SESSION_EXPIRY_S = 7 * 24 * 3600
RECEIVE_MAXIMUM = 1000
WINDOW_BYTES = 8 * 1024 * 1024
FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.2, 30.0
CONNECT_TIMEOUT_S = 10.0

log = structlog.get_logger("bus")


class Broker(Settings):
    """Where the broker is and who we are to it: the `[broker]`, `[uplink]` or `[local]` table of a configuration."""

    host: str = "127.0.0.1"
    port: int = Field(default=1883, ge=1, le=65535)
    username: str | None = None
    password: str | None = None
    password_file: Folder | None = None
    """A file whose first line is the password: keeps it out of the configuration."""
    ca_file: Folder | None = None
    """Turns TLS on and trusts these certificates only."""
    cert_file: Folder | None = None
    key_file: Folder | None = None
    protocol: Literal["5", "3.1.1"] = "5"
    keepalive_s: Seconds = Field(default=duration_s("30s"), alias="keepalive", ge=5)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.password and self.password_file:
            raise ValueError("password and password_file exclude each other")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        return self

    def secret(self) -> str | None:
        """The password. Raises ConfigError if its file can't be read."""
        if self.password_file is None:
            return self.password
        try:
            return self.password_file.read_text(encoding="utf-8").splitlines()[0].strip()
        except (OSError, IndexError) as error:
            raise ConfigError(f"{self.password_file}: no password can be read: {error}") from error

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class Disconnected(Exception):
    """The link is away, so the message may or may not have reached the broker. Publish again after `up()`."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as `will` and `publish` take it; always QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """A message that the broker keeps until `ack()`. Call it once, from the event loop, when its content is safe."""

    topic: str
    payload: bytes
    retain: bool
    ack: Callable[[], None]


class Bus:
    """One connection, kept up for as long as the context is open.

    Use: `async with Bus(...) as bus: async for message in bus.messages(): …; message.ack()`.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        *,
        subscribe: Sequence[str] = (),
        will: Outgoing | None = None,
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._subscribe = tuple(subscribe)
        self._will = will
        self._window_bytes = window_bytes
        self._inbox: deque[Incoming] = deque()
        self._inbox_bytes = 0
        self._arrived = asyncio.Event()
        self._connection: _Connection | None = None
        self._change = asyncio.Condition()
        self._session = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def inbox_bytes(self) -> int:
        return self._inbox_bytes

    async def __aenter__(self) -> Self:
        self._broker.secret()
        self._task = asyncio.create_task(self._keep_up(), name=f"bus {self._client_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def up(self, after: int = 0) -> int:
        """Wait for a connection newer than number `after`; its number. What is said at every connect belongs after it."""
        async with self._change:
            await self._change.wait_for(lambda: self._connection is not None and self._session > after)
            return self._session

    async def messages(self) -> AsyncIterator[Incoming]:
        """Messages as they come, for ever. One reader at a time."""
        while True:
            for message in await self.some(1):
                yield message

    async def some(self, most: int) -> list[Incoming]:
        """At least one message and at most `most`: what has arrived so far."""
        while not self._inbox:
            self._arrived.clear()
            await self._arrived.wait()
        taken = [self._inbox.popleft() for _ in range(min(most, len(self._inbox)))]
        self._inbox_bytes -= sum(len(message.payload) for message in taken)
        if self._connection and self._inbox_bytes <= self._window_bytes // 2:
            self._connection.resume()
        return taken

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand one message to the broker; returns with its PUBACK. Raises Disconnected."""
        if self._connection is None:
            raise Disconnected(f"{self._broker.address}: no connection")
        await self._connection.publish(Outgoing(topic, payload, retain))

    def _receive(self, message: Incoming) -> None:
        self._inbox.append(message)
        self._inbox_bytes += len(message.payload)
        self._arrived.set()
        if self._connection and self._inbox_bytes > self._window_bytes:
            self._connection.pause()

    async def _keep_up(self) -> None:
        failures, said = 0, ""
        while True:
            connection = _Connection(self._broker, self._client_id, self._will, self._receive)
            try:
                await connection.open(self._subscribe)
            except (OSError, Disconnected) as error:
                failures += 1
                if str(error) != said:
                    said = str(error)
                    log.warning("broker is away", broker=self._broker.address, client=self._client_id, why=said)
            else:
                log.info("broker is there", broker=self._broker.address, client=self._client_id)
                failures, said = 0, ""
                await self._hold(connection)
                log.warning("link lost", broker=self._broker.address, client=self._client_id, why=connection.why)
            finally:
                await connection.close()
            await asyncio.sleep(backoff_s(failures) * random.uniform(0.7, 1.3))

    async def _hold(self, connection: "_Connection") -> None:
        async with self._change:
            self._connection, self._session = connection, self._session + 1
            self._change.notify_all()
        if self._inbox_bytes > self._window_bytes:
            connection.pause()
        try:
            await connection.lost.wait()
        finally:
            self._connection = None


def backoff_s(failures: int) -> float:
    """Seconds to wait after `failures` failed connects in a row, before jitter."""
    return float(min(FIRST_BACKOFF_S * 2 ** min(failures, 16), MOST_BACKOFF_S))


class _Connection:
    """One TCP connection with one paho engine, from CONNECT to the end. All callbacks run on the event loop."""

    def __init__(
        self, broker: Broker, client_id: str, will: Outgoing | None, receive: Callable[[Incoming], None]
    ) -> None:
        self.lost = asyncio.Event()
        self.why = ""
        self._broker = broker
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._socket: socket.socket | None = None
        self._paused = False
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._pulse: asyncio.Task[None] | None = None
        self._v5 = broker.protocol == "5"
        self._engine = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if self._v5 else False,
            protocol=paho.MQTTv5 if self._v5 else paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        engine = self._engine
        engine.username_pw_set(broker.username, broker.secret()) if broker.username else None
        if broker.ca_file:
            engine.tls_set_context(_tls(broker.ca_file, broker.cert_file, broker.key_file))
        if will:
            engine.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        engine.connect_timeout = CONNECT_TIMEOUT_S
        engine.max_inflight_messages_set(RECEIVE_MAXIMUM)
        engine.on_socket_open = self._on_open
        engine.on_socket_close = self._on_close
        engine.on_socket_register_write = self._on_want_write
        engine.on_socket_unregister_write = self._on_no_write
        engine.on_connect = self._on_connect
        engine.on_disconnect = self._on_disconnect
        engine.on_message = self._on_message
        engine.on_publish = self._on_answer
        engine.on_subscribe = self._on_subscribed

    async def open(self, topics: Sequence[str]) -> None:
        """Connect and subscribe. Raises OSError or Disconnected."""
        await self._loop.run_in_executor(None, self._connect)
        self._pulse = asyncio.create_task(self._beat())
        async with _TimeLimit(CONNECT_TIMEOUT_S, f"{self._broker.address}: no answer to CONNECT"):
            await self._accepted
        if topics:
            options = SubscribeOptions(qos=1)
            code, mid = self._engine.subscribe(
                [(topic, options) for topic in topics] if self._v5 else [(topic, 1) for topic in topics]
            )
            async with _TimeLimit(CONNECT_TIMEOUT_S, f"{self._broker.address}: no answer to SUBSCRIBE"):
                await self._answer(code, mid)

    async def publish(self, message: Outgoing) -> None:
        info = self._engine.publish(message.topic, message.payload, qos=1, retain=message.retain)
        await self._answer(info.rc, info.mid)

    def pause(self) -> None:
        if self._socket and not self._paused:
            self._paused = True
            self._loop.remove_reader(self._socket)

    def resume(self) -> None:
        if self._socket and self._paused:
            self._paused = False
            self._loop.add_reader(self._socket, self._read)

    async def close(self) -> None:
        if self._socket:
            self._engine.disconnect()
            await asyncio.sleep(0)
        if self._pulse:
            self._pulse.cancel()
        self._fail("closed")
        if self._socket:
            self._on_close(self._engine, None, self._socket)
        # paho closes its socket only from its own loop; without this the descriptor would live until collected
        self._engine._sock_close()

    def _connect(self) -> None:
        properties = None
        if self._v5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
        try:
            self._engine.connect(
                self._broker.host,
                self._broker.port,
                keepalive=int(self._broker.keepalive_s),
                clean_start=False if self._v5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
                properties=properties,
            )
        except ValueError as error:  # paho's word for a host that can't be one
            raise Disconnected(f"{self._broker.address}: {error}") from error

    async def _answer(self, code: MQTTErrorCode | int, mid: int | None) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None or self.lost.is_set():
            raise Disconnected(f"{self._broker.address}: {paho.error_string(MQTTErrorCode(code))}")
        future = self._answers[mid] = self._loop.create_future()
        try:
            await future
        finally:
            self._answers.pop(mid, None)

    async def _beat(self) -> None:
        while self._engine.loop_misc() == MQTTErrorCode.MQTT_ERR_SUCCESS:  # noqa: ASYNC110 (paho has no event for it)
            await asyncio.sleep(1)
        self._fail("no answer within the keepalive")

    def _fail(self, why: str) -> None:
        if self.lost.is_set():
            return
        self.why = why
        self.lost.set()
        gone = Disconnected(f"{self._broker.address}: {why}")
        for future in (self._accepted, *self._answers.values()):
            if not future.done():
                future.set_exception(gone)
        if self._accepted.done() and not self._accepted.cancelled():
            self._accepted.exception()  # read, so that asyncio does not complain of it

    def _read(self) -> None:
        self._engine.loop_read()

    def _write(self) -> None:
        self._engine.loop_write()

    # paho's callbacks. The four about the socket may come from the connecting thread.

    def _on_open(self, _engine: paho.Client, _data: Any, sock: Any) -> None:
        def watch() -> None:
            if not self.lost.is_set():
                self._socket = sock
                self._loop.add_reader(sock, self._read)

        self._on_loop(watch)

    def _on_close(self, _engine: paho.Client, _data: Any, sock: Any) -> None:
        def unwatch() -> None:
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock)
                self._loop.remove_writer(sock)
            if self._socket is sock:
                self._socket = None

        if threading.get_ident() == self._thread:
            unwatch()

    def _on_want_write(self, _engine: paho.Client, _data: Any, sock: Any) -> None:
        def watch() -> None:
            if sock.fileno() >= 0 and not self.lost.is_set():
                self._loop.add_writer(sock, self._write)

        self._on_loop(watch)

    def _on_no_write(self, _engine: paho.Client, _data: Any, sock: Any) -> None:
        def unwatch() -> None:
            if sock.fileno() >= 0:
                self._loop.remove_writer(sock)

        self._on_loop(unwatch)

    def _on_loop(self, act: Callable[[], None]) -> None:
        """At once on the loop's own thread: paho remembers whether it asked to write, so the order must hold."""
        if threading.get_ident() == self._thread:
            act()
        else:
            self._loop.call_soon_threadsafe(act)

    def _on_connect(self, _engine: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if self._accepted.done():
            return
        if reason.is_failure:
            self._fail(f"refused us: {reason}")
        else:
            self._accepted.set_result(None)

    def _on_disconnect(
        self, _engine: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        early = "" if self._accepted.done() else " before it let us in; are user and password right?"
        self._fail(f"{reason}{early}")

    def _on_message(self, engine: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        def ack() -> None:
            if not self.lost.is_set() and message.qos:
                engine.ack(message.mid, message.qos)

        self._receive(Incoming(message.topic, bytes(message.payload), message.retain, ack))

    def _on_answer(self, _engine: paho.Client, _data: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        future = self._answers.get(mid)
        if future is None or future.done():
            return
        if self._v5 and reason.is_failure:
            future.set_exception(Disconnected(f"{self._broker.address}: refused: {reason}"))
        else:
            future.set_result(None)

    def _on_subscribed(
        self, _engine: paho.Client, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        future = self._answers.get(mid)
        if future is None or future.done():
            return
        if refused := [reason for reason in reasons if reason.is_failure]:
            future.set_exception(Disconnected(f"{self._broker.address}: subscription refused: {refused[0]}"))
        else:
            future.set_result(None)


class _TimeLimit:
    """`asyncio.timeout` whose expiry is a lost link."""

    def __init__(self, limit_s: float, message: str) -> None:
        self._timeout = asyncio.timeout(limit_s)
        self._message = message

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as expired:
            raise Disconnected(self._message) from expired


def _tls(ca_file: Path, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca_file))
        if cert_file and key_file:
            context.load_cert_chain(cert_file, key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{ca_file}: certificates can't be read: {error}") from error
    return context
