"""Functions of a board's range: a room's band, its states, machines' values, and where a lot's goods were.

Each runs as its owner, takes nothing but values and only reads: the reader may call it and still sees no table.
`step_ms` is Grafana's `$__interval_ms`: how much time a pixel shows. What is drawn of a column is its lowest and
highest value, never a mean; `by_hours` draws from what is kept of each hour, for ranges with too many readings. A row
with no value stands where a gap begins, so that no line is drawn across it. Of more than ten points columns are as
much wider: nobody sees more, and nothing of what was highest is lost.
"""

# ruff: noqa: S608 - what is put in are constants of this file

from core.outbound.board_views import BATCHES_FOR, RAW_FOR

_CELSIUS = "CASE p.unit WHEN '[degF]' THEN ({0} - 32) / 1.8 WHEN 'K' THEN {0} - 273.15 ELSE {0} END"
"""A temperature of any unit is drawn in °C; other quantities as they come."""

_AS_OWNER = "LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off"

_BAND = f"""
CREATE OR REPLACE FUNCTION board_band(
    zones text[], of_quantity text, start timestamptz, stop timestamptz, step_ms bigint, by_hours boolean
) RETURNS TABLE (at timestamptz, zone text, point text, low float8, high float8) {_AS_OWNER} AS $$
    WITH p AS (
        SELECT p.id, p.address, z.address AS zone, z.allowed_gap, s.id AS series,
            CASE WHEN p.quantity = 'temperature' THEN p.unit END AS unit,
            make_interval(secs => greatest(step_ms, 1000) / 1000.0 * ceil(count(*) OVER () / 10.0)) AS wide
        FROM point p JOIN zone z ON z.id = p.zone_id LEFT JOIN series_point s ON s.address = p.address
        WHERE z.address = ANY(zones) AND p.quantity = of_quantity
    )
    SELECT v.at, p.zone, p.address, {_CELSIUS.format("v.low")}, {_CELSIUS.format("v.high")}
    FROM p CROSS JOIN LATERAL (
        SELECT date_bin(p.wide, x.at, 'epoch') AS at, min(coalesce(x.num, x.whole)) AS low,
            max(coalesce(x.num, x.whole)) AS high, p.wide,
            lead(date_bin(p.wide, x.at, 'epoch')) OVER (ORDER BY date_bin(p.wide, x.at, 'epoch')) AS next_at
        FROM reading x WHERE x.point_id = p.series AND x.at >= start AND x.at <= stop AND x.kind IN (1, 2, 3)
            AND x.quality <> 2 AND NOT by_hours
        GROUP BY 1
        UNION ALL
        SELECT date_bin(h.wide, h.hour_at, 'epoch'), min(h.low), max(h.high), h.wide,
            lead(date_bin(h.wide, h.hour_at, 'epoch')) OVER (ORDER BY date_bin(h.wide, h.hour_at, 'epoch'))
        FROM (
            SELECT o.hour_at, o.low, o.high, greatest(p.wide, interval '1 hour') AS wide FROM point_hour o
            WHERE o.point_id = p.id AND o.hour_at >= start AND o.hour_at <= stop AND by_hours
        ) h GROUP BY 1, h.wide
    ) b CROSS JOIN LATERAL (
        SELECT b.at, b.low, b.high
        UNION ALL
        SELECT b.at + b.wide, NULL, NULL WHERE b.next_at - b.at > greatest(p.allowed_gap, b.wide) + b.wide
    ) v
    ORDER BY 1
$$
"""

