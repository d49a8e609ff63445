"""Zones' folds made from what is stored: after a start, after somebody else has written, after late data."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from core.erp.exposure.judge import silence as gaps
from core.erp.exposure.judge.due import goods_judged_in
from core.erp.exposure.judge.watermarks import WatermarkSource
from core.erp.exposure.judge.zone_fold import ProfileWatch, ZoneFold
from core.erp.exposure.judge.zone_tail import ZoneTail
from core.erp.exposure.readings import hourly_summaries as summaries
from core.erp.exposure.readings.profiles import load_profiles, versions_of
from core.erp.exposure.readings.trace import ReadingRange, first_known, last_good, load_readings_by_zone
from core.erp.exposure.readings.zone_setup import ZoneSetup, load_setups
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.times import micros


@dataclass(frozen=True, slots=True)
class FoldPosition:
    """How far a zone had got, in microseconds: last instant heard, watermark (0 each for none), the open hour."""

    last_reading_at: int
    watermark: int
    open_hour: int


def load_folds(
    conn: Connection, now: datetime, wanted: Mapping[int, FoldPosition], profiles: MutableMapping[int, Profile]
) -> dict[int, ZoneFold]:
    """The folds of zones, as far as their standing goes; everything about them is to be looked at.

    `profiles` is a cache: versions never change.
    """
    if not wanted:
        return {}
    setups = load_setups(conn, wanted)
    versions = _versions(conn, now, wanted, profiles, setups)
    out: dict[int, ZoneFold] = {}
    early: dict[int, int] = {}
    for zone, position in wanted.items():
        mine = {version: profiles[version] for version in sorted(versions[zone])}
        hour = position.open_hour
        tail = ZoneTail(setups[zone], mine, hour, hour, {}, position.last_reading_at, position.watermark)
        made = ZoneFold(tail)
        early[zone] = position.open_hour - _band_delay(setups[zone])
        # what was seen of the open hour before is not known here: goods that have left since may be concerned
        made.watches = {version: ProfileWatch(dirty_from=position.open_hour) for version in mine}
        out[zone] = made
    readings = load_readings_by_zone(conn, [_reading_range(fold, early[zone], now) for zone, fold in out.items()])
    for zone, fold in out.items():
        fold.tail.readings = readings[zone]
        if early[zone] < fold.tail.open_hour:
            fold.tail.extend_band(early[zone])
    good = last_good(conn, {point: fold.tail.stop for fold in out.values() for point in fold.tail.setup.points})
    for fold in out.values():
        fold.last_good_at = {
            point.address: good[point.address] for point in fold.tail.setup.points if point.address in good
        }
    for zone, since in first_known(conn, [fold.tail.setup for fold in out.values() if _never_good(fold)]).items():
        out[zone].first_known_at = since
    for zone, silences in gaps.silences_on_record(
        conn, {zone: fold.tail.open_from for zone, fold in out.items()}
    ).items():
        out[zone].silences = silences
    _load_watermarks(conn, out)
    for zone, closed_since in summaries.profiles_since(conn, out).items():
        out[zone].closed_since = closed_since
    return out


def _reading_range(fold: ZoneFold, start: int, now: datetime) -> ReadingRange:
    # a logger's readings came all at once and have landed: how each stay begins is to be seen in them
    stop = fold.tail.stop if fold.tail.setup.goods_present is None else max(fold.tail.stop, micros(now))
    return ReadingRange(fold.tail.setup, start, stop, fold.tail.longest_gap)


def _never_good(fold: ZoneFold) -> bool:
    """Whether a point is waited for of which neither a good reading nor an installation is known."""
    return any(
        point.required and point.installed_at is None and point.address not in fold.last_good_at
        for point in fold.tail.setup.points
    )


def _band_delay(setup: ZoneSetup) -> int:
    return 0 if setup.band is None else max((limit.delay for limit in setup.band.limits), default=0)


def _versions(
    conn: Connection,
    now: datetime,
    zones: Mapping[int, FoldPosition],
    profiles: MutableMapping[int, Profile],
    setups: Mapping[int, ZoneSetup],
) -> dict[int, set[int]]:
    """Every profile that is or was judged in each zone, and those of the goods that stand there now."""
    known = summaries.profiles_since(conn, zones)
    goods = goods_judged_in(conn, dict.fromkeys(zones, micros(now)))
    theirs = versions_of(conn, {sublot for ids in goods.values() for sublot in ids}, now)
    out = {zone: set(known[zone]) for zone in zones}
    for zone, ids in goods.items():
        out[zone].update(theirs[sublot] for sublot in ids if sublot in theirs)
    unknown = {version for versions in out.values() for version in versions} - profiles.keys()
    profiles.update(load_profiles(conn, unknown))
    new = {(zone, version) for zone, versions in out.items() for version in versions if version not in known[zone]}
    if new:
        since = goods_since(conn, {zone for zone, _ in new})
        summaries.ensure_closed_hours(conn, setups, profiles, {key: since.get(key[0], micros(now)) for key in new})
    return out


def _load_watermarks(conn: Connection, folds: Mapping[int, ZoneFold]) -> None:
    watermarks: dict[int, dict[WatermarkSource, int]] = defaultdict(dict)
    for row in conn.execute(
        text(
            "SELECT zone_id, gateway, source, redundancy_group, upto FROM source_watermark"
            " WHERE zone_id = ANY(:zones) AND retired_at IS NULL"
        ),
        {"zones": sorted(folds)},
    ):
        watermarks[row.zone_id][WatermarkSource(row.gateway, row.source, row.redundancy_group)] = micros(row.upto)
    for zone, fold in folds.items():
        fold.watermarks = dict(watermarks[zone])


def goods_since(conn: Connection, zones: Iterable[int]) -> dict[int, int]:
    """When goods first stood in each zone, or in an unmonitored one inside; zones where none ever did are left out."""
    rows = conn.execute(
        text(
            "WITH RECURSIVE inside AS (SELECT z AS root, z AS id FROM unnest(CAST(:zones AS bigint[])) z UNION"
            " SELECT i.root, n.zone_id FROM zone_nesting n JOIN inside i ON n.parent_id = i.id"
            " WHERE NOT EXISTS (SELECT FROM point p WHERE p.zone_id = n.zone_id AND p.role = 'required'))"
            " SELECT i.root AS zone_id, min(f.at) AS at FROM inside i JOIN custody_fact f ON f.zone_id = i.id"
            " GROUP BY i.root"
        ),
        {"zones": sorted(zones)},
    )
    return {row.zone_id: micros(row.at) for row in rows}
