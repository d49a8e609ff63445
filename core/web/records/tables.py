"""A list as a file, and the page on which records are made of one: tried first, each column said, then imported."""

import asyncio
from collections.abc import Mapping as Given
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import IO, Any, Literal, get_args

import msgspec
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.door import MIB, needs
from core.erp.kernel.errors import Invalid, LotwiseError
from core.erp.kernel.problems import error_body
from core.erp.kernel.record_routes import listed_json
from core.erp.kernel.record_tables import exported, template
from core.erp.kernel.records import read
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.tabular import record_columns
from core.erp.kernel.tabular.export import Export
from core.erp.kernel.tabular.fields import Field
from core.erp.kernel.tabular.headings import find_head
from core.erp.kernel.tabular.importable import Importable
from core.erp.kernel.tabular.importing import import_table
from core.erp.kernel.tabular.mapping import Mapping
from core.erp.kernel.tabular.reading import Table, read_table
from core.erp.kernel.tabular.record_import import importable_of
from core.erp.kernel.tabular.report import Mode
from core.erp.kernel.tabular.shapes import ReportOut, report_out
from core.erp.kernel.tabular.sheets import MOST_BYTES, Odd
from core.erp.kernel.unit import Unit
from core.web.frame.visit import KEY, Visit, Visiting
from core.web.records.lists import Listing
from core.web.records.progress import PROGRESS, SoFar, copied, told_so_far

SAMPLES, LETTERS, FAULTS = 3, 40, 100
"""Lines shown of each column, letters of each cell, and faults told on the page: the run's own page has a thousand."""
LEFT_OUT = "-"
HOW: Given[str, tuple[str, ...]] = {
    "decimal": (".", ","),
    "date_order": ("ymd", "dmy", "mdy"),
    "encoding": ("utf-8", "utf-16", "gbk", "windows-1252"),
    "delimiter": (",", ";", "\t", "|"),
}
"""What may be said of how a file writes its values, where it does not prove that itself."""
SAID = (*HOW, "timezone", "sheet")
LABELS = {
    "decimal": "web.import_decimal",
    "date_order": "web.import_date_order",
    "encoding": "web.import_encoding",
    "delimiter": "web.import_delimiter",
    "timezone": "web.import_timezone",
    "sheet": "web.import_sheet",
}
Kind = Literal["csv", "xlsx"]


@dataclass(frozen=True, slots=True)
class Placed:
    """One column of the file on the form: which field it is taken for, and what stands in it."""

    heading: str
    field: str
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """What a file would make, or has not made, and why."""

    report: ReportOut
    placed: Sequence[Placed]
    faults_shown: int = FAULTS


def add(made: APIRouter, entity: Entity) -> None:
    """Where the list is a file; and where the entity's records come of tables, their page and template."""
    for kind in get_args(Kind):
        endpoint = needs(*as_permits(entity.read))(_export(entity, kind))
        made.add_api_route(f"/{entity.path}.{kind}", endpoint, methods=["GET"])
    made.add_api_route(f"/{entity.path}.json", needs(*as_permits(entity.read))(_as_json(entity)), methods=["GET"])
    importable = importable_of(entity)
    if importable is None or entity.create is None:
        return
    permits, here = as_permits(entity.create.permit), f"/{entity.path}/import"
    made.add_api_route(f"{here}/template", needs(*permits)(_template(entity, importable)), methods=["GET"])

    @needs(*permits)
    def show(visit: Visiting) -> Response:
        return _page(visit, entity, importable)

    @needs(*permits, max_body=MOST_BYTES + MIB)
    async def take(visit: Visiting) -> Response:
        return await _take(visit, entity, importable)

    made.add_api_route(here, show, methods=["GET"])
    made.add_api_route(here, take, methods=["POST"])


# --- out


def _export(entity: Entity, kind: Kind) -> Any:
    async def endpoint(visit: Visiting) -> Response:
        asked = await run_in_threadpool(visit.read, lambda u: _asked(u, entity, visit))
        export = Export(record_columns.exported(entity), language=visit.language, zone=visit.zone)
        return await exported(visit.request, visit.door, entity, asked, export, kind)

    return endpoint


def _as_json(entity: Entity) -> Any:
    """A page of the list as `GET /api/v1/things` answers it; what is refused as the API tells it."""

    def endpoint(visit: Visiting) -> Response:
        def work(u: Unit) -> read.Listed:
            return read.page(u, entity, _asked(u, entity, visit))

        try:
            return listed_json(entity, visit.read(work), visit.language)
        except LotwiseError as error:
            return JSONResponse(error_body(error, visit.language), error.status, media_type="application/problem+json")

    return endpoint


def _asked(u: Unit, entity: Entity, visit: Visit) -> read.Asked:
    """What the list's address asks. Raises Invalid for a filter that cannot be: it is not left out, or the file would
    hold what nobody asked for.
    """
    listing = Listing(entity, visit)
    asked = listing.asked(u)
    if listing.errors:
        raise Invalid("web.bad_address")
    return asked


