"""What happens, for who must not miss any of it: the log since a position, as a poll and as server-sent events.

A position names a line of this log. Who comes with none, or with one that the log doesn't hold, as after the database was set back to a copy, learns
where the log is now, reads `anew`, and has to read the lists first. Else nothing is told twice and nothing is left out: lines become visible in the
order of their numbers.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

import orjson
from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from console.api.caller import Caller, Reader, Works
from console.api.problem import Problem, wrong_field
from console.api.shapes import MOST_AT_ONCE, ChangeOut, Changes
from rules.outside.reading import Change
from rules.records import MOST_POSITION, Position
from rules.store.database import DatabaseAway

router = APIRouter(tags=["out"])

LOOK_EVERY_S = 0.5
BEAT_EVERY_S = 15.0
STREAM_LIFE_S = 600.0
"""A stream ends after this; whoever reads comes back with Last-Event-ID."""
MOST_STREAMS = 100
MOST_OF_A_TOKEN = 10
"""One system that opens stream after stream leaves room for the others."""

After = Annotated[str | None, Query(max_length=MOST_POSITION, description="`position` of the answer before.")]


@router.get("/changes", summary="What happened since a position")
def changes(caller: Reader, after: After = None, limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 100) -> Changes:
    return Changes.of(caller.desk.changes_for(caller.sites, _position(after), limit), limit)


@router.get(
    "/changes/stream",
    summary="The same as server-sent events, as they happen",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream(
    caller: Reader,
    request: Request,
    after: After = None,
    last_event_id: Annotated[str | None, Header(max_length=MOST_POSITION)] = None,
) -> StreamingResponse:
    """Event `change`, its id the position behind it; event `position` at the beginning; and event `anew`, whose data is a position too: the log doesn't
    hold the given one, or no longer, and the lists have to be read first."""
    position = _position(last_event_id or after)
    state = request.app.state
    if state.streams.total() >= MOST_STREAMS:
        raise Problem(503, "too many streams are open", headers={"retry-after": "10"})
    if state.streams[caller.token.name] >= MOST_OF_A_TOKEN:
        raise Problem(429, "too many streams of this token are open", headers={"retry-after": "10"})
    return StreamingResponse(_events(state, caller, position), media_type="text/event-stream")


async def _events(state: "_Streams", caller: Caller, after: Position | None) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    ends_s, beat_s, told = loop.time() + STREAM_LIFE_S, 0.0, False
    state.streams[caller.token.name] += 1
    try:
        while loop.time() < ends_s and await run_sync(_still_holds, state.works, caller):
            found: tuple[Change, ...] = ()
            with suppress(DatabaseAway):
                news = await run_sync(caller.desk.changes_for, caller.sites, after, MOST_AT_ONCE)
                found = news.changes
                for change in found:
                    content = orjson.dumps(ChangeOut.of_change(change).model_dump())
                    yield b"event: change\nid: %s\ndata: %s\n\n" % (str(change.position).encode(), content)
                if not told or news.anew:
                    event = b"anew" if news.anew and after is not None else b"position"
                    yield b'event: %s\nid: %s\ndata: "%s"\n\n' % (event, *((str(news.position).encode(),) * 2))
                    told = True
                after = news.position
            if loop.time() - beat_s >= BEAT_EVERY_S:
                beat_s = loop.time()
                yield b": alive\n\n"
            if len(found) < MOST_AT_ONCE:
                await asyncio.sleep(LOOK_EVERY_S)
    finally:
        state.streams[caller.token.name] -= 1


def _still_holds(ours: Works, caller: Caller) -> bool:
    """A token that was revoked or is over ends its streams."""
    now_ms = ours.clock_ms()
    return any(one.name == caller.token.name and one.holds(now_ms) for one in ours.tokens.all())


class _Streams:
    """What of the application's state is used here."""

    streams: Counter[str]
    """Those that are open, by their tokens' names."""
    works: Works


def _position(text: str | None) -> Position | None:
    if text is None:
        return None
    found = Position.parse(text)
    if found is None or found.seq > 2**62:
        raise wrong_field("query.after", "not a `position` of an answer before")
    return found
