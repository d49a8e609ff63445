"""Permits of the ingest: `ingest.read` covers dead letters, epochs, gaps, alarms and points nobody knows."""

from core.erp.kernel.permits import PEOPLE, Role, permit

PERMITS = (
    permit("ingest.read", *PEOPLE),
    permit("ingest.manage", Role.ADMIN),
    permit("epoch.close", Role.QA, signing=True),
)
