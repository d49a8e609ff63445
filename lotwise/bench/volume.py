"""A firm's books of volume, for the benches of pages and lists: years of goods, shipments, excursions and readings."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, text

from core.erp.exposure.service import exposure
from core.series.landing import driver, ensure_weeks, point_ids, week_of
from lotwise.bench.distributor import Books, fill
from lotwise.bench.plant import unguarded

EVERY, OF_ONE = timedelta(minutes=10), timedelta(minutes=1)
"""How far apart the readings of a zone are, and those of the first one, whose chart is measured."""
PER_INCIDENT = 20
RESERVATIONS = 1_000


@dataclass(frozen=True, slots=True)
class Volume:
    """How much there is of each."""

    zones: int = 100
    sublots: int = 1_000_000
    shipments: int = 100_000
    excursions: int = 5_000
    days: int = 90


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is there: `watched` is the zone with a reading a minute."""

    books: Books
    watched: int
    since: datetime
    until: datetime


def load(engine: Engine, volume: Volume) -> Loaded:
    """Writes all of it, in bulk and past the guards: the engine is the server's owner's.

    A sublot to a lot. Most shipments are accepted long since, the newest are under way; half of the excursions wait for
    a decision and hold their goods; one zone in ten has an alarm.
    """
    until = datetime.now(UTC).replace(microsecond=0)
    since = until - timedelta(days=volume.days)
    books = fill(engine, volume.sublots, volume.shipments, RESERVATIONS, zones=volume.zones)
    with engine.begin() as conn, unguarded(conn):
        conn.execute(_STATES, {"count": volume.shipments})
        conn.execute(_INCIDENTS, {"count": -(-volume.excursions // PER_INCIDENT), "since": since, "until": until})
        conn.execute(_EXCURSIONS, {"count": volume.excursions, "per": PER_INCIDENT})
        conn.execute(_HELD)
        conn.execute(_BANDS)
        conn.execute(_ALARMS)
        watched = measure(conn, since, until)
        close_hours(conn, until)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM ANALYZE"))
    return Loaded(books, watched, since, until)


_STATES = text("""
    UPDATE shipment SET state = to_be.state, due_at = created_at + interval '2 days',
        picked_at = created_at, dispatched_at = created_at, departed_at = created_at,
        arrived_at = CASE WHEN to_be.state IN ('arrived', 'accepted') THEN created_at END,
        closed_at = CASE WHEN to_be.state = 'accepted' THEN created_at END
    FROM (SELECT id, CASE WHEN place < :count * 0.95 THEN 'accepted' ELSE
        (ARRAY['planned', 'picked', 'dispatched', 'in_transit', 'arrived'])[1 + place % 5] END AS state
        FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM shipment) s) to_be
    WHERE to_be.id = shipment.id AND to_be.state NOT IN ('planned', 'picked')
""")
_INCIDENTS = text("""
    INSERT INTO incident (zone_id, kind, started_at, known_at, title, ended_at)
    SELECT z.id, 'limit', at, at + interval '1 hour', z.address || ': limit broken', at + interval '3 hours'
    FROM generate_series(0, :count - 1) n
    CROSS JOIN LATERAL (SELECT CAST(:since AS timestamptz)
        + (CAST(:until AS timestamptz) - CAST(:since AS timestamptz)) * n / (:count + 1) AS at) t
    JOIN (SELECT id, address, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS zones FROM zone) z
        ON z.place = n % z.zones
""")
_EXCURSIONS = text(
    """
    INSERT INTO excursion (incident_id, sublot_id, zone_id, version_id, limit_key, kind, started_at, broke_at, ended_at,
        known_at, certainty, out, lowest, highest, state, accepted_before)
    SELECT i.id, s.id, i.zone_id, p.version_id, 'high', 'consecutive', i.started_at, i.started_at + interval '1 hour',
        i.ended_at, i.known_at, 'proven', i.ended_at - i.started_at, 4.2, 11.8,
        CASE WHEN i.place % 2 = 0 THEN 'closed' ELSE (ARRAY['ended', 'assessed'])[1 + i.place / 2 % 2] END, '0'
    FROM (SELECT *, row_number() OVER (ORDER BY id) AS place,
            row_number() OVER (PARTITION BY zone_id ORDER BY id) - 1 AS turn FROM incident) i
    CROSS JOIN LATERAL (SELECT id, lot_id FROM sublot WHERE zone_id = i.zone_id ORDER BY id
        OFFSET i.turn * :per LIMIT :per) s
    JOIN lot l ON l.id = s.lot_id JOIN item_profile p ON p.item_id = l.item_id
    ORDER BY i.id, s.id LIMIT :count
"""
)
_HELD = text("""
    INSERT INTO hold (sublot_id, kind, certainty, reason, excursion_id, since_at, placed_at, placed_by, lift_permit)
    SELECT sublot_id, 'exposure', 'proven', 'bench', id, broke_at, known_at, 'system:quality', 'hold.lift'
    FROM excursion WHERE state <> 'closed'
""")
_BANDS = text("UPDATE zone SET band_low = 2, band_high = 8")
_ALARMS = text("""
    INSERT INTO zone_alarm (zone_id, kind, state, started_at, raised_at, value, suppressed, out_of_service)
    SELECT id, 'high', 'unacknowledged', now() - interval '2 hours', now() - interval '2 hours', 9.1, false, false
    FROM zone WHERE id % 10 = 0
""")
_JUDGED = text("UPDATE zone_judged SET last_value = 5.2, last_good_at = :at, judged_to = :at, watermark = :at")
_READINGS = text("""
    INSERT INTO reading (point_id, at, edge_at, num, kind, quality, simulated, unit, reason)
    SELECT p, at, at, round((5 + 1.5 * sin(extract(epoch FROM at) / 5000) + random())::numeric, 2), 1, 0, false,
        'Cel', ''
    FROM unnest(CAST(:points AS bigint[])) p CROSS JOIN
        generate_series(CAST(:since AS timestamptz), CAST(:until AS timestamptz), CAST(:every AS interval)) at
""")


_STOOD_LONGEST = text("""
    SELECT DISTINCT ON (s.zone_id, p.version_id) s.id FROM sublot s JOIN lot l ON l.id = s.lot_id
    JOIN item_profile p ON p.item_id = l.item_id WHERE s.zone_id IS NOT NULL
    ORDER BY s.zone_id, p.version_id, s.created_at, s.id
""")


def close_hours(conn: Connection, until: datetime) -> None:
    """The closed hours of every zone and profile, which the judge keeps while it runs: without them the first page of
    each would work them out, and write them.
    """
    for sublot in conn.scalars(_STOOD_LONGEST).all():
        exposure(conn, sublot, until)


def measure(conn: Connection, since: datetime, until: datetime) -> int:
    """Readings of every zone; gives the one that has the most."""
    raw = driver(conn)
    weeks, at = [], since
    while at < until + timedelta(days=7):
        weeks.append(week_of(at))
        at += timedelta(days=7)
    ensure_weeks(raw, weeks)
    zones = conn.execute(text("SELECT zone_id, address FROM point ORDER BY zone_id")).all()
    numbers = point_ids(raw, [row.address for row in zones])
    first, *others = [numbers[row.address] for row in zones]
    for points, every in (([first], OF_ONE), (others, EVERY)):
        conn.execute(_READINGS, {"points": points, "since": since, "until": until, "every": every})
    conn.execute(_JUDGED, {"at": until})
    return int(zones[0].zone_id)
