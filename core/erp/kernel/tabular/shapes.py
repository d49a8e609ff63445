"""The wire shapes of imports."""

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import AwareDatetime, Field

from core.erp.kernel.shapes import Answer, Body, Who
from core.erp.kernel.tabular.faults import Fault
from core.erp.kernel.tabular.importable import Importable
from core.erp.kernel.tabular.report import Mode, Report
from core.erp.kernel.words import Message, render


class TableIn(Body):
    """The form's fields beside the file."""

    all_texts: ClassVar[bool] = True
    mode: Annotated[Mode, Field(description="`all` lines or nothing, or the `good` ones")] = Mode.ALL
    dry_run: Annotated[bool, Field(description="say what would be done, and do nothing")] = False
    mapping: Annotated[
        str,
        Field(
            max_length=64 * 1024,
            description="JSON: `columns` (heading → field, or null for a column left out), `date_order` (dmy, mdy, "
            "ymd), `decimal` (. or ,), `timezone`, `encoding` (utf-8, utf-16, gbk, windows-1252), `delimiter`, "
            "`sheet`: what the file does not prove",
            examples=['{"columns": {"Artikel": "code", "Farbe": null}, "decimal": ","}'],
        ),
    ] = "{}"


class FaultOut(Answer):
    """What is wrong with a line, or with the file as a whole. `choices` are what could be said to make it good."""

    line: int = Field(description="as the file counts, 1 for the first; 0 where none is to blame")
    column: str = Field(description="the heading")
    value: str = Field(description="what stands there")
    id: str
    params: dict[str, Any]
    detail: str
    choices: list[str]


class NoteOut(Answer):
    """Something that should be known of how the file was read."""

    id: str
    params: dict[str, Any]
    detail: str


class ColumnOut(Answer):
    """A column of the file: which field it is (none: it is left out), and by what that is known."""

    heading: str
    field: str | None
    by: Literal["heading", "mapping"]


class ReportOut(Answer):
    """What an import did or, tried, would do. `refused`: it would import nothing."""

    dry_run: bool
    refused: bool
    run_id: int | None = Field(description="of the import as it is kept")
    mode: Mode
    file: str
    sha256: str
    form: Literal["csv", "xlsx"]
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    heading_line: int
    columns: list[ColumnOut]
    mapping: dict[str, Any] = Field(description="all that was said, remembered or found of the file")
    remembered_from: str | None = Field(description="who said before what these headings mean")
    without_column: list[str] = Field(description="fields that no column gives")
    lines: int = Field(description="below the headings")
    made: int
    bad: int
    faults_in_all: int
    faults: list[FaultOut]
    notes: list[NoteOut]


class RunOut(Answer):
    """An import as it is kept."""

    id: int
    entity: str
    at: AwareDatetime
    by: Who
    file: str
    mode: Mode
    lines: int
    made: int
    bad: int
    mapping: dict[str, Any]
    undone_at: AwareDatetime | None
    undone_by: str | None
    undo_reason: str | None


def report_out(report: Report, importable: Importable, language: str) -> ReportOut:
    """The report in a reader's language."""
    found, faults = report.table.found, report.faults.listed()
    return ReportOut(
        dry_run=report.dry_run,
        refused=report.refused,
        run_id=report.run_id,
        mode=report.mode,
        file=report.table.name,
        sha256=found.sha256,
        form=found.form,
        encoding=found.encoding,
        delimiter=found.delimiter,
        sheet=found.sheet,
        heading_line=report.head.line,
        columns=[
            ColumnOut(heading=one.heading, field=one.field.name if one.field else None, by=one.by.value)
            for one in report.head.columns
        ],
        mapping=msgspec.to_builtins(report.mapping),
        remembered_from=report.remembered.by if report.remembered is not None else None,
        without_column=report.missing(importable),
        lines=report.lines,
        made=len(report.made),
        bad=report.bad,
        faults_in_all=report.faults.count,
        faults=[fault_out(fault, language) for fault in faults],
        notes=[NoteOut(**_said(note, language)) for note in report.settled.notes],
    )


def fault_out(fault: Fault, language: str) -> FaultOut:
    """One fault in a reader's language."""
    text = _said(fault.message, language)
    return FaultOut(line=fault.line, column=fault.column, value=fault.value, choices=list(fault.choices), **text)


def _said(message: Message, language: str) -> dict[str, Any]:
    return {**message.as_json(), "detail": render(message, language)}
