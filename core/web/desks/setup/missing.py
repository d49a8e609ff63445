"""What of the set-up is not complete: each kind counted, its first records named, in order of what it costs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select

from core.erp.catalog.model import Installation, Item, ItemProfile, Point, ProfileVersion, Site, StorageProfile, Zone
from core.erp.kernel.model import User
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.series.model import SeriesPoint
from core.web.frame.states import Tone

_z, _p, _i, _user = table(Zone).c, table(Point).c, table(Item).c, table(User).c
_in, _ip, _v = table(Installation).c, table(ItemProfile).c, table(ProfileVersion).c
NAMED = 5
"""Records that are named; how many more there are is said."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of gap: whose records have it, what it is called and why it matters, and the condition."""

    entity: str
    said: str
    why: str
    look: Tone
    condition: Callable[[], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Missing:
    """A kind of gap that there is: how many records have it, and the first of them as (id, what it is called)."""

    kind: Kind
    path: str
    count: int
    first: tuple[tuple[int, str], ...]


def _measured() -> ColumnElement[bool]:
    return select(1).where(_p.zone_id == _z.id, _p.role == "required").exists()


def _unmeasured() -> ColumnElement[bool]:
    return ~_measured() & _z.worst_temperature.is_(None)


def _never_heard() -> ColumnElement[bool]:
    known = select(1).where(table(SeriesPoint).c.address == _p.address).exists()
    return (_p.role != "machine") & ~known


def _without_sensor() -> ColumnElement[bool]:
    installed = select(1).where(
        _in.point_id == _p.id, _in.from_at <= func.now(), or_(_in.to_at.is_(None), _in.to_at > func.now())
    )
    return (_p.role == "required") & ~installed.exists()


def _without_profile() -> ColumnElement[bool]:
    judged = select(1).where(_ip.item_id == _i.id, _ip.from_at <= func.now())
    return ~judged.exists()


def _without_version() -> ColumnElement[bool]:
    return ~select(1).where(_v.profile_id == table(StorageProfile).c.id).exists()


KINDS = (
    Kind("zone", "web.zones_unmeasured", "web.zones_unmeasured_why", "warn", _unmeasured),
    Kind("point", "web.points_never_heard", "web.points_never_heard_why", "warn", _never_heard),
    Kind("item", "web.items_unjudged", "web.items_unjudged_why", "warn", _without_profile),
    Kind("storage_profile", "web.profiles_empty", "web.profiles_empty_why", "warn", _without_version),
    Kind(
        "zone",
        "web.zones_without_band",
        "web.zones_without_band_why",
        "wait",
        lambda: _z.band_low.is_(None) & _z.band_high.is_(None) & _measured(),
    ),
    Kind("point", "web.points_without_sensor", "web.points_without_sensor_why", "wait", _without_sensor),
    Kind(
        "user",
        "web.users_everywhere",
        "web.users_everywhere_why",
        "wait",
        lambda: (
            _user.active
            & (func.cardinality(_user.site_ids) == 0)
            & _user.partner_id.is_(None)
            & (select(func.count()).select_from(table(Site)).scalar_subquery() > 1)
        ),
    ),
)


def missing(u: Unit) -> list[Missing]:
    """Every kind of gap that there is among what the reader may see."""
    found = []
    for kind in KINDS:
        entity = entities()[kind.entity]
        if not any(map(u.actor.may, as_permits(entity.read))):
            continue
        count, first = _read(u, entity, kind.condition())
        if count:
            found.append(Missing(kind, f"/{entity.path}", count, first))
    return found


def _read(u: Unit, entity: Entity, condition: ColumnElement[bool]) -> tuple[int, tuple[tuple[int, str], ...]]:
    columns = table(entity.table).c
    rows: Select[Any] = select(columns.id, columns[entity.label], func.count().over()).where(condition)
    some = u.conn.execute(scoped(rows, entity.scope, u.actor).order_by(columns.id).limit(NAMED)).all()
    return (some[0][2] if some else 0), tuple((row[0], str(row[1])) for row in some)
