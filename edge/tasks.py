"""Tasks that end for certain, run to their end, or run together."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from core.telemetry.tasks import end

__all__ = ["end", "run_together", "surely"]


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
