import asyncio

import pytest
import structlog

from edge.agent import MOST_AHEAD_MS, watch
from tests.edge.test_clock import Times


async def test_a_clock_that_was_set_back_is_said_once_and_so_is_its_catching_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.agent.CLOCK_EVERY_S", 0)
    times = Times(1_000_000)
    with structlog.testing.capture_logs() as said:
        watching = asyncio.create_task(watch(times.clock))
        for set_by_ms in (0, -MOST_AHEAD_MS, -60_000, 0, 60_000 + MOST_AHEAD_MS, 0):
            times.wall_ms += set_by_ms
            for _ in range(3):
                await asyncio.sleep(0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert [entry["event"] for entry in said] == [
        "the clock was set back; readings go on from where it was",
        "the clock has caught up with the readings",
    ]
