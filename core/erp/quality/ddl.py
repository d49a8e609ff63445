"""What the database itself guards in quality: what QA has signed is never edited, and no excursion disappears."""

from core.erp.kernel.ddl import no_removal, signed
from core.erp.quality.rules import LIVE
from core.erp.quality.workflow import EXCURSION

_EXCURSION = f"""
CREATE OR REPLACE FUNCTION lotwise_guard_excursion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before excursion := OLD;
BEGIN
    IF NEW.state <> OLD.state AND NOT EXISTS (SELECT FROM (VALUES {EXCURSION.pairs()}) AS t(source, target)
            WHERE t.source = OLD.state AND t.target = NEW.state) THEN
        RAISE EXCEPTION 'a % excursion cannot become %', OLD.state, NEW.state USING ERRCODE = 'LW003';
    END IF;
    before.state := NEW.state;
    IF OLD.state = 'dispositioned' AND OLD.accepted IS NULL THEN
        before.accepted := NEW.accepted;
    END IF;
    IF OLD.state IN ('dispositioned', 'closed', 'superseded') AND before IS DISTINCT FROM NEW THEN
        RAISE EXCEPTION 'excursion % is % and stays as it is', OLD.id, OLD.state USING ERRCODE = 'LW005';
    END IF;
    IF (NEW.sublot_id, NEW.version_id, NEW.limit_key, NEW.started_at, NEW.accepted_before) IS DISTINCT FROM
            (OLD.sublot_id, OLD.version_id, OLD.limit_key, OLD.started_at, OLD.accepted_before) THEN
        RAISE EXCEPTION 'an excursion keeps its identity' USING ERRCODE = 'LW005';
    END IF;
    RETURN NEW;
END $$
"""  # noqa: S608 - the pairs come from our own table

_DECIDED = """
CREATE OR REPLACE FUNCTION lotwise_guard_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM disposition d WHERE d.excursion_id = NEW.id) THEN
        RAISE EXCEPTION 'excursion % is disposed of by a signed disposition only', NEW.id USING ERRCODE = 'LW001';
    END IF;
    RETURN NULL;
END $$
"""

_ON_DECIDED = """
CREATE CONSTRAINT TRIGGER excursion_decided AFTER UPDATE OF state ON excursion DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.state = 'dispositioned') EXECUTE FUNCTION lotwise_guard_decided()
"""

_KEEP_HOLD = f"""
CREATE OR REPLACE FUNCTION lotwise_keep_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM excursion e WHERE e.id = NEW.excursion_id
            AND e.state IN ({", ".join(f"'{state}'" for state in sorted(LIVE))})) THEN
        RAISE EXCEPTION 'hold % is lifted by disposing of excursion %', NEW.id, NEW.excursion_id
            USING ERRCODE = 'LW001';
    END IF;
    RETURN NULL;
END $$
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
    _EXCURSION,
    "CREATE TRIGGER excursion_guard BEFORE UPDATE ON excursion FOR EACH ROW EXECUTE FUNCTION lotwise_guard_excursion()",
    *no_removal("excursion"),
    *no_removal("deviation"),
    *no_removal("incident"),
)
