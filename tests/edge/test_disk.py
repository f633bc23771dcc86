import asyncio
import contextlib
import errno
import os
import random
import re
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest
import structlog

from edge.keeping.disk import FILE, MOST_SET_ASIDE, RESERVE_BYTES, Disk, new_stream
from edge.keeping.outbox import DISK_SHORT
from edge.report import Reported, Urgency
from messages.ids import IDENTIFIER, DeviceId, EdgeId
from messages.reading import Reading
from messages.receipt import Receipt
from messages.settings import ConfigError

LIMIT_S = 20.0
REFUSES = "disk refuses; readings wait in memory, alarms leave without a number"


def disk(folder: Path, now_ms: int = 1) -> Disk:
    return Disk(folder, EdgeId("pi-1"), 1 << 20, lambda: now_ms)


def some(count: int) -> list[Reported]:
    readings = (Reading(device=DeviceId("d"), channel="c", at_ms=at, value=1.0) for at in range(count))
    return [Reported(reading, Urgency.PERIODIC) for reading in readings]


@contextmanager
def files_no_longer_than(limit_bytes: int) -> Iterator[None]:
    """A disk that takes no more, for this process: the kernel refuses to let any file grow past the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_the_folder_is_made_and_each_start_begins_a_stream(tmp_path: Path) -> None:
    async with disk(tmp_path / "a" / "b") as first:
        stream = first.stream
        assert await first.add(some(1)) == 1
    async with disk(tmp_path / "a" / "b") as second:
        assert second.stream != stream
        assert await second.add(some(1)) == 1
        assert (await second.ledger()).figures.pending == 2


async def test_two_agents_never_share_a_folder(tmp_path: Path) -> None:
    async with disk(tmp_path):
        with pytest.raises(ConfigError, match="another edge agent"):
            async with disk(tmp_path):
                pass
    async with disk(tmp_path):
        pass


async def test_a_folder_that_cannot_be_made_is_the_operators_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="no outbox can be kept here"):
        async with disk(tmp_path / "file" / "folder"):
            pass


async def test_a_file_that_is_none_is_the_operators_to_mend(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(ConfigError, match="no outbox can be kept here: unable to open"):
        async with disk(tmp_path):
            pass


async def test_a_disk_that_is_full_at_the_start_keeps_no_agent_from_starting(tmp_path: Path) -> None:
    refused = asyncio.Event()
    with structlog.testing.capture_logs() as said:
        async with AsyncExitStack() as stack, asyncio.timeout(LIMIT_S):
            with files_no_longer_than(0):
                full = await stack.enter_async_context(disk(tmp_path))
                assert (full.refuses, full.stream, full.newest_ms) == (True, None, 0)
                adding = asyncio.create_task(full.add(some(3), 2, refused.set))
                await refused.wait()
            assert await adding == 1
            assert (full.refuses, full.stream) == (False, (await full.ledger()).stream)
            assert (await full.ledger()).figures.dropped == 2
    assert [entry["event"] for entry in said] == [REFUSES, "disk is back"]


async def test_a_disk_that_can_only_be_read_at_the_start_is_no_mistake_of_the_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Path, flags: int, mode: int) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    with monkeypatch.context() as remounted:
        remounted.setattr("edge.keeping.disk.os.open", read_only)
        starting = disk(tmp_path)
        await starting.__aenter__()
        assert starting.refuses
    async with asyncio.timeout(LIMIT_S):
        assert await starting.add(some(1)) == 1
    await starting.__aexit__(None, None, None)


async def test_what_can_still_be_read_does_not_say_that_a_full_disk_is_back(tmp_path: Path) -> None:
    refused = asyncio.Event()
    async with disk(tmp_path) as full, asyncio.timeout(LIMIT_S):
        with files_no_longer_than(0), structlog.testing.capture_logs():
            adding = asyncio.create_task(full.add(some(2000), 0, refused.set))
            await refused.wait()
            await full.ledger()
            assert full.refuses
        await adding
        assert not full.refuses


async def test_a_torn_file_is_set_aside_and_said_and_a_new_stream_begins(tmp_path: Path) -> None:
    async with disk(tmp_path) as before:
        await before.add(some(50))
        stream = before.stream
    torn = (tmp_path / FILE).read_bytes()[:5000]
    (tmp_path / FILE).write_bytes(torn)
    with structlog.testing.capture_logs() as said:
        async with disk(tmp_path, now_ms=77) as after:
            assert after.stream != stream
            assert await after.add(some(1)) == 1
            assert after.set_aside == [f"{FILE}.damaged-77"]
    assert (tmp_path / f"{FILE}.damaged-77").read_bytes() == torn
    assert [entry["event"] for entry in said] == ["outbox is damaged, set aside; a new stream begins"]


async def test_damage_that_shows_later_costs_no_reading_that_comes_after(tmp_path: Path) -> None:
    async with disk(tmp_path) as running:
        for _ in range(100):
            await running.add(some(50))
        stream = running.stream
        with sqlite3.connect(tmp_path / FILE) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.close()
        with (tmp_path / FILE).open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * 4096 * 20)
        while running.stream == stream:
            await running.add(some(50))
        assert (await running.ledger()).figures.pending == 50
    async with disk(tmp_path) as again:
        assert (await again.ledger()).figures.pending == 50


async def test_only_the_last_few_damaged_files_are_kept(tmp_path: Path) -> None:
    for now_ms in range(10, 16):
        (tmp_path / FILE).write_bytes(b"no database" * 100)
        async with disk(tmp_path, now_ms):
            pass
    kept = sorted(path.name for path in tmp_path.glob("*.damaged-*"))
    assert kept == [f"{FILE}.damaged-{now_ms}" for now_ms in range(16 - MOST_SET_ASIDE, 16)]


async def test_a_disk_that_refuses_is_said_once_and_waited_for(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as said:
        async with disk(tmp_path) as full, asyncio.timeout(LIMIT_S):
            await full.add(some(1))
            with files_no_longer_than(32 * 1024):
                waiting = [asyncio.create_task(full.add(some(200))) for _ in range(8)]
                while not said:
                    await asyncio.wait(waiting, timeout=0.05)
            await asyncio.gather(*waiting)
            assert (await full.ledger()).figures.pending == 1601
    assert [entry["event"] for entry in said] == [REFUSES, "disk is back"]


async def test_before_the_disk_is_full_the_outbox_stops_growing_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def left(free_bytes: int) -> None:
        """As the kernel would say it of a card of 16 GB; only that number is not the real one."""
        real = os.statvfs(tmp_path)
        blocks = (16 << 30) // real.f_frsize
        found = os.statvfs_result((*real[:2], blocks, blocks, free_bytes // real.f_frsize, *real[5:]))
        monkeypatch.setattr("edge.keeping.disk.os.statvfs", lambda folder: found)

    monkeypatch.setattr("edge.keeping.outbox.SHORT_BYTES", 2_000)
    with structlog.testing.capture_logs() as said:
        async with disk(tmp_path) as card, asyncio.timeout(LIMIT_S):
            for free_bytes in (RESERVE_BYTES, RESERVE_BYTES - 4096, RESERVE_BYTES - 4096, 2 * RESERVE_BYTES):
                left(free_bytes)
                for _ in range(20):
                    await card.add(some(20))
            dropped = (await card.ledger()).figures.dropped_for
    assert [entry["event"] for entry in said] == [
        "disk is nearly full; from now on the oldest periodic readings give way",
        "disk has room again",
    ]
    assert list(dropped) == [DISK_SHORT]


async def test_what_a_receipt_lets_go_is_on_disk_soon_without_another_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.keeping.disk.SETTLED_S", 0.01)
    async with disk(tmp_path) as quiet, asyncio.timeout(LIMIT_S):
        await quiet.add(some(1))
        assert quiet.stream
        await quiet.settle([Receipt(stream=quiet.stream, stored=[(1, 1)])])
        with contextlib.closing(sqlite3.connect(f"file:{tmp_path / FILE}?mode=ro", uri=True)) as reader:
            while reader.execute("SELECT count(*) FROM packs").fetchone() != (0,):
                await asyncio.sleep(0.01)


async def test_an_outbox_of_another_layout_is_set_aside_and_keeps_no_agent_from_starting(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute("CREATE TABLE packs (number INTEGER PRIMARY KEY)")
    async with disk(tmp_path, now_ms=5) as after:
        assert await after.add(some(1)) == 1
        assert after.set_aside == [f"{FILE}.damaged-5"]


def test_streams_are_named_apart_and_safely() -> None:
    names = {new_stream() for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) == 12 and re.match(IDENTIFIER, name) for name in names)


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_a_card_makes_of_the_files_the_outbox_opens_and_goes_on(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    async with disk(tmp_path / "before") as before:
        for number in range(60):
            await before.add(some(20))
            if number % 7 == 0 and before.stream:
                await before.settle(
                    [Receipt(stream=before.stream, stored=[(number - 3, number - 2)] if number else [])]
                )
        shutil.copytree(tmp_path / "before", tmp_path / "after")  # as a power cut leaves them
    for part in dice.sample(["", "-wal", "-shm"], dice.randint(1, 3)):
        path = tmp_path / "after" / f"{FILE}{part}"
        content = bytearray(path.read_bytes())
        for _ in range(dice.choice([1, 1, 5, 200])):
            start = dice.randrange(len(content))
            match dice.randrange(3):
                case 0:
                    content[start] ^= 1 << dice.randrange(8)
                case 1:
                    content[start : start + 512] = bytes(len(content[start : start + 512]))
                case 2:
                    content = content[: max(start, 1)]
        path.write_bytes(content)
    with structlog.testing.capture_logs():
        async with disk(tmp_path / "after") as after, asyncio.timeout(LIMIT_S):
            for _ in range(3):
                await after.add([*some(5), Reported(some(1)[0].reading, Urgency.ALARM)])
            for urgency in Urgency:
                await after.waiting(urgency, most=10_000)
            await after.named([(after.stream, number) for number in range(10)] if after.stream else [])
            figures = (await after.ledger()).figures
    assert figures.pending >= 18
    assert figures.produced == figures.receipted + figures.pending + figures.dropped
