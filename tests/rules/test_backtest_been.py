"""What was raised, as a dry run can be held against it: by the database of an engine that lived through the same readings."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from collector.stores.choose import open_store
from messages.ids import DeviceId
from rules.backtest import been, past, report
from rules.backtest.been import Line
from rules.backtest.courses import Judged, courses_of
from rules.backtest.past import Span
from rules.backtest.reasons import Then
from rules.backtest.replay import Episode
from rules.backtest.report import difference
from rules.cases.practice import PLAIN
from rules.config import load
from rules.drills import exercise
from rules.language.calendar import CHINA
from rules.store import versions
from tests.rules.course import ALL_RULES, T0, at, course
from tests.rules.month import Life, Month
from tests.rules.room import EDGE, SITE, Room

CONFIG = """name = "rules-1"
database = "sqlite:///rules.db"
store = "sqlite:history.db"
[broker]
username = "rules"
password = "x"
"""
KINDS_LIVED = (
    "barrier",
    "bracelet",
    "waste_bin",
    "citizen_report",
    "smoke_alarm",
    "door_access",
    "smart_lamp",
    "sos_button",
)


HOURS_MS = 3 * 3_600_000


def lived(folder: Path, month: Month) -> Judged:
    """An engine lives through its first hours, and then the same readings are judged as the past."""
    until_ms = month.midnight_ms + HOURS_MS
    arrivals = [one for one in month.arrivals() if one.at_ms < until_ms]
    store = open_store("sqlite:history.db", base=folder)
    month.store(store, arrivals)
    store.close()
    room = Room(folder)
    Life(room, month).live(arrivals, until_ms)
    room.database.close()
    (folder / "rules.toml").write_text(CONFIG)
    configuration = load(folder / "rules.toml")
    judged = courses_of(configuration, Span(month.midnight_ms, until_ms), [], frozenset())
    configuration.store.close()
    return judged


MIDNIGHT_MS = 1_760_025_600_000 - 8 * 3_600_000
"""Of a site's day in October 2025."""


def test_what_the_engine_raised_is_what_a_dry_run_raises(tmp_path: Path) -> None:
    was, now = lived(tmp_path, Month(MIDNIGHT_MS, 1, 16, 2, outages=False, kinds=KINDS_LIVED, calm=0)).courses
    found = difference(was, now)
    assert (found.gone, found.new, found.moved) == ((), (), ())
    assert found.same == len(was.episodes) > 100


def test_what_an_outage_changes_is_said_with_its_reason(tmp_path: Path) -> None:
    month = Month(MIDNIGHT_MS, 1, 16, 3, kinds=KINDS_LIVED, calm=0)
    month.away = {edge: [(MIDNIGHT_MS + 15 * 60_000, MIDNIGHT_MS + 70 * 60_000)] for edge in month.away}
    judged = lived(tmp_path, month)
    found = difference(*judged.courses)
    whys = [judged.then.gone(one) for one in found.gone] + [judged.then.new(one) for one in found.new]
    assert found.same > 20
    assert set(whys) <= {"late", "away"}
    assert whys
    (told,) = report.as_json(judged.courses, CHINA, judged.span.from_ms, judged.span.until_ms, 1, judged.then)[
        "differences"
    ]
    assert sum(told["gone_why"].values()) + sum(told["new_why"].values()) == len(whys)
    assert [one["why"] for one in (*told["gone_listed"], *told["new_listed"])] == [
        one for one in (whys[0] if found.gone else None, judged.then.new(found.new[0]) if found.new else None) if one
    ]


def an_alarm(raised_s: float, cleared_s: float | None = None, **more: Any) -> Episode:
    known: dict[str, Any] = {"kind": "gas_alarm", "rule": "leak", "level": "red", "grid": "g1", "model": "m"} | more
    cleared_ms = None if cleared_s is None else at(cleared_s)
    return Episode(site=SITE, device=DeviceId("gas-1"), raised_at_ms=at(raised_s), cleared_at_ms=cleared_ms, **known)


def spans(found: Iterable[Episode]) -> list[tuple[float, float | None]]:
    return [
        ((one.raised_at_ms - T0) / 1000, None if one.cleared_at_ms is None else (one.cleared_at_ms - T0) / 1000)
        for one in found
    ]


def log(*lines: tuple[float, str, str]) -> list[Line]:
    return [Line(f"alarm.{event}", at(at_s), detail) for at_s, event, detail in lines]


