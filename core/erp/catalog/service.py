"""The verbs of the catalog: places, points, instruments, items and what they tolerate. They never commit."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import func, or_, select, update
from sqlmodel import SQLModel

from core.erp.catalog.events import JudgingChanged
from core.erp.catalog.model import (
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
from core.erp.catalog.rules import faults, unit_fault
from core.erp.catalog.withdrawal import require_active
from core.erp.kernel.calendars import service as calendars
from core.erp.kernel.errors import Conflict, Invalid, Refused, absent
from core.erp.kernel.tables import table, values_of
from core.erp.kernel.time_zones import zone_named
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.telemetry.address import BadAddress, check_point, check_segment, check_zone, zone_of

Row = TypeVar("Row", bound=SQLModel)


def require_zones(u: Unit, *zone_ids: int | None) -> None:
    """Raises NotFound for a zone that is not there, Refused for one that is withdrawn; None is none."""
    for zone_id in zone_ids:
        if zone_id is not None:
            active(u, Zone, zone_id)


def active(u: Unit, model: type[Row], row_id: int) -> Row:
    """The row, for something new that begins with it: it stays in use until that is written. Raises NotFound, Refused
    where it is withdrawn.
    """
    lock = {"read": True, "key_share": True}
    found = u.session.get(model, row_id, populate_existing=True, with_for_update=lock)
    if found is None:
        raise absent(str(table(model).name), row_id)
    require_active(found)
    return found


def get(u: Unit, model: type[Row], row_id: int) -> Row:
    """The row. Raises NotFound."""
    found = u.session.get(model, row_id)
    if found is None:
        raise absent(str(table(model).name), row_id)
    return found


def add_row(u: Unit, row: Row, entity: str, unique: str | None = None) -> Row:
    """Stores a new row with its audit. Raises Conflict where one with the same `unique` column is there."""
    if unique is not None:
        t, value = table(type(row)), getattr(row, unique)
        if u.conn.execute(select(t.c.id).where(t.c[unique] == value)).first() is not None:
            record = Message(f"record.{entity}")
            raise Conflict("kernel.record_there", record=record, same=[value], extra={unique: value})
    u.session.add(row)
    u.session.flush()
    u.audit(f"{entity}.create", entity, row.id, after=row.model_dump())  # type: ignore[attr-defined]  # every table has an id
    return row


_SEGMENTS: dict[Callable[[str], str], int] = {check_segment: 1, check_zone: 3, check_point: 5}


def _checked(check: Callable[[str], str], address: str) -> str:
    try:
        return check(address)
    except BadAddress as error:
        raise Invalid("catalog.bad_address", address=address, count=_SEGMENTS[check]) from error


def create_site(u: Unit, code: str, name: str, timezone: str = "UTC") -> Site:
    """A place of business. Raises Invalid (bad code, unknown time zone), Conflict."""
    _checked(check_segment, code)
    zone_named(timezone)
    site = add_row(u, Site(code=code, name=name, timezone=timezone), "site", "code")
    calendars.begin(u, site.id, timezone)
    return site


def create_zone(u: Unit, site_id: int, address: str, name: str, **options: Any) -> Zone:
    """A zone of a site; `options` are Zone's other fields. Raises Invalid, NotFound, Conflict."""
    site = active(u, Site, site_id)
    _checked(check_zone, address)
    if address.split("/", maxsplit=1)[0] != site.code:
        raise Invalid("catalog.not_of_site", address=address, site=site.code)
    zone = Zone(site_id=site_id, address=address, name=name, **options)
    if zone.band_low is not None and zone.band_high is not None and zone.band_low >= zone.band_high:
        raise Invalid("catalog.band_upside_down")
    return add_row(u, zone, "zone", "address")


def nest_zone(u: Unit, zone_id: int, parent_id: int, from_at: datetime, to_at: datetime | None = None) -> ZoneNesting:
    """From `from_at` the zone stands in the parent. Raises Refused for a circle or for two parents at once."""
    require_zones(u, zone_id, parent_id)
    if to_at is not None and to_at <= from_at:
        raise Invalid("catalog.stay_ends_early")
    n = table(ZoneNesting)
    u.lock(select(table(Zone).c.id).where(table(Zone).c.id.in_((zone_id, parent_id))).with_for_update())
    overlap = or_(n.c.to_at.is_(None), n.c.to_at > from_at)
    when = (overlap,) if to_at is None else (overlap, n.c.from_at < to_at)
    if u.conn.execute(select(n.c.id).where(n.c.zone_id == zone_id, *when)).first() is not None:
        raise Refused("catalog.zone_stands_elsewhere", zone=zone_id)
    above, seen = {parent_id}, set[int]()
    while above - seen:
        seen |= above
        above = set(u.conn.execute(select(n.c.parent_id).where(n.c.zone_id.in_(seen), *when)).scalars())
    if zone_id in seen | above:
        raise Refused("catalog.zones_in_a_circle", parent=parent_id, zone=zone_id)
    row = add_row(u, ZoneNesting(zone_id=zone_id, parent_id=parent_id, from_at=from_at, to_at=to_at), "zone_nesting")
    u.emit(JudgingChanged((zone_id, parent_id), (), from_at, "nesting"))
    return row


