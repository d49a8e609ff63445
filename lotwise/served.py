"""What is served, and how: the core with its pages on connections of its own, as one process or one of several."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.types import ASGIApp

from core.erp.kernel.audit_keys import AuditKeys, open_engine
from core.erp.kernel.connections import keep_prepared, look_after_rest
from core.erp.kernel.gc_pause import gc_paused
from core.health import Probe
from core.settings import Settings
from core.web.desks.simulators.port import Simulators
from core.workers import Workers

CONNECTIONS, LEAST_CONNECTIONS = 20, 5
"""To the database, of all processes together, and at least of each; twice as many when much is asked at once."""
KEEP_ALIVE = 75
"""Seconds that an idle connection stays: longer than proxies keep theirs, so that no request meets a closing one."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a process needs to serve: every worker is handed it as it is."""

    settings: Settings
    database_url: str
    audit_keys: AuditKeys | None
    servers: Probe
    """Says what is wrong with the embedded servers."""
    workers: Workers

    def app(self) -> tuple[FastAPI, Engine]:
        """The core with its pages, and the connections to be let go after it. Raises what `create_app` does."""
        with gc_paused():  # what is made stays: walking it again and again was a fifth of the start (measured)
            return self._app()

    def _app(self) -> tuple[FastAPI, Engine]:
        from core.app import create_app
        from core.ingest.file_import import FileImporter
        from core.web.frame.installing import install
        from lotwise.sources.asking import SourcesBeside

        size = self.workers.share(CONNECTIONS, LEAST_CONNECTIONS)
        engine = open_engine(self.database_url, self.audit_keys, pool_size=size, max_overflow=size)
        look_after_rest(engine)
        keep_prepared(engine)
        app = create_app(self.settings, engine, probes={"servers": self.servers}, workers=self.workers)
        take = FileImporter(live=self.settings.instance == "live")
        install(app, take, self._simulators(), SourcesBeside(self.settings))
        return app, engine

    def _simulators(self) -> Simulators | None:
        """What runs simulated devices for the pages: on a test instance only."""
        if self.settings.instance != "test":
            return None
        from lotwise.simulations.client import SimulatorsBeside

        return SimulatorsBeside(self.settings.data_dir)


def config_of(app: ASGIApp | Callable[[], ASGIApp], settings: Settings, *, workers: int = 1) -> uvicorn.Config:
    """How uvicorn serves the app, or in several workers what the function makes there: with TLS where a certificate is
    set. Of what uvicorn says only what is wrong; where we listen is told in our own words.

    Which proxies are believed is the app's to say (LOTWISE_TRUSTED_PROXIES): uvicorn would believe any on this machine.
    """
    return uvicorn.Config(
        app,
        factory=workers > 1,
        workers=workers,
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        timeout_keep_alive=KEEP_ALIVE,
    )


def configured(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """As `config_of`, ready to serve. Raises SystemExit for a certificate that does not fit."""
    config = config_of(app, settings)
    try:
        config.load()
    except ssl.SSLError as error:
        raise SystemExit(
            f"cannot serve with the certificate {settings.certificate} and the key {settings.key}: {error.reason}"
        ) from error
    return config
