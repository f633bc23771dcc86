"""`gridcall rules run`, and nothing beside it: until it has loaded its modules nothing overdue rings, so it loads none that only the other commands need
(rules.commands)."""

import asyncio
import gc
import time
from pathlib import Path
from typing import Annotated

import structlog
import typer

from rules import service
from rules.config import load

log = structlog.get_logger("rules")

GARBAGE = (100_000, 50, 100)
"""When the collector of circles looks: the states of a hundred thousand devices are no garbage, and to walk through all of them stops the
engine for a second."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def rules() -> None:
    """The rules engine. There are more commands: they stand in `gridcall rules --help`."""


@app.command()
def run(config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's TOML file.")]) -> None:
    """Watch the readings and raise alarms, until Ctrl-C.

    Begins with whatever is there: a broker, a database or a history that is away is waited for. Rule files that change, or
    SIGHUP, are read again; broken ones are refused, and the last good rules go on.
    """
    gc.set_threshold(*GARBAGE)
    configuration = load(config, rules_may_fail=True)
    for note in configuration.notes:
        log.warning(str(note))
    asyncio.run(service.run(configuration, clock_ms=_clock_ms, running_ms=_running_ms))


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _running_ms() -> int:
    """Runs on while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1_000_000
