"""What the database itself guards in production: life cycles, and that nothing runs on held material."""

from core.erp.kernel.ddl import append_only, life_cycle, no_removal
from core.erp.production.workflow import WORK_ORDER

_WORK_ORDER = """
CREATE OR REPLACE FUNCTION lotwise_guard_work_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    against text;
BEGIN
    IF NEW.state <> OLD.state AND NEW.state IN ('material_ok', 'released', 'running') THEN
        PERFORM FROM sublot WHERE id IN (SELECT sublot_id FROM work_order_material WHERE order_id = NEW.id)
            ORDER BY id FOR SHARE;
        SELECT string_agg(DISTINCT h.reason, '; ') INTO against
        FROM work_order_material m LEFT JOIN reservation r ON r.id = m.reservation_id
        JOIN sublot s ON s.id = m.sublot_id
        JOIN hold h ON h.lifted_at IS NULL AND (h.sublot_id = s.id OR h.lot_id = s.lot_id)
        WHERE m.order_id = NEW.id AND (r.state IS NULL OR r.state <> 'cancelled');
        IF against IS NOT NULL THEN
            RAISE EXCEPTION 'the material of work order % is held: %', NEW.code, against USING ERRCODE = 'LW001';
        END IF;
    END IF;
    RETURN NEW;
END $$
"""

_ON_WORK_ORDER = """
CREATE TRIGGER work_order_guard BEFORE UPDATE ON work_order
FOR EACH ROW EXECUTE FUNCTION lotwise_guard_work_order()
"""

DDL: tuple[str, ...] = (
    *append_only("work_centre_state"),
    *append_only("work_order_output"),
    *append_only("bom_line"),
    *no_removal("work_order"),
    life_cycle(WORK_ORDER),
    _WORK_ORDER,
    _ON_WORK_ORDER,
)
