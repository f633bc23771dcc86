"""`gridcall demo`: the whole chain on this machine, with a block that is alive. No root, nothing to install first.

Broker: iotcore on loopback, with a password. Stores: SQLite. Every program is the real one, in a process of its
own; the block is simulated. The folder keeps everything, so a second start goes on where the first one stopped.
"""

import contextlib
import fcntl
import importlib.util
import os
import secrets
import selectors
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from deploy.example import Example, write
from deploy.processes import Program, gridcall
from messages.language import NOTHING, Language, Phrase, phrase, why
from messages.settings import ConfigError
from messages.terminal import In, language_of
from simulators.scenario import scenario_path

app = typer.Typer(add_completion=False, rich_markup_mode=None)

MARK = ".gridcall-demo"
"""A file that says that its folder belongs to a demo, which may then write and delete there."""
NEEDS = ("iotcore", "aiomqtt", "pymodbus", "fastapi", "sqlalchemy", "argon2")
LOGIN = "operator"
WORDS = ("maple", "willow", "lotus", "bamboo", "plum", "cedar", "jasmine", "ginkgo")
FALLS_BEFORE_GIVING_UP = 5
WRONG_SETTING = 2
"""Exit code of a program that must not be started again as it is."""


@dataclass(frozen=True, slots=True)
class _Secrets:
    broker: str
    console: str


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its files.")] = Path("gridcall-demo"),
    port: Annotated[int, typer.Option(help="Port of the pages; the next free one if taken.", min=1, max=65535)] = 8080,
    scenario: Annotated[str, typer.Option(help="What happens in the block: a shipped name or a file.")] = "evening",
    fresh: Annotated[
        bool, typer.Option(help="Forget what an earlier demo left behind, but for its passwords.")
    ] = False,
    wanted: In = "",
) -> None:
    """Run a residential block, from its sensors to the page of the worker on duty, until Ctrl-C."""
    if missing := [name for name in NEEDS if importlib.util.find_spec(name) is None]:
        raise ConfigError(
            "the demo needs {packages}: pip install --require-hashes -r requirements/demo.txt",
            packages=", ".join(missing),
        )
    path = scenario_path(scenario)  # a wrong name ends here, before anything is started
    folder, scenario = folder.absolute(), str(path.absolute()) if scenario.endswith(".toml") else scenario
    with _alone_in(folder):
        _start(folder, port, scenario, language_of(wanted, os.environ), fresh=fresh)


def _start(folder: Path, port: int, scenario: str, spoken: Language, *, fresh: bool) -> None:
    if fresh:
        _forget(folder)
    known = _secrets(folder)
    example = Example(
        password=known.broker,
        broker_port=_free_port(),
        uplink_port=_free_port(),
        console_port=_free_port(port),
        collector_port=_free_port(),
        line=str(folder / "rs485-1"),
    )
    write(example, folder)
    programs = _programs(folder, scenario)
    print(phrase("Gridcall demo in {folder}", folder=folder).said(spoken))
    try:
        _add_account(folder)
        for program in programs:
            starting = phrase("  starting {name:<10} {purpose}", name=program.name, purpose=_PURPOSE[program.name])
            print(starting.said(spoken))
            program.start()
            if program.name == "broker":
                _wait_for(example.broker_port, program)
        _wait_for(example.console_port, next(program for program in programs if program.name == "console"))
        address = f"http://127.0.0.1:{example.console_port}"
        taken = phrase("   (port {port} is taken)", port=port) if example.console_port != port else NOTHING
        where = phrase("  Open   {address}{taken}", address=address, taken=taken)
        how = phrase("  Login  {login}   Password  {password}", login=LOGIN, password=known.console)
        print(f"\n{where.said(spoken)}\n{how.said(spoken)}\n")
        alive = phrase("The block is alive; what happens in it is told below. Ctrl-C stops everything.")
        print(f"{alive.said(spoken)}\n", flush=True)
        _watch(programs, spoken)
    except KeyboardInterrupt:
        print(f"\n{phrase('Stopping …').said(spoken)}", flush=True)
    finally:
        for program in reversed(programs):
            program.stop()
        print(phrase("Stopped. Nothing is left running.").said(spoken), flush=True)


_PURPOSE = {
    "broker": phrase("MQTT on loopback (iotcore)"),
    "collector": phrase("stores every reading, says so to the edge"),
    "rules": phrase("turns readings into alarms and cases"),
    "console": phrase("the pages"),
    "block": phrase("five Modbus devices on a serial line, one door on MQTT (simulated)"),
    "phones": phrase("print what people are told, with the link that opens the case on a phone (simulated)"),
    "edge": phrase("reads them, keeps every reading until it is stored"),
}


