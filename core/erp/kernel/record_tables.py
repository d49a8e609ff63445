"""The routes by which records of an entity go out as a table and come in: `/things/export`, `/things/import`.

An export shows what the list shows to who asks: the same permit, scope, filters, search and sort. An import makes
records as `POST /things` does, line by line, under the same permit.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from core.erp.kernel.attachments.record_attachments import disposition
from core.erp.kernel.concurrency import ConcurrencyLimiter
from core.erp.kernel.door import MIB, needs, routes
from core.erp.kernel.errors import Invalid
from core.erp.kernel.http import Door, DoorKeeper
from core.erp.kernel.record_parameters import as_endpoint, asked_of, asked_parameters
from core.erp.kernel.records import read
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.refused_imports import post_import
from core.erp.kernel.table_form import TABLE_FORM, table_form
from core.erp.kernel.tabular import record_columns
from core.erp.kernel.tabular.cursor import streamed
from core.erp.kernel.tabular.export import Export, csv_parts
from core.erp.kernel.tabular.importable import Importable
from core.erp.kernel.tabular.importing import import_table
from core.erp.kernel.tabular.reading import read_table
from core.erp.kernel.tabular.record_import import importable_of
from core.erp.kernel.tabular.shapes import ReportOut, TableIn, report_out
from core.erp.kernel.tabular.sheets import MOST_BYTES
from core.erp.kernel.tabular.spool import Spool, begun, spooled
from core.erp.kernel.tabular.workbook_writer import write_workbook
from core.erp.kernel.time_zones import zone_named
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import LANGUAGES

CSV, XLSX = "text/csv; charset=utf-8", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Form = Literal["csv", "xlsx"]
_TABLE = {
    "description": "The table",
    "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("text/csv", XLSX)},
}
_DELIMITERS: dict[str, Literal[",", ";", "\t"]] = {"comma": ",", "semicolon": ";", "tab": "\t"}
_HOW: dict[str, Any] = {
    "format": (Form, "csv"),
    "language": (Annotated[Literal[LANGUAGES] | None, Query(description="by default the reader's")], None),
    "timezone": (Annotated[str, Query(max_length=64, description="of the times", examples=["Asia/Shanghai"])], "UTC"),
    "names": (Annotated[bool, Query(description="a second row with the fields' names")], False),
    "byte_order_mark": (Annotated[bool, Query(description="CSV for spreadsheet programs that need one")], False),
    "delimiter": (Literal["comma", "semicolon", "tab"], "comma"),
    "decimal": (Literal["point", "comma"], "point"),
}
"""Parameters of an export besides those of the list."""


def table_routes(entity: Entity, tag: str) -> APIRouter:
    """Export, and where records are made of a form, import and its template. To be asked before `/things/{id}`."""
    router = routes(prefix=f"/{entity.path}", tags=[tag])
    clash = set(asked_parameters(entity)) & set(_HOW)
    if clash:
        raise ValueError(f"{entity.name}: its filters {clash} are what an export is asked for")
    _add(router, "GET", "/export", needs(*as_permits(entity.read))(_export(entity)))
    importable = importable_of(entity)
    if importable is not None and entity.create is not None:
        permits = as_permits(entity.create.permit)
        _add(router, "GET", "/import-template", needs(*as_permits(entity.read))(_template(entity, importable)))
        imports = needs(*permits, max_body=MOST_BYTES + MIB)(_import(entity, importable))
        _add(router, "POST", "/import", imports, status_code=201, response_model=ReportOut, openapi_extra=TABLE_FORM)
    return router


def _add(router: APIRouter, method: str, path: str, endpoint: Any, **options: Any) -> None:
    answers: dict[str, Any] = {} if options else {"response_class": Response, "responses": {200: _TABLE}}
    router.add_api_route(path, endpoint, methods=[method], **(answers | options))


# --- out


def _export(entity: Entity) -> Any:
    fields = record_columns.exported(entity)

    async def endpoint(request: Request, door: DoorKeeper, **given: Any) -> Response:
        how = {name: given.pop(name) for name in _HOW}
        export = _asked(fields, how, door.actor.language)
        return await exported(request, door, entity, asked_of(given), export, how["format"])

    about = f"Every {entity.words} that the list would show, as a file: streamed, in the reader's language."
    parameters = {"request": Request, "door": Door} | asked_parameters(entity) | _HOW
    return as_endpoint(endpoint, f"export_{entity.name}", about, **parameters)


async def exported(
    request: Request, door: DoorKeeper, entity: Entity, asked: read.Asked, export: Export, form: Form
) -> Response:
    """Every row that the list would show, streamed. Raises Invalid (an unknown sort, too short a search), Busy."""
    statement, values = read.all_rows(door.actor, entity, asked)

    def write(spool: Spool) -> None:
        with streamed(door.engine, statement, values) as found:
            rows = record_columns.as_exported(entity, found, export.language)
            if form == "xlsx":
                write_workbook(export, rows, spool)
            else:
                for part in csv_parts(export, rows):
                    spool.write(part)

    parts = limited(request.app.state.export_limiter, door.actor.login, spooled(write))
    return StreamingResponse(await begun(parts), headers=table_headers(entity.path, form))


async def limited(
    limiter: ConcurrencyLimiter, login: str, parts: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """The parts of an export, once it is its turn. Raises Busy."""
    async with limiter.slot(login, asyncio.Lock()), aclosing(parts) as all_of_them:
        async for part in all_of_them:
            yield part


def _asked(fields: Any, how: dict[str, Any], language: str) -> Export:
    """Raises Invalid for a zone that there is not, and for a comma between the cells and before the fractions."""
    zone = zone_named(how["timezone"])
    delimiter, decimal = _DELIMITERS[how["delimiter"]], "," if how["decimal"] == "comma" else "."
    if delimiter == decimal:
        raise Invalid("tabular.comma_twice")
    return Export(
        fields,
        language=how["language"] or language,
        zone=zone,
        name_row=how["names"],
        byte_order_mark=how["byte_order_mark"],
        delimiter=delimiter,
        decimal=decimal,  # type: ignore[arg-type]  # one of two
    )


def table_headers(name: str, form: Form) -> dict[str, str]:
    """The headers of a table that is sent as a file of that name."""
    return {
        "Content-Type": XLSX if form == "xlsx" else CSV,
        "Content-Disposition": disposition(f"{name}.{form}"),
        "Cache-Control": "private, no-store",
    }


# --- in


def _template(entity: Entity, importable: Importable) -> Any:
    async def endpoint(door: DoorKeeper, **how: Any) -> Response:
        export = _asked(importable.fields, {**how, "timezone": "UTC"}, door.actor.language)
        return await template(entity, export, how["format"])

    about = f"An empty table with the headings of an import of {entity.words}s."
    how = {name: parameter for name, parameter in _HOW.items() if name != "timezone"}
    return as_endpoint(endpoint, f"import_template_{entity.name}", about, door=Door, **how)


async def template(entity: Entity, export: Export, form: Form) -> Response:
    """An empty table with these headings, as a file."""
    headers = table_headers(f"{entity.path}-import", form)
    if form == "xlsx":
        return StreamingResponse(await begun(spooled(partial(write_workbook, export, ()))), headers=headers)
    return Response(b"".join(csv_parts(export, ())), headers=headers)


def _import(entity: Entity, importable: Importable) -> Any:
    async def endpoint(request: Request, door: DoorKeeper) -> JSONResponse:
        async with request.app.state.upload_limiter.slot(door.actor.login, asyncio.Lock()), table_form(request) as form:
            asked: TableIn = form.fields
            async with read_table(form.name, form.file, form.mapping, importable.known) as found:

                def work(u: Unit) -> ReportOut:
                    report = import_table(u, importable, found, form.mapping, mode=asked.mode, dry_run=asked.dry_run)
                    return report_out(report, importable, door.actor.language)

                content = f"{found.found.sha256} {form.name}\n{asked.model_dump_json()}".encode()
                status = 200 if asked.dry_run else 201
                keyed = door.for_content(content)
                return await post_import(keyed, work, form.name, status=status, dry_run=asked.dry_run)

    about = (
        f"Makes a {entity.words} of every line of a CSV file or workbook, or of the good ones; `dry_run` says what it "
        "would do. What the file does not prove is asked for."
    )
    return as_endpoint(endpoint, f"import_{entity.name}", about, request=Request, door=Door)
