"""`gridcall collector`: run it, check its configuration, look into its quarantine."""

import asyncio
import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from collector import ledger, presence
from collector.config import Configuration, load
from collector.desk import Desk
from collector.devices import Devices
from collector.quarantine import Entry, Quarantine
from collector.service import SUBSCRIBE, WINDOW_BYTES, Service
from collector.stores.base import StoreError
from collector.watch import Watch
from collector.web import Windows, bound, serve
from messages import topics
from messages.bus import Bus
from messages.settings import ConfigError

PAGE = 100
GARBAGE = (100_000, 50, 100)
"""When the collector of circles looks: tuples by the ten thousand come and go here, and none of them is in a circle. Worth a fifth
of the throughput."""
QUARANTINE = "quarantine.db"

app = typer.Typer(
    help="The collector: checks what the edges send, stores it, and tells each edge what is safe to forget.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
quarantine_app = typer.Typer(no_args_is_help=True, help="What could not be stored, and why.")
app.add_typer(quarantine_app, name="quarantine")

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
        raise ConfigError(f"{config}: folder: {error}") from error
    gc.set_threshold(*GARBAGE)
    asyncio.run(_serve(configuration, _desk(configuration)))


@app.command()
def check(config: ConfigPath) -> None:
    """Read the configuration and the kinds, and say what they mean. Connects to nothing."""
    configuration = load(config)
    kept = "for ever" if configuration.retention_ms is None else f"{configuration.retention_ms / 86_400_000:g} days"
    print(f"{config}: good")
    print(f"  broker   {configuration.broker.address}, as {configuration.client_id}")
    print(f"  store    {configuration.store_words}, kept {kept}")
    print(f"  folder   {configuration.folder}")
    print(f"  kinds    {', '.join(sorted(configuration.kinds))}")


@quarantine_app.command("list")
def list_entries(config: ConfigPath) -> None:
    """Every message with its reasons, the oldest first: two lines and one more for each further reason."""
    with _looking(config) as desk:
        empty = True
        for entry in _all(desk.quarantine):
            if empty:
                print(f"{'ID':>6}  {'ARRIVED (UTC)':<20}  {'BYTES':>7}  TOPIC")
                empty = False
            print(f"{entry.id:>6}  {_when(entry)}  {entry.true_bytes:>7}  {printable(entry.topic)}")
            for reason in entry.reasons:
                times = f" ({reason.records}×)" if reason.records > 1 else ""
                print(f"        {reason.fault}: {printable(reason.detail)}{times}")
        if empty:
            print("the quarantine is empty")
        if dropped := desk.quarantine.dropped():
            print(f"{dropped} older ones had to make room", file=sys.stderr)


@quarantine_app.command()
def show(config: ConfigPath, entry: Annotated[int, typer.Argument(metavar="ID", help="As in the list.")]) -> None:
    """One message as it came, with every reason."""
    with _looking(config) as desk:
        found = desk.quarantine.entry(entry)
    if found is None:
        raise ConfigError(f"no message {entry} in quarantine")
    print(f"topic     {printable(found.topic)}")
    print(f"arrived   {_when(found)}")
    print(f"bytes     {found.true_bytes}" + ("" if found.whole else f", of which {len(found.payload)} are kept"))
    for reason in found.reasons:
        print(f"reason    {reason.fault}, {reason.records} records: {printable(reason.detail)}")
    print()
    print(printable(found.payload.decode(errors="backslashreplace")))


@quarantine_app.command()
def retry(config: ConfigPath) -> None:
    """Take every message in again, by today's kinds and devices; what is good now is stored and leaves.

    For after a kind was corrected. The collector may run meanwhile. Devices announced late need no retry.
    """
    with _looking(config) as desk:
        before = sum(1 for _ in _all(desk.quarantine))
        desk.devices.load()
        desk.take_all_again()
        after = sum(1 for _ in _all(desk.quarantine))
    print(f"{before - after} of {before} messages left the quarantine")


async def _serve(configuration: Configuration, desk: Desk) -> None:
    broker, name = configuration.broker, configuration.client_id
    listening = bound(configuration.web.address, configuration.web.port) if configuration.web else None
    async with (
        Bus(broker, name, subscribe=subscriptions(configuration.group), window_bytes=WINDOW_BYTES) as inbox,
        Bus(broker, f"{name}-receipts") as outbox,
        asyncio.TaskGroup() as tasks,
    ):
        service = Service(inbox, outbox, desk, clock_ms=_clock_ms)
        tasks.create_task(service.run())
        tasks.create_task(Watch(service, desk, clock_ms=_clock_ms).run())
        if listening:
            tasks.create_task(serve(_windows(service, desk), listening))


def subscriptions(group: str | None) -> list[str]:
    """Readings are shared in a group; what all of them must know goes to each."""
    return [topics.shared(group, topic) if group and topic == topics.ALL_READINGS else topic for topic in SUBSCRIBE]


def _windows(service: Service, desk: Desk) -> Windows:
    def metrics() -> bytes:
        service.look()
        return service.figures.text()

    return Windows(
        metrics=metrics,
        troubles=lambda: service.troubles,
        presence=lambda: presence.as_rows(service.presence, desk.devices.known, desk.kinds, _clock_ms()),
        ledger=lambda: ledger.as_rows(service.ledger, _clock_ms()),
    )


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _desk(configuration: Configuration) -> Desk:
    return Desk(
        store=configuration.store,
        quarantine=Quarantine(configuration.folder / QUARANTINE),
        devices=Devices(configuration.folder / "devices.db"),
        kinds=configuration.kinds,
        retention_ms=configuration.retention_ms,
    )


@contextmanager
def _looking(config: Path) -> Iterator[Desk]:
    """The desk of a collector that may be running beside us. What is away ends the command in one line."""
    configuration = load(config)
    if not (configuration.folder / QUARANTINE).exists():
        raise ConfigError("no quarantine yet; has the collector run?")
    desk = _desk(configuration)
    try:
        yield desk
    except StoreError as error:
        raise ConfigError(str(error)) from error
    finally:
        desk.close()


def _all(quarantine: Quarantine) -> Iterator[Entry]:
    last = 0
    while entries := quarantine.entries(last, PAGE):
        yield from entries
        last = entries[-1].id


def _when(entry: Entry) -> str:
    return f"{datetime.fromtimestamp(entry.received_at_ms / 1000, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"


def printable(text: str) -> str:
    """Without what a terminal would obey: whoever is in quarantine must not write on the operator's screen."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}" for character in text
    )
