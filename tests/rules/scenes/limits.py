"""Each limit and each delay of the field notes, by something that comes slowly and goes slowly.

The figures stand here once more, as section 4 has them: a rule whose limit, band or delay were another by a fifth is raised or is over at another time,
which the sensor, with its noise, its samples and its edge's report by exception, still tells apart.
"""

from typing import Any

from messages.alarm import Level
from messages.reading import Value
from tests.rules.scenes.scene import Scene, negative, positive
from tests.rules.scenes.sensor import COMMONLY, Moments, Sampled
from tests.rules.scenes.signals import DAY, HOUR, MINUTE, Signal, between, opposite, passages

BEGINS = 10 * MINUTE


def slowly(
    kind: str,
    rule: str,
    channel: str,
    *,
    rest: float,
    limit: float,
    top: float,
    back: float,
    per_s: float,
    margin: float,
    delay_s: float = 0.0,
    off_s: float = 0.0,
    samples: int = 1,
    **more: Any,
) -> Scene:
    """It comes from `rest` past `limit` to `top`, stays a while, and goes `back`, by so much a second. `margin`: what noise, steps and the edge's deadband can hide."""
    up = per_s if top > rest else -per_s
    patience_s = COMMONLY.get(channel, Sampled(5)).every_s * (samples + 1)
    stays_s = (top - rest) / up
    falls = BEGINS + stays_s + delay_s + 2 * patience_s
    raised = BEGINS + (limit - rest) / up + delay_s
    over = falls + (top - back) / up + off_s
    hidden_s = margin / per_s

    def signal(t: float) -> float:
        if t < falls:
            return rest + up * min(max(t - BEGINS, 0.0), stays_s)
        return top - up * min(t - falls, stays_s)

    return positive(
        kind, rule, f"{channel} comes slowly and goes slowly", over + hidden_s + patience_s + off_s + MINUTE,
        (raised - hidden_s, raised + hidden_s + patience_s), over=(over - hidden_s, over + hidden_s + patience_s),
        **more, **{channel: signal},
    )  # fmt: skip


def turned(
    kind: str,
    rule: str,
    channel: str,
    delay_s: float,
    off_s: float,
    *,
    rest: bool = False,
    begins: float = BEGINS,
    **more: Any,
) -> Scene:
    """A contact that is another for longer than its delay, and then as before."""
    ends = begins + 2 * delay_s + 5 * MINUTE
    moved = between((begins, ends))
    slack_s = max(2.0, 0.1 * min(delay_s or 1e9, off_s or 1e9, 300.0))
    return positive(
        kind, rule, f"{channel} turns, and turns back", ends + off_s + 5 * MINUTE,
        (begins + delay_s, begins + delay_s + slack_s), over=(ends + off_s, ends + off_s + slack_s),
        **more, **{channel: opposite(moved) if rest else moved},
    )  # fmt: skip


def reaches(kind: str, rule: str, channel: str, value: float, level: Level, by_s: float, **more: Any) -> Scene:
    """It rises to `value` and stays there, so that it is as grave as that."""
    rest = more.pop("rest", 0.0)

    def signal(t: float) -> float:
        return rest if not by_s / 3 < t < by_s else float(value)

    return positive(
        kind,
        rule,
        f"{channel} reaches {value:g}",
        1.5 * by_s,
        (by_s / 3, by_s),
        level=level,
        **more,
        **{channel: signal},
    )


def _fire(kind: str, warm: float) -> list[Scene]:
    """60 °C, or 10 °C within ten minutes once it is `warm`; under 45 °C for ten minutes."""
    begins = warm - 10.0

    def warms(rise_10min: float, since: float, until: float) -> Signal:
        return lambda t: since + min(max(t - BEGINS, 0.0) * rise_10min / 600, until - since)

    def glows(t: float) -> float:
        return warms(11.4, begins + 0.3, warm + 8)(t) if t < HOUR else max(warm + 8 - (t - HOUR) * 0.05, 20.0)

    reached = BEGINS + 600 * 10 / 11.4 + 30
    over = HOUR + (warm + 8 - 45.0) / 0.05 + 600
    return [
        slowly(
            kind, "heat", "temperature", rest=25, limit=60, top=70, back=45, per_s=0.012, margin=0.8, delay_s=30, off_s=600
        ),
        positive(
            kind, "heat", "it warms by eleven degrees in ten minutes", 3 * HOUR, (reached - 50, reached + 75),
            over=(over - 40, over + 60), temperature=glows,
        ),
        negative(kind, "heat", "it warms by nine degrees in ten minutes", 3 * HOUR, temperature=warms(8.6, warm, 57)),
        negative(kind, "heat", "the sun warms what is cool", 3 * HOUR, temperature=warms(14, warm - 20, warm - 2)),
    ]  # fmt: skip


