"""What an installer sees in the terminal: the scan's progress, the live table, the walk through the devices.

Prints; the only one here that does. What is shown is decided in scan.py, table.py, acceptance.py and sheet.py.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext

from rich.console import Console
from rich.live import Live
from rich.progress import Progress

from edge.configuration.config import Config, Device, of
from edge.configuration.tables import LineSettings
from edge.installer import table
from edge.installer.acceptance import Entry, SeenDevice, Verdict, look, missing
from edge.installer.look import looking
from edge.installer.prober import Report, compared, probe
from edge.installer.scan import Speed
from edge.installer.sheet import Sheet
from edge.installer.snapshot import Snapshot
from edge.installer.words import Language, said
from edge.models.modbus import ModbusModel
from edge.models.product import Model
from edge.sources.port import LinkError
from gridcall import software
from messages.settings import ConfigError


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


async def scan(port: str, wanted: Sequence[Speed], units: list[int], timeout_s: float, *, everything: bool) -> set[int]:
    """The units that answered. Raises ConfigError if the port can't be opened."""
    console = Console(stderr=True)
    answered: set[int] = set()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for speed in wanted:
            task = progress.add_task(str(speed), total=len(units))
            try:
                async for step in probe(port, [speed], units, timeout_s):
                    if isinstance(step, Report):
                        _tell(step, port)
                        answered |= {found.unit for found in step.found}
                    else:
                        progress.advance(task)
            except LinkError as error:
                raise ConfigError(f"{port}: {error}") from error
            progress.remove_task(task)
            if answered and not everything:
                break
    if not answered:
        print("Nobody answered. Is the supply on, are A and B the right way round, is the adapter the right one?")
    return answered


async def compare(config: Config, line: LineSettings, answered: set[int]) -> bool:
    """Whether all is as the configuration says. Raises ConfigError if the port can't be opened."""
    try:
        against = await compared(line, of(ModbusModel, config.on_line(line.name)), answered)
    except LinkError as error:
        raise ConfigError(f"{line.where}: {error}") from error
    print(f"\nAgainst the configuration of line {line.name}:")
    for why in against:
        print(f"  ! {why}")
    if not against:
        print("  all is as it says")
    return not against


def _tell(report: Report, port: str) -> None:
    for suspicion in report.suspicions:
        print(f"{report.speed}: {suspicion}")
    if not report.found:
        return
    print(f"{report.speed}: {len(report.found)} device{'s' * (len(report.found) != 1)}")
    for found in report.found:
        print(f"  unit {found.unit}: {found.detail}, {found.answered} of {found.asked} answers")
        for suspicion in found.suspicions:
            print(f"    ! {suspicion}")
    speed = report.speed
    parity = f'\nparity = "{speed.parity}"' if speed.parity != "N" else ""
    print(f'\nFor edge.toml:\n[[lines]]\nname = "rs485-1"\nport = "{port}"\nbaudrate = {speed.baudrate}{parity}')


async def monitor(config: Config, shown: list[Device[Model]], spoken: Language, *, bad: bool, once: bool) -> None:
    live = sys.stdout.isatty() and not once
    async with looking(config, clock_ms) as (from_agent, snapshots):
        if not from_agent:
            print("no agent is running here: reading the devices myself; nothing is stored", file=sys.stderr)
        with Live(auto_refresh=False, screen=False) if live else nullcontext() as screen:
            async for now in snapshots:
                rows = [row for row in table.rows(shown, now, spoken) if row.bad or not bad]
                if isinstance(screen, Live):
                    screen.update(table.table(rows, now, spoken), refresh=True)
                elif from_agent or not once or _all_tried(now):
                    print(table.plain(rows, now, spoken), flush=True)
                    if once:
                        return


def _all_tried(now: Snapshot) -> bool:
    return all(device.answers or device.errors or device.away for device in now.devices)


async def accept(
    config: Config, devices: list[Device[Model]], installer: str, watch_s: float | None, spoken: Language
) -> Sheet:
    begun_at_ms = clock_ms()
    async with looking(config, clock_ms) as (_, snapshots):
        walk = _Walk(devices, spoken)
        looker = asyncio.create_task(walk.look_on(snapshots))
        try:
            if watch_s is None:
                entries = [await walk.ask(device) for device in devices]
            else:
                await asyncio.sleep(watch_s)
                entries = [walk.judged(device) for device in devices]
        finally:
            looker.cancel()
    return Sheet(
        site=config.site,
        edge=config.edge,
        software=software(),
        installer=installer,
        begun_at_ms=begun_at_ms,
        ended_at_ms=clock_ms(),
        devices=devices,
        entries=entries,
    )


class _Walk:
    """One device after the other; all of them are watched all the time."""

    def __init__(self, devices: list[Device[Model]], spoken: Language) -> None:
        self._devices = devices
        self._spoken = spoken
        self._seen: dict[str, SeenDevice] = {device.id: SeenDevice() for device in devices}
        self._now: Snapshot | None = None

    async def look_on(self, snapshots: AsyncIterator[Snapshot]) -> None:
        async for now in snapshots:
            self._now = now
            for device in now.devices:
                if device.id in self._seen:
                    self._seen[device.id] = look(self._seen[device.id], device)

    def judged(self, device: Device[Model]) -> Entry:
        """Passed if every channel was heard."""
        unheard = missing(self._seen[device.id], device.model.channels)
        return Entry(device.id, self._seen[device.id], Verdict.FAILED if unheard else Verdict.PASSED)

    async def ask(self, device: Device[Model]) -> Entry:
        """What the installer says of a device, while it is shown as it moves."""
        zh = self._spoken == "zh"
        print(f"\n{device.id}  {device.announcement.place.text}  ({device.model.name})")
        question = "[回车] 合格  [f] 不合格  [s] 跳过" if zh else "[Enter] passed  [f] failed  [s] skip"
        # only this device's course counts on the sheet, from now on
        self._seen[device.id] = SeenDevice()
        answer = asyncio.create_task(asyncio.to_thread(input))
        print("让它动作，看下面的数值。" if zh else "Make it move, and watch:", question)
        with Live(auto_refresh=False, console=Console()) as screen:
            while not answer.done():
                if self._now:
                    rows = table.rows([device], self._now, self._spoken)
                    screen.update(table.table(rows, self._now, self._spoken), refresh=True)
                await asyncio.wait([answer], timeout=0.5)
        said_ = answer.result().strip().lower()
        entry = self.judged(device)
        verdict = {"f": Verdict.FAILED, "s": Verdict.SKIPPED}.get(said_[:1], Verdict.PASSED)
        if verdict is Verdict.PASSED and entry.verdict is Verdict.FAILED:
            names = [device.kind.channels[name].name for name in missing(entry.seen, device.model.channels)]
            print(("没有收到：" if zh else "not heard: ") + ", ".join(said(name, self._spoken) for name in names))
            verdict = Verdict.FAILED
        note = ""
        if verdict is not Verdict.PASSED:
            note = await asyncio.to_thread(input, "备注 " if zh else "Note: ")
        return Entry(device.id, entry.seen, verdict, note[:300])
