"""Grafana's boards over 90 days of 100 zones: how long each of their questions takes, asked as Grafana's login does."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

import httpx
from sqlalchemy import Connection, Engine, text

from core.erp.kernel.audit_keys import open_engine
from core.erp.migrations import upgrade
from core.outbound.ddl import READER
from core.series.influx import InfluxSettings, InfluxStore
from core.series.postgres import PostgresStore
from dashboards.queries import PanelQuery, Span, all_queries
from dashboards.sources import ERP, TELEMETRY, Store
from lotwise.bench.figures import figure
from lotwise.bench.plant import BENCH_KEYS, unguarded
from lotwise.bench.volume import Loaded, Volume, load
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import ServerProcess, accepts, free_port

WIDE = 1000
"""Columns of a panel: what Grafana asks for on a usual screen."""
TIMES = 5
GOAL_MS = 500
GATEWAY = "gw-bench"
_HOURS = text("""
    INSERT INTO point_hour (point_id, hour_at, low, high, median, readings, rises)
    SELECT p.id, date_bin('1 hour', r.at, 'epoch'), min(r.num), max(r.num),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY r.num), count(*), 0
    FROM point p JOIN series_point s ON s.address = p.address JOIN reading r ON r.point_id = s.id GROUP BY 1, 2
""")
_BATCHES = text("""
    INSERT INTO batch (gateway, site, epoch, partition, number, kind, sha256, count, landed_count, duplicate_count,
        conflict_count, dead_count, cut_at, received_at, status)
    SELECT :gateway, 'bench', 'e', z.id % 64, row_number() OVER (PARTITION BY z.id % 64 ORDER BY at, z.id), 'readings',
        decode(md5(z.id::text || at::text), 'hex'), 1, 1, 0, 0, 0, at, at + interval '80 ms', 'landed'
    FROM zone z CROSS JOIN
        generate_series(CAST(:since AS timestamptz), CAST(:until AS timestamptz), interval '10 min') at
""")
_FOLDS = text("""
    INSERT INTO batch_fold (gateway, epoch, partition, first_number, last_number, site, hour, chain, gone, count,
        landed_count, duplicate_count, conflict_count, first_cut_at, last_cut_at, last_received_at, slowest)
    SELECT :gateway, 'f', p, n * 1800, n * 1800 + 1799, 'bench', at, 'x', 1800, 0, 0, 0, 0, at, at + interval '1 hour',
        at + interval '1 hour', 0.2
    FROM generate_series(0, 63) p CROSS JOIN LATERAL (
        SELECT at, row_number() OVER (ORDER BY at) AS n FROM
        generate_series(CAST(:since AS timestamptz), CAST(:until AS timestamptz), interval '1 hour') at
    ) h
""")
_MARKS = text("""
    INSERT INTO source_watermark (zone_id, gateway, source, redundancy_group, upto, behind, received_at)
    SELECT id, :gateway, 'mqtt', '', :until, '0', :until FROM zone
""")
_ALARMS = text("""
    INSERT INTO zone_alarm (zone_id, kind, state, started_at, raised_at, returned_at, value, suppressed, out_of_service)
    SELECT z.id, 'high', 'normal', at, at, at + interval '20 min', 9.1, false, false
    FROM zone z CROSS JOIN
        generate_series(CAST(:since AS timestamptz), CAST(:until AS timestamptz), interval '1 day') at
