"""F3: how late escalation's steps are, by the real clock: red cases that nobody accepts, each called three times and then the street; and how soon after
a restart those are done that became due while no engine ran.

Broker, engine, SQLite and provider are processes of their own. The engine is killed when all cases are open, and started again after DOWN_S. A step's error is
the time of its call in the outbox less the time at which its case's policy wants it. ESCALATION_CASES, ESCALATION_RATE (cases/s) change it.
"""

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select

from rules.store import tables as db
from rules.store.database import Database
from tests import services
from tests.bench import _calling, _provider
from tests.bench.figure import Figure, percentile

CASES = int(os.environ.get("ESCALATION_CASES", "1000"))
RATE = int(os.environ.get("ESCALATION_RATE", "20"))
CALL_S, STREET_S = (0, 10, 20), 30
STEPS = len(CALL_S) + 1
POLICY = f"""[levels.red]
accept = "1h"
call = {[f"{after}s" for after in CALL_S]}
street = "{STREET_S}s"
department = "2h"
again = "24h"
"""
ANSWER_MS = 20
LIMIT_S = 120.0
DOWN_S = 5.0
"""Less than between two steps of a case: of several that are overdue one calls."""
STARTS_S = 2.0
"""What is due so soon after the start is neither overdue nor on time."""


class Step(NamedTuple):
    """UTC ms: when it was to be done, and when it was."""

    due_ms: int
    done_ms: int


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        yield from asyncio.run(_escalated(Path(name), f"sqlite:///{name}/rules.db"))


async def _escalated(folder: Path, url: str) -> list[Figure]:
    files = _calling.files() | {"policies.toml": POLICY}
    with (
        services.mosquitto(folder / "broker") as broker,
        _provider.provider(folder, ANSWER_MS) as provider,
        _calling.engine(folder, url, broker, _calling.settings(provider.url), files) as engine,
    ):
        engine.start()
        engine.until_said("broker is there")
        devices = -(-CASES // _calling.RULES)
        async with _calling.edge(broker) as bus:
            await _calling.announce(bus, devices)
            began_s, began_cpu_s = time.monotonic(), engine.cpu_s()
            for number in range(CASES):
                rule, device = divmod(number, devices)
                await _calling.say(bus, number + 1, _calling.level(device, rule + 1, _calling.now_ms()))
                await asyncio.sleep(max(0.0, began_s + (number + 1) / RATE - time.monotonic()))
        cpu_s = engine.cpu_s() - began_cpu_s
        engine.kill()
        killed_ms = _calling.now_ms()
        await asyncio.sleep(DOWN_S)
        started_ms = _calling.now_ms()
        engine.start()
        database, until_s = Database(url), time.monotonic() + STREET_S + LIMIT_S
        while _calls(database) < CASES * STEPS and time.monotonic() < until_s:
            await asyncio.sleep(1.0)
        cpu_s, steps = cpu_s + engine.cpu_s(), _steps(database)
        database.close()
    assert len(steps) == CASES * (STEPS - 1), f"{len(steps)} steps of {CASES} cases"
    starting_until_ms = started_ms + round(STARTS_S * 1000)
    late_s = [(one.done_ms - one.due_ms) / 1000 for one in steps if not killed_ms <= one.due_ms < starting_until_ms]
    overdue = sorted(one for one in steps if killed_ms <= one.due_ms <= started_ms)
    out_of_order = sum(later.done_ms < before.done_ms for before, later in itertools.pairwise(overdue))
    return [
        Figure("steps", len(late_s), "steps"),
        Figure("overdue", len(overdue), "steps"),
        Figure("overdue_after_restart_max", max(one.done_ms - started_ms for one in overdue) / 1000, "s"),
        Figure("overdue_out_of_order", out_of_order, "steps"),
        Figure("late_p50", percentile(late_s, 0.5), "s"),
        Figure("late_p99", percentile(late_s, 0.99), "s"),
        Figure("late_max", max(late_s), "s"),
        Figure("early_max", max(0.0, -min(late_s)), "s"),
        Figure("engine_for_a_case", cpu_s / CASES * 1000, "ms"),
    ]


def _calls(database: Database) -> int:
    with database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(db.notices)) or 0


def _steps(database: Database) -> list[Step]:
    """Each after the first one of its case, which is made with it."""
    opened = select(db.notices, db.cases.c.clock_from_ms).join(db.cases, db.cases.c.id == db.notices.c.case)
    found = list[Step]()
    with database.reading() as connection:
        for row in connection.execute(opened):
            after_s = STREET_S if row.rung > 1 else CALL_S[row.detail["turn"]]
            if after_s:
                found.append(Step(row.clock_from_ms + after_s * 1000, row.queued_at_ms))
    return found
