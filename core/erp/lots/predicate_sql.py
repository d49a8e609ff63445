"""The predicate as the database asks it: `lotwise_obstacles` and what it stands on.

`service.movable` and the triggers on stock moves and reservations all ask it, so that plain SQL cannot dispatch what
the API would refuse.
"""

from core.erp.lots.rules import POLICY


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _policy_rows() -> str:
    return ",\n        ".join(
        f"('{purpose}', ARRAY[{', '.join(repr(s) for s in sorted(p.states))}], "
        f"{_bool(p.held)}, {_bool(p.expired)}, {_bool(p.unjudged)}, {_bool(p.restricted)})"
        for purpose, p in POLICY.items()
    )


_JUDGING_ZONE = """
CREATE OR REPLACE FUNCTION lotwise_judging_zone(zone bigint, at timestamptz) RETURNS bigint
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE up(id, depth) AS (
        SELECT zone, 0
        UNION ALL
        SELECT n.parent_id, up.depth + 1 FROM up JOIN zone_nesting n
            ON n.zone_id = up.id AND n.from_at <= at AND (n.to_at IS NULL OR n.to_at > at)
        WHERE up.depth < 16
    )
    SELECT up.id FROM up JOIN zone z ON z.id = up.id
    CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT FROM point p WHERE p.zone_id = up.id AND p.role = 'required') AS monitored
    ) m
    WHERE m.monitored OR z.worst_temperature IS NOT NULL
    -- the innermost monitored one judges; where there is none, the innermost that declares its worst temperature
    ORDER BY NOT m.monitored, up.depth LIMIT 1
$$
"""

_LOCAL_DATE = """
CREATE OR REPLACE FUNCTION lotwise_local_date(zone bigint, at timestamptz) RETURNS date
LANGUAGE sql STABLE AS $$
    SELECT (at AT TIME ZONE COALESCE(
        (SELECT s.timezone FROM zone z JOIN site s ON s.id = z.site_id WHERE z.id = zone), 'UTC'))::date
$$
"""

_ZONE_AT = """
CREATE OR REPLACE FUNCTION lotwise_zone_at(wanted bigint, at timestamptz, otherwise bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    -- where it stood then, as known now; a fact without a zone (not with us) is an answer too
    SELECT CASE WHEN f.id IS NULL THEN otherwise ELSE f.zone_id END
    FROM (SELECT 1) one LEFT JOIN LATERAL (
        SELECT c.id, c.zone_id FROM custody_fact c
        WHERE c.sublot_id = wanted AND c.at <= lotwise_zone_at.at AND c.retracts_id IS NULL
            AND NOT EXISTS (SELECT FROM custody_fact r WHERE r.sublot_id = wanted AND r.retracts_id = c.id)
        ORDER BY c.at DESC, c.known_at DESC, c.id DESC LIMIT 1
    ) f ON true
$$
"""

