"""The route of imports: recorders read out, bound to goods and judged. curl can do it, and `lotwise import` does."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import text

from core.erp.exposure.judge import Judge
from core.erp.kernel.http import PROBLEMS, Answer, Body, Door
from core.erp.kernel.unit import Unit
from core.ingest.importing import Imported, Order, Series, Value, import_recorder
from core.telemetry.quality import Quality, Reason

router = APIRouter(tags=["imports"], responses=PROBLEMS)

Target = Annotated[str, Field(min_length=1, max_length=200)] | Annotated[int, Field(ge=1, le=2**63 - 1)] | None
MOST = 500_000


class ValueIn(Body):
    """One value. null is a value the recorder has not got; `quality` is good unless said."""

    at: AwareDatetime
    value: Annotated[float, Field(allow_inf_nan=False)] | None
    quality: Annotated[str, Field(pattern="^(good|uncertain|bad)$")] = "good"
    reason: Annotated[str, Field(max_length=64)] = ""


class SeriesIn(Body):
    """What the recorder measured of one quantity. Units are UCUM: Cel, [degF], K, %."""

    quantity: Annotated[str, Field(min_length=1, max_length=64)] = "temperature"
    unit: Annotated[str, Field(min_length=1, max_length=32)] = "Cel"
    values: Annotated[list[ValueIn], Field(min_length=1, max_length=MOST)]


class ImportIn(Body):
    """A recorder's file and what it was with: exactly one of shipment, lot, sublot, zone; an id, or a code.

    A shipment's recorder counts from leaving to arrival. A lot's counts where nobody else measured, or wherever the lot
    was over `start` to `stop` if given. A zone's counts throughout. What lies outside is kept and does not count.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{
                "serial": "130500109088", "shipment": "SH-1",
                "series": [{"quantity": "temperature", "unit": "Cel", "values": [
                    {"at": "2026-03-02T08:00:00Z", "value": 5.1}, {"at": "2026-03-02T08:05:00Z", "value": 5.2}]}],
            }]
        }
    )  # fmt: skip
    serial: Annotated[str, Field(min_length=1, max_length=64, pattern=r"\S", examples=["130500109088"])]
    series: Annotated[list[SeriesIn], Field(min_length=1, max_length=20)]
    shipment: Target = None
    lot: Target = None
    sublot: Target = None
    zone: Target = None
    start: AwareDatetime | None = None
    stop: AwareDatetime | None = None
    dry_run: bool = Field(False, description="say what would come of it and keep nothing")


class SpanOut(BaseModel):
    """Recorder and goods were together then; `stop` is null while they still are."""

    sublot_ids: list[int]
    start: AwareDatetime
    stop: AwareDatetime | None


class ExcursionOut(Answer):
    """An excursion of the goods, as it stands after the import."""

    id: int
    sublot_id: int
    limit_key: str
    started_at: AwareDatetime
    broke_at: AwareDatetime
    ended_at: AwareDatetime | None
    certainty: str
    state: str
    lowest: float | None
    highest: float | None


class HoldOut(Answer):
    """A hold that stands on the goods after the import."""

    id: int
    sublot_id: int
    kind: str
    certainty: str | None
    reason: str
    since_at: AwareDatetime


class ImportOut(BaseModel):
    """What came of it."""

    dry_run: bool
    bound_to: str
    zone: str
    points: list[str]
    together: list[SpanOut]
    landed: int
    duplicates: int
    conflicts: int
    counted: int
    before: int
    after: int
    between: int
    refused: dict[str, int] = Field(description="readings that could not land, by reason")
    refused_details: list[str]
    logger: str | None = Field(description="the required logger's state; null if the shipment does not require it")
    excursions: list[ExcursionOut]
    holds: list[HoldOut]


_QUALITY = {"good": Quality.GOOD, "uncertain": Quality.UNCERTAIN, "bad": Quality.BAD}


def _value(one: ValueIn) -> Value:
    quality = _QUALITY[one.quality]
    reason = one.reason or (Reason.DEVICE if quality is not Quality.GOOD else Reason.NONE)
    return Value(one.at, one.value, quality, "" if quality is Quality.GOOD else reason)


def _order(body: ImportIn) -> Order:
    series = [Series(one.quantity, one.unit, [_value(value) for value in one.values]) for one in body.series]
    return Order(body.serial.strip(), series, body.shipment, body.lot, body.sublot, body.zone, body.start, body.stop)


@router.post("/imports", status_code=201, response_model=ImportOut)
def post_import(body: ImportIn, door: Door, request: Request) -> JSONResponse:
    """Lands a recorder's readings, binds them to the goods it was with, judges, and says what came of it.

    Importing the same file again lands nothing twice. A required logger is read with that, once its shipment has
    arrived.
    """
    live = request.app.state.settings.instance == "live"

    def work(u: Unit) -> ImportOut:
        if not body.dry_run:
            return _said(u, body, import_recorder(u, Judge(), _order(body), live=live))
        trial = u.conn.begin_nested()
        try:
            return _said(u, body, import_recorder(u, Judge(), _order(body), live=live))
        finally:
            trial.rollback()
            u.discard()

    return door.post(work, permit="logger.import", status=200 if body.dry_run else 201)


def _said(u: Unit, body: ImportIn, done: Imported) -> ImportOut:
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
        dry_run=body.dry_run, bound_to=done.bound_to, zone=done.zone.address, points=done.points,
        together=[SpanOut(sublot_ids=list(s.sublot_ids), start=s.start, stop=s.stop) for s in done.spans],
        landed=done.landed, duplicates=done.duplicates, conflicts=done.conflicts, counted=done.counted,
        before=done.before, after=done.after, between=done.between, refused=dict(done.refused),
        refused_details=done.details, logger=done.logger,
        excursions=[ExcursionOut.model_validate(row) for row in excursions],
        holds=[HoldOut.model_validate(row) for row in holds],
    )  # fmt: skip
