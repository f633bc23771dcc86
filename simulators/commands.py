"""`gridcall simulate`: a residential block on this machine."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from messages.settings import ConfigError
from simulators import phones
from simulators.block import load_block
from simulators.record import Record
from simulators.run import run
from simulators.scenario import load_scenario, scenario_path, shipped

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="A residential block that behaves, and misbehaves: Modbus devices on a serial line, a door on MQTT.",
)


@app.command("run")
def play(
    block: Annotated[
        Path, typer.Argument(help="The block file; `gridcall demo` writes one: gridcall-demo/block.toml.")
    ],
    scenario: Annotated[str, typer.Option(help="What happens: a shipped name, or a file ending in .toml.")] = "calm",
    record: Annotated[
        Path | None,
        typer.Option(help="Append what was served here, one JSON object a line: the truth to compare with."),
    ] = None,
    speed: Annotated[float, typer.Option(help="Scenario seconds per second.", min=0.01, max=100)] = 1.0,
) -> None:
    """Play a block until Ctrl-C, and say what happens in it."""
    devices = load_block(block)
    what = load_scenario(scenario_path(scenario), devices)
    with Record(record) as truth:
        asyncio.run(run(devices, what, record=truth, clock_ms=_clock_ms, say=_say, speed=speed))


@app.command("phones")
def ring_phones(
    block: Annotated[Path, typer.Argument(help="The block file, for the broker that is in it.")],
) -> None:
    """Print what people are told through the engine's MQTT channel, until Ctrl-C."""
    if (broker := load_block(block).broker) is None:
        raise ConfigError(f"{block}: no [broker] in it")
    asyncio.run(phones.ring(broker, _say))


@app.command()
def scenarios() -> None:
    """List the shipped scenarios."""
    summaries = shipped()
    width = max(map(len, summaries))
    for name, summary in summaries.items():
        print(f"{name:<{width}}  {summary}")


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _say(words: str) -> None:
    print(words, flush=True)