# planned once a session, for any goods: to plan it takes ten times as long as to run it, and every act asks it twice
_OBSTACLES = f"""
CREATE OR REPLACE FUNCTION lotwise_obstacles(ids bigint[], wanted text, at timestamptz)
RETURNS TABLE (sublot_id bigint, kind text, message jsonb, hold_id bigint)
LANGUAGE sql STABLE SET plan_cache_mode = force_generic_plan AS $$
    WITH policy(purpose, states, held, expired, unjudged, restricted) AS (VALUES
        {_policy_rows()}
    ), s AS (
        SELECT b.id, b.state, z.zone_id, b.lot_id, l.expiry, l.item_id, p.*, lotwise_local_date(z.zone_id, at) AS today
        FROM sublot b JOIN lot l ON l.id = b.lot_id JOIN policy p ON p.purpose = wanted
        CROSS JOIN LATERAL (SELECT lotwise_zone_at(b.id, at, b.zone_id) AS zone_id) z
        WHERE b.id = ANY (ids)
    )
    SELECT s.id, 'held', lotwise_message('lots.held_since', jsonb_build_object('since', h.since_at,
        'reason', COALESCE(h.reason_message, to_jsonb(h.reason)))), h.id
    FROM s JOIN hold h ON h.lifted_at IS NULL AND h.sublot_id = s.id WHERE s.held
    UNION ALL
    SELECT s.id, 'held', lotwise_message('lots.lot_held_since', jsonb_build_object('since', h.since_at,
        'reason', COALESCE(h.reason_message, to_jsonb(h.reason)))), h.id
    FROM s JOIN hold h ON h.lifted_at IS NULL AND h.lot_id = s.lot_id WHERE s.held
    UNION ALL
    SELECT s.id, 'restored', lotwise_message('lots.database_restored',
        jsonb_build_object('at', r.at, 'restoration_id', r.id)), NULL::bigint
    FROM s JOIN (
        SELECT r.id, COALESCE((SELECT k.at FROM audit_seal k WHERE k.number = r.database_seal), r.found_at) AS at
        FROM restoration r WHERE r.signature_id IS NULL ORDER BY r.id LIMIT 1
    ) r ON s.held
    UNION ALL
    SELECT s.id, 'expired', lotwise_message('lots.expired', jsonb_build_object('day', s.expiry)), NULL::bigint
    FROM s WHERE s.expired AND s.expiry IS NOT NULL AND s.today > s.expiry
    UNION ALL
    SELECT s.id, 'unreleased', lotwise_message('lots.unreleased', jsonb_build_object(
        'state', lotwise_message('state.sublot.' || s.state),
        'states', (SELECT jsonb_agg(lotwise_message('state.sublot.' || one)) FROM unnest(s.states) one))), NULL::bigint
    FROM s WHERE NOT s.state = ANY (s.states)
    UNION ALL
    SELECT s.id, 'restricted', CASE r.kind
        WHEN 'purpose' THEN lotwise_message('lots.not_for_purpose',
            jsonb_build_object('purpose', lotwise_message('purpose.' || wanted)))
        WHEN 'use_by' THEN lotwise_message('lots.to_be_used_by', jsonb_build_object('day', r.value -> 'date'))
        ELSE lotwise_message('lots.remaining_life_missing', jsonb_build_object('days', r.value -> 'days'))
        END, NULL::bigint
    FROM s JOIN restriction r ON r.sublot_id = s.id AND r.lifted_at IS NULL
    WHERE s.restricted AND CASE r.kind
        WHEN 'purpose' THEN COALESCE(NOT r.value -> 'only' ? wanted, r.value -> 'except' ? wanted)
        WHEN 'use_by' THEN s.today > (r.value ->> 'date')::date
        WHEN 'remaining_life' THEN s.expiry IS NULL OR s.expiry - s.today < (r.value ->> 'days')::int
        ELSE false END
    UNION ALL
    SELECT s.id, 'unjudged', CASE
        WHEN j.zone IS NULL THEN lotwise_message('lots.zone_not_measured')
        WHEN past.id IS NOT NULL THEN lotwise_message('lots.no_good_reading_between',
            jsonb_build_object('start', past.start_at, 'stop', past.stop_at))
        WHEN zj.last_good_at IS NULL THEN lotwise_message('lots.no_good_reading')
        ELSE lotwise_message('lots.no_good_reading_since', jsonb_build_object('since', zj.last_good_at))
        END, NULL::bigint
    FROM s
    JOIN LATERAL (
        SELECT v.allowed_gap FROM item_profile ip JOIN profile_version v ON v.id = ip.version_id
        WHERE ip.item_id = s.item_id AND ip.from_at <= at ORDER BY ip.from_at DESC, ip.id DESC LIMIT 1
    ) gap ON true
    CROSS JOIN LATERAL (SELECT lotwise_judging_zone(s.zone_id, at) AS zone) j
    LEFT JOIN zone_judged zj ON zj.zone_id = j.zone
    -- a fact learned late: the zone has spoken since, yet it may have been silent then
    LEFT JOIN LATERAL (
        SELECT g.id, g.start_at, g.stop_at FROM gap_record g JOIN point p ON p.id = g.point_id AND p.role = 'required'
        WHERE zj.last_good_at > at AND p.zone_id = j.zone AND g.start_at < at AND g.stop_at > at
            AND NOT EXISTS (SELECT FROM gap_record n WHERE n.replaces_id = g.id)
        ORDER BY g.start_at LIMIT 1
    ) past ON true
    WHERE s.unjudged AND (
        j.zone IS NULL
        OR past.id IS NOT NULL
        OR (EXISTS (SELECT FROM point p WHERE p.zone_id = j.zone AND p.role = 'required')
            AND (zj.last_good_at IS NULL OR at > zj.last_good_at + gap.allowed_gap))
    )
$$
"""  # noqa: S608 - the rows come from our own table

_ON_HAND = """
CREATE OR REPLACE FUNCTION lotwise_on_hand(wanted bigint) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT COALESCE(sum(CASE WHEN target = 'stock' THEN amount WHEN source = 'stock' THEN -amount END), 0)
    FROM stock_move WHERE sublot_id = wanted
$$
"""

_FREE = """
CREATE OR REPLACE FUNCTION lotwise_free(wanted bigint, but bigint) RETURNS numeric LANGUAGE sql STABLE AS $$
    -- on hand and kept for nobody else than the reservation `but`
    SELECT lotwise_on_hand(wanted) - COALESCE((SELECT sum(r.amount) FROM reservation r
        WHERE r.sublot_id = wanted AND r.state IN ('active', 'picked') AND r.id IS DISTINCT FROM but), 0)
$$
"""

FUNCTIONS: tuple[str, ...] = (_JUDGING_ZONE, _LOCAL_DATE, _ZONE_AT, _OBSTACLES, _ON_HAND, _FREE)
