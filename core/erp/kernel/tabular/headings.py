"""Which column of a file is which field: by name, by a label in either language, or as somebody says. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from core.erp.kernel.tabular.faults import Fault, shown
from core.erp.kernel.tabular.fields import Field, heading_key
from core.erp.kernel.tabular.mapping import Mapping
from core.erp.kernel.tabular.sheets import Row
from core.erp.kernel.words import Message

LOOKED_AT = 10
"""Rows among which the headings are looked for."""


class By(StrEnum):
    """Why a column is which field."""

    HEADING = "heading"
    """The heading is the field's name, label or alias."""
    MAPPING = "mapping"
    """Somebody says so, or said so of the same headings before."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file, `place` counted from 0: the field it holds, or None where it is left out."""

    place: int
    heading: str
    field: Field | None
    by: By


@dataclass(frozen=True, slots=True)
class Head:
    """The headings of a file: where they stand, what they mean, what is wrong with them.

    `skipped` are the lines below them that hold the fields' names (as an export with such a row has them).
    """

    line: int
    headings: tuple[str, ...]
    columns: tuple[Column, ...]
    faults: tuple[Fault, ...]
    skipped: frozenset[int] = frozenset()

    @property
    def missing(self) -> frozenset[str]:
        """Headings of columns that nobody can place."""
        return frozenset(fault.column for fault in self.faults if fault.message.id == "tabular.unknown_heading")


def find_head(rows: Iterable[Row], fields: Sequence[Field]) -> tuple[int, tuple[str, ...], frozenset[int]]:
    """(line, headings, lines of names below) of the first rows: the row with most known headings, else the first."""
    first = [(line, [_text(cell) for cell in cells]) for line, cells in islice(rows, LOOKED_AT)]
    if not first:
        return 0, (), frozenset()
    counts = [sum(any(field.is_headed(text) for field in fields) for text in texts) for _, texts in first]
    place = counts.index(max(counts))
    line, texts = first[place]
    names = {heading_key(field.name) for field in fields}
    below = first[place + 1 : place + 2]
    skipped = {number for number, cells in below if _all_names(cells, names) and not _all_names(texts, names)}
    return line, tuple(texts), frozenset(skipped)


def _all_names(cells: Sequence[str], names: set[str]) -> bool:
    filled = [heading_key(cell) for cell in cells if cell]
    return bool(filled) and all(cell in names for cell in filled)


def place_columns(line: int, headings: Sequence[str], fields: Sequence[Field], mapping: Mapping) -> Head:
    """Every column with its field. What cannot be placed, is placed twice, or is lacking, is a fault of the file."""
    by_name = {field.name: field for field in fields}
    columns: list[Column] = []
    faults = [_several(line, text) for text, count in Counter(map(heading_key, headings)).items() if text and count > 1]
    for place, heading in enumerate(headings):
        target, name = mapping.field_of(heading)
        if target and name is not None and name not in by_name:
            faults.append(Fault(line, heading, name, Message("tabular.no_such_field", field=name)))
        elif target:
            columns.append(Column(place, heading, by_name[name] if name is not None else None, By.MAPPING))
        elif heading_key(heading):
            found = [field for field in fields if field.is_headed(heading)]
            if len(found) == 1:
                columns.append(Column(place, heading, found[0], By.HEADING))
            else:
                faults.append(_not_placed(line, heading, found))
    faults += _unknown_said(line, headings, mapping)
    faults += _twice(line, columns)
    placed = {column.field.name for column in columns if column.field is not None}
    for field in fields:
        if field.required and field.name not in placed:
            names = sorted({field.name, *field.labels.values()})
            faults.append(Fault(line, "", "", Message("tabular.column_missing", field=field.name, headings=names)))
    return Head(line, tuple(headings), tuple(columns), tuple(faults))


def _not_placed(line: int, heading: str, found: Sequence[Field]) -> Fault:
    names = [field.name for field in found]
    if found:
        message = Message("tabular.heading_of_several", fields=names)
        return Fault(line, heading, heading, message, tuple(names))
    return Fault(line, heading, heading, Message("tabular.unknown_heading"))


def _several(line: int, key: str) -> Fault:
    return Fault(line, key, key, Message("tabular.heading_twice"))


def _unknown_said(line: int, headings: Sequence[str], mapping: Mapping) -> list[Fault]:
    keys = set(map(heading_key, headings))
    return [
        Fault(line, heading, "", Message("tabular.no_such_heading"))
        for heading in mapping.columns
        if heading_key(heading) not in keys
    ]


def _twice(line: int, columns: Sequence[Column]) -> list[Fault]:
    counted = Counter(column.field.name for column in columns if column.field is not None)
    return [
        Fault(line, column.heading, "", Message("tabular.field_twice", field=column.field.name))
        for column in columns
        if column.field is not None and counted[column.field.name] > 1
    ]


def _text(cell: object) -> str:
    return "" if cell is None else shown(cell)
