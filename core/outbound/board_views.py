"""What single boards of Grafana read: limits, sensors, machines, orders, shipments, goods, and the core itself."""

RAW_FOR = "interval '7 days'"
"""A lot's history up to this long is drawn from the readings, a longer one from each hour's lowest and highest."""

BATCHES_FOR = "interval '2 days'"
"""Ranges up to this long show batches, longer ones their hours' folds: a gateway cuts 43 000 a day and partition."""

_ZONE_LIMITS = """
CREATE OR REPLACE VIEW v_zone_limits AS
SELECT z.address AS zone, 'room' AS profile, b.key AS limit_key, b.op, b.threshold, z.band_delay AS delay
FROM zone z CROSS JOIN LATERAL (VALUES ('high', '>', z.band_high), ('low', '<', z.band_low)) b(key, op, threshold)
WHERE b.threshold IS NOT NULL
UNION ALL
SELECT z.address, p.code || ' v' || v.version, l.key, l.op, l.threshold, l.delay
FROM (SELECT DISTINCT zone_id, version_id FROM zone_profile) u
JOIN zone z ON z.id = u.zone_id JOIN profile_version v ON v.id = u.version_id
JOIN storage_profile p ON p.id = v.profile_id JOIN profile_limit l ON l.version_id = v.id AND l.quantity = 'temperature'
"""

_SENSOR_TRUST = """
CREATE OR REPLACE VIEW v_sensor_trust AS
SELECT p.id AS point_id, z.address AS zone, p.address AS point, p.role, s.id AS sensor_id, s.serial, s.model,
    c.done_at AS calibrated_at, c.due_at AS calibration_due_at,
    CASE
        WHEN s.id IS NULL THEN 'no sensor on record'
        WHEN c.due_at IS NULL THEN 'never calibrated'
        WHEN c.due_at <= now() THEN 'calibration overdue'
        WHEN NOT c.as_found_ok THEN 'found out of tolerance'
        WHEN a.kinds IS NOT NULL THEN a.kinds
        WHEN c.due_at <= now() + interval '30 days' THEN 'calibration due within 30 days'
        ELSE 'trusted'
    END AS trust
FROM point p JOIN zone z ON z.id = p.zone_id
LEFT JOIN installation i ON i.point_id = p.id AND i.from_at <= now() AND (i.to_at IS NULL OR i.to_at > now())
LEFT JOIN sensor s ON s.id = i.sensor_id
LEFT JOIN LATERAL (
    SELECT done_at, due_at, as_found_ok FROM calibration WHERE sensor_id = s.id ORDER BY done_at DESC, id DESC LIMIT 1
) c ON true
LEFT JOIN LATERAL (
    SELECT string_agg(DISTINCT kind, ', ') AS kinds FROM zone_alarm
    WHERE point_id = p.id AND returned_at IS NULL AND state <> 'normal'
) a ON true
WHERE p.state = 'active' AND z.state = 'active' AND p.role IN ('required', 'spare')
"""

_WORK_CENTRES = """
CREATE OR REPLACE VIEW v_work_centres AS
SELECT w.id, w.code, w.name, z.address AS zone, CASE WHEN w.up THEN 'up' ELSE 'down' END AS status, w.state_since,
    w.state_reason
FROM work_centre w LEFT JOIN zone z ON z.id = w.zone_id WHERE w.state = 'active'
"""

_WORK_CENTRE_STATES = """
CREATE OR REPLACE VIEW v_work_centre_states AS
SELECT w.code, w.name, s.up, s.at, s.known_at, s.actor, s.reason
FROM work_centre_state s JOIN work_centre w ON w.id = s.work_centre_id
"""

_WORK_ORDERS = """
CREATE OR REPLACE VIEW v_work_orders AS
SELECT o.id, o.code AS work_order, i.code AS item, l.number AS output_lot, o.amount, o.scrap, o.state, o.priority,
    o.stopped_reason, o.due_at, o.created_at, o.started_at, o.completed_at
FROM work_order o JOIN item i ON i.id = o.item_id LEFT JOIN lot l ON l.id = o.output_lot_id
"""

_OPERATIONS = """
CREATE OR REPLACE VIEW v_operations AS
SELECT o.code AS work_order, w.code AS work_centre, p.number, p.name, p.state, p.started_at, p.done_at
FROM work_order_operation p JOIN work_order o ON o.id = p.order_id
JOIN work_centre w ON w.id = coalesce(p.done_on_id, p.work_centre_id)
"""

_SHIPMENTS = """
CREATE OR REPLACE VIEW v_shipments AS
SELECT s.id, s.code AS shipment, s.kind, s.consignee, s.market, s.state, s.created_at, s.due_at, s.dispatched_at,
    s.departed_at, s.arrived_at, s.closed_at,
    (SELECT count(*) FROM hold h WHERE h.shipment_id = s.id AND h.lifted_at IS NULL) AS holds
FROM shipment s
"""

_SHIPMENT_LEGS = """
CREATE OR REPLACE VIEW v_shipment_legs AS
SELECT s.id AS shipment_id, s.code AS shipment, s.state, l.number, l.origin, l.destination, l.carrier,
    z.address AS zone, l.departed_at, l.arrived_at
FROM shipment_leg l JOIN shipment s ON s.id = l.shipment_id LEFT JOIN zone z ON z.id = l.vehicle_zone_id
"""

