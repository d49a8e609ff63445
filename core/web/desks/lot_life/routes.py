"""A sublot's page: the record's, with what may be done with the goods and what they went through above it."""

from datetime import timedelta
from typing import Any

from fastapi import Response
from sqlalchemy import text

from core.erp.catalog.limit_words import limit_of
from core.erp.exposure.service import Exposure, exposure
from core.erp.kernel.door import needs
from core.erp.kernel.http import Id
from core.erp.kernel.records import read
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tables import values_of
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.lots.rules import Obstacle, Purpose
from core.web.desks.conditions import condition_said
from core.web.desks.limits import LimitLine, limit_name, limits_of, lines
from core.web.frame.grafana import board_link
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting
from core.web.records.record import record_page

router = page_routes()
SPANS = {
    "24h": ("web.span_24h", timedelta(hours=24)),
    "7d": ("web.span_7d", timedelta(days=7)),
    "30d": ("web.span_30d", timedelta(days=30)),
    "life": ("web.span_life", None),
}
"""What its chart may show, up to now."""
MOST = 20


@router.get("/sublots/{record_id:int}")
@needs("stock.read")
def sublot(visit: Visiting, record_id: Id, span: str = "life") -> Response:
    """One sublot."""
    return visit.read(lambda u: _page(u, visit, record_id, span))


def _page(u: Unit, visit: Visit, record_id: int, span: str) -> Response:
    found = read.row_of(u, entities()["sublot"], record_id)
    chosen = span if span in SPANS else "life"
    length = SPANS[chosen][1]
    exposed = exposure(u.conn, record_id, u.now) if visit.may("exposure.read") else None
    excursions = _rows(u, "excursion", sublot_id=record_id) if visit.may("quality.read") else []
    known = {one: limits_of(u, one) for one in {row["version_id"] for row in excursions}}
    return record_page(
        u,
        entities()["sublot"],
        visit,
        record_id,
        template="desks/sublot.html",
        grafana=board_link(visit, "lotwise-lot", **_called(u, found.lot_id)),
        purposes=_purposes(u, record_id),
        holds=_rows(u, "hold", sublot_id=record_id, open_only=True),
        restrictions=[one for one in _rows(u, "restriction", sublot_id=record_id) if one["lifted_at"] is None],
        condition_said=condition_said(visit.words),
        excursions=excursions,
        broken_limit=lambda row: limit_name(limit_of(known[row["version_id"]], row["limit_key"]), visit.words),
        exposed=exposed,
        limits=_limits(u, visit, exposed) if exposed is not None else (),
        may_see=visit.may("exposure.read"),
        span=chosen,
        spans=SPANS,
        since=u.now - length if length is not None else None,
        now=u.now,
    )


def _called(u: Unit, lot_id: int) -> dict[str, str]:
    """What people call a lot: its item's code and its number."""
    asked = text("SELECT i.code AS item, l.number AS lot FROM lot l JOIN item i ON i.id = l.item_id WHERE l.id = :lot")
    return dict(u.conn.execute(asked, {"lot": lot_id}).mappings().one())


def _limits(u: Unit, visit: Visit, exposed: Exposure) -> list[LimitLine]:
    known = limits_of(u, exposed.version_id)
    return lines(u, exposed.sublot_id, exposed.version_id, known, exposed, visit.words)


def _purposes(u: Unit, record_id: int) -> list[tuple[str, list[Obstacle]]]:
    """(purpose, what stands against it) of every purpose that goods may be taken for."""
    return [(str(purpose), lots.movable(u, record_id, purpose)) for purpose in Purpose]


def _rows(u: Unit, name: str, **filters: Any) -> list[dict[str, Any]]:
    found = read.page(u, entities()[name], read.Asked(filters, limit=MOST))
    return [values_of(row) for row in found.rows]
