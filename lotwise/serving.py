"""`lotwise serve`: the API and the pages over HTTP."""

import logging
import socket
from functools import partial

import uvicorn
from rich.console import Console

from core.app import create_app
from core.erp.migrations import upgrade
from core.ingest.taking import take_file
from core.settings import Settings
from core.web.pages import install_pages
from lotwise.runtime import in_words, servers, with_secret

log = logging.getLogger("lotwise.serve")


def serve(settings: Settings, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT. Raises SystemExit with the reason where it cannot: 2 where settings forbid it."""
    settings = with_secret(settings)
    try:
        settings.signing_key()
    except ValueError as error:
        Console().print(f"cannot start: {error}", markup=False)
        raise SystemExit(2) from error
    with listening(host, port) as listener, in_words():
        url = shown(host, listener.getsockname()[1])
        with servers(settings, stream=False, user="serve", listens=url) as found:
            engine = found.engine(20)
            upgrade(engine)
            app = create_app(settings, engine, probes={"servers": found.trouble})
            install_pages(app, partial(take_file, live=settings.instance == "live"))
            # of what uvicorn says only what is wrong; where we listen is told in our own words
            config = uvicorn.Config(app, log_config=None, log_level="warning", access_log=False)
            _Server(config, url).run(sockets=[listener])
            engine.dispose()
    log.info("stopped")


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen."""
        await super().startup(sockets)
        if self.started:
            log.info("ready: pages on %s, API on %s/api/v1, health on %s/healthz", *[self._url] * 3)


def listening(host: str, port: int) -> socket.socket:
    """The socket to serve on, taken before anything is started. Raises SystemExit naming the port if it is taken."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise SystemExit(
            f"cannot listen on {host}, port {port}: {error.strerror} (LOTWISE_HOST, LOTWISE_PORT)"
        ) from error
    return listener


def shown(host: str, port: int) -> str:
    """The address to open in a browser on this machine."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{reached}:{port}"
