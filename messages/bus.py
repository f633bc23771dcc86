"""The one file that knows an MQTT client: paho-mqtt's protocol engine on our event loop.

paho, because it alone can acknowledge by hand and stop reading (docs/decisions/0001-mqtt-engine.md). The rules:

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

Everything runs on the event loop's thread. It is one idea, and longer than most files here.
"""

import asyncio
import random
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated, Any, Literal, Self

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from pydantic import AfterValidator, Field, model_validator

from messages.dial import dial, peer_left, plain_words
from messages.settings import ConfigError, Folder, Seconds, Settings, duration_s

SESSION_EXPIRY_S = 7 * 24 * 3600
RECEIVE_MAXIMUM = 1000
WINDOW_BYTES = 8 * 1024 * 1024
PACKET_LIMIT_BYTES = 2 * 1024 * 1024
"""A broker must not send us a larger packet (MQTT 5); no message of ours comes near."""
PUBLISH_LIMIT_BYTES = 1_000_000
"""What we send at most. Brokers hang up on more than their limit, and trying it again would never end: the shipped
settings of Mosquitto and rumqttd allow 1 MiB."""
OVERHEAD_BYTES = 1000
"""What an empty message costs in memory beside its topic and payload, rounded up."""
FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.2, 5.0
ANSWER_LIMIT_S = 10.0
GOODBYE_LIMIT_S = 1.0
BEAT_S = 1.0
PACKETS_AT_ONCE = 64
"""Read in one go before the rest of the program has its turn."""

log = structlog.get_logger("bus")


def _no_url(host: str) -> str:
    if "/" in host:
        raise ValueError("a name or an IP address is wanted, without `mqtt://`; the port has a line of its own")
    return host


