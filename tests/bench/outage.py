"""200 devices, four channels every 10 s, hours without a link: bytes on disk, drain rate, how live the living stay.

GRIDCALL_BENCH_OUTAGE_HOURS says how many hours (3 if it doesn't; 72 are 20.7 million readings and take twenty minutes).
The reporter, the intake and the outbox are the real ones on a clock that the bench winds; one commit per second of that
clock, as in life. Then a real Mosquitto and a real collector with SQLite appear, and while the backlog drains the same
devices go on in real time, with an alarm-class reading every second. A run that lost or doubled a reading has no figure.
"""

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edge.configuration.check import MEGABYTE
from edge.configuration.tables import File
from edge.keeping import intake as edge_intake
from edge.keeping.disk import FILE, Disk
from edge.keeping.intake import Intake
from edge.link.uplink import Uplink
from edge.link.window import LIVE_S
from edge.report import Reporter
from messages import topics
from messages.bus import Bus
from messages.pack import decode
from messages.reading import Reading
from tests import services
from tests.bench import _block
from tests.bench._block import ANNOUNCED, DEVICE_IDS, EDGE, SITE
from tests.bench.figure import Figure, percentile

HOURS = float(os.environ.get("GRIDCALL_BENCH_OUTAGE_HOURS", "3"))
LIMIT_BYTES = File.model_fields["outbox_limit_mb"].default * MEGABYTE
"""What an edge has whose configuration says nothing of it."""


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("GRIDCALL_BENCH_FOLDER")) as folder:
        figures = asyncio.run(_Outage(Path(folder)).run())
    yield from figures


