"""`lotwise import`: reads recorded files, judges loggers by their own limits, and prints what was found.

With --shipment, --lot, --sublot or --zone the readings are bound to goods and judged by the core as well.

Exit codes: 0 the file was read whole; 1 it is damaged (what could be read is shown, the lines are named) or, with
--strict, device and readings disagree or the signature does not fit; 2 it is no such file, the options do not fit it,
or the core cannot be asked; 3 the core refused. A damaged file is bound as far as it could be read.
"""

import hashlib
import json as jsonlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from core.telemetry.readers.comparison import to_json
from core.telemetry.readers.csv_mapping import ASSUMED_ZONE, CsvMapping
from core.telemetry.readers.fridgetag import read_fridgetag
from core.telemetry.readers.judging import evaluate
from core.telemetry.readers.recorded import logged
from core.telemetry.readers.signature import Authenticity
from core.telemetry.readers.tables import read_table
from core.telemetry.readers.text import BadFile, read_bytes
from core.telemetry.readers.wall_time import Ambiguous, zone_named
from lotwise.binding import (
    DEFAULT_API,
    NOTHING,
    ApiOption,
    Binding,
    ClockOption,
    DryRunOption,
    FromOption,
    LoginOption,
    LotOption,
    ShipmentOption,
    SublotOption,
    ToOption,
    ZoneOption,
    bind,
)
from lotwise.import_columns import only_one, parse_decimal, parse_value, read_mapping
from lotwise.import_shown import busy, csv_json, markdown_table, print_csv, print_doubts, print_logger

OK, DAMAGED, UNFIT = 0, 1, 2

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Read recorded files: loggers with their own alarm record, and tables of values.",
)


def import_logger(
    path: Path,
    *,
    json: bool = False,
    markdown: bool = False,
    timezone: str | None = None,
    strict: bool = False,
    binding: Binding = NOTHING,
) -> int:
    """Reads a Fridge-tag or Q-tag report, judges it by its own limits, prints both records; returns the exit code.

    `json` prints one JSON object, `markdown` the README's table, otherwise tables for people. Doubtful lines go to
    standard error in full.
    """
    try:
        with busy(path):
            report = read_fridgetag(path, zone_named(timezone) if timezone else None)
    except BadFile as error:
        return _unfit(path, error)
    comparison = evaluate(report)
    if json:
        if not binding.wanted:  # else the core's answer is the one JSON object
            print(jsonlib.dumps(to_json(comparison), ensure_ascii=False, allow_nan=False))
    elif markdown:
        print(markdown_table(comparison))
    else:
        print_logger(comparison)
    print_doubts(path, report.doubts)
    if binding.wanted:
        serial = report.serial or path.name.partition(".")[0]
        try:
            readings = logged(report, serial, datetime.now(UTC))
        except BadFile as error:
            return _unfit(path, error)
        code = bind(binding, serial, readings, f"{_source(path)}, {report.authenticity}", json=json)
        if code:
            return code
    if report.damaged or (strict and (comparison.agree is False or report.authenticity is Authenticity.ALTERED)):
        return DAMAGED
    return OK


def import_csv(
    path: Path,
    mapping: CsvMapping | None = None,
    *,
    json: bool = False,
    now: datetime | None = None,
    binding: Binding = NOTHING,
    serial: str | None = None,
) -> int:
    """Reads a table by its mapping (None: by its headings); prints it; returns the exit code."""
    try:
        with busy(path):
            result = read_table(path.name, read_bytes(path), mapping or CsvMapping(), now or datetime.now(UTC))
    except BadFile as error:
        return _unfit(path, error)
    if json:
        if not binding.wanted:  # else the core's answer is the one JSON object
            print(jsonlib.dumps(csv_json(result), ensure_ascii=False, allow_nan=False))
    else:
        print_csv(path, result)
    print_doubts(path, result.doubts)
    if binding.wanted:
        number = serial or result.serial or path.name.partition(".")[0]
        code = bind(binding.by_clock_of(result.zone), number, result.readings, _source(path), json=json)
        if code:
            return code
    return DAMAGED if result.damaged else OK


