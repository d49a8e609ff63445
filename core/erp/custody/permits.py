"""Permits of custody."""

from core.erp.kernel.permits import INSIDE, Role, permit

PERMITS = (
    permit("custody.read", *INSIDE),
    permit("custody.post", Role.WAREHOUSE, Role.LOGISTICS),
    permit("rescue", Role.WAREHOUSE, Role.QA),
)
