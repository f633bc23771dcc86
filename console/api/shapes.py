"""What goes out: cases, alarms, lines of the log. Times are UTC milliseconds since 1970; a `_by_ms` is a promise. New fields may come; none goes within v1."""

from dataclasses import asdict
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, StringConstraints

from messages.alarm import Level, PublishedAlarm
from messages.announcement import Place
from messages.ids import ONE_LINE
from messages.settings import Text
from rules.alarms.published import published
from rules.drills.drill import is_practice
from rules.outside.gate import News, Whole
from rules.outside.reading import Change
from rules.outside.tickets import Ticket
from rules.records import Alarm, Case, CaseState, LogEntry, Origin

MOST_AT_ONCE = 200
MOST_MS = 2**48
"""Thousands of years: later is a mistake, and more than a database's integers hold would be an error."""

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
Reference = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,80}$")]
"""Another system's own number of something."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, StringConstraints(pattern=ONE_LINE, max_length=200)]


class PhotoOut(BaseModel):
    """A picture; GET /cases/{case}/photos/{sha256} has it."""

    sha256: str
    size: int
    media: str


class Upstream(BaseModel):
    """Under which number the platform above keeps a case: one for one."""

    model_config = ConfigDict(extra="forbid")

    system: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,40}$")]
    reference: Reference


class CaseOut(BaseModel):
    """A case 工单."""

    id: str
    site: str
    place: Place
    lat: float | None
    lon: float | None
    kind: str
    subject: str
    """The device that it began with; empty where there is none."""
    owner: str
    title: Text
    level: Level
    origin: Origin
    state: CaseState
    rung: int
    opened_at_ms: int
    accept_by_ms: int | None
    arrive_by_ms: int | None
    handle_by_ms: int | None
    dispatched_at_ms: int | None
    dispatched_to: str | None
    accepted_at_ms: int | None
    accepted_by: str | None
    checked_in_at_ms: int | None
    checked_in_by: str | None
    on_site_at_ms: int | None
    on_site_by: str | None
    on_site_how: str | None
    handling_at_ms: int | None
    feedback_at_ms: int | None
    feedback_by: str | None
    outcome: str | None
    photo: PhotoOut | None
    verified_by: str | None
    closed_at_ms: int | None
    closed_by: str | None
    archived_at_ms: int | None
    suspended_until_ms: int | None
    reason: str
    reopened: int
    parent: str | None
    drill: bool
    """It is practice 演练, and nothing has happened."""

    @classmethod
    def of(cls, case: Case) -> Self:
        photo = PhotoOut(**asdict(case.photo)) if case.photo else None
        plain = {name: getattr(case, name) for name in CaseOut.model_fields if hasattr(case, name)}
        return cls(**plain | {"photo": photo, "drill": is_practice(case)})


class LogOut(BaseModel):
    """One line of the append-only log."""

    seq: int
    number: int | None
    """Of the lines of its case: 1, 2, 3 … without a gap."""
    at_ms: int
    device_at_ms: int | None
    event: str
    alarm: str | None
    case: str | None
    actor: str
    detail: str

    @classmethod
    def of(cls, line: LogEntry) -> Self:
        return cls(**{name: getattr(line, name) for name in LogOut.model_fields if hasattr(line, name)})


class TicketOut(BaseModel):
    """What was reported, by another system's number."""

    system: str
    reference: str
    at_ms: int
    photo: PhotoOut | None

    @classmethod
    def of(cls, ticket: Ticket) -> Self:
        photo = PhotoOut(**asdict(ticket.photo)) if ticket.photo else None
        return cls(system=ticket.system, reference=ticket.reference, at_ms=ticket.at_ms, photo=photo)


class CaseWhole(CaseOut):
    """A case with its alarms, its log, who reported it, and its number upstream."""

    alarms: list[PublishedAlarm]
    log: list[LogOut]
    tickets: list[TicketOut]
    upstream: Upstream | None

    @classmethod
    def of_whole(cls, whole: Whole) -> Self:
        more: dict[str, Any] = {
            "alarms": [published(alarm) for alarm in whole.alarms],
            "log": [LogOut.of(line) for line in whole.log],
            "tickets": [TicketOut.of(one) for one in whole.tickets],
            "upstream": Upstream(system=whole.upstream[0], reference=whole.upstream[1]) if whole.upstream else None,
        }
        return cls(**CaseOut.of(whole.case).model_dump() | more)


class AlarmWhole(PublishedAlarm):
    """An alarm as its MQTT topic has it, with its log."""

    log: list[LogOut]

    @classmethod
    def of(cls, alarm: Alarm, lines: tuple[LogEntry, ...]) -> Self:
        return cls(**published(alarm).model_dump(), log=[LogOut.of(line) for line in lines])


class CasePage(BaseModel):
    """`next`: what to ask for as `cursor`; null at the end."""

    cases: list[CaseOut]
    next: str | None


class AlarmPage(BaseModel):
    """`next`: what to ask for as `cursor`; null at the end."""

    alarms: list[PublishedAlarm]
    next: str | None


class ChangeOut(LogOut):
    """A line of the log and its site."""

    site: str

    @classmethod
    def of_change(cls, change: Change) -> Self:
        return cls(**LogOut.of(change.line).model_dump(), site=change.site)


class Changes(BaseModel):
    """`position`: what to ask for as `after` the next time. `more`: ask at once. `anew`: no position was given, or one that the log doesn't hold, as after
    the database was set back to a copy; read the lists first, then go on from `position`."""

    position: str
    more: bool
    anew: bool
    changes: list[ChangeOut]

    @classmethod
    def of(cls, news: News, limit: int) -> Self:
        told = [ChangeOut.of_change(one) for one in news.changes]
        return cls(position=str(news.position), more=len(told) == limit, anew=news.anew, changes=told)
