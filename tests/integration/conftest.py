"""Every broker that we ship for, with either protocol; and patience with browsers on a busy machine."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests import programs, services

expect.set_options(timeout=60_000)
"""How soon something must be seen, is said by those tests that are about it."""


@pytest.fixture(autouse=True, scope="session")
def programs_are_read() -> None:
    programs.ready()


BROKERS = ("mosquitto 5", "mosquitto 3.1.1", "iotcore 5", "iotcore 3.1.1")


@contextmanager
def started(name: str, folder: Path) -> Iterator[services.MqttBroker]:
    """Users `devices` (may write) and `local` (may read) meet under `local/#`."""
    sort, protocol = name.split()
    start = services.mosquitto if sort == "mosquitto" else services.iotcore
    with start(folder / name) as broker:
        broker.protocol = protocol
        yield broker


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.needs("mosquitto")) if "mosquitto" in name else name for name in BROKERS
    ]
)
def any_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[services.MqttBroker]:
    """Each in turn."""
    with started(request.param, tmp_path) as broker:
        yield broker


@pytest.fixture
def every_broker(tmp_path: Path) -> Iterator[list[services.MqttBroker]]:
    """All of them at once: for a test that waits to see that nothing happens, which costs the same with four as with one."""
    with ExitStack() as running:
        yield [running.enter_context(started(name, tmp_path)) for name in BROKERS]
