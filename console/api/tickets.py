"""Cases in: tickets of a hotline or a repair desk, reports of residents 随手拍 with place and picture. Each once, by its own number there.

A second POST of the same reference is answered as the first was, so that a system may repeat what it is not sure of. What is reported near
a known situation of the same kind joins its case.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from console.api.caller import Caller, PhotoBringer, Reporter
from console.api.problem import Problem, nothing_here, wrong_field
from console.api.shapes import MOST_MS, CaseOut, PhotoOut, Reference, Sha256, TicketOut
from messages.alarm import Level
from messages.announcement import Place
from messages.ids import IDENTIFIER, SiteId
from messages.settings import Text
from rules.cases.case import Situation
from rules.cases.photos import MOST_BYTES, PhotoRefused
from rules.cases.picture import MOST_PIXELS, MOST_SIDE
from rules.outside.tickets import Ticket
from rules.records import Case, Photo

router = APIRouter(tags=["in"])

REPORT_KIND = "citizen_report"
REPORTED_LEVEL: Level = "yellow"
"""Until somebody has looked: section 4 of the field notes."""

_Words = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$", max_length=500)]
_Title = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,80}$")]


class Reported(BaseModel):
    """What somebody has seen, where. No name and no number of a person: the other system keeps those."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    reference: Reference
    site: Annotated[str, StringConstraints(pattern=IDENTIFIER)]
    place: Place
    kind: Annotated[str, StringConstraints(pattern=IDENTIFIER)] = REPORT_KIND
    """The kind of the asset, where it is known: it then joins what its sensor says nearby."""
    title: _Title
    words: _Words = ""
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    photo: Sha256 | None = None
    """Of a picture that was put away by POST /photos."""
    reported_at_ms: Annotated[int, Field(ge=0, le=MOST_MS)] | None = None
    """When it was told to the other system."""


class TicketIn(Reported):
    """A ticket may say how grave it is; what a resident reports is yellow until somebody has looked."""

    level: Level = REPORTED_LEVEL


class TicketState(BaseModel):
    """A ticket, its case, and the code by which the one who reported may ask how far it is: GET /status/{code}."""

    ticket: TicketOut
    code: str
    case: CaseOut

    @classmethod
    def of(cls, ticket: Ticket, case: Case) -> "TicketState":
        return cls(ticket=TicketOut.of(ticket), code=grouped(ticket.code), case=CaseOut.of(case))


_KNOWN: Mapping[int | str, dict[str, Any]] = {200: {"model": TicketState, "description": "Known already"}}


@router.post("/tickets", status_code=201, summary="A ticket of a hotline or a repair desk", responses=dict(_KNOWN))
def bring_ticket(caller: Reporter, reported: TicketIn, response: Response) -> TicketState:
    return _bring(caller, reported, response, "ticket", reported.level)


@router.post("/reports", status_code=201, summary="What a resident reports 随手拍", responses=dict(_KNOWN))
def bring_report(caller: Reporter, reported: Reported, response: Response) -> TicketState:
    return _bring(caller, reported, response, "report", REPORTED_LEVEL)


@router.get("/tickets/{reference}", summary="How far a ticket or report of this system has come")
def one_ticket(caller: Reporter, reference: Reference) -> TicketState:
    found = caller.desk.ticket(caller.token.name, reference)
    if found is None or not caller.token.scope.covers(found[0].site):
        raise nothing_here()
    return TicketState.of(*found)


@router.post(
    "/photos",
    status_code=201,
    summary="Put a picture away, to be named by a report or by what was done",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                media: {"schema": {"type": "string", "format": "binary"}}
                for media in ("image/jpeg", "image/png", "image/webp")
            },
        }
    },
)
async def bring_photo(caller: PhotoBringer, request: Request) -> PhotoOut:
    return PhotoOut(**asdict(await kept(caller, request)))


_REFUSED = {
    "no-picture": "the body is no JPEG, PNG or WebP picture",
    "broken": "the picture in the body is not whole",
    "moving": "a moving picture is not taken",
    "too-many-pixels": f"a picture may have {MOST_PIXELS} pixels, and {MOST_SIDE} on a side",
    "too-large": f"a picture may have {MOST_BYTES} bytes",
}


async def kept(caller: Caller, request: Request) -> Photo:
    """The picture in a request's body, put away. Raises Problem."""
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_BYTES:
            raise Problem(413, f"a picture may have {MOST_BYTES} bytes", fields=[("body", "too large")])
    try:
        return await run_sync(caller.desk.keep_photo, bytes(content))
    except PhotoRefused as error:
        raise Problem(415, _REFUSED[str(error)], fields=[("body", str(error))]) from error
    except ValueError as error:
        raise Problem(503, "no folder for pictures is configured here") from error


def known_photo(caller: Caller, sha256: str | None) -> Photo | None:
    """Raises Problem for a name that nothing was put away under."""
    if sha256 is None:
        return None
    if (photo := caller.desk.kept_photo(sha256)) is None:
        raise wrong_field("body.photo", "no picture of this name was put away: POST /photos first")
    return photo


def grouped(code: str) -> str:
    """As a person can read it aloud."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def _bring(
    caller: Caller, reported: Reported, response: Response, origin: Literal["ticket", "report"], level: Level
) -> TicketState:
    caller.at(reported.site, "body.site")
    _known_place(caller, reported)
    if reported.kind not in caller.works.kinds:
        raise wrong_field("body.kind", "no kind of this name")
    if (reported.lat is None) != (reported.lon is None):
        raise wrong_field("body.lat", "lat and lon come together")
    about = Situation(
        site=SiteId(reported.site),
        place=reported.place,
        kind=reported.kind,
        subject="",
        title=Text(zh=reported.title, en=reported.title),
        level=level,
        origin=origin,
        lat=reported.lat,
        lon=reported.lon,
    )
    ticket, case, new = caller.desk.take_ticket(
        caller.token.name,
        reported.reference,
        about,
        words=reported.words or reported.title,
        actor=caller.actor,
        at_ms=caller.now_ms,
        photo=known_photo(caller, reported.photo),
        said_at_ms=reported.reported_at_ms,
    )
    response.status_code = 201 if new else 200
    return TicketState.of(ticket, case)


def _known_place(caller: Caller, reported: Reported) -> None:
    """Where sites have files, a place must be one of theirs: a wrong grid would be nobody's work."""
    caller.works.sites.look()
    sites = caller.works.sites.sites
    if not sites:
        return
    if (site := sites.get(SiteId(reported.site))) is None:
        raise wrong_field("body.site", "no such site")
    if reported.place.grid not in site.grids:
        raise wrong_field("body.place.grid", f"no such grid; known: {', '.join(site.grids)}")
    building = reported.place.building
    if building and site.buildings and building not in site.buildings:
        raise wrong_field("body.place.building", "no such building")
