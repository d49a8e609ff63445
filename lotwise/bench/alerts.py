"""How soon whoever is on call hears of each alarm of a flood, in how many messages, and that none is lost."""

import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine, insert, text

from core.background import RUN_EVERY, Loop
from core.erp.alerting import running
from core.erp.alerting.model import ContactWay
from core.erp.catalog.model import Site, Zone
from core.erp.kernel import modules
from core.erp.kernel.access.users import create_user
from core.erp.kernel.audit_keys import open_engine
from core.erp.kernel.outbox import Outbox
from core.erp.kernel.permits import Role
from core.erp.kernel.schema import create_schema
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit, system, transact
from core.erp.quality import service as quality
from core.lanes import lanes_of
from core.outbound.handlers import register_outbox
from core.outbound.settings import OutboundSettings
from core.wiring import build_events
from lotwise.bench.figures import figure
from lotwise.bench.plant import BENCH_KEYS
from lotwise.embedded.postgres import EmbeddedPostgres

PER_FOLD = 50
"""Alarms a transaction, as the judge raises those of the zones that it folds together."""
PATIENCE = 120.0
METHOD = (
    "zones alarm, {fold} a transaction, as fast as they commit; {people} people by webhook, on embedded PostgreSQL with"
    " fsync, all in one process; from the time of the alarm's transaction to the answer of the server to the first"
    " message that names it"
)
_LEFT = text("""
    SELECT (SELECT count(*) FROM outbox_task WHERE done_at IS NULL)
        + (SELECT count(*) FROM alert_message WHERE state = 'queued')
        + (SELECT count(*) FROM zone_alarm) - (SELECT count(*) FROM alert)
        + (SELECT count(*) FROM alert_step WHERE done_at IS NULL AND at <= now())
""")
_FIRST = text("""
    SELECT z.raised_at, min(m.sent_at) AS told FROM zone_alarm z
    LEFT JOIN alert_part p ON p.entity = 'alarm' AND p.entity_id = z.id
    LEFT JOIN alert_message m ON m.alert_ids @> ARRAY[p.alert_id] AND m.state = 'sent' AND m.channel <> 'page'
    GROUP BY z.id
""")
_SENT = text("SELECT count(*) FROM alert_message WHERE state = 'sent' AND channel <> 'page'")


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Says nothing."""


def run(count: int, people: int = 3) -> None:
    """Prints first_p95_s, messages and lost. Raises RuntimeError where messages still wait after two minutes."""
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as name, ExitStack() as stack:
        postgres = EmbeddedPostgres(Path(name) / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        engine = open_engine(postgres.url(), BENCH_KEYS)
        stack.callback(engine.dispose)
        create_schema(engine)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        zones = _plant(engine, count, people, f"http://127.0.0.1:{server.server_address[1]}/")
        _measure(engine, zones, people)


def _plant(engine: Engine, count: int, people: int, url: str) -> list[int]:
    def work(u: Unit) -> list[int]:
        site = Site(code="S1", name="Site 1")
        u.session.add(site)
        u.session.flush()
        for number in range(people):
            create_user(u, f"engineer{number}", f"Engineer {number}", "correct horse battery", [Role.PLANT_ENGINEER])
            login = f"engineer{number}"
            u.session.add(ContactWay(name=login, login=login, kind="webhook", address=url))
        u.session.flush()
        rows = [
            Zone(site_id=site.id, address=f"s1/a/z{number}", name=f"z{number}").model_dump(exclude={"id"})
            for number in range(count)
        ]
        return list(u.conn.scalars(insert(table(Zone)).returning(table(Zone).c.id), rows))

    return transact(engine, system("bench"), build_events(), work)


def _measure(engine: Engine, zones: Sequence[int], people: int) -> None:
    events, may = build_events(), threading.Event()
    may.set()
    settings = OutboundSettings(webhook_secret=SecretStr("b" * 40))
    outbox = _outbox(settings)
    outbox.subscribe(engine)

    lanes = lanes_of(outbox, engine, events)
    loops = [
        Loop("outbox", lambda: outbox.run(engine, events, names=outbox.internal_names), RUN_EVERY, may),
        *(Loop(name, lane.turn, RUN_EVERY, may) for name, lane in lanes.items()),
        Loop("alerts", lambda: running.run(engine, events), RUN_EVERY, may),
    ]
    for loop in loops:
        loop.start()
    try:
        for start in range(0, len(zones), PER_FOLD):
            _alarm(engine, zones[start : start + PER_FOLD])
        deadline = time.monotonic() + PATIENCE
        with engine.connect() as conn:
            while conn.scalar(_LEFT):
                conn.rollback()
                if time.monotonic() > deadline:
                    raise RuntimeError(f"messages still wait: {conn.execute(_LEFT).all()}")
                time.sleep(0.2)
            found, sent = conn.execute(_FIRST).all(), conn.scalar(_SENT)
    finally:
        for loop in loops:
            loop.stop()
        for lane in lanes.values():
            lane.stop()
    waited = sorted((row.told - row.raised_at).total_seconds() for row in found if row.told is not None)
    method = METHOD.format(fold=PER_FOLD, people=people)
    figure("alerts", "first_p95_s", waited[int(len(waited) * 0.95)], "s", len(zones), method)
    figure("alerts", "messages", sent or 0, "messages", len(zones), method)
    figure("alerts", "lost", len(found) - len(waited), "alarms", len(zones), method)


def _alarm(engine: Engine, zones: Sequence[int]) -> None:
    now = datetime.now(UTC)

    def work(u: Unit) -> None:
        for zone in zones:
            quality.raise_alarm(u, zone, "high", now, 12.0)

    transact(engine, system("judge"), build_events(), work)


def _outbox(settings: OutboundSettings) -> Outbox:
    """Everybody's handlers, with these channels."""
    outbox = Outbox()
    for module in modules.found("handlers"):
        register = getattr(module, "register_outbox", None)
        if register is register_outbox:
            register_outbox(outbox, settings)
        elif register is not None:
            register(outbox)
    return outbox
