"""The walk through the devices: one after the other is shown, and the installer says whether it is right.

All devices are watched all the time. Prints; what counts is decided in acceptance.py, what stands on the sheet in sheet.py.
"""

import asyncio
import contextlib
import errno
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from unicodedata import normalize

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text as Words

from edge.agent import expected
from edge.configuration.config import Config, Device
from edge.installer import table
from edge.installer.accepting import sheet as sheets
from edge.installer.accepting.acceptance import Entry, SeenDevice, Verdict, look, missing
from edge.installer.accepting.acceptance import bad as bad_channels
from edge.installer.accepting.answers import Answers, BrokenOff, Lines, Typed
from edge.installer.keyboard import Keyboard
from edge.installer.look import looking
from edge.installer.snapshot import Snapshot
from edge.installer.terminal import tell_no_agent
from edge.installer.words import said
from edge.models.modbus import ModbusModel
from edge.models.product import Model
from edge.sources.port import LinkError
from gridcall import software
from messages.language import Language, phrase
from messages.settings import ConfigError, Text

T = TypeVar("T")

TICK_S = 0.25
LOOKS_S = 4.0
"""How long a device that is asked may take, beside its own interval, until an Enter finds it heard: some looks of a second."""
MOST_PATIENCE_S = 60.0
"""With lines that were written down, for a device that speaks by itself."""
INTERRUPTED = Text(zh="已中断", en="interrupted")


@dataclass(frozen=True, slots=True)
class Walked:
    """How it ended."""

    sheet: sheets.Sheet
    why: Text | None
    """Why it was broken off, and at which device; None if it came to its end."""

    @property
    def anything(self) -> bool:
        """Whether there is something to write down."""
        return any(entry.verdict is not Verdict.SKIPPED for entry in self.sheet.entries) or self.why is None


async def accept(
    config: Config,
    devices: list[Device[Model]],
    installer: str,
    watch_s: float | None,
    spoken: Language,
    *,
    clock_ms: Callable[[], int],
) -> Walked:
    """Who gives up in the middle has a sheet of what was done. Raises ConfigError when nothing can be seen any more."""
    begun_at_ms = clock_ms()
    entries: list[Entry] = []
    try:
        async with looking(config, clock_ms) as (from_agent, snapshots):
            if not from_agent:
                tell_no_agent(spoken)
            with _answers() as answers, _hang_up_ends():
                why = await _Walk(devices, spoken, answers).run(snapshots, entries, watch_s)
    except LinkError as error:
        raise ConfigError("{why}; what was seen before does not count: begin again", why=error.why) from error
    if why and (left := devices[len(entries) :]):
        place, device = f"{len(entries) + 1}/{len(devices)}", left[0].id
        why = Text(zh=f"{why.zh}：停在第 {place} 台（{device}）", en=f"{why.en}, at device {place} ({device})")
    entries += [Entry(device.id, SeenDevice(), Verdict.SKIPPED) for device in devices[len(entries) :]]
    sheet = sheets.Sheet(
        site=config.site,
        edge=config.edge,
        software=software(),
        installer=installer,
        begun_at_ms=begun_at_ms,
        ended_at_ms=clock_ms(),
        devices=devices,
        entries=entries,
    )
    return Walked(sheet, why)


@contextlib.contextmanager
def _answers() -> Iterator[Answers]:
    if sys.stdin.isatty() and sys.stdout.isatty():
        with Keyboard(sys.stdin.fileno()) as keyboard:
            yield Typed(keyboard)
    else:
        yield Lines(sys.stdin.fileno(), by_hand=sys.stdin.isatty())


