"""The sample's places, items, partners and people."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine
from sqlmodel import SQLModel

from core.erp.catalog.model import (
    Calibration,
    Installation,
    Item,
    ItemProfile,
    Point,
    ProfileLimit,
    ProfileVersion,
    Sensor,
    Site,
    StorageProfile,
    Zone,
    ZoneNesting,
)
from core.erp.kernel.access.users import create_user
from core.erp.kernel.attachments.files import FileStore
from core.erp.kernel.events import Events
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Actor, Unit, system, transact
from core.erp.partners.model import Partner, PartnerSite

PASSWORD = "sample-only-Lotwise-1"  # noqa: S105 - it exists in the sample's own database only
GAP = timedelta(minutes=30)
SOON_DUE = 6
"""Of so many sensors one is to be calibrated within days."""
PEOPLE: dict[str, tuple[str, Role]] = {
    "engineer": ("Plant engineer", Role.PLANT_ENGINEER),
    "qa": ("Quality assurance", Role.QA),
    "qa2": ("Quality assurance, second", Role.QA),
    "rp": ("Responsible person", Role.RESPONSIBLE_PERSON),
    "warehouse": ("Warehouse", Role.WAREHOUSE),
    "logistics": ("Logistics", Role.LOGISTICS),
    "buyer": ("Buyer", Role.BUYER),
    "sales": ("Sales", Role.SALES),
    "planner": ("Planner", Role.PLANNER),
    "operator": ("Operator", Role.OPERATOR),
    "tester": ("Tester", Role.TESTER),
    "auditor": ("Auditor", Role.AUDITOR),
    "wall": ("Wall display", Role.DISPLAY),
    "admin": ("Administrator", Role.ADMIN),
}
SITES = {
    "north": ("North plant", "Europe/Berlin"),
    "suzhou": ("苏州配送中心", "Asia/Shanghai"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A zone to be: its address, name, kind, band in °C, and how its two weeks went (`climate.py`)."""

    address: str
    name: str
    kind: str
    low: float | None = 2.0
    high: float | None = 8.0
    climate: str = "steady"
    within: str | None = None
    accepts_held: bool = False


PLACES = (
    Place("north/cold/room-1", "Cold room 1", "room", climate="compressor"),
    Place("north/cold/room-2", "Cold room 2", "room"),
    Place("north/cold/room-3", "Cold room 3", "room", climate="sensor_fails"),
    Place("north/cold/cage", "Quarantine cage", "room", accepts_held=True),
    Place("north/frozen/freezer-1", "Freezer 1", "freezer", -25.0, -15.0),
    Place("north/frozen/freezer-2", "Freezer 2", "freezer", -25.0, -15.0, climate="defrost"),
    Place("north/store/ambient", "Ambient store", "room", 15.0, 25.0, climate="summer"),
    Place("north/fill/line-1", "Filling line 1", "room", 15.0, 25.0),
    Place("north/dock/dock-a", "Dock A", "dock", 2.0, 25.0),
    Place("north/trucks/truck-7", "Truck 7", "vehicle", climate="door"),
    Place("north/trucks/truck-9", "Truck 9", "vehicle"),
    Place("north/boxes/shipper-31", "Shipper 31", "shipper", within="north/trucks/truck-7"),
    Place("north/boxes/shipper-32", "Shipper 32", "shipper", within="north/trucks/truck-7", climate="gaps"),
    Place("suzhou/cold/room-a", "一号冷库", "room"),
    Place("suzhou/cold/room-b", "二号冷库", "room", climate="power_cut"),
    Place("suzhou/store/ambient", "常温库", "room", 10.0, 30.0),
    Place("suzhou/dock/dock-1", "收货月台", "dock", 2.0, 30.0),
)
PROFILES: dict[str, tuple[str, tuple[tuple[str, str, float, str, float], ...]]] = {
    "2-8": (
        "2–8 °C",
        (
            ("high", ">", 8.0, "consecutive", 1.0),
            ("high_total", ">", 8.0, "cumulative", 24.0),
            ("too_hot", ">", 25.0, "instant", 0.0),
            ("low", "<", 2.0, "consecutive", 0.5),
        ),
    ),
    "15-25": ("15–25 °C", (("high", ">", 25.0, "consecutive", 2.0), ("low", "<", 15.0, "consecutive", 4.0))),
    "frozen": ("−25 to −15 °C", (("high", ">", -15.0, "consecutive", 0.25), ("thawed", ">", 0.0, "instant", 0.0))),
}
"""By code: name, and limits with key, comparator, threshold in °C, kind and delay in hours."""
ITEMS: tuple[tuple[str, str, str], ...] = (
    ("VAC-05", "Influenza vaccine 0.5 mL, prefilled syringe", "2-8"),
    ("INS-03", "Insulin glargine 3 mL cartridge", "2-8"),
    ("HEP-10", "Heparin sodium 10 mL vial", "15-25"),
    ("MAB-20", "Monoclonal antibody concentrate 20 mL", "2-8"),
    ("RGT-96", "Coagulation reagent, 96 tests", "2-8"),
    ("PLS-25", "Fresh frozen plasma derivative 25 mL", "frozen"),
    ("YM-002", "重组乙型肝炎疫苗 1 mL", "2-8"),
    ("YD-003", "门冬胰岛素注射液 3 mL", "2-8"),
    ("SJ-014", "血糖试纸 50 片装", "15-25"),
    ("CAT-07", "Central venous catheter set, sterile", "15-25"),
    ("SYR-01", "Syringe 1 mL, empty, sterile", ""),
    ("KIT-11", "Injection kit with vaccine and syringe", "2-8"),
)
PARTNERS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    *((f"C{n:02}", f"Customer {n:02}", ("customer",), "DE") for n in range(1, 13)),
    *((f"K{n:02}", f"客户{n:02}", ("customer",), "CN") for n in range(1, 7)),
    *((f"S{n:02}", f"Supplier {n:02}", ("supplier", "maker"), "DE") for n in range(1, 7)),
    ("T01", "Carrier 01", ("carrier",), "DE"),
    ("T02", "承运商02", ("carrier",), "CN"),
)


