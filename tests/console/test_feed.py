"""The live feed from the inside: what a page hears, in which order, and who is cut off."""

import asyncio
import json
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from console import audience
from console import feed as feeding
from console.feed import Feed, Full
from console.fragments import Fragments
from console.rights import EVERYWHERE, Scope
from console.words import load_words
from messages.kind import load_kinds
from messages.settings import Text
from rules.records import Position
from rules.store.database import Database
from rules.store.sqlite import set_aside
from tests.backups import back_up, file_of, restore
from tests.console.block import Block
from tests.rules.room import mend

PATIENCE_S = 5


@dataclass
class Heard:
    """One message."""

    event: str
    number: Position | None
    content: dict[str, Any]


def parsed(message: bytes) -> Heard | None:
    fields = dict(line.split(": ", 1) for line in message.decode().splitlines() if line)
    if fields.get("event", "begin") in ("begin", "end"):
        return None
    return Heard(fields["event"], Position.parse(fields.get("id", "")), json.loads(fields["data"]))


@pytest.fixture
async def feed(junmen: Block, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Feed]:
    """Bounds that a test can reach."""
    for name, value in {"LOOK_EVERY_S": 0.02, "QUEUE": 8, "STEPS_KEPT": 4}.items():
        monkeypatch.setattr(feeding, name, value)
    fragments = Fragments(load_words(ZoneInfo("UTC")), load_kinds(), Text(zh="军门", en="Junmen"))
    made = Feed(junmen.desk, fragments, lambda: junmen.now_ms)
    running = asyncio.create_task(made.run())
    yield made
    made.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def page(
    feed: Feed, after: Position | None, language: Any = "en", scope: Scope = EVERYWHERE
) -> AsyncIterator[Callable[..., Any]]:
    """A page that listens; the context gives `hear(*events)`, the next message of one of these events."""
    stream = await feed.stream(language, "somebody", after, scope)
    unread = deque[bytes]()

    async def hear(*events: str) -> Heard:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                while unread:
                    heard = parsed(unread.popleft())
                    if heard and heard.event in events:
                        return heard
                unread.extend((await anext(stream)).split(b"\n\n"))

    try:
        yield hear
    finally:
        await stream.aclose()  # type: ignore[attr-defined]


async def test_a_new_alarm_reaches_the_page_with_the_number_of_the_log(feed: Feed, junmen: Block) -> None:
    async with page(feed, junmen.desk.position()) as hear:
        await hear("beat")
        alarm = junmen.raise_alarm()
        step = await hear("step")
        assert step.number == junmen.desk.position()
        (entry,) = step.content["now"]
        assert entry["id"] == alarm.id
        assert "Gas leak" in entry["html"]
        assert entry["say"] == "New alarm: Red, Gas leak, 3号楼2单元101厨房"
        assert entry["calls"]


async def test_each_page_hears_its_own_language(feed: Feed, junmen: Block) -> None:
    async with page(feed, junmen.desk.position(), "zh") as hear:
        await hear("beat")
        junmen.raise_alarm()
        assert "燃气泄漏" in (await hear("step")).content["now"][0]["html"]


async def test_a_step_tells_what_changed_and_what_is_over_and_nothing_else(feed: Feed, junmen: Block) -> None:
    first, second = junmen.raise_alarm("d-1"), junmen.raise_alarm("d-2")
    assert first.case
    async with page(feed, junmen.desk.position()) as hear:
        await hear("beat")
        junmen.desk.accept(first.case.id, actor="chen", at_ms=junmen.now_ms)
        step = await hear("step")
        assert [entry["id"] for entry in step.content["now"]] == [first.id]
        assert not step.content["now"][0]["calls"]
        junmen.desk.arrive(first.case.id, actor="chen", at_ms=junmen.now_ms)
        junmen.return_to_normal(first)
        mend(junmen.desk, first.case.id, at_ms=junmen.now_ms)
        while not (step := await hear("step")).content["gone"]:
            assert second.id not in [entry["id"] for entry in step.content["now"]]
        assert step.content == {"gone": [first.id], "now": [], "counts": {"red": 1}}


async def test_who_comes_back_hears_what_was_missed_once(feed: Feed, junmen: Block) -> None:
    async with page(feed, junmen.desk.position()) as hear:
        await hear("beat")
        junmen.raise_alarm("d-1")
        last = (await hear("step")).number
    missed = [junmen.raise_alarm(f"d-{number}").id for number in (2, 3)]
    heard: list[str] = []
    async with page(feed, last) as hear:
        while len(heard) < 2:
            step = await hear("step", "list")
            assert step.event == "step"
            heard += [entry["id"] for entry in step.content["now"]]
        assert sorted(heard) == sorted(missed)
        assert step.number == junmen.desk.position()


