"""Ending a device's task without losing what went wrong in it."""

import asyncio

from core.telemetry import tasks


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancels the task and waits for it. What it failed with is raised here. None is no task."""
    if task is None:
        return
    await tasks.end([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
