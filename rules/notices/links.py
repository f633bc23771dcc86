"""Links that open one case for one person without a login: what a message carries. Rows inside the caller's transaction.

A link is a random secret of which only the hash is kept. It expires, it can be revoked, and it opens nothing but its case. One that was opened
while it held takes acts of that time for a while after its end; it shows nothing any more.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from rules.store import tables as db

LINK_MS = 24 * 3_600_000
"""How long a link opens its case [E]: a shift and a handover."""
LATE_MS = 24 * 3_600_000
"""For how long after its end a link still takes what was done before its end, on a phone without a network [E]: as long again, and not longer,
since the time of an act is the phone's word."""
KEPT_MS = 30 * 86_400_000

_MAKE = insert(db.links)


@dataclass(frozen=True, slots=True)
class Ended:
    """A link that has expired a while ago, and what it still takes."""

    case: str
    person: str
    made_at_ms: int
    expires_at_ms: int

    def takes(self, key: str | None, device_at_ms: int | None) -> bool:
        """An act that waited on a phone: with its key, and done while the link held by the clock of the phone."""
        return key is not None and device_at_ms is not None and self.made_at_ms <= device_at_ms < self.expires_at_ms


def make(connection: Connection, case: str, person: str, now_ms: int) -> str:
    """A new link's secret."""
    return make_some(connection, [(case, person)], now_ms)[0]


def make_some(connection: Connection, wanted: Sequence[tuple[str, str]], now_ms: int) -> list[str]:
    """The same for some cases and persons."""
    tokens = [secrets.token_urlsafe(18) for _ in wanted]
    until = {"made_at_ms": now_ms, "expires_at_ms": now_ms + LINK_MS}
    made = [
        {"token": _hashed(token), "case": case, "person": person, **until}
        for token, (case, person) in zip(tokens, wanted, strict=True)
    ]
    if made:
        connection.execute(_MAKE, made)
    return tokens


def holder(connection: Connection, token: str, now_ms: int) -> tuple[str, str] | None:
    """The case and the person of a link that still holds."""
    link = connection.execute(select(db.links).where(db.links.c.token == _hashed(token))).one_or_none()
    if link is None or link.revoked_at_ms is not None or link.expires_at_ms <= now_ms:
        return None
    return link.case, link.person


def ended(connection: Connection, token: str, now_ms: int) -> Ended | None:
    """A link that was opened while it held, has expired less than LATE_MS ago, and was not revoked."""
    link = connection.execute(select(db.links).where(db.links.c.token == _hashed(token))).one_or_none()
    if link is None or link.revoked_at_ms is not None or link.opened_at_ms is None:
        return None
    if not link.expires_at_ms <= now_ms < link.expires_at_ms + LATE_MS:
        return None
    return Ended(link.case, link.person, link.made_at_ms, link.expires_at_ms)


def opened(connection: Connection, token: str, now_ms: int) -> tuple[str, str] | None:
    """The same; counts as read."""
    found = holder(connection, token, now_ms)
    its = (db.links.c.token == _hashed(token), db.links.c.opened_at_ms.is_(None))
    connection.execute(update(db.links).where(*its).values(opened_at_ms=now_ms))
    return found


def revoke(connection: Connection, now_ms: int, *, case: str | None = None, person: str | None = None) -> int:
    """End the links of a case, of a person, or of both. How many there were."""
    its = [db.links.c.revoked_at_ms.is_(None), db.links.c.expires_at_ms > now_ms - LATE_MS]
    its += [db.links.c.case == case] if case is not None else []
    its += [db.links.c.person == person] if person is not None else []
    return connection.execute(update(db.links).where(*its).values(revoked_at_ms=now_ms)).rowcount


def forget(connection: Connection, now_ms: int) -> None:
    """Links that have been over for long."""
    connection.execute(delete(db.links).where(db.links.c.expires_at_ms < now_ms - KEPT_MS))


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
