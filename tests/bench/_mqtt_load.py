"""Packs at a fixed rate, or as fast as the broker takes them, over one bare socket: `python -m tests.bench._mqtt_load`.

Everything is encoded before the first byte leaves, so that the figure is the receiver's and not this program's. QoS 1, at most
WINDOW messages unacknowledged.
"""

import json
import select
import socket
import sys
import time

import mqtt5

from messages import pack, topics
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.reading import Reading
from tests.services import PASSWORD

SITE, EDGE = SiteId("junmen"), EdgeId("pi-1")
DEVICES = 200
WINDOW = 1000
SLICE_S = 0.005
PUBACK_BYTES = 4


def main(port: int, per_pack: int, count: int, rate: float, first: int, base_ms: int) -> None:
    packets = [packet(index, per_pack, first, base_ms) for index in range(count)]
    with connected(port, f"load-{first}") as sock:
        sock.setblocking(False)
        began_at = time.monotonic()
        send(sock, packets, rate)
        took_s = time.monotonic() - began_at
    print(json.dumps({"packs": count, "readings": count * per_pack, "took_s": took_s}), flush=True)


def device(number: int) -> DeviceId:
    return DeviceId(f"gas-{number % DEVICES}")


def packet(index: int, per_pack: int, first: int, base_ms: int) -> bytes:
    """The pack `first + index`: no two packs hold the same device, channel and time."""
    number = first + index
    at_ms = base_ms + number
    readings = []
    for place in range(per_pack):
        gas = (number + place) % 2 == 0
        readings.append(
            Reading(
                device=device(number + place // 2),
                channel="gas_concentration" if gas else "alarm_contact",
                at_ms=at_ms,
                value=number % 20 / 10 if gas else False,
                unit="%LEL" if gas else None,
            )
        )
    payload = pack.encode(EDGE, StreamId("load"), number, readings)
    mid = index % 0xFFFF + 1
    topic = topics.readings(SITE, EDGE)
    return mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=mid).write()


def connected(port: int, client_id: str, user: str = f"{SITE}/{EDGE}", expiry_s: int = 0) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    hello = mqtt5.ConnectPacket(
        client_id, username=user, password=PASSWORD.encode(), clean_start=True, session_expiry_interval=expiry_s
    )
    sock.sendall(hello.write())
    answer, _ = mqtt5.read(memoryview(sock.recv(4096)))
    assert isinstance(answer, mqtt5.ConnAckPacket)
    assert int(answer.reason_code) == 0, answer
    return sock


def send(sock: socket.socket, packets: list[bytes], rate: float) -> None:
    """All of them, and until all are acknowledged. `rate` in packets/s; 0 for as fast as it goes."""
    began_at, sent, acknowledged, out = time.monotonic(), 0, 0, b""
    torn = 0
    while acknowledged < len(packets):
        due = len(packets) if not rate else min(len(packets), int((time.monotonic() - began_at) * rate) + 1)
        due = min(due, acknowledged + WINDOW)
        if not out and sent < due:
            out, sent = b"".join(packets[sent:due]), due
        waits_s = SLICE_S if rate and not out else 1.0
        readable, writable, _ = select.select([sock], [sock] if out else [], [], waits_s)
        if readable:
            data = sock.recv(65536)
            assert data, "the broker hung up"
            acknowledged, torn = acknowledged + (torn + len(data)) // PUBACK_BYTES, (torn + len(data)) % PUBACK_BYTES
        if writable:
            out = out[sock.send(out) :]


if __name__ == "__main__":
    port, per_pack, count, rate, first, base_ms = sys.argv[1:]
    main(int(port), int(per_pack), int(count), float(rate), int(first), int(base_ms))
