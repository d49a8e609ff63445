"""Routes of custody: where goods were, when, and when we learned it."""

from typing import Annotated, Literal

from fastapi import Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, Field

from core.erp.custody import service
from core.erp.custody.shapes import FactOut
from core.erp.kernel.auth import now_utc
from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import (
    Answer,
    Body,
    Door,
    Id,
    Moment,
    Ref,
    not_future,
)
from core.erp.kernel.named import hidden
from core.erp.kernel.unit import Unit

router = routes(tags=["custody"])


class LocationIn(Body):
    """From `at` (now, if left out) on the sublot was in the zone; null: not with us."""

    zone_id: Ref | None
    at: Moment | None = None
    reason: Annotated[str, Field(max_length=2000)] = ""


class TransferIn(Body):
    """Brings a sublot into another zone."""

    zone_id: Ref
    purpose: Literal["quarantine_transfer", "rescue"] | None = None
    reason: Annotated[str, Field(max_length=2000)] = ""


class IntervalOut(Answer):
    """A sublot was in a zone (null: not with us) from-until."""

    sublot_id: int
    zone_id: int | None
    from_at: AwareDatetime
    to_at: AwareDatetime | None


@router.post("/sublots/{sublot_id}/custody", status_code=201, response_model=FactOut)
@needs("custody.post")
def record_location(sublot_id: Id, body: LocationIn, door: Door) -> JSONResponse:
    """A fact, never refused; it may be learned late, and what the goods went through is judged again."""
    return door.post(
        lambda u: FactOut.model_validate(
            service.record_location(u, sublot_id, body.zone_id, not_future(body.at, u), body.reason)
        ).in_language(u.language)
    )


@router.post("/sublots/{sublot_id}/transfer", status_code=201, response_model=FactOut)
@needs("stock.move", "rescue")
def transfer(sublot_id: Id, body: TransferIn, door: Door) -> JSONResponse:
    """An intention: held stock goes only where it is accepted, or by rescue into a zone within its profile."""

    def work(u: Unit) -> FactOut:
        if body.purpose != "rescue":
            u.need("stock.move")
        fact = service.transfer(u, sublot_id, body.zone_id, purpose=body.purpose, reason=body.reason)
        return FactOut.model_validate(fact).in_language(u.language)

    return door.post(work)


@router.get("/sublots/{sublot_id}/custody-intervals")
@needs("custody.read")
def sublot_intervals(sublot_id: Id, door: Door, known_at: Moment | None = None) -> list[IntervalOut]:
    """Where the sublot was, from-until; as known now or at `known_at`."""

    def work(u: Unit) -> list[IntervalOut]:
        spans = service.intervals(u, [sublot_id], known_at=known_at)[sublot_id]
        return [IntervalOut(sublot_id=sublot_id, zone_id=z, from_at=a, to_at=b) for z, a, b in spans]

    return door.read(work)


@router.get("/zones/{zone_id}/custody-intervals")
@needs("custody.read")
def zone_intervals(
    zone_id: Id,
    door: Door,
    start: Annotated[Moment | None, Query(description="now, if left out")] = None,
    stop: Moment | None = None,
) -> list[IntervalOut]:
    """Which sublots stood in the zone during a time, of those that the reader sees."""
    since = start or now_utc()

    def work(u: Unit) -> list[IntervalOut]:
        spans = service.intervals_in_zone(u.conn, zone_id, since, stop)
        foreign = hidden(u.conn, u.actor, "sublot", {sublot_id for sublot_id, _, _ in spans})
        return [
            IntervalOut(sublot_id=sublot_id, zone_id=zone_id, from_at=a, to_at=b)
            for sublot_id, a, b in spans
            if sublot_id not in foreign
        ]

    return door.read(work)
