"""Ends tasks for certain: libraries, and `asyncio.wait_for` of Python 3.11, now and then swallow a cancellation."""

import asyncio
from collections.abc import Iterable
from typing import Any


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels the tasks, again if need be, until all have ended. What they raise stays with them.

    Whoever is cancelled while waiting here waits on, or its tasks would outlive it, and is cancelled then.
    """
    left = {task for task in tasks if not task.done()}
    cancelled: asyncio.CancelledError | None = None
    while left:
        for task in left:
            task.cancel()
        try:
            await asyncio.wait(left, timeout=0.5)
        except asyncio.CancelledError as again:
            cancelled = again
        left = {task for task in left if not task.done()}
    if cancelled is not None:
        raise cancelled
