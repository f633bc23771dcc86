"""Cases and alarms out: lists by filters and cursor, and one with all that belongs to it."""

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from console.api.caller import Caller, Reader
from console.api.problem import nothing_here, wrong_field
from console.api.shapes import MOST_AT_ONCE, MOST_MS, AlarmPage, AlarmWhole, CaseOut, CasePage, CaseWhole, Id, Sha256
from console.phone.bare import bare
from messages.alarm import Level
from messages.ids import Identifier
from rules.alarms.published import published
from rules.outside.cap import CONTENT_TYPE
from rules.outside.reading import Wanted
from rules.records import AlarmState, CaseState

router = APIRouter(tags=["out"])

_CAP: dict[int | str, dict[str, Any]] = {200: {"content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}}

Site = Annotated[list[Identifier], Query(max_length=50, description="Only these sites; without it all of the token.")]
Levels = Annotated[list[Level], Query(alias="level", max_length=4)]
KindIds = Annotated[list[Identifier], Query(alias="kind", max_length=50)]
Open = Annotated[bool | None, Query(description="There is something left to do, or there isn't.")]
Since = Annotated[int | None, Query(alias="since_ms", ge=0, le=MOST_MS, description="From this time on.")]
Until = Annotated[int | None, Query(alias="until_ms", ge=0, le=MOST_MS, description="Before this time.")]
Limit = Annotated[int, Query(ge=1, le=MOST_AT_ONCE)]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]


@router.get("/cases", summary="Cases, the oldest first")
def list_cases(
    caller: Reader,
    site: Site = [],  # noqa: B006 FastAPI copies it
    state: Annotated[list[CaseState], Query(max_length=20)] = [],  # noqa: B006
    level: Levels = [],  # noqa: B006
    kind: KindIds = [],  # noqa: B006
    open: Open = None,  # noqa: A002 the name in the address
    since_ms: Since = None,
    until_ms: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> CasePage:
    wanted = _wanted(caller, site, [str(one) for one in state], level, kind, open, since_ms, until_ms)
    found = caller.desk.cases_for(wanted, _behind(cursor), limit)
    last = (found[-1].opened_at_ms, found[-1].id) if len(found) == limit else None
    return CasePage(cases=[CaseOut.of(case) for case in found], next=_cursor(last))


@router.get("/cases/{case_id}", summary="A case with its alarms, its log and its tickets")
def one_case(caller: Reader, case_id: Id) -> CaseWhole:
    if (whole := caller.desk.whole_case(caller.sites, case_id)) is None:
        caller.refused(f"case {case_id}")
        raise nothing_here()
    return CaseWhole.of_whole(whole)


@router.get(
    "/cases/{case_id}/photos/{sha256}",
    summary="A picture of a case",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}, "image/png": {}, "image/webp": {}}}},
)
def photo(caller: Reader, case_id: Id, sha256: Sha256) -> Response:
    kept = caller.desk.photo_of(caller.sites, case_id, sha256)
    content = caller.desk.photo(kept) if kept else None
    if kept is None or content is None:
        raise nothing_here()
    return Response(bare(content, kept.media), media_type=kept.media)


@router.get("/alarms", summary="Alarms, the oldest first")
def list_alarms(
    caller: Reader,
    site: Site = [],  # noqa: B006
    state: Annotated[list[AlarmState], Query(max_length=20)] = [],  # noqa: B006
    level: Levels = [],  # noqa: B006
    kind: KindIds = [],  # noqa: B006
    open: Open = None,  # noqa: A002 the name in the address
    since_ms: Since = None,
    until_ms: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> AlarmPage:
    wanted = _wanted(caller, site, [str(one) for one in state], level, kind, open, since_ms, until_ms)
    found = caller.desk.alarms_for(wanted, _behind(cursor), limit)
    last = (found[-1].raised_at_ms, str(found[-1].id)) if len(found) == limit else None
    return AlarmPage(alarms=[published(alarm) for alarm in found], next=_cursor(last))


@router.get("/alarms/{alarm_id}", summary="An alarm with its log")
def one_alarm(caller: Reader, alarm_id: Id) -> AlarmWhole:
    if (found := caller.desk.alarm_for(caller.sites, alarm_id)) is None:
        caller.refused(f"alarm {alarm_id}")
        raise nothing_here()
    return AlarmWhole.of(*found)


@router.get("/alarms/{alarm_id}/cap", summary="Its latest message by CAP 1.2", response_class=Response, responses=_CAP)
def alarm_as_cap(caller: Reader, alarm_id: Id) -> Response:
    return _as_cap(caller.desk.alarm_as_cap(caller.sites, alarm_id, caller.works.site_of, caller.token.name))


@router.get("/cases/{case_id}/cap", summary="Its latest message by CAP 1.2", response_class=Response, responses=_CAP)
def case_as_cap(caller: Reader, case_id: Id) -> Response:
    return _as_cap(caller.desk.case_as_cap(caller.sites, case_id, caller.works.site_of, caller.token.name))


def _as_cap(message: bytes | None) -> Response:
    if message is None:
        raise nothing_here()
    return Response(message, media_type=CONTENT_TYPE)


def _wanted(
    caller: Caller,
    sites: list[str],
    states: list[str],
    levels: list[Level],
    kinds: list[str],
    opened: bool | None,
    since_ms: int | None,
    until_ms: int | None,
) -> Wanted:
    for site in sites:
        caller.at(site, "query.site")
    return Wanted(
        sites=sites or caller.sites,
        states=states,
        levels=levels,
        kinds=kinds,
        open=opened,
        since_ms=since_ms,
        until_ms=until_ms,
    )


def _cursor(last: tuple[int, str] | None) -> str | None:
    return base64.urlsafe_b64encode(f"{last[0]} {last[1]}".encode()).decode().rstrip("=") if last else None


def _behind(cursor: str | None) -> tuple[int, str] | None:
    """Raises Problem for what `_cursor` did not make."""
    if cursor is None:
        return None
    try:
        at_ms, _, name = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").partition(" ")
        if not 0 <= int(at_ms) <= MOST_MS or not 0 < len(name) <= 40 or not name.isprintable():
            raise ValueError(cursor)
        return int(at_ms), name
    except (ValueError, binascii.Error) as error:
        raise wrong_field("query.cursor", "not a `next` of a page before") from error
