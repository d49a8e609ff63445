"""Which columns of a table are measurements, where nobody says: by headings, units and cells. Pure.

What is not taken is said; what can be taken in several ways is taken as it stands and refused where it is bound.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

from core.telemetry.message import Message
from core.telemetry.readers.csv_frame import CsvTable
from core.telemetry.readers.csv_mapping import Column, CsvMapping, places
from core.telemetry.readers.date_formats import offset_of
from core.telemetry.readers.dialects import Dialect, dialect_of
from core.telemetry.readers.headings import QUANTITY_OF, Known, Role, known
from core.telemetry.readers.text import BadFile, NoTable
from core.telemetry.readers.wall_time import zone_named

_SHOWN = 56
_ZONE = re.compile(r"time ?zone|zeitzone|时区|fuseau|utc offset|gmt offset", re.IGNORECASE)
_OFFSET = re.compile(r"(?:UTC|GMT)\s*[+-]\s*\d{1,2}(?::?\d\d)?(?!\d)|\b(?:UTC|GMT)\b(?!\s*[+-])", re.IGNORECASE)
_BARE_OFFSET = re.compile(r"(?<![\w-])[+-]\s*\d{1,2}(?::?\d\d)?(?![\d-])")
"""An offset without UTC before it, where the line speaks of a time zone; a date in such a line is none."""
_NAMED_ZONE = re.compile(r"\b[A-Z][A-Za-z]+/[A-Z][A-Za-z_/]+\b")
_SERIAL = re.compile(
    r"^\W*(?:serial(?: ?(?:number|no\.?|nr\.?|#))?|s/n|seriennummer|序列号|设备编号)\W+([A-Za-z0-9][\w-]*)",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class DetectedColumns:
    """A table's columns in their order, its dialect, the device's number, and the zone that the file states."""

    columns: tuple[Known, ...]
    dialect: Dialect | None
    serial: str
    zone: tzinfo | None
    zone_text: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, those of the dialect where the file gives none."""
        return tuple(column.name for column in self.columns)


def detect_columns(table: CsvTable) -> DetectedColumns:
    """What a table says of itself."""
    head = table.head()
    dialect = dialect_of(head, table.delimiter.join(table.sample[0][1]) if table.sample else "")
    names = table.names
    if dialect is not None and not table.heading:
        names = tuple(dialect.columns.get(place + 1, name) for place, name in enumerate(names))
    columns = []
    for place, name in enumerate(names):
        cells = [cells[place] if place < len(cells) else "" for _, cells in table.sample]
        found = known(name if table.heading or dialect else "", table.units[place], cells)
        columns.append(Known(name, Role.TIME) if place in table.times else replace(found, name=name))
    number = dialect.serial.search(head) if dialect and dialect.serial else _SERIAL.search("\n".join(table.above))
    zone, zone_text = _zone_in(table, dialect)
    return DetectedColumns(tuple(columns), dialect, number[1] if number else "", zone, zone_text)


def _zone_in(table: CsvTable, dialect: Dialect | None) -> tuple[tzinfo | None, str]:
    """The zone of the times by their heading, by a line above the table, or by the maker's definition."""
    headings = [table.names[place] for place in table.times if table.heading and place < len(table.names)]
    lines = [line for line in table.above if _ZONE.search(line)]
    for text in (*headings, *lines):
        if found := _NAMED_ZONE.search(text):
            try:
                return zone_named(found[0]), text.strip()
            except BadFile:
                pass
        if found := _OFFSET.search(text) or (_BARE_OFFSET.search(text) if text in lines else None):
            try:
                return offset_of(found[0].replace(" ", "")), text.strip()
            except ValueError:
                continue
    if dialect is not None and dialect.zone is not None:
        return zone_named(dialect.zone), f"{dialect.name} writes {dialect.zone}"
    return None, ""


def segment(text: str) -> str:
    """The text as one segment of an address."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_")[:64] or "_"


def mapping_of(seen: DetectedColumns, stem: str, mapping: CsvMapping) -> tuple[tuple[Column, ...], Message | None]:
    """The columns of measurements as points import/csv/STEM/COLUMN/QUANTITY, and what must be said of the others.

    Taken are those whose heading, unit or cells tell a quantity, else all that hold numbers; of several, the named
    ones where `mapping.columns` names some. Raises BadFile where there is none.
    """
    values = [place for place, column in enumerate(seen.columns) if column.role is Role.VALUE]
    if mapping.columns:
        values = [place for name in mapping.columns for place in places(name, seen.names)]
    elif any(seen.columns[place].quantity for place in values) or _unit_columns(seen):
        beside = {_value_beside(seen, place, values) for place in _unit_columns(seen)}
        values = [place for place in values if seen.columns[place].quantity or place in beside]
    if not values:
        there = [f"{column.name!r} ({column.role})" for column in seen.columns]
        raise NoTable(Message("telemetry.no_measurements", there=there))
    units = {_value_beside(seen, place, values): place for place in _unit_columns(seen)}
    out: list[Column] = []
    taken: Counter[str] = Counter()
    for place in values:
        column = seen.columns[place]
        bare = segment(column.name)
        taken[bare] += 1
        device = bare if taken[bare] == 1 else f"{bare[:_SHOWN]}_{place + 1}"
        for unit in seen.columns[units[place]].units if place in units else (column.unit,):
            quantity = QUANTITY_OF.get(unit) or bare if place in units else column.quantity or bare
            point = f"import/csv/{segment(stem)}/{device}/{quantity}"
            out.append(Column(place + 1, point, unit, unit_column=units[place] + 1 if place in units else None))
    return tuple(out), _left_out(seen, values)


def _unit_columns(seen: DetectedColumns) -> list[int]:
    return [place for place, column in enumerate(seen.columns) if column.role is Role.UNIT]


def _value_beside(seen: DetectedColumns, unit: int, values: Sequence[int]) -> int:
    """The column of values that a column of units stands beside: the one on its right, else on its left."""
    open_ones = [place for place in values if not seen.columns[place].unit]
    nearest = sorted(open_ones, key=lambda place: (abs(place - unit), place < unit))
    return nearest[0] if nearest else -1


def _left_out(seen: DetectedColumns, values: Sequence[int]) -> Message | None:
    plain = (Role.TIME, Role.NUMBER, Role.EVENT, Role.UNIT)
    names = [
        f"{column.name[:_SHOWN]!r}"
        for place, column in enumerate(seen.columns)
        if place not in values and column.role not in plain and column.name
    ]
    return Message("telemetry.columns_not_taken", names=names) if names else None
