"""`lotwise serve`: the API and the pages over HTTP."""

import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator

import uvicorn
from rich.console import Console

from core.metrics import core_metrics
from core.settings import Settings
from core.workers import Workers
from lotwise.runtime import error_sentence, servers, with_secret
from lotwise.served import Served, configured
from lotwise.serving_workers import serve_in_workers
from lotwise.simulations.keeping import simulators_kept

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
            workers = Workers(settings.workers)
            served = Served(settings, found.database_url, found.audit_keys, found.probe, workers)
            figures = core_metrics(settings.metrics_host, settings.metrics_port, found.database_url, workers.count)
            with _ending_in_order(), simulators_kept(settings, found.database_url), figures:
                if workers.count > 1:
                    serve_in_workers(served, listener, url)
                else:
                    _serve_alone(served, listener, url)
    log.info("stopped")


def _serve_alone(served: Served, listener: socket.socket, url: str) -> None:
    app, engine = served.app()
    try:
        _Server(configured(app, served.settings), url, app.state.live.close).run(sockets=[listener])
    finally:
        engine.dispose()


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
