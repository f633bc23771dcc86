"""`gridcall demo` as a visitor uses it: it prints an address and a login, the block is alive, and Ctrl-C ends all of it."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.services import free_port
from tests.system.plant import logged_in, wait_until

ROOT = Path(__file__).parent.parent.parent


def processes_in(folder: Path) -> list[psutil.Process]:
    """Whatever still runs in the demo's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in process.cwd() or any(str(folder) in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_the_demo_opens_alive_and_ends_clean(tmp_path: Path) -> None:
    folder, said = tmp_path / "demo", tmp_path / "said.txt"
    with said.open("w") as output:
        demo = subprocess.Popen(
            [sys.executable, "-m", "gridcall", "demo", "--folder", str(folder), "--port", str(free_port())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(
            lambda: "Password" in said.read_text() or demo.poll() is not None, "it says where to look", limit_s=60
        )
        words = said.read_text()
        found = re.search(r"Open\s+(http://\S+)\s+Login\s+(\S+)\s+Password\s+(\S+)", words)
        assert found, words
        with logged_in(*found.groups()) as client:
            wait_until(
                lambda: 'class="row red' in client.get("/").text,
                f"an alarm in the feed; {said.read_text()}",
                limit_s=60,
            )
        wait_until(lambda: "☎" in said.read_text() and "/c/" in said.read_text(), "somebody's phone rings", limit_s=30)
        second = subprocess.run(
            [sys.executable, "-m", "gridcall", "demo", "--folder", str(folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert second.returncode == 2
        assert "another demo runs here" in second.stderr
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0, said.read_text()
        assert "Nothing is left running." in said.read_text()
    finally:
        demo.kill()
        demo.wait()
    wait_until(lambda: not processes_in(folder), f"no process is left: {processes_in(folder)}", limit_s=5)
    assert (folder / "console-password").stat().st_mode & 0o077 == 0
