"""What the figures and the audit ask of the rules' database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from messages.ids import SiteId
from messages.language import Phrase
from rules import chronicle
from rules.alarms.rebuild import Rebuilt
from rules.drills.drill import PREFIX
from rules.quality.audit import Audit
from rules.quality.figures import Quality, Subject, Work, quality
from rules.records import AlarmState, CaseState, LogEntry
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database

LINES_AT_ONCE = 10_000


def audited(database: Database) -> tuple[int, int, list[Phrase]]:
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
    """The figures of each site, or of some, by name; of a span that was over before the log began, nothing. What is said for a day is of the time for
    which there is a log. Raises DatabaseAway."""
    began_ms = chronicle.began_ms(database)
    if began_ms is None or began_ms >= to_ms:
        return []
    from_ms = max(from_ms, began_ms)
    with database.reading() as connection:
        some = [site for site in _sites(connection) if not only or site in only]
        return [_quality(connection, site, from_ms, to_ms, operators.get(site, 1)) for site in some]


def sites(database: Database) -> list[SiteId]:
    """Those of which there is anything to say, by name. Raises DatabaseAway."""
    with database.reading() as connection:
        return _sites(connection)


def _sites(connection: Connection) -> list[SiteId]:
    found = set[SiteId]()
    for table in (db.alarms, db.devices):  # from one name to the next by the index: a city has many rows of each
        last = connection.scalar(select(func.min(table.c.site)))
        while last is not None:
            found.add(SiteId(last))
            last = connection.scalar(select(func.min(table.c.site)).where(table.c.site > last))
    return sorted(found)


def _quality(connection: Connection, site: SiteId, from_ms: int, to_ms: int, operators: int) -> Quality:
    spoken = select(db.log.c.alarm).where(db.log.c.at_ms >= from_ms, db.log.c.at_ms < to_ms)
    real = ~db.alarms.c.situation.startswith(PREFIX)
    lasted = and_(db.alarms.c.raised_at_ms < to_ms, db.alarms.c.changed_at_ms >= from_ms)  # over by now, perhaps
    concerned = and_(db.alarms.c.site == site, real, or_(db.alarms.c.id.in_(spoken), db.alarms.c.open, lasted))
    models: dict[str, str] = {
        row.device: row.model
        for row in connection.execute(select(db.devices.c.device, db.devices.c.model).where(db.devices.c.site == site))
    }
    wanted = ("id", "site", "device", "kind", "rule", "level", "state", "late", "since_ms", "occurrences")
    columns = [db.alarms.c[name] for name in wanted]
    grid = db.alarms.c.place["grid"].as_string().label("grid")
    found = list(connection.execute(select(*columns, grid).where(concerned)))
    subjects = [
        Subject(
            id=row.id,
            site=row.site,
            grid=row.grid,
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
    return quality(
        site,
        subjects,
        _lines(connection, select(db.alarms.c.id).where(concerned), from_ms, to_ms),
        _works(connection, site, from_ms, to_ms, models),
        from_ms,
        to_ms,
        operators=operators,
    )


def _lines(connection: Connection, ids: Select[Any], from_ms: int, to_ms: int) -> list[LogEntry]:
    """What the log says of some alarms since they began, and that a flood began in the span, in order."""
    columns = [db.log.c[name] for name in ("seq", "at_ms", "event", "alarm", "case", "actor", "detail")]
    own = select(*columns).where(db.log.c.alarm.in_(ids), db.log.c.event.startswith("alarm."), db.log.c.at_ms < to_ms)
    floods = select(*columns).where(
        db.log.c.event == "alarm.flood_started",
        db.log.c.alarm.is_(None),
        db.log.c.at_ms >= from_ms,
        db.log.c.at_ms < to_ms,
    )
    found = [
        LogEntry(seq=seq, at_ms=at_ms, event=event, alarm=alarm, case=case, actor=actor, detail=detail)
        for query in (own, floods)
        for seq, at_ms, event, alarm, case, actor, detail in connection.execute(query)
    ]
    return sorted(found, key=lambda line: line.seq)


def _works(connection: Connection, site: SiteId, from_ms: int, to_ms: int, models: Mapping[str, str]) -> list[Work]:
    span = (db.cases.c.opened_at_ms >= from_ms, db.cases.c.opened_at_ms < to_ms)
    real = ~db.cases.c.situation.startswith(PREFIX)
    opened = and_(db.cases.c.site == site, real, *span, db.cases.c.state != CaseState.MERGED)
    held = select(db.alarms.c.case, db.alarms.c.device).join(db.cases, db.cases.c.id == db.alarms.c.case).where(opened)
    devices: dict[str, list[str]] = {}
    for row in connection.execute(held):
        devices.setdefault(row.case, []).append(row.device)
    wanted = ("id", "kind", "opened_at_ms", "accepted_at_ms", "closed_at_ms", "outcome")
    columns = [db.cases.c[name] for name in wanted]
    return [
        Work(
            opened_at_ms=row.opened_at_ms,
            accepted_at_ms=row.accepted_at_ms,
            closed_at_ms=row.closed_at_ms,
            outcome=row.outcome,
            models=tuple(models.get(device) or row.kind for device in devices.get(row.id, ())),
        )
        for row in connection.execute(select(*columns).where(opened))
    ]
