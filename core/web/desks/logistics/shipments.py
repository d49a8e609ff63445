"""A shipment's page: the record's, with the reading out of loggers above it."""

from fastapi import Response

from core.erp.kernel.door import needs
from core.erp.kernel.http import Id
from core.erp.kernel.records.registry import entities
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visiting
from core.web.records.record import record_page

router = page_routes()


@router.get("/shipments/{record_id:int}")
@needs("shipment.read")
def shipment(visit: Visiting, record_id: Id) -> Response:
    """One shipment."""
    entity = entities()["shipment"]
    return visit.read(lambda u: record_page(u, entity, visit, record_id, template="desks/shipment.html"))
