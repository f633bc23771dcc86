"""Which sites this engine owns, kept up: its beat, its look at the others, what it takes and gives up (docs/decisions/0031).

`rules.engine.share` decides, `rules.store.leases` writes; both in one transaction each second, or as soon as a new site is heard of.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from messages.ids import SiteId
from rules.engine.share import LEAD, LEASE_S, Plan, Watchtower, plan
from rules.store import leases
from rules.store.database import Database
from rules.store.leases import Holder


@dataclass(frozen=True, slots=True)
class Turn:
    """What one look came to."""

    plan: Plan
    lost: frozenset[SiteId]
    """Ours until now, and taken by somebody who thought that we were dead."""


@dataclass(slots=True)
class Tenure:
    """The sites of one engine. `enter`, `look` and `give_up` block; the rest is for the event loop."""

    database: Database
    holder: Holder
    clock_s: Callable[[], float]
    """Never jumps; nobody else's is compared with it."""
    mine: set[SiteId] = field(default_factory=set)
    """What we know all of, and may write."""
    leased: frozenset[SiteId] = frozenset()
    """What anybody owns."""
    others: frozenset[int] = frozenset()
    """The tokens of the other workers that live."""
    _known: set[SiteId] = field(default_factory=set)
    """All that we ever learnt of: one that is given up has no row until somebody takes it."""
    _heard_of: set[SiteId] = field(default_factory=set)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """A site was heard of that nobody is known to own."""
    _tower: Watchtower = field(default_factory=Watchtower)
    _beat_at_s: float = 0.0

    def enter(self) -> frozenset[SiteId]:
        """Begin, and take what can be taken at once. Raises DatabaseAway."""
        with self.database.writing() as connection:
            leases.enter(connection, self.holder)
            self._known |= leases.known_sites(connection)
        return frozenset(self.look().plan.take)

    def look(self) -> Turn:
        """Show that we live, and see who else does. Raises DatabaseAway; Superseded when another engine has our name."""
        now_s = self.clock_s()
        beat = self.holder.beat + 1
        with self.database.writing() as connection:
            leases.beat(connection, self.holder, beat)
            self._tower.look(leases.workers(connection), now_s)
            owned = leases.leases(connection)
            ours = {site for site, lease in owned.items() if lease.token == self.holder.token}
            self._known |= owned.keys() | self._heard_of
            alive = self._tower.alive(now_s)
            todo = plan(self.holder.worker, alive, owned, self._known, ours)
            leases.take(connection, self.holder, todo.take)
        self.holder.beat, self._beat_at_s = beat, now_s
        self.others = frozenset(one.token for one in alive if one.name != self.holder.name)
        self.leased = frozenset({*owned, *todo.take})
        self._heard_of -= self.leased
        found = ours - self.mine - set(todo.give_up)  # taken by a look whose answer got lost
        take = tuple(sorted({*todo.take, *found}))
        return Turn(Plan(take, todo.give_up), frozenset(self.mine - ours))

    def give_up(self, sites: tuple[SiteId, ...]) -> None:
        with self.database.writing() as connection:
            leases.give_up(connection, self.holder, sites)

    def leave(self) -> None:
        """A clean end. Raises DatabaseAway."""
        with self.database.writing() as connection:
            leases.leave(connection, self.holder)

    def hear_of(self, site: SiteId) -> bool:
        """A message of a site that isn't ours: whether somebody is known to own it, or must since it can't be us."""
        if site in self.leased or not self.holder.worker.admits(site):
            return True
        if site not in self._heard_of:
            self._heard_of.add(site)
            self.news.set()
        return False

    @property
    def leads(self) -> bool:
        """Whether we are to do what is done once for all sites. What leaves the process has no fence: so only while the others
        can't think us dead."""
        return LEAD in self.mine and self.clock_s() - self._beat_at_s < LEASE_S
