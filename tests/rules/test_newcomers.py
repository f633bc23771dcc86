"""Many alarms that are raised at once become what each would have become by itself: row by row, line by line."""

import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId
from messages.reading import Reading, Value
from messages.settings import Text
from rules.alarms import newcomers
from rules.cases.case import Situation
from rules.engine.work import Work
from rules.records import ActionRefused
from rules.store import tables as db
from tests.rules.course import at
from tests.rules.room import SITE, Room, mend

KINDS: dict[str, tuple[str, tuple[Value, ...]]] = {
    "gas_alarm": ("gas_concentration", (0.0, 30.0)),
    "sos_button": ("pressed", (True, False)),
    "waste_bin": ("fill", (10.0, 97.0)),
    "road_ponding": ("water_depth", (0.0, 0.3)),
    "smoke_alarm": ("smoke", (True, False)),
    "heat_alarm": ("heat", (True, False)),
    "manhole_cover": ("tilt", (0.0, 60.0)),
}
"""A channel of each, and what it may say; sos_button and manhole_cover are one situation with others, of road_ponding many are a storm."""
DEVICES, TURNS = 120, 15
TABLES = (db.alarms, db.cases, db.timers, db.notices, db.log, db.states, db.refusals)
EDGES = (EdgeId("pi-1"), EdgeId("pi-2"))


def device(number: int) -> tuple[EdgeId, DeviceId, str]:
    kind = list(KINDS)[number % len(KINDS)]
    return EDGES[number % 2], DeviceId(f"{kind}-{number}"), kind


def announce_all(room: Room) -> None:
    work = Work(room.facts)
    for number in range(DEVICES):
        edge, name, kind = device(number)
        place = Place(grid=f"g{number % 3}", building=str(number % 4), text=f"{number % 4}号楼")
        said = Announcement(kind=kind, model="m", place=place, settings={"lat": 26.0, "lon": 119.0})
        work.announce(SITE, edge, name, said, at(0))
    room.write(work, 0)


def live(room: Room, seed: int) -> None:
    """What a site may see: floods, permits, shelves, reports, edges that go, cases that are closed and come again."""
    dice = random.Random(seed)
    announce_all(room)
    now_s = 10.0
    for _ in range(TURNS):
        now_s += dice.choice((0.5, 3.0, 40.0, 700.0))
        work = Work(room.facts)
        for number in dice.sample(range(DEVICES), dice.choice((1, 5, 60))):
            edge, name, kind = device(number)
            channel, values = KINDS[kind]
            measured = Reading(device=name, channel=channel, at_ms=at(now_s) - number, value=dice.choice(values))
            work.collect(SITE, edge, [measured])
        work.settle(at(now_s))
        room.write(work, now_s)
        room.wake(now_s)
        room.fire_cases(now_s)
        act(room, dice, now_s)
        room.look(now_s)


def act(room: Room, dice: random.Random, now_s: float) -> None:
    """Something that people or the plant do, or nothing."""
    desk, opened = room.desk, room.desk.alarms()
    number = dice.randrange(DEVICES)
    edge, _, _ = device(number)
    try:
        match dice.randrange(7):
            case 0:
                room.status(now_s, online=dice.random() < 0.5, edge=edge)
            case 1 if opened:
                one = dice.choice(opened)
                desk.shelve(one.id, until_ms=at(now_s + 900), reason="test", actor="zhao", at_ms=at(now_s))
            case 2:
                desk.open_permit(
                    SITE, holder="li", reason="test", until_ms=at(now_s + 900), actor="li", at_ms=at(now_s), grid="g1"
                )
            case 3:
                for one_kind in dice.sample(sorted(KINDS), 3):
                    desk.report(reported(one_kind), actor="wang", at_ms=at(now_s))
            case 4 | 5 if opened:
                case = dice.choice(opened).case
                if case is not None:
                    desk.accept(case.id, actor="wang", at_ms=at(now_s))
                    desk.arrive(case.id, actor="wang", at_ms=at(now_s))
                    mend(desk, case.id, at_ms=at(now_s))
    except ActionRefused:
        pass


def reported(kind: str) -> Situation:
    """By somebody on the spot, where all devices are."""
    place, title = Place(grid="g1", building="1", text="1号楼"), Text(zh="见到", en="seen")
    return Situation(
        site=SITE, place=place, kind=kind, subject="", title=title, level="yellow", origin="report", lat=26.0, lon=119.0
    )


def dump(room: Room) -> dict[str, list[dict[str, Any]]]:
    """All that matters, but for the random names of holds and reports, and the random marks of the log's parts."""
    with room.database.reading() as connection:
        return {
            table.name: [
                {name: value for name, value in row._mapping.items() if name != "mark"}
                for row in connection.execute(select(table))
            ]
            for table in TABLES
        }


@pytest.mark.parametrize("seed", range(4))
def test_what_is_raised_together_is_as_if_each_were_raised_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    many, others = 0, 0
    among = newcomers.among

    def counted(*words: Any) -> dict[int, newcomers.Newcomer]:
        nonlocal many, others
        new = among(*words)
        many, others = many + len(new), others + len(words[1]) - len(new)
        return new

    dumps = []
    for name, way in (("together", counted), ("alone", lambda *_: {})):
        (tmp_path / name).mkdir()
        names = iter(range(10**6))
        monkeypatch.setattr("secrets.token_hex", lambda n, names=names: f"{next(names):0{2 * n}x}")
        monkeypatch.setattr(newcomers, "among", way)
        room = Room(tmp_path / name)
        live(room, seed)
        dumps.append(dump(room))
        room.database.close()
    together, alone = dumps
    for table in TABLES:
        order = [column.name for column in table.primary_key]
        key = lambda row, order=order: [str(row[one]) for one in order]  # noqa: E731
        assert sorted(together[table.name], key=key) == sorted(alone[table.name], key=key), table.name
    assert many > 20
    assert others > 20
