import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def doctor(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gridcall", "doctor", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_machine_that_can_run_the_demo_is_told_so() -> None:
    said = doctor("--as", "demo")
    assert said.returncode == 0, said.stdout
    assert "Nothing stands in the way." in said.stdout


def test_a_missing_package_is_named_with_its_mend(tmp_path: Path) -> None:
    # A blocker on the path: this finder says that pymodbus is not there.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nreal = u.find_spec\nu.find_spec = lambda n, *a: None if n == 'pymodbus' else real(n, *a)\n"
    )
    said = doctor("--as", "edge", PYTHONPATH=str(tmp_path))
    assert said.returncode == 1
    assert "no pymodbus" in said.stdout
    assert "requirements/edge.txt" in said.stdout


def test_a_server_without_a_broker_is_told_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import shutil\nshutil.which = lambda *a, **k: None\n")
    said = doctor("--as", "server", PYTHONPATH=str(tmp_path))
    assert said.returncode == 1
    assert "sudo apt install mosquitto" in said.stdout