_LAST = f"""
CREATE OR REPLACE FUNCTION board_last(
    zones text[], of_quantity text, start timestamptz, stop timestamptz, step_ms bigint
) RETURNS TABLE (at timestamptz, zone text, point text, device text, value float8) {_AS_OWNER} AS $$
    SELECT r.at, z.address, p.address, split_part(p.address, '/', 4), r.value
    FROM point p JOIN zone z ON z.id = p.zone_id JOIN series_point s ON s.address = p.address CROSS JOIN LATERAL (
        SELECT DISTINCT ON (date_bin(make_interval(secs => greatest(step_ms, 1000) / 1000.0), x.at, 'epoch'))
            greatest(x.at, start) AS at, CASE WHEN x.quality <> 2 THEN coalesce(x.num, x.whole) END AS value
        FROM reading x WHERE x.point_id = s.id AND x.at <= stop AND x.at >= coalesce((
            SELECT y.at FROM reading y WHERE y.point_id = s.id AND y.at < start ORDER BY y.at DESC LIMIT 1
        ), start)
        ORDER BY date_bin(make_interval(secs => greatest(step_ms, 1000) / 1000.0), x.at, 'epoch'), x.at DESC
    ) r
    WHERE z.address = ANY(zones) AND p.quantity = of_quantity ORDER BY 1
$$
"""

_UNSURE = f"""
CREATE OR REPLACE FUNCTION board_unsure(zones text[], stop timestamptz, step_ms bigint)
RETURNS TABLE (at timestamptz, zone text, uncertain bigint, bad bigint) {_AS_OWNER} AS $$
    SELECT date_bin(make_interval(secs => greatest(step_ms, 60000) / 1000.0), x.at, 'epoch'), z.address,
        count(*) FILTER (WHERE x.quality = 1), count(*) FILTER (WHERE x.quality = 2)
    FROM point p JOIN zone z ON z.id = p.zone_id JOIN series_point s ON s.address = p.address
    JOIN reading x ON x.point_id = s.id AND x.at > stop - interval '1 day' AND x.at <= stop
    WHERE z.address = ANY(zones) GROUP BY 1, 2 ORDER BY 1
$$
"""

_BATCHES = f"""
CREATE OR REPLACE FUNCTION board_batches(gateways text[], start timestamptz, stop timestamptz, step_ms bigint)
RETURNS TABLE (at timestamptz, gateway text, readings bigint, slowest float8, conflicts bigint, dead bigint)
{_AS_OWNER} AS $$
    SELECT date_bin(make_interval(secs => greatest(step_ms, 1000) / 1000.0), b.cut_at, 'epoch'), b.gateway,
        sum(b.count)::bigint, max(extract(epoch FROM b.received_at - b.cut_at))::float8,
        sum(b.conflict_count)::bigint, sum(b.dead_count)::bigint
    FROM batch b
    WHERE b.gateway = ANY(gateways) AND b.cut_at >= start AND b.cut_at <= stop AND stop - start <= {BATCHES_FOR}
    GROUP BY 1, 2
    UNION ALL
    SELECT date_bin(greatest(make_interval(secs => step_ms / 1000.0), interval '1 hour'), f.hour, 'epoch'), f.gateway,
        NULL, max(f.slowest), sum(f.conflict_count)::bigint, NULL
    FROM batch_fold f
    WHERE f.gateway = ANY(gateways) AND f.hour >= start AND f.hour <= stop AND stop - start > {BATCHES_FOR}
    GROUP BY 1, 2
    ORDER BY 1
$$
"""

_READ = f"""
CREATE OR REPLACE FUNCTION board_hours_read(start timestamptz, stop timestamptz, step_ms bigint)
RETURNS TABLE (at timestamptz, readings bigint) {_AS_OWNER} AS $$
    SELECT date_bin(greatest(make_interval(secs => step_ms / 1000.0), interval '1 hour'), h.hour_at, 'epoch'),
        sum(h.readings)::bigint
    FROM point_hour h WHERE h.hour_at >= start AND h.hour_at <= stop AND stop - start > {BATCHES_FOR} GROUP BY 1
    ORDER BY 1
$$
"""

