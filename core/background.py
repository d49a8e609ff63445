"""What the core does by itself, in the one server process that leads: it seals, tells, and sweeps."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from core.conditions import Conditions
from core.erp.alerting import running as alerting
from core.erp.exposure.sensors.looking import look_at_sensors
from core.erp.kernel.attachments.files import FILES, FileStore
from core.erp.kernel.attachments.sweeping import sweep
from core.erp.kernel.audit import BehindWitness, Sealer
from core.erp.kernel.auth import now_utc
from core.erp.kernel.deadlines.running import run as run_deadlines
from core.erp.kernel.deadlines.terms import terms
from core.erp.kernel.events import Events
from core.erp.kernel.live.telling import tell
from core.erp.kernel.outbox import Outbox
from core.erp.kernel.restorations import look_at_gateways, look_at_mark, newest_seal_number
from core.erp.kernel.sessions import service as sessions
from core.erp.kernel.tasks.reminding import remind
from core.erp.kernel.witness import WITNESS_FILE, Witness
from core.heartbeats import CORE, LOOP_PATIENCE, beat
from core.lanes import Lane, lanes_of
from core.log_archive import watch as watch_archive
from core.settings import Settings
from core.workers import Notice

log = logging.getLogger(__name__)

SEAL_EVERY = 0.5
RUN_EVERY = 0.2
REMIND_EVERY = 5.0
DEADLINES_EVERY = 5.0
SWEEP_EVERY = 3600.0
END_SESSIONS_EVERY = 60.0
ARCHIVE_EVERY = 60.0
SENSORS_EVERY = 900.0
BEAT_EVERY = 5.0
ROUTES_EVERY = 60.0
CONDITIONS_EVERY = 30.0
GATEWAYS_EVERY = 5.0
LEAD_EVERY = 1.0
"""How often the leader looks whether it still is, and the others whether they may be."""
_KEEPALIVE = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
"""A leader whose machine is gone loses its session, and so the lock, in about ten seconds instead of two hours."""


class Leader(threading.Thread):
    """Tells one process of all that share a database that it leads: it holds a session's advisory lock.

    What a leader does must bear a moment of two leaders: the one that lost its session notices it a little later.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(name="leader", daemon=True)
        self.leads = threading.Event()
        self._stop_now = threading.Event()
        given = {"application_name": "lotwise leader", "options": _KEEPALIVE}
        self._engine = create_engine(
            engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=given, hide_parameters=True
        )

    def run(self) -> None:
        """Until `stop`."""
        away = False
        while not self._stop_now.is_set():
            try:
                self._hold()
            except DBAPIError as error:
                if not away:
                    log.warning("the background work waits for the database: %s", error.orig)
                away = True
            else:
                away = False
            self.leads.clear()
            self._stop_now.wait(LEAD_EVERY)

    def _hold(self) -> None:
        """One session, for as long as it lasts."""
        with self._engine.connect() as conn:
            while not self._stop_now.is_set():
                if self.leads.is_set():
                    conn.execute(text("SELECT 1"))
                elif conn.scalar(text("SELECT pg_try_advisory_lock(hashtext('lotwise.background'))")):
                    self.leads.set()
                self._stop_now.wait(LEAD_EVERY)

    def stop(self) -> None:
        """Asks it to stop and waits; another process leads then."""
        self._stop_now.set()
        self.join(timeout=10)
        self._engine.dispose()


