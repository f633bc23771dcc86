"""The collector's own pages, its ledger on the wire, and two collectors that share the work."""

import asyncio
import contextlib
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from collector.intake.desk import Desk
from collector.intake.devices import Devices
from collector.quarantine.kept import Quarantine
from collector.service import SUBSCRIBE, Service
from collector.stores.base import Batch, StoreLocked
from collector.stores.sqlite import SqliteStore
from collector.watch.round import Watch
from messages import pack, status, topics
from messages.bus import Bus
from messages.ids import COLLECTOR, ledger_of
from messages.status import EdgeStatus, OutboxFigures
from tests import services
from tests.collector.block import BIN, EDGE, GAS, KINDS, SITE, STREAM, announcement, reading
from tests.collector.running import CollectorProcess, an_edge, configured, until

pytestmark = pytest.mark.needs("mosquitto")
NOW_MS = time.time_ns() // 1_000_000


def said(port: int, page: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def with_web(config: Path, port: int) -> None:
    config.write_text(config.read_text().replace("[broker]", f"[web]\nport = {port}\n[broker]"))


async def test_its_pages_say_whether_it_is_ready_what_it_did_and_who_is_there(
    tmp_path: Path, mosquitto: services.MqttBroker
) -> None:
    port = services.free_port()
    with_web(configured(tmp_path, mosquitto), port)
    process = CollectorProcess(tmp_path)
    process.start()
    try:
        await process.linked()
        async with an_edge(mosquitto, EDGE) as edge:
            await edge.announce(GAS, announcement("gas_alarm"))
            figures = OutboxFigures(produced=3, receipted=2, pending=1, dropped=0, bytes=0)
            online = EdgeStatus(online=True, stream=STREAM, packs=2, outbox=figures)
            await edge.bus.publish(topics.status(SITE, EDGE), status.encode(online), retain=True)
            await edge.send(1, reading(at_ms=NOW_MS))
            for _ in range(2):
                edge.fates.pop(2, None)
                await edge.send(2, reading(at_ms=NOW_MS + 1), reading(at_ms=NOW_MS, device=BIN))
                await edge.receipted(1, 2)
            assert await asyncio.to_thread(said, port, "healthz") == (200, b"alive\n")
            assert await asyncio.to_thread(said, port, "readyz") == (200, b"ready\n")
            assert (await asyncio.to_thread(said, port, "secrets"))[0] == 404

            def metrics() -> str:
                return said(port, "metrics")[1].decode()

            await until(lambda: 'gridcall_messages_total{fate="stored in part"} 2.0' in metrics())
            text = metrics()
            for line in (
                'gridcall_messages_total{fate="stored"} 1.0',
                'gridcall_messages_total{fate="announcement"} 1.0',
                'gridcall_messages_total{fate="status"} 1.0',
                'gridcall_readings_total{fate="stored"} 3.0',
                'gridcall_refusals_total{reason="unknown-device"} 2.0',
                "gridcall_doubled_packs_total 1.0",
                'gridcall_edges{state="online"} 1.0',
                "gridcall_store_away 0.0",
            ):
                assert line in text, line
            (row,) = orjson.loads((await asyncio.to_thread(said, port, "presence"))[1])
            assert (row["site"], row["edge"], row["state"]) == (SITE, EDGE, "online")
            assert [device["device"] for device in row["devices"]] == [GAS]
            (account,) = orjson.loads((await asyncio.to_thread(said, port, "ledger"))[1])
            assert (account["produced"], account["stored"], account["quarantined"]) == (3, 3, 2)
            mosquitto.kill()
            await until(lambda: said(port, "readyz")[0] == 503)
            assert b"no broker for readings" in (await asyncio.to_thread(said, port, "readyz"))[1]
            assert await asyncio.to_thread(said, port, "healthz") == (200, b"alive\n")
            mosquitto.start()
            await until(lambda: said(port, "readyz")[0] == 200)
    finally:
        process.stop()


def test_a_port_that_is_taken_ends_it_with_one_line(tmp_path: Path, mosquitto: services.MqttBroker) -> None:
    with_web(configured(tmp_path, mosquitto), mosquitto.port)
    process = CollectorProcess(tmp_path)
    process.start()
    assert process.process
    assert process.process.wait(30) != 0
    assert f"web: 127.0.0.1:{mosquitto.port}: Address already in use" in process.log


@contextlib.asynccontextmanager
async def serving(
    folder: Path, broker: services.MqttBroker, now_ms: list[int], store: SqliteStore | None = None
) -> AsyncIterator[Watch]:
    desk = Desk(
        store=store or SqliteStore(folder / "history.db"),
        quarantine=Quarantine(folder / "quarantine.db"),
        devices=Devices(folder / "devices.db"),
        kinds=KINDS,
    )
    async with (
        Bus(broker.settings("collector"), "gridcall-collector-1", subscribe=SUBSCRIBE) as inbox,
        Bus(broker.settings("collector"), "gridcall-collector-1-receipts") as outbox,
    ):
        service = Service(inbox, outbox, desk, clock_ms=lambda: now_ms[0])
        running = asyncio.create_task(service.run())
        await inbox.up()
        try:
            yield Watch(service, desk, clock_ms=lambda: now_ms[0], name="collector-1")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_a_ledger_that_does_not_balance_is_said_on_the_wire_and_stored_and_so_is_its_end(
    tmp_path: Path, mosquitto: services.MqttBroker
) -> None:
    now_ms = [NOW_MS]
    heard: list[dict[str, Any]] = []

    async def hear(bus: Bus) -> None:
        async for message in bus.messages():
            values = {each.channel: each.value for each in pack.decode(message.payload).readings}
            if "balanced" in values:  # it speaks of itself too
                heard.append(values)
            message.ack()

    topic = topics.readings(SITE, COLLECTOR)
    async with (
        serving(tmp_path, mosquitto, now_ms) as watch,
        an_edge(mosquitto, EDGE) as edge,
        Bus(mosquitto.settings("rules"), "rules", subscribe=[topic]) as rules,
    ):
        await rules.up()
        hearing = asyncio.create_task(hear(rules))
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(1, reading(at_ms=NOW_MS))
        await edge.send(3, reading(at_ms=NOW_MS + 1))
        await edge.receipted(1, 3)
        figures = OutboxFigures(produced=3, receipted=3, pending=0, dropped=0, bytes=0)
        told = status.encode(EdgeStatus(online=True, stream=STREAM, packs=3, outbox=figures))
        await edge.bus.publish(topics.status(SITE, EDGE), told, retain=True)
        ledger = watch._service.ledger
        await until(lambda: bool(ledger.edges) and ledger.edges[SITE, EDGE].status is not None)
        now_ms[0] += 60_000
        await watch.look()
        await until(lambda: len(heard) == 1)
        assert heard[0]["balanced"] is False
        assert heard[0]["missing_packs"] == 1.0
        assert "nowhere" in heard[0]["why"]
        history = SqliteStore(tmp_path / "history.db")
        await until(lambda: len(history.latest(SITE, ledger_of(EDGE))) == 3)
        history.close()
        await edge.send(2, reading(at_ms=NOW_MS + 2))
        await edge.receipted(2)
        await watch.look()
        await until(lambda: len(heard) == 2)
        assert (heard[1]["balanced"], heard[1]["why"]) == (True, "")
        await watch.look()
        await asyncio.sleep(0.2)
        assert len(heard) == 2, "what has not changed is not said again at once"
        hearing.cancel()


class LockableStore(SqliteStore):
    """One whose server may come to refuse our password."""

    shut = False

    def write(self, batches: Sequence[Batch]) -> None:
        if self.shut:
            raise StoreLocked("answers 401: no such user")
        super().write(batches)


async def test_a_collector_that_is_locked_out_says_so_on_the_wire_where_a_rule_hears_it(
    tmp_path: Path, mosquitto: services.MqttBroker
) -> None:
    store = LockableStore(tmp_path / "history.db")
    heard: list[dict[str, Any]] = []

    async def hear(bus: Bus) -> None:
        async for message in bus.messages():
            values = {each.channel: each.value for each in pack.decode(message.payload).readings}
            if "locked_out" in values:
                heard.append(values)
            message.ack()

    async with (
        serving(tmp_path, mosquitto, [NOW_MS], store) as watch,
        an_edge(mosquitto, EDGE) as edge,
        Bus(mosquitto.settings("rules"), "rules", subscribe=[topics.readings(SITE, COLLECTOR)]) as rules,
    ):
        await rules.up()
        hearing = asyncio.create_task(hear(rules))
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(1, reading(at_ms=NOW_MS))
        await edge.receipted(1)
        await watch.look()
        await until(lambda: len(heard) == 1)
        assert (heard[0]["store_takes"], heard[0]["locked_out"], heard[0]["broker_fits"]) == (True, False, True)
        store.shut = True
        await edge.send(2, reading(at_ms=NOW_MS + 1))
        await until(lambda: watch._service.locked_out)
        assert watch._service.troubles == ["the store does not let us in: answers 401: no such user"]
        await watch.look()
        await until(lambda: len(heard) == 2)
        assert (heard[1]["store_takes"], heard[1]["locked_out"]) == (False, True)
        assert heard[1]["why"] == "answers 401: no such user"
        hearing.cancel()


async def test_two_collectors_of_a_group_share_the_packs_and_one_that_dies_leaves_its_share_to_the_other(
    tmp_path: Path, mosquitto: services.MqttBroker
) -> None:
    """Each has its own quarantine and devices; the store is one."""
    store = f"sqlite:{tmp_path}/history.db"
    both = []
    for name in ("a", "b"):
        configured(tmp_path / name, mosquitto, store=store, group="collectors")
        config = tmp_path / name / "collector.toml"
        config.write_text(config.read_text().replace('"collector-1"', f'"collector-{name}"'))
        process = CollectorProcess(tmp_path / name)
        process.start()
        await process.linked()
        both.append(process)
    try:
        async with an_edge(mosquitto, EDGE) as edge:
            await edge.announce(GAS, announcement("gas_alarm"))
            for number in range(1, 41):
                await edge.send(number, reading(at_ms=NOW_MS + number))
            assert set((await edge.receipted(*range(1, 41))).values()) == {None}
            both[0].kill()
            for number in range(41, 61):
                await edge.send(number, reading(at_ms=NOW_MS + number))
            both[0].start()  # Mosquitto keeps a dead member's share until its session returns
            assert set((await edge.receipted(*range(41, 61))).values()) == {None}
            history = both[1].store()
            assert len(history.packs(SITE, EDGE, STREAM, [(1, 60)])) == 60
            history.close()
    finally:
        for process in both:
            process.stop()
