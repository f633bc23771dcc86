"""Every broker that we ship for, with either protocol; and patience with browsers on a busy machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests import services

expect.set_options(timeout=20_000)
"""How soon something must be seen, is said by those tests that are about it."""


@pytest.fixture(
    params=[
        pytest.param("mosquitto 5", marks=pytest.mark.needs("mosquitto")),
        pytest.param("mosquitto 3.1.1", marks=pytest.mark.needs("mosquitto")),
        "iotcore 5",
        "iotcore 3.1.1",
    ]
)
def any_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[services.MqttBroker]:
    """Users `devices` (may write) and `local` (may read) meet under `local/#`."""
    name, protocol = request.param.split()
    start = services.mosquitto if name == "mosquitto" else services.iotcore
    with start(tmp_path / name) as broker:
        broker.protocol = protocol
        yield broker
