"""Streams of logins that somebody else has ended, or given other places: as another process does, or the command."""

import asyncio
from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

import pytest

from console.access import ending
from console.access.sessions import Session
from console.feed import Feed
from console.fragments import Fragments
from console.rights import Scope
from console.words import load_words
from messages.kind import load_kinds
from messages.settings import Text
from tests.console.block import PASSWORD, Block

PATIENCE_S = 5


@pytest.fixture
async def feed(junmen: Block, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Feed]:
    monkeypatch.setattr(ending, "LOOK_EVERY_S", 0.02)
    fragments = Fragments(load_words(ZoneInfo("UTC")), load_kinds(), Text(zh="军门", en="Junmen"))
    made = Feed(junmen.desk, fragments, lambda: junmen.now_ms)
    watching = asyncio.create_task(ending.watching(made, junmen.accounts))
    yield made
    made.close()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


@pytest.mark.parametrize("how", ["ended", "disabled", "removed", "of another grid"])
async def test_a_stream_ends_with_its_login_whoever_has_ended_it_and_no_other_does(
    feed: Feed, junmen: Block, how: str
) -> None:
    scope = Scope(("junmen",), ("grid-1",))
    for name in ("lin", "wu"):
        junmen.accounts.add(name, PASSWORD, "worker", scope)
    one, other = (junmen.accounts.log_in(name, PASSWORD, "", junmen.now_ms) for name in ("lin", "wu"))
    assert isinstance(one, Session)
    assert isinstance(other, Session)
    mine = await feed.stream("en", one.id, None, scope)
    await feed.stream("en", other.id, None, scope)
    match how:
        case "ended":
            junmen.accounts.end("lin", actor="zhao", now_ms=junmen.now_ms)
        case "disabled":
            junmen.accounts.enable("lin", enabled=False, actor="zhao", now_ms=junmen.now_ms)
        case "removed":
            junmen.accounts.remove("lin", actor="zhao", now_ms=junmen.now_ms)
        case _:
            elsewhere = Scope(("junmen",), ("grid-2",))
            junmen.accounts.change("lin", "worker", elsewhere, None, actor="zhao", now_ms=junmen.now_ms)
    async with asyncio.timeout(PATIENCE_S):
        assert [message async for message in mine]
    assert feed.owners() == {(other.id, scope)}
