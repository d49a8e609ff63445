"""Puts the pages on the core's app."""

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from core.erp.kernel import problems
from core.erp.kernel.door import DoorRoute
from core.web import live
from core.web.charts import api as charts
from core.web.charts.sparkline import Sparklines
from core.web.desks.alerts import routes as alerts
from core.web.desks.audit import routes as audit
from core.web.desks.excursions import routes as excursions
from core.web.desks.front import routes as front
from core.web.desks.logistics import board, centres, hand_over, logger_files, shipments
from core.web.desks.logistics.logger_files import FileImportPort
from core.web.desks.lot_life import routes as lot_life
from core.web.desks.patterns import routes as patterns
from core.web.desks.plant import modes
from core.web.desks.plant import routes as plant
from core.web.desks.plant.queries import GoodsCounts
from core.web.desks.release import routes as release
from core.web.desks.setup import preview
from core.web.desks.setup import routes as setup
from core.web.desks.simulators import routes as simulators_routes
from core.web.desks.simulators.port import Simulators
from core.web.desks.sources import routes as sources_routes
from core.web.desks.sources.port import Sources
from core.web.desks.stock import routes as stock
from core.web.desks.wall import routes as wall
from core.web.frame import assets, echarts, password, routes, signing_in, unknown
from core.web.frame.sites import Sites
from core.web.records import finding
from core.web.records import routes as records_routes

EVERYWHERE = tuple(
    part.router
    for part in (
        *(assets, echarts, charts, signing_in, password, front, excursions, plant, lot_life, release, stock, board),
        *(shipments, hand_over, centres, wall, setup, audit, alerts, preview, modes, finding),
    )
)
"""What every instance serves, besides the pages of its records."""


def install(
    app: FastAPI,
    take: FileImportPort | None = None,
    simulators: Simulators | None = None,
    sources: Sources | None = None,
) -> None:
    """Mounts every page. The API keeps its paths and its problem documents.

    `take` is what is done with a logger's file, `simulators` what runs simulated devices, `sources` what asks brokers
    and servers; without one of them no such page is there, and on a live instance never the simulators'.
    Raises EchartsMissing where what draws charts is not there.
    """
    echarts.files()
    app.state.sites, app.state.sparklines = Sites(app.state.engine), Sparklines()
    app.state.goods_counts = GoodsCounts()
    live.install(app)
    found = list(EVERYWHERE)
    if take is not None:
        app.state.file_import = take
        found.append(logger_files.router)
    app.state.sources = sources
    if sources is not None:
        found.append(sources_routes.router)
    app.state.simulators = None
    if app.state.settings.instance == "test":
        found.append(patterns.router)
        if simulators is not None:
            app.state.simulators = simulators
            found.append(simulators_routes.router)
    for router in (*found, records_routes.router()):
        # as they are: a router that includes another makes every route anew, for every app
        app.router.routes.extend(router.routes)
    app.add_exception_handler(Exception, _unexpected)
    app.add_exception_handler(HTTPException, _not_served)
    # the framework asks route by route: a page is not looked for behind the hundreds of the API
    app.router.routes.sort(key=lambda route: isinstance(route, DoorRoute))
    unknown.install(app)


def _not_served(request: Request, error: Exception) -> Response:
    """A person who mistyped an address is shown a page."""
    if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return problems.http_error(request, error)
    return routes.not_served(request, error)


def _unexpected(request: Request, error: Exception) -> Response:
    if request.url.path.startswith("/api/"):
        return problems.unexpected(request, error)
    return routes.unexpected(request, error)
