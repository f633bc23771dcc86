"""The door of the desk (rules.desk) for other systems: what they read and bring in, each call one transaction."""

from dataclasses import dataclass
from typing import Any

from rules.cases.case import Situation
from rules.cases.practice import PLAIN, Practice
from rules.outside import bulletin, deliveries, reading, tickets
from rules.outside.bulletin import SiteOf
from rules.outside.deliveries import Standing
from rules.outside.reading import Change, Sites, Wanted
from rules.outside.tickets import Ticket
from rules.records import ActionRefused, Alarm, Case, LogEntry, Photo, Position
from rules.store import positions, rows
from rules.store.database import Database

UPSTREAM = "case.upstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A case with all that belongs to it."""

    case: Case
    alarms: tuple[Alarm, ...]
    log: tuple[LogEntry, ...]
    tickets: tuple[Ticket, ...]
    upstream: tuple[str, str] | None
    """System and number."""


@dataclass(frozen=True, slots=True)
class News:
    """`anew`: whoever asks doesn't know this log, and has to read the lists first."""

    changes: tuple[Change, ...]
    position: Position
    anew: bool


class Gate:
    """A part of the desk. Every method may raise `DatabaseAway`."""

    _database: Database
    _practice: Practice = PLAIN

    def cases_for(self, wanted: Wanted, after: tuple[int, str] | None, limit: int) -> list[Case]:
        """The oldest first, behind (opened_at_ms, id)."""
        with self._database.reading() as connection:
            return reading.cases(connection, wanted, after, limit)

    def alarms_for(self, wanted: Wanted, after: tuple[int, str] | None, limit: int) -> list[Alarm]:
        """The oldest first, behind (raised_at_ms, id)."""
        with self._database.reading() as connection:
            return reading.alarms(connection, wanted, after, limit)

    def alarm_for(self, sites: Sites, alarm_id: str) -> tuple[Alarm, tuple[LogEntry, ...]] | None:
        with self._database.reading() as connection:
            found = reading.alarms(connection, Wanted(sites=sites), None, 1, alarm_id)
            return (found[0], tuple(reading.lines_of(connection, alarm=alarm_id))) if found else None

    def whole_case(self, sites: Sites, case_id: str) -> Whole | None:
        """None where there is none, or none at these sites."""
        with self._database.reading() as connection:
            found = reading.cases(connection, Wanted(sites=sites), None, 1, case_id)
            if not found:
                return None
            return Whole(
                case=found[0],
                alarms=tuple(rows.alarm_of(row) for row in rows.alarms_of(connection, case_id)),
                log=tuple(reading.lines_of(connection, case=case_id)),
                tickets=tuple(tickets.tickets_of(connection, case_id)),
                upstream=tickets.upstream(connection, case_id),
            )

    def changes_for(self, sites: Sites, after: Position | None, limit: int) -> News:
        """What came after a position, and how far that leads. None, or one that this log doesn't hold: nothing, and where we are."""
        with self._database.reading() as connection:
            if after is None or not positions.holds(connection, after):
                return News((), positions.end(connection), anew=True)
            found, seq = reading.changes(connection, sites, after.seq, limit)
            here = positions.at(connection, seq)
            assert here is not None, "the log loses no line"
            return News(tuple(found), here, anew=False)

    def alarm_as_cap(self, sites: Sites, alarm_id: str, site_of: SiteOf, addressee: str) -> bytes | None:
        """Its latest message; None where there is none, or none at these sites."""
        with self._database.reading() as connection:
            return bulletin.of_alarm(connection, alarm_id, site_of, addressee, sites=sites)

    def case_as_cap(self, sites: Sites, case_id: str, site_of: SiteOf, addressee: str) -> bytes | None:
        """The same of a case."""
        with self._database.reading() as connection:
            return bulletin.of_case(connection, case_id, site_of, addressee, sites=sites)

    def webhooks(self) -> list[Standing]:
        """How each stands that was ever served."""
        with self._database.reading() as connection:
            return list(deliveries.standings(connection).values())

    def enable_webhook(self, name: str, *, actor: str, at_ms: int) -> bool:
        """False if there is none."""
        with self._database.writing() as connection:
            return deliveries.enable(connection, name, actor, at_ms)

    def replay_webhook(self, name: str, since_ms: int, *, actor: str, at_ms: int) -> int | None:
        """How many lines of the log it is told again; None if there is none."""
        with self._database.writing() as connection:
            return deliveries.replay(connection, name, since_ms, actor, at_ms)

    def take_ticket(self, system: str, reference: str, about: Situation, **more: Any) -> tuple[Ticket, Case, bool]:
        """The ticket, its case, and whether it is new. Raises TicketRefused."""
        with self._database.writing() as connection:
            found, new = tickets.take(connection, system, reference, about, practice=self._practice, **more)
            case = tickets.case_of(connection, found)
            assert case is not None
            return found, case, new

    def ticket(self, system: str, reference: str) -> tuple[Ticket, Case] | None:
        with self._database.reading() as connection:
            found = tickets.ticket(connection, system, reference)
            case = tickets.case_of(connection, found) if found else None
            return (found, case) if found and case else None

    def ticket_by_code(self, code: str) -> tuple[Ticket, Case] | None:
        with self._database.reading() as connection:
            found = tickets.by_code(connection, code)
            case = tickets.case_of(connection, found) if found else None
            return (found, case) if found and case else None

    def set_upstream(self, case_id: str, system: str, reference: str, *, actor: str, at_ms: int) -> None:
        """Under which number the platform above keeps the case. Raises TicketRefused, ActionRefused."""
        with self._database.writing() as connection:
            if rows.case(connection, case_id) is None:
                raise ActionRefused("unknown", None)
            if tickets.set_upstream(connection, case_id, system, reference):
                rows.append(connection, [rows.Line(UPSTREAM, None, case_id, actor, f"{system} {reference}")], at_ms)

    def photo_of(self, sites: Sites, case_id: str, sha256: str) -> Photo | None:
        """A picture of a case: of how it was reported, or of how it was done."""
        whole = self.whole_case(sites, case_id)
        some = [*(one.photo for one in whole.tickets), whole.case.photo] if whole else []
        return next((photo for photo in some if photo is not None and photo.sha256 == sha256), None)
