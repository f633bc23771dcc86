"""Who was asked in vain, while somebody who isn't seen is asked first. Inside the caller's transaction; what is asked when is `rules.escalation.program`."""

from sqlalchemy import Connection, select

from rules.escalation.program import Leg
from rules.records import Case
from rules.store import tables as db


def in_vain(connection: Connection, case: Case, whose: str) -> int | None:
    """The rung on which `whose` was asked, if nobody has answered the telephone who was asked there; None: somebody still may, or nobody was."""
    called = select(db.notices.c.person, db.notices.c.rung).where(
        db.notices.c.case == case.id, db.notices.c.leg == Leg.ASK, db.notices.c.queued_at_ms >= case.clock_from_ms
    )
    rungs = {row.person: row.rung for row in connection.execute(called)}
    silent = set(
        connection.scalars(
            select(db.log.c.detail).where(
                db.log.c.case == case.id, db.log.c.event == "case.no_answer", db.log.c.at_ms >= case.clock_from_ms
            )
        )
    )
    rung = rungs.get(whose)
    asked = {person for person, its in rungs.items() if its == rung}
    return rung if asked <= silent else None
