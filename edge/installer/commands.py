"""`gridcall edge scan`, `monitor`, `accept` and `provision`: what an installer types.

The terminal's own packages are imported by a command that needs them: an agent that runs for years needs none of them.
"""

import asyncio
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from edge.configuration.check import parse
from edge.configuration.config import Config, Device, of
from edge.installer.accepting import sheet as sheets
from edge.installer.accepting.acceptance import Verdict
from edge.installer.scanning.scan import COMMON_BAUDRATES, UNITS, Parity, Speed, speeds
from edge.installer.words import no_port, said
from edge.models.osdp import OsdpModel
from edge.models.product import Model
from edge.sources.port import LinkError
from messages.language import Language, Phrase, phrase, why
from messages.settings import ConfigError, duration_s
from messages.suggestion import suggest
from messages.terminal import In, language_of

SHORTEST_WATCH_S = 2
THINKS_S = 0.1
"""How long a scan waits for a device that it knows nothing of."""

File = Annotated[Path, typer.Argument(metavar="CONFIG", help="The agent's configuration, e.g. edge.toml.")]


def language(wanted: str) -> Language:
    """Raises ConfigError for another one."""
    return language_of(wanted, os.environ)


def scan(
    port: Annotated[str, typer.Argument(metavar="PORT", help="The serial port, e.g. /dev/ttyUSB0.")],
    baudrates: Annotated[str, typer.Option(help="Speeds to try, in this order.")] = ",".join(
        map(str, COMMON_BAUDRATES)
    ),
    parities: Annotated[str, typer.Option(help="Parities to try: N, E, O.")] = "N,E",
    units: Annotated[str, typer.Option(help="Unit numbers to ask, e.g. 1-32 or 1,5,9.")] = f"{UNITS[0]}-{UNITS[-1]}",
    timeout: Annotated[
        str,
        typer.Option(help="How long a device may think; 100ms, or what the configuration says.", show_default=False),
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Try every speed, also when one has answered.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="Compare with this configuration, at the speed that it has for the port.")
    ] = None,
    wanted: In = "",
) -> None:
    """Find the Modbus devices on a serial line: their addresses, speed and parity, and what is wrong with the line.

    Stop the agent first: a port has one user.
    """
    parsed, spoken = parse(config) if config else None, language(wanted)
    line = (
        next((line for line in parsed.lines.values() if line.port and same_port(line.port, port)), None)
        if parsed
        else None
    )
    if parsed and not (line and line.baudrate):
        raise ConfigError(
            "{config}: no line has the port {port}{near}",
            config=config,
            port=port,
            near=suggest(port, [each.where for each in parsed.lines.values()]),
        )
    if line and line.baudrate:
        tried = [Speed(line.baudrate, line.parity, line.stop_bits)]
    else:
        tried = list(speeds(_numbers("--baudrates", baudrates, 300, 4_000_000), _parities(parities)))
    try:
        timeout_s = duration_s(timeout) if timeout else line.timeout_s if line else THINKS_S
    except ValueError as error:
        raise ConfigError("--timeout: {why}", why=why(error)) from error
    asked = _numbers("--units", units, UNITS[0], UNITS[-1])
    from edge.installer import terminal

    answered = asyncio.run(terminal.scan(port, tried, asked, timeout_s, spoken, everything=everything, stub=not line))
    good = bool(answered)
    if parsed and line:
        good = asyncio.run(terminal.compare(parsed, line, asked, answered, spoken)) and good
    if not good:
        raise typer.Exit(1)


def monitor(
    file: File,
    device: Annotated[list[str] | None, typer.Option(help="Show this device only; may be given again.")] = None,
    bad: Annotated[bool, typer.Option("--bad", help="Show only what needs a look.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Print one table with tabs and end.")] = False,
    wanted: In = "",
) -> None:
    """Every channel of every device, live, with age and errors. Looks into the running agent; without one it reads the
    devices itself, and stores nothing. Ctrl-C ends it."""
    config, spoken = parse(file), language(wanted)
    shown = _chosen(config, device or [])
    from edge.installer import terminal

    with suppress(KeyboardInterrupt):
        asyncio.run(terminal.monitor(config, shown, spoken, bad=bad, once=once))


