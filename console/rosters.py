"""The sites' files as the pages go by them: read again when they change, and where one can't be read, the last good one that the engine has
kept (decision 48). No mistake in a file is a reason for a page to fail; what is wrong, and where, is said on the pages and in the log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from console.rights import Right, User
from messages.ids import SiteId
from messages.settings import Text
from rules.duty.folder import SiteFolder
from rules.duty.last_good import Fault, LastGood
from rules.store.database import Database, DatabaseAway

AGAIN_MS = 60_000
"""After so long the engine is asked again which sites it knows: one may have been forgotten on purpose."""

log = structlog.get_logger("console")


@dataclass(slots=True, kw_only=True)
class Rosters(SiteFolder):
    """Any thread may look."""

    database: Database
    clock_ms: Callable[[], int]
    wrong: Mapping[SiteId, Fault] = field(default_factory=dict)
    """Of which sites what lies on disk is not what is shown."""
    _asked_at_ms: int | None = None

    def look(self) -> bool:
        """As a `SiteFolder`; whatever the disk can't tell is asked of the database, at most once a minute."""
        changed, now_ms = SiteFolder.look(self), self.clock_ms()
        if self.folder is None or (
            not changed and self._asked_at_ms is not None and now_ms - self._asked_at_ms < AGAIN_MS
        ):
            return changed
        last_good = LastGood(self.database, self, self.wrong)
        try:
            changed = last_good.read() or changed
        except DatabaseAway:
            self._asked_at_ms = None  # pages that need the database say so themselves
            return changed
        self._asked_at_ms = now_ms
        if last_good.faults != self.wrong:
            for site, fault in last_good.faults.items():
                log.error("a site's file is refused", site=site, why=fault.why, known=not fault.unstaffed)
        self.wrong = last_good.faults
        return changed


def wrong_files(sites: Rosters, user: User) -> list[tuple[Text, Fault]]:
    """What is wrong at the sites of which the account sends people or keeps the roster or the plant, with their names; for the templates."""
    sites.look()
    keeps: tuple[Right, ...] = ("roster", "plant", "dispatch")
    mine = [(site, why) for site, why in sorted(sites.wrong.items()) if any(user.may_at(one, site) for one in keeps)]
    return [(sites.sites[site].name if site in sites.sites else Text(zh=site, en=site), why) for site, why in mine]
