"""What the database itself guards in lots: the ledger, reservations, holds, genealogy, births and life cycles."""

from collections.abc import Iterable

from core.erp.kernel.guarded import EVERY, Guarded
from core.erp.lots.model import Genealogy, Hold, Lot, Reservation, Restriction, StockMove, StockTask, Sublot, ZoneJudged
from core.erp.lots.predicate_sql import FUNCTIONS
from core.erp.lots.rules import ACCOUNTS, TARGETS, InternalPurpose, Purpose

TABLES = (
    Guarded(Lot, kept=True, identity=("item_id", "number", "maker", "expiry"), changes=("expiry", "maker_id")),
    Guarded(
        Sublot,
        kept=True,
        identity=("lot_id", "code", "serial", "created_at"),
        changes=("state", "zone_id", "handling_unit"),
    ),
    # lifted once, made surer (trigger hold_guard)
    Guarded(Hold, kept=True, changes=("certainty", "lifted_at", "lifted_by", "lift_reason")),
    Guarded(Restriction, kept=True, changes=("lifted_at", "lifted_by")),
    Guarded(Genealogy, append_only=True),
    Guarded(StockMove, append_only=True),
    Guarded(Reservation, kept=True, identity=("sublot_id", "amount", "purpose", "reference")),
    Guarded(StockTask, kept=True),
    Guarded(ZoneJudged, changes=EVERY, why="the judge's running state: made again from readings (design, rule 8)"),
)


def _target_rows() -> str:
    return ", ".join(f"('{purpose}', '{target}')" for purpose, targets in TARGETS.items() for target in sorted(targets))


_LEDGER = f"""
CREATE OR REPLACE FUNCTION lotwise_guard_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    left_over numeric;
    against jsonb;
BEGIN
    PERFORM FROM sublot WHERE id = NEW.sublot_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'sublot % does not exist', NEW.sublot_id
            USING ERRCODE = 'LW004', DETAIL = lotwise_message('kernel.no_record',
                jsonb_build_object('record', lotwise_message('record.sublot'), 'number', NEW.sublot_id))::text;
    END IF;
    IF 'stock' NOT IN (NEW.source, NEW.target) THEN
        RAISE EXCEPTION 'a move goes into stock or out of it'
            USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.move_beside_stock')::text;
    END IF;
    IF NEW.source <> 'stock' THEN
        RETURN NEW;
    END IF;
    IF NEW.purpose = '{InternalPurpose.REVERSAL}' THEN
        IF NEW.reverses_id IS NULL OR NOT EXISTS (SELECT FROM stock_move m WHERE m.id = NEW.reverses_id
                AND m.sublot_id = NEW.sublot_id AND m.target = 'stock' AND m.source = NEW.target
                AND m.amount = NEW.amount) THEN
            RAISE EXCEPTION 'a reversal names the move it undoes, and undoes all of it'
                USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.reversal_of_part')::text;
        END IF;
    ELSIF NOT EXISTS (SELECT FROM (VALUES {_target_rows()}) AS t(purpose, target)
            WHERE t.purpose = NEW.purpose AND t.target = NEW.target) THEN
        RAISE EXCEPTION 'stock does not go to % for %', NEW.target, NEW.purpose
            USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.target_forbidden',
                jsonb_build_object('target', lotwise_message('account.' || NEW.target),
                    'purpose', lotwise_message('purpose.' || NEW.purpose)))::text;
    END IF;
    left_over := lotwise_on_hand(NEW.sublot_id) - NEW.amount;
    IF left_over < 0 THEN
        RAISE EXCEPTION 'sublot % would have % on hand', NEW.sublot_id, left_over
            USING ERRCODE = 'LW002', DETAIL = lotwise_message('lots.below_nothing',
                jsonb_build_object('sublot_id', NEW.sublot_id, 'left', left_over::text))::text;
    END IF;
    IF NOT NEW.fact THEN
        SELECT jsonb_agg(lotwise_message('lots.obstacle',
            jsonb_build_object('kind', lotwise_message('obstacle.' || o.kind), 'why', o.message))) INTO against
        FROM lotwise_obstacles(ARRAY[NEW.sublot_id], NEW.purpose, NEW.posted_at) o;
        IF against IS NOT NULL THEN
            RAISE EXCEPTION 'sublot % may not be taken for %', NEW.sublot_id, NEW.purpose
                USING ERRCODE = 'LW001', DETAIL = lotwise_message('lots.not_movable', jsonb_build_object(
                    'code', (SELECT code FROM sublot WHERE id = NEW.sublot_id),
                    'purpose', lotwise_message('purpose.' || NEW.purpose), 'against', against))::text;
        END IF;
    END IF;
    RETURN NEW;
END $$
"""  # noqa: S608 - the rows come from our own table

