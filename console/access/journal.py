"""The journal of access: logins and failures, changes of accounts, refusals, and each look at what is personal.

Lines are written inside the caller's transaction, with what they tell of. A stranger can't fill the disk with them: of what anybody
may cause (`LOUD`) only so many lines an hour are kept, and one that says that there was more. Each of these events has room of its own, and a refusal
and a copied cookie that of their account: else whoever makes noise enough is not seen at what he does then.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Event = Literal[
    "login.opened",
    "login.failed",
    "login.ended",
    "login.replayed",  # by a cookie whose time is over
    "account.added",
    "account.changed",
    "account.disabled",
    "account.enabled",
    "account.removed",
    "token.added",  # of another system
    "token.rotated",
    "token.revoked",
    "account.freed",  # from waiting after failures
    "password.changed",
    "password.given",  # for one login
    "refused",  # a page or an act that the account may not have, or a form that isn't ours
    "person.looked",
    "personal.forgotten",
    "journal.more",  # than is written down
]
EVENTS: tuple[Event, ...] = get_args(Event)

LOUD: tuple[Event, ...] = ("login.failed", "login.replayed", "refused")
OF_AN_ACCOUNT: tuple[Event, ...] = ("login.replayed", "refused")
"""Their actor is a name that is known here. That of a failed login is whatever somebody has typed."""
MOST_AN_HOUR = 1000
HOUR_MS = 3_600_000
MOST_WORDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`actor` did `event` to `subject`, because of the case `cause`, from `address`."""

    at_ms: int
    event: Event
    actor: str
    subject: str = ""
    cause: str = ""
    address: str = ""
    detail: str = ""
    seq: int = 0


def append(database: sqlite3.Connection, line: Line) -> None:
    event, detail = line.event, line.detail
    if event in LOUD:
        lately = "SELECT count(*) FROM journal WHERE at_ms > ? AND at_ms <= ? AND event = ?"
        its: tuple[object, ...] = (line.at_ms - HOUR_MS, line.at_ms)
        mine = (line.actor[:MOST_WORDS],) if event in OF_AN_ACCOUNT else ()
        whose = " AND actor = ?" if mine else ""
        if database.execute(f"{lately}{whose}", (*its, event, *mine)).fetchone()[0] >= MOST_AN_HOUR:
            if database.execute(f"{lately} AND detail = ?{whose}", (*its, "journal.more", event, *mine)).fetchone()[0]:
                return
            event, detail = "journal.more", line.event
    words = (event, line.actor, line.subject, line.cause, line.address, detail)
    database.execute(
        "INSERT INTO journal (at_ms, event, actor, subject, cause, address, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (line.at_ms, *(word[:MOST_WORDS] for word in words)),
    )


def lines(
    database: sqlite3.Connection,
    *,
    events: Sequence[str] = (),
    names: Sequence[str] = (),
    among: Sequence[str] | None = None,
    before_seq: int | None = None,
    limit: int = 200,
) -> list[Line]:
    """The latest first. `names`: one of them did it, or it was done to one. `among`: done by one of these."""
    its, values = ["1"], list[object]()
    if events:
        its.append(f"event IN ({', '.join('?' * len(events))})")
        values += events
    if names:
        marks = ", ".join("?" * len(names))
        its.append(f"(actor IN ({marks}) OR subject IN ({marks}))")
        values += [*names, *names]
    if among is not None:
        its.append(f"actor IN ({', '.join('?' * len(among))})")
        values += among
    if before_seq is not None:
        its.append("seq < ?")
        values.append(before_seq)
    found = database.execute(
        "SELECT at_ms, event, actor, subject, cause, address, detail, seq FROM journal"  # noqa: S608 - its own words
        f" WHERE {' AND '.join(its)} ORDER BY seq DESC LIMIT ?",
        (*values, limit),
    )
    names = ("at_ms", "event", "actor", "subject", "cause", "address", "detail", "seq")
    return [Line(**dict(zip(names, row, strict=True))) for row in found]


def blank(database: sqlite3.Connection, before_ms: int) -> int:
    """Take what is personal out of the lines before a time: at whom was looked and why, from where somebody came. What remains
    counts. How many lines."""
    return database.execute(
        "UPDATE journal SET address = '', subject = CASE WHEN event LIKE 'person.%' THEN '' ELSE subject END,"
        " detail = CASE WHEN event LIKE 'person.%' THEN '' ELSE detail END"
        " WHERE at_ms < ? AND (address <> '' OR event LIKE 'person.%' AND (subject <> '' OR detail <> ''))",
        (before_ms,),
    ).rowcount
