"""Which dead letters and conflicts somebody sees: those of points they see, and of points that nobody knows yet."""

from typing import Any

from sqlalchemy import ColumnElement, not_, select

from core.erp.catalog.model import Point
from core.erp.catalog.scopes import POINTS
from core.erp.kernel.scope import Scope, Visible, inside
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor
from core.ingest.model import DeadLetter
from core.series.model import SeriesPoint

_point = table(Point).c


def of_address(column: ColumnElement[Any]) -> Scope:
    """Rows whose column is no address of a point that the actor does not see; for inside people."""

    def rows(actor: Actor) -> ColumnElement[bool] | None:
        condition = POINTS(actor)
        if condition is None:
            return None
        foreign = select(_point.address).where(not_(condition))
        return column.is_(None) | column.not_in(foreign)

    return inside(rows)


DEAD_LETTERS = of_address(table(DeadLetter).c.point)
SERIES_POINTS = of_address(table(SeriesPoint).c.address)

VISIBLE = (Visible("dead_letter", table(DeadLetter).c.id, DEAD_LETTERS),)
