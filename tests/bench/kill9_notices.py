"""F2: 10,000 red alarms, each with a call by HTTP, and 50 SIGKILLs of the engine at random moments: lost alarms, lost calls, cases and messages that are double.

On SQLite and PostgreSQL. The provider takes a while to answer, so that kills come in the midst of sends. An alarm is lost when it has no row, a
call when its provider was never handed it; a message is double when its provider has taken it more than once, and then all of them must have the
same key. Each alarm has one case, and each case one call.

KILL9_ALARMS, KILL9_KILLS, KILL9_RATE (alarms/s), KILL9_DATABASES ("sqlite postgresql") change it.
"""

import asyncio
import os
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select

from messages.bus import Bus
from rules.store import tables as db
from rules.store.database import Database
from tests import services
from tests.bench import _calling, _provider
from tests.bench.figure import Figure

ALARMS = int(os.environ.get("KILL9_ALARMS", "10000"))
KILLS = int(os.environ.get("KILL9_KILLS", "50"))
RATE = int(os.environ.get("KILL9_RATE", "20"))
DATABASES = os.environ.get("KILL9_DATABASES", "sqlite postgresql").split()
ANSWER_MS = 50
BETWEEN_S = (0.0, 1.6 * ALARMS / RATE / KILLS)
"""After it has read its state and goes to work; so that, with what a start takes, the kills lie all over the load."""
AT_ONCE = 5
LIMIT_S = 240.0


def run() -> Iterator[Figure]:
    if "sqlite" in DATABASES:
        with tempfile.TemporaryDirectory() as name:
            yield from asyncio.run(_killed("sqlite", Path(name), f"sqlite:///{name}/rules.db"))
    if "postgresql" in DATABASES:
        with tempfile.TemporaryDirectory() as name, services.postgresql() as server, server.database() as url:
            yield from asyncio.run(_killed("postgresql", Path(name), url))


async def _killed(case: str, folder: Path, url: str) -> list[Figure]:
    with (
        services.mosquitto(folder / "broker") as broker,
        _provider.provider(folder, ANSWER_MS) as provider,
        _calling.engine(folder, url, broker, _calling.settings(provider.url), _calling.files()) as engine,
    ):
        engine.start()
        engine.until_said("broker is there")  # from then on the broker keeps its mail
        devices = -(-ALARMS // _calling.RULES)
        async with _calling.edge(broker) as bus:
            await _calling.announce(bus, devices)
            loading = asyncio.create_task(_load(bus, devices))
            kills = await asyncio.to_thread(_kill_again_and_again, engine, loading)
            sent = await loading
        database = Database(url)
        until_s = time.monotonic() + LIMIT_S
        while _calling.unsent(database) != (ALARMS, 0) and time.monotonic() < until_s:
            await asyncio.sleep(0.5)
        await asyncio.sleep(
            20
        )  # whatever is still to come twice: a call whose answer was lost goes again after its deadline
        found, cases = _found(database)
        database.close()
        handed = provider.finish()
    by_case = defaultdict[str, list[_provider.Handed]](list)
    for one in handed:
        by_case[one.key.partition("/")[0]].append(one)
    taken = Counter(one.key for one in handed if one.taken)
    return [
        Figure(f"{case}_kills", kills, "kills"),
        Figure(f"{case}_alarms", len(sent), "alarms"),
        Figure(f"{case}_alarms_lost", len(sent - found), "alarms"),
        Figure(f"{case}_alarms_that_nobody_sent", len(found - sent), "alarms"),
        Figure(f"{case}_cases_double", max(0, cases - len(found)), "cases"),
        Figure(f"{case}_calls_lost", len(sent - by_case.keys()), "calls"),
        Figure(f"{case}_messages_double", sum(count - 1 for count in taken.values()) / len(sent) * 100, "%"),
        Figure(
            f"{case}_messages_double_with_another_key",
            sum(len({one.key for one in some}) - 1 for some in by_case.values()),
            "messages",
        ),
    ]


async def _load(bus: Bus, devices: int) -> set[str]:
    """The cases that are to be there."""
    sent, began_s = set[str](), time.monotonic()
    for first in range(0, ALARMS, AT_ONCE):
        at_ms, said = _calling.now_ms(), []
        for number in range(first, min(first + AT_ONCE, ALARMS)):
            rule, device = divmod(number, devices)
            sent.add(_calling.case_of(device, rule + 1, at_ms))
            said.append(_calling.say(bus, number + 1, _calling.level(device, rule + 1, at_ms)))
        await asyncio.gather(*said)
        await asyncio.sleep(max(0.0, began_s + (first + AT_ONCE) / RATE - time.monotonic()))
    return sent


def _kill_again_and_again(engine: _calling.Engine, loading: "asyncio.Task[set[str]]") -> int:
    """As long as there is load; how often that was, and at least as often as is wanted."""
    dice, kills = random.Random(1), 0
    while kills < KILLS or not loading.done():
        engine.until_said("ready", kills + 1)
        time.sleep(dice.uniform(*BETWEEN_S))
        if kills >= KILLS:
            break
        engine.kill()
        kills += 1
        engine.start()
    return kills


def _found(database: Database) -> tuple[set[str], int]:
    """The names that the cases of the alarms that are there should have; and how many cases there are."""
    with database.reading() as connection:
        alarms = connection.scalars(select(db.alarms.c.id).where(db.alarms.c.rule.startswith("at_")))
        cases = connection.scalar(select(func.count()).where(db.cases.c.kind == _calling.KIND)) or 0
        return {f"c-{alarm}" for alarm in alarms}, cases
