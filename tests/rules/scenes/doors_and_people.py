"""Doors, lifts, facades, what a bracelet measures, what residents report."""

from collections.abc import Sequence

from messages.reading import Value
from tests.rules.scenes.scene import Scene, flapping, negative, positive
from tests.rules.scenes.sensor import Moments
from tests.rules.scenes.signals import (
    DAY,
    HOUR,
    MINUTE,
    State,
    between,
    chance,
    passages,
    repeatedly,
    restless,
    steady,
    swaying,
    total,
)

CARDS: dict[str, Value] = {"reads_cards": True}
CARD = "0123456789abcdef0123"
RUSH = tuple(7 * HOUR + 40 * index for index in range(60))
"""Sixty people leave the house between seven and eight, before one door has shut."""


def _with_cards(*at_s: float) -> dict[str, State | Moments | Value]:
    """Each shows a card and opens the door two seconds later."""
    return {"door_open": passages(*(at + 2 for at in at_s)), "card": Moments(at_s, CARD)}


def _held(rule: str, after_s: float, **settings: Value) -> list[Scene]:
    noon = 12 * HOUR
    stopped = between((noon, noon + after_s + 10 * MINUTE))
    return [
        positive(
            "door_access", rule, "a brick in the door", noon + 2 * HOUR, (noon + after_s, noon + after_s + 3),
            since_s=noon - HOUR, settings=settings, door_open=stopped,
        ),
        negative(
            "door_access", rule, "sixty people go out one by one", 9 * HOUR, since_s=6 * HOUR, settings=settings,
            door_open=passages(*RUSH),
        ),
        negative(
            "door_access", rule, "it is held a little too short", 14 * HOUR, since_s=noon, settings=settings,
            door_open=between((noon + 60, noon + 57 + after_s)),
        ),
        flapping(
            "door_access", rule, "it stands open, and then swings in the wind", noon + 3 * after_s, 1, since_s=noon,
            settings=settings,
            door_open=lambda t: t < noon + 1.3 * after_s or repeatedly(12, 9.5, noon, noon + 2.5 * after_s)(t),
        ),
    ]  # fmt: skip


def _opened(day: Sequence[float], count: int, *, until_h: float = 1e9) -> State:
    """The door of a flat, opened at these hours of each day, give or take half an hour."""
    moments = [24 * d + at_h + chance("door", 31 * d + i) - 0.5 for d in range(count) for i, at_h in enumerate(day)]
    return passages(*(at_h * HOUR for at_h in moments if at_h < until_h), lasts_s=120)


ERRANDS = (7.5, 8.6, 10.2, 16.8, 18.0)
LIFT_RIDES = tuple(600 + 180 * index for index in range(15))

