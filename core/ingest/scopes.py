"""Which dead letters and conflicts somebody sees: those of points they see, and of points that nobody knows yet; and
which gateways: those of their own zones alone.
"""

from typing import Any

from sqlalchemy import ColumnElement, not_, select

from core.erp.catalog.model import Point, Zone
from core.erp.catalog.scopes import POINTS, ZONES
from core.erp.exposure.model import SourceWatermark
from core.erp.kernel.scope import Scope, Visible, any_of, inside
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor
from core.ingest.model import DeadLetter, GatewayEpoch, IngestAlarm
from core.series.model import SeriesPoint

_point, _watermark = table(Point).c, table(SourceWatermark).c


def of_address(column: ColumnElement[Any]) -> Scope:
    """Rows whose column is no address of a point that the actor does not see; for inside people."""

    def rows(actor: Actor) -> ColumnElement[bool] | None:
        condition = POINTS(actor)
        if condition is None:
            return None
        foreign = select(_point.address).where(not_(condition))
        return column.is_(None) | column.not_in(foreign)

    return inside(rows)


def of_gateway(column: ColumnElement[Any]) -> Scope:
    """Rows whose column names a gateway that speaks for zones which the actor sees, and for no other; for inside
    people.
    """

    def rows(actor: Actor) -> ColumnElement[bool] | None:
        condition = ZONES(actor)
        if condition is None:
            return None
        zones = table(Zone)
        spoken = select(_watermark.gateway).join_from(table(SourceWatermark), zones, zones.c.id == _watermark.zone_id)
        return column.in_(spoken.where(condition)) & column.not_in(spoken.where(not_(condition)))

    return inside(rows)


DEAD_LETTERS = of_address(table(DeadLetter).c.point)
GATEWAYS = of_gateway(table(GatewayEpoch).c.gateway)
ALARMS = any_of(of_gateway(table(IngestAlarm).c.gateway), inside(lambda _: table(IngestAlarm).c.gateway.is_(None)))
SERIES_POINTS = of_address(table(SeriesPoint).c.address)

VISIBLE = (Visible("dead_letter", table(DeadLetter).c.id, DEAD_LETTERS),)