@contextlib.contextmanager
def _hang_up_ends() -> Iterator[None]:
    """A connection that breaks on the ladder costs no work: it ends the walk as Ctrl-C does."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task
    loop.add_signal_handler(signal.SIGHUP, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the sheet is still to be written


class _Walk:
    """One device after the other; all of them are watched all the time."""

    looker: asyncio.Task[None]

    def __init__(self, devices: list[Device[Model]], spoken: Language, answers: Answers) -> None:
        self._devices = devices
        self._spoken: Language = spoken
        self._answers = answers
        self._seen: dict[str, SeenDevice] = {device.id: SeenDevice() for device in devices}
        self._now: Snapshot | None = None
        self._looked = asyncio.Event()
        self._console = Console()
        self._printed: set[str] = set()

    async def run(self, snapshots: AsyncIterator[Snapshot], entries: list[Entry], watch_s: float | None) -> Text | None:
        """Adds to `entries`, so that what was done stays when it is broken off; why it was. Raises LinkError."""
        self.looker = asyncio.create_task(self.look_on(snapshots))
        try:
            if watch_s is None:
                await self.ask_all(entries)
            else:
                await self.watch(watch_s)
                entries += [self.judged(device) for device in self._devices]
        except BrokenOff as error:
            return error.why
        except (asyncio.CancelledError, BrokenPipeError):  # Ctrl-C; nobody reads what is printed
            return INTERRUPTED
        except OSError as error:
            if error.errno != errno.EIO:  # the terminal has gone
                raise
            return INTERRUPTED
        finally:
            self.looker.cancel()
            await asyncio.gather(self.looker, return_exceptions=True)
        return None

    async def look_on(self, snapshots: AsyncIterator[Snapshot]) -> None:
        async for now in snapshots:
            self._now = now
            for device in now.devices:
                if device.id in self._seen:
                    self._seen[device.id] = look(self._seen[device.id], device, now.at_ms)
            self._looked.set()

    async def watch(self, for_s: float) -> None:
        """Raises LinkError when there is nothing to see any more."""
        await asyncio.wait([self.looker], timeout=for_s)
        self._still_seeing()

    def judged(self, device: Device[Model]) -> Entry:
        """Passed if the device was heard, all of its channels, and none in bad quality."""
        seen, wanted = self._seen[device.id], device.model.channels
        wrong = missing(seen, wanted) or bad_channels(seen, wanted)
        return Entry(device.id, seen, Verdict.FAILED if wrong else Verdict.PASSED)

    async def ask_all(self, entries: list[Entry]) -> None:
        for number, device in enumerate(self._devices, 1):
            place = device.announcement.place.text
            print(f"\n[{number}/{len(self._devices)}] {device.id}  {place}  ({device.model.name})", flush=True)
            entries.append(entry := await self.ask(device))
            print(f"-> {sheets.verdict(entry.verdict, self._spoken)} {entry.note}".rstrip(), flush=True)
        if self._answers.left_over():
            raise BrokenOff(
                Text(
                    zh="答案比设备多：每台设备一行，请核对是否错位",
                    en="there are more answers than devices: one line is for one device; do they belong together?",
                )
            )

    async def ask(self, device: Device[Model]) -> Entry:
        """What the installer says of a device, while it is shown as it moves."""
        # only this device's course counts on the sheet, from now on
        self._seen[device.id] = SeenDevice()
        print(self._said("让它动作，看数值。", "Make it move, and watch."))
        question = self._said("[回车] 合格  [f] 不合格  [s] 跳过", "[Enter] passed  [f] failed  [s] skip")
        while True:
            # an input method for Chinese may say ｆ
            answer = normalize("NFKC", await self._shown(device, self._answers.next(), question)).strip()
            word, _, note = answer.partition(" ")
            if word.lower() in ("f", "s"):
                verdict = Verdict.FAILED if word.lower() == "f" else Verdict.SKIPPED
                if not note and self._answers.by_hand:
                    note = await self._shown(device, self._answers.next(), self._said("备注：", "Note:"))
                return Entry(device.id, self._seen[device.id], verdict, note.strip()[:300])
            if answer:
                wrong = Text(zh=f"不明白“{answer[:40]}”", en=f"{answer[:40]!r} is no answer")
                if not self._answers.by_hand:
                    raise BrokenOff(wrong)
                print(said(wrong, self._spoken))
                continue
            await self._shown(device, self._heard(device), self._said("等它应答……", "waiting to hear from it …"))
            entry = self.judged(device)
            if entry.verdict is Verdict.PASSED:
                return entry
            print(self._why_not(device, entry.seen))
            if not self._answers.by_hand:
                return entry

    async def _heard(self, device: Device[Model]) -> None:
        """Until the device would pass, for as long as it may take."""
        asked = isinstance(device.model, ModbusModel)
        every_s = device.model.poll_every_s if isinstance(device.model, ModbusModel) else 0.0
        patience_s = LOOKS_S + 2 * every_s
        if not asked and not self._answers.by_hand:
            patience_s += min(expected(device).every_s, MOST_PATIENCE_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self.judged(device).verdict is not Verdict.PASSED:
                    self._looked.clear()
                    await self._looked.wait()

    def _why_not(self, device: Device[Model], seen: SeenDevice) -> str:
        wanted = device.model.channels
        if unheard := missing(seen, wanted):
            before, names = self._said("轮到它之后还没有收到：", "not heard since its turn began: "), unheard
        else:
            before, names = self._said("数值不可信：", "in bad quality: "), bad_channels(seen, wanted)
        return before + ", ".join(said(device.kind.channels[name].name, self._spoken) for name in names)

    async def _shown(self, device: Device[Model], awaited: Coroutine[Any, Any, T], question: str) -> T:
        """What `awaited` gives, while the device is shown. Raises LinkError when there is nothing to show any more."""
        task = asyncio.create_task(awaited)
        screen = Live(auto_refresh=False, console=self._console, transient=True) if self._console.is_terminal else None
        try:
            with screen or contextlib.nullcontext():
                if not screen:
                    print(question, flush=True)
                while not task.done():
                    self._still_seeing()
                    self._show(device, question, screen)
                    await asyncio.wait([task], timeout=TICK_S)
                self._show(device, question, screen)
            return task.result()
        finally:
            task.cancel()

    def _show(self, device: Device[Model], question: str, screen: Live | None) -> None:
        """As a picture that changes, or, where nothing can change any more, once when the device has been heard."""
        rows = table.rows([device], self._now, self._spoken) if self._now else []
        if not screen:
            if self._now and device.id not in self._printed and self.judged(device).verdict is Verdict.PASSED:
                self._printed.add(device.id)
                print(table.plain(rows, self._now, self._spoken), flush=True)
            return
        line = Words(f"{question} {self._answers.line}", no_wrap=True, overflow="ellipsis")
        if self._now:
            width, height = self._console.size
            fit = rows[: max(height - len(self._now.lines) - 3, 1)]
            screen.update(Group(table.table(fit, self._now, self._spoken, width), line), refresh=True)
        else:
            screen.update(line, refresh=True)

    def _still_seeing(self) -> None:
        if self.looker.done():
            self.looker.result()
            raise LinkError(phrase("there is nothing to see any more"))

    def _said(self, chinese: str, english: str) -> str:
        return chinese if self._spoken == "zh" else english
