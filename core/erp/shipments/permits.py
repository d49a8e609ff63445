"""Permits of shipments."""

from core.erp.kernel.permits import INSIDE, Role, permit

PERMITS = (
    permit("shipment.read", *INSIDE),
    permit("shipment.plan", Role.LOGISTICS),
    permit("shipment.dispatch", Role.LOGISTICS),
    permit("shipment.report", Role.LOGISTICS),
    permit("shipment.hand_over", Role.LOGISTICS, signing=True),
    permit("logger.import", Role.WAREHOUSE, Role.LOGISTICS, Role.QA, Role.TESTER),
    permit("logger.waive", Role.QA, signing=True),
)
