"""CAP messages of what is in the database: the log of an alarm or a case, and what is known of it. Inside the caller's transaction."""

from collections.abc import Callable

from sqlalchemy import Connection

from messages.settings import Text
from rules.duty.site import Site
from rules.outside import cap, reading
from rules.outside.area import area
from rules.outside.cap import Issuer, Step
from rules.outside.reading import Sites, Wanted
from rules.records import LogEntry
from rules.store import positions, rows

SiteOf = Callable[[str], Site | None]
"""A site's file, if it has one."""


def of_alarm(
    connection: Connection,
    alarm_id: str,
    site_of: SiteOf,
    addressee: str,
    *,
    sites: Sites = None,
    seq: int | None = None,
) -> bytes | None:
    """The message that line `seq` made, or the latest. None if there is none, or none at these sites."""
    found = reading.alarm_rows(connection, Wanted(sites=sites), None, 1, alarm_id)
    step = _step(cap.steps(reading.lines_of(connection, alarm=alarm_id)), seq) if found else None
    if step is None:
        return None
    row, alarm = found[0], rows.alarm_of(found[0])
    where = area(alarm.site, site_of(alarm.site), alarm.place, row.lat, row.lon)
    return cap.of_alarm(alarm, step, _issuer(connection, alarm.site, site_of, addressee), where)


def of_case(
    connection: Connection,
    case_id: str,
    site_of: SiteOf,
    addressee: str,
    *,
    sites: Sites = None,
    seq: int | None = None,
) -> bytes | None:
    """The same of a case."""
    found = reading.cases(connection, Wanted(sites=sites), None, 1, case_id)
    lines = [line for line in reading.lines_of(connection, case=case_id) if line.case == case_id]
    step = _step(cap.steps(lines), seq) if found else None
    if step is None:
        return None
    case = found[0]
    devices = len({row.device for row in rows.alarms_of(connection, case_id)})
    where = area(case.site, site_of(case.site), case.place, case.lat, case.lon)
    return cap.of_case(case, devices, step, _issuer(connection, case.site, site_of, addressee), where)


def of_line(connection: Connection, line: LogEntry, site_of: SiteOf, addressee: str) -> bytes | None:
    """What a line of the log says to who hears CAP; None: nothing."""
    if line.event.startswith("alarm.") and line.alarm:
        return of_alarm(connection, line.alarm, site_of, addressee, seq=line.seq)
    if line.event.startswith("case.") and line.case:
        return of_case(connection, line.case, site_of, addressee, seq=line.seq)
    return None


def _step(steps: list[Step], seq: int | None) -> Step | None:
    return next((step for step in reversed(steps) if seq is None or step.line.seq == seq), None)


def _issuer(connection: Connection, site: str, site_of: SiteOf, addressee: str) -> Issuer:
    file = site_of(site)
    name = file.name if file else Text(zh=site, en=site)
    return Issuer(site=site, site_name=name, life=positions.life(connection), addressee=addressee)
