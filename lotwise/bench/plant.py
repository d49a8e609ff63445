"""A plant of any size for benchmarks: zones, profiles, lots and sublots, written in bulk."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, text

from core.erp.kernel.audit_keys import audit_keys

BENCH_KEYS = audit_keys(secrets.token_urlsafe(48))
"""The audit trail of a benchmark's own database."""


@dataclass(frozen=True, slots=True)
class Plant:
    """Addresses of the zones' single points, and ids in the same order."""

    zones: tuple[str, ...]
    zone_ids: tuple[int, ...]
    points: tuple[str, ...]
    versions: tuple[int, ...]
    sublots: tuple[int, ...]


LimitRow = tuple[str, str, float, str, str]
"""Key, comparator, threshold in °C, kind, delay."""

LIMITS: tuple[LimitRow, ...] = (
    ("high", ">", 8.0, "consecutive", "60 min"),
    ("low", "<", 2.0, "consecutive", "60 min"),
    ("spent", ">", 8.0, "cumulative", "24 h"),
)


INSTANT: tuple[LimitRow, ...] = (("high", ">", 8.0, "instant", "0"),)
"""One reading above 8 °C breaks it."""


def build(
    engine: Engine,
    since: datetime,
    *,
    zones: int,
    profiles: int,
    sublots: int,
    limits: Sequence[LimitRow] = LIMITS,
    seed: int = 1,
    sites: int = 1,
    made_over: timedelta = timedelta(0),
) -> Plant:
    """Makes the plant; every sublot is of a random item and stands in a random zone since `since`, released.

    Zones are dealt out to the sites in turn. Lots and sublots were made one after the other, through all of
    `made_over` until `since`.
    """
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO site (code, name, timezone) SELECT 'B' || n, 'Bench ' || n, 'UTC'"
                " FROM generate_series(1, :n) n"
            ),
            {"n": sites},
        )
        zone_rows = conn.execute(
            text(
                "INSERT INTO zone (site_id, address, name, kind, accepts_held,"
                " band_delay, band_hysteresis, allowed_gap, simulated)"
                " SELECT s.id, lower(s.code) || '/store/z' || n, 'Zone ' || n, 'room', false, '0', 0, '30 min', true"
                " FROM generate_series(1, :n) n JOIN site s ON s.code = 'B' || ((n - 1) % :sites + 1)"
                " ORDER BY n RETURNING id, address"
            ),
            {"sites": sites, "n": zones},
        ).all()
        conn.execute(
            text(
                "INSERT INTO point (zone_id, address, quantity, unit, role)"
                " SELECT id, address || '/p1/temperature', 'temperature', 'Cel', 'required' FROM zone"
            )
        )
        versions, items = _profiles(conn, since, profiles, limits)
        ids = _goods(conn, since, items, zones, sublots, made_over, seed)
    return Plant(
        tuple(row.address for row in zone_rows),
        tuple(row.id for row in zone_rows),
        tuple(f"{row.address}/p1/temperature" for row in zone_rows),
        tuple(versions),
        tuple(ids),
    )


def _profiles(conn: Connection, since: datetime, count: int, limits: Sequence[LimitRow]) -> tuple[list[int], list[int]]:
    versions: list[int] = []
    items: list[int] = []
    execute = conn.execute
    for number in range(count):
        profile = execute(
            text("INSERT INTO storage_profile (code, name) VALUES (:c, :c) RETURNING id"), {"c": f"BP{number}"}
        ).scalar_one()
        version = execute(
            text(
                "INSERT INTO profile_version (profile_id, version, allowed_gap, shortest_event, probe_kind,"
                " activation_energy, created_at) VALUES (:p, 1, '30 min', '0', 'air', 83.14472, :at) RETURNING id"
            ),
            {"p": profile, "at": since},
        ).scalar_one()
        for key, op, threshold, kind, delay in limits:
            execute(
                text(
                    "INSERT INTO profile_limit (version_id, key, quantity, unit, op,"
                    " threshold, kind, delay, hysteresis)"
                    " VALUES (:v, :k, 'temperature', 'Cel', :o, :t, :kind, CAST(:d AS interval), 0)"
                ),
                {"v": version, "k": key, "o": op, "t": threshold + 0.01 * number, "kind": kind, "d": delay},
            )
        item = execute(
            text(
                "INSERT INTO item (code, name, uom, profile_id, kind) VALUES "
                "(:c, :c, 'each', :p, 'product') RETURNING id"
            ),
            {"c": f"BI{number}", "p": profile},
        ).scalar_one()
        execute(
            text("INSERT INTO item_profile (item_id, version_id, from_at) VALUES (:i, :v, :at)"),
            {"i": item, "v": version, "at": since - timedelta(days=1)},
        )
        versions.append(version)
        items.append(item)
    return versions, items


_QUIET = text("SET LOCAL session_replication_role = replica")
_GUARDED = text("SET LOCAL session_replication_role = origin")
"""What is written in bulk is as the guards want it: asking them row by row takes six times as long. Only whoever owns
the server may, which a benchmark does.
"""
_SEED = text("SELECT setseed(:seed / 1000.0)")
_LOTS = text("""
    INSERT INTO lot (item_id, number, maker, created_at)
    SELECT (CAST(:items AS bigint[]))[1 + floor(random() * :kinds)::int], 'BL' || n, '',
        CAST(:at AS timestamptz) - (:count - n) * CAST(:step AS interval)
    FROM generate_series(1, :count) n
""")
_SUBLOTS = text("""
    INSERT INTO sublot (code, lot_id, state, zone_id, site_id, created_at)
    SELECT 'B' || l.number, l.id, 'released', z.id, z.site_id, l.created_at
    FROM (SELECT id, number, created_at, 1 + floor(random() * :zones)::int AS place FROM lot ORDER BY id) l
    JOIN (SELECT id, site_id, row_number() OVER (ORDER BY id) AS place FROM zone) z USING (place) ORDER BY l.id
""")
_STAND, _STOCK, _RELEASES = (
    text("""
        INSERT INTO custody_fact (sublot_id, zone_id, at, known_at, actor, reason)
        SELECT id, zone_id, :at, :at, 'bench', '' FROM sublot ORDER BY id
    """),
    text("""
        INSERT INTO stock_move (sublot_id, source, target, amount, at, posted_at, actor, purpose, reference, fact)
        SELECT id, 'supplier', 'stock', 10, :at, :at, 'bench', 'receipt', '', false FROM sublot ORDER BY id
    """),
    text("""
        INSERT INTO batch_release (sublot_id, at, automatic, record)
        SELECT id, :at, true, '{}' FROM sublot ORDER BY id
    """),
)


@contextmanager
def unguarded(conn: Connection) -> Iterator[None]:
    """Writes in bulk, within the block, past triggers: for whoever owns the server."""
    conn.execute(_QUIET)
    yield
    conn.execute(_GUARDED)


def _goods(
    conn: Connection, since: datetime, items: list[int], zones: int, count: int, made_over: timedelta, seed: int
) -> list[int]:
    conn.execute(_SEED, {"seed": seed})
    with unguarded(conn):
        step = made_over / max(count, 1)
        conn.execute(_LOTS, {"items": items, "kinds": len(items), "at": since, "count": count, "step": step})
        conn.execute(_SUBLOTS, {"zones": zones})
        for statement in (_STAND, _STOCK, _RELEASES):
            conn.execute(statement, {"at": since})
    return list(conn.scalars(text("SELECT id FROM sublot ORDER BY id")))
