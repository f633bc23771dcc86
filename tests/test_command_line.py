import os
import subprocess
import sys
from pathlib import Path

import pytest

from gridcall import closed_to_service

NOBODY = 65534
LOADED = """import gc, gridcall
gridcall._load(["edge"])
print(gc.isenabled(), gc.get_freeze_count() > 50_000)
"""


def test_what_a_program_loads_is_not_searched_for_garbage_and_what_it_makes_is() -> None:
    assert subprocess.check_output([sys.executable, "-c", LOADED], text=True) == "True True\n"


@pytest.fixture
def settings(tmp_path: Path) -> str:
    """The settings of a service that isn't root's."""
    path = tmp_path / "collector.toml"
    path.touch()
    if os.geteuid() == 0:
        os.chown(path, NOBODY, -1)
    return str(path)


def test_root_is_told_that_a_service_of_another_user_can_t_open_what_he_makes(settings: str) -> None:
    said = closed_to_service(["collector", "setup", settings], 0)
    assert "runuser -u " in said
    assert settings in said


def test_the_service_itself_is_told_nothing_and_nor_is_root_who_only_looks(settings: str) -> None:
    assert closed_to_service(["collector", "setup", settings], NOBODY) == ""
    assert closed_to_service(["collector", "check", settings], 0) == ""
    assert closed_to_service(["doctor", "--rules", settings], 0) == ""
    assert closed_to_service(["collector", "setup", "absent.toml"], 0) == ""