_LOTS = """
CREATE OR REPLACE VIEW v_lots AS
SELECT l.id, l.number AS lot, i.code AS item, l.maker, l.expiry, l.created_at FROM lot l JOIN item i ON i.id = l.item_id
"""

_ITEMS = """
CREATE OR REPLACE VIEW v_items AS SELECT id, code AS item, name, kind FROM item WHERE state = 'active'
"""

_SUBLOTS = """
CREATE OR REPLACE VIEW v_sublots AS
SELECT s.id, s.code AS sublot, l.number AS lot, i.code AS item, s.state, z.address AS zone, s.created_at, s.serial
FROM sublot s JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id LEFT JOIN zone z ON z.id = s.zone_id
"""

_RELEASES = """
CREATE OR REPLACE VIEW v_releases AS
SELECT r.id, i.code AS item, l.number AS lot, s.code AS sublot, s.created_at, r.at AS released_at, r.automatic,
    extract(epoch FROM r.at - s.created_at)::float8 / 3600 AS hours
FROM batch_release r JOIN sublot s ON s.id = r.sublot_id JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id
"""

_DISPOSITIONS = """
CREATE OR REPLACE VIEW v_dispositions AS
SELECT d.id, d.at, d.decision, d.excursion_id, i.code AS item, l.number AS lot, s.code AS sublot,
    extract(epoch FROM d.at - e.known_at)::float8 / 3600 AS hours
FROM disposition d JOIN excursion e ON e.id = d.excursion_id JOIN sublot s ON s.id = e.sublot_id
JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id
"""

_OUTBOX = """
CREATE OR REPLACE VIEW v_outbox AS
SELECT t.handler, count(*) AS waiting, count(*) FILTER (WHERE t.attempts > 0) AS failing, min(o.at) AS oldest_at,
    extract(epoch FROM now() - min(o.at))::float8 AS seconds, max(t.attempts) AS attempts
FROM outbox_task t JOIN outbox o ON o.id = t.outbox_id WHERE t.done_at IS NULL GROUP BY t.handler
"""

_HEARTBEATS = """
CREATE OR REPLACE VIEW v_heartbeats AS
SELECT part, at, extract(epoch FROM now() - at)::float8 AS seconds, now() > at + due_within AS overdue FROM heartbeat
UNION ALL
SELECT 'ingest', max(until), extract(epoch FROM now() - max(until))::float8, max(until) < now() FROM ingest_worker
HAVING max(until) IS NOT NULL
"""

_DATABASE = """
CREATE OR REPLACE VIEW v_database AS
SELECT pg_database_size(current_database()) AS bytes, d.numbackends AS connections, d.xact_commit AS commits,
    d.xact_rollback AS rollbacks, d.deadlocks, d.blks_hit::float8 / nullif(d.blks_hit + d.blks_read, 0) AS cache_hit,
    a.archived_count, a.last_archived_time AS archived_at, a.failed_count AS archive_failures, a.last_failed_time
FROM pg_stat_database d CROSS JOIN pg_stat_archiver a WHERE d.datname = current_database()
"""

_ALERTS = """
CREATE OR REPLACE VIEW v_alerts AS
SELECT a.id, a.event, a.severity, a.cause, z.address AS zone, a.title, a.raised_at, a.state, a.taken_by, a.taken_at,
    a.over_at, a.drill, m.told, m.failed, m.first_sent_at,
    extract(epoch FROM m.first_sent_at - a.raised_at)::float8 AS seconds_to_told
FROM alert a LEFT JOIN zone z ON z.id = a.zone_id
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE sent_at IS NOT NULL) AS told, count(*) FILTER (WHERE failure IS NOT NULL) AS failed,
        min(sent_at) AS first_sent_at FROM alert_message WHERE a.id = ANY(alert_ids)
) m ON true
"""

# by what its sources said last: a word of each, where `v_gateway_status` adds up all of history
_GATEWAYS = """
CREATE OR REPLACE VIEW v_gateways AS
SELECT w.gateway, count(DISTINCT w.source) AS sources, count(DISTINCT w.zone_id) AS zones,
    max(w.received_at) AS heard_at, min(w.upto) AS watermark,
    extract(epoch FROM now() - max(w.received_at))::float8 AS seconds_since
FROM source_watermark w WHERE w.retired_at IS NULL GROUP BY w.gateway
"""

BOARD_VIEWS = {
    "v_gateways": _GATEWAYS,
    "v_zone_limits": _ZONE_LIMITS,
    "v_sensor_trust": _SENSOR_TRUST,
    "v_work_centres": _WORK_CENTRES,
    "v_work_centre_states": _WORK_CENTRE_STATES,
    "v_work_orders": _WORK_ORDERS,
    "v_operations": _OPERATIONS,
    "v_shipments": _SHIPMENTS,
    "v_shipment_legs": _SHIPMENT_LEGS,
    "v_items": _ITEMS,
    "v_lots": _LOTS,
    "v_sublots": _SUBLOTS,
    "v_releases": _RELEASES,
    "v_dispositions": _DISPOSITIONS,
    "v_outbox": _OUTBOX,
    "v_heartbeats": _HEARTBEATS,
    "v_database": _DATABASE,
    "v_alerts": _ALERTS,
}
