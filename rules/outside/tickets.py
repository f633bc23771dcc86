"""Tickets and reports that other systems bring in: each once by that system's own number. Inside the caller's transaction.

The one who reported gets a code, by which he may ask how far it has come, and learns nothing else. A case has one number upstream: the one that
the platform above keeps it under.
"""

import hashlib
import secrets
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, insert, or_, select

from rules.cases import docket
from rules.cases.case import Situation
from rules.cases.practice import Practice
from rules.records import Case, CaseState, Photo
from rules.store import rows
from rules.store import tables as db

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no letter is taken for a digit."""
CODE_LENGTH = 16
"""80 bits: with the pace at which codes may be tried (console.api.residents) nobody finds one."""
_MOST_MERGES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What was brought in. `case`: where it is dealt with now."""

    system: str
    reference: str
    site: str
    case: str
    code: str
    photo: Photo | None
    at_ms: int


class TicketRefused(Exception):
    """The number is taken by something else; the word says by what: "other-site", "upstream-taken", "case-has-upstream"."""


def take(
    connection: Connection,
    system: str,
    reference: str,
    about: Situation,
    *,
    words: str,
    actor: str,
    at_ms: int,
    practice: Practice,
    photo: Photo | None = None,
    said_at_ms: int | None = None,
) -> tuple[Ticket, bool]:
    """The ticket of that number, and whether it is new. Raises TicketRefused."""
    if (known := ticket(connection, system, reference)) is not None:
        if known.site != about.site:
            raise TicketRefused("other-site")
        return known, False
    detail = f"{system} {reference}: {words}"
    line = rows.Line("case.reported", None, None, actor, detail, said_at_ms, _key(system, reference))
    case = docket.report(connection, f"r-{secrets.token_hex(10)}", about, actor, at_ms, practice, line)
    new = Ticket(
        system=system,
        reference=reference,
        site=about.site,
        case=case.id,
        code="".join(secrets.choice(_ALPHABET) for _ in range(CODE_LENGTH)),
        photo=photo,
        at_ms=at_ms,
    )
    connection.execute(insert(db.tickets).values(asdict(new)))
    return new, True


def ticket(connection: Connection, system: str, reference: str) -> Ticket | None:
    its = (db.tickets.c.system == system, db.tickets.c.reference == reference)
    return _first(connection, *its)


def by_code(connection: Connection, code: str) -> Ticket | None:
    return _first(connection, db.tickets.c.code == plain_code(code))


def tickets_of(connection: Connection, case_id: str) -> list[Ticket]:
    """Also of the cases that were merged into it. The oldest first."""
    merged = select(db.cases.c.id).where(db.cases.c.parent == case_id)
    its = or_(db.tickets.c.case == case_id, db.tickets.c.case.in_(merged))
    query = select(db.tickets).where(its).order_by(db.tickets.c.at_ms, db.tickets.c.reference)
    return [_ticket(**row._mapping) for row in connection.execute(query)]


def case_of(connection: Connection, found: Ticket) -> Case | None:
    """Where it is dealt with: cases that were merged lead on."""
    case = rows.case(connection, found.case)
    for _ in range(_MOST_MERGES):
        if case is None or case.state is not CaseState.MERGED or case.parent is None:
            break
        case = rows.case(connection, case.parent)
    return case


def set_upstream(connection: Connection, case_id: str, system: str, reference: str) -> bool:
    """Keep the number of a case upstream; False if it was kept before. Raises TicketRefused."""
    if (known := upstream(connection, case_id)) is not None:
        if known != (system, reference):
            raise TicketRefused("case-has-upstream")
        return False
    its = (db.upstream.c.system == system, db.upstream.c.reference == reference)
    if connection.scalar(select(db.upstream.c.case).where(*its)) is not None:
        raise TicketRefused("upstream-taken")
    connection.execute(insert(db.upstream).values(case=case_id, system=system, reference=reference))
    return True


def upstream(connection: Connection, case_id: str) -> tuple[str, str] | None:
    row = connection.execute(select(db.upstream).where(db.upstream.c.case == case_id)).one_or_none()
    return (row.system, row.reference) if row else None


def plain_code(code: str) -> str:
    """As it is kept, however somebody has typed it."""
    return code.upper().replace("-", "").replace(" ", "").translate(str.maketrans("OIL", "011"))


def _first(connection: Connection, *its: object) -> Ticket | None:
    row = connection.execute(select(db.tickets).where(*its)).one_or_none()  # type: ignore[arg-type]
    return _ticket(**row._mapping) if row else None


def _ticket(**columns: object) -> Ticket:
    photo = columns.pop("photo")
    return Ticket(**columns, photo=Photo(**photo) if isinstance(photo, dict) else None)  # type: ignore[arg-type]


def _key(system: str, reference: str) -> str:
    """Under which the log keeps it; two systems may count alike."""
    return f"ticket-{hashlib.sha256(f'{system} {reference}'.encode()).hexdigest()[:40]}"
