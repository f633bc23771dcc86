"""One case: what it holds, the evidence, the course, the clocks of its legs, who was told, the log, and all that may be done about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from fastapi.responses import Response

from console import detail
from console.access.household import household_of
from console.operator.legs import legs
from console.operator.lines import said
from console.operator.names import names_at, sites_of
from console.operator.offers import MAIN, offers
from console.operator.sheet import covers_case, sheet
from console.visit import LoggedIn, Visit, needs
from messages.ids import DeviceId, SiteId
from rules.cases.acts import CANCELLATIONS, OUTCOMES
from rules.cases.refusals import is_own
from rules.duty.household import RESIDENT, masked_phone, names, role_of
from rules.duty.roll import Roll
from rules.records import DONE, TAKEN, WAITING, Alarm, Case

router = APIRouter()

MOST_CHARTED = 2
"""Alarms of a case whose courses are drawn."""


class NoSuchCase(Exception):
    """Nothing is known by that id, or nothing that the account may see."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Somebody who may be sent."""

    id: str
    name: str
    phone: str
    rung: int
    """1 to 3: on duty for this case on that rung; 0: not on duty for it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody of a household who can be telephoned; name and number are masked."""

    id: str
    name: str
    phone: str
    lives_there: bool


@router.get("/cases/{case_id}", dependencies=[needs("see")])
def case_page(visit: LoggedIn, case_id: str, refused: str = "", who: str = "") -> Response:
    case = known(visit, case_id)
    desk, words, now_ms = visit.parts.desk, visit.words, visit.now_ms
    held, entries = desk.alarms_of(case_id), desk.log_of_case(case_id)
    names = names_at(visit, case.site)
    charted = sorted(held, key=lambda alarm: (not alarm.open, -alarm.raised_at_ms))[:MOST_CHARTED]
    at_desk = visit.user.may_at("dispatch", case.site, case.place.grid)
    return sheet(
        visit,
        "operator/case.html",
        refused=refused,
        who=who,
        case=case,
        held=held,
        charts=[
            (alarm, detail.charts(alarm, [e for e in entries if e.alarm == alarm.id], visit.parts, words, now_ms))
            for alarm in charted
        ],
        entries=[(entry, said(entry, words, names, now_ms)) for entry in entries],
        legs=legs(case, desk.practice.calendar),
        told=desk.told(case_id),
        homes=homes(visit, held),
        next_calls=desk.next_calls(case_id),
        offers=offers(case, visit.user),
        main_acts=MAIN,
        own_work=case.state in DONE and is_own(case, visit.actor),
        choices=choices(visit, case) if at_desk else [],
        to_ask=to_ask(visit, case),
        answering=answering(case),
        at_desk=at_desk,
        names=names,
        outcomes=OUTCOMES,
        cancellations=CANCELLATIONS,
        later=lambda hours: soon(now_ms, hours, visit.parts.config.zone),
        parent=case.parent,
    )


def homes(visit: Visit, held: Sequence[Alarm]) -> list[Alarm]:
    """Of each household one alarm that leads to it, an open one if there is one; and those of whom no household is known but whose
    readings are personal."""
    found: dict[str, Alarm] = {}
    for alarm in sorted(held, key=lambda one: not one.open):
        household = household_of(visit.parts.sites, alarm)
        if household or visit.parts.fragments.is_personal(alarm):
            found.setdefault(household[0] if household else f"device {alarm.device}", alarm)
    return list(found.values())


def to_ask(visit: Visit, case: Case) -> list[Asked]:
    """Who can be telephoned about somebody who isn't seen: she herself, then her contacts."""
    visit.parts.sites.look()
    site = visit.parts.sites.sites.get(SiteId(case.site))
    found = site.household_of(DeviceId(case.subject)) if site else None
    if found is None:
        return []
    household_id, household = found
    phones = [household.phone, *(one.phone for one in household.contacts)]
    return [
        Asked(person, name, masked_phone(phone) if phone else "", role_of(person) == RESIDENT)
        for (person, name), phone in zip(names(household_id, household).items(), phones, strict=True)
    ]


def answering(case: Case) -> Literal["asking", "going", "well"]:
    """What an answer does now: it ends the asking, it is for who goes there to read, or only a call for help is news."""
    if case.state in TAKEN or (case.state in WAITING and case.level == "red"):
        return "going"
    return "asking" if case.state in WAITING else "well"


def known(visit: Visit, case_id: str) -> Case:
    """Raises NoSuchCase."""
    case = visit.parts.desk.case(case_id)
    if case is None or not visit.user.may("see") or not covers_case(visit, case):
        raise NoSuchCase(case is not None)
    return case


def choices(visit: Visit, case: Case) -> list[Choice]:
    """Who may be sent: those on duty for this case first, then everybody else of the site."""
    site = sites_of(visit).get(case.site)
    if site is None:
        return []
    roll = Roll(visit.parts.sites, visit.parts.desk.roster_changes(visit.now_ms))
    ladder = roll.ladder(SiteId(case.site), case.kind, case.level, case.place, case.owner, visit.now_ms)
    rungs: Mapping[str, int] = {
        person.id: number for number in (3, 2, 1) for person in ladder.on(number) if person.id in site.people
    }
    found = [Choice(one, listed.name, listed.phone or "", rungs.get(one, 0)) for one, listed in site.people.items()]
    return sorted(found, key=lambda one: (one.rung or 9, one.name))


def soon(now_ms: int, hours: float, zone: ZoneInfo) -> str:
    """A time of the site's clock for a field of a form, on the next full quarter of an hour."""
    at = datetime.fromtimestamp(now_ms / 1000, zone) + timedelta(hours=hours)
    at += timedelta(minutes=-at.minute % 15)
    return f"{at:%Y-%m-%dT%H:%M}"
