"""Sites and their zones with what is measured there; who looks after them; what came in and could not be taken."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, case, func, select, text

from core.erp.catalog.model import Point, Site, Zone
from core.erp.catalog.scopes import SITES, ZONES
from core.erp.exposure.model import SourceWatermark
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

_s, _z, _p, _w = table(Site).c, table(Zone).c, table(Point).c, table(SourceWatermark).c
ZONES_MOST = 100
"""Zones of a site that are shown; all of them are behind its link."""
SILENT_AFTER = timedelta(minutes=1)
"""A gateway tells how far it is every two seconds."""


@dataclass(frozen=True, slots=True)
class SiteNow:
    """A site with the first of its zones, and how many it has."""

    id: int
    code: str
    name: str
    timezone: str
    count: int
    zones: tuple[Row[Any], ...]


def sites(u: Unit) -> list[SiteNow]:
    """The sites that the reader sees, each with its zones by address."""
    points = (
        select(
            _p.zone_id,
            func.count().filter(_p.role == "required").label("required"),
            func.count().filter(_p.role == "spare").label("spare"),
            func.count().filter(_p.role == "machine").label("machine"),
        )
        .group_by(_p.zone_id)
        .subquery()
    )
    zones = (
        select(
            *(_z[name] for name in ("id", "site_id", "name", "address", "band_low", "band_high", "allowed_gap")),
            _z.worst_temperature,
            func.coalesce(points.c.required, 0).label("required"),
            func.coalesce(points.c.spare, 0).label("spare"),
            func.coalesce(points.c.machine, 0).label("machine"),
            func.count().over(partition_by=_z.site_id).label("of_site"),
            func.row_number().over(partition_by=_z.site_id, order_by=_z.address).label("place"),
        )
        .select_from(table(Zone))
        .outerjoin(points, points.c.zone_id == _z.id)
    )
    first = scoped(zones, ZONES, u.actor).subquery()
    rows = u.conn.execute(select(first).where(first.c.place <= ZONES_MOST).order_by(first.c.place)).all()
    found = u.conn.execute(scoped(select(_s.id, _s.code, _s.name, _s.timezone), SITES, u.actor).order_by(_s.code))
    return [_site(row, [zone for zone in rows if zone.site_id == row.id]) for row in found]


def _site(row: Row[Any], zones: list[Row[Any]]) -> SiteNow:
    return SiteNow(row.id, row.code, row.name, row.timezone, zones[0].of_site if zones else 0, tuple(zones))


@dataclass(frozen=True, slots=True)
class GatewayNow:
    """A gateway: when it was last heard, how far its slowest source has spoken, its starts, and what waits of it."""

    name: str
    heard_at: datetime | None
    spoken_to: datetime | None
    sources: int
    starts: int
    started_at: datetime | None
    waiting: int
    aside: int
    silent: bool


# the ingest is beside the pages, not below them: they know its tables by name only
_STARTS = text("""
    SELECT e.gateway, count(*) AS starts, max(e.first_seen_at) AS started_at,
        (SELECT count(*) FROM pending_watermark w WHERE w.gateway = e.gateway) AS waiting
    FROM gateway_epoch e GROUP BY e.gateway ORDER BY e.gateway
""")


def gateways(u: Unit) -> list[GatewayNow]:
    """Every gateway that was ever heard of; silent ones first."""
    live = _w.retired_at.is_(None)
    spoken = (
        select(
            _w.gateway,
            func.max(_w.received_at).label("heard_at"),
            func.min(_w.upto).filter(live).label("spoken_to"),
            func.count(_w.source.distinct()).filter(live).label("sources"),
        )
        .join(table(Zone), _z.id == _w.zone_id)
        .group_by(_w.gateway)
    )
    said = {row.gateway: row for row in u.conn.execute(scoped(spoken, ZONES, u.actor))}
    aside = _aside(u)
    found = []
    for row in u.conn.execute(_STARTS):
        one = said.get(row.gateway)
        heard = one.heard_at if one is not None else None
        silent = heard is None or u.now - heard > SILENT_AFTER
        found.append(
            GatewayNow(
                row.gateway,
                heard,
                one.spoken_to if one is not None else None,
                one.sources if one is not None else 0,
                row.starts,
                row.started_at,
                row.waiting,
                aside.get(row.gateway, 0),
                silent,
            )
        )
    return sorted(found, key=lambda one: (not one.silent, one.name))


def _aside(u: Unit) -> dict[str, int]:
    letters = entities()["dead_letter"]
    c = table(letters.table).c
    counted = select(c.gateway, func.count()).where(c.replayed_at.is_(None), c.gateway.is_not(None)).group_by(c.gateway)
    return {row[0]: row[1] for row in u.conn.execute(scoped(counted, letters.scope, u.actor))}


@dataclass(frozen=True, slots=True)
class Aside:
    """Readings that could not be taken for one reason, and of one point where it is the point that is unknown."""

    reason: str
    point: str | None
    count: int
    first_at: datetime
    last_at: datetime
    gateways: tuple[str, ...]


UNKNOWN_POINT = "unknown_point"
ASIDE_MOST = 50


def put_aside(u: Unit) -> list[Aside]:
    """What was put aside and not replayed yet: unknown points one by one, all else by its reason; most first."""
    letters = entities()["dead_letter"]
    c = table(letters.table).c
    point = case((c.reason == UNKNOWN_POINT, c.point)).label("point")
    counted = (
        select(
            c.reason,
            point,
            func.count().label("letters"),
            func.min(c.at).label("first_at"),
            func.max(c.at).label("last_at"),
            func.array_remove(func.array_agg(c.gateway.distinct()), None).label("gateways"),
        )
        .where(c.replayed_at.is_(None))
        .group_by(c.reason, point)
        .order_by(func.count().desc(), c.reason)
        .limit(ASIDE_MOST)
    )
    rows = u.conn.execute(scoped(counted, letters.scope, u.actor))
    return [Aside(row.reason, row.point, row.letters, row.first_at, row.last_at, tuple(row.gateways)) for row in rows]
