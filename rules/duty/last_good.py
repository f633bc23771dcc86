"""The last good file of each site, in the database: an engine that starts with a broken one, a renamed one or none calls the people whom it
called before. What is not as it lies on disk is said for each site, and never silent.

Of a file all is kept but its households: a name that its owner may take back stands in one place. Without them nobody is asked first, and the worker goes
at once.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Connection, delete, insert, select

from messages.ids import SiteId
from messages.suggestion import suggest
from rules.duty.folder import SiteFolder
from rules.duty.site import Site
from rules.engine.own import ENGINE
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database
from rules.store.refusals import Apart


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the roster of a site."""

    why: str
    since_ms: int | None
    """When the roster that is used was last as it lay on disk. None: there is none, and every call goes to the desk."""

    @property
    def unstaffed(self) -> bool:
        return self.since_ms is None


@dataclass(slots=True)
class LastGood:
    """Keeps them, for one folder. Every method blocks, and may raise DatabaseAway."""

    database: Database
    folder: SiteFolder
    faults: Mapping[SiteId, Fault] = field(default_factory=dict)
    _kept: frozenset[tuple[SiteId, str]] | None = None
    """What was good when we last wrote it down, with its hash."""

    def look(self, now_ms: int) -> bool:
        """Read the folder again, keep what is good, and stand in for what is not. Whether a fault has come or gone."""
        if self.folder.folder is None:
            return False
        if self.folder.look() or self._kept is None:
            self._keep(now_ms)
        return self.read()

    def read(self) -> bool:
        """Stand in for what is not good, and keep nothing. Whether a fault has come or gone."""
        if self.folder.folder is None:
            return False
        with self.database.reading() as connection:
            self._stand_in(connection, self.folder.folder)
            faults = self._faults(connection)
        changed = faults != self.faults
        self.faults = faults
        return changed

    def _keep(self, now_ms: int) -> None:
        good = {name: _content(site) for name, site in self.folder.good().items()}
        marks = frozenset((name, _hash(content)) for name, content in good.items())
        if marks - (self._kept or frozenset()):
            with self.database.writing() as connection:
                apart = Apart(connection, now_ms)
                for name, content in good.items():  # one that is refused stays as it was kept before
                    apart.done(name, "roster", name, partial(_write, connection, name, content, now_ms))
        self._kept = marks

    def _stand_in(self, connection: Connection, folder: Path) -> None:
        kept = set(connection.scalars(select(db.sites.c.site)))
        for name in self.folder.faults.keys() - kept:
            if not (folder / f"{name}.toml").exists():
                self.folder.forget(name)
        if missing := sorted(kept - self.folder.sites.keys()):
            for row in connection.execute(select(db.sites).where(db.sites.c.site.in_(missing))):
                try:
                    self.folder.stand_in(row.site, Site.model_validate_json(row.content))
                except ValidationError:
                    pass  # of another release, which had other fields: as if it had not been kept

    def _faults(self, connection: Connection) -> dict[SiteId, Fault]:
        """Of what lies in the folder, and of the sites whose devices are there and have nothing in it."""
        kept = {row.site: row.at_ms for row in connection.execute(select(db.sites.c.site, db.sites.c.at_ms))}
        devices = select(db.devices.c.site).where(db.devices.c.edge != ENGINE).distinct()
        faults = {
            name: Fault(why, kept.get(name, 0) if name in self.folder.sites else None)
            for name, why in self.folder.faults.items()
        }
        for name in connection.scalars(devices):
            if name not in self.folder.sites and name not in faults:
                named = f"{self.folder.folder}/{name}.toml: no such file{suggest(name, self.folder.sites)}"
                faults[name] = Fault(self.folder.complaint or named, None)
        return faults


def forget(connection: Connection, site: SiteId, actor: str, now_ms: int) -> bool:
    """A site is no more: nobody is called by its last good file. False if none is kept."""
    if connection.execute(delete(db.sites).where(db.sites.c.site == site)).rowcount == 0:
        return False
    rows.append(connection, [rows.Line("roster.changed", None, None, actor, f"{site}: forgotten")], now_ms)
    return True


def _write(connection: Connection, name: SiteId, content: str, now_ms: int) -> None:
    connection.execute(delete(db.sites).where(db.sites.c.site == name))
    connection.execute(insert(db.sites).values(site=name, content=content, at_ms=now_ms))


def _content(site: Site) -> str:
    return site.model_dump_json(by_alias=True, exclude={"households"})


def _hash(content: str) -> str:
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
