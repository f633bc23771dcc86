"""Shafts, streets, mains, a household's water."""

from messages.alarm import Level
from tests.rules.scenes.scene import Scene, flapping, negative, positive
from tests.rules.scenes.sensor import COMMONLY
from tests.rules.scenes.signals import (
    CISTERN_M3,
    DAY,
    HOUR,
    MINUTE,
    QUIET_DAY,
    WASHING_M3,
    Signal,
    above,
    between,
    day_warmth,
    days,
    lag,
    metered,
    pulses,
    rain_water,
    repeatedly,
    restless,
    steady,
    swaying,
    then,
    total,
)

CLOUDBURST = rain_water(0.3, 2.9, 2 * HOUR, 1 * HOUR)
"""In a shaft of three metres: to 20 cm above the rim, and back."""
SHOWER = rain_water(0.3, 1.7, 2 * HOUR, 1 * HOUR)
WAVES = total(swaying(0, 0.02, 3), restless(0.02, 1, "waves"))
AT_LIMIT = total(steady(2.4), swaying(0, 0.03, 4 * MINUTE), WAVES)
"""At four fifths of three metres."""
WATCHED = {"watched": True}
DAYS = days(QUIET_DAY, 4)


def _mains(quantity: float) -> Signal:
    """A week's course: less while everybody showers and cooks."""
    return lambda t: (
        quantity * (1 - 0.10 * ((6.5 <= (t / HOUR) % 24 < 8.5) or (17.5 <= (t / HOUR) % 24 < 20)))
    )  # fmt: skip


def _unused(last_h: int, again_h: int, level: Level, called_h: int) -> Scene:
    """A tap that is opened each hour, and then not from the one to the other."""
    hours = [h for h in range(1, 72) if not last_h < h < again_h]
    return positive(
        "water_meter", "no_use", f"no tap is opened from {last_h} to {again_h} h", 3 * DAY,
        (called_h * HOUR, (called_h + 1) * HOUR), over=(again_h * HOUR, (again_h + 1) * HOUR),
        settings=WATCHED, level=level, volume=metered([(h, 0.012) for h in hours]),
    )  # fmt: skip


WEEKS = 28 * DAY
BURST = WEEKS + 10 * HOUR


