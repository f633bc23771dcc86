"""aiomqtt says farewell to the broker when a task is cancelled; a farewell without an answer takes the place of the cancellation."""

import asyncio


def insist_on_the_end(error: Exception) -> None:
    """Raises the cancellation that `error` hides, if it hides one."""
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise asyncio.CancelledError from error
