"""`gridcall rules`: run the engine, check rules."""

import asyncio
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import structlog
import typer

from messages.kind import load_kinds
from messages.settings import ConfigError, duration_words, replacements
from rules import service
from rules.config import load
from rules.language.rule import SHIPPED, Rule, load_file

WIDTH = 80

log = structlog.get_logger("rules")

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
    for note in configuration.notes:
        log.warning(note)
    asyncio.run(service.run(configuration, clock_ms=lambda: time.time_ns() // 1_000_000))


@app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATHS]...", help="Rule files, or folders of them, of your own.")
    ] = None,
    kinds: Annotated[list[Path] | None, typer.Option(help="A folder with further kinds; may be repeated.")] = None,
) -> None:
    """Read the shipped rules and yours, and list them by kind, each with when it raises and when it clears.

    A mistake ends with its file, line and field.
    """
    known = load_kinds(*(kinds or ()))
    own: list[Path] = []
    for path in paths or ():
        if not path.exists():
            raise ConfigError(f"{path}: no such file or folder")
        own += sorted(path.glob("*.toml")) if path.is_dir() else (path,)
    files = {file.stem: file for file in (*sorted(SHIPPED.glob("*.toml")), *own)}
    for file in files.values():
        rules = load_file(file, known)
        print(f"{file.stem}, {'shipped' if file.parent == SHIPPED else file}")
        for rule in rules:
            print("\n".join(_lines(rule)))
    for note in replacements(SHIPPED, own, "rules"):
        print(f"note: {note}")


def _lines(rule: Rule) -> Iterator[str]:
    name = f"  {rule.id}, {rule.level}{', latched' if rule.latch else ''}:"
    yield from _wrapped(f"{name} {rule.raise_when.source}{_lasting(rule.raise_delay_ms)}")
    yield from _wrapped(f"    clears: {rule.clear_when.source}{_lasting(rule.clear_delay_ms)}")


def _lasting(delay_ms: int) -> str:
    return f", for {duration_words(delay_ms / 1000)}" if delay_ms else ""


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False)