SCENES = [
    *_held("held_open", 60),
    *_held("held_open", 30, held_after=30.0),
    *_held("left_open", 600),
    *_held("open_after_moving", 1800, moving=True),
    negative(
        "door_access", "held_open", "a removal: the door may stand open", 12 * HOUR, since_s=9 * HOUR,
        settings={"moving": True}, door_open=between((9.1 * HOUR, 9.5 * HOUR)),
    ),
    negative(
        "door_access", "left_open", "the same", 12 * HOUR, since_s=9 * HOUR, settings={"moving": True},
        door_open=between((9.1 * HOUR, 9.5 * HOUR)),
    ),
    positive(
        "door_access", "forced", "at three in the night", 4 * HOUR, (3 * HOUR, 3 * HOUR + 5), since_s=2 * HOUR,
        level="orange", forced=between((3 * HOUR, 3 * HOUR + 30)), door_open=between((3 * HOUR, 3 * HOUR + 30)),
    ),
    positive(
        "door_access", "forced", "at noon", 13 * HOUR, (12 * HOUR, 12 * HOUR + 5), since_s=11 * HOUR, level="yellow",
        forced=between((12 * HOUR, 12 * HOUR + 30)), door_open=between((12 * HOUR, 12 * HOUR + 30)),
    ),
    negative(
        "door_access", "forced", "a lorry shakes the frame, and people go in and out", 12 * HOUR, since_s=11 * HOUR,
        forced=repeatedly(400, 0.6, 11 * HOUR), door_open=passages(*(11 * HOUR + 100 * n for n in range(30))),
    ),
    flapping(
        "door_access", "forced", "a bent frame that the controller takes for a break-in", 14 * HOUR, 1,
        since_s=11 * HOUR, forced=repeatedly(30, 12, 11.5 * HOUR), door_open=False,
    ),
    positive(
        "door_access", "opened_unasked", "kicked in at three in the night", 4 * HOUR, (3 * HOUR, 3 * HOUR + 5),
        since_s=2 * HOUR, level="orange", settings=CARDS, door_open=between((3 * HOUR, 3 * HOUR + 40)),
    ),
    negative(
        "door_access", "opened_unasked", "everybody shows a card", 9 * HOUR, since_s=6 * HOUR, settings=CARDS,
        **_with_cards(*(7 * HOUR + 45 * n for n in range(50))),
    ),
    negative(
        "door_access", "opened_unasked", "contacts that are faster than their cards", 9 * HOUR, since_s=6 * HOUR,
        settings=CARDS, door_open=passages(*RUSH), card=Moments(tuple(at + 1.5 for at in RUSH), CARD),
    ),
    flapping(
        "door_access", "opened_unasked", "a lock that doesn't catch", 4 * HOUR, 1, since_s=2 * HOUR, settings=CARDS,
        door_open=repeatedly(25, 15, 3 * HOUR, 3.5 * HOUR),
    ),
    positive(
        "elderly_door", "not_opened", "a person who opens no more", 5 * DAY,
        (2 * DAY + 17 * HOUR, 2 * DAY + 20 * HOUR), level="orange", clears=False, open=_opened(ERRANDS, 2, until_h=48),
    ),
    positive(
        "elderly_door", "not_opened", "a day in bed", 5 * DAY, (2 * DAY + 17 * HOUR, 2 * DAY + 20 * HOUR),
        level="yellow", open=lambda t: _opened(ERRANDS, 5)(t) and not 2 * DAY <= t < 3 * DAY,
    ),
    negative(
        "elderly_door", "not_opened", "usual days, one of them with one errand", 5 * DAY,
        open=lambda t: _opened(ERRANDS, 5)(t) and not 2 * DAY + 9 * HOUR <= t < 3 * DAY,
    ),
    negative(
        "elderly_door", "not_opened", "away, and registered so", 5 * DAY, settings={"absent": True},
        open=_opened(ERRANDS, 1),
    ),
    flapping(
        "elderly_door", "not_opened", "once a day, a little later each time", 8 * DAY, 4,
        open=passages(*(10 * HOUR + n * (DAY + 40 * MINUTE) for n in range(8)), lasts_s=120),
    ),
    positive(
        "elderly_door", "opened_at_night", "somebody who has lost the hours", 2 * DAY,
        (DAY + 3 * HOUR, DAY + 3.5 * HOUR), open=passages(*(DAY + h * HOUR for h in (1.2, 2.1, 3.1, 3.9)), lasts_s=60),
    ),
    negative(
        "elderly_door", "opened_at_night", "a late evening, and the doctor at four", 2 * DAY,
        open=passages(*(h * HOUR for h in (21, 22.5, 23.2, 23.7, 23.9, 28, 28.6)), lasts_s=60),
    ),
    flapping(
        "elderly_door", "opened_at_night", "all night, in and out", 2 * DAY, 1,
        open=repeatedly(1800, 120, DAY, DAY + 7 * HOUR),
    ),
    positive("lift_camera", "ebike", "somebody rides up with his", HOUR, (600, 602), ebike=between((600, 640))),
    negative("lift_camera", "ebike", "prams, wheelchairs, a bicycle: the camera knows them", HOUR, ebike=False),
    flapping("lift_camera", "ebike", "people stand before it", HOUR, 1, ebike=repeatedly(9, 6, 600, 700)),
    positive(
        "lift_camera", "ebike_stays", "the door is held, the owner argues", HOUR, (720, 722),
        ebike=between((600, 900)),
    ),
    negative(
        "lift_camera", "ebike_stays", "fifteen ride up, each for half a minute", 2 * HOUR,
        ebike=between(*((at, at + 30) for at in LIFT_RIDES)),
    ),
    flapping(
        "lift_camera", "ebike_stays", "people stand before it again and again", HOUR, 1,
        ebike=repeatedly(200, 194, 600, 1800),
    ),
    positive("facade_camera", "thrown", "a bottle", HOUR, (600, 601), thrown=Moments((600.0,))),
    negative(
        "facade_camera", "thrown", "birds and leaves: the camera says no", HOUR,
        thrown=Moments((600.0, 700.0), value=False),
    ),
    flapping(
        "facade_camera", "thrown", "a whole cupboard, piece by piece", HOUR, 1,
        thrown=Moments(tuple(600.0 + 20 * n for n in range(30))),
    ),
    positive(
        "bracelet", "heart_rate", "a heart that races, for a person with limits", 3 * HOUR, (HOUR + 300, HOUR + 600),
        settings={"heart_rate_high": 120.0, "heart_rate_low": 45.0},
        heart_rate=lambda t: 138.0 if HOUR <= t < 2 * HOUR else 72.0,
    ),
    negative(
        "bracelet", "heart_rate", "the same heart, and nobody has set limits: shipped off", 3 * HOUR,
        heart_rate=lambda t: 138.0 if HOUR <= t < 2 * HOUR else 72.0,
    ),
    negative(
        "bracelet", "heart_rate", "stairs, four minutes at a time", 3 * HOUR, settings={"heart_rate_high": 120.0},
        heart_rate=lambda t: 131.0 if t % 1200 < 230 else 80.0,
    ),
    flapping(
        "bracelet", "heart_rate", "about the limit", 3 * HOUR, 1, settings={"heart_rate_high": 120.0},
        heart_rate=total(swaying(120, 4, 25 * MINUTE), restless(2, 60, "heart")),
    ),
    positive(
        "bracelet", "blood_oxygen", "too little, for a person with a limit", 3 * HOUR, (HOUR + 300, HOUR + 600),
        settings={"blood_oxygen_low": 88.0}, blood_oxygen=lambda t: 84.0 if HOUR <= t < 2 * HOUR else 95.0,
    ),
    negative("bracelet", "blood_oxygen", "nobody has set a limit: shipped off", 3 * HOUR, blood_oxygen=steady(80)),
    flapping(
        "bracelet", "blood_oxygen", "about the limit", 3 * HOUR, 1, settings={"blood_oxygen_low": 88.0},
        blood_oxygen=total(swaying(88, 1, 25 * MINUTE), restless(0.5, 60, "spo2")),
    ),
    positive(
        "citizen_report", "reported", "a lamp post leans, says somebody", 2 * HOUR, (600, 601),
        report=Moments((600.0,), "灯杆倾斜"),
    ),
    negative(
        "citizen_report", "reported", "a picture without a report", 2 * HOUR, photo=Moments((600.0,), "p/1.jpg"),
    ),
    flapping(
        "citizen_report", "reported", "twelve neighbours report the same", 4 * HOUR, 1,
        report=Moments(tuple(600.0 + 500 * n for n in range(12)), "灯杆倾斜"),
    ),
]  # fmt: skip
