"""Permits of scheduling."""

from core.erp.kernel.permits import INSIDE, permit

PERMITS = (permit("schedule.read", *INSIDE),)
