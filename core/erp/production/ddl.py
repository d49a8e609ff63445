"""What the database itself guards in production: life cycles, and that nothing runs on held material."""

from core.erp.kernel.guarded import Guarded
from core.erp.production.model import (
    Bom,
    BomLine,
    RoutingStep,
    WorkCentre,
    WorkCentreState,
    WorkOrder,
    WorkOrderLine,
    WorkOrderMaterial,
    WorkOrderOperation,
    WorkOrderOutput,
)

TABLES = (
    Guarded(WorkCentre, kept=True),
    Guarded(WorkCentreState, append_only=True),
    Guarded(Bom, kept=True),
    Guarded(BomLine, append_only=True),
    Guarded(RoutingStep, kept=True),
    Guarded(WorkOrder, kept=True, identity=("code", "item_id")),
    Guarded(WorkOrderLine, kept=True),
    Guarded(WorkOrderMaterial, kept=True),
    Guarded(WorkOrderOperation, kept=True),
    Guarded(WorkOrderOutput, append_only=True),
)

_WORK_ORDER = """
CREATE OR REPLACE FUNCTION lotwise_guard_work_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    against jsonb;
BEGIN
    IF NEW.state <> OLD.state AND NEW.state IN ('material_ok', 'released', 'running') THEN
        PERFORM FROM sublot WHERE id IN (SELECT sublot_id FROM work_order_material WHERE order_id = NEW.id)
            ORDER BY id FOR SHARE;
        SELECT jsonb_agg(DISTINCT COALESCE(h.reason_message, to_jsonb(h.reason))) INTO against
        FROM work_order_material m LEFT JOIN reservation r ON r.id = m.reservation_id
        JOIN sublot s ON s.id = m.sublot_id
        JOIN hold h ON h.lifted_at IS NULL AND (h.sublot_id = s.id OR h.lot_id = s.lot_id)
        WHERE m.order_id = NEW.id AND (r.state IS NULL OR r.state <> 'cancelled');
        IF against IS NOT NULL THEN
            RAISE EXCEPTION 'the material of work order % is held', NEW.code
                USING ERRCODE = 'LW001', DETAIL = lotwise_message('production.material_of_order_held',
                    jsonb_build_object('code', NEW.code, 'reasons', against))::text;
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
    _WORK_ORDER,
    _ON_WORK_ORDER,
)
