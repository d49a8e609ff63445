"""Permits of deadlines."""

from core.erp.kernel.permits import PEOPLE, permit

PERMITS = (permit("deadline.read", *PEOPLE),)
