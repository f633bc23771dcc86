"""The past as it is kept: readings from the history, devices and alarms from the rules' database. Blocks; no clock."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from collector.stores.base import Store
from messages.ids import EdgeId, SiteId
from rules.backtest.replay import Episode, Past
from rules.engine import own
from rules.engine.memory import Device, TellerKey
from rules.store import facts
from rules.store import tables as db
from rules.store.database import Database

SLICE_MS = 600_000
"""So much is asked of the history at a time and edge: what a site says in ten minutes fits in memory."""


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


def readings(store: Store, known: Mapping[TellerKey, Device], span: Span) -> Iterator[Past]:
    """All readings of the span, in order of their time over all edges. Raises StoreError."""
    edges = sorted({(site, edge) for site, edge, _ in known if edge != own.ENGINE})
    return heapq.merge(*(_of_edge(store, site, edge, span) for site, edge in edges), key=lambda one: one[2].at_ms)


def _of_edge(store: Store, site: SiteId, edge: EdgeId, span: Span) -> Iterator[Past]:
    for from_ms in range(span.from_ms, span.until_ms, SLICE_MS):
        for reading in store.readings(site, edge, from_ms, min(from_ms + SLICE_MS, span.until_ms) - 1):
            yield site, edge, reading


def alarms(database: Database, sites: frozenset[SiteId], kinds: frozenset[str], span: Span) -> list[Episode]:
    """The alarms that were raised in the span, of these sites and kinds."""
    raised = db.alarms.c.raised_at_ms
    query = (
        select(db.alarms, db.devices.c.model)
        .outerjoin(
            db.devices,
            (db.devices.c.site == db.alarms.c.site)
            & (db.devices.c.edge == db.alarms.c.edge)
            & (db.devices.c.device == db.alarms.c.device),
        )
        .where(raised >= span.from_ms, raised < span.until_ms, db.alarms.c.kind.in_(kinds))
        .order_by(raised, db.alarms.c.id)
    )
    with database.reading() as connection:
        return [
            Episode(
                site=row.site,
                device=row.device,
                kind=row.kind,
                model=row.model or "",
                rule=row.rule,
                level=row.level,
                grid=row.place["grid"],
                raised_at_ms=row.raised_at_ms,
                cleared_at_ms=row.returned_at_ms,
            )
            for row in connection.execute(query)
            if not sites or row.site in sites
        ]


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
