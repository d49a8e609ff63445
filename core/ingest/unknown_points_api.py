"""The route that tells which points gateways read that the catalog does not have."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from sqlalchemy import func, select

from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Answer, Door
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.ingest.model import DeadLetter
from core.ingest.scopes import DEAD_LETTERS

router = routes(prefix="/ingest", tags=["ingest"])

_d = table(DeadLetter).c
_UNKNOWN = (
    select(
        _d.gateway,
        _d.point,
        func.count().label("readings"),
        func.min(_d.reading_at).label("first_at"),
        func.max(_d.reading_at).label("last_at"),
    )
    .where(_d.reason == "unknown_point", _d.replayed_at.is_(None), _d.point.is_not(None))
    .group_by(_d.gateway, _d.point)
    .order_by(_d.gateway, _d.point)
)


class UnknownPointOut(Answer):
    """A point that is not in the catalog, or was not when its readings came, and how many of them wait."""

    gateway: str | None
    point: str
    readings: int
    first_at: datetime | None
    last_at: datetime | None


@router.get("/unknown-points")
@needs("ingest.read")
def read_unknown_points(
    door: Door, gateway: str | None = None, limit: Annotated[int, Query(ge=1, le=10_000)] = 500
) -> list[UnknownPointOut]:
    """Points whose readings wait as dead letters because the catalog did not have them. Make the points
    (`lotwise edge catalog FILE` does), then replay the dead letters of reason `unknown_point`.
    """

    def work(u: Unit) -> list[UnknownPointOut]:
        unknown = scoped(_UNKNOWN, DEAD_LETTERS, u.actor).limit(limit)
        if gateway is not None:
            unknown = unknown.where(_d.gateway == gateway)
        return [UnknownPointOut.model_validate(row) for row in u.conn.execute(unknown)]

    return door.read(work)
