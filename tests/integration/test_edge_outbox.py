"""The outbox under SIGKILL: what it said is on disk is there, under the stream and the numbers that it had."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge.keeping.disk import Disk
from edge.report import Urgency
from messages.ids import EdgeId
from messages.pack import decode
from tests.integration.edge_filling import AT_MS
from tests.services import ROOT


@pytest.mark.parametrize("lines", [1, 20, 150])
async def test_every_pack_that_was_reported_is_there_after_kill_9(tmp_path: Path, lines: int) -> None:
    with (tmp_path / "errors").open("w") as errors:
        filling = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.edge_filling", str(tmp_path / "state")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert filling.stdout
    said = [int(filling.stdout.readline()) for _ in range(lines)]
    filling.kill()
    said += [int(line) for line in filling.communicate()[0].split("\n")[:-1]]
    assert said == list(range(1, len(said) + 1))
    async with Disk(tmp_path / "state", EdgeId("pi-1"), 64 << 20, lambda: AT_MS) as disk:
        rows = await disk.waiting(Urgency.ALARM, most=1_000_000)
        last = rows[-1].number
        assert [row.number for row in rows] == list(range(1, last + 1))
        assert last in (len(said), len(said) + 1)  # one may be on disk unsaid
        assert [decode(row.payload).readings[0].value for row in rows] == [float(n) for n in range(last)]
        ledger = await disk.ledger()
        assert (ledger.figures.produced, ledger.figures.pending) == (last, last)
        assert {row.stream for row in rows}.isdisjoint({ledger.stream})