class Loop(threading.Thread):
    """Does something again and again while it may, until told to stop; a failure is logged and tried again."""

    def __init__(self, name: str, work: Callable[[], object], every: float, may: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.failure: str | None = None
        self.changed: Callable[[], None] = lambda: None
        """Called when it fails with something else than before, and when it begins to do its work."""
        self.turned_at = time.monotonic()
        """When it last came round, or began to lead."""
        self._work, self._every, self._may, self._stop_now = work, every, may, threading.Event()

    @property
    def sign_of_life(self) -> tuple[float, timedelta]:
        """(how many seconds ago it came round, within what it should again)."""
        return time.monotonic() - self.turned_at, LOOP_PATIENCE + 2 * timedelta(seconds=self._every)

    def run(self) -> None:
        """Until `stop`."""
        leads = False
        while not self._stop_now.is_set():
            if not self._may.wait(min(self._every, LEAD_EVERY)):  # not longer: it has to hear `stop`
                self.failure, leads = None, False  # another process does it
                continue
            if not leads:
                self.turned_at = time.monotonic()
            before = self.failure
            try:
                self._work()
                self.failure = None
            except Exception as error:  # the loop outlives a database that is away; said once, not at every turn
                if self.failure is None and isinstance(error, OperationalError):  # known: its server is away
                    log.warning("%s waits for the database: %s", self.name, str(error.orig).partition("\n")[0])
                elif self.failure is None and not isinstance(error, BehindWitness):  # told when it was found
                    log.exception("%s fails; trying again", self.name)
                self.failure = f"{type(error).__name__}: {getattr(error, 'orig', error)}"
            if not leads or self.failure != before:
                self.changed()
            leads, self.turned_at = True, time.monotonic()
            self._stop_now.wait(self._every)

    def stop(self) -> None:
        """Asks it to stop and waits."""
        self._stop_now.set()
        self.join(timeout=10)


class Background:
    """The leader and its loops; which of them fail stands in the notice, for every process that serves."""

    def __init__(self, leader: Leader, loops: Sequence[Loop], notice: Notice, lanes: Sequence[Lane] = ()) -> None:
        self._leader, self._loops, self._notice, self._lanes = leader, loops, notice, lanes
        for loop in loops:
            loop.changed = self._tell

    def start(self) -> None:
        """Starts the threads."""
        for thread in (self._leader, *self._loops):
            thread.start()

    def stop(self) -> None:
        """Stops them; the work in hand is finished."""
        for loop in self._loops:
            loop.stop()
        for lane in self._lanes:
            lane.stop()
        self._leader.stop()

    def failing_loops(self) -> str | None:
        """Which loops fail, here or in the process that leads, and with what; None if none does."""
        return self._notice.get()[1] or None

    def _tell(self) -> None:
        failing = [f"{loop.name}: {loop.failure}" for loop in self._loops if loop.failure is not None]
        self._notice.put("; ".join(failing))


def compare_with_witness(settings: Settings, engine: Engine) -> None:
    """At a start, before anybody is served: a database behind its witness refuses intentions from the first request."""
    witness = Witness(settings.data_dir / WITNESS_FILE)
    with engine.connect() as conn:
        last = newest_seal_number(conn)
    look_at_mark(engine, witness, last, now_utc())
    with contextlib.suppress(BehindWitness):  # it is written down and told; the core serves, and facts are posted
        Sealer(engine, witness).compare(now_utc())


def background(settings: Settings, engine: Engine, events: Events, outbox: Outbox, notice: Notice) -> Background:
    """The loops, not yet started. Raises ValueError where deadlines are declared that cannot be."""
    terms()
    leader = Leader(engine)
    sealer = Sealer(engine, Witness(settings.data_dir / WITNESS_FILE))
    files = FileStore(settings.data_dir / FILES)
    limits = sessions.Limits.of(settings.session_idle_minutes, settings.session_hours)

    conditions = Conditions(engine, events, settings.data_dir, settings.certificate)
    lanes = lanes_of(outbox, engine, events)
    loops = [
        Loop("sealer", lambda: sealer.seal(now_utc()), SEAL_EVERY, leader.leads),
        Loop("live", lambda: tell(engine), RUN_EVERY, leader.leads),
        Loop("outbox", lambda: outbox.run(engine, events, names=outbox.internal_names), RUN_EVERY, leader.leads),
        # Another server that is slow or away holds up nothing of ours, nor of another's.
        *(Loop(f"outbox {name}", lane.turn, RUN_EVERY, leader.leads) for name, lane in lanes.items()),
        Loop("alerts", lambda: alerting.run(engine, events), RUN_EVERY, leader.leads),
        Loop("alert routes", lambda: alerting.check(engine, events), ROUTES_EVERY, leader.leads),
        Loop("conditions", lambda: conditions.look(now_utc()), CONDITIONS_EVERY, leader.leads),
        Loop("deadlines", lambda: run_deadlines(engine, events), DEADLINES_EVERY, leader.leads),
        Loop("tasks", lambda: remind(engine, events, now_utc()), REMIND_EVERY, leader.leads),
        Loop("sessions", lambda: sessions.end_expired(engine, now_utc(), limits), END_SESSIONS_EVERY, leader.leads),
        Loop("restorations", lambda: look_at_gateways(engine, now_utc()), GATEWAYS_EVERY, leader.leads),
        Loop("log archive", lambda: watch_archive(engine, events, now_utc()), ARCHIVE_EVERY, leader.leads),
        Loop("sensors", lambda: look_at_sensors(engine, events, now_utc()), SENSORS_EVERY, leader.leads),
        Loop("files", lambda: sweep(engine, files, now_utc()), SWEEP_EVERY, leader.leads),
    ]

    def heartbeat() -> None:
        beat(engine, {CORE: (0.0, LOOP_PATIENCE)} | {loop.name: loop.sign_of_life for loop in loops})

    signs = Loop("heartbeat", heartbeat, BEAT_EVERY, leader.leads)
    return Background(leader, [*loops, signs], notice, list(lanes.values()))
