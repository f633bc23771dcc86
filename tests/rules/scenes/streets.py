"""Covers, bins, lamps, barriers, and what many kinds have: batteries, clocks, housings, networks."""

from tests.rules.course import KINDS
from tests.rules.scenes.scene import Scene, flapping, negative, positive
from tests.rules.scenes.signals import (
    DAY,
    HOUR,
    MINUTE,
    Signal,
    above,
    between,
    day_warmth,
    opposite,
    pulses,
    repeatedly,
    restless,
    slope,
    steady,
    swaying,
    total,
)

TRAFFIC = total(restless(1.5, 1, "traffic"), pulses(11, 40, 1.2))
"""A cover that rocks in its frame under wheels."""
NIGHT = opposite(between((5.3 * HOUR, 18.2 * HOUR), (DAY + 5.3 * HOUR, DAY + 18.2 * HOUR)))
"""When a working lamp burns, in October in Fuzhou."""


def _tilted(level: float, since_s: float, until_s: float) -> Signal:
    return lambda t: level if since_s <= t < until_s else 0.0


def filling(per_day: float, emptied_h: float, *, start: float = 10.0) -> Signal:
    """A bin: bags through the day, none at night, emptied at an hour of each day."""

    def level(t: float) -> float:
        since = (t - emptied_h * HOUR) % DAY / DAY
        first = start if t < emptied_h * HOUR else 2.0
        return min(first + per_day * since, 104.0)

    return level


