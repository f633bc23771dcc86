"""Where the engine's time goes from a reading to the provider's yes: processor time and statements of each step, for an alarm, on both databases.

Red alarms, each with a case and a call, `AT_ONCE` in a work; then the calls are begun and ended, other systems are told, and the readings before are kept.
Beside that way: the look of each second and of the auditor, a step of each case that comes due, a restart. All in processor time, of this process and of
the database's server, so that other programs count for little. Neither a broker nor a provider is asked.

ALARM_COST_ALARMS, ALARM_COST_DATABASES ("sqlite postgresql") change it.
"""

import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil
from sqlalchemy import event

from messages.alarm import encode
from messages.announcement import Announcement, Place
from rules.alarms import evidence
from rules.alarms.published import published
from rules.cases.practice import Practice
from rules.config import load
from rules.desk import Desk
from rules.duty.roll import Roll
from rules.engine.share import LEAD
from rules.engine.work import Work
from rules.escalation import auditor, timers
from rules.notices import outbox, sendings
from rules.notices.channels.base import Taken
from rules.notices.plan import Habits
from rules.notices.sender import MOST_RED
from rules.store import database as store
from rules.store import facts, leases
from rules.store.database import Database
from rules.store.leases import Holder
from tests import services
from tests.bench import _calling
from tests.bench.figure import Figure

ALARMS = int(os.environ.get("ALARM_COST_ALARMS", "1000"))
DATABASES = os.environ.get("ALARM_COST_DATABASES", "sqlite postgresql").split()
AT_ONCE = 50
STREET_MS = 2 * 3_600_000
"""When the street is called (`_calling.ONE_CALL`)."""
BESIDE = ("looked", "audited", "stepped", "restarted")
"""Not on the way from a reading to the provider's yes."""
T = TypeVar("T")


def run() -> Iterator[Figure]:
    for name in DATABASES:
        with tempfile.TemporaryDirectory() as folder:
            if name == "postgresql":
                with services.postgresql() as server, server.database() as url:
                    assert server.process
                    yield from _measured(name, Path(folder), url, psutil.Process(server.process.pid))
            else:
                yield from _measured(name, Path(folder), f"sqlite:///{folder}/rules.db", None)


@dataclass
class Meter:
    """What each step takes."""

    server: psutil.Process | None
    ours_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    theirs_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    statements: Counter[str] = field(default_factory=Counter)
    step: str = ""

    def took(self, step: str, work: Callable[[], T]) -> T:
        self.step = step
        theirs_s, began_s = self._server_s(), time.process_time()
        done = work()
        self.ours_s[step] += time.process_time() - began_s
        self.theirs_s[step] += self._server_s() - theirs_s
        self.step = ""
        return done

    def count(self, *_: object) -> None:
        self.statements[self.step] += 1

    def forget(self) -> None:
        self.ours_s.clear()
        self.theirs_s.clear()
        self.statements.clear()

    def _server_s(self) -> float:
        if self.server is None:
            return 0.0
        times = [one.cpu_times() for one in self.server.children()]
        return float(sum(one.user + one.system for one in times))


