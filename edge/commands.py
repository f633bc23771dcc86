"""`gridcall edge run`, `check`, and what an installer types (edge/installer)."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from edge import run as process
from edge import timepiece
from edge.clock import Clock
from edge.configuration.check import MEGABYTE, parse
from edge.configuration.config import Config, Device, of
from edge.configuration.tables import LineSettings
from edge.installer import commands as installer
from edge.installer.bridging import bridging, words
from edge.models.gpio import GpioModel
from edge.models.hj212 import Hj212Model
from edge.models.modbus import ModbusModel
from edge.models.osdp import OsdpModel
from edge.models.product import Model
from edge.protocols import modbus_rtu
from edge.protocols.modbus_rtu import Pace
from edge.sources import schedule
from edge.systemd import ServiceManager
from gridcall import software

app = typer.Typer(
    help="The edge agent: reads the sensors of a block over serial lines and local MQTT, keeps every reading on disk "
    "until the collector has it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for installers_own in (installer.scan, installer.monitor, installer.accept, installer.provision):
    app.command()(installers_own)

File = Annotated[Path, typer.Argument(metavar="CONFIG", help="The agent's configuration, e.g. edge.toml.")]

TURNAROUND_S = 0.02
"""What a slave commonly takes to begin its answer: for an estimate only."""


@app.command()
def run(file: File) -> None:
    """Run the agent until it is stopped (Ctrl-C or SIGTERM).

    A port, a broker or a device that is away is tried again for ever. A mistake in CONFIG ends it at once. SIGHUP
    makes it read CONFIG again; a mistake in it is then said in the log, and the last good one runs on.
    """
    clock = Clock(_wall_ms, lambda: time.monotonic_ns() // 1_000_000, lambda: timepiece.machine(_wall_ms()))
    asyncio.run(process.run(file, clock, software=software(), manager=ServiceManager.of(os.environ)))


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


@app.command()
def check(file: File) -> None:
    """Check CONFIG, and show what the agent would read, where it would send it, and what can't work here."""
    parsed = parse(file)
    print("\n".join(summary(parsed)))
    for note in parsed.notes:
        print(f"note: {note}")
    for warning in warnings(parsed):
        print(f"warning: {warning}")


def summary(parsed: Config) -> Iterator[str]:
    """What the agent would do, a line each."""
    yield f"edge {parsed.site}/{parsed.edge}: {len(parsed.devices)} device{'s' * (len(parsed.devices) != 1)}"
    yield f"outbox: {parsed.folder}, at most {parsed.outbox_limit_bytes // MEGABYTE} MB"
    yield f"outbox: {words(bridging(parsed.devices, parsed.outbox_limit_bytes))}"
    yield f"uplink: {parsed.uplink.address} as {parsed.uplink.username or 'nobody'}"
    for line in parsed.lines.values():
        yield from line_summary(parsed, line)
    if parsed.local:
        yield f"local broker: {parsed.local.address} as {parsed.local.username or 'nobody'}"
    for device in parsed.on_broker():
        where = f"topic {device.topic}" if device.topic else f"DevEUI {device.dev_eui}"
        yield f"  {where}: {device.id} ({device.announcement.model}): {', '.join(device.model.channels)}"


def line_summary(parsed: Config, line: LineSettings) -> Iterator[str]:
    """One line and its devices."""
    slaves = of(ModbusModel, parsed.on_line(line.name))
    said = [line.where if line.listen is None else f"stations call on {line.where}"]
    if line.port:
        said.append(f"{line.baudrate} Bd, {line.data_bits}{line.parity}{line.stop_bits}")
    if slaves:
        said += [line.framing] * (line.host is not None) + [f"busy {load(line, slaves):.0%} of the time"]
    yield f"line {line.name}: {', '.join(said)}"
    for device in parsed.on_line(line.name):
        names = ", ".join(device.model.channels)
        if not isinstance(device.model, ModbusModel):
            yield f"  {where_on_line(device)}{device.id} ({device.announcement.model}): {names}"
    for slave in slaves:
        yield f"  unit {slave.unit}: {slave.id} ({slave.announcement.model})"
        for poll in schedule.polls(slave.id, slave.unit, slave.model):
            asked = poll.request
            where = f"{asked.table} 0x{asked.address:04X}" + (f" and {asked.count - 1} more" * (asked.count > 1))
            yield f"    every {poll.every_s:g} s {where}: {', '.join(poll.channels)}"


def where_on_line(device: Device[Model]) -> str:
    """By what a device that isn't a Modbus slave is told from the others of its line; empty for one that is alone."""
    match device.model:
        case OsdpModel():
            return f"unit {device.unit}, {'secure' if device.key else 'in clear'}: "
        case GpioModel():
            return f"pin {device.pin}: "
        case Hj212Model():
            return f"station {device.mn}: "
    return ""


def warnings(parsed: Config) -> Iterator[str]:
    """What is allowed, and can't work here and now."""
    for name, line in parsed.lines.items():
        if line.port and "://" not in line.port and not os.access(line.port, os.R_OK | os.W_OK):
            there = "may not be used by this user (group dialout?)" if Path(line.port).exists() else "is not there"
            yield f"line {name}: {line.port} {there}"
        if line.chip and not os.access(line.chip, os.R_OK | os.W_OK):
            there = "may not be used by this user (group gpio?)" if Path(line.chip).exists() else "is not there"
            yield f"line {name}: {line.chip} {there}"
        yield from (
            f"{reader.id}: spoken to in clear, so that whoever taps the line reads its cards: give it a key_file"
            for reader in of(OsdpModel, parsed.on_line(name))
            if not reader.key
        )
        if not parsed.on_line(name):
            yield f"line {name}: no device is on it"
        elif (busy := load(line, of(ModbusModel, parsed.on_line(name)))) > 1:
            yield f"line {name}: {busy:.1f} s of traffic a second; its devices are read less often than asked for"
    if parsed.uplink.username is None:
        yield "uplink: no username; a broker with Gridcall's access rules lets nobody in without"
    elif parsed.uplink.username != f"{parsed.site}/{parsed.edge}":
        yield (
            f'uplink: username is "{parsed.uplink.username}"; '
            f"Gridcall's access rules let \"{parsed.site}/{parsed.edge}\" alone write this edge's topics"
        )
    if parsed.local and not parsed.on_broker():
        yield "local: no device publishes on it"
    folder = next(folder for folder in (parsed.folder, *parsed.folder.absolute().parents) if folder.exists())
    if not os.access(folder, os.W_OK):
        yield f"folder: {folder} may not be written by this user"


def load(line: LineSettings, slaves: Sequence[Device[ModbusModel]]) -> float:
    """The share of its time that a line is busy when all its slaves answer."""
    pace = Pace(line.baudrate, line.bits) if line.baudrate else None
    busy = 0.0
    for slave in slaves:
        for poll in schedule.polls(slave.id, slave.unit, slave.model):
            length = len(modbus_rtu.encode(poll.request)) + modbus_rtu.reply_bytes(poll.request)
            on_the_wire_s = pace.transmission_s(length) + 2 * pace.silent_s if pace else 0.0
            busy += (on_the_wire_s + TURNAROUND_S) / poll.every_s
    return busy