_ZONE_STATES = f"""
CREATE OR REPLACE FUNCTION board_zone_states(zones text[], start timestamptz, stop timestamptz)
RETURNS TABLE (at timestamptz, zone text, state int) {_AS_OWNER} AS $$
    WITH z AS (
        SELECT z.id, z.address, j.last_good_at IS NOT NULL AS measured FROM zone z
        LEFT JOIN zone_judged j ON j.zone_id = z.id WHERE z.address = ANY(zones) AND z.state = 'active'
    ), a AS (
        SELECT a.zone_id, greatest(a.started_at, start) AS since, coalesce(a.returned_at, 'infinity') AS until,
            CASE WHEN a.kind = 'high' THEN 4 WHEN a.kind = 'low' THEN 3
                WHEN a.kind IN ('stale', 'silent_gateway') THEN 2 ELSE 1 END AS worse
        FROM zone_alarm a JOIN z ON z.id = a.zone_id
        WHERE a.started_at < stop AND coalesce(a.returned_at, 'infinity') > start
    ), e AS (
        SELECT id AS zone_id, start AS at, 0 AS worse, 0 AS change FROM z
        UNION ALL SELECT zone_id, since, worse, 1 FROM a
        UNION ALL SELECT zone_id, until, worse, -1 FROM a WHERE until < stop
    ), n AS (
        SELECT DISTINCT zone_id, at, sum(change) FILTER (WHERE worse = 4) OVER w AS high,
            sum(change) FILTER (WHERE worse = 3) OVER w AS low, sum(change) FILTER (WHERE worse = 2) OVER w AS silent,
            sum(change) FILTER (WHERE worse = 1) OVER w AS sensor
        FROM e WINDOW w AS (PARTITION BY zone_id ORDER BY at)
    ), worst AS (SELECT zone_id, max(worse) AS worse FROM a GROUP BY zone_id)
    SELECT n.at, z.address, CASE WHEN n.high > 0 THEN 4 WHEN n.low > 0 THEN 3 WHEN n.silent > 0 THEN 2
        WHEN n.sensor > 0 THEN 1 WHEN z.measured THEN 0 ELSE -1 END
    FROM n JOIN z ON z.id = n.zone_id LEFT JOIN worst ON worst.zone_id = z.id
    ORDER BY n.at, coalesce(worst.worse, 0) DESC, z.address
$$
"""

_ROOM_MINUTES = f"""
CREATE OR REPLACE FUNCTION board_minutes_out(zones text[], start timestamptz, stop timestamptz)
RETURNS TABLE (at timestamptz, zone text, minutes float8) {_AS_OWNER} AS $$
    SELECT d.at, z.address, coalesce(sum(extract(epoch FROM
            least(coalesce(a.returned_at, now()), d.at + interval '1 day') - greatest(a.started_at, d.at)
        ) / 60), 0)::float8
    FROM zone z CROSS JOIN generate_series(date_trunc('day', start, 'UTC'), stop, interval '1 day') d(at)
    LEFT JOIN zone_alarm a ON a.zone_id = z.id AND a.kind IN ('high', 'low')
        AND a.started_at < d.at + interval '1 day' AND coalesce(a.returned_at, now()) > d.at
    WHERE z.address = ANY(zones) GROUP BY 1, 2 ORDER BY 1
$$
"""

# the activation energy of most products, 83.14472 kJ/mol, over the gas constant is 10 000 K
_MKT = f"""
CREATE OR REPLACE FUNCTION board_mkt_at_most(zones text[], start timestamptz, stop timestamptz)
RETURNS TABLE (at timestamptz, point text, celsius float8, hours bigint) {_AS_OWNER} AS $$
    SELECT h.at, p.address, 10000 / -ln(h.mean) - 273.15, h.hours
    FROM point p JOIN zone z ON z.id = p.zone_id CROSS JOIN LATERAL (
        SELECT date_bin('1 day', o.hour_at, 'epoch') AS at, avg(exp(-10000 / (o.high + 273.15))) AS mean,
            count(*) AS hours
        FROM point_hour o
        WHERE o.point_id = p.id AND o.hour_at >= start AND o.hour_at <= stop AND o.high > -15 GROUP BY 1
    ) h
    WHERE z.address = ANY(zones) AND p.quantity = 'temperature' ORDER BY 1
$$
"""

