"""What concerns imports of every kind; who may make one, the permit to make such a record says."""

from core.erp.kernel.permits import PEOPLE, Role, permit

PERMITS = (
    permit("import.read", *PEOPLE),
    permit("import.undo", *(PEOPLE - {Role.AUDITOR})),
)
