"""Permits of partners."""

from core.erp.kernel.permits import PEOPLE, Role, permit

PERMITS = (
    permit("partner.read", *PEOPLE, outside=True),
    permit("partner.manage", Role.BUYER, Role.SALES, Role.LOGISTICS),
    permit("partner.block", Role.QA),
    permit("certificate.manage", Role.BUYER, Role.QA),
    permit("certificate.verify", Role.QA),
)