def end_nesting(u: Unit, nesting_id: int, to_at: datetime) -> ZoneNesting:
    """The zone left its parent at `to_at`. Raises NotFound, Refused (ended already), Invalid."""
    row = get(u, ZoneNesting, nesting_id)
    if row.to_at is not None:
        raise Refused("catalog.stay_has_ended", number=nesting_id)
    if to_at <= row.from_at:
        raise Invalid("catalog.stay_ends_early")
    row.to_at = to_at
    u.session.add(row)
    u.session.flush()
    u.audit("zone_nesting.end", "zone_nesting", nesting_id, after={"to_at": to_at})
    u.emit(JudgingChanged((row.zone_id, row.parent_id), (), to_at, "nesting"))
    return row


def create_point(u: Unit, zone_id: int, address: str, quantity: str, unit: str, **options: Any) -> Point:
    """A measured quantity of a zone or machine. Raises Invalid (not an address of that zone), NotFound, Conflict."""
    zone = active(u, Zone, zone_id)
    _checked(check_point, address)
    if zone_of(address) != zone.address:
        raise Invalid("catalog.not_in_zone", address=address, zone=zone.address)
    if (fault := unit_fault(quantity, unit)) is not None:
        raise Invalid(fault)
    point = Point(zone_id=zone_id, address=address, quantity=quantity, unit=unit, **options)
    if point.role not in {"required", "spare", "machine"}:
        raise Invalid("catalog.no_such_role", role=point.role)
    low, high = point.plausible_low, point.plausible_high
    if low is not None and high is not None and low >= high:
        raise Invalid("catalog.plausible_upside_down")
    return add_row(u, point, "point", "address")


def create_sensor(u: Unit, serial: str, model: str = "") -> Sensor:
    """A physical instrument. Raises Conflict."""
    return add_row(u, Sensor(serial=serial, model=model), "sensor", "serial")


def install_sensor(
    u: Unit, sensor_id: int, point_id: int, from_at: datetime, to_at: datetime | None = None
) -> Installation:
    """The sensor speaks for the point from then on; the one before ends there. Exchanging a sensor resets nothing.

    Raises Refused if the sensor speaks for another point then.
    """
    active(u, Sensor, sensor_id)
    point = active(u, Point, point_id)
    if to_at is not None and to_at <= from_at:
        raise Invalid("catalog.installation_ends_early")
    i = table(Installation)
    u.lock(select(table(Point).c.id).where(table(Point).c.id == point_id).with_for_update())
    still = or_(i.c.to_at.is_(None), i.c.to_at > from_at)
    other = select(i.c.point_id).where(i.c.sensor_id == sensor_id, i.c.point_id != point_id, still)
    if to_at is not None:
        other = other.where(i.c.from_at < to_at)
    if u.conn.execute(other).first() is not None:
        raise Refused("catalog.sensor_elsewhere", sensor=sensor_id)
    if u.conn.execute(select(i.c.id).where(i.c.point_id == point_id, i.c.from_at >= from_at)).first() is not None:
        raise Refused("catalog.later_installation", point=point_id)
    ended = update(i).where(i.c.point_id == point_id, i.c.from_at < from_at, still).values(to_at=from_at)
    u.conn.execute(ended)
    row = Installation(sensor_id=sensor_id, point_id=point_id, from_at=from_at, to_at=to_at)
    add_row(u, row, "installation")
    if point.zone_id is not None:
        u.emit(JudgingChanged((point.zone_id,), (), from_at, "installation"))
    return row


def create_profile(u: Unit, code: str, name: str) -> StorageProfile:
    """A storage profile, still without a version. Raises Conflict."""
    return add_row(u, StorageProfile(code=code, name=name), "storage_profile", "code")


