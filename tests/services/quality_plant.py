"""A small plant for the tests of quality, production, shipments and scheduling: people, zones, items, goods."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

from argon2 import PasswordHasher
from sqlalchemy import Engine, text

from core.erp.catalog.model import (
    Item,
    ItemProfile,
    Point,
    ProfileLimit,
    ProfileVersion,
    Site,
    StorageProfile,
    Zone,
)
from core.erp.custody import handlers as custody_handlers
from core.erp.custody.events import CustodyChanged
from core.erp.exposure.events import Breach, Judged, SublotsJudged
from core.erp.exposure.rules.assess import Certainty
from core.erp.kernel.events import Event, Events
from core.erp.kernel.permits import Role
from core.erp.kernel.signatures import Signing
from core.erp.kernel.unit import Actor, Unit, system, transact
from core.erp.lots import handlers as lots_handlers
from core.erp.lots import service as lots
from core.erp.lots.model import ZoneJudged
from core.erp.production import handlers as production_handlers
from core.erp.quality import handlers as quality_handlers
from core.erp.quality import service as quality
from core.erp.scheduling import handlers as scheduling_handlers
from core.erp.shipments import handlers as shipment_handlers
from tests.world import RELEASE, signed

T = TypeVar("T")
PASSWORD = "correct horse battery"
DAY = datetime(2026, 3, 2, tzinfo=UTC)
FAR = DAY + timedelta(days=30)
PEOPLE = {
    "quinn": {Role.QA},
    "rory": {Role.RESPONSIBLE_PERSON},
    "wanda": {Role.WAREHOUSE},
    "lou": {Role.LOGISTICS},
    "pat": {Role.PLANNER},
    "eli": {Role.PLANT_ENGINEER},
    "ada": {Role.ADMIN},
}


def at(clock: str, day: int = 0) -> datetime:
    """`at("02:58")`: that minute of the day all stories happen on."""
    hour, minute = clock.split(":")
    return DAY + timedelta(days=day, hours=int(hour), minutes=int(minute))


def build_events() -> Events:
    """All handlers above lots; re-judging on custody is the judge's and has its own tests."""
    events = Events()
    events.on(CustodyChanged, "exposure.rejudge", lambda _u, _e: None)
    for module in (
        lots_handlers,
        custody_handlers,
        quality_handlers,
        production_handlers,
        shipment_handlers,
        scheduling_handlers,
    ):
        module.register(events)
    return events


@lru_cache(maxsize=1)
def _hash() -> str:
    return PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)  # a hash names its own cost


@dataclass
class Plant:
    """Somebody does something at some time: `plant.do("quinn", at("03:00"), quality.assess, 7, "why")`."""

    engine: Engine
    events: Events
    actors: dict[str, Actor]
    zones: dict[str, int]
    items: dict[str, int]
    versions: dict[str, int]
    bare: bool = False

    def act(self, who: str, now: datetime, work: Callable[[Unit], T]) -> T:
        actor = self.actors.get(who) or system(who)
        return transact(self.engine, actor, self.events, work, now)

    def do(self, who: str, now: datetime, verb: Callable[..., T], *args: object, **kwargs: object) -> T:
        return self.act(who, now, lambda u: verb(u, *args, **kwargs))

    def sign(self, who: str, now: datetime, signing: Signing[T], password: str, *, login: str | None = None) -> T:
        """As a door does it: permit, password, then the transaction."""
        actor = self.actors.get(who) or system(who)
        return signed(self.engine, self.events, actor, signing, password, now, login=login)

    def emit(self, now: datetime, event: Event) -> None:
        self.act("judge", now, lambda u: u.emit(event))

    def goods(
        self,
        item: str = "vaccine",
        amount: object = 100,
        zone: str = "room-a",
        *,
        number: str | None = None,
        released: bool = True,
        now: datetime | None = None,
    ) -> int:
        """A sublot of a new lot, received at the start of the day, released unless told otherwise."""

        def work(u: Unit) -> int:
            count = u.conn.exec_driver_sql("SELECT count(*) FROM lot").scalar_one()
            lot = lots.create_lot(u, self.items[item], number or f"L{count + 1}")
            born = lots.receive(u, lot.id, Decimal(str(amount)), self.zones[zone], reason="receipt")
            if released:
                u.conn.execute(RELEASE, {"id": born.id})
            return born.id

        return self.act("setup", now or DAY, work)

    def alive(self, zone: str, last_good: datetime) -> None:
        """The zone's last good reading, as the judge would have written it."""

        def work(u: Unit) -> None:
            row = u.session.get(ZoneJudged, self.zones[zone]) or ZoneJudged(zone_id=self.zones[zone])
            row.last_good_at = row.judged_to = last_good
            u.session.add(row)

        self.act("judge", last_good, work)

    def judged(self, now: datetime, sublot: int, *breaches: Breach, profile: str = "cold") -> None:
        """The judge says what the sublot broke, all of it."""
        self.emit(now, SublotsJudged((Judged(sublot, self.versions[profile], breaches),)))

    def breach(
        self,
        start: str,
        broke: str,
        end: str | None = None,
        *,
        zone: str = "room-a",
        limit: str = "warm",
        kind: str = "consecutive",
        certainty: Certainty = "proven",
        out: int | None = None,
    ) -> Breach:
        """A breach that began, broke and ended at these minutes of the day; `out` in minutes."""
        until = at(end) if end else at(broke)
        length = timedelta(minutes=out) if out is not None else until - at(start)
        return Breach(
            limit,
            kind,
            at(start),
            at(broke),
            at(end) if end else None,
            certainty,
            length,
            4.0,
            12.0,
            self.zones[zone],
        )

    def rows(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        """What the database says; tests compare, so its types are theirs to know."""
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(text(sql), values)]

    def one(self, sql: str, **values: object) -> Any:
        """The one row, or the one value of a one-column row."""
        found = self.rows(sql, **values)
        assert len(found) == 1, found
        return found[0][0] if len(found[0]) == 1 else found[0]

    def excursions(self, sublot: int) -> list[tuple[int, str]]:
        return self.rows("SELECT id, state FROM excursion WHERE sublot_id = :s ORDER BY id", s=sublot)

    def open_holds(self, sublot: int) -> list[int]:
        return [
            row[0]
            for row in self.rows("SELECT id FROM hold WHERE sublot_id = :s AND lifted_at IS NULL ORDER BY id", s=sublot)
        ]

    def dispose(self, now: datetime, excursion: int, decision: str = "accept", **more: Any) -> None:
        """QA assesses and disposes."""
        self.do("quinn", now, quality.assess, excursion, "looked at it")
        signing = quality.disposition_signing(excursion, decision, "stability data", **more)
        self.sign("quinn", now, signing, PASSWORD, login="quinn")


