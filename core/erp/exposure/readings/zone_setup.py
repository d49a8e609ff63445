"""What the judge needs to know of a zone: its points with their calibrations, its band, and who stands in whom."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from core.erp.exposure.history.logger_zones import LOGGER_ZONE, goods_present
from core.erp.exposure.readings.calibration import Trust, load_trust, trust_while_present
from core.erp.exposure.readings.profiles import band_profile
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.rules.signal import GOOD
from core.erp.exposure.times import micros, span
from core.telemetry.units import alike, convert


@dataclass(frozen=True, slots=True)
class JudgedPoint:
    """A measured point. `trust` is sorted; before its first entry readings are taken as they are."""

    id: int
    address: str
    zone_id: int
    quantity: str
    unit: str
    required: bool
    trust: tuple[Trust, ...]
    installed_at: int | None = None
    """When a sensor was first installed; None where none is on record."""
    bounds: tuple[float, float] | None = None
    """Least and greatest value the sensor can have measured, in the point's unit; None where any is plausible."""

    def bounds_in(self) -> dict[str | None, tuple[float, float]]:
        """The bounds by each unit a reading may come in; under None where any value is plausible in any unit."""
        if self.bounds is None:
            return {None: (-math.inf, math.inf)}
        low, high = self.bounds
        return {unit: (convert(low, self.unit, unit), convert(high, self.unit, unit)) for unit in alike(self.unit)}

    def plausible(self, value: float, unit: str) -> bool:
        """Whether the sensor can have measured this. Raises NotConvertible for a unit that is not its quantity's."""
        return self.bounds is None or self.bounds[0] <= convert(value, unit, self.unit) <= self.bounds[1]

    def good_before(self, at: int) -> list[tuple[int, int]]:
        """The spans [from, to) up to an instant in which readings that are good are trusted, in order of time."""
        changes = [Trust(0, GOOD, 0.0), *self.trust]
        stops = [*(entry.start for entry in self.trust), at]
        spans = [(entry, min(stop, at)) for entry, stop in zip(changes, stops, strict=True)]
        return [(entry.start, stop) for entry, stop in spans if entry.quality == GOOD and entry.start < stop]

    def trusted_at(self, at: int) -> tuple[int, float]:
        """(quality, error) that the sensor's calibration allows at an instant."""
        found = (GOOD, 0.0)
        for entry in self.trust:
            if entry.start > at:
                break
            found = (entry.quality, entry.error)
        return found


@dataclass(frozen=True, slots=True)
class ZoneSetup:
    """A zone as judged."""

    zone_id: int
    address: str
    points: tuple[JudgedPoint, ...]
    band: Profile | None
    worst_temperature: float | None
    allowed_gap: int
    """How long the zone's own points may be silent, microseconds."""
    goods_present: Runs | None = None
    """When goods were with the loggers whose zone this is; None for a zone that is a place."""
    monitored: bool = field(init=False)
    """Whether any point is required of it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "monitored", any(point.required for point in self.points))


def load_setups(conn: Connection, zone_ids: Iterable[int]) -> dict[int, ZoneSetup]:
    """The zones by id, with points and calibrations as known now."""
    ids = sorted(set(zone_ids))
    zones = conn.execute(
        text(
            "SELECT id, address, band_low, band_high, band_delay, band_hysteresis, allowed_gap, worst_temperature, kind"
            " FROM zone WHERE id = ANY(:ids)"
        ),
        {"ids": ids},
    ).all()
    points = conn.execute(
        text(
            "SELECT p.id, p.zone_id, p.address, p.quantity, p.unit, p.role, p.plausible_low, p.plausible_high,"
            " (SELECT min(i.from_at) FROM installation i WHERE i.point_id = p.id) AS since FROM point p"
            " WHERE zone_id = ANY(:ids) AND role IN ('required', 'spare') ORDER BY address"
        ),
        {"ids": ids},
    ).all()
    trust = load_trust(conn, [row.id for row in points])
    present = {row.id: goods_present(conn, row.id) for row in zones if row.kind == LOGGER_ZONE}
    by_zone: dict[int, list[JudgedPoint]] = defaultdict(list)
    for row in points:
        trusted = trust.get(row.id, ())
        if row.zone_id in present:
            trusted = trust_while_present(present[row.zone_id], trusted)
        by_zone[row.zone_id].append(
            JudgedPoint(
                row.id,
                row.address,
                row.zone_id,
                row.quantity,
                row.unit,
                row.role == "required",
                trusted,
                None if row.since is None else micros(row.since),
                _bounds(row.plausible_low, row.plausible_high),
            )
        )
    return {
        row.id: ZoneSetup(
            row.id,
            row.address,
            tuple(by_zone[row.id]),
            band_profile(row.band_low, row.band_high, span(row.band_delay), row.band_hysteresis, span(row.allowed_gap)),
            row.worst_temperature,
            span(row.allowed_gap),
            present.get(row.id),
        )
        for row in zones
    }


def _bounds(low: float | None, high: float | None) -> tuple[float, float] | None:
    if low is None and high is None:
        return None
    return (-math.inf if low is None else low, math.inf if high is None else high)
