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

from core.erp.exposure.bulk.hours import AskedIntervals, load_hours
from core.erp.exposure.bulk.index import LEVELS, Figures, Ints, Tracks
from core.erp.exposure.bulk.raw import WantedReadings, load_traces
from core.erp.exposure.bulk.sums import IntervalResults, ZoneIntervals, summed
from core.erp.exposure.bulk.zone import ZoneReader, shared
from core.erp.exposure.history.exposure_history import ExposureHistory
from core.erp.exposure.readings import hourly_summaries as summaries
from core.erp.exposure.readings.profiles import versions_of
from core.erp.exposure.rules import runs as r
from core.erp.exposure.service import Exposure, worst_exposure
from core.erp.exposure.times import micros
from core.erp.kernel.gc_pause import gc_paused

WantedExposure = tuple[int, datetime | None, datetime | None]
"""(sublot, from or None for all its custody, to or None for now), half-open."""
ZONES_AT_ONCE = 64
"""Zones that are read together, which bounds what is in memory: a month of a reading a minute is 50 MB of them."""


def exposures(conn: Connection, wanted: Sequence[WantedExposure], now: datetime) -> list[Exposure | None]:
    """The exposure of each wanted sublot over its interval, in order; None for goods without a profile or place there.

    Raises DroppedRangeNeeded where PostgreSQL no longer has the readings of the ends.
    """
    with gc_paused():
        return _exposures(conn, wanted, now)


def _exposures(conn: Connection, wanted: Sequence[WantedExposure], now: datetime) -> list[Exposure | None]:
    ids = sorted({sublot for sublot, _, _ in wanted})
    versions = versions_of(conn, ids, now)
    history = ExposureHistory(conn, now)
    paths = history.judged_paths(ids)
    # a merger's goods came several ways: each is looked at by itself
    each_path = [(index, path) for index, (sublot, _, _) in enumerate(wanted) for path in paths[sublot]]
    rows: dict[tuple[int, int], list[tuple[int, int, int, int]]] = defaultdict(list)
    for number, (index, path) in enumerate(each_path):
        sublot, start, stop = wanted[index]
        version = versions.get(sublot)
        if version is None:
            continue
        begin, end = micros(start) if start else 0, micros(stop) if stop else micros(now) + 1
        for order, (zone, a, b) in enumerate(path):
            since, until = max(a, begin), end if b is None else min(end, b)
            if until > since:
                rows[(zone, version)].append((number, order, since, until))
    results: dict[int, list[IntervalResults]] = defaultdict(list)
    for version, found in _results(
        history, {key: ZoneIntervals(*np.array(mine, np.int64).T) for key, mine in rows.items()}
    ):
        results[version].append(found)
    by_path: list[Exposure | None] = [None] * len(each_path)
    for version, mine in results.items():
        for number, figures in summed(history.profile(version), mine, [wanted[index][0] for index, _ in each_path]):
            by_path[number] = figures
    if len(each_path) == len(wanted):
        return by_path
    by_sublot: dict[int, list[Exposure | None]] = defaultdict(list)
    for (index, _), one in zip(each_path, by_path, strict=True):
        by_sublot[index].append(one)
    return [worst_exposure(by_sublot[index]) for index in range(len(wanted))]


def _results(
    history: ExposureHistory, intervals: dict[tuple[int, int], ZoneIntervals]
) -> Iterable[tuple[int, IntervalResults]]:
    """What was seen over the intervals, by the version of the profile."""
    watched: dict[int, dict[int, ZoneIntervals]] = defaultdict(dict)
    for (zone, version), mine in intervals.items():
        if history.setup(zone).monitored:
            watched[zone][version] = mine
        else:
            yield version, _unmonitored(history, zone, version, mine)
    profiles = {version: history.profile(version) for mine in watched.values() for version in mine}
    since = {(zone, version): int(mine.start.min()) for zone, of in watched.items() for version, mine in of.items()}
    if since:
        summaries.ensure_closed_hours(history.conn, {zone: history.setup(zone) for zone in watched}, profiles, since)
    standing = _judged_states(history.conn, watched)
    known: dict[int, dict[int, ZoneIntervals]] = defaultdict(dict)
    for zone, of in watched.items():
        judged_to, _ = standing.get(zone, (None, 0))
        for version, mine in of.items():
            stop = mine.start if judged_to is None else np.maximum(np.minimum(mine.stop, judged_to + 1), mine.start)
            cut = replace(mine, stop=stop)
            some = stop > mine.start
            yield version, IntervalResults(cut.only(~some), Figures.empty(int((~some).sum())), {})
            if some.any():
                known[zone][version] = cut.only(some)
    zones = sorted(known)
    for first in range(0, len(zones), ZONES_AT_ONCE):
        some_zones = {zone: known[zone] for zone in zones[first : first + ZONES_AT_ONCE]}
        yield from _read_zones(history, {zone: standing[zone][1] for zone in some_zones}, some_zones)


def _judged_states(conn: Connection, zones: Iterable[int]) -> dict[int, tuple[int | None, int]]:
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


def _read_zones(
    history: ExposureHistory, watermarks: Mapping[int, int], intervals: Mapping[int, Mapping[int, ZoneIntervals]]
) -> Iterable[tuple[int, IntervalResults]]:
    asked: dict[int, AskedIntervals] = {
        zone: {history.profile(version): (mine.start, mine.stop) for version, mine in of.items()}
        for zone, of in intervals.items()
    }
    hours = load_hours(history.conn, asked)
    readers = {
        zone: ZoneReader(watermarks[zone], of, {profile: hours[zone, profile] for profile in of})
        for zone, of in asked.items()
    }
    wanted = [
        WantedReadings(history.setup(zone), each.ranges, each.carry) for zone, each in readers.items() if each.ranges
    ]
    for zone, traces in load_traces(history.conn, wanted).items():
        readers[zone].traces = traces
    for zone, of in intervals.items():
        for version, mine in of.items():
            profile = history.profile(version)
            limits = {key: _limit(tracks, mine) for key, tracks in readers[zone].tracks(profile).items()}
            yield version, IntervalResults(mine, readers[zone].figures(profile, mine.start, mine.stop), limits)


def _limit(tracks: Tracks, intervals: ZoneIntervals) -> Ints:
    lengths = [tracks.runs[level].length(intervals.start, intervals.stop) for level in LEVELS]
    return np.stack([*lengths, *tracks.runs["proven"].stretches(intervals.start, intervals.stop)])


def _unmonitored(history: ExposureHistory, zone: int, version: int, intervals: ZoneIntervals) -> IntervalResults:
    """Intervals in a zone nobody measures."""
    count = len(intervals.start)
    stop = np.zeros(count, np.int64)
    limits: dict[str, Ints] = defaultdict(lambda: np.zeros((6, count), np.int64))
    for index, (start, until) in enumerate(zip(intervals.start.tolist(), intervals.stop.tolist(), strict=True)):
        seen = history.summary(zone, version, start, until)
        stop[index] = seen.stop
        levels = {key: {level: getattr(of, level) for level in LEVELS} for key, of in seen.seen.items()}
        for key, of in {**levels, **shared(history.profile(version), levels)}.items():
            proven = of["proven"]
            head = proven[0][1] - proven[0][0] if proven and proven[0][0] == seen.start else 0
            tail = proven[-1][1] - proven[-1][0] if proven and proven[-1][1] == seen.stop else 0
            limits[key][:, index] = (
                *(r.length(of[level]) for level in LEVELS),
                max((b - a for a, b in proven), default=0),
                head,
                tail,
            )
    return IntervalResults(replace(intervals, stop=stop), Figures.empty(count), limits)
