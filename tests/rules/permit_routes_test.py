"""Every route, page and live region names its permit; what is open to all stands here, written by hand."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr
from sqlalchemy import create_engine

from core.app import create_app
from core.erp.kernel import permits
from core.erp.kernel.door import DoorRoute, NothingAsked, needs, open_to_all, routes, wants_of
from core.erp.kernel.permits import Role
from core.ingest.file_import import FileImporter
from core.settings import SHORTEST_SECRET, Settings
from core.web.frame.installing import install
from core.web.frame.routes import PageRoute

ROOT = Path(__file__).parents[2]
API = "/api/v1"
OPEN_TO_ALL = {f"POST {API}/alert-replies", f"POST {API}/token", f"POST {API}/token/renew", f"POST {API}/token/revoke"}
SIGNED_IN_ONLY = {f"POST {API}/password", f"GET {API}/me", f"POST {API}/me/language"}
PAGES_OPEN_TO_ALL = {"GET /login", "POST /login", "POST /logout"}
PAGES_FOR_WHOEVER_IS_SIGNED_IN = {
    "GET /",
    "GET /front/needs",
    "GET /find",
    "GET /patterns",
    "POST /language",
    "GET /password",
    "POST /password",
}
"""What is each one's own, or shows only what the reader's permits give."""
NO_ROUTE_OF_THE_DOOR = {
    f"{API}/openapi.json",
    f"{API}/instance",
    "/healthz",
    "/login",
    "/logout",
    "/password",
    "/favicon.ico",
    "/static/{at}/{name:path}",
    "/echarts/{at}/{name}",
    "/live",
    "/live/alive",
    "/api",
    "/api/{rest:path}",
}
"""Signing in and out, the description of the API, what says how the core is, and the pages' own files: they ask for
nothing. The event stream asks for the session's cookie by itself (live_test).
"""
READS_FOR_A_WALL = {
    "catalog.read",
    "stock.read",
    "custody.read",
    "exposure.read",
    "quality.read",
    "production.read",
    "schedule.read",
    "shipment.read",
    "restoration.read",
}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    settings = Settings(instance="test", secret_key=SecretStr("-" * SHORTEST_SECRET))
    made = create_app(settings, create_engine("postgresql+psycopg://"), run_background=False)
    install(made, FileImporter(live=True))
    return made


def doors(app: FastAPI) -> Iterator[tuple[str, DoorRoute]]:
    for context in iter_route_contexts(app.router.routes):
        route = getattr(context, "original_route", context)
        if isinstance(route, DoorRoute):
            for method in sorted(route.methods or ()):
                yield f"{method} {route.path}", route


def test_every_route_names_a_permit(app: FastAPI) -> None:
    free, personal, silent = set(), set(), set()
    for name, route in doors(app):
        wants = wants_of(route.endpoint)
        if wants.public:
            free.add(name)
        elif not wants.permits:
            personal.add(name)
        elif name.startswith("GET ") and not all(permits.declared()[one].reads for one in wants.permits):
            silent.add(name)
    assert (free, personal) == (OPEN_TO_ALL, SIGNED_IN_ONLY)
    assert silent == set(), "reads that go by a permit which does more"


def test_no_route_passes_by_the_door(app: FastAPI) -> None:
    for context in iter_route_contexts(app.router.routes):
        route = getattr(context, "original_route", context)
        path = getattr(route, "path", "")
        if not isinstance(route, (DoorRoute, PageRoute)) and path:
            assert path in NO_ROUTE_OF_THE_DOOR, path


def test_every_page_names_a_permit(app: FastAPI) -> None:
    free, personal = set(), set()
    for context in iter_route_contexts(app.router.routes):
        route = getattr(context, "original_route", context)
        if not isinstance(route, PageRoute):
            continue
        wants, names = wants_of(route.endpoint), {f"{method} {route.path}" for method in route.methods or ()}
        if wants.public:
            free |= names
        elif not wants.permits:
            personal |= names
    assert (free, personal) == (PAGES_OPEN_TO_ALL, PAGES_FOR_WHOEVER_IS_SIGNED_IN)


def test_a_route_that_names_none_does_not_start() -> None:
    router = routes()
    with pytest.raises(NothingAsked):
        router.get("/things")(lambda: None)
    with pytest.raises(NothingAsked):
        needs()
    router.get("/open")(open_to_all()(lambda: None))


def literals(folder: str) -> Iterator[tuple[str, int, list[str | None]]]:
    """(file, line, its literal texts or None for another argument) of each call of what asks for permits."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in {"may", "need", "needs"}:
                words = [one.value if isinstance(one, ast.Constant) else None for one in node.args]
                yield str(path.relative_to(ROOT)), node.lineno, words  # type: ignore[misc]  # ast's constants may be anything


def test_what_code_asks_for_is_declared() -> None:
    known = permits.declared()
    for file, line, words in literals("core"):
        for word in words:
            assert word is None or word in known, f"{file}:{line}: {word}"


def test_a_wall_reads_what_a_wall_shows() -> None:
    assert permits.permits_of({Role.DISPLAY}) == READS_FOR_A_WALL


def test_outside_people_are_given_only_what_has_a_scope_for_them() -> None:
    assert {name for name, one in permits.declared().items() if one.outside} == {"partner.read"}
