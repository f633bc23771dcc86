"""The quarantine over HTTP: nothing without the token, everything that the command line can with it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from collector.intake.judge import Reason
from collector.quarantine.kept import Quarantine
from collector.quarantine.web import Hands, routes
from messages.pack import Fault
from tests.collector.test_quarantine import bad, unknown

TOKEN = "a-secret-for-this-test"
SHOWN = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    made = Quarantine(tmp_path / "quarantine.db")
    made.settle([bad(b"\x00\xff<script>", Reason(Fault.MALFORMED, "no JSON")), bad(b"b", unknown("gas-9"))])
    return made


@pytest.fixture
async def client(quarantine: Quarantine) -> AsyncIterator[httpx.AsyncClient]:
    async def entries(after: int, most: int, which: object) -> object:
        return quarantine.entries(after, most, which)  # type: ignore[arg-type]

    async def entry(number: int) -> object:
        return quarantine.entry(number)

    async def drop(which: object) -> int:
        return quarantine.drop(which)  # type: ignore[arg-type]

    hands = Hands(TOKEN, entries=entries, entry=entry, retry=drop, drop=drop)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(Starlette(routes=routes(hands)))
    async with httpx.AsyncClient(transport=transport, base_url="http://collector") as made:
        yield made


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN[:-1]}])
async def test_nobody_sees_or_does_anything_without_the_token(
    client: httpx.AsyncClient, quarantine: Quarantine, headers: dict[str, str]
) -> None:
    for path in ("/quarantine/messages", "/quarantine/messages/1"):
        assert (await client.get(path, headers=headers)).status_code == 401
    for path in ("/quarantine/retry", "/quarantine/drop"):
        assert (await client.post(path, headers=headers, json={"everything": True})).status_code == 401
    assert quarantine.count() == 2


async def test_a_message_is_shown_with_its_reasons_and_its_bytes_as_they_came(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/quarantine/messages", headers=SHOWN)).json()
    assert [one["id"] for one in listed] == [1, 2]
    assert listed[0]["reasons"] == [{"fault": "malformed", "detail": "no JSON", "device": None, "records": 1}]
    shown = (await client.get("/quarantine/messages/1", headers=SHOWN)).json()
    assert shown["payload"] == "AP88c2NyaXB0Pg=="
    assert (await client.get("/quarantine/messages/77", headers=SHOWN)).status_code == 404
    few = await client.get("/quarantine/messages?after=1&reason=unknown-device", headers=SHOWN)
    assert [one["id"] for one in few.json()] == [2]


async def test_what_is_dropped_must_be_named(client: httpx.AsyncClient, quarantine: Quarantine) -> None:
    for vague in ({}, {"ids": [1], "everything": True}, {"ids": ["x"]}, {"reason": "no such"}, {"more": 1}):
        assert (await client.post("/quarantine/drop", headers=SHOWN, json=vague)).status_code == 400
    form = await client.post("/quarantine/drop", headers=SHOWN, data={"everything": "true"})
    assert form.status_code == 415
    large = await client.post("/quarantine/drop", headers=SHOWN, json={"actor": "x" * 70_000})
    assert large.status_code == 413
    assert quarantine.count() == 2
    dropped = await client.post("/quarantine/drop", headers=SHOWN, json={"ids": [1], "actor": "chen"})
    assert dropped.json() == {"messages": 1}
    assert [entry.id for entry in quarantine.entries(0, 10)] == [2]
