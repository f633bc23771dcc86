"""What an installer sees in the terminal: the scan's progress, the live table. Prints; what is shown is decided in scanning/ and
table.py."""

import asyncio
import errno
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress
from rich.text import Text as Words

from edge.configuration.config import Config, Device, of
from edge.configuration.tables import LineSettings
from edge.installer import table
from edge.installer.keyboard import END_OF_INPUT, Keyboard
from edge.installer.look import looking
from edge.installer.scanning.prober import IDLE_S, Report, compared, probe, silence_s
from edge.installer.scanning.scan import Heard, Speed
from edge.installer.snapshot import Snapshot
from edge.installer.words import no_port
from edge.models.modbus import ModbusModel
from edge.models.product import Model
from edge.sources.port import LinkError
from messages.language import Language, Phrase
from messages.settings import ConfigError

NOT_TAKEN = os.strerror(errno.EINVAL)
LONG_S = 60
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
    heard: list[int] = []
    if (at_most_s := longest_s(wanted, units, timeout_s)) > LONG_S:
        minutes = f"{at_most_s / 60:.0f}"
        longest = f"没有设备应答时最长约 {minutes} 分钟" if zh else f"{minutes} min at most, if nobody answers"
        print(f"{longest}; Ctrl-C", file=sys.stderr)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for speed in wanted:
            task = progress.add_task(str(speed), total=len(units))
            try:
                async for step in probe(port, [speed], units, timeout_s, spoken):
                    if isinstance(step, Report):
                        _tell(step, port if stub else None, spoken)
                        answered |= {found.unit for found in step.found}
                    else:
                        heard += [step.unit] * (step.heard in (Heard.ANSWER, Heard.TWICE))
                        progress.advance(task)
            except asyncio.CancelledError:  # Ctrl-C, when the device that he waits for has long been there
                units_said = ", ".join(map(str, heard)) or ("无" if zh else "nobody")
                print(
                    f"{speed}: "
                    + (f"已中断；已应答的地址：{units_said}" if zh else f"broken off; so far answered: {units_said}")
                )
                raise
            except LinkError as error:
                if str(error) != NOT_TAKEN:
                    raise ConfigError("{port}: {why}", port=port, why=Phrase(no_port(error.why, spoken))) from error
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


def longest_s(wanted: Sequence[Speed], units: Sequence[int], timeout_s: float) -> float:
    """How long a scan takes on which nobody answers."""
    return sum(IDLE_S + len(units) * silence_s(speed, timeout_s) for speed in wanted)


async def compare(config: Config, line: LineSettings, asked: list[int], answered: set[int], spoken: Language) -> bool:
    """Whether all is as the configuration says. Raises ConfigError if the port can't be opened."""
    try:
        against = await compared(line, of(ModbusModel, config.on_line(line.name)), asked, answered, spoken)
    except LinkError as error:
        raise ConfigError("{port}: {why}", port=line.where, why=Phrase(no_port(error.why, spoken))) from error
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
    async with looking(config, clock_ms) as (from_agent, snapshots):
        if not from_agent:
            tell_no_agent(spoken)
        seen = _until_it_ends(snapshots, spoken)
        if sys.stdout.isatty() and not once:
            await _live(seen, lambda now: _rows(shown, now, spoken, bad=bad), spoken)
            return
        async for now in seen:
            if from_agent or not once or _all_tried(now):
                print(table.plain(_rows(shown, now, spoken, bad=bad), now, spoken), flush=True)
                if once:
                    return


def _rows(shown: list[Device[Model]], now: Snapshot, spoken: Language, *, bad: bool) -> list[table.Row]:
    return [row for row in table.rows(shown, now, spoken) if row.bad or not bad]


async def _live(seen: AsyncIterator[Snapshot], rows: Callable[[Snapshot], list[table.Row]], spoken: Language) -> None:
    """Until q, Ctrl-C or the end of the terminal. Who looks from elsewhere, without a keyboard, sees the first page."""
    pager = _Pager(rows, spoken)
    with Live(auto_refresh=False, screen=False) as screen:

        async def look_on() -> None:
            async for now in seen:
                pager.show(screen, now)

        with Keyboard(sys.stdin.fileno()) if sys.stdin.isatty() else nullcontext() as keyboard:
            looker = asyncio.create_task(look_on())
            turner = asyncio.create_task(pager.turn(screen, keyboard)) if keyboard else None
            try:
                await asyncio.wait([task for task in (looker, turner) if task], return_when=asyncio.FIRST_COMPLETED)
                if looker.done():
                    looker.result()
            finally:
                for task in (looker, turner):
                    if task:
                        task.cancel()
                        await asyncio.gather(task, return_exceptions=True)


class _Pager:
    """A table that is higher than the screen, a page at a time."""

    def __init__(self, rows: Callable[[Snapshot], list[table.Row]], spoken: Language) -> None:
        self._rows = rows
        self._spoken: Language = spoken
        self._page = 0
        self._now: Snapshot | None = None

    def show(self, screen: Live, now: Snapshot) -> None:
        self._now = now
        width, height = screen.console.size
        room = max(height - len(now.lines) - 3, 1)  # the heading, the lines, how to turn pages, where the cursor stands
        pages = table.pages(self._rows(now), room)
        self._page %= len(pages)
        shown = pages[self._page]
        parts: list[RenderableType] = [table.table(shown, now, self._spoken, width)]
        if len(pages) > 1:
            elsewhere = sum(row.bad for page in pages for row in page) - sum(row.bad for row in shown)
            parts.append(Words(self._turning(len(pages), elsewhere), no_wrap=True, overflow="ellipsis"))
        screen.update(Group(*parts), refresh=True)

    def _turning(self, count: int, elsewhere: int) -> str:
        if self._spoken == "zh":
            return f"第 {self._page + 1}/{count} 页，空格翻页，q 结束" + (
                f"；其他页有 {elsewhere} 行要看" if elsewhere else ""
            )
        others = f"; {elsewhere} marked on other pages" if elsewhere else ""
        return f"page {self._page + 1} of {count}: space turns, q ends{others}"

    async def turn(self, screen: Live, keyboard: Keyboard) -> None:
        """Until q or the end of the terminal."""
        while True:
            for key in await keyboard.keys():
                if key in ("q", "Q", END_OF_INPUT):
                    return
                if key == " ":
                    self._page += 1
                elif key == "b":
                    self._page -= 1
            if self._now:
                self.show(screen, self._now)


def tell_no_agent(spoken: Language) -> None:
    english = "no agent is running here: reading the devices myself; nothing is stored"
    print("网关程序没有运行：直接读取设备，不保存数据" if spoken == "zh" else english, file=sys.stderr)


async def _until_it_ends(snapshots: AsyncIterator[Snapshot], spoken: Language) -> AsyncIterator[Snapshot]:
    try:
        async for now in snapshots:
            yield now
    except LinkError as error:
        raise ConfigError(error.why) from error


def _all_tried(now: Snapshot) -> bool:
    """What hangs on a line that can't be opened is tried with it."""
    shut = {line.name for line in now.lines if not line.open and line.why["en"]}
    return all(device.answers or device.errors or device.away or device.line in shut for device in now.devices)
