"""The local broker as a line: whether it is there. Its silence is not that of every device that publishes on it."""

from typing import NoReturn

from edge.vitals import Vitals
from messages.broker import Broker
from messages.bus import Bus
from messages.language import phrase


async def watched(bus: Bus, broker: Broker, vitals: Vitals) -> NoReturn:
    """Keeps `vitals` true, for ever. The bus says in the log what it loses and finds."""
    session = 0
    while True:
        vitals.is_closed(phrase("the broker {address} is away", address=broker.address))
        session = await bus.up(session)
        vitals.is_open()
        await bus.down(session)
