"""The routes of imports: loggers read out, bound to goods and judged. curl can do it, and `lotwise import` does."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from core.erp.exposure.judge.judge import Judge
from core.erp.kernel import refused_imports
from core.erp.kernel.auth import now_utc
from core.erp.kernel.door import MIB, needs, routes
from core.erp.kernel.http import Door, DoorKeeper
from core.erp.kernel.rehearsal import rehearsed
from core.erp.kernel.unit import Unit
from core.ingest.file_import import answer, import_file
from core.ingest.import_bodies import AT_ONCE, BODY, AllValues, MisfitBody, read_body
from core.ingest.import_shapes import FileImportOut, ImportIn, ImportOut
from core.ingest.importing import ImportRequest, Series, import_logger
from core.ingest.uploads import FORM, form_of, read_upload

router = routes(tags=["imports"])


def _order(body: ImportIn, read: AllValues) -> ImportRequest:
    series = [Series(head.quantity, head.unit, values, head.simulated) for head, values in read]
    source = {"file": body.source} if body.source else {}
    return ImportRequest(
        body.serial.strip(), series, body.shipment, body.lot, body.sublot, body.zone, body.start, body.stop, source
    )


@router.post(
    "/imports",
    status_code=201,
    response_model=ImportOut,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": BODY}}}},
)
@needs("logger.import", max_body=65 * MIB)
async def post_import(request: Request, door: Door) -> JSONResponse:
    """Lands a logger's readings, binds them to the goods it was with, judges, and says what came of it.

    Importing the same file again lands nothing twice. A required logger is read with that, once its shipment has
    arrived.
    """
    state = request.app.state
    data = await request.body()
    try:
        async with AsyncExitStack() as stack:
            if len(data) > AT_ONCE:
                await stack.enter_async_context(state.upload_limiter.slot(door.actor.login, asyncio.Lock()))
            body, read = await read_body(data)
    except MisfitBody as misfit:
        faults = [{"type": kind, "loc": ("body", *where), "msg": what} for kind, where, what in misfit.faults]
        raise RequestValidationError(faults) from misfit
    order, live = _order(body, read), state.settings.instance == "live"

    def work(u: Unit) -> ImportOut:
        return answer(u, import_logger(u, Judge(), order, live=live), dry_run=body.dry_run)

    return await _post(door, work, body.source or body.serial, dry_run=body.dry_run)


@router.post(
    "/imports/files",
    status_code=201,
    response_model=FileImportOut,
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": FORM}}},
)
@needs("logger.import", max_body=65 * MIB)
async def post_file(request: Request, door: Door) -> JSONResponse:
    """As `/imports`, with the device's own file: a Fridge-tag or Q-tag text report, or a table (CSV), plain or gzip.

    It is streamed to disk and read by a process of its own with bounds of time and memory.
    `curl -H "Authorization: Bearer …" -F file=@130500109088.txt -F shipment=SH-1 …/api/v1/imports/files`
    """
    state = request.app.state
    async with state.upload_limiter.slot(door.actor.login, asyncio.Lock()), form_of(request) as form:
        door = door.for_content(await asyncio.to_thread(form.digest))
        async with refused_imports.told(door, form.name, dry_run=form.fields.dry_run):
            upload = await read_upload(form.name, form.file, form.fields, now_utc())
    work = partial(import_file, upload=upload, live=state.settings.instance == "live")
    return await _post(door, work, form.name, dry_run=upload.fields.dry_run)


async def _post(door: DoorKeeper, work: Callable[[Unit], ImportOut], file: str, *, dry_run: bool) -> JSONResponse:
    """Answers what the work returns, and keeps nothing of a dry run."""
    tried = partial(rehearsed, work=work)
    made = 200 if dry_run else 201
    return await refused_imports.post_import(door, tried if dry_run else work, file, status=made, dry_run=dry_run)
