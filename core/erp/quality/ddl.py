"""What the database itself guards in quality: what QA has signed is never edited, and no excursion disappears."""

from core.erp.kernel.ddl import no_removal
from core.erp.quality.workflow import EXCURSION


def _pairs() -> str:
    pairs = sorted({(source, move.target) for move in EXCURSION.moves.values() for source in move.sources})
    return ", ".join(f"('{source}', '{target}')" for source, target in pairs)


_EXCURSION = f"""
CREATE OR REPLACE FUNCTION lotwise_guard_excursion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before excursion := OLD;
BEGIN
    IF NEW.state <> OLD.state AND NOT EXISTS (SELECT FROM (VALUES {_pairs()}) AS t(source, target)
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

DDL: tuple[str, ...] = (
    _EXCURSION,
    "CREATE TRIGGER excursion_guard BEFORE UPDATE ON excursion FOR EACH ROW EXECUTE FUNCTION lotwise_guard_excursion()",
    *no_removal("excursion"),
    *no_removal("deviation"),
    *no_removal("incident"),
)
