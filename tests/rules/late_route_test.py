"""Routes that are analysed when they are first asked are the framework's own, and are found where they are."""

import asyncio

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import FastAPIError
from fastapi.routing import APIRoute

from core.erp.kernel.late_route import LateRoute
from core.erp.kernel.routing import RouteIndex


def doubled(number: int, times: int = 2) -> int:
    """So many times a number."""
    return number * times


def _router(kind: type[APIRoute]) -> APIRouter:
    router = APIRouter(route_class=kind)
    router.get("/numbers/{number}/doubled")(doubled)
    router.post("/numbers/{number}")(doubled)
    router.get("/numbers/{number}")(doubled)
    return router


def _more(kind: type[APIRoute]) -> APIRouter:
    router = APIRouter(route_class=kind)
    router.get("/words/{word}")(lambda word: word)
    return router


def _only(router: APIRouter) -> APIRoute:
    route = router.routes[0]
    assert isinstance(route, APIRoute)
    return route


def test_nothing_is_read_of_a_function_before_its_route_is_asked() -> None:
    late = _only(_router(LateRoute))
    assert (late.path, late.methods, late.endpoint) == ("/numbers/{number}/doubled", {"GET"}, doubled)
    assert "dependant" not in vars(late)
    assert late.path_regex.match("/numbers/4/doubled")
    assert "dependant" not in vars(late), "a path that is compared needs no parameters"
    assert [field.name for field in late.dependant.query_params] == ["times"]


def test_once_asked_it_says_what_the_frameworks_route_says() -> None:
    late, own = _only(_router(LateRoute)), _only(_router(APIRoute))
    assert late.description == own.description == "So many times a number."
    ours = {"_options", "_beginning"}
    assert vars(late).keys() - ours == vars(own).keys()
    for name in vars(own).keys() - {"dependant", "response_field", "app", "param_convertors"}:
        assert getattr(late, name) == getattr(own, name), name
    assert str(late.dependant.path_params) == str(own.dependant.path_params)


def test_what_no_route_has_is_missing_as_elsewhere() -> None:
    late = _only(_router(LateRoute))
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = late.nothing_of_the_kind  # type: ignore[attr-defined]  # that is what is asked
    assert not hasattr(LateRoute.__new__(LateRoute), "path_regex"), "one that was never made has nothing"


def test_a_function_that_is_no_routes_is_refused_when_asked() -> None:
    class Shapeless:
        pass

    def takes_it(body: Shapeless) -> None:
        del body

    late = LateRoute("/x", takes_it)
    with pytest.raises(FastAPIError, match="Shapeless"):
        late.analyse()


def _asked(kind: type[APIRoute], method: str, path: str, *, indexed: bool) -> tuple[int, str, dict[str, str]]:
    app = FastAPI()
    app.router.routes.extend(_router(kind).routes)
    app.include_router(_more(kind))
    if indexed:
        app.router.middleware_stack = RouteIndex(app.router, app.router.middleware_stack)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://core") as client:
            return await client.request(method, path)

    answer = asyncio.run(ask())
    return answer.status_code, answer.text, dict(answer.headers)


@pytest.mark.parametrize(
    "asked",
    [
        ("GET", "/numbers/4/doubled"),
        ("GET", "/numbers/4?times=3"),
        ("POST", "/numbers/5"),
        ("GET", "/numbers/x"),
        ("PUT", "/numbers/5"),
        ("GET", "/numbers"),
        ("GET", "/words/a"),
        ("GET", "/"),
        ("GET", "/openapi.json"),
    ],
    ids=" ".join,
)
def test_an_index_of_late_routes_answers_as_the_framework_does(asked: tuple[str, str]) -> None:
    assert _asked(LateRoute, *asked, indexed=True) == _asked(APIRoute, *asked, indexed=False)