""")
METHOD = (
    "{v.zones} zones, {v.days} days ({v.sublots} sublots, {v.shipments} shipments, {v.excursions} excursions, a batch"
    " a zone and 10 min, 64 partitions' folds, an alarm a zone and day); every panel, variable and alert rule of nine"
    " boards with all zones chosen, {wide} columns, median of {times}; {store}; load average {load:.1f}; "
    "slowest: {slowest}"
)


@dataclass(frozen=True, slots=True)
class Took:
    """How long a question took, in ms."""

    asked: PanelQuery
    ms: float


def run(volume: Volume) -> None:
    """Prints `slowest_ms`, `slow` (how many took over 500 ms) and `median_ms` for either store. Raises ServerFailed."""
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as name, ExitStack() as stack:
        postgres = EmbeddedPostgres(Path(name) / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        engine = open_engine(postgres.url(), BENCH_KEYS)
        stack.callback(engine.dispose)
        upgrade(engine)
        loaded = load(engine, volume)
        with engine.begin() as conn, unguarded(conn):
            chosen = _fill(conn, loaded)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("VACUUM ANALYZE"))
        for days in (volume.days, 7):
            span = _span(loaded, days)
            _say(volume, Store.POSTGRES, days, _ask_postgres(engine, Store.POSTGRES, span, chosen))
        influxd = shutil.which("influxd") or shutil.which("influxd", path=str(Path.home() / "go" / "bin"))
        if influxd is None:
            print("InfluxDB was not asked: no influxd on the PATH", file=sys.stderr)
            return
        with _influx(influxd, Path(name) / "influx") as settings:
            _copy(engine, settings, loaded)
            for days in (volume.days, 7):
                span = _span(loaded, days)
                took = _ask_influx(settings, span, chosen) + _ask_postgres(engine, Store.INFLUX, span, chosen)
                _say(volume, Store.INFLUX, days, took)


def _span(loaded: Loaded, days: int) -> Span:
    whole = timedelta(days=days)
    return Span(loaded.until - whole, loaded.until, whole / WIDE)


def _fill(conn: Connection, loaded: Loaded) -> Mapping[str, Sequence[str]]:
    """What boards show besides; gives what is chosen on them: all there is, of items and lots one."""
    span = {"since": loaded.since, "until": loaded.until, "gateway": GATEWAY}
    conn.execute(_HOURS)
    for statement in (_BATCHES, _FOLDS, _MARKS, _ALARMS):
        conn.execute(statement, {name: span[name] for name in statement.compile().params})
    zones = list(conn.scalars(text("SELECT address FROM zone ORDER BY id")))
    item, lot = conn.execute(text("SELECT i.code, l.number FROM lot l JOIN item i ON i.id = l.item_id LIMIT 1")).one()
    return {
        "site": sorted({zone.split("/")[0] for zone in zones}),
        "area": sorted({zone.split("/")[1] for zone in zones}),
        "zone": zones,
        "gateway": [GATEWAY],
        "item": [item],
        "lot": [lot],
    }


def _ask_postgres(engine: Engine, store: Store, span: Span, chosen: Mapping[str, Sequence[str]]) -> list[Took]:
    took = []
    with engine.connect() as conn:
        conn.execute(text(f"SET ROLE {READER}"))
        for asked in all_queries(store, span, chosen):
            if asked.datasource == ERP:
                statement = asked.query.replace("%", "%%")
                took.append(_timed(asked, lambda statement=statement: conn.exec_driver_sql(statement).all()))  # type: ignore[misc]  # mypy cannot infer such a lambda
    return took


def _ask_influx(settings: InfluxSettings, span: Span, chosen: Mapping[str, Sequence[str]]) -> list[Took]:
    took = []
    with httpx.Client(base_url=settings.url, timeout=60) as http:
        for asked in all_queries(Store.INFLUX, span, chosen):
            if asked.datasource == TELEMETRY:
                form = {"db": settings.bucket.partition("/")[0], "q": asked.query}
                took.append(_timed(asked, lambda form=form: http.post("/query", data=form).raise_for_status().json()))  # type: ignore[misc]  # as above
    return took


def _timed(asked: PanelQuery, ask: Callable[[], object]) -> Took:
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1000)
    return Took(asked, median(times))


def _say(volume: Volume, store: Store, days: int, took: Sequence[Took]) -> None:
    slowest = sorted(took, key=lambda one: one.ms)[-3:][::-1]
    named = ", ".join(f"{one.asked.board}: {one.asked.panel} {one.ms:.0f}" for one in slowest)
    method = METHOD.format(v=volume, wide=WIDE, times=TIMES, store=store, load=os.getloadavg()[0], slowest=named)
    for metric, value, unit in (
        ("slowest_ms", slowest[0].ms, "ms"),
        ("slow", sum(one.ms > GOAL_MS for one in took), "1"),
        ("median_ms", median(one.ms for one in took), "ms"),
    ):
        figure("boards", metric, value, unit, len(took), method, store=store.value, days=days)


@contextmanager
def _influx(program: str, folder: Path) -> Iterator[InfluxSettings]:
    port, rpc = free_port(), free_port()
    folder.mkdir()
    config = folder / "influxd.conf"
    config.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n[meta]\n  dir = "{folder}/meta"\n'
        f'[data]\n  dir = "{folder}/data"\n  wal-dir = "{folder}/wal"\n'
        f'[http]\n  bind-address = "127.0.0.1:{port}"\n  flux-enabled = true\n  log-enabled = false\n'
    )
    server = ServerProcess("influxd", [program, "-config", str(config)], folder / "influxd.log")
    server.start(lambda: accepts(port))
    try:
        url = f"http://127.0.0.1:{port}"
        httpx.post(f"{url}/query", data={"q": "CREATE DATABASE bench"}).raise_for_status()
        yield InfluxSettings(url, "bench/autogen")
    finally:
        server.stop()


def _copy(engine: Engine, settings: InfluxSettings, loaded: Loaded) -> None:
    """All readings, as the shipper would have written them."""
    store, source = InfluxStore(settings), PostgresStore(engine)
    with engine.connect() as conn:
        points = list(conn.scalars(text("SELECT address FROM series_point ORDER BY id")))
    for point in points:
        store.write(source.read(point, loaded.since, loaded.until + timedelta(seconds=1)))
    store.close()
