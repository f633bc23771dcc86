"""What an installer sees in the terminal: the scan's progress, the live table, the walk through the devices.

Prints; the only one here that does. What is shown is decided in scan.py, table.py, acceptance.py and sheet.py.
"""

import asyncio
import errno
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from unicodedata import normalize

from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.progress import Progress

from edge.configuration.config import Config, Device, of
from edge.configuration.tables import LineSettings
from edge.installer import table
from edge.installer.acceptance import Entry, SeenDevice, Verdict, look, missing
from edge.installer.acceptance import bad as bad_channels
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

BUSY, NOT_TAKEN = os.strerror(errno.EAGAIN), os.strerror(errno.EINVAL)
IN_USE = {
    "zh": "；串口被别的程序占用，可能是网关程序：请先停止它",
    "en": "; another program has the port, perhaps the agent: stop it first",
}
BY_ID = Path("/dev/serial/by-id")


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


async def scan(
    port: str,
    wanted: Sequence[Speed],
    units: list[int],
    timeout_s: float,
    spoken: Language,
    *,
    everything: bool,
    stub: bool = True,
) -> set[int]:
    """The units that answered. `stub`: say what would stand in the configuration. Raises ConfigError if the port can't be opened."""
    console, zh = Console(stderr=True), spoken == "zh"
    answered: set[int] = set()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for speed in wanted:
            task = progress.add_task(str(speed), total=len(units))
            try:
                async for step in probe(port, [speed], units, timeout_s, spoken):
                    if isinstance(step, Report):
                        _tell(step, port if stub else None, spoken)
                        answered |= {found.unit for found in step.found}
                    else:
                        progress.advance(task)
            except LinkError as error:
                if str(error) != NOT_TAKEN:
                    raise ConfigError(f"{port}: {error}{IN_USE[spoken] if str(error) == BUSY else ''}") from error
                print(f"{speed}: " + ("这个串口不支持" if zh else "this port can't speak so"))
            progress.remove_task(task)
            if answered and not everything:
                break
    if not answered:
        print(
            f"没有设备应答。电源接通了吗？A、B 接反了吗？转换器选对了吗？慢的设备要更长的 --timeout（现为 {timeout_s * 1000:.0f}ms）。"
            if zh
            else "Nobody answered. Is the supply on, are A and B the right way round, is the adapter the right one?"
            f" A slow device wants more than --timeout {timeout_s * 1000:.0f}ms."
        )
    return answered


async def compare(config: Config, line: LineSettings, asked: list[int], answered: set[int], spoken: Language) -> bool:
    """Whether all is as the configuration says. Raises ConfigError if the port can't be opened."""
    try:
        against = await compared(line, of(ModbusModel, config.on_line(line.name)), asked, answered, spoken)
    except LinkError as error:
        raise ConfigError(f"{line.where}: {error}") from error
    zh = spoken == "zh"
    print(f"\n与线路 {line.name} 的配置对照：" if zh else f"\nAgainst the configuration of line {line.name}:")
    for why in against:
        print(f"  ! {why}")
    if not against:
        print("  完全一致" if zh else "  all is as it says")
    return not against


def _tell(report: Report, port: str | None, spoken: Language) -> None:
    zh = spoken == "zh"
    for suspicion in report.suspicions:
        print(f"{report.speed}: {suspicion}")
    if not report.found:
        return
    count = len(report.found)
    print(f"{report.speed}: " + (f"{count} 台设备" if zh else f"{count} device{'s' * (count != 1)}"))
    for found in report.found:
        print(
            f"  地址 {found.unit}: {found.detail}, 询问 {found.asked} 次, 应答 {found.answered} 次"
            if zh
            else f"  unit {found.unit}: {found.detail}, {found.answered} of {found.asked} answers"
        )
        for suspicion in found.suspicions:
            print(f"    ! {suspicion}")
    if port is None:
        return
    speed = report.speed
    parity = f'\nparity = "{speed.parity}"' if speed.parity != "N" else ""
    print("\n写入 edge.toml：" if zh else "\nFor edge.toml:")
    print(f'[[lines]]\nname = "rs485-1"\nport = "{lasting_name(port)}"\nbaudrate = {speed.baudrate}{parity}')


