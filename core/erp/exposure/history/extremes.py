"""The extremes of a break: the least and the greatest value that goods met where they were while it lasted."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from core.erp.exposure.history.exposure_history import ExposureHistory
from core.erp.exposure.readings import hourly_summaries as summaries
from core.erp.exposure.readings.trace import PointTrace, load_readings
from core.erp.exposure.rules.assess import Break
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.signal import BAD
from core.erp.exposure.times import BUCKET, micros, moment
from core.series import dropped_ranges

READ_AT_ONCE = 7 * 24 * BUCKET
"""Of a long time so much is read at once."""
Extremes = tuple[float | None, float | None]
"""Least and greatest value; None where there was none."""


@dataclass(slots=True)
class ExtremesReader:
    """Reads what the goods that `exposure_history` has judged met. Everything is read once."""

    history: ExposureHistory
    _found: dict[tuple[int, str, int, int, int | None], Extremes] = field(default_factory=dict)
    """By (zone, quantity, allowed gap, from, to): profiles of one allowed gap hear the same."""

    def extremes(self, sublot: int, version: int, item: Break) -> Extremes:
        """Least and greatest value of the broken limit's quantity, in the canonical unit; bad ones left out.

        Where PostgreSQL has no readings any more, as its closed hours have it: of good temperatures.
        """
        quantity = quantity_of(self.history.profile(version), item.limit_key)
        return _combine(
            self._in_zone(zone, version, quantity, max(start, item.started), _earlier(stop, item.ended))
            for path in self.history.paths[sublot]
            for zone, start, stop in path
            if (item.ended is None or start < item.ended) and (stop is None or stop > item.started)
        )

    def _in_zone(self, zone: int, version: int, quantity: str, start: int, stop: int | None) -> Extremes:
        gap = self.history.profile(version).allowed_gap
        key = (zone, quantity, gap, start, stop)
        if key not in self._found:
            until = micros(self.history.now) + 1 if stop is None else stop
            since = self._readings_since(zone, start, until)
            hours = summaries.closed_hours(self.history.conn, zone, version, start, since) if since > start else []
            mine = {point.address for point in self.history.setup(zone).points if point.quantity == quantity}
            found = [
                _extremes_of(point, gap, start)
                for readings in self._readings(zone, since, until, gap if since == start else 0)
                for address, point in readings.items()
                if address in mine
            ]
            before = [(hour.lowest, hour.highest) for hour in hours if quantity == "temperature"]
            self._found[key] = _combine([*found, *before])
        return self._found[key]

    def _readings_since(self, zone: int, start: int, stop: int) -> int:
        """From when on PostgreSQL has all readings of the zone's points in [start, stop)."""
        if moment(start) > self.history.now - dropped_ranges.DAY:
            return start  # nothing is dropped that soon
        points = {point.address for point in self.history.setup(zone).points}
        lacking = dropped_ranges.missing(self.history.conn, points, moment(start), moment(stop))
        return min(max([start, *(micros(day + dropped_ranges.DAY) for _, day in lacking)]), stop)

    def _readings(self, zone: int, start: int, stop: int, gap: int) -> Iterator[Mapping[str, PointTrace]]:
        """The zone's readings that speak in [start, stop), in parts: from memory where a live fold has them all."""
        fold = self.history.live.get(zone)
        if fold is not None and fold.tail.settled <= start:
            yield {address: readings.between(start, stop) for address, readings in fold.tail.readings.items()}
            return
        for first in range(start, stop, READ_AT_ONCE):
            # what is carried into a part was said in the one before; into the first, before what is here
            carry = gap if first == start else 0
            readings = load_readings(
                self.history.conn, self.history.setup(zone), first, min(first + READ_AT_ONCE, stop), carry
            )
            yield {address: found.since(first) for address, found in readings.items()}


def _extremes_of(point: PointTrace, gap: int, start: int) -> Extremes:
    """Least and greatest of the values that speak after `start`."""
    at, quality = np.array(point.at, np.int64), np.array(point.quality, np.int8)
    speaks = (quality < BAD) & (at + gap > start)
    if not speaks.any():
        return None, None
    return float(np.array(point.low)[speaks].min()), float(np.array(point.high)[speaks].max())


def _combine(found: Iterable[Extremes]) -> Extremes:
    pairs = list(found)
    return (
        min((low for low, _ in pairs if low is not None), default=None),
        max((high for _, high in pairs if high is not None), default=None),
    )


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((at for at in (one, other) if at is not None), default=None)


def quantity_of(profile: Profile, key: str) -> str:
    """What a break's limit key is about: a limit's quantity, that of the limits of an allowance, or the temperature."""
    found = (limit.quantity for limit in profile.limits if key in (limit.key, f"allowance:{limit.allowance}"))
    return next(found, "temperature")
