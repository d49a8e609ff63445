"""Routes of the ingest: its lag, dead letters and their replay, conflicts, alarms, epochs and closing one."""

from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import func, select, text

from core.erp.catalog.model import Zone
from core.erp.catalog.scopes import ZONES
from core.erp.exposure.judge.judge import Judge
from core.erp.exposure.model import SourceWatermark
from core.erp.kernel.auth import now_utc
from core.erp.kernel.door import needs, routes
from core.erp.kernel.errors import NotFound
from core.erp.kernel.http import (
    Answer,
    Body,
    Cursor,
    Door,
    Duration,
    Limit,
    Page,
    Sentence,
    SignIn,
    Text,
    paginate,
)
from core.erp.kernel.masking import MASKED
from core.erp.kernel.scope import scoped
from core.erp.kernel.signatures import Act, Proof, Signing, begin_signing
from core.erp.kernel.tables import table, values_of
from core.erp.kernel.unit import Actor, Unit
from core.erp.kernel.words import Message
from core.ingest import imports_api, unknown_points_api
from core.ingest.epochs import close_epoch, epoch_record
from core.ingest.lag import ingest_lag
from core.ingest.model import EpochClosed, GatewayEpoch, IngestAlarm
from core.ingest.records import replay_here
from core.ingest.replaying import Filter
from core.ingest.scopes import ALARMS, DEAD_LETTERS, GATEWAYS, SERIES_POINTS
from core.ingest.shapes import ReplayIn, ReplayOut
from core.ingest.sources import retire_source
from core.series.model import ReadingConflict, ReadingRow, SeriesPoint
from core.series.rows import Kind

router = routes(prefix="/ingest", tags=["ingest"])


class StoppedOut(Answer):
    """A partition that takes nothing until somebody acts, and why."""

    partition: int
    detail: str
    detail_message: Sentence


class LagOut(Answer):
    """How far the ingest is behind. Unshipped counts mean nothing where no series store is behind."""

    unshipped_batches: int
    unshipped_readings: int
    oldest_unshipped: Duration | None
    dead_letters: dict[str, int]
    pending_watermarks: int
    runs_with_holes: int
    stopped: list[StoppedOut]
    alarms: int
    quiet: dict[str, Duration]
    unowned: list[int]


@router.get("/lag")
@needs("ingest.read")
def read_lag(door: Door) -> LagOut:
    """What waits, and for how long: unshipped batches, dead letters, stopped partitions, gateways not heard of. Whoever
    belongs to some sites is told of their own gateways, and not why a partition has stopped.
    """
    gateways = scoped(select(table(GatewayEpoch).c.gateway), GATEWAYS, door.actor)
    seen = door.read(lambda u: set(u.conn.scalars(gateways)))
    found = LagOut.model_validate(ingest_lag(door.engine, now_utc()))
    quiet = {gateway: since for gateway, since in found.quiet.items() if gateway in seen or not door.actor.scoped}
    stopped = [_told(one.in_language(door.actor.language), door.actor) for one in found.stopped]
    return found.model_copy(update={"stopped": stopped, "quiet": quiet})


Told = TypeVar("Told", bound=Answer)


def _told(one: Told, actor: Actor) -> Told:
    """Why a partition has stopped is of many zones, of other sites too."""
    return one.model_copy(update={"detail": MASKED, "detail_message": None}) if actor.scoped else one


@router.post("/dead-letters/replay", status_code=200, response_model=ReplayOut)
@needs("ingest.manage")
def replay_dead_letters(body: ReplayIn, door: Door) -> JSONResponse:
    """Tries dead letters again, such as readings of a point that has been made meanwhile, and judges what lands."""
    only = Filter(body.reason, body.point, body.gateway, body.ids, DEAD_LETTERS)
    return door.post(lambda u: ReplayOut.model_validate(replay_here(u, only)), status=200)


class ValueOut(BaseModel):
    """One of two values at one time."""

    value: bool | int | float | str | None
    unit: str
    quality: int
    reason: str
    batch_id: int | None


class ConflictOut(BaseModel):
    """Two different values of one point at one time: `first` is in the series, the judge took the worse."""

    id: int
    point: str
    at: datetime
    known_at: datetime
    first: ValueOut | None
    second: ValueOut


