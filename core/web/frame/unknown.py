"""What nobody serves below /api: a problem document, which says whether another method would have been served."""

from fastapi import FastAPI, HTTPException, Request
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from core.erp.kernel.middleware import METHODS


def install(app: FastAPI) -> None:
    """Comes after all other routes."""
    known = list(app.router.routes)

    @app.api_route("/api", methods=list(METHODS), include_in_schema=False)
    @app.api_route("/api/{rest:path}", methods=list(METHODS), include_in_schema=False)
    def unknown(request: Request) -> None:
        """404, or 405 where another method would have been served."""
        allowed = [method for method in METHODS if _served(known, request.scope, method)]
        if allowed:
            raise HTTPException(405, f"{request.url.path} has no {request.method}", {"Allow": ", ".join(allowed)})
        raise HTTPException(404, f"there is no {request.url.path}")


def _served(routes: list[BaseRoute], scope: Scope, method: str) -> bool:
    return any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
