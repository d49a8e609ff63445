"""Ending a device's task without losing what went wrong in it."""

import asyncio


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancels the task, again if a library swallows it, and waits for it. What it failed with is raised here.

    None is no task.
    """
    if task is None:
        return
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.5)
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
