"""How long an outage the outbox can bridge, before which readings are lost. Pure.

What a reading costs depends on its company: three readings in a pack of their own cost eighty bytes each, a hundred thirteen
(`python -m tests.bench outage`). So some minutes of this very configuration are packed here as the outbox packs them, and counted. Two days are
told: one on which every value moves at every reading, and one on which nothing moves and each channel is said once an interval.
"""

import heapq
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from edge.configuration.config import Config
from edge.keeping.intake import COMPANY_S, PATIENCE_S
from edge.keeping.outbox import COMPRESSION, MOST_READINGS, ROW_BYTES
from edge.models.modbus import ModbusModel
from edge.report import Urgency
from messages.ids import DeviceId, EdgeId, StreamId
from messages.kind import Channel
from messages.language import Language
from messages.pack import encode
from messages.reading import Reading, Value

DAY_S = 24 * 3600
FINE_DAYS = 30
"""From so many on, hours are nothing that an estimate knows."""
TURN_S = 0.04
"""A line asks its devices one after the other: what it takes to have one answer at 9600 Bd, and so to be the next in a pack."""
ENOUGH_READINGS = 2000
"""So many are packed to know what one costs."""
_STREAM = StreamId("a" * 12)
_SOME_TIME_MS = 1_763_700_000_000
_MOST_VALUE = 1000.0
"""Of a channel without a range, or with one that nothing ever fills."""


@dataclass(frozen=True, slots=True)
class Bridging:
    """Seconds until the outbox is full."""

    quiet_s: float
    """When nothing moves: one reading an interval."""
    busy_s: float
    """When all values move at every poll."""


@dataclass(frozen=True, slots=True)
class _Said:
    """Channels of one device that are said together, every so often."""

    device: DeviceId
    every_s: float
    line: bool
    """They come when their line's turn does; others come when they like."""
    urgency: Urgency
    """An alarm-class channel is urgent when it moves, and not when it only says the same again."""
    channels: tuple[tuple[str, Channel, int], ...]
    """Name, meaning, and decimals."""


def bridging(config: Config, limit_bytes: int) -> Bridging:
    """With an outbox of `limit_bytes`."""
    return Bridging(
        quiet_s=limit_bytes / _bytes_a_second(config.edge, list(_said(config, busy=False))),
        busy_s=limit_bytes / _bytes_a_second(config.edge, list(_said(config, busy=True))),
    )


def _said(config: Config, *, busy: bool) -> Iterator[_Said]:
    together: dict[tuple[DeviceId, float, bool, Urgency], list[tuple[str, Channel, int]]] = {}
    for device in config.devices:
        poll_every_s = device.model.poll_every_s if isinstance(device.model, ModbusModel) else None
        for name, read in device.model.channels.items():
            channel = device.kind.channels[name]
            moves = busy and poll_every_s is not None and channel.type == "number"
            every_s = min(poll_every_s or channel.interval_s, channel.interval_s) if moves else channel.interval_s
            decimals = 6 if str(getattr(read, "type", "")).startswith("float") else 2
            urgency = Urgency.ALARM if moves and channel.alarm_class else Urgency.PERIODIC
            together.setdefault((device.id, every_s, moves, urgency), []).append((name, channel, decimals))
    for own in config.own_devices:
        for name, channel in own.kind.channels.items():
            together.setdefault((own.id, channel.interval_s, False, Urgency.PERIODIC), []).append((name, channel, 0))
    for (device_id, every_s, line, urgency), channels in together.items():
        yield _Said(device_id, every_s, line, urgency, tuple(channels))


def _bytes_a_second(edge: EdgeId, said: list[_Said]) -> float:
    dice = random.Random(1)
    polled = [each.device for each in said if each.line]
    due = [
        (polled.index(each.device) * TURN_S if each.line else dice.random() * each.every_s, index)
        for index, each in enumerate(said)
    ]
    heapq.heapify(due)
    size = packed = 0
    packs: dict[Urgency, list[Reading]] = {}
    commit_s = now_s = 0.0
    while packed < ENOUGH_READINGS:
        now_s, index = heapq.heappop(due)
        each = said[index]
        if packs and now_s > commit_s:
            for pack in packs.values():
                size += _packed_bytes(edge, pack)
                packed += len(pack)
            packs = {}
        company_s = PATIENCE_S if each.urgency is Urgency.ALARM else COMPANY_S
        commit_s = min(commit_s, now_s + company_s) if packs else now_s + company_s
        at_ms = _SOME_TIME_MS + round(1000 * now_s)
        packs.setdefault(each.urgency, []).extend(
            Reading(
                device=each.device, channel=name, at_ms=at_ms, value=_value(channel, decimals, dice), unit=channel.unit
            )
            for name, channel, decimals in each.channels
        )
        heapq.heappush(due, (now_s + each.every_s, index))
    return size / now_s


def _packed_bytes(edge: EdgeId, readings: list[Reading]) -> int:
    parts = [readings[start : start + MOST_READINGS] for start in range(0, len(readings), MOST_READINGS)]
    return sum(ROW_BYTES + len(zlib.compress(encode(edge, _STREAM, 1000, part), COMPRESSION)) for part in parts)


def _value(channel: Channel, decimals: int, dice: random.Random) -> Value:
    match channel.type:
        case "boolean":
            return dice.random() < 0.5
        case "text":
            return ""
    low, high = channel.range or (0.0, _MOST_VALUE)
    return round(dice.uniform(max(low, -_MOST_VALUE), min(high, _MOST_VALUE)), decimals)


def words(found: Bridging, language: Language) -> str:
    """ "bridges an outage of 9 days 4 h until the first loss if every value moves at every reading, of 80 days if none does"."""
    busy, quiet = _rounded(found.busy_s, language), _rounded(found.quiet_s, language)
    if language == "zh":
        how_long = busy if busy == quiet else f"{busy}（每次读数都变化时），{quiet}（都不变化时）"
        return f"断网可坚持 {how_long}，之后才有丢失；先丢最早的周期读数，报警最后丢"
    how_long = busy if busy == quiet else f"{busy} if every value moves at every reading, {quiet} if none does"
    return f"bridges an outage of {how_long}, until the first loss; the oldest periodic readings go before alarms"


def _rounded(seconds: float, language: Language) -> str:
    """Two units at most, and nothing beyond what a disk lives."""
    zh = language == "zh"
    if seconds > 3650 * DAY_S:
        return "十年以上" if zh else "more than ten years"
    days, hours, minutes = int(seconds // DAY_S), int(seconds % DAY_S // 3600), int(seconds % 3600 // 60)
    if days >= FINE_DAYS:
        return f"{days} {'天' if zh else 'days'}"
    parts = [(days, " 天" if zh else (" day" if days == 1 else " days")), (hours, " 小时" if zh else " h")]
    if not days:
        parts = [parts[1], (minutes, " 分钟" if zh else " min")]
    return " ".join(f"{count}{unit}" for count, unit in parts if count) or (
        "不到 1 分钟" if zh else "less than a minute"
    )
