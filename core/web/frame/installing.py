"""Puts the pages on the core's app."""

from fastapi import FastAPI, Request
from fastapi.responses import Response

from core.erp.kernel import problems
from core.web import live
from core.web.desks.front import routes as front
from core.web.frame import assets, routes, signing_in
from core.web.frame.sites import Sites
from core.web.records import routes as records_routes


def install(app: FastAPI) -> None:
    """Mounts every page. The API keeps its paths and its problem documents."""
    app.state.sites = Sites(app.state.engine)
    live.install(app)
    app.include_router(assets.router)
    app.include_router(signing_in.router)
    app.include_router(front.router)
    app.include_router(records_routes.router())
    app.add_exception_handler(Exception, _unexpected)


def _unexpected(request: Request, error: Exception) -> Response:
    if request.url.path.startswith("/api/"):
        return problems.unexpected(request, error)
    return routes.unexpected(request, error)