def _template(entity: Entity, importable: Importable) -> Any:
    async def endpoint(visit: Visiting) -> Response:
        kind: Kind = "xlsx" if visit.request.query_params.get("format") == "xlsx" else "csv"
        return await template(entity, Export(importable.fields, language=visit.language), kind)

    return endpoint


# --- in


async def _take(visit: Visit, entity: Entity, importable: Importable) -> Response:
    sent = visit.files.get("file")
    if visit.resumed or sent is None or not sent.filename:
        refused = "" if visit.resumed else visit.words.t("web.choose_file")
        return _page(visit, entity, importable, 200 if visit.resumed else 422, refused=refused)
    name = sent.filename

    async def answered(file: IO[bytes], so_far: SoFar) -> Response:
        limiter = visit.request.app.state.upload_limiter
        try:
            async with limiter.slot(visit.actor.login, asyncio.Lock()):
                return await _read(visit, entity, importable, name, file, so_far)
        except LotwiseError as error:
            return _page(visit, entity, importable, error.status, refused=error.text(visit.language))

    if PROGRESS not in visit.request.headers:
        return await answered(sent.file, lambda *_: None)
    file = await asyncio.to_thread(copied, sent.file)  # the form's own is closed before the answer has streamed
    return told_so_far(file, answered)


async def _read(
    visit: Visit, entity: Entity, importable: Importable, name: str, file: IO[bytes], so_far: SoFar
) -> Response:
    """Tries the file, or imports it. Raises what reading and importing raise."""
    said, mode = _said(visit), Mode(visit.given("mode")) if visit.given("mode") in set(Mode) else Mode.ALL
    async with read_table(name, file, said, importable.known) as table:
        mapping = await run_in_threadpool(_mapping, visit, table, importable.fields, said)

        def work(u: Unit, *, dry_run: bool = False) -> ReportOut:
            report = import_table(
                u,
                importable,
                table,
                mapping,
                mode=mode,
                dry_run=dry_run,
                so_far=lambda lines: so_far(lines, table.found.rows - 1),
            )
            return report_out(report, importable, visit.language)

        refused = ""
        if visit.given("act") == "import":
            content = f"{table.found.sha256} {visit.given(KEY)}".encode()
            keyed = replace(visit, door=visit.door.for_content(content))
            outcome = await keyed.post(work)
            if not outcome.refused:
                return RedirectResponse(f"/import-runs/{outcome.body['run_id']}", 303)
            refused = outcome.detail
        # a trial writes, and undoes it: it has a transaction
        report = await run_in_threadpool(visit.door.look, lambda u: work(u, dry_run=True))
        placed = await run_in_threadpool(_placed, table, importable, report)
        return _page(visit, entity, importable, 422 if refused else 200, refused=refused, tried=Tried(report, placed))


def _said(visit: Visit) -> Mapping:
    """What the form says of how the file is written."""
    given = {name: visit.given(name) for name in SAID}
    known = {name: value for name, value in given.items() if value and (name not in HOW or value in HOW[name])}
    return msgspec.convert(known, Mapping)


def _mapping(visit: Visit, table: Table, fields: Sequence[Field], said: Mapping) -> Mapping:
    """The same with what the form says of the columns that this file has: it may be another file than was tried."""
    _, headings, _ = find_head(table.rows(), fields)
    pairs = zip(visit.form.get("heading", []), visit.form.get("field", []), strict=False)
    there = {heading: None if field == LEFT_OUT else field for heading, field in pairs if field and heading in headings}
    return msgspec.structs.replace(said, columns=there)


def _placed(table: Table, importable: Importable, report: ReportOut) -> list[Placed]:
    """Every column of the file, with the first of what stands in it."""
    line, headings, skipped = find_head(table.rows(), importable.fields)
    below = (cells for number, cells in table.rows() if number > line and number not in skipped)
    first = list(islice(below, SAMPLES))
    known = {one.heading: one.field or LEFT_OUT for one in report.columns}
    return [
        Placed(heading, known.get(heading, ""), tuple(_shown(cells[place]) for cells in first if place < len(cells)))
        for place, heading in enumerate(headings)
        if heading
    ]


def _shown(cell: Any) -> str:
    text = cell.text if isinstance(cell, Odd) else "" if cell is None else str(getattr(cell, "iso", cell))
    bare = " ".join(text.split())
    return bare if len(bare) <= LETTERS else f"{bare[:LETTERS]}…"


def _page(
    visit: Visit,
    entity: Entity,
    importable: Importable,
    status: int = 200,
    *,
    refused: str = "",
    tried: Tried | None = None,
) -> Response:
    return visit.page(
        "records/import.html",
        status,
        entity=entity,
        fields=[(one.name, one.label(visit.language), one.required) for one in importable.fields],
        given={name: visit.given(name) for name in (*SAID, "mode")},
        how=HOW,
        labels=LABELS,
        refused=refused,
        tried=tried,
        undone_by=entity.create.undo if entity.create is not None else None,
    )
