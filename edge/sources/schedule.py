"""What is to be asked next on a line. Pure: seconds of any steady clock are arguments.

Registers of one device and one table that touch are read together, and so are those that a product file's `gap` lets be
read over. Among the polls that are due, the one that is late by most of its own intervals comes first: on a line that is
asked for too much, a poll of every second and one of every minute are late in proportion, and no device starves.

A question that nobody answered costs its time-out. So:

* its unit is left alone for as long again: an answer that comes too late falls into another question's time, where its unit
  gives it away, and is never taken for the answer to the next question of the same shape. Where a unit has several questions
  whose answers look alike, it is left alone for longer: there a late answer would be the value of another channel;
* a unit that is silent PATIENCE times in a row is asked less and less often, by one of its polls, and all such probes
  together take at most a twentieth of the line's time; one answer, of whatever sort, and it is asked as before.

A unit that takes long to answer holds the line meanwhile, and nobody can ask another. So, on a line on which others wait, it
has its turns as seldom as makes its share of the line's time no more than twice that of each other unit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.models.modbus import ModbusChannel, ModbusModel
from edge.protocols.modbus import MOST_BITS, MOST_REGISTERS, Request
from edge.vitals import PATIENCE
from messages.ids import DeviceId

MOST_BACKOFF_S = 60.0
PROBES_SHARE = 0.05
"""Of the line's time, for units that don't answer."""
SHORTEST_PROBE_S = 0.03
"""More than the delay of a USB adapter; short enough that a fast line's round with a probe in it is hardly longer."""
ALIKE_ALONE_S = 1.0
"""How long at least a unit is left alone after a silence if its answers look alike: slaves that write their flash are that late."""
FAIR = 0.5
"""Of the time in which every other unit could take as long as a unit just did, so much must pass before it comes before another
that waits. Less than all of it: units that are all alike take turns in their order."""
PATIENT_PROBES = 10
"""Every so many-th question to a unit that is silent waits the full time-out: it may have become slow."""


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
        if groups and (count := _joined(groups[-1].request, channel, end, model.gap)):
            last = groups.pop()
            first, channels = last.request.address, last.channels | {name: channel}
        else:
            first, count, channels = channel.address, channel.words, {name: channel}
        groups.append(Poll(device, Request(unit, channel.table, first, count), channels, model.poll_every_s))
    return groups


def _joined(request: Request, channel: ModbusChannel, end: int, gap: int) -> int | None:
    """The count that `request` would have with `channel` in it; None if they are too far apart or it would be too long."""
    near = channel.table == request.table and channel.address <= request.address + request.count + gap
    count = max(request.address + request.count, end) - request.address
    return count if near and count <= (MOST_BITS if request.of_bits else MOST_REGISTERS) else None


class Schedule:
    """Due times of the polls of one line, and how often each unit has been silent in a row."""

    def __init__(self, polls: Iterable[Poll], now_s: float) -> None:
        self._due_s = dict.fromkeys(polls, now_s)
        self._of_unit: dict[int, list[Poll]] = {}
        for poll in self._due_s:
            self._of_unit.setdefault(poll.request.unit, []).append(poll)
        self._alone_s = {unit: ALIKE_ALONE_S * _look_alike(own) for unit, own in self._of_unit.items()}
        self._silent: dict[int, int] = {}
        self._fair_from_s: dict[int, float] = {}
        """By unit: until then it has had its share."""
        self._probes_from_s = now_s

    def next(self, now_s: float) -> tuple[Poll, float]:
        """The poll that comes next, and when: `now_s` or later."""

        def rank(poll: Poll) -> tuple[bool, bool, float, float]:
            """Those that may be asked now come first, of them those without their share, of them the latest; then
            those that come soonest."""
            due_s = self._due_s[poll]
            from_s = self._from_s(poll)
            if from_s <= now_s:
                had_share = self._fair_from_s.get(poll.request.unit, now_s) > now_s
                return False, had_share, (due_s - now_s) / poll.every_s, 0.0
            return True, False, from_s, due_s

        best = min(self._due_s, key=rank)
        return best, max(self._from_s(best), now_s)

    def _from_s(self, poll: Poll) -> float:
        due_s = self._due_s[poll]
        return max(due_s, self._probes_from_s) if self.is_probe(poll.request.unit) else due_s

    def is_probe(self, unit: int) -> bool:
        """Whether `unit` has been silent for so long that a question is but a try."""
        return self._silent.get(unit, 0) >= PATIENCE

    def answered(self, poll: Poll, now_s: float, took_s: float = 0.0) -> None:
        """Something came back after `took_s`. The beat is kept, without making up for beats that were missed."""
        unit = poll.request.unit
        if self._silent.pop(unit, 0) >= PATIENCE:
            for other in self._of_unit[unit]:
                self._due_s[other] = now_s
        self._fair_from_s[unit] = now_s + FAIR * took_s * (len(self._of_unit) - 1)
        self._due_s[poll] = max(self._due_s[poll] + poll.every_s, now_s)

    def silent(self, poll: Poll, now_s: float, waited_s: float) -> None:
        """Nothing came back in `waited_s`."""
        unit = poll.request.unit
        self._silent[unit] = self._silent.get(unit, 0) + 1
        self._due_s[poll] += poll.every_s
        for other in self._of_unit[unit]:
            self._due_s[other] = max(self._due_s[other], now_s + max(waited_s, self._alone_s[unit]))
        if self.is_probe(unit):
            self._probes_from_s = now_s + waited_s * (1 / PROBES_SHARE - 1)
            for other in self._of_unit[unit]:
                self._due_s[other] = now_s + backoff_s(self._silent[unit], other.every_s) * spread(unit)


def _look_alike(polls: Sequence[Poll]) -> bool:
    """Whether nothing in an answer would tell to which of these questions it belongs."""
    return len({(poll.request.function, poll.request.reply_pdu_bytes) for poll in polls}) < len(polls)


def backoff_s(silent: int, every_s: float) -> float:
    """Seconds until a slave is asked again after `silent` time-outs in a row: doubling, at least its own beat."""
    return max(every_s, min(2.0 ** min(silent - PATIENCE + 1, 16), MOST_BACKOFF_S))


def probe_s(times: int, slowest_s: float, full_s: float) -> float:
    """How long the `times`-th question to a silent unit waits, where the slowest of the line takes `slowest_s`."""
    return full_s if times % PATIENT_PROBES == 0 else min(full_s, max(2 * slowest_s, SHORTEST_PROBE_S))


def spread(unit: int) -> float:
    """1.0 to 1.5, apart for neighbours: two silent slaves are not asked one right after the other for ever.

    Some slaves are deaf for a while after a question that another left unanswered (libmodbus: half a second, in
    which it waits for that other's answer), and would seem dead whenever they come second.
    """
    return 1 + unit * 0.618 % 1 / 2
