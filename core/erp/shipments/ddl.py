"""What the database itself guards in shipments: held goods are neither dispatched nor accepted, whoever asks."""

from core.erp.kernel.guarded import Guarded
from core.erp.kernel.triggers import signed
from core.erp.shipments.model import (
    FieldAction,
    FieldActionConsignee,
    Shipment,
    ShipmentHandOver,
    ShipmentLeg,
    ShipmentLine,
    ShipmentLogger,
)

TABLES = (
    Guarded(Shipment, kept=True, identity=("code", "kind")),
    Guarded(ShipmentLeg, kept=True),
    Guarded(ShipmentLine, kept=True),
    Guarded(ShipmentLogger, kept=True),
    Guarded(ShipmentHandOver, append_only=True),
    Guarded(FieldAction, kept=True, changes=("state", "conclusion", "closed_at", "closed_by")),
    Guarded(FieldActionConsignee, kept=True),
)

_SHIPMENT = """
CREATE OR REPLACE FUNCTION lotwise_guard_shipment() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    against jsonb;
BEGIN
    IF NEW.state <> OLD.state AND NEW.state IN ('dispatched', 'accepted') THEN
        SELECT jsonb_agg(COALESCE(h.reason_message, to_jsonb(h.reason))) INTO against FROM hold h
        WHERE h.lifted_at IS NULL AND (h.shipment_id = NEW.id OR EXISTS (
            SELECT FROM shipment_line l JOIN sublot s ON s.id = l.sublot_id
            WHERE l.shipment_id = NEW.id AND l.state <> 'put_back' AND (h.sublot_id = s.id OR h.lot_id = s.lot_id)));
        IF against IS NOT NULL THEN
            RAISE EXCEPTION 'shipment % is held', NEW.code
                USING ERRCODE = 'LW001', DETAIL = lotwise_message('shipments.held',
                    jsonb_build_object('code', NEW.code, 'reasons', against))::text;
        END IF;
    END IF;
    RETURN NEW;
END $$
"""

DDL: tuple[str, ...] = (
    _SHIPMENT,
    "CREATE TRIGGER shipment_guard BEFORE UPDATE ON shipment FOR EACH ROW EXECUTE FUNCTION lotwise_guard_shipment()",
    signed("shipment_logger", "shipment_logger", "id"),
    signed("shipment_hand_over", "shipment", "shipment_id"),
)
