"""What a sublot went through, and how zones stand: for people, evidence and charts.

`bulk.exposures` answers the same question for thousands at once. This is the plain form, by the very summaries and
rules that the judge holds by, and costs a few statements; the other reads each zone once and adds by arrays, which
for one sublot would be slower and for anyone harder to check. A test keeps them equal over messy data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, text

from core.erp.exposure.history.exposure_history import ExposureHistory
from core.erp.exposure.history.monitoring_zone import JudgedPath
from core.erp.exposure.readings.profiles import versions_of
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.assess import Slice
from core.erp.exposure.rules.kinetic import applicable, kinetic_mean
from core.erp.exposure.rules.profile import Limit, Profile
from core.erp.exposure.rules.summary import Summary
from core.erp.exposure.times import micros, moment


class LimitExposure(msgspec.Struct, frozen=True):
    """Time out of one limit: proven, if uncertain values are believed, and in the worst case (silence is out).

    `longest` is the longest proven stretch. `budget` is what is left of a cumulative allowance in the worst case, after
    all limits that share it.
    """

    key: str
    proven: timedelta
    uncertain: timedelta
    worst: timedelta
    longest: timedelta
    budget: timedelta | None


class Exposure(msgspec.Struct, frozen=True):
    """What a sublot went through over [start, stop).

    `covered` is the share of the time that good readings cover. `mkt` is None where it is not applicable: frozen
    goods, or coverage that is not complete.
    """

    sublot_id: int
    version_id: int
    start: datetime
    stop: datetime
    lowest: float | None
    highest: float | None
    mean: float | None
    mkt: float | None
    covered: float
    limits: tuple[LimitExposure, ...]


def exposure(
    conn: Connection, sublot_id: int, now: datetime, start: datetime | None = None, stop: datetime | None = None
) -> Exposure | None:
    """The sublot's exposure from all its custody, or within [start, stop); None for goods without a profile or place.

    Adds whole hours' summaries and the raw readings at the two ends, so that any interval costs about the same. A
    merger's is the worst of what its parts went through.
    """
    version = versions_of(conn, [sublot_id], now).get(sublot_id)
    if version is None:
        return None
    history = ExposureHistory(conn, now)
    begin = micros(start) if start else 0
    end = micros(stop) if stop else micros(now) + 1
    return worst_exposure(
        [
            _path_exposure(history, sublot_id, version, path, (begin, end))
            for path in history.judged_paths([sublot_id])[sublot_id]
        ]
    )


def _path_exposure(
    history: ExposureHistory, sublot_id: int, version: int, path: JudgedPath, within: tuple[int, int]
) -> Exposure | None:
    slices, parts = [], []
    for zone, a, b in path:
        since, until = max(a, within[0]), within[1] if b is None else min(within[1], b)
        if until <= since:
            continue
        part = history.summary(zone, version, since, until)
        parts.append(part)
        slices.append(Slice(zone, part.start, part.stop, part.seen))
    return _from_summaries(history, sublot_id, version, slices, parts) if parts else None


def worst_exposure(found: Sequence[Exposure | None]) -> Exposure | None:
    """One exposure of goods that came several ways: of each figure the worst, of each budget the least.

    Times out are never added over ways; a mean kinetic temperature is told only if every way has one.
    """
    known = [one for one in found if one is not None]
    if not known:
        return None
    kinetic = [one.mkt for one in known if one.mkt is not None]
    return msgspec.structs.replace(
        known[0],
        start=min(one.start for one in known),
        stop=max(one.stop for one in known),
        lowest=min((one.lowest for one in known if one.lowest is not None), default=None),
        highest=max((one.highest for one in known if one.highest is not None), default=None),
        mean=max((one.mean for one in known if one.mean is not None), default=None),
        mkt=max(kinetic) if len(kinetic) == len(known) else None,
        covered=min(one.covered for one in known),
        limits=tuple(_worst_limit(same) for same in zip(*(one.limits for one in known), strict=True)),
    )


def _worst_limit(same: Sequence[LimitExposure]) -> LimitExposure:
    return LimitExposure(
        same[0].key,
        max(one.proven for one in same),
        max(one.uncertain for one in same),
        max(one.worst for one in same),
        max(one.longest for one in same),
        min((one.budget for one in same if one.budget is not None), default=None),
    )


def _from_summaries(
    history: ExposureHistory, sublot_id: int, version: int, slices: list[Slice], parts: list[Summary]
) -> Exposure:
    profile = history.profile(version)
    covered = sum(part.covered for part in parts)
    length = sum(part.stop - part.start for part in parts)
    arrhenius = sum(part.arrhenius for part in parts)
    whole = covered == length and length > 0
    return Exposure(
        sublot_id=sublot_id,
        version_id=version,
        start=moment(parts[0].start),
        stop=moment(parts[-1].stop),
        lowest=min((part.lowest for part in parts if part.lowest is not None), default=None),
        highest=max((part.highest for part in parts if part.highest is not None), default=None),
        mean=sum(part.heat for part in parts) / covered if covered else None,
        mkt=kinetic_mean(arrhenius, covered, profile.activation_energy) if whole and not frozen(profile) else None,
        covered=covered / length if length else 0.0,
        limits=tuple(_limit_exposure(limit, budget_of(profile, limit), slices) for limit in profile.limits),
    )


def frozen(profile: Profile) -> bool:
    """Goods whose upper limit is at or below 0 °C: MKT says nothing of them."""
    if applicable(profile):
        return False
    highs = [limit.threshold for limit in profile.limits if limit.high and limit.quantity == "temperature"]
    return bool(highs) and max(highs) <= 0


def budget_of(profile: Profile, limit: Limit) -> tuple[int, tuple[str, ...]]:
    """(microseconds allowed, limits that spend it): the limit's own or, where several share one, the first's."""
    if limit.allowance is None:
        return limit.delay, (limit.key,)
    members = [one for one in profile.limits if one.allowance == limit.allowance]
    return members[0].delay, tuple(one.key for one in members)


def _limit_exposure(limit: Limit, budget: tuple[int, tuple[str, ...]], slices: list[Slice]) -> LimitExposure:
    def of(pick: str, key: str = limit.key) -> r.Runs:
        return r.join(getattr(part.seen[key], pick) for part in slices if key in part.seen)

    proven = of("proven")
    allowed, members = budget
    left = max(allowed - r.length(r.union(of("worst", key) for key in members)), 0)
    return LimitExposure(
        limit.key,
        _duration(r.length(proven)),
        _duration(r.length(of("uncertain"))),
        _duration(r.length(of("worst"))),
        _duration(max((b - a for a, b in proven), default=0)),
        _duration(left) if limit.kind == "cumulative" else None,
    )


def _duration(us: int) -> timedelta:
    return timedelta(microseconds=us)


@dataclass(frozen=True, slots=True)
class ZoneStatus:
    """How a zone stands: its last good value, how far it is known, its band, and who stands in it."""

    id: int
    address: str
    name: str
    value: float | None
    last_good_at: datetime | None
    judged_to: datetime | None
    watermark: datetime | None
    band_low: float | None
    band_high: float | None
    sublots: int
    held: int


def zones(conn: Connection) -> list[ZoneStatus]:
    """Every zone as it stands."""
    rows = conn.execute(
        text(
            "SELECT z.id, z.address, z.name, j.last_value AS value, j.last_good_at, j.judged_to, j.watermark,"
            " z.band_low, z.band_high,"
            " (SELECT count(*) FROM sublot s WHERE s.zone_id = z.id) AS sublots,"
            " (SELECT count(DISTINCT s.id) FROM sublot s JOIN hold h ON h.sublot_id = s.id AND h.lifted_at IS NULL"
            "   WHERE s.zone_id = z.id) AS held"
            " FROM zone z LEFT JOIN zone_judged j ON j.zone_id = z.id ORDER BY z.address"
        )
    )
    return [ZoneStatus(*row) for row in rows]
