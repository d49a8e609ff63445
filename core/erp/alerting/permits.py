"""Permits of alerting. Everybody inside reads who was told and keeps their own ways; routes and rotas are managed."""

from core.erp.kernel.permits import PEOPLE, Role, permit

PERMITS = (
    permit("alert.read", *PEOPLE),
    permit("alert.take", *(PEOPLE - {Role.AUDITOR})),
    permit("alerting.manage", Role.PLANT_ENGINEER, Role.QA, Role.ADMIN),
    # whose addresses somebody sees and changes, the scope says
    permit("contact_way.keep", *(PEOPLE - {Role.AUDITOR})),
)
