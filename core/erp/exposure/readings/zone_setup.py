"""What the judge needs to know of a zone: its points with their calibrations, its band, and who stands in whom."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, text

from core.erp.exposure.history.logger_stays import LOGGER_ZONE, stays_in
from core.erp.exposure.rules.profile import Limit, Profile
from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.rules.signal import BAD, GOOD, UNCERTAIN
from core.erp.exposure.times import micros, span
from core.telemetry.units import CANONICAL, alike, convert

BAND = 0
"""The version id under which a zone's own band is judged, as if it were a profile."""


@dataclass(frozen=True, slots=True)
class Trust:
    """From `start` (microseconds) on, a point's good readings are judged with this quality and error."""

    start: int
    quality: int
    error: float


@dataclass(frozen=True, slots=True)
class PointRef:
    """A measured point. `trust` is sorted; before its first entry readings are taken as they are."""

    id: int
    address: str
    zone_id: int
    quantity: str
    unit: str
    required: bool
    trust: tuple[Trust, ...]
    since: int | None = None
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

    def trusted(self, at: int) -> tuple[int, float]:
        """(quality, error) that the sensor's calibration allows at an instant."""
        found = (GOOD, 0.0)
        for entry in self.trust:
            if entry.start > at:
                break
            found = (entry.quality, entry.error)
        return found


@dataclass(frozen=True, slots=True)
class Place:
    """A zone as judged."""

    zone_id: int
    address: str
    points: tuple[PointRef, ...]
    band: Profile | None
    worst_temperature: float | None
    allowed_gap: int
    """How long the zone's own points may be silent, microseconds."""
    stays: Runs | None = None
    """When goods were with the loggers whose zone this is; None for a zone that is a place."""
    monitored: bool = field(init=False)
    """Whether any point is required of it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "monitored", any(point.required for point in self.points))


def load_places(conn: Connection, zone_ids: Iterable[int]) -> dict[int, Place]:
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
    trust = _trust(conn, [row.id for row in points])
    stays = {row.id: stays_in(conn, row.id) for row in zones if row.kind == LOGGER_ZONE}
    by_zone: dict[int, list[PointRef]] = defaultdict(list)
    for row in points:
        trusted = trust.get(row.id, ())
        if row.zone_id in stays:
            trusted = _only_during(stays[row.zone_id], trusted)
        by_zone[row.zone_id].append(
            PointRef(
                row.id,
                row.address,
                row.zone_id,
                row.quantity,
                row.unit,
                row.role == "required",
                trusted,
                _micros_or_none(row.since),
                _bounds(row.plausible_low, row.plausible_high),
            )
        )
    return {
        row.id: Place(
            row.id,
            row.address,
            tuple(by_zone[row.id]),
            _band(row.band_low, row.band_high, span(row.band_delay), row.band_hysteresis, span(row.allowed_gap)),
            row.worst_temperature,
            span(row.allowed_gap),
            stays.get(row.id),
        )
        for row in zones
    }


def _bounds(low: float | None, high: float | None) -> tuple[float, float] | None:
    if low is None and high is None:
        return None
    return (-math.inf if low is None else low, math.inf if high is None else high)


def _only_during(stays: Runs, trust: Sequence[Trust]) -> tuple[Trust, ...]:
    """What a logger's readings are trusted with: nothing while no goods were there, else what calibration allows."""
    starts = sorted({0, *(at for stay in stays for at in stay), *(entry.start for entry in trust)})
    out = []
    for at in starts:
        before = [entry for entry in trust if entry.start <= at]
        there = any(start <= at < stop for start, stop in stays)
        error = before[-1].error if before else 0.0
        quality = before[-1].quality if before else GOOD
        out.append(Trust(at, quality, error) if there else Trust(at, BAD, 0.0))
    return tuple(out)


def _band(low: float | None, high: float | None, delay: int, hysteresis: float, gap: int) -> Profile | None:
    kind = "consecutive" if delay else "instant"
    limits = [
        Limit(key, "temperature", op, threshold, kind, delay, hysteresis)  # type: ignore[arg-type]
        for key, op, threshold in (("low", "<", low), ("high", ">", high))
        if threshold is not None
    ]
    return Profile(BAND, tuple(limits), gap) if limits else None


