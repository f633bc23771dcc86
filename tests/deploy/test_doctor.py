import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.doctor import serial_ports
from edge.installer.access import may_use, user_meant

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
    assert (
        f"-> {sys.prefix}/bin/pip install --require-hashes -r requirements/edge.txt" in said.stdout
    )  # Debian's own pip refuses


def test_a_server_without_a_broker_is_told_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import shutil\nshutil.which = lambda *a, **k: None\n")
    said = doctor("--as", "server", PYTHONPATH=str(tmp_path))
    assert said.returncode == 1
    assert "sudo apt install mosquitto" in said.stdout


def test_every_kind_of_serial_port_is_found_by_its_lasting_name(tmp_path: Path) -> None:
    for name in ("ttyUSB0", "ttyACM0", "ttyAMA0", "ttyS0", "tty1"):
        (tmp_path / name).touch()
    (tmp_path / "serial/by-id").mkdir(parents=True)
    (tmp_path / "serial/by-id/usb-1a86").symlink_to("../../ttyUSB0")
    found = [str(port.relative_to(tmp_path)) for port in serial_ports(tmp_path)]
    assert found == ["serial/by-id/usb-1a86", "ttyACM0", "ttyAMA0"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away, which root alone can")
def test_root_is_told_what_the_services_user_may(tmp_path: Path) -> None:
    nobody, port = pwd.getpwnam("nobody"), tmp_path / "ttyUSB0"
    port.touch()
    port.chmod(0o660)
    assert may_use(port, "")
    assert not may_use(port, "nobody")
    os.chown(port, 0, nobody.pw_gid)
    assert may_use(port, "nobody"), "its group, as `dialout` is"
    os.chown(port, nobody.pw_uid, 0)
    port.chmod(0o060)
    assert not may_use(port, "nobody"), "an owner's rights are his own"
    assert not may_use(tmp_path / "ttyUSB1", "nobody")
    assert (user_meant(0, "nobody"), user_meant(0, "no-such-user"), user_meant(1000, "nobody")) == ("nobody", "", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away, which root alone can")
def test_what_is_neither_the_services_nor_where_its_unit_looks_is_judged_by_the_rights_of_whoever_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demo of root's, on a machine that has the service too: `edge check` warned that the service may not write its folder."""
    file = tmp_path / "edge.toml"
    file.touch()
    assert user_meant(0, "nobody", file) == ""
    os.chown(file, pwd.getpwnam("nobody").pw_uid, 0)
    assert user_meant(0, "nobody", file) == "nobody"
    os.chown(file, 0, 0)
    monkeypatch.setattr("edge.installer.access.SETTINGS", tmp_path)
    assert user_meant(0, "nobody", file) == "nobody", "its unit reads it"


def test_what_is_missing_is_said_in_chinese_to_who_reads_chinese(tmp_path: Path) -> None:
    said = doctor("--folder", str(tmp_path), LC_ALL="zh_CN.UTF-8").stdout
    assert "正常" in said
    assert "GiB 可用" in said
    assert "free in" not in said


def test_a_server_on_which_nobody_can_be_called_is_wrong(tmp_path: Path) -> None:
    config = tmp_path / "rules.toml"
    text = (ROOT / "deploy/examples/rules.toml").read_text(encoding="utf-8")
    for folder in ("/var/lib/gridcall", "/etc/gridcall"):
        text = text.replace(folder, str(tmp_path))
    config.write_text(text, encoding="utf-8")
    (tmp_path / "rules.password").write_text("secret", encoding="utf-8")
    said = doctor("--as", "server", "--rules", str(config), LANG="en_US.UTF-8")
    assert said.returncode == 1, said.stdout
    assert "WRONG" in next(line for line in said.stdout.splitlines() if "no rosters" in line)
    config.write_text(text.replace('#? desk = ["sms:13800000000"]', 'desk = ["ntfy:desk"]'), encoding="utf-8")
    said = doctor("--as", "server", "--rules", str(config), LANG="en_US.UTF-8")
    assert "WRONG" not in next(line for line in said.stdout.splitlines() if "no rosters" in line)
