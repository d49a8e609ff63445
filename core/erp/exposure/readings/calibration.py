"""What calibrations say of a point's readings over time: with which quality and error they are judged."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from core.erp.catalog.calibrations import IN_FORCE
from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.rules.signal import BAD, GOOD, UNCERTAIN
from core.erp.exposure.times import micros


@dataclass(frozen=True, slots=True)
class Trust:
    """From `start` (microseconds) on, a point's good readings are judged with this quality and error."""

    start: int
    quality: int
    error: float


@dataclass(frozen=True, slots=True)
class Check:
    """A calibration that counts (microseconds). Due when it was done: it gives no trust, and `left_error` remains."""

    done: int
    due: int
    found_ok: bool
    found_error: float
    left_error: float


_IN_FORCE = text(
    f"SELECT * FROM ({IN_FORCE}) c WHERE sensor_id = ANY(:ids) ORDER BY sensor_id, done_at, id"  # noqa: S608 - a constant
)


def load_trust(conn: Connection, point_ids: Sequence[int]) -> dict[int, tuple[Trust, ...]]:
    """What calibrations say of each point's readings over time.

    Good from a calibration until it is due; uncertain after that, where no sensor is installed, and where the one
    installed was never calibrated. If the next calibration finds it out of tolerance, everything since the last good
    one is uncertain, with the error found. One that was left beyond its tolerance, or is not signed, gives no trust.
    """
    installed = conn.execute(
        text(
            "SELECT point_id, sensor_id, from_at, to_at FROM installation WHERE point_id = ANY(:ids)"
            " ORDER BY point_id, from_at"
        ),
        {"ids": list(point_ids)},
    ).all()
    calibrations: dict[int, list[Check]] = defaultdict(list)
    for row in conn.execute(_IN_FORCE, {"ids": sorted({row.sensor_id for row in installed})}):
        calibrations[row.sensor_id].append(
            Check(micros(row.done_at), micros(row.due_at), row.as_found_ok, row.found_error, row.left_error)
        )
    out: dict[int, list[Trust]] = defaultdict(list)
    for row in installed:
        entries = _sensor_trust(calibrations[row.sensor_id], micros(row.from_at), _micros_or_none(row.to_at))
        out[row.point_id] += entries
    return {point: tuple(sorted(entries, key=lambda entry: entry.start)) for point, entries in out.items()}


def _micros_or_none(value: datetime | None) -> int | None:
    return None if value is None else micros(value)


def _sensor_trust(calibrations: Sequence[Check], start: int, stop: int | None) -> list[Trust]:
    # what the first calibration finds wrong has been so since nobody knows when
    error = calibrations[0].found_error if calibrations and not calibrations[0].found_ok else 0.0
    changes: list[Trust] = [Trust(start, UNCERTAIN, error)]
    for index, one in enumerate(calibrations):
        later = calibrations[index + 1] if index + 1 < len(calibrations) else None
        error = later.found_error if later is not None and not later.found_ok else 0.0
        if later is not None and not later.found_ok:
            changes.append(Trust(one.done, UNCERTAIN, error))
        elif one.due > one.done:
            changes.append(Trust(one.done, GOOD, 0.0))
        if later is None or one.due < later.done:
            left = one.left_error if one.due == one.done else 0.0
            changes.append(Trust(one.due, UNCERTAIN, max(error, left)))
    held = [change for change in changes if change.start <= start]
    out = [Trust(start, held[-1].quality, held[-1].error)]
    out += [change for change in changes if change.start > start and (stop is None or change.start < stop)]
    if stop is not None:
        out.append(Trust(stop, UNCERTAIN, 0.0))
    return out


def trust_while_present(present: Runs, trust: Sequence[Trust]) -> tuple[Trust, ...]:
    """What a logger's readings are trusted with: nothing while no goods were there, else what calibration allows."""
    starts = sorted({0, *(at for span in present for at in span), *(entry.start for entry in trust)})
    out = []
    for at in starts:
        before = [entry for entry in trust if entry.start <= at]
        there = any(start <= at < stop for start, stop in present)
        error = before[-1].error if before else 0.0
        quality = before[-1].quality if before else GOOD
        out.append(Trust(at, quality, error) if there else Trust(at, BAD, 0.0))
    return tuple(out)
