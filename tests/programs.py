"""Starts Gridcall's programs as processes of their own, from one that has read all of Gridcall already.

A start costs a second or two of processor time, nearly all of it for reading what never changes, and some hundred tests start programs. So one
process reads it once for all tests of a run, and whoever wants a program asks it for a child: with its own words, environment and files, its own
process number, signals and exit code. Like every program, it goes on in `gridcall.main`. That programs start from nothing as well, as their users
start them, is for tests/system and tests/deploy to show, and for the tests of the installer at a terminal.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).parent.parent
BROKER = "broker"
"""A first word that is none of Gridcall's: the broker in a wheel, with the file of its settings."""
LONGEST_CALL_BYTES = 1 << 20


class Program(subprocess.Popen[bytes]):
    """A running one. It is no child of ours: how it ended is written into `ended`, a pipe."""

    def __init__(self, words: tuple[str, ...], pid: int, ended: int) -> None:
        self.args, self.pid, self.returncode = words, pid, None
        self.stdin = self.stdout = self.stderr = None
        self._ended, self._looking = ended, threading.Lock()

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # ended just now
                os.kill(self.pid, sig)

    def _look(self, limit_s: float | None) -> int | None:
        with contextlib.suppress(ValueError, OSError):  # another thread has seen it just now, and closed
            if self.returncode is None and select.select([self._ended], [], [], limit_s)[0]:
                with self._looking:
                    self._read()
        return self.returncode

    def _read(self) -> None:
        if self.returncode is None:
            said = os.read(self._ended, 16)
            assert said, "the process that starts programs has died"
            self.returncode = int(said)
            self._close()

    def _close(self) -> None:
        os.close(self._ended)
        self._ended = -1

    def __del__(self) -> None:
        if self._ended >= 0:
            self._close()


def ready() -> None:
    """Returns when everything has been read, so that no test waits for it whose time is measured."""
    _starter()


def start(*words: str, log: Path) -> Program:
    """`gridcall` with `words`; what it says is appended to `log`."""
    with Path(os.devnull).open("rb") as nothing, log.open("ab") as said:
        return _begin(words, os.environ, nothing.fileno(), said.fileno(), said.fileno())


def run(
    *words: str, given: str = "", environment: Mapping[str, str] = os.environ, limit_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """`gridcall` with `words` to its end; `given` is typed into it."""
    read, written = os.pipe()
    with TemporaryFile() as said, TemporaryFile() as complained:
        with os.fdopen(written, "wb") as typing:
            typing.write(given.encode())
        try:
            program = _begin(words, environment, read, said.fileno(), complained.fileno())
        finally:
            os.close(read)
        try:
            code = program.wait(limit_s)
        finally:
            program.kill()
        said.seek(0)
        complained.seek(0)
        return subprocess.CompletedProcess(words, code, said.read().decode(), complained.read().decode())


def _begin(words: tuple[str, ...], environment: Mapping[str, str], *standard: int) -> Program:
    """In the folder where we are, as any child would."""
    ended, tells = os.pipe()
    try:
        pid = _starter().start(words, environment, (*standard, tells))
    finally:
        os.close(tells)
    return Program(words, pid, ended)


class _Starter:
    """The process that has read everything, as those see it who want a program."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        self._turn = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.programs", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        assert self._line.recv(16), "the process that starts programs has died"

    def start(self, words: tuple[str, ...], environment: Mapping[str, str], files: tuple[int, ...]) -> int:
        call = json.dumps({"words": words, "environment": dict(environment), "folder": os.getcwd()}).encode() + b"\n"
        with self._turn:
            socket.send_fds(self._line, [call[:1]], files)
            self._line.sendall(call[1:])
            answer = self._line.recv(16)
        assert answer, "the process that starts programs has died"
        return int(answer)

    def stop(self) -> None:
        self._line.close()
        self._process.wait(10)


@functools.cache
def _starter() -> _Starter:
    ours = _Starter()
    atexit.register(ours.stop)
    return ours


def _serve(line: socket.socket) -> None:
    """Starts a program for every call, and tells how it ended; comes back in those programs alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the tests, and so the line
    wakes, woken = os.pipe()
    os.set_blocking(wakes, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    running: dict[int, int] = {}
    line.sendall(b"ready")
    while True:
        calls = line.fileno() in select.select([line.fileno(), wakes], [], [])[0]
        with contextlib.suppress(BlockingIOError):
            os.read(wakes, 4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                tells = running.pop(ended[0])
                with contextlib.suppress(BrokenPipeError):  # nobody wants to know any more
                    os.write(tells, str(os.waitstatus_to_exitcode(ended[1])).encode())
                os.close(tells)
        if not calls:
            continue
        call, files, _, _ = socket.recv_fds(line, LONGEST_CALL_BYTES, 4)
        if not call:  # the tests are over, perhaps by force: nothing shall be left running
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            os._exit(0)
        *standard, tells = files
        while not call.endswith(b"\n"):
            call += line.recv(LONGEST_CALL_BYTES)
        if (pid := os.fork()) == 0:
            line.detach()
            _become(standard, **json.loads(call))
            return
        for file in standard:
            os.close(file)
        running[pid] = tells
        line.sendall(str(pid).encode())


def _become(standard: list[int], words: list[str], environment: dict[str, str], folder: str) -> None:
    """As if this process had been started with that: nothing of the others' is left in it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(standard):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    sys.argv = [str(ROOT / "gridcall.py"), *words]


if __name__ == "__main__":
    import iotcore

    import gridcall

    for program in ("edge", "collector", "rules", "console"):
        importlib.import_module(gridcall.PROGRAMS[program][0])
    gc.collect()
    gc.freeze()  # what has been read is shared, and stays where it is
    assert threading.active_count() == 1, "a thread does not outlive a fork"
    _serve(socket.socket(fileno=int(sys.argv[1])))
    if sys.argv[1:2] == [BROKER]:
        iotcore.Broker(config_path=sys.argv[2]).run_forever()
    gridcall.main()
