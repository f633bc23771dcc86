"""The command line: `gridcall edge|collector|rules|console|simulate|demo|doctor`. It only dispatches.

A program is imported when it is called, so that a Pi without the server's packages can run `gridcall edge`.
"""

import gc

gc.disable()  # until what follows is loaded: nothing of it is garbage, and to look for some takes as long as to load urllib3

import importlib
import logging
import os
import pwd
import select
import signal
import sys
from pathlib import Path
from typing import NoReturn

os.environ.setdefault(
    "PYDANTIC_DISABLE_PLUGINS", "__all__"
)  # else it looks for some in all that is installed; we have none

from messages.language import NOTHING, Phrase, phrase
from messages.terminal import language_in

if "rich" not in sys.modules:  # structlog would load it for tracebacks that no log wants: 3 MB of a Pi's memory
    sys.modules["rich"] = None  # type: ignore[assignment]
    import structlog

    del sys.modules["rich"]

import structlog
import typer
from structlog.typing import EventDict

from messages.settings import ConfigError
from messages.suggestion import suggest

gc.freeze()
gc.enable()

PROGRAMS = {
    "edge": ("edge.commands", "Beside the devices: reads serial lines and local MQTT, loses nothing."),
    "collector": ("collector.commands", "Stores every reading and says so."),
    "rules": ("rules.commands", "Turns readings into alarms and cases."),
    "console": ("console.commands", "The web pages: live feed, alarms, buttons."),
    "simulate": ("simulators.commands", "A residential block that behaves, and misbehaves."),
    "demo": ("deploy.demo", "Everything on this machine, with a block that is alive. Start here."),
    "doctor": ("deploy.doctor", "Says what is missing or wrong on this machine, and how to mend it."),
}
RUN = {"rules": "rules.shell.commands"}
"""Where `run` stands by itself, without what is needed by commands that only people give."""
EXTRAS = {
    "edge": "edge",
    "collector": "server",
    "rules": "server",
    "console": "server",
    "simulate": "demo",
    "demo": "demo",
}

WRONG_SETTING = 2
OURS = {"messages", "edge", "collector", "rules", "console", "simulators", "deploy"}

INTERRUPTED = 130
UNREAD = 1
"""As click does where it notices by itself."""


def main() -> NoReturn:
    """Run one program; exit code 0, 2 for a wrong setting or a wrong call, 130 after Ctrl-C, 1 if nobody reads what it prints."""
    words = sys.argv[1:]
    verbose = words[:1] == ["--verbose"]
    words = words[verbose:]
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        sys.exit(0)
    if words[0] == "--version":
        print(software())
        sys.exit(0)
    if words[0] not in PROGRAMS:
        _leave(phrase("no program `{name}`{near}", name=words[0], near=suggest(words[0], PROGRAMS)), words)
    _log_to_stderr(logging.DEBUG if verbose else logging.INFO)
    if closed := closed_to_service(words, os.geteuid()):
        print(f"gridcall: {closed.said(language_in(words, os.environ))}", file=sys.stderr)
    # A service manager stops with SIGTERM; asyncio cleans up on SIGINT. One way to stop, then.
    # Set both: whoever starts us in the background may have left SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        _run(words)
    except ConfigError as error:
        _leave(error.phrase, words)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(0)


def _run(words: list[str]) -> None:
    """Whoever reads what we print may have seen enough (`gridcall … | head`): then there is nothing left to do, nor to complain of."""
    seen_enough = False
    try:
        try:
            _load(words)(args=words[1:], prog_name=f"gridcall {words[0]}")
        finally:
            sys.stdout.flush()
    except* BrokenPipeError:
        if not _is_unread():
            raise
        seen_enough = True
    if seen_enough:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNREAD)


def _is_unread() -> bool:
    """Nobody reads our output any more; it is no other connection that broke."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(events & select.POLLERR for _, events in output.poll(0))


def _load(words: list[str]) -> typer.Typer:
    """Its commands. Nothing of what is loaded is garbage: to look for some takes a tenth of the start, and of each look later on."""
    program = words[0]
    module = RUN.get(program, "") if words[1:2] == ["run"] else ""
    gc.disable()
    try:
        app: typer.Typer = importlib.import_module(module or PROGRAMS[program][0]).app
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in {*OURS, "gridcall"}:
            raise
        needs = phrase(
            "`gridcall {program}` needs {package}: pip install --require-hashes -r requirements/{extra}.txt",
            program=program,
            package=error.name,
            extra=EXTRAS[program],
        )
        _leave(needs, words)
    finally:
        gc.freeze()
        gc.enable()
    app.pretty_exceptions_enable = False  # a log wants a plain traceback
    return app


def _help() -> str:
    width = max(map(len, PROGRAMS))
    programs = "\n".join(f"  {name:<{width}}  {summary}" for name, (_, summary) in PROGRAMS.items())
    return f"""Usage: gridcall [--verbose] PROGRAM …

Gridcall (网格呼叫): from a sensor's alarm to the grid worker who mends it.
New here? `gridcall demo` runs a whole block on this machine.

Programs (each has --help):
{programs}

  --verbose   say also what happens often
  --version   what is installed"""


def _leave(what: Phrase, words: list[str]) -> NoReturn:
    print(f"gridcall: {what.said(language_in(words, os.environ))}", file=sys.stderr)
    sys.exit(WRONG_SETTING)


def software() -> str:
    """Name and version, as an edge's status says it."""
    from importlib.metadata import PackageNotFoundError, version  # it reads mail headers: a start needs none of that

    try:
        return f"gridcall {version('gridcall')}"
    except PackageNotFoundError:
        return "gridcall (not installed)"


def closed_to_service(words: list[str], user: int) -> Phrase:
    """What root is told who works on the settings of a service of another user; empty if all is well.

    The files that he makes are root's: a collector that can't open its own stores nothing.
    """
    if user != 0 or words[0] == "doctor" or "check" in words:
        return NOTHING
    for path in (Path(word) for word in words if word.endswith(".toml")):
        try:
            owner = path.stat().st_uid
            name = pwd.getpwuid(owner).pw_name
        except (OSError, KeyError):
            continue
        if owner != 0:
            return phrase(
                "warning: {path} belongs to {name}, who can't open what root makes here; "
                "rather: runuser -u {name} -- {gridcall} {program} …",
                path=path,
                name=name,
                gridcall=sys.argv[0],
                program=words[0],
            )
    return NOTHING


class _Lines(structlog.PrintLogger):
    """Lines to standard error, by a logger that has a name."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stderr)
        self.name = name

    def msg(self, message: str) -> None:
        """A log that can't be written, on a full disk say, must not end the program that it tells about."""
        try:
            super().msg(message)
        except OSError:
            pass

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def _log_to_stderr(level: int) -> None:
    def named(logger: _Lines, _method: str, event: EventDict) -> EventDict:
        event["logger"] = logger.name
        return event

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            named,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0, pad_level=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )


if __name__ == "__main__":
    main()
