"""Whose silence it is: a gateway's, or that of its devices."""

import random

import pytest

from edge.health.figures import Expected
from edge.health.lines import OUTAGE_MS, Lines
from edge.vitals import Vitals
from messages.ids import DeviceId, EdgeId
from messages.language import NOTHING, Phrase
from messages.reading import Value

START_MS = 1_763_700_000_000
LOOK_MS, MINUTE_MS, HOUR_MS = 30_000, 60_000, 3_600_000


class Gateway:
    """Devices that speak every so many minutes, each from a moment of its own on, until they are cut off."""

    def __init__(self, *every_min: float, guards_lives: bool = False, phases: random.Random | None = None) -> None:
        self.names = [DeviceId(f"it-{number}") for number in range(len(every_min))]
        self.line = Vitals.of("local", [])
        self.line.is_open()
        self.gateway = self.line.gateway("bridge", self.names)
        self.expected = {
            name: Expected(60 * every, guards_lives) for name, every in zip(self.names, every_min, strict=True)
        }
        self.looks = Lines(EdgeId("pi-1"), self.line.lines(), self.expected)
        self.now_ms = START_MS
        self.said: dict[tuple[str, str], Value] = {}
        self.alone = set[DeviceId]()
        """Devices that ever were called silent while their line was there."""
        self.dead = set[DeviceId]()
        self._next_ms = {
            name: START_MS + round((phases.random() if phases else 0.0) * 1000 * expected.every_s)
            for name, expected in self.expected.items()
        }

    def passes(self, by_ms: int) -> None:
        until_ms = self.now_ms + by_ms
        while self.now_ms < until_ms:
            self.now_ms += LOOK_MS
            for name, next_ms in self._next_ms.items():
                if next_ms <= self.now_ms:
                    self._next_ms[name] = next_ms + round(1000 * self.expected[name].every_s)
                    if name not in self.dead:
                        self.gateway.speaks(self.now_ms)
                        self.gateway.devices[name].heard(self.now_ms)
            for one in self.looks.look(LOOK_MS, START_MS, self.now_ms):
                self.said[one.device, one.channel] = one.value
            links = {name: f"{name}-link" for name in self.names}
            self.alone |= {
                name
                for name, link in links.items()
                if self.said[link, "line_open"] and not self.said[link, "answering"]
            }


@pytest.mark.parametrize("guards_lives", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_gateway_that_dies_is_known_before_any_of_its_devices_is_called_silent(
    *, guards_lives: bool, seed: int
) -> None:
    chance = random.Random(seed)
    paces = [chance.choice((10, 30, 60, 720)) for _ in range(20)] if seed % 2 else [30] * chance.randint(2, 20)
    here = Gateway(*paces, guards_lives=guards_lives, phases=chance)
    here.passes(3 * HOUR_MS + chance.randrange(HOUR_MS))
    assert (here.alone, here.gateway.mute) == (set(), NOTHING)
    here.dead = set(here.names)
    here.passes(6 * HOUR_MS)
    assert here.said["pi-1-bridge", "open"] is False
    assert len(here.alone) <= (1 if len(paces) == 2 else 0), "two that are out of step may come one before the other"
    here.dead = set()
    here.passes(3 * HOUR_MS)
    assert here.said["pi-1-bridge", "open"] is True
    assert len(here.alone) <= (1 if len(paces) == 2 else 0), "back, they have their time"


@pytest.mark.parametrize("living", [1, 2, 19])
def test_devices_that_die_while_others_speak_are_silent_themselves(living: int) -> None:
    here = Gateway(*[30] * (living + 1), phases=random.Random(living))
    here.passes(6 * HOUR_MS)
    here.dead = {DeviceId("it-0")}
    here.passes(6 * HOUR_MS)
    assert (here.alone, here.gateway.mute) == ({DeviceId("it-0")}, NOTHING)


def test_a_device_that_has_been_dead_for_long_is_no_witness() -> None:
    here = Gateway(30, 30)
    here.dead = {DeviceId("it-0")}
    here.passes(6 * HOUR_MS)
    assert here.alone == {DeviceId("it-0")}
    here.dead = set(here.names)
    here.passes(6 * HOUR_MS)
    assert (here.alone, here.gateway.mute) == (set(here.names), NOTHING)


def test_a_gateway_that_was_dead_at_the_start_is_known_by_all_who_never_spoke() -> None:
    here = Gateway(30, 30, 60)
    here.dead = set(here.names)
    here.passes(6 * HOUR_MS)
    assert here.alone == set()
    assert here.said["pi-1-bridge", "why"] == "3 台设备均无消息 none of its 3 devices is heard any more"
    assert (here.said["pi-1-bridge", "answering"], here.said["pi-1-bridge", "silent"]) == (0, 3)


def test_the_first_word_of_one_device_leaves_the_others_their_time_and_no_more() -> None:
    here = Gateway(30, 30, 30)
    here.passes(HOUR_MS)
    here.dead = set(here.names)
    here.passes(6 * HOUR_MS)
    here.dead = {DeviceId("it-2")}
    here.passes(HOUR_MS)
    assert here.alone == set()
    here.passes(HOUR_MS)
    assert here.alone == {DeviceId("it-2")}


def test_a_line_that_blinks_excuses_nobody() -> None:
    here = Gateway(30, 30)
    here.dead = {DeviceId("it-0")}
    for _ in range(30):
        here.line.is_closed(Phrase("it blinks"))
        here.passes(OUTAGE_MS - LOOK_MS)
        here.line.is_open()
        here.passes(4 * MINUTE_MS)
    assert here.alone == {DeviceId("it-0")}


def test_a_clock_that_is_set_makes_no_gateway_silent() -> None:
    here = Gateway(30, 30, 30)
    here.passes(HOUR_MS)
    here.now_ms += 24 * HOUR_MS
    here.looks.clock_turned(24 * HOUR_MS, here.now_ms)
    here._next_ms = {name: next_ms + 24 * HOUR_MS for name, next_ms in here._next_ms.items()}
    here.passes(HOUR_MS)
    assert (here.alone, here.gateway.mute) == (set(), NOTHING)