def test_an_alarm_that_was_raised_again_while_it_was_open_is_as_many_episodes() -> None:
    said = log(
        (1, "raised", ""), (51, "cleared", ""), (101, "raised", "again"), (151, "cleared", ""), (201, "raised", "again")
    )
    times = [at(0), at(100), at(200)]
    assert spans(been.episodes(an_alarm(0), times, 3, said)) == [(0, 51), (100, 151), (200, None)]


def test_a_cause_that_came_again_while_the_alarm_stood_is_no_episode() -> None:
    """An SOS that is pressed three times: the engine counts them, the rule has raised it once."""
    assert spans(been.episodes(an_alarm(0, 90), [at(0), at(10), at(20)], 3, log((0, "raised", "")))) == [(0, 90)]


def test_what_chattered_is_counted_though_the_log_was_quiet_and_few_times_were_kept() -> None:
    said = log(
        (0, "raised", ""),
        (5, "cleared", ""),
        (10, "raised", "again"),
        (20, "raised", "again"),
        (20, "chattering", "3 times"),
    )
    found = been.episodes(an_alarm(0, 95), [at(0), at(80), at(90)], 10, said)
    assert [one.raised_at_ms for one in found] == [at(s) for s in range(0, 100, 10)]


def test_what_a_backlog_tells_later_lies_where_it_was_and_ends_no_earlier_than_it_began() -> None:
    said = log((1000, "raised", ""), (1000, "raised", "again"), (2000, "raised", "again"))
    found = been.episodes(an_alarm(0, 50), [at(0), at(500), at(1990)], 3, said)
    assert spans(found) == [(0, 500), (500, 1990), (1990, 1990)]


def plant(folder: Path) -> Room:
    """A room whose gas alarm leaks now; its configuration lies beside it."""
    (folder / "rules.toml").write_text(CONFIG)
    room = Room(folder)
    room.announce("gas-1", "gas_alarm")
    return room


def test_practice_is_nothing_that_was_raised(tmp_path: Path) -> None:
    room = plant(tmp_path)
    versions.keep(room.database, ALL_RULES, at(0))
    with room.database.writing() as connection:
        drill = exercise.start(connection, SITE, actor="li", why="y", until_ms=at(900), now_ms=at(0))
        exercise.raise_alarm(connection, drill, "gas-1", "leak", actor="li", now_ms=at(10), practice=PLAIN)
    room.hear(*course("gas_concentration", (20, 1.0), (30, 30.0), device="gas-1"))
    found = past.alarms(room.database, frozenset(), frozenset({"gas_alarm"}), Span(at(0), at(900)))
    room.database.close()
    assert spans(found) == [(30, None)]


def test_what_stood_when_the_span_began_is_known(tmp_path: Path) -> None:
    room = plant(tmp_path)
    room.hear(*course("gas_concentration", (0, 1.0), (30, 30.0), device="gas-1"))
    found = past.alarms(room.database, frozenset(), frozenset({"gas_alarm"}), Span(at(100), at(900)))
    over = past.alarms(room.database, frozenset(), frozenset({"gas_alarm"}), Span(at(0), at(20)))
    room.database.close()
    assert (spans(found), over) == ([(30, None)], [])


def test_each_reason_is_told_from_the_others() -> None:
    leak = next(rule for rule in ALL_RULES["gas_alarm"] if rule.id == "leak")
    then = Then(
        devices={(SITE, DeviceId("gas-1"))},
        rules={("gas_alarm", "leak"): leak, ("gas_alarm", "trial"): replace(leak, shadow=True)},
        away={(SITE, EDGE): [(at(100), at(200))]},
        began_ms=at(50),
    )
    here: dict[str, Any] = {"edge": EDGE, "version": leak.version}
    assert then.gone(an_alarm(60, 70, **here)) == ""
    assert then.gone(an_alarm(60, 100, **here)) == "away"
    assert then.gone(an_alarm(60, 70, late=True, **here)) == "late"
    assert then.gone(an_alarm(60, 70, edge=EDGE, version="other")) == "earlier rule"
    assert then.gone(an_alarm(60, 70, rule="no", **here)) == "rule gone"
    assert then.gone(replace(an_alarm(60, 70, **here), device=DeviceId("gas-9"))) == "device gone"
    assert (then.new(an_alarm(49, 60, **here)), then.new(an_alarm(201, **here))) == ("no engine", "")
    assert then.new(an_alarm(60, 70, rule="trial", **here)) == "shadow"
