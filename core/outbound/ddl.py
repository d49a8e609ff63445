"""What Grafana may see of the ERP: views, and a role that can read them and nothing else.

Each view names its times so that a panel can filter by one. They show facts as they stand; none decides anything.
What only single boards read stands in `board_views`, what depends on a board's range in `board_functions`.
The role has no password and cannot log in: whoever installs Lotwise lets a login inherit it (README, docker/postgres).
"""

from core.outbound.board_functions import FUNCTIONS
from core.outbound.board_views import BOARD_VIEWS

READER = "lotwise_reader"

_ZONE_STATUS = """
CREATE OR REPLACE VIEW v_zone_status AS
SELECT z.id AS zone_id, split_part(z.address, '/', 1) AS site, split_part(z.address, '/', 2) AS area, z.address AS zone,
    z.name, z.kind, z.band_low, z.band_high, j.last_value, j.last_good_at, j.judged_to,
    j.watermark, j.silent_since, z.accepts_held, z.simulated,
    (SELECT count(*) FROM sublot s WHERE s.zone_id = z.id) AS sublots,
    (SELECT count(*) FROM zone_alarm a WHERE a.zone_id = z.id AND a.state <> 'normal') AS alarms,
    CASE
        WHEN j.silent_since IS NOT NULL THEN 'silent'
        WHEN j.last_value IS NULL THEN 'unknown'
        WHEN j.last_value > z.band_high THEN 'high'
        WHEN j.last_value < z.band_low THEN 'low'
        ELSE 'in range'
    END AS status
FROM zone z LEFT JOIN zone_judged j ON j.zone_id = z.id WHERE z.state = 'active'
"""

_EXCURSIONS = """
CREATE OR REPLACE VIEW v_excursions_timeline AS
SELECT e.id, e.incident_id, e.sublot_id, z.address AS zone, i.code AS item, l.number AS lot, s.code AS sublot,
    e.limit_key, e.kind, e.certainty, e.state, e.started_at, e.broke_at, e.ended_at, e.known_at,
    extract(epoch FROM e.out) / 60 AS minutes_out, e.lowest, e.highest
FROM excursion e
JOIN sublot s ON s.id = e.sublot_id JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id
LEFT JOIN zone z ON z.id = e.zone_id
WHERE e.state <> 'superseded'
"""

_OPEN_EXCURSIONS = """
CREATE OR REPLACE VIEW v_open_excursions AS
SELECT * FROM v_excursions_timeline WHERE state IN ('open', 'ended', 'assessed')
"""

_HOLDS = """
CREATE OR REPLACE VIEW v_holds AS
SELECT h.id, h.sublot_id, h.shipment_id, h.kind, h.certainty, h.reason, coalesce(l.number, sl.number) AS lot,
    s.code AS sublot,
    sh.code AS shipment, z.address AS zone, h.excursion_id, h.since_at, h.placed_at, h.placed_by, h.lift_permit,
    h.lifted_at, h.lifted_by
FROM hold h
LEFT JOIN lot l ON l.id = h.lot_id
LEFT JOIN sublot s ON s.id = h.sublot_id LEFT JOIN lot sl ON sl.id = s.lot_id LEFT JOIN zone z ON z.id = s.zone_id
LEFT JOIN shipment sh ON sh.id = h.shipment_id
"""

_ZONE_ALARMS = """
CREATE OR REPLACE VIEW v_zone_alarms AS
SELECT a.id, z.address AS zone, a.kind, a.state, a.value, a.started_at, a.raised_at, a.returned_at,
    a.acknowledged_at, a.acknowledged_by, a.shelved_until
FROM zone_alarm a JOIN zone z ON z.id = a.zone_id
"""

# of one point and reason those no further apart than what is allowed are one: a loose contact has thousands a day
_GAPS = """
CREATE OR REPLACE VIEW v_gaps AS
SELECT min(g.id) AS id, z.address AS zone, p.address AS point, min(g.start_at) AS start_at,
    nullif(max(g.stops_at), 'infinity') AS stop_at, g.reason, min(g.known_at) AS known_at,
    extract(epoch FROM nullif(max(g.stops_at), 'infinity') - min(g.start_at)) / 60 AS minutes, count(*) AS silences
FROM (
    SELECT f.*, sum(f.fresh) OVER (PARTITION BY f.in_zone, f.point_id, f.reason ORDER BY f.start_at, f.id) AS run
    FROM (
        SELECT s.*, coalesce(s.zone_id, p.zone_id) AS in_zone, coalesce(s.stop_at, 'infinity') AS stops_at,
            CASE WHEN s.start_at <= z.allowed_gap + max(coalesce(s.stop_at, 'infinity')) OVER (
                PARTITION BY coalesce(s.zone_id, p.zone_id), s.point_id, s.reason ORDER BY s.start_at, s.id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) THEN 0 ELSE 1 END AS fresh
        FROM gap_standing s LEFT JOIN point p ON p.id = s.point_id
        LEFT JOIN zone z ON z.id = coalesce(s.zone_id, p.zone_id)
    ) f
) g LEFT JOIN point p ON p.id = g.point_id LEFT JOIN zone z ON z.id = g.in_zone
GROUP BY g.in_zone, g.point_id, g.reason, g.run, z.address, p.address
"""

