"""aiomqtt's connections with their ends: whoever is cancelled ends, and leaves no open connection behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt


@asynccontextmanager
async def at_broker(client: aiomqtt.Client) -> AsyncIterator[aiomqtt.Client]:
    """`async with client`, also where its task is cancelled. Raises aiomqtt.MqttError, never in place of the cancellation.

    What aiomqtt 2.5 leaves undone: a thread connects, and goes on when its task is cancelled; a broker that takes the connection and
    says no more keeps it open; and a farewell without an answer takes the place of the cancellation.
    """
    try:
        await _connect(client)
        try:
            yield client
        finally:
            await client.__aexit__(None, None, None)
    except aiomqtt.MqttError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling() > 0:
            raise asyncio.CancelledError from error
        raise


async def _connect(client: aiomqtt.Client) -> None:
    connecting = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(connecting)
    except BaseException:
        await asyncio.gather(connecting, return_exceptions=True)  # also when it fails, nobody else would hear of it
        client._client.disconnect()
        raise