@dataclass(slots=True)
class Sample:
    """Ids by name, and how work is done: `sample.do(work, now=…, who=…)`."""

    engine: Engine
    events: Events
    now: datetime
    began: datetime
    store: FileStore
    sites: dict[str, int] = field(default_factory=dict)
    zones: dict[str, int] = field(default_factory=dict)
    items: dict[str, int] = field(default_factory=dict)
    partners: dict[str, int] = field(default_factory=dict)
    actors: dict[str, Actor] = field(default_factory=dict)

    def do(self, work: Any, *, now: datetime | None = None, who: str | None = None) -> Any:
        """One transaction at a time."""
        actor = self.actors[who] if who is not None else system("sample")
        return transact(self.engine, actor, self.events, work, now or self.now)


def add(u: Unit, row: SQLModel) -> int:
    """The new row's id."""
    u.session.add(row)
    u.session.flush()
    return int(row.id)  # type: ignore[attr-defined]  # every table of records has one


def furnish(sample: Sample) -> None:
    """Places, items, partners, people."""
    sample.do(lambda u: _people(u, sample), now=sample.began)
    sample.do(lambda u: _places(u, sample), now=sample.began)
    sample.do(lambda u: _items(u, sample), now=sample.began)
    sample.do(lambda u: _partners(u, sample), now=sample.began)


def _people(u: Unit, sample: Sample) -> None:
    for login, (name, role) in PEOPLE.items():
        user = create_user(u, login, name, PASSWORD, [role])
        sample.actors[login] = Actor(login, frozenset({role}), user.id, session=f"sample-{login}")


def _places(u: Unit, sample: Sample) -> None:
    long_ago = sample.began - timedelta(days=400)
    for code, (name, timezone) in SITES.items():
        sample.sites[code] = add(u, Site(code=code, name=name, timezone=timezone))
    for number, place in enumerate(PLACES):
        zone = add(
            u,
            Zone(
                site_id=sample.sites[place.address.split("/")[0]],
                address=place.address,
                name=place.name,
                kind=place.kind,
                band_low=place.low,
                band_high=place.high,
                band_delay=timedelta(minutes=10),
                band_hysteresis=0.3,
                allowed_gap=GAP,
                accepts_held=place.accepts_held,
                simulated=False,
            ),
        )
        sample.zones[place.address] = zone
        point = add(u, Point(zone_id=zone, address=point_of(place.address), quantity="temperature", unit="Cel"))
        _sensor(u, sample, number, point, long_ago)
    for place in PLACES:
        if place.within is not None:
            inner, outer = sample.zones[place.address], sample.zones[place.within]
            add(u, ZoneNesting(zone_id=inner, parent_id=outer, from_at=sample.began))


def point_of(address: str) -> str:
    """The address of the zone's one thermometer."""
    return f"{address}/probe-1/temperature"


def _sensor(u: Unit, sample: Sample, number: int, point: int, long_ago: datetime) -> None:
    sensor = add(u, Sensor(serial=f"SN-{40210 + 7 * number}", model="Pt100, air"))
    add(u, Installation(sensor_id=sensor, point_id=point, from_at=long_ago))
    done = sample.now - timedelta(days=120 if number % SOON_DUE else 360)
    add(
        u,
        Calibration(
            sensor_id=sensor,
            done_at=done,
            due_at=done + timedelta(days=366),
            certificate=f"CAL-{2100 + number}",
            recorded_by="engineer",
            known_at=done,
        ),
    )


def _items(u: Unit, sample: Sample) -> None:
    versions: dict[str, tuple[int, int]] = {}
    for code, (name, limits) in PROFILES.items():
        profile = add(u, StorageProfile(code=code, name=name))
        version = add(
            u, ProfileVersion(profile_id=profile, version=1, allowed_gap=GAP, created_at=sample.began, probe_kind="air")
        )
        for key, op, threshold, kind, hours in limits:
            add(
                u,
                ProfileLimit(
                    version_id=version, key=key, op=op, threshold=threshold, kind=kind, delay=timedelta(hours=hours)
                ),
            )
        versions[code] = profile, version
    for code, name, profile_code in ITEMS:
        profile_id, version_id = versions.get(profile_code, (None, None))
        item = add(
            u,
            Item(
                code=code,
                name=name,
                profile_id=profile_id,
                kind="material" if code.startswith("SYR") else "product",
                shelf_life=timedelta(days=720),
            ),
        )
        sample.items[code] = item
        if version_id is not None:
            add(u, ItemProfile(item_id=item, version_id=version_id, from_at=sample.began - timedelta(days=400)))


def _partners(u: Unit, sample: Sample) -> None:
    for code, name, roles, country in PARTNERS:
        partner = add(u, Partner(code=code, name=name, roles=list(roles), country=country))
        sample.partners[code] = partner
        add(u, PartnerSite(partner_id=partner, code="1", name=f"{name}, 1", city="", country=country))