def lasting_name(port: str, by_id: Path = BY_ID) -> str:
    """The name of a port that survives replugging, if it has one; at least one that means the same in every folder."""
    if "://" in port:
        return port
    same = (link for link in sorted(by_id.glob("*")) if os.path.realpath(link) == os.path.realpath(port))
    return str(next(same, os.path.abspath(port)))


async def monitor(config: Config, shown: list[Device[Model]], spoken: Language, *, bad: bool, once: bool) -> None:
    live = sys.stdout.isatty() and not once
    async with looking(config, clock_ms) as (from_agent, snapshots):
        if not from_agent:
            _tell_no_agent(spoken)
        with Live(auto_refresh=False, screen=False) if live else nullcontext() as screen:
            async for now in _until_it_ends(snapshots, spoken):
                rows = [row for row in table.rows(shown, now, spoken) if row.bad or not bad]
                if isinstance(screen, Live):
                    screen.update(table.table(rows, now, spoken), refresh=True)
                elif from_agent or not once or _all_tried(now):
                    print(table.plain(rows, now, spoken), flush=True)
                    if once:
                        return


def _tell_no_agent(spoken: Language) -> None:
    english = "no agent is running here: reading the devices myself; nothing is stored"
    print("网关程序没有运行：直接读取设备，不保存数据" if spoken == "zh" else english, file=sys.stderr)


async def _until_it_ends(snapshots: AsyncIterator[Snapshot], spoken: Language) -> AsyncIterator[Snapshot]:
    try:
        async for now in snapshots:
            yield now
    except LinkError as error:
        raise ConfigError("网关程序已停止" if spoken == "zh" else str(error)) from error


def _all_tried(now: Snapshot) -> bool:
    return all(device.answers or device.errors or device.away for device in now.devices)


