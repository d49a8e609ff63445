"""Lays a logger's own alarm record beside what its readings say under its own limits. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from core.telemetry.mkt import ACTIVATION_ENERGY, NotApplicable, mean_kinetic_temperature
from core.telemetry.readers.comparison import LEAST_TOLERANCE, Alarm, Comparison, Day, DaySide
from core.telemetry.readers.report import FAHRENHEIT, AlarmKind, DayAlarm, DeviceDay, Limit, Report, Side
from core.telemetry.readers.runs import (
    METHOD,
    Trigger,
    minutes_by_day,
    runs_of,
    single_triggers,
    triggers_of,
)
from core.telemetry.readers.series import GAP_FACTOR, Span, gaps_of, interval_of, spans_of, usual_step
from core.telemetry.readers.signature import Authenticity

DAY_TOLERANCE = 1.5
"""Minutes out of a day agree within this many logging intervals, as a crossing falls anywhere between two readings."""
_SIGNATURES = {
    Authenticity.AUTHENTIC: "signature: authentic, as the device wrote it",
    Authenticity.UNCERTIFIED: "signature: fits the text, but its key is not certified by the maker known here",
    Authenticity.ALTERED: "signature: DOES NOT FIT, the text was changed after the device signed it",
    Authenticity.UNCHECKED: "signature: not of the form known here, not checked",
    Authenticity.UNSIGNED: "signature: none",
}
ROUNDING = 0.051
"""The device rounds what it notes to 0.1."""


def evaluate(report: Report) -> Comparison:
    """Judges the log by the device's own limits and compares with the device's own record.

    Strict comparators; a consecutive run is reset by a gap; one trigger a day where the device notes days, one per
    run where it notes events. Raises nothing: what cannot be judged is None, with a note.
    """
    spans = spans_of(report)
    interval = interval_of(report)
    tolerance = max(LEAST_TOLERANCE, interval)
    alarms: list[Alarm] = []
    for limit in report.limits:
        if report.days or not report.totals:
            alarms += _by_day(report, limit, spans, tolerance)
        else:
            alarms += _by_event(report, limit, spans, tolerance)
    mkt, reason = _mkt(report, spans)
    return Comparison(
        report=report,
        interval=interval,
        gaps=tuple(gaps_of([span.start for span in spans if span.logged], interval)),
        alarms=tuple(sorted(alarms, key=lambda alarm: (alarm.day, alarm.limit))),
        days=tuple(_days(report, spans, interval)),
        mkt=mkt,
        mkt_reason=reason,
        ours=_side(spans, {limit.key: sum(minutes_by_day(limit, spans).values()) for limit in report.limits}),
        notes=tuple(_notes(report, spans)),
    )


def _notes(report: Report, spans: Sequence[Span]) -> Iterable[str]:
    yield report.clock
    yield f"method: {METHOD}"
    if not spans:
        yield "the report holds no readings: the device's record stands alone"
    if not report.limits:
        yield "the report holds no alarm limits: nothing to judge by"
    if spans and not report.days and not report.events and not report.totals:
        yield "the report holds no record of the device's own: the readings stand alone"
    yield _SIGNATURES[report.authenticity]
    step = usual_step(report)
    if report.interval and step and not 1 / GAP_FACTOR <= step / report.interval <= GAP_FACTOR:
        yield f"configured to log every {_minutes(report.interval)} min, and logged every {_minutes(step)} min"
    if len(report.columns) > 1:
        yield f"judged by column {report.columns[report.judged_column]!r} of {list(report.columns)}"
    for limit in report.limits:
        if limit.assumed:
            yield f"limit {limit.key}: {limit.assumed}"


def _minutes(length: timedelta) -> str:
    return f"{length.total_seconds() / 60:g}"


def _by_day(report: Report, limit: Limit, spans: Sequence[Span], tolerance: timedelta) -> list[Alarm]:
    """The limit's alarms where the device notes the first of every day."""
    ours = {trigger.day: trigger for trigger in triggers_of(limit, spans)}
    theirs: dict[date, DayAlarm] = {
        day.day: alarm
        for day in report.days
        for alarm in day.alarms
        if alarm.limit == limit.key and alarm.at is not None
    }
    noted = {day.day for day in report.days if any(alarm.limit == limit.key for alarm in day.alarms)}
    logged = {span.start.date() for span in spans}
    out: list[Alarm] = []
    for day in sorted(theirs.keys() | ours.keys()):
        device, trigger = theirs.get(day), ours.get(day)
        if device is None and trigger is not None and (not trigger.certain or (noted and day not in noted)):
            continue
        comparable = bool(noted) and (trigger is not None or day in logged)
        out.append(_alarm(limit, day, device.at if device else None, trigger, tolerance, judged=comparable))
    return out


