"""The figures of alarm quality once more, by a few lines of plain SQL over the database of an engine that lived for hours."""

import math
import sqlite3
from collections import Counter
from pathlib import Path

from rules.cases.practice import PLAIN
from rules.drills import exercise
from rules.quality import gathering
from rules.store import versions
from rules.store.database import Database
from tests.rules.course import ALL_RULES
from tests.rules.month import Life, Month
from tests.rules.room import SITE, Room
from tests.rules.test_backtest_been import HOURS_MS, KINDS_LIVED, MIDNIGHT_MS

REAL = "site = 'junmen' AND situation NOT LIKE 'drill-%'"


def median_s(taken_ms: list[int]) -> float | None:
    return sorted(taken_ms)[math.ceil(len(taken_ms) / 2) - 1] / 1000 if taken_ms else None


def test_each_figure_is_what_plain_sql_finds_and_practice_counts_nowhere(tmp_path: Path) -> None:
    month, until_ms = Month(MIDNIGHT_MS, 1, 16, 2, outages=False, kinds=KINDS_LIVED, calm=0), MIDNIGHT_MS + HOURS_MS
    room = Room(tmp_path)
    Life(room, month).live([one for one in month.arrivals() if one.at_ms < until_ms], until_ms)
    versions.keep(room.database, ALL_RULES, until_ms)
    device = next(one for one in month.plant if one.kind == "smoke_alarm")
    before_ms = until_ms - 60_000
    (real,) = gathering.qualities(room.database, MIDNIGHT_MS, until_ms, operators={})
    with room.database.writing() as connection:
        drill = exercise.start(connection, SITE, actor="li", why="y", until_ms=until_ms, now_ms=before_ms)
        exercise.raise_alarm(connection, drill, device.id, "smoke", actor="li", now_ms=before_ms, practice=PLAIN)
    room.database.close()
    database = Database(f"sqlite:///{tmp_path}/rules.db")
    (found,) = gathering.qualities(database, MIDNIGHT_MS, until_ms, operators={})
    database.close()
    assert found == real

    plain = sqlite3.connect(tmp_path / "rules.db")
    in_span = f"at_ms >= {MIDNIGHT_MS} AND at_ms < {until_ms} AND alarm IN (SELECT id FROM alarms WHERE {REAL})"
    first = "event = 'alarm.raised' AND detail = ''"
    (raised,) = plain.execute(f"SELECT count(*) FROM log WHERE {first} AND {in_span}").fetchone()
    rang = "(event = 'alarm.realarmed' OR event = 'alarm.raised' AND detail NOT LIKE 'late%')"
    rings = [at_ms for (at_ms,) in plain.execute(f"SELECT at_ms FROM log WHERE {rang} AND {in_span}")]
    slots = Counter((at_ms - found.from_ms) // 600_000 for at_ms in rings)  # from where there is a log
    cases = plain.execute(
        "SELECT id, opened_at_ms, accepted_at_ms, closed_at_ms, outcome FROM cases"
        f" WHERE {REAL} AND state != 'merged' AND opened_at_ms >= {MIDNIGHT_MS} AND opened_at_ms < {until_ms}"
    ).fetchall()
    closed, false = Counter[str](), Counter[str]()
    for case, _, _, closed_ms, outcome in cases:
        its = 'SELECT DISTINCT model FROM alarms JOIN devices USING (site, edge, device) WHERE "case" = ?'
        for (model,) in plain.execute(its, (case,)) if closed_ms else ():
            closed[model] += 1
            false[model] += outcome == "false_alarm"
    plain.close()
    assert found.alarms == raised > 5
    assert found.rate.rings == len(rings) > raised
    assert found.rate.most_in_slot == max(slots.values())
    assert found.rate.flooded == sum(count > 10 for count in slots.values()) / (HOURS_MS / 600_000)
    assert sum(rate.rings for rate in found.grids.values()) == len(rings)
    assert found.accept.median_s == median_s([accepted - opened for _, opened, accepted, _, _ in cases if accepted])
    assert found.close.median_s == median_s([over - opened for _, opened, _, over, _ in cases if over])
    assert {one.model: (one.false, one.closed) for one in found.false} == {
        one: (false[one], closed[one]) for one in closed
    }
    assert sum(closed.values()) > 0
