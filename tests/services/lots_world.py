"""A small world for the tests of lots and custody: one site, three zones, two items, people."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from sqlalchemy import Engine, text

from core.erp.catalog.model import Item, ItemProfile, Point, ProfileLimit, ProfileVersion, Site, StorageProfile, Zone
from core.erp.custody import handlers as custody_handlers
from core.erp.custody.events import CustodyChanged
from core.erp.kernel.events import Event, Events
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Actor, Unit, system, transact, unit
from core.erp.lots import service as lots
from core.erp.lots.events import FactBrokeRule, HoldLifted, HoldPlaced, SublotCreated
from tests.world import RELEASE

T = TypeVar("T")

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WAREHOUSE = Actor("storekeeper", frozenset({Role.WAREHOUSE}), 1)
QA = Actor("quality", frozenset({Role.QA}), 2)
RELEASER = Actor("responsible", frozenset({Role.RESPONSIBLE_PERSON}), 3)
ADMIN = Actor("admin", frozenset({Role.ADMIN}), 4)
SYSTEM = system("test")


@dataclass
class World:
    engine: Engine
    events: Events
    seen: list[Event]
    cold: int
    freezer: int
    pen: int
    vaccine: int
    vial: int
    now: datetime = NOON

    @contextmanager
    def unit(self, actor: Actor = SYSTEM, now: datetime | None = None) -> Iterator[Unit]:
        with unit(self.engine, actor, self.events, now or self.now) as u:
            yield u

    def run(self, work: Callable[[Unit], T], actor: Actor = SYSTEM, now: datetime | None = None) -> T:
        return transact(self.engine, actor, self.events, work, now or self.now)

    def stock(
        self,
        amount: int | str = 100,
        *,
        number: str = "L1",
        item: int | None = None,
        zone: int | None = None,
        expiry: date | None = date(2027, 1, 1),
        released: bool = True,
        at: datetime | None = None,
    ) -> int:
        """A sublot of a new lot, released unless told otherwise."""
        with self.unit(now=at) as u:
            lot = lots.create_lot(u, item or self.vaccine, number, expiry=expiry)
            sublot = lots.receive(u, lot.id, Decimal(amount), zone or self.cold)
            if released:
                u.conn.execute(RELEASE, {"id": sublot.id})
            return sublot.id

    def good_until(self, zone: int, at: datetime | None) -> None:
        with self.engine.begin() as conn:
            conn.execute(
                text(
                    "INSERT INTO zone_judged (zone_id, last_good_at, version) VALUES (:zone, :at, 1) "
                    "ON CONFLICT (zone_id) DO UPDATE SET last_good_at = excluded.last_good_at"
                ),
                {"zone": zone, "at": at},
            )


def build(engine: Engine) -> World:
    """Cold room 2-8 °C with one point and a profile that allows 30 min of silence, freezer, a pen for held goods."""
    seen: list[Event] = []
    events = Events()
    custody_handlers.register(events)
    for kind in (HoldPlaced, HoldLifted, FactBrokeRule, CustodyChanged, SublotCreated):
        events.on(kind, "test.record", lambda _, event: seen.append(event))
    with unit(engine, SYSTEM, events, NOON - timedelta(days=30)) as u:
        add = u.session.add
        site = Site(code="s1", name="Plant", timezone="Europe/Berlin")
        add(site)
        u.session.flush()
        cold = Zone(site_id=site.id, address="s1/store/cold", name="Cold room", band_low=2, band_high=8)
        freezer = Zone(site_id=site.id, address="s1/store/freezer", name="Freezer", band_low=-25, band_high=-15)
        pen = Zone(site_id=site.id, address="s1/store/pen", name="Pen", accepts_held=True, band_low=2, band_high=8)
        profile = StorageProfile(code="2-8", name="2 to 8")
        for row in (cold, freezer, pen, profile):
            add(row)
        u.session.flush()
        version = ProfileVersion(profile_id=profile.id, version=1, allowed_gap=timedelta(minutes=30), created_at=u.now)
        add(version)
        u.session.flush()
        for key, op, threshold in (("high", ">", 8.0), ("low", "<", 2.0)):
            add(
                ProfileLimit(
                    version_id=version.id,
                    key=key,
                    op=op,
                    threshold=threshold,
                    kind="consecutive",
                    delay=timedelta(minutes=60),
                )
            )
        vaccine = Item(code="vaccine", name="Vaccine", profile_id=profile.id)
        vial = Item(code="vial", name="Empty vial")
        add(vaccine)
        add(vial)
        u.session.flush()
        add(ItemProfile(item_id=vaccine.id, version_id=version.id, from_at=u.now))
        for zone in (cold, pen):
            add(Point(zone_id=zone.id, address=f"{zone.address}/probe/temperature", quantity="temperature", unit="Cel"))
        u.session.flush()
        ids = [x.id or 0 for x in (cold, freezer, pen, vaccine, vial)]
    world = World(engine, events, seen, ids[0], ids[1], ids[2], ids[3], ids[4])
    world.good_until(world.cold, NOON)
    world.good_until(world.pen, NOON)
    return world
