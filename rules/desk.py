"""What a person reads and does: the console's door to the rules' database, from a process of its own.

Acts on cases are in `rules.cases.casework`. The engine sees them in the log and tells the world. Calls block; they may come from any
thread.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from sqlalchemy import and_, func, literal, or_, select
from sqlalchemy import case as ranked

from messages.alarm import Level
from messages.announcement import OWN_MODEL
from messages.ids import COLLECTOR, DeviceId, SiteId
from rules.alarms.condition import ACTIVE
from rules.alarms.desk import AlarmDesk
from rules.alarms.overlays.oversight import STALE_MS
from rules.assets.labelling import Labelling
from rules.cases.casework import Casework
from rules.cases.finding import Finding
from rules.drills.drill import PREFIX
from rules.duty import book
from rules.duty.handover import Handovers
from rules.duty.roster import Changes
from rules.notices.doorstep import Doorstep
from rules.notices.telling import Telling
from rules.outside.gate import Gate
from rules.records import OVER, WAITING, Alarm, AlarmState, Calling, Case, EdgeState, LogEntry, Position, Pulse
from rules.store import positions, rows
from rules.store import tables as db

_LEVEL_ORDER = ranked({"red": 0, "orange": 1, "yellow": 2}, value=db.alarms.c.level, else_=3)

_ACCEPTED_LAST = ranked((db.cases.c.state.in_(WAITING), 0), else_=1)


class Desk(Casework, AlarmDesk, Doorstep, Finding, Telling, Handovers, Gate, Labelling):
    """Alarms, cases, the log and the state of the plant. Every method may raise `DatabaseAway`."""

    def alarms(
        self,
        *,
        open_only: bool = True,
        limit: int = 200,
        sites: Collection[str] = (),
        grids: Collection[str] = (),
        device: tuple[SiteId, DeviceId] | None = None,
        kind: str | None = None,
        drills: bool = False,
    ) -> list[Alarm]:
        """Open alarms, red first, then those that nobody has accepted, then oldest first; after them, if wanted,
        those that are over, latest first. Of some sites and grids ("grid" or "site/grid"), of a device, of a kind, those of `drills` alone,
        or of all."""
        query = rows.alarms_with_cases().order_by(
            db.alarms.c.open.desc(),
            ranked((db.alarms.c.open, _LEVEL_ORDER), else_=0),
            ranked((db.alarms.c.open, _ACCEPTED_LAST), else_=0),
            ranked((db.alarms.c.open, db.alarms.c.raised_at_ms), else_=-db.alarms.c.raised_at_ms),
            db.alarms.c.id,
        )
        query = query.where(*rows.within(db.alarms, sites, grids))
        if device is not None:
            query = query.where(db.alarms.c.site == device[0], db.alarms.c.device == device[1])
        if kind is not None:
            query = query.where(db.alarms.c.kind == kind)
        if drills:
            query = query.where(db.alarms.c.rule.startswith(PREFIX, autoescape=True))
        if open_only:
            query = query.where(db.alarms.c.open)
        with self._database.reading() as connection:
            found = connection.execute(query.limit(limit)).all()
        return [rows.alarm_of(row) for row in found]  # thousands take seconds, for which no transaction stays open

    def counts(self, *, sites: Collection[str] = (), grids: Collection[str] = ()) -> dict[Level, int]:
        """How many alarms are open there, by level; a level without any is left out."""
        its = (db.alarms.c.open, *rows.within(db.alarms, sites, grids))
        query = select(db.alarms.c.level, func.count().label("open")).where(*its).group_by(db.alarms.c.level)
        with self._database.reading() as connection:
            return {row.level: row.open for row in connection.execute(query)}

    def calling(self, *, limit: int, sites: Collection[str] = (), grids: Collection[str] = ()) -> list[Calling]:
        """Red alarms that nobody has accepted and nothing keeps quiet, the oldest first."""
        a, its = db.alarms.c, rows.within(db.alarms, sites, grids)
        query = select(a.id, a.state, a.changed_at_ms).join(db.cases, db.cases.c.id == a.case)
        query = query.where(a.open, a.level == "red", a.annunciated, db.cases.c.state.in_(WAITING), *its)
        with self._database.reading() as connection:
            found = connection.execute(query.order_by(a.raised_at_ms, a.id).limit(limit))
            return [Calling(row.id, AlarmState(row.state), row.changed_at_ms) for row in found]

    def standings(
        self, now_ms: int, *, sites: Collection[str] = (), grids: Collection[str] = ()
    ) -> dict[str, Counter[str]]:
        """By site: how many alarms are open, by level, and how many of them "shelved" and "stale"; and how many cases are "waiting" for
        somebody to accept them. What there is none of is left out."""
        a, its = db.alarms.c, rows.within(db.alarms, sites, grids)
        shelved = and_(~a.annunciated, a.overlays["shelved"].as_string().is_not(None))
        old = and_(a.state.in_(ACTIVE), a.since_ms <= now_ms - STALE_MS)
        waiting = (db.cases.c.state.not_in(OVER), db.cases.c.accepted_by.is_(None))
        asked = (
            select(db.cases.c.site, literal("waiting"), func.count())
            .where(*waiting, *rows.within(db.cases, sites, grids))
            .group_by(db.cases.c.site),
            select(a.site, a.level, func.count()).where(a.open, *its).group_by(a.site, a.level),
            select(a.site, literal("shelved"), func.count()).where(a.open, shelved, *its).group_by(a.site),
            select(a.site, literal("stale"), func.count()).where(a.open, old, *its).group_by(a.site),
        )
        found: dict[str, Counter[str]] = {}
        with self._database.reading() as connection:
            for query in asked:
                for site, name, count in connection.execute(query):
                    found.setdefault(site, Counter())[name] = count
        return found

    def alarm(self, alarm_id: str) -> Alarm | None:
        with self._database.reading() as connection:
            row = connection.execute(rows.alarms_with_cases().where(db.alarms.c.id == alarm_id)).one_or_none()
        return rows.alarm_of(row) if row else None

    def case(self, case_id: str) -> Case | None:
        with self._database.reading() as connection:
            return rows.case(connection, case_id)

    def cases(self, site: SiteId | None = None, *, open_only: bool = True, limit: int = 500) -> list[Case]:
        """Cases, the oldest first; also those that hold no alarm."""
        its = (*([db.cases.c.state.not_in(OVER)] if open_only else ()), *([db.cases.c.site == site] if site else ()))
        with self._database.reading() as connection:
            return rows.cases_where(connection, *its, limit=limit)

    def work(self, sites: Collection[str] = (), limit: int = 1000) -> list[Case]:
        """Cases that are open, the gravest first and of those the oldest; of some sites, or of all."""
        gravest = ranked({"red": 0, "orange": 1, "yellow": 2}, value=db.cases.c.level, else_=3)
        its = (db.cases.c.state.not_in(OVER), *([db.cases.c.site.in_(sites)] if sites else ()))
        with self._database.reading() as connection:
            return rows.cases_where(connection, *its, first=gravest, limit=limit)

    def alarms_of(self, case_id: str) -> list[Alarm]:
        """What a case holds, in the order in which it was found."""
        with self._database.reading() as connection:
            return [rows.alarm_of(row) for row in rows.alarms_of(connection, case_id)]

    def alarms_in(self, lines: Sequence[LogEntry]) -> list[Alarm]:
        """The alarms that some lines of the log are about, be it by their case."""
        with self._database.reading() as connection:
            return rows.alarms_in(connection, lines)

    def log_of(self, alarm_id: str) -> list[LogEntry]:
        """Everything that happened to an alarm and its case, in order."""
        mine = select(db.alarms.c.case).where(db.alarms.c.id == alarm_id).scalar_subquery()
        its = or_(db.log.c.alarm == alarm_id, and_(db.log.c.case == mine, db.log.c.alarm.is_(None)))
        with self._database.reading() as connection:
            query = select(db.log).where(its).order_by(db.log.c.seq)
            return [LogEntry(**row._mapping) for row in connection.execute(query)]

    def log_of_case(self, case_id: str) -> list[LogEntry]:
        """Everything that happened to a case and to what it holds, in order."""
        held = select(db.alarms.c.id).where(db.alarms.c.case == case_id)
        its = or_(db.log.c.case == case_id, db.log.c.alarm.in_(held))
        with self._database.reading() as connection:
            query = select(db.log).where(its).order_by(db.log.c.seq)
            return [LogEntry(**row._mapping) for row in connection.execute(query)]

    def log_after(self, seq: int, limit: int = 500) -> list[LogEntry]:
        """What came after line `seq`. Lines become visible in the order of their numbers: there is no gap."""
        with self._database.reading() as connection:
            return rows.log_after(connection, seq, limit)

    def roster_changes(self, now_ms: int) -> dict[SiteId, Changes]:
        """Who is away, and who stands in, by site."""
        with self._database.reading() as connection:
            return book.changes(connection, now_ms)

    def position(self) -> Position:
        """Where the log ends, and whose log it is."""
        with self._database.reading() as connection:
            return positions.end(connection)

    def lines_behind(self, position: Position, limit: int) -> dict[Position, LogEntry] | None:
        """What came after a position, and how far each line leads. None: it is not of this log."""
        with self._database.reading() as connection:
            if not positions.holds(connection, position):
                return None
            query, life = select(db.log).where(db.log.c.seq > position.seq), positions.life(connection)
            found = connection.execute(query.order_by(db.log.c.seq).limit(limit))
            lines = [LogEntry(**row._mapping) for row in found]
            return {Position.of(line, life): line for line in lines}

    def pulse(self) -> Pulse | None:
        """None before the engine has ever run."""
        query = select(*(column for column in db.pulse.c if column.name != "id"))
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return Pulse(**row._mapping) if row else None

    def edges(self, now_ms: int) -> list[EdgeState]:
        """Every edge, with its devices (its own parts are none) and those that are silent at `now_ms`."""
        counted = (
            select(db.devices.c.site, db.devices.c.edge, func.count().label("devices"))
            .where(db.devices.c.model != OWN_MODEL)
            .group_by(db.devices.c.site, db.devices.c.edge)
            .subquery()
        )
        query = (
            select(db.edges, func.coalesce(counted.c.devices, 0).label("devices"))
            .outerjoin(counted, (counted.c.site == db.edges.c.site) & (counted.c.edge == db.edges.c.edge))
            .where(db.edges.c.edge != COLLECTOR)
            .order_by(db.edges.c.site, db.edges.c.edge)
        )
        silences = select(db.silences).where(db.silences.c.from_ms < now_ms).order_by(db.silences.c.device)
        with self._database.reading() as connection:
            silent: dict[tuple[str, str], list[DeviceId]] = {}
            for row in connection.execute(silences):
                silent.setdefault((row.site, row.edge), []).append(row.device)
            return [
                EdgeState(**row._mapping, silent=tuple(silent.get((row.site, row.edge), ())))
                for row in connection.execute(query)
            ]
