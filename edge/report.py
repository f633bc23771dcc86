"""Report by exception: which readings leave the edge, and which of them can't wait. Pure.

A reading is reported when it is the channel's first, when its quality or its state changed, when it moved by more
than the deadband from what was last reported, and when the channel's interval is over. An alarm-class channel knows no
deadband: any change of it is urgent, since the smallest may be the one that crosses a limit. Its repetition after a quiet
interval is not.

A reading older than the last reported one (a device's own buffer, a clock set back) is history: reported as it is,
and not what the next one is compared with.

When the edge's clock was corrected, earlier times mean nothing any more: every channel is then told as if for the first
time, at once if it is alarm-class, so that what stands since before is known with a time that is right.

Stores keep one value per device, channel and time. So of two different values that a channel has in the same
millisecond the second is stamped a millisecond later (`Stamps`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from edge.clock import Clock
from messages.ids import DeviceId
from messages.kind import Channel, Kind
from messages.reading import Reading


class Urgency(IntEnum):
    """In the order in which a full outbox lets go."""

    PERIODIC = 0
    ALARM = 1


@dataclass(frozen=True, slots=True)
class Reported:
    """A reading that leaves the edge."""

    reading: Reading
    urgency: Urgency
    guess_ms: int | None = None
    """Where the reading's time is our clock's guess: what that added to the time since the boot."""


def urgency(channel: Channel, last: Reading | None, reading: Reading) -> Urgency | None:
    """How urgently `reading` must be reported, `last` being the newest that was; None if it need not be."""
    if channel.event or last is None or reading.quality != last.quality or _moved(channel, last, reading):
        return Urgency.ALARM if channel.alarm_class else Urgency.PERIODIC
    is_history = reading.at_ms < last.at_ms
    is_due = reading.at_ms - last.at_ms >= channel.interval_s * 1000
    return Urgency.PERIODIC if is_history or is_due else None


def _moved(channel: Channel, last: Reading, reading: Reading) -> bool:
    if isinstance(last.value, bool | str) or isinstance(reading.value, bool | str):
        return last.value != reading.value
    return abs(reading.value - last.value) > (0 if channel.alarm_class else channel.deadband)


class Stamps:
    """Remembers of every channel when its last reading came, and how that was stamped."""

    def __init__(self) -> None:
        self._last: dict[tuple[DeviceId, str], tuple[int, Reading]] = {}

    def stamp(self, reading: Reading) -> Reading:
        """The reading, later by as little as may be if its time is taken; one that only comes again keeps its time."""
        key = reading.device, reading.channel
        came_ms, last = self._last.get(key, (reading.at_ms, None))
        stamped = reading
        if last and came_ms <= reading.at_ms <= last.at_ms:
            comes_again = came_ms == reading.at_ms and (last.value, last.quality) == (reading.value, reading.quality)
            stamped = last if comes_again else reading._replace(at_ms=last.at_ms + 1)
        self._last[key] = reading.at_ms, stamped
        return stamped


class Reporter:
    """Remembers what was last reported of every channel."""

    def __init__(self, kinds: dict[DeviceId, Kind], clock: Clock | None = None) -> None:
        self._kinds = kinds
        self._clock = clock
        self._turns = clock.turns if clock else 0
        self._stamps = Stamps()
        self._last: dict[tuple[DeviceId, str], Reading] = {}

    def select(self, readings: Iterable[Reading]) -> list[Reported]:
        """Those of `readings` that leave the edge."""
        if self._clock and self._clock.turns != self._turns:
            self._turns = self._clock.turns
            self._stamps = Stamps()
            self._last.clear()
        selected = []
        for reading in map(self._stamps.stamp, readings):
            key = reading.device, reading.channel
            last = self._last.get(key)
            how = urgency(self._kinds[reading.device].channels[reading.channel], last, reading)
            if how is None:
                continue
            selected.append(Reported(reading, how, self._clock.guess_ms(reading.at_ms) if self._clock else None))
            if last is None or reading.at_ms >= last.at_ms:
                self._last[key] = reading
        return selected
