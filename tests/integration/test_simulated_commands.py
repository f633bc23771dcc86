"""`gridcall simulate` as a stranger calls it: in a process of its own, by its own words."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.services import ROOT, free_port
from tests.simulators import stage

GRIDCALL = [sys.executable, str(ROOT / "gridcall.py"), "simulate"]


def called(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*GRIDCALL, *words], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def test_it_tells_what_happens_and_leaves_nothing_behind(tmp_path: Path) -> None:
    stage.block(tmp_path, uplink_port=free_port())
    options = ("--scenario", "evening", "--speed", "20", "--record", str(tmp_path / "truth.jsonl"))
    process = subprocess.Popen(
        [*GRIDCALL, "run", str(tmp_path / "block.toml"), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        heard = [process.stdout.readline() for _ in range(3)]
        assert (tmp_path / "rs485").is_symlink()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 130
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert heard[0].startswith("Scenario evening: a gas leak")
    assert heard[1].startswith(f"5 devices on {tmp_path}/rs485, 9600 Bd; 1 at the broker 127.0.0.1:1; uplink from port")
    assert heard[2] == "gas-1: gas leak, to 28 %LEL in 15 s\n"
    assert not (tmp_path / "rs485").is_symlink()
    marks = [json.loads(line)["mark"] for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert "gas-1.gas_concentration -> 28" in marks


def test_the_shipped_scenarios_are_listed_with_a_line_each() -> None:
    listed = called("scenarios")
    assert listed.returncode == 0
    assert [line.split("  ")[0].strip() for line in listed.stdout.splitlines()] == ["calm", "evening", "outage"]


def test_a_wrong_setting_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    stage.block(tmp_path)
    for words, complaint in (
        (("run", str(tmp_path / "none.toml")), "none.toml: No such file or directory"),
        (("run", str(tmp_path / "block.toml"), "--scenario", "evning"), "did you mean `evening`?"),
        (
            ("run", str(tmp_path / "block.toml"), "--record", "/nowhere/truth"),
            "/nowhere/truth: no record can be written",
        ),
    ):
        ended = called(*words)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("gridcall: ")
        assert ended.stderr.rstrip().endswith(complaint) or complaint in ended.stderr
        assert ended.stderr.count("\n") == 1