_SPLIT = """
CREATE OR REPLACE FUNCTION lotwise_guard_split() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT sum(CASE WHEN m.target = 'split' THEN m.amount ELSE -m.amount END) FROM stock_move m
            WHERE m.reference = NEW.reference AND m.purpose IN ('split', 'merge')) <> 0 THEN
        RAISE EXCEPTION '%: what goes into a split comes out of it', NEW.reference
            USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.split_unbalanced',
                jsonb_build_object('reference', NEW.reference))::text;
    END IF;
    RETURN NULL;
END $$
"""

_RESERVATION = """
CREATE OR REPLACE FUNCTION lotwise_guard_reservation() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    begins boolean := TG_OP = 'INSERT' OR OLD.state = 'suspended';
    free numeric;
    against jsonb;
BEGIN
    IF NEW.state NOT IN ('active', 'picked') OR (TG_OP = 'UPDATE' AND NEW.state = OLD.state) THEN
        RETURN NEW;
    END IF;
    PERFORM FROM sublot WHERE id = NEW.sublot_id FOR UPDATE;
    -- what depends on the time of day is asked when it is made and when it is posted: here only the former is known
    SELECT jsonb_agg(lotwise_message('lots.obstacle',
            jsonb_build_object('kind', lotwise_message('obstacle.' || o.kind), 'why', o.message))) INTO against
    FROM lotwise_obstacles(ARRAY[NEW.sublot_id], NEW.purpose, NEW.created_at) o
    WHERE TG_OP = 'INSERT' OR o.kind IN ('held', 'unreleased');
    IF against IS NOT NULL THEN
        RAISE EXCEPTION 'sublot % may not be taken for %', NEW.sublot_id, NEW.purpose
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('lots.not_movable', jsonb_build_object(
                    'code', (SELECT code FROM sublot WHERE id = NEW.sublot_id),
                    'purpose', lotwise_message('purpose.' || NEW.purpose), 'against', against))::text;
    END IF;
    free := lotwise_free(NEW.sublot_id, NEW.id);
    IF begins AND free < NEW.amount THEN
        RAISE EXCEPTION 'sublot % has % free', NEW.sublot_id, free
            USING ERRCODE = 'LW002', DETAIL = lotwise_message('lots.sublot_has_free',
                jsonb_build_object('sublot_id', NEW.sublot_id, 'free', free::text))::text;
    END IF;
    RETURN NEW;
END $$
"""

_HOLD = """
CREATE OR REPLACE FUNCTION lotwise_guard_hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before hold := OLD;
    rank text[] := ARRAY['unproven', 'uncertain', 'proven'];
BEGIN
    IF OLD.lifted_at IS NOT NULL THEN
        RAISE EXCEPTION 'hold % is lifted and stays as it is', OLD.id
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('lots.hold_lifted_stays',
                jsonb_build_object('hold_id', OLD.id))::text;
    END IF;
    IF NEW.certainty IS DISTINCT FROM OLD.certainty AND
            COALESCE(array_position(rank, NEW.certainty), 0) < COALESCE(array_position(rank, OLD.certainty), 0) THEN
        RAISE EXCEPTION 'the certainty of hold % only grows', OLD.id
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('lots.certainty_only_grows',
                jsonb_build_object('hold_id', OLD.id))::text;
    END IF;
    before.lifted_at := NEW.lifted_at;
    before.lifted_by := NEW.lifted_by;
    before.lift_reason := NEW.lift_reason;
    before.certainty := NEW.certainty;
    IF before IS DISTINCT FROM NEW THEN
        RAISE EXCEPTION 'of hold % only its lifting may be written', OLD.id
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('lots.hold_only_lifted',
                jsonb_build_object('hold_id', OLD.id))::text;
    END IF;
    RETURN NEW;
END $$
"""

# whose goods these are while they are under way: the last site's, until they stand somewhere else
_SITE = """
CREATE OR REPLACE FUNCTION lotwise_sublot_site() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.site_id := (SELECT z.site_id FROM zone z WHERE z.id = NEW.zone_id);
    RETURN NEW;
END $$
"""
_ON_SITE = """
CREATE TRIGGER sublot_site BEFORE INSERT OR UPDATE OF zone_id ON sublot
FOR EACH ROW WHEN (NEW.zone_id IS NOT NULL) EXECUTE FUNCTION lotwise_sublot_site()
"""

_RESTRICTION = """
CREATE OR REPLACE FUNCTION lotwise_guard_restriction() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before restriction := OLD;
BEGIN
    before.lifted_at := NEW.lifted_at;
    before.lifted_by := NEW.lifted_by;
    IF OLD.lifted_at IS NOT NULL OR before IS DISTINCT FROM NEW THEN
        RAISE EXCEPTION 'of restriction % only its lifting may be written', OLD.id
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('lots.restriction_only_lifted',
                jsonb_build_object('restriction_id', OLD.id))::text;
    END IF;
    RETURN NEW;
END $$
"""

