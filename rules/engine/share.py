"""Which worker owns which site: worked out by each from the same rows, so that they agree without talking. Pure.

A site goes to the live worker that ranks first for it, by a hash of both names: where one comes or goes, only the sites
that it gains or had change hands. A worker is alive while its beat moves; everybody measures that by a clock of his own, so
that no two clocks need agree.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from messages.ids import SiteId

LEAD = SiteId("+")
"""No site can have this name: who owns it does what is to be done once for all sites, such as to publish."""

BEAT_S = 1.0
LEASE_S = 4.0
"""Whose beat stands still for so long is dead, or as good as dead: others take its sites."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One life of one worker, as its row says."""

    name: str
    token: int
    beat: int
    sites: tuple[SiteId, ...] | None = None
    """Those it may own; None: any."""

    def admits(self, site: SiteId) -> bool:
        return self.sites is None or site in self.sites or site == LEAD


@dataclass(frozen=True, slots=True)
class Lease:
    """That a worker, in one of its lives, owns a site."""

    worker: str
    token: int


@dataclass(slots=True)
class Watchtower:
    """When each of the others was last seen to move, by our clock."""

    seen: dict[str, tuple[Worker, float]] = field(default_factory=dict)

    def look(self, workers: Iterable[Worker], now_s: float) -> None:
        before, self.seen = self.seen, {}
        for worker in workers:
            known = before.get(worker.name)
            same = known is not None and (known[0].token, known[0].beat) == (worker.token, worker.beat)
            self.seen[worker.name] = known if same and known else (worker, now_s)

    def alive(self, now_s: float) -> list[Worker]:
        return [worker for worker, at_s in self.seen.values() if now_s - at_s < LEASE_S]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker is to do now."""

    take: tuple[SiteId, ...]
    give_up: tuple[SiteId, ...]


def plan(
    me: Worker,
    alive: Collection[Worker],
    leases: Mapping[SiteId, Lease],
    sites: Iterable[SiteId],
    now_mine: Collection[SiteId],
) -> Plan:
    """`alive` holds the others; `sites` are all that are known of; `now_mine` those that we do own."""
    living = {worker.name: worker for worker in alive if worker.name != me.name} | {me.name: me}
    take, give_up = [], []
    for site in sorted({*sites, LEAD}):
        candidates = [name for name, worker in living.items() if worker.admits(site)]
        first = max(candidates, key=lambda name: _rank(site, name), default=None)
        lease = leases.get(site)
        owner = living.get(lease.worker) if lease else None
        ours = lease is not None and lease.worker == me.name
        if site in now_mine:
            if first != me.name:
                give_up.append(site)
        elif me.admits(site) and ((ours and lease and lease.token != me.token) or (first == me.name and owner is None)):
            take.append(site)  # ours from an earlier life, or nobody's
    return Plan(tuple(take), tuple(give_up))


def _rank(site: SiteId, name: str) -> bytes:
    return hashlib.blake2b(f"{site}\n{name}".encode(), digest_size=8).digest()
