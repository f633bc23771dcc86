"""Cases, alarms and changes out: whole pages, nothing twice, and never another site's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
import xmlschema
from fastapi import FastAPI
from starlette.types import Message

from console.api import changes
from console.tokens import Tokens
from rules.notices.channels.http import Http
from rules.outside import deliveries
from rules.outside.hook import Hook
from tests.backups import back_up, file_of, restore
from tests.console.api.conftest import Calls
from tests.console.block import Block
from tests.services import ROOT


async def test_a_case_is_read_with_its_alarms_and_its_log(junmen: Block, calls: Calls) -> None:
    alarm = junmen.raise_alarm()
    assert alarm.case
    junmen.desk.accept(alarm.case.id, actor="lin", at_ms=junmen.now_ms)
    async with calls("read") as client:
        found = (await client.get(f"/cases/{alarm.case.id}")).json()
    assert (found["state"], found["accepted_by"], found["level"]) == ("accepted", "lin", "red")
    assert [one["id"] for one in found["alarms"]] == [alarm.id]
    assert {"alarm.raised", "case.registered", "case.accepted"} <= {line["event"] for line in found["log"]}
    assert found["upstream"] is None


async def test_pages_hold_every_case_once_while_others_come(junmen: Block, calls: Calls) -> None:
    known = [junmen.raise_alarm(f"gas-{n}", ago_ms=60_000 if n < 4 else 30_000) for n in range(7)]
    seen, cursor = list[str](), None
    async with calls("read") as client:
        while True:
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await client.get("/cases", params=query)).json()
            seen += [case["id"] for case in page["cases"]]
            if len(seen) == 2:
                known.append(junmen.raise_alarm("gas-late"))
            if (cursor := page["next"]) is None:
                break
    assert sorted(seen) == sorted(alarm.case.id for alarm in known if alarm.case)


async def test_filters_hold_together(junmen: Block, calls: Calls) -> None:
    junmen.raise_alarm("gas-1")
    cover = junmen.raise_alarm("cover-1", level="orange", kind="manhole_cover")
    assert cover.case
    async with calls("read") as client:
        query: dict[str, Any] = {"level": ["orange", "yellow"], "kind": "manhole_cover", "open": True}
        assert [c["id"] for c in (await client.get("/cases", params=query)).json()["cases"]] == [cover.case.id]
        assert [a["id"] for a in (await client.get("/alarms", params=query)).json()["alarms"]] == [cover.id]
        assert (await client.get("/cases", params={"open": False})).json() == {"cases": [], "next": None}
        assert (await client.get("/alarms", params={"until_ms": junmen.now_ms})).json()["alarms"] == []


async def test_a_poll_goes_on_where_it_was(junmen: Block, calls: Calls) -> None:
    junmen.raise_alarm("gas-0")
    async with calls("read") as client:
        begun = (await client.get("/changes")).json()
        assert (begun["changes"], begun["anew"]) == ([], True)
        alarm = junmen.raise_alarm("gas-1")
        first = (await client.get("/changes", params={"after": begun["position"], "limit": 1})).json()
        assert (first["more"], [one["event"] for one in first["changes"]]) == (True, ["alarm.raised"])
        rest = (await client.get("/changes", params={"after": first["position"]})).json()
        assert [(one["event"], one["site"]) for one in rest["changes"]] == [("case.registered", "junmen")]
        assert alarm.case
        assert rest["changes"][0]["case"] == alarm.case.id
        assert (await client.get("/changes", params={"after": rest["position"]})).json()["changes"] == []
        other = (await client.get("/changes", params={"after": "beef-1"})).json()
        assert (other["changes"], other["position"], other["anew"]) == ([], rest["position"], True)
        assert (first["anew"], rest["anew"]) == (False, False)


async def test_a_stream_says_in_its_midst_that_the_log_it_told_of_is_no_more(
    junmen: Block, calls: Calls, tokens: Tokens
) -> None:
    file = file_of(junmen.config.database)
    secret = tokens.add("city", ["read"], junmen.now_ms, days=1, sites=["junmen"])
    junmen.raise_alarm("gas-0")
    back_up(file, file.with_name("copy.db"))
    async with calls("read") as client:
        position = (await client.get("/changes")).json()["position"]
    junmen.raise_alarm("lost")
    async with streamed(junmen, secret, position) as pieces:
        told: list[tuple[str, str]] = []
        while len(told) < 2:
            told += changes_in(await asyncio.wait_for(pieces.get(), 10))
        restore(file.with_name("copy.db"), file)
        junmen.raise_alarm("after")
        assert junmen.desk.position().seq == int(told[-1][1].partition("-")[2])
        while (piece := await asyncio.wait_for(pieces.get(), 10)) is not None and b"event: anew" not in piece:
            assert changes_in(piece) == []
        assert piece == f'event: anew\nid: {junmen.desk.position()}\ndata: "{junmen.desk.position()}"\n\n'.encode()
        junmen.raise_alarm("later")
        while len(told) < 4:
            told += changes_in(await asyncio.wait_for(pieces.get(), 10))
        tokens.revoke("city", junmen.now_ms)


async def test_a_stream_tells_each_change_once_and_ends_with_its_token(
    junmen: Block, calls: Calls, tokens: Tokens
) -> None:
    secret = tokens.add("city", ["read"], junmen.now_ms, days=1, sites=["junmen"])
    async with calls("read") as client:
        position = (await client.get("/changes")).json()["position"]
    async with streamed(junmen, secret, position) as pieces:
        told: list[tuple[str, str]] = []
        for name in ("gas-1", "gas-2"):
            junmen.raise_alarm(name)
            while len(told) < (2 if name == "gas-1" else 4):
                told += changes_in(await asyncio.wait_for(pieces.get(), 60))
        tokens.revoke("city", junmen.now_ms)
        while (piece := await asyncio.wait_for(pieces.get(), 60)) is not None:
            assert changes_in(piece) == []
    assert [event for event, _ in told] == ["alarm.raised", "case.registered"] * 2
    seqs = [int(position.partition("-")[2]) for _, position in told]
    assert seqs == sorted(set(seqs))


async def test_one_system_leaves_room_for_the_streams_of_others(
    junmen: Block, calls: Calls, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_OF_A_TOKEN", 1)
    secrets = {name: tokens.add(name, ["read"], junmen.now_ms, days=1, sites=["junmen"]) for name in ("city", "water")}
    async with calls("read") as client:
        position = (await client.get("/changes")).json()["position"]
        web = junmen.console()
        async with streamed(junmen, secrets["city"], position, web) as pieces:
            await asyncio.wait_for(pieces.get(), 60)
            async with streamed(junmen, secrets["city"], position, web) as refused:
                assert b"too many streams of this token" in (await asyncio.wait_for(refused.get(), 60) or b"")
            async with streamed(junmen, secrets["water"], position, web) as others:
                assert b"event: position" in (await asyncio.wait_for(others.get(), 60) or b"")
                for name in secrets:
                    tokens.revoke(name, junmen.now_ms)


def changes_in(piece: bytes | None) -> list[tuple[str, str]]:
    """Each with its event and the id under which a reader goes on."""
    assert piece is not None
    blocks = [block.split("\n") for block in piece.decode().split("\n\n") if block.startswith("event: change")]
    return [(orjson.loads(lines[2].removeprefix("data: "))["event"], lines[1].removeprefix("id: ")) for lines in blocks]


@asynccontextmanager
async def streamed(
    junmen: Block, secret: str, position: str, web: FastAPI | None = None
) -> AsyncIterator[asyncio.Queue[bytes | None]]:
    """The pieces of a stream as they leave; None at its end."""
    pieces, over = asyncio.Queue[bytes | None](), asyncio.Event()
    asked = [False]

    async def receive() -> Message:
        if asked[0]:
            await over.wait()
            return {"type": "http.disconnect"}
        asked[0] = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            if message["body"]:
                pieces.put_nowait(message["body"])
            if not message.get("more_body"):
                pieces.put_nowait(None)

    headers = [(b"authorization", f"Bearer {secret}".encode()), (b"last-event-id", position.encode())]
    path = "/api/v1/changes/stream"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("console", 80),
    }
    serving = asyncio.create_task((web or junmen.console())(scope, receive, send))
    try:
        yield pieces
    finally:
        over.set()
        await serving


@pytest.mark.parametrize("path", ["/cases", "/alarms", "/changes", "/changes/stream", "/openapi.json", "/cases/x"])
async def test_nothing_is_read_without_a_token(path: str, calls: Calls) -> None:
    async with calls() as nobody:
        answer = await nobody.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        assert answer.json()["errors"][0]["field"] == "header.authorization"
        nobody.headers["authorization"] = "Bearer gct_guessed"
        assert (await nobody.get(path)).status_code == 401


async def test_a_token_of_one_site_sees_nothing_of_another(junmen: Block, calls: Calls) -> None:
    async with calls("read", "report", "act", "admin", sites=("xicheng",)) as other:
        start = (await other.get("/changes")).json()["position"]
        alarm = junmen.raise_alarm()
        assert alarm.case
        news = (await other.get("/changes", params={"after": start})).json()
        assert (news["changes"], news["anew"], news["position"] == start) == ([], False, False)
        assert (await other.get("/cases")).json()["cases"] == []
        assert (await other.get("/alarms")).json()["alarms"] == []
        for path in (f"/cases/{alarm.case.id}", f"/alarms/{alarm.id}"):
            for form in ("", "/cap"):
                assert (await other.get(path + form)).status_code == 404
        assert (await other.get("/webhooks")).status_code == 403
        asked = await other.get("/cases", params={"site": "junmen"})
        assert (asked.status_code, asked.json()["errors"][0]["field"]) == (403, "query.site")


async def test_alarm_and_case_are_had_as_cap_for_the_system_that_asks(junmen: Block, calls: Calls) -> None:
    schema = xmlschema.XMLSchema(ROOT / "tests/golden/cap/cap12.xsd")
    alarm = junmen.raise_alarm()
    assert alarm.case
    junmen.desk.accept(alarm.case.id, actor="lin", at_ms=junmen.now_ms)
    async with calls("read", name="city") as client:
        for path, kind in ((f"/alarms/{alarm.id}/cap", "Update"), (f"/cases/{alarm.case.id}/cap", "Update")):
            answer = await client.get(path)
            assert answer.headers["content-type"].startswith("application/cap+xml")
            schema.validate(answer.text)
            assert f"<msgType>{kind}</msgType>" in answer.text
            assert "<addresses>city</addresses>" in answer.text
            assert "<polygon>26.0" in answer.text, "the building's outline, from the site's plan"
            assert "<references>gridcall.junmen." in answer.text


async def test_webhooks_are_kept_by_who_may_everywhere(junmen: Block, calls: Calls) -> None:
    async with calls("admin", sites=()) as keeper, calls("read", sites=()) as reader:
        assert (await keeper.get("/webhooks")).json() == {"webhooks": []}
        assert (await keeper.post("/webhooks/city/enable")).status_code == 404
        assert (await keeper.post("/webhooks/city/replay", json={"since_ms": 0})).status_code == 404
        assert (await reader.get("/webhooks")).status_code == 403
        with junmen.database.writing() as connection:
            hook = Hook(name="city", url="", key=b"", events=("*",), sites=None, format="json", http=Http())
            deliveries.fill(connection, hook, lambda _: None, junmen.now_ms)
        junmen.raise_alarm()
        assert (await keeper.post("/webhooks/city/enable")).status_code == 204
        assert (await keeper.post("/webhooks/city/replay", json={"since_ms": 0})).json() == {"lines": 0}
        assert [one["name"] for one in (await keeper.get("/webhooks")).json()["webhooks"]] == ["city"]


async def test_a_token_does_no_more_than_its_rights(junmen: Block, calls: Calls) -> None:
    async with calls("report") as client:
        answer = await client.get("/cases")
        assert (answer.status_code, answer.json()["reason"]) == (403, "right-read")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "query.limit"),
        ("level=purple", "query.level.0"),
        ("cursor=bm8", "query.cursor"),
        ("cursor=%F0%9F", "query.cursor"),
        ("since_ms=-1", "query.since_ms"),
        ("site=A%20b", "query.site.0"),
    ],
)
async def test_a_wrong_field_is_named(query: str, field: str, calls: Calls) -> None:
    async with calls("read") as client:
        answer = await client.get(f"/cases?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [one["field"] for one in answer.json()["errors"]] == [field]


async def test_the_description_is_served_to_who_has_a_token(calls: Calls) -> None:
    async with calls("report") as client:
        found = (await client.get("/openapi.json")).json()
    assert found["openapi"].startswith("3.1")
    assert found["servers"] == [{"url": "/api/v1"}]
    assert {"/cases", "/cases/{case_id}", "/alarms", "/changes", "/changes/stream"} <= found["paths"].keys()


async def test_answers_carry_the_headers_of_the_pages(calls: Calls) -> None:
    async with calls("read") as client:
        answer: httpx.Response = await client.get("/cases")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