SCENES = [
    positive(
        "manhole_cover", "moved", "pushed half off its frame", 2 * HOUR, (630, 640),
        tilt=total(_tilted(24, 600, 3000), restless(1.5, 1, "t")),
    ),
    positive(
        "manhole_cover", "moved", "the same in a road", 2 * HOUR, (630, 640), level="red", settings={"in_road": True},
        tilt=total(_tilted(24, 600, 3000), restless(1, 1, "t")),
    ),
    negative("manhole_cover", "moved", "it rocks under the wheels of an evening", 2 * HOUR, tilt=TRAFFIC),
    negative(
        "manhole_cover", "moved", "a lorry stands on its edge for twenty seconds", 2 * HOUR,
        tilt=_tilted(22, 600, 620),
    ),
    negative(
        "manhole_cover", "moved", "it was installed aslant", 2 * HOUR, settings={"installed_tilt": 20.0},
        tilt=steady(21),
    ),
    flapping(
        "manhole_cover", "moved", "it lies on its rim and rocks", 2 * HOUR, 1,
        tilt=total(steady(15), swaying(0, 2, 90), restless(1.5, 1, "rim")),
    ),
    positive(
        "manhole_cover", "open", "lifted out, put back an hour later", 2 * HOUR, (600, 603),
        tilt=_tilted(84, 600, 4200),
    ),
    negative("manhole_cover", "open", "wheels", 2 * HOUR, tilt=total(TRAFFIC, _tilted(20, 900, 960))),
    flapping(
        "manhole_cover", "open", "it leans on the kerb in the wind", 2 * HOUR, 1,
        tilt=total(steady(45), swaying(0, 4, 30), restless(3, 1, "kerb")),
    ),
    positive(
        "waste_bin", "nearly_full", "a usual day; emptied at ten the next morning", 40 * HOUR, (30 * HOUR, 34 * HOUR),
        since_s=11 * HOUR, fill=filling(90, 10),
    ),
    negative("waste_bin", "nearly_full", "emptied in time", 60 * HOUR, since_s=6 * HOUR, fill=filling(60, 10)),
    negative(
        "waste_bin", "nearly_full", "a bag that leans under the sensor until the next one comes", 20 * HOUR,
        since_s=6 * HOUR, fill=lambda t: 86.0 if 9 * HOUR < t < 9 * HOUR + 800 else 40.0,
    ),
    flapping(
        "waste_bin", "nearly_full", "waste that settles and is topped up", DAY, 1,
        fill=total(steady(80), swaying(0, 4, 2 * HOUR), restless(2, 900, "bin")),
    ),
    positive(
        "waste_bin", "overflowing", "nobody comes for two days", 70 * HOUR, (24 * HOUR, 56 * HOUR), since_s=6 * HOUR,
        fill=lambda t: min(20 + 2.2 * (t / HOUR - 6), 104.0) if t < 60 * HOUR else 3.0,
    ),
    positive(
        "waste_bin", "overflowing", "a camera sees bags beside it", DAY, (9 * HOUR, 11 * HOUR), since_s=6 * HOUR,
        overflow_seen=between((9 * HOUR, 15 * HOUR)),
    ),
    negative(
        "waste_bin", "overflowing", "full, and no more", 30 * HOUR, since_s=6 * HOUR,
        fill=lambda t: min(20 + 2.2 * (t / HOUR), 90.0),
    ),
    negative(
        "waste_bin", "overflowing", "a hand in the lid", 20 * HOUR, since_s=6 * HOUR,
        fill=lambda t: 100.0 if 9 * HOUR < t < 9 * HOUR + 500 else 40.0,
    ),
    flapping(
        "waste_bin", "overflowing", "heaped to the sensor", DAY, 1,
        fill=total(steady(95), swaying(0, 3, 2 * HOUR), restless(3, 900, "heap")),
    ),
    positive(
        "smart_lamp", "off_at_night", "a driver has died", 2 * DAY, (20 * HOUR + 600, 20 * HOUR + 1300),
        since_s=12 * HOUR, lit=lambda t: t > DAY + 20.5 * HOUR,
    ),
    negative("smart_lamp", "off_at_night", "dusk and dawn", 2 * DAY, since_s=12 * HOUR, lit=NIGHT),
    negative(
        "smart_lamp", "off_at_night", "a cut of eight minutes", 2 * DAY, since_s=12 * HOUR,
        lit=lambda t: NIGHT(t) and not 22 * HOUR <= t < 22 * HOUR + 480,
    ),
    flapping(
        "smart_lamp", "off_at_night", "an old lamp that goes out and comes back", 28 * HOUR, 1, since_s=19 * HOUR,
        lit=lambda t: NIGHT(t) and t % 900 < 200,
    ),
    *(
        scene
        for kind in ("smart_lamp", "charging_pile")
        for scene in (
            positive(
                kind, "leakage", "water in a joint box", 8 * HOUR, (HOUR, 3 * HOUR),
                leakage=lambda t: 2 + 60 * (HOUR < t < 6 * HOUR) * (1 - 1 / (1 + (t - HOUR) / HOUR)),
            ),
            negative(
                kind, "leakage", "filters and drizzle", 12 * HOUR,
                leakage=total(swaying(8, 6, 5 * HOUR), restless(2, 5, kind)),
            ),
            flapping(
                kind, "leakage", "rain about the limit", 8 * HOUR, 1,
                leakage=total(swaying(30, 5, 17 * MINUTE), restless(2, 5, kind)),
            ),
        )
    ),
    positive(
        "smart_lamp", "leaning", "a lorry backs into it", 3 * HOUR, (HOUR + 60, HOUR + 65), clears=False,
        tilt=total(_tilted(14, HOUR, 1e9), restless(0.5, 1, "pole")),
    ),
    negative(
        "smart_lamp", "leaning", "a storm sways it", 3 * HOUR,
        tilt=total(swaying(1, 6, 4), restless(2.5, 2, "gust"), pulses(7, 97, 3)),
    ),
    flapping(
        "smart_lamp", "leaning", "it leans, and sways", 3 * HOUR, 1,
        tilt=total(steady(10), swaying(0, 0.8, 300), restless(0.5, 20, "lean")),
    ),
    positive("barrier", "stays_open", "its motor has stopped", 2 * HOUR, (900, 905), open=between((600, 3600))),
    negative("barrier", "stays_open", "one car after the other", 2 * HOUR, open=repeatedly(30, 26)),
    negative("barrier", "stays_open", "a column of cars for four minutes", 2 * HOUR, open=between((600, 850))),
    flapping("barrier", "stays_open", "its arm bounces", 2 * HOUR, 1, open=repeatedly(320, 312, 600, 5400)),
]  # fmt: skip


def cold_battery(level: float, per_day: float) -> Signal:
    """It drains, and the cold of each night takes two points off."""
    warmth = day_warmth(-2, 0)
    return lambda t: slope(level, -per_day / DAY)(t) + warmth(t)


def changed(state: Signal, at_s: float) -> Signal:
    return lambda t: state(t) if t < at_s else 97.0


def _battery(kind: str) -> list[Scene]:
    guards = KINDS[kind].guards_lives
    return [
        positive(
            kind, "battery_low", "it drains until somebody changes it", 20 * DAY, (4 * DAY, 7 * DAY), level="yellow",
            battery=changed(cold_battery(26, 1.0), 17 * DAY),
        ),
        positive(
            kind, "battery_low", "low, and no more", 20 * DAY, (4 * DAY, 7 * DAY),
            level="yellow" if guards else "blue", battery=changed(cold_battery(26, 1.0), 8 * DAY),
        ),
        negative(
            kind, "battery_low", "a cold week", 14 * DAY,
            battery=total(cold_battery(25, 0.1), restless(0.5, 6 * HOUR, kind)),
        ),
        negative(
            kind, "battery_low", "one report in the middle of a long transmission", 14 * DAY,
            battery=lambda t: 18.0 if 5 * DAY <= t < 5.2 * DAY else 60.0,
        ),
        flapping(
            kind, "battery_low", "about the limit, by day and by night", 30 * DAY, 1,
            battery=total(cold_battery(21, 0.0), restless(2, 6 * HOUR, kind)),
        ),
    ]  # fmt: skip


