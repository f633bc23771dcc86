"""What all tests share: real services by name, and the rule that a missing one is said aloud.

A test that needs a program this machine lacks is left out with the reason; with CI=true it fails instead.
"""

import asyncio
import functools
import inspect
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from tests import services, turns

CI = os.environ.get("CI") == "true"
WHERE_IT_LANDS = (Phase.explicit, Phase.generate)
"""What fails there fails at once: to look for the shortest example takes longer than a test may, and the other tests wait."""
settings.register_profile("ours", deadline=None, derandomize=CI, phases=WHERE_IT_LANDS if CI else tuple(Phase))
"""How fast something is, is for the benches to say. New examples are for those who develop; what lands is judged by the same ones."""
settings.load_profile("ours")

MEMORY = Path("/dev/shm")
ROOM_BYTES = 3 << 30


def in_memory() -> bool:
    """Whether the files of tests can lie in memory. A test kills programs, never the machine: to wait for a disk shows nothing."""
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return False
    runs_programs = (
        not found.f_flag & os.ST_NOEXEC
    )  # a container may forbid it, and a test installs programs and runs them
    return runs_programs and os.access(MEMORY, os.W_OK) and found.f_bavail * found.f_frsize >= ROOM_BYTES


if "TMPDIR" not in os.environ and in_memory():
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)  # of this process, and of those that it starts


def pytest_configure(config: pytest.Config) -> None:
    turns.begin(config)


WAITS_FOR_EVER_S = 300
"""What an asynchronous test has waited for so long won't come: it fails where it waits, before its worker is ended."""


def ends(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """The same test, that says where it waits for ever."""

    @functools.wraps(test)
    async def within_limit(*given: object, **named: object) -> None:
        async with asyncio.timeout(WAITS_FOR_EVER_S):
            await test(*given, **named)

    return within_limit


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = ends(item.obj)
    items.sort(key=lambda item: turns.place(item.path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> turns.Turns:
    return turns.Turns(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        if missing := services.missing_programs(marker.args):
            why = f"not on this machine: {', '.join(missing)}"
            if CI:
                pytest.fail(f"{why}; under CI=true no test may be left out", pytrace=False)
            pytest.skip(why)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[services.MqttBroker]:
    with services.mosquitto(tmp_path / "mosquitto") as broker:
        yield broker


@pytest.fixture
def influxdb(tmp_path: Path) -> Iterator[services.Influx]:
    with services.influxdb(tmp_path / "influxdb") as server:
        yield server


@pytest.fixture
def victoria(tmp_path: Path) -> Iterator[services.Service]:
    with services.victoria(tmp_path / "victoria") as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[services.PostgreSql]:
    """One for all tests: it takes seconds to make."""
    with services.postgresql() as server:
        yield server


@pytest.fixture
def postgresql(postgresql_server: services.PostgreSql) -> Iterator[str]:
    """The address of an empty database."""
    with postgresql_server.database() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres", "initdb"))])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of each sort that the rules write."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/rules.db"
    return str(request.getfixturevalue("postgresql"))
