"""MQTT 5: the mqtt5 package's codec over a socket of ours (docs/decisions/0024-two-engines.md).

Bytes are taken from the socket in large pieces and what is said is sent once a turn of the event loop: an acknowledgement
costs four bytes in a buffer, not a call of the system.
"""

import asyncio
import enum
import socket
import ssl
from collections.abc import Sequence

import mqtt5
import structlog
from mqtt5 import QoS

from messages.dial import dial, peer_left, plain_words
from messages.mqtt.link import (
    BEAT_S,
    CLOSED,
    PACKET_LIMIT_BYTES,
    RECEIVE_MAXIMUM,
    SESSION_EXPIRY_S,
    Disconnected,
    Link,
    Outgoing,
    Refused,
)
from messages.mqtt.welcome import Welcome

READ_BYTES = 64 * 1024
READS_AT_ONCE = 8
"""Of the socket, before the rest of the program has its turn."""
HIGHEST_MID = 0xFFFF
_PUBLISH, _RETAIN, _QOS, _QOS_2 = 3, 0x01, 0x06, 0x04
_TOPIC_LENGTH = _MID_LENGTH = 2
_LONGEST_LENGTH, _MORE = 4, 0x80
_PUBACK = b"\x40\x02"
"""All well (MQTT 5 section 3.4.2.1); the packet id follows."""
_FAILURE = 0x80
_LOGIN_REFUSED = (mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD, mqtt5.ConnAckReasonCode.NOT_AUTHORIZED)

log = structlog.get_logger("bus")


