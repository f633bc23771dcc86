"""The book of changes to a roster: leave, stand-ins and extra duty as rows, written by people, never rubbed out. Inside the caller's transaction."""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from messages.ids import SiteId
from messages.suggestion import suggest
from rules.duty.roster import Absence, Changes, Extra
from rules.duty.site import Site
from rules.store import rows
from rules.store import tables as db

MOST_MS = 366 * 86_400_000
MOST_WORDS = 200


class WrongChange(ValueError):
    """The change can't be made; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change as it stands in the book."""

    id: str
    site: SiteId
    change: Absence | Extra
    actor: str
    made_at_ms: int
    withdrawn_at_ms: int | None = None


def changes(connection: Connection, now_ms: int) -> dict[SiteId, Changes]:
    """What holds now or later, by site."""
    absences: dict[SiteId, list[Absence]] = {}
    extras: dict[SiteId, list[Extra]] = {}
    for entry in entries(connection, now_ms):
        if isinstance(entry.change, Absence):
            absences.setdefault(entry.site, []).append(entry.change)
        else:
            extras.setdefault(entry.site, []).append(entry.change)
    sites = absences.keys() | extras.keys()
    return {site: Changes(tuple(absences.get(site, ())), tuple(extras.get(site, ()))) for site in sites}


def entries(connection: Connection, now_ms: int, *, withdrawn: bool = False) -> list[Entry]:
    """The book from now on, in the order in which it was written."""
    table = db.roster
    query = select(table).where(table.c.until_ms > now_ms).order_by(table.c.made_at_ms, table.c.id)
    if not withdrawn:
        query = query.where(table.c.withdrawn_at_ms.is_(None))
    return [
        Entry(
            id=row.id,
            site=row.site,
            change=Absence(
                person=row.person,
                from_ms=row.from_ms,
                until_ms=row.until_ms,
                instead=row.instead,
                reason=row.reason,
            )
            if row.post is None
            else Extra(person=row.person, post=row.post, from_ms=row.from_ms, until_ms=row.until_ms),
            actor=row.actor,
            made_at_ms=row.made_at_ms,
            withdrawn_at_ms=row.withdrawn_at_ms,
        )
        for row in connection.execute(query)
    ]


def is_away(connection: Connection, site: SiteId, person: str, at_ms: int) -> bool:
    """Whether somebody is on leave."""
    table = db.roster.c
    holds = (table.withdrawn_at_ms.is_(None), table.from_ms <= at_ms, table.until_ms > at_ms)
    its = (table.site == site, table.person == person, table.post.is_(None), *holds)
    return connection.scalar(select(table.id).where(*its).limit(1)) is not None


def enter(
    connection: Connection, site_id: SiteId, site: Site, change: Absence | Extra, *, actor: str, now_ms: int
) -> str:
    """Write a change into the book. Its id. Raises WrongChange."""
    _check(site, change, now_ms)
    absence = isinstance(change, Absence)
    entry = f"d-{secrets.token_hex(8)}"
    connection.execute(
        insert(db.roster).values(
            id=entry,
            site=site_id,
            person=change.person,
            instead=change.instead if isinstance(change, Absence) else None,
            post=change.post if isinstance(change, Extra) else None,
            from_ms=change.from_ms,
            until_ms=change.until_ms,
            reason=change.reason[:MOST_WORDS] if isinstance(change, Absence) else "",
            actor=actor,
            made_at_ms=now_ms,
        )
    )
    what = f"{change.person} is away" if absence else f"{change.person} at {getattr(change, 'post', '')}"
    rows.append(connection, [rows.Line("roster.changed", None, None, actor, f"{site_id} {entry}: {what}")], now_ms)
    return entry


def withdraw(connection: Connection, entry: str, *, actor: str, now_ms: int) -> bool:
    """Take a change back. False if there is none that holds."""
    its = (db.roster.c.id == entry, db.roster.c.withdrawn_at_ms.is_(None))
    if (
        connection.execute(update(db.roster).where(*its).values(withdrawn_at_ms=now_ms, withdrawn_by=actor)).rowcount
        == 0
    ):
        return False
    rows.append(connection, [rows.Line("roster.changed", None, None, actor, f"{entry} withdrawn")], now_ms)
    return True


def _check(site: Site, change: Absence | Extra, now_ms: int) -> None:
    known = {change.person} | ({change.instead} if isinstance(change, Absence) and change.instead else set())
    for person in sorted(known - site.people.keys()):
        raise WrongChange(f"no person `{person}`{suggest(person, site.people)}")
    if isinstance(change, Extra) and change.post not in site.posts:
        raise WrongChange(f"no post `{change.post}`{suggest(change.post, site.posts)}")
    if isinstance(change, Absence) and change.instead == change.person:
        raise WrongChange("nobody stands in for himself")
    if change.until_ms <= change.from_ms:
        raise WrongChange("it ends before it begins")
    if change.until_ms <= now_ms:
        raise WrongChange("it lies in the past")
    if change.until_ms - change.from_ms > MOST_MS:
        raise WrongChange("longer than a year: change the roster itself")
