import asyncio
from pathlib import Path

import pytest
import structlog

from edge import timepiece
from edge.clock import LITTLE_MS, Machine
from edge.keeping.disk import Disk
from edge.report import Urgency
from messages.ids import EdgeId
from messages.pack import decode
from tests.edge.test_clock import FORGETS, HOUR_MS, NOW_MS, SERVED, Times
from tests.edge.test_disk import some

LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.timepiece.LOOK_EVERY_S", 0)


def disk(folder: Path, times: Times) -> Disk:
    clock = times.clock
    return Disk(folder, EdgeId("pi-1"), 1 << 20, clock.now_ms, true_ms=lambda: clock.offset_ms, boot="b1")


async def test_when_the_time_is_known_what_waits_is_put_right_and_it_is_said(tmp_path: Path) -> None:
    times = Times(NOW_MS, FORGETS)
    guess_ms = times.clock.guess_ms(NOW_MS)
    with structlog.testing.capture_logs() as said:
        async with disk(tmp_path, times) as kept, asyncio.timeout(LIMIT_S):
            (reported,) = some(1)
            reading = type(reported.reading)(device=reported.reading.device, channel="c", at_ms=NOW_MS, value=1.0)
            await kept.add([type(reported)(reading, Urgency.PERIODIC, guess_ms)])
            watching = asyncio.create_task(timepiece.watch(times.clock, kept))
            while not said:
                await asyncio.sleep(0)
            assert kept.guesses
            times.wall_ms, times.machine = NOW_MS + HOUR_MS, SERVED
            while not kept.clock_was_trusted:
                await asyncio.sleep(0)
            (row,) = await kept.waiting(Urgency.PERIODIC, most=9)
            assert [each.at_ms for each in decode(row.payload).readings] == [NOW_MS + HOUR_MS]
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    assert [(entry["event"], entry.get("by_s")) for entry in said] == [
        ("the time is not known yet; readings carry a guess, alarms leave with it, the others wait a while", None),
        ("the time is known; readings are put right", HOUR_MS // 1000),
    ]


async def test_a_clock_that_was_set_back_is_said_once_and_so_is_what_comes_of_it(tmp_path: Path) -> None:
    times = Times(NOW_MS)
    with structlog.testing.capture_logs() as said:
        async with disk(tmp_path, times) as kept, asyncio.timeout(LIMIT_S):
            watching = asyncio.create_task(timepiece.watch(times.clock, kept))
            while not kept.clock_was_trusted:
                await asyncio.sleep(0)
            times.wall_ms -= HOUR_MS  # and nobody says yet that this is right
            while len(said) < 1:
                await asyncio.sleep(0)
            times.wall_ms += HOUR_MS - LITTLE_MS
            while len(said) < 2:
                await asyncio.sleep(0)
            times.wall_ms -= HOUR_MS
            times.machine = SERVED
            while len(said) < 3:
                await asyncio.sleep(0)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    assert [entry["event"] for entry in said] == [
        "the clock was set back; readings go on from where it was",
        "the clock and the readings agree again",
        "the clock was wrong; readings begin again at the right time",
    ]


def pi(root: Path, *, battery_s: int | None = None, device_tree: bool = True) -> Path:
    if device_tree:
        (root / "proc/device-tree").mkdir(parents=True)
    if battery_s is not None:
        (root / "sys/class/rtc/rtc0").mkdir(parents=True)
        (root / "sys/class/rtc/rtc0/since_epoch").write_text(f"{battery_s}\n")
    return root


def test_a_machine_from_a_device_tree_keeps_the_time_only_with_a_battery_clock_that_agrees(tmp_path: Path) -> None:
    now_s = NOW_MS // 1000
    assert not timepiece.machine(NOW_MS, pi(tmp_path / "pi-4")).keeps_time
    assert not timepiece.machine(NOW_MS, pi(tmp_path / "flat battery", battery_s=300)).keeps_time
    assert timepiece.machine(NOW_MS, pi(tmp_path / "pi-5", battery_s=now_s - 2)).keeps_time
    assert timepiece.machine(NOW_MS, pi(tmp_path / "server", device_tree=False)).keeps_time


def test_the_mark_of_systemd_says_that_a_time_server_has_answered(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    assert timepiece.machine(NOW_MS, tmp_path) == Machine(synchronized=True, keeps_time=True)


def test_a_boot_has_a_name_and_a_kernel_that_gives_none_is_no_mistake(tmp_path: Path) -> None:
    assert timepiece.boot(tmp_path) == ""
    assert timepiece.boot() == timepiece.boot()