def _source(path: Path) -> str:
    """The file as the audit names it."""
    return f"{path.name[-100:]} sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _unfit(path: Path, error: BadFile) -> int:
    print(f"{path}: {error}", file=sys.stderr)
    return UNFIT


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
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit 1 where device and readings disagree, or it was altered."),
    ] = False,
    shipment: ShipmentOption = None,
    lot: LotOption = None,
    sublot: SublotOption = None,
    zone: ZoneOption = None,
    since: FromOption = None,
    until: ToOption = None,
    clock_fast: ClockOption = 0.0,
    api: ApiOption = DEFAULT_API,
    login: LoginOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Read a logger's report, judge it by its own limits, and lay its own alarm record beside.

    lotwise import logger 130500109088.txt --tz Europe/Zurich

    lotwise import logger 130500109088.txt --shipment SH-1 --login logistics --dry-run

    Exit code 0: read whole. 1: damaged (or, with --strict, they disagree or it was altered). 2: not such a report.
    """
    try:
        binding = Binding(api, login, shipment, lot, sublot, zone, since, until, dry_run, clock_fast)
        binding = binding.by_clock_of(zone_named(timezone or ASSUMED_ZONE))
    except BadFile as error:
        raise typer.Exit(_unfit(file, error)) from error
    raise typer.Exit(
        import_logger(file, json=json, markdown=markdown, timezone=timezone, strict=strict, binding=binding)
    )


@app.command("csv")
def csv_command(
    file: Annotated[Path, typer.Argument(help="A table: a date and values in each row.")],
    *,
    value: Annotated[
        list[str] | None,
        typer.Option("--value", "-v", help="COLUMN=site/area/zone/device/quantity[:UNIT[>UNIT]]; may be repeated."),
    ] = None,
    time: Annotated[
        list[str] | None,
        typer.Option("--time", "--time-column", help="Column of the time, else found; twice for date and clock."),
    ] = None,
    time_format: Annotated[
        str | None,
        typer.Option(help="Order of the date: dmy, mdy or ymd; or iso, unix, unix_ms, unix_us, unix_ns, strptime."),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(
            "--timezone", "--tz", help="For times without an offset, in the file's headings too; default UTC."
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="Of the columns of measurements only this one, name or number; may be repeated."),
    ] = None,
    ambiguous: Annotated[
        Ambiguous, typer.Option(help="What a time means that comes twice in autumn.")
    ] = Ambiguous.ORDER,
    delimiter: Annotated[str | None, typer.Option(help="Found out if not given.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help="'.' or ','; found out by the whole column, unless 1,013 is all it has.")
    ] = None,
    header: Annotated[bool | None, typer.Option(help="Whether the first line names the columns; found out.")] = None,
    skip_lines: Annotated[int, typer.Option(min=0, help="Lines before the table.")] = 0,
    allowed_gap: Annotated[
        float | None, typer.Option(min=0, help="Minutes of silence that are no gap yet; default 1.5 usual steps.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="A YAML file with all of this instead.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    serial: Annotated[str | None, typer.Option(help="The logger's number; default the file's name.")] = None,
    shipment: ShipmentOption = None,
    lot: LotOption = None,
    sublot: SublotOption = None,
    zone: ZoneOption = None,
    since: FromOption = None,
    until: ToOption = None,
    clock_fast: ClockOption = 0.0,
    api: ApiOption = DEFAULT_API,
    login: LoginOption = None,
    dry_run: DryRunOption = False,
) -> None:
    r"""Read a logger's table (CSV, text, XLSX, WHO EMS JSON); gaps, events and doubtful lines are reported.

    Without --value the columns of measurements are taken, with the quantity and unit that headings and cells say.

    lotwise import csv room.csv --time timestamp --value "value=plant/store/cold-1/probe/temperature:\[degF]>Cel"

    lotwise import csv R-1.csv.gz --tz Europe/Zurich --shipment SH-1 --serial R-1 --login logistics --dry-run

    Exit code 0: every line was read. 1: some could not be (they are named). 2: file or mapping do not fit.
    """
    try:
        given = CsvMapping(
            values=tuple(parse_value(text) for text in value or ()),
            columns=tuple(int(name) if name.isdigit() else name for name in column or ()),
            time=tuple(int(name) if name.isdigit() else name for name in time or ()),
            time_format=time_format,
            timezone=timezone,
            ambiguous=ambiguous,
            delimiter="\t" if delimiter in ("tab", "\\t") else delimiter,
            decimal=parse_decimal(decimal),
            header=header,
            skip_lines=skip_lines,
            allowed_gap=allowed_gap,
        )
        chosen = only_one(read_mapping(mapping), given) if mapping else given
        binding = Binding(api, login, shipment, lot, sublot, zone, since, until, dry_run, clock_fast)
    except BadFile as error:
        raise typer.Exit(_unfit(file, error)) from error
    raise typer.Exit(import_csv(file, chosen, json=json, binding=binding, serial=serial))
