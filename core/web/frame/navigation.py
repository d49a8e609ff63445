"""Where one can go: desks and lists, in groups by the work they are for; each shown to whoever may read it."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.erp.kernel.records.declare import as_permits
from core.erp.kernel.records.registry import entities
from core.erp.kernel.unit import Actor


@dataclass(frozen=True, slots=True)
class Place:
    """A desk, by its address, the id of its name, and the permits of which one opens it (none: anybody inside)."""

    address: str
    name: str
    permits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """One line of the navigation as its reader sees it."""

    address: str
    name: str
    current: bool


PLANT = Place("/plant", "web.nav_tiles", ("exposure.read",))
STOCK = Place("/stock", "web.nav_stock", ("stock.read",))
RELEASE = Place("/release", "web.nav_release", ("quality.read",))
CENTRES = Place("/centres", "web.nav_centres", ("schedule.read",))
BOARD = Place("/logistics", "web.nav_board", ("shipment.read",))
LOGGERS = Place("/loggers/import", "web.read_out_logger", ("logger.import",))
AUDIT = Place("/audit-desk", "web.nav_audit_desk", ("audit.read",))
SIMULATORS = Place("/simulators", "web.nav_simulators", ("simulator.run",))
SETUP = Place(
    "/setup",
    "web.nav_setup_desk",
    ("catalog.manage", "catalog.items", "catalog.points", "catalog.profiles", "user.read"),
)
GROUPS: tuple[tuple[str, tuple[Place | str, ...]], ...] = (
    ("web.nav_now", (Place("/", "web.nav_front"), Place("/tasks", "records.task", ("task.read",)), "alert")),
    (
        "web.nav_goods",
        (STOCK, "sublot", "lot", "item", "hold", "restriction", "reservation", "stock_move", "stock_task"),
    ),
    (
        "web.nav_plant",
        (
            Place("/plant", "web.nav_tiles", ("exposure.read",)),
            "zone",
            "alarm",
            "point",
            "sensor",
            "calibration",
            "calibration_plan",
        ),
    ),
    (
        "web.nav_movement",
        (BOARD, "shipment", LOGGERS, CENTRES, "work_order", "work_order_operation", "work_centre", "bom"),
    ),
    (
        "web.nav_quality",
        (
            "excursion",
            "incident",
            "deviation",
            "capa",
            "capa_action",
            "supplier_certificate",
            RELEASE,
            "batch_release",
            AUDIT,
            "field_action",
            "deadline",
            "signature",
        ),
    ),
    (
        "web.nav_setup",
        (
            SETUP,
            SIMULATORS,
            "partner",
            "partner_contact",
            "site",
            "storage_profile",
            "user",
            "session",
            "role",
            "work_calendar",
            "alert_route",
            "on_call_rota",
            "on_call_swap",
            "absence",
            "contact_way",
            "alert_message",
            "import_run",
            "dead_letter",
            "audit_row",
        ),
    ),
)
"""Desks, and entities by name, whose list it is."""


OWN_WORK: Mapping[str, tuple[str, ...]] = {
    "web.nav_goods": ("stock.receive", "stock.pick", "stock.move"),
    "web.nav_plant": ("catalog.points",),
    "web.nav_movement": ("shipment.plan", "shipment.report", "production.plan", "production.report"),
    "web.nav_quality": ("excursion.disposition", "batch.release", "capa.sign"),
    "web.nav_setup": ("user.manage", "simulator.run"),
}
"""By group: acts that make it somebody's daily work; whoever holds one of them has that group first."""


def navigation(actor: Actor, path: str, absent: frozenset[Place] = frozenset()) -> list[tuple[str, list[Link]]]:
    """(id of the group's name, its links) for who holds the permits, their own work first; the longest address that
    `path` is under is current. `absent` are desks that this instance has not.
    """
    ordered = sorted(GROUPS, key=lambda group: _not_own(group[0], actor))
    groups = [
        (name, [place for one in places if (place := _place(one)) not in absent and _open(place, actor)])
        for name, places in ordered
    ]
    under = [place.address for _, places in groups for place in places if _under(path, place.address)]
    current = max(under, key=len, default=None)
    return [
        (name, [Link(place.address, place.name, place.address == current) for place in places])
        for name, places in groups
        if places
    ]


def _not_own(group: str, actor: Actor) -> int:
    if group not in OWN_WORK:
        return 0
    return 1 if any(map(actor.may, OWN_WORK[group])) else 2


def _place(one: Place | str) -> Place:
    if isinstance(one, Place):
        return one
    entity = entities()[one]
    return Place(f"/{entity.path}", f"records.{entity.name}", as_permits(entity.read))


def _open(place: Place, actor: Actor) -> bool:
    return not place.permits or any(map(actor.may, place.permits))


def _under(path: str, address: str) -> bool:
    return path == address or (address != "/" and path.startswith(f"{address}/"))
