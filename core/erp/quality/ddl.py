"""What the database itself guards in quality: what QA has signed is never edited, and no excursion disappears.

Goods are released by a batch release only, never against a hold or an excursion that nobody has disposed of.
"""

from core.erp.kernel.guarded import EVERY, Guarded
from core.erp.kernel.triggers import only, signed
from core.erp.quality.model import BatchRelease, Deviation, Disposition, Excursion, Incident, ZoneAlarm, ZoneAlarmMode
from core.erp.quality.rules import LIVE

TABLES = (
    Guarded(Incident, kept=True),
    Guarded(Excursion, kept=True),
    Guarded(Disposition, append_only=True),
    Guarded(BatchRelease, append_only=True),
    Guarded(Deviation, kept=True, changes=("state", "conclusion", "closed_by", "closed_at")),
    Guarded(ZoneAlarm, kept=True),
    Guarded(ZoneAlarmMode, changes=EVERY, why="how an operator's alarm is shown; each change has its audit row"),
)

_EXCURSION = """
CREATE OR REPLACE FUNCTION lotwise_guard_excursion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before excursion := OLD;
BEGIN
    before.state := NEW.state;
    IF OLD.state = 'dispositioned' AND OLD.accepted IS NULL THEN
        before.accepted := NEW.accepted;
    END IF;
    IF OLD.state IN ('dispositioned', 'closed', 'superseded') AND before IS DISTINCT FROM NEW THEN
        RAISE EXCEPTION 'excursion % is % and stays as it is', OLD.id, OLD.state
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('quality.excursion_stays', jsonb_build_object(
                'excursion_id', OLD.id, 'state', lotwise_message('state.excursion.' || OLD.state)))::text;
    END IF;
    IF (NEW.id, NEW.sublot_id, NEW.version_id, NEW.limit_key, NEW.started_at, NEW.accepted_before) IS DISTINCT FROM
            (OLD.id, OLD.sublot_id, OLD.version_id, OLD.limit_key, OLD.started_at, OLD.accepted_before) THEN
        RAISE EXCEPTION 'an excursion keeps its identity'
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('quality.excursion_keeps_identity')::text;
    END IF;
    RETURN NEW;
END $$
"""

_DECIDED = """
CREATE OR REPLACE FUNCTION lotwise_guard_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM disposition d WHERE d.excursion_id = NEW.id) THEN
        RAISE EXCEPTION 'excursion % is disposed of by a signed disposition only', NEW.id
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('quality.disposed_of_unsigned',
                jsonb_build_object('excursion_id', NEW.id))::text;
    END IF;
    RETURN NULL;
END $$
"""

_ON_DECIDED = """
CREATE CONSTRAINT TRIGGER excursion_decided AFTER UPDATE OF state ON excursion DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.state = 'dispositioned') EXECUTE FUNCTION lotwise_guard_decided()
"""

_LIVE = ", ".join(f"'{state}'" for state in sorted(LIVE))

_KEEP_HOLD = f"""
CREATE OR REPLACE FUNCTION lotwise_keep_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM excursion e WHERE e.id = NEW.excursion_id
            AND e.state IN ({_LIVE})) THEN
        RAISE EXCEPTION 'hold % is lifted by disposing of excursion %', NEW.id, NEW.excursion_id
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('quality.hold_of_excursion',
                jsonb_build_object('hold_id', NEW.id, 'excursion_id', NEW.excursion_id))::text;
    END IF;
    RETURN NULL;
END $$
"""

_CLEAR = f"""
CREATE OR REPLACE FUNCTION lotwise_guard_release() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    against jsonb;
BEGIN
    SELECT jsonb_agg(f.what) INTO against FROM (
        SELECT lotwise_message('quality.held',
            jsonb_build_object('reason', COALESCE(h.reason_message, to_jsonb(h.reason)))) FROM hold h
        WHERE h.lifted_at IS NULL AND (h.sublot_id = NEW.id OR h.lot_id = NEW.lot_id)
        UNION ALL
        SELECT lotwise_message('quality.excursion_undecided', jsonb_build_object('excursion_id', e.id,
            'state', lotwise_message('state.excursion.' || e.state))) FROM excursion e
        WHERE e.sublot_id = NEW.id AND e.state IN ({_LIVE})
    ) AS f(what);
    IF against IS NOT NULL THEN
        RAISE EXCEPTION 'sublot % may not be released', NEW.code
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('quality.may_not_be_released',
                jsonb_build_object('code', NEW.code, 'against', against))::text;
    END IF;
    RETURN NEW;
END $$
"""  # noqa: S608 - the states come from our own table

_RELEASED = """
CREATE OR REPLACE FUNCTION lotwise_guard_released() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- this very release: one of the past stands for the goods as they were then
    IF NOT EXISTS (SELECT FROM batch_release b WHERE b.sublot_id = NEW.id
            AND b.transaction = pg_current_xact_id()::text::bigint) THEN
        RAISE EXCEPTION 'sublot % is released by a batch release only', NEW.code
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('quality.released_otherwise',
                jsonb_build_object('code', NEW.code))::text;
    END IF;
    RETURN NULL;
END $$
"""

_BECOMES_RELEASED = "WHEN (NEW.state = 'released' AND OLD.state <> 'released')"
_ON_RELEASE = f"""
CREATE TRIGGER sublot_release BEFORE UPDATE OF state ON sublot
FOR EACH ROW {_BECOMES_RELEASED} EXECUTE FUNCTION lotwise_guard_release()
"""
_ON_RELEASED = f"""
CREATE CONSTRAINT TRIGGER sublot_released AFTER UPDATE OF state ON sublot DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW {_BECOMES_RELEASED} EXECUTE FUNCTION lotwise_guard_released()
"""

_ON_LIFT = """
CREATE CONSTRAINT TRIGGER hold_kept AFTER UPDATE OF lifted_at ON hold DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.lifted_at IS NOT NULL AND NEW.excursion_id IS NOT NULL) EXECUTE FUNCTION lotwise_keep_hold()
"""

DDL: tuple[str, ...] = (
    _DECIDED,
    _ON_DECIDED,
    _KEEP_HOLD,
    _ON_LIFT,
    signed("disposition", "excursion", "excursion_id"),
    signed("batch_release", "sublot", "sublot_id"),
    _CLEAR,
    _ON_RELEASE,
    _RELEASED,
    _ON_RELEASED,
    only("deviation", "state", "conclusion", "closed_by", "closed_at"),
    _EXCURSION,
    "CREATE TRIGGER excursion_guard BEFORE UPDATE ON excursion FOR EACH ROW EXECUTE FUNCTION lotwise_guard_excursion()",
)
