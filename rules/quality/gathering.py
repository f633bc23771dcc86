"""What the figures and the audit ask of the rules' database."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, and_, or_, select

from messages.ids import SiteId
from rules.alarms.rebuild import Rebuilt
from rules.drills.drill import PREFIX
from rules.quality.audit import Audit
from rules.quality.figures import Quality, Subject, Work, quality
from rules.records import AlarmState, CaseState, LogEntry
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database

LINES_AT_ONCE = 10_000


def audited(database: Database) -> tuple[int, int, list[str]]:
    """How many lines and alarms were compared, and every difference. Raises DatabaseAway."""
    audit = Audit()
    with database.reading() as connection:
        every = connection.execution_options(yield_per=LINES_AT_ONCE).execute(select(db.log).order_by(db.log.c.seq))
        for row in every:
            audit.read(LogEntry(**row._mapping))
        query = select(db.alarms.c.id, db.alarms.c.state, db.alarms.c.overlays).order_by(db.alarms.c.id)
        stands = [
            (row.id, Rebuilt(AlarmState(row.state), rows.overlays_of(row.overlays)))
            for row in connection.execute(query)
        ]
    return audit.lines, len(stands), list(audit.against(stands))


def qualities(
    database: Database, from_ms: int, to_ms: int, *, operators: Mapping[SiteId, int], only: Sequence[SiteId] = ()
) -> list[Quality]:
    """The figures of each site, or of some, by name. Raises DatabaseAway."""
    with database.reading() as connection:
        known = {
            site for table in (db.alarms, db.devices) for site in connection.scalars(select(table.c.site).distinct())
        }
        sites = [site for site in sorted(known) if not only or site in only]
        return [_quality(connection, site, from_ms, to_ms, operators.get(site, 1)) for site in sites]


def _quality(connection: Connection, site: SiteId, from_ms: int, to_ms: int, operators: int) -> Quality:
    spoken = select(db.log.c.alarm).where(db.log.c.at_ms >= from_ms, db.log.c.at_ms < to_ms)
    real = ~db.alarms.c.situation.startswith(PREFIX)
    concerned = and_(db.alarms.c.site == site, real, or_(db.alarms.c.id.in_(spoken), db.alarms.c.open))
    models: dict[str, str] = {
        row.device: row.model
        for row in connection.execute(select(db.devices.c.device, db.devices.c.model).where(db.devices.c.site == site))
    }
    wanted = ("id", "site", "place", "device", "kind", "rule", "level", "state", "late", "since_ms", "occurrences")
    columns = [db.alarms.c[name] for name in wanted]
    found = list(connection.execute(select(*columns).where(concerned)))
    subjects = [
        Subject(
            id=row.id,
            site=row.site,
            grid=row.place["grid"],
            device=row.device,
            kind=row.kind,
            model=models.get(row.device, ""),
            rule=row.rule,
            level=row.level,
            state=AlarmState(row.state),
            late=row.late,
            since_ms=row.since_ms,
            occurrences=row.occurrences,
        )
        for row in found
    ]
    ids = select(db.alarms.c.id).where(concerned)
    its = or_(db.log.c.alarm.in_(ids), db.log.c.event.in_(("alarm.flood_started", "alarm.flood_ended")))
    lines = connection.execute(select(db.log).where(its, db.log.c.at_ms < to_ms).order_by(db.log.c.seq))
    return quality(
        site,
        subjects,
        (LogEntry(**row._mapping) for row in lines),
        _works(connection, site, from_ms, to_ms, models),
        from_ms,
        to_ms,
        operators=operators,
    )


def _works(connection: Connection, site: SiteId, from_ms: int, to_ms: int, models: Mapping[str, str]) -> list[Work]:
    span = (db.cases.c.opened_at_ms >= from_ms, db.cases.c.opened_at_ms < to_ms)
    real = ~db.cases.c.situation.startswith(PREFIX)
    opened = and_(db.cases.c.site == site, real, *span, db.cases.c.state != CaseState.MERGED)
    held = select(db.alarms.c.case, db.alarms.c.device).join(db.cases, db.cases.c.id == db.alarms.c.case).where(opened)
    devices: dict[str, list[str]] = {}
    for row in connection.execute(held):
        devices.setdefault(row.case, []).append(row.device)
    return [
        Work(
            opened_at_ms=row.opened_at_ms,
            accepted_at_ms=row.accepted_at_ms,
            closed_at_ms=row.closed_at_ms,
            outcome=row.outcome,
            models=tuple(models.get(device) or row.kind for device in devices.get(row.id, ())),
        )
        for row in connection.execute(select(db.cases).where(opened))
    ]