def _runs_out(kind: str) -> list[Scene]:
    level = "yellow" if KINDS[kind].guards_lives else "blue"
    return [
        positive(
            kind, "battery_runs_out", "it says so until somebody changes it", 9 * DAY, (DAY, DAY + HOUR), level=level,
            battery_low=between((DAY, 4 * DAY)),
        ),
        negative(kind, "battery_runs_out", "a good battery", 9 * DAY, battery_low=False),
        flapping(
            kind, "battery_runs_out", "low in the cold of the night alone", 9 * DAY, 9,
            battery_low=opposite(above(cold_battery(21, 0.0), 19.4)),
        ),
    ]  # fmt: skip


def _clock(kind: str) -> list[Scene]:
    return [
        positive(
            kind, "clock_wrong", "it drifts; set right after a month", 35 * DAY, (20 * DAY, 24 * DAY),
            clock_off=lambda t: 6 * t / DAY if t < 30 * DAY else 0.0,
        ),
        negative(kind, "clock_wrong", "a drift of a minute", 35 * DAY, clock_off=slope(0, 2 / DAY)),
        negative(
            kind, "clock_wrong", "one answer that was on its way for long", 10 * DAY,
            clock_off=lambda t: -300.0 if 5 * DAY <= t < 5.2 * DAY else 3.0,
        ),
        flapping(
            kind, "clock_wrong", "about two minutes", 35 * DAY, 1,
            clock_off=total(steady(120), swaying(0, 6, 3 * DAY), restless(5, 6 * HOUR, kind)),
        ),
    ]  # fmt: skip


def _fault(kind: str) -> list[Scene]:
    level = "orange" if KINDS[kind].guards_lives else "blue"
    return [
        positive(
            kind, "sensor_faulty", "a cell is worn out, and changed", 5 * HOUR, (HOUR, HOUR + 65), level=level,
            sensor_fault=between((HOUR, 3 * HOUR)),
        ),
        negative(
            kind, "sensor_faulty", "it warms up after each of three cuts of the mains", 5 * HOUR,
            sensor_fault=between((600, 640), (4000, 4050), (9000, 9055)),
        ),
        flapping(
            kind, "sensor_faulty", "a loose plug", 5 * HOUR, 1, sensor_fault=repeatedly(300, 150, HOUR, 4 * HOUR),
        ),
    ]  # fmt: skip


def _tamper(kind: str) -> list[Scene]:
    level = "orange" if KINDS[kind].guards_lives else "yellow"
    return [
        positive(
            kind, "tampered", "somebody takes it off the wall", 2 * HOUR, (600, 610), level=level,
            tamper=between((600, 3600)),
        ),
        negative(kind, "tampered", "knocks, and a door that slams", 2 * HOUR, tamper=repeatedly(300, 2)),
        flapping(kind, "tampered", "a lid that doesn't sit", 2 * HOUR, 1, tamper=repeatedly(40, 25, 600, 5400)),
    ]  # fmt: skip


def _reachable(kind: str) -> list[Scene]:
    return [
        positive(
            kind, "unreachable", "its switch has no power", 5 * HOUR, (HOUR + 600, HOUR + 605),
            reachable=opposite(between((HOUR, 3 * HOUR))),
        ),
        negative(
            kind, "unreachable", "it restarts for its updates", 5 * HOUR,
            reachable=opposite(repeatedly(HOUR, 180, 600)),
        ),
        negative(
            kind, "unreachable", "a radio link that is gone for nine minutes", 5 * HOUR,
            reachable=opposite(between((HOUR, HOUR + 540))),
        ),
        flapping(
            kind, "unreachable", "a link that comes back for a minute", 5 * HOUR, 1,
            reachable=opposite(repeatedly(720, 660, HOUR, 4 * HOUR)),
        ),
    ]  # fmt: skip


ABOUT_CHANNELS = {
    "battery": _battery,
    "battery_low": _runs_out,
    "clock_off": _clock,
    "sensor_fault": _fault,
    "tamper": _tamper,
    "reachable": _reachable,
}
SCENES += [
    scene
    for channel, scenes in ABOUT_CHANNELS.items()
    for kind, known in KINDS.items()
    if channel in known.channels
    for scene in scenes(kind)
]
