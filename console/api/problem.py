"""What went wrong, as another program reads it: problem documents by RFC 9457 that name the field."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from rules.outside.tickets import TicketRefused
from rules.records import ActionRefused

MEDIA = "application/problem+json"
MOST_FIELDS = 20


class WrongField(BaseModel):
    """One thing that is wrong with a request."""

    field: str
    """Where: "body.place.grid", "query.limit", "header.authorization"."""
    detail: str


class ProblemOut(BaseModel):
    """RFC 9457. `reason`: one word for a program, where there are several of one status."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    reason: str = ""
    errors: list[WrongField] = Field(default_factory=list)


class Problem(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        reason: str = "",
        fields: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.reason = reason
        self.fields = fields
        self.headers = headers

    def answer(self) -> Response:
        content = ProblemOut(
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            reason=self.reason,
            errors=[WrongField(field=field, detail=detail) for field, detail in self.fields],
        )
        return JSONResponse(content.model_dump(), self.status, dict(self.headers or {}), media_type=MEDIA)


STATUSES = (400, 401, 403, 404, 405, 409, 411, 413, 415, 422, 429, 503)
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}},
    }
    for status in STATUSES
}
"""Every route may answer so."""


def wrong_field(field: str, detail: str) -> Problem:
    return Problem(422, f"{field}: {detail}", fields=[(field, detail)])


def of_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [(".".join(str(part) for part in one["loc"]), str(one["msg"])) for one in error.errors()[:MOST_FIELDS]]
    if any(one["type"] == "json_invalid" for one in error.errors()):
        return Problem(400, "the body is no JSON", fields=[("body", detail) for _, detail in found]).answer()
    first = ": ".join(found[0]) if found else "the request"
    return Problem(422, first, fields=found).answer()


def of_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.answer()


def of_status(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Problem(error.status_code, str(error.detail), headers=error.headers).answer()


def of_refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, ActionRefused)
    if error.reason == "unknown":
        return nothing_here().answer()
    state = f"; the case is {error.case.state}" if error.case else ""
    return Problem(409, f"the case can't take this step now: {error.reason}{state}", reason=error.reason).answer()


_TICKETS = {
    "other-site": "this reference is known at another site",
    "upstream-taken": "another case has this upstream number",
    "case-has-upstream": "the case has another upstream number",
}


def of_ticket(_: Request, error: Exception) -> Response:
    assert isinstance(error, TicketRefused)
    reason = str(error)
    return Problem(409, _TICKETS[reason], reason=reason, fields=[("body.reference", _TICKETS[reason])]).answer()


def away(_: Request, __: Exception) -> Response:
    return Problem(503, "the database is away; try again", headers={"retry-after": "5"}).answer()


def failed(_: Request, __: Exception) -> Response:
    """The web server logs it."""
    return Problem(500, "a defect of ours; it is in the log").answer()


def nothing_here() -> Problem:
    """Also for what lies at another site: who may not know of it learns nothing."""
    return Problem(404, "nothing is known by that id at the sites of this token")
