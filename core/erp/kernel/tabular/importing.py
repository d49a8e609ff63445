"""An import: a file's lines become records in one transaction, all of them or the good ones, or it is only tried.

A trial does what a real run does and undoes it, so it says exactly what a real run would.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import msgspec

from core.erp.kernel.rehearsal import rehearsed
from core.erp.kernel.tabular import runs
from core.erp.kernel.tabular.faults import HIDDEN_CELL, BadCell, Fault, shown
from core.erp.kernel.tabular.headings import Column, Head, find_head, place_columns
from core.erp.kernel.tabular.importable import Importable, Line, LineFault
from core.erp.kernel.tabular.making import make
from core.erp.kernel.tabular.mapping import Mapping
from core.erp.kernel.tabular.reading import Table
from core.erp.kernel.tabular.report import Mode, NothingImported, Report
from core.erp.kernel.tabular.settling import settle
from core.erp.kernel.tabular.sheets import Cell, Odd
from core.erp.kernel.tabular.values import value_of
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message

AT_ONCE = 500
"""Lines that an entity is shown at once before they are made."""


def _nobody(_: int) -> None:
    """Whoever waits is not told how far it is."""


def import_table(
    u: Unit,
    importable: Importable,
    source: Table,
    mapping: Mapping,
    *,
    mode: Mode,
    dry_run: bool,
    so_far: Callable[[int], None] = _nobody,
) -> Report:
    """Imports the table, or tries to. The caller has asked for the permit; `so_far` is told how many lines were read.

    Raises Conflict where the same file was imported with the same mapping, and stands. A trial tells of faults in its
    report; a real run raises NothingImported with it, so that its transaction ends.
    """
    if dry_run:
        tried = rehearsed(u, lambda u: _import(u, importable, source, mapping, mode, so_far, dry_run=True))
        return replace(tried, run_id=None)
    report = _import(u, importable, source, mapping, mode, so_far, dry_run=False)
    if report.refused:
        raise NothingImported(report)
    return report


def _import(
    u: Unit,
    importable: Importable,
    source: Table,
    mapping: Mapping,
    mode: Mode,
    so_far: Callable[[int], None],
    *,
    dry_run: bool,
) -> Report:
    report = _opened(u, importable, source, mapping, mode, dry_run=dry_run)
    if report.faults.count:
        report.refused = True
        return report
    runs.once(u, importable.entity, source.found.sha256, report.mapping)
    _make_all(u, importable, report, so_far)
    report.refused = not report.made or (mode is Mode.ALL and report.faults.count > 0)
    if not report.refused:
        report.run_id = runs.record(u, importable.entity, report)
        if mapping != Mapping():
            before = report.remembered.mapping if report.remembered is not None else Mapping()
            runs.remember(u, importable.entity, report.head.headings, mapping.over(before))
    return report


def _opened(u: Unit, importable: Importable, source: Table, mapping: Mapping, mode: Mode, *, dry_run: bool) -> Report:
    """What the columns are and how values are written; what is wrong with the file as a whole is a fault."""
    line, headings, skipped = find_head(source.rows(), importable.fields)
    before = runs.remembered(u, importable.entity, headings)
    effective = mapping.over(before.mapping) if before is not None else mapping
    head = replace(place_columns(line, headings, importable.fields, effective), skipped=skipped)
    settled = settle(source.rows(), head, effective, source.found.form)
    report = Report(source, mode, dry_run, head, _effective(head, effective), settled, before)
    merged = [
        Fault(first, "", name, Message("tabular.merged_cells", cells=name))
        for first, last, name in source.found.merged
        if last >= head.line
    ]
    for fault in (*head.faults, *settled.faults, *merged):
        report.faults.add(fault)
    if not head.line or source.found.rows <= 1 + len(skipped):
        report.faults.add(Fault(head.line, "", "", Message("tabular.no_lines")))
    return report


def _effective(head: Head, mapping: Mapping) -> Mapping:
    """The mapping with every column in it, whoever placed it."""
    columns = {column.heading: column.field.name if column.field else None for column in head.columns}
    return msgspec.structs.replace(mapping, columns=columns)


# --- the lines


def _make_all(u: Unit, importable: Importable, report: Report, so_far: Callable[[int], None]) -> None:
    headings = {column.field.name: column.heading for column in report.head.columns if column.field is not None}

    def told(fault: LineFault) -> None:
        report.faults.add(Fault(fault.line, headings.get(fault.field, fault.field), "", fault.message))

    lines = _without_doubles(_typed(report), importable, report)
    while some := list(islice(lines, AT_ONCE)):
        refused = set()
        for fault in importable.prepare(u, some):
            refused.add(fault.line)
            told(fault)
        report.made += make(u, importable, [line for line in some if line.number not in refused], told)
        so_far(report.lines)


def _typed(report: Report) -> Iterator[Line]:
    """Every line whose cells are all values of their fields; of the others each bad cell is a fault."""
    head = report.head
    columns = [column for column in head.columns if column.field is not None]
    placed = {column.place for column in head.columns}
    secret = any(column.field.secret for column in columns if column.field)  # it may be one that slipped aside
    for number, cells in report.table.rows():
        if number <= head.line or number in head.skipped:
            continue
        report.lines += 1
        before = report.faults.count
        values = {column.field.name: _value(report, number, cells, column) for column in columns if column.field}
        for place, cell in enumerate(cells):
            if place not in placed and cell not in (None, ""):
                value = HIDDEN_CELL if secret else _shown(cell)
                report.faults.add(Fault(number, "", value, Message("tabular.cell_without_heading")))
        if report.faults.count == before:
            yield Line(number, values)


def _value(report: Report, number: int, cells: list[Cell], column: Column) -> object:
    assert column.field is not None
    cell = cells[column.place] if column.place < len(cells) else None
    try:
        return value_of(cell, column.field, column.place, report.settled.forms)
    except BadCell as error:
        value = HIDDEN_CELL if column.field.secret else _shown(cell)
        report.faults.add(Fault(number, column.heading, value, error.message))
        return None


def _shown(cell: Cell) -> str:
    if isinstance(cell, Odd):
        return shown(cell.text)
    if isinstance(cell, float):
        return f"{cell:.15g}"
    return "" if cell is None else shown(getattr(cell, "iso", cell))


def _without_doubles(lines: Iterator[Line], importable: Importable, report: Report) -> Iterator[Line]:
    """Lines with a key that no line before has; each of the others is a fault that names the first."""
    first: dict[tuple[object, ...], int] = {}
    for line in lines:
        key = tuple(line.values.get(name) for name in importable.key)
        if not key or any(part is None for part in key):
            yield line
        elif key in first:
            fields = list(importable.key)
            message = Message("tabular.line_twice", first=first[key], fields=fields)
            report.faults.add(Fault(line.number, "", ", ".join(map(str, key)), message))
        else:
            first[key] = line.number
            yield line
