"""The uplink is cut for half a minute and the collector is killed: afterwards the store holds what the simulator served.

The simulator's own record is the truth. It says what each answered register decoded to; the store must hold exactly
that, in that order, once. A channel that stood still is sent only now and then (report by exception), so
repeats in a row count as one there; a channel that moved in every answer is compared answer by answer.
"""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.stores.base import Store, StoreError
from collector.stores.choose import open_store
from messages import status
from messages.bus import Bus
from messages.ids import DeviceId, SiteId
from messages.kind import load_kinds
from messages.status import OutboxFigures
from tests.services import ROOT, Influx, MqttBroker
from tests.system.plant import Plant, plant, wait_until

SITE = SiteId("junmen")
FOR_EVER_MS = 10**13
SILENT_AT_S = 65
Series = dict[tuple[str, str], list[Any]]

KINDS = {
    "gas-3-2-101": "gas_alarm",
    "cover-gate": "manhole_cover",
    "cover-garden": "manhole_cover",
    "sewer-1": "sewer_level",
    "bin-5": "waste_bin",
    "door-3-2": "door_access",
}


def moving(series: Series) -> Series:
    """The channels that were never twice the same and moved by more than their deadband: each answer is a reading."""
    kinds = load_kinds()
    found = {}
    for (device, channel), values in series.items():
        deadband = kinds[KINDS[device]].channels[channel].deadband
        steps = [abs(float(b) - float(a)) for a, b in itertools.pairwise(values)]
        if len(values) > 10 and min(steps) > deadband:
            found[device, channel] = values
    return found


def stored(store: Store, served: Series) -> Series:
    """What the store holds of the channels that were served, in order of time; empty while it can't be asked."""
    try:
        return {
            (device, channel): [
                sample.value for sample in store.series(SITE, DeviceId(device), channel, 0, FOR_EVER_MS, most=10**6)
            ]
            for device, channel in served
        }
    except StoreError:
        return {}


def near(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(abs(float(x) - float(y)) < 1e-6 for x, y in zip(a, b, strict=True))


def without_repeats(values: list[Any]) -> list[Any]:
    return [value for value, _ in itertools.groupby(values)]


@pytest.mark.needs("mosquitto")
async def test_an_uplink_cut_and_a_killed_collector_lose_nothing_with_sqlite(
    tmp_path: Path, mosquitto: MqttBroker
) -> None:
    with plant(
        tmp_path / "plant", broker_port=mosquitto.port, scenario=scenario(tmp_path), store="sqlite:history.db"
    ) as block:
        await outage(block, mosquitto, lambda: open_store("sqlite:history.db", base=block.folder))


@pytest.mark.needs("mosquitto", "influxd")
async def test_an_uplink_cut_and_a_killed_collector_lose_nothing_with_influxdb(
    tmp_path: Path, mosquitto: MqttBroker, influxdb: Influx
) -> None:
    address = f"influxdb://127.0.0.1:{influxdb.port}/gridcall"
    with plant(tmp_path / "plant", broker_port=mosquitto.port, scenario=scenario(tmp_path), store=address) as block:
        await outage(block, mosquitto, lambda: open_store(address, base=block.folder))


def scenario(folder: Path) -> str:
    """The shipped outage, at whose end every device falls silent: then the record and the store can be compared."""
    shipped = (ROOT / "simulators/scenarios/outage.toml").read_text()
    kinds = sorted(set(KINDS.values()) - {"door_access"})
    silence = "".join(
        f'[[faults]]\nat = "{SILENT_AT_S}s"\nkind = "{kind}"\nfault = "silent"\nfor = "1h"\n' for kind in kinds
    )
    still = "".join(
        f'[[steps]]\nat = "{SILENT_AT_S}s"\nkind = "door_access"\nchannel = "{channel}"\nto = false\n'
        for channel in ("door_open", "forced", "tamper")
    )
    path = folder / "outage.toml"
    path.write_text(f"{shipped}\n{silence}\n{still}")
    return str(path)


async def outage(block: Plant, broker: MqttBroker, opened: Callable[[], Store]) -> None:
    """Cut, kill, restore, drain, compare."""
    block.start("collector", "rules", "edge")
    wait_until(lambda: "pi-1-local" in block.words("edge"), "the edge listens to the door before it speaks")
    block.start("block")
    wait_until(lambda: len(block.served()) > 5, f"the edge polls; {block.words('edge')}")

    def marks() -> list[str]:
        return [line["mark"] for line in block.truth() if "mark" in line]

    wait_until(lambda: any("uplink" in mark and "cut" in mark for mark in marks()), "the uplink is cut")
    before = len(block.truth())
    wait_until(lambda: len(block.truth()) > before + 20, "readings pile up")
    block.kill("collector")
    wait_until(lambda: any("uplink" in mark and "restored" in mark for mark in marks()), "it is restored", limit_s=60)
    piled = block.outbox_pending()
    assert piled > 10, "the outage left a backlog, or this test shows nothing"
    block.start("collector")
    wait_until(lambda: block.outbox_pending() < piled / 2, f"the backlog drains; {block.words('collector')}")
    block.kill("collector")  # once more, in the middle of it
    block.start("collector")
    wait_until(lambda: any("silent" in mark for mark in marks()), "the devices fall silent", limit_s=90)
    wait_until(lambda: block.truth()[-1].get("device") == "door-3-2", "the door has its last word")
    silent_since = len(block.truth())
    wait_until(lambda: block.outbox_pending() == 0, f"everything is receipted; {block.words('edge')}", limit_s=60)
    assert len(block.truth()) < silent_since + 20, "nothing is served any more"
    served = block.served()
    assert len(moving(served)) >= 5, f"the scenario moves what it should: {sorted(moving(served))}"
    store = opened()
    try:

        def counted() -> Series:
            """What is stored, once it is as much as was served: the last message may be on its way to the outbox."""
            held = stored(store, served)
            return (
                held if held and all(len(held[name]) >= len(values) for name, values in moving(served).items()) else {}
            )

        held = wait_until(counted, "the store holds all that was served")
        for name, values in moving(served).items():
            assert near(held[name], values), f"{name}: served {len(values)}, stored {len(held[name])}"
        for name, values in served.items():
            assert near(without_repeats(held[name]), without_repeats(values)), name
    finally:
        store.close()
    await the_ledger_balances(block, broker)


async def the_ledger_balances(block: Plant, broker: MqttBroker) -> None:
    """produced = receipted + pending + dropped, as the edge itself says it on its status topic."""
    block.stop("edge")
    block.start("edge")
    figures = await said_by_the_edge(broker)
    assert figures.produced == figures.receipted + figures.pending + figures.dropped
    assert figures.dropped == 0
    assert figures.produced > 0


async def said_by_the_edge(broker: MqttBroker) -> OutboxFigures:
    async with Bus(broker.settings("collector"), "ledger", subscribe=["gridcall/1/junmen/pi-1/status"]) as bus:
        while True:
            for message in await bus.some(1):
                said = status.decode(message.payload)
                message.ack()
                if said.online and said.outbox:
                    return said.outbox
