"""What a user installs: the wheel, in an environment of its own, run from another folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`command` in `cwd`, which does not look where else our packages may be."""
    words, alone = [str(word) for word in command], {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, env=alone
    )


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a clean environment with `gridcall[edge]` from the wheel and the lock."""
    folder = tmp_path_factory.mktemp("pi")
    built = run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        ROOT,
        cwd=folder,
    )
    assert built.returncode == 0, built.stderr
    wheel = next(folder.glob("gridcall-*.whl"))
    for step in (
        (sys.executable, "-m", "venv", folder / "venv"),
        (folder / "venv/bin/pip", "install", "--quiet", "--require-hashes", "-r", ROOT / "requirements/edge.txt"),
        (folder / "venv/bin/pip", "install", "--quiet", "--no-deps", wheel),
    ):
        done = run(*step, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder / "venv/bin"


def test_a_pi_pulls_in_no_web_framework_and_no_database_client(pi: Path, tmp_path: Path) -> None:
    installed = run(pi / "pip", "list", "--format=freeze", cwd=tmp_path).stdout.lower()
    assert "pymodbus" in installed
    for server_only in ("fastapi", "starlette", "uvicorn", "jinja2", "influxdb", "sqlalchemy", "argon2", "aiomqtt"):
        assert server_only not in installed


def test_the_edge_runs_from_the_wheel_in_another_folder(pi: Path, tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(
        'site = "junmen"\nedge = "pi-1"\nfolder = "state"\n[uplink]\nhost = "127.0.0.1"\n'
        '[[lines]]\nname = "a"\nport = "/dev/ttyUSB0"\nbaudrate = 9600\n'
        '[[devices]]\nid = "gas-1"\nmodel = "modbus-gas-detector"\nline = "a"\nunit = 1\n'
        'place = { grid = "grid-1", text = "1号楼" }\n'
    )
    checked = run(pi / "gridcall", "edge", "check", "edge.toml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "gas-1" in checked.stdout


def test_a_program_whose_packages_are_absent_says_how_to_get_them(pi: Path, tmp_path: Path) -> None:
    refused = run(pi / "gridcall", "console", "run", "console.toml", cwd=tmp_path)
    assert refused.returncode == 2
    assert "requirements/server.txt" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_our_packages_come_from_our_wheel(pi: Path, tmp_path: Path) -> None:
    # PyPI has a `rules` of its own; whichever is imported must be ours.
    where = run(
        pi / "python", "-c", "import rules, edge.models.product as p; print(rules.__file__, p.SHIPPED)", cwd=tmp_path
    )
    assert str(pi.parent) in where.stdout
    shipped = Path(where.stdout.split()[-1])
    assert sorted(path.name for path in shipped.glob("*.toml")) == sorted(
        path.name for path in (ROOT / "edge/models").glob("*.toml")
    )
    steps = "rules/store/migrations/versions"
    installed = sorted(path.name for path in (shipped.parent.parent / steps).glob("*.py"))
    assert installed == sorted(path.name for path in (ROOT / steps).glob("*.py"))
