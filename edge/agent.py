"""The edge agent: where its parts meet.

sources -> reflexes (act at once) -> reporter -> intake -> outbox on disk -> uplink -> receipt -> row deleted
commands -> orders -> hand -> source; health is looked at every few seconds, and goes the way of all readings
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import structlog

from edge.acting.book import Book
from edge.acting.hand import Hand
from edge.acting.orders import Orders
from edge.acting.reflexes import Reflexes
from edge.clock import Clock
from edge.configuration.config import Config, Device, of
from edge.health.figures import Expected
from edge.health.own import OwnDevice
from edge.health.watch import HealthWatch, Watched
from edge.installer.snapshot import Latest, taken
from edge.installer.tap import Tap
from edge.keeping.disk import Disk
from edge.keeping.intake import Intake
from edge.link.announced import Withdrawal
from edge.link.uplink import Uplink
from edge.models.frame import FrameModel
from edge.models.gpio import GpioModel
from edge.models.hj212 import Hj212Model
from edge.models.lorawan import LorawanModel
from edge.models.message import JsonModel
from edge.models.modbus import ModbusModel
from edge.models.osdp import OsdpModel
from edge.models.product import Model
from edge.models.zigbee import ZigbeeModel
from edge.report import Reporter
from edge.sources.called_line import CalledLine
from edge.sources.ears import FrameEar, Hj212Ear
from edge.sources.listener import Listener
from edge.sources.lorawan import LorawanNetwork
from edge.sources.modbus_line import ModbusLine
from edge.sources.source import Deliver, Source
from edge.sources.stream_line import StreamLine
from edge.vitals import Vitals
from messages.bus import Incoming
from messages.language import Phrase
from messages.reading import Reading

AFTER_A_MISTAKE_S = 5.0

log = structlog.get_logger("agent")


def build(
    config: Config,
    disk: Disk,
    book: Book,
    clock: Clock,
    *,
    software: str,
    refused: Callable[[], Phrase | None] = lambda: None,
) -> "Agent":
    """The agent's parts, joined; nothing is opened. `refused`: why a newer configuration than `config` is not run by."""
    clock_ms = clock.now_ms

    def take_order(message: Incoming) -> None:
        orders.take(message)

    all_devices: list[Device[Model] | OwnDevice] = [*config.devices, *config.own_devices]
    uplink = Uplink(
        config.site,
        config.edge,
        config.uplink,
        {device.id: device.announcement for device in all_devices},
        disk,
        take_order,
        clock_ms=clock_ms,
        clock_trusted=lambda: clock.trusted,
        software=software,
    )
    intake = Intake(disk, uplink.woken, uplink.cry)
    reporter = Reporter({device.id: device.kind for device in all_devices}, clock)

    latest: Latest = {}

    async def deliver(readings: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        reflexes.feel(readings)
        for reading in readings:
            latest[reading.device, reading.channel] = reading
        await intake.put(reporter.select(readings), then)

    its_sources = sources(config, deliver, clock_ms=clock_ms)
    lines = [line for source in its_sources for line in source.vitals.lines()]
    hand = Hand(config.devices, its_sources)
    orders = Orders(
        config.site,
        config.edge,
        hand,
        book,
        uplink.say,
        clock_ms=clock_ms,
        clock_trusted=lambda: clock.trusted,
    )
    reflexes = Reflexes(config.reflexes, hand, book, deliver, clock_ms=clock_ms, steady_ms=clock.steady_ms)
    watched = Watched(
        edge=config.edge,
        folder=config.folder,
        outbox_limit_bytes=config.outbox_limit_bytes,
        lines=lines,
        expected={device.id: expected(device) for device in config.devices},
    )
    health = HealthWatch(
        watched, disk, deliver, clock_ms=clock_ms, clock_trusted=lambda: clock.trusted, refused=refused
    )
    tap = Tap(config.folder, lambda: taken(clock_ms(), lines, latest, refused()))
    withdrawal = Withdrawal([device.id for device in all_devices], book, disk, uplink.withdraw)
    tasks = [withdrawal.run, intake.run, uplink.run, orders.run, reflexes.run, health.run, tap.run]
    tasks += [partial(lasting, source) for source in its_sources]
    return Agent(reflexes, tasks)


@dataclass(frozen=True, slots=True)
class Agent:
    """All that runs, in the order in which it should start."""

    reflexes: Reflexes
    tasks: list[Callable[[], Coroutine[Any, Any, None]]]

    async def run(self) -> None:
        """Until cancelled."""
        await self.reflexes.remember()
        async with asyncio.TaskGroup() as tasks:
            for task in self.tasks:
                tasks.create_task(task())


async def lasting(source: Source) -> NoReturn:
    """A mistake of ours that a source trips over costs that source some seconds, and not the agent its life."""
    while True:
        try:
            await source.run()
        except Exception:
            log.exception("a line fails by a mistake of ours, and begins anew", line=source.vitals.name)
            await asyncio.sleep(AFTER_A_MISTAKE_S)


def expected(device: Device[Model]) -> Expected:
    """How often a device should be heard: as often as the most talkative channel of its model."""
    every_s = min(device.kind.channels[name].interval_s for name in device.model.channels)
    return Expected(every_s, device.kind.guards_lives)


def sources(config: Config, deliver: Deliver, *, clock_ms: Callable[[], int]) -> list[Source]:
    """Whatever readings come from: one task each, and none waits for another."""
    found: list[Source] = []
    for name, line in config.lines.items():
        on_line = config.on_line(name)
        if slaves := of(ModbusModel, on_line):
            found.append(ModbusLine(line, slaves, deliver, clock_ms=clock_ms))
        for instrument in of(FrameModel, on_line):
            vitals = Vitals.of(name, [instrument.id])
            found.append(StreamLine(line, FrameEar(instrument), vitals, deliver, clock_ms=clock_ms))
        if stations := of(Hj212Model, on_line):
            vitals = Vitals.of(name, [station.id for station in stations])
            if line.listen is not None:
                found.append(CalledLine(line, partial(Hj212Ear, stations), vitals, deliver, clock_ms=clock_ms))
            else:
                found.append(StreamLine(line, Hj212Ear(stations), vitals, deliver, clock_ms=clock_ms))
        if contacts := of(GpioModel, on_line):
            from edge.sources import gpio_chip  # libgpiod is an extra

            chip = gpio_chip.GpioChip(line, contacts, deliver, clock_ms=clock_ms, request=gpio_chip.request)
            found.append(chip)
        if readers := of(OsdpModel, on_line):
            from edge.sources.osdp_line import OsdpLine  # libosdp is an extra

            found.append(OsdpLine(line, readers, config.card_key, deliver, clock_ms=clock_ms))
    if config.local is None:
        return found
    on_broker = config.on_broker()
    publishers: list[Device[JsonModel] | Device[ZigbeeModel]] = [*of(JsonModel, on_broker), *of(ZigbeeModel, on_broker)]
    if publishers:
        bridges = [gateway for gateway in config.gateways if gateway.topic]
        found.append(
            Listener(config.site, config.edge, config.local, publishers, deliver, gateways=bridges, clock_ms=clock_ms)
        )
    if config.lorawan and (behind := of(LorawanModel, on_broker)):
        server = config.lorawan.server
        radios = [gateway for gateway in config.gateways if gateway.eui]
        found.append(
            LorawanNetwork(
                config.site,
                config.edge,
                config.local,
                server,
                behind,
                deliver,
                gateways=radios,
                clock_ms=clock_ms,
            )
        )
    return found
