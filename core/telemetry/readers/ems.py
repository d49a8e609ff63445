"""Reads the JSON of equipment monitoring systems (EMS, RTMD) of vaccine refrigerators.

The keys are those of WHO/PQS/E006/DS01, "Data standards for cold chain equipment monitoring"; the forms (a report with
`records`, a list of reports, flat records, a collection of them) are as recorded in github.com/OpenFn/adaptors,
packages/varo/test/fixtures. ABST is the absolute time (UTC, 20241205T004440Z), TVC the temperature of the vaccine
compartment and TAMB the ambient one in °C, HAMB the ambient relative humidity in %; LSER, LMFR, LMOD are the logger's,
ASER the appliance's; ALRM, LERR, EERR name alarms and errors.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.telemetry.compact import Readings
from core.telemetry.message import Message
from core.telemetry.quality import Quality
from core.telemetry.readers.cells import read_cell
from core.telemetry.readers.columns import segment
from core.telemetry.readers.csv_file import CsvResult, Event
from core.telemetry.readers.csv_mapping import Column, CsvMapping
from core.telemetry.readers.instants import WallTimes
from core.telemetry.readers.table_checks import check_duplicates, check_times, silences
from core.telemetry.readers.text import BadFile, Doubt, NoTable
from core.telemetry.readers.wall_time import ISO, Ambiguous, fits, parse_wall, resolve, zone_named
from core.telemetry.reading import Reading

MEASURED = {"TVC": ("temperature", "Cel"), "TAMB": ("temperature", "Cel"), "HAMB": ("humidity", "%")}
_TAKEN = ("TVC",)
"""What the goods went through; the others only where somebody asks for them."""
_NOTED = ("ALRM", "LERR", "EERR")
_TIME, _SINCE = "ABST", "RELT"
_DEEP = 6


@dataclass(frozen=True, slots=True)
class _Record:
    number: int
    at: datetime
    fields: Mapping[str, Any]


def parse_ems(text: str, stem: str, mapping: CsvMapping, edge_at: datetime) -> CsvResult:
    """The records as readings; lines are the records' numbers. Raises BadFile where they are none or have no time.

    `mapping.columns` names the keys to take, by default TVC.
    """
    try:
        found = list(enumerate(_walk(json.loads(text), {}, 0), start=1))
    except (ValueError, RecursionError) as error:
        raise NoTable(Message("telemetry.json_broken", why=str(error))) from error
    if not found:
        raise NoTable(Message("telemetry.json_of_no_monitor"))
    doubts: list[Doubt] = []
    records = list(_timed(found, doubts))
    device = _the_one(found, ("LSER", "ESER", "ASER"))
    keys = [str(key).upper() for key in mapping.columns] or list(_TAKEN)
    if unknown := [key for key in keys if key not in MEASURED]:
        raise BadFile(Message("telemetry.keys_unknown", keys=unknown, known=list(MEASURED)))
    others = sorted({key for _, fields in found for key in fields if key in MEASURED and key not in keys})
    if others:
        doubts.append(Doubt(1, "columns", Message("telemetry.keys_not_taken", names=others)))
    walls = WallTimes(record.at for record in records)
    instants = resolve(walls, zone_named("UTC"), Ambiguous.ORDER, edge_at)
    columns = [
        Column(key, f"import/ems/{segment(device or stem)}/{key}/{MEASURED[key][0]}", MEASURED[key][1]) for key in keys
    ]
    made, lines = [], []
    for column in columns:
        for record, instant in zip(records, instants, strict=True):
            lines.append(record.number)
            made.append(_reading(record, instant.at, column, edge_at, doubts))
    check_times([record.number for record in records], walls, instants, doubts)
    readings = Readings.of(made)
    check_duplicates(readings, lines, doubts)
    gaps, steps = silences(readings, columns, mapping.allowed_gap)
    maker = " ".join(str(found[0][1][key]) for key in ("LMFR", "LMOD") if found[0][1].get(key))
    return CsvResult(
        rows=len(found),
        readings=readings,
        gaps=tuple(gaps),
        doubts=tuple(sorted(doubts, key=lambda doubt: doubt.line)),
        columns=tuple(keys),
        delimiter="",
        time_format=ISO,
        steps=steps,
        events=tuple(_events(records)),
        device=f"WHO EMS {maker}".strip(),
        serial=device,
        clock="UTC (ABST is by definition)",
    )


def _walk(data: object, around: Mapping[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    """Every record, with what its report says around it."""
    if depth > _DEEP:
        return
    if isinstance(data, list):
        for one in data:
            yield from _walk(one, around, depth + 1)
    elif isinstance(data, dict):
        scalars = {key: value for key, value in data.items() if not isinstance(value, dict | list)}
        if inner := [value for value in data.values() if isinstance(value, dict | list)]:
            for one in inner:
                yield from _walk(one, {**around, **scalars}, depth + 1)
        elif any(key in data for key in MEASURED):
            yield {**around, **scalars}


def _timed(found: Sequence[tuple[int, dict[str, Any]]], doubts: list[Doubt]) -> Iterator[_Record]:
    """The records that have an absolute time; the others are doubts. Raises BadFile where none has one."""
    if not any(fields.get(_TIME) for _, fields in found):
        raise BadFile(Message("telemetry.times_since_start", since=_SINCE, time=_TIME))
    for number, fields in found:
        stamp = str(fields.get(_TIME) or "")
        if fits(stamp, ISO):
            yield _Record(number, parse_wall(stamp, ISO), fields)
        else:
            doubts.append(
                Doubt(
                    number,
                    "malformed_row",
                    Message("telemetry.record_without_time", number=number, key=_TIME, text=stamp),
                    damage=True,
                )
            )


def _the_one(found: Sequence[tuple[int, dict[str, Any]]], keys: Sequence[str]) -> str:
    """The device's number. Raises BadFile where records are of several."""
    for key in keys:
        numbers = list(dict.fromkeys(str(fields[key]) for _, fields in found if fields.get(key)))
        if len(numbers) > 1:
            raise BadFile(Message("telemetry.several_devices", numbers=numbers[:5]))
        if numbers:
            return numbers[0]
    return ""


def _reading(record: _Record, at: datetime, column: Column, edge_at: datetime, doubts: list[Doubt]) -> Reading:
    value = record.fields.get(str(column.column))
    cell = read_cell("" if value is None else str(value), ".", column.unit)
    if cell.said is not None:
        said = Message("telemetry.in_column", column=str(column.column), what=cell.said)
        doubts.append(Doubt(record.number, cell.doubt, said, cell.damage))
    return Reading(
        point=column.point,
        at=at,
        value=cell.value,
        unit=column.unit,
        edge_at=edge_at,
        source_at=at,
        quality=cell.quality if cell.value is None else Quality.GOOD,
        reason=cell.reason,
    )


def _events(records: Sequence[_Record]) -> Iterator[Event]:
    for record in records:
        for key in _NOTED:
            if record.fields.get(key):
                yield Event(record.number, record.at, f"{key}: {record.fields[key]}")
