import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def refused(*words: str, cwd: Path) -> str:
    """What a demo says that does not start: one line, exit code 2."""
    demo = subprocess.run(
        [sys.executable, "-m", "gridcall", "demo", *words],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert demo.returncode == 2, demo.stdout + demo.stderr
    return demo.stderr


@pytest.mark.parametrize("fresh", [[], ["--fresh"]])
def test_a_folder_that_holds_other_files_is_left_alone(fresh: list[str], tmp_path: Path) -> None:
    (tmp_path / "collector").mkdir()
    precious = tmp_path / "collector" / "precious.txt"
    precious.write_text("mine")
    (tmp_path / "edge.toml").write_text("mine too")
    said = refused("--folder", ".", *fresh, cwd=tmp_path)
    assert "a demo wants a folder of its own" in said
    assert precious.read_text() == "mine"
    assert (tmp_path / "edge.toml").read_text() == "mine too"


def test_a_folder_that_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refused("--folder", "file/demo", cwd=tmp_path)
    assert said.startswith("gridcall: ")
    assert len(said.splitlines()) == 1


def test_a_scenario_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    said = refused("--scenario", "evning", "--folder", "new", cwd=tmp_path)
    assert "did you mean `evening`?" in said
    assert not (tmp_path / "new").exists()


def test_a_port_that_cannot_be_is_refused(tmp_path: Path) -> None:
    assert "65535" in refused("--port", "70000", cwd=tmp_path)
