"""What one of several workers does first. Little is imported before: its supervisor waits for its first answer."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.util import Finalize

from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from lotwise.embedded.process import die_with_parent
from lotwise.served import Served

log = logging.getLogger("lotwise.serve")


def worker_app(served: Served, parent: int) -> ASGIApp:
    """The app, made in a worker. Raises SystemExit, which ends all workers, with the reason told where it cannot be."""
    from lotwise.cli import start_logging
    from lotwise.runtime import error_sentence

    start_logging(served.settings.log_level)
    _end_with(parent)
    try:
        with error_sentence():
            app, engine = served.app()
    except SystemExit as error:
        log.error("%s", error)  # noqa: TRY400 - a sentence, as where one process serves
        sys.exit(STARTUP_FAILURE)
    except Exception:  # whatever it is, it would be so at every further try
        log.exception("the core cannot be put together")
        sys.exit(STARTUP_FAILURE)
    Finalize(None, engine.dispose, exitpriority=10)
    loop = asyncio.get_running_loop()
    _at_its_end(lambda: asyncio.run_coroutine_threadsafe(app.state.live.close(), loop))
    return app


def _at_its_end(end: Callable[[], object]) -> None:
    """When the worker is told to end, `end` is called too: of its own, uvicorn waits for event streams for ever."""
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        assert callable(before)
        signal.signal(number, lambda *told, before=before: (end(), before(*told)))


def _end_with(parent: int) -> None:
    """A supervisor that is killed takes its workers along: nobody would end them."""
    at_its_end = die_with_parent(signal.SIGTERM)
    if at_its_end is not None:
        at_its_end()
    if os.getppid() != parent:
        sys.exit("the supervisor of this worker is gone")
