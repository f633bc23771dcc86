"""What a LoRaWAN gateway says of its own connection to ChirpStack: `<region>/gateway/<gateway id>/state/conn`, retained, and its will. Pure.

Sources: ChirpStack v4, `gw.proto`, message ConnState: gateway_id_legacy = 1 (bytes), state = 2 (0 offline, 1 online), gateway_id = 3
(text); the gateway's forwarder writes it as protobuf or JSON, by its setting, and either leaves out what is 0. A word that doesn't name
the gateway of its topic is none: so no handful of bytes reads as "offline". The Things Stack has no such topic: what its MQTT server
publishes for an application is below `devices/` (documentation, "MQTT Server").
"""

import re
from collections.abc import Iterator
from typing import Any

import orjson

TOPICS = ("+/gateway/+/state/conn", "gateway/+/state/conn")
"""With the region's prefix, and without one, as older ones have it."""
LIMIT_BYTES = 256
_TOPIC = re.compile(r"(?:[^/]+/)?gateway/([0-9A-Fa-f]{16})/state/conn")
_WORDS = {0: False, 1: True, "OFFLINE": False, "ONLINE": True}


def gateway_of(topic: str) -> str | None:
    """The gateway's id in lower case; None for another topic."""
    found = _TOPIC.fullmatch(topic)
    return found[1].lower() if found else None


def is_online(gateway: str, payload: bytes) -> bool | None:
    """What the gateway says; None for what is no such word of this gateway."""
    if len(payload) > LIMIT_BYTES:
        return None
    try:
        named, state = _json(payload) if payload.startswith(b"{") else _protobuf(payload)
    except (ValueError, IndexError):
        return None
    ours = isinstance(named, str) and named.lower() == gateway
    return _WORDS.get(state) if ours and not isinstance(state, bool) else None


def _json(payload: bytes) -> tuple[object, Any]:
    content = orjson.loads(payload)
    state = content.get("state", 0)
    return content.get("gatewayId"), state if isinstance(state, int | str) else None


def _protobuf(payload: bytes) -> tuple[str | None, int]:
    """Raises ValueError or IndexError for what is none."""
    named, state = None, 0
    for field, value in _fields(payload):
        if field == 1 and isinstance(value, bytes):
            named = named or value.hex()
        elif field == 2 and isinstance(value, int):
            state = value
        elif field == 3 and isinstance(value, bytes):
            named = value.decode()
    return named, state


def _fields(payload: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and texts (wire types 0 and 2 of protobuf); a ConnState has nothing else."""
    at = 0
    while at < len(payload):
        key, at = _varint(payload, at)
        value, at = _varint(payload, at)
        if key & 7 == 2:
            if at + value > len(payload):
                raise ValueError("cut short")
            yield key >> 3, payload[at : at + value]
            at += value
        elif key & 7 == 0:
            yield key >> 3, value
        else:
            raise ValueError(f"wire type {key & 7}")


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = payload[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at
