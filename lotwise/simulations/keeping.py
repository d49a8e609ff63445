"""Keeps the process that runs scenarios up for as long as a server of a test instance serves, and no longer."""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Iterator

from core.settings import Settings
from lotwise.children import CannotStart, Child

log = logging.getLogger("lotwise.simulators")


@contextlib.contextmanager
def simulators_kept(settings: Settings, database_url: str) -> Iterator[None]:
    """Until the block ends; nothing on a live instance."""
    if settings.instance != "test":
        yield
        return
    others = {name: value for name, value in os.environ.items() if not name.startswith("LOTWISE_")}
    environment = {**others, "LOTWISE_INSTANCE": settings.instance, "LOTWISE_DATABASE_URL": database_url}
    folder = str(settings.data_dir.absolute())
    child = Child("simulators", [folder], environment, module="lotwise.simulations.host")
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    # the kernel ends the child with the thread that started it: the thread lives as long as the block
    thread = threading.Thread(target=loop.run_until_complete, args=[_keep(child, stop)], name="simulators")
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _keep(child: Child, stop: asyncio.Event) -> None:
    running, stopping = asyncio.create_task(child.run()), asyncio.create_task(stop.wait())
    await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
    await child.stop()
    for task in (running, stopping):
        task.cancel()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        except CannotStart as error:
            log.error("no scenario can be run from the pages: %s", error)  # noqa: TRY400 - it has said why itself
