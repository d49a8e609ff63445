"""Roles and the permits they carry. One table; nothing else grants anything."""

from enum import StrEnum


class Role(StrEnum):
    """Who people are at work."""

    PLANT_ENGINEER = "plant_engineer"
    QA = "qa"
    RESPONSIBLE_PERSON = "responsible_person"
    WAREHOUSE = "warehouse"
    LOGISTICS = "logistics"
    BUYER = "buyer"
    PLANNER = "planner"
    TESTER = "tester"
    ADMIN = "admin"
    DISPLAY = "display"
    """A screen on a wall: it reads and does nothing else, so its session may be renewed without a person."""


READ_ONLY = frozenset({"read"})
_EVERYONE = READ_ONLY

PERMITS: dict[Role, frozenset[str]] = {
    Role.PLANT_ENGINEER: frozenset(
        _EVERYONE | {"catalog.points", "alarm.acknowledge", "alarm.shelve", "production.report", "machine.state"}
    ),
    Role.QA: frozenset(
        _EVERYONE
        | {
            "catalog.profiles",
            "excursion.assess",
            "excursion.disposition",
            "restoration.sign",
            "hold.place",
            "hold.lift",
            "lot.disposition",
            "lot.restrict",
            "alarm.acknowledge",
            "logger.import",
            "logger.waive",
            "calibration.record",
            "epoch.close",
            "audit.read",
            "fact.post",
            "rescue",
        }
    ),
    Role.RESPONSIBLE_PERSON: frozenset(_EVERYONE | {"batch.release", "lot.disposition", "audit.read"}),
    Role.WAREHOUSE: frozenset(
        _EVERYONE
        | {"stock.move", "stock.receive", "stock.pick", "custody.post", "fact.post", "rescue", "logger.import"}
    ),
    Role.LOGISTICS: frozenset(
        _EVERYONE
        | {"shipment.plan", "shipment.dispatch", "shipment.report", "custody.post", "fact.post", "logger.import"}
    ),
    Role.BUYER: frozenset(_EVERYONE | {"procurement.order"}),
    Role.PLANNER: frozenset(
        _EVERYONE | {"production.plan", "production.release", "production.report", "machine.state", "stock.reserve"}
    ),
    Role.TESTER: frozenset(_EVERYONE | {"simulate", "logger.import"}),
    # Administrators sign no quality decision (design, rule 6): no disposition, release or hold permit here.
    Role.ADMIN: frozenset(
        _EVERYONE | {"user.manage", "catalog.manage", "catalog.points", "ingest.manage", "audit.read"}
    ),
    Role.DISPLAY: READ_ONLY,
}


SIGNING = frozenset({"excursion.disposition", "restoration.sign", "batch.release", "logger.waive", "epoch.close"})
"""Permits whose acts are signed: who holds one can free goods, so making or resetting such a user is told."""


def permits_of(roles: frozenset[Role]) -> frozenset[str]:
    """Every permit that any of the roles carries."""
    return frozenset().union(*(PERMITS[role] for role in roles)) if roles else frozenset()
