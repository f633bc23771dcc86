"""The past as it is kept: readings from the history, devices and alarms from the rules' database. Blocks; no clock."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat

from sqlalchemy import select

from collector.stores.base import Store
from messages.ids import EdgeId, SiteId
from rules.backtest.replay import Episode, Past
from rules.engine import own
from rules.engine.memory.plant import Device, TellerKey
from rules.store import facts
from rules.store import tables as db
from rules.store.database import Database

FIRST_MS, LONGEST_MS = 60_000, 3_600_000
"""So much time is asked of the history first, and at the most: what is asked next grows and shrinks with what was found."""

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


def portions(store: Store, known: Mapping[TellerKey, Device], span: Span) -> Iterator[tuple[int, list[Past]]]:
    """All readings of the span, in order of their time over all edges, some at a time: up to when, and which. Raises StoreError."""
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
