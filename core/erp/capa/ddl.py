"""What the database itself guards of CAPA: what was signed stays, and nothing ends without a signed check."""

from core.erp.capa.model import Capa, CapaAction, CapaCheck, CapaPlan
from core.erp.kernel.guarded import Guarded
from core.erp.kernel.triggers import signed

TABLES = (
    Guarded(
        Capa,
        kept=True,
        identity=("number", "site_id", "kind", "source", "reference", "deviation_id", "incident_id", "opened_at"),
    ),
    Guarded(CapaAction, kept=True, identity=("capa_id",)),
    Guarded(CapaPlan, append_only=True),
    Guarded(CapaCheck, append_only=True),
)

_SIGNED = """
CREATE TRIGGER capa_signed BEFORE UPDATE ON capa
FOR EACH ROW WHEN (OLD.state NOT IN ('open', 'analysed')) EXECUTE FUNCTION lotwise_guard_only('state')
"""

_ACTION_DONE = """
CREATE TRIGGER capa_action_done BEFORE UPDATE ON capa_action
FOR EACH ROW WHEN (OLD.state <> 'open')
EXECUTE FUNCTION lotwise_guard_only('state', 'result', 'done_by', 'done_at')
"""

_MOVED = """
CREATE OR REPLACE FUNCTION lotwise_guard_capa() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    newest capa_plan;
    lacking text;
BEGIN
    SELECT * INTO newest FROM capa_plan p WHERE p.capa_id = NEW.id ORDER BY p.id DESC LIMIT 1;
    -- this very plan: one of the past stands for what was meant then
    IF NEW.state = 'planned' AND newest.transaction IS DISTINCT FROM pg_current_xact_id()::text::bigint THEN
        lacking := 'capa.planned_unsigned';
    ELSIF (NEW.state = 'closed' OR OLD.state = 'done' AND NEW.state = 'open') AND NOT EXISTS (SELECT FROM capa_check c
            WHERE c.plan_id = newest.id AND c.effective = (NEW.state = 'closed')) THEN
        lacking := 'capa.unchecked';
    ELSIF NEW.state = 'withdrawn' AND newest.id IS NOT NULL THEN
        lacking := 'capa.planned_already';
    END IF;
    IF lacking IS NOT NULL THEN
        RAISE EXCEPTION 'CAPA % does not become %: no plan or check is signed for it', NEW.number, NEW.state
            USING ERRCODE = 'LW001',
            DETAIL = lotwise_message(lacking, jsonb_build_object('number', NEW.number))::text;
    END IF;
    RETURN NULL;
END $$
"""

_ON_MOVED = """
CREATE CONSTRAINT TRIGGER capa_moved AFTER UPDATE OF state ON capa DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION lotwise_guard_capa()
"""

_CHECK = """
CREATE OR REPLACE FUNCTION lotwise_guard_capa_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    plan record;
    checker bigint := (SELECT s.user_id FROM signature s WHERE s.id = NEW.signature_id);
BEGIN
    SELECT c.number, p.check_from, s.user_id INTO plan FROM capa c
        LEFT JOIN capa_plan p ON p.id = NEW.plan_id AND p.capa_id = c.id
        LEFT JOIN signature s ON s.id = p.signature_id WHERE c.id = NEW.capa_id;
    IF plan.check_from IS NULL THEN
        RAISE EXCEPTION 'CAPA % has no such plan', plan.number USING ERRCODE = 'LW001',
            DETAIL = lotwise_message('capa.planned_unsigned', jsonb_build_object('number', plan.number))::text;
    ELSIF NEW.signed_at < plan.check_from THEN
        RAISE EXCEPTION 'CAPA % is checked too early', plan.number USING ERRCODE = 'LW001',
            DETAIL = lotwise_message('capa.checked_too_early',
                jsonb_build_object('number', plan.number, 'since', plan.check_from))::text;
    ELSIF checker = plan.user_id THEN
        RAISE EXCEPTION 'CAPA % is checked by who has planned it', plan.number USING ERRCODE = 'LW001',
            DETAIL = lotwise_message('capa.checked_by_planner',
                jsonb_build_object('number', plan.number, 'login', NEW.signed_by))::text;
    END IF;
    RETURN NEW;
END $$
"""

_ON_CHECK = """
CREATE TRIGGER capa_check_guard BEFORE INSERT ON capa_check
FOR EACH ROW EXECUTE FUNCTION lotwise_guard_capa_check()
"""

_ACTION = """
CREATE OR REPLACE FUNCTION lotwise_guard_capa_action() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    its capa;
BEGIN
    SELECT * INTO its FROM capa c WHERE c.id = NEW.capa_id;
    IF its.state IN ('open', 'analysed')
            OR TG_OP = 'UPDATE' AND (NEW.what, NEW.owner, NEW.due_on) = (OLD.what, OLD.owner, OLD.due_on) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the plan of CAPA % is signed', its.number USING ERRCODE = 'LW001',
        DETAIL = lotwise_message('capa.plan_is_signed', jsonb_build_object('number', its.number,
            'state', lotwise_message('state.capa.' || its.state)))::text;
END $$
"""

_ON_ACTION = """
CREATE TRIGGER capa_action_guard BEFORE INSERT OR UPDATE ON capa_action
FOR EACH ROW EXECUTE FUNCTION lotwise_guard_capa_action()
"""

DDL: tuple[str, ...] = (
    _SIGNED,
    _ACTION_DONE,
    _MOVED,
    _ON_MOVED,
    _CHECK,
    _ON_CHECK,
    _ACTION,
    _ON_ACTION,
    signed("capa_plan", "capa", "capa_id"),
    signed("capa_check", "capa", "capa_id"),
)