def _alarm(
    limit: Limit, day: date, device: datetime | None, trigger: Trigger | None, tolerance: timedelta, *, judged: bool
) -> Alarm:
    ours = trigger.at if trigger else None
    agree = None if not judged else device is not None and ours is not None and abs(device - ours) <= tolerance
    midnight = device is not None and device.hour == 0 and device.minute == 0
    ran_on = trigger.ran_on if trigger else midnight
    certain = trigger.certain if trigger else True
    note = ""
    if not certain:
        note = "long enough only at its most: the log is too coarse to prove it"
    elif device is None and judged:
        note = "the device noted none: what lay between the readings is not in the log"
    return Alarm(str(limit), day, device, ours, agree, ran_on=ran_on, certain=certain, note=note)


def _by_event(report: Report, limit: Limit, spans: Sequence[Span], tolerance: timedelta) -> list[Alarm]:
    """The limit's alarms where the device notes each of them (Q-tag)."""
    triggers = single_triggers(limit, spans)
    in_all = sum(run.minutes for run in runs_of(limit, spans)) if limit.kind is AlarmKind.CUMULATIVE else None
    out: list[Alarm] = []
    for event in report.events:
        if event.limit != limit.key or event.at is None:
            continue
        near = _nearest(triggers, event.at, tolerance)
        minutes = in_all
        if near is not None:
            triggers.remove(near)
            minutes = near.run.minutes if in_all is None else in_all
        alarm = _alarm(limit, event.at.date(), event.at, near, tolerance, judged=bool(spans))
        out.append(replace(alarm, device_minutes=event.minutes, our_minutes=minutes))
    out += [_alarm(limit, left.day, None, left, tolerance, judged=True) for left in triggers if left.certain]
    return out


def _nearest(triggers: Sequence[Trigger], at: datetime, tolerance: timedelta) -> Trigger | None:
    """The trigger nearest to the device's, if it is within the tolerance."""
    near = min(triggers, key=lambda trigger: abs(trigger.at - at), default=None)
    return near if near is not None and abs(near.at - at) <= tolerance else None


def _days(report: Report, spans: Sequence[Span], interval: timedelta) -> Iterable[Day]:
    """Every day that the device or the log speaks of, the newest last."""
    theirs = {day.day: day for day in report.days}
    by_day: dict[date, list[Span]] = {}
    for span in spans:
        by_day.setdefault(span.start.date(), []).append(span)
    minutes = {limit.key: minutes_by_day(limit, spans) for limit in report.limits}
    for day in sorted(theirs.keys() | by_day.keys()):
        device = _device_side(theirs[day]) if day in theirs else None
        ours = None
        if day in by_day:
            ours = _side(by_day[day], {key: per_day.get(day, 0.0) for key, per_day in minutes.items()})
        yield Day(day, device, ours, _days_agree(device, ours, interval) if device and ours else None)


def _device_side(day: DeviceDay) -> DaySide:
    minutes = {alarm.limit: float(alarm.minutes) for alarm in day.alarms if alarm.minutes is not None}
    return DaySide(day.lowest, day.highest, day.average, minutes)


def _side(spans: Sequence[Span], minutes: dict[str, float]) -> DaySide:
    """What the log says of a stretch; the average is weighted by the time each value stands for."""
    known = [span for span in spans if span.logged]
    if not known:
        return DaySide(None, None, None, minutes)
    weights = [(span.stop - span.start).total_seconds() for span in known]
    total = sum((span.low + span.high) / 2 * weight for span, weight in zip(known, weights, strict=True))
    lowest, highest = min(span.low for span in known), max(span.high for span in known)
    return DaySide(lowest, highest, total / sum(weights), minutes)


def _days_agree(device: DaySide, ours: DaySide, interval: timedelta) -> bool:
    """Minutes out within 1.5 intervals, and no reading beyond the extremes that the device saw in every minute."""
    allowed = DAY_TOLERANCE * interval.total_seconds() / 60
    for key, minutes in device.minutes.items():
        if key in ours.minutes and abs(minutes - ours.minutes[key]) > allowed:
            return False
    within_low = device.lowest is None or ours.lowest is None or ours.lowest >= device.lowest - ROUNDING
    within_high = device.highest is None or ours.highest is None or ours.highest <= device.highest + ROUNDING
    return within_low and within_high


def _mkt(report: Report, spans: Sequence[Span]) -> tuple[float | None, str]:
    """MKT in °C over the covered time, with the device's activation energy where it has one."""
    known = [span for span in spans if span.logged]
    upper = [limit.threshold for limit in report.limits if limit.side is Side.HIGH]
    if upper and _celsius(max(upper), report.unit) <= 0:
        return None, "not applicable: the limits are those of frozen goods"
    energy = report.activation_energy or ACTIVATION_ENERGY
    try:
        value = mean_kinetic_temperature(
            [_celsius(span.high, report.unit) for span in known],
            [(span.stop - span.start).total_seconds() for span in known],
            energy,
        )
    except NotApplicable as error:
        return None, f"not applicable: {error}"
    except ValueError as error:
        return None, f"not computed: {error}"
    return value, f"over the covered time, activation energy {energy:g} kJ/mol"


def _celsius(value: float, unit: str) -> float:
    return (value - 32) / 1.8 if unit == FAHRENHEIT else value
