"""`lotwise import`: reads recorded files, judges loggers by their own limits, and prints what was found.

Exit codes: 0 the file was read whole; 1 it is damaged (what could be read is shown, the lines are named) or, with
--strict, device and readings disagree; 2 it is no such file or the options do not fit it.
"""

import json as jsonlib
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from core.telemetry.readers.comparison import Alarm, Comparison, to_json
from core.telemetry.readers.csvfile import Column, CsvMapping, CsvResult, columns_of, parse_csv
from core.telemetry.readers.fridgetag import read_fridgetag
from core.telemetry.readers.judging import evaluate
from core.telemetry.readers.text import BadFile, Doubt, read_text
from core.telemetry.readers.walltime import Ambiguous, zone_named

OK, DAMAGED, UNFIT = 0, 1, 2
_SHOWN_DOUBTS = 20

app = typer.Typer(
    no_args_is_help=True,
    help="Read recorded files: loggers with their own alarm record, and tables of values.",
)


def import_logger(
    path: Path, *, json: bool = False, markdown: bool = False, timezone: str | None = None, strict: bool = False
) -> int:
    """Reads a Fridge-tag or Q-tag report, judges it by its own limits, prints both records; returns the exit code.

    `json` prints one JSON object, `markdown` the README's table, otherwise tables for people. Doubtful lines go to
    standard error in full.
    """
    try:
        report = read_fridgetag(path, zone_named(timezone) if timezone else UTC)
    except BadFile as error:
        return _unfit(path, error)
    comparison = evaluate(report)
    if json:
        print(jsonlib.dumps(to_json(comparison), ensure_ascii=False, allow_nan=False))
    elif markdown:
        print(markdown_table(comparison))
    else:
        _print_logger(comparison)
    _print_doubts(path, report.doubts, every=False)
    if report.damaged or (strict and comparison.agree is False):
        return DAMAGED
    return OK


def import_csv(
    path: Path, mapping: CsvMapping | None = None, *, json: bool = False, now: datetime | None = None
) -> int:
    """Reads a table by its mapping (None: first column time, every other a value); prints it; returns the exit code."""
    try:
        text = read_text(path)
        chosen = (
            mapping if mapping is not None and mapping.values else _guess(path, text, mapping or CsvMapping(values=()))
        )
        result = parse_csv(text, chosen, now or datetime.now(UTC))
    except BadFile as error:
        return _unfit(path, error)
    if json:
        print(jsonlib.dumps(csv_json(result), ensure_ascii=False, allow_nan=False))
    else:
        _print_csv(path, result)
    _print_doubts(path, result.doubts, every=False)
    return DAMAGED if result.damaged else OK


def csv_json(result: CsvResult) -> dict[str, Any]:
    """The result as JSON: rows, readings and gaps by point, and every doubtful line."""
    points = list(dict.fromkeys(reading.point for reading in result.readings))
    return {
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
            {"point": gap.scope, "start": gap.start.isoformat(), "stop": gap.stop.isoformat(),
             "minutes": (gap.stop - gap.start).total_seconds() / 60, "reason": gap.reason}
            for gap in result.gaps
        ],
        "doubts": [_doubt_json(doubt) for doubt in result.doubts],
    }  # fmt: skip


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


def _print_logger(comparison: Comparison) -> None:
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


def _print_csv(path: Path, result: CsvResult) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(
        f"[bold]{path.name}[/bold]: {result.rows} rows, {len(result.readings)} readings, {len(result.gaps)} gaps"
    )
    table = Table(title="Gaps")
    for column in ("point", "from", "to", "minutes"):
        table.add_column(column)
    for gap in result.gaps:
        minutes = (gap.stop - gap.start).total_seconds() / 60
        table.add_row(gap.scope, f"{gap.start:%Y-%m-%d %H:%M}", f"{gap.stop:%Y-%m-%d %H:%M}", f"{minutes:g}")
    if result.gaps:
        console.print(table)


def _print_doubts(path: Path, doubts: tuple[Doubt, ...], *, every: bool) -> None:
    """Doubtful lines to standard error, those that damage the file always, of the others the first ones and a count."""
    harmless = 0
    for doubt in doubts:
        harmless += not doubt.damage
        if doubt.damage or every or harmless <= _SHOWN_DOUBTS:
            print(f"{path}:{doubt.line}: {doubt.kind}: {doubt.message}", file=sys.stderr)
    if not every and harmless > _SHOWN_DOUBTS:
        print(f"{path}: and {harmless - _SHOWN_DOUBTS} more doubtful lines (--json has them all)", file=sys.stderr)


