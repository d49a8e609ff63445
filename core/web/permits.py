"""The permits of the pages' own: what is no record's."""

from core.erp.kernel.permits import Role, permit

PERMITS = (permit("simulator.run", Role.TESTER),)
