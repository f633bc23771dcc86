"""The log of everybody: searched, read and taken away as a sheet. There is no way to change it."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse

from console.plant.frame import show
from console.plant.moments import moment_ms
from console.script import spellings
from console.visit import LoggedIn, Number, Visit, needs
from rules import chronicle
from rules.chronicle import Search
from rules.language.calendar import Calendar
from rules.records import LogEntry

MOST = 100
HEADINGS = ("seq", "time", "event", "actor", "alarm", "case", "detail", "device_time")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

router = APIRouter(dependencies=[needs("audit")])


@router.get("/audit")
def audit(
    visit: LoggedIn,
    actor: str = "",
    event: str = "",
    case: str = "",
    words: str = "",
    since: str = "",
    until: str = "",
    people: bool = False,
    before: Number | None = None,
) -> Response:
    asked = {"actor": actor, "event": event, "case": case, "words": words, "since": since, "until": until}
    database = visit.parts.desk.database
    search = _search(visit, asked, people=people)
    found = chronicle.found(database, search, before=before, most=MOST)
    known = chronicle.events(database)
    return show(
        visit,
        "audit.html",
        entries=found,
        events=known,
        groups=sorted({f"{one.split('.')[0]}." for one in known}),
        asked=asked,
        people=people,
        last=found[-1].seq if len(found) == MOST else None,
    )


@router.get("/audit.csv")
def export(
    visit: LoggedIn,
    actor: str = "",
    event: str = "",
    case: str = "",
    words: str = "",
    since: str = "",
    until: str = "",
    people: bool = False,
) -> Response:
    asked = {"actor": actor, "event": event, "case": case, "words": words, "since": since, "until": until}
    lines = chronicle.every(visit.parts.desk.database, _search(visit, asked, people=people))
    headers = {"content-disposition": 'attachment; filename="gridcall-log.csv"'}
    return StreamingResponse(_sheet(lines), media_type="text/csv; charset=utf-8", headers=headers)


def _search(visit: Visit, asked: dict[str, str], *, people: bool) -> Search:
    scope, clock = visit.user.scope, Calendar(zone=visit.parts.config.zone)
    until_ms = moment_ms(asked["until"], clock)
    if until_ms is not None and len(asked["until"]) == len("2026-11-21"):
        until_ms += 86_400_000  # that whole day
    return Search(
        actor=spellings(actor) if (actor := asked["actor"].strip()) else (),
        event=asked["event"],
        case=asked["case"].strip(),
        words=spellings(words) if (words := asked["words"].strip()) else (),
        from_ms=moment_ms(asked["since"], clock),
        until_ms=until_ms,
        people_only=people,
        sites=scope.sites,
        grids=scope.grids,
    )


def _sheet(lines: Iterator[LogEntry]) -> Iterator[str]:
    """CSV, a line at a time; cells that a spreadsheet would compute are made text."""
    yield "\ufeff" + _line(HEADINGS)
    for one in lines:
        device_time = _time(one.device_at_ms) if one.device_at_ms is not None else ""
        cells = (str(one.seq), _time(one.at_ms), one.event, one.actor, one.alarm or "", one.case or "", one.detail)
        yield _line((*cells, device_time))


def _line(cells: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return out.getvalue()


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