@pytest.mark.parametrize("who", ["knows nothing", "is of another log", "is ahead"])
async def test_who_knows_nothing_or_another_log_gets_the_whole_list(feed: Feed, junmen: Block, who: str) -> None:
    async with page(feed, junmen.desk.position()) as hear:
        await hear("beat")
        alarms = {junmen.raise_alarm(f"d-{number}").id for number in range(2)}
        while (await hear("step")).number != junmen.desk.position():
            pass
    mark, seq = junmen.desk.position().mark, junmen.desk.position().seq
    others = {"knows nothing": None, "is of another log": Position("f00", seq), "is ahead": Position(mark, 10_000)}
    async with page(feed, others[who]) as hear:
        whole = await hear("list", "step")
        assert whole.event == "list"
        assert {entry["id"] for entry in whole.content["all"]} == alarms
        assert whole.number == junmen.desk.position()


async def test_who_was_away_for_longer_than_steps_are_kept_gets_the_whole_list(feed: Feed, junmen: Block) -> None:
    async with page(feed, junmen.desk.position()) as hear:
        await hear("beat")
        long_ago = junmen.desk.position()
        for number in range(feeding.STEPS_KEPT + 1):
            junmen.raise_alarm(f"d-{number}")
            await hear("step")
    async with page(feed, long_ago) as hear:
        assert len((await hear("list", "step")).content["all"]) == feeding.STEPS_KEPT + 1


async def test_a_beat_tells_how_far_the_page_may_be_believed(feed: Feed, junmen: Block) -> None:
    async with page(feed, None) as hear:
        assert (await hear("beat")).content["verdict"] == "live"
        junmen.now_ms += 10_000
        while (beat := await hear("beat")).content["verdict"] == "live":
            pass
        assert beat.content["verdict"] == "blind"
        assert "has stopped: last heartbeat 10 s ago" in beat.content["reasons"]


async def test_without_its_database_the_feed_says_so_and_goes_on_when_it_is_back(feed: Feed, junmen: Block) -> None:
    def rename(table: str, to: str) -> None:
        with junmen.database.writing() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {to}")

    async with page(feed, junmen.desk.position()) as hear:
        await hear("beat")
        assert feed.alive
        await asyncio.to_thread(rename, "log", "log_elsewhere")
        while (beat := await hear("beat")).content["verdict"] != "blind":
            pass
        assert "database can't be read" in beat.content["reasons"]
        assert not feed.alive
        await asyncio.to_thread(rename, "log_elsewhere", "log")
        alarm = await asyncio.to_thread(junmen.raise_alarm)
        assert (await hear("step")).content["now"][0]["id"] == alarm.id
        while (await hear("beat")).content["verdict"] == "blind":
            pass


async def test_another_database_under_the_same_name_is_told_as_a_whole(feed: Feed, junmen: Block) -> None:
    junmen.raise_alarm("d-1")
    async with page(feed, junmen.desk.position()) as hear:
        await hear("beat")
        with junmen.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM log WHERE seq > 1")
        assert (await hear("list", "step")).event == "list"


async def test_a_page_that_slept_while_the_database_was_set_back_gets_the_whole_list_when_the_log_has_grown_past_it(
    feed: Feed, junmen: Block
) -> None:
    file = file_of(junmen.config.database)
    kept = junmen.raise_alarm("d-1")
    back_up(file, file.with_name("copy.db"))
    async with page(feed, junmen.desk.position()) as hear:
        await hear("beat")
        junmen.raise_alarm("lost-1")
        junmen.raise_alarm("lost-2")
        while (last := (await hear("step")).number) != junmen.desk.position():
            pass
        assert last
        restore(file.with_name("copy.db"), file)
        whole = await hear("list", "step")
        assert (whole.event, whole.number) == ("list", junmen.desk.position())
        after = [junmen.raise_alarm(f"after-{number}").id for number in range(3)]
        while (await hear("step")).number != junmen.desk.position():
            pass
    async with page(feed, last) as hear:
        whole = await hear("list", "step")
        assert whole.event == "list"
        assert {entry["id"] for entry in whole.content["all"]} == {kept.id, *after}


async def test_a_console_that_did_not_see_its_database_being_set_back_tells_the_whole_when_the_log_has_grown_past_it(
    junmen: Block,
) -> None:
    file = file_of(junmen.config.database)
    junmen.raise_alarm("d-1")
    back_up(file, file.with_name("copy.db"))
    junmen.raise_alarm("lost")
    fragments = Fragments(load_words(ZoneInfo("UTC")), load_kinds(), Text(zh="军门", en="Junmen"))
    feed = Feed(junmen.desk, fragments, lambda: junmen.now_ms)
    async with page(feed, None) as hear:  # it looks when somebody comes, and not by itself
        assert len((await hear("list")).content["all"]) == 2
        restore(file.with_name("copy.db"), file)
        after = [junmen.raise_alarm(f"after-{number}").id for number in range(2)]
        async with page(feed, junmen.desk.position()):
            whole = await hear("list", "step")
            assert whole.event == "list"
            assert after[0] in {entry["id"] for entry in whole.content["all"]}
            assert len(whole.content["all"]) == 3
    feed.close()


