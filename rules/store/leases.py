"""Workers and the sites that they own, in the database; and the fence: who has lost a site writes nothing of it any more.

All of it happens under the write lock of its transaction, so two workers can't both come first.
"""

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from messages.ids import SiteId
from rules.engine.share import Lease, Worker
from rules.store import tables as db
from rules.store.database import Overtaken

_MINE = select(db.leases.c.site).where(
    db.leases.c.token == bindparam("its_token"), db.leases.c.site.in_(bindparam("sites", expanding=True))
)
_ONE_MORE = (
    update(db.workers)
    .where(db.workers.c.token == bindparam("its_token"), db.workers.c.works <= bindparam("known"))
    .values(works=bindparam("next"))
)
"""Made once, as in rules.store.rows: they begin each work."""


class LeaseLost(Overtaken):
    """Somebody else owns these sites by now, or nobody: what we know of them may be old."""

    def __init__(self, sites: Collection[SiteId]) -> None:
        super().__init__(f"no longer ours: {', '.join(sorted(sites))}")
        self.sites = frozenset(sites)


class Superseded(Overtaken):
    """A worker of our name has begun after us."""


@dataclass(slots=True)
class Holder:
    """One life of one worker. Its token is in each row that it owns."""

    name: str
    sites: tuple[SiteId, ...] | None = None
    token: int = field(default_factory=lambda: secrets.randbits(62))
    works: int = 0
    """How many works it has written."""
    beat: int = 0

    @property
    def worker(self) -> Worker:
        return Worker(self.name, self.token, self.beat, self.sites)


def enter(connection: Connection, holder: Holder) -> None:
    """A new life begins; what an earlier one of this name was doing is fenced off from now on."""
    connection.execute(delete(db.workers).where(db.workers.c.name == holder.name))
    sites = None if holder.sites is None else list(holder.sites)
    values = {"name": holder.name, "token": holder.token, "beat": holder.beat, "works": holder.works, "sites": sites}
    connection.execute(insert(db.workers).values(values))


def beat(connection: Connection, holder: Holder, number: int) -> None:
    """Raises Superseded."""
    mine = (db.workers.c.name == holder.name) & (db.workers.c.token == holder.token)
    if connection.execute(update(db.workers).where(mine).values(beat=number)).rowcount != 1:
        raise Superseded(f"another engine of the name {holder.name!r} has started on this database")


def workers(connection: Connection) -> list[Worker]:
    return [
        Worker(row.name, row.token, row.beat, None if row.sites is None else tuple(row.sites))
        for row in connection.execute(select(db.workers))
    ]


def leases(connection: Connection) -> dict[SiteId, Lease]:
    return {row.site: Lease(row.worker, row.token) for row in connection.execute(select(db.leases))}


def known_sites(connection: Connection) -> set[SiteId]:
    """Those that anything is remembered of."""
    return {
        site
        for table in (db.edges, db.devices, db.states)
        for site in connection.scalars(select(table.c.site).distinct())
    }


def take(connection: Connection, holder: Holder, sites: Iterable[SiteId]) -> None:
    for site in sites:
        connection.execute(delete(db.leases).where(db.leases.c.site == site))
        connection.execute(insert(db.leases).values(site=site, worker=holder.name, token=holder.token))


def give_up(connection: Connection, holder: Holder, sites: Iterable[SiteId]) -> None:
    mine = db.leases.c.token == holder.token
    connection.execute(delete(db.leases).where(mine, db.leases.c.site.in_(list(sites))))


def leave(connection: Connection, holder: Holder) -> None:
    """A clean end: others need not wait."""
    connection.execute(delete(db.leases).where(db.leases.c.token == holder.token))
    connection.execute(delete(db.workers).where(db.workers.c.token == holder.token))


def fence(connection: Connection, holder: Holder, sites: Collection[SiteId]) -> None:
    """Raises LeaseLost unless all of `sites` are ours."""
    mine = connection.scalars(_MINE, {"its_token": holder.token, "sites": list(sites)})
    if missing := set(sites) - set(mine):
        raise LeaseLost(missing)


def is_written(connection: Connection, holder: Holder) -> bool:
    """Count one more work of ours. True: it is there already, and only the answer to its commit got lost.

    `holder.works` moves when the answer has come (`rules.store.facts.commit`).
    """
    its = {"its_token": holder.token, "known": holder.works, "next": holder.works + 1}
    if connection.execute(_ONE_MORE, its).rowcount == 1:
        return False
    if connection.scalar(select(db.workers.c.works).where(db.workers.c.token == holder.token)) is None:
        raise Superseded(f"another engine of the name {holder.name!r} has started on this database")
    return True
