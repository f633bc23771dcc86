"""A real engine calls people through real HTTP: whom, how soon, and what a kill in between costs."""

import asyncio
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from messages.bus import Bus
from rules.duty import book
from rules.duty.roster import Absence
from rules.duty.site import load_site
from rules.store import tables as db
from tests import services
from tests.fakes import Answer, provider
from tests.integration.rules_engine import (
    SITE,
    START_LIMIT_S,
    announce,
    edge,
    engine,
    hearing,
    now_ms,
    reading,
    send,
    until,
)
from tests.rules.situation import about

PEOPLE = """
name = { zh = "军门社区", en = "Junmen" }
[grids.g1]
name = { zh = "一", en = "One" }
[people.lin]
name = "林小梅"
phone = "13800000001"
reach = ["sms", "broker:lin"]
[people.chen]
name = "陈志强"
reach = ["broker:chen"]
[posts.g1]
role = "grid_worker"
shifts = [{ people = ["lin"] }]
[posts.help]
role = "helper"
shifts = [{ people = ["chen"] }]
[posts.desk]
role = "community"
shifts = [{ people = ["chen"] }]
"""

HOME = """
[buildings.3]
grid = "g1"
[households.h-301]
building = "3"
resident = "陈阿婆"
phone = "059100000031"
consent = 2026-03-01
devices = ["door-301"]
"""


def settings(folder: Path, url: str) -> str:
    (folder / "sites").mkdir()
    (folder / "sites" / f"{SITE}.toml").write_text(PEOPLE, encoding="utf-8")
    return f"""site_files = "{folder}/sites"
pages = "https://pages.example"
[channels.sms]
sort = "http"
url = "{url}/send"
body = '{{"to": "$to", "text": "$text", "key": "$key"}}'
ok_field = "code"
ok_values = ["OK"]
[channels.broker]
sort = "mqtt"
"""


async def test_a_leak_rings_by_sms_and_mqtt_within_seconds_and_a_kill_in_mid_send_loses_no_call(tmp_path: Path) -> None:
    with (
        provider() as sms,
        services.iotcore(tmp_path / "broker") as broker,
        engine(broker, tmp_path / "rules", settings(tmp_path, sms.url)) as ours,
    ):
        sms.always = Answer({"code": "OK"})
        sms.answers.append(Answer({"code": "OK"}, after_s=3.0))  # the engine is killed while it waits for this
        ours.start()
        await hearing(ours)
        async with (
            edge(broker) as bus,
            Bus(broker.settings("local"), "phone", subscribe=[f"gridcall/1/{SITE}/notices/+"]) as phone,
        ):
            await phone.up()
            await announce(bus, "gas-1", "gas_alarm")
            began_ms = now_ms()
            await send(bus, 1, reading("gas-1", "gas_concentration", 30.0, began_ms))
            async with asyncio.timeout(20):
                (message,) = await phone.some(1)
            assert now_ms() - began_ms < 3_000
            assert message.topic.endswith("/notices/chen")
            message.ack()
            first = (await until(lambda: sms.asked or None, "the SMS", ours))[0].json
            assert first["to"] == "13800000001"
            assert "燃气泄漏" in first["text"]
            assert "https://pages.example/c/" in first["text"]
            ours.kill()
            ours.start()
            await until(
                lambda: [one for one in sms.asked[1:] if one.json["key"] == first["key"]] or None, "again", ours
            )
        assert len(ours.desk.cases()) == 1


async def test_who_is_not_seen_is_asked_by_sms_and_her_call_for_help_rings_at_the_workers(tmp_path: Path) -> None:
    with (
        provider() as sms,
        services.iotcore(tmp_path / "broker") as broker,
        engine(broker, tmp_path / "rules", settings(tmp_path, sms.url)) as ours,
    ):
        sms.always = Answer({"code": "OK"})
        with (tmp_path / "sites" / f"{SITE}.toml").open("a", encoding="utf-8") as file:
            file.write(HOME)
        unseen = replace(about("orange", origin="ticket", subject="door-301"), situation="unseen")
        case = ours.desk.report(unseen, actor="12345", at_ms=now_ms())
        ours.start()
        first = (await until(lambda: sms.asked or None, "the question", ours))[0].json
        assert first["to"] == "059100000031"
        assert "您还好吗" in first["text"]
        assert "https://pages.example/c/" in first["text"]
        ours.desk.help(case.id, actor="resident:h-301", at_ms=now_ms())
        called = await until(lambda: sms.asked[1:] or None, "the worker's call", ours)
        assert called[0].json["to"] == "13800000001"
        assert "住户求助" in called[0].json["text"]