def _unfit(path: Path, error: BadFile) -> int:
    print(f"{path}: {error}", file=sys.stderr)
    return UNFIT


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


def _guess(path: Path, text: str, mapping: CsvMapping) -> CsvMapping:
    """Every column but the time's as a point of its own, under import/csv/<file>."""
    _, names = columns_of(text, mapping)
    stem = _segment(path.stem)
    times = {str(name).lower() for name in mapping.time}
    values = tuple(
        Column(index, f"import/csv/{stem}/file/{_segment(name)}")
        for index, name in enumerate(names, start=1)
        if str(index) not in times and name.lower() not in times
    )
    return msgspec.structs.replace(mapping, values=values)


def _segment(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:64] or "_"


def parse_value(text: str) -> Column:
    """`COLUMN=site/area/zone/device/quantity[:UNIT[>UNIT]]` as a column. Raises BadFile."""
    name, equals, rest = text.rpartition("=")
    if not equals or not name:
        raise BadFile(f"--value {text!r}: give COLUMN=site/area/zone/device/quantity[:UNIT[>UNIT]]")
    point, _, units = rest.partition(":")
    unit, _, wanted = units.partition(">")
    return Column(int(name) if name.isdigit() else name, point, unit, wanted or None)


def read_mapping(path: Path) -> CsvMapping:
    """A mapping from a YAML file; see CsvMapping for its keys. Raises BadFile."""
    try:
        data = YAML(typ="safe", pure=True).load(read_text(path))
        return msgspec.convert(data, CsvMapping)
    except YAMLError as error:
        raise BadFile(f"{path}: {error}") from error
    except msgspec.ValidationError as error:
        raise BadFile(f"{path}: {error}") from error


@app.command("logger")
def logger_command(
    file: Annotated[Path, typer.Argument(help="A Berlinger Fridge-tag or Q-tag text report.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the alarms as the README's table.")] = False,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", "--tz", help="Where the device's clock was set (IANA name); default UTC."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 where device and readings disagree.")] = False,
) -> None:
    """Read a logger's report, judge it by its own limits, and lay its own alarm record beside.

    Exit code 0: read whole. 1: damaged (or, with --strict, they disagree). 2: not such a report.
    """
    raise typer.Exit(import_logger(file, json=json, markdown=markdown, timezone=timezone, strict=strict))


@app.command("csv")
def csv_command(
    file: Annotated[Path, typer.Argument(help="A table: one row a time, columns of values.")],
    *,
    value: Annotated[
        list[str] | None,
        typer.Option("--value", "-v", help="COLUMN=site/area/zone/device/quantity[:UNIT[>UNIT]]; may be repeated."),
    ] = None,
    time: Annotated[list[str] | None, typer.Option("--time", help="Column(s) of the time; default the first.")] = None,
    time_format: Annotated[str | None, typer.Option(help="strptime, iso (default), unix, unix_ms or unix_us.")] = None,
    timezone: Annotated[str, typer.Option("--timezone", "--tz", help="For times without an offset.")] = "UTC",
    ambiguous: Annotated[
        Ambiguous, typer.Option(help="What a time means that comes twice in autumn.")
    ] = Ambiguous.ORDER,
    delimiter: Annotated[str | None, typer.Option(help="Found out if not given.")] = None,
    header: Annotated[bool, typer.Option(help="Whether the first line names the columns.")] = True,
    skip_lines: Annotated[int, typer.Option(min=0, help="Lines before the table.")] = 0,
    allowed_gap: Annotated[
        float | None, typer.Option(min=0, help="Minutes of silence that are no gap yet; default 1.5 usual steps.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="A YAML file with all of this instead.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read a table of values by a mapping of columns to points; gaps and doubtful lines are reported.

    Exit code 0: every line was read. 1: some could not be (they are named). 2: file or mapping do not fit.
    """
    try:
        chosen = read_mapping(mapping) if mapping else CsvMapping(
            values=tuple(parse_value(text) for text in value or ()),
            time=tuple(int(name) if name.isdigit() else name for name in time or ("1",)),
            time_format=time_format, timezone=timezone, ambiguous=ambiguous,
            delimiter="\t" if delimiter in ("tab", "\\t") else delimiter,
            header=header, skip_lines=skip_lines, allowed_gap=allowed_gap,
        )  # fmt: skip
    except BadFile as error:
        raise typer.Exit(_unfit(file, error)) from error
    raise typer.Exit(import_csv(file, chosen, json=json))
