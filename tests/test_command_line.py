import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

import gridcall
from gridcall import UNREAD, closed_to_service
from messages.language import NOTHING

NOBODY = 65534
LOADED = """import gc, gridcall
gridcall._load(["edge"])
print(gc.isenabled(), gc.get_freeze_count() > 50_000)
"""

ENGINE = """import gc, sys
looks = []
gc.callbacks.append(lambda *_: looks.append(_))
gc.collect()
import gridcall
gridcall._load(["rules", "run"])
from pathlib import Path
from rules.config import load
print(len(looks))
load(Path(sys.argv[1]))
print(*sys.modules, sep="\\n")
"""
"""As `gridcall rules run` begins."""
UNUSED = {
    *("urllib3", "http.client", "smtplib", "xml.etree.ElementTree", "rich", "alembic", "psycopg"),
    *("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql"),  # the one that is used follows when it is opened
    *("rules.backtest", "rules.checking.report", "rules.quality", "rules.telling", "rules.duty.commands"),
    *("rules.desk", "rules.outside.courier", "rules.escalation.heartbeat", "fastapi"),
}
"""What an engine can do without that calls nobody by HTTP; much of it takes longer to load than all of the rules."""
SETTINGS = """name = "rules-1"
database = "sqlite:///rules.db"
store = "sqlite:history.db"
[broker]
username = "rules"
password = "p"
"""
SMS = """[channels.sms]
sort = "http"
url = "https://sms.example.org"
"""


def loaded(folder: Path, settings: str) -> list[str]:
    """What an engine has loaded when it goes to its database."""
    (folder / "rules.toml").write_text(settings)
    return subprocess.check_output([sys.executable, "-c", ENGINE, folder / "rules.toml"], text=True).splitlines()


def test_an_engine_loads_nothing_that_it_does_not_use_before_what_is_overdue_rings(tmp_path: Path) -> None:
    assert UNUSED & set(loaded(tmp_path, SETTINGS)) == set()


def test_an_engine_loads_what_it_calls_people_by_before_it_has_to_call_anybody(tmp_path: Path) -> None:
    assert {"urllib3", "rules.notices.channels.gateway"} <= set(loaded(tmp_path, SETTINGS + SMS))


def test_while_a_program_is_loaded_it_is_not_searched_for_garbage(tmp_path: Path) -> None:
    assert int(loaded(tmp_path, SETTINGS)[0]) < 10, "a hundred are usual"


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
    said = str(closed_to_service(["collector", "setup", settings], 0))
    assert "runuser -u " in said
    assert settings in said


def test_the_service_itself_is_told_nothing_and_nor_is_root_who_only_looks(settings: str) -> None:
    assert closed_to_service(["collector", "setup", settings], NOBODY) == NOTHING
    assert closed_to_service(["collector", "check", settings], 0) == NOTHING
    assert closed_to_service(["doctor", "--rules", settings], 0) == NOTHING
    assert closed_to_service(["collector", "setup", "absent.toml"], 0) == NOTHING


PRINTS = """import asyncio, sys, gridcall
async def page():
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.to_thread(print, "a page", flush=True))
gridcall._load = lambda words: lambda **_: asyncio.run(page())
gridcall._run(["edge", "monitor"])
"""
"""As a program does that prints in a task."""


def test_whoever_has_seen_enough_closes_the_pipe_and_nothing_is_complained_of() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", PRINTS], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (UNREAD, "")


def test_another_connection_that_breaks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> NoReturn:
        raise ExceptionGroup("tasks", [BrokenPipeError("a broker's")])

    monkeypatch.setattr(gridcall, "_load", breaks)
    with pytest.raises(ExceptionGroup):
        gridcall._run(["rules"])