async def test_an_engine_starts_and_calls_though_the_file_of_a_site_is_broken(tmp_path: Path) -> None:
    with (
        provider() as sms,
        services.iotcore(tmp_path / "broker") as broker,
        engine(broker, tmp_path / "rules", settings(tmp_path, sms.url)) as ours,
    ):
        sms.always = Answer({"code": "OK"})
        (tmp_path / "sites" / "elsewhere.toml").write_text("[people", encoding="utf-8")
        ours.start()
        await hearing(ours)
        async with edge(broker) as bus:
            await announce(bus, "gas-1", "gas_alarm")
            await send(bus, 1, reading("gas-1", "gas_concentration", 30.0, now_ms()))
            first = (await until(lambda: sms.asked or None, "the SMS", ours))[0].json
        assert first["to"] == "13800000001"
        assert "elsewhere.toml" in ours.said()


async def test_the_first_calls_after_a_start_know_who_is_on_leave(tmp_path: Path) -> None:
    with (
        provider() as sms,
        services.iotcore(tmp_path / "broker") as broker,
        engine(broker, tmp_path / "rules", settings(tmp_path, sms.url)) as ours,
    ):
        sms.always = Answer({"code": "OK"})
        here = load_site(tmp_path / "sites" / f"{SITE}.toml")
        leave = Absence(person="lin", from_ms=now_ms() - 1000, until_ms=now_ms() + 3_600_000)
        with ours.database.writing() as connection:
            book.enter(connection, SITE, here, leave, actor="chief", now_ms=now_ms())
        ours.desk.report(about("red", origin="ticket", subject=""), actor="12345", at_ms=now_ms() - 30_000)
        ours.start()
        query = select(db.notices.c.person)

        def called() -> set[str]:
            with ours.database.reading() as connection:
                return set(connection.scalars(query))

        assert await until(lambda: called() or None, "a call", ours) == {"chen"}


async def test_a_start_with_a_broken_file_calls_by_the_last_good_one_and_says_so(tmp_path: Path) -> None:
    with (
        provider() as sms,
        services.iotcore(tmp_path / "broker") as broker,
        engine(broker, tmp_path / "rules", settings(tmp_path, sms.url)) as ours,
    ):
        sms.always = Answer({"code": "OK"})
        ours.start()
        await hearing(ours)
        ours.kill()
        (tmp_path / "sites" / f"{SITE}.toml").write_text("[people", encoding="utf-8")
        ours.start()
        await hearing(ours)
        async with edge(broker) as bus:
            await announce(bus, "gas-1", "gas_alarm")
            await send(bus, 1, reading("gas-1", "gas_concentration", 30.0, now_ms()))
            first = (await until(lambda: sms.asked or None, "the SMS", ours))[0].json
            assert first["to"] == "13800000001"
            assert "the last good one is in force" in ours.said()

            def alarmed() -> bool:
                return any(alarm.rule == "roster_old" for alarm in ours.desk.alarms())

            await until(lambda: alarmed() or None, "the alarm of the roster", ours)


async def test_a_hundred_red_alarms_at_once_all_get_through_a_provider_that_takes_its_time(tmp_path: Path) -> None:
    with (
        provider() as sms,
        services.iotcore(tmp_path / "broker") as broker,
        engine(broker, tmp_path / "rules", settings(tmp_path, sms.url)) as ours,
    ):
        sms.always = Answer({"code": "OK"}, after_s=0.3)
        ours.start()
        await hearing(ours)
        async with edge(broker) as bus:
            for number in range(100):
                await announce(bus, f"gas-{number}", "gas_alarm")
            at_ms = now_ms()
            await send(bus, 1, *(reading(f"gas-{number}", "gas_concentration", 30.0, at_ms) for number in range(100)))

            def called() -> set[str]:
                return {one.json["key"].partition("/")[0] for one in sms.asked}

            await until(lambda: len(called()) == 100 or None, "a call for each", ours, START_LIMIT_S)
        with ours.database.reading() as connection:
            failed = select(db.sendings.c.answer).where(db.sendings.c.outcome == "failed")
            assert list(connection.scalars(failed)) == []