class Broker(Settings):
    """Where the broker is and who we are to it: the `[broker]`, `[uplink]` or `[local]` table of a configuration."""

    host: Annotated[str, AfterValidator(_no_url)] = Field(default="127.0.0.1", min_length=1)
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
    keepalive_s: Seconds = Field(default=duration_s("30s"), alias="keepalive", ge=5, le=65535)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.password and self.password_file:
            raise ValueError("password and password_file exclude each other")
        if (self.password or self.password_file) and not self.username:
            raise ValueError("a password needs a username")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        if self.cert_file and not self.ca_file:
            raise ValueError("cert_file needs ca_file, which turns TLS on")
        return self

    def secret(self) -> str | None:
        """The password. Raises ConfigError if its file can't be read."""
        if self.password_file is None:
            return self.password
        try:
            password = self.password_file.read_text(encoding="utf-8").partition("\n")[0].strip()
        except OSError as error:
            raise ConfigError(f"{self.password_file}: no password can be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{self.password_file}: no password can be read: not UTF-8 text") from error
        if not password:
            raise ConfigError(f"{self.password_file}: no password in its first line")
        return password

    def tls(self) -> ssl.SSLContext | None:
        """Whom we trust and what we show; None without TLS. Raises ConfigError if a file can't be read."""
        if self.ca_file is None:
            return None
        blamed = self.ca_file
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file))
            if self.cert_file and self.key_file:
                blamed = self.cert_file
                context.load_cert_chain(self.cert_file, self.key_file)
        except ssl.SSLError as error:
            raise ConfigError(f"{blamed}: not a certificate (and its key): {error.reason or error}") from error
        except OSError as error:
            raise ConfigError(f"{blamed}: a certificate or key can't be read: {error.strerror or error}") from error
        return context

    def check(self) -> None:
        """Raises ConfigError unless all files can be used."""
        self.secret()
        self.tls()

    def fingerprint(self) -> tuple[object, ...]:
        """Changes when one of the files does, whoever replaced it and however."""
        found: list[object] = []
        for path in (self.password_file, self.ca_file, self.cert_file, self.key_file):
            try:
                stat = path.stat() if path else None
            except OSError as error:
                found.append(error.errno)
            else:
                found.append(stat and (stat.st_ino, stat.st_mtime_ns, stat.st_size))
        return tuple(found)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


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


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """A message that the broker keeps until `ack()`. Call it from the event loop when its content is safe.

    In any order; but the broker hears of it only when all that came before is acknowledged too, so leave none out.
    """

    topic: str
    payload: bytes
    retain: bool
    ack: Callable[[], None]

    @property
    def weight_bytes(self) -> int:
        """What it counts for in the window."""
        return len(self.topic) + len(self.payload) + OVERHEAD_BYTES


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
        self._link: _Link | None = None
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
        self._inbox_bytes -= sum(message.weight_bytes for message in taken)
        if self._link and self._inbox_bytes <= self._window_bytes // 2:
            self._link.resume()
        return taken

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand one message to the broker; returns with its PUBACK. Raises Disconnected or Refused.

        Not in the loop that reads `messages`: a full inbox stops the answers too, and who waits for one empties nothing.
        """
        if self._link is None or not self.connected:
            raise Disconnected(f"{self._broker.address}: no connection")
        await self._link.publish(Outgoing(topic, payload, retain))

    def _receive(self, message: Incoming) -> None:
        self._inbox.append(message)
        self._inbox_bytes += message.weight_bytes
        self._arrived.set()

    def _full(self) -> bool:
        return self._inbox_bytes > self._window_bytes

    async def _keep_up(self) -> None:
        loop = asyncio.get_running_loop()
        who = {"broker": self._broker.address, "client": self._client_id}
        failures, said = 0, ""
        while True:
            self._link = link = _Link(self._broker, self._receive, self._full)
            since = loop.time()
            try:
                await link.open(self._client_id, self._subscribe, self._will)
                log.info("broker is there", **who)
                said = ""
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

    async def _hold(self, link: "_Link") -> None:
        try:
            async with self._change:
                self._up, self._session = True, self._session + 1
                self._change.notify_all()
            await link.over.wait()
        finally:
            self._up = False


def backoff_s(failures: int) -> float:
    """Seconds to wait after `failures` failed connects in a row, before jitter."""
    return float(min(FIRST_BACKOFF_S * 2 ** max(0, min(failures, 16)), MOST_BACKOFF_S))


def bare_publish(packet: bytes, header: int) -> bytes:
    """An MQTT 5 PUBLISH without its properties (section 3.3.2): `packet` is all behind the fixed header.

    A packet too torn to have any comes back as it is: the engine judges it.
    """
    start = 2 + int.from_bytes(packet[:2], "big") + (2 if header & 0x06 else 0)
    length, shift, end = 0, 0, start
    for byte in packet[start : start + 4]:
        length |= (byte & 0x7F) << shift
        shift, end = shift + 7, end + 1
        if byte < 0x80:
            break
    else:
        return packet
    if end + length > len(packet):
        return packet
    return packet[:start] + b"\x00" + packet[end + length :]


class _Engine(paho.Client):
    """paho's engine over a socket that is open already, with a tap on what it reads.

    The names with an underscore are paho's own seams, private by name: tests/integration/test_bus_*.py holds them.
    """

    def __init__(self, sock: socket.socket, client_id: str, *, v5: bool) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if v5 else False,
            protocol=paho.MQTTv5 if v5 else paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._open_socket = sock
        self.shut = False
        """While it is true paho finds nothing to read, not even in the middle of its own loop."""
        self.dry = False
        """The last attempt to read found nothing: only then is everything read, TLS's own buffer included."""
        self.trouble = ""
        """What the socket said when it failed; paho keeps only that it did."""
        self.lingers = False
        """paho hangs up as soon as it has said goodbye. While this is true it doesn't: the broker shall do it."""

    def forget_ping(self) -> None:
        """Not to have had an answer to the last ping shall prove nothing."""
        self._ping_t = 0.0

    def drop_socket(self) -> None:
        self.lingers = False
        self._sock_close()

    def _create_socket(self) -> "paho.SocketLike":
        return self._open_socket

    def _handle_publish(self) -> MQTTErrorCode:
        # Any publisher may attach properties, and paho hangs up over some that brokers pass on (U+FEFF in a user
        # property): a message that nobody could ever get past. We use none, so it shall not look at them.
        if self._protocol == paho.MQTTv5:
            packet = self._in_packet
            packet["packet"] = bytearray(bare_publish(bytes(packet["packet"]), packet["command"]))
        return super()._handle_publish()

    def _sock_close(self) -> None:
        if not self.lingers:
            super()._sock_close()

    def _sock_recv(self, bufsize: int) -> bytes:
        self.dry = self.shut
        if self.shut:
            raise BlockingIOError
        try:
            return super()._sock_recv(bufsize)
        except BlockingIOError:
            self.dry = True
            raise
        except OSError as error:
            self.trouble = plain_words(error)
            raise


