"""What events of OSDP readers say of a door's channels. Pure; frames and the secure channel are libosdp's.

A card's number and what is keyed in never get past here: what leaves is a keyed hash (BLAKE2b, RFC 7693 section 2.9), by the
site's own key, so that the same card is the same hash on this site and on no other. Source of reports: SIA OSDP v2.2
sections 7.6 (local status: tamper, power), 7.7 (inputs), 7.10, 7.12 (card and keypad data).
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from edge.models.osdp import OsdpModel
from messages.reading import Value

HASH_BYTES = 10
CARD_READ, KEY_PRESS, STATUS = 1, 2, 4
ENTER, CLEAR = 0x0D, 0x7F
"""The keys `#` and `*` (section 7.12)."""
PAUSE_MS = 10_000
LONGEST_CODE = 16
LOCAL, INPUTS = 2, 0
"""Codes of libosdp 3.2, `osdp_sys.EVENT_*` and `STATUS_REPORT_*`; a test holds them against the library."""


def values(event: Mapping[str, Any], model: OsdpModel, key: bytes) -> Iterator[tuple[str, Value]]:
    """Channel and value of all that an event says of the model's channels; nothing for what it doesn't know.

    Keys that are pressed say nothing one by one: see Keypad.
    """
    match event.get("event"):
        case code if code == CARD_READ:
            bits = int(event.get("length") or 0).to_bytes(4, "big")
            yield from _of_event(model, "card", keyed_hash(key, b"card" + bits + bytes(event.get("data") or b"")))
        case code if code == STATUS:
            yield from _of_status(event.get("type"), bytes(event.get("report") or b""), model)


class Keypad:
    """What is keyed in at one reader, until it is a code: digits up to `#`; `*` or a long pause begins anew.

    A hash of each digit would be a cipher that anybody breaks, so only a whole code gets one.
    """

    def __init__(self) -> None:
        self._keys = bytearray()
        self._pressed_at_ms = 0

    def press(self, keys: bytes, at_ms: int) -> Iterator[bytes]:
        """The codes that are whole by now."""
        if at_ms - self._pressed_at_ms > PAUSE_MS:
            self._keys.clear()
        self._pressed_at_ms = at_ms
        for key in keys:
            if key == ENTER:
                if self._keys:
                    yield bytes(self._keys)
                self._keys.clear()
            elif key == CLEAR or len(self._keys) >= LONGEST_CODE:
                self._keys.clear()
            else:
                self._keys.append(key)


def code(keyed: bytes, model: OsdpModel, key: bytes) -> Iterator[tuple[str, Value]]:
    """Channel and value of a whole code."""
    yield from _of_event(model, "keypad", keyed_hash(key, b"keypad" + keyed))


def keyed_hash(key: bytes, secret: bytes) -> str:
    """Twenty hexadecimal digits."""
    return hashlib.blake2b(secret, key=key, digest_size=HASH_BYTES).hexdigest()


def _of_status(kind: object, report: bytes, model: OsdpModel) -> Iterator[tuple[str, Value]]:
    if kind == LOCAL:
        for name, place in (("tamper", 0), ("power", 1)):
            if place < len(report):
                yield from _of_event(model, name, report[place] != 0)
    elif kind == INPUTS:
        for name, channel in model.channels.items():
            if channel.input is not None and channel.input < len(report):
                yield name, (report[channel.input] != 0) != channel.inverted


def _of_event(model: OsdpModel, event: str, value: Value) -> Iterator[tuple[str, Value]]:
    for name, channel in model.channels.items():
        if channel.event == event:
            yield name, (value != channel.inverted) if isinstance(value, bool) else value
