"""Where pages get their charts and the readings beneath them: JSON for what draws, a table for who wants figures."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.door import needs
from core.erp.kernel.http import Id
from core.erp.kernel.record_tables import limited, table_headers
from core.erp.kernel.tabular.spool import Spool, begun, spooled
from core.erp.kernel.unit import Unit
from core.series.port import SeriesStore
from core.series.restoring import series_of
from core.web.charts.axis import Asked
from core.web.charts.excursion import excursion_chart
from core.web.charts.lot_life import lot_life_chart
from core.web.charts.plan import Plan
from core.web.charts.readings import QUALITIES, csv, readings, table
from core.web.charts.zone import zone_chart
from core.web.frame.packing import packed, sent
from core.web.frame.routes import page_routes
from core.web.frame.templating import Words
from core.web.frame.visit import Visit, Visiting

router = page_routes()
Planned = Callable[[Unit], Plan]
Chart = Callable[[Unit, Words, int, Asked], Plan]


class Window(BaseModel):
    """What of a chart is asked for: a span (else its own), and on how many pixels it is drawn."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    start: Annotated[AwareDatetime | None, Field(alias="from")] = None
    stop: Annotated[AwareDatetime | None, Field(alias="to")] = None
    width: Annotated[int, Field(ge=1, le=10_000)] = 800

    def asked(self) -> Asked:
        """As charts take it."""
        return Asked(self.start, self.stop, self.width)


Shown = Annotated[Window, Query()]


def _add(kind: str, permit: str, chart: Chart) -> None:
    """The chart of one kind of record, its readings as a page and as a file."""

    def planned(visit: Visit, record_id: int, window: Window) -> Planned:
        return lambda u: chart(u, visit.words, record_id, window.asked())

    @router.get(f"/charts/{kind}/{{record_id}}")
    @needs(permit)
    def document(request: Request, visit: Visiting, record_id: Id, window: Shown) -> Response:
        return _document(request, visit, planned(visit, record_id, window))

    @router.get(f"/charts/{kind}/{{record_id}}/readings")
    @needs(permit)
    def page(visit: Visiting, record_id: Id, window: Shown) -> Response:
        return _table(visit, f"/{kind}/{record_id}", planned(visit, record_id, window))

    @router.get(f"/charts/{kind}/{{record_id}}/readings.csv")
    @needs(permit)
    async def file(request: Request, visit: Visiting, record_id: Id, window: Shown) -> Response:
        return await _csv(request, visit, f"{kind}-{record_id}-readings", planned(visit, record_id, window))


_add("zones", "exposure.read", zone_chart)
_add("excursions", "quality.read", excursion_chart)
_add("sublots", "stock.read", lot_life_chart)


def _plan(visit: Visit, of: Planned) -> Plan:
    """What the database knows of a chart. Raises Forbidden, NotFound, Invalid."""
    visit.actor.need("exposure.read")
    return visit.read(of)


def _store(visit: Visit) -> SeriesStore:
    """All readings, wherever they are: to be asked when no transaction is open any more."""
    return series_of(visit.door.engine)


def _document(request: Request, visit: Visit, of: Planned) -> Response:
    body = _plan(visit, of).drawn(_store(visit)).model_dump_json().encode()
    return sent(request, body, packed(body), "application/json")


def _table(visit: Visit, back: str, of: Planned) -> Response:
    plan = _plan(visit, of)
    found = table(_store(visit), plan)
    stop = plan.window.stop
    return visit.page(
        "charts/readings.html",
        title=plan.doc.title,
        back=back,
        window=plan.window,
        page=found,
        csv=f"{plan.doc.table}.csv?{_span(plan.window.start, stop)}",
        next=f"{plan.doc.table}?{_span(found.more_from, stop)}" if found.more_from is not None else None,
        qualities=QUALITIES,
    )


def _span(start: datetime, stop: datetime) -> str:
    return urlencode({"from": start.isoformat(), "to": stop.isoformat()})


async def _csv(request: Request, visit: Visit, name: str, of: Planned) -> Response:
    plan = await run_in_threadpool(_plan, visit, of)

    def write(spool: Spool) -> None:
        for part in csv(visit.words, readings(_store(visit), plan)):
            spool.write(part)

    parts = limited(request.app.state.export_limiter, visit.actor.login, spooled(write))
    return StreamingResponse(await begun(parts), headers=table_headers(name, "csv"))
