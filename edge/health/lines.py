"""One look at all lines and their devices: who is silent, whose silence it is, and what is said of it. No clock: times are arguments.

A silence has one cause. While a line is away, its devices are not silent by themselves; when those of a gateway fall silent together, it is
the gateway; everything else is the device's own.
"""

from collections.abc import Mapping, Sequence

import structlog

from edge.health import figures
from edge.health.figures import Counted, Expected
from edge.vitals import Vitals
from messages.ids import DeviceId, EdgeId
from messages.language import phrase
from messages.reading import Reading

RATES_EVERY = 30
"""Looks between two error rates: a rate over a few questions says nothing. Counts are said with them."""
OUTAGE_MS = 60_000
"""How long a line is away before somebody is called (rules/library/edge_line.toml)."""

log = structlog.get_logger("health")


class Lines:
    """What is remembered from look to look."""

    def __init__(self, edge: EdgeId, lines: Sequence[Vitals], expected: Mapping[DeviceId, Expected]) -> None:
        self._edge = edge
        self._lines = lines
        self._expected = expected
        self._before: dict[DeviceId, Counted] = {}
        self._out_ms: dict[DeviceId, int] = {}
        """How long those have been out of reach that are."""
        self._looks = 0

    def clock_turned(self, by_ms: int, now_ms: int) -> None:
        for line in self._lines:
            line.clock_turned(by_ms, now_ms)

    def look(self, passed_ms: int, started_at_ms: int, now_ms: int) -> list[Reading]:
        """What is said now. `passed_ms`: since the last look, or the start."""
        self._excuse(passed_ms)
        self._judge_shared(started_at_ms, now_ms)
        return self._said(started_at_ms, now_ms)

    def _excuse(self, passed_ms: int) -> None:
        """While a device can't be heard, its own silence does not grow: it has its time when its line is back.

        What is too short to be called an outage of the line excuses nobody: of the two, one is always told.
        """
        for line in self._lines:
            for device, vitals in line.devices.items():
                if line.reaches(vitals):
                    self._out_ms.pop(device, None)
                    continue
                before_ms = self._out_ms.get(device, 0)
                self._out_ms[device] = out_ms = before_ms + passed_ms
                if out_ms >= OUTAGE_MS:
                    vitals.excused_ms += passed_ms if before_ms >= OUTAGE_MS else out_ms

    def _judge_shared(self, started_at_ms: int, now_ms: int) -> None:
        """Finds the lines whose devices have fallen silent together."""
        for line in self._lines:
            if not line.shared or not line.there:
                continue
            quiet_ms = figures.quiet_together_ms(line, self._expected, started_at_ms, now_ms)
            if quiet_ms is None:
                continue
            carried = line.carried()
            line.falls_mute(phrase("none of its {count} devices is heard any more", count=len(carried)))
            log.warning("nothing comes over a line any more", line=line.name, devices=len(carried), s=quiet_ms // 1000)
            for device, vitals in carried.items():
                its = line if device in line.devices else line.behind
                if its is not None and not its.reaches(vitals):
                    vitals.excused_ms += quiet_ms

    def _said(self, started_at_ms: int, now_ms: int) -> list[Reading]:
        rates = self._looks % RATES_EVERY == 0
        self._looks += 1
        silent = {
            device
            for line in self._lines
            for device, vitals in line.devices.items()
            if figures.is_silent(vitals, self._expected[device], started_at_ms, now_ms)
        }
        readings: list[Reading] = []
        for line in self._lines:
            for device, vitals in line.devices.items():
                expected, before = self._expected[device], self._before.get(device, Counted())
                readings += figures.of_link(
                    device, vitals, line, expected, before, silent=device in silent, now_ms=now_ms
                )
            readings += figures.of_line(self._edge, line, self._before, silent, now_ms)
        if not rates:
            return [reading for reading in readings if reading.channel not in figures.COUNTS]
        for line in self._lines:
            self._before |= {device: Counted.of(vitals) for device, vitals in line.devices.items()}
        return readings
