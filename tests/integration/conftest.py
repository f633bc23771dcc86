"""Every broker that we ship for, with either protocol."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import services


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
