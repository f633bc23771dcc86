"""A bridge as Zigbee2MQTT is one to its broker, until it is killed: `python zigbee_bridge.py PORT BASE`.

It says on its state topic that it is online, leaves a will that says the opposite, and publishes what it reads: a topic and a payload a line.
"""

import asyncio
import sys

from messages.broker import Broker
from messages.bus import Bus
from messages.mqtt.link import Outgoing
from tests.services import PASSWORD


async def main(port: int, base: str) -> None:
    broker = Broker.model_validate({"port": port, "username": "devices", "password": PASSWORD})
    will = Outgoing(f"{base}/bridge/state", b'{"state":"offline"}', retain=True)
    async with Bus(broker, f"bridge-{base}", will=will) as bus:
        await bus.up()
        await bus.publish(will.topic, b'{"state":"online"}', retain=True)
        print("online", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            topic, _, payload = line.strip().partition(" ")
            await bus.publish(f"{base}/{topic}", payload.encode())


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
