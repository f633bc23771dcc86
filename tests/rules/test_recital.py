"""Every open alarm once more, in portions."""

from pathlib import Path

import pytest

from rules.alarms import recital
from rules.alarms.recital import BEGINNING
from rules.language.library import load_file
from tests.rules.course import KINDS, reading
from tests.rules.room import Room, mend

GRAVE_AND_NOT = "".join(
    f"""[rules.{level}]
level = "{level}"
title = {{ zh = "倾斜", en = "Tilted" }}
raise = "tilt > {over}"
clear = "tilt < 5"
"""
    for level, over in (("blue", 10), ("red", 20))
)


def test_each_open_alarm_is_said_once_the_gravest_first_however_many_there_are_and_none_that_is_over(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recital, "PORTION", 2)
    file = tmp_path / "manhole_cover.toml"
    file.write_text(GRAVE_AND_NOT, encoding="utf-8")
    room = Room(tmp_path, database_url, {"manhole_cover": load_file(file, KINDS)})
    for number in range(6):
        room.announce(f"cover-{number}", "manhole_cover")
        room.hear(reading(number, "tilt", 30.0 if number % 2 else 15.0, device=f"cover-{number}"))
    room.hear(reading(100, "tilt", 0.0, device="cover-2"))
    for alarm in room.desk.alarms():
        if alarm.device == "cover-2" and alarm.case:
            mend(room.desk, alarm.case.id, at_ms=alarm.raised_at_ms + 200_000)
    said, place = list[tuple[str, str]](), BEGINNING
    while True:
        alarms, then = recital.portion(room.database, place)
        assert len(alarms) <= 2
        said += [(alarm.rule, alarm.device) for alarm in alarms]
        if then is None:
            break
        place = then
    reds = [("red", f"cover-{number}") for number in (1, 3, 5)]
    assert said == reds + [("blue", f"cover-{number}") for number in (0, 1, 3, 4, 5)]
    room.database.close()
