"""`lotwise serve`: the API and the pages over HTTP."""

import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator

import uvicorn
from rich.console import Console
from starlette.types import ASGIApp

from core.app import create_app
from core.ingest.file_import import FileImporter
from core.settings import Settings
from core.web.pages import install_pages
from lotwise.runtime import error_sentence, servers, with_secret

log = logging.getLogger("lotwise.serve")


def serve(settings: Settings, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT. Raises SystemExit with the reason where it cannot: 2 where settings forbid it."""
    with error_sentence():
        settings = with_secret(settings)
    try:
        settings.signing_key()
    except ValueError as error:
        Console().print(f"cannot start: {error}", markup=False)
        raise SystemExit(2) from error
    with listening(host, port) as listener, error_sentence():
        url = shown(host, listener.getsockname()[1], tls=settings.certificate is not None)
        with servers(settings, stream=False, user="serve", listens=url) as found:
            found.prepare()
            engine = found.engine(20)
            app = create_app(settings, engine, probes={"servers": found.trouble})
            install_pages(app, FileImporter(live=settings.instance == "live"))
            # of what uvicorn says only what is wrong; where we listen is told in our own words
            with _ending_in_order():
                _Server(configured(app, settings), url, app.state.live.close).run(sockets=[listener])
            engine.dispose()
    log.info("stopped")


KEEP_ALIVE = 75
"""Seconds that an idle connection stays: longer than proxies keep theirs, so that no request meets a closing one."""


def configured(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the app: with TLS where a certificate is set. Raises SystemExit for one that does not fit.

    Which proxies are believed is the app's to say (LOTWISE_TRUSTED_PROXIES): uvicorn would believe any on this machine.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        timeout_keep_alive=KEEP_ALIVE,
    )
    try:
        config.load()
    except ssl.SSLError as error:
        raise SystemExit(
            f"cannot serve with the certificate {settings.certificate} and the key {settings.key}: {error.reason}"
        ) from error
    return config


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """The signal that uvicorn ended by is raised again after it: here it must not end us before we are done."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    """Says where it listens once it does, and ends the event streams when it is to stop: they would go on for ever."""

    def __init__(self, config: uvicorn.Config, url: str, end_streams: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._url, self._end_streams = url, end_streams

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen."""
        await super().startup(sockets)
        if self.started:
            log.info("ready: pages on %s, API on %s/api/v1, health on %s/healthz", *[self._url] * 3)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops listening; requests in hand are finished."""
        await self._end_streams()
        await super().shutdown(sockets)


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


def shown(host: str, port: int, *, tls: bool = False) -> str:
    """The address to open in a browser on this machine."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - it is compared with, not bound to
    return f"{'https' if tls else 'http'}://{reached}:{port}"
