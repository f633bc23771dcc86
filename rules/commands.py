"""`gridcall rules`: run the engine, check rules."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from messages.kind import load_kinds
from messages.settings import ConfigError
from rules import service
from rules.config import load
from rules.rule import Rule, load_file, load_rules

app = typer.Typer(
    help="The rules engine: turns readings into alarms, and alarms into cases for people.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def run(config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's TOML file.")]) -> None:
    """Watch the readings and raise alarms, until Ctrl-C.

    Begins with whatever is there: a broker, a database or a history that is away is waited for.
    """
    configuration = load(config)
    asyncio.run(service.run(configuration, clock_ms=lambda: time.time_ns() // 1_000_000))


@app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATHS]...", help="Rule files, or folders of them, of your own.")
    ] = None,
    kinds: Annotated[list[Path] | None, typer.Option(help="A folder with further kinds; may be repeated.")] = None,
) -> None:
    """Read the shipped rules and yours, and list them. A mistake ends with its file, line and field."""
    known = load_kinds(*(kinds or ()))
    rules = dict(load_rules(known))
    for path in paths or ():
        if not path.exists():
            raise ConfigError(f"{path}: no such file or folder")
        for file in sorted(path.glob("*.toml")) if path.is_dir() else (path,):
            rules[file.stem] = load_file(file, known)
    table: list[tuple[str, ...]] = [("KIND", "RULE", "LEVEL", "RAISE", "AFTER", "CLEAR", "AFTER", "HELD")]
    table += [_row(rule) for of_kind in rules.values() for rule in of_kind]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(rule: Rule) -> tuple[str, ...]:
    return (
        rule.kind,
        rule.id,
        rule.level,
        rule.raise_when.source,
        f"{rule.raise_delay_ms / 1000:g}s",
        rule.clear_when.source,
        f"{rule.clear_delay_ms / 1000:g}s",
        "latch" if rule.latch else "",
    )