_GATEWAY_BATCHES = """
CREATE OR REPLACE VIEW v_gateway_batches AS
SELECT b.gateway, b.site, b.epoch, b.partition, b.number, b.kind, b.count AS readings, b.landed_count AS landed,
    b.duplicate_count AS duplicates, b.conflict_count AS conflicts, b.dead_count AS dead, b.cut_at, b.received_at,
    extract(epoch FROM b.received_at - b.cut_at)::float8 AS seconds_on_the_way, b.shipped_at
FROM batch b WHERE b.kind <> 'core'
UNION ALL
SELECT f.gateway, f.site, f.epoch, f.partition, f.last_number, 'hour', f.count, f.landed_count, f.duplicate_count,
    f.conflict_count, 0, f.last_cut_at, f.last_received_at, f.slowest::float8, NULL
FROM batch_fold f WHERE f.gone > 0
"""

_GATEWAY_STATUS = """
CREATE OR REPLACE VIEW v_gateway_status AS
SELECT b.gateway, max(b.site) AS site, count(DISTINCT b.epoch) AS epochs, sum(b.batches)::bigint AS batches,
    sum(b.count)::bigint AS readings, sum(b.landed_count)::bigint AS landed,
    sum(b.duplicate_count)::bigint AS duplicates, sum(b.conflict_count)::bigint AS conflicts,
    sum(b.dead_count)::bigint AS dead, max(b.cut_at) AS last_cut_at, max(b.received_at) AS last_received_at,
    (SELECT min(w.upto) FROM source_watermark w WHERE w.gateway = b.gateway AND w.retired_at IS NULL) AS watermark,
    (SELECT max(w.received_at) FROM source_watermark w WHERE w.gateway = b.gateway) AS last_watermark_at,
    extract(epoch FROM now() - max(b.received_at)) AS seconds_since
FROM (
    SELECT gateway, site, epoch, 1 AS batches, count, landed_count, duplicate_count, conflict_count, dead_count, cut_at,
        received_at FROM batch WHERE kind <> 'core'
    UNION ALL
    SELECT gateway, site, epoch, gone, count, landed_count, duplicate_count, conflict_count, 0, last_cut_at,
        last_received_at FROM batch_fold
) b GROUP BY b.gateway
"""

_WATERMARKS = """
CREATE OR REPLACE VIEW v_watermarks AS
SELECT w.gateway, w.source, z.address AS zone, w.upto, w.received_at,
    extract(epoch FROM w.received_at - w.upto) AS seconds_behind
FROM source_watermark w JOIN zone z ON z.id = w.zone_id WHERE w.retired_at IS NULL
"""

_INGEST_ALARMS = """
CREATE OR REPLACE VIEW v_ingest_alarms AS
SELECT id, at, kind, partition, gateway, detail, cleared_at FROM ingest_alarm
"""

_DEAD_LETTERS = """
CREATE OR REPLACE VIEW v_dead_letters AS
SELECT id, at, gateway, partition, kind, reason, detail, point, reading_at, replayed_at, outcome FROM dead_letter
"""

VIEWS = (
    "v_zone_status",
    "v_excursions_timeline",
    "v_open_excursions",
    "v_holds",
    "v_zone_alarms",
    "v_gaps",
    "v_gateway_batches",
    "v_gateway_status",
    "v_watermarks",
    "v_ingest_alarms",
    "v_dead_letters",
    *BOARD_VIEWS,
)

_ROLE = f"""
DO $$
BEGIN
    -- asked first: an owner who may not make roles needs none made where one is there already
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{READER}') THEN
        CREATE ROLE {READER} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""

DDL: tuple[str, ...] = (
    _ZONE_STATUS,
    _EXCURSIONS,
    _OPEN_EXCURSIONS,
    _HOLDS,
    _ZONE_ALARMS,
    _GAPS,
    _GATEWAY_BATCHES,
    _GATEWAY_STATUS,
    _WATERMARKS,
    _INGEST_ALARMS,
    _DEAD_LETTERS,
    *BOARD_VIEWS.values(),
    *FUNCTIONS.values(),
    _ROLE,
    f"GRANT USAGE ON SCHEMA public TO {READER}",
    f"GRANT SELECT ON {', '.join(VIEWS)} TO {READER}",
    f"REVOKE ALL ON FUNCTION {', '.join(FUNCTIONS)} FROM PUBLIC",
    f"GRANT EXECUTE ON FUNCTION {', '.join(FUNCTIONS)} TO {READER}",
)