@router.get("/conflicts")
@needs("ingest.read")
def read_conflicts(
    door: Door,
    point: str | None = None,
    start: AwareDatetime | None = None,
    stop: AwareDatetime | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[ConflictOut]:
    """Second, different values at a time that had one, newest known first. `first` is null once past the hot window."""
    c, r, p = table(ReadingConflict), table(ReadingRow), table(SeriesPoint)
    firsts = [r.c[name].label(f"first_{name}") for name in _VALUE]
    query = (
        select(c, p.c.address, *firsts)
        .join(p, p.c.id == c.c.point_id)
        .outerjoin(r, (r.c.point_id == c.c.point_id) & (r.c.at == c.c.at))
    )
    if point is not None:
        query = query.where(p.c.address == point)
    if start is not None:
        query = query.where(c.c.at >= start)
    if stop is not None:
        query = query.where(c.c.at < stop)

    def work(u: Unit) -> Page[ConflictOut]:
        conflicts = scoped(query, SERIES_POINTS, u.actor)
        rows, following = paginate(u, conflicts, c.c.id, cursor, limit, newest_first=True)
        return Page(items=[_conflict(values_of(row)) for row in rows], next=following)

    return door.read(work)


_VALUE = ("kind", "num", "whole", "txt", "unit", "quality", "reason", "batch_id")


def _conflict(row: Any) -> ConflictOut:
    return ConflictOut(
        id=row["id"],
        point=row["address"],
        at=row["at"],
        known_at=row["known_at"],
        first=_value(row, "first_") if row["first_kind"] is not None else None,
        second=_value(row, ""),
    )


def _value(row: Any, prefix: str) -> ValueOut:
    kind, num, whole, txt, unit, quality, reason, batch_id = (row[prefix + name] for name in _VALUE)
    values = {Kind.NUM: num, Kind.WHOLE: whole, Kind.FLAG: bool(whole), Kind.TEXT: txt, Kind.NONE: None}
    return ValueOut(value=values[Kind(kind)], unit=unit, quality=quality, reason=reason, batch_id=batch_id)


class IngestAlarmOut(Answer):
    """Something a person must look at."""

    id: int
    at: datetime
    kind: str
    partition: int | None
    gateway: str | None
    detail: str
    detail_message: Sentence
    cleared_at: datetime | None


@router.get("/alarms")
@needs("ingest.read")
def read_alarms(
    door: Door,
    standing: Annotated[bool, Query(description="only those not cleared")] = True,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[IngestAlarmOut]:
    """Stopped partitions, and batches that were not what was confirmed under their number; newest first."""
    t = table(IngestAlarm)
    query = select(t).where(t.c.cleared_at.is_(None)) if standing else select(t)

    def work(u: Unit) -> Page[IngestAlarmOut]:
        rows, following = paginate(u, scoped(query, ALARMS, u.actor), t.c.id, cursor, limit, newest_first=True)
        items = [IngestAlarmOut.model_validate(row).in_language(u.language) for row in rows]
        told = [one if one.gateway is not None else _told(one, u.actor) for one in items]
        return Page(items=told, next=following)

    return door.read(work)


class EpochOut(Answer):
    """One start of a gateway. `announced` once its first batch has said what came before."""

    id: int
    gateway: str
    epoch: str
    announced: bool
    previous: str | None
    config: str | None = Field(description="hash of the configuration it was started with")
    sources: list[str] | None = Field(description="the sources that this configuration names")
    first_seen_at: datetime
    closed_at: datetime | None
    reason: str | None
    waiting: int = Field(description="watermarks that wait for lower numbers or for earlier epochs")


@router.get("/epochs")
@needs("ingest.read")
def read_epochs(door: Door, gateway: str | None = None, cursor: Cursor = None, limit: Limit = 100) -> Page[EpochOut]:
    """Every start of every gateway, newest first; what waits there shows where something is missing."""
    e, c = table(GatewayEpoch), table(EpochClosed)
    waiting = text(
        "(SELECT count(*) FROM pending_watermark w WHERE w.gateway = gateway_epoch.gateway "
        "AND w.epoch = gateway_epoch.epoch) AS waiting"
    )
    query = select(e, c.c.closed_at, c.c.reason, waiting).outerjoin(
        c, (c.c.gateway == e.c.gateway) & (c.c.epoch == e.c.epoch)
    )
    if gateway is not None:
        query = query.where(e.c.gateway == gateway)

    def work(u: Unit) -> Page[EpochOut]:
        rows, following = paginate(u, scoped(query, GATEWAYS, u.actor), e.c.id, cursor, limit, newest_first=True)
        return Page(items=[EpochOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


class CloseIn(SignIn):
    """A signature that an epoch's spool is lost."""

    reason: Text = Field(examples=["disk of gateway gw-1 replaced after a fire"])


class ClosedOut(BaseModel):
    """What was signed: how far the epoch was confirmed, and which numbers are known to be missing, per partition."""

    gateway: str
    epoch: str
    through: dict[str, int]
    missing: dict[str, list[int]]
    signature_id: int


@router.post("/epochs/{gateway}/{epoch}/close", status_code=201, response_model=ClosedOut)
@needs("epoch.close")
async def close(gateway: str, epoch: str, body: CloseIn, door: Door) -> JSONResponse:
    """Closes an epoch whose spool is lost: what is missing becomes gaps on record, and later watermarks count again."""
    name, reason = f"{gateway}:{epoch}", body.reason
    act = Act(Message("meaning.epoch_closed"), "epoch", (name,), reason)

    def work(u: Unit, proof: Proof) -> ClosedOut:
        e = table(GatewayEpoch).c
        if u.conn.execute(scoped(select(e.id).where(e.gateway == gateway), GATEWAYS, u.actor)).first() is None:
            raise NotFound("ingest.no_epoch", gateway=gateway, epoch=epoch)
        signature = begin_signing(u, proof, act).sign(name, epoch_record(u.conn, gateway, epoch))
        done = close_epoch(u, Judge(), gateway, epoch, reason=reason, signature_id=signature.id)
        return ClosedOut(
            gateway=gateway, epoch=epoch, through=done["through"], missing=done["missing"], signature_id=signature.id
        )

    return await door.sign(Signing("epoch.close", act, work), body, lambda _, made: made)


class SourceOut(Answer):
    """How far a source of a gateway has spoken; `retired_at` where nobody waits for it any more."""

    gateway: str
    source: str
    zones: int
    watermark: datetime
    received_at: datetime
    retired_at: datetime | None


@router.get("/sources")
@needs("ingest.read")
def read_sources(door: Door, gateway: str | None = None) -> list[SourceOut]:
    """Every source that ever spoke for a zone. One removed from its gateway's configuration is retired by itself once
    the gateway was started without it; one whose gateway is gone for good holds its zones back: retire it.
    """
    c = table(SourceWatermark).c
    query = (
        select(
            c.gateway,
            c.source,
            func.count().label("zones"),
            func.min(c.upto).label("watermark"),
            func.max(c.received_at).label("received_at"),
            func.max(c.retired_at).label("retired_at"),
        )
        .join(table(Zone), table(Zone).c.id == c.zone_id)
        .group_by(c.gateway, c.source)
        .order_by(c.gateway, c.source)
    )
    if gateway is not None:
        query = query.where(c.gateway == gateway)
    return door.read(lambda u: [SourceOut.model_validate(row) for row in u.conn.execute(scoped(query, ZONES, u.actor))])


class RetireIn(Body):
    """Why nobody need wait for the source any more."""

    reason: Text = Field(examples=["freezer 3 was taken out of service"])


class RetiredOut(BaseModel):
    """The zones that no longer wait for it."""

    gateway: str
    source: str
    zones: list[str]


@router.post("/sources/{gateway}/{source}/retire", status_code=201, response_model=RetiredOut)
@needs("ingest.manage")
def retire(gateway: str, source: str, body: RetireIn, door: Door) -> JSONResponse:
    """Retires a source of a gateway that will not be started again: its zones wait for it no more."""
    return door.post(
        lambda u: RetiredOut(
            gateway=gateway, source=source, zones=retire_source(u, Judge(), gateway, source, reason=body.reason)
        ),
    )


for _other in (imports_api.router, unknown_points_api.router):
    router.routes.extend(_other.routes)
