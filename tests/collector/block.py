"""A small block for the collector's tests: two devices of one edge, and packs as an edge sends them."""

from collections.abc import Iterable
from typing import Any

import orjson

from messages import pack
from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.kind import load_kinds
from messages.reading import Quality, Reading, Value
from messages.topics import Origin

SITE, EDGE, OTHER_EDGE = SiteId("junmen"), EdgeId("pi-1"), EdgeId("pi-2")
GAS, BIN = DeviceId("gas-1"), DeviceId("bin-1")
STREAM = StreamId("s-2026")
ORIGIN = Origin(SITE, EDGE, "readings")
KINDS = load_kinds()
NOW_MS = 1_795_000_000_000
"""2026-11-18: when the messages of the tests arrive."""


def announcement(kind: str, *, building: str = "3", model: str = "modbus-gas-detector") -> Announcement:
    place = Place(grid="grid-2", building=building, text=f"{building}号楼2单元101厨房")
    return Announcement(kind=kind, model=model, place=place)


KNOWN = {(SITE, EDGE, GAS): announcement("gas_alarm"), (SITE, EDGE, BIN): announcement("waste_bin")}


def reading(
    channel: str = "gas_concentration",
    value: Value = 1.5,
    *,
    device: DeviceId = GAS,
    at_ms: int = NOW_MS,
    unit: str | None = None,
    quality: Quality = Quality.GOOD,
) -> Reading:
    return Reading(device=device, channel=channel, at_ms=at_ms, value=value, unit=unit, quality=quality)


def packed(*readings: Reading, number: int = 1, edge: EdgeId = EDGE, stream: StreamId = STREAM) -> bytes:
    return pack.encode(edge, stream, number, readings)


def senml(*records: dict[str, Any], number: Any = 1) -> bytes:
    """A pack with records as they are given, for what `packed` would not write."""
    head: list[dict[str, Any]] = [{"bn": f"{EDGE}/", "n": "stream", "vs": STREAM}, {"n": "pack", "v": number}]
    return orjson.dumps([*head, *records])


def faults(reasons: Iterable[Any]) -> list[str]:
    return [reason.fault.value for reason in reasons]
