"""How a table is to be read, as far as somebody says it; what is not said is found out (csv_frame, headings). Pure."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from core.telemetry.address import BadAddress, check_point
from core.telemetry.message import Message
from core.telemetry.readers.text import BadFile
from core.telemetry.readers.wall_time import Ambiguous

CONVERSIONS = {
    ("[degF]", "Cel"): (5 / 9, -160 / 9),
    ("K", "Cel"): (1.0, -273.15),
    ("Cel", "[degF]"): (1.8, 32.0),
}
"""Factor and offset by which a unit becomes another."""
ASSUMED_ZONE = "UTC"
"""What a logger's clock is taken for where neither the file nor anybody says it; always a doubt."""


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column of values: its name or number (1 for the first), the point it goes to, its unit (UCUM).

    With `to_unit` the value is converted (between °C, °F and K) before it becomes a reading. Where the unit stands in a
    column of its own (`unit_column`), the rows with this unit are taken, and those with another are another column's.
    """

    column: str | int
    point: str
    unit: str = ""
    to_unit: str | None = None
    unit_column: str | int | None = None


class CsvMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to read a table. `time` names one column or several, joined by a space (date and time apart).

    `time_format`: the order of the date's parts ("dmy", "mdy", "ymd"), "iso", "unix", "unix_ms" or "unix_us", or a
    strptime format. `timezone` holds for times without an offset, in the file's headings too. Without `values` the
    columns of measurements are taken by their headings, of these `columns` only if given.
    What is not given is found out: `time`, `delimiter`, `time_format`, `decimal` ("." or ","), whether there is a
    `header` line, and lines before the table (`skip_lines` 0). `allowed_gap` in minutes; by default 1.5 usual steps.
    """

    values: tuple[Column, ...] = ()
    columns: tuple[str | int, ...] = ()
    time: tuple[str | int, ...] = ()
    time_format: str | None = None
    timezone: str | None = None
    ambiguous: Ambiguous = Ambiguous.ORDER
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    header: bool | None = None
    skip_lines: int = 0
    allowed_gap: float | None = None
    simulated: bool = False


def check_mapping(mapping: CsvMapping, names: Sequence[str], line: int) -> None:
    """Every fault of the mapping at once. Raises BadFile with the headings' line."""
    units = tuple(column.unit_column for column in mapping.values if column.unit_column is not None)
    wanted = (*mapping.time, *(column.column for column in mapping.values), *units, *mapping.columns)
    faults = [Message("telemetry.no_column", name=str(name), there=names) for name in wanted if not places(name, names)]
    for name in dict.fromkeys(wanted):
        if len(found := places(name, names)) > 1:
            numbers = [place + 1 for place in found]
            faults.append(Message("telemetry.columns_of_one_name", name=str(name), numbers=numbers))
    for column in mapping.values:
        try:
            check_point(column.point)
        except BadAddress as error:
            faults.append(Message("telemetry.bad_address", why=str(error)))
        if column.to_unit not in (None, column.unit) and (column.unit, column.to_unit) not in CONVERSIONS:
            told = {"column": str(column.column), "unit": column.unit, "wanted": str(column.to_unit)}
            faults.append(Message("telemetry.not_convertible", **told))
    if faults:
        raise BadFile(Message("telemetry.mapping_unfit", faults=faults), line)


def places(wanted: str | int, names: Sequence[str]) -> list[int]:
    """Where the columns are that have the number or name; names compare without case."""
    if isinstance(wanted, int):
        return [wanted - 1] if 1 <= wanted <= len(names) else []
    bare = wanted.strip().lower()
    return [place for place, name in enumerate(names) if name.lower() == bare]


def index_of(wanted: str | int, names: Sequence[str]) -> int:
    """Where the column is. Raises BadFile where it is not."""
    found = next(iter(places(wanted, names)), None)
    if found is None:
        raise BadFile(Message("telemetry.no_such_column", name=str(wanted)))
    return found
