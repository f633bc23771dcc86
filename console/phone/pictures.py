"""Photos of cases: one at a time, raw, from a page of ours, and shown again without what a phone wrote into them beside the picture."""

import asyncio
import hmac
import re
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response

from console.accounts import form_token
from console.phone.bare import bare
from console.phone.holder import Held, Holder, NoSuchCase
from console.visit import NotOurForm, our_request
from rules.cases.photos import PhotoRefused

router = APIRouter()

PATH = re.compile(r"/(w/cases|c)/[^/]+/photos")
SORTS = (b"image/jpeg", b"image/png", b"image/webp")
AT_ONCE, OF_ONE = 4, 2
"""Uploads that are held in memory; for how long each may take, `console.access.rim` says."""
MOST_AN_HOUR = 60
HOUR_MS = 3_600_000


@dataclass
class Uploads:
    """What is under way, and what each person has sent lately; `app.state.uploads`."""

    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    sent: dict[str, deque[int]] = field(default_factory=dict)
    under_way: Counter[str] = field(default_factory=Counter)
    """Of each person: a second one may come while the server doesn't know yet that the first one's connection is dead."""

    def may(self, person: str, now_ms: int) -> bool:
        """Counts as an upload if so."""
        mine = self.sent.setdefault(person, deque())
        while mine and mine[0] <= now_ms - HOUR_MS:
            mine.popleft()
        if len(mine) >= MOST_AN_HOUR:
            return False
        mine.append(now_ms)
        return True

    @contextmanager
    def turn(self, person: str) -> Iterator[bool]:
        """Whether he may send one more now. Two that drip take no more than half of the room."""
        free = self.under_way[person] < OF_ONE
        self.under_way[person] += free
        try:
            yield free
        finally:
            self.under_way[person] -= free
            if not self.under_way[person]:
                del self.under_way[person]


async def upload(held: Held, request: Request, x_form_token: Annotated[str, Header()] = "") -> Response:
    """Keep a picture; its name is what `finish` asks for. The guard has bounded its size."""
    visit, uploads = held.visit, request.app.state.uploads
    our_request(request)
    if not hmac.compare_digest(x_form_token.encode(), form_token(visit.secret).encode()):
        raise NotOurForm
    if visit.parts.config.photos is None:
        return JSONResponse({"complaint": visit.words("phone.no_photos")}, 409)
    if not uploads.may(held.actor, visit.now_ms):
        return JSONResponse({"complaint": visit.words("error.429")}, 429, {"Retry-After": "600"})
    with uploads.turn(held.actor) as free:
        if not free:
            return JSONResponse({"complaint": visit.words("error.429")}, 429, {"Retry-After": "10"})
        return await _kept(held, request, uploads)


async def _kept(held: Holder, request: Request, uploads: Uploads) -> Response:
    visit, desk = held.visit, held.visit.parts.desk
    async with uploads.room:
        content = await request.body()
        try:
            photo = await run_sync(desk.keep_photo, content)
        except PhotoRefused as refusal:
            return JSONResponse({"complaint": visit.words(f"phone.{refusal}")}, 400)
    return JSONResponse({"photo": photo.sha256})


def photo(held: Held) -> Response:
    """The picture of a case that is done."""
    kept = held.case.photo
    content = held.visit.parts.desk.photo(kept) if kept else None
    if kept is None or content is None:
        raise NoSuchCase
    return Response(bare(content, kept.media), media_type=kept.media)


for base in ("/w/cases/{case_id}", "/c/{link}"):
    router.add_api_route(f"{base}/photos", upload, methods=["POST"])
    router.add_api_route(f"{base}/photo", photo, methods=["GET"])


def takes(method: str, path: str) -> bool:
    """Whether a request may carry a picture."""
    return method == "POST" and PATH.fullmatch(path) is not None
