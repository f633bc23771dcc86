"""Gas, smoke, heat, calls for help."""

from tests.rules.scenes.scene import Scene, flapping, negative, positive
from tests.rules.scenes.sensor import Moments
from tests.rules.scenes.signals import (
    DAY,
    HOUR,
    MINUTE,
    above,
    aired,
    between,
    day_warmth,
    gas_in_room,
    lag,
    repeatedly,
    restless,
    steady,
    swaying,
    then,
    total,
)

KITCHEN = gas_in_room(2.0, 10 * MINUTE)
"""A hose that has come off: 10 %LEL after a few minutes."""
SMOULDER = lag(0.0, 0.6, 10 * MINUTE, 10 * MINUTE)
"""dB/m of smoke; detectors alarm at about 0.15 (EN 14604 tests from 0.05 to 0.2)."""
ALARM_DB = 0.15
DETECTOR = {"smoke_alarm": "smoke", "charging_shed": "smoke", "charging_pile": "smoke"}
FIRE = then(day_warmth(18, 30), 11 * HOUR, lag(29.0, 400.0, 11 * HOUR, 8 * MINUTE))
"""Waste that burns under a lid, from eleven o'clock."""


def _smoke(kind: str) -> list[Scene]:
    toast = total(steady(0.10), restless(0.03, 20, kind))
    thick = total(steady(ALARM_DB), restless(0.05, 10, kind))
    return [
        positive(
            kind, "smoke", "a battery smoulders", HOUR, (10 * MINUTE, 15 * MINUTE), clears=False, smoke=above(SMOULDER, ALARM_DB)
        ),
        negative(
            kind, "smoke", "toast and cigarettes, below what the detector calls smoke", HOUR,
            smoke=above(toast, ALARM_DB),
        ),
        flapping(kind, "smoke", "smoke about the detector's threshold", HOUR, 1, smoke=above(thick, ALARM_DB)),
    ]  # fmt: skip


def _heat(kind: str, cause: str) -> list[Scene]:
    embers = then(day_warmth(18, 30), 11 * HOUR, total(steady(60.0), swaying(0, 4, 7 * MINUTE), restless(3, 45, kind)))
    return [
        positive(
            kind, "heat", cause, 12 * HOUR, (11 * HOUR, 11 * HOUR + 5 * MINUTE), since_s=10 * HOUR, clears=False, temperature=FIRE
        ),
        negative(kind, "heat", "a hot day", DAY, since_s=6 * HOUR, temperature=day_warmth(27, 53)),
        negative(
            kind, "heat", "the sun comes round the corner on a cool morning", 12 * HOUR, since_s=8 * HOUR,
            temperature=then(steady(18.0), 9 * HOUR, lag(18.0, 38.0, 9 * HOUR, 8 * MINUTE)),
        ),
        negative(
            kind, "heat", "somebody holds a lighter to it for a moment", 12 * HOUR, since_s=11 * HOUR,
            temperature=lambda t: 75.0 if 11.5 * HOUR <= t < 11.5 * HOUR + 15 else 24.0,
        ),
        flapping(kind, "heat", "embers about sixty degrees", 14 * HOUR, 1, since_s=10 * HOUR, temperature=embers),
    ]  # fmt: skip


def _contact(kind: str, rule: str, channel: str, cause: str) -> list[Scene]:
    return [
        positive(
            kind, rule, cause, 2 * HOUR, (10 * MINUTE, 10 * MINUTE + 5), **{channel: between((10 * MINUTE, 70 * MINUTE))}
        ),
        negative(kind, rule, "a day on which it only says that it is there", DAY, **{channel: False}),
        flapping(
            kind, rule, "a loose contact of a detector in alarm", 2 * HOUR, 1,
            **{channel: repeatedly(20, 13, 10 * MINUTE, 70 * MINUTE)},
        ),
    ]  # fmt: skip


SCENES = [
    positive(
        "gas_alarm", "leak", "a hose comes off; later the kitchen is aired", 2 * HOUR, (12 * MINUTE, 25 * MINUTE),
        gas_concentration=aired(KITCHEN, HOUR), alarm_contact=above(aired(KITCHEN, HOUR), 10),
    ),
    positive(
        "gas_alarm", "leak", "a product that says its contact alone", 2 * HOUR, (12 * MINUTE, 25 * MINUTE),
        alarm_contact=above(aired(KITCHEN, HOUR), 10),
    ),
    negative(
        "gas_alarm", "leak", "lighting the stove, hair spray, a zero that drifts", 6 * HOUR,
        gas_concentration=total(swaying(1, 1.5, 4 * HOUR), lambda t: 6.0 if t % HOUR < 40 else 0.0), alarm_contact=False,
    ),
    flapping(
        "gas_alarm", "leak", "a small leak and a window ajar: about the set point for hours", 6 * HOUR, 1,
        gas_concentration=total(steady(10), swaying(0, 1, 11 * MINUTE), restless(1, 30, "gas")), alarm_contact=False,
    ),
    positive(
        "gas_well", "leak", "a main leaks into a valve well; the fan clears it", 5 * HOUR, (12 * MINUTE, 60 * MINUTE),
        gas_concentration=aired(gas_in_room(0.8, 10 * MINUTE, room_m3=6), 2 * HOUR, changes_h=6),
    ),
    negative(
        "gas_well", "leak", "sewer gas that comes and goes", 12 * HOUR,
        gas_concentration=total(swaying(8, 7, 5 * HOUR), restless(3, 60, "well")),
    ),
    flapping(
        "gas_well", "leak", "sewer gas about the limit", 12 * HOUR, 1,
        gas_concentration=total(swaying(19, 3, 30 * MINUTE), restless(3, 60, "well")),
    ),
    *_smoke("smoke_alarm"),
    *_smoke("charging_shed"),
    *_smoke("charging_pile"),
    *_heat("waste_bin", "a cigarette in the paper"),
    *_heat("charging_shed", "a battery burns"),
    *_heat("charging_pile", "a socket burns"),
    *_contact("heat_alarm", "heat", "heat", "a pan burns, and is put out"),
    *_contact("manual_call_point", "pressed", "pressed", "somebody breaks the glass; the key resets it"),
    *_contact("sos_button", "cord_pulled", "held", "somebody pulls the cord in the bathroom"),
    *(
        scene
        for kind in ("sos_button", "bracelet")
        for scene in (
            positive(kind, "called", "a person presses twice", HOUR, (600, 601), pressed=Moments((600.0, 603.0))),
            negative(
                kind, "called", "it says that it was let go, and no more", HOUR,
                pressed=Moments((600.0,), value=False),
            ),
            flapping(
                kind, "called", "a trembling hand: twenty presses in two minutes", HOUR, 1,
                pressed=Moments(tuple(600.0 + 6 * index for index in range(20))),
            ),
        )
    ),
    positive(
        "bracelet", "fall", "a fall; the wearer is helped up after a quarter of an hour", HOUR, (630, 632),
        fall=between((600, 1500)),
    ),
    negative(
        "bracelet", "fall", "somebody drops into an armchair and takes the alarm back", HOUR, fall=between((600, 625), (2000, 2027)),
    ),
    flapping(
        "bracelet", "fall", "somebody who lies on the floor and moves", HOUR, 1, fall=repeatedly(50, 45, 600, 2400),
    ),
]  # fmt: skip