_LOT_STAYS = f"""
CREATE OR REPLACE FUNCTION board_lot_stays(lot_number text, item_code text, start timestamptz, stop timestamptz)
RETURNS TABLE (zone text, from_at timestamptz, to_at timestamptz, sublots bigint) {_AS_OWNER} AS $$
    WITH f AS (
        SELECT c.sublot_id, c.zone_id, c.at, lead(c.at) OVER (PARTITION BY c.sublot_id ORDER BY c.at, c.id) AS until
        FROM lot l JOIN item i ON i.id = l.item_id JOIN sublot s ON s.lot_id = l.id
        JOIN custody_fact c ON c.sublot_id = s.id
        WHERE l.number = lot_number AND i.code = item_code AND c.retracts_id IS NULL
            AND NOT EXISTS (SELECT FROM custody_fact r WHERE r.retracts_id = c.id)
    ), spans AS (
        SELECT zone_id, unnest(range_agg(tstzrange(at, until))) AS span FROM f
        WHERE zone_id IS NOT NULL AND at <= stop AND coalesce(until, 'infinity') > start
            AND at < coalesce(until, 'infinity') GROUP BY zone_id
    )
    SELECT z.address, lower(x.span), upper(x.span),
        (SELECT count(DISTINCT f.sublot_id) FROM f WHERE f.zone_id = x.zone_id AND tstzrange(f.at, f.until) && x.span)
    FROM spans x JOIN zone z ON z.id = x.zone_id ORDER BY 2
$$
"""

_LOT_BAND = f"""
CREATE OR REPLACE FUNCTION board_lot_band(
    lot_number text, item_code text, start timestamptz, stop timestamptz, step_ms bigint
) RETURNS TABLE (at timestamptz, zone text, point text, low float8, high float8) {_AS_OWNER} AS $$
    WITH y AS (SELECT * FROM board_lot_stays(lot_number, item_code, start, stop))
    SELECT b.at, b.zone, b.point, b.low, b.high
    FROM board_band(ARRAY(SELECT DISTINCT zone FROM y), 'temperature', start, stop, step_ms, stop - start > {RAW_FOR}) b
    WHERE EXISTS (SELECT FROM y WHERE y.zone = b.zone AND b.at < coalesce(y.to_at, 'infinity')
        AND b.at + make_interval(secs => step_ms / 1000.0) > y.from_at)
    UNION ALL
    SELECT y.to_at, y.zone, p.address, NULL, NULL FROM y JOIN zone z ON z.address = y.zone
    JOIN point p ON p.zone_id = z.id AND p.quantity = 'temperature' WHERE y.to_at < stop
    ORDER BY 1
$$
"""

FUNCTIONS = {
    "board_band(text[], text, timestamptz, timestamptz, bigint, boolean)": _BAND,
    "board_last(text[], text, timestamptz, timestamptz, bigint)": _LAST,
    "board_unsure(text[], timestamptz, bigint)": _UNSURE,
    "board_batches(text[], timestamptz, timestamptz, bigint)": _BATCHES,
    "board_hours_read(timestamptz, timestamptz, bigint)": _READ,
    "board_zone_states(text[], timestamptz, timestamptz)": _ZONE_STATES,
    "board_minutes_out(text[], timestamptz, timestamptz)": _ROOM_MINUTES,
    "board_mkt_at_most(text[], timestamptz, timestamptz)": _MKT,
    "board_lot_stays(text, text, timestamptz, timestamptz)": _LOT_STAYS,
    "board_lot_band(text, text, timestamptz, timestamptz, bigint)": _LOT_BAND,
}
"""By signature: what makes each. In this order: the last calls the others."""