async def accept(
    config: Config, devices: list[Device[Model]], installer: str, watch_s: float | None, spoken: Language
) -> Sheet:
    """Who gives up in the middle has a sheet of what was done. Raises ConfigError when nothing can be seen any more."""
    begun_at_ms = clock_ms()
    entries: list[Entry] = []
    walk = _Walk(devices, spoken)
    try:
        async with looking(config, clock_ms) as (from_agent, snapshots):
            if not from_agent:
                _tell_no_agent(spoken)
            walk.looker = asyncio.create_task(walk.look_on(snapshots))
            try:
                if watch_s is None:
                    for number, device in enumerate(devices, 1):
                        print(f"\n[{number}/{len(devices)}] ", end="")
                        entries.append(await walk.ask(device))
                else:
                    await walk.watch(watch_s)
                    entries = [walk.judged(device) for device in devices]
            finally:
                walk.looker.cancel()
                await asyncio.gather(walk.looker, return_exceptions=True)
    except (asyncio.CancelledError, _InputEnded):  # Ctrl-C, or the terminal has gone
        print("\n中止" if spoken == "zh" else "\nbroken off")
    except LinkError as error:
        english, chinese = (
            f"{error}; what was seen before does not count: begin again",
            "网关程序已停止，之前看到的不算数，请重新验收",
        )
        raise ConfigError(chinese if spoken == "zh" else english) from error
    done = {entry.device for entry in entries}
    entries += [Entry(device.id, SeenDevice(), Verdict.SKIPPED) for device in devices if device.id not in done]
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

    looker: asyncio.Task[None]

    def __init__(self, devices: list[Device[Model]], spoken: Language) -> None:
        self._devices = devices
        self._spoken = spoken
        self._seen: dict[str, SeenDevice] = {device.id: SeenDevice() for device in devices}
        self._now: Snapshot | None = None
        self._lines = _Lines()

    async def look_on(self, snapshots: AsyncIterator[Snapshot]) -> None:
        async for now in snapshots:
            self._now = now
            for device in now.devices:
                if device.id in self._seen:
                    self._seen[device.id] = look(self._seen[device.id], device, now.at_ms)

    async def watch(self, for_s: float) -> None:
        """Raises LinkError when there is nothing to see any more."""
        await asyncio.wait([self.looker], timeout=for_s)
        self._still_seeing()

    def judged(self, device: Device[Model]) -> Entry:
        """Passed if the device was heard, all of its channels, and none in bad quality."""
        seen, wanted = self._seen[device.id], device.model.channels
        wrong = missing(seen, wanted) or bad_channels(seen, wanted)
        return Entry(device.id, seen, Verdict.FAILED if wrong else Verdict.PASSED)

    async def ask(self, device: Device[Model]) -> Entry:
        """What the installer says of a device, while it is shown as it moves."""
        zh = self._spoken == "zh"
        print(f"{device.id}  {device.announcement.place.text}  ({device.model.name})")
        question = "[回车] 合格  [f] 不合格  [s] 跳过" if zh else "[Enter] passed  [f] failed  [s] skip"
        # only this device's course counts on the sheet, from now on
        self._seen[device.id] = SeenDevice()
        print("让它动作，看下面的数值。" if zh else "Make it move, and watch:", question)
        while True:
            # an input method for Chinese may say ｆ
            word = normalize("NFKC", await self._answered(device)).strip().lower()
            entry = self.judged(device)
            if word in ("f", "s"):
                verdict = Verdict.FAILED if word == "f" else Verdict.SKIPPED
                note = await self._lines.next("备注 " if zh else "Note: ")
                return Entry(device.id, entry.seen, verdict, note[:300])
            if word == "" and entry.verdict is Verdict.PASSED:
                return entry
            if word == "":
                print(self._why_not(device, entry.seen))
            else:
                print(f"不明白“{word}”" if zh else f"{word!r} is no answer")
            print(question)

    def _why_not(self, device: Device[Model], seen: SeenDevice) -> str:
        zh, wanted = self._spoken == "zh", device.model.channels
        if unheard := missing(seen, wanted):
            before, names = "轮到它之后还没有收到：" if zh else "not heard since its turn began: ", unheard
        else:
            before, names = "数值不可信：" if zh else "in bad quality: ", bad_channels(seen, wanted)
        return before + ", ".join(said(device.kind.channels[name].name, self._spoken) for name in names)

    async def _answered(self, device: Device[Model]) -> str:
        """A line from the installer, while the device is shown. Raises LinkError when there is nothing to show any more."""
        answer = asyncio.create_task(self._lines.next())
        try:
            with Live(auto_refresh=False, console=Console()) as screen:
                while not answer.done():
                    self._still_seeing()
                    if self._now:
                        rows = table.rows([device], self._now, self._spoken)
                        screen.update(table.table(rows, self._now, self._spoken), refresh=True)
                    await asyncio.wait([answer], timeout=0.5)
                if sys.stdin.isatty() and screen.console.is_terminal:
                    screen.console.control(Control.move(0, -1))  # the Enter that was typed has moved the table up
            return answer.result()
        finally:
            answer.cancel()

    def _still_seeing(self) -> None:
        if self.looker.done():
            self.looker.result()
            raise LinkError("there is nothing to see any more")


class _InputEnded(Exception):
    """Nobody is there to answer any more."""


class _Lines:
    """Lines from the terminal or a pipe, without a thread that Ctrl-C would have to wait for."""

    def __init__(self) -> None:
        self._held = b""

    async def next(self, prompt: str = "") -> str:
        """Raises _InputEnded."""
        if prompt:
            print(prompt, end="", flush=True)
        while b"\n" not in self._held:
            await self._readable(sys.stdin.fileno())
            data = os.read(sys.stdin.fileno(), 4096)
            if not data:
                raise _InputEnded
            self._held += data
        line, _, self._held = self._held.partition(b"\n")
        return line.decode(errors="replace").strip()

    async def _readable(self, descriptor: int) -> None:
        ready = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(descriptor, ready.set)
        except OSError:  # a file is always ready, and can't be waited for
            return
        try:
            await ready.wait()
        finally:
            loop.remove_reader(descriptor)
