"""The route that tells which points gateways read that the catalog does not have."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from sqlalchemy import text

from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import PROBLEMS, Answer, Door

router = routes(prefix="/ingest", tags=["ingest"], responses=PROBLEMS)

_UNKNOWN = text(
    "SELECT gateway, point, count(*) AS readings, min(reading_at) AS first_at, max(reading_at) AS last_at"
    " FROM dead_letter d WHERE reason = 'unknown_point' AND replayed_at IS NULL AND point IS NOT NULL"
    " AND (CAST(:gateway AS text) IS NULL OR gateway = :gateway)"
    " GROUP BY gateway, point ORDER BY gateway, point LIMIT :limit"
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
    return door.read(
        lambda u: [
            UnknownPointOut.model_validate(row)
            for row in u.conn.execute(_UNKNOWN, {"gateway": gateway, "limit": limit})
        ]
    )
