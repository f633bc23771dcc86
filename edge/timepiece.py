"""What this machine knows of its own clock, and the task that turns the edge's clock when that is put right.

Asked are the kernel (adjtimex(2): any time server's daemon tells it), systemd-timesyncd's mark, the battery clocks that
the kernel lists, and whether the machine starts from a device tree, as Pis do: others keep the time while they are
off. Nothing is ever set here; what follows from the answers is decided in clock.py.
"""

import asyncio
import ctypes
from pathlib import Path
from typing import NoReturn

import structlog

from edge.clock import Clock, Machine
from edge.keeping.disk import Disk

LOOK_EVERY_S = 1.0
MOST_AHEAD_MS = 5_000
BATTERY_AGREES_S = 60

_TIMEX_BYTES = 512  # struct timex of linux/timex.h has some 200; only the answer of the call is read
_TIME_ERROR = 5  # adjtimex(2): nobody keeps the clock
_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
_CLOCKS = Path("/sys/class/rtc")
_DEVICE_TREE = Path("/proc/device-tree")
_BOOT = Path("/proc/sys/kernel/random/boot_id")

log = structlog.get_logger("clock")


def machine(wall_ms: int, root: Path = Path("/")) -> Machine:
    """What can be known just now; `root` stands before the paths that are read."""
    return Machine(
        synchronized=_kernel_is_told() or _at(root, _SYNCHRONIZED).exists(),
        keeps_time=not _at(root, _DEVICE_TREE).exists() or _battery_agrees(_at(root, _CLOCKS), wall_ms),
    )


def boot(root: Path = Path("/")) -> str:
    """A name of the machine's life since it was switched on; "" where the kernel has none."""
    try:
        return _at(root, _BOOT).read_text().strip()
    except OSError:
        return ""


async def watch(clock: Clock, disk: Disk) -> NoReturn:
    """Turn the clock when the machine's is put right, and have the outbox put right what it can. Says changes."""
    was_ahead = False
    if not clock.trusted:
        log.warning("the time is not known yet; readings carry a guess, alarms leave with it, the others wait a while")
    while True:
        turn = clock.look()
        if turn and turn.was_trusted:
            log.warning("the clock was wrong; readings begin again at the right time", by_s=turn.by_ms // 1000)
        elif turn:
            log.info("the time is known; readings are put right", by_s=turn.by_ms // 1000)
        if clock.trusted and not disk.refuses and (disk.guesses or not disk.clock_was_trusted):
            await disk.correct()
        ahead_ms = clock.ahead_ms() if clock.trusted else 0
        if ahead_ms > MOST_AHEAD_MS and not was_ahead:
            log.warning("the clock was set back; readings go on from where it was", ahead_s=ahead_ms // 1000)
        elif was_ahead and ahead_ms <= MOST_AHEAD_MS:
            log.info("the clock and the readings agree again")
        was_ahead = ahead_ms > MOST_AHEAD_MS
        await asyncio.sleep(LOOK_EVERY_S)


def _at(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _kernel_is_told() -> bool:
    try:
        answer = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    except (OSError, AttributeError):  # not Linux
        return False
    return 0 <= answer != _TIME_ERROR


def _battery_agrees(clocks: Path, wall_ms: int) -> bool:
    """A battery clock whose battery is flat is listed too; it says another time than the machine."""
    for said in clocks.glob("rtc*/since_epoch"):
        try:
            if abs(int(said.read_text()) - wall_ms / 1000) <= BATTERY_AGREES_S:
                return True
        except (OSError, ValueError):
            pass
    return False
