"""Names, contacts and readings of elderly households: shown when somebody who may asks for them and says why, and noted before that.

They come as the answer to a form, so that no address, no bookmark and no step back shows them a second time without a note.
"""

import sqlite3
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from console import detail
from console.access.frame import show
from console.access.household import REASONS, household_of
from console.access.journal import Line
from console.routes import NoSuchAlarm
from console.visit import LoggedIn, OurForm, address_of, logged_in, needs

router = APIRouter(dependencies=[Depends(logged_in)])

MOST_WORDS = 100
LATELY = 10


@router.post("/people/{alarm_id}", dependencies=[needs("people"), OurForm])
def look(
    visit: LoggedIn,
    request: Request,
    alarm_id: str,
    why: Annotated[str, Form()] = "",
    words: Annotated[str, Form()] = "",
) -> Response:
    alarm = visit.parts.desk.alarm(alarm_id)
    if alarm is None or not visit.user.scope.covers(alarm.site, alarm.place.grid):
        raise NoSuchAlarm(alarm is not None)
    visit.need("people", alarm.site, alarm.place.grid)
    told = words.strip()[:MOST_WORDS]
    household = household_of(visit.parts.sites, alarm)
    if why not in REASONS or (why == "other" and not told):
        return show(visit, "ask.html", 400, alarm=alarm, complaint=visit.words("people.why_missing"), reasons=REASONS)
    subject = f"{alarm.site}/{household[0] if household else alarm.device}"
    line = Line(
        at_ms=visit.now_ms,
        event="person.looked",
        actor=visit.user.name,
        subject=subject,
        cause=alarm.case.id if alarm.case else alarm.id,
        address=address_of(request),
        detail=f"{why}: {told}" if told else why,
    )
    earlier = visit.parts.accounts.journal(events=["person.looked"], names=[subject], limit=LATELY)
    try:
        visit.parts.accounts.note(line)
    except sqlite3.Error:  # what can't be noted isn't shown
        return show(visit, "ask.html", 503, alarm=alarm, complaint=visit.words("people.not_noted"), reasons=REASONS)
    entries = visit.parts.desk.log_of(alarm_id)
    personal = visit.parts.fragments.is_personal(alarm)
    return show(
        visit,
        "people.html",
        again={"why": why, "words": told},
        alarm=alarm,
        one=household[1] if household else None,
        line=line,
        earlier=earlier,
        charts=detail.charts(alarm, entries, visit.parts, visit.words, visit.now_ms, looked=True) if personal else [],
        readings=visit.parts.fragments.readings(alarm, visit.words) if personal else [],
    )
