"""Permits of exposure: readings, charts, how zones stand, what goods went through."""

from core.erp.kernel.permits import INSIDE, permit

PERMITS = (permit("exposure.read", *INSIDE),)
