"""Puts the core together: routes, handlers, the sealer and the outbox's runner."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from sqlalchemy import Engine, text

from core.erp.custody.events import CustodyChanged
from core.erp.kernel import problems
from core.erp.kernel.audit import HEADS, Sealer, witness_line
from core.erp.kernel.auth import now_utc
from core.erp.kernel.events import Event, Events
from core.erp.kernel.outbox import Outbox
from core.erp.lots.events import FactBrokeRule, HoldPlaced, SublotBorn
from core.series.restoring import influx_behind
from core.settings import Settings

log = logging.getLogger(__name__)

MODULES = (
    "kernel",
    "catalog",
    "lots",
    "custody",
    "exposure",
    "quality",
    "production",
    "shipments",
    "scheduling",
    "recall",
)
"""The ERP's rooms, lower ones first: their handlers run in this order."""
OTHERS = ("core.ingest", "core.outbound")
"""Rooms beside the ERP that may bring routes and handlers."""

SEAL_EVERY = 0.5
RUN_EVERY = 0.2


def _rooms(file: str) -> list[str]:
    """The modules of that name which are there, in order."""
    names = [*(f"core.erp.{room}" for room in MODULES), *OTHERS]
    return [f"{name}.{file}" for name in names if find_spec(f"{name}.{file}") is not None]


def _declared(room: str) -> list[type[Event]]:
    return [
        value for value in vars(import_module(room)).values()
        if isinstance(value, type) and issubclass(value, Event) and value is not Event
    ]  # fmt: skip


def build_events() -> Events:
    """Everybody's handlers. Raises MissingHandlers when an event lacks one it requires: the core must not start."""
    events = Events()
    for room in _rooms("handlers"):
        register = getattr(import_module(room), "register", None)
        if register is not None:
            register(events)
    kinds = {CustodyChanged, FactBrokeRule, HoldPlaced, SublotBorn}
    for room in _rooms("events"):
        kinds.update(_declared(room))
    kinds.discard(Event)
    events.check(*sorted(kinds, key=lambda kind: kind.__name__))
    return events


def build_outbox() -> Outbox:
    """Everybody's outbox handlers (`register_outbox(outbox)` in a room's handlers)."""
    outbox = Outbox()
    for room in _rooms("handlers"):
        register = getattr(import_module(room), "register_outbox", None)
        if register is not None:
            register(outbox)
    return outbox


class InstanceOut(BaseModel):
    """What kind of instance this is. Simulators and fault tools refuse any that does not say `test`."""

    instance: str
    simulated_allowed: bool


def _own_routes(settings: Settings, engine: Engine) -> APIRouter:
    router = APIRouter(tags=["instance"])

    @router.get("/api/v1/instance")
    def instance() -> InstanceOut:
        """Whether this is a test or a live instance. Needs no token: it is asked before anything else."""
        return InstanceOut(instance=settings.instance, simulated_allowed=settings.instance == "test")

    @router.get("/healthz")
    def health() -> dict[str, str]:
        """Whether the core reaches its database."""
        with engine.connect() as conn:
            conn.execute(text("SELECT 1"))
        return {"status": "ok"}

    return router


class _Loop(threading.Thread):
    """Does something again and again until told to stop; a failure is logged and tried again."""

    def __init__(self, name: str, work: Callable[[], object], every: float) -> None:
        super().__init__(name=name, daemon=True)
        self._work, self._every, self._stop_now = work, every, threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        failing = False
        while not self._stop_now.is_set():
            try:
                self._work()
                failing = False
            except Exception:  # the loop outlives a database that is away; said once, not at every turn
                if not failing:
                    log.exception("%s fails; trying again", self.name)
                failing = True
            self._stop_now.wait(self._every)

    def stop(self) -> None:
        """Asks it to stop and waits."""
        self._stop_now.set()
        self.join(timeout=10)


def _witness(data_dir: Path) -> Callable[[int, bytes], None]:
    """Keeps the heads of seals in a file outside the database."""

    def write(number: int, head: bytes) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        with (data_dir / HEADS).open("a", encoding="utf-8") as file:
            file.write(witness_line(number, head) + "\n")

    return write


def background(settings: Settings, engine: Engine, events: Events, outbox: Outbox) -> list[_Loop]:
    """The sealer and the outbox's runner, not yet started."""
    sealer = Sealer(engine, _witness(settings.data_dir))
    return [
        _Loop("sealer", lambda: sealer.seal(now_utc()), SEAL_EVERY),
        _Loop("outbox", lambda: outbox.run(engine, events, names=outbox.inside_names), RUN_EVERY),
        # Another server that is slow or away holds up nothing of ours.
        _Loop("outbox outward", lambda: outbox.run(engine, events, names=outbox.outward_names), RUN_EVERY),
    ]


def create_app(
    settings: Settings, engine: Engine, *, events: Events | None = None, outbox: Outbox | None = None,
    run_background: bool = True,
) -> FastAPI:  # fmt: skip
    """The core as one ASGI app. Raises MissingHandlers, or ValueError where settings forbid a start."""
    key = settings.signing_key()
    events = events if events is not None else build_events()
    outbox = outbox if outbox is not None else build_outbox()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        loops = background(settings, engine, events, outbox) if run_background else []
        await asyncio.to_thread(outbox.subscribe, engine)
        with influx_behind(engine, *settings.store_behind()):
            for loop in loops:
                loop.start()
            yield
            for loop in loops:
                await asyncio.to_thread(loop.stop)

    app = FastAPI(
        title="Lotwise", version="1", lifespan=lifespan, openapi_url="/api/v1/openapi.json", docs_url="/api/v1/docs",
        redoc_url=None, description="Every reading knows its lot, and no lot moves while a reading is against it.",
    )  # fmt: skip
    app.state.settings, app.state.engine, app.state.events = settings, engine, events
    app.state.outbox, app.state.signing_key = outbox, key
    problems.install(app)
    app.include_router(_own_routes(settings, engine))
    for room in _rooms("api"):
        app.include_router(import_module(room).router, prefix="/api/v1")
    return app
