"""A collector and a broker that is too small for it: real Mosquittos with other limits."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector.watch.queue_probe import MESSAGES, kept_for_the_absent
from messages.bus import Bus
from tests import services
from tests.collector.running import CollectorProcess, configured, until

pytestmark = pytest.mark.needs("mosquitto")


@contextmanager
def limited(folder: Path, **limits: str) -> Iterator[services.MqttBroker]:
    """The shipped configuration with some lines changed."""
    with services.mosquitto(folder) as broker:
        broker.stop()
        config = folder / "mosquitto.conf"
        text = config.read_text()
        for name, value in limits.items():
            text = re.sub(rf"^{name} .*\n", "", text, flags=re.MULTILINE) + f"{name} {value}\n"
        config.write_text(text)
        broker.start()
        yield broker


async def test_a_broker_tells_its_limits_when_it_lets_us_in(tmp_path: Path) -> None:
    with limited(tmp_path, max_packet_size="100000", retain_available="false", max_qos="0") as broker:
        async with Bus(broker.settings("collector"), "c", subscribe=["gridcall/1/probes/c"]) as bus:
            await bus.up()
            welcome = bus.welcome
    assert welcome is not None
    assert (welcome.packet_bytes, welcome.retains, welcome.highest_qos) == (100000, False, 0)


async def test_a_queue_is_tried_out_once_and_its_length_is_found(
    tmp_path: Path, mosquitto: services.MqttBroker
) -> None:
    roomy = mosquitto.settings("collector")
    assert await kept_for_the_absent(roomy, "c", tmp_path) == MESSAGES
    mosquitto.stop()
    assert await kept_for_the_absent(roomy, "c", tmp_path) == MESSAGES, "it is remembered"


async def test_a_collector_says_what_of_its_broker_is_too_small_and_works_all_the_same(tmp_path: Path) -> None:
    with limited(tmp_path / "broker", max_queued_messages="100", max_packet_size="100000") as broker:
        configured(tmp_path, broker)
        collector = CollectorProcess(tmp_path)
        collector.start()
        try:
            await until(lambda: collector.log.count("the broker is too small") == 2)
            assert "packets of 100000 bytes at most" in collector.log
            kept = re.search(r"keeps (\d+) messages", collector.log)
            assert kept
            assert 100 <= int(kept[1]) < MESSAGES
        finally:
            collector.stop()
