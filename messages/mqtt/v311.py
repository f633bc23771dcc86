"""MQTT 3.1.1: paho-mqtt's protocol engine on our event loop (docs/decisions/0001-mqtt-engine.md).

For brokers that know no better. It says less: neither that it refuses a message, nor what it would take.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from messages.dial import dial, peer_left, plain_words
from messages.mqtt.link import BEAT_S, CLOSED, Disconnected, Link, Outgoing
from messages.mqtt.welcome import Welcome

PACKETS_AT_ONCE = 64
"""Read in one go before the rest of the program has its turn."""
_LOGIN_REFUSED = (
    0x86,
    0x87,
)  # paho says return codes of 3.1.1 in those of MQTT 5: bad user name or password, not authorized
_UNSPECIFIED = 0x80

log = structlog.get_logger("bus")


class _Engine(paho.Client):
    """paho's engine over a socket that is open already, with a tap on what it reads.

    The names with an underscore are paho's own seams, private by name: tests/integration/test_bus_*.py holds them.
    """

    def __init__(self, sock: socket.socket, client_id: str) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=False,
            protocol=paho.MQTTv311,
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


class V311Link(Link):
    """See `Link`."""

    _engine: _Engine | None = None
    _socket: socket.socket | None = None

    @property
    def _connected(self) -> bool:
        return self._engine is not None and self._socket is not None

    @property
    def _is_shut(self) -> bool:
        return self._engine is not None and self._engine.shut

    async def _dial(self, client_id: str, will: Outgoing | None) -> None:
        broker, secret = self._broker, self._broker.secret()
        sock = await dial(broker.host, broker.port, broker.tls(), silent_s=2 * broker.keepalive_s)
        engine = self._engine = _Engine(sock, client_id)
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
        engine.connect(
            broker.host,
            broker.port,
            keepalive=int(broker.keepalive_s),
            clean_start=paho.MQTT_CLEAN_START_FIRST_ONLY,
        )

    def _ask_for(self, topics: Sequence[str]) -> asyncio.Future[bool]:
        assert self._engine is not None
        code, mid = self._engine.subscribe([(topic, 1) for topic in topics])
        return self._answer(code, mid)

    def _say(self, message: Outgoing) -> int:
        assert self._engine is not None
        info = self._engine.publish(message.topic, message.payload, qos=1, retain=message.retain)
        self._answer(info.rc, info.mid)
        return info.mid

    def _acknowledge(self, mids: Sequence[int]) -> None:
        assert self._engine is not None
        for mid in mids:
            self._engine.ack(mid, 1)

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

    def _drop(self) -> None:
        if self._engine:
            self._engine.drop_socket()

    async def _say_goodbye(self) -> None:
        engine, sock = self._engine, self._socket
        assert engine is not None
        assert sock is not None
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

    def _answer(self, code: MQTTErrorCode | int, mid: int | None) -> asyncio.Future[bool]:
        """What will hold the broker's answer to message `mid`."""
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            self._fail(paho.error_string(MQTTErrorCode(code)))
        if mid is None or self.lost.is_set():
            raise Disconnected(f"{self._broker.address}: {self.why}")
        return self._wait_for(mid)

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
            self._fail(CLOSED)
        self._engine.loop_misc()
        self._beat = self._loop.call_later(BEAT_S, self._tick)

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
        self, _engine: paho.Client, _data: Any, flags: Any, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if self._accepted.done():
            return
        if reason.is_failure:
            self._refused_login(str(reason), login=reason.value in _LOGIN_REFUSED)
            return
        self._welcomed(Welcome(session_present=bool(flags.session_present)))
        self._accepted.set_result(None)
        if self._full():
            self.pause()

    def _on_disconnect(
        self, _engine: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        why = str(reason)
        if reason.value == _UNSPECIFIED:  # paho's word for whatever the socket did
            why = (self._engine.trouble if self._engine else "") or CLOSED
        self._ended(why)

    def _on_message(self, _engine: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        mid = message.mid if message.qos else None
        self._arrived(message.topic, bytes(message.payload), message.retain, mid)

    def _on_answer(self, _engine: paho.Client, _data: Any, mid: int, _reason: ReasonCode, _properties: Any) -> None:
        self._settle(mid, None)

    def _on_subscribed(
        self, _engine: paho.Client, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        refused = [reason for reason in reasons if reason.is_failure]
        words = f"{self._broker.address}: it refuses our subscription: {refused[0]}" if refused else ""
        self._granted(min((reason.value for reason in reasons), default=0))
        self._settle(mid, Disconnected(words) if refused else None)
