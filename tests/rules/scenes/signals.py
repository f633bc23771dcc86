"""What happens in the plant, as functions of time: rooms that fill with gas, shafts that fill with rain, people's days.

Pure. `t` is seconds since midnight, local time, of a scene's first day. A signal says what is true; what a sensor makes of it
(samples, noise, steps, report by exception) is `sensor.py`. Constants are those of the thing itself, not of any rule.
"""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

Signal = Callable[[float], float]
State = Callable[[float], bool]

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
METHANE_LEL = 0.05
"""Share of the air's volume at which methane can burn."""
CISTERN_M3, WASHING_M3 = 0.006, 0.050
"""What one flush and one washing take."""


def steady(level: float) -> Signal:
    return lambda t: level


def total(*signals: Signal) -> Signal:
    return lambda t: sum(signal(t) for signal in signals)


def lag(before: float, after: float, since_s: float, constant_s: float) -> Signal:
    """First order: from `since_s` on two thirds of the way in each `constant_s`."""
    return lambda t: before if t < since_s else after + (before - after) * math.exp((since_s - t) / constant_s)


def then(first: Signal, since_s: float, second: Signal) -> Signal:
    return lambda t: first(t) if t < since_s else second(t)


def slope(level: float, per_s: float, since_s: float = 0.0) -> Signal:
    return lambda t: level + per_s * max(t - since_s, 0.0)


def swaying(level: float, amplitude: float, period_s: float) -> Signal:
    return lambda t: level + amplitude * math.sin(2 * math.pi * t / period_s)


def restless(amplitude: float, grain_s: float, name: str = "") -> Signal:
    """Something that jumps about by chance, once in `grain_s`; always the same for the same name."""
    return lambda t: amplitude * (2 * chance(name, math.floor(t / grain_s)) - 1)


def chance(name: str, number: int) -> float:
    """A number in [0, 1) that looks drawn."""
    return int.from_bytes(hashlib.blake2b(f"{name}/{number}".encode(), digest_size=6).digest(), "big") / 2**48


def gas_in_room(leak_m3_h: float, since_s: float, *, room_m3: float = 20.0, changes_h: float = 0.5) -> Signal:
    """%LEL of methane where a pipe leaks into a room that is aired `changes_h` times an hour."""
    most = leak_m3_h / (room_m3 * changes_h) / METHANE_LEL * 100
    return lag(0.0, most, since_s, HOUR / changes_h)


def aired(gas: Signal, at_s: float, *, changes_h: float = 30.0) -> Signal:
    """The same room with the leak closed and its windows open from `at_s`."""
    return lambda t: gas(t) if t < at_s else gas(at_s) * math.exp((at_s - t) * changes_h / HOUR)


def rain_water(base_m: float, peak_m: float, peaks_at_s: float, rises_s: float) -> Signal:
    """A shaft or a street in the rain: a quick rise to the peak, a slower fall (a gamma hydrograph)."""

    def level(t: float) -> float:
        part = (t - peaks_at_s + rises_s) / rises_s
        return base_m + (peak_m * (part * math.exp(1 - part)) ** 3 if part > 0 else 0.0)

    return level


def pulses(level: float, every_s: float, lasts_s: float, until_s: float = math.inf) -> Signal:
    """Wheels over a cover, cars through a puddle."""
    return lambda t: level if t < until_s and t % every_s < lasts_s else 0.0


def between(*spans: tuple[float, float]) -> State:
    return lambda t: any(begin <= t < end for begin, end in spans)


def repeatedly(every_s: float, lasts_s: float, since_s: float = 0.0, until_s: float = math.inf) -> State:
    """True for `lasts_s` in each `every_s`, from `since_s` on."""
    return lambda t: since_s <= t < until_s and (t - since_s) % every_s < lasts_s


def above(signal: Signal, limit: float) -> State:
    return lambda t: signal(t) > limit


def opposite(state: State) -> State:
    return lambda t: not state(t)


def day_warmth(low: float, high: float) -> Signal:
    """Outdoor temperature: coldest at 4, warmest at 14 o'clock, roughly."""
    return lambda t: (low + high) / 2 - (high - low) / 2 * math.cos(2 * math.pi * (t - 4 * HOUR) / DAY)


def passages(*at_s: float, lasts_s: float = 8.0) -> State:
    """People who go through a door: it opens, its closer shuts it."""
    return between(*((begin, begin + lasts_s) for begin in at_s))


Use = tuple[float, float]
"""When somebody opens a tap (hours since midnight) and how much he takes (m3)."""
QUIET_DAY: tuple[Use, ...] = (
    (6.7, CISTERN_M3),
    (7.1, 0.004),
    (9.5, CISTERN_M3),
    (11.3, 0.010),
    (12.4, 0.005),
    (15.0, CISTERN_M3),
    (17.6, 0.012),
    (19.2, 0.008),
    (21.4, CISTERN_M3),
)
"""Of one old person: 63 l."""


def metered(uses: Iterable[Use], start_m3: float = 412.0, runs_m3_h: float = 0.0) -> Signal:
    """A water meter. Each use is a minute long; `runs_m3_h` is a cistern or a tap that drips."""
    times, sums = [0.0], [start_m3]
    for at_h, volume in sorted(uses):
        times.append(at_h * HOUR)
        sums.append(sums[-1] + volume)
    return lambda t: sums[bisect_right(times, t) - 1] + runs_m3_h * t / HOUR


def days(uses: Sequence[Use], count: int, *, until_h: float = math.inf) -> list[Use]:
    """The same day again and again, each use up to half an hour off; nothing more from `until_h` on."""
    found = []
    for day in range(count):
        for index, (at_h, volume) in enumerate(uses):
            then_h = 24 * day + at_h + chance("use", 97 * day + index) - 0.5
            if then_h < until_h:
                found.append((then_h, volume))
    return found
