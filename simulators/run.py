"""A block in a scenario, from the first answer to the last: opens the parts and keeps the schedule."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from edge.models.modbus import ModbusModel
from simulators.block import Block, Device
from simulators.happening import Happening, happenings
from simulators.line import SerialLine
from simulators.mqtt_device import MqttDevice
from simulators.plant import Plant
from simulators.record import Record
from simulators.scenario import Scenario
from simulators.uplink import Relay


async def run(
    block: Block,
    scenario: Scenario,
    *,
    record: Record,
    clock_ms: Callable[[], int],
    say: Callable[[str], None],
    speed: float = 1.0,
) -> None:
    """Play until cancelled; a scenario that is over leaves the block as it is then.

    `speed`: scenario seconds per second; the line's own pace is not changed by it. Raises ConfigError if the
    line's link or the relay's port can't be had.
    """
    plant = Plant(block, scenario)
    start_ms = clock_ms()

    def now_s() -> float:
        return (clock_ms() - start_ms) / 1000 * speed

    async with AsyncExitStack() as opened:
        relay = await opened.enter_async_context(Relay(block.uplink)) if block.uplink else None
        polled, publishing = _by_protocol(block)
        players: list[SerialLine | MqttDevice] = []
        if block.line and polled:
            line = SerialLine(block.line, polled, plant, record=record, clock_ms=clock_ms, now_s=now_s)
            players.append(opened.enter_context(line))
        if block.broker:
            players += (
                MqttDevice(device, block.broker, plant, record=record, clock_ms=clock_ms, now_s=now_s)
                for device in publishing
            )
        say(_greeting(block, scenario))
        async with asyncio.TaskGroup() as tasks:
            for player in players:
                tasks.create_task(player.run())
            for happening in happenings(block, plant, scenario):
                await asyncio.sleep(max(0.0, happening.at_s - now_s()) / speed)
                await _let_happen(happening, relay)
                record.mark(start_ms + round(happening.at_s / speed * 1000), happening.mark)
                if happening.say:
                    say(happening.say)
            await asyncio.get_running_loop().create_future()  # never done: the block stays as it is now


async def _let_happen(happening: Happening, relay: Relay | None) -> None:
    if relay and happening.uplink == "cut":
        await relay.cut()
    if relay and happening.uplink == "restored":
        await relay.restore()


def _by_protocol(block: Block) -> tuple[tuple[Device, ...], tuple[Device, ...]]:
    polled = tuple(device for device in block.devices if isinstance(device.model, ModbusModel))
    return polled, tuple(device for device in block.devices if device not in polled)


def _greeting(block: Block, scenario: Scenario) -> str:
    polled, publishing = _by_protocol(block)
    parts = [f"{len(polled)} devices on {block.line.link}, {block.line.baudrate} Bd"] if block.line and polled else []
    if block.broker and publishing:
        parts.append(f"{len(publishing)} at the broker {block.broker.host}:{block.broker.port}")
    if block.uplink:
        parts.append(f"uplink from port {block.uplink.listen_port} to port {block.uplink.target_port}")
    return f"Scenario {scenario.name}: {scenario.summary}\n{'; '.join(parts)}."
