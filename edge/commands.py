"""`gridcall edge run`, `check`, and what an installer types (edge/installer)."""

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from edge import run as process
from edge import timepiece
from edge.clock import Clock
from edge.configuration.check import parse
from edge.installer import checking
from edge.installer import commands as installer
from edge.installer.access import user_meant
from edge.systemd import ServiceManager
from gridcall import software
from messages.terminal import In

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
def check(file: File, wanted: In = "") -> None:
    """Check CONFIG, and show what the agent would read, where it would send it, how long an outage it bridges, and what can't
    work here."""
    parsed, spoken = parse(file), installer.language(wanted)
    print("\n".join(checking.summary(parsed, spoken)))
    for note in parsed.notes:
        print(f"{'提示：' if spoken == 'zh' else 'note: '}{note.said(spoken)}")
    for warning in checking.warnings(parsed, spoken, user_meant(os.geteuid(), file=file)):
        print(f"{'警告：' if spoken == 'zh' else 'warning: '}{warning}")
