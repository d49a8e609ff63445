"""What `lotwise import` prints: tables for people, the README's table, JSON for programs, doubts on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from core.telemetry.readers.comparison import Alarm, Comparison
from core.telemetry.readers.csv_file import CsvResult
from core.telemetry.readers.text import Doubt

_SHOWN_DOUBTS = _SHOWN_EVENTS = 20


@contextmanager
def busy(path: Path) -> Iterator[None]:
    """Says on a terminal that a file is being read, for as long as it is; on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(f"reading {path.name} …"):
        yield


def csv_json(result: CsvResult) -> dict[str, Any]:
    """The result as JSON: rows, readings and gaps by point, and every doubtful line."""
    points = list(dict.fromkeys(reading.point for reading in result.readings))
    return {
        "device": result.device or None,
        "serial": result.serial or None,
        "clock": result.clock,
        "time_format": result.time_format,
        "rows": result.rows,
        "readings": len(result.readings),
        "points": {
            point: {
                "readings": sum(reading.point == point for reading in result.readings),
                "unit": next(reading.unit for reading in result.readings if reading.point == point),
                "step_minutes": result.steps[point].total_seconds() / 60 if point in result.steps else None,
            }
            for point in points
        },
        "gaps": [
            {
                "point": gap.scope,
                "start": gap.start.isoformat(),
                "stop": gap.stop.isoformat(),
                "minutes": (gap.stop - gap.start).total_seconds() / 60,
                "reason": gap.reason,
            }
            for gap in result.gaps
        ],
        "events": [{"line": one.line, "at": one.at.isoformat(), "text": one.text} for one in result.events],
        "doubts": [_doubt_json(doubt) for doubt in result.doubts],
    }


def markdown_table(comparison: Comparison) -> str:
    """Alarms that began on their day, the device's beside ours, as the README shows them."""
    rows = ["| day | limit | device | from the readings | minutes apart | agree |", "|---|---|---|---|---|---|"]
    begun = [alarm for alarm in comparison.alarms if not alarm.ran_on]
    rows += [
        f"| {alarm.day} | {alarm.limit} | {_clock(alarm.device_time)} | {_clock(alarm.our_time)} | {_apart(alarm)} "
        f"| {_verdict(alarm.agree)} |"
        for alarm in begun
    ]
    return "\n".join([*rows, "", *_summary(comparison)])


def _summary(comparison: Comparison) -> list[str]:
    """What the table leaves out, in sentences."""
    began = [alarm for alarm in comparison.alarms if not alarm.ran_on]
    ran = [alarm for alarm in comparison.alarms if alarm.ran_on]
    sides = [
        (abs(minutes - day.ours.minutes.get(key, 0.0)), day.agree)
        for day in comparison.days
        if day.device and day.ours
        for key, minutes in day.device.minutes.items()
        if minutes
    ]
    longest = f" (longest {max(gap.minutes for gap in comparison.gaps):g} min)" if comparison.gaps else ""
    every = f"{comparison.interval.total_seconds() / 60:g} min"
    within = f"{comparison.tolerance.total_seconds() / 60:g} min"
    begun, over = (f"{sum(alarm.agree is True for alarm in some)} of {len(some)}" for some in (began, ran))
    lines = [
        f"{len(comparison.report.samples)} readings every {every}, {len(comparison.gaps)} gap(s){longest}.",
        f"{begun} alarms that began on their day agree within {within}; {over} that ran on over midnight agree.",
    ]
    if sides:
        lines.append(
            f"Minutes out of range: {sum(bool(agree) for _, agree in sides)} of {len(sides)} non-zero day records "
            f"agree, at most {max(apart for apart, _ in sides):g} min apart."
        )
    mkt = "none" if comparison.mkt is None else f"{comparison.mkt:.2f} °C"
    lines.append(f"Mean kinetic temperature: {mkt} ({comparison.mkt_reason}).")
    return lines