def _catalog(u: Unit) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    site = Site(code="s", name="site")
    u.session.add(site)
    u.session.flush()
    zones: dict[str, int] = {}
    for name, held in (
        ("room-a", False),
        ("room-b", False),
        ("cage", True),
        ("dock", False),
        ("truck", False),
        ("shipper", False),
        ("far-room", False),
    ):
        zone = Zone(site_id=site.id, address=f"s/area/{name}", name=name, accepts_held=held, band_low=2, band_high=8)
        u.session.add(zone)
        u.session.flush()
        zones[name] = zone.id
        u.session.add(Point(zone_id=zone.id, address=f"s/area/{name}/probe/t", quantity="temperature", unit="Cel"))
        u.session.add(ZoneJudged(zone_id=zone.id, last_good_at=FAR, judged_to=FAR))
    versions: dict[str, int] = {}
    for code, threshold in (("cold", 8.0), ("wide", 25.0)):
        profile = StorageProfile(code=code, name=code)
        u.session.add(profile)
        u.session.flush()
        version = ProfileVersion(profile_id=profile.id, version=1, allowed_gap=timedelta(minutes=30), created_at=DAY)
        u.session.add(version)
        u.session.flush()
        versions[code] = version.id
        u.session.add_all(
            [
                ProfileLimit(
                    version_id=version.id,
                    key="warm",
                    op=">",
                    threshold=threshold,
                    kind="consecutive",
                    delay=timedelta(minutes=60),
                ),
                ProfileLimit(
                    version_id=version.id,
                    key="total",
                    op=">",
                    threshold=threshold,
                    kind="cumulative",
                    delay=timedelta(minutes=120),
                ),
            ]
        )
    items: dict[str, int] = {}
    for code, name in (("vaccine", "cold"), ("syrup", "wide"), ("kit", "cold"), ("label", "")):
        item = Item(code=code, name=code)
        u.session.add(item)
        u.session.flush()
        items[code] = item.id
        if name:
            u.session.add(ItemProfile(item_id=item.id, version_id=versions[name], from_at=DAY - timedelta(days=1)))
    u.session.flush()
    return zones, items, versions


def build(engine: Engine) -> Plant:
    """The plant in a fresh database."""
    events = build_events()
    plant = Plant(engine, events, {}, {}, {}, {})

    def work(u: Unit) -> None:
        from core.erp.kernel.model import User

        for login, roles in PEOPLE.items():
            user = User(login=login, name=login.title(), password_hash=_hash(), roles=sorted(roles), created_at=DAY)
            u.session.add(user)
            u.session.flush()
            plant.actors[login] = Actor(login, frozenset(roles), user.id, session=f"session-{login}")
        plant.zones, plant.items, plant.versions = _catalog(u)

    plant.act("setup", DAY, work)
    return plant
