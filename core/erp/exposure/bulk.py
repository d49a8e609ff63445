"""Exposure of many sublots at once: the same answers as `service.exposure`, each zone read once.

Closed hours are added by prefix sums, and the parts of hours at the ends come from raw readings; runs are clipped
from each zone's own. So any number of sublots over any intervals cost little more than the zones they stood in.
"""

import contextlib
import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from core.erp.custody.service import intervals
from core.erp.exposure import summaries
from core.erp.exposure.bulk_zone import LEVELS, Figures, Tracks, Zone
from core.erp.exposure.places import versions_of
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.kinetic import kinetic_mean
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.service import Exposure, LimitExposure, frozen
from core.erp.exposure.times import micros, moment
from core.erp.exposure.ways import Ways

Wanted = tuple[int, datetime | None, datetime | None]
"""(sublot, from or None for all its custody, to or None for now), half-open."""
Ints = NDArray[np.int64]


@dataclass(slots=True)
class _Part:
    """One stay of one wanted sublot in a zone, as far as it is known."""

    wanted: int
    order: int
    start: int
    stop: int


@dataclass(slots=True)
class _Told:
    """What one part saw: its figures; per limit the time out, and the runs at its ends, to be joined."""

    start: int
    stop: int
    figures: Figures
    limits: dict[str, tuple[int, int, int, int, int, int]] = field(default_factory=dict)
    """By limit: proven, uncertain, worst, longest proven, proven from the start on, proven until the stop."""


def exposures(conn: Connection, wanted: Sequence[Wanted], now: datetime) -> list[Exposure | None]:
    """The exposure of each wanted sublot over its interval, in order; None for goods without a profile or place there.

    Raises NeedsOlder where PostgreSQL no longer has the readings of the ends.
    """
    with _uncollected():
        return _exposures(conn, wanted, now)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles: none are made here, and walking all these new values takes half of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _exposures(conn: Connection, wanted: Sequence[Wanted], now: datetime) -> list[Exposure | None]:
    ids = sorted({sublot for sublot, _, _ in wanted})
    versions = versions_of(conn, ids, now)
    ways = Ways(conn, now)
    spans = {sublot: ways.judging(found) for sublot, found in intervals(conn, ids).items()}
    parts: dict[tuple[int, int], list[_Part]] = defaultdict(list)
    for index, (sublot, start, stop) in enumerate(wanted):
        version = versions.get(sublot)
        if version is None:
            continue
        begin, end = micros(start) if start else 0, micros(stop) if stop else micros(now) + 1
        for order, (zone, a, b) in enumerate(spans[sublot]):
            since, until = max(a, begin), end if b is None else min(end, b)
            if until > since:
                parts[(zone, version)].append(_Part(index, order, since, until))
    told: list[list[tuple[int, _Told]]] = [[] for _ in wanted]
    for part, found in _seen(ways, parts):
        told[part.wanted].append((part.order, found))
    return [
        _summed(ways.profile(versions[sublot]), sublot, [found for _, found in sorted(mine, key=lambda m: m[0])])
        if mine
        else None
        for (sublot, _, _), mine in zip(wanted, told, strict=True)
    ]


def _seen(ways: Ways, parts: dict[tuple[int, int], list[_Part]]) -> Iterable[tuple[_Part, _Told]]:
    """What each part saw."""
    watched: dict[int, dict[int, list[_Part]]] = defaultdict(dict)
    for (zone, version), mine in parts.items():
        if ways.place(zone).monitored:
            watched[zone][version] = mine
        else:
            yield from ((part, _blind(ways, zone, version, part)) for part in mine)
    profiles = {version: ways.profile(version) for mine in watched.values() for version in mine}
    since = {
        (zone, version): min(part.start for part in mine)
        for zone, of in watched.items()
        for version, mine in of.items()
    }
    if since:
        summaries.ensure(ways.conn, {zone: ways.place(zone) for zone in watched}, profiles, since)
    standing = _standing(ways.conn, watched)
    for zone, of in watched.items():
        judged_to, watermark = standing.get(zone, (None, 0))
        known: dict[int, list[_Part]] = {}
        for version, mine in of.items():
            for part in mine:
                part.stop = part.start if judged_to is None else max(min(part.stop, judged_to + 1), part.start)
            yield from ((p, _Told(p.start, p.stop, Figures())) for p in mine if p.stop == p.start)
            known[version] = [part for part in mine if part.stop > part.start]
        yield from _in_zone(ways, zone, watermark, {version: mine for version, mine in known.items() if mine})


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


