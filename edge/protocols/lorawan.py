"""Uplinks as LoRaWAN network servers publish them over MQTT, read into one shape. Pure.

Sources: ChirpStack v4 documentation, "Integrations: events" (event/up); The Things Stack v3 documentation, "Data formats:
uplink messages". What is no uplink of a device (joins, acknowledgements, status) is told from what can't be read.
"""

import base64
import binascii
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from edge.models.message import JsonChannel
from edge.protocols.json_paths import AHEAD_MS, EARLIEST_MS, read_channels, shown
from messages.kind import Kind
from messages.reading import Value

Server = Literal["chirpstack", "things-stack"]
LIMIT_BYTES = 64 * 1024
MOST_PAYLOAD_BYTES = 256
"""LoRaWAN carries 242 at most (RP002-1.0.3)."""
_EUI = re.compile(r"[0-9a-f]{16}")


class UplinkError(ValueError):
    """The server sent nonsense; the message says what."""


class CodecError(ValueError):
    """A codec made nothing of a message; the message says why."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """One message of one device."""

    dev_eui: str
    """Sixteen lower-case hexadecimal digits."""
    at_ms: int | None
    """When the network received it; None if it doesn't say, or nothing that can be true."""
    f_port: int
    f_cnt: int
    payload: bytes
    decoded: Mapping[str, Any] | None
    """What the server's own codec made of it."""
    rssi_dbm: float | None
    snr_db: float | None
    gateways: tuple[str, ...]
    """The EUIs of those that heard it, in lower case; one that the server names otherwise is left out."""


def topics(server: Server, dev_eui: str) -> list[str]:
    """What to subscribe to for one device."""
    return [f"application/+/device/{dev_eui}/event/up"] if server == "chirpstack" else ["v3/+/devices/+/up"]


def uplink(message: bytes, server: Server, now_ms: int) -> Uplink | None:
    """None for what is no uplink with a payload. Raises UplinkError."""
    if len(message) > LIMIT_BYTES:
        raise UplinkError(f"{len(message)} bytes, more than {LIMIT_BYTES}")
    try:
        content = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise UplinkError(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise UplinkError(f"not a JSON object but {type(content).__name__}")
    return _chirpstack(content, now_ms) if server == "chirpstack" else _things_stack(content, now_ms)


def _chirpstack(content: Mapping[str, Any], now_ms: int) -> Uplink | None:
    if "data" not in content and "object" not in content:
        return None
    return Uplink(
        dev_eui=_eui(_table(content, "deviceInfo").get("devEui")),
        at_ms=_time(content.get("time"), now_ms),
        f_port=_count(content, "fPort"),
        f_cnt=_count(content, "fCnt"),
        payload=_payload(content.get("data")),
        decoded=_optional_table(content, "object"),
        rssi_dbm=_best(content.get("rxInfo"), "rssi"),
        snr_db=_best(content.get("rxInfo"), "snr"),
        gateways=_euis(gateway.get("gatewayId") for gateway in _tables(content.get("rxInfo"))),
    )


def _things_stack(content: Mapping[str, Any], now_ms: int) -> Uplink | None:
    said = content.get("uplink_message")
    if not isinstance(said, dict) or ("frm_payload" not in said and "decoded_payload" not in said):
        return None
    return Uplink(
        dev_eui=_eui(_table(content, "end_device_ids").get("dev_eui")),
        at_ms=_time(said.get("received_at"), now_ms),
        f_port=_count(said, "f_port"),
        f_cnt=_count(said, "f_cnt"),
        payload=_payload(said.get("frm_payload")),
        decoded=_optional_table(said, "decoded_payload"),
        rssi_dbm=_best(said.get("rx_metadata"), "rssi"),
        snr_db=_best(said.get("rx_metadata"), "snr"),
        gateways=_euis(
            named.get("eui")
            for gateway in _tables(said.get("rx_metadata"))
            if isinstance(named := gateway.get("gateway_ids"), dict)
        ),
    )


@dataclass(frozen=True, slots=True)
class Decoded:
    """The channels of an uplink. `unread`: why one that stands in it makes no reading."""

    values: dict[str, Value]
    unread: tuple[str, ...]


def channels(content: Mapping[str, Any], wanted: Mapping[str, JsonChannel], kind: Kind) -> Decoded:
    """What decoded content says of the kind's channels."""
    values, unread = read_channels(content, wanted, kind)
    return Decoded(values, tuple(unread))


def _table(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if not isinstance(found := content.get(name), dict):
        raise UplinkError(f"no {name}")
    return found


def _optional_table(content: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    found = content.get(name)
    return found if isinstance(found, dict) and found else None


def _eui(found: object) -> str:
    text = found.lower() if isinstance(found, str) else ""
    if not _EUI.fullmatch(text):
        raise UplinkError(f"no DevEUI: {shown(found)}")
    return text


def _count(content: Mapping[str, Any], name: str) -> int:
    """A server leaves out what is 0."""
    found = content.get(name, 0)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**32:
        raise UplinkError(f"{name}: {shown(found)} is no count")
    return found


def _payload(found: object) -> bytes:
    if found is None:
        return b""
    try:
        payload = base64.b64decode(found if isinstance(found, str) else "?", validate=True)
    except binascii.Error as error:
        raise UplinkError(f"the payload is no base64: {error}") from error
    if len(payload) > MOST_PAYLOAD_BYTES:
        raise UplinkError(f"a payload of {len(payload)} bytes, more than LoRaWAN carries")
    return payload


def _time(found: object, now_ms: int) -> int | None:
    """RFC 3339, with up to nine digits of a second."""
    if not isinstance(found, str) or not found.isascii() or len(found) > 40:
        return None
    whole, dot, rest = found.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    try:
        moment = datetime.fromisoformat(
            whole + dot + rest[: min(digits, 6)].ljust(6, "0")[: 6 * bool(dot)] + rest[digits:]
        )
        at_ms = math.floor(moment.astimezone(UTC).timestamp() * 1000) if moment.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None
    return at_ms if at_ms is not None and EARLIEST_MS <= at_ms <= now_ms + AHEAD_MS else None


def _best(gateways: object, name: str) -> float | None:
    """The strongest of the gateways that heard it."""
    numbers = [gateway.get(name) for gateway in _tables(gateways)]
    return max((float(number) for number in numbers if isinstance(number, int | float)), default=None)


def _tables(found: object) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _euis(found: Iterable[object]) -> tuple[str, ...]:
    texts = (each.lower() for each in found if isinstance(each, str))
    return tuple(dict.fromkeys(text for text in texts if _EUI.fullmatch(text)))
