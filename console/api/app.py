"""The interface for other systems, put together: an application of its own, mounted at /api/v1 of the pages.

Nothing is answered without a token but the state of a report, to who has its code. The description by OpenAPI 3.1 is at /openapi.json, for
who has a token; there is no page for it, since such pages load from elsewhere.
"""

from collections import Counter
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from console.api import acts, cases, changes, desk, problem, residents, tickets, webhooks
from console.api.caller import AnyCaller, Works
from console.api.problem import Problem, ProblemOut
from rules.cases.photos import MOST_BYTES
from rules.outside.tickets import TicketRefused
from rules.records import ActionRefused
from rules.store.database import DatabaseAway

PATH = "/api/v1"
MOST_BODY_BYTES = 64 * 1024

_ABOUT = """Cases and alarms of Gridcall for other systems. Times are UTC milliseconds since 1970. Errors are problem documents (RFC 9457).
A POST may be repeated: tickets by their reference, acts by the header Idempotency-Key."""


def build(works: Works) -> FastAPI:
    app = FastAPI(
        title="Gridcall",
        version="1",
        description=_ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=problem.RESPONSES,
    )
    app.state.works = works
    app.state.streams = Counter[str]()
    app.state.pace = residents.pace()
    for router in (
        cases.router,
        changes.router,
        tickets.router,
        acts.router,
        desk.router,
        residents.router,
        webhooks.router,
    ):
        app.include_router(router)
    app.get("/openapi.json", include_in_schema=False)(_description)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.add_middleware(_Guard)
    app.add_exception_handler(Problem, problem.of_problem)
    app.add_exception_handler(RequestValidationError, problem.of_validation)
    app.add_exception_handler(HTTPException, problem.of_status)
    app.add_exception_handler(ActionRefused, problem.of_refusal)
    app.add_exception_handler(TicketRefused, problem.of_ticket)
    app.add_exception_handler(DatabaseAway, problem.away)
    app.add_exception_handler(Exception, problem.failed)
    return app


def _description(_: AnyCaller, request: Request) -> JSONResponse:
    """For who has a token."""
    return JSONResponse(request.app.openapi())


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            servers=[{"url": PATH}],
        )
        found["components"]["schemas"]["ProblemOut"] = ProblemOut.model_json_schema(
            ref_template="#/components/schemas/{model}"
        )
        app.openapi_schema = found
    return app.openapi_schema


class _Guard:
    """No body is larger than it may be, or of unknown length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = _refused(scope) if scope["type"] == "http" else None
        if refused is None:
            await self._app(scope, receive, send)
        else:
            await refused.answer()(scope, receive, send)


def _refused(scope: Scope) -> Problem | None:
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    if b"transfer-encoding" in headers or not length.isdigit():
        return Problem(411, "the body must say its length", fields=[("header.content-length", "missing")])
    most = MOST_BYTES if scope["path"].endswith("/photos") else MOST_BODY_BYTES
    if int(length) > most:
        return Problem(413, f"the body may have {most} bytes", fields=[("body", "too large")])
    return None
