"""Several processes behind one listening socket, each with the whole core, under uvicorn's own supervisor.

It starts a worker that has died, or that does not answer for a while, anew; SIGHUP starts them anew one after the
other. One that cannot start ends all: it says why. Which of them runs the background loops they settle among
themselves (`core.background.Leader`).
"""

import logging
import os
import socket
from functools import partial

from starlette.types import Receive, Scope, Send
from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.supervisors import Multiprocess

from lotwise.served import Served, config_of, configured
from lotwise.worker_app import worker_app

log = logging.getLogger("lotwise.serve")

SILENT = 60
"""Seconds without an answer after which a worker is taken for hung and killed; it answers as soon as Python runs."""
LOOK = 0.05
"""Seconds within which a worker is asked whether it is ready, until all have been."""


def serve_in_workers(served: Served, listener: socket.socket, url: str) -> None:
    """Serves until SIGTERM or SIGINT. Raises SystemExit where a worker cannot start, or for a certificate that does
    not fit.
    """
    configured(_nothing, served.settings)  # told once, before there are workers
    app = partial(worker_app, served, os.getpid())
    config = config_of(app, served.settings, workers=served.workers.count)
    config.timeout_worker_healthcheck = SILENT
    supervisor = _Supervisor(config, [listener], url)
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise SystemExit("a worker cannot start; its reason stands above")


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that is never asked."""


class _Supervisor(Multiprocess):
    """Says where all listen once they do. How many there are stays as it began: they share what may be done at once."""

    def __init__(self, config: Config, sockets: list[socket.socket], url: str) -> None:
        super().__init__(config, sockets)
        self._url: str | None = url

    def keep_subprocess_alive(self) -> None:
        """As uvicorn does, and tells of it; looks whether all are ready as long as that was not told.

        Until then nobody is asked with patience: of one that ends before it answers uvicorn would hear after SILENT.
        """
        if any(process.exitcode == STARTUP_FAILURE for process in self.processes):
            self.should_exit.set()
            return
        if self._url is not None and all(process.exitcode is None for process in self.processes):
            self._tell_once_ready()
            return
        before = {process.pid: process for process in self.processes}
        super().keep_subprocess_alive()
        for pid in before.keys() - {process.pid for process in self.processes}:
            log.warning("worker %s has ended (exit %s): another is started", pid, before[pid].exitcode)
        self._tell_once_ready()

    def _tell_once_ready(self) -> None:
        ready = self._url is not None and all(process.is_ready(LOOK) for process in self.processes)
        if ready and not self.should_exit.is_set():
            several = f"{len(self.processes)} processes; pages on %s, API on %s/api/v1, health on %s/healthz"
            log.info(f"ready: {several}", *[self._url] * 3)  # noqa: G004 - the number only
            self._url = None

    def handle_ttin(self) -> None:
        """No more of them."""

    def handle_ttou(self) -> None:
        """No fewer of them."""
