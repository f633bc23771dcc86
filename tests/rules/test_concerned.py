"""Every open alarm for which something is due is among those that the database names, whatever lies over it and around it."""

import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from messages.ids import DeviceId, EdgeId
from rules.alarms.figures import SHIPPED
from rules.alarms.overlays import concerned as concern
from rules.alarms.overlays import surroundings, upkeep
from rules.alarms.overlays.hold import Hold, What
from rules.alarms.overlays.oversight import Around, Parent, due
from rules.records import AlarmState, Overlays, Pause
from rules.store import rows
from rules.store import tables as db
from tests.rules.course import at, reading
from tests.rules.room import EDGE, SITE, Room

DAY_S, NOW_S = 86_400.0, 10 * 86_400.0
DOORS = [DeviceId(f"door-{number}") for number in range(12)]
OTHER = EdgeId("pi-2")


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """Twelve alarms that stand open, with nothing over them."""
    room = Room(tmp_path)
    for door in DOORS:
        room.announce(door, "door_access")
        room.hear(reading(0, "door_open", True, device=door))
    room.pass_time(60)
    assert len(room.desk.alarms()) == len(DOORS)
    return room


def some_row(dice: random.Random) -> dict[str, Any]:
    """How an alarm may stand."""
    pause = Pause(until_ms=at(NOW_S + dice.uniform(-DAY_S, DAY_S)), reason="dust", actor="li", one_shot=False)
    over = Overlays(
        shelved=dice.choice([None, None, None, pause]),
        out_of_service=dice.choice([None, None, None, pause]),
        suppressed=dice.choice([(), (), (), ("edge pi-1",)]),
        uncertain=dice.choice([(), (), (), ("silent",)]),
        chattering=dice.random() < 0.1,
        stale=dice.random() < 0.1,
    )
    plain = dice.random() < 0.7
    return {
        "overlays": {} if plain and dice.random() < 0.5 else asdict(Overlays() if plain else over),
        "level": dice.choice(["red", "orange", "yellow", "blue"]),
        "state": dice.choice([state for state in AlarmState if state is not AlarmState.PENDING]),
        "rule": dice.choice(["held", "held_long", "chattering"]) + f"_{dice.random()}" * (dice.random() < 0.7),
        "since_ms": at(NOW_S - dice.choice([10.0, 2 * DAY_S])),
        "changed_at_ms": at(NOW_S - dice.choice([10.0, 1900.0, 8000.0, 2 * DAY_S, 5 * DAY_S, -7200.0])),
        "flapped_at_ms": at(NOW_S - dice.choice([10.0, 4000.0])),
        "returned": dice.random() < 0.1,
        "guards": dice.random() < 0.2,
        "edge": dice.choice([EDGE, OTHER]),
    }


def some_around(dice: random.Random) -> Around:
    """What may be around them; mostly nothing."""
    what = dice.choice(["nothing", "nothing", "hold", "away", "guessing", "silent", "parent", "many"])
    device = dice.choice([None, *DOORS])
    hold = Hold(
        id="h-1",
        what=dice.choice(list(What)),
        site=SITE,
        device=device,
        rule=None,
        grid=None if device else dice.choice([None, "grid-1", "grid-9"]),
        building=None,
        unit=None,
        from_ms=at(NOW_S - 100),
        until_ms=at(NOW_S + dice.choice([-10, 100])),
        reason="dust",
        actor="li",
    )
    tellers = {(SITE, door): [EDGE] if dice.random() < 0.8 else [EDGE, OTHER] for door in DOORS}
    silent = {(SITE, EDGE, door) for door in DOORS if dice.random() < 0.3}
    return Around(
        holds=[hold] if what == "hold" else (),
        away={(SITE, dice.choice([EDGE, OTHER]))} if what in ("away", "many") else frozenset(),
        guessing={(SITE, EDGE)} if what == "guessing" else frozenset(),
        tellers=tellers,
        silent=silent if what in ("silent", "many") else frozenset(),
        parents=[Parent("a-1", SITE, "storm", ("door_access.*",), "c-1")] if what == "parent" else (),
    )


@pytest.mark.parametrize("named", [500, 2])
def test_nothing_that_is_due_is_left_out(room: Room, monkeypatch: pytest.MonkeyPatch, named: int) -> None:
    monkeypatch.setattr(concern, "MOST_NAMED", named)
    dice, looked_at, left = random.Random(named), 0, 0
    for _ in range(150):
        around = some_around(dice)
        with room.database.writing() as connection:
            for alarm in connection.scalars(select(db.alarms.c.id)).all():
                values = some_row(dice) if dice.random() < 0.9 else {"rule": f"held_{alarm}"}
                connection.execute(update(db.alarms).where(db.alarms.c.id == alarm).values(values))
            its = concern.concerned(around, at(NOW_S), SHIPPED)
            found = {row.id for row in connection.execute(select(db.alarms.c.id).where(db.alarms.c.open, its))}
            for row in connection.execute(upkeep.OPENED):
                events = due(surroundings.watched(row, rows.standing_of(row)), around, at(NOW_S), SHIPPED)
                assert not events or row.id in found, (events, row)
                looked_at, left = looked_at + bool(events), left + (row.id not in found)
            connection.rollback()
    assert looked_at > 100
    assert left > 100


def test_alarms_with_nothing_over_or_around_them_are_not_read(room: Room) -> None:
    with room.database.reading() as connection:
        its = concern.concerned(Around(), at(100), SHIPPED)
        assert connection.execute(select(db.alarms.c.id).where(db.alarms.c.open, its)).all() == []