_GENEALOGY = """
CREATE OR REPLACE FUNCTION lotwise_guard_genealogy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM sublot WHERE id IN (NEW.parent_id, NEW.child_id) ORDER BY id FOR UPDATE;
    IF (NEW.transformation LIKE 'split:%' OR NEW.transformation LIKE 'merge:%') AND NOT EXISTS (
            SELECT FROM sublot p JOIN sublot c ON (c.lot_id, c.state) = (p.lot_id, p.state)
            WHERE p.id = NEW.parent_id AND c.id = NEW.child_id) THEN
        RAISE EXCEPTION 'sublots of one lot and one state are split and merged, not % and %', NEW.parent_id,
            NEW.child_id USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.split_across',
                jsonb_build_object('parent_id', NEW.parent_id, 'child_id', NEW.child_id))::text;
    END IF;
    -- Two edges that share no sublot can close a circle together: only one transaction links at a time.
    PERFORM pg_advisory_xact_lock(hashtext('lotwise.genealogy'));
    IF EXISTS (
        WITH RECURSIVE down(id) AS (
            SELECT NEW.child_id
            UNION
            SELECT g.child_id FROM genealogy g JOIN down ON g.parent_id = down.id
        ) SELECT FROM down WHERE id = NEW.parent_id
    ) THEN
        RAISE EXCEPTION 'sublot % is made from sublot % already', NEW.parent_id, NEW.child_id
            USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.genealogy_circle',
                jsonb_build_object('parent_id', NEW.parent_id, 'child_id', NEW.child_id))::text;
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
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('lots.born_unheld',
                jsonb_build_object('child_id', NEW.child_id, 'parent_id', NEW.parent_id))::text;
    END IF;
    RETURN NULL;
END $$
"""


_BORN_AS = """
CREATE OR REPLACE FUNCTION lotwise_born_as() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM genealogy g WHERE g.child_id = NEW.id
            AND (g.transformation LIKE 'split:%' OR g.transformation LIKE 'merge:%')) THEN
        RAISE EXCEPTION 'sublot % begins in quarantine: only a split and a merger begin as %', NEW.code, NEW.state
            USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.born_otherwise',
                jsonb_build_object('code', NEW.code, 'state', lotwise_message('state.sublot.' || NEW.state)))::text;
    END IF;
    RETURN NULL;
END $$
"""

_ON_BORN_AS = """
CREATE CONSTRAINT TRIGGER sublot_born_as AFTER INSERT ON sublot DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.state NOT IN ('expected', 'quarantine')) EXECUTE FUNCTION lotwise_born_as()
"""
_ON_SPLIT = """
CREATE CONSTRAINT TRIGGER stock_move_split AFTER INSERT ON stock_move DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN ('split' IN (NEW.source, NEW.target)) EXECUTE FUNCTION lotwise_guard_split()
"""
_ON_RESERVATION = """
CREATE TRIGGER reservation_guard BEFORE INSERT OR UPDATE OF state ON reservation
FOR EACH ROW EXECUTE FUNCTION lotwise_guard_reservation()
"""


def _one_of(table: str, column: str, names: Iterable[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column} CHECK ({column} IN ({quoted}))"


_ON_RESTRICTION = """
CREATE TRIGGER restriction_guard BEFORE UPDATE ON restriction
FOR EACH ROW EXECUTE FUNCTION lotwise_guard_restriction()
"""
_ON_BIRTH = """
CREATE CONSTRAINT TRIGGER genealogy_born_held AFTER INSERT ON genealogy DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION lotwise_born_held()
"""

DDL: tuple[str, ...] = (
    *FUNCTIONS,
    _LEDGER,
    "CREATE TRIGGER stock_move_guard BEFORE INSERT ON stock_move FOR EACH ROW EXECUTE FUNCTION lotwise_guard_move()",
    _one_of("stock_move", "purpose", (*Purpose, *InternalPurpose)),
    _one_of("stock_move", "source", ACCOUNTS),
    _one_of("stock_move", "target", ACCOUNTS),
    _SPLIT,
    _ON_SPLIT,
    _one_of("reservation", "purpose", Purpose),
    _RESERVATION,
    _ON_RESERVATION,
    _HOLD,
    "CREATE TRIGGER hold_guard BEFORE UPDATE ON hold FOR EACH ROW EXECUTE FUNCTION lotwise_guard_hold()",
    _SITE,
    _ON_SITE,
    _RESTRICTION,
    _ON_RESTRICTION,
    _GENEALOGY,
    "CREATE TRIGGER genealogy_guard BEFORE INSERT ON genealogy FOR EACH ROW EXECUTE FUNCTION lotwise_guard_genealogy()",
    _BORN_HELD,
    _ON_BIRTH,
    _BORN_AS,
    _ON_BORN_AS,
)