def _pressed(kind: str, rule: str, channel: str, joined_s: float, value: Value = True, **more: Any) -> Scene:
    """Something that has no end: it is over when as long has passed as another one would have joined it."""
    slack_s = 0.05 * joined_s
    return positive(
        kind, rule, f"{channel} once", BEGINS + 2 * joined_s, (BEGINS, BEGINS + 1),
        over=(BEGINS + joined_s - 1, BEGINS + joined_s + slack_s), **more, **{channel: Moments((BEGINS,), value)},
    )  # fmt: skip


def _let_in(before_s: float, by: str, value: Value, *, forced: bool) -> Scene:
    """A door that is opened so long after somebody was let in."""
    at_s = 12 * HOUR
    how: dict[str, Any] = {
        "settings": {"reads_cards": True},
        "since_s": at_s - HOUR,
        "door_open": between((at_s, at_s + 60)),
        by: Moments((at_s - before_s,), value),
    }
    says = f"{by}, and the door {before_s} s later"
    if forced:
        return positive("door_access", "opened_unasked", says, at_s + HOUR, (at_s + 2, at_s + 4), **how)
    return negative("door_access", "opened_unasked", says, at_s + HOUR, **how)


def _shut(hours: float, level: Level) -> Scene:
    """A door that is opened each hour of two days, and then not for so long."""
    every = [h * HOUR for h in range(1, 48)]
    again = 47 * HOUR + hours * HOUR
    return positive(
        "elderly_door", "not_opened", f"shut for {hours:g} hours", again + 6 * HOUR, (71 * HOUR, 71 * HOUR + 20 * MINUTE),
        over=(again - 60, again + 6 * MINUTE), level=level, open=passages(*every, again, lasts_s=120),
    )  # fmt: skip


def _at_night(*hours: float, over: tuple[float, float] | None) -> Scene:
    """The door of somebody who wanders at night; on the day before all is as ever."""
    how: dict[str, Any] = {"open": passages(7 * HOUR, 18 * HOUR, *(DAY + h * HOUR for h in hours), lasts_s=60)}
    says = f"it opens at {', '.join(map(str, hours))} h"
    if over is None:
        return negative("elderly_door", "opened_at_night", says, 2 * DAY, **how)
    third = DAY + hours[2] * HOUR
    return positive("elderly_door", "opened_at_night", says, 2 * DAY, (third - 1, third + 5 * MINUTE), over=over, **how)


SHAFT: dict[str, Value] = {"depth": 3.0}


def _lifted(t: float) -> float:
    """The cover, while the water stands at the rim."""
    return 20.0 if t < 4 * HOUR else 0.0


WAYS_IN: tuple[tuple[str, Value], ...] = (
    ("card", "0123456789abcdef0123"),
    ("keypad", "0123456789abcdef0123"),
    ("released", True),
)

