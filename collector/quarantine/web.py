"""The quarantine over HTTP, for whoever shows the token: list, show, retry, drop. Nobody else learns what lies there.

`Authorization: Bearer …`; what is asked for stands in the query, what is to be done in a JSON body, so that no page of another
origin can do it by a plain form. Every act says who wants it.
"""

import base64
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.quarantine.kept import Entry, Which
from collector.stores.base import StoreError
from messages.complaint import complaint
from messages.ids import DeviceId, EdgeId
from messages.pack import Fault

MOST_ENTRIES = 200
MOST_BODY_BYTES = 64 * 1024
JSON = "application/json"

_Answer = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger("collector")


@dataclass(frozen=True, slots=True)
class Hands:
    """What may be done. All raise StoreError."""

    token: str
    entries: Callable[[int, int, Which], Awaitable[Sequence[Entry]]]
    """After an id, so many at most."""
    entry: Callable[[int], Awaitable[Entry | None]]
    retry: Callable[[Which], Awaitable[int]]
    """How many messages left the quarantine."""
    drop: Callable[[Which], Awaitable[int]]


class _Asked(BaseModel):
    """Which messages, and who wants it. Without anything that says which, `everything` must."""

    model_config = ConfigDict(extra="forbid")

    ids: list[int] = Field(default_factory=list, max_length=1000)
    reason: Fault | None = None
    edge: str | None = None
    device: str | None = None
    everything: bool = False
    actor: str = Field(default="", max_length=80)

    @property
    def which(self) -> Which:
        return Which(
            ids=tuple(self.ids),
            reason=self.reason,
            edge=EdgeId(self.edge) if self.edge is not None else None,
            device=DeviceId(self.device) if self.device is not None else None,
        )


def routes(hands: Hands | None) -> list[Route]:
    """Without a token there are none."""
    if hands is None:
        return []

    async def listed(request: Request) -> Response:
        query = request.query_params
        numbers = {name: query.get(name, "0") for name in ("after", "most")}
        if not all(text.isascii() and text.isdecimal() and len(text) < 16 for text in numbers.values()):
            return _no(400, "after and most are numbers")
        asked = {name: query[name] for name in ("reason", "edge", "device") if query.get(name)}
        which = _Asked.model_validate(asked).which
        most = min(int(numbers["most"]) or MOST_ENTRIES, MOST_ENTRIES)
        found = await hands.entries(int(numbers["after"]), most, which)
        return Response(orjson.dumps([as_row(entry) for entry in found]), media_type=JSON)

    async def shown(request: Request) -> Response:
        found = await hands.entry(request.path_params["number"])
        if found is None:
            return _no(404, "no such message")
        content = {**as_row(found), "payload": base64.b64encode(found.payload).decode()}
        return Response(orjson.dumps(content), media_type=JSON)

    async def retry(request: Request) -> Response:
        return await _act(request, "quarantine is taken again", hands.retry)

    async def drop(request: Request) -> Response:
        return await _act(request, "quarantine is dropped", hands.drop)

    return [
        Route("/quarantine/messages", _guarded(listed, hands.token)),
        Route("/quarantine/messages/{number:int}", _guarded(shown, hands.token)),
        Route("/quarantine/retry", _guarded(retry, hands.token), methods=["POST"]),
        Route("/quarantine/drop", _guarded(drop, hands.token), methods=["POST"]),
    ]


def _guarded(answer: _Answer, token: str) -> _Answer:
    async def checked(request: Request) -> Response:
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(shown.encode(), token.encode()):
            return _no(401, "the token is missing or wrong")
        try:
            return await answer(request)
        except ValidationError as error:
            return _no(400, complaint(error))
        except StoreError as error:
            return _no(503, str(error))

    return checked


async def _act(request: Request, said: str, act: Callable[[Which], Awaitable[int]]) -> Response:
    if request.headers.get("content-type", "").partition(";")[0].strip() != JSON:
        return _no(415, "JSON is wanted")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY_BYTES:
            return _no(413, "too large")
    asked = _Asked.model_validate_json(bytes(body))
    if asked.everything == (asked.which != Which()):
        return _no(400, "which messages? Say ids, reason, edge or device; or everything, and nothing else")
    count = await act(asked.which)
    log.info(said, actor=asked.actor or "?", messages=count)
    return Response(orjson.dumps({"messages": count}), media_type=JSON)


def as_row(entry: Entry) -> dict[str, object]:
    """An entry without its bytes."""
    return {
        "id": entry.id,
        "topic": entry.topic,
        "true_bytes": entry.true_bytes,
        "kept_bytes": len(entry.payload),
        "received_at_ms": entry.received_at_ms,
        "reasons": [
            {"fault": one.fault.value, "detail": one.detail, "device": one.device, "records": one.records}
            for one in entry.reasons
        ],
    }


def _no(status: int, why: str) -> Response:
    return Response(f"{why}\n", status, media_type="text/plain")