class _Outage:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kind = _block.kinds(folder / "kinds")["bench_probe"]
        self._dice = random.Random(1)
        self._ticks = round(HOURS * 3600)
        self._now_ms = _real_ms() - self._ticks * 1000
        self._winds = True
        self._drains = True
        self._kept = asyncio.Event()
        self._delays_s: dict[str, list[float]] = {"alarm": [], "periodic": []}

    async def run(self) -> list[Figure]:
        async with Disk(self._folder / "edge", EDGE, LIMIT_BYTES, self._clock_ms) as disk:
            reporter = Reporter(dict.fromkeys(DEVICE_IDS, self._kind))
            figures = await self._fill(disk, reporter)
            await asyncio.sleep(LIVE_S)  # the fill was quick: what it put there last would count as live
            with (
                services.mosquitto(self._folder / "broker") as broker,
                _block.collector(self._folder / "collector", broker) as database,
            ):
                return figures + await self._drain(disk, reporter, broker, database)

    def _clock_ms(self) -> int:
        return self._now_ms if self._winds else _real_ms()

    async def _fill(self, disk: Disk, reporter: Reporter) -> list[Figure]:
        edge_intake.COMPANY_S, company_s = 0.0, edge_intake.COMPANY_S
        intake = Intake(disk, self._kept.set, lambda alarms: None)
        running = asyncio.create_task(intake.run())
        before, produced, cpu_s = _block.written_bytes(), 0, time.process_time()
        for tick in range(self._ticks):
            self._now_ms += 1000
            selected = reporter.select(_block.second(tick, self._now_ms, self._dice))
            produced += len(selected)
            self._kept.clear()
            await intake.put(selected)
            await self._kept.wait()
        cpu_s = time.process_time() - cpu_s
        written = _block.written_bytes() - before
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        edge_intake.COMPANY_S, self._winds = company_s, False
        ledger = await disk.ledger()
        assert ledger.figures.pending == ledger.figures.produced == produced
        packs, log = ((self._folder / "edge" / name).stat().st_size for name in (FILE, f"{FILE}-wal"))
        return [
            Figure("outage", HOURS, "h"),
            Figure("readings_kept", produced, "readings"),
            Figure("disk_used", packs / produced, "bytes/reading"),
            Figure("disk_used_72h", (packs / self._ticks * 72 * 3600 + log) / 1e6, "MB"),
            Figure("written_while_away", written / self._ticks * 86400 / 1e6, "MB/day"),
            Figure("cpu_of_taking_in", 100 * cpu_s / self._ticks, "% of one core"),
        ]

    async def _drain(self, disk: Disk, reporter: Reporter, broker: services.MqttBroker, database: Path) -> list[Figure]:
        backlog = (await disk.ledger()).figures.pending
        settings = broker.settings(f"{SITE}/{EDGE}")
        uplink = Uplink(SITE, EDGE, settings, ANNOUNCED, disk, lambda order: None, clock_ms=_real_ms, software="bench")
        intake = Intake(disk, uplink.woken, uplink.cry)
        running = [asyncio.create_task(intake.run())]
        listening = Bus(broker.settings("rules"), "bench-rules", subscribe=[topics.ALL_READINGS])
        async with listening:
            await listening.up()
            running += [asyncio.create_task(self._listen(listening))]
            started_s = time.perf_counter()
            running += [asyncio.create_task(uplink.run()), asyncio.create_task(self._live(intake, reporter))]
            drained_s = await self._until_drained(disk, backlog, started_s)
            for task in (running[-1], running[0]):  # no more readings; then what the intake holds
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            while (await disk.ledger()).figures.pending:
                await asyncio.sleep(0.1)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        figures = (await disk.ledger()).figures
        assert figures.dropped == 0
        assert figures.rejected_for == {}
        assert figures.produced == figures.receipted
        ((stored,),) = _block.ask(database, f"SELECT count(*) FROM {_block.OUR_READINGS}")
        assert stored == figures.produced, f"{stored} stored of {figures.produced}"
        return [
            Figure("drain_rate", backlog / drained_s, "readings/s"),
            Figure("drained_in", drained_s, "s"),
            Figure("lost", 0, "readings"),
            *(
                Figure(f"live_{name}_p{share * 100:.0f}", 1000 * percentile(delays, share), "ms")
                for name, delays in self._delays_s.items()
                for share in (0.5, 0.99)
            ),
        ]

    async def _until_drained(self, disk: Disk, backlog: int, started_s: float) -> float:
        """Seconds until as much is receipted as was waiting."""
        while (await disk.ledger()).figures.receipted < backlog:
            await asyncio.sleep(0.1)
        self._drains = False
        return time.perf_counter() - started_s

    async def _live(self, intake: Intake, reporter: Reporter) -> None:
        """The devices in real time: two of them every tenth of a second, and a contact every second."""
        loop = asyncio.get_running_loop()
        for count in range(10**9):
            now_ms, due_s = _real_ms(), loop.time() + 0.1
            readings = _block.second(count, now_ms, self._dice)[count % 10 * 8 :][:8]
            readings = [_stamped(reading, now_ms) for reading in readings]
            if count % 10 == 0:
                readings.append(
                    Reading(device=DEVICE_IDS[0], channel="contact", at_ms=now_ms, value=float(count), unit=None)
                )
            await intake.put(reporter.select(readings))
            await asyncio.sleep(max(due_s - loop.time(), 0))

    async def _listen(self, bus: Bus) -> None:
        """Note how old a live reading is when the broker first passes it on, while the backlog drains."""
        began_ms, known = _real_ms(), set()
        async for message in bus.messages():
            message.ack()
            heard_ms = _real_ms()
            pack = decode(message.payload)
            if (pack.stream, pack.number) in known:
                continue
            known.add((pack.stream, pack.number))
            for reading in pack.readings:
                if reading.at_ms >= began_ms and self._drains:
                    name = "alarm" if reading.channel == "contact" else "periodic"
                    self._delays_s[name].append((heard_ms - reading.at_ms) / 1000)


def _stamped(reading: Reading, at_ms: int) -> Reading:
    return Reading(device=reading.device, channel=reading.channel, at_ms=at_ms, value=reading.value, unit=reading.unit)


def _real_ms() -> int:
    return time.time_ns() // 1_000_000
