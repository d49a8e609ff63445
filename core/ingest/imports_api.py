"""The routes of imports: recorders read out, bound to goods and judged. curl can do it, and `lotwise import` does."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text

from core.erp.exposure.judge import Judge
from core.erp.kernel.auth import now_utc
from core.erp.kernel.http import PROBLEMS, Door, DoorKeeper
from core.erp.kernel.unit import Unit
from core.ingest.import_shapes import (
    ExcursionOut,
    FileImportOut,
    HoldOut,
    ImportIn,
    ImportOut,
    SpanOut,
    ValueIn,
)
from core.ingest.importing import Imported, Order, Series, Value, import_recorder
from core.ingest.uploads import FORM, Uploaded
from core.telemetry.quality import Quality, Reason

router = APIRouter(tags=["imports"], responses=PROBLEMS)


_QUALITY = {"good": Quality.GOOD, "uncertain": Quality.UNCERTAIN, "bad": Quality.BAD}


def _value(one: ValueIn) -> Value:
    quality = _QUALITY[one.quality]
    reason = one.reason or (Reason.DEVICE if quality is not Quality.GOOD else Reason.NONE)
    return Value(one.at, one.value, quality, "" if quality is Quality.GOOD else reason)


def _order(body: ImportIn) -> Order:
    series = [Series(one.quantity, one.unit, [_value(value) for value in one.values]) for one in body.series]
    source = {"file": body.source} if body.source else {}
    return Order(
        body.serial.strip(), series, body.shipment, body.lot, body.sublot, body.zone, body.start, body.stop, source
    )


@router.post("/imports", status_code=201, response_model=ImportOut)
def post_import(body: ImportIn, door: Door, request: Request) -> JSONResponse:
    """Lands a recorder's readings, binds them to the goods it was with, judges, and says what came of it.

    Importing the same file again lands nothing twice. A required logger is read with that, once its shipment has
    arrived.
    """
    live = request.app.state.settings.instance == "live"
    order = _order(body)
    return _post(door, body.dry_run, lambda u: _said(u, body.dry_run, import_recorder(u, Judge(), order, live=live)))


@router.post(
    "/imports/files", status_code=201, response_model=FileImportOut,
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": FORM}}},
)  # fmt: skip
def post_file(upload: Uploaded, door: Door, request: Request) -> JSONResponse:
    """As `/imports`, with the device's own file: a Fridge-tag or Q-tag text report, or a table (CSV), plain or gzip.

    `curl -H "Authorization: Bearer …" -F file=@130500109088.txt -F shipment=SH-1 …/api/v1/imports/files`
    """
    live = request.app.state.settings.instance == "live"
    found = upload.read(now_utc())
    order = upload.order(found)

    def work(u: Unit) -> FileImportOut:
        done = _said(u, upload.fields.dry_run, import_recorder(u, Judge(), order, live=live))
        return FileImportOut(**done.model_dump(), file=upload.told(found))

    return _post(door, upload.fields.dry_run, work)


def _post(door: DoorKeeper, dry_run: bool, work: Callable[[Unit], ImportOut]) -> JSONResponse:
    """Answers what the work returns, and keeps nothing of a dry run."""

    def tried(u: Unit) -> ImportOut:
        trial = u.conn.begin_nested()
        try:
            return work(u)
        finally:
            trial.rollback()
            u.discard()

    return door.post(tried if dry_run else work, permit="logger.import", status=200 if dry_run else 201)


def _said(u: Unit, dry_run: bool, done: Imported) -> ImportOut:
    u.session.flush()
    goods: dict[str, Any] = {"ids": done.sublots}
    excursions = u.conn.execute(
        text("SELECT * FROM excursion WHERE sublot_id = ANY(:ids) AND state <> 'superseded' ORDER BY broke_at, id"),
        goods,
    )
    holds = u.conn.execute(
        text("SELECT * FROM hold WHERE sublot_id = ANY(:ids) AND lifted_at IS NULL ORDER BY since_at, id"), goods
    )
    return ImportOut(
        dry_run=dry_run, bound_to=done.bound_to, zone=done.zone.address, points=done.points,
        together=[SpanOut(sublot_ids=list(s.sublot_ids), start=s.start, stop=s.stop) for s in done.spans],
        landed=done.landed, duplicates=done.duplicates, conflicts=done.conflicts, counted=done.counted,
        before=done.before, after=done.after, between=done.between, refused=dict(done.refused),
        refused_details=done.details, logger=done.logger,
        excursions=[ExcursionOut.model_validate(row) for row in excursions],
        holds=[HoldOut.model_validate(row) for row in holds],
    )  # fmt: skip