async def test_a_page_that_does_not_read_is_cut_off_and_costs_no_more_memory(feed: Feed, junmen: Block) -> None:
    stream = await feed.stream("en", "somebody", junmen.desk.position())
    async with page(feed, junmen.desk.position()) as hear:
        number = 0
        while feed.readers > 1:
            junmen.raise_alarm(f"d-{number}")
            number += 1
            await hear("step")
    assert number <= 2 * feeding.QUEUE  # two alarms may be one message when they come in one look
    left = [message async for message in stream]
    assert [parsed(one) for one in left] == [None], "its beginning"


@asynccontextmanager
async def wired(feed: Feed, after: Position) -> AsyncIterator[tuple[list[bytes], socket.socket, asyncio.Transport]]:
    """A page with the connection below it: what comes through the web server, and the other end of the connection."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    stream = await feed.stream("en", "somebody", after, wire=transport)
    through = list[bytes]()

    async def serve() -> None:
        async for message in stream:
            through.append(message)

    serving = asyncio.create_task(serve())
    yield through, theirs, transport
    transport.abort()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    theirs.close()


async def test_what_comes_after_the_beginning_is_written_to_the_connection_in_chunks(feed: Feed, junmen: Block) -> None:
    async with wired(feed, junmen.desk.position()) as (through, theirs, _), asyncio.timeout(PATIENCE_S):
        while not through:
            await asyncio.sleep(0.01)
        alarm, raw = junmen.raise_alarm("d-1"), b""
        while alarm.id.encode() not in raw:
            raw += await asyncio.get_running_loop().sock_recv(theirs, 65536)
        assert not any(alarm.id.encode() in one for one in through)
        messages = list[bytes]()
        while raw:
            size, _, raw = raw.partition(b"\r\n")
            messages.append(raw[: int(size, 16)])
            assert raw[int(size, 16) :][:2] == b"\r\n"
            raw = raw[int(size, 16) + 2 :]
        (step,) = (heard for one in messages if (heard := parsed(one)) and heard.event == "step")
        assert [one["id"] for one in step.content["now"]] == [alarm.id]
        feed.drop("somebody")
        while feed.readers:
            await asyncio.sleep(0.01)


async def test_a_connection_that_takes_nothing_is_ended_before_much_waits_for_it(
    feed: Feed, junmen: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "MOST_UNREAD_BYTES", 20_000)
    async with wired(feed, junmen.desk.position()) as (_, _, transport), page(feed, junmen.desk.position()) as hear:
        number = most = 0
        while feed.readers > 1:
            junmen.raise_alarm(f"d-{number}", place="很长的地址" * 30)
            number += 1
            await hear("step")
            most = max(most, transport.get_write_buffer_size())
        assert transport.is_closing()
        assert 0 < most < 40_000


async def test_the_end_of_a_login_ends_its_streams_and_no_others(feed: Feed) -> None:
    mine, other = await feed.stream("en", "me", None), await feed.stream("en", "another", None)
    feed.drop("me")
    async with asyncio.timeout(PATIENCE_S):
        assert [parsed(message) async for message in mine] == [None], "its beginning"
    assert feed.readers == 1
    await other.aclose()  # type: ignore[attr-defined]


async def test_streams_end_by_themselves_when_the_console_stops(feed: Feed) -> None:
    stream = await feed.stream("en", "me", None)
    feed.close()
    async with asyncio.timeout(PATIENCE_S):
        assert [parsed(message) async for message in stream] == [None], "its beginning"
    with pytest.raises(Full):
        await feed.stream("en", "me", None)


async def test_a_stream_ends_now_and_then_so_that_a_login_that_is_over_is_noticed(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "READER_LIFE_S", 0.05)
    async with asyncio.timeout(PATIENCE_S):
        messages = [message async for message in await feed.stream("en", "me", None)]
    assert messages[-1] == feeding.END


async def test_there_is_an_end_to_the_number_of_pages(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "MOST_READERS", 1)
    await feed.stream("en", "me", None)
    with pytest.raises(Full):
        await feed.stream("en", "me", None)


async def test_one_login_with_all_its_pages_leaves_room_for_the_others(feed: Feed) -> None:
    streams = [await feed.stream("en", "hostile", None) for _ in range(feeding.MOST_OF_A_LOGIN)]
    with pytest.raises(Full):
        await feed.stream("en", "hostile", None)
    await feed.stream("en", "me", None)
    feed.drop("hostile")
    assert feed.readers == 1
    await feed.stream("en", "hostile", None)
    assert len(streams) < feeding.MOST_READERS / 20, "all twenty logins of one account leave half of it"


async def test_steps_and_lists_count_all_open_alarms(
    feed: Feed, junmen: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "MOST_ROWS", 1)
    junmen.raise_alarm("d-1")
    async with page(feed, None) as hear:
        assert (await hear("list")).content["counts"] == {"red": 1}
        junmen.raise_alarm("d-2")
        junmen.raise_alarm("d-3", level="blue")
        while (heard := await hear("step")).content["counts"] != {"red": 2, "blue": 1}:
            pass
        assert heard.content["now"] == []


async def test_a_file_that_takes_the_place_of_the_database_is_read_and_told_as_a_whole(
    feed: Feed, junmen: Block
) -> None:
    junmen.raise_alarm("d-1")
    async with page(feed, junmen.desk.position()) as hear:
        await hear("beat")
        set_aside(junmen.config.database, 5)
        Database(junmen.config.database).close()
        heard = await hear("list", "step")
        assert (heard.event, heard.content["all"]) == ("list", [])
        while (await hear("beat")).content["verdict"] != "blind":  # no engine has written there yet
            pass


ONE, TWO = Scope(grids=("grid-1",)), Scope(("junmen",), ("junmen/grid-2",))


async def test_each_reader_hears_of_its_own_grids_and_of_no_others(feed: Feed, junmen: Block) -> None:
    start = junmen.desk.position()
    async with page(feed, start, scope=ONE) as one, page(feed, start, scope=TWO) as two, page(feed, start) as every:
        await every("beat")
        first, second = junmen.raise_alarm("d-1"), junmen.raise_alarm("d-2", grid="grid-2", level="blue")
        heard = [(await listen("step")).content for listen in (one, two)]
        assert [[entry["id"] for entry in step["now"]] for step in heard] == [[first.id], [second.id]]
        assert [step["counts"] for step in heard] == [{"red": 1}, {"blue": 1}]
        found: set[str] = set()
        while found != {first.id, second.id}:
            found |= {entry["id"] for entry in (await every("step")).content["now"]}
        assert first.case
        junmen.desk.accept(first.case.id, actor="chen", at_ms=junmen.now_ms)
        assert [entry["id"] for entry in (await one("step")).content["now"]] == [first.id]
        junmen.raise_alarm("d-3", grid="grid-2", level="yellow")
        assert (await two("step")).content["counts"] == {"blue": 1, "yellow": 1}  # nothing of grid 1 came before it


async def test_who_heard_nothing_because_nothing_concerned_it_catches_up_without_the_whole_list(
    feed: Feed, junmen: Block
) -> None:
    async with page(feed, junmen.desk.position(), scope=ONE) as hear:
        await hear("beat")
        for number in range(feeding.STEPS_KEPT + 2):
            junmen.raise_alarm(f"d-{number}", grid="grid-2")
        while (beat := await hear("beat", "step", "list")).number != junmen.desk.position():
            assert beat.event == "beat"
    mine = junmen.raise_alarm("mine")
    async with page(feed, beat.number, scope=ONE) as hear:
        step = await hear("step", "list")
        assert (step.event, [entry["id"] for entry in step.content["now"]]) == ("step", [mine.id])


async def test_a_row_is_made_once_for_all_scopes_and_a_message_once_for_all_readers(
    feed: Feed, junmen: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, str]] = []
    entry = Fragments.entry

    def counted(self: Fragments, alarm: Any, language: Any, now_ms: int) -> dict[str, object]:
        made.append((alarm.id, language))
        return entry(self, alarm, language, now_ms)

    monkeypatch.setattr(Fragments, "entry", counted)
    start = junmen.desk.position()
    async with (
        page(feed, start, scope=ONE) as one,
        page(feed, start, "zh", ONE) as chinese,
        page(feed, start) as every,
        page(feed, start) as again,
    ):
        await every("beat")
        alarm = junmen.raise_alarm()
        for listen in (one, chinese, every, again):
            await listen("step")
        assert sorted(made) == [(alarm.id, "en"), (alarm.id, "zh")]


async def test_a_beat_speaks_of_the_edges_of_ones_own_sites(feed: Feed, junmen: Block) -> None:
    junmen.put_edge("pi-9", online=False)
    async with page(feed, None) as every, page(feed, None, scope=Scope(("elsewhere",))) as other:
        assert "pi-9" in (await every("beat")).content["edges"]
        assert "pi-9" not in (await other("beat")).content["edges"]
