"""Goods that travel with loggers, for the stories of what was read out of them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from core.erp.catalog.model import ProfileLimit
from core.erp.exposure.judge.judge import Judge
from core.erp.exposure.judge.timer import SilenceLimits, tick
from core.erp.kernel.access import users
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Actor
from core.erp.shipments import service as shipments
from core.ingest.importing import ImportRequest, ImportResult, Series, Value, import_logger
from tests.world import MINUTE, OVER_8_FOR_60, World, at, every

Values = Sequence[tuple[datetime, float]]
FREEZE = ProfileLimit(key="low", op="<", threshold=2.0, kind="cumulative", delay=30 * MINUTE)
PASSWORD = "correct horse battery"
OFFICE = 22.0
AFTER = at("16:00")
FILE = [
    *every(5, at("05:00"), at("07:55"), OFFICE),
    *every(5, at("08:00"), at("09:00"), 5.0),
    *every(5, at("09:05"), at("10:20"), 9.5),
    *every(5, at("10:25"), at("11:00"), 4.0),
    *every(5, at("11:05"), at("11:50"), 1.0),
    *every(5, at("11:55"), at("12:00"), 4.0),
    *every(5, at("12:05"), at("15:00"), OFFICE),
]
JOURNEY = [(when, value) for when, value in FILE if at("08:00") <= when < at("12:00")]


def series(values: Values, unit: str = "Cel") -> list[Series]:
    return [Series("temperature", unit, [Value(when, value) for when, value in values])]


class Journey:
    """Goods of a cold room that travel from 08:00 to 12:00 into a far room."""

    def __init__(
        self,
        world: World,
        *loggers: str,
        truck_points: Sequence[str] = (),
        number: int = 1,
        limits: Sequence[ProfileLimit] = (OVER_8_FOR_60, FREEZE),
    ) -> None:
        self.world, self.number = world, number
        self.room = world.zone(f"room{number}")
        self.truck = world.zone(f"truck{number}", points=truck_points)
        self.far = world.zone(f"far{number}")
        item = world.item(*limits)
        self.goods = world.sublot(item, self.room, at("01:00"))
        world.feed(f"room{number}", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
        made = world.do(
            lambda u: shipments.create(
                u,
                f"SH-{number}",
                "C-1",
                [(self.goods, Decimal(100))],
                [shipments.PlannedLeg("dock", "far", self.truck)],
                kind="transfer",
                receiving_zone_id=self.far,
                loggers=[shipments.RequiredLogger(x) for x in loggers],
            ),
            now=at("02:00"),
        )
        self.shipment = made.id
        world.feed(f"room{number}", every(5, at("02:05"), at("07:59"), 5.0), upto=at("08:00"))

    def leave(self) -> None:
        self.world.do(lambda u: shipments.pick(u, self.shipment), now=at("07:50"))
        self.world.do(lambda u: shipments.departed(u, self.shipment, at("08:00"), "paper"), now=at("08:05"))

    def arrive(self) -> None:
        self.world.do(lambda u: shipments.arrived(u, self.shipment, at("12:00"), "unloaded"), now=at("12:10"))
        self.world.feed(f"far{self.number}", every(5, at("12:00"), at("16:00"), 5.0), upto=at("16:00"))

    def take(self, values: Values, serial: str = "R-1", now: datetime = AFTER, **more: object) -> ImportResult:
        target = more or {"shipment": self.shipment}
        order = ImportRequest(serial, series(values), **target)  # type: ignore[arg-type]  # keywords of several types
        return self.world.do(lambda u: import_logger(u, Judge(), order, live=True), now=now)

    def found(self) -> list[tuple[object, ...]]:
        return [row[1:] for row in self.world.excursions(self.goods)]

    def beat(self, now: datetime) -> None:
        self.world.do(lambda u: tick(u, self.world.judge, SilenceLimits()), now=now)


def person(world: World, login: str, role: Role) -> Actor:
    """Somebody who may sign."""
    user = world.do(lambda u: users.create_user(u, login, login.title(), PASSWORD, [role]))
    return Actor(login, frozenset({role}), user.id, session=f"session-{login}")
