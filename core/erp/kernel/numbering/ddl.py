"""What the database guards of numbering: a gapless series goes on by one, and never back."""

from core.erp.kernel.guarded import Guarded
from core.erp.kernel.numbering.model import NumberCounter
from core.erp.kernel.numbering.rules import Series

TABLES = (Guarded(NumberCounter, kept=True, changes=("last",)),)

_GUARD = """
CREATE OR REPLACE FUNCTION lotwise_guard_counter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.last <> 1 THEN
        RAISE EXCEPTION 'a series of numbers begins with 1'
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('numbering.begins_with_one')::text;
    ELSIF TG_OP = 'UPDATE' AND (NEW.last <> OLD.last + 1
            OR (NEW.series, NEW.site, NEW.year) IS DISTINCT FROM (OLD.series, OLD.site, OLD.year)) THEN
        RAISE EXCEPTION 'a series of numbers goes on by one'
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('numbering.goes_on_by_one')::text;
    END IF;
    RETURN NEW;
END $$
"""

_GUARD_TRIGGER = (
    "CREATE TRIGGER number_counter_guard BEFORE INSERT OR UPDATE ON number_counter"
    " FOR EACH ROW EXECUTE FUNCTION lotwise_guard_counter()"
)


def sequence(series: Series) -> str:
    """The sequence of a series that may have holes, for the DDL of the module that declares it."""
    if series.gapless:
        raise ValueError(f"series {series.name} is gapless: it counts in number_counter")
    return f"CREATE SEQUENCE number_{series.name}"


DDL: tuple[str, ...] = (_GUARD, _GUARD_TRIGGER)
