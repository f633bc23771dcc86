"""Which worker takes which file of tests, and that a run goes on without a worker that died."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.turns import LONGEST, TESTS, Sort, place, sort_for, sort_of, taken

BROWSERS = ["tests/integration/test_phone_deceived.py", "tests/integration/test_phone_torn.py"]
PROGRAMS = ["tests/system/test_nothing_is_lost.py", "tests/integration/test_bus_tls.py"]
PURE = ["tests/messages/test_pack.py", "tests/rules/test_alarm.py", "tests/test_words.py"]
ROW = [*BROWSERS, *PROGRAMS, *PURE]


def test_a_file_is_of_one_sort_and_long_ones_with_real_programs_come_first() -> None:
    files = [TESTS.parent / name for name in ROW]
    assert [sort_of(file) for file in files] == [Sort.BROWSER] * 2 + [Sort.PROGRAMS] * 2 + [Sort.PURE] * 3
    files.sort(key=lambda file: file.stem)
    row = [file.stem for file in sorted(files, key=place)]
    assert row[:2] == ["test_phone_deceived", "test_nothing_is_lost"]
    assert set(row[2:4]) == {"test_phone_torn", "test_bus_tls"}


def test_of_three_workers_each_begins_with_his_own_sort_and_then_helps_from_the_other_end() -> None:
    assert [taken(ROW, sort_for(f"gw{number}", 3)) for number in range(3)] == [BROWSERS[0], PROGRAMS[0], PURE[0]]
    assert taken([*PROGRAMS, *PURE], Sort.BROWSER) == PURE[-1]


def test_of_two_workers_each_takes_what_comes() -> None:
    assert [taken(ROW, sort_for(f"gw{number}", 2)) for number in range(2)] == [ROW[0], ROW[0]]


def test_every_file_that_is_said_to_be_long_is_there() -> None:
    assert set(LONGEST) <= {file.stem for file in TESTS.rglob("test_*.py")}


DIES = "import os\n\ndef test_{number}():\n    os._exit(1)\n"
PASSES = "def test_{number}():\n    pass\n"
DIRECTOR = """
import pytest
from tests import turns

@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return turns.Turns(config, log)
"""


@pytest.mark.parametrize(
    ("workers", "files"),
    [(1, (".x.", "x", "x", ".")), (3, ("....x", "x", "x.", ".x.x.", "."))],
)
def test_who_dies_costs_the_test_that_he_was_at_and_no_other(
    tmp_path: Path, workers: int, files: tuple[str, ...]
) -> None:
    (tmp_path / "conftest.py").write_text(DIRECTOR)
    for number, tests in enumerate(files):
        text = "".join((DIES if test == "x" else PASSES).format(number=at) for at, test in enumerate(tests))
        (tmp_path / f"test_{number}.py").write_text(text)
    options = f"-n {workers} --no-loadscope-reorder -p no:cacheprovider".split()
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", str(tmp_path), str(tmp_path)]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ended = subprocess.run(
        command, cwd=TESTS.parent, env=ours, capture_output=True, text=True, timeout=120, check=False
    )
    failed, passed = "".join(files).count("x"), "".join(files).count(".")
    assert ended.returncode == 1, ended.stdout
    assert f"{failed} failed" + (f", {passed} passed" if passed else "") in ended.stdout.splitlines()[-1]
