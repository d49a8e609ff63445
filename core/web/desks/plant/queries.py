"""Zones as they stand now: value, band, age, alarms, goods and held goods; one statement for all of them."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from sqlalchemy import Select, false, func, select

from core.erp.catalog.model import Item, Point, Zone
from core.erp.catalog.scopes import ZONES
from core.erp.catalog.withdrawal import ACTIVE
from core.erp.custody.model import CustodyFact
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Hold, Lot, Sublot, ZoneJudged
from core.erp.lots.queries import AMONG_HELD
from core.erp.lots.scopes import SUBLOTS
from core.erp.quality.model import ZoneAlarm
from core.web.frame.states import Tone

_z, _j, _p = table(Zone).c, table(ZoneJudged).c, table(Point).c
_s, _h, _a, _lot, _item = table(Sublot).c, table(Hold).c, table(ZoneAlarm).c, table(Lot).c, table(Item).c
NORMAL, RETURNED = "normal", "returned_unacknowledged"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a zone stands: how bad (0 the worst), its shape and word, and how its tile looks."""

    rank: int
    look: Tone
    word: str
    tile: str


STANDINGS: Mapping[str, Standing] = {
    "out": Standing(0, "harm", "web.zone_out", "tile-harm"),
    "silent": Standing(1, "unknown", "web.zone_silent", "tile-unknown"),
    "returned": Standing(2, "warn", "web.zone_returned", "tile-warn"),
    "unknown": Standing(3, "unknown", "web.zone_unknown", "tile-unknown"),
    "unwatched": Standing(4, "unknown", "web.zone_unwatched", "tile-unknown"),
    "no_band": Standing(5, "wait", "web.zone_no_band", ""),
    "well": Standing(6, "ok", "web.zone_well", ""),
}
"""In order of harm."""


@dataclass(frozen=True, slots=True)
class ZoneNow:
    """One zone as it stands."""

    id: int
    name: str
    address: str
    area: str
    value: float | None
    low: float | None
    high: float | None
    read_at: datetime | None
    judged_to: datetime | None
    goods: int
    held: int
    standing: Standing
    simulated: bool
    accepts_held: bool
    silent_since: datetime | None


def _statement() -> Select[Any]:
    alarms = (
        select(_a.zone_id, func.bool_or(_a.state == RETURNED).label("returned"))
        .where(_a.state != NORMAL, ~_a.suppressed, ~_a.out_of_service)
        .group_by(_a.zone_id)
        .subquery()
    )
    watched = select(1).where(_p.zone_id == _z.id, _p.role == "required").exists()
    return (
        select(
            *(_z[name] for name in ("id", "name", "address", "band_low", "band_high", "allowed_gap")),
            _z.simulated,
            _z.accepts_held,
            _z.worst_temperature,
            _j.last_value,
            _j.last_good_at,
            _j.judged_to,
            _j.silent_since,
            func.coalesce(alarms.c.returned, false()).label("returned"),
            watched.label("watched"),
        )
        .select_from(table(Zone))
        .outerjoin(table(ZoneJudged), _j.zone_id == _z.id)
        .outerjoin(alarms, alarms.c.zone_id == _z.id)
    )


@dataclass(frozen=True, slots=True)
class Inside:
    """How many sublots stand in a zone, and how many of them are held."""

    goods: int = 0
    held: int = 0


def zones(u: Unit, inside: Mapping[int, Inside], only: Collection[int] | None = None) -> list[ZoneNow]:
    """The zones in use that the reader may see, worst first; or those of them that are named, in use or not. `inside`:
    from `GoodsCounts`, or nothing where nobody asks for it.
    """
    statement = scoped(_statement(), ZONES, u.actor)
    statement = statement.where(_z.state == ACTIVE if only is None else _z.id.in_(only))
    found = [_zone(row, u.now, inside.get(row.id, _EMPTY)) for row in u.conn.execute(statement)]
    return sorted(found, key=lambda one: (one.standing.rank, -one.held, -one.goods, one.address))