class V5Link(Link):
    """See `Link`."""

    _socket: socket.socket | None = None
    _shut = False
    _mid = 0
    _keepalive_s = 0.0
    _pinged_at_s: float | None = None
    _flushing = False

    @property
    def _connected(self) -> bool:
        return self._socket is not None

    @property
    def _is_shut(self) -> bool:
        return self._shut

    async def _dial(self, client_id: str, will: Outgoing | None) -> None:
        broker, secret = self._broker, self._broker.secret()
        self._in, self._out = b"", bytearray()
        self._keepalive_s = broker.keepalive_s
        self._heard_at_s = self._said_at_s = self._loop.time()
        self._socket = await dial(broker.host, broker.port, broker.tls(), silent_s=2 * broker.keepalive_s)
        self._loop.add_reader(self._socket, self._read)
        last_will = None
        if will:
            last_will = mqtt5.Will(will.topic, payload=will.payload, qos=QoS.AT_LEAST_ONCE, retain=will.retain)
        self._send(
            mqtt5.ConnectPacket(
                client_id,
                username=broker.username,
                password=secret.encode() if secret is not None else None,
                will=last_will,
                keep_alive=int(broker.keepalive_s),
                session_expiry_interval=SESSION_EXPIRY_S,
                receive_max=RECEIVE_MAXIMUM,
                max_packet_size=PACKET_LIMIT_BYTES,
            ).write()
        )

    def _ask_for(self, topics: Sequence[str]) -> asyncio.Future[bool]:
        mid = self._next_mid()
        answer = self._wait_for(mid)
        filters = [mqtt5.TopicFilter(topic, max_qos=QoS.AT_LEAST_ONCE, retain_as_published=False) for topic in topics]
        self._send(mqtt5.SubscribePacket(mid, filters).write())
        return answer

    def _say(self, message: Outgoing) -> int:
        mid = self._next_mid()
        self._wait_for(mid)
        packet = mqtt5.PublishPacket(
            message.topic, message.payload, qos=QoS.AT_LEAST_ONCE, retain=message.retain, packet_id=mid
        )
        self._send(packet.write())
        return mid

    def _acknowledge(self, mids: Sequence[int]) -> None:
        self._send(b"".join([_PUBACK + mid.to_bytes(_MID_LENGTH, "big") for mid in mids]))

    def _next_mid(self) -> int:
        while True:
            self._mid = self._mid % HIGHEST_MID + 1
            if self._mid not in self._answers:
                return self._mid

    def pause(self) -> None:
        if self._socket and not self._shut:
            self._shut = True
            self._loop.remove_reader(self._socket)

    def resume(self) -> None:
        if self._socket and self._shut:
            self._shut = False
            self._pinged_at_s = None
            self._loop.add_reader(self._socket, self._read)
            self._loop.call_soon(self._read)

    # out

    def _send(self, data: bytes) -> None:
        """With all that is said in this turn of the loop."""
        if self.lost.is_set():
            raise Disconnected(f"{self._broker.address}: {self.why}")
        self._out += data
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._socket is None or self.lost.is_set():
            return
        try:
            while self._out:
                del self._out[: self._socket.send(self._out)]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._loop.add_writer(self._socket, self._flush)  # replaces itself
            return
        except OSError as error:
            self._read()  # what the broker said before it hung up says more
            self._ended(plain_words(error))
            return
        self._said_at_s = self._loop.time()
        self._flushing = False
        self._loop.remove_writer(self._socket)

    # in

    def _read(self) -> None:
        if self.lost.is_set() or self._socket is None:
            return
        self._take()  # what had been read when the reader was paused
        for _ in range(READS_AT_ONCE):
            if self._shut or self.lost.is_set():
                return
            try:
                data = self._socket.recv(READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self._ended(plain_words(error))
                return
            if not data:
                self._ended(CLOSED)
                return
            self._heard_at_s = self._loop.time()
            self._in += data
            self._take()
        # The loop wakes us for what is in the socket, not for what TLS has taken out of it already.
        self._loop.call_soon(self._read)

    def _take(self) -> None:
        """Every packet that is whole by now, until the reader is full."""
        held, start = self._in, 0
        try:
            while start < len(held) and not self._shut and not self.lost.is_set():
                if held[start] >> 4 == _PUBLISH:
                    published = _published(held, start)
                    if published is None:
                        break
                    topic, payload, retain, mid, start = published
                    self._arrived(topic, payload, retain, mid)
                    continue
                try:
                    packet, length = _packet(memoryview(held)[start:])
                except IndexError:
                    break
                start += length
                self._heed(packet)
            if len(held) - start > READ_BYTES and _too_long(held, start):
                self._ended("broken packet: longer than we allow")
        except Exception as error:
            # ValueError from the codec; and whatever a packet that no sound broker sends may trip
            log.exception("broken packet", broker=self._broker.address)
            self._ended(f"broken packet: {error!r}")
        self._in = held[start:]

    def _heed(self, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.PubAckPacket():
                refused = Refused(_words(packet.reason_code)) if int(packet.reason_code) >= _FAILURE else None
                heard = packet.reason_code is not mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS
                self._settle(packet.packet_id, refused, heard=heard)
            case mqtt5.PingRespPacket():
                self._pinged_at_s = None
            case mqtt5.SubAckPacket():
                refusals = [code for code in packet.reason_codes if int(code) >= _FAILURE]
                words = f"{self._broker.address}: it refuses our subscription: "
                self._granted(min(map(int, packet.reason_codes), default=0))
                self._settle(packet.packet_id, Disconnected(words + _words(refusals[0])) if refusals else None)
            case mqtt5.ConnAckPacket():
                self._let_in(packet)
            case mqtt5.DisconnectPacket():
                self._ended(_words(packet.reason_code))
            case _:
                raise ValueError(f"a {type(packet).__name__} is not for us")

    def _let_in(self, packet: mqtt5.ConnAckPacket) -> None:
        if self._accepted.done():
            raise ValueError("a second CONNACK")
        if int(packet.reason_code) >= _FAILURE:
            self._refused_login(_words(packet.reason_code), login=packet.reason_code in _LOGIN_REFUSED)
            return
        self._welcomed(
            Welcome(
                session_present=packet.session_present,
                session_expiry_s=packet.session_expiry_interval,
                receive_maximum=packet.receive_max,
                packet_bytes=packet.max_packet_size,
                highest_qos=int(packet.max_qos),
                retains=packet.retain_available,
                wildcards=packet.wildcard_subscription_available,
                shared_subscriptions=packet.shared_subscription_available,
                topic_aliases=packet.topic_alias_max,
            )
        )
        if packet.server_keep_alive is not None:
            self._keepalive_s = packet.server_keep_alive
        self._accepted.set_result(None)
        if self._full():
            self.pause()

    # time

    def _tick(self) -> None:
        """Where a ping's answer proves nothing, TCP alone judges the broker.

        That is while nothing is read, and while the broker waits for us: rumqttd answers no ping once it has sent as
        many messages as it wants unacknowledged.
        """
        if self.lost.is_set() or self._socket is None:
            return None
        now_s = self._loop.time()
        if self._shut or self._unacked:
            self._pinged_at_s = None
        if self._shut and peer_left(self._socket):
            return self._ended(CLOSED)
        if self._pinged_at_s is not None and now_s - self._pinged_at_s >= self._keepalive_s:
            return self._ended("Keep alive timeout")
        idle_s = now_s - min(self._heard_at_s, self._said_at_s)
        if self._keepalive_s and self._pinged_at_s is None and idle_s >= self._keepalive_s - BEAT_S:
            self._pinged_at_s = now_s
            self._said_at_s = self._heard_at_s = now_s
            self._send(mqtt5.PingReqPacket().write())
        self._beat = self._loop.call_later(BEAT_S, self._tick)
        return None

    # the end

    async def _say_goodbye(self) -> None:
        assert self._socket is not None
        self.pause()
        self._send(mqtt5.DisconnectPacket().write())
        over = asyncio.Event()

        def discard() -> None:
            try:
                while self._socket and self._socket.recv(READ_BYTES):
                    pass
                over.set()
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            except OSError:
                over.set()

        self._loop.add_reader(self._socket, discard)
        discard()
        await over.wait()

    def _drop(self) -> None:
        if self._socket:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
            self._socket = None


def _packet(data: memoryview) -> tuple[mqtt5.Packet, int]:
    """The first packet and its length. Raises IndexError while it isn't whole, ValueError if it is none."""
    try:
        return mqtt5.read(data)
    except Exception:
        raise
    except BaseException as error:  # the codec panics over text that isn't UTF-8, and a panic is no Exception
        if type(error).__name__ == "PanicException":
            raise ValueError("the codec can't read it") from error
        raise


def _published(held: bytes, start: int) -> tuple[str, bytes, bool, int | None, int] | None:
    """Topic, payload, retain, packet id (None at QoS 0) and end of the PUBLISH at `start`; None while it isn't whole.

    Ours and not the codec's (MQTT 5 section 3.3): its properties are skipped, whatever stands in them. Any publisher may attach
    some, we use none, and over a few the engines trip that would have to read on. Raises ValueError.
    """
    first = held[start]
    length, at = _length(held, start + 1)
    if length is None or at + length > len(held):
        return None
    end = at + length
    topic_end = at + 2 + (held[at] << 8 | held[at + 1]) if length >= _TOPIC_LENGTH else end + 1
    behind = topic_end + (_MID_LENGTH if first & _QOS else 0)
    if behind >= end:
        raise ValueError("a PUBLISH that ends in its head")
    mid = held[topic_end] << 8 | held[topic_end + 1] if first & _QOS else None
    skipped, payload_at = (0, behind + 1) if not held[behind] else _length(held, behind)
    if skipped is None or payload_at + skipped > end or first & _QOS == _QOS_2:
        raise ValueError("a PUBLISH that can't be read")
    topic = str(held[at + 2 : topic_end], "utf-8")
    return topic, held[payload_at + skipped : end], bool(first & _RETAIN), mid, end


def _length(held: bytes, at: int) -> tuple[int | None, int]:
    """The variable byte integer at `at`, None while it isn't whole, and its end (section 1.5.5). Raises ValueError."""
    value = shift = 0
    for byte in held[at : at + _LONGEST_LENGTH]:
        at += 1
        if byte < _MORE:
            return value | byte << shift, at
        value |= (byte ^ _MORE) << shift
        shift += 7
    if shift == 7 * _LONGEST_LENGTH:
        raise ValueError("a length that never ends")
    return None, at


def _too_long(held: bytes, start: int) -> bool:
    """Whether the packet that begins here says that it is longer than any that we allowed the broker."""
    length, _ = _length(held, start + 1)
    return length is not None and length > PACKET_LIMIT_BYTES


def _words(code: enum.IntEnum) -> str:
    """ "Not authorized" for NOT_AUTHORIZED. The codec's codes have names and numbers, and can't be compared as an IntEnum's."""
    return code.name.replace("_", " ").capitalize()
