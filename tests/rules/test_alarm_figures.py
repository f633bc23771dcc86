"""When an alarm rings again, what chatters and what a flood is, as an engine's file says."""

from dataclasses import replace
from pathlib import Path

import pytest

from messages.settings import ConfigError
from rules.alarms.figures import SHIPPED, Chatter, Figures, Flood, Realarm
from rules.cases.practice import PLAIN, Practice
from rules.config import load
from rules.engine.work import Work
from rules.store import facts
from tests.rules.course import at, reading
from tests.rules.room import EDGE, SITE, Room

RULES = """name = "r"
database = "sqlite:///rules.db"
store = "sqlite:history.db"
[broker]
username = "rules"
password = "x"
"""


def written(folder: Path, text: str) -> Figures:
    (folder / "rules.toml").write_text(RULES + text, encoding="utf-8")
    return load(folder / "rules.toml").figures


def test_what_is_left_out_is_as_shipped(tmp_path: Path) -> None:
    assert written(tmp_path, "") == SHIPPED
    found = written(tmp_path, '[alarms.realarm]\nred = "10min"\n[alarms.flood]\nbegins_above = 20\n')
    assert (found.realarm.after_ms("red"), found.realarm.after_ms("orange")) == (600_000, 7_200_000)
    assert (found.flood.begins_above, found.flood.ends_below, found.chatter) == (20, 5, SHIPPED.chatter)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[alarms.realarm]\nred = "never"', "a duration such as"),
        ('[alarms.realarm]\nrot = "1min"', "rot"),
        ("[alarms.chatter]\ntimes = 1", "greater than or equal to 2"),
        ("[alarms.flood]\nbegins_above = 3", "would end before it begins"),
    ],
)
def test_a_figure_that_can_not_be_is_refused_by_name_and_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        written(tmp_path, text)
    assert "rules.toml:" in str(refused.value)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def hear(room: Room, practice: Practice, at_s: float, value: bool, device: str = "r-1") -> None:
    work = Work(room.facts)
    work.hear(SITE, EDGE, [reading(at_s, "raised", value, device=device)], at(at_s))
    facts.commit(room.database, work, at(at_s), practice=practice)
    room.facts.adopt(work)


def test_an_alarm_rings_again_when_the_file_says(room: Room) -> None:
    practice = replace(PLAIN, figures=Figures(realarm=Realarm.model_validate({"yellow": "60s"})))
    room.announce("r-1", "reflex")
    hear(room, practice, 0, value=True)
    facts.beat(room.database, at(59), practice, hears=True)
    assert "alarm.realarmed" not in room.events()
    facts.beat(room.database, at(60), practice, hears=True)
    assert "alarm.realarmed" in room.events()


def test_what_chatters_is_what_the_file_says(room: Room) -> None:
    practice = replace(
        PLAIN, figures=Figures(chatter=Chatter.model_validate({"times": 2, "within": "10min", "quiet": "2min"}))
    )
    room.announce("r-1", "reflex")
    for at_s, value in ((0, True), (10, False), (500, True), (510, False)):
        hear(room, practice, at_s, value)
    (acting,) = [alarm for alarm in room.desk.alarms() if alarm.rule == "acting"]
    assert acting.overlays.chattering
    facts.beat(room.database, at(510 + 121), practice, hears=True)
    assert "alarm.settled" in room.events()


def test_a_flood_begins_and_ends_where_the_file_says(room: Room) -> None:
    practice = replace(
        PLAIN, figures=Figures(flood=Flood.model_validate({"window": "1min", "begins_above": 2, "ends_below": 2}))
    )
    for number in range(3):
        room.announce(f"r-{number}", "reflex")
        hear(room, practice, number, value=True, device=f"r-{number}")
    facts.beat(room.database, at(5), practice, hears=True)
    assert room.desk.floods() == {SITE: at(5)}
    facts.beat(room.database, at(70), practice, hears=True)
    assert room.desk.floods() == {}
