"""Permits of partners. Every site names the same ones, so whoever changes them belongs to all sites."""

from core.erp.kernel.permits import PEOPLE, Role, permit

PERMITS = (
    permit("partner.read", *PEOPLE, outside=True),
    permit("partner.manage", Role.BUYER, Role.SALES, Role.LOGISTICS, all_sites=True),
    permit("partner.block", Role.QA, all_sites=True),
    permit("certificate.manage", Role.BUYER, Role.QA, all_sites=True),
    permit("certificate.verify", Role.QA, all_sites=True),
)
