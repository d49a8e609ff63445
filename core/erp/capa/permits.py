"""Permits of CAPA. Whoever owns an action may be anybody inside: they read what it is about."""

from core.erp.kernel.permits import PEOPLE, Role, permit

PERMITS = (
    permit("capa.read", *PEOPLE),
    permit("capa.act", *(PEOPLE - {Role.AUDITOR})),
    permit("capa.manage", Role.QA),
    permit("capa.sign", Role.QA, signing=True),
)
