"""Curves of charts, from the series store: readings while they are few, else columns of least and greatest values.

Never means: they hide what breaks a limit. Nothing here asks the database, so that the store is asked outside of any
transaction (`series_of`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from core.erp.exposure.readings.trace import judged_value
from core.erp.exposure.readings.zone_setup import JudgedPoint
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.rules.signal import BAD, GOOD
from core.erp.exposure.times import micros
from core.series.port import Bucket, SeriesStore, Silence, silences_between, width
from core.telemetry.units import CANONICAL, convert
from core.web.charts.document import Curve, CurveKind, Instant, Span

READINGS_A_COLUMN = 2
"""As long as there are no more of them than this, each reading is drawn."""
DECIMALS = 3
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A point speaks in a chart over [start, stop): while goods were where it measures, or all the time.

    `gap` is how long its values speak for; silence after `known_to` is not yet silence.
    """

    point: JudgedPoint
    label: str
    start: datetime
    stop: datetime
    gap: timedelta
    known_to: datetime


def ms(at: datetime | int) -> Instant:
    """An instant, a datetime or microseconds, as charts have it."""
    return (at if isinstance(at, int) else micros(at)) // 1000


def spans(runs: Iterable[tuple[int, int]]) -> list[Span]:
    """Runs of microseconds as charts have them; what is shorter than a millisecond is as long as one."""
    return [(ms(start), max(ms(stop), ms(start) + 1)) for start, stop in runs]


def curve(store: SeriesStore, stretch: Stretch, columns: int) -> Curve:
    """What the point measured, in the canonical unit of its quantity, in at most so many columns.

    Raises StoreUnavailable.
    """
    point = stretch.point.address
    buckets = store.downsample(point, stretch.start, stretch.stop, columns)
    if sum(bucket.count for bucket in buckets) <= READINGS_A_COLUMN * columns:
        return _readings(store, stretch)
    return _columns(store, stretch, buckets, width(stretch.start, stretch.stop, columns))


def declared(zone: str, temperature: float, start: datetime, stop: datetime, label: str) -> Curve:
    """The worst temperature that an unmonitored zone declares, as if it were measured: uncertain throughout."""
    at = [ms(start), ms(stop)]
    return Curve(
        point=zone,
        label=label,
        kind="declared",
        start=at[0],
        stop=at[1],
        step=None,
        at=at,
        low=[temperature, temperature],
        high=None,
        uncertain=[(at[0], at[1])],
        gaps=[],
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """A reading that is not bad, as the judge takes it."""

    at: datetime
    value: float
    quality: int


def _readings(store: SeriesStore, stretch: Stretch) -> Curve:
    """Each reading by itself, judged as the judge judges it. One from before that still speaks stands at the start."""
    point, start, stop, gap = stretch.point, stretch.start, stretch.stop, stretch.gap
    found = []
    for reading in store.read(point.address, start - gap, stop):
        at = micros(reading.at)
        value, quality, _ = judged_value(point, at, reading.value, reading.unit, int(reading.quality))
        if quality != BAD:
            found.append(_Judged(reading.at, round(value, DECIMALS), quality))
    drawn = [one for one in found if one.at >= start]
    if len(drawn) < len(found) and not (drawn and drawn[0].at == start):
        drawn.insert(0, replace(found[-len(drawn) - 1], at=start))
    known_to = min(stretch.known_to, stop)
    silent = silences_between([one.at for one in found if one.at < known_to], start - gap, known_to, gap)
    followed = pairwise([*(one.at for one in drawn), stop])
    unsure = [
        (at, min(following, at + gap))
        for one, (at, following) in zip(drawn, followed, strict=True)
        if one.quality != GOOD
    ]
    return Curve(
        point=point.address,
        label=stretch.label,
        kind=_kind(point),
        start=ms(start),
        stop=ms(stop),
        step=None,
        at=[ms(one.at) for one in drawn],
        low=[one.value for one in drawn],
        high=None,
        uncertain=spans(r.union([_runs(unsure)])),
        gaps=_gaps(stretch, silent),
    )


def _kind(point: JudgedPoint) -> CurveKind:
    return "required" if point.required else "spare"


def _runs(found: Iterable[tuple[datetime, datetime]]) -> Runs:
    return [(micros(start), micros(stop)) for start, stop in found]


def _gaps(stretch: Stretch, silent: Iterable[Silence]) -> list[Span]:
    """What is left of silences once the last value no longer speaks."""
    return spans(_runs((max(a + stretch.gap, stretch.start), b) for a, b in silent if b > stretch.start))


def _columns(store: SeriesStore, stretch: Stretch, buckets: Sequence[Bucket], step: timedelta) -> Curve:
    point, start, stop = stretch.point, stretch.start, stretch.stop
    silent = store.silences(point.address, start - stretch.gap, min(stretch.known_to, stop), stretch.gap)
    unsure = _runs((bucket.start, min(bucket.start + step, stop)) for bucket in buckets if bucket.uncertain)
    return Curve(
        point=point.address,
        label=stretch.label,
        kind=_kind(point),
        start=ms(start),
        stop=ms(stop),
        step=max(step // _MS, 1),
        at=[ms(bucket.start) for bucket in buckets],
        low=[_canonical(point, bucket.min) for bucket in buckets],
        high=[_canonical(point, bucket.max) for bucket in buckets],
        uncertain=spans(r.union([unsure, _distrusted(point, micros(start), micros(stop))])),
        gaps=_gaps(stretch, silent),
    )


def _distrusted(point: JudgedPoint, start: int, stop: int) -> Runs:
    """When its sensor's calibration makes good readings uncertain."""
    changes = [(entry.start, entry.quality) for entry in point.trust]
    stretches = [(a, b) for (a, quality), (b, _) in pairwise([*changes, (stop, GOOD)]) if quality != GOOD]
    return r.clip(stretches, start, stop)


def _canonical(point: JudgedPoint, value: float) -> float:
    unit = CANONICAL.get(point.quantity, point.unit)
    return round(value if unit == point.unit else convert(value, point.unit, unit), DECIMALS)
