"""An export: which columns, in which language, in which form; and the cells of its rows. Pure.

Numbers stay numbers, figures with the digits that an answer has (`shapes.Figure`), days are ISO dates, instants are ISO
with their offset in the zone that is asked for, words are those of the asked language. Text can never be taken for a
formula (`formulas`).
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Literal

from core.erp.kernel.shapes import duration_text, figure
from core.erp.kernel.tabular.fields import CHINESE, ENGLISH, Field, Kind
from core.erp.kernel.tabular.formulas import escaped
from core.erp.kernel.unit import json_value

Row = Sequence[Any]
"""Values in the order of the fields."""
Cell = str | int | float | Decimal | date | None

FLAGS = {ENGLISH: ("no", "yes"), CHINESE: ("否", "是")}
_CHUNK = 64 * 1024
_BOM = "\ufeff"


@dataclass(frozen=True)
class Export:
    """What is asked for.

    `language` of the headings and words ("en", "zh"), `zone` of the instants. `name_row` adds a second row with the
    fields' names, by which a program finds its columns, and an import too. Of CSV: `byte_order_mark` for spreadsheet
    programs that take UTF-8 for something else without, `delimiter` and `decimal` as those of some countries want them.
    """

    fields: tuple[Field, ...]
    language: str = ENGLISH
    zone: tzinfo = UTC
    name_row: bool = False
    byte_order_mark: bool = False
    delimiter: Literal[",", ";", "\t"] = ","
    decimal: Literal[".", ","] = "."

    def __post_init__(self) -> None:
        if self.delimiter == self.decimal:
            raise ValueError("a comma cannot be between the cells and before the fractions")

    def heads(self) -> list[list[str]]:
        """The rows above the values: headings and, if wanted, names. The zone is told beside each instant's heading."""
        labels = [self._label(field) for field in self.fields]
        return [labels, [field.name for field in self.fields]] if self.name_row else [labels]

    def _label(self, field: Field) -> str:
        label = field.label(self.language)
        return f"{label} ({self.zone})" if field.kind is Kind.MOMENT else label

    def cells(self) -> list[Callable[[Any], Cell]]:
        """For each field what makes a value a cell: text, a number that keeps its digits, a date, or nothing."""
        return [_cell_of(field, self.language, self.zone) for field in self.fields]


def csv_parts(export: Export, rows: Iterable[Row]) -> Iterator[bytes]:
    """The whole file (RFC 4180, UTF-8) in parts, as the rows come. All text is quoted, numbers are not."""
    cells, delimiter = export.cells(), export.delimiter
    parts = [(_BOM if export.byte_order_mark else "")]
    parts += [f"{delimiter.join(map(_quoted, head))}\r\n" for head in export.heads()]
    size = 0
    for row in rows:
        line = delimiter.join(
            [_csv(cell(value), export.decimal) for cell, value in zip(cells, row, strict=True)]  # a list: joined faster
        )
        parts.append(f"{line}\r\n")
        size += len(line)
        if size > _CHUNK:
            yield "".join(parts).encode()
            parts, size = [], 0
    yield "".join(parts).encode()


def text_of(cell: Cell) -> str:
    """A cell as it is printed."""
    if cell is None:
        return ""
    return format(cell, "f") if isinstance(cell, Decimal) else str(cell)


def _csv(cell: Cell, decimal: str) -> str:
    if cell is None:
        return ""
    if type(cell) is str:
        return _quoted(cell)
    if isinstance(cell, date):
        return cell.isoformat()
    text = format(cell, "f") if isinstance(cell, Decimal) else repr(cell)
    return text if decimal == "." else text.replace(".", decimal)


def _quoted(text: str) -> str:
    return '"' + escaped(text).replace('"', '""') + '"'


def _cell_of(field: Field, language: str, zone: tzinfo) -> Callable[[Any], Cell]:
    no, yes = FLAGS.get(language, FLAGS[ENGLISH])
    words = {choice.value: choice.label(language) for choice in field.choices}

    def listed(values: Iterable[Any]) -> str:
        found = (words.get(item, item) if isinstance(item, str) else json_value(item) for item in values)
        return "; ".join(str(item) if not isinstance(item, dict) else _as_json(item) for item in found)

    made: dict[type, Callable[[Any], Cell]] = {
        str: (lambda value: words.get(value, value)) if words else (lambda value: value),
        bool: lambda value: yes if value else no,
        int: lambda value: value,
        float: lambda value: figure(value) if math.isfinite(value) else str(value),
        Decimal: lambda value: value.normalize() if value.is_finite() else str(value),
        datetime: lambda value: value.astimezone(zone).isoformat(),
        date: lambda value: value,
        timedelta: duration_text,
        list: listed,
        tuple: listed,
    }

    def cell(value: Any) -> Cell:
        make = made.get(type(value))
        if make is not None:
            return make(value)
        return None if value is None else _other(value, made[str])

    return cell


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _other(value: object, text: Callable[[Any], Cell]) -> Cell:
    found = json_value(value)
    return text(found) if isinstance(found, str) else _as_json(found)
