"""What a line of devices that speak by themselves says: bytes in, readings out, by each protocol's decoder. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Protocol

from edge.configuration.config import Device
from edge.models.frame import FrameModel
from edge.models.hj212 import Hj212Channel, Hj212Model
from edge.protocols import hj212
from edge.protocols.decimals import plain_decimal
from edge.protocols.frame import FrameDecoder
from edge.protocols.hj212 import Assembly, Packet
from messages.ids import DeviceId
from messages.reading import Quality, Reading

CHINA = timezone(timedelta(hours=8))
"""Stations say their local time (HJ 212-2017 section 6.3.2)."""
AHEAD_MS = 60_000
OLDEST_MS = 30 * 24 * 3600 * 1000
_QUALITIES = dict.fromkeys(("", "N"), Quality.GOOD) | dict.fromkeys(("F", "D", "B"), Quality.BAD)
"""By the flag of a factor (section 6.6.4): normal; the pump is stopped, the device broken, no connection. The others, such as
maintenance, calibration, over range, are doubtful."""


class Ear(Protocol):
    """Hears one line."""

    @property
    def damaged(self) -> int:
        """Frames that were none, so far."""

    def begin(self) -> None:
        """The line was opened: what was half heard before is forgotten."""

    def hear(self, data: bytes, now_ms: int) -> tuple[list[Reading], set[DeviceId], bytes]:
        """The readings, who spoke, and what to answer once the readings are on disk."""


class FrameEar:
    """One instrument with a line for itself."""

    def __init__(self, device: Device[FrameModel]) -> None:
        self._device = device
        self._decoder = FrameDecoder(device.model)

    @property
    def damaged(self) -> int:
        return self._decoder.damaged

    def begin(self) -> None:
        self._decoder.begin()

    def hear(self, data: bytes, now_ms: int) -> tuple[list[Reading], set[DeviceId], bytes]:
        device = self._device
        readings = [
            Reading(
                device=device.id,
                channel=each.channel,
                at_ms=now_ms,
                value=each.value,
                unit=device.kind.channels[each.channel].unit,
                quality=each.quality,
            )
            for frame in self._decoder.feed(data)
            for each in frame
        ]
        return readings, {reading.device for reading in readings}, b""


class Hj212Ear:
    """The stations of one line."""

    def __init__(self, stations: Sequence[Device[Hj212Model]]) -> None:
        self._stations = {station.mn: station for station in stations}
        self._decoder = hj212.Decoder()
        self._assembly = Assembly()
        self._strangers = 0

    @property
    def damaged(self) -> int:
        return self._decoder.damaged + self._strangers

    def begin(self) -> None:
        self._decoder.begin()

    def hear(self, data: bytes, now_ms: int) -> tuple[list[Reading], set[DeviceId], bytes]:
        readings: list[Reading] = []
        spoke: set[DeviceId] = set()
        answers = b""
        for part in self._decoder.feed(data):
            if (station := self._stations.get(part.station)) is None:
                self._strangers += 1
                continue
            spoke.add(station.id)
            if part.wants_answer:
                answers += hj212.answer(part)
            packet = self._assembly.add(part)
            if packet and packet.command in station.model.commands_read:
                readings += self._read(station, packet, now_ms)
        return readings, spoke, answers

    def _read(self, station: Device[Hj212Model], packet: Packet, now_ms: int) -> list[Reading]:
        at_ms = _time_ms(packet.items.get("DataTime", ""), now_ms)
        found = []
        for name, channel in station.model.channels.items():
            value = _value(packet.items.get(f"{channel.factor}-{channel.what}", ""), channel)
            if value is None:
                continue
            flag = packet.items.get(f"{channel.factor}-Flag", "").upper()
            quality = _QUALITIES.get(flag, Quality.UNCERTAIN)
            if channel.valid and not channel.valid[0] <= value <= channel.valid[1]:
                quality = Quality.BAD
            if at_ms is None and quality is Quality.GOOD:
                quality = Quality.UNCERTAIN
            found.append(
                Reading(
                    device=station.id,
                    channel=name,
                    at_ms=now_ms if at_ms is None else at_ms,
                    value=value,
                    unit=station.kind.channels[name].unit,
                    quality=quality,
                )
            )
        return found


def _value(text: str, channel: Hj212Channel) -> float | None:
    number = plain_decimal(text)
    return None if number is None else float(f"{number * channel.scale + channel.add:.12g}")


def _time_ms(text: str, now_ms: int) -> int | None:
    """YYYYMMDDhhmmss of the station's local time; None for one that can't be true."""
    if len(text) != 14 or not text.isascii() or not text.isdecimal():
        return None
    try:
        at_ms = int(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=CHINA).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return at_ms if now_ms - OLDEST_MS <= at_ms <= now_ms + AHEAD_MS else None
