"""The core's app on a port of its own, in a thread of the test's process."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from fastapi import FastAPI

from tests.servers import free_port


class _Server(uvicorn.Server):
    """As `lotwise serve` does, it ends event streams first: they would go on for ever."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops listening."""
        app = self.config.app
        if isinstance(app, FastAPI) and hasattr(app.state, "live"):
            await app.state.live.close()
        await super().shutdown(sockets)


@contextmanager
def serving(app: FastAPI, port: int | None = None) -> Iterator[httpx.Client]:
    """A client of the app, which runs with its lifespan until the block ends."""
    port = port or free_port()
    server = _Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the app did not start"
        time.sleep(0.01)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
