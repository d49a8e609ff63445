"""What the judge does when others change where goods were, or by what they are judged."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import text

from core.erp.catalog.events import JudgingChanged
from core.erp.custody.events import CustodyChanged
from core.erp.exposure.events import Judged, SublotsJudged, ZoneState
from core.erp.exposure.history.exposure_history import ExposureHistory
from core.erp.exposure.history.lineage import mergers, paths
from core.erp.exposure.history.logger_zones import logger_zones_among
from core.erp.exposure.judge.due import goods_judged_in, judged_events
from core.erp.exposure.judge.fold_loading import goods_since
from core.erp.exposure.judge.judge import Judge
from core.erp.exposure.readings.profiles import versions_of
from core.erp.exposure.readings.zone_setup import load_setups
from core.erp.exposure.times import micros, moment
from core.erp.kernel.errors import Refused
from core.erp.kernel.events import Events
from core.erp.kernel.unit import Unit
from core.erp.lots.events import SublotCreated

MAX_PATHS = 64
"""Different histories that one merger may have."""


def register(events: Events) -> None:
    """Says which events this module answers."""
    events.on(CustodyChanged, "exposure.rejudge", rejudge)
    events.on(JudgingChanged, "exposure.rejudge", rejudge_changes)
    events.on(SublotCreated, "exposure.limit_merger_paths", limit_merger_paths)


def limit_merger_paths(u: Unit, event: SublotCreated) -> None:
    """A merger is judged along every path its parts took. Raises Refused for one with too many different paths:
    goods that are split, stand apart and are merged again and again double them each time.
    """
    if event.how == "merge":
        u.session.flush()
        count = len(paths(u.conn, [event.sublot_id])[event.sublot_id])
        if count > MAX_PATHS:
            raise Refused("exposure.too_many_ways", ways=count, most=MAX_PATHS)


def rejudge(u: Unit, event: CustodyChanged) -> None:
    """Late custody is like late data: the zones are locked and the sublot is judged from all of its custody, and so is
    what it was merged into.

    The zones' rows are bumped, so that a live fold learns of goods whose threshold may now be the nearest.
    """
    u.session.flush()
    goods = [event.sublot_id, *mergers(u.conn, [event.sublot_id])]
    if not versions_of(u.conn, goods, u.now):
        return
    # goods in an unmeasured zone are watched by the zone around it
    lock_zones(u, {*event.zone_ids, *_judging_zones(u, goods)})
    for zone in logger_zones_among(u.conn, _judged_zones(u, event.zone_ids)):
        Judge().rejudge(u, zone, event.from_at)  # what of its readings counts is another part now
    _judge_goods(u, goods)


def _judging_zones(u: Unit, goods: Collection[int]) -> set[int]:
    """Every zone that judges, or judged, these goods."""
    paths = ExposureHistory(u.conn, u.now).judged_paths(goods)
    return {zone for some in paths.values() for path in some for zone, _, _ in path}


def rejudge_changes(u: Unit, event: JudgingChanged) -> None:
    """What is known differently since an instant judges again what it touches.

    Calibrations, installations and bands: the zones, from raw readings; points, too, and since goods first stood there.
    Nesting: the goods that stood in these zones or in
    unmonitored ones inside. A profile in force: all goods of the items, over all of their custody.
    """
    zones = _judged_zones(u, event.zone_ids)
    if event.reason == "nesting":
        found = goods_judged_in(u.conn, dict.fromkeys(event.zone_ids, micros(event.from_at)))
        goods = sorted({sublot for ids in found.values() for sublot in ids})
        # the zone that judges them from now on may lie further out than the two that were nested
        lock_zones(u, {*zones, *_judged_zones(u, _judging_zones(u, goods))})
        _judge_goods(u, goods)
    else:
        lock_zones(u, zones)
        judge = Judge()
        since = goods_since(u.conn, zones) if event.reason == "point" else {}
        for zone in zones:
            judge.rejudge(u, zone, moment(since[zone]) if zone in since else event.from_at)
        if event.reason == "zone":
            _end_alarms(u, event.zone_ids, event.from_at)
    if event.from_at <= u.now:
        judge_items(u, event.item_ids)


def _end_alarms(u: Unit, zone_ids: Collection[int], at: datetime) -> None:
    """Where an end of the band was taken away, an alarm of it that stands is over: no reading would end it any more."""
    for zone, place in load_setups(u.conn, zone_ids).items():
        limited = {limit.high for limit in place.band.limits} if place.band is not None else set()
        if True not in limited:
            u.emit(ZoneState(zone, "high", active=False, at=at, value=None))
        if False not in limited:
            u.emit(ZoneState(zone, "low", active=False, at=at, value=None))


def judge_items(u: Unit, item_ids: Collection[int]) -> None:
    """Judges all goods of the items by the profile version that is in force now.

    What an earlier version said of them is no longer said: its excursions become superseded, unless they are signed.
    """
    if not item_ids:
        return
    ids = (
        u.conn.execute(
            text("SELECT s.id FROM sublot s JOIN lot l ON l.id = s.lot_id WHERE l.item_id = ANY(:items) ORDER BY s.id"),
            {"items": sorted(item_ids)},
        )
        .scalars()
        .all()
    )
    lock_zones(u, _judging_zones(u, ids))
    _judge_goods(u, ids, replacing=True)


def _judge_goods(u: Unit, sublot_ids: Iterable[int], *, replacing: bool = False) -> None:
    """Judges sublots from all of their custody; `replacing` what versions no longer in force said of them."""
    versions = versions_of(u.conn, sublot_ids, u.now)
    by_version: dict[int, list[int]] = defaultdict(list)
    for sublot, version in versions.items():
        by_version[version].append(sublot)
    history = ExposureHistory(u.conn, u.now)
    items = judged_events(history, history.verdicts(by_version))
    if replacing:
        items += _withdrawn(u, versions)
    if items:
        u.emit(SublotsJudged(tuple(items)))


def _withdrawn(u: Unit, versions: dict[int, int]) -> list[Judged]:
    rows = u.conn.execute(
        text(
            "SELECT DISTINCT s.id AS sublot_id, p.version_id FROM sublot s JOIN lot l ON l.id = s.lot_id"
            " JOIN item_profile p ON p.item_id = l.item_id WHERE s.id = ANY(:ids) AND p.from_at <= :now ORDER BY 1, 2"
        ),
        {"ids": sorted(versions), "now": u.now},
    )
    return [Judged(row.sublot_id, row.version_id, ()) for row in rows if row.version_id != versions[row.sublot_id]]


def _judged_zones(u: Unit, zone_ids: Collection[int]) -> tuple[int, ...]:
    """Those of the zones of which anything was ever heard: the others have nothing to judge again."""
    rows = u.conn.execute(
        text("SELECT zone_id FROM zone_judged WHERE zone_id = ANY(:zones) AND judged_to IS NOT NULL ORDER BY zone_id"),
        {"zones": sorted(zone_ids)},
    )
    return tuple(rows.scalars())


def lock_zones(u: Unit, zone_ids: Collection[int]) -> None:
    """Locks zones ascending and bumps their versions."""
    zones = {"zones": sorted(zone_ids)}
    u.conn.execute(
        text(
            "INSERT INTO zone_judged (zone_id, version) SELECT z, 0 FROM unnest(CAST(:zones AS bigint[])) z"
            " ON CONFLICT DO NOTHING"
        ),
        zones,
    )
    u.lock(text("SELECT 1 FROM zone_judged WHERE zone_id = ANY(:zones) ORDER BY zone_id FOR UPDATE"), zones)
    u.conn.execute(text("UPDATE zone_judged SET version = version + 1 WHERE zone_id = ANY(:zones)"), zones)
