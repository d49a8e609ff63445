"""Permits of the ingest: `ingest.read` covers dead letters, epochs, gaps, alarms and points nobody knows."""

from core.erp.kernel.permits import Role, permit

PERMITS = (
    permit(
        "ingest.read",
        Role.PLANT_ENGINEER,
        Role.QA,
        Role.RESPONSIBLE_PERSON,
        Role.WAREHOUSE,
        Role.LOGISTICS,
        Role.TESTER,
        Role.AUDITOR,
        Role.ADMIN,
    ),
    permit("ingest.manage", Role.ADMIN),
    permit("epoch.close", Role.QA, signing=True),
)
