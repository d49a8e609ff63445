"""Routes of exposure: zones as they stand, what a sublot went through, readings for a chart."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime

from core.erp.exposure import service
from core.erp.kernel.door import needs, routes
from core.erp.kernel.errors import Invalid, NotFound
from core.erp.kernel.http import Answer, Door, Duration, Figure, Id
from core.erp.kernel.scope import visible
from core.erp.kernel.unit import Unit
from core.series.restoring import series_of

router = routes(tags=["exposure"])

WIDEST = timedelta(days=400)


class ZoneStatusOut(Answer):
    """How a zone stands now."""

    id: int
    address: str
    name: str
    value: Figure | None
    last_good_at: datetime | None
    judged_to: datetime | None
    watermark: datetime | None
    band_low: float | None
    band_high: float | None
    sublots: int
    held: int


class LimitOut(Answer):
    """Time out of one limit, in seconds."""

    key: str
    proven: Duration
    uncertain: Duration
    worst: Duration
    longest: Duration
    budget: Duration | None


class ExposureOut(Answer):
    """What a sublot went through. Temperatures in °C; `covered` is a share from 0 to 1."""

    sublot_id: int
    version_id: int
    start: datetime
    stop: datetime
    lowest: Figure | None
    highest: Figure | None
    mean: Figure | None
    mkt: Figure | None
    covered: Figure
    limits: list[LimitOut]


class BucketOut(Answer):
    """One pixel of a chart."""

    start: datetime
    lowest: Figure
    highest: Figure
    mean: Figure
    count: int


class ReadingOut(Answer):
    """A raw reading, as it was said."""

    point: str
    at: datetime
    value: bool | int | float | str | None
    unit: str
    quality: int
    reason: str
    source_at: datetime | None
    edge_at: datetime
    simulated: bool


@router.get("/zone-status")
@needs("exposure.read")
def zone_status(door: Door) -> list[ZoneStatusOut]:
    """Every zone: last good value, how far it is judged, who stands in it."""

    def work(u: Unit) -> list[ZoneStatusOut]:
        seen = set(u.conn.scalars(visible()["zone"].keys(u.actor)))
        return [ZoneStatusOut.model_validate(zone) for zone in service.zones(u.conn) if zone.id in seen]

    return door.read(work)


@router.get("/sublots/{sublot_id}/exposure")
@needs("exposure.read")
def sublot_exposure(
    sublot_id: Id, door: Door, start: AwareDatetime | None = None, stop: AwareDatetime | None = None
) -> ExposureOut:
    """What the sublot went through, from all its custody or within [start, stop)."""

    def work(u: Unit) -> ExposureOut:
        found = service.exposure(u.conn, sublot_id, u.now, start, stop)
        if found is None:
            raise NotFound("exposure.nothing_gone_through", sublot_id=sublot_id)
        return ExposureOut.model_validate(found)

    return door.read(work)


@router.get("/readings")
@needs("exposure.read")
def readings(
    door: Door,
    point: Annotated[str, Query(examples=["s1/cold/room-1/probe-1/temperature"])],
    start: AwareDatetime,
    stop: AwareDatetime,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[ReadingOut]:
    """Raw readings of a point over [start, stop), oldest first."""
    _check(start, stop)
    # looks for the point under the reader's scope; no transaction is open while another server is asked
    door.read(lambda _: None)
    return [
        ReadingOut(
            point=found.point,
            at=found.at,
            value=found.value,
            unit=found.unit,
            quality=int(found.quality),
            reason=found.reason,
            source_at=found.source_at,
            edge_at=found.edge_at,
            simulated=found.simulated,
        )
        for found in series_of(door.engine).read(point, start, stop)[:limit]
    ]


@router.get("/readings/chart")
@needs("exposure.read")
def chart(
    door: Door,
    point: str,
    start: AwareDatetime,
    stop: AwareDatetime,
    pixels: Annotated[int, Query(ge=1, le=4000)] = 800,
) -> list[BucketOut]:
    """Least, greatest and mean value for each pixel of a chart over [start, stop)."""
    _check(start, stop)
    # as above: the point under the reader's scope
    door.read(lambda _: None)
    return [
        BucketOut(start=b.start, lowest=b.min, highest=b.max, mean=b.mean, count=b.count)
        for b in series_of(door.engine).downsample(point, start, stop, pixels)
    ]


def _check(start: datetime, stop: datetime) -> None:
    if not start < stop:
        raise Invalid("exposure.start_after_stop")
    if stop - start > WIDEST:
        raise Invalid("exposure.too_wide", days=WIDEST.days)
