"""`gridcall collector`: run it, check its configuration. What concerns its quarantine is in quarantine/commands.py."""

import asyncio
import gc
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from collector.config import Configuration, desk_of, load
from collector.intake.desk import Desk
from collector.quarantine import commands as quarantine_commands
from collector.quarantine.web import Hands
from collector.service import SUBSCRIBE, WINDOW_BYTES, Service
from collector.stores.base import SETTLED_MS, StoreError, kept_for
from collector.stores.bounded import Bounded
from collector.watch import ledger, presence
from collector.watch.broker_check import BrokerCheck
from collector.watch.round import Watch
from collector.web import Windows, bound, serve
from messages import topics
from messages.bus import Bus
from messages.language import Phrase, phrase, why
from messages.settings import ConfigError
from messages.terminal import In, language_of

GARBAGE = (100_000, 50, 100)
"""When the collector of circles looks: tuples by the ten thousand come and go here, and none of them is in a circle. Worth a fifth
of the throughput."""

app = typer.Typer(
    help="The collector: checks what the edges send, stores it, and tells each edge what is safe to forget.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(quarantine_commands.app, name="quarantine")

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="The collector's TOML file.")]


@app.command()
def run(config: ConfigPath) -> None:
    """Store what the edges send, and send them receipts, until Ctrl-C.

    Begins with whatever is there: a broker or a database that is away is waited for.
    """
    configuration = load(config)
    try:
        configuration.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError("{config}: folder: {why}", config=config, why=why(error)) from error
    gc.set_threshold(*GARBAGE)
    asyncio.run(_serve(configuration, desk_of(configuration)))


@app.command()
def check(config: ConfigPath, wanted: In = "") -> None:
    """Read the configuration and the kinds, and say what they mean. Connects to nothing."""
    spoken, configuration = language_of(wanted, os.environ), load(config)
    for line in (
        phrase("{config}: good", config=config),
        phrase("  broker   {address}, as {name}", address=configuration.broker.address, name=configuration.client_id),
        phrase(
            "  store    {store}, kept {kept}",
            store=configuration.store_words,
            kept=kept_for(configuration.retention_ms),
        ),
        phrase("  series   {most} at most", most=configuration.store.most),
        phrase("  folder   {folder}", folder=configuration.folder),
        phrase("  kinds    {kinds}", kinds=Phrase(", ".join(sorted(configuration.kinds)))),
    ):
        print(line.said(spoken))


@app.command()
def setup(config: ConfigPath, wanted: In = "") -> None:
    """Make what the store needs, and say what was done: database or bucket, retention, the coarse ranges of the charts.

    May be repeated, and is to be after a change of the retention.
    """
    spoken, configuration = language_of(wanted, os.environ), load(config)
    try:
        configuration.folder.mkdir(parents=True, exist_ok=True)
        said = configuration.store.setup(configuration.retention_ms)
        configuration.store.condense(_clock_ms() - SETTLED_MS)
    except (StoreError, OSError) as error:
        raise ConfigError(why(error)) from error
    finally:
        configuration.store.close()
    print("\n".join(line.said(spoken) for line in said))


async def _serve(configuration: Configuration, desk: Desk) -> None:
    broker, name = configuration.broker, configuration.client_id
    listening = bound(configuration.web.address, configuration.web.port) if configuration.web else None
    async with (
        Bus(broker, name, subscribe=subscriptions(configuration.group), window_bytes=WINDOW_BYTES) as inbox,
        Bus(broker, f"{name}-receipts") as outbox,
        asyncio.TaskGroup() as tasks,
    ):
        service = Service(inbox, outbox, desk, clock_ms=_clock_ms)
        folder, shares = configuration.folder, configuration.group is not None
        check = BrokerCheck(inbox, outbox, broker, name, folder, shares=shares)
        watch = Watch(service, desk, clock_ms=_clock_ms, name=configuration.name, remarks=lambda: check.remarks)
        for task in (service.run(), check.run(), watch.run()):
            tasks.create_task(task)
        if listening and (web := configuration.web):
            tasks.create_task(serve(_windows(service, desk, check, web.token()), listening))


def subscriptions(group: str | None) -> list[str]:
    """Readings are shared in a group; what all of them must know goes to each."""
    return [topics.shared(group, topic) if group and topic == topics.ALL_READINGS else topic for topic in SUBSCRIBE]


def _windows(service: Service, desk: Desk, check: BrokerCheck, token: str | None) -> Windows:
    def metrics() -> bytes:
        service.look()
        if isinstance(desk.store, Bounded):
            service.figures.series.set(desk.store.held)
            service.figures.most_series.set(desk.store.most)
        return service.figures.text()

    async def quarantine() -> Sequence[Mapping[str, object]]:
        return [asdict(count) for count in await service.on_desk(desk.quarantine.counts)]

    hands = token and Hands(
        token,
        entries=lambda after, most, which: service.on_desk(lambda: desk.quarantine.entries(after, most, which)),
        entry=lambda number: service.on_desk(lambda: desk.quarantine.entry(number)),
        retry=service.take_all_again,
        drop=lambda which: service.on_desk(lambda: desk.quarantine.drop(which)),
    )
    return Windows(
        hands=hands or None,
        metrics=metrics,
        troubles=lambda: service.troubles,
        remarks=lambda: [f"the broker: {remark}" for remark in check.remarks],
        presence=lambda: presence.as_rows(service.presence, desk.devices.known, desk.kinds, _clock_ms()),
        ledger=lambda: ledger.as_rows(service.ledger, _clock_ms()),
        quarantine=quarantine,
    )


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000
