"""What Zigbee2MQTT wants to be told, and says of a device and of itself, beside the state that json_paths reads. Pure.

Source: Zigbee2MQTT documentation, "MQTT topics and messages" (<topic>/set; <topic>/availability and <base>/bridge/state in their JSON
and their older form).
"""

import orjson

from edge.models.zigbee import ZigbeeWrite
from messages.reading import Value


def wanted(how: ZigbeeWrite, value: Value | None) -> Value:
    """What the device's state should say in the end."""
    said = how.value if how.value is not None else value
    assert said is not None, "the model and the command were checked against each other"
    return (how.values or {}).get(orjson.dumps(said).decode() if isinstance(said, bool) else str(said), said)


def setting(how: ZigbeeWrite, value: Value) -> bytes:
    """For `<topic>/set`."""
    return orjson.dumps({how.key: value})


def says(payload: bytes, key: str, value: Value) -> bool:
    """Whether a state has `value` under `key`."""
    content = _loaded(payload)
    return isinstance(content, dict) and key in content and content[key] == value


def is_offline(payload: bytes) -> bool:
    """Of `<topic>/availability`."""
    return is_online(payload) is False


def is_online(payload: bytes) -> bool | None:
    """Of `<base>/bridge/state` too, which the broker keeps, and says "offline" when the bridge has gone; None for anything else."""
    content = _loaded(payload)
    said = content.get("state") if isinstance(content, dict) else payload.decode(errors="replace").strip()
    return {"online": True, "offline": False}.get(said) if isinstance(said, str) else None


def _loaded(payload: bytes) -> object:
    try:
        found: object = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return found