_EMPTY = Inside()
_COUNTED = select(_s.zone_id, func.count().label("some")).where(_s.zone_id.is_not(None)).group_by(_s.zone_id)
_SEEN = select(
    select(func.max(table(CustodyFact).c.id)).scalar_subquery(),
    select(func.max(_h.id)).scalar_subquery(),
    select(func.count()).where(_h.lifted_at.is_(None), _h.sublot_id.is_not(None)).scalar_subquery(),
    select(func.count()).where(_h.lifted_at.is_(None), _h.lot_id.is_not(None)).scalar_subquery(),
)
"""What differs once goods have moved, or were held or freed."""
KEPT = 10.0
"""Seconds for which counts may be shown in any case: transactions end in another order than they began, so that the
newest numbers do not tell of all.
"""


class GoodsCounts:
    """What stands in each zone, counted again once anything has moved or a hold was placed or lifted: over a million
    sublots that takes longer than all else of a page. One for all visitors: who may see which zone is asked before.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._kept: tuple[Any, float, dict[int, Inside]] | None = None

    def of(self, u: Unit) -> Mapping[int, Inside]:
        """By zone; one without goods is left out."""
        seen, at = tuple(u.conn.execute(_SEEN).one()), self._clock()
        with self._lock:
            kept = self._kept
        if kept is None or kept[0] != seen or at - kept[1] > KEPT:
            kept = seen, at, _counted(u)
            with self._lock:
                self._kept = kept
        return kept[2]


def _counted(u: Unit) -> dict[int, Inside]:
    held = {row.zone_id: row.some for row in u.conn.execute(_COUNTED.where(AMONG_HELD))}
    return {row.zone_id: Inside(row.some, held.get(row.zone_id, 0)) for row in u.conn.execute(_COUNTED)}


def _zone(row: Any, now: datetime, inside: Inside) -> ZoneNow:
    parts = row.address.split("/")
    return ZoneNow(
        row.id,
        row.name,
        row.address,
        "/".join(parts[:2]),
        row.last_value,
        row.band_low,
        row.band_high,
        row.last_good_at,
        row.judged_to,
        inside.goods,
        inside.held,
        STANDINGS[_standing(row, now)],
        row.simulated,
        row.accepts_held,
        row.silent_since,
    )


def _standing(row: Any, now: datetime) -> str:
    """How a zone stands, in one word: by its last good value, its age, its band and its alarms."""
    if not row.watched:
        return "unwatched"
    if row.last_good_at is None or row.last_value is None:
        return "unknown"
    if now - row.last_good_at > row.allowed_gap:
        return "silent"
    low, high, value = row.band_low, row.band_high, row.last_value
    if (high is not None and value > high) or (low is not None and value < low):
        return "out"
    if row.returned:
        return "returned"
    return "no_band" if low is None and high is None else "well"


_holds = (
    select(func.count())
    .where(_h.lifted_at.is_(None), (_h.sublot_id == _s.id) | (_h.lot_id == _s.lot_id))
    .correlate(table(Sublot))
    .scalar_subquery()
)
_INSIDE = (
    select(
        _s.id,
        _s.code,
        _s.state,
        _s.handling_unit,
        _lot.number.label("lot"),
        _item.code.label("item"),
        _holds.label("holds"),
    )
    .select_from(table(Sublot))
    .join(table(Lot), _lot.id == _s.lot_id)
    .join(table(Item), _item.id == _lot.item_id)
)
MOST_GOODS = 25


def inside(u: Unit, zone_id: int) -> Sequence[Any]:
    """The first goods that stand in the zone now, held ones first."""
    wanted = _INSIDE.where(_s.zone_id == zone_id)
    found = u.conn.execute(scoped(wanted, SUBLOTS, u.actor).order_by(_s.id.desc()).limit(MOST_GOODS)).all()
    return sorted(found, key=lambda row: (-min(row.holds, 1), row.code))