def add_version(
    u: Unit, profile_id: int, allowed_gap: timedelta, limits: Sequence[ProfileLimit], **options: Any
) -> ProfileVersion:
    """The next version of a profile, with its limits; never changed afterwards. Raises Invalid, NotFound."""
    profile = u.get(StorageProfile, profile_id, lock=True)
    if profile is None:
        raise absent("storage_profile", profile_id)
    wrong = faults(limits, allowed_gap)
    if wrong:
        raise Invalid("catalog.limits_wrong", faults=wrong)
    v = table(ProfileVersion)
    last = u.conn.execute(select(func.max(v.c.version)).where(v.c.profile_id == profile_id)).scalar() or 0
    version = ProfileVersion(
        profile_id=profile_id, version=last + 1, allowed_gap=allowed_gap, created_at=u.now, **options
    )
    if (version.mkt_limit is None) != (version.mkt_window is None):
        raise Invalid("catalog.mkt_without_window")
    window, hour = version.mkt_window, timedelta(hours=1)
    if window is not None and (window < hour or window % hour):
        raise Invalid("catalog.mkt_window_hours")
    add_row(u, version, "profile_version")
    for limit in limits:
        limit.version_id = version.id
        u.session.add(limit)
    u.session.flush()
    u.audit(
        "profile_version.limits",
        "profile_version",
        version.id,
        after={"limits": [limit.model_dump() for limit in limits]},
    )
    u.audit("storage_profile.version", "storage_profile", profile_id, after={"version": version.version})
    return version


def limits_of(u: Unit, version_ids: Sequence[int]) -> dict[int, list[ProfileLimit]]:
    """The limits of each version, in order."""
    t = table(ProfileLimit)
    found: dict[int, list[ProfileLimit]] = {version_id: [] for version_id in version_ids}
    rows = u.conn.execute(select(t).where(t.c.version_id.in_(list(version_ids))).order_by(t.c.id))
    for row in rows:
        found[row.version_id].append(ProfileLimit(**values_of(row)))
    return found


def create_item(u: Unit, code: str, name: str, **options: Any) -> Item:
    """A product or material; with `profile_id` it is judged by that profile's newest version from now on."""
    profile_id = options.get("profile_id")
    version = newest_version(u, profile_id) if profile_id is not None else None
    item = add_row(u, Item(code=code, name=name, **options), "item", "code")
    if version is not None:
        assign_profile(u, item.id, version.id, u.now)
    return item


def create_items(u: Unit, items: Sequence[Mapping[str, Any]]) -> list[int]:
    """As `create_item`, many at once: each profile is looked for once. Raises as it does, but that it is the database
    that finds a code taken.
    """
    wanted = {one["profile_id"] for one in items if one.get("profile_id") is not None}
    versions = {profile_id: newest_version(u, profile_id) for profile_id in sorted(wanted)}
    made = [Item(**one) for one in items]
    _add_rows(u, made, "item")
    judged = [item for item in made if item.profile_id is not None]
    rows = [ItemProfile(item_id=item.id, version_id=versions[item.profile_id].id, from_at=u.now) for item in judged]
    _add_rows(u, rows, "item_profile")
    if judged:
        u.emit(JudgingChanged((), tuple(item.id for item in judged), u.now, "profile"))
    return [item.id for item in made]


def _add_rows(u: Unit, rows: Sequence[Any], entity: str) -> None:
    """Stores new rows with their audit, in one statement."""
    u.session.add_all(rows)
    u.session.flush()
    for row in rows:
        u.audit(f"{entity}.create", entity, row.id, after=row.model_dump())


def newest_version(u: Unit, profile_id: int) -> ProfileVersion:
    """The newest version of a profile. Raises NotFound, Refused if it has none or is withdrawn."""
    active(u, StorageProfile, profile_id)
    v = table(ProfileVersion)
    newest = select(v.c.id).where(v.c.profile_id == profile_id).order_by(v.c.version.desc()).limit(1)
    found = u.conn.execute(newest).scalar()
    if found is None:
        raise Refused("catalog.no_version", profile_id=profile_id)
    return u.session.get_one(ProfileVersion, found)


def assign_profile(u: Unit, item_id: int, version_id: int, from_at: datetime) -> ItemProfile:
    """The item is judged by the version from then on. Raises NotFound, Refused (out of order)."""
    item, version = active(u, Item, item_id), get(u, ProfileVersion, version_id)
    t = table(ItemProfile)
    if u.conn.execute(select(t.c.id).where(t.c.item_id == item_id, t.c.from_at > from_at)).first() is not None:
        raise Refused("catalog.later_profile", item=item.code)
    row = add_row(u, ItemProfile(item_id=item_id, version_id=version_id, from_at=from_at), "item_profile")
    item.profile_id = version.profile_id
    u.session.add(item)
    u.session.flush()
    u.emit(JudgingChanged((), (item_id,), from_at, "profile"))
    return row


def profile_version_of(u: Unit, item_id: int, at: datetime) -> ProfileVersion | None:
    """The version by which an item is judged at an instant; None: none."""
    t = table(ItemProfile)
    found = u.conn.execute(
        select(t.c.version_id)
        .where(t.c.item_id == item_id, t.c.from_at <= at)
        .order_by(t.c.from_at.desc(), t.c.id.desc())
        .limit(1)
    ).scalar()
    return u.session.get_one(ProfileVersion, found) if found is not None else None
