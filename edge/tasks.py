"""Ends tasks for certain: libraries, and `asyncio.wait_for` of Python 3.11, now and then swallow a cancellation."""

import asyncio
from collections.abc import Coroutine, Iterable
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


async def surely(cleanup: Coroutine[Any, Any, None]) -> None:
    """Runs a cleanup to its end, however often it is cancelled meanwhile; cancelled then. Raises what it raises."""
    task = asyncio.create_task(cleanup)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as again:
            cancelled = again
    task.result()
    if cancelled is not None:
        raise cancelled


async def run_together(parts: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Runs at least one part that never ends by itself. The first that fails ends the others and is raised."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end(tasks)