def _in_zone(ways: Ways, zone: int, watermark: int, parts: dict[int, list[_Part]]) -> Iterable[tuple[_Part, _Told]]:
    if not parts:
        return
    asked = {
        ways.profile(version): (_array(p.start for p in mine), _array(p.stop for p in mine))
        for version, mine in parts.items()
    }
    looked = Zone(ways.conn, ways.place(zone), watermark, asked)
    for version, mine in parts.items():
        profile = ways.profile(version)
        starts, stops = asked[profile]
        figures = looked.figures(profile, starts, stops)
        limits = {key: _limit(tracks, starts, stops) for key, tracks in looked.tracks(profile).items()}
        for index, part in enumerate(mine):
            yield (
                part,
                _Told(part.start, part.stop, figures[index], {key: columns[index] for key, columns in limits.items()}),
            )


def _limit(tracks: Tracks, starts: Ints, stops: Ints) -> list[tuple[int, int, int, int, int, int]]:
    lengths = [tracks.runs[level].length(starts, stops).tolist() for level in LEVELS]
    longest, head, tail = (column.tolist() for column in tracks.runs["proven"].stretches(starts, stops))
    return list(zip(*lengths, longest, head, tail, strict=True))


def _blind(ways: Ways, zone: int, version: int, part: _Part) -> _Told:
    """A part in a zone nobody measures."""
    seen = ways.part(zone, version, part.start, part.stop)
    limits = {}
    for key, of in seen.seen.items():
        proven = of.proven
        head = proven[0][1] - proven[0][0] if proven and proven[0][0] == seen.start else 0
        tail = proven[-1][1] - proven[-1][0] if proven and proven[-1][1] == seen.stop else 0
        limits[key] = (
            r.length(proven), r.length(of.uncertain), r.length(of.worst), max((b - a for a, b in proven), default=0),
            head, tail,
        )  # fmt: skip
    return _Told(seen.start, seen.stop, Figures(), limits)


def _array(values: Iterable[int]) -> Ints:
    return np.fromiter(values, np.int64)


def _summed(profile: Profile, sublot_id: int, parts: Sequence[_Told]) -> Exposure:
    figures = [part.figures for part in parts]
    covered = sum(each.covered for each in figures)
    length = sum(part.stop - part.start for part in parts)
    arrhenius = sum(each.arrhenius for each in figures)
    whole = covered == length and length > 0
    return Exposure(
        sublot_id=sublot_id,
        version_id=profile.version_id,
        start=moment(parts[0].start),
        stop=moment(parts[-1].stop),
        lowest=min((each.lowest for each in figures if each.lowest is not None), default=None),
        highest=max((each.highest for each in figures if each.highest is not None), default=None),
        mean=sum(each.heat for each in figures) / covered if covered else None,
        mkt=kinetic_mean(arrhenius, covered, profile.activation_energy) if whole and not frozen(profile) else None,
        covered=covered / length if length else 0.0,
        limits=tuple(_exposed(limit.key, limit.kind, limit.delay, parts) for limit in profile.limits),
    )


_NOTHING = timedelta(0)


def _exposed(key: str, kind: str, delay: int, parts: Sequence[_Told]) -> LimitExposure:
    mine = [(part.limits[key], part) for part in parts if key in part.limits]
    proven = uncertain = worst = longest = 0
    for counts, _ in mine:
        proven, uncertain, worst = proven + counts[0], uncertain + counts[1], worst + counts[2]
        longest = max(longest, counts[3])
    running, ended = 0, None
    for counts, part in mine if len(mine) > 1 and proven else ():
        # a run at the end of one stay goes on at the start of the next
        going_on = running if ended == part.start else 0
        longest = max(longest, going_on + counts[4])
        running = going_on + counts[5] if counts[5] == part.stop - part.start else counts[5]
        ended = part.stop
    return LimitExposure(
        key, _span(proven), _span(uncertain), _span(worst), _span(longest),
        _span(max(delay - worst, 0)) if kind == "cumulative" else None,
    )  # fmt: skip


def _span(us: int) -> timedelta:
    return timedelta(microseconds=us) if us else _NOTHING