def _usual(kind: str, rule: str, channel: str, level: float, day: str = "2025-10-13") -> list[Scene]:
    """What is told from the usual course, which takes four weeks to be learnt."""
    usual = _mains(level)
    fails = then(usual, BURST, lambda t: usual(t) * (0.6 if t < BURST + 3 * HOUR else 1.0))
    every_s = COMMONLY[channel].every_s
    slams = then(usual, BURST, lambda t: usual(t) * (0.5 if t < BURST + 0.96 * every_s else 1.0))
    sags = then(usual, BURST, lambda t: usual(t) * 0.87)
    hunts = then(usual, BURST, lambda t: usual(t) * (0.80 + 0.04 * (1 if (t // 400) % 2 else -1)))
    recovers = then(
        usual, BURST, lambda t: usual(t) * (0.75 if t < BURST + 3 * HOUR else 0.87 if t < BURST + 6 * HOUR else 0.95)
    )
    back = BURST + 6 * HOUR
    return [
        positive(
            kind, rule, "it fails by a quarter, and comes back in two steps", WEEKS + DAY, (BURST, BURST + 30 * MINUTE),
            over=(back, back + 50 * MINUTE), day=day, **{channel: recovers},
        ),
        positive(
            kind, rule, "it fails for three hours", WEEKS + DAY, (BURST, BURST + 25 * MINUTE), day=day,
            **{channel: fails},
        ),
        negative(
            kind, rule, "the peaks of every morning and evening, and a day a little lower", WEEKS + DAY, day=day,
            **{channel: sags},
        ),
        negative(kind, rule, "one sample in which a valve slams", WEEKS + DAY, day=day, **{channel: slams}),
        flapping(kind, rule, "a regulator that hunts about the limit", WEEKS + DAY, 1, day=day, **{channel: hunts}),
    ]  # fmt: skip


SCENES = [
    positive(
        "manhole_cover", "water_high", "a cloudburst fills the shaft to the rim", 8 * HOUR, (HOUR, 2 * HOUR), level="orange",
        water_level=CLOUDBURST, rim_switch=above(CLOUDBURST, 3.0),
    ),
    positive(
        "manhole_cover", "water_high", "the same, of a product that has no switch", 8 * HOUR, (HOUR, 2 * HOUR), level="orange",
        water_level=CLOUDBURST,
    ),
    negative("manhole_cover", "water_high", "a shower", 8 * HOUR, water_level=total(SHOWER, WAVES)),
    negative(
        "manhole_cover", "water_high", "a splash that one sample sees", 4 * HOUR,
        water_level=total(steady(0.3), lambda t: 2.4 if HOUR <= t < HOUR + 16 else 0.0),
    ),
    flapping("manhole_cover", "water_high", "water about the limit for hours", 6 * HOUR, 1, water_level=AT_LIMIT),
    positive(
        "manhole_cover", "surcharge", "the water lifts the cover", 8 * HOUR, (HOUR, 2 * HOUR + 10 * MINUTE),
        water_level=CLOUDBURST, tilt=lambda t: 25.0 if CLOUDBURST(t) > 3.05 else 0.0,
    ),
    negative(
        "manhole_cover", "surcharge", "water to the rim, and the cover lies as it should", 8 * HOUR,
        water_level=CLOUDBURST, tilt=restless(4, 2, "rocks"),
    ),
    negative(
        "manhole_cover", "surcharge", "a cover that is lifted for work, on a dry day", 8 * HOUR,
        water_level=steady(0.3), tilt=lambda t: 80.0 if HOUR <= t < 3 * HOUR else 0.0,
    ),
    flapping(
        "manhole_cover", "surcharge", "the cover dances on the water", 4 * HOUR, 1,
        water_level=total(steady(3.0), WAVES), tilt=total(swaying(12, 8, 7), restless(4, 1, "dances")),
    ),
    negative(
        "manhole_cover", "surcharge", "a splash to the rim while wheels rock the cover", 4 * HOUR,
        water_level=lambda t: 3.1 if HOUR <= t < HOUR + 14 else 0.3, tilt=lambda t: 17.0 if HOUR + 5 <= t < HOUR + 6 else 1.0,
    ),
    negative(
        "sewer_level", "high", "a bucket is emptied over the probe", 4 * HOUR,
        water_level=lambda t: 2.6 if HOUR <= t < HOUR + 4 else 0.3,
    ),
    positive("sewer_level", "high", "a cloudburst", 8 * HOUR, (HOUR, 2 * HOUR), water_level=total(CLOUDBURST, WAVES)),
    negative("sewer_level", "high", "a shower", 8 * HOUR, water_level=total(SHOWER, WAVES)),
    flapping("sewer_level", "high", "water about the limit for hours", 6 * HOUR, 1, water_level=AT_LIMIT),
    positive(
        "sewer_level", "overflow", "the float is lifted", 8 * HOUR, (HOUR, 2 * HOUR), float_switch=above(CLOUDBURST, 2.8),
    ),
    negative("sewer_level", "overflow", "a wave lifts it for a moment", HOUR, float_switch=repeatedly(600, 1.5, 300)),
    flapping(
        "sewer_level", "overflow", "it bobs on the waves", 4 * HOUR, 1,
        float_switch=above(total(steady(2.8), swaying(0, 0.05, 90), restless(0.05, 2, "bob")), 2.8),
    ),
    positive(
        "road_ponding", "water", "an underpass fills", 8 * HOUR, (HOUR, 2 * HOUR), level="orange",
        water_depth=rain_water(0, 0.34, 2 * HOUR, HOUR),
    ),
    positive(
        "road_ponding", "water", "a puddle", 8 * HOUR, (HOUR, 2 * HOUR), level="blue",
        water_depth=rain_water(0, 0.06, 2 * HOUR, HOUR),
    ),
    negative(
        "road_ponding", "water", "a wet road, and the wave of every car", 4 * HOUR,
        water_depth=total(steady(0.012), pulses(0.06, 190, 4)),
    ),
    flapping(
        "road_ponding", "water", "water about the first band", 4 * HOUR, 1,
        water_depth=total(steady(0.03), swaying(0, 0.006, 8 * MINUTE), restless(0.004, 20, "pond")),
    ),
    *_usual("water_pressure", "low", "pressure", 350.0),
    *_usual("heat_supply", "pressure_low", "pressure", 500.0),
    *_usual("heat_supply", "cold", "supply_temperature", 55.0, day="2025-12-01"),
    negative(
        "heat_supply", "cold", "the heating ends in spring", 30 * DAY, day="2026-02-20",
        supply_temperature=then(_mains(55.0), 25 * DAY, lag(50.0, 20.0, 25 * DAY, 12 * HOUR)),
    ),
    positive(
        "water_pressure", "none", "a pump fails; nothing is known of the usual yet", 6 * HOUR, (HOUR, HOUR + 15 * MINUTE),
        pressure=lambda t: 20.0 if HOUR < t < 3 * HOUR else 320.0,
    ),
    negative(
        "water_pressure", "none", "a pressure surge that one sample sees", 6 * HOUR,
        pressure=lambda t: 20.0 if HOUR < t < HOUR + 290 else 320.0,
    ),
    flapping(
        "water_pressure", "none", "a pump that sucks air", 6 * HOUR, 1,
        pressure=total(steady(48), restless(5, 300, "pump")),
    ),
    positive(
        "water_meter", "no_use", "an old person has fallen in the evening", 3 * DAY, (2 * DAY + 6 * HOUR, 2 * DAY + 11 * HOUR),
        since_s=6 * HOUR, settings=WATCHED, level="red", clears=False, volume=metered(days(QUIET_DAY, 4, until_h=24 + 22)),
    ),
    positive(
        "water_meter", "no_use", "in the morning, and is found in the evening", 3 * DAY,
        (DAY + 22 * HOUR, DAY + 24 * HOUR), since_s=6 * HOUR, settings=WATCHED, level="orange",
        volume=metered([*days(QUIET_DAY, 2, until_h=24 + 10.5), (24 + 10.4, 0.004), (48.5, WASHING_M3), (56, 0.012), (64, 0.012)]),
    ),
    _unused(33, 54, "orange", 45),
    _unused(33, 60, "red", 45),
    _unused(43, 60, "orange", 56),  # half a day is over at seven; nobody is called before eight
    negative(
        "water_meter", "no_use", "three usual days, and long nights", 3 * DAY, since_s=6 * HOUR, settings=WATCHED,
        volume=metered(DAYS),
    ),
    negative(
        "water_meter", "no_use", "somebody who sleeps from eight to half past seven", 3 * DAY, since_s=6 * HOUR, settings=WATCHED,
        volume=metered([(24 * day + h, v) for day in range(4) for h, v in ((7.5, CISTERN_M3), (7.7, 0.005), (12, 0.012), (16, CISTERN_M3), (19.6, 0.008), (19.9, CISTERN_M3))]),
    ),
    negative(
        "water_meter", "no_use", "away, and registered so", 3 * DAY, since_s=6 * HOUR, settings={**WATCHED, "absent": True},
        volume=metered(days(QUIET_DAY, 4, until_h=30)),
    ),
    negative(
        "water_meter", "no_use", "a household that is nobody's to watch", 3 * DAY, since_s=6 * HOUR,
        volume=metered(days(QUIET_DAY, 4, until_h=30)),
    ),
    negative(
        "water_meter", "no_use", "a meter that has fallen silent proves nothing", 2.5 * DAY, since_s=6 * HOUR, settings=WATCHED,
        volume=metered(DAYS), battery=100.0,
    ),
    flapping(
        "water_meter", "no_use", "a person who uses ten litres in half a day", 6 * DAY, 1, since_s=6 * HOUR, settings=WATCHED,
        volume=metered([(h, 0.0025) for h in range(1, 150, 3)]),
    ),
    positive(
        "water_meter", "high_use", "a hose runs in the garden", 4 * DAY, (30 * HOUR, 32 * HOUR), over=(51 * HOUR, 52.2 * HOUR),
        volume=metered([*DAYS, *((24 + 2 + h / 4, 0.1) for h in range(24))]),
    ),
    negative(
        "water_meter", "high_use", "a large family's washing day", 3 * DAY,
        volume=metered([*DAYS, *((24 + h, WASHING_M3 + 0.1) for h in range(8, 20))]),
    ),
    flapping(
        "water_meter", "high_use", "two cubic metres a day, give or take", 6 * DAY, 3,
        volume=metered([(h / 2, 2 / 48 * (0.9 if h % 96 < 48 else 1.1)) for h in range(288)]),
    ),
    positive(
        "water_meter", "leak", "a cistern runs for two days", 4 * DAY, (DAY + 9 * HOUR, DAY + 11 * HOUR), over=(62.3 * HOUR, 62.7 * HOUR),
        volume=lambda t: metered(DAYS)(t) + min(max(t - 10 * HOUR, 0), 2 * DAY) / HOUR * 0.008,
    ),
    negative("water_meter", "leak", "usual days", 4 * DAY, volume=metered(DAYS)),
    negative(
        "water_meter", "leak", "a household that is up until two and from five on", 4 * DAY,
        volume=metered([(24 * day + h / 3, 0.004) for day in range(4) for h in range(72) if not 6 <= h < 15]),
    ),
    flapping(
        "water_meter", "leak", "a cistern that sticks for hours, and then doesn't", 6 * DAY, 0,
        volume=metered([(h / 2, 0.004) for h in range(288) if h % 40 < 36]),
    ),
    positive(
        "pipe_gallery", "sump_high", "the pump fails for two hours", 5 * HOUR, (HOUR, HOUR + 15),
        sump_high=between((HOUR, 3 * HOUR)),
    ),
    negative(
        "pipe_gallery", "sump_high", "the float is touched before the pump starts", 5 * HOUR,
        sump_high=repeatedly(1200, 7, 600),
    ),
    flapping(
        "pipe_gallery", "sump_high", "a pump that just keeps up", 5 * HOUR, 1,
        sump_high=repeatedly(240, 60, HOUR, 4 * HOUR),
    ),
    positive(
        "pipe_gallery", "oxygen_low", "the fans stand still, and run again", 10 * HOUR, (HOUR, 4 * HOUR),
        oxygen=then(lag(20.9, 18.5, HOUR, 2 * HOUR), 5 * HOUR, lag(18.8, 20.9, 5 * HOUR, 30 * MINUTE)),
    ),
    negative(
        "pipe_gallery", "oxygen_low", "somebody breathes on the cell", 10 * HOUR,
        oxygen=lambda t: 17.0 if HOUR <= t < HOUR + 58 else 20.9,
    ),
    negative(
        "pipe_gallery", "oxygen_low", "stale air, and a cell that drifts", 10 * HOUR,
        oxygen=total(swaying(20.1, 0.4, 5 * HOUR), restless(0.05, 60, "cell")),
    ),
    flapping(
        "pipe_gallery", "oxygen_low", "air about the limit", 10 * HOUR, 1,
        oxygen=total(steady(19.5), swaying(0, 0.15, 25 * MINUTE), restless(0.1, 60, "cell")),
    ),
    positive(
        "pipe_gallery", "hot", "a joint heats the gallery", 12 * HOUR, (HOUR, 5 * HOUR), clears=False,
        temperature=lag(26.0, 48.0, HOUR, 2 * HOUR),
    ),
    negative(
        "pipe_gallery", "hot", "a lamp beside the sensor for a moment", 3 * HOUR,
        temperature=lambda t: 45.0 if HOUR <= t < HOUR + 19 else 30.0,
    ),
    negative("pipe_gallery", "hot", "a hot summer", DAY, temperature=day_warmth(28, 38.5)),
    flapping(
        "pipe_gallery", "hot", "about forty degrees", 12 * HOUR, 1,
        temperature=total(steady(40), swaying(0, 1, 20 * MINUTE), restless(0.5, 60, "hot")),
    ),
]  # fmt: skip