@dataclass(slots=True, eq=False)
class _Delivery:
    """A message that the broker waits for, by the number that the next one may bear as soon as this is acknowledged."""

    mid: int
    done: bool = False


class _Link:
    """One TCP connection with one engine, from the dial to the end."""

    def __init__(self, broker: Broker, receive: Callable[[Incoming], None], full: Callable[[], bool]) -> None:
        self.lost = asyncio.Event()
        self.over = asyncio.Event()
        """Lost, or to be left."""
        self.why = ""
        self._broker = broker
        self._receive = receive
        self._full = full
        self._loop = asyncio.get_running_loop()
        self._v5 = broker.protocol == "5"
        self._engine: _Engine | None = None
        self._socket: socket.socket | None = None
        self._turns = asyncio.Semaphore(0)
        self._most_bytes = PUBLISH_LIMIT_BYTES
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._unacked: deque[_Delivery] = deque()
        self._beat: asyncio.TimerHandle | None = None

    async def open(self, client_id: str, topics: Sequence[str], will: Outgoing | None) -> None:
        """Connect and subscribe. Raises OSError, Disconnected or ConfigError."""
        broker, secret = self._broker, self._broker.secret()
        sock = await dial(broker.host, broker.port, broker.tls(), silent_s=2 * broker.keepalive_s)
        engine = self._engine = _Engine(sock, client_id, v5=self._v5)
        if broker.username:
            engine.username_pw_set(broker.username, secret)
        if will:
            engine.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        engine.max_inflight_messages_set(0)  # `_turns` bounds them; paho's own queue costs its length per answer
        engine.on_socket_open = self._on_open
        engine.on_socket_close = self._on_close
        engine.on_socket_register_write = self._on_want_write
        engine.on_socket_unregister_write = self._on_no_write
        engine.on_connect = self._on_connect
        engine.on_disconnect = self._on_disconnect
        engine.on_message = self._on_message
        engine.on_publish = self._on_answer
        engine.on_subscribe = self._on_subscribed
        self._say_connect(engine)
        self._tick()
        await self._in_time(self._accepted, "CONNECT")
        if topics:
            options = SubscribeOptions(qos=1)
            code, mid = engine.subscribe(
                [(topic, options) for topic in topics] if self._v5 else [(topic, 1) for topic in topics]
            )
            await self._in_time(self._answer(code, mid), "SUBSCRIBE")

    async def publish(self, message: Outgoing) -> None:
        assert self._engine is not None
        if len(message.payload) + len(message.topic) > self._most_bytes:
            raise Refused(f"{message.topic}: {len(message.payload)} bytes, more than {self._most_bytes}")
        async with self._turns:
            if self.lost.is_set():
                raise Disconnected(f"{self._broker.address}: {self.why}")
            info = self._engine.publish(message.topic, message.payload, qos=1, retain=message.retain)
            answer = self._answer(info.rc, info.mid)
            try:
                await answer
            except Refused as refused:
                raise Refused(f"{message.topic}: {refused}") from None
            finally:
                self._answers.pop(info.mid, None)

    def leave(self, why: str) -> None:
        if not self.over.is_set():
            self.why = why
            self.over.set()

    def pause(self) -> None:
        if self._socket and self._engine and not self._engine.shut:
            self._engine.shut = True
            self._loop.remove_reader(self._socket)

    def resume(self) -> None:
        if self._socket and self._engine and self._engine.shut:
            self._engine.shut = False
            self._engine.forget_ping()
            self._loop.add_reader(self._socket, self._read)
            self._loop.call_soon(self._read)

    async def close(self) -> None:
        """Send what was acknowledged, say goodbye if there is somebody to hear it, and leave no descriptor."""
        try:
            if self._engine and self._socket and not self.lost.is_set():
                async with asyncio.timeout(GOODBYE_LIMIT_S):
                    await self._say_goodbye(self._engine, self._socket)
        except TimeoutError:
            pass
        finally:
            self._fail("closed")
            if self._engine:
                self._engine.drop_socket()

    async def _say_goodbye(self, engine: _Engine, sock: socket.socket) -> None:
        """Until the broker hangs up: it has then heard everything. Hanging up on unread messages would be rude to TCP,
        which may then forget what we said last."""
        self.pause()
        engine.lingers = True
        engine.disconnect()
        await self.lost.wait()
        over = asyncio.Event()

        def discard() -> None:
            try:
                while sock.recv(65536):
                    pass
                over.set()
            except (BlockingIOError, ssl.SSLWantReadError):
                pass
            except OSError:
                over.set()

        self._loop.add_reader(sock, discard)
        discard()
        await over.wait()

    def _say_connect(self, engine: _Engine) -> None:
        properties = None
        if self._v5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
            properties.MaximumPacketSize = PACKET_LIMIT_BYTES
        engine.connect(
            self._broker.host,
            self._broker.port,
            keepalive=int(self._broker.keepalive_s),
            clean_start=False if self._v5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=properties,
        )

    def _answer(self, code: MQTTErrorCode | int, mid: int | None) -> asyncio.Future[None]:
        """What will hold the broker's answer to message `mid`."""
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            self._fail(paho.error_string(MQTTErrorCode(code)))
        if mid is None or self.lost.is_set():
            raise Disconnected(f"{self._broker.address}: {self.why}")
        future = self._answers[mid] = self._loop.create_future()
        return future

    async def _in_time(self, answer: asyncio.Future[None], question: str) -> None:
        while not answer.done():
            await asyncio.wait([answer], timeout=ANSWER_LIMIT_S)
            # While nothing is read because the program is full, an answer can't be seen.
            if not answer.done() and not (self._engine and self._engine.shut):
                self._fail(f"no answer to {question} within {ANSWER_LIMIT_S:.0f} s")
        await answer

    def _tick(self) -> None:
        """paho's clock: keepalive. Where a ping's answer proves nothing, TCP alone judges the broker.

        That is while nothing is read, and while the broker waits for us: rumqttd answers no ping once it has sent as
        many messages as it wants unacknowledged.
        """
        if self.lost.is_set() or self._engine is None:
            return
        if self._engine.shut or self._unacked:
            self._engine.forget_ping()
        if self._engine.shut and self._socket and peer_left(self._socket):
            self._fail(_CLOSED)
        self._engine.loop_misc()
        self._beat = self._loop.call_later(BEAT_S, self._tick)

    def _fail(self, why: str) -> None:
        if self.lost.is_set():
            return
        self.why = why
        self.lost.set()
        self.over.set()
        if self._beat:
            self._beat.cancel()
        for future in (self._accepted, *self._answers.values()):
            if not future.done():
                future.set_exception(Disconnected(f"{self._broker.address}: {why}"))
                future.exception()  # read, so that asyncio does not complain where nobody waits any more

    def _read(self) -> None:
        if self._engine:
            self._guarded(self._read_some)

    def _read_some(self) -> None:
        assert self._engine is not None
        for _ in range(PACKETS_AT_ONCE):
            self._engine.loop_read()
            if self.lost.is_set() or self._engine.dry:
                return
        # The loop wakes us for what is in the socket, not for what TLS has taken out of it already.
        self._loop.call_soon(self._read)

    def _write(self) -> None:
        if self._engine:
            self._guarded(self._engine.loop_write)

    def _guarded(self, act: Callable[[], object]) -> None:
        if self.lost.is_set():
            return
        try:
            act()
        except Exception as error:
            # paho trips over packets that no sound broker sends; what it makes of the next one is anybody's guess.
            log.exception("broken packet", broker=self._broker.address)
            self._fail(f"broken packet: {error!r}")

    # paho's callbacks. It remembers whether it asked to write, so each of the four about the socket acts at once.

    def _on_open(self, _engine: paho.Client, _data: Any, sock: Any) -> None:
        self._socket = sock
        self._loop.add_reader(sock, self._read)

    def _on_close(self, _engine: paho.Client, _data: Any, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)
        self._socket = None

    def _on_want_write(self, _engine: paho.Client, _data: Any, sock: Any) -> None:
        self._loop.add_writer(sock, self._write)

    def _on_no_write(self, _engine: paho.Client, _data: Any, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _on_connect(
        self, _engine: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if self._accepted.done():
            return
        if reason.is_failure:
            who = f"user `{self._broker.username}`" if self._broker.username else "us without a username"
            hint = "; are username and password right?" if reason.value in _LOGIN_REFUSED else ""
            self._fail(f"it refuses {who}: {reason}{hint}")
            return
        assert self._engine is not None
        # MQTT 5 section 3.2.2.3.3: more than that unanswered, and the broker hangs up.
        self._turns = asyncio.Semaphore(min(RECEIVE_MAXIMUM, getattr(properties, "ReceiveMaximum", RECEIVE_MAXIMUM)))
        self._most_bytes = min(PUBLISH_LIMIT_BYTES, getattr(properties, "MaximumPacketSize", PUBLISH_LIMIT_BYTES))
        self._accepted.set_result(None)
        if self._full():
            self.pause()

    def _on_disconnect(
        self, _engine: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        why = str(reason)
        if reason.value == _UNSPECIFIED:  # paho's word for whatever the socket did
            why = (self._engine.trouble if self._engine else "") or _CLOSED
        early = "" if self._accepted.done() else " before it let us in; are username, password and ca_file right?"
        self._fail(f"{why}{early}")

    def _on_message(self, engine: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        delivery = _Delivery(message.mid)
        if message.qos:
            self._unacked.append(delivery)

        def ack() -> None:
            delivery.done = True
            while self._unacked and self._unacked[0].done and not self.lost.is_set():
                engine.ack(self._unacked.popleft().mid, 1)

        self._receive(Incoming(message.topic, bytes(message.payload), message.retain, ack))
        if self._full():
            self.pause()

    def _on_answer(self, _engine: paho.Client, _data: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        self._settle(mid, Refused(str(reason)) if self._v5 and reason.is_failure else None)

    def _on_subscribed(
        self, _engine: paho.Client, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        refused = [reason for reason in reasons if reason.is_failure]
        words = f"{self._broker.address}: it refuses our subscription: {refused[0]}" if refused else ""
        self._settle(mid, Disconnected(words) if refused else None)

    def _settle(self, mid: int, error: Exception | None) -> None:
        future = self._answers.get(mid)
        if future is None or future.done():
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result(None)


_LOGIN_REFUSED = (0x86, 0x87)  # MQTT 5 section 3.2.2.2: bad user name or password, not authorized
_UNSPECIFIED = 0x80
_CLOSED = "the broker closed the connection"
