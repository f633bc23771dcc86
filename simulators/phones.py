"""The phones of a block's people: what they are told is printed. By aiomqtt, as all that stands in for the plant."""

import asyncio
import math
from collections.abc import Callable

import aiomqtt
import orjson

from simulators.at_broker import at_broker
from simulators.block import LocalBroker

TOPIC = "gridcall/1/+/notices/+"
ANSWERS_WITHIN_S = 5.0
FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.2, 5.0


async def ring(broker: LocalBroker, say: Callable[[str], None]) -> None:
    """For ever; a broker that is away is waited for. A notice that comes twice is one: its key says so."""
    backoff_s, known = FIRST_BACKOFF_S, dict[str, None]()
    while True:
        try:
            async with at_broker(_client(broker)) as client:
                async with asyncio.timeout(ANSWERS_WITHIN_S):
                    await client.subscribe(TOPIC, qos=1, timeout=math.inf)
                backoff_s = FIRST_BACKOFF_S
                async for message in client.messages:
                    if isinstance(message.payload, bytes):
                        _ring(str(message.topic), message.payload, known, say)
        except (aiomqtt.MqttError, TimeoutError):
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, MOST_BACKOFF_S)


def _client(broker: LocalBroker) -> aiomqtt.Client:
    return aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.username,
        password=broker.password,
        identifier="phones",
        protocol=aiomqtt.ProtocolVersion.V5,
    )


def _ring(topic: str, payload: bytes, known: dict[str, None], say: Callable[[str], None]) -> None:
    try:
        told = orjson.loads(payload)
        key, text, link = told["key"], told["text"], told["link"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        say(f"☎ {topic}: not a notice")
        return
    if key in known:
        return
    known[key] = None
    if len(known) > 10_000:
        del known[next(iter(known))]
    words = " / ".join(str(text).splitlines())
    say(f"☎ {topic.rpartition('/')[2]}: {words}{f'  {link}' if link else ''}")
