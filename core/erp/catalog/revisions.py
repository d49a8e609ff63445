"""Changing what the catalog says: what was judged by it is not rewritten."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlmodel import SQLModel

from core.erp.catalog.events import JudgingChanged
from core.erp.catalog.model import Item, ItemProfile, Point, ProfileLimit, ProfileVersion, StorageProfile, Zone
from core.erp.catalog.rules import unit_fault
from core.erp.catalog.service import add_version, assign_profile, limits_of, newest_version
from core.erp.catalog.workflow import POINT
from core.erp.kernel.errors import Invalid, Refused
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.telemetry.units import convertible

JUDGED_BY = frozenset({"band_low", "band_high", "band_delay", "band_hysteresis", "allowed_gap"})
"""Fields of a zone by which its own alarms are judged."""
_GOODS_WERE_THERE = text("SELECT EXISTS (SELECT FROM custody_fact WHERE zone_id = :zone)")
_READ = text("SELECT EXISTS (SELECT FROM series_point WHERE address = :address)")


def change_zone(u: Unit, zone_id: int, **changes: Any) -> Zone:
    """Changes a zone's name, kind, band, allowed gap, worst temperature, or whether it accepts held stock.

    A new band or allowed gap counts from now on: an alarm that it no longer makes ends, one that it makes comes with
    the next reading; what was recorded stays. The address never changes; where the zone stands is a dated fact of its
    own. Raises NotFound, Invalid, Refused (a worst temperature by which goods were judged).
    """
    zone = u.get_one(Zone, zone_id, lock=True)
    before = zone.model_dump()
    changed = _apply(zone, changes)
    if zone.band_low is not None and zone.band_high is not None and zone.band_low >= zone.band_high:
        raise Invalid("catalog.band_upside_down")
    if "worst_temperature" in changed and u.conn.execute(_GOODS_WERE_THERE, {"zone": zone_id}).scalar_one():
        raise Refused("catalog.worst_temperature_stays", zone=zone.address, extra={"zone_id": zone_id})
    _record(u, "zone", zone, before, changed)
    if JUDGED_BY & changed:
        u.emit(JudgingChanged((zone_id,), (), u.now, "zone"))
    return zone


def change_point(u: Unit, point_id: int, **changes: Any) -> Point:
    """Changes a point's role, unit or plausible values.

    Role and plausible values are no dated facts: the point is judged by them for as long as goods have stood there,
    so its zone is judged again since then. Raises NotFound, Invalid, Refused (another unit once the point
    has readings: their numbers would mean something else).
    """
    point = u.get_one(Point, point_id, lock=True)
    before = point.model_dump()
    changed = _apply(point, changes)
    low, high = point.plausible_low, point.plausible_high
    if low is not None and high is not None and low >= high:
        raise Invalid("catalog.plausible_upside_down")
    if "unit" in changed:
        _check_unit(u, point, str(before["unit"]))
    _record(u, "point", point, before, changed)
    if changed and point.zone_id is not None:
        u.emit(JudgingChanged((point.zone_id,), (), u.now, "point"))
    return point


def withdraw_point(u: Unit, point_id: int, *, reason: str) -> Point:
    """Nothing is measured there any more. A point that was required and never read is a spare from then on: its zone
    would wait for it. Raises Refused for a required one that has readings, by which goods were judged: it is made a
    spare first; while a sensor is installed; IllegalMove, Forbidden.
    """
    point = u.get_one(Point, point_id, lock=True)
    if point.role == "required":
        if u.conn.execute(_READ, {"address": point.address}).scalar_one():
            raise Refused("catalog.required_and_read", point=point.address, extra={"point_id": point_id})
        change_point(u, point_id, role="spare")
    POINT.apply(u, point, "withdraw", reason=reason)
    return point


def _check_unit(u: Unit, point: Point, before: str) -> None:
    if (fault := unit_fault(point.quantity, point.unit)) is not None:
        raise Invalid(fault)
    if u.conn.execute(_READ, {"address": point.address}).scalar_one():
        name = "catalog.unit_stays_converted" if convertible(point.unit, before) else "catalog.unit_stays"
        raise Refused(name, point=point.address, unit=before, other=point.unit, extra={"point_id": point.id})


def change_profile(
    u: Unit,
    profile_id: int,
    *,
    limits: Sequence[Mapping[str, Any]] = (),
    remove: Sequence[str] = (),
    from_at: datetime | None = None,
    **changes: Any,
) -> StorageProfile:
    """Edits a profile: its name, and what comes of its newest version is its next version; no version ever changes.

    `changes` are fields of the version; each of `limits` names a limit by its `key` and what is other about it, or a
    new one whole; `remove` names those to leave out. With `from_at`, every item of the profile is judged by the new
    version from then on. Raises NotFound, Invalid, Refused.
    """
    profile = u.get_one(StorageProfile, profile_id, lock=True)
    before = profile.model_dump()
    named = {"name": changes.pop("name")} if "name" in changes else {}
    _record(u, "storage_profile", profile, before, _apply(profile, named))
    if limits or remove or changes:
        version = _next_version(u, profile_id, limits, remove, changes)
    elif from_at is not None:
        version = newest_version(u, profile_id)
    if from_at is not None:
        for item_id in _items(u, profile_id):
            assign_profile(u, item_id, version.id, from_at)
    return profile


def _next_version(
    u: Unit,
    profile_id: int,
    limits: Sequence[Mapping[str, Any]],
    removed: Sequence[str],
    changes: Mapping[str, Any],
) -> ProfileVersion:
    newest = newest_version(u, profile_id)
    fields = {**newest.model_dump(exclude={"id", "profile_id", "version", "created_at"}), **changes}
    merged = _merge_limits(u, newest.id, limits, removed)
    return add_version(u, profile_id, fields.pop("allowed_gap"), merged, **fields)


def _merge_limits(
    u: Unit, version_id: int, limits: Sequence[Mapping[str, Any]], removed: Sequence[str]
) -> list[ProfileLimit]:
    """The limits of a version with the changes, as new rows. Raises Invalid."""
    old = {
        limit.key: limit.model_dump(exclude={"id", "version_id"}) for limit in limits_of(u, [version_id])[version_id]
    }
    unknown = sorted(set(removed) - old.keys())
    if unknown:
        raise Invalid("catalog.no_limit_to_remove", keys=unknown, there=sorted(old))
    kept = {key: limit for key, limit in old.items() if key not in removed}
    for changed in limits:
        key = changed["key"]
        missing = {"op", "threshold", "kind"} - changed.keys()
        if key not in kept and missing:
            raise Invalid("catalog.limit_is_new", key=key, missing=sorted(missing))
        kept[key] = {**kept.get(key, {}), **changed}
    return [ProfileLimit(**limit) for limit in kept.values()]


def _items(u: Unit, profile_id: int) -> list[int]:
    """The items that are judged by the profile now."""
    i, a = table(Item), table(ItemProfile)
    assigned = select(i.c.id).where(i.c.profile_id == profile_id, select(a.c.id).where(a.c.item_id == i.c.id).exists())
    return list(u.conn.execute(assigned.order_by(i.c.id)).scalars())


def _apply(row: SQLModel, changes: Mapping[str, Any]) -> frozenset[str]:
    """Sets what is other; gives the names of it."""
    changed = frozenset(name for name, value in changes.items() if getattr(row, name) != value)
    for name in changed:
        setattr(row, name, changes[name])
    return changed


def _record(u: Unit, entity: str, row: SQLModel, before: Mapping[str, Any], changed: frozenset[str]) -> None:
    """Writes the row and its audit; nothing at all if nothing is other."""
    if not changed:
        return
    u.session.add(row)
    u.session.flush()
    after = row.model_dump()
    u.audit(
        f"{entity}.change",
        entity,
        after["id"],
        before={name: before[name] for name in sorted(changed)},
        after={name: after[name] for name in sorted(changed)},
    )
