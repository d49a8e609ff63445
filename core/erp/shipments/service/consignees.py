"""Which partner a shipment's consignee is. What was ordered stays beside it, as it was."""

from core.erp.kernel.errors import absent
from core.erp.kernel.unit import Unit
from core.erp.partners.service import require_partner
from core.erp.shipments.model import Shipment


def name_consignee(u: Unit, shipment_id: int, consignee_id: int | None) -> Shipment:
    """Says which partner the consignee is, or that it is none we know.

    Raises NotFound, Refused (a partner that is blocked, or no customer where goods are sold).
    """
    shipment = u.get(Shipment, shipment_id, lock=True)
    if shipment is None:
        raise absent("shipment", shipment_id)
    require_consignee(u, shipment.kind, consignee_id)
    before, shipment.consignee_id = {"consignee_id": shipment.consignee_id}, consignee_id
    u.session.add(shipment)
    u.session.flush()
    u.audit("shipment.name_consignee", "shipment", shipment_id, before=before, after={"consignee_id": consignee_id})
    return shipment


def require_consignee(u: Unit, kind: str, consignee_id: int | None) -> None:
    """A sale goes to a customer; other goods to whoever is named. Raises NotFound, Refused."""
    if consignee_id is not None:
        require_partner(u, consignee_id, "customer" if kind == "sale" else None)