def print_logger(comparison: Comparison) -> None:
    """Alarms and days, the device's beside ours, gaps and what was assumed."""
    report = comparison.report
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(f"[bold]{report.device}[/bold] {report.serial}, firmware {report.firmware or 'not said'}")
    for limit in report.limits:
        console.print(f"  limit {limit}", highlight=False)
    alarms = Table(title="Alarms: the device's own, and what its readings say")
    for column in ("day", "limit", "device", "readings", "agree", ""):
        alarms.add_column(column)
    for alarm in comparison.alarms:
        remark = "ran on from the day before" if alarm.ran_on else alarm.note
        alarms.add_row(
            str(alarm.day),
            alarm.limit,
            _clock(alarm.device_time),
            _clock(alarm.our_time),
            _verdict(alarm.agree),
            remark,
        )
    console.print(alarms)
    days = Table(title="Days: device / readings")
    for column in ("day", "min", "max", "average", "minutes out", "agree"):
        days.add_column(column)
    for day in comparison.days:
        device, ours = day.device, day.ours
        keys = sorted({*(device.minutes if device else ()), *(ours.minutes if ours else ())})
        minutes = ", ".join(
            f"{key}: {_figure(device.minutes.get(key) if device else None)} / "
            f"{_figure(ours.minutes.get(key) if ours else None)}"
            for key in keys
        )
        days.add_row(
            str(day.day),
            f"{_figure(device.lowest if device else None)} / {_figure(ours.lowest if ours else None)}",
            f"{_figure(device.highest if device else None)} / {_figure(ours.highest if ours else None)}",
            f"{_figure(device.average if device else None)} / {_figure(ours.average if ours else None)}",
            minutes,
            _verdict(day.agree),
        )
    console.print(days)
    for gap in comparison.gaps:
        console.print(
            f"gap {gap.start:%Y-%m-%d %H:%M} to {gap.stop:%Y-%m-%d %H:%M}: {gap.minutes:g} min", highlight=False
        )
    for line in (*_summary(comparison), *comparison.notes):
        console.print(line, highlight=False)


def print_csv(path: Path, result: CsvResult) -> None:
    """How much was read, and the gaps."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(
        f"[bold]{path.name}[/bold]: {result.rows} rows, {len(result.readings)} readings, {len(result.gaps)} gaps"
    )
    device = f"{result.device or 'a table'} {result.serial}".strip()
    console.print(f"{device}; times in {result.clock}; dates as {result.time_format}", highlight=False, markup=False)
    table = Table(title="Gaps")
    for column in ("point", "from", "to", "minutes"):
        table.add_column(column)
    for gap in result.gaps:
        minutes = (gap.stop - gap.start).total_seconds() / 60
        table.add_row(gap.scope, f"{gap.start:%Y-%m-%d %H:%M}", f"{gap.stop:%Y-%m-%d %H:%M}", f"{minutes:g}")
    if result.gaps:
        console.print(table)
    for event in result.events[:_SHOWN_EVENTS]:
        console.print(f"event {event.at:%Y-%m-%d %H:%M}: {event.text}", highlight=False, markup=False)
    if len(result.events) > _SHOWN_EVENTS:
        console.print(f"and {len(result.events) - _SHOWN_EVENTS} more events")


def print_doubts(path: Path, doubts: tuple[Doubt, ...]) -> None:
    """Doubtful lines to standard error, those that damage the file always, of the others the first ones and a count."""
    harmless = 0
    for doubt in doubts:
        harmless += not doubt.damage
        if doubt.damage or harmless <= _SHOWN_DOUBTS:
            print(f"{path}:{doubt.line}: {doubt.kind}: {doubt.message}", file=sys.stderr)
    if harmless > _SHOWN_DOUBTS:
        print(f"{path}: and {harmless - _SHOWN_DOUBTS} more doubtful lines (--json has them all)", file=sys.stderr)


def _doubt_json(doubt: Doubt) -> dict[str, Any]:
    return {"line": doubt.line, "kind": doubt.kind, "message": doubt.message, "damage": doubt.damage}


def _clock(moment: datetime | None) -> str:
    return "–" if moment is None else f"{moment:%H:%M}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}".removesuffix(".0")


def _verdict(agree: bool | None) -> str:
    return {True: "yes", False: "NO", None: "–"}[agree]


def _apart(alarm: Alarm) -> str:
    if alarm.device_time is None or alarm.our_time is None:
        return "–"
    return f"{(alarm.our_time - alarm.device_time).total_seconds() / 60:+g}"
