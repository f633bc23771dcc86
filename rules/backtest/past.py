"""The past as it is kept: readings from the history, devices and alarms from the rules' database. Blocks; no clock."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

from sqlalchemy import Connection, or_, select

from collector.stores.base import Store
from messages.ids import EdgeId, SiteId
from messages.settings import ConfigError
from messages.suggestion import suggest
from rules.alarms.overlays import chatter
from rules.backtest import been
from rules.backtest.replay import Episode, Past
from rules.drills.drill import PREFIX
from rules.engine import own
from rules.engine.memory.plant import Device, TellerKey
from rules.store import facts
from rules.store import tables as db
from rules.store.database import Database

FIRST_MS, LONGEST_MS = 60_000, 3_600_000
"""So much time is asked of the history first, and at the most: what is asked next grows and shrinks with what was found."""

ALARMS_AT_ONCE = 500
"""A question to a database grows with what it names."""

PORTION = 100_000
"""More readings than this at a time are not wanted in memory: the next portion is half as long."""


@dataclass(frozen=True, slots=True)
class Span:
    """UTC ms, the end not included."""

    from_ms: int
    until_ms: int

    @property
    def days(self) -> float:
        return (self.until_ms - self.from_ms) / 86_400_000


def devices(database: Database) -> dict[TellerKey, Device]:
    """What is announced today."""
    with database.reading() as connection:
        found = (facts.device_of(row) for row in connection.execute(select(db.devices)))
        return {(one.site, one.edge, one.id): one for one in found if one.edge != own.ENGINE or one.kind == own.SITE}


def look_for(sites: frozenset[SiteId], known: Mapping[TellerKey, Device]) -> None:
    """Raises ConfigError for one of which no device is known."""
    here = {one.site for one in known.values()}
    for missing in sorted(sites - here):
        raise ConfigError("--site: no device of `{site}` is known{near}", site=missing, near=suggest(missing, here))


def portions(store: Store, known: Mapping[TellerKey, Device], span: Span) -> Iterator[tuple[int, list[Past]]]:
    """All readings of the span of the edges that speak of these devices, in order of their time over all edges, some at a time: up to when, and
    which. Raises StoreError."""
    edges = sorted({(site, edge) for site, edge, _ in known if edge != own.ENGINE})
    from_ms, length_ms = span.from_ms, FIRST_MS
    while from_ms < span.until_ms:
        until_ms = min(from_ms + length_ms, span.until_ms)
        some = [one for site, edge in edges for one in _of_edge(store, site, edge, from_ms, until_ms)]
        if len(edges) > 1:
            some.sort(key=lambda one: one[2].at_ms)
        yield until_ms, some
        if len(some) > PORTION:
            length_ms = max(length_ms // 2, 1_000)
        elif len(some) < PORTION // 4:
            length_ms = min(length_ms * 2, LONGEST_MS)
        from_ms = until_ms


def _of_edge(store: Store, site: SiteId, edge: EdgeId, from_ms: int, until_ms: int) -> Iterator[Past]:
    return zip(repeat(site), repeat(edge), store.readings(site, edge, from_ms, until_ms - 1), strict=False)


def alarms(database: Database, sites: frozenset[SiteId], kinds: frozenset[str], span: Span) -> list[Episode]:
    """What rules raised in the span, of these sites and kinds, and what stood when it began. Practice is left out, and what the engine says of an
    alarm that chatters: no rule raises that."""
    columns, devices = db.alarms.c, db.devices.c
    its = (devices.site == columns.site) & (devices.edge == columns.edge) & (devices.device == columns.device)
    query = (
        select(db.alarms, devices.model)
        .outerjoin(db.devices, its)
        .where(columns.raised_at_ms < span.until_ms, columns.kind.in_(kinds), ~columns.situation.startswith(PREFIX))
        .where(or_(columns.returned_at_ms.is_(None), columns.returned_at_ms >= span.from_ms))
        .where(columns.rule != chatter.RULE)
        .order_by(columns.raised_at_ms, columns.id)
    )
    found = list[Episode]()
    with database.reading() as connection:
        rows = [row for row in connection.execute(query) if not sites or row.site in sites]
        lines = _lines(connection, [row.id for row in rows if row.occurrences > 1])
    for row in rows:
        alarm = Episode(
            site=row.site,
            device=row.device,
            kind=row.kind,
            model=row.model or "",
            rule=row.rule,
            level=row.level,
            grid=row.place["grid"],
            raised_at_ms=row.raised_at_ms,
            cleared_at_ms=row.returned_at_ms,
            edge=row.edge,
            version=row.version,
            late=row.late,
        )
        found += been.episodes(alarm, row.times, row.occurrences, lines[row.id]) if row.id in lines else [alarm]
    return [
        one
        for one in found
        if one.raised_at_ms < span.until_ms and (one.raised_at_ms >= span.from_ms or one.stands_at(span.from_ms))
    ]


def _lines(connection: Connection, alarms: Sequence[str]) -> dict[str, list[been.Line]]:
    """What the log says of these, in order."""
    found: dict[str, list[been.Line]] = {}
    events = [f"alarm.{name}" for name in been.EVENTS]
    for first in range(0, len(alarms), ALARMS_AT_ONCE):
        some = db.log.c.alarm.in_(alarms[first : first + ALARMS_AT_ONCE])
        query = select(db.log.c.alarm, db.log.c.event, db.log.c.at_ms, db.log.c.detail).where(
            some, db.log.c.event.in_(events)
        )
        for row in connection.execute(query.order_by(db.log.c.seq)):
            found.setdefault(row.alarm, []).append(been.Line(row.event, row.at_ms, row.detail))
    return found


def absences(database: Database, span: Span) -> dict[tuple[SiteId, EdgeId], list[tuple[int, int]]]:
    """When each edge was away, as far as an alarm says so."""
    columns = db.alarms.c
    query = select(columns.site, columns.device, columns.raised_at_ms, columns.returned_at_ms).where(
        columns.kind == own.LINK,
        columns.raised_at_ms < span.until_ms,
        or_(columns.returned_at_ms.is_(None), columns.returned_at_ms >= span.from_ms),
    )
    with database.reading() as connection:
        links = {
            (edge.site, own.link_of(EdgeId(edge.edge))): EdgeId(edge.edge)
            for edge in connection.execute(select(db.edges))
        }
        found: dict[tuple[SiteId, EdgeId], list[tuple[int, int]]] = {}
        for row in connection.execute(query):
            if (edge := links.get((row.site, row.device))) is not None:
                over_ms = span.until_ms if row.returned_at_ms is None else row.returned_at_ms
                found.setdefault((row.site, edge), []).append((row.raised_at_ms, over_ms))
    return found


def shadows(database: Database, sites: frozenset[SiteId], span: Span) -> list[Episode]:
    """What rules in shadow would have raised in the span."""
    raised = db.shadows.c.raised_at_ms
    query = select(db.shadows).where(raised >= span.from_ms, raised < span.until_ms).order_by(raised, db.shadows.c.id)
    with database.reading() as connection:
        return [
            Episode(
                site=row.site,
                device=row.device,
                kind=row.kind,
                model=row.model,
                rule=row.rule,
                level=row.level,
                grid=row.grid,
                raised_at_ms=row.raised_at_ms,
                cleared_at_ms=row.cleared_at_ms,
            )
            for row in connection.execute(query)
            if not sites or row.site in sites
        ]
