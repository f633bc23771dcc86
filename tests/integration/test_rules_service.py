"""The rules engine as a process, with a real broker, a real database and a real history."""

import asyncio
import contextlib
import json
import random
from pathlib import Path

import pytest

from messages import receipt, status, topics
from messages.bus import Bus
from messages.receipt import Receipt
from messages.status import EdgeStatus
from rules.records import AlarmState
from tests import programs, services
from tests.integration.rules_engine import (
    EDGE,
    LIMIT_S,
    SITE,
    STREAM,
    Engine,
    alarms,
    announce,
    edge,
    engine,
    hearing,
    now_ms,
    reading,
    send,
    store,
    until,
)
from tests.rules.course import write_rules
from tests.rules.room import mend


async def test_from_the_reading_to_the_published_alarm_and_to_its_end(tmp_path: Path) -> None:
    """On iotcore, whose users may read what the shipped access rules keep to other systems."""
    with services.iotcore(tmp_path / "broker") as broker, engine(broker, tmp_path / "rules") as ours:
        ours.start()
        listener = Bus(broker.settings("local"), "another-system", subscribe=["gridcall/1/+/alarms/+"])
        async with edge(broker) as bus, listener:
            await listener.up()
            await announce(bus, "gas-1", "gas_alarm")
            await hearing(ours)
            sent_ms = now_ms()
            await send(bus, 1, reading("gas-1", "gas_concentration", 30.0, sent_ms))
            (alarm,) = await until(lambda: alarms(ours), "the alarm", ours)
            assert alarm.known_at_ms - sent_ms < 1000
            raised = json.loads(await _told(listener))
            assert (raised["id"], raised["state"], raised["case_state"]) == (alarm.id, "unack", "registered")
            assert raised["values"] == {"gas_concentration": 30.0}
            assert alarm.case
            ours.desk.accept(alarm.case.id, actor="wang", at_ms=now_ms())
            await _told_that(listener, state="acked", case_state="accepted")
            ours.desk.arrive(alarm.case.id, actor="wang", at_ms=now_ms())
            await _told_that(listener, state="acked", case_state="on_site")
        assert ours.stop() == 130


async def _told_that(listener: Bus, **wanted: str) -> None:
    """Sooner or later: what changed meanwhile (somebody was told) is published too."""
    while not wanted.items() <= json.loads(await _told(listener)).items():
        pass


async def _told(listener: Bus) -> bytes:
    async with asyncio.timeout(LIMIT_S):
        (message,) = await listener.some(1)
    message.ack()
    return message.payload


async def test_an_alarm_that_is_over_leaves_its_topic_empty_and_a_broker_that_forgot_learns_the_open_ones(
    tmp_path: Path,
) -> None:
    rules = """[rules.tilted]
level = "yellow"
title = { zh = "倾斜", en = "Tilted" }
raise = "tilt > 10"
clear = "tilt < 5"
"""
    write_rules(tmp_path / "own", "manhole_cover", rules)
    more = f'rules = ["{tmp_path}/own"]'
    with services.iotcore(tmp_path / "broker") as broker, engine(broker, tmp_path / "rules", more) as ours:
        ours.start()
        await hearing(ours)
        async with edge(broker) as bus:
            await announce(bus, "cover-1", "manhole_cover")
            await send(bus, 1, reading("cover-1", "tilt", 30.0, now_ms()))
            (alarm,) = await until(lambda: alarms(ours), "the alarm", ours)
        assert json.loads(await _retained(broker, ours))["id"] == alarm.id
        broker.kill()
        broker.start()
        assert json.loads(await _retained(broker, ours))["id"] == alarm.id
        assert alarm.case
        ours.desk.accept(alarm.case.id, actor="wang", at_ms=now_ms())
        ours.desk.arrive(alarm.case.id, actor="wang", at_ms=now_ms())
        async with edge(broker) as bus:
            await send(bus, 2, reading("cover-1", "tilt", 0.0, now_ms()))
        await until(lambda: alarms(ours)[0].state is AlarmState.NORM or None, "it returns", ours)
        listener = Bus(broker.settings("local"), "late-listener", subscribe=["gridcall/1/+/alarms/+"])
        async with listener:
            assert await _told(listener), "it listens before the alarm is over: who comes later is told nothing"
            mend(ours.desk, alarm.case.id, at_ms=now_ms(), outcome="mended")
            while await _told(listener):
                pass  # the empty payload is the end


