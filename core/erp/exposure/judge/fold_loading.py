"""Zones' folds made from what is stored: after a start, after somebody else has written, after late data."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from core.erp.exposure.judge import silence as gaps
from core.erp.exposure.judge.due import goods_in
from core.erp.exposure.judge.watermarks import Speaker
from core.erp.exposure.judge.zone_fold import Watch, ZoneFold
from core.erp.exposure.readings import hourly_summaries as summaries
from core.erp.exposure.readings.trace import Part, first_heard, last_good, load_parts
from core.erp.exposure.readings.zone_setup import Place, load_places, load_profiles, versions_of
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.times import micros


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a zone had got, in microseconds: last instant heard, watermark (0 each for none), the open hour."""

    heard_to: int
    watermark: int
    hour: int


def load_folds(
    conn: Connection, now: datetime, wanted: Mapping[int, Standing], profiles: MutableMapping[int, Profile]
) -> dict[int, ZoneFold]:
    """The folds of zones, as far as their standing goes; everything about them is to be looked at.

    `profiles` is a cache: versions never change.
    """
    if not wanted:
        return {}
    places = load_places(conn, wanted)
    versions = _versions(conn, now, wanted, profiles, places)
    out: dict[int, ZoneFold] = {}
    early: dict[int, int] = {}
    for zone, standing in wanted.items():
        mine = {version: profiles[version] for version in sorted(versions[zone])}
        made = ZoneFold(places[zone], mine, standing.hour, standing.hour, {}, standing.heard_to, standing.watermark)
        early[zone] = standing.hour - _band_delay(places[zone])
        # what was seen of the open hour before is not known here: goods that have left since may be concerned
        made.watches = {version: Watch(dirty_from=standing.hour) for version in mine}
        out[zone] = made
    heard = load_parts(conn, [_part(fold, early[zone], now) for zone, fold in out.items()])
    for zone, fold in out.items():
        fold.heard = heard[zone]
        if early[zone] < fold.hour:
            fold.remember_band(early[zone])
    good = last_good(conn, {point: fold.stop for fold in out.values() for point in fold.place.points})
    for fold in out.values():
        fold.good_at = {point.address: good[point.address] for point in fold.place.points if point.address in good}
    for zone, since in first_heard(conn, [fold.place for fold in out.values() if _never_good(fold)]).items():
        out[zone].since = since
    for zone, silences in gaps.of_zones(conn, {zone: fold.open_from for zone, fold in out.items()}).items():
        out[zone].silences = silences
    _load_marks(conn, out)
    for zone, closed_since in summaries.profiles_since(conn, out).items():
        out[zone].closed_since = closed_since
    return out


def _part(fold: ZoneFold, start: int, now: datetime) -> Part:
    # a logger's readings came all at once and have landed: how each stay begins is to be seen in them
    stop = fold.stop if fold.place.stays is None else max(fold.stop, micros(now))
    return Part(fold.place, start, stop, fold.longest_gap)


def _never_good(fold: ZoneFold) -> bool:
    """Whether a point is waited for of which neither a good reading nor an installation is known."""
    return any(
        point.required and point.since is None and point.address not in fold.good_at for point in fold.place.points
    )


def _band_delay(place: Place) -> int:
    return 0 if place.band is None else max((limit.delay for limit in place.band.limits), default=0)


def _versions(
    conn: Connection,
    now: datetime,
    zones: Mapping[int, Standing],
    profiles: MutableMapping[int, Profile],
    places: Mapping[int, Place],
) -> dict[int, set[int]]:
    """Every profile that is or was judged in each zone, and those of the goods that stand there now."""
    known = summaries.profiles_since(conn, zones)
    goods = goods_in(conn, dict.fromkeys(zones, micros(now)))
    theirs = versions_of(conn, {sublot for ids in goods.values() for sublot in ids}, now)
    out = {zone: set(known[zone]) for zone in zones}
    for zone, ids in goods.items():
        out[zone].update(theirs[sublot] for sublot in ids if sublot in theirs)
    unknown = {version for versions in out.values() for version in versions} - profiles.keys()
    profiles.update(load_profiles(conn, unknown))
    new = {(zone, version) for zone, versions in out.items() for version in versions if version not in known[zone]}
    if new:
        since = earliest(conn, {zone for zone, _ in new})
        summaries.ensure(conn, places, profiles, {key: since.get(key[0], micros(now)) for key in new})
    return out


def _load_marks(conn: Connection, folds: Mapping[int, ZoneFold]) -> None:
    marks: dict[int, dict[Speaker, int]] = defaultdict(dict)
    for row in conn.execute(
        text(
            "SELECT zone_id, gateway, source, redundancy_group, upto FROM source_watermark"
            " WHERE zone_id = ANY(:zones) AND retired_at IS NULL"
        ),
        {"zones": sorted(folds)},
    ):
        marks[row.zone_id][Speaker(row.gateway, row.source, row.redundancy_group)] = micros(row.upto)
    for zone, fold in folds.items():
        fold.marks = dict(marks[zone])


def earliest(conn: Connection, zones: Iterable[int]) -> dict[int, int]:
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
