"""Every broker that we ship for, with either protocol; Chromium, with patience on a busy machine, and an operator before it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import programs, services
from tests.integration.browsing import ARGUMENTS, Window
from tests.integration.console_filling import Console, console

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


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Not of a whole run: where it has begun, no test can run an event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=services.program("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Console]:
    with console(tmp_path) as started:
        yield started


@pytest.fixture
def at_the_desk(chromium: Browser, running: Console) -> Iterator[Window]:
    """A browser of an operator who has logged in. It complains of nothing."""
    context = chromium.new_context(locale="en-GB", reduced_motion="reduce")
    window = Window(context.new_page(), running.address)
    window.log_in()
    yield window
    assert window.complaints == []
    context.close()


@pytest.fixture
def page(at_the_desk: Window) -> Page:
    return at_the_desk.page