async def _retained(broker: services.MqttBroker, ours: Engine) -> bytes:
    """What a system that comes now is told first."""
    listener = Bus(broker.settings("local"), f"listener-{random.random()}", subscribe=["gridcall/1/+/alarms/+"])
    async with listener:
        return await _told(listener)


@pytest.mark.needs("mosquitto")
async def test_killed_again_and_again_it_loses_no_alarm_and_doubles_none(
    mosquitto: services.MqttBroker, database_url: str, tmp_path: Path
) -> None:
    count, kills = 60, 5
    devices = [f"gas-{number}" for number in range(count)]
    with engine(mosquitto, tmp_path / "rules", url=database_url) as ours:
        ours.start()
        await hearing(ours)
        async with edge(mosquitto) as bus:
            for device in devices:
                await announce(bus, device, "gas_alarm")
            numbers = iter(range(1, 10_000))
            for index, device in enumerate(devices):
                for value in (3.0, 30.0, 2.0):
                    await send(bus, next(numbers), reading(device, "gas_concentration", value, now_ms()))
                    await asyncio.sleep(0.001)
                if index % (count // kills) == count // kills - 1:
                    await asyncio.sleep(random.uniform(0, 0.3))
                    ours.kill()
                    ours.start()
            await until(lambda: len(alarms(ours)) >= count or None, f"{count} alarms", ours)
            await send(bus, next(numbers), reading(devices[0], "gas_concentration", 1.0, now_ms()))
            await until(lambda: _heard_all(ours, count * 3 + 1), "all packs", ours)
        found = alarms(ours)
        assert sorted(alarm.device for alarm in found) == sorted(devices)
        log = ours.desk.log_after(0, limit=10_000)
        assert [entry.event for entry in log].count("alarm.raised") == count
        assert [entry.event for entry in log].count("case.registered") == count
        assert [entry.seq for entry in log] == list(range(1, len(log) + 1))


def _heard_all(ours: Engine, readings: int) -> bool | None:
    pulse = ours.desk.pulse()
    return True if pulse and pulse.readings == readings else None


@pytest.mark.needs("mosquitto")
async def test_what_a_wiped_broker_forgot_while_the_engine_was_down_is_read_from_the_history(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    with contextlib.ExitStack() as stack:
        with services.mosquitto(tmp_path / "first") as broker:
            ours = stack.enter_context(engine(broker, folder))
            ours.start()
            await hearing(ours)
            async with edge(broker) as bus:
                await announce(bus, "gas-1", "gas_alarm")
                calm = reading("gas-1", "gas_concentration", 1.0, now_ms())
                await send(bus, 1, calm)
                store(folder, 1, calm)
                await until(lambda: _heard_all(ours, 1), "the first pack", ours)
            ours.kill()
        leak, over = calm.at_ms + 10, calm.at_ms + 20
        store(folder, 2, reading("gas-1", "gas_concentration", 30.0, leak))
        store(folder, 3, reading("gas-1", "gas_concentration", 0.0, over))
        with services.mosquitto(tmp_path / "second") as broker:  # another broker, which knows of nothing
            _point(ours, broker)
            ours.start()
            (alarm,) = await until(lambda: alarms(ours), "the alarm that nobody told", ours)
            assert (alarm.raised_at_ms, alarm.state, alarm.late) == (leak, AlarmState.UNACK, False)
            async with edge(broker) as bus:  # the edge has no receipt yet, so it says it again
                await send(bus, 2, reading("gas-1", "gas_concentration", 30.0, leak))
                await send(bus, 3, reading("gas-1", "gas_concentration", 0.0, over))
                await send(bus, 4, reading("gas-1", "gas_concentration", 1.0, now_ms()))
                await until(lambda: _heard_all(ours, 4), "the fourth pack", ours)
            assert [alarm.id for alarm in alarms(ours)] == [alarm.id]
            assert [entry.event for entry in ours.desk.log_after(0)].count("alarm.raised") == 1
            course = await until(lambda: alarms(ours)[0].before, "the course before it", ours)
            assert course["gas_concentration"] == [(calm.at_ms, 1.0), (leak, 30.0)]


def _point(ours: Engine, broker: services.MqttBroker) -> None:
    """The same engine, at another broker's port."""
    config = ours.folder / "rules.toml"
    lines = [f"port = {broker.port}" if line.startswith("port") else line for line in config.read_text().splitlines()]
    config.write_text("\n".join(lines) + "\n")


@pytest.mark.needs("mosquitto")
@pytest.mark.parametrize("witness", ["receipt", "status", "later pack"])
async def test_a_pack_that_never_came_is_read_from_the_history_once_somebody_names_it(
    mosquitto: services.MqttBroker, tmp_path: Path, witness: str
) -> None:
    with engine(mosquitto, tmp_path / "rules") as ours:
        ours.start()
        await hearing(ours)
        async with edge(mosquitto) as bus:
            await announce(bus, "gas-1", "gas_alarm")
            leak = reading("gas-1", "gas_concentration", 30.0, now_ms())
            store(ours.folder, 1, leak)
            match witness:
                case "receipt":
                    async with Bus(mosquitto.settings("collector"), "the-collector") as collector:
                        await collector.up()
                        said = receipt.encode(Receipt(stream=STREAM, stored=[(1, 1)]))
                        await collector.publish(topics.receipts(SITE, EDGE), said)
                case "status":
                    up = status.encode(EdgeStatus(online=True, at_ms=now_ms(), stream=STREAM, packs=1))
                    await bus.publish(topics.status(SITE, EDGE), up, retain=True)
                case _:
                    calm = {"gas_concentration": 0.0, "alarm_contact": False}
                    await send(
                        bus, 2, *(reading("gas-1", name, value, leak.at_ms + 10) for name, value in calm.items())
                    )
            (alarm,) = await until(lambda: alarms(ours), "the alarm of the missed pack", ours)
        assert alarm.raised_at_ms == leak.at_ms
        assert alarm.state is (AlarmState.LATCH_UNACK if witness == "later pack" else AlarmState.UNACK)


@pytest.mark.needs("mosquitto")
async def test_a_shelf_that_ended_while_the_engine_was_dead_is_over_at_its_first_look(
    mosquitto: services.MqttBroker, tmp_path: Path
) -> None:
    with engine(mosquitto, tmp_path / "rules") as ours:
        ours.start()
        await hearing(ours)
        async with edge(mosquitto) as bus:
            await announce(bus, "cover-1", "manhole_cover")
            await send(bus, 1, reading("cover-1", "tilt", 90.0, now_ms()))
            (alarm,) = await until(lambda: alarms(ours), "the open cover", ours)
            until_ms = now_ms() + 1_000
            ours.desk.shelve(alarm.id, until_ms=until_ms, reason="pump", actor="li", at_ms=now_ms())
            ours.kill()
            assert not alarms(ours)[0].overlays.annunciated
            await until(lambda: now_ms() > until_ms, "the end of the shelf", ours)
            ours.start()
            await until(lambda: alarms(ours)[0].overlays.annunciated, "the alarm rings again", ours)
        events = [entry.event for entry in ours.desk.log_of(alarm.id) if entry.alarm]
        assert [event for event in events if "certain" not in event] == [
            "alarm.raised",
            "alarm.shelved",
            "alarm.unshelved",
            "alarm.realarmed",
        ]


@pytest.mark.needs("mosquitto")
async def test_an_overdue_timer_fires_after_the_restart_but_what_was_said_meanwhile_comes_first(
    mosquitto: services.MqttBroker, tmp_path: Path
) -> None:
    rules = """[rules.open]
level = "blue"
title = { zh = "门开", en = "Open" }
raise = "door_open"
raise_delay = "1s"
clear = "not door_open"
"""
    write_rules(tmp_path / "own", "door_access", rules)
    with engine(mosquitto, tmp_path / "rules", f'rules = ["{tmp_path}/own"]') as ours:
        ours.start()
        await hearing(ours)
        async with edge(mosquitto) as bus:
            for device in ("left-open", "shut-again"):
                await announce(bus, device, "door_access")
            opened_ms = now_ms()
            await send(bus, 1, *(reading(door, "door_open", True, opened_ms) for door in ("left-open", "shut-again")))
            await until(lambda: _heard_all(ours, 2), "both doors", ours)
            ours.kill()
            assert alarms(ours) == []
            await send(bus, 2, reading("shut-again", "door_open", False, opened_ms + 500))
            ours.start()
            (alarm,) = await until(lambda: alarms(ours), "the door that was left open", ours)
            assert (alarm.device, alarm.raised_at_ms) == ("left-open", opened_ms + 1000)
            await until(lambda: _heard_all(ours, 3), "the other door", ours)
            assert len(alarms(ours)) == 1


@pytest.mark.needs("mosquitto")
async def test_the_pulse_tells_whether_the_engine_hears_the_broker(
    mosquitto: services.MqttBroker, tmp_path: Path
) -> None:
    def hears() -> bool | None:
        pulse = ours.desk.pulse()
        return pulse.hears if pulse else None

    with engine(mosquitto, tmp_path / "rules") as ours:
        mosquitto.stop()
        ours.start()
        await until(lambda: hears() is False or None, "a pulse without a broker", ours)
        mosquitto.start()
        await until(lambda: hears() or None, "a broker that came", ours)
        mosquitto.kill()
        await until(lambda: hears() is False or None, "a broker that died", ours)


@pytest.mark.needs("mosquitto")
async def test_it_waits_for_a_database_that_somebody_else_holds(mosquitto: services.MqttBroker, tmp_path: Path) -> None:
    with engine(mosquitto, tmp_path / "rules") as ours:
        with ours.database.writing():
            ours.start()
            await until(lambda: "database is away" in ours.said() or None, "it says so", ours)
        await until(lambda: ours.desk.pulse(), "it goes on", ours)
        await until(lambda: "database is back" in ours.said() or None, "it says so", ours)
        assert ours.said().count("database is away") == 1


@pytest.mark.needs("mosquitto", "postgres", "initdb")
async def test_it_goes_on_when_a_database_server_that_died_is_back_and_nothing_was_lost(
    mosquitto: services.MqttBroker, postgresql_server: services.PostgreSql, postgresql: str, tmp_path: Path
) -> None:
    with engine(mosquitto, tmp_path / "rules", url=postgresql) as ours:
        ours.start()
        await hearing(ours)
        async with edge(mosquitto) as bus:
            await announce(bus, "gas-1", "gas_alarm")
            postgresql_server.kill()
            try:
                await send(bus, 1, reading("gas-1", "gas_concentration", 30.0, now_ms()))
                await until(lambda: "database is away" in ours.said() or None, "it says so", ours)
            finally:
                postgresql_server.start()
            await until(lambda: alarms(ours), "the alarm", ours)
        await until(lambda: "database is back" in ours.said() or None, "it says so", ours)
        assert services.PASSWORD not in ours.said()


@pytest.mark.needs("mosquitto")
async def test_a_damaged_database_is_set_aside_and_alarms_go_on(mosquitto: services.MqttBroker, tmp_path: Path) -> None:
    with engine(mosquitto, tmp_path / "rules") as ours:
        (ours.folder / "rules.db").write_bytes(b"no database" * 1000)
        ours.start()
        await hearing(ours)
        async with edge(mosquitto) as bus:
            await announce(bus, "gas-1", "gas_alarm")
            await send(bus, 1, reading("gas-1", "gas_concentration", 30.0, now_ms()))
            await until(lambda: alarms(ours), "the alarm", ours)
        assert "database is damaged" in ours.said()
        assert len(list(ours.folder.glob("rules.db.damaged-*"))) == 1


def test_a_wrong_configuration_ends_with_one_line_and_exit_code_2(tmp_path: Path) -> None:
    config = tmp_path / "rules.toml"
    config.write_text('name = "rules-1"\ndatabase = "rules.db"\nstore = "sqlite:history.db"\n[broker]\n')
    ended = programs.run("rules", "run", str(config))
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert f"{config}:2: database: an address such as" in ended.stderr
