"""The result of laying a logger's record beside our own judgement, and its JSON form."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from core.telemetry.readers.report import Report
from core.telemetry.readers.series import Silence

LEAST_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm, the device's beside ours. `agree` is None where there are no readings to judge by.

    A time at 00:00 with `ran_on` is an alarm that ran on from the day before.
    """

    limit: str
    day: date
    device_time: datetime | None
    our_time: datetime | None
    agree: bool | None
    ran_on: bool = False
    certain: bool = True
    device_minutes: float | None = None
    our_minutes: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class DaySide:
    """One day as one of the two saw it: extremes, average, and minutes out by limit. None: nothing known."""

    lowest: float | None
    highest: float | None
    average: float | None
    minutes: dict[str, float]


@dataclass(frozen=True, slots=True)
class Day:
    """One day, the device's record beside ours. `agree` is None where one of the two is silent on it."""

    day: date
    device: DaySide | None
    ours: DaySide | None
    agree: bool | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result: alarms and days side by side, gaps, mean kinetic temperature (°C; None with the reason)."""

    report: Report
    interval: timedelta
    gaps: tuple[Silence, ...]
    alarms: tuple[Alarm, ...]
    days: tuple[Day, ...]
    mkt: float | None
    mkt_reason: str
    ours: DaySide
    notes: tuple[str, ...] = field(default=())

    @property
    def agree(self) -> bool | None:
        """Whether everything that can be compared agrees; None when nothing can be."""
        verdicts = [alarm.agree for alarm in self.alarms] + [day.agree for day in self.days]
        known = [verdict for verdict in verdicts if verdict is not None]
        return all(known) if known else None

    @property
    def tolerance(self) -> timedelta:
        """Alarm times agree within this."""
        return max(LEAST_TOLERANCE, self.interval)


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON carries it: see README, "Recorded files". Times are ISO 8601 with the clock's offset."""
    report = comparison.report
    return {
        "device": {
            "name": report.device,
            "serial": report.serial,
            "firmware": report.firmware,
            "format": report.format_version,
            "unit": report.unit,
            "activated": _iso(report.activated),
            "created": _iso(report.created),
            "logging_interval_minutes": _minutes(comparison.interval),
            "limits": [
                {
                    "key": limit.key,
                    "side": limit.side.value,
                    "kind": limit.kind.value,
                    "threshold": limit.threshold,
                    "minutes": _minutes(limit.delay),
                    "text": str(limit),
                    "assumed": limit.assumed or None,
                }
                for limit in report.limits
            ],
            "configuration": dict(report.configuration),
            "signed": bool(report.signature),
            "authenticity": report.authenticity.value,
            "certificate": report.certificate or None,
            "signature": report.signature or None,
        },
        "readings": len(report.samples),
        "gaps": [
            {"start": _iso(gap.start), "stop": _iso(gap.stop), "minutes": round(gap.minutes, 3)}
            for gap in comparison.gaps
        ],
        "alarms": [
            {
                "limit": alarm.limit,
                "day": alarm.day.isoformat(),
                "device_time": _iso(alarm.device_time),
                "our_time": _iso(alarm.our_time),
                "agree": alarm.agree,
                "ran_on": alarm.ran_on,
                "certain": alarm.certain,
                "device_minutes": alarm.device_minutes,
                "our_minutes": alarm.our_minutes,
                "note": alarm.note or None,
            }
            for alarm in comparison.alarms
        ],
        "days": [
            {"date": day.day.isoformat(), "device": _plain(day.device), "ours": _plain(day.ours), "agree": day.agree}
            for day in comparison.days
        ],
        "mkt": None if comparison.mkt is None else round(comparison.mkt, 3),
        "mkt_note": f"°C, {comparison.mkt_reason}",
        "total": {
            "device": None
            if report.totals is None
            else {
                "min": report.totals.lowest,
                "max": report.totals.highest,
                "average": report.totals.average,
                "mkt": report.totals.mkt,
            },
            "ours": _plain(comparison.ours),
        },
        "agree": comparison.agree,
        "tolerance_minutes": _minutes(comparison.tolerance),
        "doubts": [
            {"line": doubt.line, "kind": doubt.kind, "message": doubt.message, "damage": doubt.damage}
            for doubt in report.doubts
        ],
        "notes": list(comparison.notes),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _minutes(length: timedelta) -> float:
    return length.total_seconds() / 60


def _plain(side: DaySide | None) -> dict[str, Any] | None:
    if side is None:
        return None
    average = None if side.average is None else round(side.average, 3)
    minutes = {key: round(value, 3) for key, value in side.minutes.items()}
    return {"min": side.lowest, "max": side.highest, "average": average, "minutes_out": minutes}
