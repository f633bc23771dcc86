import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from edge.keeping.disk import Disk
from edge.keeping.intake import COMPANY_S, ENOUGH, HURRIES, HURRIES_PER_S, MOST_WAITING, PATIENCE_S, Hurries, Intake
from edge.report import Reported, Urgency
from messages.ids import DeviceId, EdgeId
from messages.reading import Reading
from tests.edge.test_disk import files_no_longer_than

LIMIT_S = 10.0


def some(count: int = 1, urgency: Urgency = Urgency.PERIODIC) -> list[Reported]:
    readings = (Reading(device=DeviceId("d"), channel="c", at_ms=at, value=1.0) for at in range(count))
    return [Reported(reading, urgency) for reading in readings]


class Kept(asyncio.Event):
    """Set after a commit. Knows what was cried."""

    def __init__(self) -> None:
        super().__init__()
        self.cried: list[Reading] = []
        self.some_cried = asyncio.Event()

    def cry(self, alarms: Sequence[Reading]) -> None:
        self.cried += alarms
        self.some_cried.set()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Intake, Disk, Kept]]:
    kept = Kept()
    async with Disk(folder, EdgeId("pi-1"), 1 << 20, lambda: 1) as disk:
        intake = Intake(disk, kept.set, kept.cry)
        task = asyncio.create_task(intake.run())
        async with asyncio.timeout(LIMIT_S):
            yield intake, disk, kept
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def company_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk within the limit of a test has not waited for company."""
    monkeypatch.setattr("edge.keeping.intake.COMPANY_S", 1000 * LIMIT_S)


@pytest.mark.usefixtures("company_for_ever")
async def test_an_alarm_is_on_disk_at_once_and_takes_along_what_waits(tmp_path: Path) -> None:
    async with running(tmp_path) as (intake, disk, kept):
        await intake.put(some(3))
        await intake.put(some(1, Urgency.ALARM))
        await kept.wait()
        assert (await disk.ledger()).figures.pending == 4
        assert (await disk.ledger()).packs == 2


async def test_periodic_readings_travel_in_company(tmp_path: Path) -> None:
    async with running(tmp_path) as (intake, disk, kept):
        for _ in range(5):
            await intake.put(some())
        start_s = asyncio.get_running_loop().time()
        await kept.wait()
        assert asyncio.get_running_loop().time() - start_s > COMPANY_S * 0.9
        assert (await disk.ledger()).packs == 1


@pytest.mark.usefixtures("company_for_ever")
async def test_many_periodic_readings_wait_for_no_company(tmp_path: Path) -> None:
    async with running(tmp_path) as (intake, _, kept):
        await intake.put(some(ENOUGH))
        await kept.wait()


async def test_what_depends_on_the_disk_happens_after_the_commit_and_in_order(tmp_path: Path) -> None:
    async with running(tmp_path) as (intake, disk, kept):
        happened: list[str] = []
        await intake.put([], lambda: happened.append("nothing to keep"))
        await intake.put(some(), lambda: happened.append("kept"))
        assert happened == []
        await intake.put(some(1, Urgency.ALARM), lambda: happened.append("alarm kept"))
        await kept.wait()
        assert happened == ["nothing to keep", "kept", "alarm kept"]
        assert (await disk.ledger()).figures.pending == 2


async def test_when_too_much_waits_the_source_waits(tmp_path: Path) -> None:
    async with running(tmp_path) as (intake, disk, kept):
        await intake.put(some(MOST_WAITING))
        late = asyncio.create_task(intake.put(some()))
        await asyncio.sleep(0)
        assert not late.done()
        await kept.wait()
        await late
        await intake.put(some(1, Urgency.ALARM))
        kept.clear()
        await kept.wait()
        assert (await disk.ledger()).figures.pending == MOST_WAITING + 2


async def test_what_waits_when_the_agent_stops_is_still_written(tmp_path: Path) -> None:
    async with running(tmp_path) as (intake, _, _):
        await intake.put(some(7, Urgency.ALARM))
        await asyncio.sleep(0)  # that commit may be under way
        await intake.put(some(2))
    async with Disk(tmp_path, EdgeId("pi-1"), 1 << 20, lambda: 1) as disk:
        assert (await disk.ledger()).figures.pending == 9


async def test_an_alarm_that_the_disk_refuses_is_cried_at_once_and_kept_when_the_disk_is_back(tmp_path: Path) -> None:
    async with running(tmp_path) as (intake, disk, kept):
        alarms = [each.reading for each in some(3, Urgency.ALARM)]
        with files_no_longer_than(0), structlog.testing.capture_logs():
            await intake.put([*some(1), *some(2, Urgency.ALARM)])
            await kept.some_cried.wait()
            assert kept.cried == alarms[:2]
            await intake.put(some(3, Urgency.ALARM))  # now it is known that the disk refuses
            assert kept.cried == alarms[:2] + alarms
            await intake.put(some(1))
        while (await disk.ledger()).figures.pending < 7:
            await kept.wait()
            kept.clear()
        assert kept.cried[5:] in ([], alarms)  # the disk may have refused the second commit too


async def test_a_disk_that_works_gets_no_alarm_cried(tmp_path: Path) -> None:
    async with running(tmp_path) as (intake, _, kept):
        await intake.put(some(1, Urgency.ALARM))
        await kept.wait()
        assert kept.cried == []


async def test_while_the_disk_refuses_no_source_waits_and_memory_stays_bounded(tmp_path: Path) -> None:
    async with running(tmp_path) as (intake, disk, kept):
        happened: list[str] = []
        with files_no_longer_than(0), structlog.testing.capture_logs():
            await intake.put(some(1, Urgency.ALARM), lambda: happened.append("first"))
            await kept.some_cried.wait()
            assert happened == ["first"]
            await intake.put(some(10, Urgency.ALARM))
            for _ in range(3):
                await intake.put(some(MOST_WAITING), lambda: happened.append("more"))
            assert happened == ["first", "more", "more", "more"]
            assert len(intake._waiting) <= MOST_WAITING
        while (await disk.ledger()).figures.pending < MOST_WAITING + 1:
            await kept.wait()
            kept.clear()
        figures = (await disk.ledger()).figures
        assert (figures.produced, figures.dropped) == (11 + 3 * MOST_WAITING, 10 + 2 * MOST_WAITING)
        alarms = await disk.waiting(Urgency.ALARM, most=9)
        assert len(alarms) == 2  # the first, and the ten


def test_alarms_are_written_at_once_until_too_many_came_and_again_after_a_rest() -> None:
    hurries = Hurries()
    assert [hurries.wait_s(100) for _ in range(HURRIES + 3)] == [0.0] * HURRIES + [PATIENCE_S] * 3
    assert [hurries.wait_s(100 + 2 / HURRIES_PER_S) for _ in range(3)] == [0.0, 0.0, PATIENCE_S]
    assert [hurries.wait_s(1e6) for _ in range(HURRIES + 1)] == [0.0] * HURRIES + [PATIENCE_S]


async def test_a_channel_that_chatters_causes_few_commits_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.keeping.intake.HURRIES", 3)
    async with running(tmp_path) as (intake, disk, _):
        for _ in range(300):
            await intake.put(some(1, Urgency.ALARM))
            await asyncio.sleep(0.001)
        while (await disk.ledger()).figures.produced < 300:
            await asyncio.sleep(0.001)
        assert (await disk.ledger()).packs < 60


async def test_a_new_configuration_while_the_disk_refuses_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.keeping.intake.LAST_COMMIT_S", 0.1)
    kept = Kept()
    async with Disk(tmp_path, EdgeId("pi-1"), 1 << 20, lambda: 1) as disk, asyncio.timeout(LIMIT_S):
        with files_no_longer_than(0), structlog.testing.capture_logs():
            intake = Intake(disk, kept.set, kept.cry)
            task = asyncio.create_task(intake.run())
            await intake.put(some(1, Urgency.ALARM))
            await kept.some_cried.wait()
            await intake.put(some(2))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        while (await disk.ledger()).figures.pending < 3:
            await asyncio.sleep(0.01)
