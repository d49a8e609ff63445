"""Exposure of many sublots at once: the same answers as `service.exposure`, each zone read once.

Closed hours are added by prefix sums, and the parts of hours at the ends come from raw readings; runs are clipped
from each zone's own. So any number of sublots over any intervals cost little more than the zones they stood in. Why
there are two: see `service`, the plain form by which this one is tested.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, text

from core.erp.exposure.bulk.hours import Asked, load_hours
from core.erp.exposure.bulk.index import LEVELS, Figures, Ints, Tracks
from core.erp.exposure.bulk.raw import Wanted as WantedReadings
from core.erp.exposure.bulk.raw import load_traces
from core.erp.exposure.bulk.sums import Stays, Told, summed
from core.erp.exposure.bulk.zone import Zone, shared
from core.erp.exposure.history.exposure_history import Ways
from core.erp.exposure.readings import hourly_summaries as summaries
from core.erp.exposure.readings.zone_setup import versions_of
from core.erp.exposure.rules import runs as r
from core.erp.exposure.service import Exposure, worst
from core.erp.exposure.times import micros
from core.erp.kernel.gc_pause import gc_paused

Wanted = tuple[int, datetime | None, datetime | None]
"""(sublot, from or None for all its custody, to or None for now), half-open."""
AT_ONCE = 64
"""Zones that are read together, which bounds what is in memory: a month of a reading a minute is 50 MB of them."""


def exposures(conn: Connection, wanted: Sequence[Wanted], now: datetime) -> list[Exposure | None]:
    """The exposure of each wanted sublot over its interval, in order; None for goods without a profile or place there.

    Raises NeedsOlder where PostgreSQL no longer has the readings of the ends.
    """
    with gc_paused():
        return _exposures(conn, wanted, now)


def _exposures(conn: Connection, wanted: Sequence[Wanted], now: datetime) -> list[Exposure | None]:
    ids = sorted({sublot for sublot, _, _ in wanted})
    versions = versions_of(conn, ids, now)
    ways = Ways(conn, now)
    came = ways.ways(ids)
    # a merger's goods came several ways: each is looked at by itself
    each_way = [(index, way) for index, (sublot, _, _) in enumerate(wanted) for way in came[sublot]]
    rows: dict[tuple[int, int], list[tuple[int, int, int, int]]] = defaultdict(list)
    for number, (index, way) in enumerate(each_way):
        sublot, start, stop = wanted[index]
        version = versions.get(sublot)
        if version is None:
            continue
        begin, end = micros(start) if start else 0, micros(stop) if stop else micros(now) + 1
        for order, (zone, a, b) in enumerate(way):
            since, until = max(a, begin), end if b is None else min(end, b)
            if until > since:
                rows[(zone, version)].append((number, order, since, until))
    told: dict[int, list[Told]] = defaultdict(list)
    for version, found in _seen(ways, {key: Stays(*np.array(mine, np.int64).T) for key, mine in rows.items()}):
        told[version].append(found)
    alone: list[Exposure | None] = [None] * len(each_way)
    for version, mine in told.items():
        for number, figures in summed(ways.profile(version), mine, [wanted[index][0] for index, _ in each_way]):
            alone[number] = figures
    if len(each_way) == len(wanted):
        return alone
    together: dict[int, list[Exposure | None]] = defaultdict(list)
    for (index, _), one in zip(each_way, alone, strict=True):
        together[index].append(one)
    return [worst(together[index]) for index in range(len(wanted))]


def _seen(ways: Ways, stays: dict[tuple[int, int], Stays]) -> Iterable[tuple[int, Told]]:
    """What the stays saw, by the version of the profile."""
    watched: dict[int, dict[int, Stays]] = defaultdict(dict)
    for (zone, version), mine in stays.items():
        if ways.place(zone).monitored:
            watched[zone][version] = mine
        else:
            yield version, _blind(ways, zone, version, mine)
    profiles = {version: ways.profile(version) for mine in watched.values() for version in mine}
    since = {(zone, version): int(mine.start.min()) for zone, of in watched.items() for version, mine in of.items()}
    if since:
        summaries.ensure(ways.conn, {zone: ways.place(zone) for zone in watched}, profiles, since)
    standing = _standing(ways.conn, watched)
    known: dict[int, dict[int, Stays]] = defaultdict(dict)
    for zone, of in watched.items():
        judged_to, _ = standing.get(zone, (None, 0))
        for version, mine in of.items():
            stop = mine.start if judged_to is None else np.maximum(np.minimum(mine.stop, judged_to + 1), mine.start)
            cut = replace(mine, stop=stop)
            some = stop > mine.start
            yield version, Told(cut.only(~some), Figures.nothing(int((~some).sum())), {})
            if some.any():
                known[zone][version] = cut.only(some)
    zones = sorted(known)
    for first in range(0, len(zones), AT_ONCE):
        some_zones = {zone: known[zone] for zone in zones[first : first + AT_ONCE]}
        yield from _in_zones(ways, {zone: standing[zone][1] for zone in some_zones}, some_zones)


def _standing(conn: Connection, zones: Iterable[int]) -> dict[int, tuple[int | None, int]]:
    """(judged to, watermark) of the zones, microseconds; None and 0 where there is none."""
    rows = conn.execute(
        text("SELECT zone_id, judged_to, watermark FROM zone_judged WHERE zone_id = ANY(:zones)"),
        {"zones": sorted(zones)},
    )
    return {
        row.zone_id: (
            None if row.judged_to is None else micros(row.judged_to),
            0 if row.watermark is None else micros(row.watermark),
        )
        for row in rows
    }


def _in_zones(
    ways: Ways, watermarks: Mapping[int, int], stays: Mapping[int, Mapping[int, Stays]]
) -> Iterable[tuple[int, Told]]:
    asked: dict[int, Asked] = {
        zone: {ways.profile(version): (mine.start, mine.stop) for version, mine in of.items()}
        for zone, of in stays.items()
    }
    hours = load_hours(ways.conn, asked)
    looked = {
        zone: Zone(watermarks[zone], of, {profile: hours[zone, profile] for profile in of})
        for zone, of in asked.items()
    }
    wanted = [WantedReadings(ways.place(zone), each.ranges, each.carry) for zone, each in looked.items() if each.ranges]
    for zone, traces in load_traces(ways.conn, wanted).items():
        looked[zone].traces = traces
    for zone, of in stays.items():
        for version, mine in of.items():
            profile = ways.profile(version)
            limits = {key: _limit(tracks, mine) for key, tracks in looked[zone].tracks(profile).items()}
            yield version, Told(mine, looked[zone].figures(profile, mine.start, mine.stop), limits)


def _limit(tracks: Tracks, stays: Stays) -> Ints:
    lengths = [tracks.runs[level].length(stays.start, stays.stop) for level in LEVELS]
    return np.stack([*lengths, *tracks.runs["proven"].stretches(stays.start, stays.stop)])


def _blind(ways: Ways, zone: int, version: int, stays: Stays) -> Told:
    """Stays in a zone nobody measures."""
    count = len(stays.start)
    stop = np.zeros(count, np.int64)
    limits: dict[str, Ints] = defaultdict(lambda: np.zeros((6, count), np.int64))
    for index, (start, until) in enumerate(zip(stays.start.tolist(), stays.stop.tolist(), strict=True)):
        seen = ways.part(zone, version, start, until)
        stop[index] = seen.stop
        levels = {key: {level: getattr(of, level) for level in LEVELS} for key, of in seen.seen.items()}
        for key, of in {**levels, **shared(ways.profile(version), levels)}.items():
            proven = of["proven"]
            head = proven[0][1] - proven[0][0] if proven and proven[0][0] == seen.start else 0
            tail = proven[-1][1] - proven[-1][0] if proven and proven[-1][1] == seen.stop else 0
            limits[key][:, index] = (
                *(r.length(of[level]) for level in LEVELS),
                max((b - a for a, b in proven), default=0),
                head,
                tail,
            )
    return Told(replace(stays, stop=stop), Figures.nothing(count), limits)
