"""How much the broker keeps for a program that is away: tried out, since no broker tells.

Mosquitto's default is a thousand messages; what comes after them it drops without a word, and its publisher has an
acknowledgement all the same. So a session of our own goes away, more than that is published to it, and it comes back and counts.
Once for each broker: the result lies in the collector's folder.
"""

import asyncio
import json
from pathlib import Path

import structlog

from messages import topics
from messages.broker import Broker
from messages.bus import Bus, Disconnected, Refused

MESSAGES = 1100
SILENT_S, LIMIT_S = 2.0, 30.0
FILE = "broker-probe.json"

log = structlog.get_logger("collector")


async def kept_for_the_absent(broker: Broker, name: str, folder: Path) -> int | None:
    """Of MESSAGES; None if it can't be found out, because our user may not use the topic or the broker is away."""
    if (known := _remembered(broker, folder)) is not None:
        return known
    try:
        async with asyncio.timeout(LIMIT_S):
            kept = await _tried(broker, name)
    except (TimeoutError, Refused, Disconnected) as error:
        why = str(error) or f"nothing came of it in {LIMIT_S:.0f} s; may the collector use {topics.probe(name)}?"
        log.info("how much the broker keeps for the absent can't be found out", why=why)
        return None
    _remember(broker, folder, kept)
    return kept


def too_little(kept: int) -> str | None:
    if kept >= MESSAGES:
        return None
    return (
        f"it keeps {kept} messages for a program that is away and drops the rest without a word:"
        " see max_queued_messages in deploy/mosquitto/gridcall.conf"
    )


async def _tried(broker: Broker, name: str) -> int:
    topic, client = topics.probe(name), f"{name}-probe"
    async with Bus(broker, client, subscribe=[topic]) as absent:
        await absent.up()
    async with Bus(broker, f"{client}-sender") as sender:
        await sender.up()
        await asyncio.gather(*(sender.publish(topic, str(number).encode()) for number in range(MESSAGES)))
    seen: set[bytes] = set()
    async with Bus(broker, client, subscribe=[topic]) as returned:
        while len(seen) < MESSAGES:
            try:
                async with asyncio.timeout(SILENT_S):
                    messages = await returned.some(MESSAGES)
            except TimeoutError:
                break
            seen.update(message.payload for message in messages)
            for message in messages:
                message.ack()
    return len(seen)


def _remembered(broker: Broker, folder: Path) -> int | None:
    try:
        written = json.loads((folder / FILE).read_text())
        return int(written["kept"]) if written["broker"] == broker.address and written["kept"] >= MESSAGES else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _remember(broker: Broker, folder: Path, kept: int) -> None:
    """If the disk doesn't take it, it is tried out again."""
    try:
        (folder / FILE).write_text(json.dumps({"broker": broker.address, "kept": kept}))
    except OSError as error:
        log.warning("the broker's probe can't be kept", why=str(error))
