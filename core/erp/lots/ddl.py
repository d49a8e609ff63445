"""What the database itself guards in lots: the predicate, the ledger, holds, genealogy and life cycles.

`lotwise_obstacles` is the one predicate: `service.movable` and the trigger on stock moves both ask it, so that plain
SQL cannot dispatch what the API would refuse.
"""

from core.erp.kernel.ddl import no_removal
from core.erp.lots.rules import POLICY, TARGETS, Internal, Purpose
from core.erp.lots.workflow import SUBLOT


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _policy_rows() -> str:
    return ",\n        ".join(
        f"('{purpose}', ARRAY[{', '.join(repr(s) for s in sorted(p.states))}], "
        f"{_bool(p.held)}, {_bool(p.expired)}, {_bool(p.unjudged)}, {_bool(p.restricted)})"
        for purpose, p in POLICY.items()
    )


def _target_rows() -> str:
    return ", ".join(f"('{purpose}', '{target}')" for purpose, targets in TARGETS.items() for target in sorted(targets))


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

_TODAY = """
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

_OBSTACLES = f"""
CREATE OR REPLACE FUNCTION lotwise_obstacles(ids bigint[], wanted text, at timestamptz)
RETURNS TABLE (sublot_id bigint, kind text, detail text, hold_id bigint)
LANGUAGE sql STABLE AS $$
    WITH policy(purpose, states, held, expired, unjudged, restricted) AS (VALUES
        {_policy_rows()}
    ), s AS (
        SELECT b.id, b.state, z.zone_id, b.lot_id, l.expiry, l.item_id, p.*, lotwise_local_date(z.zone_id, at) AS today
        FROM sublot b JOIN lot l ON l.id = b.lot_id JOIN policy p ON p.purpose = wanted
        CROSS JOIN LATERAL (SELECT lotwise_zone_at(b.id, at, b.zone_id) AS zone_id) z
        WHERE b.id = ANY (ids)
    )
    SELECT s.id, 'held', 'held since ' || to_char(h.since_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')
        || ': ' || h.reason, h.id
    FROM s JOIN hold h ON h.lifted_at IS NULL AND h.sublot_id = s.id WHERE s.held
    UNION ALL
    SELECT s.id, 'held', 'lot held since ' || to_char(h.since_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')
        || ': ' || h.reason, h.id
    FROM s JOIN hold h ON h.lifted_at IS NULL AND h.lot_id = s.lot_id WHERE s.held
    UNION ALL
    SELECT s.id, 'expired', 'expired at the end of ' || s.expiry, NULL::bigint
    FROM s WHERE s.expired AND s.expiry IS NOT NULL AND s.today > s.expiry
    UNION ALL
    SELECT s.id, 'unreleased', s.state || ', not ' || array_to_string(s.states, ' or '), NULL::bigint
    FROM s WHERE NOT s.state = ANY (s.states)
    UNION ALL
    SELECT s.id, 'restricted', CASE r.kind
        WHEN 'purpose' THEN 'not for ' || wanted
        WHEN 'use_by' THEN 'to be used by ' || (r.value ->> 'date')
        ELSE 'needs ' || (r.value ->> 'days') || ' days of remaining life' END, NULL::bigint
    FROM s JOIN restriction r ON r.sublot_id = s.id AND r.lifted_at IS NULL
    WHERE s.restricted AND CASE r.kind
        WHEN 'purpose' THEN COALESCE(NOT r.value -> 'only' ? wanted, r.value -> 'except' ? wanted)
        WHEN 'use_by' THEN s.today > (r.value ->> 'date')::date
        WHEN 'remaining_life' THEN s.expiry IS NULL OR s.expiry - s.today < (r.value ->> 'days')::int
        ELSE false END
    UNION ALL
    SELECT s.id, 'unjudged', CASE
        WHEN j.zone IS NULL THEN 'stands in no zone that is measured'
        WHEN past.id IS NOT NULL THEN 'no good reading of its zone from '
            || to_char(past.start_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') || ' to '
            || to_char(past.stop_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')
        WHEN zj.last_good_at IS NULL THEN 'no good reading of its zone'
        ELSE 'no good reading of its zone since '
            || to_char(zj.last_good_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') END, NULL::bigint
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

_LEDGER = f"""
CREATE OR REPLACE FUNCTION lotwise_guard_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    left_over numeric;
    against text;
BEGIN
    PERFORM FROM sublot WHERE id = NEW.sublot_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'sublot % does not exist', NEW.sublot_id USING ERRCODE = 'LW004';
    END IF;
    IF 'stock' NOT IN (NEW.source, NEW.target) THEN
        RAISE EXCEPTION 'a move goes into stock or out of it' USING ERRCODE = 'LW003';
    END IF;
    IF NEW.source <> 'stock' THEN
        RETURN NEW;
    END IF;
    IF NEW.purpose = '{Internal.REVERSAL}' THEN
        IF NEW.reverses_id IS NULL OR NOT EXISTS (SELECT FROM stock_move m WHERE m.id = NEW.reverses_id
                AND m.sublot_id = NEW.sublot_id AND m.target = 'stock' AND m.source = NEW.target
                AND m.amount = NEW.amount) THEN
            RAISE EXCEPTION 'a reversal names the move it undoes, and undoes all of it' USING ERRCODE = 'LW003';
        END IF;
    ELSIF NOT EXISTS (SELECT FROM (VALUES {_target_rows()}) AS t(purpose, target)
            WHERE t.purpose = NEW.purpose AND t.target = NEW.target) THEN
        RAISE EXCEPTION 'stock does not go to % for %', NEW.target, NEW.purpose USING ERRCODE = 'LW003';
    END IF;
    left_over := lotwise_on_hand(NEW.sublot_id) - NEW.amount;
    IF left_over < 0 THEN
        RAISE EXCEPTION 'sublot % would have % on hand', NEW.sublot_id, left_over USING ERRCODE = 'LW002';
    END IF;
    IF NOT NEW.fact THEN
        SELECT string_agg(o.kind || ': ' || o.detail, '; ') INTO against
        FROM lotwise_obstacles(ARRAY[NEW.sublot_id], NEW.purpose, NEW.posted_at) o;
        IF against IS NOT NULL THEN
            RAISE EXCEPTION 'sublot % may not be taken for %: %', NEW.sublot_id, NEW.purpose, against
                USING ERRCODE = 'LW001';
        END IF;
    END IF;
    RETURN NEW;
END $$
"""  # noqa: S608 - the rows come from our own table

_HOLD = """
CREATE OR REPLACE FUNCTION lotwise_guard_hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before hold := OLD;
    rank text[] := ARRAY['unproven', 'uncertain', 'proven'];
BEGIN
    IF OLD.lifted_at IS NOT NULL THEN
        RAISE EXCEPTION 'hold % is lifted and stays as it is', OLD.id USING ERRCODE = 'LW005';
    END IF;
    IF NEW.certainty IS DISTINCT FROM OLD.certainty AND
            COALESCE(array_position(rank, NEW.certainty), 0) < COALESCE(array_position(rank, OLD.certainty), 0) THEN
        RAISE EXCEPTION 'the certainty of hold % only grows', OLD.id USING ERRCODE = 'LW005';
    END IF;
    before.lifted_at := NEW.lifted_at;
    before.lifted_by := NEW.lifted_by;
    before.lift_reason := NEW.lift_reason;
    before.certainty := NEW.certainty;
    IF before IS DISTINCT FROM NEW THEN
        RAISE EXCEPTION 'of hold % only its lifting may be written', OLD.id USING ERRCODE = 'LW005';
    END IF;
    RETURN NEW;
END $$
"""

_RESTRICTION = """
CREATE OR REPLACE FUNCTION lotwise_guard_restriction() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before restriction := OLD;
BEGIN
    before.lifted_at := NEW.lifted_at;
    before.lifted_by := NEW.lifted_by;
    IF OLD.lifted_at IS NOT NULL OR before IS DISTINCT FROM NEW THEN
        RAISE EXCEPTION 'of restriction % only its lifting may be written', OLD.id USING ERRCODE = 'LW005';
    END IF;
    RETURN NEW;
END $$
"""

_GENEALOGY = """
CREATE OR REPLACE FUNCTION lotwise_guard_genealogy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM sublot WHERE id IN (NEW.parent_id, NEW.child_id) ORDER BY id FOR UPDATE;
    -- Two edges that share no sublot can close a circle together: only one transaction links at a time.
    PERFORM pg_advisory_xact_lock(hashtext('lotwise.genealogy'));
    IF EXISTS (
        WITH RECURSIVE down(id) AS (
            SELECT NEW.child_id
            UNION
            SELECT g.child_id FROM genealogy g JOIN down ON g.parent_id = down.id
        ) SELECT FROM down WHERE id = NEW.parent_id
    ) THEN
        RAISE EXCEPTION 'sublot % is made from sublot % already', NEW.parent_id, NEW.child_id USING ERRCODE = 'LW003';
    END IF;
    RETURN NEW;
END $$
"""

_BORN_HELD = """
CREATE OR REPLACE FUNCTION lotwise_born_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM hold WHERE sublot_id = NEW.parent_id AND lifted_at IS NULL)
            AND NOT EXISTS (SELECT FROM hold h WHERE h.sublot_id = NEW.child_id) THEN
        RAISE EXCEPTION 'sublot % comes from held sublot % and must be held', NEW.child_id, NEW.parent_id
            USING ERRCODE = 'LW001';
    END IF;
    RETURN NULL;
END $$
"""


_SUBLOT = f"""
CREATE OR REPLACE FUNCTION lotwise_guard_sublot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.lot_id <> OLD.lot_id OR NEW.code <> OLD.code THEN
        RAISE EXCEPTION 'a sublot keeps its lot and its code' USING ERRCODE = 'LW005';
    END IF;
    IF NEW.state <> OLD.state AND NOT EXISTS (SELECT FROM (VALUES {SUBLOT.pairs()}) AS t(source, target)
            WHERE t.source = OLD.state AND t.target = NEW.state) THEN
        RAISE EXCEPTION 'a % sublot cannot become %', OLD.state, NEW.state USING ERRCODE = 'LW003';
    END IF;
    RETURN NEW;
END $$
"""

_PURPOSES = ", ".join(f"'{name}'" for name in (*Purpose, *Internal))

_ON_RESTRICTION = """
CREATE TRIGGER restriction_guard BEFORE UPDATE ON restriction
FOR EACH ROW EXECUTE FUNCTION lotwise_guard_restriction()
"""
_ON_BIRTH = """
CREATE CONSTRAINT TRIGGER genealogy_born_held AFTER INSERT ON genealogy DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION lotwise_born_held()
"""

DDL: tuple[str, ...] = (
    _JUDGING_ZONE,
    _TODAY,
    _ZONE_AT,
    _OBSTACLES,
    _ON_HAND,
    _LEDGER,
    "CREATE TRIGGER stock_move_guard BEFORE INSERT ON stock_move FOR EACH ROW EXECUTE FUNCTION lotwise_guard_move()",
    f"ALTER TABLE stock_move ADD CONSTRAINT stock_move_purpose CHECK (purpose IN ({_PURPOSES}))",
    _HOLD,
    "CREATE TRIGGER hold_guard BEFORE UPDATE ON hold FOR EACH ROW EXECUTE FUNCTION lotwise_guard_hold()",
    *no_removal("hold"),
    _RESTRICTION,
    _ON_RESTRICTION,
    *no_removal("restriction"),
    _GENEALOGY,
    "CREATE TRIGGER genealogy_guard BEFORE INSERT ON genealogy FOR EACH ROW EXECUTE FUNCTION lotwise_guard_genealogy()",
    _BORN_HELD,
    _ON_BIRTH,
    _SUBLOT,
    "CREATE TRIGGER sublot_guard BEFORE UPDATE ON sublot FOR EACH ROW EXECUTE FUNCTION lotwise_guard_sublot()",
    *no_removal("sublot"),
    *no_removal("lot"),
)
