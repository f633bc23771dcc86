"""A real engine tells another system, and a kill -9 in mid-delivery loses nothing of it and confuses nothing."""

import base64
from pathlib import Path

from tests import services
from tests.fakes import Answer, provider
from tests.integration.rules_engine import announce, edge, engine, hearing, now_ms, reading, send, until


def settings(folder: Path, url: str) -> str:
    (folder / "city.secret").write_text(f"whsec_{base64.b64encode(b'k' * 32).decode()}\n")
    return f"""
[webhooks.city]
url = "{url}/hook"
secret_file = "{folder}/city.secret"
events = ["alarm.raised", "case.*"]
"""


async def test_an_engine_that_is_killed_while_it_tells_tells_again_under_the_same_name(tmp_path: Path) -> None:
    with (
        provider() as city,
        services.iotcore(tmp_path / "broker") as broker,
        engine(broker, tmp_path / "rules", settings(tmp_path, city.url)) as ours,
    ):
        city.answers.append(Answer(after_s=3.0))  # the engine is killed while it waits for this
        ours.start()
        await hearing(ours)
        await until(lambda: ours.desk.webhooks() or None, "the webhook is served", ours)
        async with edge(broker) as bus:
            await announce(bus, "gas-1", "gas_alarm")
            await send(bus, 1, reading("gas-1", "gas_concentration", 30.0, now_ms()))
            first = (await until(lambda: city.asked or None, "the webhook", ours))[0]
            ours.kill()
            ours.start()
            await until(lambda: ours.desk.webhooks()[0].sent >= 2 or None, "all were taken", ours)
        (case,) = ours.desk.cases()
        told = [(one.json["type"], one.headers["webhook-id"]) for one in city.asked]
        assert told.count((first.json["type"], first.headers["webhook-id"])) == 2
        assert {kind for kind, _ in told} >= {"alarm.raised", "case.registered"}
        assert {one.json["data"]["case"]["id"] for one in city.asked} == {case.id}
