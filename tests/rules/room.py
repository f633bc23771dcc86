"""An engine without its shell: facts, works and a real database in a file."""

from dataclasses import dataclass, field
from pathlib import Path

from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId, SiteId
from messages.reading import Reading, Value
from rules.cases.practice import PLAIN
from rules.desk import Desk
from rules.engine.memory.facts import Facts
from rules.engine.work import Work
from rules.escalation import timers
from rules.language.rule import Rules
from rules.records import OVER, Alarm, Case
from rules.store import facts
from rules.store.database import Database
from rules.store.leases import Holder
from tests.rules.course import ALL_RULES, KINDS, at

SITE, EDGE = SiteId("junmen"), EdgeId("pi-1")
PLACE = Place(grid="g1", building="3", unit="2", text="3号楼2单元101厨房")


def announced(kind: str, **settings: Value) -> Announcement:
    return Announcement(kind=kind, model="m", place=PLACE, settings=settings)


def mend(desk: Desk, case_id: str, *, at_ms: int, outcome: str = "mended", actor: str = "wang") -> Case:
    """Done by `actor`, and checked by somebody else where that is asked for."""
    done = desk.finish(case_id, actor=actor, at_ms=at_ms, outcome=outcome)
    return done if done.state in OVER else desk.verify(case_id, actor="zhao", at_ms=at_ms, passed=True)


@dataclass
class Room:
    """`hear` and `wake` work as the service does: a work, a transaction, and the facts adopt it."""

    folder: Path
    url: str = ""
    """SQLite in `folder` unless told."""
    known: Rules = field(default_factory=lambda: ALL_RULES)
    holder: Holder | None = None
    """Whose works they are, where several share the database."""
    database: Database = field(init=False)
    facts: Facts = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """As after a kill: nothing survives but the database."""
        if hasattr(self, "database"):
            self.database.close()
        self.database = Database(self.url or f"sqlite:///{self.folder}/rules.db")
        self.facts = facts.load(self.database, KINDS, self.known)

    @property
    def desk(self) -> Desk:
        return Desk(self.database)

    def announce(self, device: str, kind: str, now_s: float = 0, edge: EdgeId = EDGE, **settings: Value) -> None:
        work = Work(self.facts)
        work.announce(SITE, edge, DeviceId(device), announced(kind, **settings), at(now_s))
        self.write(work, now_s)

    def withdraw(self, device: str, now_s: float = 0, edge: EdgeId = EDGE) -> None:
        work = Work(self.facts)
        work.withdraw(SITE, edge, DeviceId(device), at(now_s))
        self.write(work, now_s)

    def hear(self, *readings: Reading, now_s: float | None = None, edge: EdgeId = EDGE) -> None:
        """Each reading when it was measured, or all at `now_s`."""
        for reading in readings:
            now_ms = reading.at_ms if now_s is None else at(now_s)
            work = Work(self.facts)
            work.hear(SITE, edge, [reading], now_ms)
            self.write_at(work, now_ms)

    def status(self, now_s: float, *, online: bool, edge: EdgeId = EDGE) -> None:
        work = Work(self.facts)
        work.status(SITE, edge, online=online, at_ms=at(now_s), now_ms=at(now_s), by_edge=online)
        self.write(work, now_s)

    def pass_time(self, until_s: float) -> None:
        """Every timer fires at its millisecond."""
        while (due_ms := self.facts.next_wake_ms()) is not None and due_ms <= at(until_s):
            work = Work(self.facts)
            work.wake(due_ms)
            self.write_at(work, due_ms)

    def wake(self, now_s: float) -> None:
        work = Work(self.facts)
        work.wake(at(now_s))
        self.write(work, now_s)

    def look(self, now_s: float) -> None:
        """As the engine does each second: what is due to open alarms."""
        facts.beat(self.database, at(now_s), hears=True)

    def write(self, work: Work, now_s: float) -> None:
        self.write_at(work, at(now_s))

    def write_at(self, work: Work, now_ms: int) -> None:
        facts.commit(self.database, work, now_ms, self.holder)
        self.facts.adopt(work)

    def fire_cases(self, now_s: float) -> int:
        """The timers of cases that are due."""
        with self.database.writing() as connection:
            return timers.fire_due(connection, PLAIN, at(now_s))

    def the_alarm(self) -> Alarm:
        """The only one there is, open or not."""
        (alarm,) = self.desk.alarms(open_only=False)
        return alarm

    def events(self) -> list[str]:
        return [entry.event for entry in self.desk.log_after(0)]
