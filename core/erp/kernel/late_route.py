"""Routes that are analysed when they are first asked: there are two thousand, and a core that starts asks none."""

from collections.abc import Callable
from threading import RLock
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import Match, compile_path
from starlette.types import Scope

_OF_PATH = ("path_regex", "path_format", "param_convertors")
_making = RLock()


class LateRoute(APIRoute):
    """A route of the framework's that reads its function's parameters and answer (1.5 ms and more) when the first
    request comes to it, or whoever describes the API asks; until then it knows its path, methods and function.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.path, self.endpoint = path, endpoint
        self.methods = {method.upper() for method in options.get("methods") or ("GET",)}
        self._options: dict[str, Any] | None = options
        self._beginning = path.partition("{")[0]

    def __getattr__(self, name: str) -> Any:
        """Asked for what is not there yet."""
        if name.startswith("__") or "_options" not in self.__dict__:
            raise AttributeError(name)
        if name in _OF_PATH:
            self.path_regex, self.path_format, self.param_convertors = compile_path(self.path)
        else:
            self.analyse()
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(name) from None

    def analyse(self) -> None:
        """Makes it whole, once. Raises what the framework raises where a function is no route's."""
        with _making:
            if self._options is not None:
                super().__init__(self.path, self.served(self.endpoint), **self._options)
                self._options = None

    def served(self, endpoint: Callable[..., Any]) -> Callable[..., Any]:
        """The function that answers: the one given, unless a kind of route puts something before it."""
        return endpoint

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """The framework's own answer, or none at once: it asks route by route, and there are hundreds."""
        if not scope["path"].startswith(self._beginning):
            return Match.NONE, {}
        return super().matches(scope)
