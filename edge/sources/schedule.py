"""What is to be asked next on a line. Pure: seconds of any steady clock are arguments.

Registers of one device and one table that touch are read together. A gap is never read over, not even of one
register: many devices refuse a whole request for one address that they don't have.

A slave that is silent PATIENCE times in a row is asked less and less often, with one request for all its registers'
sake, so that its time-outs don't starve the others; one answer, of whatever sort, and it is asked as before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.models.modbus import ModbusChannel, ModbusModel
from edge.protocols.modbus_rtu import MOST_BITS, MOST_REGISTERS, Request
from edge.vitals import PATIENCE
from messages.ids import DeviceId

MOST_BACKOFF_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Poll:
    """One request that is made again and again, and the channels that its reply holds."""

    device: DeviceId
    request: Request
    channels: dict[str, ModbusChannel]
    every_s: float


def polls(device: DeviceId, unit: int, model: ModbusModel) -> list[Poll]:
    """The requests that read all channels of a device, as few as may be."""
    groups: list[Poll] = []
    for name, channel in sorted(model.channels.items(), key=lambda item: (item[1].table, item[1].address)):
        end = channel.address + channel.words
        if groups and (count := _joined(groups[-1].request, channel, end)):
            last = groups.pop()
            first, channels = last.request.address, last.channels | {name: channel}
        else:
            first, count, channels = channel.address, channel.words, {name: channel}
        groups.append(Poll(device, Request(unit, channel.table, first, count), channels, model.poll_every_s))
    return groups


def _joined(request: Request, channel: ModbusChannel, end: int) -> int | None:
    """The count that `request` would have with `channel` in it; None if they don't touch or it would be too long."""
    touching = channel.table == request.table and channel.address <= request.address + request.count
    count = max(request.address + request.count, end) - request.address
    return count if touching and count <= (MOST_BITS if request.of_bits else MOST_REGISTERS) else None


class Schedule:
    """Due times of the polls of one line, and how often each unit has been silent in a row."""

    def __init__(self, polls: Iterable[Poll], now_s: float) -> None:
        self._due_s = dict.fromkeys(polls, now_s)
        self._silent: dict[int, int] = {}

    def next(self) -> tuple[Poll, float]:
        """The poll that is due first, and when."""
        return min(self._due_s.items(), key=lambda item: item[1])

    def answered(self, poll: Poll, now_s: float) -> None:
        """Something came back. The beat is kept, without making up for beats that were missed."""
        if self._silent.pop(poll.request.unit, 0) >= PATIENCE:
            for other in self._of_unit(poll.request.unit):
                self._due_s[other] = now_s
        self._due_s[poll] = max(self._due_s[poll] + poll.every_s, now_s)

    def silent(self, poll: Poll, now_s: float) -> None:
        """Nothing came back in time."""
        unit = poll.request.unit
        self._silent[unit] = self._silent.get(unit, 0) + 1
        self._due_s[poll] = max(self._due_s[poll] + poll.every_s, now_s)
        if self._silent[unit] >= PATIENCE:
            for other in self._of_unit(unit):
                self._due_s[other] = now_s + backoff_s(self._silent[unit], other.every_s) * spread(unit)

    def _of_unit(self, unit: int) -> Sequence[Poll]:
        return [poll for poll in self._due_s if poll.request.unit == unit]


def backoff_s(silent: int, every_s: float) -> float:
    """Seconds until a slave is asked again after `silent` time-outs in a row: doubling, at least its own beat."""
    return max(every_s, min(2.0 ** min(silent - PATIENCE + 1, 16), MOST_BACKOFF_S))


def spread(unit: int) -> float:
    """1.0 to 1.5, apart for neighbours: two silent slaves are not asked one right after the other for ever.

    Some slaves are deaf for a while after a question that another left unanswered (libmodbus: half a second, in
    which it waits for that other's answer), and would seem dead whenever they come second.
    """
    return 1 + unit * 0.618 % 1 / 2
