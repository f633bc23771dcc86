"""aiomqtt's connections with their ends: whoever is cancelled ends, and leaves no open connection behind."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

import aiomqtt


@asynccontextmanager
async def at_broker(client: aiomqtt.Client) -> AsyncIterator[aiomqtt.Client]:
    """`async with client`, also where its task is cancelled. Raises aiomqtt.MqttError, never in place of the cancellation.

    What aiomqtt 2.5 leaves undone: a thread connects, and goes on when its task is cancelled; a broker that takes the connection and
    says no more keeps it open; a farewell without an answer takes the place of the cancellation; and it waits by `asyncio.wait_for`, which
    in Python 3.11 forgets a cancellation that comes together with the answer. So whoever publishes inside gives no `timeout` of the
    client's own, but waits within `asyncio.timeout`.
    """
    try:
        await _connect(client)
        try:
            yield client
        finally:
            await _whole(client.__aexit__(None, None, None))
    except aiomqtt.MqttError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling() > 0:
            raise asyncio.CancelledError from error
        raise


async def _connect(client: aiomqtt.Client) -> None:
    try:
        await _whole(client.__aenter__())
    except BaseException:
        client._client.disconnect()
        raise


async def _whole(doing: Coroutine[None, None, object]) -> None:
    """To its end, also when it fails or we are cancelled: nobody else would hear of it."""
    task = asyncio.ensure_future(doing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