def accept(
    file: File,
    sheet: Annotated[Path, typer.Option(help="Where to write: a file that ends in .html or .md.")] = Path(
        "acceptance.html"
    ),
    by: Annotated[str, typer.Option(help="The installer's name; asked for if it is missing.")] = "",
    watch: Annotated[str, typer.Option(help='Ask nothing; watch all devices for so long, e.g. "5min".')] = "",
    device: Annotated[list[str] | None, typer.Option(help="This device only; may be given again.")] = None,
    wanted: In = "",
) -> None:
    """Walk through all devices, one after the other, and write a signed-off sheet of what was seen.

    For each device: make it move (lift the cover, press the button), watch it here, say whether it is right: Enter for passed,
    f for failed, s to skip, with a note after it if there is one ("f wrong cover"). From a file or a pipe, a line is for one
    device. Exit code 1 if a device failed or the walk was broken off; what was walked is on the sheet then.
    """
    config, spoken = parse(file), language(wanted)
    if sheet.suffix not in (".html", ".md"):
        raise ConfigError("--sheet: {sheet}: a name that ends in .html or .md is wanted", sheet=sheet)
    try:
        watch_s = duration_s(watch) if watch else None
    except ValueError as error:
        raise ConfigError("--watch: {why}", why=why(error)) from error
    if watch_s is not None and watch_s < SHORTEST_WATCH_S:
        raise ConfigError("--watch: at least {least} s is wanted: a device must be heard in it", least=SHORTEST_WATCH_S)
    if sheet.exists():
        raise ConfigError("--sheet: {sheet} is there already, perhaps signed: take another name", sheet=sheet)
    if not os.access(sheet.absolute().parent, os.W_OK):
        raise ConfigError("--sheet: {folder} is no folder that this user may write to", folder=sheet.absolute().parent)
    chosen = _chosen(config, device or [])
    installer = by or _name(spoken)
    from edge.installer.accepting import walk

    walked = asyncio.run(walk.accept(config, chosen, installer, watch_s, spoken, clock_ms=_clock_ms))
    if walked.anything:
        _write(sheet, walked.sheet)
    with suppress(OSError):  # the terminal may have gone
        if walked.why:
            print(said(walked.why, spoken), file=sys.stderr)
        nothing = "没有验收任何设备，不写验收单" if spoken == "zh" else "nothing was walked: no sheet is written"
        print(f"{sheet}: {walked.sheet.summary(spoken)}" if walked.anything else nothing, flush=True)
    if walked.why or walked.sheet.count[Verdict.FAILED]:
        raise typer.Exit(1)


def _write(path: Path, sheet: sheets.Sheet) -> None:
    """Raises ConfigError; the sheet is on the screen then: a day on the ladder must not be lost to a full disk."""
    try:
        path.write_text(sheets.html(sheet) if path.suffix == ".html" else sheets.markdown(sheet), encoding="utf-8")
    except OSError as error:
        print(sheets.markdown(sheet))
        raise ConfigError("--sheet: {path}: {why}; the sheet is printed above", path=path, why=why(error)) from error


def _name(spoken: Language) -> str:
    """Raises ConfigError if nobody says one."""
    if sys.stdin.isatty():
        print("安装人：" if spoken == "zh" else "Installer: ", end="", flush=True)
        if name := sys.stdin.readline().strip():
            return name
    raise ConfigError("--by: who installed it? a name is wanted")


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


def provision(
    file: File,
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="An OSDP reader that has a key_file.")],
    wanted: In = "",
) -> None:
    """Put an OSDP reader's own key into it, so that it is spoken to over the secure channel alone.

    Set the reader to its installation mode first (its manual says how), and stop the agent: a port has one user.
    """
    config, spoken = parse(file), language(wanted)
    (found,) = _chosen(config, [device])
    readers = of(OsdpModel, [found])
    if not readers or not readers[0].key:
        raise ConfigError(
            "{device} is no OSDP reader with a key_file; a key is made by `openssl rand -hex 16`", device=device
        )
    from edge.installer.provision import CHINESE, Outcome
    from edge.installer.provision import provision as give

    print(
        "正在与读卡器通信，最长约二十秒" if spoken == "zh" else "talking to the reader: up to twenty seconds",
        file=sys.stderr,
    )
    try:
        outcome = asyncio.run(give(config.lines[readers[0].line], readers[0]))
    except LinkError as error:
        where = phrase("line {line}", line=readers[0].line)
        raise ConfigError("{where}: {why}", where=where, why=Phrase(no_port(error.why, spoken))) from error
    print(f"{device}: {CHINESE[outcome] if spoken == 'zh' else outcome}")
    if outcome not in (Outcome.GIVEN, Outcome.HAS_IT):
        raise typer.Exit(1)


def same_port(one: str, other: str) -> bool:
    """By whatever name: /dev/serial/by-id/… is a link."""
    return os.path.realpath(one) == os.path.realpath(other)


def _chosen(config: Config, wanted: list[str]) -> list[Device[Model]]:
    known = {device.id: device for device in config.devices}
    for name in wanted:
        if name not in known:
            raise ConfigError("--device: no device `{device}`{near}", device=name, near=suggest(name, known))
    return [device for device in config.devices if not wanted or device.id in wanted]


def _numbers(option: str, text: str, low: int, high: int) -> list[int]:
    """ "1-4,9" as 1, 2, 3, 4, 9."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise ConfigError("{option}: numbers such as 1-4,9 are wanted, not {text!r}", option=option, text=text)
        span = range(int(first), int(last or first) + 1)
        if not span or span[0] < low or span[-1] > high:
            raise ConfigError(
                "{option}: {part} is not in {low} to {high}", option=option, part=part.strip(), low=low, high=high
            )
        found += span
    return found


def _parities(text: str) -> list[Parity]:
    known: dict[str, Parity] = {"N": "N", "E": "E", "O": "O"}
    wanted = [part.strip().upper() for part in text.split(",")]
    if unknown := [part for part in wanted if part not in known]:
        raise ConfigError("--parities: N, E or O is wanted, not {unknown!r}", unknown=unknown[0])
    return [known[part] for part in wanted]
