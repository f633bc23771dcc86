import os
import signal
import subprocess
import sys
from pathlib import Path

from deploy.processes import Program
from tests.system.plant import wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_dies_with_a_parent_that_is_killed_outright(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom pathlib import Path\nfrom deploy.processes import Program\n"
            f"child = Program('child', {SLEEPER!r}, Path('.'), Path({str(tmp_path / 'log')!r}))\n"
            "child.start(); print(child.process.pid, flush=True); time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not alive(child), "the child is gone", limit_s=60)


def test_a_child_that_ignores_the_request_to_stop_is_stopped(tmp_path: Path) -> None:
    stubborn = [
        sys.executable,
        "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)",
    ]
    program = Program("stubborn", stubborn, tmp_path, tmp_path / "log")
    program.start()
    wait_until(lambda: "ready" in (tmp_path / "log").read_text(), "the program is up")
    assert program.process is not None
    program.stop(limit_s=0.2)
    assert program.process.returncode == -signal.SIGKILL
    assert program.last_words() == "ready"


def test_children_are_not_in_the_terminal_s_group(tmp_path: Path) -> None:
    program = Program("child", SLEEPER, tmp_path, tmp_path / "log")
    program.start()
    assert program.process is not None
    try:
        assert os.getpgid(program.process.pid) != os.getpgid(0)
    finally:
        program.stop()
