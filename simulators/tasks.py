"""Ending a device's task without losing what went wrong in it."""

import asyncio


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancels the task and waits for it. What it failed with before is raised here; None is no task."""
    if task is None:
        return
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