def _trust(conn: Connection, point_ids: Sequence[int]) -> dict[int, tuple[Trust, ...]]:
    """What calibrations say of each point's readings over time.

    Good from a calibration until it is due; uncertain after that, where no sensor is installed, and where the one
    installed was never calibrated. If the next calibration finds it out of tolerance, everything since the last good
    one is uncertain, with the error found.
    """
    installed = conn.execute(
        text(
            "SELECT point_id, sensor_id, from_at, to_at FROM installation WHERE point_id = ANY(:ids)"
            " ORDER BY point_id, from_at"
        ),
        {"ids": list(point_ids)},
    ).all()
    calibrations: dict[int, list[tuple[int, int, bool, float]]] = defaultdict(list)
    for row in conn.execute(
        text(
            "SELECT sensor_id, done_at, due_at, as_found_ok, as_found_error FROM calibration"
            " WHERE sensor_id = ANY(:ids) ORDER BY sensor_id, done_at, id"
        ),
        {"ids": sorted({row.sensor_id for row in installed})},
    ):
        calibrations[row.sensor_id].append(
            (micros(row.done_at), micros(row.due_at), row.as_found_ok, abs(row.as_found_error))
        )
    out: dict[int, list[Trust]] = defaultdict(list)
    for row in installed:
        entries = _sensor_trust(calibrations[row.sensor_id], micros(row.from_at), _micros_or_none(row.to_at))
        out[row.point_id] += entries
    return {point: tuple(sorted(entries, key=lambda entry: entry.start)) for point, entries in out.items()}


def _micros_or_none(value: datetime | None) -> int | None:
    return None if value is None else micros(value)


def _sensor_trust(calibrations: Sequence[tuple[int, int, bool, float]], start: int, stop: int | None) -> list[Trust]:
    # what the first calibration finds wrong has been so since nobody knows when
    error = calibrations[0][3] if calibrations and not calibrations[0][2] else 0.0
    changes: list[Trust] = [Trust(start, UNCERTAIN, error)]
    for index, (done, due, _, _) in enumerate(calibrations):
        later = calibrations[index + 1] if index + 1 < len(calibrations) else None
        if later is not None and not later[2]:
            changes.append(Trust(done, UNCERTAIN, later[3]))
        else:
            changes.append(Trust(done, GOOD, 0.0))
        if later is None or due < later[0]:
            error = later[3] if later is not None and not later[2] else 0.0
            changes.append(Trust(due, UNCERTAIN, error))
    held = [change for change in changes if change.start <= start]
    out = [Trust(start, held[-1].quality, held[-1].error)]
    out += [change for change in changes if change.start > start and (stop is None or change.start < stop)]
    if stop is not None:
        out.append(Trust(stop, UNCERTAIN, 0.0))
    return out


def load_profiles(conn: Connection, version_ids: Iterable[int]) -> dict[int, Profile]:
    """Profile versions as the rules take them, thresholds in canonical units."""
    ids = sorted(set(version_ids))
    limits: dict[int, list[Limit]] = defaultdict(list)
    for row in conn.execute(
        text(
            "SELECT version_id, key, quantity, unit, op, threshold, kind, delay, hysteresis, allowance"
            " FROM profile_limit WHERE version_id = ANY(:ids) ORDER BY version_id, id"
        ),
        {"ids": ids},
    ):
        unit = CANONICAL.get(row.quantity, row.unit)
        threshold = convert(row.threshold, row.unit, unit)
        moved = convert(row.threshold + row.hysteresis, row.unit, unit)
        limits[row.version_id].append(
            Limit(
                row.key,
                row.quantity,
                row.op,
                threshold,
                row.kind,
                span(row.delay),
                abs(moved - threshold),
                row.allowance,
            )
        )
    return {
        row.id: Profile(
            row.id,
            tuple(limits[row.id]),
            span(row.allowed_gap),
            span(row.shortest_event),
            row.mkt_limit,
            span(row.mkt_window) if row.mkt_window is not None else 0,
            row.activation_energy,
        )
        for row in conn.execute(
            text(
                "SELECT id, allowed_gap, shortest_event, mkt_limit, mkt_window, activation_energy"
                " FROM profile_version WHERE id = ANY(:ids)"
            ),
            {"ids": ids},
        )
    }


def versions_of(conn: Connection, sublot_ids: Iterable[int], now: datetime) -> dict[int, int]:
    """The profile version each sublot is judged by: its item's latest in force. Sublots without one are left out."""
    rows = conn.execute(
        text(
            "SELECT DISTINCT ON (s.id) s.id, p.version_id FROM sublot s JOIN lot l ON l.id = s.lot_id"
            " JOIN item_profile p ON p.item_id = l.item_id AND p.from_at <= :now"
            " WHERE s.id = ANY(:ids) ORDER BY s.id, p.from_at DESC, p.id DESC"
        ),
        {"ids": sorted(set(sublot_ids)), "now": now},
    )
    return {row[0]: row[1] for row in rows.all()}
