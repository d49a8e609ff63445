"""What a sublot went through, and how zones stand: for people, evidence and charts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from core.erp.custody.service import intervals
from core.erp.exposure.places import versions_of
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.assess import Slice
from core.erp.exposure.rules.kinetic import applicable, kinetic_mean
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.summary import Summary
from core.erp.exposure.times import micros, moment
from core.erp.exposure.ways import Ways


@dataclass(frozen=True, slots=True)
class LimitExposure:
    """Time out of one limit: proven, if uncertain values are believed, and in the worst case (silence is out).

    `longest` is the longest proven stretch. `budget` is what is left of a cumulative allowance in the worst case.
    """

    key: str
    proven: timedelta
    uncertain: timedelta
    worst: timedelta
    longest: timedelta
    budget: timedelta | None


@dataclass(frozen=True, slots=True)
class Exposure:
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

    Adds whole hours' summaries and the raw readings at the two ends, so that any interval costs about the same.
    """
    version = versions_of(conn, [sublot_id], now).get(sublot_id)
    ways = Ways(conn, now)
    if version is None:
        return None
    spans = ways.judging(intervals(conn, [sublot_id])[sublot_id])
    slices, parts = [], []
    begin = micros(start) if start else 0
    end = micros(stop) if stop else micros(now) + 1
    for zone, a, b in spans:
        since, until = max(a, begin), min(end, end if b is None else b)
        if until <= since:
            continue
        part = ways.part(zone, version, since, until)
        parts.append(part)
        slices.append(Slice(zone, part.start, part.stop, part.seen))
    if not parts:
        return None
    return _summed(ways, sublot_id, version, slices, parts)


def _summed(ways: Ways, sublot_id: int, version: int, slices: list[Slice], parts: list[Summary]) -> Exposure:
    profile = ways.profile(version)
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
        limits=tuple(_limit(limit.key, limit.kind, limit.delay, slices) for limit in profile.limits),
    )


def frozen(profile: Profile) -> bool:
    """Goods whose upper limit is at or below 0 °C: MKT says nothing of them."""
    if applicable(profile):
        return False
    highs = [limit.threshold for limit in profile.limits if limit.high and limit.quantity == "temperature"]
    return bool(highs) and max(highs) <= 0


def _limit(key: str, kind: str, delay: int, slices: list[Slice]) -> LimitExposure:
    def of(pick: str) -> r.Runs:
        return r.join(getattr(part.seen[key], pick) for part in slices if key in part.seen)

    proven, worst = of("proven"), of("worst")
    left = max(delay - r.length(worst), 0) if kind == "cumulative" else None
    return LimitExposure(
        key,
        _span(r.length(proven)),
        _span(r.length(of("uncertain"))),
        _span(r.length(worst)),
        _span(max((b - a for a, b in proven), default=0)),
        None if left is None else _span(left),
    )


def _span(us: int) -> timedelta:
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
