"""Finding a route: by the first word of its path instead of asking two thousand routes one after the other."""

from collections import defaultdict

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from core.erp.kernel.door import API
from core.erp.kernel.late_route import LateRoute


class RouteIndex:
    """Hands a request to the route of ours that takes it, in the order they have; all else to the framework, which asks
    every route, and answers what none takes.
    """

    def __init__(self, router: APIRouter, otherwise: ASGIApp) -> None:
        self._router, self._otherwise = router, otherwise
        self._by_word: dict[str, list[LateRoute]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            for route in self._found(scope["path"]):
                match, child = route.matches(scope)
                if match is Match.FULL:
                    scope.setdefault("router", self._router)
                    scope.update(child)
                    await route.handle(scope, receive, send)
                    return
        await self._otherwise(scope, receive, send)

    def _found(self, path: str) -> list[LateRoute]:
        if self._by_word is None:  # made at the first request: pages add theirs after the app is made
            self._by_word = defaultdict(list)
            for route in self._router.routes:
                if isinstance(route, LateRoute):
                    self._by_word[_word(route.path)].append(route)
        return self._by_word.get(_word(path), [])


def _word(path: str) -> str:
    """A page's path up to its first word, an API's route up to the first word behind what all of them have."""
    return "/".join(path.split("/", 4)[: 4 if path.startswith(API) else 2])
