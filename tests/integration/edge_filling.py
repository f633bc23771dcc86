"""Fills an outbox until it is killed: `python edge_filling.py FOLDER`. Prints a pack's number when it is on disk."""

import asyncio
import itertools
import sys
from pathlib import Path

from edge.keeping.disk import Disk
from edge.report import Reported, Urgency
from messages.ids import DeviceId, EdgeId
from messages.reading import Reading

AT_MS = 1_763_700_000_000


async def main(folder: Path) -> None:
    async with Disk(folder, EdgeId("pi-1"), 64 << 20, lambda: AT_MS) as disk:
        for number in itertools.count():
            reading = Reading(device=DeviceId("gas-1"), channel="c", at_ms=AT_MS + number, value=float(number))
            print(await disk.add([Reported(reading, Urgency.ALARM)]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
