"""交接班: what one shift at the desk tells the next; a part of the desk (rules.desk).

A note is written once and never changed; whoever takes over signs it, and isn't who wrote it.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update

from messages.ids import SiteId, is_identifier
from rules.records import ActionRefused
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database

MOST_WORDS = 4000
REASONS = ("reason-missing", "own-note", "signed-already", "unknown")
"""Why an act on a note is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """One note."""

    id: str
    site: SiteId
    words: str
    facts: Mapping[str, int]
    """What stood open when it was written, by name."""
    actor: str
    at_ms: int
    signed_by: str | None = None
    signed_at_ms: int | None = None


class Handovers:
    """Notes from shift to shift. Every method may raise `DatabaseAway`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def hand_over(self, site: SiteId, *, words: str, facts: Mapping[str, int], actor: str, at_ms: int) -> Handover:
        """Write a note. Raises ActionRefused for one without words, or of what can be no site."""
        if not is_identifier(site):
            raise ActionRefused("unknown", None)
        if not (kept := words.strip()[:MOST_WORDS]):
            raise ActionRefused("reason-missing", None)
        note = Handover(
            id=f"h-{secrets.token_hex(8)}", site=site, words=kept, facts=dict(facts), actor=actor, at_ms=at_ms
        )
        fields = {name: getattr(note, name) for name in Handover.__dataclass_fields__}
        with self._database.writing() as connection:
            connection.execute(insert(db.handovers).values(fields))
            rows.append(connection, [rows.Line("shift.noted", None, None, actor, f"{site} {note.id}")], at_ms)
        return note

    def sign(self, note_id: str, *, actor: str, at_ms: int) -> Handover:
        """`actor` has read it and takes over. Raises ActionRefused."""
        with self._database.writing() as connection:
            row = connection.execute(select(db.handovers).where(db.handovers.c.id == note_id)).one_or_none()
            if row is None:
                raise ActionRefused("unknown", None)
            if row.actor == actor:
                raise ActionRefused("own-note", None)
            if row.signed_by is not None:
                if row.signed_by == actor:
                    return _note(row)
                raise ActionRefused("signed-already", None)
            its = db.handovers.c.id == note_id
            connection.execute(update(db.handovers).where(its).values(signed_by=actor, signed_at_ms=at_ms))
            rows.append(connection, [rows.Line("shift.signed", None, None, actor, f"{row.site} {note_id}")], at_ms)
            return _note(connection.execute(select(db.handovers).where(its)).one())

    def handover(self, note_id: str) -> Handover | None:
        with self._database.reading() as connection:
            row = connection.execute(select(db.handovers).where(db.handovers.c.id == note_id)).one_or_none()
            return _note(row) if row else None

    def handovers(self, sites: Collection[str] = (), limit: int = 50) -> list[Handover]:
        """The latest first; of some sites, or of all."""
        query = select(db.handovers).order_by(db.handovers.c.at_ms.desc(), db.handovers.c.id).limit(limit)
        with self._database.reading() as connection:
            found = connection.execute(query.where(db.handovers.c.site.in_(sites)) if sites else query)
            return [_note(row) for row in found]


def _note(row: Row[Any]) -> Handover:
    return Handover(**row._mapping)
