import asyncio

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from messages.bus import Bus
from tests.services import PASSWORD, MqttBroker

TOPIC = "gridcall/1/junmen/pi-1/readings"


@pytest.mark.needs("mosquitto")
async def test_a_property_that_the_engine_refuses_does_not_stand_in_the_way_of_what_follows(
    mosquitto: MqttBroker,
) -> None:
    async with Bus(mosquitto.settings("rules"), "reader", subscribe=[TOPIC]) as bus:
        session = await bus.up()
        await asyncio.to_thread(publish_poison_then_gas, mosquitto.port)
        arrived: list[bytes] = []
        async with asyncio.timeout(5):
            while len(arrived) < 2:
                arrived += [message.payload for message in await bus.some(2)]
        assert arrived == [b"poison", b"gas"]
        assert await bus.up() == session, "the link held"


def publish_poison_then_gas(port: int) -> None:
    """Mosquitto passes U+FEFF in a user property on, and paho refuses to read it."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = [("a", "x\ufeff")]
    client = paho.Client(CallbackAPIVersion.VERSION2, "poisoner", protocol=paho.MQTTv5)
    client.username_pw_set("junmen/pi-1", PASSWORD)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish(TOPIC, b"poison", qos=1, properties=properties).wait_for_publish(5)
    client.publish(TOPIC, b"gas", qos=1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()
