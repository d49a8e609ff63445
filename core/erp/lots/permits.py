"""Permits of lots: `stock.read` covers lots, sublots, holds, restrictions, reservations and moves."""

from core.erp.kernel.permits import INSIDE, Role, permit

PERMITS = (
    permit("stock.read", *INSIDE),
    permit("stock.receive", Role.WAREHOUSE),
    permit("stock.move", Role.WAREHOUSE),
    permit("stock.pick", Role.WAREHOUSE),
    permit("stock.reserve", Role.PLANNER, Role.SALES),
    permit("fact.post", Role.WAREHOUSE, Role.LOGISTICS, Role.QA),
    permit("hold.place", Role.QA),
    permit("hold.lift", Role.QA),
    permit("lot.disposition", Role.QA, Role.RESPONSIBLE_PERSON),
    permit("lot.restrict", Role.QA),
)
