"""Keeps one server up: starts it when it is wanted, and again when it dies, later and later while that fails."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from lotwise.embedded.process import PortTaken, ServerFailed

log = logging.getLogger("lotwise.supervisor")

FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
WELL_AFTER = 30.0
"""Seconds of life after which the next death counts as the first."""
LOOK_EVERY = 0.1


class Server(Protocol):
    """What is kept up. Started again it listens on the same port."""

    port: int

    @property
    def log(self) -> Path:
        """What it says."""

    @property
    def pid(self) -> int | None:
        """Its process while it runs; None once it has died."""

    def start(self) -> None:
        """Returns when it answers. Raises ServerFailed, OSError."""

    def stop(self) -> None:
        """Ends it in order."""


class Keeper(threading.Thread):
    """One server and the thread that starts it: the kernel ends a server with the thread that started it."""

    def __init__(self, name: str, server: Server) -> None:
        super().__init__(name=name, daemon=True)
        self.server = server
        self.restarts = 0
        self._changed = threading.Condition()
        self._wanted = self._retry_now = self._ending = self._up = self._starting = False
        self._attempts = 0
        self._failure: str | None = None
        self._since: datetime | None = None

    @property
    def up(self) -> bool:
        """Whether the server answers."""
        with self._changed:
            return self._answers()

    def request_start(self) -> None:
        """Begins to start it, if it is not up."""
        with self._changed:
            self._wanted = True
            self._changed.notify_all()

    def ensure(self, waiting: Callable[[str], None]) -> None:
        """Returns when the server answers; `waiting` is told every two seconds what is waited for.

        Raises ServerFailed when an attempt that was made for this fails.
        """
        with self._changed:
            mine = self._attempts + (2 if self._starting else 1)
            self._wanted = self._retry_now = True
            self._changed.notify_all()
            while not self._changed.wait_for(lambda: self._answers() or self._ending or self._attempts >= mine, 2.0):
                waiting(f"{self.name} is starting (port {self.server.port})")
            if not self._up:
                raise ServerFailed(self._failure or f"{self.name} is being stopped")

    def _answers(self) -> bool:
        return self._up and self.server.pid is not None

    def end(self) -> None:
        """Stops the server in order; returns at once (`join` waits)."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def status(self) -> dict[str, Any]:
        """What is known of it, as JSON."""
        with self._changed:
            state = (
                "up" if self._up else "failing" if self._failure else "starting" if self._wanted else "not asked for"
            )
            return {
                "state": state,
                "port": self.server.port,
                "pid": self.server.pid,
                "restarts": self.restarts,
                "since": self._since.isoformat() if self._since else None,
                "failure": self._failure,
            }

    def run(self) -> None:
        """Until `end`."""
        wait = 0.0
        while self._pause(wait):
            began = time.monotonic()
            if self._start():
                self._watch()
                if self._ending:
                    break
                self.restarts += 1
                log.warning("%s has died; starting it again on port %s", self.name, self.server.port)
            lived = time.monotonic() - began
            wait = FIRST_WAIT if lived >= WELL_AFTER or not wait else min(wait * 2, LONGEST_WAIT)
        self.server.stop()

    def _pause(self, seconds: float) -> bool:
        """Waits until it is wanted and the time has come, or somebody asks anew; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or self._ending)
            self._changed.wait_for(lambda: self._retry_now or self._ending, seconds)
            self._retry_now = False
            self._starting = not self._ending
            return not self._ending

    def _start(self) -> bool:
        failure = None
        try:
            self.server.start()
        except PortTaken as error:
            failure = f"{error}; stop that, or give {self.name} another port in ports.json of the data folder"
        except (ServerFailed, OSError) as error:
            failure = str(error)
        with self._changed:
            if failure != self._failure and failure is not None:
                log.error("%s does not start: %s", self.name, failure)
            elif failure is None:
                log.info("%s is up on port %s", self.name, self.server.port)
            self._failure, self._up = failure, failure is None
            self._attempts, self._starting = self._attempts + 1, False
            self._since = datetime.now(UTC)
            self._changed.notify_all()
        return failure is None

    def _watch(self) -> None:
        """Until it dies or the end."""
        with self._changed:
            while not self._changed.wait_for(lambda: self._ending, LOOK_EVERY):
                if self.server.pid is None:
                    break
            self._up = False
            self._since = datetime.now(UTC)