SCENES = [
    slowly("gas_alarm", "leak", "gas_concentration", rest=0, limit=10, top=15, back=5, per_s=0.02, margin=0.5, off_s=300),
    slowly("gas_well", "leak", "gas_concentration", rest=0, limit=20, top=28, back=10, per_s=0.04, margin=0.5, off_s=300),
    *_fire("charging_shed", 40.0),
    *_fire("charging_pile", 45.0),
    *_fire("waste_bin", 40.0),
    slowly("charging_pile", "leakage", "leakage", rest=2, limit=30, top=40, back=15, per_s=0.1, margin=1, off_s=300),
    slowly("smart_lamp", "leakage", "leakage", rest=2, limit=30, top=40, back=15, per_s=0.1, margin=1, off_s=300),
    slowly("smart_lamp", "leaning", "tilt", rest=0, limit=10, top=14, back=5, per_s=0.1, margin=0.8, delay_s=60, off_s=300),
    slowly("manhole_cover", "moved", "tilt", rest=0, limit=15, top=30, back=5, per_s=0.2, margin=0.8, delay_s=30, off_s=60),
    slowly("manhole_cover", "open", "tilt", rest=0, limit=45, top=60, back=5, per_s=0.2, margin=0.8, off_s=60),
    slowly("manhole_cover", "moved", "tilt", rest=0, limit=15, top=30, back=5, per_s=0.02, margin=0.8, delay_s=30, off_s=60),
    slowly("manhole_cover", "open", "tilt", rest=0, limit=45, top=60, back=5, per_s=0.02, margin=0.8, off_s=60),
    reaches("manhole_cover", "moved", "tilt", 42, "orange", HOUR),
    reaches("manhole_cover", "moved", "tilt", 42, "red", HOUR, settings={"in_road": True}),
    negative("manhole_cover", "moved", "a cover that stands up is open, not moved", HOUR, tilt=lambda t: 0.0 if t < BEGINS else 48.0),
    slowly(
        "manhole_cover", "water_high", "water_level", rest=1, limit=2.4, top=2.8, back=2.1, per_s=0.005, margin=0.02,
        delay_s=30, off_s=600, samples=2, settings=SHAFT, rim_switch=False,
    ),
    reaches("manhole_cover", "water_high", "water_level", 2.85, "yellow", HOUR, settings=SHAFT, rim_switch=False),
    reaches("manhole_cover", "water_high", "water_level", 3.05, "orange", HOUR, settings=SHAFT, rim_switch=False),
    slowly(
        "manhole_cover", "surcharge", "water_level", rest=1, limit=3.0, top=3.3, back=2.1, per_s=0.005, margin=0.02,
        off_s=600, samples=2, settings=SHAFT, rim_switch=False, tilt=lambda t: 17.0 if t < BEGINS + 500 else 4.0,
    ),
    negative(
        "manhole_cover", "surcharge", "the water rises under a cover that rattles", HOUR, settings=SHAFT, rim_switch=False,
        water_level=3.2, tilt=lambda t: 13.0 if t > BEGINS else 0.0,
    ),
    positive(
        "manhole_cover", "surcharge", "the water falls, and later somebody lays the cover back", 6 * HOUR,
        (BEGINS, BEGINS + 20), over=(4 * HOUR + 590, 4 * HOUR + 620), settings=SHAFT, rim_switch=False, tilt=_lifted,
        water_level=lambda t: 1.0 if t < BEGINS or t > HOUR else 3.2,
    ),
    slowly(
        "sewer_level", "high", "water_level", rest=1, limit=2.4, top=2.8, back=2.1, per_s=0.005, margin=0.02, delay_s=10,
        off_s=600, settings=SHAFT,
    ),
    turned("sewer_level", "overflow", "float_switch", 2, 600),
    slowly(
        "road_ponding", "water", "water_depth", rest=0, limit=0.03, top=0.08, back=0.01, per_s=0.00002, margin=0.012,
        off_s=600, samples=2,
    ),
    reaches("road_ponding", "water", "water_depth", 0.09, "blue", HOUR),
    reaches("road_ponding", "water", "water_depth", 0.11, "yellow", HOUR),
    reaches("road_ponding", "water", "water_depth", 0.23, "yellow", HOUR),
    reaches("road_ponding", "water", "water_depth", 0.27, "orange", HOUR),
    slowly("pipe_gallery", "oxygen_low", "oxygen", rest=20.9, limit=19.5, top=19.0, back=20.0, per_s=0.0005, margin=0.15, samples=2),
    slowly("pipe_gallery", "hot", "temperature", rest=30, limit=40, top=44, back=36, per_s=0.01, margin=1, samples=2),
    turned("pipe_gallery", "sump_high", "sump_high", 10, 600),
    slowly("water_pressure", "none", "pressure", rest=100, limit=50, top=30, back=55, per_s=0.004, margin=3, samples=2),
    slowly(
        "waste_bin", "nearly_full", "fill", rest=20, limit=80, top=90, back=30, per_s=0.002, margin=3, delay_s=600, samples=2,
    ),
    slowly("waste_bin", "overflowing", "fill", rest=20, limit=95, top=100, back=30, per_s=0.002, margin=3, delay_s=60, samples=2),
    slowly(
        "bracelet", "heart_rate", "heart_rate", rest=80, limit=120, top=140, back=110, per_s=0.1, margin=3, delay_s=300,
        off_s=300, settings={"heart_rate_high": 120.0},
    ),
    slowly(
        "bracelet", "blood_oxygen", "blood_oxygen", rest=97, limit=90, top=86, back=92, per_s=0.04, margin=1.6, delay_s=300,
        off_s=300, settings={"blood_oxygen_low": 90.0},
    ),
    turned("bracelet", "fall", "fall", 30, 0),
    _pressed("bracelet", "called", "pressed", 60),
    _pressed("sos_button", "called", "pressed", 60),
    _pressed("facade_camera", "thrown", "thrown", 60),
    _pressed("citizen_report", "reported", "report", 1800, "12345-1"),
    *(_let_in(3.9, by, value, forced=False) for by, value in WAYS_IN),
    *(_let_in(5.1, by, value, forced=True) for by, value in WAYS_IN),
    _shut(40, "yellow"),
    _shut(50, "orange"),
    _at_night(1, 2, 4.6, over=(DAY + 5 * HOUR - 60, DAY + 6 * HOUR)),
    _at_night(1, 2, 5.5, over=None),
    _at_night(1, 2, over=None),
    slowly("smoke_alarm", "battery_low", "battery", rest=40, limit=20, top=14, back=30, per_s=2 / DAY, margin=1.5, samples=2, level="yellow"),
    reaches("waste_bin", "battery_low", "battery", 12, "blue", 6 * DAY, rest=60.0),
    reaches("waste_bin", "battery_low", "battery", 9, "yellow", 6 * DAY, rest=60.0),
    slowly("camera", "clock_wrong", "clock_off", rest=0, limit=120, top=170, back=60, per_s=10 / DAY, margin=3, samples=2),
    slowly("edge_agent", "outbox_filling", "outbox_used", rest=10, limit=70, top=80, back=50, per_s=0.05, margin=2, off_s=600),
    slowly("edge_agent", "disk_full", "disk_free", rest=30, limit=5, top=3, back=10, per_s=0.001, margin=0.3, delay_s=600, off_s=600),
    slowly(
        "edge_agent", "hot", "temperature", rest=50, limit=80, top=84, back=70, per_s=0.02, margin=3, delay_s=600, off_s=600,
        throttled=False,
    ),
    slowly("edge_line", "disturbed", "error_rate", rest=0, limit=10, top=16, back=5, per_s=0.001, margin=0.8, delay_s=1800, off_s=1800),
    slowly("collector", "quarantine_full", "quarantine_used", rest=20, limit=80, top=90, back=60, per_s=0.01, margin=1, off_s=600),
    turned("barrier", "stays_open", "open", 300, 10),
    turned("barrier", "unreachable", "reachable", 600, 120, rest=True),
    turned("lift_camera", "ebike", "ebike", 0, 10),
    turned("lift_camera", "ebike_stays", "ebike", 120, 10),
    turned("door_access", "held_open", "door_open", 60, 5),
    turned("door_access", "left_open", "door_open", 600, 5),
    turned("door_access", "open_after_moving", "door_open", 1800, 5, settings={"moving": True}),
    turned("door_access", "forced", "forced", 1, 10, begins=12 * HOUR, door_open=False, level="yellow"),
    turned("door_access", "forced", "forced", 1, 10, begins=23 * HOUR, door_open=False, level="orange"),
    turned("door_access", "opened_unasked", "door_open", 2, 10, begins=12 * HOUR, settings={"reads_cards": True}, level="yellow"),
    turned("door_access", "tampered", "tamper", 5, 60, level="yellow"),
    turned("gas_alarm", "tampered", "tamper", 5, 60, level="orange"),
    turned("gas_alarm", "sensor_faulty", "sensor_fault", 60, 600, level="orange"),
    turned("device_link", "silent", "answering", 60, 10, rest=True, line_open=True, guards_lives=False),
    turned("device_link", "guard_silent", "answering", 30, 10, rest=True, line_open=True, guards_lives=True),
    positive(
        "edge_link", "away", "it falls silent for two hours, and says nothing of it", 5 * HOUR,
        (HOUR + 350, HOUR + 362), over=(3 * HOUR + 55, 3 * HOUR + 95), online=True,
        heard=Moments(tuple(t for t in range(0, 5 * 3600, 30) if t <= HOUR or t >= 3 * HOUR)),
    ),
    turned("edge_line", "away", "open", 60, 60, rest=True),
    turned("edge_agent", "disk_refuses", "disk_refuses", 60, 60),
    turned("edge_agent", "clock", "clock_trusted", 3600, 60, rest=True),
    turned("edge_agent", "configuration_refused", "configuration_refused", 300, 60),
    turned("edge_ledger", "breach", "balanced", 60, 600, rest=True),
    turned("collector", "locked_out", "locked_out", 0, 60),
    turned("collector", "store_away", "store_takes", 300, 60, rest=True, locked_out=False),
    turned("collector", "broker_too_small", "broker_fits", 0, 60, rest=True),
    turned("site", "roster_old", "roster_old", 0, 60),
    turned("site", "unstaffed", "unstaffed", 0, 60),
    turned("smart_lamp", "off_at_night", "lit", 600, 300, rest=True, begins=22 * HOUR),
]  # fmt: skip