def _measured(case: str, folder: Path, url: str, server: psutil.Process | None) -> Iterator[Figure]:
    plant = Plant(folder, url, Meter(server))
    meter = plant.meter
    for number in range(1 + ALARMS // AT_ONCE):
        if number == 1:  # what is done for the first time is done once in an engine's life
            meter.forget()
        plant.alarms(number)
    plant.beside()
    for step in meter.ours_s:
        many = 1 if step == "restarted" else ALARMS
        yield Figure(f"{case}_{step}", meter.ours_s[step] / many * 1000, "ms")
        if server:
            yield Figure(f"{case}_{step}_in_the_server", meter.theirs_s[step] / many * 1000, "ms")
        yield Figure(f"{case}_{step}_statements", meter.statements[step] / many, "statements")
    way = [step for step in meter.ours_s if step not in BESIDE]
    ours, theirs = sum(meter.ours_s[step] for step in way), sum(meter.theirs_s[step] for step in way)
    yield Figure(f"{case}_an_alarm", ours / ALARMS * 1000, "ms")
    if server:
        yield Figure(f"{case}_an_alarm_in_the_server", theirs / ALARMS * 1000, "ms")
    yield Figure(f"{case}_an_alarm_statements", sum(meter.statements[step] for step in way) / ALARMS, "statements")


class Plant:
    """The engine's parts, one after the other, on a clock of their own."""

    def __init__(self, folder: Path, url: str, meter: Meter) -> None:
        for name, text in _calling.files().items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        settings = _calling.settings("http://127.0.0.1:9")
        text = f'name = "rules-1"\ndatabase = "{url}"\nstore = "sqlite:history.db"\n{settings}\n[broker]\n'
        (folder / "rules.toml").write_text(text, encoding="utf-8")
        self.config = load(folder / "rules.toml")
        self.meter = meter
        self.roll = Roll(self.config.site_files)
        self.practice = Practice(self.config.policies, self.roll.ladder, owner=self.roll.owner)
        self.now_ms = _calling.now_ms()
        self._open()
        with self.database.writing() as connection:
            leases.enter(connection, self.holder)
            leases.take(connection, self.holder, [_calling.SITE, LEAD])
        work = Work(self.facts)
        for number in range(AT_ONCE):
            said = Announcement(kind=_calling.KIND, model="m", place=Place(grid=f"g{number}", text=f"probe {number}"))
            work.announce(_calling.SITE, _calling.EDGE, _calling.probe(number), said, self.now_ms)
        self._write(work)

    def alarms(self, turn: int) -> None:
        """So many as there are devices: all the way to the provider's yes."""
        self.now_ms += 1000
        work = self.meter.took("heard", partial(self._heard, turn))
        self.meter.took("written", partial(self._write, work))
        begun = self.meter.took("begun", self._begin)
        assert len(begun) == AT_ONCE
        self.meter.took("ended", partial(self._end, begun))
        assert self.meter.took("told", self._tell) >= AT_ONCE
        self.meter.took("kept", self._keep)

    def beside(self) -> None:
        self.meter.took("looked", lambda: facts.beat(self.database, self.now_ms, self.practice, hears=True))
        self.meter.took("audited", lambda: auditor.look(self.database, [_calling.SITE], self.practice, self.now_ms))
        self.now_ms += STREET_MS
        self.meter.took("stepped", self._step)
        self.meter.took("restarted", self._open)

    def _open(self) -> None:
        self.database = Database(self.config.database)
        event.listen(self.database._engine, "before_cursor_execute", self.meter.count)
        self.desk, self.holder = Desk(self.database), Holder("bench")
        self.facts = facts.load(self.database, self.config.kinds, self.config.rules, sites=[_calling.SITE])

    def _heard(self, turn: int) -> Work:
        work = Work(self.facts)
        rule = turn % _calling.RULES + 1
        said = [_calling.level(number, rule, self.now_ms) for number in range(AT_ONCE)]
        for number, reading in enumerate(said):
            work.collect(_calling.SITE, _calling.EDGE, [reading])
            work.heard((_calling.SITE, _calling.EDGE, _calling.STREAM), turn * AT_ONCE + number + 1, self.now_ms)
        work.settle(self.now_ms)
        return work

    def _write(self, work: Work) -> None:
        facts.commit(self.database, work, self.now_ms, self.holder, self.practice)
        self.facts.adopt(work)

    def _begin(self) -> list[sendings.Begun]:
        with self.database.reading() as connection:
            outbox.next_due_ms(connection)
        with self.database.writing() as connection:
            return outbox.take(
                connection,
                self.config.ways,
                self.roll.find,
                self.practice,
                Habits(),
                self.config.pages,
                self.now_ms,
                8,
                {"gateway": MOST_RED},
            )

    def _end(self, begun: list[sendings.Begun]) -> None:
        with self.database.writing() as connection:
            sendings.end(connection, [(one, Taken()) for one in begun], self.now_ms)

    def _tell(self) -> int:
        """As `rules.alarms.publisher`."""
        told = 0
        while lines := self.desk.log_after(store.counter(self.database, "published"), 200):
            told += sum(len(encode(published(alarm))) > 0 for alarm in self.desk.alarms_in(lines))
            store.set_counter(self.database, "published", lines[-1].seq)
        return told

    def _keep(self) -> None:
        while some := evidence.wanting(self.database, self.now_ms + evidence.SETTLE_MS):
            course = {"water_level": [(self.now_ms, 0.1)] * evidence.MOST_READINGS}
            evidence.keep(self.database, [(one, course) for one in some], self.now_ms)

    def _step(self) -> None:
        done = 1
        while done:
            with self.database.writing() as connection:
                done = timers.fire_due(connection, self.practice, self.now_ms)
