"""What is personal in cases that were over long ago is erased: free words, photos, who was told and where, links. Every figure remains.

The log keeps its lines, their order, actors and times, so that whatever is rebuilt from it comes out as before; what goes is what a person
wrote in his own words. A case that is open again is no longer over. Doing it twice is doing it once.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Select, bindparam, delete, null, select, update

from rules.cases.photos import PhotoFolder
from rules.records import OVER, Photo
from rules.store import tables as db
from rules.store.database import Database

IN_WORDS = ("case.note", "case.reported", "case.reassignment_asked", "case.rejected", "case.reopened")
"""Events whose detail is what somebody wrote."""
AFTER_A_COLON = ("case.escalated", "case.extension_asked", "case.suspended")
"""Events whose detail is a number, and behind it what somebody wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """How much was erased; all zero: there was nothing."""

    words: int = 0
    photos: int = 0
    receivers: int = 0
    links: int = 0


def forget(database: Database, photos: PhotoFolder | None, before_ms: int) -> Forgotten:
    """Erase it in cases that were over before a time. Raises DatabaseAway, OSError."""
    with database.writing() as connection:
        its = _over_before(before_ms)
        words = _words(connection, its)
        gone = _photos(connection, its)
        receivers = _receivers(connection, its)
        links = connection.execute(delete(db.links).where(db.links.c.case.in_(its))).rowcount
        used = {row.photo["sha256"] for row in connection.execute(select(db.cases.c.photo)) if row.photo}
    # After the commit: a file without a row is found again by nobody, a row without its file is a complaint.
    for photo in gone:
        if photos and photo.sha256 not in used:
            photos.remove(photo)
    return Forgotten(words=words, photos=len(gone), receivers=receivers, links=links)


def _over_before(before_ms: int) -> Select[tuple[str]]:
    return select(db.cases.c.id).where(db.cases.c.state.in_(OVER), db.cases.c.closed_at_ms < before_ms)


def _words(connection: Connection, its: Select[tuple[str]]) -> int:
    of_cases = db.log.c.case.in_(its)
    plain = update(db.log).where(of_cases, db.log.c.event.in_(IN_WORDS), db.log.c.detail != "").values(detail="")
    blanked = connection.execute(plain).rowcount
    query = select(db.log.c.seq, db.log.c.event, db.log.c.detail).where(
        of_cases, db.log.c.event.in_((*AFTER_A_COLON, "case.feedback")), db.log.c.detail.like("% _%")
    )
    rows = [
        {"line": row.seq, "rest": row.detail.partition(" ")[0]} for row in connection.execute(query)
    ]  # "3: cannot be reached" or "mended <hash of a photo>"
    if rows:
        connection.execute(
            update(db.log).where(db.log.c.seq == bindparam("line")).values(detail=bindparam("rest")), rows
        )
    reasons = update(db.cases).where(db.cases.c.id.in_(its), db.cases.c.reason != "").values(reason="")
    return blanked + len(rows) + connection.execute(reasons).rowcount


def _photos(connection: Connection, its: Select[tuple[str]]) -> list[Photo]:
    with_photo = (db.cases.c.id.in_(its), db.cases.c.photo.is_not(None))
    found = [Photo(**row.photo) for row in connection.execute(select(db.cases.c.photo).where(*with_photo))]
    if found:
        connection.execute(update(db.cases).where(*with_photo).values(photo=null()))
    return found


def _receivers(connection: Connection, its: Select[tuple[str]]) -> int:
    """Names and numbers of who was told; that somebody was, when and with what success, remains."""
    query = select(db.notices.c.key, db.notices.c.detail).where(db.notices.c.case.in_(its))
    keys = [{"notice": row.key} for row in connection.execute(query) if row.detail]
    if keys:
        connection.execute(update(db.notices).where(db.notices.c.key == bindparam("notice")).values(detail={}), keys)
    sendings = update(db.sendings).where(db.sendings.c.case.in_(its), db.sendings.c.receiver != "")
    return len(keys) + connection.execute(sendings.values(receiver="", answer="")).rowcount
