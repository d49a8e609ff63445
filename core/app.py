"""Puts the core together: routes, the background work, and whether it is well."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Response
from pydantic import BaseModel
from sqlalchemy import Engine

from core.background import background, compare_with_witness
from core.erp.kernel import modules, permits, problems, record_routes
from core.erp.kernel.concurrency import Turns
from core.erp.kernel.connections import close_for_good, read_only
from core.erp.kernel.door import asked_by, export_limiter, post_limiter, print_limiter, upload_limiter
from core.erp.kernel.events import Events
from core.erp.kernel.http import LOCK_TIMEOUT
from core.erp.kernel.instance import Instance, serve
from core.erp.kernel.middleware import RequestGuard
from core.erp.kernel.outbox import Outbox
from core.erp.kernel.password_checks import PasswordChecks
from core.erp.kernel.proxies import TrustedProxies
from core.erp.kernel.routing import RouteIndex
from core.erp.kernel.sessions.service import Limits
from core.foreseen import FillingDisk, certificate_probe
from core.health import FAILING, CapacityProbe, DatabaseProbe, Health, Probe, disk_probe, verdict
from core.heartbeats import SignsOfLife
from core.metrics import Counted
from core.series.restoring import influx_attached
from core.settings import Settings
from core.wiring import build_events, build_outbox, check_declarations
from core.workers import Workers

THREADS, LEAST_THREADS = 40, 8
"""Requests that are worked on at once, in all processes together, and at least in each of them."""
TURNS, LEAST_TURNS, PATIENCE = 8, 4, 0.25
"""Of them, those who read have so many turns, and a turn is at most so many seconds."""

READERS, LEAST_READERS = 20, 5
"""Connections of those who only read, of all processes together, and at least of each; twice as many when much is
asked at once.
"""


class InstanceOut(BaseModel):
    """What kind of instance this is. Simulators and fault tools refuse any that does not say `test`."""

    instance: str
    simulated_allowed: bool


class HealthOut(BaseModel):
    """`ok`, `warning` (it works; somebody must mend what is told) or `failing`; each check: `ok`, or what is wrong."""

    status: str
    checks: dict[str, str]
    heartbeats: dict[str, datetime]
    """When each part that there is gave its last sign of life."""


def _own_routes(settings: Settings, health: Health, signs: SignsOfLife) -> APIRouter:
    router = APIRouter(tags=["instance"])

    @router.get("/api/v1/instance")
    def instance() -> InstanceOut:
        """Whether this is a test or a live instance. Needs no token: it is asked before anything else."""
        return InstanceOut(instance=settings.instance, simulated_allowed=settings.instance == "test")

    @router.get("/healthz", responses={503: {"model": HealthOut, "description": "Something is wrong: which"}})
    async def health_now(response: Response) -> HealthOut:
        """Whether the core is well, and if not, what is wrong. Answers in a few seconds, whatever is."""
        checks = await health.check()
        status = verdict(checks)
        if status == FAILING:
            response.status_code, response.headers["Retry-After"] = 503, "5"
        return HealthOut(status=status, checks=checks, heartbeats=signs.times)

    return router


def create_app(
    settings: Settings,
    engine: Engine,
    *,
    events: Events | None = None,
    outbox: Outbox | None = None,
    run_background: bool = True,
    probes: Mapping[str, Probe] | None = None,
    workers: Workers | None = None,
) -> FastAPI:
    """The core as one ASGI app. `probes` are what /healthz looks at besides the core's own; `workers` are the processes
    that serve the same address.

    Raises MissingHandlers, UnknownPermit, NothingAsked, or ValueError where settings forbid a start.
    """
    check_declarations()
    key = settings.signing_key()
    events = events if events is not None else build_events()
    outbox = outbox if outbox is not None else build_outbox()
    workers = workers or Workers()
    checks = PasswordChecks(engine, processes=workers.count)
    serve(engine, Instance(settings.instance == "live", settings.data_dir))
    readers = read_only(engine, workers.share(READERS, LEAST_READERS), LOCK_TIMEOUT)

    working = background(settings, engine, events, outbox, workers.failing) if run_background else None
    database = DatabaseProbe(engine)
    signs = SignsOfLife(database.connect)
    looked_at: dict[str, Probe] = {
        "database": database,
        "room": CapacityProbe(engine, workers.refused),
        "disk": disk_probe(settings.data_dir),
        "archive": database.archive,
        "filling": FillingDisk(settings.data_dir),
        "certificate": certificate_probe(settings.certificate),
        "ingest": signs.probe(lambda now: now.ingest_trouble),
        "gateways": signs.probe(lambda now: now.gateway_trouble),
        "clock": signs.probe(lambda now: now.clock_trouble),
        **({"background": working.failing_loops} if working is not None else {}),
        **({"heartbeat": signs.probe(lambda now: now.background_trouble)} if working is not None else {}),
        **(probes or {}),
    }
    health = Health(looked_at)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        to_thread.current_default_thread_limiter().total_tokens = workers.share(THREADS, LEAST_THREADS)
        await asyncio.to_thread(outbox.subscribe, engine)
        with influx_attached(engine, *settings.store_behind()):
            if working is not None:
                await asyncio.to_thread(compare_with_witness, settings, engine)
                working.start()
            yield
            if working is not None:
                await asyncio.to_thread(working.stop)
        health.close()
        database.close()
        checks.close()
        close_for_good(readers)

    app = FastAPI(
        title="Lotwise",
        version="1",
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        # the framework's page of documentation loads its scripts from elsewhere: no page of ours does
        docs_url=None,
        redoc_url=None,
        description="Every reading knows its lot, and no lot moves while a reading is against it.",
    )
    app.state.settings, app.state.engine, app.state.readers, app.state.events = settings, engine, readers, events
    app.state.outbox, app.state.signing_key, app.state.checks = outbox, key, checks
    app.state.session_limits = Limits.of(settings.session_idle_minutes, settings.session_hours)
    app.state.post_limiter, app.state.upload_limiter, app.state.export_limiter, app.state.print_limiter = (
        limiter().divided(workers.count) for limiter in (post_limiter, upload_limiter, export_limiter, print_limiter)
    )
    app.state.turns = Turns(workers.share(TURNS, LEAST_TURNS), PATIENCE)
    app.add_middleware(RequestGuard)
    app.add_middleware(TrustedProxies, trusted=settings.proxies)
    if settings.metrics_port is not None:
        app.add_middleware(Counted)
    problems.install(app)
    app.router.routes.extend(_own_routes(settings, health, signs).routes)
    for module in modules.found("api"):
        app.router.routes.extend(module.router.routes)
    app.router.routes.extend(record_routes.router().routes)
    permits.check(asked_by(app.router.routes))
    app.router.middleware_stack = RouteIndex(app.router, app.router.middleware_stack)
    return app