def _programs(folder: Path, scenario: str) -> list[Program]:
    def program(name: str, command: list[str], *, heard: bool = False) -> Program:
        return Program(name, command, folder, folder / "logs" / f"{name}.log", heard)

    broker = [sys.executable, "-m", "iotcore", "--config", "rumqttd.toml", "--log-level", "CRITICAL"]
    return [
        program("broker", broker),
        program("collector", gridcall("collector", "run", "collector.toml")),
        program("rules", gridcall("rules", "run", "rules.toml")),
        program("console", gridcall("console", "run", "console.toml")),
        program("block", gridcall("simulate", "run", "block.toml", "--scenario", scenario), heard=True),
        program("edge", gridcall("edge", "run", "edge.toml")),
        program("phones", gridcall("simulate", "phones", "block.toml"), heard=True),
    ]


def _watch(programs: list[Program], spoken: Language) -> None:
    """Tell what the block does, and start again what falls. One thread: a child is forked here."""
    with selectors.DefaultSelector() as ears:
        listened: dict[str, int] = {}
        while True:
            for program in programs:
                if not program.running:
                    _raise_again(program, spoken)
                if program.heard and program.process and program.process.stdout:
                    descriptor = program.process.stdout.fileno()
                    if listened.get(program.name) != program.process.pid:
                        os.set_blocking(descriptor, False)
                        ears.register(program.process.stdout, selectors.EVENT_READ)
                        listened[program.name] = program.process.pid
            for key, _ in ears.select(timeout=0.5):
                text = os.read(key.fd, 65536)
                if not text:
                    ears.unregister(key.fileobj)
                sys.stdout.write(text.decode(errors="replace"))
                sys.stdout.flush()


def _raise_again(program: Program, spoken: Language) -> None:
    program.falls += 1
    if program.falls > FALLS_BEFORE_GIVING_UP or (program.process and program.process.returncode == WRONG_SETTING):
        raise ConfigError(
            "{name} fell {n} times; its log: {log}: {words}",
            name=program.name,
            n=program.falls,
            log=program.log,
            words=Phrase(program.last_words()),
        )
    again = phrase("{name} fell and is started again: {words}", name=program.name, words=Phrase(program.last_words()))
    print(again.said(spoken), flush=True)
    program.start()


def _add_account(folder: Path) -> None:
    words = ("console", "user", "add", "console.toml", LOGIN, "--password-file", "console-password")
    account = Program("account", gridcall(*words), folder, folder / "logs" / "account.log")
    account.start()
    assert account.process is not None
    if account.process.wait(60):
        raise ConfigError("the account for the pages could not be made: {words}", words=Phrase(account.last_words()))


def _secrets(folder: Path) -> _Secrets:
    """The two passwords, made at the first start and kept: whoever has the page open stays logged in."""
    folder.mkdir(parents=True, exist_ok=True)
    values = []
    for name, made in (
        ("broker-password", secrets.token_urlsafe(18)),
        ("console-password", f"{secrets.choice(WORDS)}-{secrets.choice(WORDS)}-{secrets.randbelow(9000) + 1000}"),
    ):
        path = folder / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(made + "\n", encoding="utf-8")
        values.append(path.read_text(encoding="utf-8").strip())
    return _Secrets(*values)


def _forget(folder: Path) -> None:
    """Remove what earlier demos have recorded in their own folder; the passwords stay."""
    for name in ("edge", "collector", "logs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("history.db", "rules.db", "console.db"):
        for suffix in ("", "-wal", "-shm"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two demos in one folder would share an outbox, and in anybody else's folder one would overwrite settings."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / MARK).exists():
            raise ConfigError(
                "{folder}: holds other files; a demo wants a folder of its own: --folder NEW", folder=folder
            )
        (folder / MARK).touch()
    except OSError as error:
        raise ConfigError("{folder}: no folder for the demo: {why}", folder=folder, why=why(error)) from error
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                "{folder}: another demo runs here; use --folder for a second one", folder=folder
            ) from None
        yield


def _free_port(wanted: int = 0) -> int:
    for port in (wanted, *range(wanted + 1, wanted + 20), 0) if wanted else (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ConfigError("no free port near {port}", port=wanted)


def _wait_for(port: int, program: Program, *, limit_s: float = 30.0) -> None:
    until = time.monotonic() + limit_s
    while time.monotonic() < until and program.running:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return
        time.sleep(0.05)
    raise ConfigError(
        "{name} does not answer on port {port}; its log: {log}: {words}",
        name=program.name,
        port=port,
        log=program.log,
        words=Phrase(program.last_words()),
    )
